"""Links between validators that can be made bad: a relay for each directed pair.

A relay listens where one validator believes that another one is, and forwards bytes both ways. It
knows nothing of what they mean, since the validators encrypt end to end. What it can do to a link
is a `LinkState`; bytes are never lost inside a connection nor reordered, as TCP does neither: loss
shows as a connection that is reset, or as one on which nothing comes any more.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from random import Random

HELD_BYTES_MAX = 2**20
"""Of one direction of a connection; whoever sends more waits, as TCP makes it."""
_RESET = struct.pack("ii", 1, 0)
"""Linger for no time: the socket's end is a reset."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """What happens to bytes on a link."""

    held: bool = False
    """Nothing arrives until this ends; then all of it does, and new connections are made."""
    cut: bool = False
    """Connections are reset, and new ones too."""
    delay_ms: int = 0
    jitter_ms: int = 0
    """Up to this much is added to the delay, by chance."""
    reset_chance: float = 0.0
    """That a piece of data ends its connection with a reset instead of arriving."""
    bytes_per_s: int = 0
    """How fast it is; 0 for no limit."""


HEALTHY = LinkState()


class Relay:
    """One directed link: what one validator dials to reach another one."""

    def __init__(self, host: str, port: int, chance: Random) -> None:
        """Nothing is listened on before `open`.

        Args:
            host: of the validator that is reached.
            port: of it.
            chance: decides on jitter and resets.
        """
        self.state = HEALTHY
        self._host, self._port, self._chance = host, port, chance
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def open(self, host: str) -> int:
        """Listen; returns the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accepted, host, 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """End all connections and listen no more."""
        if self._server is not None:
            self._server.close()
        waiting = [connection.dialling for connection in self._connections]
        for connection in tuple(self._connections):
            connection.reset()
        await asyncio.gather(*waiting, return_exceptions=True)

    def set(self, state: LinkState) -> None:
        """Make the link good or bad from now on."""
        self.state = state
        for connection in tuple(self._connections):
            if state.cut:
                connection.reset()
            else:
                connection.go_on()

    @property
    def held_bytes(self) -> int:
        """What came in and has not gone out yet."""
        return sum(connection.held_bytes for connection in self._connections)

    def _accepted(self) -> asyncio.Protocol:
        connection = _Connection(self)
        self._connections.add(connection)
        return connection.near

    async def dial(self, far: asyncio.Protocol) -> None:
        """Connect to the validator that is reached; OSError when it is not there."""
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: far, self._host, self._port)

    def forget(self, connection: _Connection) -> None:
        """It has ended."""
        self._connections.discard(connection)

    def is_unlucky(self) -> bool:
        """Whether a piece of data resets its connection."""
        return self._chance.random() < self.state.reset_chance

    def delay_s(self, size: int) -> float:
        """How long a piece of data takes."""
        state = self.state
        delay_s = (state.delay_ms + state.jitter_ms * self._chance.random()) / 1000
        return delay_s + (size / state.bytes_per_s if state.bytes_per_s else 0.0)


class _Connection:
    """Two sockets and what is on its way between them."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.ended = False
        self._released = asyncio.Event()
        self.near, self.far = _End(self), _End(self)
        self._flows = (_Flow(self, self.near, self.far), _Flow(self, self.far, self.near))
        self.near.outgoing, self.far.outgoing = self._flows
        self.dialling = asyncio.create_task(self._dial())

    @property
    def held_bytes(self) -> int:
        return sum(flow.size for flow in self._flows)

    async def _dial(self) -> None:
        while self.relay.state.held and not self.ended:
            self._released.clear()
            await self._released.wait()
        try:
            if self.relay.state.cut or self.ended:
                raise ConnectionResetError("the link is cut")
            await self.relay.dial(self.far)
        except OSError:
            self.reset()

    def go_on(self) -> None:
        """The link's state has changed, or an end has come up."""
        if not self.relay.state.held:
            self._released.set()
        for flow in self._flows:
            flow.go_on()

    def reset(self) -> None:
        """End both sockets at once; what is on its way is lost."""
        self._end()
        for end in (self.near, self.far):
            end.reset()

    def finish(self) -> None:
        """One socket has ended, and what came from it is through: end the other one."""
        self._end()
        for end in (self.near, self.far):
            if end.transport is not None:
                end.transport.close()

    def _end(self) -> None:
        self.ended = True
        self._released.set()
        self.relay.forget(self)
        for flow in self._flows:
            flow.stop()


class _End(asyncio.Protocol):
    """One socket of a connection."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self.outgoing: _Flow | None = None
        """What comes from this socket goes there."""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self.transport = transport
        relay = self._connection.relay
        if self._connection.ended or relay.state.cut:
            self._connection.reset()
        else:
            self._connection.go_on()

    def data_received(self, data: bytes) -> None:
        if self._connection.relay.is_unlucky():
            self._connection.reset()
        elif self.outgoing is not None:
            self.outgoing.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.outgoing is not None and not self._connection.ended:
            self.outgoing.put(b"")

    def reset(self) -> None:
        if self.transport is None:
            return
        found: socket.socket | None = self.transport.get_extra_info("socket")
        if found is not None and found.fileno() >= 0:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class _Flow:
    """One direction: pieces of data, each with the time at which it arrives; empty is the end."""

    def __init__(self, connection: _Connection, source: _End, target: _End) -> None:
        self._connection, self._source, self._target = connection, source, target
        self._queue: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._last_s = 0.0
        self.size = 0

    def put(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + self._connection.relay.delay_s(len(data))
        self._last_s = max(self._last_s, due_s)
        self._queue.append((self._last_s, data))
        self.size += len(data)
        if self.size > HELD_BYTES_MAX and self._source.transport is not None:
            self._source.transport.pause_reading()
        self.go_on()

    def go_on(self) -> None:
        transport = self._target.transport
        if transport is None or self._connection.relay.state.held or self._connection.ended:
            return
        self.stop()
        now_s = asyncio.get_running_loop().time()
        while self._queue and self._queue[0][0] <= now_s:
            _, data = self._queue.popleft()
            if not data:
                self._connection.finish()
                return
            self.size -= len(data)
            if not transport.is_closing():  # else its own end is on the way
                transport.write(data)
        if self._queue:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(self._queue[0][0], self.go_on)
        source = self._source.transport
        if self.size <= HELD_BYTES_MAX and source is not None and not source.is_closing():
            source.resume_reading()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class FaultProxy:
    """The relays of all directed pairs of a network."""

    def __init__(self, chance: Random) -> None:
        """`chance` decides on jitter and resets."""
        self._chance = chance
        self._relays: dict[tuple[str, str], Relay] = {}

    async def add(self, dialler: str, reached: str, host: str, port: int) -> int:
        """A relay from one validator to where another one listens; returns the port to dial."""
        relay = Relay(host, port, self._chance)
        self._relays[dialler, reached] = relay
        return await relay.open(host)

    def set(self, pairs: Iterable[tuple[str, str]], state: LinkState) -> None:
        """Make these directed links good or bad."""
        for pair in pairs:
            self._relays[pair].set(state)

    def heal(self) -> None:
        """Make all links good."""
        self.set(self._relays, HEALTHY)

    async def close(self) -> None:
        """End everything."""
        for relay in self._relays.values():
            await relay.close()
