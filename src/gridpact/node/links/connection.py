"""One connection: a greeting, then frames, until it ends or its peer breaks the protocol.

It knows nothing of members and certificates: who made it judges the greeting and lets the frames
through. It never waits for who takes them; that one pauses it, and TCP slows the peer down.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from gridpact.codec import CodecError, Hash, Name, Natural, Wire, decode, encode
from gridpact.errors import InvariantError
from gridpact.node.links.frames import FrameReader, frame
from gridpact.node.links.refusals import LinkError, Reason

GREETING = 0
"""Channel of the first frame; all others are the application's."""
HELLO_BYTES_MAX = 256
FRAME_BYTES_MOST = 16 * 2**20
"""No limit may be set higher."""
DEAD_AFTER_S = 30
"""A peer whose machine is gone is noticed by the operating system after about this long."""
_KEEPALIVE = {
    "TCP_KEEPIDLE": DEAD_AFTER_S // 2,
    "TCP_KEEPINTVL": DEAD_AFTER_S // 6,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": DEAD_AFTER_S * 1000,
}
"""Socket options where the operating system has them; seconds, number, milliseconds."""


class Hello(Wire, frozen=True):
    """First frame in both directions."""

    version: Natural
    """Of the protocol that the frames belong to."""
    chain: Hash
    """Hash of the genesis."""
    name: Name
    """Of the sender; its certificate must be that member's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may cost."""

    frame_bytes_max: int = 2**20 + 2**16
    """Largest frame, sent or taken; 16 MiB at most."""
    unsent_bytes_max: int = 8 * 2**20
    """A peer with more than this much unsent is sent nothing more until it has caught up.

    What the operating system has taken from us does not count; it takes some megabytes."""
    greeting_s: float = 5.0
    """How long a TLS handshake may take, and then a greeting."""
    frame_s: float = 10.0
    """How long the rest of a begun frame may take."""
    unknown_max: int = 32
    """Connections that have not shown who they are; the oldest makes room for a new one."""
    retry_first_s: float = 0.1
    """Wait before connecting again; doubles with each failure."""
    retry_most_s: float = 5.0
    """No wait is longer."""
    close_s: float = 2.0
    """How long unsent bytes are still sent when the mesh is closed."""


class Connection(asyncio.Protocol):
    """One TLS connection, seen from either end.

    Args:
        limits: of the mesh.
        hello: what we say first.
    """

    def __init__(self, limits: Limits, hello: Hello) -> None:
        loop = asyncio.get_running_loop()
        self.greeting: asyncio.Future[Hello] = loop.create_future()
        """What the peer said first; the reason when it did not."""
        self.ended: asyncio.Future[Exception | None] = loop.create_future()
        """Why it is over: `LinkError`, an error of the socket, or None when the peer left."""
        self._limits = limits
        self._hello = hello
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(HELLO_BYTES_MAX)
        self._deliver: Callable[[int, bytes], None] | None = None
        self._held = False
        """Nothing is delivered: before the greeting is judged, and while we are paused."""
        self._deadline: asyncio.TimerHandle | None = None
        self.greeting.add_done_callback(lambda done: done.cancelled() or done.exception())

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: greet."""
        if not isinstance(transport, asyncio.Transport):
            raise InvariantError(f"{transport!r} is no stream")
        self._transport = transport
        _tune(transport.get_extra_info("socket"))
        transport.write(frame(GREETING, encode(self._hello)))

    def data_received(self, data: bytes) -> None:
        """Cut what came into frames and hand them on."""
        if self.ended.done():
            return
        self._reader.feed(data)
        self._hand_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer left, or we did."""
        self._end(exc)

    # What the mesh calls

    def certificate(self) -> bytes:
        """The peer's, in DER form; ConnectionResetError when it left before it showed one."""
        if self._transport is None:
            raise ConnectionResetError("the peer left during the handshake")
        found: ssl.SSLObject = self._transport.get_extra_info("ssl_object")
        return found.getpeercert(binary_form=True) or b""

    def begin(self, deliver: Callable[[int, bytes], None], *, held: bool = False) -> None:
        """The greeting was good: hand frames on, which may raise `LinkError`; not yet if `held`."""
        self._reader.bytes_max = self._limits.frame_bytes_max
        self._deliver = deliver
        if not held:
            self.resume()

    def pause(self) -> None:
        """Hand on nothing more; what is here stays, and nothing more is read."""
        self._held = True
        self._forget_deadline()
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Go on where it was paused, soon."""
        if self._held and self._deliver is not None:
            self._held = False
            self._loop.call_soon(self._go_on)

    def send(self, data: bytes) -> bool:
        """Send a frame's bytes; False and nothing sent when too much is unsent."""
        transport = self._transport
        if transport is None or transport.get_write_buffer_size() > self._limits.unsent_bytes_max:
            return False
        transport.write(data)
        return True

    def close(self) -> None:
        """End it when all is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it now."""
        self._end(None)
        if self._transport is not None:
            self._transport.abort()

    # Inside

    def _go_on(self) -> None:
        if self._flows():
            self._hand_on()
        if self._flows() and self._transport is not None:
            self._transport.resume_reading()

    def _flows(self) -> bool:
        return not self._held and not self.ended.done()

    def _hand_on(self) -> None:
        """Deliver whole frames until there are none, or until somebody pauses us."""
        whole = False
        try:
            while not self._held and (found := self._reader.next()) is not None:
                whole = True
                if self._deliver is None:
                    self._greeted(*found)
                else:
                    self._deliver(*found)
        except LinkError as error:
            self._end(error)
            return
        except Exception as error:  # a bug of who takes the frames; the loop reports it
            self._end(error)
            raise
        if self._deliver is not None and not self._held:
            self._watch(whole)

    def _greeted(self, channel: int, data: bytes) -> None:
        if channel != GREETING:
            raise LinkError(Reason.MALFORMED, f"a first frame on channel {channel}")
        try:
            hello = decode(Hello, data)
        except CodecError as error:
            raise LinkError(Reason.MALFORMED, str(error)) from error
        self.pause()
        if not self.greeting.done():
            self.greeting.set_result(hello)

    def _watch(self, whole: bool) -> None:
        """See that a begun frame comes to its end; the clock starts with each frame."""
        begun = self._reader.begun
        if self._deadline is not None and (whole or not begun):
            self._forget_deadline()
        if begun and self._deadline is None:
            self._deadline = self._loop.call_later(self._limits.frame_s, self._too_slow)

    def _too_slow(self) -> None:
        limit = self._limits.frame_s
        self._end(LinkError(Reason.SLOW, f"a frame took more than {limit:g} s"))

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self, error: Exception | None) -> None:
        """Take nothing more; whoever waits learns why, and closes the socket."""
        self._forget_deadline()
        if self.ended.done():
            return
        self.ended.set_result(error)
        if not self.greeting.done():
            self.greeting.set_exception(error or ConnectionResetError("the peer left"))
        if self._transport is not None:
            self._transport.pause_reading()


def _tune(found: socket.socket) -> None:
    """Small frames go at once; a dead machine is noticed."""
    found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if (option := getattr(socket, name, None)) is not None:
            found.setsockopt(socket.IPPROTO_TCP, option, value)
