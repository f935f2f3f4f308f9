"""The watermark on the disk. Goal: whatever a crash leaves, it is one position or the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridpact.errors import StoreError
from gridpact.node.signing import position as module
from gridpact.node.signing.cometbft_signer import CometbftPosition
from gridpact.node.signing.position import (
    SLOT_BYTES,
    PositionFile,
    create_position,
    read_position,
)
from gridpact.node.signing.raft_signer import RaftPosition

OLDER, NEWER, NEXT = (RaftPosition(term, "a", 7, 7) for term in (4, 5, 6))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Its slots hold OLDER and NEWER."""
    path = tmp_path / "position"
    create_position(path, RaftPosition())
    with_file(path, OLDER, NEWER)
    return path


def with_file(path: Path, *positions: RaftPosition) -> RaftPosition:
    file = PositionFile(path, RaftPosition)
    for position in positions:
        file.write(position)
    file.close()
    return file.position


def newer_slot(path: Path) -> int:
    """Where NEWER stands."""
    return path.read_bytes().index(b"\x05\xa1a") // SLOT_BYTES * SLOT_BYTES


def test_what_was_written_is_there_again(path: Path) -> None:
    assert with_file(path) == NEWER
    assert with_file(path, NEXT) == NEXT
    assert read_position(path, RaftPosition) == NEXT
    assert path.stat().st_mode & 0o777 == 0o600


def test_every_torn_write_leaves_the_older_or_the_newer(path: Path) -> None:
    before = path.read_bytes()
    with_file(path, NEXT)
    after = path.read_bytes()
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    for cut in range(changed[0], changed[-1] + 2):
        path.write_bytes(after[:cut] + before[cut:])
        assert with_file(path) == (NEXT if cut > changed[-1] else NEWER)


def test_every_flipped_bit_of_a_write_is_seen(path: Path) -> None:
    whole = path.read_bytes()
    at = newer_slot(path)
    used = len(whole[at : at + SLOT_BYTES].rstrip(b"\x00"))
    for byte in range(used):
        broken = bytearray(whole)
        broken[at + byte] ^= 1 << byte % 8
        path.write_bytes(broken)
        assert with_file(path) == OLDER


def test_a_file_that_is_cut_off_still_has_its_first_slot(path: Path) -> None:
    first = OLDER if newer_slot(path) else NEWER
    path.write_bytes(path.read_bytes()[: SLOT_BYTES + 10])
    assert with_file(path) == first


def test_damage_of_both_slots_is_refused(path: Path) -> None:
    broken = bytearray(path.read_bytes())
    broken[3] ^= 1
    broken[SLOT_BYTES + 3] ^= 1
    for data in (bytes(broken), b"", path.read_bytes()[SLOT_BYTES:] * 2):
        path.write_bytes(data)
        if data and data != bytes(broken):
            # one slot copied over the other: only the one in its own place counts
            assert with_file(path) in (OLDER, NEWER)
            continue
        with pytest.raises(StoreError, match="both slots are damaged"):
            PositionFile(path, RaftPosition)
        with pytest.raises(StoreError, match="both slots are damaged"):
            read_position(path, RaftPosition)
        assert path.read_bytes() == data


def test_a_lost_file_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no older copy"):
        PositionFile(tmp_path / "position", RaftPosition)
    assert not list(tmp_path.iterdir())


def test_a_file_is_not_made_twice(path: Path) -> None:
    with pytest.raises(StoreError, match="never overwritten"):
        create_position(path, RaftPosition())
    assert with_file(path) == NEWER


def test_another_kind_of_position_is_refused(path: Path) -> None:
    with pytest.raises(StoreError, match="not the position of this kind"):
        PositionFile(path, CometbftPosition)


def test_two_on_one_file_are_refused(path: Path) -> None:
    first = PositionFile(path, RaftPosition)
    with pytest.raises(StoreError, match="another signer has it"):
        PositionFile(path, RaftPosition, wait_s=0.05)
    first.close()
    assert with_file(path) == NEWER


def test_after_a_failed_write_nothing_more_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    file = PositionFile(path, RaftPosition)
    with monkeypatch.context() as patch:
        patch.setattr(module.os, "fdatasync", broken)
        with pytest.raises(StoreError, match="Input/output"):
            file.write(NEXT)
    assert file.position == NEWER
    with pytest.raises(StoreError, match="is closed"):
        file.write(NEXT)
