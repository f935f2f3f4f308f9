"""What lies beside the blocks of CometBFT: payloads that are in no block yet, and heights.

Payloads arrive before their envelopes are decided. They wait in memory, bounded; before this node
votes for a block those of the block are made durable here, and once the block is in the ledger,
which keeps them, they go.

CometBFT counts empty blocks, the ledger does not (ADR 026). The height at which CometBFT was is
therefore written here before the ledger moves on: a crash between the two leaves a row that nobody
asks for, since the ledger says which of its heights is the last.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from gridpact.errors import invariant
from gridpact.node.tables import translated

WAITING_MAX = 100_000
WAITING_BYTES_MAX = 256 * 2**20
"""Payloads in memory; what does not fit is fetched when a block names it."""
Item = tuple[bytes, bytes]
"""(envelope, payload)"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS payloads (
  id BLOB PRIMARY KEY, envelope BLOB NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heights (ledger INTEGER PRIMARY KEY, cometbft INTEGER NOT NULL);
"""


class Payloads:
    """Payloads by transaction id, and the heights of CometBFT by those of the ledger."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: dict[bytes, Item] = {}
        self._waiting_bytes = 0
        self._durable: set[bytes] = set()
        self._done: list[bytes] = []
        """Ids whose rows go with the next write."""
        with translated(path):
            self._db = sqlite3.connect(path, isolation_level=None, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            for transaction_id, *item in self._db.execute("SELECT * FROM payloads"):
                self.take(transaction_id, *item)
                self._durable.add(transaction_id)

    def close(self) -> None:
        """Give the file free."""
        self._db.close()

    def has_room(self, size: int) -> bool:
        """Whether one more of this many bytes may wait."""
        waiting = self._waiting_bytes + size
        return len(self._waiting) < WAITING_MAX and waiting <= WAITING_BYTES_MAX

    def take(self, transaction_id: bytes, envelope: bytes, sealed: bytes) -> None:
        """Keep a payload in memory."""
        if transaction_id in self._waiting:
            return
        self._waiting[transaction_id] = (envelope, sealed)
        self._waiting_bytes += len(sealed)

    def get(self, transaction_id: bytes) -> Item | None:
        """The payload with its envelope, if it waits here."""
        return self._waiting.get(transaction_id)

    def keep(self, ids: Iterable[bytes], ledger: int, cometbft: int) -> None:
        """Make those of these that wait here durable, and the height that the ledger will have.

        Raises:
            StoreError: disk full or damaged; nothing was changed.
        """
        new = [
            (key, *self._waiting[key])
            for key in ids
            if key in self._waiting and key not in self._durable
        ]
        if new or self.cometbft_height(ledger) != cometbft:
            self._write(new, ledger, cometbft)
            self._durable.update(row[0] for row in new)

    def cometbft_height(self, ledger: int) -> int | None:
        """Where CometBFT was when the ledger got to this height, or since."""
        with translated(self._path):
            query = "SELECT cometbft FROM heights WHERE ledger = ?"
            row = self._db.execute(query, (ledger,)).fetchone()
        return None if row is None else int(row[0])

    def drop(self, ids: Iterable[bytes]) -> None:
        """These are in the ledger, or will never be: forget them."""
        for transaction_id in ids:
            _, sealed = self._waiting.pop(transaction_id, (b"", b""))
            self._waiting_bytes -= len(sealed)
            if transaction_id in self._durable:
                self._durable.remove(transaction_id)
                self._done.append(transaction_id)
        invariant(self._waiting_bytes >= 0, "fewer than no bytes of payloads wait")

    def _write(self, new: list[tuple[bytes, bytes, bytes]], ledger: int, cometbft: int) -> None:
        with translated(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(
                    "DELETE FROM payloads WHERE id = ?", [(key,) for key in self._done]
                )
                self._db.executemany("REPLACE INTO payloads VALUES (?, ?, ?)", new)
                self._db.execute("DELETE FROM heights WHERE ledger < ?", (ledger - 1,))
                self._db.execute("REPLACE INTO heights VALUES (?, ?)", (ledger, cometbft))
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        self._done.clear()
