"""Traces as bytes: what is written is what is read, and damage is seen."""

from __future__ import annotations

from typing import get_args

import pytest
from tests.raft_bench import CHAIN, KeyedHash

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import Stored
from gridpact.consensus.raft.messages import Entry
from gridpact.consensus.raft.records import Snapshot
from gridpact.consensus.raft.trace import (
    DIGEST_BYTES,
    End,
    Origin,
    Step,
    begin_bytes,
    digest,
    frame_bytes,
    read_trace,
    replica_of,
    state_hash,
)
from gridpact.consensus.shape import (
    CancelTimer,
    Compact,
    Decide,
    Effect,
    Event,
    Finality,
    Persist,
    Persisted,
    Propose,
    ReadReady,
    ReadRequest,
    Reason,
    Received,
    Reconfigure,
    Refused,
    Restore,
    Send,
    SetTimer,
    Suspect,
    TimerFired,
    TransferLeadership,
)
from gridpact.errors import InputError

FIRST = configuration_of(0, {"a": 1, "b": 2})
ENTRIES = [Entry(2, configuration=False, payload=b"block")]
STORED = Stored(Snapshot(3, 1, FIRST, b"place", keeps_rest=True), 4, "b", ENTRIES)
ORIGIN = Origin("weighted-raft", CHAIN, "a", 5, ["a", "b"], 2**64 - 1, STORED)
EVENTS: list[Event] = [
    Received("b", bytes(range(256))),
    TimerFired("election"),
    Persisted(3),
    Propose(4, b"payload"),
    ReadRequest(5),
    TransferLeadership("b"),
    Reconfigure(6, (("a", 2), ("b", 1))),
    Compact(7, b"snapshot"),
]
EFFECTS: list[Effect] = [
    Persist((b"r",), 1),
    Send("b", b"r"),
    SetTimer("b", 1),
    CancelTimer("b"),
    Decide(1, b"r", Finality.CRASH),
    Restore(1, b"r"),
    ReadReady(1, 1),
    Refused(1, "b"),
    Suspect("b", Reason.FORGED, b"r"),
]
STEPS = [
    Step(10, None, [], [], [digest(EFFECTS[0])]),
    *(Step(11, event, [b"s" * 64], [True, False], []) for event in EVENTS),
    Step(12, EVENTS[1], [], [], None),
]
FRAMES = [*map(frame_bytes, STEPS), frame_bytes(End(b"h" * 32))]
TRACE = begin_bytes(ORIGIN) + b"".join(FRAMES)


def frames_in(data: bytes) -> list[Step | End]:
    origin, frames = read_trace(data, "home/trace")
    assert origin == ORIGIN
    return list(frames)


def test_there_is_one_of_each() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert {type(effect) for effect in EFFECTS} == set(get_args(Effect))


def test_what_is_written_is_read() -> None:
    assert frames_in(TRACE) == [*STEPS, End(b"h" * 32)]


def test_effects_are_told_apart() -> None:
    alike: list[Effect] = [Restore(1, b"r"), SetTimer("b", 2), Send("c", b"r"), Send("b", b"q")]
    digests = {digest(effect) for effect in (*EFFECTS, *alike)}
    assert len(digests) == len({*EFFECTS, *alike})
    assert {len(one) for one in digests} == {DIGEST_BYTES}


def test_a_trace_that_was_cut_has_its_whole_frames() -> None:
    ends = [len(begin_bytes(ORIGIN))]
    for frame in FRAMES:
        ends.append(ends[-1] + len(frame))
    for size in range(ends[0], len(TRACE)):
        whole = sum(end <= size for end in ends[1:])
        assert frames_in(TRACE[:size]) == STEPS[:whole]


def test_a_flipped_bit_is_seen_wherever_it_is() -> None:
    for place in range(len(TRACE)):
        flipped = bytearray(TRACE)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(InputError, match=r"home/trace: (is no trace|damaged at byte \d+)"):
            frames_in(bytes(flipped))


@pytest.mark.parametrize("data", [b"", b"gridpact", b"SQLite format 3\x00"])
def test_what_is_no_trace_is_named(data: bytes) -> None:
    with pytest.raises(InputError, match=r"home/trace: is no trace .* name a file `trace`"):
        read_trace(data, "home/trace")


def test_frames_of_a_later_release_are_refused() -> None:
    other = Origin("pbft", CHAIN, "a", 5, ["a"], 0, STORED)
    with pytest.raises(InputError, match="'pbft' is not one of: raft, weighted-raft"):
        read_trace(begin_bytes(other), "home/trace")
    beheaded = TRACE[: len(TRACE) - len(b"".join(FRAMES))][:17]
    with pytest.raises(InputError, match="damaged at byte 17"):
        read_trace(beheaded, "home/trace")
    _, frames = read_trace(begin_bytes(ORIGIN) + frame_bytes(ORIGIN), "home/trace")
    with pytest.raises(InputError, match="damaged at byte"):
        list(frames)


def test_one_origin_makes_one_replica() -> None:
    one, other = (replica_of(ORIGIN, KeyedHash("a"), KeyedHash()) for _ in range(2))
    assert one.start(5) == other.start(5)
    assert (one.name, one.term, one.voted_for, one.log.last_index) == ("a", 4, "b", 4)
    assert state_hash(one) == state_hash(other)


@pytest.mark.parametrize(
    "stored",
    [
        Stored(STORED.snapshot, 5, "b", ENTRIES),
        Stored(STORED.snapshot, 4, "a", ENTRIES),
        Stored(STORED.snapshot, 4, "b", []),
        Stored(STORED.snapshot, 4, "b", [Entry(2, configuration=False, payload=b"other")]),
        Stored(Snapshot(3, 1, FIRST, b"elsewhere", keeps_rest=True), 4, "b", ENTRIES),
    ],
)
def test_the_state_hash_covers_term_vote_and_log(stored: Stored) -> None:
    other = Origin("weighted-raft", CHAIN, "a", 5, ["a", "b"], 0, stored)
    signer = KeyedHash("a")
    assert state_hash(replica_of(other, signer, signer)) != state_hash(
        replica_of(ORIGIN, signer, signer)
    )
