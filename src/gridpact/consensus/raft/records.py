"""What a Raft replica makes durable, and how it begins again from that.

Records are written in order to a log that a crash cuts anywhere; the host's log drops a torn last
record, so what is read here is a prefix of what was written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec
from msgspec import Meta

from gridpact.consensus.configuration import Configuration
from gridpact.consensus.raft.messages import Entry, Number
from gridpact.errors import invariant


class Vote(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, tag=1
):
    """The term, and who got the vote in it."""

    term: Number
    voted_for: str
    """Empty: nobody yet."""


class Entries(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, tag=2
):
    """Entries from an index on; whatever stood there and after it is gone."""

    first: Annotated[int, Meta(ge=1)]
    entries: list[Entry]


class Snapshot(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, tag=3
):
    """Takes the place of all entries up to an index."""

    index: Number
    term: Number
    configuration: Configuration
    data: bytes
    keeps_rest: bool
    """Whether the entries after the index stay."""


RaftRecord = Vote | Entries | Snapshot
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(RaftRecord)


def record_bytes(record: RaftRecord) -> bytes:
    """A record as it is written."""
    return _encoder.encode(record)


@dataclass(slots=True)
class Stored:
    """What a replica knows when it begins."""

    snapshot: Snapshot
    """With index 0 at the very start: then it only holds the first configuration."""
    term: int = 0
    voted_for: str = ""
    entries: list[Entry] = field(default_factory=list)


def first_start(configuration: Configuration) -> Stored:
    """Of a replica that has never run."""
    return Stored(Snapshot(0, 0, configuration, b"", keeps_rest=False))


def recover(configuration: Configuration, records: Iterable[bytes]) -> Stored:
    """What a replica knows after these records.

    Args:
        configuration: of the chain's start.
        records: all that is durable, in order.
    """
    stored = first_start(configuration)
    for data in records:
        record = _decoder.decode(data)
        if isinstance(record, Vote):
            stored.term, stored.voted_for = record.term, record.voted_for
        elif isinstance(record, Entries):
            kept = record.first - stored.snapshot.index - 1
            invariant(0 <= kept <= len(stored.entries), "entries follow what is there")
            stored.entries[kept:] = record.entries
        else:
            passed = record.index - stored.snapshot.index
            stored.entries = stored.entries[passed:] if record.keeps_rest else []
            stored.snapshot = record
    return stored
