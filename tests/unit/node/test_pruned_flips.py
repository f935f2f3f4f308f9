"""Whatever is changed in a ledger that has forgotten somebody, `audit_ledger` says so.

Method: three ledgers with rows of every sort: one that forgot a member and went on, one that began
with a snapshot, one that did both. Each case changes one bit of one row of a copy. The replay of
whole ledgers has its own such tests in `tests/simulation`.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from tests.ledger_bench import VALIDATORS
from tests.unit.node.written_ledger import LATER, SEED, WrittenBench, trade_a_slot, written_day

from gridpact.errors import InputError, StoreError
from gridpact.model import Phase, Role, Verdict
from gridpact.node import audit_ledger, forget_participant, restore_ledger, snapshot_ledger
from gridpact.node.signature_worker import verify_signature

FLIPS = 25
"""Random single bits for each table of each ledger."""
KEYS = {
    "meta": ("key",),
    "blocks": ("height",),
    "transactions": ("seq",),
    "events": ("seq",),
    "state": ("key",),
    "private_state": ("key",),
    "private_payloads": ("seq",),
    "private_documents": ("series", "idx"),
    "base": ("height",),
    "base_state": ("key",),
    "private_base_state": ("key",),
    "first_state": ("key",),
    "annual_totals": ("participant", "year"),
}
"""Tables and what identifies their rows."""

Value = int | str | bytes
Row = tuple[Value, ...]


class InThisProcess:
    """Checks signatures as the worker does, each one once for all audits of this module."""

    known: dict[tuple[bytes, bytes, bytes], bool] = {}  # noqa: RUF012 - shared on purpose

    async def verify(self, checks: Sequence[tuple[bytes, bytes, bytes]]) -> list[bool]:
        for check in checks:
            if check not in self.known:
                self.known[check] = verify_signature(*check)
        return [self.known[check] for check in checks]

    async def close(self) -> None:
        """Nothing runs."""


@pytest.fixture(autouse=True)
def quick_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gridpact.node.audit.VerifierProcess", InThisProcess)


def lively(folder: Path) -> WrittenBench:
    """A day, then keys that rotate inside a block, roles, endorsements, a member that left."""
    bench = written_day(folder)
    bench.accept(bench.rotate("bob", "bob-2"), bench.grant("val-1", Role.AUDITOR))
    bench.accept(bench.close_account("cyd"))
    stale = bench.withdraw("bob", 3)
    told = bench.told(bench.phase(Phase.FINAL), stale)
    assert told == [Verdict.ACCEPTED, Verdict.BAD_SIGNATURE]
    bench.wallet._nonces["bob"] -= 1
    bench.use_key("bob", "bob-2")
    bench.accept(bench.withdraw("bob", 4))
    for validator in VALIDATORS[:2]:
        late = bench.phase(Phase.FINAL, sender=validator, not_before_s=2**33)
        bench.accept(late, time_s=2**40)
    bench.accept(bench.register("dan"), bench.meter("dan"), bench.deposit("dan", 10**10))
    bench.told(bench.register("bob"))
    return bench


def waiting(bench: WrittenBench) -> None:
    """Claims and an endorsement that no barrier has decided."""
    bench.accept(bench.deposit("bob", 6), bench.grant("val-2", Role.AUDITOR))
    late = bench.phase(Phase.FINAL, sender=VALIDATORS[0], not_before_s=2**33)
    bench.accept(late, time_s=2**40)


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("flips")
    bench = lively(home / "forgot")
    waiting(bench)
    bench.store.close()
    data, _ = snapshot_ledger(home / "forgot")
    restore_ledger(data, home / "restored", where="s")
    forget_participant(home / "forgot", "ann", SEED)
    restore_ledger(data, home / "both", where="s")
    for name in ("forgot", "both"):
        bench = WrittenBench.going_on(home / name)
        bench.use_key("bob", "bob-2")
        if name == "both":
            bench.barrier()
            bench.accept(bench.rotate("dan", "dan-2"), bench.withdraw("bob", 2))
            bench.barrier()
            bench.store.close()
            forget_participant(home / name, "ann", SEED)
            bench = WrittenBench.going_on(home / name)
            bench.use_key("bob", "bob-2")
            bench.use_key("dan", "dan-2")
        trade_a_slot(bench, ("bob", "dan"), LATER)
        waiting(bench)
        bench.store.close()
    return {path.name: path for path in sorted(home.iterdir())}


def rows(folder: Path) -> dict[str, list[Row]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return {t: db.execute(f"SELECT * FROM {t}").fetchall() for t in KEYS}  # noqa: S608


def flipped(value: Value, chance: Random) -> Value:
    """The value with one bit changed; something instead of nothing."""
    if isinstance(value, int):
        return value ^ (1 << chance.randrange(63))
    if isinstance(value, bytes):
        if not value:
            return b"\x00"
        changed = bytearray(value)
        changed[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    place = chance.randrange(len(value))
    other = chr(ord(value[place]) ^ (1 << chance.randrange(7)))
    return value[:place] + other + value[place + 1 :]


def complaint(folder: Path) -> str:
    """What the audit says; any other exception than its own is a failure."""
    try:
        return "; ".join(audit_ledger(folder).violations)
    except (InputError, StoreError) as error:
        return str(error)


@pytest.mark.parametrize("name", ["both", "forgot", "restored"])
def test_the_ledgers_are_good_and_have_rows_of_every_sort(
    ledgers: dict[str, Path], name: str
) -> None:
    report = audit_ledger(ledgers[name])
    assert report.violations == []
    assert report.base_height > 0
    assert (report.first_height > 1) == (name != "forgot")
    assert (report.pruned_payloads > 0) == (name == "forgot")
    empty = {table for table, found in rows(ledgers[name]).items() if not found}
    assert (
        empty
        == {
            "both": set(),
            "forgot": {"first_state"},
            "restored": {"transactions", "events", "private_payloads", "annual_totals"},
        }[name]
    )


@pytest.mark.parametrize("name", ["both", "forgot", "restored"])
def test_every_flipped_bit_is_found(ledgers: dict[str, Path], name: str, tmp_path: Path) -> None:
    chance = Random(3)
    content = rows(ledgers[name])
    missed = []
    for table, keys in KEYS.items():
        for number in range(FLIPS if content[table] else 0):
            folder = shutil.copytree(ledgers[name], tmp_path / f"{table}-{number}")
            with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = OFF")
                columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
                row = chance.choice(content[table])
                place = chance.randrange(len(row))
                value = flipped(row[place], chance)
                where = " AND ".join(f"{key} = ?" for key in keys)
                identity = [row[columns.index(key)] for key in keys]
                statement = f"UPDATE {table} SET {columns[place]} = ? WHERE {where}"  # noqa: S608
                try:
                    db.execute(statement, [value, *identity])
                except sqlite3.IntegrityError:
                    continue
            if not complaint(folder):
                missed.append(
                    f"{table}.{columns[place]} of {row[0]!r}: {row[place]!r} -> {value!r}"
                )
            shutil.rmtree(folder)
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("table", [table for table in KEYS if table != "private_payloads"])
def test_a_missing_row_is_found(ledgers: dict[str, Path], table: str, tmp_path: Path) -> None:
    """All but payloads: that one is missing is what the audit counts."""
    chance = Random(4)
    keys = KEYS[table]
    for number, row in enumerate(chance.choices(rows(ledgers["both"])[table], k=4)):
        folder = shutil.copytree(ledgers["both"], tmp_path / f"copy-{number}")
        with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
            columns = [found[1] for found in db.execute(f"PRAGMA table_info({table})")]
            where = " AND ".join(f"{key} = ?" for key in keys)
            identity = [row[columns.index(key)] for key in keys]
            db.execute(f"DELETE FROM {table} WHERE {where}", identity)  # noqa: S608
        assert complaint(folder), row


def test_a_missing_payload_after_the_base_is_a_violation(
    ledgers: dict[str, Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(ledgers["forgot"], tmp_path / "copy")
    before = audit_ledger(folder)
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute(
            "DELETE FROM private_payloads WHERE seq = (SELECT max(seq) FROM private_payloads)"
        )
    assert "payload is missing" in complaint(folder)
    folder = shutil.copytree(ledgers["forgot"], tmp_path / "other")
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute(
            "DELETE FROM private_payloads WHERE seq = (SELECT min(seq) FROM private_payloads)"
        )
    report = audit_ledger(folder)
    assert (report.violations, report.pruned_payloads) == ([], before.pruned_payloads + 1)
