"""Reading the ledger's tables. Who writes them, and how, is `store`."""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gridpact.codec import CodecError, decode
from gridpact.contracts.genesis import Genesis
from gridpact.contracts.keys import NAMESPACES
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger import Document, Entry
from gridpact.ledger.blocks import Receipt, Record, record_hash
from gridpact.model import LineKind
from gridpact.node.schema import damage_of

NAMESPACE_BY_NAME = {namespace.name: namespace for namespace in NAMESPACES}
_TRANSACTIONS = (
    "SELECT t.seq, t.height, t.id, t.envelope, p.sealed, t.verdict, t.postings_hash "
    "FROM transactions t LEFT JOIN private_payloads p USING (seq)"
)
TOTALS = (
    LineKind.PURCHASE,
    LineKind.SALE,
    LineKind.NETWORK_FEE,
    LineKind.GRID_IMPORT,
    LineKind.GRID_EXPORT,
    LineKind.LOST_DEPOSIT,
)
"""Order of the columns of `annual_totals`."""


_CLOSED = "SELECT substr(key, 9) FROM base_state WHERE key LIKE 'closure/%'"
"""Participants whose accounts were closed before the base."""


class StoredTransaction(msgspec.Struct, frozen=True):
    """A row of the chain with its payload and receipt."""

    seq: int
    height: int
    id: bytes
    envelope: bytes
    sealed: bytes | None
    """None when the payload is not there."""
    verdict: int
    postings_hash: bytes


class StoredDocument(msgspec.Struct, frozen=True):
    """Where a personal record lies and whose it is."""

    series: str
    index: int
    owner: str


class Base(msgspec.Struct, frozen=True):
    """Where execution starts when an earlier part of the chain cannot be executed any more."""

    height: int
    """Of the block whose state is in the base tables."""
    first: int
    """Height of the first block whose transactions are here."""
    record: bytes
    """Hash of the record at `height`."""
    kept: bytes
    """SHA-256 over what is kept and no root covers: old events, annual totals, what public checks
    start from, lines of closed accounts."""


class LedgerTables:
    """What is in one ledger's database."""

    def __init__(self, folder: Path, genesis: Genesis, connection: sqlite3.Connection) -> None:
        self.folder = folder
        self.genesis = genesis
        self._db = connection

    @property
    def is_initialised(self) -> bool:
        """Whether the state at height 0 is stored."""
        row = self._db.execute("SELECT 1 FROM meta WHERE key = 'store_version'").fetchone()
        return row is not None

    def entries(self) -> Iterator[tuple[str, Entry]]:
        """All state rows, public and private.

        Raises:
            StoreError: a row is not what its key says.
        """
        with translated(self.folder):
            rows = self._db.execute(
                "SELECT key, x'', value FROM state UNION ALL "
                "SELECT key, salt, value FROM private_state"
            )
            for key, salt, value in rows:
                namespace = NAMESPACE_BY_NAME.get(str(key).partition("/")[0])
                try:
                    if namespace is None or not isinstance(value, bytes):
                        raise CodecError("unknown namespace or type")
                    yield key, Entry(decode(namespace.wire_type, value), salt, -1)
                except CodecError as error:
                    raise StoreError(f"{self.folder}: state row {key!r}: {error}") from error

    def state_rows(self, state: str = "state") -> dict[str, tuple[str, bytes, bytes]]:
        """Raw state rows by key: (table, salt, value), for an auditor who trusts bytes only.

        Args:
            state: `state` as it is, or `base_state` as it was at the base.
        """
        rows: dict[str, tuple[str, bytes, bytes]] = {}
        private = f"private_{state}"
        with translated(self.folder):
            for key, value in self._db.execute(f"SELECT key, value FROM {state}"):  # noqa: S608
                rows[key] = (state, b"", value)
            query = f"SELECT key, salt, value FROM {private}"  # noqa: S608
            for key, salt, value in self._db.execute(query):
                if key in rows:
                    raise StoreError(f"{self.folder}: state row {key!r} is there twice")
                rows[key] = (private, salt, value)
        return rows

    def first_rows(self) -> dict[str, bytes]:
        """What public checks start from when the first block here is not block 1, by key.

        Parties, meters, endorsements, and claims without their payloads, as they stood before it.
        """
        with translated(self.folder):
            return dict(self._db.execute("SELECT key, value FROM first_state").fetchall())

    def base(self) -> Base | None:
        """Where execution starts; None when it starts at genesis.

        Raises:
            StoreError: there is more than one base.
        """
        with translated(self.folder):
            rows = self._db.execute("SELECT height, first, record, kept FROM base").fetchall()
        if len(rows) > 1:
            raise StoreError(f"{self.folder}: {len(rows)} rows say where execution starts")
        return Base(*rows[0]) if rows else None

    def height(self) -> int:
        """Height of the last block; 0 before the first."""
        with translated(self.folder):
            row = self._db.execute("SELECT max(height) FROM blocks").fetchone()
        return row[0] or 0

    def record_bytes(self, height: int) -> bytes | None:
        """Canonical bytes of a block's record."""
        with translated(self.folder):
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
            held = [Problem("height", f"{height} is no block of the {self.height()} here")]
            raise InputError(held)
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
        with translated(self.folder):
            return [
                StoredTransaction(*row)
                for row in self._db.execute(
                    f"{_TRANSACTIONS} WHERE t.height = ? ORDER BY t.seq", (height,)
                )
            ]

    def all_transactions(self) -> Iterator[StoredTransaction]:
        """The transactions of all blocks in order."""
        with translated(self.folder):
            for row in self._db.execute(f"{_TRANSACTIONS} ORDER BY t.seq"):
                yield StoredTransaction(*row)

    def find_transaction(self, transaction_id: bytes) -> tuple[int, Receipt] | None:
        """Height and receipt of a transaction that is in a block."""
        with translated(self.folder):
            row = self._db.execute(
                "SELECT height, id, verdict, postings_hash FROM transactions "
                "WHERE id = ? ORDER BY seq LIMIT 1",
                (transaction_id,),
            ).fetchone()
        return None if row is None else (row[0], Receipt(row[1], row[2], row[3]))

    def events(self, height: int) -> list[tuple[str, int]]:
        """(subject, verdict) of the claims that the barriers of a block decided."""
        with translated(self.folder):
            return self._db.execute(
                "SELECT subject, verdict FROM events WHERE height = ? ORDER BY seq", (height,)
            ).fetchall()

    def documents(self, series: str) -> list[Document]:
        """The personal records of one series, a bill's lines for instance, in order."""
        with translated(self.folder):
            return [
                Document(owner, series, index, salt, data)
                for index, owner, salt, data in self._db.execute(
                    "SELECT idx, owner, salt, data FROM private_documents "
                    "WHERE series = ? ORDER BY idx",
                    (series,),
                )
            ]

    def document_owners(self) -> Iterator[StoredDocument]:
        """Every personal record beside the state, without its content."""
        with translated(self.folder):
            query = "SELECT series, idx, owner FROM private_documents ORDER BY series, idx"
            for row in self._db.execute(query):
                yield StoredDocument(*row)

    def event_verdict(self, subject: str) -> int | None:
        """What became of a claim; None while it waits, or when it was decided elsewhere."""
        with translated(self.folder):
            query = "SELECT verdict FROM events WHERE subject = ?"
            row = self._db.execute(query, (subject,)).fetchone()
        return None if row is None else row[0]

    def annual_totals(self, participant: str) -> dict[str, dict[LineKind, int]]:
        """Year -> kind of line -> nano-currency, of a participant that was forgotten."""
        with translated(self.folder):
            query = "SELECT * FROM annual_totals WHERE participant = ? ORDER BY year"
            return {
                year: dict(zip(TOTALS, amounts, strict=True))
                for _, year, *amounts in self._db.execute(query, (participant,))
            }

    def events_until(self, height: int) -> int:
        """How many events blocks up to this height have."""
        with translated(self.folder):
            query = "SELECT count(*) FROM events WHERE height <= ?"
            return int(self._db.execute(query, (height,)).fetchone()[0])

    def closed_documents(self) -> int:
        """How many personal records are left of accounts that were closed before the base."""
        with translated(self.folder):
            query = "SELECT count(*) FROM private_documents WHERE owner IN "
            query += f"({_CLOSED})"
            return int(self._db.execute(query).fetchone()[0])

    def kept_hash(self, height: int) -> bytes:
        """What `Base.kept` says: accidents are found by it, where nothing else would tell.

        Args:
            height: of the base; its rows are in `base_state`.
        """
        digest = hashlib.sha256()
        lines = "SELECT * FROM private_documents WHERE owner IN "
        lines += f"({_CLOSED}) ORDER BY series, idx"
        with translated(self.folder):
            for query, values in (
                ("SELECT * FROM events WHERE height <= ? ORDER BY seq", (height,)),
                ("SELECT * FROM annual_totals ORDER BY participant, year", ()),
                ("SELECT * FROM first_state ORDER BY key", ()),
                (lines, ()),
            ):
                for row in self._db.execute(query, values):
                    digest.update(msgspec.msgpack.encode(row))
        return digest.digest()

    def counts(self) -> dict[str, int]:
        """Rows per table, so that an auditor notices surplus ones."""
        tables = (
            "blocks",
            "transactions",
            "events",
            "private_payloads",
            "private_documents",
            "base_state",
            "private_base_state",
            "first_state",
            "annual_totals",
        )
        with translated(self.folder):
            return {
                table: self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
                for table in tables
            }

    def damage(self) -> list[str]:
        """What is wrong with the database as such, whatever its rows say; empty when nothing is."""
        with translated(self.folder):
            return damage_of(self._db)

    def sizes(self) -> dict[str, int]:
        """Bytes of envelopes, of payloads, and of the folder."""
        with translated(self.folder):
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
        with translated(self.folder):
            self._db.execute("BEGIN")
        try:
            yield
        finally:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")


@contextlib.contextmanager
def translated(folder: Path) -> Iterator[None]:
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
