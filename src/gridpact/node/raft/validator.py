"""One Raft validator in this process: signer, log, links, replica, ledger, door."""

from __future__ import annotations

from pathlib import Path

import structlog

from gridpact.codec import Wire
from gridpact.node.door import Door, NodeStatus, door_path
from gridpact.node.lifetime import Lifetime
from gridpact.node.metrics import Counts, Health, Metrics, link_counts, verdict_counts
from gridpact.node.raft.blocks import said_bytes
from gridpact.node.raft.engine import RaftEngine
from gridpact.node.raft.homes import LEDGER, read_genesis, read_settings
from gridpact.node.raft.host import Told
from gridpact.node.raft.network import make_network
from gridpact.node.raft.reads import SAID
from gridpact.node.raft.replicated import Replicated
from gridpact.node.raft.sync import LedgerSync
from gridpact.node.raft.thread import Made, NetworkThread
from gridpact.node.store import LedgerStore

_log = structlog.get_logger(__name__)


class RaftValidator:
    """A validator in this process; its signer is a child of it."""

    def __init__(self, home: Path) -> None:
        """Open or make the ledger of a folder that `write_homes` made; `start` joins the network.

        Raises:
            InputError: no such folder.
            StoreError: the ledger is damaged or used by another process.
        """
        self.settings = read_settings(home)
        self._home = home
        self.lifetime = Lifetime()
        genesis = read_genesis(home)
        if (home / LEDGER).exists():
            store = LedgerStore.open(home / LEDGER)
        else:
            store = LedgerStore.create(home / LEDGER, genesis)
        try:
            self.ledger = Replicated(store, self.settings.engine)
        except BaseException:
            store.close()
            raise
        self._network = NetworkThread(self._make, self._told, self._said, self._failed)
        first = {validator.party: validator.weight for validator in genesis.validators}
        self.engine = RaftEngine(
            self.settings.name,
            self.ledger,
            self._network,
            lambda height: self.settings.weights_at(height, first),
        )
        self.engine.failed = self._failed
        others = [member.name for member in self.settings.others]
        self.engine.catch_up = LedgerSync(self.ledger, others, self._say, self.engine.after_block)
        self._door = Door(self.engine, self.status)
        self._metrics = Metrics(self.status, self._counts, self._health)
        self._genesis = genesis

    @classmethod
    async def start(cls, home: Path) -> RaftValidator:
        """Begin to take part.

        Raises:
            InputError: no such folder.
            StoreError: ledger, log or signer refuse.
        """
        validator = cls(home)
        try:
            await validator._network.start()
            await validator._door.start(door_path(home))
            if validator.settings.metrics_port:
                settings = validator.settings
                validator._metrics.start(settings.metrics_host, settings.metrics_port)
        except BaseException:
            await validator.close()
            raise
        return validator

    async def close(self) -> None:
        """Stop: no more requests, then the network, then the ledger."""
        self._metrics.close()
        await self._door.close()
        await self._network.close()
        await self.engine.close()
        self.ledger.close()

    def status(self, number: int) -> NodeStatus:
        """How this validator is, as the answer to a request with a number."""
        application, standing = self.ledger.application, self.engine.standing
        return NodeStatus(
            number,
            self.settings.name,
            self.settings.engine,
            application.genesis_hash,
            application.height,
            application.last_hash,
            application.state_map.root,
            standing.leader,
            standing.term,
            self.engine.waiting,
        )

    def _health(self) -> Health:
        if self.lifetime.failure is not None:
            return Health(is_well=False, reason=str(self.lifetime.failure))
        if not self.engine.standing.leader:
            return Health(is_well=False, reason="no leader is known")
        return Health(is_well=True, reason="")

    def _counts(self) -> Counts:
        """What only ever grows."""
        found = verdict_counts(self.engine.transactions)
        found["blocks_passed_over", ()] = self.ledger.passed_over
        found["messages_suspected", ()] = self._network.suspected
        if self._network.links is not None:
            found.update(link_counts(self._network.links))
        return found

    def _say(self, peer: str, message: Wire) -> None:
        self._network.send(peer, SAID, said_bytes(message))

    def _told(self, told: Told) -> None:
        self.engine.told(told)

    def _said(self, peer: str, channel: int, data: bytes) -> None:
        self.engine.said(peer, data)

    def _failed(self, error: Exception) -> None:
        self.lifetime.fail(error)
        self.engine.fail(error)

    async def _make(self, thread: NetworkThread) -> Made:
        return await make_network(self._home, self.settings, self._genesis, thread)


async def serve(home: Path) -> None:
    """Run a validator until SIGTERM or SIGINT; raises what else made it stop."""
    validator = await RaftValidator.start(home)
    validator.lifetime.end_on_signals()
    _log.info("validator started", home=str(home), engine=validator.settings.engine)
    try:
        await validator.lifetime.over()
    finally:
        await validator.close()
        _log.info("validator stopped", height=validator.ledger.application.height)
