"""Payloads between validators: pushed, asked for, and peers that do not keep to the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import pytest

from gridpact.codec import sha256
from gridpact.node.cometbft import link as link_module
from gridpact.node.cometbft.homes import free_ports
from gridpact.node.cometbft.link import (
    FRAME_BYTES_MAX,
    LINK_VERSION,
    Hello,
    PayloadLink,
    Peer,
    Push,
    Want,
    frame,
    pushes,
)

HOST = "127.0.0.1"
CHAIN = b"\x01" * 32
ITEMS = [(b"one", b"payload of one"), (b"two", b"payload of two")]
WAITS_S = 5.0


class Shelf:
    """Payloads in a dictionary; an event tells that something came."""

    def __init__(self, *items: tuple[bytes, bytes]) -> None:
        self.items = dict(items)
        self.came = asyncio.Event()

    def take(self, envelope: bytes, sealed: bytes) -> bool:
        self.items[envelope] = sealed
        self.came.set()
        return True

    def held(self, ids: Collection[bytes]) -> list[tuple[bytes, bytes]]:
        return [(key, value) for key, value in self.items.items() if sha256(key) in ids]


async def linked(
    work: Callable[[list[PayloadLink], list[Shelf], list[int]], Awaitable[None]],
    *shelves: Shelf,
) -> None:
    """Run something on links that all know each other."""
    ports = free_ports(HOST, len(shelves))
    links = [PayloadLink(shelf, CHAIN) for shelf in shelves]
    try:
        for number, link in enumerate(links):
            peers = [Peer(HOST, port) for port in ports if port != ports[number]]
            await link.start(HOST, ports[number], peers)
        async with asyncio.timeout(WAITS_S):
            await work(links, list(shelves), ports)
    finally:
        for link in links:
            await link.close()


def test_what_is_pushed_comes_to_all() -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], _: list[int]) -> None:
        await links[0].fetch([sha256(b"greeting")], WAITS_S)  # from the last one to be reached
        await links[0].fetch([sha256(b"farewell")], WAITS_S)
        links[0].push([*ITEMS, (b"three", b"")])
        for shelf in shelves[1:]:
            await shelf.came.wait()
            assert shelf.items.items() >= dict(ITEMS).items()
            assert b"three" not in shelf.items

    async def run() -> None:
        await linked(work, Shelf(), Shelf((b"greeting", b"1")), Shelf((b"farewell", b"2")))

    asyncio.run(run())


def test_what_is_asked_for_comes_from_whoever_has_it() -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], _: list[int]) -> None:
        await links[0].fetch([sha256(envelope) for envelope, _ in ITEMS], WAITS_S)
        assert shelves[0].items == dict(ITEMS)

    async def run() -> None:
        await linked(work, Shelf(), Shelf(ITEMS[0]), Shelf(ITEMS[1]))

    asyncio.run(run())


def test_asking_ends_after_its_time() -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], _: list[int]) -> None:
        await links[0].fetch([sha256(b"nobody has it"), sha256(b"one")], 0.3)
        assert shelves[0].items == dict(ITEMS[:1])

    async def run() -> None:
        await linked(work, Shelf(), Shelf(ITEMS[0]))

    asyncio.run(run())


@pytest.mark.parametrize(
    "data",
    [
        frame(Hello(LINK_VERSION + 1, CHAIN)),
        frame(Hello(LINK_VERSION, b"\x02" * 32)),
        frame(Want([])),
        frame(Hello(LINK_VERSION, CHAIN)) * 2,
        frame(Hello(LINK_VERSION, CHAIN)) + (FRAME_BYTES_MAX + 1).to_bytes(4, "big"),
        frame(Hello(LINK_VERSION, CHAIN)) + bytes(4),
        frame(Hello(LINK_VERSION, CHAIN)) + b"\x00\x00\x00\x01\x09",
        frame(Hello(LINK_VERSION, CHAIN)) + b"\x00\x00\x00\x03\x02\xc1\xc1",
        frame(Hello(LINK_VERSION, CHAIN)) + b"\x00\x00\x00\x09\x02slow",
        b"\x00",
    ],
)
def test_a_peer_that_does_not_keep_to_the_protocol_is_left(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "FRAME_WAITS_S", 0.3)

    async def work(links: list[PayloadLink], shelves: list[Shelf], ports: list[int]) -> None:
        reader, writer = await asyncio.open_connection(HOST, ports[0])
        writer.write(data)
        said = await reader.read(-1)
        assert said == frame(Hello(LINK_VERSION, CHAIN))
        writer.close()
        assert shelves[0].items == {}
        reader, writer = await asyncio.open_connection(HOST, ports[0])
        writer.write(frame(Hello(LINK_VERSION, CHAIN)) + frame(Push(ITEMS)))
        await shelves[0].came.wait()
        writer.close()

    async def run() -> None:
        await linked(work, Shelf())

    asyncio.run(run())


def test_long_lists_are_several_frames_of_a_size_that_is_taken() -> None:
    items = [(bytes([n]), bytes(2**20)) for n in range(20)]
    frames = pushes(items)
    assert len(frames) == 5
    assert max(map(len, frames)) < FRAME_BYTES_MAX
    assert pushes([]) == []
