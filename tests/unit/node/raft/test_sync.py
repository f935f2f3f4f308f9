"""Getting what the log has forgotten from other validators, in memory and on real folders."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.raft.ledgers import (
    a_slot_of_blocks,
    block_of,
    new_ledger,
    on_disk,
    reopened,
)

from gridpact.codec import Wire
from gridpact.contracts import BlockResult
from gridpact.errors import StoreError
from gridpact.node import LedgerStore
from gridpact.node.raft import sync as sync_module
from gridpact.node.raft.blocks import (
    Block,
    BlocksAsked,
    BlocksSent,
    PartAsked,
    Point,
    SnapshotBegun,
    SnapshotSent,
    read_said,
    said_bytes,
)
from gridpact.node.raft.replicated import Replicated
from gridpact.node.raft.sync import LedgerSync

WAITS_S = 10.0
HERE, NEAR, FAR = "val-1", "val-2", "val-3"


class World:
    """Ledgers whose messages reach each other on the event loop, unless they are lost."""

    def __init__(self, folder: Path, bench: Bench) -> None:
        self.folder, self.bench = folder, bench
        self.said: list[tuple[str, str, Wire]] = []
        """(sender, receiver, message) in order."""
        self.lost: Callable[[str, str, Wire], bool] = lambda _sender, _receiver, _message: False
        self.ledgers: dict[str, Replicated] = {}
        self.syncs: dict[str, LedgerSync] = {}
        self.executed: list[BlockResult] = []
        """By the ledger that catches up."""
        self._noted = asyncio.Event()
        for name in (HERE, NEAR, FAR):
            self.join(name, new_ledger(folder / name, bench))

    def join(self, name: str, ledger: Replicated) -> None:
        others = [other for other in (HERE, NEAR, FAR) if other != name]

        def send(peer: str, message: Wire) -> None:
            self.said.append((name, peer, message))
            self._noted.set()
            if not self.lost(name, peer, message):
                asyncio.get_running_loop().call_soon(self._arrives, name, peer, said_bytes(message))

        self.ledgers[name] = ledger
        self.syncs[name] = LedgerSync(ledger, others, send, self.executed.append)

    def _arrives(self, sender: str, receiver: str, data: bytes) -> None:
        self.syncs[receiver].heard(sender, read_said(data))

    def decide(self, blocks: list[Block], *names: str) -> Point:
        """These have decided more."""
        for name in names:
            for block in blocks:
                assert self.ledgers[name].execute(block) is not None
        return self.ledgers[names[0]].point

    def asked(self) -> list[str]:
        """Whom the one that catches up has asked for blocks."""
        return [to for sender, to, message in self.said if isinstance(message, BlocksAsked)]

    def got(self, kind: type[Wire]) -> list[Wire]:
        return [message for _, to, message in self.said if to == HERE and isinstance(message, kind)]

    @property
    def here(self) -> Replicated:
        return self.ledgers[HERE]

    async def catch_up(self, point: Point) -> None:
        await self.syncs[HERE].to(point)

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._noted.clear()
            await self._noted.wait()

    def close(self) -> None:
        for ledger in self.ledgers.values():
            ledger.close()


@pytest.fixture(scope="module")
def bench() -> Bench:
    """Where a chain of six blocks has led to."""
    return Bench()


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory, bench: Bench) -> list[Block]:
    """The six blocks."""
    ledger = new_ledger(tmp_path_factory.mktemp("writer") / "ledger", bench)
    found = a_slot_of_blocks(ledger, bench)
    ledger.close()
    return found


Run = Callable[[Callable[[World], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(sync_module, "ANSWER_WAITS_S", 0.02)
    monkeypatch.setattr(sync_module, "SNAPSHOT_WAITS_S", 0.2)

    def started(work: Callable[[World], Awaitable[None]]) -> None:
        async def whole() -> None:
            world = World(tmp_path, bench)
            try:
                async with asyncio.timeout(WAITS_S):
                    await work(world)
            finally:
                world.close()

        asyncio.run(whole())

    return started


def test_missing_blocks_are_executed_here(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        await world.catch_up(point)
        assert world.here.point == point
        assert on_disk(world.here) == on_disk(world.ledgers[NEAR])
        assert [result.record.height for result in world.executed] == [1, 2, 3, 4, 5, 6]
        assert world.asked() == [NEAR]
        assert world.got(SnapshotSent) == []

    run(work)


def test_blocks_come_in_several_messages(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync_module, "BLOCKS_MOST", 4)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        world.decide(blocks[:1], HERE)
        await world.catch_up(point)
        assert world.here.point == point
        assert world.got(BlocksSent) == [BlocksSent(blocks[1:5]), BlocksSent(blocks[5:])]

    run(work)


def test_who_is_there_already_asks_nobody(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        point = world.decide(blocks, HERE)
        await world.catch_up(point)
        await world.catch_up(Point(2, bytes(32)))  # of the past: what is there now has followed it
        assert world.said == []

    run(work)


@pytest.mark.parametrize("why", ["away", "no blocks", "behind"])
def test_the_next_peer_is_asked_when_one_has_nothing(
    run: Run, blocks: list[Block], why: str
) -> None:
    async def work(world: World) -> None:
        point = world.decide(blocks, FAR)
        if why == "away":
            world.lost = lambda _sender, receiver, _message: receiver == NEAR
        elif why == "behind":
            world.decide(blocks[:2], NEAR)
        await world.catch_up(point)
        assert world.here.point == point
        assert FAR in world.asked()

    run(work)


def test_a_peer_that_is_away_costs_little_time(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a start no link is up yet: only who may be taking a snapshot is waited for long."""
    monkeypatch.setattr(sync_module, "SNAPSHOT_WAITS_S", 10 * WAITS_S)

    async def work(world: World) -> None:
        point = world.decide(blocks, FAR)
        world.lost = lambda _sender, receiver, _message: receiver == NEAR
        await world.catch_up(point)
        assert world.here.point == point

    run(work)


def test_a_snapshot_that_takes_long_is_waited_for(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The peer says at once that it takes one."""
    large_gap(monkeypatch)
    monkeypatch.setattr(sync_module, "SNAPSHOT_WAITS_S", 10 * WAITS_S)
    real, slow = sync_module.snapshot_ledger, threading.Event()

    def slowly(folder: Path) -> object:
        slow.wait(WAITS_S)
        return real(folder)

    monkeypatch.setattr(sync_module, "snapshot_ledger", slowly)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        catching = asyncio.create_task(world.catch_up(point))
        await world.until(lambda: world.got(SnapshotBegun) == [SnapshotBegun(1)])
        asyncio.get_running_loop().call_later(5 * sync_module.ANSWER_WAITS_S, slow.set)
        await catching
        assert world.here.point == point
        assert FAR not in world.asked()

    run(work)


def test_who_cannot_give_everything_is_asked_for_the_rest_later(
    run: Run, blocks: list[Block]
) -> None:
    async def work(world: World) -> None:
        world.decide(blocks[:3], NEAR)
        point = world.decide(blocks, FAR)
        await world.catch_up(point)
        assert world.here.point == point
        assert world.asked() == [NEAR, NEAR, FAR]

    run(work)


def test_all_are_asked_again_after_a_while_when_nobody_has_it(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers that bring nothing come at once: without a pause they would fill the links."""

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        ahead = Point(point.height + 1, bytes(32))
        monkeypatch.setattr(sync_module, "RETRY_S", WAITS_S)
        catching = asyncio.create_task(world.catch_up(ahead))
        for _ in range(200):
            await asyncio.sleep(0)
        assert world.asked() == [NEAR, NEAR, FAR]
        catching.cancel()
        await asyncio.gather(catching, return_exceptions=True)
        monkeypatch.setattr(sync_module, "RETRY_S", 0.01)
        catching = asyncio.create_task(world.catch_up(ahead))
        last = block_of(world.ledgers[NEAR])
        await world.until(lambda: len(world.asked()) >= 8)
        world.decide([last], NEAR)
        with pytest.raises(StoreError, match="move the ledger away"):
            await catching  # such a record there is not, but so far it came

    run(work)


def test_a_lost_answer_is_asked_for_again(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        world.decide(blocks, FAR)
        losses = [NEAR, FAR]

        def lost(sender: str, _receiver: str, message: Wire) -> bool:
            if isinstance(message, BlocksSent) and sender in losses:
                losses.remove(sender)
                return True
            return False

        world.lost = lost
        await world.catch_up(point)
        assert world.here.point == point
        assert world.asked() == [NEAR, FAR, NEAR]

    run(work)


def test_what_nobody_asked_for_is_not_taken(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        sync = world.syncs[HERE]
        sync.heard(NEAR, BlocksSent(blocks))
        catching = asyncio.create_task(world.catch_up(Point(1, world.here.point.record)))
        world.lost = lambda *_: True
        await asyncio.sleep(0)
        assert world.asked() == [NEAR]
        sync.heard(FAR, BlocksSent(blocks))
        for _ in range(10):
            await asyncio.sleep(0)
        assert world.here.point.height == 0
        catching.cancel()
        await asyncio.gather(catching, return_exceptions=True)

    run(work)


def test_another_record_at_the_point_stops_the_validator(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        world.decide(blocks, NEAR)
        with pytest.raises(StoreError, match="move the ledger away"):
            await world.catch_up(Point(6, bytes(32)))

    run(work)


# Snapshots


def large_gap(monkeypatch: pytest.MonkeyPatch, part_bytes: int = 1_000) -> None:
    monkeypatch.setattr(sync_module, "GAP_MAX", 3)
    monkeypatch.setattr(sync_module, "PART_BYTES", part_bytes)


def test_who_lacks_very_much_begins_with_a_snapshot(
    run: Run, blocks: list[Block], bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        await world.catch_up(point)
        assert world.here.point == point
        parts = [
            message for message in world.got(SnapshotSent) if isinstance(message, SnapshotSent)
        ]
        assert [part.part for part in parts] == list(range(parts[0].parts))
        assert len(parts) > 2
        assert world.got(BlocksSent) == []
        assert not (world.folder / f"{HERE}.restored").exists()
        assert world.syncs[NEAR]._snapshot is None, "it is not kept in memory"
        block = block_of(world.here, bench.register("cyd"))
        assert world.here.execute(block) is not None
        assert world.ledgers[NEAR].execute(block) is not None
        assert world.here.point == world.ledgers[NEAR].point
        world.ledgers[HERE] = reopened(world.here)
        assert world.here.point == world.ledgers[NEAR].point

    run(work)


def test_who_lacks_a_block_more_than_the_snapshot_has_gets_that_too(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        world.decide(blocks[:5], NEAR)
        point = world.decide(blocks, FAR)
        await world.catch_up(point)
        assert world.here.point == point
        assert [result.record.height for result in world.executed] == [6]

    run(work)


def test_a_snapshot_is_given_where_payloads_were_removed(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        world.ledgers[NEAR].store._db.execute("DELETE FROM private_payloads")
        await world.catch_up(point)
        assert world.here.point == point
        assert world.got(BlocksSent) == []
        # and who began with a snapshot gives one itself to who lacks what came before
        world.lost = lambda _sender, receiver, _message: receiver == NEAR
        await world.syncs[FAR].to(point)
        assert world.ledgers[FAR].point == point

    run(work)


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_a_lost_part_is_got_in_the_end(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        losses = 1

        def lost(_sender: str, _receiver: str, message: Wire) -> bool:
            nonlocal losses
            if not isinstance(message, SnapshotSent) or not losses:
                return False
            wanted = {"first": 0, "middle": 1, "last": message.parts - 1}[which]
            losses -= message.part == wanted
            return message.part == wanted

        world.lost = lost
        await world.catch_up(point)
        assert world.here.point == point
        assert losses == 0

    run(work)


def test_a_snapshot_that_is_gone_is_begun_anew(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        forgotten = 0

        def forget(_sender: str, _receiver: str, message: Wire) -> bool:
            nonlocal forgotten
            if isinstance(message, PartAsked) and not forgotten:
                forgotten = 1
                world.syncs[NEAR]._snapshot = None
            return False

        world.lost = forget
        await world.catch_up(point)
        assert world.here.point == point
        assert BlocksSent([]) in world.got(BlocksSent)

    run(work)


def test_two_that_ask_at_once_both_get_there(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        await asyncio.gather(world.catch_up(point), world.syncs[FAR].to(point))
        assert world.here.point == world.ledgers[FAR].point == point

    run(work)


def test_a_part_that_does_not_exist_is_not_given(run: Run, blocks: list[Block]) -> None:
    async def work(world: World) -> None:
        world.decide(blocks, NEAR)
        sync = world.syncs[NEAR]
        sync._snapshot = (6, bytes(10))
        sync.heard(HERE, PartAsked(6, 7))
        sync.heard(HERE, PartAsked(5, 0))
        assert world.got(SnapshotSent) == []
        assert sync._snapshot == (6, bytes(10)), "somebody else still wants it"

    run(work)


def test_a_damaged_snapshot_is_refused_and_the_ledger_stays(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        world.decide(blocks[:1], HERE)
        before = on_disk(world.here)
        real = sync_module.snapshot_ledger

        def damaged(folder: Path) -> object:
            data, record = real(folder)
            return data[:-50] + bytes(50), record

        monkeypatch.setattr(sync_module, "snapshot_ledger", damaged)
        with pytest.raises(Exception, match="snapshot 6 of val-2"):
            await world.catch_up(point)
        assert on_disk(world.here) == before
        assert not (world.folder / f"{HERE}.restored").exists()

    run(work)


def test_what_a_crash_left_of_a_snapshot_is_removed(
    run: Run, blocks: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    large_gap(monkeypatch)

    async def work(world: World) -> None:
        point = world.decide(blocks, NEAR)
        left = world.folder / f"{HERE}.restored"
        shutil.copytree(world.here.store.folder, left)
        await world.catch_up(point)
        assert world.here.point == point
        assert not left.exists()
        world.here.close()
        again = LedgerStore.open(world.here.store.folder)
        assert again.height() == point.height
        again.close()

    run(work)


def test_who_is_alone_says_that_nobody_can_help(tmp_path: Path, bench: Bench) -> None:
    async def work() -> None:
        ledger = new_ledger(tmp_path / "ledger", bench)
        sync = LedgerSync(ledger, [], lambda _peer, _message: None, lambda _result: None)
        with pytest.raises(StoreError, match="nobody else"):
            await sync.to(Point(1, bytes(32)))
        ledger.close()

    asyncio.run(work())
