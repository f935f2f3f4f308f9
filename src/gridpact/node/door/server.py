"""The node's side of its door."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import structlog

from gridpact.codec import encode, sha256
from gridpact.errors import GridpactError, InputError
from gridpact.ledger.blocks import Receipt
from gridpact.node.door.messages import (
    Answer,
    DoorError,
    Failed,
    Found,
    NodeStatus,
    Outcomes,
    Proved,
    Query,
    Receipts,
    Request,
    Status,
    Submit,
    Values,
    Verdicts,
    framed,
    read_request,
)
from gridpact.node.port import EnginePort

UNIX_PATH_MAX = 100
"""Longer paths do not fit a Unix socket's address."""
REQUESTS_MAX = 1024
"""Requests of one client under way; it waits with more."""
UNSENT_BYTES_MAX = 4 * 2**20
"""A client with more unread answers gets no others until it has caught up."""

_log = structlog.get_logger(__name__)


def door_path(home: Path) -> Path:
    """Where the door of a node's folder is: in it, or in the system's folder for such things."""
    path = home.resolve() / "door.sock"
    if len(str(path)) <= UNIX_PATH_MAX:
        return path
    name = sha256(str(path).encode()).hex()[:16]
    return Path(tempfile.gettempdir()) / f"gridpact-{name}.sock"


class Door:
    """Lets programs on this machine use an engine."""

    def __init__(self, engine: EnginePort, status: Callable[[int], NodeStatus]) -> None:
        """`status` makes the answer to the request with a number."""
        self._engine, self._status = engine, status
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, path: Path) -> None:
        """Open the door, for the owner of the node only."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        before = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Shut it; who waits inside is told that the connection is over."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._clients:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        room = asyncio.Semaphore(REQUESTS_MAX)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    request = await read_request(reader)
                    await room.acquire()
                    task = asyncio.create_task(self._answer_one(request, writer, room))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                    if isinstance(request, Submit):  # one after the other: nonces have an order
                        await asyncio.wait({task})
        except DoorError as error:
            _log.warning("client dismissed", reason=str(error))
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answer_one(
        self, request: Request, writer: asyncio.StreamWriter, room: asyncio.Semaphore
    ) -> None:
        try:
            while writer.transport.get_write_buffer_size() > UNSENT_BYTES_MAX:
                await writer.drain()
            writer.write(_framed(await self._answer(request)))
        except OSError:
            pass  # the client is gone; it will ask again
        finally:
            room.release()

    async def _answer(self, request: Request) -> Answer:
        number = request.number
        try:
            match request:
                case Submit(items=items):
                    verdicts = [int(await self._engine.submit(*item)) for item in items]
                    return Verdicts(number, verdicts)
                case Receipts(ids=ids):
                    found = await self._engine.receipts(ids)
                    return Outcomes(
                        number,
                        [
                            (int(o.verdict), o.postings_hash if isinstance(o, Receipt) else None)
                            for o in found
                        ],
                    )
                case Values(keys=keys):
                    values = await self._engine.values(keys)
                    return Found(number, [None if v is None else encode(v) for v in values])
                case Query(key=key):
                    return await self._prove(number, key)
                case Status():
                    return self._status(number)
        except InputError as error:
            problem = error.problems[0]
            return Failed(number, problem.where, problem.message)
        except GridpactError as error:
            return Failed(number, "", str(error))
        except Exception as error:  # noqa: BLE001 - our own bug: who asked must not wait for ever
            _log.exception("request failed")
            return Failed(number, "", f"{type(error).__name__}: {error}")

    async def _prove(self, number: int, key: str) -> Proved:
        result = await self._engine.query(key)
        entry = None
        if result.entry is not None:
            entry = (result.entry.salt, encode(result.entry.value))
        return Proved(number, encode(result.record), entry, encode(result.proof))


def _framed(answer: Answer) -> bytes:
    try:
        return framed(answer)
    except DoorError as error:
        return framed(Failed(answer.number, "", f"{error}: ask for less at a time"))
