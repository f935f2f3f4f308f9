"""The state at one height as a file: whoever has it needs no block before that height.

The public part is the same to the byte on every replica: the record, public values, and for
personal values their commitments. The private part opens those commitments. Everything read is
believed only as far as the record's market root carries; whether the record is the right one is
for the reader to know from elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from gridpact.codec import CodecError, Hash, Natural, Wire, decode, encode, sha256
from gridpact.errors import GridpactError
from gridpact.ledger.blocks import Record
from gridpact.ledger.envelope import SALT_BYTES
from gridpact.ledger.state import Document, Entry, Namespace, Privacy
from gridpact.ledger.statemap import StateMap

SNAPSHOT_VERSION = 1
_MAGIC = b"gridpact snapshot\n"
_LENGTH_BYTES = 8
_HASH_BYTES = 32


class SnapshotError(GridpactError):
    """The file is no snapshot, or not one of what it says."""


class PublicPart(Wire, frozen=True):
    """What everybody may see; equal on all replicas at the same height."""

    version: Natural
    genesis: Hash
    """Name of the chain."""
    height: Natural
    record: Record
    """Of the block after which the state was this one."""
    values: list[tuple[str, bytes]]
    """(key, canonical value) of public entries, by key."""
    commitments: list[tuple[str, Hash]]
    """(key, sha256(salt || value)) of personal entries, by key."""


class Opening(Wire, frozen=True):
    """A personal value with its salt."""

    key: str
    salt: Annotated[bytes, Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]
    value: bytes


class KeptDocument(Wire, frozen=True):
    """A personal record beside the state, such as a bill line."""

    owner: str
    series: str
    index: Natural
    salt: bytes
    data: bytes


class PrivatePart(Wire, frozen=True):
    """What only those who execute may see."""

    openings: list[Opening]
    """By key; one for each commitment."""
    documents: list[KeptDocument]
    """By series and index."""


class Snapshot(Wire, frozen=True):
    """A whole snapshot, with the genesis that its chain started from."""

    genesis: bytes
    """Canonical bytes of the genesis."""
    public: PublicPart
    private: PrivatePart


def snapshot_of(
    *,
    genesis: bytes,
    record: Record,
    entries: Mapping[str, Entry],
    documents: list[Document],
    namespaces: Mapping[str, Namespace],
) -> Snapshot:
    """The snapshot of a state.

    Args:
        genesis: canonical bytes of the genesis.
        record: of the block that the state belongs to.
        entries: all of it.
        documents: the personal records that its values commit to.
        namespaces: what is public, by name.
    """
    values: list[tuple[str, bytes]] = []
    commitments: list[tuple[str, bytes]] = []
    openings: list[Opening] = []
    for key in sorted(entries):
        entry = entries[key]
        if namespaces[key.partition("/")[0]].privacy is Privacy.PUBLIC:
            values.append((key, encode(entry.value)))
        else:
            commitments.append((key, entry.content()))
            openings.append(Opening(key, entry.salt, encode(entry.value)))
    kept = [KeptDocument(d.owner, d.series, d.index, d.salt, d.data) for d in documents]
    kept.sort(key=lambda document: (document.series, document.index))
    public = PublicPart(
        SNAPSHOT_VERSION, record.genesis, record.height, record, values, commitments
    )
    return Snapshot(genesis, public, PrivatePart(openings, kept))


def snapshot_bytes(snapshot: Snapshot) -> bytes:
    """The file: a first line, the length and the SHA-256 of the rest, the rest."""
    body = encode(snapshot)
    return _MAGIC + len(body).to_bytes(_LENGTH_BYTES, "big") + sha256(body) + body


def read_snapshot(data: bytes) -> Snapshot:
    """A snapshot from its file.

    Raises:
        SnapshotError: not a snapshot, cut off, changed, or of a version we do not speak.
    """
    start = len(_MAGIC) + _LENGTH_BYTES + _HASH_BYTES
    if not data.startswith(_MAGIC):
        raise SnapshotError("not a gridpact snapshot")
    length = int.from_bytes(data[len(_MAGIC) : len(_MAGIC) + _LENGTH_BYTES], "big")
    body = data[start:]
    if len(data) < start or len(body) != length:
        raise SnapshotError(f"cut off or damaged: {len(body)} bytes where it names {length}")
    if sha256(body) != data[start - _HASH_BYTES : start]:
        raise SnapshotError("damaged: its content does not have the hash that it names")
    try:
        snapshot = decode(Snapshot, body)
    except CodecError as error:
        raise SnapshotError(f"malformed: {error}") from error
    if snapshot.public.version != SNAPSHOT_VERSION:
        raise SnapshotError(
            f"snapshot version {snapshot.public.version} is not {SNAPSHOT_VERSION}; "
            "use the matching gridpact release"
        )
    return snapshot


def opened_entries(snapshot: Snapshot, namespaces: Mapping[str, Namespace]) -> dict[str, Entry]:
    """All entries of a snapshot, once they have the root that its record names.

    Raises:
        SnapshotError: a value that its key does not allow, a commitment without the value that
            opens it, or another root than the record's.
    """
    public, record = snapshot.public, snapshot.public.record
    if (public.genesis, public.height) != (record.genesis, record.height):
        raise SnapshotError("its head and its block record are of different chains or heights")
    if record.state_root != sha256(record.market_root + record.engine_root):
        raise SnapshotError("the record's state root is not that of its two roots")
    openings = snapshot.private.openings
    if [opening.key for opening in openings] != [key for key, _ in public.commitments]:
        raise SnapshotError("its private part does not open just the commitments of its public one")
    entries: dict[str, Entry] = {}
    rows = [(key, b"", value) for key, value in public.values]
    rows += [(opening.key, opening.salt, opening.value) for opening in openings]
    for key, salt, value in rows:
        if key in entries:
            raise SnapshotError(f"{key!r} is there twice")
        entries[key] = entry_of(namespaces, key, salt, value)
    for key, commitment in public.commitments:
        if entries[key].content() != commitment:
            raise SnapshotError(f"{key!r} is not what its commitment says")
    if root_of(entries) != record.market_root:
        raise SnapshotError(f"its values do not have the root of block {record.height}")
    return entries


def entry_of(namespaces: Mapping[str, Namespace], key: str, salt: bytes, value: bytes) -> Entry:
    """A stored entry, read as its key demands.

    Raises:
        SnapshotError: no such kind of key, a public value with a salt or a personal one without,
            or bytes that are not the value's.
    """
    namespace = namespaces.get(key.partition("/")[0])
    if namespace is None:
        raise SnapshotError(f"{key!r} is no kind of key that this release knows")
    if len(salt) != (0 if namespace.privacy is Privacy.PUBLIC else SALT_BYTES):
        raise SnapshotError(f"{key!r} has a salt of {len(salt)} bytes")
    try:
        return Entry(decode(namespace.wire_type, value), salt, -1)
    except CodecError as error:
        raise SnapshotError(f"{key!r}: {error}") from error


def root_of(entries: Mapping[str, Entry]) -> bytes:
    """The market state root over these entries."""
    contents = {key.encode(): entry.content() for key, entry in entries.items()}
    return StateMap.empty().updated(contents).root
