"""Validators on real sockets of this machine, and strangers who speak to them byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from gridpact.codec import encode
from gridpact.node.links import Limits, Member, Mesh, Reason, make_identity, write_key
from gridpact.node.links.connection import GREETING, Hello
from gridpact.node.links.frames import frame
from gridpact.node.links.identity import client_context, server_context

HOST = "127.0.0.1"
CHAIN = b"\x01" * 32
VERSION = 7
WAITS_S = 10.0
"""Anything on one machine comes before this."""
QUICK = Limits(
    greeting_s=0.8, frame_s=0.3, unknown_max=4, retry_first_s=0.02, retry_most_s=0.1, close_s=1.0
)
PATIENT = Limits(retry_first_s=0.02, retry_most_s=0.1)
"""For strangers who need time: nothing is late."""


def hello(name: str, *, version: int = VERSION, chain: bytes = CHAIN) -> bytes:
    """A greeting's frame."""
    return frame(GREETING, encode(Hello(version, chain, name)))


class Watched(Counter[tuple[str, Reason]]):
    """Refusals that say when there is one more."""

    def __init__(self, changed: asyncio.Event) -> None:
        super().__init__()
        self.changed = changed

    def __setitem__(self, key: tuple[str, Reason], value: int) -> None:
        super().__setitem__(key, value)
        self.changed.set()


class Station:
    """A mesh that notes what happens to it."""

    def __init__(self, place: Place, name: str, limits: Limits, knows: str) -> None:
        self.name = name
        self.port = place.ports[name]
        self.got: list[tuple[str, int, bytes]] = []
        self.changed = asyncio.Event()
        self.on_frame: Callable[[str, int, bytes], None] = lambda *_: None
        own = place.member(name)
        peers = [place.member(other) for other in knows if other != name]
        self.mesh = Mesh(
            own,
            place.key(name),
            peers,
            chain=place.chains.get(name, CHAIN),
            version=place.versions.get(name, VERSION),
            received=self._received,
            chance=random.Random(name),
            limits=limits,
        )
        self.mesh.counts.refusals = Watched(self.changed)
        self.mesh.connected = self.mesh.disconnected = lambda _: self.changed.set()

    def _received(self, peer: str, channel: int, data: bytes) -> None:
        self.got.append((peer, channel, data))
        self.changed.set()
        self.on_frame(peer, channel, data)

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something holds that a frame, a connection or a refusal changes."""
        async with asyncio.timeout(WAITS_S):
            while not happened():
                self.changed.clear()
                await self.changed.wait()

    async def refused(self, peer: str, reason: Reason) -> None:
        await self.until(lambda: self.mesh.counts.refusals[peer, reason])

    async def up(self, *peers: str) -> None:
        """Wait until it can send to some."""
        await self.until(lambda: all(self.mesh.is_up(peer) for peer in peers))


class Place:
    """Names, keys and ports; closes all stations in the end."""

    def __init__(self, folder: Path, names: str) -> None:
        self.folder = folder
        self.chains: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        """Of those that are of another chain or version."""
        self.listeners = {name: socket.create_server((HOST, 0)) for name in names}
        self.ports = {name: found.getsockname()[1] for name, found in self.listeners.items()}
        self.certificates: dict[str, str] = {}
        self.stations: list[Station] = []
        for name in names:
            key, self.certificates[name] = make_identity(name)
            write_key(self.key(name), key)

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def member(self, name: str) -> Member:
        return Member(name, HOST, self.ports[name], self.certificates[name])

    async def station(self, name: str, *, knows: str = "abc", limits: Limits = QUICK) -> Station:
        """A running mesh; again after it was closed, on the same port."""
        station = Station(self, name, limits, knows)
        listener = self.listeners.pop(name, None) or socket.create_server((HOST, self.ports[name]))
        self.stations.append(station)
        await station.mesh.start(listener)
        return station

    def dials_as(self, name: str, *, knows: str = "abc") -> ssl.SSLContext:
        peers = [self.member(other) for other in knows if other != name]
        return client_context(self.member(name), self.key(name), peers)

    def listens_as(self, name: str, *, knows: str = "abc") -> ssl.SSLContext:
        peers = [self.member(other) for other in knows if other != name]
        return server_context(self.member(name), self.key(name), peers)

    async def close(self) -> None:
        for station in self.stations:
            await station.mesh.close()
        for listener in self.listeners.values():
            listener.close()


@contextlib.asynccontextmanager
async def place(folder: Path, names: str = "abcx") -> AsyncIterator[Place]:
    """A place for the time of a test."""
    found = Place(folder, names)
    try:
        async with asyncio.timeout(6 * WAITS_S):
            yield found
    finally:
        await found.close()


async def exchange(*stations: Station) -> None:
    """Each sends to each, and it arrives: nothing that happened before harmed them."""
    names = [station.name for station in stations]
    for station in stations:
        await station.up(*(name for name in names if name != station.name))
    data = b"still here %d" % sum(len(station.got) for station in stations)
    for station in stations:
        for name in names:
            if name != station.name:
                assert station.mesh.send(name, 9, data)
    for station in stations:
        expected = {(name, 9, data) for name in names if name != station.name}
        await station.until(lambda s=station, e=expected: e <= set(s.got))


@contextlib.asynccontextmanager
async def stranger(
    port: int, context: ssl.SSLContext | None, *says: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection of somebody who is no mesh; it has said these, a write each."""
    reader, writer = await asyncio.open_connection(
        HOST, port, ssl=context, server_hostname="" if context else None
    )
    try:
        for data in says:
            writer.write(data)
            await writer.drain()
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def left(reader: asyncio.StreamReader) -> bytes:
    """What a stranger is told until the other end goes."""
    told = b""
    with contextlib.suppress(OSError):
        while data := await reader.read(2**16):
            told += data
    return told


def from_peer(station: Station, peer: str) -> Sequence[bytes]:
    """The data that came from one peer, in order."""
    return [data for name, _, data in station.got if name == peer]
