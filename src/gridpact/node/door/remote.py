"""The engine port through the doors of one or several nodes.

Whatever was handed in and not answered is handed in again, at another door when one does not
answer: a transaction has one nonce, so no node executes it twice. An answer comes from a node whose
ledger holds the block.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar, cast

from gridpact.codec import Wire, decode, sha256
from gridpact.errors import InputError, Problem
from gridpact.ledger import Entry
from gridpact.ledger.blocks import Receipt, Record
from gridpact.ledger.statemap import MapProof
from gridpact.model import Verdict
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
    read_answer,
)
from gridpact.node.port import QueryResult, Refusal
from gridpact.node.tables import NAMESPACE_BY_NAME

SUBMIT_MAX = 512
"""Transactions in one request."""
SUBMIT_BYTES = 4 * 2**20
"""Envelopes and payloads in one request, unless the first alone has more."""
RETRY_S = 0.1
"""Wait before another door, or a full node, is tried again."""
_FULL = int(Verdict.MEMPOOL_FULL)

AnswerType = TypeVar("AnswerType", bound=Answer)
PartType = TypeVar("PartType")
Item = tuple[bytes, bytes]
"""(envelope, sealed payload)"""
HandedIn = tuple[Item, asyncio.Future[Verdict]]
"""What was handed in, and who waits for the verdict."""


class DoorClosedError(DoorError):
    """The connection ended before the answer; nobody knows what became of the request."""


class _Connection:
    """One open door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self.is_open = True
        self._task = asyncio.create_task(self._listen())

    async def ask(self, make: Callable[[int], Request]) -> Answer:
        """Send a request, made with its number, and wait for its answer.

        Raises:
            DoorClosedError: the connection ended first.
            DoorError: no door takes so large a request.
        """
        if not self.is_open:
            raise DoorClosedError("the door is closed")
        number = next(self._numbers)
        data = framed(make(number))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self._writer.write(data)
        try:
            return await future
        finally:
            self._waiting.pop(number, None)

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, DoorError):
                while True:
                    answer = await read_answer(self._reader)
                    future = self._waiting.get(answer.number)
                    if future is not None and not future.done():
                        future.set_result(answer)
        finally:
            self.is_open = False
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(DoorClosedError("the node closed its door"))
                    future.exception()  # seen: somebody may have stopped waiting


class RemoteEngine:
    """The engine port of a node in another process.

    Args:
        doors: sockets of nodes of one chain, the first of which is tried first.
    """

    def __init__(self, doors: Sequence[Path]) -> None:
        self._doors = list(doors)
        self._at = 0
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False
        self._genesis_hash = b""
        self._unsent: list[HandedIn] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._items: dict[bytes, Item] = {}
        """What was taken in and not answered yet, by transaction id."""

    @classmethod
    async def connect(cls, doors: Sequence[Path]) -> RemoteEngine:
        """Wait for the first door that opens."""
        engine = cls(doors)
        try:
            engine._genesis_hash = (await engine.status()).genesis
        except BaseException:  # also when nobody waits any longer
            await engine.close()
            raise
        return engine

    async def close(self) -> None:
        """End the connection; what was handed in stays with the node. Who waits is told."""
        self._closed = True
        if self._connection is not None:
            await self._connection.close()
        await asyncio.gather(*self._sending, return_exceptions=True)

    @property
    def genesis_hash(self) -> bytes:
        """Name of the chain."""
        return self._genesis_hash

    async def status(self) -> NodeStatus:
        """How the node is."""
        return await self._ask(NodeStatus, Status)

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        """See `EnginePort.submit`; calls made together go in one request, in their order."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Verdict] = loop.create_future()
        if not self._unsent:
            loop.call_soon(self._send)
        self._unsent.append(((envelope, payload), future))
        return await future

    async def receipts(self, ids: Sequence[bytes]) -> list[Receipt | Refusal]:
        """See `EnginePort.receipts`."""
        wanted = list(ids)
        while True:
            connection = await self._open()
            try:
                answer = await connection.ask(lambda number: Receipts(number, wanted))
            except DoorClosedError:
                continue  # what waits is handed in again at the next door
            outcomes = _expect(Outcomes, answer).outcomes
            for transaction_id in wanted:
                self._items.pop(transaction_id, None)
            return [
                Refusal(key, Verdict(verdict)) if hash_ is None else Receipt(key, verdict, hash_)
                for key, (verdict, hash_) in zip(wanted, outcomes, strict=True)
            ]

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """See `EnginePort.values`."""
        found = (await self._ask(Found, lambda number: Values(number, list(keys)))).values
        return [
            None if data is None else decode(_type_of(key), data)
            for key, data in zip(keys, found, strict=True)
        ]

    async def query(self, key: str) -> QueryResult:
        """See `EnginePort.query`."""
        proved = await self._ask(Proved, lambda number: Query(number, key))
        entry = None
        if proved.entry is not None:
            salt, value = proved.entry
            entry = Entry(decode(_type_of(key), value), salt, -1)
        return QueryResult(decode(Record, proved.record), entry, decode(MapProof, proved.proof))

    async def _ask(self, kind: type[AnswerType], make: Callable[[int], Request]) -> AnswerType:
        """Ask what may be asked twice."""
        while True:
            connection = await self._open()
            with contextlib.suppress(DoorClosedError):
                return _expect(kind, await connection.ask(make))

    def _send(self) -> None:
        unsent, self._unsent = self._unsent, []
        for batch in _in_parts(unsent, lambda handed_in: handed_in[0]):
            task = asyncio.create_task(self._submit(batch))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _submit(self, batch: list[HandedIn]) -> None:
        """Hand in a batch; when the door closes before the answer, at the next one."""
        items = [item for item, _ in batch]
        try:
            again = False
            while True:
                connection = await self._open()
                try:
                    answer = await connection.ask(partial(_submission, items=items))
                except DoorClosedError:
                    again = True
                    continue
                break
            verdicts = [Verdict(number) for number in _expect(Verdicts, answer).verdicts]
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for (item, future), said in zip(batch, verdicts, strict=True):
            # taken in by the first door, perhaps: `receipts` tells
            verdict = Verdict.ACCEPTED if again and said == Verdict.NONCE_USED else said
            if verdict == Verdict.ACCEPTED:
                self._items[sha256(item[0])] = item
            if not future.done():
                future.set_result(verdict)

    async def _open(self) -> _Connection:
        """The open door; the next one that opens when it has closed.

        Raises:
            DoorError: this engine was closed.
        """
        async with self._connecting:
            while self._connection is None or not self._connection.is_open:
                if self._closed:
                    raise DoorError("the connection was closed here; connect again")
                path = self._doors[self._at % len(self._doors)]
                try:
                    reader, writer = await asyncio.open_unix_connection(path)
                except OSError:
                    self._at += 1
                    await asyncio.sleep(RETRY_S)
                    continue
                self._connection = _Connection(reader, writer)
                await self._hand_in_again(self._connection)
            return self._connection

    async def _hand_in_again(self, connection: _Connection) -> None:
        """What another node has taken in and not answered; who knows it already says so.

        A full node is asked again. Whatever else it refuses may still come from the other one:
        `receipts` says that this node has no such transaction.
        """
        items = list(self._items.values())
        with contextlib.suppress(DoorClosedError):
            while items:
                full: list[Item] = []
                for part in _in_parts(items, lambda item: item):
                    answer = await connection.ask(partial(_submission, items=part))
                    said = answer.verdicts if isinstance(answer, Verdicts) else ()
                    full += [
                        one for one, verdict in zip(part, said, strict=False) if verdict == _FULL
                    ]
                items = full
                if items:
                    await asyncio.sleep(RETRY_S)


def _in_parts(
    all_of_them: list[PartType], item_of: Callable[[PartType], Item]
) -> Iterator[list[PartType]]:
    """What is handed in, in requests of a size that doors take."""
    part: list[PartType] = []
    size = 0
    for one in all_of_them:
        own = sum(map(len, item_of(one)))
        if part and (len(part) >= SUBMIT_MAX or size + own > SUBMIT_BYTES):
            yield part
            part, size = [], 0
        part.append(one)
        size += own
    if part:
        yield part


def _submission(number: int, items: list[Item]) -> Submit:
    return Submit(number, items)


def _type_of(key: str) -> type[Wire]:
    return NAMESPACE_BY_NAME[key.partition("/")[0]].wire_type


def _expect(kind: type[AnswerType], answer: Answer) -> AnswerType:
    if isinstance(answer, Failed):
        if answer.where:
            raise InputError([Problem(answer.where, answer.text)])
        raise DoorError(answer.text)
    if not isinstance(answer, kind):
        raise DoorError(f"an answer of the kind {type(answer).__name__}")
    return cast(AnswerType, answer)
