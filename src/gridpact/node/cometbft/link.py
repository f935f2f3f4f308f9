"""How validators hand each other payloads: pushed with the transaction, or asked for by its id.

A frame is four bytes of length, one byte of kind, and a canonical message. The first frame says
which chain its sender is on. Nothing here is believed: what comes goes to `Held.take`, which looks
whether a payload has the hash that its envelope names.

Without TLS contexts the link is for one machine only; with them (pinned keys) it is for any.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from gridpact.codec import CodecError, Hash, Natural, Wire, decode, encode, sha256

LINK_VERSION = 1
FRAME_BYTES_MAX = 16 * 2**20
ITEMS_BYTES_MAX = 4 * 2**20
"""Payloads per frame; longer lists are several frames."""
UNSENT_BYTES_MAX = 32 * 2**20
"""A peer with this much unsent is not pushed to any more: it asks for what it lacks."""
FRAME_WAITS_S = 30.0
"""How long the rest of a frame, or the first one, may take."""
RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Waits before connecting again, the last one for ever."""

_log = structlog.get_logger(__name__)


class Hello(Wire, frozen=True):
    """First frame."""

    version: Natural
    genesis: Hash


class Push(Wire, frozen=True):
    """(envelope, payload): new ones, or those that were asked for."""

    items: list[tuple[bytes, bytes]]


class Want(Wire, frozen=True):
    """Ids of transactions whose payloads the sender lacks."""

    ids: list[Hash]


_KINDS: dict[int, type[Wire]] = {1: Hello, 2: Push, 3: Want}
_NUMBERS = {kind: number for number, kind in _KINDS.items()}


class Held(Protocol):
    """Where payloads lie."""

    def take(self, envelope: bytes, sealed: bytes) -> bool:
        """Keep a payload that somebody sent, if it is one that fits the envelope."""

    def held(self, ids: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        """(envelope, payload) of those that are here."""


class LinkError(Exception):
    """A peer that does not keep to the protocol; its connection ends."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Where another validator listens."""

    host: str
    port: int


def frame(message: Wire) -> bytes:
    """The bytes of a message on the link."""
    body = encode(message)
    return (len(body) + 1).to_bytes(4, "big") + bytes([_NUMBERS[type(message)]]) + body


async def read_message(reader: asyncio.StreamReader, *, patient: bool) -> Wire:
    """The next message; `patient` waits for its beginning as long as it takes.

    Raises:
        LinkError: oversized, of no known kind, malformed, or too slow.
        asyncio.IncompleteReadError: the peer is gone.
    """
    try:
        begin = reader.readexactly(4)
        head = await (begin if patient else asyncio.wait_for(begin, FRAME_WAITS_S))
        length = int.from_bytes(head, "big")
        if not 1 <= length <= FRAME_BYTES_MAX:
            raise LinkError(f"a frame of {length} bytes; 1 to {FRAME_BYTES_MAX} are taken")
        data = await asyncio.wait_for(reader.readexactly(length), FRAME_WAITS_S)
    except TimeoutError as error:
        raise LinkError(f"a frame took more than {FRAME_WAITS_S:.0f} s") from error
    kind = _KINDS.get(data[0])
    if kind is None:
        raise LinkError(f"a frame of the unknown kind {data[0]}")
    try:
        return decode(kind, data[1:])
    except CodecError as error:
        raise LinkError(str(error)) from error


def pushes(items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """Frames that carry these payloads, each of a size that is taken."""
    frames, batch, size = [], [], 0
    for item in items:
        batch.append(item)
        size += len(item[0]) + len(item[1])
        if size >= ITEMS_BYTES_MAX:
            frames.append(frame(Push(batch)))
            batch, size = [], 0
    if batch:
        frames.append(frame(Push(batch)))
    return frames


class PayloadLink:
    """One validator's end of all its links: it listens, and keeps a connection to each peer."""

    def __init__(
        self,
        held: Held,
        genesis_hash: bytes,
        *,
        as_server: ssl.SSLContext | None = None,
        as_client: ssl.SSLContext | None = None,
    ) -> None:
        self._held = held
        self._hello = Hello(LINK_VERSION, genesis_hash)
        self._as_server, self._as_client = as_server, as_client
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._inbound: set[asyncio.StreamWriter] = set()
        self._writers: dict[Peer, asyncio.StreamWriter] = {}
        self._came = asyncio.Event()

    async def start(self, host: str, port: int, peers: Sequence[Peer]) -> None:
        """Listen, and begin to connect to the others."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=self._as_server)
        for peer in peers:
            self._tasks.add(asyncio.create_task(self._stay_connected(peer)))

    async def close(self) -> None:
        """End all connections."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._inbound:
            writer.close()
        await asyncio.gather(*self._tasks, *self._serving, return_exceptions=True)

    def push(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        """Send payloads to all peers that are there and keep up; the others ask."""
        frames = pushes([item for item in items if item[1]])
        for writer in self._writers.values():
            if writer.transport.get_write_buffer_size() < UNSENT_BYTES_MAX:
                writer.writelines(frames)

    async def fetch(self, ids: Collection[bytes], timeout_s: float) -> None:
        """See `adapter.Fetch`."""
        left = set(ids)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while True:
                    for writer in self._writers.values():
                        writer.write(frame(Want(sorted(left))))
                    retry_at = asyncio.get_running_loop().time() + timeout_s / 4
                    while left and asyncio.get_running_loop().time() < retry_at:
                        self._came.clear()
                        with contextlib.suppress(TimeoutError):
                            await asyncio.wait_for(self._came.wait(), timeout_s / 4)
                        left -= self._here(left)
                    if not left:
                        return

    def _here(self, ids: set[bytes]) -> set[bytes]:
        return {sha256(envelope) for envelope, _ in self._held.held(ids)}

    async def _stay_connected(self, peer: Peer) -> None:
        attempt = 0
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(
                    peer.host, peer.port, ssl=self._as_client
                )
                attempt = 0
                self._writers[peer] = writer
                try:
                    await self._talk(reader, writer)
                finally:
                    del self._writers[peer]
                    writer.close()
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
        self._inbound.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(reader, writer)
        finally:
            self._inbound.discard(writer)
            writer.close()
            if task is not None:
                self._serving.discard(task)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say who we are, hear who they are, then take and give payloads until it ends."""
        writer.write(frame(self._hello))
        try:
            hello = await read_message(reader, patient=False)
            if hello != self._hello:
                raise LinkError(f"a peer of another chain or version: {hello}")
            while True:
                message = await read_message(reader, patient=True)
                if isinstance(message, Push):
                    for envelope, sealed in message.items:
                        self._held.take(envelope, sealed)
                    self._came.set()
                elif isinstance(message, Want):
                    writer.writelines(pushes(self._held.held(message.ids)))
                    await writer.drain()
                else:
                    raise LinkError("a second greeting")
        except LinkError as error:
            name = writer.get_extra_info("peername")
            _log.warning("payload link closed", peer=name, reason=str(error))
