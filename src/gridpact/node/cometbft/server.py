"""The socket that CometBFT talks to: frames in, answers out, in order on each connection.

A frame is its length (in groups of seven bits) and a request. Requests of one connection are
answered one after the other; connections do not wait for each other. Answers are sent when a flush
asks for it, when nothing more waits, or when many have gathered.

It does not know what a request means. What is malformed is answered with an exception and ends the
connection; a handler that fails ends it too and tells `failed`, since CometBFT stops for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from gridpact.errors import GridpactError, InputError, InvariantError, Problem
from gridpact.node.cometbft.messages import (
    FLUSH,
    Empty,
    read_request,
    write_exception,
    write_response,
)
from gridpact.node.cometbft.protobuf import Message, WireError, read_varint, varint

FRAME_BYTES_MAX = 32 * 2**20
"""Largest request: a block of 4 MiB, or a chunk of a snapshot, with room to spare."""
CONNECTIONS_MAX = 8
"""CometBFT has four; one that starts again may come before its old ones are gone."""
REQUESTS_WAITING_MAX = 4096
"""From here on nothing more is read from a connection until half of them are answered."""
ANSWERS_BYTES_MAX = 64 * 2**10
"""Answers are sent when they have gathered to this size."""

Handler = Callable[[int, Message], Awaitable[Message]]
"""Answers a request, given by its number."""

_log = structlog.get_logger(__name__)


class Connection(asyncio.Protocol):
    """One of CometBFT's connections."""

    def __init__(self, server: AbciServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._requests: deque[tuple[int, Message]] = deque()
        self._answers = bytearray()
        self._transport: asyncio.Transport | None = None
        self._worker: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._reading = True
        self._refused: str | None = None
        """Why nothing more is read; said after the answers to what came before."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to answer, or refuse one connection too many."""
        if not isinstance(transport, asyncio.Transport):
            raise InvariantError(f"{transport!r} is no stream")
        self._transport = transport
        if not self._server.admit(self):
            _log.warning("abci connection refused", open=CONNECTIONS_MAX)
            transport.abort()
            return
        self._worker = asyncio.get_running_loop().create_task(self._answer_all())

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what has not been answered: who asked is gone."""
        self._server.dismiss(self)
        self._may_write.set()
        if self._worker is not None:
            self._worker.cancel()

    def data_received(self, data: bytes) -> None:
        """Cut what came into requests."""
        if self._refused is not None:
            return
        self._buffer += data
        try:
            self._take_frames()
        except WireError as error:
            self._refused = str(error)
            self._buffer.clear()
        self._wake.set()
        if self._reading and len(self._requests) >= REQUESTS_WAITING_MAX and self._transport:
            self._reading = False
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The peer does not read as fast as we answer."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """It has caught up."""
        self._may_write.set()

    def close(self) -> None:
        """End it now."""
        if self._transport is not None:
            self._transport.abort()

    def _take_frames(self) -> None:
        at = 0
        while (found := read_varint(self._buffer, at)) is not None:
            length, start = found
            if length > self._server.frame_bytes_max:
                limit = self._server.frame_bytes_max
                raise WireError(f"a frame of {length} bytes; at most {limit} are taken")
            if len(self._buffer) - start < length:
                break
            self._requests.append(read_request(bytes(self._buffer[start : start + length])))
            at = start + length
        del self._buffer[:at]

    async def _answer_all(self) -> None:
        """Answer in order until the connection ends."""
        while True:
            while self._requests:
                number, request = self._requests.popleft()
                if not await self._answer(number, request):
                    return
                if not self._reading and len(self._requests) < REQUESTS_WAITING_MAX // 2:
                    self._resume()
            if self._refused is not None:
                _log.warning("abci connection closed", reason=self._refused)
                self._say_last(f"malformed: {self._refused}")
                return
            await self._send()
            self._wake.clear()
            await self._wake.wait()

    async def _answer(self, number: int, request: Message) -> bool:
        """Answer one request; False when that was the last."""
        if number == FLUSH:
            self._put(write_response(FLUSH, Empty()))
            await self._send()
            return True
        try:
            response = await self._server.handler(number, request)
        except (GridpactError, InvariantError) as error:
            _log.error("abci request failed", request=number, reason=str(error))
            self._say_last(str(error))
            self._server.failed(error)
            return False
        except Exception as error:  # noqa: BLE001  (a bug here must stop CometBFT, not hang it)
            _log.exception("abci request failed", request=number)
            self._say_last(f"{type(error).__name__}: {error}")
            self._server.failed(error)
            return False
        self._put(write_response(number, response))
        if len(self._answers) > ANSWERS_BYTES_MAX:
            await self._send()
        return True

    def _put(self, frame: bytes) -> None:
        self._answers += varint(len(frame)) + frame

    async def _send(self) -> None:
        if self._answers and self._transport is not None:
            self._transport.write(bytes(self._answers))
            self._answers.clear()
            await self._may_write.wait()

    def _say_last(self, text: str) -> None:
        self._put(write_exception(text))
        if self._transport is not None:
            self._transport.write(bytes(self._answers))
            self._transport.close()

    def _resume(self) -> None:
        self._reading = True
        if self._transport is not None:
            self._transport.resume_reading()


class AbciServer:
    """Listens, and hands what comes to one handler."""

    def __init__(
        self,
        handler: Handler,
        failed: Callable[[Exception], None],
        *,
        frame_bytes_max: int = FRAME_BYTES_MAX,
    ) -> None:
        self.handler = handler
        self.failed = failed
        self.frame_bytes_max = frame_bytes_max
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._path: Path | None = None

    async def start(self, address: str) -> str:
        """Listen on `unix://PATH` or `tcp://HOST:PORT`; port 0 takes a free one.

        Returns:
            The address, with the port that was taken.
        Raises:
            InputError: not such an address.
        """
        loop = asyncio.get_running_loop()
        scheme, _, rest = address.partition("://")
        host, _, port = rest.rpartition(":")
        if scheme == "unix" and rest:
            self._path = Path(rest)
            self._path.unlink(missing_ok=True)
            self._server = await loop.create_unix_server(lambda: Connection(self), rest)
            return address
        if scheme != "tcp" or not host or not port.isdigit():
            text = f"{address!r} is no address; unix://PATH or tcp://HOST:PORT"
            raise InputError([Problem("proxy_app", text)])
        self._server = await loop.create_server(lambda: Connection(self), host, int(port))
        return f"tcp://{host}:{self._server.sockets[0].getsockname()[1]}"

    def admit(self, connection: Connection) -> bool:
        """Whether there may be one connection more."""
        if len(self._connections) >= CONNECTIONS_MAX:
            return False
        self._connections.add(connection)
        return True

    def dismiss(self, connection: Connection) -> None:
        """The connection is over."""
        self._connections.discard(connection)

    async def close(self) -> None:
        """Stop listening and end all connections."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._path.unlink()
