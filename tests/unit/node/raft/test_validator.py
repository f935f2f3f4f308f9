"""Three validators in this process, with their real signers, logs, links, ledgers and doors."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.ledger_bench import VALIDATORS, Bench, Signed
from tests.unit.node.cometbft.dialogue import blocks_of_a_slot

from gridpact.codec import sha256
from gridpact.contracts.keys import CLOCK
from gridpact.errors import InputError, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node.audit import audit_ledger
from gridpact.node.door import RemoteEngine, door_path
from gridpact.node.engines import WEIGHTED_RAFT
from gridpact.node.raft import RaftValidator, write_homes
from gridpact.node.raft.blocks import Point
from gridpact.node.raft.homes import LEDGER, SIGNER, WAL
from gridpact.node.signing import SignerRefusedError, allow

WAITS_S = 30.0


class Network:
    """Validators that run, by name."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench()
        homes = write_homes(folder / "net", self.bench.genesis, engine=WEIGHTED_RAFT)
        self.homes = {home.name: home for home in homes}
        self.running: dict[str, RaftValidator] = {}

    async def start(self, *names: str) -> None:
        started = await asyncio.gather(*(RaftValidator.start(self.homes[name]) for name in names))
        self.running.update(zip(names, started, strict=True))

    async def stop(self, *names: str) -> None:
        await asyncio.gather(*(self.running.pop(name).close() for name in names))

    async def decide(self, *transactions: Signed, at: str) -> None:
        """Hand in at one validator, and wait for the receipts there."""
        engine = self.running[at].engine
        await engine.values([CLOCK])  # it judges by its own ledger: let it have what there is
        for signed in transactions:
            assert await engine.submit(*signed) == Verdict.ACCEPTED
        told = await engine.receipts([sha256(raw) for raw, _ in transactions])
        assert [one.verdict for one in told] == [Verdict.ACCEPTED] * len(told)
        assert all(isinstance(one, Receipt) for one in told)

    async def agreed(self) -> Point:
        """Where all that run are, once each has everything that is decided now."""
        for validator in self.running.values():
            await validator.engine.values([CLOCK])
        points = {validator.ledger.point for validator in self.running.values()}
        assert len(points) == 1, points
        return points.pop()


Run = Callable[[Callable[[Network], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def started(work: Callable[[Network], Awaitable[None]]) -> None:
        async def whole() -> None:
            network = Network(tmp_path)
            try:
                async with asyncio.timeout(WAITS_S):
                    await work(network)
            finally:
                await network.stop(*network.running)

        asyncio.run(whole())

    return started


def test_three_validators_have_one_record_and_one_may_be_away(run: Run) -> None:
    async def work(network: Network) -> None:
        blocks = blocks_of_a_slot(Bench())
        await network.start(*VALIDATORS)
        for number, transactions in enumerate(blocks[:3]):
            await network.decide(*transactions, at=VALIDATORS[number])
        before = await network.agreed()
        assert before.height >= 3
        await network.stop("val-2")
        await network.decide(*blocks[3], at="val-1")
        await network.decide(*blocks[4], at="val-3")
        await network.start("val-2")
        await network.decide(*blocks[5], at="val-2")
        after = await network.agreed()
        assert after.height > before.height
        await network.stop(*VALIDATORS)
        for home in network.homes.values():
            audit = await asyncio.to_thread(audit_ledger, home / LEDGER)
            assert audit.violations == []

    run(work)


def test_programs_use_a_validator_through_its_door(run: Run) -> None:
    async def work(network: Network) -> None:
        await network.start(*VALIDATORS)
        doors = [door_path(network.homes[name]) for name in VALIDATORS]
        remote = await RemoteEngine.connect(doors)
        ann = network.bench.register("ann")
        assert await remote.submit(*ann) == Verdict.ACCEPTED
        assert isinstance((await remote.receipts([sha256(ann[0])]))[0], Receipt)
        status = await remote.status()
        assert (status.name, status.engine, status.height) == ("val-1", WEIGHTED_RAFT, 1)
        assert status.leader in VALIDATORS
        await network.stop("val-1")
        bob = network.bench.register("bob")
        assert await remote.submit(*bob) == Verdict.ACCEPTED
        assert isinstance((await remote.receipts([sha256(bob[0])]))[0], Receipt)
        assert (await remote.status()).name != "val-1"
        await remote.close()

    run(work)


def test_what_one_lost_comes_back_and_a_restored_log_waits_for_its_operator(
    run: Run, tmp_path: Path
) -> None:
    async def work(network: Network) -> None:
        home = network.homes["val-3"]
        await network.start(*VALIDATORS)
        await network.decide(network.bench.register("ann"), at="val-1")
        await network.agreed()
        await network.stop("val-3")
        shutil.copy(home / WAL, tmp_path / "copy")
        shutil.rmtree(home / LEDGER)  # the log has all of it
        await network.start("val-3")
        await network.decide(network.bench.register("bob"), at="val-3")
        await network.agreed()
        await network.stop("val-3")
        shutil.copy(tmp_path / "copy", home / WAL)
        with pytest.raises(SignerRefusedError, match="restored from an older copy"):
            await network.start("val-3")
        assert (home / WAL).read_bytes() == (tmp_path / "copy").read_bytes()
        allow(home / SIGNER)
        await network.start("val-3")
        await network.decide(network.bench.register("cyd"), at="val-3")
        await network.agreed()

    run(work)


def test_a_start_that_fails_leaves_everything_free(run: Run) -> None:
    async def work(network: Network) -> None:
        home = network.homes["val-1"]
        (home / WAL).write_bytes(b"no log")
        with pytest.raises(StoreError, match="another replica or chain"):
            await network.start("val-1")
        (home / WAL).unlink()
        own = RaftValidator(home)
        port = own.settings.own.port
        with pytest.raises(StoreError, match="another process writes this ledger"):
            await network.start("val-1")
        await own.close()
        taken = socket.create_server(("127.0.0.1", port))
        with taken, pytest.raises(OSError, match="in use"):
            await network.start("val-1")
        await network.start("val-1")
        with pytest.raises(InputError, match="no settings of a validator"):
            await RaftValidator.start(home / "nothing")

    run(work)


def test_what_makes_a_validator_stop_is_told_to_everybody(run: Run) -> None:
    async def work(network: Network) -> None:
        await network.start("val-1")
        validator = network.running["val-1"]
        ann = network.bench.register("ann")
        assert await validator.engine.submit(*ann) == Verdict.ACCEPTED
        waiting = asyncio.create_task(validator.engine.receipts([sha256(ann[0])]))
        ending = asyncio.create_task(validator.lifetime.over())
        await asyncio.sleep(0)
        network_thread = validator._network
        network_thread._call_thread(network_thread.failed, StoreError("the disk is full"))
        for asked in (waiting, ending):
            with pytest.raises(StoreError, match="full"):
                await asked

    run(work)
