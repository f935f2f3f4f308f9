"""The ledger's folder: one SQLite file that a crash leaves at one height or the next.

Write-ahead log with synchronous FULL; a block with its state, receipts and height is one
transaction. Rows have sequential ids with an index on hashes, since hashes as clustered keys
scatter every write. The table of columns is `docs/ledger-folder.md`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gridpact.codec import CodecError, decode, encode
from gridpact.contracts import BlockResult, Candidate
from gridpact.contracts.genesis import Genesis, genesis_from_json, genesis_to_json
from gridpact.contracts.keys import NAMESPACES
from gridpact.errors import InputError, Problem, StoreError
from gridpact.files import sync_folder, write_durably
from gridpact.ledger import Document, Entry, Privacy
from gridpact.ledger.blocks import Proposal, Receipt, Record, record_hash

STORE_VERSION = 1
DATABASE = "ledger.sqlite"
GENESIS = "genesis.json"
LOCK = "lock"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (height INTEGER PRIMARY KEY, record BLOB NOT NULL);
CREATE TABLE transactions (
  seq INTEGER PRIMARY KEY, height INTEGER NOT NULL, id BLOB NOT NULL, envelope BLOB NOT NULL,
  verdict INTEGER NOT NULL, postings_hash BLOB NOT NULL);
CREATE INDEX transactions_by_id ON transactions (id);
CREATE INDEX transactions_by_height ON transactions (height);
CREATE TABLE events (
  seq INTEGER PRIMARY KEY, height INTEGER NOT NULL, subject TEXT NOT NULL,
  verdict INTEGER NOT NULL);
CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE private_state (
  key TEXT PRIMARY KEY, salt BLOB NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE private_payloads (seq INTEGER PRIMARY KEY, sealed BLOB NOT NULL);
CREATE TABLE private_documents (
  series TEXT NOT NULL, idx INTEGER NOT NULL, owner TEXT NOT NULL, salt BLOB NOT NULL,
  data BLOB NOT NULL, PRIMARY KEY (series, idx)) WITHOUT ROWID;
"""
_COLUMNS = {
    "blocks": {"height": "integer", "record": "blob"},
    "transactions": {
        "seq": "integer",
        "height": "integer",
        "id": "blob",
        "envelope": "blob",
        "verdict": "integer",
        "postings_hash": "blob",
    },
    "events": {"seq": "integer", "height": "integer", "subject": "text", "verdict": "integer"},
    "state": {"key": "text", "value": "blob"},
    "private_state": {"key": "text", "salt": "blob", "value": "blob"},
    "private_payloads": {"seq": "integer", "sealed": "blob"},
    "private_documents": {
        "series": "text",
        "idx": "integer",
        "owner": "text",
        "salt": "blob",
        "data": "blob",
    },
}
"""SQLite stores any type anywhere; what a column may really hold."""
_NAMESPACES = {namespace.name: namespace for namespace in NAMESPACES}


class StoredTransaction(msgspec.Struct, frozen=True):
    """A row of the chain with its payload and receipt."""

    seq: int
    id: bytes
    envelope: bytes
    sealed: bytes | None
    """None when the payload is not there."""
    verdict: int
    postings_hash: bytes


class LedgerStore:
    """One ledger on disk. A writer holds the folder's lock; readers need none."""

    def __init__(self, folder: Path, genesis: Genesis, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.genesis = genesis
        self._db = connection
        self._lock: int | None = None
        self._next_seq = 1

    @classmethod
    def create(cls, folder: Path, genesis: Genesis) -> LedgerStore:
        """A new ledger.

        It is built aside and moved into place, so a crash leaves either no ledger or a whole one.

        Raises:
            InputError: the folder is there and not empty.
            StoreError: the folder cannot be written.
        """
        with _translated(folder):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InputError([Problem(str(folder), "is not empty; choose a new folder")])
            aside = folder.with_name(f".{folder.name}.new")
            if aside.exists():
                shutil.rmtree(aside)
            aside.mkdir(parents=True)
            write_durably(aside / GENESIS, genesis_to_json(genesis))
            connection = _connect(aside / DATABASE, "rwc")
            connection.executescript(f"BEGIN; {_SCHEMA} COMMIT;")
            connection.close()
            sync_folder(aside)
            aside.rename(folder)
            sync_folder(folder.parent)
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path, *, writable: bool = True) -> LedgerStore:
        """An existing ledger.

        Raises:
            InputError: no ledger there, or not one that this release reads.
            StoreError: locked by another process, unreadable or damaged.
        """
        path = folder / GENESIS
        if not path.is_file() or not (folder / DATABASE).is_file():
            raise InputError(
                [Problem(str(folder), f"holds no ledger ({GENESIS} and {DATABASE} expected)")]
            )
        with _translated(folder):
            genesis = genesis_from_json(path.read_bytes(), str(path))
            connection = _connect(folder / DATABASE, "rw" if writable else "ro")
            store = cls(folder, genesis, connection)
            try:
                store._begin(writable)
            except BaseException:
                store.close()
                raise
        return store

    def _begin(self, writable: bool) -> None:
        """Take the lock and find out how far the ledger is."""
        if writable:
            self._take_lock()
        query = "SELECT value FROM meta WHERE key = 'store_version'"
        found = self._db.execute(query).fetchone()
        if found is None and writable:
            return
        if found is None or found[0] != STORE_VERSION:
            text = f"store version {found} is not {STORE_VERSION}"
            raise InputError([Problem(str(self.folder), text)])
        last = self._db.execute("SELECT max(seq) FROM transactions").fetchone()[0]
        self._next_seq = (last or 0) + 1

    def close(self) -> None:
        """Give the folder free."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_initialised(self) -> bool:
        """Whether the state at height 0 is stored."""
        row = self._db.execute("SELECT 1 FROM meta WHERE key = 'store_version'").fetchone()
        return row is not None

    def save_initial(self, entries: dict[str, Entry | None]) -> None:
        """Store the state at height 0."""
        with _translated(self.folder), self._transaction():
            self._save_entries(entries)
            self._db.execute("INSERT INTO meta VALUES ('store_version', ?)", (STORE_VERSION,))

    def save_block(
        self, proposal: Proposal, candidates: list[Candidate], result: BlockResult
    ) -> None:
        """Make one block durable, whole or not at all.

        Raises:
            StoreError: disk full, folder read-only, database damaged; nothing was changed.
        """
        height = proposal.height
        first = self._next_seq
        with _translated(self.folder), self._transaction():
            self._db.execute("INSERT INTO blocks VALUES (?, ?)", (height, encode(result.record)))
            self._db.executemany(
                "INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (
                        first + i,
                        height,
                        receipt.transaction,
                        proposal.transactions[i],
                        receipt.verdict,
                        receipt.postings_hash,
                    )
                    for i, receipt in enumerate(result.receipts)
                ],
            )
            self._db.executemany(
                "INSERT INTO private_payloads VALUES (?, ?)",
                [
                    (first + i, candidate.sealed)
                    for i, candidate in enumerate(candidates)
                    if candidate.sealed
                ],
            )
            self._db.executemany(
                "INSERT INTO events (height, subject, verdict) VALUES (?, ?, ?)",
                [(height, event.subject, event.verdict) for event in result.events],
            )
            self._db.executemany(
                "INSERT INTO private_documents VALUES (?, ?, ?, ?, ?)",
                [(d.series, d.index, d.owner, d.salt, d.data) for d in result.documents],
            )
            self._save_entries(result.changes)
        self._next_seq = first + len(result.receipts)

    def _save_entries(self, changes: dict[str, Entry | None]) -> None:
        public, private, gone = [], [], []
        for key, entry in changes.items():
            if entry is None:
                gone.append((key,))
            elif _NAMESPACES[key.partition("/")[0]].privacy is Privacy.PUBLIC:
                public.append((key, encode(entry.value)))
            else:
                private.append((key, entry.salt, encode(entry.value)))
        self._db.executemany("REPLACE INTO state VALUES (?, ?)", public)
        self._db.executemany("REPLACE INTO private_state VALUES (?, ?, ?)", private)
        self._db.executemany("DELETE FROM state WHERE key = ?", gone)
        self._db.executemany("DELETE FROM private_state WHERE key = ?", gone)

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All state rows, public and private.

        Raises:
            StoreError: a row is not what its key says.
        """
        with _translated(self.folder):
            rows = self._db.execute(
                "SELECT key, x'', value FROM state UNION ALL "
                "SELECT key, salt, value FROM private_state"
            )
            for key, salt, value in rows:
                namespace = _NAMESPACES.get(str(key).partition("/")[0])
                try:
                    if namespace is None or not isinstance(value, bytes):
                        raise CodecError("unknown namespace or type")
                    yield key, Entry(decode(namespace.wire_type, value), salt, -1)
                except CodecError as error:
                    raise StoreError(f"{self.folder}: state row {key!r}: {error}") from error

    def state_rows(self) -> dict[str, tuple[str, bytes, bytes]]:
        """Raw state rows by key: (table, salt, value), for an auditor who trusts bytes only."""
        rows: dict[str, tuple[str, bytes, bytes]] = {}
        with _translated(self.folder):
            for key, value in self._db.execute("SELECT key, value FROM state"):
                rows[key] = ("state", b"", value)
            for key, salt, value in self._db.execute("SELECT key, salt, value FROM private_state"):
                if key in rows:
                    raise StoreError(f"{self.folder}: state row {key!r} is there twice")
                rows[key] = ("private_state", salt, value)
        return rows

    def height(self) -> int:
        """Number of blocks."""
        with _translated(self.folder):
            row = self._db.execute("SELECT max(height) FROM blocks").fetchone()
        return row[0] or 0

    def record_bytes(self, height: int) -> bytes | None:
        """Canonical bytes of a block's record."""
        with _translated(self.folder):
            row = self._db.execute(
                "SELECT record FROM blocks WHERE height = ?", (height,)
            ).fetchone()
        return None if row is None else row[0]

    def record(self, height: int) -> Record:
        """A block's record.

        Raises:
            InputError: no such height.
            StoreError: its row is damaged.
        """
        data = self.record_bytes(height)
        if data is None:
            raise InputError([Problem("height", f"{height} is not in 1..{self.height()}")])
        try:
            return decode(Record, data)
        except CodecError as error:
            raise StoreError(f"{self.folder}: block {height}: {error}") from error

    def tip(self) -> tuple[int, bytes] | None:
        """Height and record hash of the last block."""
        height = self.height()
        return (height, record_hash(self.record(height))) if height else None

    def transactions(self, height: int) -> list[StoredTransaction]:
        """The transactions of a block in order."""
        with _translated(self.folder):
            return [
                StoredTransaction(*row)
                for row in self._db.execute(
                    "SELECT t.seq, t.id, t.envelope, p.sealed, t.verdict, t.postings_hash "
                    "FROM transactions t LEFT JOIN private_payloads p USING (seq) "
                    "WHERE t.height = ? ORDER BY t.seq",
                    (height,),
                )
            ]

    def find_transaction(self, transaction_id: bytes) -> tuple[int, Receipt] | None:
        """Height and receipt of a transaction that is in a block."""
        with _translated(self.folder):
            row = self._db.execute(
                "SELECT height, id, verdict, postings_hash FROM transactions "
                "WHERE id = ? ORDER BY seq LIMIT 1",
                (transaction_id,),
            ).fetchone()
        return None if row is None else (row[0], Receipt(row[1], row[2], row[3]))

    def events(self, height: int) -> list[tuple[str, int]]:
        """(subject, verdict) of the claims that the barriers of a block decided."""
        with _translated(self.folder):
            return self._db.execute(
                "SELECT subject, verdict FROM events WHERE height = ? ORDER BY seq", (height,)
            ).fetchall()

    def documents(self, series: str) -> list[Document]:
        """The personal records of one series, a bill's lines for instance, in order."""
        with _translated(self.folder):
            return [
                Document(owner, series, index, salt, data)
                for index, owner, salt, data in self._db.execute(
                    "SELECT idx, owner, salt, data FROM private_documents "
                    "WHERE series = ? ORDER BY idx",
                    (series,),
                )
            ]

    def counts(self) -> dict[str, int]:
        """Rows per table, so that an auditor notices surplus ones."""
        tables = ("blocks", "transactions", "events", "private_payloads", "private_documents")
        with _translated(self.folder):
            return {
                table: self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in tables
            }

    def damage(self) -> list[str]:
        """What is wrong with the database as such, whatever its rows say; empty when nothing is."""
        with _translated(self.folder):
            found = [row[0] for row in self._db.execute("PRAGMA integrity_check(20)")]
            found = [] if found == ["ok"] else [f"database: {text}" for text in found]
            if _schema(self._db) != _expected_schema():
                found.append("database: its tables are not those of this release")
                return found
            for table, columns in _COLUMNS.items():
                wrong = " OR ".join(f"typeof({name}) != '{kind}'" for name, kind in columns.items())
                query = f"SELECT count(*) FROM {table} WHERE {wrong}"  # noqa: S608
                count = self._db.execute(query).fetchone()
                if count[0]:
                    found.append(f"table {table}: {count[0]} rows have values of another type")
            for table in ("transactions", "events"):
                query = f"SELECT count(*), min(seq), max(seq) FROM {table}"  # noqa: S608
                rows, first, last = self._db.execute(query).fetchone()
                if rows and (first, last) != (1, rows):
                    found.append(f"table {table}: row numbers have gaps")
            meta = self._db.execute("SELECT key, value FROM meta").fetchall()
            if meta != [("store_version", STORE_VERSION)]:
                found.append(f"table meta: {meta} is not the version of this store")
        return found

    def sizes(self) -> dict[str, int]:
        """Bytes of envelopes, of payloads, and of the folder."""
        with _translated(self.folder):
            envelopes = self._db.execute("SELECT sum(length(envelope)) FROM transactions")
            payloads = self._db.execute("SELECT sum(length(sealed)) FROM private_payloads")
            files = [path for path in self.folder.iterdir() if path.is_file()]
            return {
                "envelopes": envelopes.fetchone()[0] or 0,
                "payloads": payloads.fetchone()[0] or 0,
                "store": sum(path.stat().st_size for path in files),
            }

    @contextlib.contextmanager
    def one_moment(self) -> Iterator[None]:
        """All reads inside see the ledger as it is now, whatever a writer does meanwhile."""
        with _translated(self.folder):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _take_lock(self) -> None:
        self._lock = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._db.close()
            os.close(self._lock)
            self._lock = None
            raise StoreError(
                f"{self.folder}: another process writes this ledger; stop it first"
            ) from error


def _schema(db: sqlite3.Connection) -> list[tuple[str, ...]]:
    return sorted(db.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"))


def _expected_schema() -> list[tuple[str, ...]]:
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(_SCHEMA)
        return _schema(db)
    finally:
        db.close()


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection that commits when told to; `mode` is SQLite's ro, rw or rwc.

    On a read-only medium a database without a log cannot change, and SQLite must be told so.
    """
    uri = f"{path.resolve().as_uri()}?mode={mode}"
    has_log = path.with_name(path.name + "-wal").exists()
    if mode == "ro" and not has_log and not os.access(path.parent, os.W_OK):
        uri += "&immutable=1"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)
    if mode != "ro":
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    return connection


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Say what is wrong with the disk in words that help."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        remedy = "the disk failed or is gone; check it, then start again and run `gridpact audit`"
        if "full" in text:
            remedy = "free some space and start again; every acknowledged transaction is safe"
        elif "readonly" in text or "read-only" in text:
            remedy = "make the folder writable; nothing was changed"
        elif "no such" in text:
            remedy = "the database is damaged; restore a copy"
        elif "locked" in text:
            remedy = "another program holds the database; close it"
        raise StoreError(f"{folder}: {text}; {remedy}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{folder}: the database is damaged ({error}); restore a copy") from error
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror or error}; nothing was changed") from error
