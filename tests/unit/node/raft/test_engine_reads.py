"""The engine port on a Raft validator: reading, catching up, failing."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.raft.engine_rig import ME, OTHER, THIRD, WAITS_S, Rig, Run, turn
from tests.unit.node.raft.ledgers import block_of, executed, new_ledger

from gridpact.codec import encode
from gridpact.consensus.shape import (
    Compact,
    ReadReady,
    ReadRequest,
    Refused,
    Restore,
)
from gridpact.contracts.keys import CLOCK, party_key
from gridpact.errors import InputError, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Clock, Party
from gridpact.node.raft import engine as engine_module
from gridpact.node.raft import reads as reads_module
from gridpact.node.raft.blocks import (
    BlocksAsked,
    BlocksSent,
    Offered,
    Point,
    ReadAnswered,
    ReadAsked,
)
from gridpact.node.raft.engine import KEPT_BLOCKS

# Reading


def test_a_leader_reads_when_it_knows_that_it_still_leads(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([CLOCK, "party/nobody"]))
        await turn()
        (asked,) = rig.fed
        assert isinstance(asked, ReadRequest)
        assert not reading.done()
        rig.engine.told(ReadReady(asked.token, 0))
        clock, nobody = await reading
        assert isinstance(clock, Clock)
        assert nobody is None

    run(work)


def test_what_was_decided_before_a_read_is_seen_by_it(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([party_key("prices")]))
        proving = asyncio.create_task(rig.engine.query(party_key("prices")))
        await turn()
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        for asked in tuple(rig.fed):
            assert isinstance(asked, ReadRequest)
            rig.engine.told(ReadReady(asked.token, 1))
        (party,) = await reading
        assert isinstance(party, Party)
        assert party.nonce == 1
        found = await proving
        assert found.entry is not None
        assert (found.record.height, found.entry.value) == (1, party)

    run(work)


def test_nothing_is_proved_before_the_first_block(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        proving = asyncio.create_task(rig.engine.query(CLOCK))
        await turn()
        rig.engine.told(ReadReady(rig.fed[0].token, 0))  # type: ignore[union-attr]
        with pytest.raises(InputError, match="before the first block"):
            await proving

    run(work)


def test_a_follower_reads_once_it_has_what_the_leader_had(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        reading = asyncio.create_task(rig.engine.values([party_key("prices")]))
        await turn()
        ((peer, asked),) = rig.sent
        assert isinstance(asked, ReadAsked)
        assert peer == OTHER
        rig.say(OTHER, ReadAnswered(asked.token, 1))
        await turn()
        assert not reading.done(), "its ledger is at 0"
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        (party,) = await reading
        assert isinstance(party, Party)
        assert party.nonce == 1

    run(work)


def test_a_leader_answers_the_reads_of_others(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        rig.decide(block_of(rig.ledger))
        rig.say(OTHER, ReadAsked(41))
        rig.say(THIRD, ReadAsked(41))
        first, second = rig.fed
        assert isinstance(first, ReadRequest)
        assert isinstance(second, ReadRequest)
        rig.engine.told(ReadReady(second.token, 1))
        rig.engine.told(Refused(first.token, ""))
        rig.engine.told(ReadReady(first.token, 1))
        assert rig.sent == [(THIRD, ReadAnswered(41, 1))]

    run(work)


def test_only_so_many_reads_of_others_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reads_module, "READS_MAX", 2)

    async def work(rig: Rig) -> None:
        rig.lead()
        for token in range(4):
            rig.say(OTHER, ReadAsked(token))
        assert len(rig.fed) == 2

    run(work)


def test_a_read_asks_again_when_another_leads(run: Run) -> None:
    async def work(rig: Rig) -> None:
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        assert (rig.fed, rig.sent) == ([], [])
        rig.follow()
        await rig.until(lambda: len(rig.sent) == 1)
        rig.follow(THIRD, term=2)
        await rig.until(lambda: len(rig.sent) == 2)
        rig.lead(term=3)
        await rig.until(lambda: bool(rig.fed))
        (first, one), (second, other) = rig.sent
        assert (first, second) == (OTHER, THIRD)
        assert isinstance(one, ReadAsked)
        assert isinstance(other, ReadAsked)
        rig.say(OTHER, ReadAnswered(one.token, 99))  # late: nobody waits for it
        await turn()
        assert not reading.done()
        rig.engine.told(ReadReady(rig.fed[0].token, 0))  # type: ignore[union-attr]
        assert isinstance((await reading)[0], Clock)
        assert len(rig.engine._reads) == 0

    run(work)


def test_a_read_that_is_refused_or_not_answered_is_tried_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reads_module, "RETRY_S", 0.001)
    monkeypatch.setattr(reads_module, "WAIT_S", 0.01)

    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await rig.until(lambda: len(rig.fed) == 1)
        rig.engine.told(Refused(rig.fed[0].token, ""))  # type: ignore[union-attr]
        await rig.until(lambda: len(rig.fed) == 2)
        await rig.until(lambda: len(rig.fed) == 3)
        monkeypatch.setattr(reads_module, "WAIT_S", WAITS_S)
        await rig.until(lambda: len(rig.fed) == 4)
        rig.engine.told(ReadReady(rig.fed[-1].token, 0))  # type: ignore[union-attr]
        assert isinstance((await reading)[0], Clock)

    run(work)


def test_a_read_that_nobody_waits_for_any_more_is_forgotten(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert len(rig.engine._reads) == 0
        rig.engine.told(ReadReady(rig.fed[0].token, 0))  # type: ignore[union-attr]
        assert rig.failures == []

    run(work)


# Catching up


def test_what_the_log_forgot_holds_back_what_follows(
    run: Run, tmp_path: Path, bench: Bench
) -> None:
    ahead = new_ledger(tmp_path / "ahead", bench)
    ann, tariff = bench.register("ann"), bench.tariff()
    first = executed(ahead, [ann])
    point = ahead.point
    second = executed(ahead, [tariff])
    ahead.close()

    async def work(rig: Rig) -> None:
        rig.follow()
        await rig.submit(ann, tariff)
        waiting = rig.waits(ann, tariff)
        rig.engine.told(Restore(7, encode(point)))
        rig.decide(second)
        rig.lead(term=2)
        await turn()
        assert rig.wanted == [point]
        assert rig.ledger.point.height == 0
        assert rig.engine.standing.leader == OTHER, "in order: it does not lead before it is there"
        result = rig.ledger.execute(first)
        assert result is not None
        rig.engine.after_block(result)
        rig.caught_up.set()
        told = await asyncio.gather(*waiting)
        assert all(isinstance(one, Receipt) for one in told)
        assert rig.ledger.point == Point(2, rig.ledger.application.last_hash)
        assert rig.engine.standing.leader == ME

    run(work)


def test_nothing_is_proposed_while_catching_up(run: Run) -> None:
    """It would follow a record that is not the last one."""

    async def work(rig: Rig) -> None:
        rig.lead()
        rig.engine.told(Restore(7, encode(Point(3, bytes(32)))))
        await rig.submit(rig.bench.register("ann"))
        assert rig.fed == []
        rig.caught_up.set()
        await rig.until(lambda: len(rig.proposals()) == 1)

    run(work)


def test_one_catches_up_after_the_other(run: Run) -> None:
    async def work(rig: Rig) -> None:
        points = [Point(height, bytes(32)) for height in (3, 5)]
        for point in points:
            rig.engine.told(Restore(point.height, encode(point)))
        rig.decide(block_of(rig.ledger))
        await turn()
        assert rig.wanted == points[:1]
        rig.caught_up.set()
        rig.caught_up = asyncio.Event()
        await turn()
        assert rig.wanted == points
        assert rig.ledger.point.height == 0, "the decision waits for the second too"
        rig.caught_up.set()
        await turn()
        assert rig.ledger.point.height == 1

    run(work)


def test_who_waits_to_read_hears_of_a_snapshot(run: Run, tmp_path: Path, bench: Bench) -> None:
    """A snapshot brings no blocks, and no other may follow for long."""
    ahead = new_ledger(tmp_path / "ahead", bench)
    executed(ahead, [bench.tariff()])
    point = ahead.point
    ahead.close()

    async def work(rig: Rig) -> None:
        rig.follow()
        reading = asyncio.create_task(rig.engine.values([party_key("prices")]))
        await turn()
        rig.say(OTHER, ReadAnswered(rig.sent[0][1].token, 1))  # type: ignore[attr-defined]
        rig.engine.told(Restore(7, encode(point)))
        await turn()
        assert not reading.done()
        rig.ledger.begin_with(tmp_path / "ahead")
        rig.caught_up.set()
        (party,) = await reading
        assert isinstance(party, Party)
        assert party.nonce == 1

    run(work)


def test_a_snapshot_of_what_is_here_already_is_nothing_new(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        block = block_of(rig.ledger, rig.bench.tariff())
        rig.decide(block)
        rig.engine.told(Restore(1, encode(rig.ledger.point)))
        rig.engine.told(Restore(1, encode(Point(0, rig.ledger.application.genesis_hash))))
        rig.decide(block_of(rig.ledger))
        await turn()
        assert rig.wanted == []
        assert rig.ledger.point.height == 2

    run(work)


def test_who_cannot_catch_up_stops(run: Run) -> None:
    async def work(rig: Rig) -> None:
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        rig.engine.told(Restore(7, encode(Point(5, bytes(32)))))
        rig.there = StoreError("another record")
        rig.caught_up.set()
        with pytest.raises(StoreError, match="another record"):
            await waiting
        assert rig.failures == [rig.there]

    run(work)


def test_old_blocks_go_from_the_log_once_there_are_enough(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "KEPT_BLOCKS", 3)

    async def work(rig: Rig) -> None:
        rig.follow()
        points = []
        for _ in range(10):
            rig.decide(block_of(rig.ledger))
            points.append(rig.ledger.point)
        compacted = [event for event in rig.fed if isinstance(event, Compact)]
        assert compacted == [Compact(4, encode(points[3])), Compact(7, encode(points[6]))]
        assert KEPT_BLOCKS > 3

    run(work)


def test_large_blocks_go_from_the_log_sooner(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        size = len(encode(block_of(rig.ledger)))
        monkeypatch.setattr(engine_module, "KEPT_BYTES", 3 * size)
        for _ in range(7):
            rig.decide(block_of(rig.ledger))
        compacted = [event.height for event in rig.fed if isinstance(event, Compact)]
        assert compacted == [5]

    run(work)


def test_what_a_snapshot_skipped_is_not_called_refused(
    run: Run, tmp_path: Path, bench: Bench
) -> None:
    ahead = new_ledger(tmp_path / "ahead", bench)
    ann = bench.register("ann")
    executed(ahead, [ann])
    point = ahead.point
    ahead.close()

    async def work(rig: Rig) -> None:
        rig.follow()
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        rig.engine.told(Restore(7, encode(point)))
        await turn()
        copied = rig.ledger.store.folder.with_name("copied")
        shutil.copytree(tmp_path / "ahead", copied)
        rig.ledger.begin_with(copied)
        rig.caught_up.set()
        with pytest.raises(InputError, match="ask another validator"):
            await waiting
        assert rig.failures == []

    run(work)


# Failure


def test_everybody_is_told_when_it_fails(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.follow()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        rig.engine.fail(StoreError("the disk is full"))
        rig.engine.fail(StoreError("later"))
        for asked in (
            waiting,
            reading,
            rig.engine.submit(*rig.bench.register("bob")),
            rig.engine.values([CLOCK]),
            rig.engine.query(CLOCK),
        ):
            with pytest.raises(StoreError, match="full"):
                await asked

    run(work)


def test_who_waits_for_a_leader_is_told_when_it_fails(run: Run) -> None:
    async def work(rig: Rig) -> None:
        reading = asyncio.create_task(rig.engine.values([CLOCK]))
        await turn()
        rig.engine.fail(StoreError("the disk is full"))
        with pytest.raises(StoreError, match="full"):
            await reading

    run(work)


def test_a_disk_that_refuses_a_block_ends_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state in memory has moved on and the disk has not: nothing more is executed on it."""

    async def work(rig: Rig) -> None:
        rig.lead()
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        error = StoreError("the disk is full")

        def full(*_: object) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(rig.ledger.store, "save_block", full)
            rig.decide(rig.proposals()[0][1])
        with pytest.raises(StoreError, match="full"):
            await waiting
        assert rig.failures == [error]
        rig.say(OTHER, Offered([rig.bench.tariff()]))
        rig.decide(block_of(rig.ledger, rig.bench.tariff()))
        rig.lead(term=2)
        await turn()
        assert rig.ledger.store.height() == 0
        assert len(rig.proposals()) == 1
        assert rig.failures == [error]

    run(work)


def test_a_stopped_engine_says_so(run: Run) -> None:
    async def work(rig: Rig) -> None:
        ann = rig.bench.register("ann")
        await rig.submit(ann)
        (waiting,) = rig.waits(ann)
        await turn()
        await rig.engine.close()
        with pytest.raises(StoreError, match="was stopped"):
            await waiting

    run(work)


@pytest.mark.parametrize("data", [b"", b"\x07", b"\xff\x91\x01", b"\x00", b"\x01\x91\xff"])
def test_what_makes_no_sense_is_dropped(run: Run, data: bytes) -> None:
    async def work(rig: Rig) -> None:
        rig.lead()
        rig.engine.said(OTHER, data)
        assert (rig.fed, rig.sent, rig.failures) == ([], [], [])

    run(work)


def test_words_about_blocks_go_to_the_catch_up(run: Run) -> None:
    async def work(rig: Rig) -> None:
        for message in (BlocksAsked(1), BlocksSent([])):
            rig.say(THIRD, message)
        assert rig.words == [(THIRD, BlocksAsked(1)), (THIRD, BlocksSent([]))]

    run(work)
