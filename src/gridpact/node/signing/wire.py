"""What a node and its signer say to each other over a Unix socket.

Each message is its length in four bytes and a MessagePack array; every request has one answer.
"""

from __future__ import annotations

import socket
import struct
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from gridpact.consensus.frames import FRAME_MAX
from gridpact.node.signing.raft_signer import Begun

VERSION = 1
MESSAGE_MAX = FRAME_MAX + 4096
"""Bytes; what is signed is no longer than a frame."""
_HEAD = struct.Struct(">I")
_CHUNK = 1 << 16

Count = Annotated[int, Meta(ge=0, le=2**62)]


class Hello(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """First of all: who asks."""

    version: int
    chain: bytes
    name: str


class Begin(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """See `RaftSigner.begin`."""

    term: Count
    voted_for: str
    last_index: Count
    index: Count


class Advance(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """See `RaftSigner.advance`."""

    term: Count
    voted_for: str
    index: Count


class Sign(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """See `RaftSigner.sign`."""

    data: bytes


Request = Hello | Begin | Advance | Sign


class Known(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The answer to `Hello`: the key in use."""

    public: bytes


class Compared(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The answer to `Begin`."""

    begun: Begun


class Advanced(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """It is durable."""


class Signed(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A signature."""

    signature: bytes


class No(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Refused; nothing has changed."""

    reason: str


Answer = Known | Compared | Advanced | Signed | No
Incoming = TypeVar("Incoming")


class Channel(Generic[Incoming]):
    """One end of a connection.

    Args:
        connection: a stream socket; its timeout is how long the other end may take.
        grammar: of what comes in.
    """

    def __init__(self, connection: socket.socket, grammar: object) -> None:
        self.connection = connection
        self._decode = msgspec.msgpack.Decoder[Any](grammar).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._rest = b""

    @property
    def has_more(self) -> bool:
        """Whether bytes of a further message have come already."""
        return bool(self._rest)

    def send(self, message: msgspec.Struct) -> None:
        """Send a message; OSError when the other end has gone."""
        data = self._encode(message)
        self.connection.sendall(_HEAD.pack(len(data)) + data)

    def receive(self) -> Incoming:
        """Wait for a message.

        Raises:
            OSError: the other end has gone or takes too long.
            msgspec.MsgspecError: what came is no message.
        """
        data = self._rest
        while len(data) < _HEAD.size:
            data += self._some()
        end = _HEAD.size + _HEAD.unpack_from(data)[0]
        if end > MESSAGE_MAX:
            raise msgspec.ValidationError(f"a message of {end} bytes; at most {MESSAGE_MAX}")
        if len(data) < end:
            parts, have = [data], len(data)
            while have < end:
                parts.append(self._some())
                have += len(parts[-1])
            data = b"".join(parts)
        self._rest = data[end:]
        message: Incoming = self._decode(data[_HEAD.size : end])
        return message

    def _some(self) -> bytes:
        data = self.connection.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the other end has closed the connection")
        return data
