"""A ledger that decided blocks are executed on: which ones, and what stays of the others."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.ledger_bench import Bench
from tests.unit.node.raft.ledgers import (
    a_slot_of_blocks,
    block_of,
    executed,
    new_ledger,
    on_disk,
    proposed,
    receipt_in,
    reopened,
)

from gridpact.codec import decode, encode, sha256
from gridpact.errors import InputError, StoreError
from gridpact.model import Verdict
from gridpact.node import LedgerStore
from gridpact.node.engines import EMBEDDED, RAFT, WEIGHTED_RAFT
from gridpact.node.raft import replicated as replicated_module
from gridpact.node.raft.blocks import Block, Point
from gridpact.node.raft.replicated import Replicated
from gridpact.node.snapshot import restore_ledger, snapshot_ledger

MANY = 1_000
BYTES_MAX = 2**20


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def ledger(tmp_path: Path, bench: Bench) -> Replicated:
    return new_ledger(tmp_path / "ledger", bench)


def passed_over(ledger: Replicated, block: Block) -> None:
    """A block that is not executed, neither in memory nor on the disk."""
    before, root, point = on_disk(ledger), ledger.application.state_map.root, ledger.point
    entries = dict(ledger.application.state.entries)
    count = ledger.passed_over
    assert ledger.execute(block) is None
    assert ledger.passed_over == count + 1
    assert on_disk(ledger) == before
    assert (ledger.application.state_map.root, ledger.point) == (root, point)
    assert ledger.application.state.entries == entries


def test_a_decided_block_is_executed_once(ledger: Replicated, bench: Bench) -> None:
    ann = bench.register("ann")
    block = proposed(ledger, ann)
    assert block is not None
    result = ledger.execute(decode(Block, encode(block)))
    assert result is not None
    assert [receipt.verdict for receipt in result.receipts] == [Verdict.ACCEPTED]
    assert receipt_in(ledger, sha256(ann[0])) == result.receipts[0]
    assert ledger.point.height == 1
    passed_over(ledger, block)
    ledger.close()


@pytest.mark.parametrize("change", ["parent", "height-below", "height-above", "genesis"])
def test_a_block_that_does_not_follow_the_tip_is_passed_over(
    ledger: Replicated, bench: Bench, change: str
) -> None:
    """A leader that was replaced may leave one behind: it names another record, or none that is
    there yet."""
    executed(ledger, [bench.register("ann")])
    block = block_of(ledger, bench.register("bob"))
    other = {
        "parent": msgspec.structs.replace(block, parent=bytes(32)),
        "height-below": msgspec.structs.replace(block, height=1),
        "height-above": msgspec.structs.replace(block, height=3),
        "genesis": msgspec.structs.replace(block, parent=ledger.application.genesis_hash),
    }[change]
    passed_over(ledger, other)
    assert ledger.execute(block) is not None, "the right one still follows"
    ledger.close()


def test_a_block_on_which_another_was_built_first_is_passed_over(
    ledger: Replicated, bench: Bench
) -> None:
    ann, tariff = bench.register("ann"), bench.tariff()
    first, second = block_of(ledger, ann), block_of(ledger, tariff)
    assert ledger.execute(first) is not None
    passed_over(ledger, second)
    assert receipt_in(ledger, sha256(tariff[0])) is None
    ledger.close()


@pytest.mark.parametrize("payload", [b"", b"another"])
def test_a_block_without_a_payload_that_it_names_is_passed_over(
    ledger: Replicated, bench: Bench, payload: bytes
) -> None:
    tariff, ann = bench.tariff(), bench.register("ann")
    passed_over(ledger, block_of(ledger, tariff, (ann[0], payload)))
    executed(ledger, [tariff, ann])
    ledger.close()


def test_what_is_no_transaction_gets_its_verdict_and_changes_nothing(
    ledger: Replicated, bench: Bench
) -> None:
    root = ledger.application.state_map.root
    stranger = bench.bid("nobody", 200_000, 10)
    result = ledger.execute(block_of(ledger, (b"no envelope", b""), stranger))
    assert result is not None
    told = [Verdict(receipt.verdict) for receipt in result.receipts]
    assert told == [Verdict.MALFORMED_ENVELOPE, Verdict.UNKNOWN_SENDER]
    assert ledger.application.state_map.root == root
    assert ledger.blocks(1, MANY, BYTES_MAX)[0].items == [(b"no envelope", b""), stranger]
    ledger.close()


def test_an_empty_block_is_executed(ledger: Replicated) -> None:
    assert ledger.execute(block_of(ledger)) is not None
    assert ledger.point.height == 1
    ledger.close()


def test_two_ledgers_that_execute_the_same_have_the_same_records(
    tmp_path: Path, ledger: Replicated, bench: Bench
) -> None:
    blocks = a_slot_of_blocks(ledger, bench)
    other = new_ledger(tmp_path / "other", bench)
    for block in blocks:
        assert other.execute(block) is not None
    assert other.point == ledger.point
    assert on_disk(other) == on_disk(ledger)
    other.close()
    ledger.close()


def test_a_restart_goes_on_where_it_was(ledger: Replicated, bench: Bench) -> None:
    blocks = a_slot_of_blocks(ledger, bench)
    point = ledger.point
    again = reopened(ledger)
    assert again.point == point
    for block in blocks:  # the log repeats what the ledger has
        passed_over(again, block)
    executed(again, [bench.register("cyd")])
    assert again.point.height == point.height + 1
    again.close()


@pytest.mark.parametrize("engine", [EMBEDDED, WEIGHTED_RAFT])
def test_the_ledger_of_another_engine_is_refused(tmp_path: Path, bench: Bench, engine: str) -> None:
    other = new_ledger(tmp_path / "ledger", bench, engine)
    executed(other, [bench.register("ann")])
    before = on_disk(other)
    other.close()
    store = LedgerStore.open(tmp_path / "ledger")
    with pytest.raises(InputError, match="made by another engine than raft"):
        Replicated(store, RAFT)
    assert list(store._db.iterdump()) == before
    store.close()


def test_a_disk_that_refuses_a_block_keeps_the_one_before(
    ledger: Replicated, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    executed(ledger, [bench.register("ann")])
    before, point = on_disk(ledger), ledger.point
    ledger.store._db.execute("PRAGMA max_page_count = 1")
    big = [bench.register(f"p{number}") for number in range(3_000)]
    with pytest.raises(StoreError, match="full"):
        ledger.execute(block_of(ledger, *big))
    assert on_disk(ledger) == before
    again = reopened(ledger)
    assert again.point == point
    again.close()


# Giving blocks


def test_blocks_are_given_as_they_were_decided(
    tmp_path: Path, ledger: Replicated, bench: Bench
) -> None:
    blocks = a_slot_of_blocks(ledger, bench)
    assert ledger.blocks(1, MANY, BYTES_MAX) == blocks
    assert ledger.blocks(3, 2, BYTES_MAX) == blocks[2:4]
    assert ledger.blocks(len(blocks) + 1, MANY, BYTES_MAX) == []
    again = reopened(ledger)
    other = new_ledger(tmp_path / "other", bench)
    for block in again.blocks(1, MANY, BYTES_MAX):
        assert other.execute(block) is not None
    assert other.point == again.point
    other.close()
    again.close()


def test_so_many_bytes_are_given_at_a_time_and_one_block_at_least(
    ledger: Replicated, bench: Bench
) -> None:
    blocks = a_slot_of_blocks(ledger, bench)
    size = [sum(len(raw) + len(sealed) for raw, sealed in block.items) for block in blocks]
    assert ledger.blocks(1, MANY, 1) == blocks[:1]
    assert ledger.blocks(1, MANY, size[0] + size[1]) == blocks[:2]
    assert ledger.blocks(1, MANY, size[0] + size[1] - 1) == blocks[:1]
    ledger.close()


def test_nothing_is_given_from_where_payloads_were_removed(
    ledger: Replicated, bench: Bench
) -> None:
    blocks = a_slot_of_blocks(ledger, bench)
    bid = blocks[2].items[0][0]
    found = "SELECT seq FROM transactions WHERE envelope = ?"
    query = f"DELETE FROM private_payloads WHERE seq = ({found})"  # noqa: S608
    ledger.store._db.execute(query, (bid,))
    assert ledger.blocks(1, MANY, BYTES_MAX) == blocks[:2]
    assert ledger.blocks(3, MANY, BYTES_MAX) == []
    assert ledger.blocks(4, MANY, BYTES_MAX) == blocks[3:], "those name no payload"
    ledger.close()


# Beginning with a snapshot


@pytest.fixture
def behind(tmp_path: Path, ledger: Replicated, bench: Bench) -> tuple[Replicated, Replicated, Path]:
    """(a ledger with a block, one far ahead, a restored copy of that one)."""
    one = new_ledger(tmp_path / "behind", bench)
    blocks = a_slot_of_blocks(ledger, bench)
    assert one.execute(blocks[0]) is not None
    data, _ = snapshot_ledger(ledger.store.folder)
    folder = tmp_path / "behind.restored"
    restore_ledger(data, folder, where="test")
    return one, ledger, folder


Behind = tuple[Replicated, Replicated, Path]


def test_a_ledger_goes_on_with_a_snapshot_in_its_place(behind: Behind, bench: Bench) -> None:
    one, ahead, folder = behind
    place = one.store.folder
    one.begin_with(folder)
    assert one.point == ahead.point
    assert one.store.folder == place
    assert [path.name for path in place.parent.glob("behind*")] == ["behind"]
    block = block_of(ahead, bench.register("cyd"))
    assert ahead.execute(block) is not None
    assert one.execute(block) is not None
    assert one.point == ahead.point
    height = one.point.height
    assert one.blocks(1, MANY, BYTES_MAX) == one.blocks(height - 1, MANY, BYTES_MAX) == []
    assert one.blocks(height, MANY, BYTES_MAX) == [block]
    again = reopened(one)
    assert again.point == ahead.point
    again.close()
    ahead.close()


class PowerFailureError(Exception):
    """Nothing of this process happens any more."""


def crash_at(number: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Let the number-th change to names or files of `begin_with` be the first that fails."""
    left = [number]

    def step() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise PowerFailureError

    real_rename, real_rmtree = Path.rename, shutil.rmtree

    def rename(path: Path, target: Path) -> Path:
        step()
        return real_rename(path, target)

    def rmtree(path: Path, **_: object) -> None:
        """File by file, as the real one."""
        for child in sorted(Path(path).iterdir()) if Path(path).exists() else []:
            step()
            child.unlink()
        step()
        real_rmtree(path, ignore_errors=True)

    def sync(_: Path) -> None:
        step()

    monkeypatch.setattr(Path, "rename", rename)
    monkeypatch.setattr(replicated_module.shutil, "rmtree", rmtree)
    monkeypatch.setattr(replicated_module, "sync_folder", sync)
    return lambda: left[0] >= 0


def test_a_crash_on_the_way_leaves_the_old_ledger_the_new_one_or_none(
    behind: Behind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, ahead, folder = behind
    place, here, there = one.store.folder, one.point, ahead.point
    one.close()
    kept = tmp_path / "kept"
    shutil.copytree(place, kept / "place")
    shutil.copytree(folder, kept / "restored")
    found: list[Point | None] = []
    for number in range(100):
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(kept / "place", place)
        shutil.copytree(kept / "restored", folder)
        ledger = Replicated(LedgerStore.open(place), RAFT)
        with monkeypatch.context() as patch:
            whole = crash_at(number, patch)
            with contextlib.suppress(PowerFailureError):
                ledger.begin_with(folder)
        ledger.close()
        if place.exists():
            after = Replicated(LedgerStore.open(place), RAFT)
            found.append(after.point)
            after.close()
            assert not place.with_name("behind.old").exists()
        else:
            found.append(None)
        if whole():
            break
    assert found[0] == here
    assert found[-1] == there
    assert set(found) <= {here, None, there}
    assert len(found) > 3
    ahead.close()


def test_a_disk_that_refuses_is_a_store_error(
    behind: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, ahead, folder = behind

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        with pytest.raises(StoreError, match="Read-only"):
            one.begin_with(folder)
    again = Replicated(LedgerStore.open(one.store.folder), RAFT)
    assert again.point.height == 1
    again.close()
    ahead.close()


def test_a_ledger_whose_state_is_not_its_own_is_refused(ledger: Replicated, bench: Bench) -> None:
    executed(ledger, [bench.register("ann")])
    ledger.close()
    with sqlite3.connect(ledger.store.folder / "ledger.sqlite") as database:
        database.execute("DELETE FROM state WHERE key = 'party/auditor'")
    database.close()
    store = LedgerStore.open(ledger.store.folder)
    with pytest.raises(StoreError, match="run `gridpact audit"):
        Replicated(store, RAFT)
    store.close()
