"""Taking a snapshot of a ledger, and beginning a new ledger folder with one."""

from __future__ import annotations

from pathlib import Path

from gridpact.codec import CodecError, decode, encode
from gridpact.contracts.genesis import Genesis, genesis_from_json, genesis_hash, genesis_to_json
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger import Document, Entry
from gridpact.ledger.blocks import Record, record_hash
from gridpact.ledger.snapshots import (
    Snapshot,
    SnapshotError,
    opened_entries,
    read_snapshot,
    root_of,
    snapshot_bytes,
    snapshot_of,
)
from gridpact.node.base_state import check_lines, line_count
from gridpact.node.history import first_state_of
from gridpact.node.store import LedgerStore
from gridpact.node.tables import NAMESPACE_BY_NAME


def snapshot_ledger(folder: Path) -> tuple[bytes, Record]:
    """A snapshot of a ledger as it is now, private part included.

    Returns:
        The file's bytes, and the record of the block that it belongs to.
    Raises:
        InputError: no ledger there, or one without a block.
        StoreError: the stored state does not have the record's root.
    """
    store = LedgerStore.open(folder, writable=False)
    try:
        with store.one_moment():
            tip = store.tip()
            if tip is None:
                raise InputError([Problem(str(folder), "has no block yet; nothing to take")])
            record = store.record(tip[0])
            entries = dict(store.entries())
            documents = [
                document
                for key, entry in entries.items()
                if line_count(entry.value)
                for document in store.documents(key)
            ]
    finally:
        store.close()
    if root_of(entries) != record.market_root:
        raise StoreError(f"{folder}: the stored state is damaged; run `gridpact audit {folder}`")
    snapshot = snapshot_of(
        genesis=encode(store.genesis),
        record=record,
        entries=entries,
        documents=documents,
        namespaces=NAMESPACE_BY_NAME,
    )
    return snapshot_bytes(snapshot), record


def restore_ledger(
    data: bytes, folder: Path, *, where: str, genesis: Genesis | None = None, root: str = ""
) -> Record:
    """Begin a ledger folder with a snapshot. Nothing is written before everything has been checked.

    Args:
        data: the snapshot's file.
        folder: empty or absent; there as a whole or not at all.
        where: name of the file, for people.
        genesis: what the chain must have started from; any when None.
        root: hash of the block's record in hexadecimal, from a source that the reader trusts; any
            when empty.
    Returns:
        The record of the block that the ledger goes on from.
    Raises:
        InputError: the snapshot is damaged, cut off, of another chain or block, or the folder is
            not empty.
        StoreError: the folder cannot be written.
    """
    try:
        snapshot = read_snapshot(data)
        own = _genesis_of(snapshot, where)
        entries = opened_entries(snapshot, NAMESPACE_BY_NAME)
    except SnapshotError as error:
        raise InputError([Problem(where, str(error))]) from error
    record = snapshot.public.record
    documents = [
        Document(kept.owner, kept.series, kept.index, kept.salt, kept.data)
        for kept in snapshot.private.documents
    ]
    problems = [Problem(where, text) for text in _wrong_lines(entries, documents)]
    if genesis is not None and genesis_hash(genesis) != record.genesis:
        text = f"is of the chain {record.genesis.hex()}, not of {genesis_hash(genesis).hex()}"
        problems.append(Problem(where, text))
    if root and record_hash(record).hex() != root.lower():
        text = f"is of the record {record_hash(record).hex()}, not of {root.lower()}"
        problems.append(Problem(where, text))
    if problems:
        raise InputError(problems)
    store = LedgerStore.restored(folder, own, record, entries, documents, first_state_of(entries))
    store.close()
    return record


def _genesis_of(snapshot: Snapshot, where: str) -> Genesis:
    """The genesis inside a snapshot.

    Raises:
        SnapshotError: it is none, or not the one that the chain is named after.
        InputError: it is of a version that this release does not speak.
    """
    try:
        genesis = decode(Genesis, snapshot.genesis)
    except CodecError as error:
        raise SnapshotError(f"its genesis is malformed: {error}") from error
    if genesis_hash(genesis) != snapshot.public.genesis:
        raise SnapshotError("its genesis is not the one that its chain is named after")
    return genesis_from_json(genesis_to_json(genesis), where)


def _wrong_lines(entries: dict[str, Entry], documents: list[Document]) -> list[str]:
    """What is wrong with the lines of bills and credit notes."""
    by_series: dict[str, list[Document]] = {}
    for document in documents:
        by_series.setdefault(document.series, []).append(document)
    found = [
        f"lines of {series!r}, which is not in the state"
        for series in sorted(by_series.keys() - entries.keys())
    ]
    for key, entry in entries.items():
        if line_count(entry.value) or key in by_series:
            found += check_lines(key, entry.value, by_series.get(key, []))
    return found
