"""What honest validators have of their links: frames in order, back-pressure, and coming back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.unit.node.links.stations import (
    PATIENT,
    Station,
    exchange,
    from_peer,
    hello,
    left,
    place,
    stranger,
)

from gridpact.errors import InvariantError
from gridpact.node.links import Limits, LinkError, Reason
from gridpact.node.links.frames import frame

PIECE = bytes(2**16)


def test_three_exchange_frames_of_all_sizes(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b, c = [await here.station(name) for name in "abc"]
            await exchange(a, b, c)
            sizes = [0, 1, 16 * 1024, 2**20, PATIENT.frame_bytes_max - 1]
            for number, size in enumerate(sizes, 1):
                assert a.mesh.send("b", number, bytes([number]) * size)
            await b.until(lambda: len(from_peer(b, "a")) == 1 + len(sizes))
            assert [(n, data) for _, n, data in b.got[-len(sizes) :]] == [
                (number, bytes([number]) * size) for number, size in enumerate(sizes, 1)
            ]
            assert a.mesh.counts.frames_out == 2 + len(sizes)
            assert b.mesh.counts.frames_in == 2 + len(sizes)
            assert a.mesh.counts.bytes_out - sum(sizes) < 100
            assert a.mesh.counts.connected == 2
            assert not a.mesh.counts.refusals
            assert set(a.mesh.peers) == {"b", "c"}

    asyncio.run(run())


def test_who_is_away_is_sent_nothing_and_nobody_waits(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            await exchange(a, b)
            assert not a.mesh.is_up("c")
            assert not a.mesh.send("c", 1, b"lost")
            assert not a.mesh.send("nobody", 1, b"lost")
            assert a.mesh.counts.away == 2
            await b.mesh.close()
            await a.until(lambda: not a.mesh.is_up("b"))
            assert not a.mesh.send("b", 1, b"lost")

    asyncio.run(run())


def test_who_comes_back_is_found_again(tmp_path: Path) -> None:
    """Long before it would be tried again: its own connection tells that it is there."""
    slow = Limits(retry_first_s=3600.0, retry_most_s=3600.0)

    async def run() -> None:
        async with place(tmp_path) as here:
            a = await here.station("a", knows="ab", limits=slow)
            for _ in range(2):
                b = await here.station("b", knows="ab")
                await exchange(a, b)
                await b.mesh.close()
                await a.until(lambda: not a.mesh.is_up("b"))
            assert a.mesh.counts.connected == 2

    asyncio.run(run())


def test_a_frame_cut_at_every_byte_arrives_whole(tmp_path: Path) -> None:
    data = hello("c") + frame(3, b"cut") + frame(4, b"")

    async def run() -> None:
        async with place(tmp_path) as here:
            a = await here.station("a", limits=PATIENT)
            pieces = [data[at : at + 1] for at in range(len(data))]
            async with stranger(a.port, here.dials_as("c"), *pieces):
                await a.until(lambda: len(a.got) == 2)
            assert a.got == [("c", 3, b"cut"), ("c", 4, b"")]
            for at in range(1, len(data)):
                async with stranger(a.port, here.dials_as("c"), data[:at], data[at:]):
                    await a.until(lambda n=at: len(a.got) == 2 + 2 * n)
            assert set(a.got) == {("c", 3, b"cut"), ("c", 4, b"")}

    asyncio.run(run())


def test_a_second_connection_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            context = here.dials_as("c")
            async with stranger(a.port, context, hello("c"), frame(1, b"first")) as (reader, _):
                await a.until(lambda: from_peer(a, "c") == [b"first"])
                async with stranger(a.port, context, hello("c"), frame(1, b"second")) as (
                    _,
                    writer,
                ):
                    assert await left(reader) == hello("a")
                    await a.until(lambda: from_peer(a, "c") == [b"first", b"second"])
                    writer.write(frame(1, b"third"))
                    await a.until(lambda: len(from_peer(a, "c")) == 3)
            await exchange(a, b)
            assert not a.mesh.counts.refusals

    asyncio.run(run())


async def flood(sender: Station, peer: str) -> int:
    """Send until nothing more is taken for a while; how many frames were taken."""
    taken = refused = 0
    while refused < 1000:
        if sender.mesh.send(peer, 1, taken.to_bytes(4, "big") + PIECE):
            taken, refused = taken + 1, 0
        else:
            refused += 1
        await asyncio.sleep(0)
    return taken


def test_a_flood_waits_at_who_sends_it(tmp_path: Path) -> None:
    limits = Limits(unsent_bytes_max=2**20)

    async def run() -> None:
        async with place(tmp_path) as here:
            a, b, c = [await here.station(name, limits=limits) for name in "abc"]
            await exchange(a, b, c)
            a.on_frame = lambda peer, *_: a.mesh.pause(peer) if peer == "b" else None
            before = len(a.got)
            taken = await flood(b, "a")
            assert len(a.got) == before + 1, "the pause holds from the very next frame"
            assert b.mesh.counts.behind
            assert kept(a, "b") < 2**20, "what is here, besides what the system holds"
            await exchange(a, c)
            a.on_frame = lambda *_: None
            a.mesh.resume("b")
            await a.until(lambda: len(from_peer(a, "b")) == 1 + taken)
            numbers = [data[:4] for data in from_peer(a, "b")[1:]]
            assert numbers == [number.to_bytes(4, "big") for number in range(taken)]
            await exchange(a, b, c)

    asyncio.run(run())


def kept(station: Station, peer: str) -> int:
    """Bytes that a connection keeps: cut or not, decrypted or not."""
    connection = station.mesh._inbound[peer]
    transport: Any = connection._transport
    incoming = transport._ssl_protocol._get_read_buffer_size()
    return int(connection._reader.kept_bytes + incoming)


def test_a_pause_outlasts_the_connection_and_the_begun_frame(tmp_path: Path) -> None:
    """Who is paused is not slow, though half a frame of its waits longer than a frame may."""

    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            context = here.dials_as("c")
            parts = (hello("c"), frame(1, b"one") + frame(1, b"two")[:7])
            async with stranger(a.port, context, *parts) as (_, writer):
                await a.until(lambda: from_peer(a, "c") == [b"one"])
                a.mesh.pause("c")
                async with stranger(a.port, None) as (reader, _):
                    await left(reader)  # takes `greeting_s`, which is longer than `frame_s`
                writer.write(frame(1, b"two")[7:])
                a.mesh.resume("c")
                await a.until(lambda: from_peer(a, "c") == [b"one", b"two"])
            a.mesh.pause("c")
            async with stranger(a.port, context, hello("c"), frame(1, b"three")):
                await exchange(a, b)
                assert from_peer(a, "c") == [b"one", b"two"]
                a.mesh.resume("c")
                a.mesh.resume("c")
                await a.until(lambda: len(from_peer(a, "c")) == 3)
            assert a.mesh.counts.refusals.keys() == {("unknown", Reason.SLOW)}

    asyncio.run(run())


def test_closing_sends_what_is_unsent(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = [await here.station(name, knows="ab", limits=PATIENT) for name in "ab"]
            await exchange(a, b)
            for number in range(32):
                assert a.mesh.send("b", 2, bytes([number]) + PIECE)
            await a.mesh.close()
            await b.until(lambda: len(b.got) == 1 + 32)
            assert [data[0] for data in from_peer(b, "a")[1:]] == list(range(32))

    asyncio.run(run())


def test_closing_does_not_wait_for_who_takes_nothing(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a = await here.station("a", limits=Limits(unsent_bytes_max=2**20, close_s=0.2))
            b = await here.station("b")
            await exchange(a, b)
            b.mesh.pause("a")
            await flood(a, "b")
            async with asyncio.timeout(2.0):
                await a.mesh.close()
            await a.mesh.close()
            b.mesh.resume("a")

    asyncio.run(run())


def test_who_takes_frames_may_refuse_one(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b, c = [await here.station(name) for name in "abc"]
            await exchange(a, b, c)

            def refuse(peer: str, channel: int, data: bytes) -> None:
                if channel == 5:
                    raise LinkError(Reason.MALFORMED, "no such message")

            a.on_frame = refuse
            assert b.mesh.send("a", 5, b"?")
            await a.refused("b", Reason.MALFORMED)
            await b.until(lambda: b.mesh.counts.connected == 3)
            await exchange(a, b, c)

    asyncio.run(run())


def test_a_bug_of_who_takes_frames_is_told_and_ends_that_connection(tmp_path: Path) -> None:
    """Also for a frame that waited while its peer was paused."""
    told: list[BaseException | None] = []

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: told.append(context.get("exception"))
        )
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            await exchange(a, b)

            def fail(peer: str, channel: int, data: bytes) -> None:
                if channel == 4:
                    a.mesh.pause(peer)
                elif channel == 5:
                    raise InvariantError("a bug")

            a.on_frame = fail
            assert b.mesh.send("a", 5, b"!")
            await b.until(lambda: b.mesh.counts.connected == 2)
            says = hello("c"), frame(4, b"") + frame(5, b"!")
            async with stranger(a.port, here.dials_as("c"), *says) as (reader, _):
                await a.until(lambda: from_peer(a, "c"))
                await exchange(a, b)
                a.mesh.resume("c")
                assert await left(reader) == hello("a")
            await exchange(a, b)

    asyncio.run(run())
    assert [type(error) for error in told] == [InvariantError] * 2


def test_our_own_frames_keep_to_the_limits(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a = await here.station("a")
            for channel, data in ((0, b""), (256, b""), (1, bytes(2**20 + 2**16))):
                with pytest.raises(InvariantError):
                    a.mesh.send("b", channel, data)
            with pytest.raises(InvariantError, match="16 MiB"):
                await here.station("b", limits=Limits(frame_bytes_max=2**24 + 1))

    asyncio.run(run())


def test_a_mesh_listens_where_its_member_says(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            here.listeners.pop("a").close()
            a = Station(here, "a", PATIENT, "ab")
            here.stations.append(a)
            await a.mesh.start()
            twin = Station(here, "a", PATIENT, "ab")
            with pytest.raises(OSError, match="in use"):
                await twin.mesh.start()
            async with stranger(a.port, here.dials_as("b"), hello("b"), frame(1, b"x")):
                await a.until(lambda: a.got == [("b", 1, b"x")])

    asyncio.run(run())
