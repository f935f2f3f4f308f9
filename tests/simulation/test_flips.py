"""Whatever is changed in a ledger's folder, `audit_ledger` says so.

Method: one small ledger with a row of every sort is built once. Each case changes a copy of it, a
bit, a value, a row, a type or a byte of the file, and audits the copy. Broken twins of this
test are the neighbours: changes that mean nothing must not be reported.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from gridpact.contracts.bodies import (
    Deposit,
    GrantRole,
    Kind,
    MoneyPayload,
    MovePhase,
    OrderPayload,
    PlaceOrder,
    RotateKey,
)
from gridpact.contracts.genesis import genesis_from_json
from gridpact.errors import InputError, StoreError
from gridpact.model import OPERATOR, Phase, Side, Verdict
from gridpact.node import EmbeddedEngine, LedgerStore, audit_ledger
from gridpact.node.audit import AuditReport
from gridpact.node.signature_worker import verify_signature
from gridpact.studies.workload import (
    MARKET,
    NEVER_S,
    VALIDATORS,
    Signed,
    Workload,
    send,
    start_of,
)

FLIPS = 408
"""Random single bits in the test below; each costs one audit."""
BYTE_FLIPS, VALUE_FLIPS = 120, 160
GENESIS_FLIPS = 150

KEYS = {
    "meta": ("key",),
    "blocks": ("height",),
    "transactions": ("seq",),
    "events": ("seq",),
    "state": ("key",),
    "private_state": ("key",),
    "private_payloads": ("seq",),
    "private_documents": ("series", "idx"),
}
"""Tables and what identifies their rows."""

Value = int | str | bytes | float | None


@dataclass(frozen=True)
class Built:
    """The ledger that all cases start from."""

    folder: Path
    shorter: Path
    """The same ledger one block earlier."""
    root: str
    """Hash of the last record."""


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
    """Starting a worker for each of a thousand audits would be most of the time."""
    monkeypatch.setattr("gridpact.node.audit.VerifierProcess", InThisProcess)


def refused(load: Workload) -> list[Signed]:
    """Transactions that use their nonce and nothing else."""
    payload = OrderPayload(Side.BID, 200_000, 1_000, 100_000, 0)
    sent = [
        load.sign(member, Kind.ORDER, PlaceOrder(MARKET, start_of(9)), payload)
        for member in load.members[:2]
    ]
    return [*sent, load.sign(load.members[0], Kind.DEPOSIT, Deposit("x", 0), MoneyPayload(1, ""))]


def batches(load: Workload) -> list[list[Signed]]:
    """A few slots to `final`, then slots that are cleared and open, and claims that wait."""
    made = load.opening(5)
    made += [load.orders(28), load.cancels(3) + load.withdrawals(2), refused(load)]
    made += [[load.move(phase, 0, 4)] for phase in (Phase.CLOSED, Phase.CLEARED)]
    made += [[load.move(Phase.DELIVERED, 0, 3)], load.readings(0, 3)]
    made += [[load.move(phase, 0, 3)] for phase in (Phase.METERED, Phase.SETTLED)]
    made += [load.readings(1, 2, version=2), [load.move(Phase.FINAL, 0, 2)]]
    member = load.members[3]
    claims = [
        load.sign(OPERATOR, Kind.GRANT_ROLE, GrantRole(member, 64, 1, 5)),
        load.sign(OPERATOR, Kind.DEPOSIT, Deposit(member, 6), MoneyPayload(7, "late")),
        load.sign(member, Kind.ROTATE_KEY, RotateKey(load.keys.pair("new")[0], 8)),
    ]
    asked = MovePhase(MARKET, load.phase + 1, Phase.OPEN, start_of(9), 1, NEVER_S)
    endorsement = load.sign(VALIDATORS[0], Kind.PHASE, asked)
    made += [load.tariffs(5, 1) + load.withdrawals(3) + claims, load.orders(4), [endorsement]]
    return made


async def write(store: LedgerStore, made: Sequence[Sequence[Signed]]) -> None:
    engine = await EmbeddedEngine.start(store, lambda: NEVER_S)
    try:
        for signed in made:
            told = await send(engine, signed)
            assert Verdict.BAD_SIGNATURE not in told
    finally:
        await engine.close()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    home = tmp_path_factory.mktemp("flips")
    load = Workload(5, 6)
    *first, last = batches(load)
    asyncio.run(write(LedgerStore.create(home / "ledger", load.genesis), first))
    shutil.copytree(home / "ledger", home / "shorter")
    asyncio.run(write(LedgerStore.open(home / "ledger"), [last]))
    report = audit_ledger(home / "ledger")
    assert report.violations == []
    assert report.height > 15
    return Built(home / "ledger", home / "shorter", report.record_hash)


@pytest.fixture
def copy(built: Built, tmp_path: Path) -> Iterator[Callable[[], Path]]:
    """Gives a new copy in a new folder, so that no case sees what is left of another.

    In the end a copy that nobody changed must be as good as ever.
    """
    made = 0

    def fresh() -> Path:
        nonlocal made
        made += 1
        shutil.rmtree(tmp_path / f"copy-{made - 1}", ignore_errors=True)
        return shutil.copytree(built.folder, tmp_path / f"copy-{made}")

    yield fresh
    assert complaint(fresh()) == ""


def complaint(folder: Path) -> str:
    """What the audit says against a folder; any other exception than its own is a failure."""
    try:
        return "; ".join(audit_ledger(folder).violations)
    except (InputError, StoreError) as error:
        return str(error)


def rows(folder: Path) -> dict[str, list[tuple[Value, ...]]]:
    """All rows of all tables."""
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return {t: db.execute(f"SELECT * FROM {t}").fetchall() for t in KEYS}  # noqa: S608


def columns(folder: Path) -> dict[str, list[str]]:
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as db:
        return {t: [row[1] for row in db.execute(f"PRAGMA table_info({t})")] for t in KEYS}


def change(folder: Path, statement: str, values: Sequence[Value]) -> bool:
    """Run one statement; False when the database itself forbids it."""
    with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        try:
            db.execute(statement, values)
        except sqlite3.IntegrityError:
            return False
        return True


def flipped(value: Value, chance: Random) -> Value:
    """The value with one bit changed; something instead of nothing."""
    if isinstance(value, int):
        bit = chance.randrange(63)
        return value ^ (1 << bit) if chance.random() < 0.9 else -value - 1
    if isinstance(value, bytes):
        if not value:
            return b"\x00"
        changed = bytearray(value)
        changed[chance.randrange(len(value))] ^= 1 << chance.randrange(8)
        return bytes(changed)
    if isinstance(value, str):
        place = chance.randrange(len(value))
        other = chr(ord(value[place]) ^ (1 << chance.randrange(7)))
        return value[:place] + other + value[place + 1 :]
    raise TypeError(value)


def where(table: str) -> str:
    return " AND ".join(f"{key} = ?" for key in KEYS[table])


def identity(table: str, names: Sequence[str], row: Sequence[Value]) -> list[Value]:
    return [row[names.index(key)] for key in KEYS[table]]


def test_ledger_has_rows_of_every_sort(built: Built) -> None:
    """Otherwise the cases below would prove less than they seem to."""
    found = rows(built.folder)
    assert all(found.values())
    state = {str(key).partition("/")[0] for key, *_ in found["state"]}
    assert state == {"clock", "party", "metering", "system", "slot", "endorsement"}
    private = {str(key).partition("/")[0] for key, *_ in found["private_state"]}
    assert private == {
        "claim",
        "secret",
        "account",
        "bill",
        "credit",
        "orders",
        "contracts",
        "readings",
    }
    verdicts = {row[4] for row in found["transactions"]}
    assert {Verdict.ACCEPTED, Verdict.UNKNOWN_SLOT, Verdict.ROLE_MISSING} <= verdicts


def test_every_flipped_bit_is_found(built: Built, copy: Callable[[], Path]) -> None:
    """One random bit of one random column of one random row, table by table."""
    chance = Random(1)
    content, names = rows(built.folder), columns(built.folder)
    tables = list(KEYS)
    missed = []
    done = 0
    while done < FLIPS:
        table = tables[done % len(tables)]
        row = chance.choice(content[table])
        place = chance.randrange(len(row))
        name, value = names[table][place], flipped(row[place], chance)
        statement = f"UPDATE {table} SET {name} = ? WHERE {where(table)}"  # noqa: S608
        folder = copy()
        if not change(folder, statement, [value, *identity(table, names[table], row)]):
            continue
        done += 1
        if not complaint(folder):
            missed.append(f"{table}.{name} of {row[0]!r}: {row[place]!r} became {value!r}")
    assert not missed, "\n".join(missed)


@pytest.mark.parametrize("table", list(KEYS))
def test_every_missing_row_is_found(table: str, built: Built, copy: Callable[[], Path]) -> None:
    chance = Random(2)
    names = columns(built.folder)[table]
    some = rows(built.folder)[table]
    for row in chance.sample(some, min(8, len(some))):
        folder = copy()
        assert change(
            folder,
            f"DELETE FROM {table} WHERE {where(table)}",  # noqa: S608
            identity(table, names, row),
        )
        assert complaint(folder), row


@pytest.mark.parametrize("table", [table for table in KEYS if table != "meta"])
def test_every_surplus_row_is_found(table: str, built: Built, copy: Callable[[], Path]) -> None:
    """A copy of a row under a new identity, at the end or in between."""
    chance = Random(3)
    names = columns(built.folder)[table]
    some = rows(built.folder)[table]
    place = names.index(KEYS[table][-1])
    last = max(number for row in some if isinstance(number := row[place], int | str))
    for row in chance.sample(some, min(6, len(some))):
        more = list(row)
        more[place] = last + chance.choice([1, 2, 1000]) if isinstance(last, int) else last + "0"
        marks = ", ".join("?" * len(more))
        folder = copy()
        assert change(folder, f"INSERT INTO {table} VALUES ({marks})", more)  # noqa: S608
        assert complaint(folder), row


@pytest.mark.parametrize("table", [table for table in KEYS if table != "meta"])
def test_every_swap_of_two_rows_is_found(
    table: str, built: Built, copy: Callable[[], Path]
) -> None:
    """Each gets everything that is the other's but its identity."""
    chance = Random(4)
    names = columns(built.folder)[table]
    some = rows(built.folder)[table]
    rest = [name for name in names if name not in KEYS[table]]
    tried = 0
    while tried < 8:
        one, other = chance.sample(some, 2)
        values = [[row[names.index(name)] for name in rest] for row in (one, other)]
        if values[0] == values[1]:
            continue
        tried += 1
        assignment = ", ".join(f"{name} = ?" for name in rest)
        folder = copy()
        statement = f"UPDATE {table} SET {assignment} WHERE {where(table)}"  # noqa: S608
        assert change(folder, statement, [*values[1], *identity(table, names, one)])
        assert change(folder, statement, [*values[0], *identity(table, names, other)])
        assert complaint(folder), (one, other)


@pytest.mark.parametrize("table", list(KEYS))
def test_values_of_another_type_are_found(
    table: str, built: Built, copy: Callable[[], Path]
) -> None:
    """SQLite keeps any type in any column; an auditor reports that instead of stumbling over it."""
    chance = Random(5)
    names = columns(built.folder)[table]
    some = rows(built.folder)[table]
    for name in names:
        for other in (7, 1.5, "text", b"bytes", b"\xff"):
            row = chance.choice(some)
            if type(other) is type(row[names.index(name)]):
                continue
            cast = "CAST(? AS TEXT)" if other == b"\xff" else "?"
            statement = f"UPDATE {table} SET {name} = {cast} WHERE {where(table)}"  # noqa: S608
            folder = copy()
            try:
                done = change(folder, statement, [other, *identity(table, names, row)])
            except sqlite3.OperationalError:  # an INTEGER PRIMARY KEY is nothing else
                done = False
            if done:
                assert complaint(folder), f"{name} = {other!r} of {row}"


@pytest.mark.parametrize("table", ["transactions", "events"])
def test_row_numbers_have_no_gaps(table: str, built: Built, copy: Callable[[], Path]) -> None:
    """A large number is where the next block would begin: the ledger could not be continued."""
    last = rows(built.folder)[table][-1][0]
    for number in (2**62, -1):
        folder = copy()
        change(folder, f"UPDATE {table} SET seq = ? WHERE seq = ?", [number, last])  # noqa: S608
        assert complaint(folder), number


def behind_the_index(folder: Path, statement: str) -> None:
    """Change a table while SQLite does not know that it has an index on the heights."""
    database = folder / "ledger.sqlite"
    index = "FROM sqlite_schema WHERE name = 'transactions_by_height'"
    for step in (
        f"CREATE TABLE kept AS SELECT * {index}; PRAGMA writable_schema = ON; DELETE {index}",
        statement,
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM kept",
        "DROP TABLE kept",
    ):
        db = sqlite3.connect(database, isolation_level=None)
        db.executescript(step)
        db.close()


def test_index_that_differs_from_its_table_is_found(built: Built, copy: Callable[[], Path]) -> None:
    """Blocks are read by an index; the rows themselves may say something else."""
    folder = copy()
    behind_the_index(folder, "UPDATE transactions SET height = 3 WHERE seq = 60")
    assert rows(folder)["transactions"] != rows(built.folder)["transactions"]
    assert complaint(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE surplus (value BLOB)",
        "CREATE VIEW surplus AS SELECT * FROM state",
        "CREATE TRIGGER surplus AFTER INSERT ON events BEGIN DELETE FROM events; END",
        "DROP INDEX transactions_by_id",
        "ALTER TABLE state ADD COLUMN surplus BLOB",
        "INSERT INTO meta VALUES ('surplus', 1)",
    ],
)
def test_changed_schema_is_found(statement: str, copy: Callable[[], Path]) -> None:
    """A trigger, for instance, would change what the next block stores."""
    folder = copy()
    assert change(folder, statement, [])
    assert complaint(folder)


def test_missing_last_block_needs_an_expected_root(built: Built) -> None:
    """A ledger that was cut off is a good ledger, unless somebody remembers how long it was."""
    assert audit_ledger(built.shorter).ok
    report = audit_ledger(built.shorter, expected_root=built.root)
    assert len(report.violations) == 1
    assert built.root in report.violations[0]
    assert audit_ledger(built.folder, expected_root=built.root.upper()).ok


def test_block_deleted_with_its_rows_is_found(built: Built, copy: Callable[[], Path]) -> None:
    """Cutting the chain without winding back the state."""
    folder = copy()
    height = max(row[0] for row in rows(built.folder)["blocks"])  # type: ignore[type-var]
    for statement in (
        "DELETE FROM private_payloads WHERE seq IN (SELECT seq FROM transactions WHERE height = ?)",
        "DELETE FROM transactions WHERE height = ?",
        "DELETE FROM events WHERE height = ?",
        "DELETE FROM blocks WHERE height = ?",
    ):
        assert change(folder, statement, [height])
    assert complaint(folder)


def test_genesis_file_may_be_written_differently(built: Built, copy: Callable[[], Path]) -> None:
    folder = copy()
    path = folder / "genesis.json"
    value = json.loads(path.read_bytes())
    for text in (
        json.dumps(value),
        json.dumps(value, indent=7, sort_keys=True),
        "\n\t " + json.dumps(dict(reversed(value.items())), separators=(" ,", " : ")) + "\r\n",
    ):
        path.write_text(text)
        assert audit_ledger(folder, expected_root=built.root).violations == []


def test_every_changed_value_of_the_genesis_file_is_found(
    built: Built, copy: Callable[[], Path]
) -> None:
    """Bits that change no value, of a blank for instance, must not be found."""
    chance = Random(6)
    good = (built.folder / "genesis.json").read_bytes()
    genesis = genesis_from_json(good, "good")
    changed = 0
    for _ in range(GENESIS_FLIPS):
        data = flipped(good, chance)
        assert isinstance(data, bytes)
        folder = copy()
        (folder / "genesis.json").write_bytes(data)
        try:
            same = genesis_from_json(data, "flipped") == genesis
        except InputError:
            same = False
        assert bool(complaint(folder)) != same, data
        changed += not same
    assert changed > GENESIS_FLIPS // 2


def read_as_before(folder: Path, content: dict[str, list[tuple[Value, ...]]]) -> bool:
    """Whether all rows are those of `content`."""
    try:
        return rows(folder) == content
    except sqlite3.DatabaseError:
        return False


def test_flipped_bytes_of_the_file_never_pass_as_another_ledger(
    built: Built, copy: Callable[[], Path]
) -> None:
    """Any bit of the database file: it is reported, or every row reads as before."""
    chance = Random(7)
    content = rows(built.folder)
    good = (built.folder / "ledger.sqlite").read_bytes()
    found = 0
    for _ in range(BYTE_FLIPS):
        data = flipped(good, chance)
        assert isinstance(data, bytes)
        folder = copy()
        (folder / "ledger.sqlite").write_bytes(data)
        if complaint(folder):
            found += 1
        else:
            assert read_as_before(folder, content)
    assert found > BYTE_FLIPS // 4


def test_flipped_bytes_inside_values_are_found(built: Built, copy: Callable[[], Path]) -> None:
    """The same where a table or an index keeps a value: record, envelope, salt, key, bill line."""
    chance = Random(8)
    content = rows(built.folder)
    good = (built.folder / "ledger.sqlite").read_bytes()
    found = 0
    for turn in range(VALUE_FLIPS):
        some = content[list(KEYS)[turn % len(KEYS)]]
        values = [value for value in chance.choice(some) if isinstance(value, bytes | str)]
        value = chance.choice([value for value in values if value])
        piece = (value.encode() if isinstance(value, str) else value)[:24]
        places = [match.start() for match in re.finditer(re.escape(piece), good)]
        if not places:  # the value is split between pages just there
            continue
        data = bytearray(good)
        data[chance.choice(places) + chance.randrange(len(piece))] ^= 1 << chance.randrange(8)
        folder = copy()
        (folder / "ledger.sqlite").write_bytes(data)
        if complaint(folder):
            found += 1
        else:
            assert read_as_before(folder, content), value
    assert found > VALUE_FLIPS // 2


def test_audit_only_reads(built: Built, copy: Callable[[], Path]) -> None:
    folder = copy()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    report = audit_ledger(folder)
    assert isinstance(report, AuditReport)
    assert report.ok
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) <= {"ledger.sqlite-wal", "ledger.sqlite-shm"}
