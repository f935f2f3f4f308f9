"""Who does not keep to the protocol is left, told apart, and harms nobody else's links.

Method: two honest validators, a and b, run beside a third place from which something wrong comes;
each refusal is counted under its name, and a and b exchange frames after it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.typing import EventDict
from tests.unit.node.links.stations import (
    CHAIN,
    HOST,
    PATIENT,
    QUICK,
    VERSION,
    WAITS_S,
    Place,
    exchange,
    from_peer,
    hello,
    left,
    place,
    stranger,
)

from gridpact.node.links import UNKNOWN, Limits, Reason
from gridpact.node.links.frames import frame

LIMIT = QUICK.frame_bytes_max


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ([hello("b")], Reason.NAME),
        ([hello("x")], Reason.NAME),
        ([hello("c", chain=b"\x02" * 32)], Reason.CHAIN),
        ([hello("c", version=VERSION + 1)], Reason.VERSION),
        ([frame(1, b"no greeting")], Reason.MALFORMED),
        ([frame(0, b"\xc1\xc1")], Reason.MALFORMED),
        ([bytes(4)], Reason.MALFORMED),
        ([frame(0, bytes(300))], Reason.OVERSIZED),
        ([], Reason.SLOW),
        ([hello("c")[:9]], Reason.SLOW),
        ([hello("c") * 2], Reason.MALFORMED),
        ([hello("c"), bytes(4)], Reason.MALFORMED),
        ([hello("c"), (LIMIT + 1).to_bytes(4, "big")], Reason.OVERSIZED),
        ([hello("c"), b"\xff" * 9], Reason.OVERSIZED),
        ([hello("c"), frame(1, b"never ends")[:-1]], Reason.SLOW),
        ([hello("c"), b"\x00"], Reason.SLOW),
    ],
)
def test_a_member_that_breaks_the_protocol_is_left(
    says: list[bytes], reason: Reason, tmp_path: Path, logged: list[EventDict]
) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            for times in (1, 2):
                async with stranger(a.port, here.dials_as("c"), *says) as (reader, _):
                    assert await left(reader) == hello("a")
                assert a.mesh.counts.refusals == {("c", reason): times}
            assert from_peer(a, "c") == []
            await exchange(a, b)
            async with stranger(a.port, here.dials_as("c"), hello("c"), frame(1, b"reformed")):
                await a.until(lambda: from_peer(a, "c") == [b"reformed"])

    asyncio.run(run())
    (entry,) = logged
    assert entry["log_level"] == "warning"
    assert (entry["peer"], entry["reason"]) == ("c", reason)


def test_slow_and_steady_is_too_slow(tmp_path: Path) -> None:
    """A byte now and then does not push the end of a frame's time further away."""

    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            says = hello("c"), frame(1, b"in time"), (10_000).to_bytes(4, "big")
            async with stranger(a.port, here.dials_as("c"), *says) as (reader, writer):

                async def drip() -> None:
                    while True:
                        writer.write(b".")
                        await asyncio.sleep(QUICK.frame_s / 20)

                dripping = asyncio.create_task(drip())
                assert await left(reader) == hello("a")
                dripping.cancel()
            assert a.mesh.counts.refusals == {("c", Reason.SLOW): 1}
            assert from_peer(a, "c") == [b"in time"]
            await exchange(a, b)

    asyncio.run(run())


def tls_1_2(place: Place) -> ssl.SSLContext:
    context = place.dials_as("c")
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def without_certificate(place: Place) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=place.certificates["a"])
    return context


def one_of_the_same_name(place: Place) -> ssl.SSLContext:
    place.folder /= "forged"
    place.folder.mkdir()
    forger = Place(place.folder, "c")
    forger.listeners["c"].close()
    forger.ports["a"], forger.certificates["a"] = place.ports["a"], place.certificates["a"]
    return forger.dials_as("c", knows="a")


@pytest.mark.parametrize(
    ("context", "says", "reason"),
    [
        (lambda here: here.dials_as("x"), b"", Reason.CERTIFICATE),
        (one_of_the_same_name, b"", Reason.CERTIFICATE),
        (without_certificate, b"", Reason.CERTIFICATE),
        (tls_1_2, b"", Reason.TLS),
        (lambda _: None, hello("c"), Reason.TLS),
        (lambda _: None, b"GET / HTTP/1.1\r\n\r\n", Reason.TLS),
        (lambda _: None, b"\x16\x03\x01\x00\xa5\x01", Reason.SLOW),
        (lambda _: None, b"", Reason.SLOW),
    ],
)
def test_a_stranger_is_left(
    context: Callable[[Place], ssl.SSLContext | None],
    says: bytes,
    reason: Reason,
    tmp_path: Path,
    logged: list[EventDict],
) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            shows = context(here)
            for times in (1, 2):
                try:
                    async with stranger(a.port, shows, says) as (reader, _):
                        assert hello("a") not in await left(reader)
                except OSError:
                    pass  # the handshake already says no
                await a.until(lambda n=times: a.mesh.counts.refusals == {(UNKNOWN, reason): n})
            await exchange(a, b)

    asyncio.run(run())
    (entry,) = logged
    assert (entry["peer"], entry["reason"]) == (UNKNOWN, reason)


def test_who_comes_and_goes_is_no_offence(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            a, b = await here.station("a"), await here.station("b")
            for says in (b"", b"\x16\x03"):
                async with stranger(a.port, None, says):
                    pass
            async with stranger(a.port, here.dials_as("c")) as (reader, _):
                await reader.readexactly(len(hello("a")))
            await exchange(a, b)
            assert not a.mesh.counts.refusals

    asyncio.run(run())


def test_a_crowd_of_strangers_does_not_keep_a_member_out(tmp_path: Path) -> None:
    limits = Limits(unknown_max=4, greeting_s=30.0, retry_first_s=0.02, retry_most_s=0.1)

    async def run() -> None:
        async with place(tmp_path) as here:
            a = await here.station("a", limits=limits)
            crowd = [await asyncio.open_connection(HOST, here.ports["a"]) for _ in range(20)]
            b = await here.station("b")
            await exchange(a, b)
            assert a.mesh.counts.refusals[UNKNOWN, Reason.CROWDED] >= 16
            assert len(a.mesh._unknown) <= 4
            async with asyncio.timeout(WAITS_S):  # the oldest have left, not the newest
                await asyncio.gather(*(left(reader) for reader, _ in crowd[:16]))
            for _, writer in crowd:
                writer.close()

    asyncio.run(run())


Listener = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def saying(*data: bytes) -> Listener:
    """A listener that says something and then waits for the other end to go."""

    async def listener(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for one in data:
            writer.write(one)
        await left(reader)
        writer.close()

    return listener


@pytest.mark.parametrize(
    ("context", "listener", "reason"),
    [
        (lambda here: here.listens_as("b"), saying(hello("c")), Reason.CERTIFICATE),
        (lambda here: here.listens_as("x"), saying(hello("c")), Reason.CERTIFICATE),
        (lambda _: None, saying(b"HTTP/1.1 400 no\r\n\r\n"), Reason.TLS),
        (lambda here: here.listens_as("c"), saying(hello("b")), Reason.NAME),
        (lambda here: here.listens_as("c"), saying(hello("c", chain=bytes(32))), Reason.CHAIN),
        (lambda here: here.listens_as("c"), saying(hello("c", version=0)), Reason.VERSION),
        (lambda here: here.listens_as("c"), saying(), Reason.SLOW),
        (lambda here: here.listens_as("c"), saying(bytes(5)), Reason.MALFORMED),
        (lambda here: here.listens_as("c"), saying(hello("c"), frame(1, b"?")), Reason.MALFORMED),
    ],
)
def test_who_listens_at_a_members_address_must_be_that_member(
    context: Callable[[Place], ssl.SSLContext | None],
    listener: Listener,
    reason: Reason,
    tmp_path: Path,
    logged: list[EventDict],
) -> None:
    async def run() -> None:
        async with place(tmp_path) as here:
            found = here.listeners.pop("c")
            server = await asyncio.start_server(listener, sock=found, ssl=context(here))
            async with server:
                a, b = await here.station("a"), await here.station("b")
                await a.until(lambda: a.mesh.counts.refusals["c", reason] >= 2)
                assert set(a.mesh.counts.refusals) == {("c", reason)}
                await exchange(a, b)
                await a.mesh.close()
                await b.mesh.close()

    asyncio.run(run())
    assert all(entry["peer"] == "c" and entry["reason"] == reason for entry in logged)
    assert len(logged) <= 2, "once for each of the two"


def test_who_listens_with_tls_1_2_is_not_reached(tmp_path: Path) -> None:
    """It ends the handshake by itself, which looks like any end."""

    async def run() -> None:
        async with place(tmp_path) as here:
            context = here.listens_as("c")
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
            listener, tried = here.listeners.pop("c"), asyncio.Event()
            async with await asyncio.start_server(saying(), sock=listener, ssl=context):
                a, b = await here.station("a"), await here.station("b")
                loop = asyncio.get_running_loop()

                def look() -> None:
                    counts = a.mesh.counts
                    if counts.unreached + counts.refusals["c", Reason.TLS] >= 2:
                        tried.set()
                    else:
                        loop.call_later(0.02, look)

                look()
                await tried.wait()
                assert not a.mesh.is_up("c")
                await exchange(a, b)
                await a.mesh.close()
                await b.mesh.close()

    asyncio.run(run())


def test_meshes_of_other_chains_versions_or_members_stay_apart(tmp_path: Path) -> None:
    async def run() -> None:
        async with place(tmp_path, "abcdx") as here:
            here.chains["c"], here.versions["d"] = b"\x09" * 32, VERSION + 1
            a, b = [await here.station(name, knows="abcd") for name in "ab"]
            others = [await here.station(name, knows="abcd") for name in "cdx"]
            for name, reason in (("c", Reason.CHAIN), ("d", Reason.VERSION)):
                await a.refused(name, reason)
            await a.refused(UNKNOWN, Reason.CERTIFICATE)
            await exchange(a, b)
            assert not any(a.mesh.is_up(other.name) for other in others)
            assert not any(other.mesh.is_up("a") or other.got for other in others)

    asyncio.run(run())


def test_who_is_turned_down_knows_it(tmp_path: Path) -> None:
    """A mesh whose certificate the others do not have hears so, or sees them go."""

    async def run() -> None:
        async with place(tmp_path) as here:
            a = await here.station("a", knows="ab", limits=PATIENT)
            x = await here.station("x", knows="ax", limits=PATIENT)
            counts = x.mesh.counts
            await a.until(lambda: a.mesh.counts.refusals[UNKNOWN, Reason.CERTIFICATE] >= 3)
            assert counts.unreached + counts.refusals["a", Reason.TLS] >= 2
            assert not x.mesh.is_up("a")
            assert CHAIN not in {data for _, _, data in x.got}

    asyncio.run(run())
