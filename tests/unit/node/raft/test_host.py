"""The host of a replica: what it does, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.raft_bench import framing
from tests.unit.node.raft.hosts import FIRST, Company, Station, entry, hasty_words, standing

from gridpact.consensus.raft import Role
from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    VoteReply,
    VoteRequest,
)
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Finality,
    Persist,
    Persisted,
    Propose,
    ReadReady,
    ReadRequest,
    Received,
    Restore,
    TimerFired,
)
from gridpact.errors import GridpactError, StoreError
from gridpact.node.raft import host as host_module
from gridpact.node.raft.host import ANNOUNCE, Host
from gridpact.node.signing import SignerRefusedError

Run = Callable[[Callable[[Station], None]], None]


class Clock:
    """Milliseconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(host_module, "_now_ms", clock)
    return clock


@pytest.fixture
def station(tmp_path: Path, clock: Clock) -> Run:
    """Runs a test on one host that has started; the test is its peers and its time."""

    def started(work: Callable[[Station], None]) -> None:
        async def whole() -> None:
            one = Station(tmp_path / "a")
            one.host.start()
            try:
                work(one)
            finally:
                one.close()

        asyncio.run(whole())

    return started


def stand(one: Station, clock: Clock) -> None:
    """Its time is up: it asks for votes and gets one in the trial and one in the election."""
    clock.now_ms += 1_000
    one.host.feed(TimerFired("election"))
    one.hear("b", VoteReply(one.host.replica.term + 1, granted=True, trial=True))
    assert one.host.replica.role is Role.CANDIDATE


def lead(one: Station, clock: Clock) -> None:
    stand(one, clock)
    term = one.host.replica.term
    one.hear("b", VoteReply(term, granted=True, trial=False))
    one.hear(
        "b", AppendReply(term, accepted=True, index=one.host.replica.log.last_index, question=0)
    )
    assert one.host._standing == standing(term, "a", ready=True)


def kinds(calls: list[tuple[str, object]]) -> list[str]:
    return [kind for kind, _ in calls]


# Order


def test_a_vote_is_durable_and_noted_before_it_is_given(station: Run) -> None:
    def work(one: Station) -> None:
        calls = one.hear("b", VoteRequest(1, 0, 0, trial=False, asked_to=False))
        assert kinds(calls) == ["append", "advance", "send", "tell"]
        assert calls[1][1] == (1, "b", 0)
        assert calls[2][1] == ("b", VoteReply(1, granted=True, trial=False))

    station(work)


def test_entries_are_durable_and_noted_before_they_are_confirmed(station: Run) -> None:
    def work(one: Station) -> None:
        calls = one.follow("b", entries=2)
        first = kinds(calls).index("send")
        assert "append" in kinds(calls[:first])
        assert calls[first - 1] == ("advance", (1, "", 2))
        assert calls[first][1] == ("b", AppendReply(1, accepted=True, index=2, question=0))
        assert one.told() == [
            Decide(1, b"entry 1", Finality.CRASH),
            Decide(2, b"entry 2", Finality.CRASH),
            standing(1, "b", ready=False),
        ]

    station(work)


def test_a_candidate_asks_for_votes_once_its_own_is_durable(station: Run, clock: Clock) -> None:
    def work(one: Station) -> None:
        before = len(one.calls)
        stand(one, clock)
        calls = one.calls[before:]
        asked = calls.index(("send", ("b", VoteRequest(1, 0, 0, trial=False, asked_to=False))))
        assert ("advance", (1, "a", 0)) in calls[:asked]

    station(work)


def test_a_leader_tells_others_before_its_own_disk_has_it(station: Run, clock: Clock) -> None:
    """Both go on at the same time; its own word counts when its disk is done."""

    def work(one: Station) -> None:
        lead(one, clock)
        before = len(one.calls)
        one.host.feed(Propose(1, b"block"))
        # nothing goes to c, which has not said yet where its log ends
        assert kinds(one.calls[before:]) == ["send", "append", "advance", "tell"]
        term, index = one.host.replica.term, one.host.replica.log.last_index
        calls = one.hear("c", AppendReply(term, accepted=True, index=index, question=0))
        assert calls[0] == ("tell", Decide(index, b"block", Finality.CRASH))

    station(work)


class Hasty(Host):
    """A broken twin: it writes when it has time."""

    def _persist(self, effect: Persist) -> None:
        asyncio.get_running_loop().call_soon(super()._persist, effect)


class Secretive(Host):
    """A broken twin: it leaves the signer out."""

    def _persist(self, effect: Persist) -> None:
        self._wal.append(effect.records)


@pytest.mark.parametrize("host_type", [Host, Hasty, Secretive])
def test_no_promise_goes_out_before_log_and_signer_have_it(
    tmp_path: Path, host_type: type[Host]
) -> None:
    """Three hosts elect, decide, lose one and elect again; its broken twins are caught."""

    async def work() -> None:
        company = Company(tmp_path, host_type)
        stations = list(company.stations.values())
        company.start()
        leader = await company.leader()
        for number in range(5):
            leader.host.feed(Propose(number, b"block %d" % number))
        await company.until(lambda: all(decided(one) == 5 for one in stations))
        company.remove(leader.name)
        other = await company.leader()
        assert other is not leader
        stations.append(company.restart(leader.name))
        other.host.feed(Propose(9, b"last"))
        await company.until(lambda: all(decided(one) == 6 for one in company.stations.values()))
        company.close()
        found = [text for one in stations for text in hasty_words(one.begun, one.calls)]
        assert bool(found) == (host_type is not Host), "\n".join(found[:5])

    asyncio.run(work())


def decided(one: Station) -> int:
    return sum(isinstance(told, Decide) for told in one.told())


def test_a_restarted_host_goes_on_from_its_log(tmp_path: Path) -> None:
    async def work() -> None:
        one = Station(tmp_path / "a")
        one.host.start()
        one.follow("b", entries=3)
        one.host.feed(Compact(2, b"snapshot of 2"))
        one.close()
        again = Station(tmp_path / "a")
        assert (again.begun.term, again.begun.index) == (1, 3)
        again.host.start()
        assert again.told() == [Restore(2, b"snapshot of 2"), standing(1, "", ready=False)]
        again.hear("b", Append(1, 3, 1, [], 3, 0))
        assert Decide(3, b"entry 3", Finality.CRASH) in again.told()
        again.close()

    asyncio.run(work())


def test_the_log_is_shortened_once_the_signer_has_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridpact.node.raft.wal.REWRITE_BYTES", 1)

    async def work() -> None:
        one = Station(tmp_path / "a")
        one.host.start()
        one.follow("b", entries=9)
        one.host.feed(Compact(8, b"snapshot of 8"))
        one.hear("b", InstallSnapshot(1, 20, 1, FIRST, b"snapshot of 20", 0))
        assert Restore(20, b"snapshot of 20") in one.told()
        one.close()
        again = Station(tmp_path / "a")
        assert len(again.wal.path.read_bytes()) < 200
        assert (again.host.replica.log.snapshot.index, again.host.replica.term) == (20, 1)
        again.close()

    asyncio.run(work())


# Failure


@pytest.mark.parametrize("who", ["disk", "signer"])
def test_nothing_goes_out_once_the_disk_or_the_signer_has_refused(station: Run, who: str) -> None:
    """What is in memory is not on the disk: to confirm it later would be a lie."""

    def work(one: Station) -> None:
        one.follow("b", entries=1)
        if who == "disk":
            one.wal.error = StoreError("full")
        else:
            one.refused = SignerRefusedError("refused here")
        before = list(one.calls)
        with pytest.raises(GridpactError, match=r"full|refused here"):
            one.hear("b", Append(1, 1, 1, [entry(2, 1)], 1, 0))
        one.wal.error = one.refused = None
        after = one.calls[len(before) :]
        assert kinds(after) == ([] if who == "disk" else ["append"])
        assert one.hear("b", Append(1, 2, 1, [], 2, 0)) == []
        assert one.hear("c", VoteRequest(9, 9, 9, trial=False, asked_to=True)) == []
        one.host.feed(TimerFired("election"))
        one.host.feed(Propose(1, b"block"))
        assert one.calls == before + after
        assert one.host._timers == {}

    station(work)


def test_nothing_goes_out_after_the_stop(station: Run) -> None:
    """Links are closed after the host: frames may still come."""

    def work(one: Station) -> None:
        one.follow("b", entries=1)
        one.host.stop()
        before = list(one.calls)
        one.hear("b", Append(1, 1, 1, [entry(2, 1)], 1, 0))
        one.host.feed(TimerFired("election"))
        assert one.calls == before
        assert one.host._timers == {}

    station(work)


# Time


def test_timers_are_set_again_and_cancelled(station: Run, clock: Clock) -> None:
    def work(one: Station) -> None:
        first = one.host._timers["election"]
        one.hear("b", VoteRequest(1, 0, 0, trial=False, asked_to=False))
        second = one.host._timers["election"]
        assert first.cancelled()
        assert not second.cancelled()
        lead(one, clock)
        assert set(one.host._timers) - {ANNOUNCE} == {"heartbeat"}
        beat = one.host._timers["heartbeat"]
        one.hear("b", VoteReply(9, granted=False, trial=False))
        assert beat.cancelled()
        assert set(one.host._timers) - {ANNOUNCE} == {"election"}
        one.host.stop()
        assert one.host._timers == {}

    station(work)


def test_a_timer_that_runs_out_is_told_to_the_replica(tmp_path: Path) -> None:
    async def work() -> None:
        one = Station(tmp_path / "a")
        one.host.start()
        asked = asyncio.Event()
        one.deliver = lambda _peer, _data: asked.set()
        async with asyncio.timeout(5):
            await asked.wait()
        one.close()
        assert TimerFired("election") in [step.event for step in one.given()]
        assert {peer for peer, _ in one.sent()} == {"b", "c"}

    asyncio.run(work())


def test_a_leader_announces_a_decision_before_the_next_heartbeat(
    tmp_path: Path, clock: Clock
) -> None:
    async def work() -> None:
        one = Station(tmp_path / "a")
        one.host.start()
        lead(one, clock)
        one.host.feed(Propose(1, b"block"))
        one.hear("b", AppendReply(1, accepted=True, index=2, question=0))
        assert decided(one) == 1
        one.host._timers["heartbeat"].cancel()  # only the announcement can tell the others
        told = asyncio.Event()
        one.deliver = lambda _peer, _data: told.set()
        async with asyncio.timeout(5):
            await told.wait()
        beats = [(peer, said) for peer, said in one.sent()[-2:] if isinstance(said, Append)]
        assert {(peer, beat.commit) for peer, beat in beats} == {("b", 2), ("c", 2)}
        assert ANNOUNCE not in one.host._timers
        assert not one.host._timers["heartbeat"].cancelled()
        one.close()

    asyncio.run(work())


# What it tells


def test_who_leads_is_told_when_it_changes_and_only_then(station: Run) -> None:
    def work(one: Station) -> None:
        one.follow("b")
        for _ in range(3):
            one.hear("b", Append(1, 0, 0, [], 0, 0))
        one.hear("c", Append(2, 0, 0, [], 0, 0))
        one.hear("c", Append(2, 0, 0, [], 0, 0))
        found = [(1, "b"), (2, "c")]
        assert one.told() == [standing(term, leader, ready=False) for term, leader in found]

    station(work)


def test_a_leader_is_ready_when_its_whole_log_is_decided(station: Run, clock: Clock) -> None:
    def work(one: Station) -> None:
        stand(one, clock)
        one.hear("b", VoteReply(1, granted=True, trial=False))
        assert one.told()[-1] == standing(1, "a", ready=False)
        one.hear("b", AppendReply(1, accepted=True, index=1, question=0))
        assert one.told()[-1] == standing(1, "a", ready=True)
        one.host.feed(Propose(7, b"block"))
        assert one.told()[-1] == standing(1, "a", ready=False)
        one.hear("c", AppendReply(1, accepted=True, index=2, question=0))
        assert one.told()[-2:] == [
            Decide(2, b"block", Finality.CRASH),
            standing(1, "a", ready=True),
        ]

    station(work)


def test_reads_are_answered_after_what_was_decided_before_them(station: Run, clock: Clock) -> None:
    def work(one: Station) -> None:
        lead(one, clock)
        one.host.feed(ReadRequest(5))
        asked = [m for _, m in one.sent() if isinstance(m, Append)][-1].question
        one.hear("b", AppendReply(1, accepted=True, index=1, question=asked))
        assert ReadReady(5, 1) in one.told()

    station(work)


def test_what_breaks_the_protocol_is_counted_and_changes_nothing(
    station: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[str] = []
    monkeypatch.setattr(host_module._log, "warning", lambda text, **_: lines.append(text))

    def work(one: Station) -> None:
        before = list(one.calls)
        for _ in range(host_module.SUSPECTS_LOGGED + 5):
            one.host.received("b", b"no frame")
        one.host.received("c", framing("b").seal(Append(1, 0, 0, [], 0, 0), "a"))
        assert one.host.suspected == host_module.SUSPECTS_LOGGED + 6
        assert len(lines) == host_module.SUSPECTS_LOGGED
        assert one.calls == before

    station(work)


def test_every_event_is_recorded_with_its_time(station: Run, clock: Clock) -> None:
    def work(one: Station) -> None:
        frame = framing("b").seal(VoteRequest(1, 0, 0, trial=False, asked_to=False), "a")
        one.host.received("b", frame)
        started, received, persisted = [(step.now_ms, step.event) for step in one.given()]
        assert started == (clock.now_ms, None)
        assert received == (clock.now_ms, Received("b", frame))
        assert persisted == (clock.now_ms, Persisted(1))

    station(work)
