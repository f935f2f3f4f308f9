"""A relay between two sockets on this machine, good and bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from random import Random

import pytest

from gridpact.studies.fault_proxy import HELD_BYTES_MAX, FaultProxy, LinkState, Relay

HOST = "127.0.0.1"
PAIR = ("a", "b")
LARGE = bytes(range(256)) * 16 * 1024
"""More than sockets hold, and more than a relay does."""


class Rig:
    """A server that sends back what it gets, and a relay to it."""

    def __init__(self) -> None:
        self.proxy = FaultProxy(Random(1))
        self.port = 0
        self.accepted = 0
        self.heard = b""
        self.over = asyncio.Event()
        """The server has seen the end of a connection."""
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._echo, HOST, 0)
        there = self._server.sockets[0].getsockname()[1]
        self.port = await self.proxy.add(*PAIR, HOST, there)

    async def close(self) -> None:
        await self.proxy.close()
        self.leave()
        for writer in self._writers:
            writer.close()
        waiting = [writer.wait_closed() for writer in self._writers]
        await asyncio.gather(*waiting, return_exceptions=True)

    def leave(self) -> None:
        """The server is not there any more."""
        if self._server is not None:
            self._server.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.append(writer)
        try:
            while data := await reader.read(2**16):
                self.heard += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            self.over.set()
            writer.close()

    def set(self, **state: float) -> None:
        self.proxy.set([PAIR], LinkState(**state))  # type: ignore[arg-type]

    @property
    def relay(self) -> Relay:
        return self.proxy._relays[PAIR]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        self._writers.append(writer)
        return reader, writer

    async def holds(self, size: int) -> None:
        """Wait until so much has come in."""
        while self.relay.held_bytes < size:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    made = Rig()
    await made.start()
    try:
        async with asyncio.timeout(30):
            yield made
    finally:
        await made.close()


def run(test: Callable[[Rig], Awaitable[None]]) -> None:
    async def main() -> None:
        async with rig() as made:
            await test(made)

    asyncio.run(main())


async def ends(reader: asyncio.StreamReader) -> bytes:
    """What still comes before the end, whatever kind of end it is."""
    found = b""
    try:
        while data := await reader.read(2**16):
            found += data
    except ConnectionError:
        pass
    return found


def test_a_good_link_carries_all_bytes_both_ways() -> None:
    async def test(made: Rig) -> None:
        reader, writer = await made.connect()
        writer.write(LARGE)
        assert await reader.readexactly(len(LARGE)) == LARGE

    run(test)


def test_a_held_link_delivers_when_it_is_mended() -> None:
    async def test(made: Rig) -> None:
        reader, writer = await made.connect()
        writer.write(b"one")
        assert await reader.readexactly(3) == b"one"
        made.set(held=True)
        writer.write(b"two")
        await made.holds(3)
        waits = asyncio.create_task(reader.readexactly(3))
        assert made.relay.held_bytes == 3
        assert not waits.done()
        made.set()
        assert await waits == b"two"

    run(test)


def test_a_held_link_takes_no_more_than_it_may() -> None:
    async def test(made: Rig) -> None:
        made.set(held=True)
        reader, writer = await made.connect()
        writer.write(LARGE)
        await made.holds(HELD_BYTES_MAX)
        assert made.accepted == 0
        assert made.relay.held_bytes < len(LARGE)
        made.set()
        assert await reader.readexactly(len(LARGE)) == LARGE

    run(test)


def test_a_cut_link_ends_connections_and_takes_no_new_ones() -> None:
    async def test(made: Rig) -> None:
        reader, writer = await made.connect()
        writer.write(b"one")
        await reader.readexactly(3)
        made.set(cut=True)
        assert await ends(reader) == b""
        reader, writer = await made.connect()
        assert await ends(reader) == b""
        assert made.accepted == 1
        made.set()
        reader, writer = await made.connect()
        writer.write(b"two")
        assert await reader.readexactly(3) == b"two"

    run(test)


def test_a_link_that_is_cut_while_it_is_held_loses_what_it_held() -> None:
    async def test(made: Rig) -> None:
        made.set(held=True)
        reader, writer = await made.connect()
        writer.write(b"lost")
        await made.holds(4)
        made.set(cut=True)
        assert await ends(reader) == b""
        made.set()
        assert made.relay.held_bytes == 0
        assert made.accepted == 0

    run(test)


def test_resets_come_by_chance() -> None:
    async def test(made: Rig) -> None:
        made.set(reset_chance=1.0)
        reader, writer = await made.connect()
        writer.write(b"never")
        assert await ends(reader) == b""

    run(test)


@pytest.mark.parametrize("state", [{"delay_ms": 5, "jitter_ms": 20}, {"bytes_per_s": 2**20}])
def test_a_slow_link_keeps_the_order(state: dict[str, float]) -> None:
    async def test(made: Rig) -> None:
        made.set(**state)
        reader, writer = await made.connect()
        pieces = [bytes([number]) * 100 for number in range(50)]
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        assert await reader.readexactly(5000) == b"".join(pieces)

    run(test)


def test_nobody_there_ends_the_connection() -> None:
    async def test(made: Rig) -> None:
        made.leave()
        reader, _ = await made.connect()
        assert await ends(reader) == b""

    run(test)


def test_what_was_sent_before_the_end_arrives() -> None:
    async def test(made: Rig) -> None:
        made.set(held=True)
        _, writer = await made.connect()
        writer.write(b"last words")
        writer.write_eof()
        await made.holds(10)
        made.set()
        await made.over.wait()
        assert made.heard == b"last words"

    run(test)
