"""What Raft nodes decide and say to each other beside the protocol's own messages."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gridpact.codec import CodecError, Hash, Natural, Wire, decode, encode
from gridpact.consensus.raft.messages import PAYLOAD_MAX
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal

BLOCK_BYTES_MAX = PAYLOAD_MAX - 1024
"""Envelopes and payloads of one block, so that it fits one entry of the log."""
ITEM_BYTES = 16
"""What an envelope and its payload take beyond their own bytes, at most."""
Item = tuple[bytes, bytes]
"""(envelope, sealed payload)"""


class Block(Wire, frozen=True):
    """A proposal with all payloads: who has it lacks nothing to execute it."""

    height: Natural
    time_s: Natural
    parent: Hash
    items: list[Item]


class Point(Wire, frozen=True):
    """A place in the ledger: what the log's snapshots hold, since the ledger itself is durable."""

    height: Natural
    record: Hash


class Offered(Wire, frozen=True):
    """Transactions for the leader's pool."""

    items: list[Item]


class ReadAsked(Wire, frozen=True):
    """How far must one have executed to read what is decided now?"""

    token: Natural


class ReadAnswered(Wire, frozen=True):
    """This far."""

    token: Natural
    height: Natural


class BlocksAsked(Wire, frozen=True):
    """The blocks from a height on, or a snapshot where there are too many."""

    first: Natural


class BlocksSent(Wire, frozen=True):
    """Blocks in order of height; none when the one asked for is not there."""

    blocks: list[Block]


class SnapshotBegun(Wire, frozen=True):
    """Instead of blocks there will be a snapshot, when it is taken: who asked should wait."""

    first: Natural
    """Height from which blocks were asked for."""


class SnapshotSent(Wire, frozen=True):
    """A part of a snapshot file."""

    height: Natural
    part: Natural
    parts: Natural
    data: Annotated[bytes, Meta(max_length=2**22)]


class PartAsked(Wire, frozen=True):
    """One more part of the snapshot at a height."""

    height: Natural
    part: Natural


Said = (
    Offered
    | ReadAsked
    | ReadAnswered
    | BlocksAsked
    | BlocksSent
    | SnapshotBegun
    | SnapshotSent
    | PartAsked
)
_KINDS: tuple[type[Wire], ...] = (
    Offered,
    ReadAsked,
    ReadAnswered,
    BlocksAsked,
    BlocksSent,
    SnapshotBegun,
    SnapshotSent,
    PartAsked,
)


def said_bytes(message: Wire) -> bytes:
    """A message as it goes over a link."""
    return bytes([_KINDS.index(type(message))]) + encode(message)


def read_said(data: bytes) -> Wire:
    """The message in these bytes.

    Raises:
        CodecError: no known kind, or malformed.
    """
    if not data or data[0] >= len(_KINDS):
        raise CodecError("a message of no known kind")
    return decode(_KINDS[data[0]], data[1:])


def proposal_of(block: Block) -> Proposal:
    """What the block's record names."""
    envelopes = [envelope for envelope, _ in block.items]
    return Proposal(FORMAT_VERSION, block.height, block.time_s, block.parent, envelopes)
