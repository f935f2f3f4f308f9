"""State sync: snapshots of the ledger in chunks, for a validator that begins with nothing.

A snapshot holds personal values, since whoever executes needs them. CometBFT gives chunks to every
peer that it has a connection with, so snapshots are taken only where the settings say so, and the
network has to be closed: peers by name, no exchange of addresses (`homes`, `docs/cometbft.md`).

What comes is believed only when it has the record hash that CometBFT's light client vouches for.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from gridpact.codec import encode, sha256
from gridpact.contracts import Application
from gridpact.errors import InputError
from gridpact.files import write_durably
from gridpact.ledger.snapshots import snapshot_bytes, snapshot_of
from gridpact.node.base_state import line_count
from gridpact.node.cometbft import messages as abci
from gridpact.node.snapshot import restore_ledger
from gridpact.node.store import LedgerStore
from gridpact.node.tables import NAMESPACE_BY_NAME

FORMAT = 1
CHUNK_BYTES = 4 * 2**20
CHUNKS_MAX = 4096
KEPT = 3
"""Newest snapshots on the disk; CometBFT needs two blocks above the one that it takes."""
_HASH_BYTES = 32

_log = structlog.get_logger(__name__)


class Snapshots:
    """Snapshots in a folder: taking and giving them, and beginning with one."""

    def __init__(self, folder: Path, every: int, restored: Callable[[Path, int], None]) -> None:
        """Give and take snapshots.

        Args:
            folder: of the snapshots.
            every: after how many blocks of the ledger one is taken; 0: never.
            restored: told the folder of the new ledger and the height of CometBFT.
        """
        self._folder = folder
        self._every = every
        self._restored = restored
        self._wanted: abci.RequestOfferSnapshot | None = None
        self._chunks: list[bytes] = []

    def after_block(self, application: Application, store: LedgerStore, height: int) -> None:
        """Take one if it is time, and drop the oldest."""
        if not self._every or application.height % self._every:
            return
        entries = dict(application.state.entries)
        documents = [
            document
            for key, entry in entries.items()
            if line_count(entry.value)
            for document in store.documents(key)
        ]
        snapshot = snapshot_of(
            genesis=encode(store.genesis),
            record=store.record(application.height),
            entries=entries,
            documents=documents,
            namespaces=NAMESPACE_BY_NAME,
        )
        self._folder.mkdir(exist_ok=True, mode=0o700)
        write_durably(self._path(height), snapshot_bytes(snapshot))
        for old in self._heights()[:-KEPT]:
            self._path(old).unlink(missing_ok=True)

    def on_offer(self) -> abci.ResponseListSnapshots:
        """What peers may have."""
        return abci.ResponseListSnapshots(tuple(self._described(h) for h in self._heights()))

    def chunk(self, request: abci.RequestLoadSnapshotChunk) -> abci.ResponseLoadSnapshotChunk:
        """A part of one; nothing when it is not there."""
        path = self._path(request.height)
        if request.format != FORMAT or request.chunk >= CHUNKS_MAX or not path.is_file():
            return abci.ResponseLoadSnapshotChunk()
        with path.open("rb") as file:
            file.seek(request.chunk * CHUNK_BYTES)
            return abci.ResponseLoadSnapshotChunk(file.read(CHUNK_BYTES))

    def offer(self, request: abci.RequestOfferSnapshot, store: LedgerStore) -> abci.ResponseResult:
        """Whether to begin with this one; only an empty ledger can."""
        snapshot = request.snapshot
        if store.height():
            return abci.ResponseResult(abci.ABORT)
        if snapshot.format != FORMAT:
            return abci.ResponseResult(abci.REJECT_FORMAT)
        if (
            not 1 <= snapshot.chunks <= CHUNKS_MAX
            or len(snapshot.metadata) != snapshot.chunks * _HASH_BYTES
            or len(request.app_hash) != _HASH_BYTES
        ):
            return abci.ResponseResult(abci.REJECT_SNAPSHOT)
        self._wanted, self._chunks = request, []
        return abci.ResponseResult(abci.ACCEPT)

    def apply(
        self, request: abci.RequestApplySnapshotChunk, store: LedgerStore
    ) -> abci.ResponseApplySnapshotChunk:
        """Take the next chunk; with the last one, check everything and begin with it."""
        wanted = self._wanted
        if wanted is None or request.index != len(self._chunks):
            return abci.ResponseApplySnapshotChunk(abci.ABORT)
        at = request.index * _HASH_BYTES
        if sha256(request.chunk) != wanted.snapshot.metadata[at : at + _HASH_BYTES]:
            _log.warning("snapshot chunk damaged", index=request.index, sender=request.sender)
            again, senders = (request.index,), (request.sender,) if request.sender else ()
            return abci.ResponseApplySnapshotChunk(abci.RETRY_CHUNK, again, senders)
        self._chunks.append(request.chunk)
        if len(self._chunks) < wanted.snapshot.chunks:
            return abci.ResponseApplySnapshotChunk(abci.ACCEPT)
        self._wanted = None
        folder = self._folder.with_name(f"{store.folder.name}.restored")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            restore_ledger(
                b"".join(self._chunks),
                folder,
                where=f"snapshot {wanted.snapshot.height} of {request.sender}",
                genesis=store.genesis,
                root=wanted.app_hash.hex(),
            )
        except InputError as error:
            _log.warning("snapshot rejected", reason=str(error))
            return abci.ResponseApplySnapshotChunk(abci.REJECT_APPLIED)
        finally:
            self._chunks = []
        self._restored(folder, wanted.snapshot.height)
        return abci.ResponseApplySnapshotChunk(abci.ACCEPT)

    def _path(self, height: int) -> Path:
        return self._folder / f"{height}.snapshot"

    def _heights(self) -> list[int]:
        found = self._folder.glob("*.snapshot") if self._every else ()
        return sorted(int(path.stem) for path in found if path.stem.isdigit())

    def _described(self, height: int) -> abci.Snapshot:
        data = self._path(height).read_bytes()
        hashes = [sha256(data[at : at + CHUNK_BYTES]) for at in range(0, len(data), CHUNK_BYTES)]
        return abci.Snapshot(height, FORMAT, len(hashes), sha256(data), b"".join(hashes))
