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
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from gridpact.codec import encode
from gridpact.contracts import BlockResult, Candidate, Unreadable
from gridpact.contracts.genesis import Genesis, genesis_from_json, genesis_to_json
from gridpact.errors import InputError, Problem, StoreError
from gridpact.files import sync_folder, write_durably
from gridpact.ledger import Document, Entry, Privacy
from gridpact.ledger.blocks import Proposal, Record, record_hash
from gridpact.model import LineKind
from gridpact.node.schema import SCHEMA, STORE_VERSION
from gridpact.node.tables import NAMESPACE_BY_NAME, TOTALS, LedgerTables, translated

DATABASE = "ledger.sqlite"
GENESIS = "genesis.json"
LOCK = "lock"
CACHE_KIB = 32_768
"""Pages that a writer keeps: hashes and keys fall anywhere in their indexes, and a year of them
does not fit SQLite's own 2 MB."""
CHECKPOINT_PAGES = 8_000
"""Of the log before it is written back: the same index page changes in many blocks."""
WIPE_WAITS_MS = 2_000
"""How long old bytes wait for readers to end before somebody is asked to end them."""


class Forgetting(msgspec.Struct, frozen=True):
    """What goes when a participant is forgotten."""

    participant: str
    payloads: list[int]
    """Numbers of the transactions whose payloads go."""
    totals: dict[str, dict[LineKind, int]]
    """Year -> kind of line -> nano-currency: what stays of its bills."""


class LedgerStore(LedgerTables):
    """One ledger on disk. A writer holds the folder's lock; readers need none."""

    def __init__(self, folder: Path, genesis: Genesis, connection: sqlite3.Connection) -> None:
        super().__init__(folder, genesis, connection)
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
        return cls._built(folder, genesis, lambda _: None)

    @classmethod
    def restored(
        cls,
        folder: Path,
        genesis: Genesis,
        record: Record,
        entries: Mapping[str, Entry],
        documents: Sequence[Document],
        first_state: Mapping[str, Entry],
    ) -> LedgerStore:
        """A new ledger that goes on from a snapshot; refusals as those of `create`.

        Args:
            folder: empty or absent.
            genesis: of the chain.
            record: of the block that the state belongs to.
            entries: the state.
            documents: what its values commit to.
            first_state: see `first_rows`.
        """

        def fill(store: LedgerStore) -> None:
            with store._transaction():
                store._fill(record, entries, documents, first_state)

        return cls._built(folder, genesis, fill)

    def _fill(
        self,
        record: Record,
        entries: Mapping[str, Entry],
        documents: Sequence[Document],
        first_state: Mapping[str, Entry],
    ) -> None:
        self._save_entries(dict(entries))
        self._save_documents(documents)
        self._db.execute("INSERT INTO blocks VALUES (?, ?)", (record.height, encode(record)))
        self._db.executemany(
            "INSERT INTO first_state VALUES (?, ?)",
            [(key, encode(entry.value)) for key, entry in first_state.items()],
        )
        self._set_base(record.height, record.height + 1, record_hash(record))
        self._db.execute("INSERT INTO meta VALUES ('store_version', ?)", (STORE_VERSION,))

    @classmethod
    def _built(
        cls, folder: Path, genesis: Genesis, fill: Callable[[LedgerStore], None]
    ) -> LedgerStore:
        with translated(folder):
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InputError([Problem(str(folder), "is not empty; choose a new folder")])
            aside = folder.with_name(f".{folder.name}.new")
            if aside.exists():
                shutil.rmtree(aside)
            aside.mkdir(parents=True)
            write_durably(aside / GENESIS, genesis_to_json(genesis))
            connection = _connect(aside / DATABASE, "rwc")
            connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
            fill(cls(aside, genesis, connection))
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
        with translated(folder):
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
            version = None if found is None else found[0]
            text = (
                f"store version {version} is not {STORE_VERSION}; use the matching gridpact release"
            )
            raise InputError([Problem(str(self.folder), text)])
        last = self._db.execute("SELECT max(seq) FROM transactions").fetchone()[0]
        self._next_seq = (last or 0) + 1

    def close(self) -> None:
        """Give the folder free."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def save_initial(self, entries: dict[str, Entry | None]) -> None:
        """Store the state at height 0."""
        with translated(self.folder), self._transaction():
            self._save_entries(entries)
            self._db.execute("INSERT INTO meta VALUES ('store_version', ?)", (STORE_VERSION,))

    def save_block(
        self,
        proposal: Proposal,
        candidates: Sequence[Candidate | Unreadable],
        result: BlockResult,
    ) -> None:
        """Make one block durable, whole or not at all.

        Raises:
            StoreError: disk full, folder read-only, database damaged; nothing was changed.
        """
        height = proposal.height
        first = self._next_seq
        with translated(self.folder), self._transaction():
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
                    if isinstance(candidate, Candidate) and candidate.sealed
                ],
            )
            self._db.executemany(
                "INSERT INTO events (height, subject, verdict) VALUES (?, ?, ?)",
                [(height, event.subject, event.verdict) for event in result.events],
            )
            self._save_documents(result.documents)
            self._save_entries(result.changes)
        self._next_seq = first + len(result.receipts)

    def _save_documents(self, documents: Sequence[Document]) -> None:
        self._db.executemany(
            "INSERT INTO private_documents VALUES (?, ?, ?, ?, ?)",
            [(d.series, d.index, d.owner, d.salt, d.data) for d in documents],
        )

    def _save_entries(self, changes: dict[str, Entry | None]) -> None:
        public, private, gone = [], [], []
        for key, entry in changes.items():
            if entry is None:
                gone.append((key,))
            elif NAMESPACE_BY_NAME[key.partition("/")[0]].privacy is Privacy.PUBLIC:
                public.append((key, encode(entry.value)))
            else:
                private.append((key, entry.salt, encode(entry.value)))
        self._db.executemany("REPLACE INTO state VALUES (?, ?)", public)
        self._db.executemany("REPLACE INTO private_state VALUES (?, ?, ?)", private)
        self._db.executemany("DELETE FROM state WHERE key = ?", gone)
        self._db.executemany("DELETE FROM private_state WHERE key = ?", gone)

    def forget(self, forgetting: Forgetting, base: tuple[int, bytes]) -> None:
        """Remove a participant's rows and make the last block the base, whole or not at all.

        The bytes are gone only after `wipe`.

        Args:
            forgetting: what goes and what stays.
            base: height and record hash of the last block.
        """
        with translated(self.folder):
            self._db.execute("PRAGMA secure_delete = ON")
            with self._transaction():
                self._db.executemany(
                    "DELETE FROM private_payloads WHERE seq = ?",
                    [(seq,) for seq in forgetting.payloads],
                )
                self._db.execute(
                    "DELETE FROM private_documents WHERE owner = ?", (forgetting.participant,)
                )
                self._db.executemany(
                    "INSERT INTO annual_totals VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    [
                        (forgetting.participant, year, *(amounts[kind] for kind in TOTALS))
                        for year, amounts in sorted(forgetting.totals.items())
                    ],
                )
                before = self.base()
                self._set_base(base[0], before.first if before is not None else 1, base[1])

    def _set_base(self, height: int, first: int, record: bytes) -> None:
        """Make the state as it is the one from which execution starts."""
        for table in ("base_state", "private_base_state"):
            now = table.replace("base_", "")
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608
            self._db.execute(f"INSERT INTO {table} SELECT * FROM {now}")  # noqa: S608
        kept = self.kept_hash(height)
        self._db.execute("DELETE FROM base")
        self._db.execute("INSERT INTO base VALUES (?, ?, ?, ?)", (height, first, record, kept))

    def wipe(self) -> None:
        """Write the database anew, so that nothing of deleted rows is left in any file.

        Raises:
            StoreError: another program reads the ledger, or the disk is full.
        """
        with translated(self.folder):
            self._db.execute("PRAGMA secure_delete = ON")
            self._db.execute(f"PRAGMA busy_timeout = {WIPE_WAITS_MS}")
            self._db.execute("VACUUM")
            busy, _, _ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise StoreError(
                f"{self.folder}: another program reads this ledger, so old bytes are still in its "
                "log; close it and run the same command again"
            )

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
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return connection
