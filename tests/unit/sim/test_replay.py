"""Playing traces again: the same is the same, another rule shows, and the watch looks on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import pytest
from tests.unit.node.raft.hosts import Company
from tests.unit.sim.traces import Alone

from gridpact.codec import sha256
from gridpact.consensus.raft import RaftReplica
from gridpact.consensus.raft.trace import (
    End,
    Origin,
    Step,
    begin_bytes,
    frame_bytes,
    read_trace,
    replica_of,
    state_hash,
)
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Effect,
    Event,
    Propose,
    ReadRequest,
    Signer,
    Verifier,
)
from gridpact.errors import InputError
from gridpact.sim.replay import replay, trace_files
from gridpact.sim.twins import ForgetfulVoter


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hosts over real time: the leader goes, decides nothing for a while, and is back."""
    folder = tmp_path_factory.mktemp("company")

    async def work() -> None:
        three = Company(folder)
        three.start()
        first = await three.leader()
        first.host.feed(Propose(1, b"one"))
        await three.until(lambda: decided(three, first.name) == [b"one"])
        first.host.feed(Compact(first.host.replica.commit, b"one is done"))
        three.remove(first.name)
        second = await three.leader()
        second.host.feed(Propose(1, b"two"))
        await three.until(lambda: b"two" in decided(three, second.name))
        three.restart(first.name)
        await three.until(lambda: b"two" in decided(three, first.name))
        second.host.feed(Propose(2, b"three"))
        await three.until(lambda: all(b"three" in decided(three, name) for name in three.stations))
        three.close()

    def decided(three: Company, name: str) -> list[bytes]:
        return [one.payload for one in three[name].told() if isinstance(one, Decide)]

    asyncio.run(work())
    return folder


def written(path: Path) -> tuple[Origin, list[Step | End]]:
    origin, frames = read_trace(path.read_bytes(), str(path))
    return origin, list(frames)


def rewrite(path: Path, origin: Origin, frames: Iterable[Step | End]) -> Path:
    path.write_bytes(begin_bytes(origin) + b"".join(map(frame_bytes, frames)))
    return path


# The same


def test_all_traces_of_a_network_lead_to_the_same_state(company: Path) -> None:
    files = trace_files(company)
    assert len(files) == 4, "one validator began twice"
    found = replay(files)
    assert found.is_good
    assert (found.violation, found.unwatched) == ("", "")
    assert {played.ending for played in found.traces} == {"closed"}
    payloads = [found.decided[height] for height in sorted(found.decided)]
    assert payloads == [sha256(payload) for payload in (b"one", b"two", b"three")]
    assert [played.name for played in found.traces] == [file.parent.name for file in files]
    for played, file in zip(found.traces, files, strict=True):
        *steps, end = written(file)[1]
        assert played.events == len(steps)
        assert End(played.state) == end


def test_clocks_of_different_machines_need_not_agree(company: Path, tmp_path: Path) -> None:
    """What is received comes after it was sent, however early its time."""
    files = [file for file in trace_files(company) if file.parent.name != "b"]
    for number, file in enumerate(trace_files(company / "b")):
        origin, frames = written(file)
        early = [
            msgspec.structs.replace(frame, now_ms=frame.now_ms - 10**9)
            if isinstance(frame, Step)
            else frame
            for frame in frames
        ]
        files.append(rewrite(tmp_path / f"{number}", origin, early))
    found = replay(files)
    assert found.is_good
    assert found.unwatched == ""


def test_a_trace_that_was_cut_is_played_as_far_as_it_goes(company: Path, tmp_path: Path) -> None:
    (file, *_) = trace_files(company)
    cut = tmp_path / "trace"
    cut.write_bytes(file.read_bytes()[:-1])
    found = replay([cut])
    assert found.is_good
    assert found.traces[0].ending == "not closed"
    assert found.traces[0].events == len(written(file)[1]) - 1


# Another rule


class Doubling(RaftReplica):
    """Says everything twice once it has decided something."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        effects = super().step(event, now_ms)
        return 2 * effects if self.commit > 1 else effects


class Silent(RaftReplica):
    """Says nothing once it has decided something."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        effects = super().step(event, now_ms)
        return [] if self.commit > 1 else effects


class Failing(RaftReplica):
    """Cannot read."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        if type(event) is ReadRequest:
            raise ArithmeticError("no reading today")
        return super().step(event, now_ms)


def made_as(kind: type[RaftReplica]) -> Callable[[Origin, Signer, Verifier], RaftReplica]:
    def make(origin: Origin, signer: Signer, verifier: Verifier) -> RaftReplica:
        replica = replica_of(origin, signer, verifier)
        replica.__class__ = kind
        return replica

    return make


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (
            ForgetfulVoter,
            "event 2, the timer election, .*: effect 3 of 3 was another, now it is a Persist",
        ),
        (
            Doubling,
            "event 6, .* 500 ms .* has 2 effects, recorded were 1; the first more is a Decide at 2",
        ),
        (Silent, "event 6, a Persisted, .*: has 0 effects, recorded were 1"),
        (Failing, "event 7, a ReadRequest, .*: raises ArithmeticError: no reading today"),
    ],
)
def test_another_rule_shows_where_it_differs(
    tmp_path: Path, kind: type[RaftReplica], words: str
) -> None:
    one = Alone(tmp_path)
    one.decide(b"block")
    one.give(ReadRequest(2))
    found = replay([one.close()], made_as(kind))
    assert not found.is_good
    (played,) = found.traces
    assert re.match(words, played.difference)
    assert found.unwatched == "a did not do what was recorded"


def test_other_timing_shows_at_the_start(tmp_path: Path) -> None:
    one = Alone(tmp_path)
    one.decide(b"block")

    def slower(origin: Origin, signer: Signer, verifier: Verifier) -> RaftReplica:
        return replica_of(msgspec.structs.replace(origin, one_way_ms=50), signer, verifier)

    (played,) = replay([one.close()], slower).traces
    assert played.difference == (
        "event 1, the start, 0 ms after the first: effect 1 of 1 was another, now it is a SetTimer"
    )
    assert played.events == 1


def test_another_last_state_shows(tmp_path: Path) -> None:
    one = Alone(tmp_path)
    one.decide(b"block")
    path = one.close()
    origin, (*steps, _) = written(path)
    rewrite(path, origin, [*steps, End(bytes(32))])
    found = replay([path])
    assert not found.is_good
    assert found.traces[0].difference == f"at the end: the recorded state is {bytes(32).hex()}"
    assert found.traces[0].state == state_hash(one.replica)


def test_what_a_validator_died_of_is_raised_again(tmp_path: Path) -> None:
    one = Alone(tmp_path, make=Failing)
    one.decide(b"block")
    with pytest.raises(ArithmeticError):
        one.give(ReadRequest(2))
    path = one.close()
    (played,) = replay([path], made_as(Failing)).traces
    assert (played.ending, played.difference) == ("ArithmeticError: no reading today", "")
    (played,) = replay([path]).traces
    assert played.ending == "its host could not finish the last step"


# What several traces say together


def test_two_leaders_of_one_term_are_a_violation(tmp_path: Path) -> None:
    """Each trace alone is as recorded."""
    files = []
    for name in ("a", "b"):
        one = Alone(tmp_path / name, name)
        one.decide(b"block of " + name.encode())
        files.append(one.close())
    found = replay(files)
    assert not found.is_good
    assert [played.difference for played in found.traces] == ["", ""]
    assert found.violation == "one leader per term: term 1: a and b"


def test_decisions_are_compared_also_where_traces_are_missing(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        one = Alone(tmp_path / name, name, contacts="abc")
        one.decide(b"block of " + name.encode())
        files.append(one.close())
    found = replay(files)
    assert found.unwatched == "no trace of c"
    assert found.violation == "b decides at 2 what others do not"


def test_the_watch_sees_what_one_trace_does_not_show(tmp_path: Path) -> None:
    """The votes of this replica are not durable, when it ran and when it is played."""
    one = Alone(tmp_path, make=ForgetfulVoter)
    one.decide(b"block")
    found = replay([one.close()], made_as(ForgetfulVoter))
    assert found.traces[0].difference == ""
    assert found.violation.startswith("votes are durable: a for a in term 1")
    assert not found.is_good


def test_without_a_restart_messages_are_missing(company: Path) -> None:
    found = replay([file for file in trace_files(company) if file.name == "trace"])
    assert found.is_good
    assert "which no trace has sent" in found.unwatched


def test_a_trace_that_begins_late_is_not_watched(company: Path) -> None:
    late = [file for file in trace_files(company) if file.name == "trace-1"]
    found = replay([*late, *(f for f in trace_files(company) if f.parent != late[0].parent)])
    assert found.is_good
    name = late[0].parent.name
    assert found.unwatched == f"the first trace of {name} does not begin with an empty log"


def test_traces_of_different_chains_are_not_mixed(tmp_path: Path) -> None:
    files = []
    for name, chain in (("a", b"c" * 32), ("b", b"d" * 32)):
        one = Alone(tmp_path / name, name, chain=chain)
        one.decide()
        files.append(one.close())
    with pytest.raises(InputError, match=r"b/trace: is of another chain than .*a/trace"):
        replay(files)


# Files


def test_traces_are_found_in_their_order(tmp_path: Path) -> None:
    for name in ("trace-10", "trace-2", "trace", "trace-2.old", "raft.wal"):
        (tmp_path / name).touch()
    assert [file.name for file in trace_files(tmp_path)] == ["trace", "trace-2", "trace-10"]
    assert trace_files(tmp_path / "raft.wal") == [tmp_path / "raft.wal"]
    with pytest.raises(InputError, match="is no trace"):
        replay([tmp_path / "trace"])
    with pytest.raises(InputError, match="nowhere: holds no trace"):
        trace_files(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        replay([tmp_path])
