"""The network thread: what it hands on, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.node.raft.hosts import Station, standing

from gridpact.consensus.raft.messages import Append, VoteRequest
from gridpact.consensus.shape import Propose, Refused
from gridpact.errors import StoreError
from gridpact.node.raft.host import Told
from gridpact.node.raft.thread import Made, NetworkThread


class Rig:
    """A thread around one host, and what the application's loop heard."""

    def __init__(self, folder: Path) -> None:
        self.told: list[Told] = []
        self.said: list[tuple[str, int, bytes]] = []
        self.sent: list[tuple[str, int, bytes]] = []
        self.failures: list[Exception] = []
        self.closed_in = ""
        self.error: Exception | None = None
        """What keeps the thread from starting."""
        self._heard = asyncio.Event()
        self._folder = folder
        self.thread = NetworkThread(self.make, self.tell, self.received, self.failed)

    async def make(self, thread: NetworkThread) -> Made:
        if self.error is not None:
            raise self.error
        self.station = Station(self._folder)
        self.station.host._tell = thread.tell
        self.station.host.start()
        return self.station.host, self.send, self.close_links

    async def close_links(self) -> None:
        self.closed_in = threading.current_thread().name
        self.station.close()

    def send(self, peer: str, channel: int, data: bytes) -> None:
        self.sent.append((peer, channel, data))
        self.thread.received(peer, channel, data)

    def tell(self, told: Told) -> None:
        self.told.append(told)
        self._heard.set()

    def received(self, peer: str, channel: int, data: bytes) -> None:
        self.said.append((peer, channel, data))
        self._heard.set()

    def failed(self, error: Exception) -> None:
        self.failures.append(error)
        self._heard.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                self._heard.clear()
                await self._heard.wait()

    def hear(self, message: Append | VoteRequest) -> None:
        """A peer says something; in the thread."""
        self.thread._loop.call_soon_threadsafe(self.station.hear, "b", message)


Run = Callable[[Callable[[Rig], Awaitable[None]]], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a test on a thread, which must have ended after `close`."""

    def started(work: Callable[[Rig], Awaitable[None]]) -> None:
        async def whole() -> None:
            rig = Rig(tmp_path / "a")
            try:
                await work(rig)
            finally:
                async with asyncio.timeout(5):
                    await rig.thread.close()
            assert not rig.thread._thread.is_alive()

        asyncio.run(whole())

    return started


def test_both_loops_hear_each_other(run: Run) -> None:
    async def work(rig: Rig) -> None:
        await rig.thread.start()
        rig.thread.feed(Propose(7, b"block"))
        await rig.until(lambda: Refused(7, "") in rig.told)
        rig.hear(Append(1, 0, 0, [], 0, 0))
        await rig.until(lambda: standing(1, "b", ready=False) in rig.told)
        rig.thread.send("b", 2, b"words")
        await rig.until(lambda: rig.said == [("b", 2, b"words")])
        assert rig.sent == rig.said
        await rig.thread.close()
        assert rig.closed_in == "network"
        assert rig.failures == []

    run(work)


def test_what_keeps_it_from_starting_is_raised_by_start(run: Run) -> None:
    async def work(rig: Rig) -> None:
        rig.error = StoreError("the log is damaged")
        with pytest.raises(StoreError, match="damaged"):
            await rig.thread.start()
        assert (rig.told, rig.failures) == ([], [])

    run(work)


def test_a_thread_that_did_not_start_can_be_closed_at_any_moment(tmp_path: Path) -> None:
    """Its loop is closed between two looks at it."""

    async def work() -> None:
        rig = Rig(tmp_path / "a")
        rig.error = StoreError("the log is damaged")
        with pytest.raises(StoreError, match="damaged"):
            await rig.thread.start()
        rig.thread._thread.join()
        still = rig.thread._thread
        still.is_alive = lambda: True  # type: ignore[method-assign]
        await rig.thread.close()

    asyncio.run(work())


@pytest.mark.parametrize("started", [True, False])
def test_who_is_told_late_is_not_answered(run: Run, started: bool) -> None:
    """The application may still ask for something while the thread is gone."""

    async def work(rig: Rig) -> None:
        if started:
            await rig.thread.start()
        else:
            rig.error = StoreError("no")
            with pytest.raises(StoreError):
                await rig.thread.start()
        await rig.thread.close()
        rig.thread.feed(Propose(1, b"block"))
        rig.thread.send("b", 2, b"words")
        assert rig.said == []

    run(work)


@pytest.mark.parametrize("where", ["feed", "frame", "timer"])
def test_a_callback_that_raises_ends_the_thread(run: Run, where: str) -> None:
    async def work(rig: Rig) -> None:
        await rig.thread.start()
        rig.station.wal.error = StoreError("the disk is full")
        if where == "feed":
            rig.thread.feed(Propose(1, b"x" * 100))
            rig.hear(VoteRequest(1, 0, 0, trial=False, asked_to=True))
        elif where == "frame":
            rig.hear(Append(1, 0, 0, [], 0, 0))
        else:
            loop = rig.thread._loop

            def fails() -> None:
                raise StoreError("the disk is full")

            loop.call_soon_threadsafe(loop.call_later, 0.0, fails)
        await rig.until(lambda: bool(rig.failures))
        assert [str(error) for error in rig.failures] == ["the disk is full"]
        async with asyncio.timeout(5):
            await asyncio.to_thread(rig.thread._thread.join)
        assert rig.closed_in == "network"
        assert rig.station.sent() == []

    run(work)


def test_an_error_while_closing_is_told(run: Run) -> None:
    async def work(rig: Rig) -> None:
        await rig.thread.start()

        def fails() -> None:
            raise StoreError("cannot be closed")

        rig.station.wal.close = fails  # type: ignore[method-assign]
        await rig.thread.close()
        await rig.until(lambda: bool(rig.failures))
        assert [str(error) for error in rig.failures] == ["cannot be closed"]
        type(rig.station.wal).close(rig.station.wal)

    run(work)


def test_a_start_that_is_given_up_is_closed(run: Run) -> None:
    async def work(rig: Rig) -> None:
        starting = asyncio.create_task(rig.thread.start())
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    run(work)


def test_a_thread_that_was_never_started_is_closed(run: Run) -> None:
    async def work(rig: Rig) -> None:
        assert rig.told == []

    run(work)
