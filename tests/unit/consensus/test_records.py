"""Records: whatever a crash leaves of them is a state that the replica was in."""

from __future__ import annotations

import msgspec
import pytest

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import Profile, Timing, raft, recover
from gridpact.consensus.raft.messages import Entry
from gridpact.consensus.raft.records import Entries, Snapshot, Stored, Vote, record_bytes
from gridpact.consensus.shape import Compact, Propose
from gridpact.errors import InvariantError
from raft_bench import Group

START = configuration_of(0, {"a": 1, "b": 1, "c": 1})


def entries(first: int, *terms: int) -> Entries:
    return Entries(first, [Entry(term, configuration=False, payload=b"x") for term in terms])


def terms_after(*records: Vote | Entries | Snapshot) -> tuple[int, list[int]]:
    stored = recover(START, map(record_bytes, records))
    return stored.snapshot.index, [entry.term for entry in stored.entries]


def test_nothing_on_the_disk_is_a_first_start() -> None:
    stored = recover(START, [])
    assert (stored.term, stored.voted_for, stored.entries) == (0, "", [])
    assert stored.snapshot == Snapshot(0, 0, START, b"", keeps_rest=False)


def test_later_records_win() -> None:
    stored = recover(
        START, map(record_bytes, [Vote(1, ""), Vote(2, "a"), Vote(2, "b"), Vote(3, "")])
    )
    assert (stored.term, stored.voted_for) == (3, "")


def test_entries_replace_whatever_follows() -> None:
    assert terms_after(entries(1, 1, 1, 1), entries(2, 2)) == (0, [1, 2])
    assert terms_after(entries(1, 1), entries(2, 1, 2)) == (0, [1, 1, 2])
    with pytest.raises(InvariantError):
        terms_after(entries(1, 1), entries(3, 1))


def test_snapshots_keep_or_drop_the_rest() -> None:
    keeps = Snapshot(2, 1, START, b"s", keeps_rest=True)
    assert terms_after(entries(1, 1, 1, 3), keeps) == (2, [3])
    assert terms_after(entries(1, 1, 1, 3), keeps, entries(4, 4)) == (2, [3, 4])
    none = msgspec.structs.replace(keeps, keeps_rest=False)
    assert terms_after(entries(1, 1, 1, 3), none) == (2, [])
    drops = msgspec.structs.replace(keeps, index=9, keeps_rest=False)
    assert terms_after(entries(1, 1, 1, 3), drops, entries(10, 5)) == (9, [5])


def test_every_prefix_of_what_was_written_is_a_state_that_was() -> None:
    """Each record is cut off in turn, within a `Persist` too: term and vote never go back, what is
    decided by then stays, and a replica begins from it."""
    group = Group(raft(Profile.HARDENED, Timing(1)), START)
    group.elect("a")
    for number in range(4):
        group.step("a", Propose(number, b"%d" % number))
        group.deliver_all()
    group.step("b", Compact(group["b"].commit, b"state"))
    group.crash("a")
    group.wires.clear()
    for _ in range(4):
        group.fire("b")
        group.deliver_all()
        if group.leaders():
            break
    group.restart("a")
    group.fire("b", "heartbeat")
    group.deliver_all()
    before: Stored | None = None
    for name, host in group.hosts.items():
        before = None
        for count in range(len(host.disk) + 1):
            stored = recover(START, host.disk[:count])
            if before is not None:
                assert stored.term >= before.term
                if stored.term == before.term and before.voted_for:
                    assert stored.voted_for == before.voted_for
                assert stored.snapshot.index >= before.snapshot.index
            terms = [stored.snapshot.term, *(entry.term for entry in stored.entries)]
            assert terms == sorted(terms)
            assert terms[-1] <= stored.term
            replica = group._replica(name, host.disk[:count])
            assert replica.log.last_index == stored.snapshot.index + len(stored.entries)
            before = stored
