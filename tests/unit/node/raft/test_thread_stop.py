"""Two loops that hand each other calls, when one of them has no time."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from gridpact.node.raft.host import Host, Standing, Told
from gridpact.node.raft.thread import NetworkThread

MANY = 2_000
"""More than what the operating system notes of wake-ups that nobody has seen yet."""


class _NoHost:
    def stop(self) -> None:
        pass


async def _nothing() -> None:
    pass


def _standing(term: int) -> Standing:
    return Standing(term, "", ready=False)


async def _made(thread: NetworkThread) -> tuple[Host, Callable[..., None], Any]:
    return cast(Host, _NoHost()), lambda *_: None, _nothing


async def _flooded(told: list[Told]) -> NetworkThread:
    """A thread that has said very much while this loop was busy."""

    async def made(thread: NetworkThread) -> Any:
        threads.append(thread)
        return await _made(thread)

    threads: list[NetworkThread] = []
    thread = NetworkThread(made, told.append, lambda *_: None, lambda _: None)
    await thread.start()

    def flood() -> None:
        for term in range(MANY):
            thread.tell(_standing(term))

    flooding = threading.Thread(target=flood)
    flooding.start()
    flooding.join()
    return thread


def _run(main: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


def test_all_is_told_in_order() -> None:
    async def run() -> None:
        told: list[Told] = []
        thread = await _flooded(told)
        for _ in range(MANY):
            await asyncio.sleep(0)
        await thread.close()
        assert told == [_standing(term) for term in range(MANY)]

    _run(run())


def test_what_a_busy_loop_has_not_seen_hides_no_signal() -> None:
    """A validator that executed many blocks in a row did not notice that it was asked to end."""

    async def run() -> None:
        thread = await _flooded([])
        seen = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, seen.set)
        os.kill(os.getpid(), signal.SIGTERM)
        await seen.wait()
        await thread.close()

    _run(run())


def test_others_have_their_turn_while_very_much_is_told() -> None:
    async def run() -> None:
        told: list[Told] = []
        thread = await _flooded(told)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert 0 < len(told) < MANY
        await thread.close()

    _run(run())


def test_nothing_is_told_after_the_end_was_asked_for() -> None:
    """Blocks that wait are executed after the next start: nobody waits for them now."""

    async def run() -> None:
        told: list[Told] = []
        thread = await _flooded(told)
        await thread.close()
        await asyncio.sleep(0)
        assert told == []

    _run(run())


def test_one_that_raises_does_not_hold_back_the_next() -> None:
    async def run() -> None:
        both = asyncio.Event()

        def take(what: Told) -> None:
            if what == _standing(0):
                raise ValueError("refused")
            both.set()

        raised: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
        thread = NetworkThread(_made, take, lambda *_: None, lambda _: None)
        await thread.start()
        thread.tell(_standing(0))
        thread.tell(_standing(1))
        await both.wait()
        await thread.close()
        assert [type(error) for error in raised] == [ValueError]

    _run(run())


@pytest.mark.parametrize("error", [ValueError("no"), OSError("taken")])
def test_what_keeps_it_from_starting_is_raised(error: Exception) -> None:
    async def refused(_: NetworkThread) -> Any:
        raise error

    async def run() -> None:
        thread = NetworkThread(refused, lambda _: None, lambda *_: None, lambda _: None)
        with pytest.raises(type(error)):
            await thread.start()
        await thread.close()

    _run(run())
