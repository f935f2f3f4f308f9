"""The log of a replica: what a crash may cut off, and what is no crash."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import Stored, recover
from gridpact.consensus.raft.messages import Entry
from gridpact.consensus.raft.records import Entries, Snapshot, Vote, record_bytes
from gridpact.errors import StoreError
from gridpact.node.raft import wal as wal_module
from gridpact.node.raft.network import last_index, passed_all
from gridpact.node.raft.wal import WriteAheadLog

CHAIN = bytes(range(32))
NAME = "val-1"
FIRST = configuration_of(0, {"val-1": 1, "val-2": 1, "val-3": 1})
APPENDS = (
    (record_bytes(Vote(1, "val-2")),),
    (record_bytes(Entries(1, [Entry(1, configuration=False, payload=b"one")])), b"second"),
    (record_bytes(Entries(2, [Entry(1, configuration=False, payload=b"two" * 9)])),),
)
RECORDS = [record for append in APPENDS for record in append]
LAST = APPENDS[-1]
BEFORE = [record for append in APPENDS[:-1] for record in append]

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from gridpact.errors import StoreError
from gridpact.node.raft.wal import WriteAheadLog

wal, records = WriteAheadLog.open(Path(sys.argv[1]), bytes(range(32)), "val-1")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
room = wal.size + 100
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
wal.append((b"fits",))
size = wal.size
try:
    wal.append((b"x" * 1000,))
except StoreError as error:
    print(error)
assert wal.size == size
"""
"""A process that may write a hundred bytes more."""


def begin(path: Path) -> WriteAheadLog:
    wal, records = WriteAheadLog.open(path, CHAIN, NAME)
    assert records == []
    return wal


def read(path: Path) -> list[bytes]:
    wal, records = WriteAheadLog.open(path, CHAIN, NAME)
    wal.close()
    return records


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[int]]:
    """A log with three appends, closed, and where each of them begins and the last ends."""
    path = tmp_path / "raft.wal"
    wal = begin(path)
    places = [wal.size]
    for append in APPENDS:
        wal.append(append)
        places.append(wal.size)
    wal.close()
    return path, places


Written = tuple[Path, list[int]]


def test_what_was_appended_is_read_back_in_order(written: Written) -> None:
    path, places = written
    assert path.stat().st_size == places[-1]
    wal, records = WriteAheadLog.open(path, CHAIN, NAME)
    assert records == RECORDS
    wal.append((b"later",))
    wal.close()
    assert read(path) == [*RECORDS, b"later"]


def test_a_torn_last_append_is_cut_off_wherever_it_ends(written: Written) -> None:
    path, places = written
    whole = path.read_bytes()
    for end in range(places[-2], places[-1]):
        path.write_bytes(whole[:end])
        wal, records = WriteAheadLog.open(path, CHAIN, NAME)
        assert records == BEFORE
        assert path.stat().st_size == places[-2] == wal.size
        wal.append((b"after",))
        wal.close()
        assert read(path) == [*BEFORE, b"after"]


def test_a_flipped_byte_in_the_last_append_is_cut_off_with_it(written: Written) -> None:
    path, places = written
    whole = path.read_bytes()
    for at in range(places[-2], places[-1]):
        path.write_bytes(flipped(whole, at))
        assert read(path) == BEFORE


def test_garbage_after_the_last_append_is_cut_off(written: Written) -> None:
    path, _ = written
    whole = path.read_bytes()
    for garbage in (b"\x00" * 100, b"\xff" * 100, random.Random(3).randbytes(2000)):
        path.write_bytes(whole + garbage)
        assert read(path) == RECORDS
        assert path.read_bytes() == whole


def test_a_large_torn_append_is_cut_off_without_reading_it_many_times(tmp_path: Path) -> None:
    """Its bytes look like lengths; copying what they promise would take minutes."""
    path = tmp_path / "raft.wal"
    wal = begin(path)
    wal.append((b"small",))
    small = wal.size
    wal.append((random.Random(4).randbytes(2**20),))
    wal.close()
    path.write_bytes(path.read_bytes()[:-1])
    assert read(path) == [b"small"]
    assert path.stat().st_size == small


def test_a_flipped_byte_in_an_earlier_append_is_refused(written: Written) -> None:
    path, places = written
    whole = path.read_bytes()
    for at in range(places[0], places[-2]):
        damaged = flipped(whole, at)
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match="damaged at byte"):
            WriteAheadLog.open(path, CHAIN, NAME)
        assert path.read_bytes() == damaged


def test_a_lost_append_before_the_last_is_refused(written: Written) -> None:
    path, places = written
    whole = path.read_bytes()
    damaged = whole[: places[1]] + whole[places[2] :]
    path.write_bytes(damaged + whole[places[2] : places[3]])
    # both later ones stand where they do not belong, so they are no appends of this file
    assert read(path) == [*APPENDS[0]]
    path.write_bytes(whole[: places[1]] + bytes(places[2] - places[1]) + whole[places[2] :])
    with pytest.raises(StoreError, match=f"byte {places[1]}"):
        WriteAheadLog.open(path, CHAIN, NAME)


@pytest.mark.parametrize(
    ("chain", "name"), [(bytes(32), NAME), (CHAIN, "val-2"), (CHAIN[:-1], CHAIN[-1:].decode())]
)
def test_the_log_of_another_replica_or_chain_is_refused(
    written: Written, chain: bytes, name: str
) -> None:
    path, _ = written
    whole = path.read_bytes()
    with pytest.raises(StoreError, match="another replica or chain"):
        WriteAheadLog.open(path, chain, name)
    assert path.read_bytes() == whole


def test_an_empty_file_is_no_log(tmp_path: Path) -> None:
    """A log begins whole: a file without its header is none of ours."""
    path = tmp_path / "raft.wal"
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="another replica or chain"):
        WriteAheadLog.open(path, CHAIN, NAME)
    assert path.read_bytes() == b""


def test_a_crash_while_a_log_begins_leaves_none(tmp_path: Path) -> None:
    path = tmp_path / "raft.wal"
    path.with_suffix(".new").write_bytes(b"half of a hea")
    begin(path).close()
    assert read(path) == []
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        WriteAheadLog.open(tmp_path / "none" / "raft.wal", CHAIN, NAME)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_what_was_there_is_readable(written: Written) -> None:
    path, _ = written
    found = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert "the log cannot be written: File too large" in found.stdout
    assert path.stat().st_size > 32
    assert read(path) == [*RECORDS, b"fits"]


# Shortening


def numbered(index: int, term: int) -> Entry:
    return Entry(term, configuration=False, payload=b"%d of %d" % (index, term))


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """Records as a replica writes them: terms rise, entries follow what is there."""
    records: list[bytes] = []
    term = base = last = 0
    for step in draw(st.lists(st.sampled_from("vvteeeeskl"), max_size=30)):
        if step == "v" or not term:
            term += 1
            records.append(record_bytes(Vote(term, draw(st.sampled_from(["", "val-1"])))))
        elif step == "t":
            records.append(record_bytes(Vote(term, "val-2")))
        elif step == "e":
            first = draw(st.integers(base + 1, last + 1))
            count = draw(st.integers(1, 4))
            last = first + count - 1
            entries = [numbered(index, term) for index in range(first, last + 1)]
            records.append(record_bytes(Entries(first, entries)))
        elif step == "s" and last > base:
            base = draw(st.integers(base + 1, last))
            records.append(record_bytes(Snapshot(base, term, FIRST, b"kept", keeps_rest=True)))
        elif step == "l":
            base = last = last + draw(st.integers(1, 3))
            records.append(record_bytes(Snapshot(base, term, FIRST, b"new", keeps_rest=False)))
    return records


@settings(max_examples=60)
@given(histories(), st.data())
def test_a_shortened_log_gives_what_the_long_one_gave(
    records: list[bytes], data: st.DataObject
) -> None:
    limit, wal_module.REWRITE_BYTES = wal_module.REWRITE_BYTES, 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "raft.wal"
            wal = begin(path)
            for at, record in enumerate(records, 1):
                wal.append((record,))
                if data.draw(st.booleans()):
                    wal.shorten(FIRST)
                    held = read(path)
                    assert recover(FIRST, held) == recover(FIRST, records[:at])
                    assert len(held) == 3
                    assert wal.size == path.stat().st_size
            wal.close()
            assert recover(FIRST, read(path)) == recover(FIRST, records)
    finally:
        wal_module.REWRITE_BYTES = limit


@settings(max_examples=200)
@given(histories())
def test_a_shortened_log_promises_no_more_than_the_long_one(records: list[bytes]) -> None:
    """What a signer is told after a restart is what was confirmed, or less: never entries of an
    earlier term as if they were confirmed in this one, since a leader may still remove those."""
    promised = passed_all(records)
    shorter = passed_all(wal_module.shortened(FIRST, records))
    assert (shorter.term, shorter.voted_for) == (promised.term, promised.voted_for)
    assert shorter.index <= promised.index
    stored = recover(FIRST, records)
    if promised.index == last_index(stored):
        assert shorter.index == promised.index


def stored_in(path: Path) -> Stored:
    return recover(FIRST, read(path))


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[WriteAheadLog, Path]:
    """A log that is to be shortened, open."""
    path = tmp_path / "raft.wal"
    wal = begin(path)
    wal.append((record_bytes(Vote(1, "val-1")),))
    for index in range(1, 9):
        wal.append((record_bytes(Entries(index, [numbered(index, 1)])),))
    wal.append((record_bytes(Snapshot(6, 1, FIRST, b"six", keeps_rest=True)),))
    monkeypatch.setattr(wal_module, "REWRITE_BYTES", 100)
    return wal, path


Long = tuple[WriteAheadLog, Path]


@pytest.mark.parametrize("fails", ["write_durably", "rename", "sync_folder"])
def test_a_crash_while_shortening_leaves_the_old_log_or_the_new(
    long: Long, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    wal, path = long
    before, size = stored_in(path), path.stat().st_size
    with monkeypatch.context() as patch:
        if fails == "rename":
            patch.setattr(Path, "rename", no_disk)
        else:
            patch.setattr(wal_module, fails, no_disk)
        with pytest.raises(StoreError, match="cannot be written: no disk"):
            wal.shorten(FIRST)
    wal.close()
    assert stored_in(path) == before
    assert (path.stat().st_size == size) == (fails != "sync_folder")
    again, _ = WriteAheadLog.open(path, CHAIN, NAME)
    again.append((record_bytes(Entries(9, [numbered(9, 1)])),))
    again.close()
    before.entries.append(numbered(9, 1))
    assert stored_in(path) == before


def test_a_half_written_new_file_is_forgotten(long: Long) -> None:
    wal, path = long
    before = stored_in(path)
    path.with_suffix(".new").write_bytes(b"half")
    assert stored_in(path) == before
    wal.shorten(FIRST)
    wal.close()
    assert stored_in(path) == before
    assert list(path.parent.iterdir()) == [path]


def test_it_is_shortened_only_when_it_has_grown(long: Long) -> None:
    wal, path = long
    wal.shorten(FIRST)
    short = path.read_bytes()
    wal.append((record_bytes(Entries(9, [numbered(9, 1)])),))
    wal.shorten(FIRST)
    assert len(path.read_bytes()) > len(short)
    while wal.size < len(short) + 100:
        wal.append((record_bytes(Entries(9, [numbered(9, 1)])),))
    wal.shorten(FIRST)
    assert len(path.read_bytes()) < len(short) + 100
    wal.append((record_bytes(Entries(10, [numbered(10, 1)])),))
    wal.close()
    assert len(stored_in(path).entries) == 4


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def no_disk(*_: object, **__: object) -> None:
    raise OSError(5, "no disk")
