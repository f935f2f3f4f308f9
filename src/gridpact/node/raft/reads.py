"""Reads that see everything decided before they were asked for: the leader is asked how far it is.

Who leads answers once its replica has heard from a quorum that it still does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from gridpact.consensus.shape import Event, ReadRequest
from gridpact.node.raft.blocks import ReadAnswered, ReadAsked, said_bytes

SAID = 2
"""Channel of what validators say beside the protocol."""
WAIT_S = 1.0
"""How long a leader may take to answer a read before somebody is asked again."""
READS_MAX = 10_000
"""Reads of others that wait at a time."""
RETRY_S = 0.05
"""Wait before a read that the replica could not serve is tried again."""
AGAIN = -1
"""In place of a height: ask once more."""


class Network(Protocol):
    """The replica and the links, as seen from the application."""

    def feed(self, event: Event) -> None:
        """Give the replica an event, soon."""

    def send(self, peer: str, channel: int, data: bytes) -> None:
        """Send to a peer, soon, or lose it."""


class Reads:
    """All reads that wait at one validator, its own and those of others.

    Args:
        name: of this validator.
        network: the replica and the links.
        tokens: numbers for requests to the replica.
        height: of the ledger here.
    """

    def __init__(
        self, name: str, network: Network, tokens: Iterator[int], height: Callable[[], int]
    ) -> None:
        self._name, self._network, self._tokens, self._height = name, network, tokens, height
        self._waiting: dict[int, asyncio.Future[int] | tuple[str, int]] = {}
        """One of ours, or (peer, its token)."""

    def __len__(self) -> int:
        return len(self._waiting)

    async def ask(self, leader: str) -> int:
        """The height at which everything decided by now is executed, or `AGAIN`."""
        token = next(self._tokens)
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        if leader == self._name:
            self._network.feed(ReadRequest(token))
        else:
            self._network.send(leader, SAID, said_bytes(ReadAsked(token)))
        try:
            return await asyncio.wait_for(answer, WAIT_S)
        except TimeoutError:
            return AGAIN
        finally:
            self._waiting.pop(token, None)

    def ask_again(self) -> None:
        """Who leads has changed, or nobody answers any more."""
        reads, self._waiting = self._waiting, {}
        for waiting in reads.values():
            if isinstance(waiting, asyncio.Future):
                _give_up(waiting)

    def asked(self, peer: str, token: int) -> None:
        """Another validator takes this one for the leader."""
        if len(self._waiting) < READS_MAX:
            own = next(self._tokens)
            self._waiting[own] = (peer, token)
            self._network.feed(ReadRequest(own))

    def ready(self, token: int) -> None:
        """Everything that was decided when the replica was asked has been executed by now."""
        waiting = self._waiting.pop(token, None)
        height = self._height()
        if isinstance(waiting, tuple):
            self._network.send(waiting[0], SAID, said_bytes(ReadAnswered(waiting[1], height)))
        elif waiting is not None and not waiting.done():
            waiting.set_result(height)

    def answered(self, token: int, height: int) -> None:
        """The leader has answered one of ours."""
        waiting = self._waiting.get(token)
        if isinstance(waiting, asyncio.Future) and not waiting.done():
            waiting.set_result(height)

    def refused(self, token: int) -> None:
        """The replica leads no longer, or has decided nothing in its term yet."""
        waiting = self._waiting.pop(token, None)
        if isinstance(waiting, asyncio.Future):
            asyncio.get_running_loop().call_later(RETRY_S, _give_up, waiting)


def _give_up(waiting: asyncio.Future[int]) -> None:
    if not waiting.done():
        waiting.set_result(AGAIN)
