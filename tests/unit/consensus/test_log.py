"""The log: a snapshot and what follows it, with the configurations that are in it."""

from __future__ import annotations

import pytest

from gridpact.codec import encode
from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft.log import Log
from gridpact.consensus.raft.messages import BATCH_BYTES, ENTRIES_MAX, Entry
from gridpact.consensus.raft.records import Snapshot, first_start
from gridpact.errors import InvariantError

FIRST, SECOND, THIRD = (configuration_of(number, {"a": number + 1}) for number in range(3))


def plain(*terms: int) -> list[Entry]:
    return [Entry(term, configuration=False, payload=b"%d" % term) for term in terms]


def change(term: int, configuration: object) -> Entry:
    return Entry(term, configuration=True, payload=encode(configuration))


def log_of(*terms: int) -> Log:
    log = Log(first_start(FIRST))
    log.replace_from(1, plain(*terms))
    return log


def test_an_empty_log_ends_before_its_first_entry() -> None:
    log = Log(first_start(FIRST))
    assert (log.last_index, log.last_term, log.term_at(0), log.term_at(1)) == (0, 0, 0, -1)
    assert log.configuration_at(0) is FIRST


def test_terms_by_index_and_none_outside() -> None:
    log = log_of(1, 1, 2)
    assert [log.term_at(index) for index in range(-1, 5)] == [-1, 0, 1, 1, 2, -1]
    assert log.entry(3).term == 2


def test_replacing_removes_what_follows_and_leaves_no_gap() -> None:
    log = log_of(1, 1, 1, 1)
    log.replace_from(3, plain(2))
    assert [entry.term for entry in log.entries] == [1, 1, 2]
    with pytest.raises(InvariantError):
        log.replace_from(5, plain(2))
    assert log.last_index == 3


def test_a_configuration_goes_with_its_entry() -> None:
    log = log_of(1)
    log.replace_from(2, [change(1, SECOND), *plain(1), change(1, THIRD)])
    assert [place for place, _ in log.configurations] == [0, 2, 4]
    assert [log.configuration_at(index).number for index in range(5)] == [0, 0, 1, 1, 2]
    log.replace_from(4, plain(2))
    assert [place for place, _ in log.configurations] == [0, 2]
    log.replace_from(2, plain(3))
    assert [place for place, _ in log.configurations] == [0]


def test_a_batch_is_bounded_by_number_and_bytes() -> None:
    log = log_of(*[1] * (ENTRIES_MAX + 5))
    assert len(log.batch(1)) == ENTRIES_MAX
    assert len(log.batch(60)) == 10
    assert log.batch(log.last_index + 1) == []
    half = Entry(1, configuration=False, payload=bytes(BATCH_BYTES // 2))
    log.replace_from(1, [half, half, half])
    assert log.batch(1) == [half, half]
    log.replace_from(1, [half, Entry(1, configuration=False, payload=bytes(BATCH_BYTES)), half])
    assert len(log.batch(1)) == 1
    assert len(log.batch(2)) == 1


def test_the_run_of_a_term_begins_behind_the_snapshot_at_the_earliest() -> None:
    log = log_of(1, 2, 2, 2, 3)
    assert [log.first_of_term(index) for index in range(1, 6)] == [1, 2, 2, 2, 5]
    log.compact(Snapshot(2, 2, FIRST, b"", keeps_rest=True))
    assert log.first_of_term(4) == 3


def test_a_snapshot_keeps_or_drops_the_rest() -> None:
    log = log_of(1)
    log.replace_from(2, [change(1, SECOND), *plain(1), change(1, THIRD), *plain(2)])
    log.compact(Snapshot(2, 1, SECOND, b"", keeps_rest=True))
    assert log.configurations == [(2, SECOND), (4, THIRD)]
    log.compact(Snapshot(3, 1, SECOND, b"", keeps_rest=True))
    assert (log.last_index, log.term_at(3), log.term_at(2), log.term_at(4)) == (5, 1, -1, 1)
    assert log.configurations == [(3, SECOND), (4, THIRD)]
    assert log.configuration_at(1) is SECOND
    log.compact(Snapshot(9, 7, FIRST, b"", keeps_rest=False))
    assert (log.last_index, log.last_term, log.entries) == (9, 7, [])
    assert log.configurations == [(9, FIRST)]
