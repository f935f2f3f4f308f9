"""One validator: ledger, application, payload link, and CometBFT beside them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from gridpact.contracts.genesis import genesis_from_json
from gridpact.node.cometbft.adapter import Adapter
from gridpact.node.cometbft.engine import CometbftEngine
from gridpact.node.cometbft.homes import COMETBFT, GENESIS, LINK_KEY, SIGNER, read_settings
from gridpact.node.cometbft.link import PayloadLink
from gridpact.node.cometbft.process import CometbftProcess, find_program
from gridpact.node.cometbft.rpc import RpcClient
from gridpact.node.cometbft.server import AbciServer
from gridpact.node.door import Door, NodeStatus, door_path
from gridpact.node.engines import COMETBFT as COMETBFT_ENGINE
from gridpact.node.lifetime import Lifetime
from gridpact.node.metrics import Counts, Health, Metrics, link_counts, verdict_counts
from gridpact.node.signing.folder import socket_path
from gridpact.node.signing.process import SignerProcess
from gridpact.node.signing.refusals import SignerGoneError
from gridpact.node.store import LedgerStore

LEDGER = "ledger"

_log = structlog.get_logger(__name__)


class CometbftValidator:
    """A validator in this process; CometBFT is a child of it."""

    def __init__(self, home: Path, program: Path) -> None:
        genesis_path = home / GENESIS
        self._settings = read_settings(home)
        self.lifetime = Lifetime()
        if (home / LEDGER).exists():
            store = LedgerStore.open(home / LEDGER)
        else:
            genesis = genesis_from_json(genesis_path.read_bytes(), str(genesis_path))
            store = LedgerStore.create(home / LEDGER, genesis)
        try:
            self.adapter = Adapter(store, snapshots_every=self._settings.snapshots_every)
        except BaseException:
            store.close()
            raise
        try:
            self.link = PayloadLink(
                self.adapter,
                self.adapter.application.genesis_hash,
                self._settings.member(),
                home / LINK_KEY,
                self._settings.peers,
            )
        except BaseException:
            self.adapter.close()
            raise
        self.adapter.fetch = self.link.fetch
        self.server = AbciServer(self.adapter.answer, self._failed)
        self.process = CometbftProcess(program, home / COMETBFT, socket_path(home / SIGNER))
        self._signer: SignerProcess | None = None
        rpc = RpcClient(self._settings.host, self._settings.rpc_port)
        self.engine = CometbftEngine(self.adapter, self.link, rpc)
        self._door = Door(self.engine, self.status)
        self._metrics = Metrics(self.status, self._counts, self._health)

    @classmethod
    async def start(
        cls, home: Path, program: Path | None = None, *, passphrase_file: Path | None = None
    ) -> CometbftValidator:
        """Open or make the ledger of a folder that `write_homes` made, and join the network.

        Raises:
            InputError: no such folder, or no CometBFT.
            StoreError: the ledger is damaged or used by another process, or the signer does not
                start: its key is locked, or another signer has its folder.
        """
        validator = cls(home, program or find_program())
        settings = validator._settings
        try:
            await validator.link.start()
            await validator.server.start(settings.proxy_app)
            await validator._start_signer(home / SIGNER, passphrase_file)
            validator.process.start()
            await validator._door.start(door_path(home))
            if settings.metrics_port:
                validator._metrics.start(settings.metrics_host, settings.metrics_port)
        except BaseException:
            await validator.close()
            raise
        return validator

    async def close(self) -> None:
        """Stop: the door and CometBFT first, so that nothing comes any more."""
        self._metrics.close()
        await self._door.close()
        await self.process.stop()
        await self._stop_signer()
        await self.server.close()
        await self.engine.close()
        await self.link.close()
        self.adapter.close()

    def status(self, number: int) -> NodeStatus:
        """How this validator is, as the answer to a request with a number."""
        application = self.adapter.application
        return NodeStatus(
            number,
            self._settings.name,
            COMETBFT_ENGINE,
            application.genesis_hash,
            application.height,
            application.last_hash,
            application.state_map.root,
            "",
            0,
            self.engine.waiting,
        )

    async def _start_signer(self, folder: Path, passphrase_file: Path | None) -> None:
        signer = await asyncio.to_thread(SignerProcess, folder, passphrase_file=passphrase_file)

        def ended() -> None:
            asyncio.get_running_loop().remove_reader(signer)
            self._failed(SignerGoneError(f"{folder}: the signer has ended; see signer.log there"))

        self._signer = signer
        asyncio.get_running_loop().add_reader(signer, ended)

    async def _stop_signer(self) -> None:
        signer, self._signer = self._signer, None
        if signer is not None:
            asyncio.get_running_loop().remove_reader(signer)
            await asyncio.to_thread(signer.stop)

    def _health(self) -> Health:
        return Health(
            is_well=self.lifetime.failure is None, reason=str(self.lifetime.failure or "")
        )

    def _counts(self) -> Counts:
        return {**verdict_counts(self.engine.transactions), **link_counts(self.link.counts)}

    def _failed(self, error: Exception) -> None:
        """A request could not be answered: nothing more is promised."""
        self.lifetime.fail(error)
        self.engine.fail(error)


async def serve(home: Path) -> None:
    """Run a validator until SIGTERM or SIGINT; raises what else made it stop."""
    validator = await CometbftValidator.start(home)
    validator.lifetime.end_on_signals()
    _log.info("validator started", home=str(home))
    try:
        await validator.lifetime.over()
    finally:
        await validator.close()
        _log.info("validator stopped", height=validator.adapter.height)
