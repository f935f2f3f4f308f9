"""Goal: a ledger that begins with a snapshot is as good as the first one; bad files are named."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import msgspec
import pytest
from tests.ledger_bench import DAY
from tests.unit.node.written_ledger import SEED, WrittenBench, written_day

from gridpact.codec import encode
from gridpact.contracts.genesis import genesis_from_json
from gridpact.contracts.statements import open_claim
from gridpact.errors import InputError
from gridpact.ledger.blocks import record_hash
from gridpact.ledger.proofs import check_proof
from gridpact.ledger.snapshots import Snapshot, read_snapshot, snapshot_bytes
from gridpact.node import (
    EmbeddedEngine,
    LedgerStore,
    audit_ledger,
    forget_participant,
    prove_bill,
    restore_ledger,
    snapshot_ledger,
)

Change = Callable[[Snapshot], Snapshot]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day with claims that wait: a new member and a new key."""
    folder = tmp_path_factory.mktemp("day") / "ledger"
    bench = written_day(folder)
    bench.accept(bench.register("dan"), bench.meter("dan"), bench.rotate("bob", "bob-2"))
    bench.store.close()
    return folder


def restored(day: Path, folder: Path) -> Path:
    data, _ = snapshot_ledger(day)
    restore_ledger(data, folder, where="test.snapshot")
    return folder


def test_a_restored_ledger_has_the_same_root_proves_and_audits(day: Path, tmp_path: Path) -> None:
    folder = restored(day, tmp_path / "again")
    old, new = audit_ledger(day), audit_ledger(folder)
    assert new.violations == []
    assert (new.height, new.record_hash, new.market_state_root, new.transactions) == (
        old.height,
        old.record_hash,
        old.market_state_root,
        0,
    )
    assert (new.base_height, new.first_height) == (old.height, old.height + 1)
    store = LedgerStore.open(folder, writable=False)
    proved = check_proof(prove_bill(store, "ann", DAY), bytes.fromhex(old.record_hash))
    store.close()
    assert proved.state is not None
    assert open_claim(proved.state).lines


def test_both_go_on_alike(day: Path, tmp_path: Path) -> None:
    """Claims that waited are decided as on the old ledger; a key rotates, a member joins."""
    roots = []
    for folder in (shutil.copytree(day, tmp_path / "old"), restored(day, tmp_path / "new")):
        bench = WrittenBench.going_on(folder)
        bench.barrier()
        bench.use_key("bob", "bob-2")
        bench.accept(bench.deposit("ann", 5), bench.withdraw("bob", 5))
        bench.barrier()
        bench.store.close()
        report = audit_ledger(folder)
        assert report.violations == []
        roots.append(report.record_hash)
    assert roots[0] == roots[1]


def test_a_restored_ledger_can_forget(day: Path, tmp_path: Path) -> None:
    """Then the blocks after the snapshot are checked from what it left: keys, meters, claims."""
    folder = restored(day, tmp_path / "again")
    bench = WrittenBench.going_on(folder)
    bench.barrier()
    bench.use_key("bob", "bob-2")
    bench.accept(bench.withdraw("bob", 5))
    bench.barrier()
    bench.store.close()
    done = forget_participant(folder, "ann", SEED)
    assert done.payloads == 0
    report = audit_ledger(folder)
    assert report.violations == []
    assert report.base_height == report.height > report.first_height > 1
    assert forget_participant(folder, "ann", SEED).already


def test_the_engine_starts_on_it(day: Path, tmp_path: Path) -> None:
    folder = restored(day, tmp_path / "again")

    async def height() -> int:
        engine = await EmbeddedEngine.start(LedgerStore.open(folder))
        await engine.close()
        return engine.application.height

    assert asyncio.run(height()) == audit_ledger(day).height


def test_the_public_part_is_the_same_on_every_replica(day: Path, tmp_path: Path) -> None:
    parts = []
    for folder in (day, restored(day, tmp_path / "again")):
        data, _ = snapshot_ledger(folder)
        parts.append(encode(read_snapshot(data).public))
    assert parts[0] == parts[1]
    assert [key for key, _ in read_snapshot(data).public.values] == sorted(
        key for key, _ in read_snapshot(data).public.values
    )


def test_a_changed_byte_or_a_shorter_file_is_refused(day: Path, tmp_path: Path) -> None:
    data, _ = snapshot_ledger(day)
    chance = Random(1)
    for _ in range(60):
        bad = bytearray(data)
        bad[chance.randrange(len(bad))] ^= 1 << chance.randrange(8)
        with pytest.raises(InputError, match=r"damaged|not a gridpact"):
            restore_ledger(bytes(bad), tmp_path / "x", where="s")
    for length in (0, 10, 40, 60, len(data) - 1):
        with pytest.raises(InputError, match=r"cut off|not a gridpact"):
            restore_ledger(data[:length], tmp_path / "x", where="s")
    assert not list(tmp_path.iterdir())


def _public(**changes: object) -> Change:
    def change(snapshot: Snapshot) -> Snapshot:
        public = msgspec.structs.replace(snapshot.public, **changes)
        return msgspec.structs.replace(snapshot, public=public)

    return change


def _without_opening(snapshot: Snapshot) -> Snapshot:
    private = msgspec.structs.replace(snapshot.private, openings=snapshot.private.openings[1:])
    return msgspec.structs.replace(snapshot, private=private)


def _other_value(snapshot: Snapshot) -> Snapshot:
    first, *rest = snapshot.private.openings
    first = msgspec.structs.replace(first, salt=bytes(32))
    private = msgspec.structs.replace(snapshot.private, openings=[first, *rest])
    return msgspec.structs.replace(snapshot, private=private)


def _without_line(snapshot: Snapshot) -> Snapshot:
    private = msgspec.structs.replace(snapshot.private, documents=snapshot.private.documents[1:])
    return msgspec.structs.replace(snapshot, private=private)


def _without_public_value(snapshot: Snapshot) -> Snapshot:
    return _public(values=snapshot.public.values[1:])(snapshot)


def _other_record(snapshot: Snapshot) -> Snapshot:
    record = msgspec.structs.replace(snapshot.public.record, market_root=bytes(32))
    return _public(record=record)(snapshot)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_public(version=9), "version 9 is not 1"),
        (_public(height=1), "different chains or heights"),
        (_other_record, "state root is not that of its two roots"),
        (_without_public_value, "do not have the root of block"),
        (_without_opening, "does not open just the commitments"),
        (_other_value, "is not what its commitment says"),
        (_without_line, "are not the lines"),
        (lambda snapshot: msgspec.structs.replace(snapshot, genesis=b"x"), "genesis is malformed"),
    ],
)
def test_what_does_not_fit_together_is_named(
    day: Path, tmp_path: Path, change: Change, text: str
) -> None:
    """Written by somebody who knows the format: lengths and checksum are right."""
    data = snapshot_bytes(change(read_snapshot(snapshot_ledger(day)[0])))
    with pytest.raises(InputError, match=text):
        restore_ledger(data, tmp_path / "x", where="s")
    assert not list(tmp_path.iterdir())


def test_a_foreign_snapshot_is_refused_with_all_reasons(day: Path, tmp_path: Path) -> None:
    data, record = snapshot_ledger(day)
    own = genesis_from_json((day / "genesis.json").read_bytes(), "genesis.json")
    other = msgspec.structs.replace(own, chain="other")
    with pytest.raises(InputError) as refused:
        restore_ledger(data, tmp_path / "x", where="s", genesis=other, root="00" * 32)
    assert len(refused.value.problems) == 2
    root = record_hash(record).hex()
    restore_ledger(data, tmp_path / "x", where="s", genesis=own, root=root.upper())
    with pytest.raises(InputError, match="not empty"):
        restore_ledger(data, tmp_path / "x", where="s")


def test_first_line_names_the_format(day: Path) -> None:
    data, _ = snapshot_ledger(day)
    assert data.startswith(b"gridpact snapshot\n")
    assert hashlib.sha256(data[58:]).digest() == data[26:58]
