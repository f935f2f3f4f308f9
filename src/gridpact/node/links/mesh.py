"""All links of one validator: it listens, and keeps a connection to each other member.

What is sent goes over the connection that we made, what comes over the one that the peer made; so
a link is up in each direction by itself. Frames may be lost: when a peer is away, when it does not
keep up, when a connection ends. They are never reordered on one connection, and whose they are is
known by the certificate, never by what they say.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from gridpact.codec import Hash
from gridpact.errors import InputError, Problem, invariant
from gridpact.node.links.connection import (
    FRAME_BYTES_MOST,
    GREETING,
    Connection,
    Hello,
    Limits,
)
from gridpact.node.links.frames import HEAD_BYTES, frame
from gridpact.node.links.identity import Member, client_context, server_context
from gridpact.node.links.refusals import LinkError, Reason

UNKNOWN = "unknown"
"""Stands for whoever has not shown who it is; all of them are counted together."""
CHANNEL_MAX = 255
_BACKLOG = 128
_ACCEPT_AGAIN_S = 0.5
"""Wait when the operating system gives no more sockets."""
_CERTIFICATE_FAULTS = {"CERTIFICATE_VERIFY_FAILED", "PEER_DID_NOT_RETURN_A_CERTIFICATE"}

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counts:
    """What a mesh has done since it was made."""

    frames_in: int = 0
    frames_out: int = 0
    """Handed to the connection; they may still be lost with it."""
    bytes_in: int = 0
    """Of whole frames, heads included."""
    bytes_out: int = 0
    away: int = 0
    """Frames dropped because the peer was not connected."""
    behind: int = 0
    """Frames dropped because the peer had too much unsent."""
    connected: int = 0
    """Connections made to peers that greeted well."""
    unreached: int = 0
    """Tries to connect that ended before a greeting, through nobody's fault."""
    refusals: Counter[tuple[str, Reason]] = field(default_factory=Counter)
    """By peer, or `UNKNOWN`, and reason."""


def _nobody(peer: str) -> None:
    """Nobody wants to know."""


class Mesh:
    """One validator's links.

    Args:
        own: this validator; its host and port are listened on unless `start` is given a socket.
        key: file with the private key of its certificate.
        peers: the other members; nobody else is talked to.
        chain: hash of the genesis, 32 bytes.
        version: of the protocol that the frames belong to; links are between equal ones.
        received: told peer, channel and data of each frame, in order. It must be quick, and may
            call `pause`. `LinkError` from it ends the connection; anything else is a bug.
        chance: for the spread of waits.
        limits: what a peer may cost.
    Raises:
        InputError: a member twice, a certificate or the key that is none.
    """

    def __init__(
        self,
        own: Member,
        key: Path,
        peers: Sequence[Member],
        *,
        chain: Hash,
        version: int,
        received: Callable[[str, int, bytes], None],
        chance: random.Random,
        limits: Limits | None = None,
    ) -> None:
        self.counts = Counts()
        self.connected: Callable[[str], None] = _nobody
        """Told a peer's name when frames to it can be sent from now on."""
        self.disconnected: Callable[[str], None] = _nobody
        """Told a peer's name when they cannot any more."""
        self._own = own
        self._limits = limits or Limits()
        invariant(self._limits.frame_bytes_max <= FRAME_BYTES_MOST, "frames of 16 MiB at most")
        self._peers = {peer.name: peer for peer in peers}
        self._names = {peer.fingerprint(): peer.name for peer in peers}
        if len({own.name, *self._peers}) <= len(peers):
            raise InputError([Problem(own.name, "two members of one name")])
        if len({own.fingerprint(), *self._names}) <= len(peers):
            raise InputError([Problem(own.name, "two members with one certificate")])
        self._as_server = server_context(own, key, peers)
        self._as_client = client_context(own, key, peers)
        self._hello = Hello(version, chain, own.name)
        self._received = received
        self._chance = chance
        self._outbound: dict[str, Connection] = {}
        self._inbound: dict[str, Connection] = {}
        self._paused: set[str] = set()
        self._returned = {name: asyncio.Event() for name in self._peers}
        """Set when a peer connected to us: it is there again."""
        self._unknown: dict[socket.socket, asyncio.Task[None]] = {}
        """Who has not shown who it is, in the order of coming."""
        self._serving: set[asyncio.Task[None]] = set()
        self._dialling: list[asyncio.Task[None]] = []
        self._accepting: asyncio.Task[None] | None = None
        self._listener: socket.socket | None = None
        self._closing = False

    @property
    def peers(self) -> Sequence[str]:
        """Names of the other members, connected or not."""
        return tuple(self._peers)

    async def start(self, listener: socket.socket | None = None) -> None:
        """Listen, and begin to connect to the others.

        Args:
            listener: a listening socket, when it is not to be made from our own host and port.
        Raises:
            OSError: the address is taken, or not ours.
        """
        if listener is None:
            listener = await _listen(self._own.host, self._own.port)
        listener.setblocking(False)
        self._listener = listener
        self._accepting = asyncio.create_task(self._accept(listener))
        self._dialling = [
            asyncio.create_task(self._stay_connected(peer)) for peer in self._peers.values()
        ]

    async def close(self) -> None:
        """Stop listening, send what is unsent as long as `Limits.close_s` allows, end all.

        Frames are received until it returns.
        """
        self._closing = True
        if self._accepting is not None and self._listener is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._listener.close()
        leaving = list(self._outbound.values())
        self._outbound.clear()
        for connection in leaving:
            connection.close()
        if leaving:
            await asyncio.wait([c.ended for c in leaving], timeout=self._limits.close_s)
        tasks = [*self._dialling, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # in which the sockets are closed

    def send(self, peer: str, channel: int, data: bytes) -> bool:
        """Send a frame.

        Args:
            peer: name of a member.
            channel: 1 to 255.
            data: one byte less than `Limits.frame_bytes_max` at most.
        Returns:
            False when it was dropped: the peer is not connected, or does not keep up.
        """
        invariant(GREETING < channel <= CHANNEL_MAX, f"channel {channel}; 1 to 255")
        size = len(data) + 1
        invariant(size <= self._limits.frame_bytes_max, f"a frame of {size} bytes is too large")
        connection = self._outbound.get(peer)
        if connection is None:
            self.counts.away += 1
            return False
        if not connection.send(frame(channel, data)):
            self.counts.behind += 1
            return False
        self.counts.frames_out += 1
        self.counts.bytes_out += HEAD_BYTES + len(data)
        return True

    def is_up(self, peer: str) -> bool:
        """Whether frames to a peer can be sent now."""
        return peer in self._outbound

    def pause(self, peer: str) -> None:
        """Take nothing more from a peer, from this frame on; TCP makes it wait."""
        self._paused.add(peer)
        if (connection := self._inbound.get(peer)) is not None:
            connection.pause()

    def resume(self, peer: str) -> None:
        """Take frames from a peer again."""
        self._paused.discard(peer)
        if (connection := self._inbound.get(peer)) is not None:
            connection.resume()

    # Connections that peers make

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                found, _ = await loop.sock_accept(listener)
            except ConnectionAbortedError:
                continue
            except OSError as error:
                text = f"no more sockets: {error.strerror}"
                self._refuse(UNKNOWN, LinkError(Reason.CROWDED, text))
                await asyncio.sleep(_ACCEPT_AGAIN_S)
                continue
            self._make_room()
            task = asyncio.create_task(self._serve(found))
            self._unknown[found] = task
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
            await asyncio.sleep(0)  # so that it has begun, and that a crowd stops nobody else

    def _make_room(self) -> None:
        """The oldest goes, not the newest: a member needs milliseconds, a flood keeps its place."""
        limit = self._limits.unknown_max
        while len(self._unknown) >= limit:
            self._unknown.pop(next(iter(self._unknown))).cancel()
            self._refuse(UNKNOWN, LinkError(Reason.CROWDED, f"more than {limit} at once"))

    async def _serve(self, found: socket.socket) -> None:
        """One connection that somebody made, to its end."""
        connection = Connection(self._limits, self._hello)
        peer = UNKNOWN
        try:
            await self._shake_hands(connection, found)
            peer = self._name_of(connection)
            await self._greet(connection, peer)
            self._unknown.pop(found, None)
            self._take_from(peer, connection)
            error = await connection.ended
            if isinstance(error, LinkError):
                raise error
        except LinkError as error:
            self._refuse(peer, error)
        except OSError:
            pass  # who left before a greeting is no member, or comes again
        finally:
            self._unknown.pop(found, None)
            if self._inbound.get(peer) is connection:
                del self._inbound[peer]
            connection.abort()
            with contextlib.suppress(OSError):  # when cancelled before there was a transport
                found.shutdown(socket.SHUT_RDWR)

    async def _shake_hands(self, connection: Connection, found: socket.socket) -> None:
        with _handshake(self._limits):
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                found,
                ssl=self._as_server,
                ssl_handshake_timeout=self._limits.greeting_s,
                ssl_shutdown_timeout=self._limits.close_s,
            )

    def _take_from(self, peer: str, connection: Connection) -> None:
        """Frames of this connection are the peer's; one that it made before is over."""
        before = self._inbound.get(peer)
        self._inbound[peer] = connection
        if before is not None:
            before.abort()
        connection.begin(partial(self._take, peer), held=peer in self._paused)
        self._returned[peer].set()

    def _take(self, peer: str, channel: int, data: bytes) -> None:
        if channel == GREETING:
            raise LinkError(Reason.MALFORMED, "a second greeting")
        self.counts.frames_in += 1
        self.counts.bytes_in += HEAD_BYTES + len(data)
        self._received(peer, channel, data)

    # Connections that we make

    async def _stay_connected(self, peer: Member) -> None:
        limits, returned = self._limits, self._returned[peer.name]
        wait_s = limits.retry_first_s
        while not self._closing:
            returned.clear()
            if await self._dial(peer) > limits.retry_most_s or returned.is_set():
                wait_s = limits.retry_first_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s * self._chance.uniform(0.5, 1.5)):
                    await returned.wait()
            wait_s = min(2 * wait_s, limits.retry_most_s)

    async def _dial(self, peer: Member) -> float:
        """One connection to a peer, to its end; for how many seconds it could be sent to."""
        connection = Connection(self._limits, self._hello)
        loop = asyncio.get_running_loop()
        try:
            await self._reach(connection, peer)
            if (shown := self._name_of(connection)) != peer.name:
                raise LinkError(Reason.CERTIFICATE, f"the certificate there is that of {shown}")
            await self._greet(connection, peer.name)
            connection.begin(_nothing_comes)
            self._outbound[peer.name] = connection
            self.counts.connected += 1
            loop.call_soon(self.connected, peer.name)
            up_at_s = loop.time()
            error = await connection.ended
            if isinstance(error, LinkError):
                raise error
            return loop.time() - up_at_s
        except LinkError as error:
            self._refuse(peer.name, error)
        except OSError:
            self.counts.unreached += 1
        finally:
            connection.abort()
            if self._outbound.pop(peer.name, None) is not None:
                loop.call_soon(self.disconnected, peer.name)
        return 0.0

    async def _reach(self, connection: Connection, peer: Member) -> None:
        limits = self._limits
        with _handshake(limits):
            async with asyncio.timeout(limits.greeting_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection,
                    peer.host,
                    peer.port,
                    ssl=self._as_client,
                    server_hostname="",
                    ssl_handshake_timeout=limits.greeting_s,
                    ssl_shutdown_timeout=limits.close_s,
                )

    # Both

    def _name_of(self, connection: Connection) -> str:
        name = self._names.get(connection.certificate())
        if name is None:
            raise LinkError(Reason.CERTIFICATE, "a certificate that is not pinned")
        return name

    async def _greet(self, connection: Connection, peer: str) -> None:
        """Wait for the peer's greeting and see that it is one of ours."""
        try:
            with _handshake(self._limits):
                async with asyncio.timeout(self._limits.greeting_s):
                    hello = await connection.greeting
        except TimeoutError:
            limit = self._limits.greeting_s
            raise LinkError(Reason.SLOW, f"no greeting within {limit:g} s") from None
        ours = self._hello
        if hello.version != ours.version:
            text = f"version {hello.version} of the protocol; ours is {ours.version}"
            raise LinkError(Reason.VERSION, text)
        if hello.chain != ours.chain:
            text = f"chain {hello.chain.hex()[:16]}; ours is {ours.chain.hex()[:16]}"
            raise LinkError(Reason.CHAIN, text)
        if hello.name != peer:
            raise LinkError(Reason.NAME, f"greets as {hello.name}")

    def _refuse(self, peer: str, error: LinkError) -> None:
        """Count it, and say it the first time: who does it again fills no log."""
        self.counts.refusals[peer, error.reason] += 1
        if self.counts.refusals[peer, error.reason] == 1:
            _log.warning("link refused", peer=peer, reason=error.reason.value, detail=error.detail)


def _nothing_comes(channel: int, data: bytes) -> None:
    """What a peer sends comes over the connection that it made."""
    raise LinkError(Reason.MALFORMED, f"a frame on channel {channel} the wrong way")


@contextlib.contextmanager
def _handshake(limits: Limits) -> Iterator[None]:
    """Errors of TLS as refusals."""
    try:
        yield
    except ssl.SSLError as error:
        fault = error.reason in _CERTIFICATE_FAULTS
        reason = Reason.CERTIFICATE if fault else Reason.TLS
        raise LinkError(reason, f"no handshake: {error.reason}") from error
    except ConnectionAbortedError as error:  # how asyncio says that it took too long
        limit = limits.greeting_s
        raise LinkError(Reason.SLOW, f"no handshake within {limit:g} s") from error


async def _listen(host: str, port: int) -> socket.socket:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    family, *_, address = found[0]
    return socket.create_server(address, family=family, backlog=_BACKLOG)
