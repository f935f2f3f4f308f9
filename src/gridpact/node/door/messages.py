"""What goes through a node's door: requests with a number, and the answers to them.

Four bytes of length, then a MessagePack array. The socket belongs to whoever runs the node, so
nobody needs to show who it is; transactions are signed anyway.
"""

from __future__ import annotations

import asyncio

import msgspec

from gridpact.errors import GridpactError

MESSAGE_BYTES_MAX = 16 * 2**20


class DoorError(GridpactError):
    """A node that cannot be reached, or that could not answer."""


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    number: int
    """Of the request."""


class Submit(_Message, frozen=True, tag=1):
    """Transactions, as (envelope, sealed payload)."""

    items: list[tuple[bytes, bytes]]


class Receipts(_Message, frozen=True, tag=2):
    """What became of these."""

    ids: list[bytes]


class Values(_Message, frozen=True, tag=3):
    """State values."""

    keys: list[str]


class Query(_Message, frozen=True, tag=4):
    """A state entry with its proof."""

    key: str


class Status(_Message, frozen=True, tag=5):
    """How is the node?"""


Request = Submit | Receipts | Values | Query | Status


class Verdicts(_Message, frozen=True, tag=11):
    """What each transaction was told at the door."""

    verdicts: list[int]


class Outcomes(_Message, frozen=True, tag=12):
    """(verdict, postings hash) of each; None in place of the hash for one in no block."""

    outcomes: list[tuple[int, bytes | None]]


class Found(_Message, frozen=True, tag=13):
    """Canonical values; None where there is none."""

    values: list[bytes | None]


class Proved(_Message, frozen=True, tag=14):
    """Record, entry as (salt, value), and proof, each in canonical bytes."""

    record: bytes
    entry: tuple[bytes, bytes] | None
    proof: bytes


class NodeStatus(_Message, frozen=True, tag=15):
    """How a node is."""

    name: str
    engine: str
    genesis: bytes
    height: int
    """Of its ledger."""
    record: bytes
    """Hash of its last record."""
    market_root: bytes
    leader: str
    """Empty: none known, or the engine has none."""
    term: int
    waiting: int
    """Transactions that it has taken in and not answered."""


class Failed(_Message, frozen=True, tag=16):
    """No answer, and why."""

    where: str
    """What is wrong with the request; empty when nothing is."""
    text: str


Answer = Verdicts | Outcomes | Found | Proved | NodeStatus | Failed
_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)


def framed(message: _Message) -> bytes:
    """The bytes of a message.

    Raises:
        DoorError: too large to be taken at the other end.
    """
    body = _encoder.encode(message)
    _check_size(len(body))
    return len(body).to_bytes(4, "big") + body


async def _read(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    _check_size(size)
    return await reader.readexactly(size)


def _check_size(size: int) -> None:
    if size > MESSAGE_BYTES_MAX:
        raise DoorError(f"a message of {size} bytes; at most {MESSAGE_BYTES_MAX} are taken")


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request.

    Raises:
        DoorError: oversized or malformed.
        asyncio.IncompleteReadError: the other end is gone.
    """
    try:
        return _requests.decode(await _read(reader))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DoorError(f"not a request: {error}") from error


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """The next answer; raises as `read_request`."""
    try:
        return _answers.decode(await _read(reader))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise DoorError(f"not an answer: {error}") from error
