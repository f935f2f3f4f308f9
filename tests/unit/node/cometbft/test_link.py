"""Payloads between validators: pushed, asked for, and peers that do not keep to the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

import pytest
from tests.unit.node.links.stations import Place, left, place, stranger

from gridpact.codec import encode, sha256
from gridpact.node.cometbft.link import (
    LIMITS,
    LINK_VERSION,
    PUSH,
    WANT,
    PayloadLink,
    Push,
    Want,
    pushes,
)
from gridpact.node.links import Reason
from gridpact.node.links.connection import GREETING, Hello
from gridpact.node.links.frames import frame

CHAIN = b"\x01" * 32
ITEMS = [(b"one", b"payload of one"), (b"two", b"payload of two")]
WAITS_S = 5.0
HELLO = frame(GREETING, encode(Hello(LINK_VERSION, CHAIN, "x")))


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


Work = Callable[[list[PayloadLink], list[Shelf], Place], Awaitable[None]]


@pytest.fixture
def linked(tmp_path: Path) -> Callable[..., None]:
    """Runs something on links that all know each other, and x, which is none."""

    async def run(work: Work, shelves: list[Shelf]) -> None:
        names = "abcd"[: len(shelves)]
        async with place(tmp_path, names + "x") as here:
            links = [
                PayloadLink(
                    shelf,
                    CHAIN,
                    here.member(name),
                    here.key(name),
                    [here.member(other) for other in names + "x" if other != name],
                )
                for name, shelf in zip(names, shelves, strict=True)
            ]
            try:
                for name, link in zip(names, links, strict=True):
                    await link.start(here.listeners[name])
                async with asyncio.timeout(WAITS_S):
                    await work(links, shelves, here)
            finally:
                for link in links:
                    await link.close()

    return lambda work, *shelves: asyncio.run(run(work, list(shelves)))


Linked = Callable[..., None]


def test_what_is_pushed_comes_to_all(linked: Linked) -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], _: Place) -> None:
        await links[0].fetch([sha256(b"greeting")], WAITS_S)  # from the last one to be reached
        await links[0].fetch([sha256(b"farewell")], WAITS_S)
        links[0].push([*ITEMS, (b"three", b"")])
        for shelf in shelves[1:]:
            await shelf.came.wait()
            assert shelf.items.items() >= dict(ITEMS).items()
            assert b"three" not in shelf.items

    linked(work, Shelf(), Shelf((b"greeting", b"1")), Shelf((b"farewell", b"2")))


def test_what_is_asked_for_comes_from_whoever_has_it(linked: Linked) -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], _: Place) -> None:
        await links[0].fetch([sha256(envelope) for envelope, _ in ITEMS], WAITS_S)
        assert shelves[0].items == dict(ITEMS)

    linked(work, Shelf(), Shelf(ITEMS[0]), Shelf(ITEMS[1]))


def test_asking_ends_after_its_time(linked: Linked) -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], _: Place) -> None:
        await links[0].fetch([sha256(b"nobody has it"), sha256(b"one")], 0.3)
        assert shelves[0].items == dict(ITEMS[:1])

    linked(work, Shelf(), Shelf(ITEMS[0]))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(9, b""), Reason.MALFORMED),
        (frame(PUSH, b"\xc1\xc1"), Reason.MALFORMED),
        (frame(WANT, b""), Reason.MALFORMED),
        (frame(WANT, encode(Want([b"x" * 31]))), Reason.MALFORMED),
        (frame(WANT, encode(Push(ITEMS))), Reason.MALFORMED),
        ((LIMITS.frame_bytes_max + 1).to_bytes(4, "big"), Reason.OVERSIZED),
    ],
)
def test_a_peer_that_does_not_keep_to_the_protocol_is_left(
    data: bytes, reason: Reason, linked: Linked
) -> None:
    async def work(links: list[PayloadLink], shelves: list[Shelf], here: Place) -> None:
        link, context = links[0].mesh, here.dials_as("x", knows="ax")
        async with stranger(here.ports["a"], context, HELLO + data) as (reader, _):
            await left(reader)
        assert link.counts.refusals == {("x", reason): 1}
        assert shelves[0].items == {}
        async with stranger(here.ports["a"], context, HELLO, frame(PUSH, encode(Push(ITEMS)))):
            await shelves[0].came.wait()
        assert shelves[0].items == dict(ITEMS)

    linked(work, Shelf())


def test_long_lists_are_several_frames_of_a_size_that_is_taken() -> None:
    items = [(bytes([n]), bytes(2**20)) for n in range(20)]
    messages = pushes(items)
    assert len(messages) == 5
    assert max(map(len, messages)) < LIMITS.frame_bytes_max
    assert pushes([]) == []
