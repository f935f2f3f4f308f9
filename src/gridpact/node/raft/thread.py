"""The network thread: replica, log and links run here, blocks are executed elsewhere.

Two event loops talk by handing each other calls: the application's loop asks for things to be
decided, this one tells it what was. Neither waits for the other, and the application's loop is
woken once for many calls: what the operating system notes of wake-ups is little, and a signal that
finds no room there is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from gridpact.consensus.shape import Event
from gridpact.node.links import Counts
from gridpact.node.raft.host import Host, Told

AT_ONCE = 16
"""Calls that the application's loop takes before others have their turn: each may be a block."""
Made = tuple[Host, Callable[[str, int, bytes], object], Callable[[], Coroutine[Any, Any, None]]]
"""A host that has started, how to send to a peer on a channel, and how to close the links."""


class NetworkThread:
    """Runs a host; to be used from one event loop."""

    def __init__(
        self,
        make: Callable[[NetworkThread], Coroutine[Any, Any, Made]],
        tell: Callable[[Told], None],
        received: Callable[[str, int, bytes], None],
        failed: Callable[[Exception], None],
    ) -> None:
        """Nothing happens before `start`.

        Args:
            make: builds everything, in the thread; is given this object for its callbacks.
            tell: hears the replica, on the loop of whoever called `start`.
            received: hears what peers say beside the protocol, there too.
            failed: hears what made the thread stop, there too.
        """
        self._make, self._tell_to = make, tell
        self._received_to, self._failed_to = received, failed
        self.links: Counts | None = None
        """What the links have done, once they are up."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="network", daemon=True)
        self._home: _Calls | None = None
        self._host: Host | None = None
        self._send: Callable[[str, int, bytes], object] = lambda _peer, _channel, _data: None
        self._end = asyncio.Event()
        self._started: asyncio.Future[None] | None = None

    @property
    def suspected(self) -> int:
        """Messages of peers that broke the protocol."""
        return 0 if self._host is None else self._host.suspected

    # From the application's loop

    async def start(self) -> None:
        """Start the thread; returns when links and replica are up.

        Raises:
            Exception: what kept it from starting.
        """
        loop = asyncio.get_running_loop()
        self._home = _Calls(loop)
        self._started = loop.create_future()
        self._thread.start()
        await self._started

    async def close(self) -> None:
        """Stop and wait until the thread has ended; only failures are heard from now on."""
        if self._home is None:
            self._loop.close()
        else:
            self._home.end()
            self._call_thread(self._end.set)
            await asyncio.to_thread(self._thread.join)

    def feed(self, event: Event) -> None:
        """Give the replica an event, soon; nothing happens once the thread has ended."""
        self._call_thread(self._feed, event)

    def send(self, peer: str, channel: int, data: bytes) -> None:
        """Send to a peer, soon, or lose it."""
        self._call_thread(lambda: self._send(peer, channel, data))

    def _call_thread(self, call: Callable[..., object], *arguments: object) -> None:
        # the thread may end, and its loop with it, at any moment: whoever cares is told by `failed`
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    # From the thread

    def tell(self, told: Told) -> None:
        """Hand on what the replica says."""
        self._call_home(self._tell_to, told)

    def received(self, peer: str, channel: int, data: bytes) -> None:
        """Hand on what a peer says beside the protocol."""
        self._call_home(self._received_to, peer, channel, data)

    def failed(self, error: Exception) -> None:
        """Hand on what makes further work impossible, and stop."""
        self._call_failed(error)
        self._end.set()

    def _call_home(self, call: Callable[..., object], *arguments: object) -> None:
        if self._home is not None:
            self._home.put(partial(call, *arguments))

    def _call_failed(self, error: Exception) -> None:
        if self._home is not None:
            self._home.put(partial(self._failed_to, error), always=True)

    def _feed(self, event: Event) -> None:
        if self._host is not None:
            self._host.feed(event)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._live())
        except Exception as error:  # noqa: BLE001 - told to whoever started the thread
            self._call_failed(error)

    async def _live(self) -> None:
        self._loop.set_exception_handler(self._unhandled)
        try:
            host, self._send, close = await self._make(self)
        except Exception as error:  # noqa: BLE001 - raised by `start`
            self._call_home(self._not_started, error)
            return
        self._host = host
        self._call_home(self._is_started)
        try:
            await self._end.wait()
        finally:
            self._host = None
            host.stop()
            await close()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A callback raised: the disk, the signer, or our own bug. Nothing goes on."""
        error = context.get("exception")
        if isinstance(error, Exception):
            self.failed(error)
        else:
            loop.default_exception_handler(context)

    def _is_started(self) -> None:
        if self._started is not None and not self._started.done():
            self._started.set_result(None)

    def _not_started(self, error: Exception) -> None:
        if self._started is not None and not self._started.done():
            self._started.set_exception(error)


class _Calls:
    """What another thread wants a loop to do, in order."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._calls: deque[Callable[[], object]] = deque()
        self._lock = threading.Lock()
        self._woken = self._ended = False
        """`_take` is going to run; only what is to be done always is taken."""

    def put(self, call: Callable[[], object], *, always: bool = False) -> None:
        """From any thread; nothing after the end, unless it is to be done always."""
        with self._lock:
            if (self._ended and not always) or self._loop.is_closed():
                return
            self._calls.append(call)
            woken, self._woken = self._woken, True
            if not woken:
                self._loop.call_soon_threadsafe(self._take)

    def end(self) -> None:
        """From the loop: what has not been done is not done any more."""
        with self._lock:
            self._ended = True
            self._calls.clear()

    def _take(self) -> None:
        try:
            for _ in range(AT_ONCE):
                with self._lock:
                    if not self._calls:
                        break
                    call = self._calls.popleft()
                call()
        finally:
            with self._lock:
                self._woken = bool(self._calls)
            if self._woken:
                self._loop.call_soon(self._take)
