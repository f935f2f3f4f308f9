"""The signer beside the real CometBFT: it makes blocks, and a restored validator stays silent.

`make cometbft` builds the program; without it these tests are skipped, except in CI.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import msgspec
import pytest
from tests.ledger_bench import Bench, genesis_with

from gridpact.codec import sha256
from gridpact.contracts.genesis import Genesis, Validator
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node import Refusal, SimulatedKeys
from gridpact.node.cometbft import CometbftValidator, Timing, write_homes
from gridpact.node.signing import SignerGoneError, allow, show
from gridpact.node.signing.cometbft_signer import CometbftPosition
from gridpact.node.signing.keyfile import PASSPHRASE, write_privately

pytestmark = [
    pytest.mark.service,
    pytest.mark.slow,
    pytest.mark.usefixtures("cometbft"),
]

TIMING = Timing(commit_ms=50, propose_ms=300)
WAITS_S = 60.0
SILENCE_S = 3.0
"""Many times what a block takes."""


class Chain:
    """One validator, and transactions for it."""

    def __init__(self, folder: Path, passphrase: bytes | None = None) -> None:
        keys = SimulatedKeys(7)
        genesis: Genesis = msgspec.structs.replace(
            genesis_with(keys), validators=[Validator("validator-0", 1)]
        )
        self.bench = Bench(genesis, keys)
        (self.home,) = write_homes(folder, genesis, timing=TIMING, passphrase=passphrase)
        self.sent: list[tuple[bytes, bytes]] = []

    async def begin(
        self, validator: CometbftValidator, again: int | None = None
    ) -> asyncio.Task[list[Receipt | Refusal]]:
        """Send a new transaction, or one of before; what comes back waits for its block."""
        if again is None:
            self.sent.append(self.bench.register(f"p{len(self.sent)}"))
        envelope, payload = self.sent[-1 if again is None else again]
        assert await validator.engine.submit(envelope, payload) == Verdict.ACCEPTED
        return asyncio.create_task(validator.engine.receipts([sha256(envelope)]))

    async def decide(self, validator: CometbftValidator, blocks: int) -> None:
        """Let so many blocks with a transaction be made."""
        for _ in range(blocks):
            async with asyncio.timeout(WAITS_S):
                (receipt,) = await (await self.begin(validator))
            assert isinstance(receipt, Receipt)
            assert receipt.verdict == Verdict.ACCEPTED

    def position(self) -> CometbftPosition:
        position = show(self.home / "signer").position
        assert isinstance(position, CometbftPosition)
        return position


def restore(home: Path, copy: Path) -> None:
    """Put an older copy in the place of everything but the signer's folder."""
    for path in home.iterdir():
        if path.name == "signer":
            continue
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.copytree(copy, home, dirs_exist_ok=True)


def test_a_validator_signs_with_a_sealed_key_and_survives_kills(short_folder: Path) -> None:
    """CometBFT is killed: its socket is left behind and it must find its signer again."""
    passphrase = short_folder / "passphrase"
    write_privately(passphrase, b"correct horse\n")

    async def run() -> None:
        chain = Chain(short_folder / "net", b"correct horse")
        assert not (chain.home / "cometbft" / "config" / "priv_validator_key.json").exists()
        validator = await CometbftValidator.start(chain.home, passphrase_file=passphrase)
        try:
            await chain.decide(validator, 2)
            pid, before = validator.process.pid, chain.position()
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await chain.decide(validator, 2)
            assert chain.position().place > before.place
        finally:
            await validator.close()
        with pytest.raises(SignerGoneError, match=PASSPHRASE):
            await CometbftValidator.start(chain.home)

    asyncio.run(run())


def test_without_its_signer_a_validator_ends(short_folder: Path) -> None:
    async def run() -> None:
        chain = Chain(short_folder / "net")
        validator = await CometbftValidator.start(chain.home)
        try:
            await chain.decide(validator, 1)
            signer = validator._signer
            assert signer is not None
            os.kill(signer.pid, signal.SIGKILL)
            async with asyncio.timeout(WAITS_S):
                with pytest.raises(SignerGoneError, match="the signer has ended"):
                    await validator.lifetime.over()
        finally:
            await validator.close()
        validator = await CometbftValidator.start(chain.home)
        try:
            await chain.decide(validator, 1)
        finally:
            await validator.close()

    asyncio.run(run())


def test_a_restored_validator_stays_silent(short_folder: Path) -> None:
    async def run() -> None:
        chain = Chain(short_folder / "net")
        copy = short_folder / "copy"
        validator = await CometbftValidator.start(chain.home)
        await chain.decide(validator, 1)
        await validator.close()
        ignored = shutil.ignore_patterns("signer", "*.sock")
        shutil.copytree(chain.home, copy, ignore=ignored)
        lost = len(chain.sent)

        validator = await CometbftValidator.start(chain.home)
        await chain.decide(validator, 4)
        await validator.close()
        held = chain.position()

        restore(chain.home, copy)
        for attempt in ("silent", "still silent", "allowed"):
            if attempt == "allowed":
                assert allow(chain.home / "signer").reach[0] == held.height
            validator = await CometbftValidator.start(chain.home)
            waiting = await chain.begin(validator, lost)
            _, pending = await asyncio.wait([waiting], timeout=SILENCE_S)
            assert pending == {waiting}, attempt
            assert chain.position() == held
            await validator.close()
            await asyncio.gather(waiting, return_exceptions=True)
            behind = show(chain.home / "signer").behind
            assert (behind is None) == (attempt == "allowed")
        log = (chain.home / "signer" / "signer.log").read_text()
        assert "an operator must allow it" in log
        assert "comes before" in log

    asyncio.run(run())
