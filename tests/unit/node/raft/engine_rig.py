"""An engine whose replica, links and catch-up are played by a test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.ledger_bench import Bench, Signed

from gridpact.codec import Wire, decode, encode, sha256
from gridpact.consensus.shape import (
    Decide,
    Event,
    Finality,
    Propose,
)
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node import Refusal
from gridpact.node.raft.blocks import (
    Block,
    Offered,
    Point,
    read_said,
    said_bytes,
)
from gridpact.node.raft.engine import RaftEngine, Weights
from gridpact.node.raft.host import Standing
from gridpact.node.raft.reads import SAID
from gridpact.node.raft.replicated import Replicated

ME, OTHER, THIRD = "val-1", "val-2", "val-3"
WAITS_S = 5.0


class Rig:
    """An engine, what it asks of the replica and says to others, and a catch-up in our hands."""

    def __init__(self, ledger: Replicated, bench: Bench) -> None:
        self.ledger, self.bench = ledger, bench
        self.fed: list[Event] = []
        self.sent: list[tuple[str, Wire]] = []
        self.failures: list[Exception] = []
        self.words: list[tuple[str, Wire]] = []
        """About blocks."""
        self.wanted: list[Point] = []
        """What was to be caught up with."""
        self.caught_up = asyncio.Event()
        self.there: Exception | None = None
        """What becomes of catching up."""
        self._noted = asyncio.Event()
        self._index = 0
        self.weights: dict[int, Weights] = {}
        """By height; none are wanted, and none are told, where a test says nothing."""
        self.engine = RaftEngine(ME, ledger, self, lambda height: self.weights.get(height, ()))
        self.engine.failed = self.failures.append
        self.engine.catch_up = self

    # The network and the catch-up, as the engine sees them

    def feed(self, event: Event) -> None:
        self.fed.append(event)
        self._noted.set()

    def send(self, peer: str, channel: int, data: bytes) -> None:
        assert channel == SAID
        self.sent.append((peer, read_said(data)))
        self._noted.set()

    async def to(self, point: Point) -> None:
        self.wanted.append(point)
        await self.caught_up.wait()
        if self.there is not None:
            raise self.there

    def heard(self, peer: str, message: Wire) -> None:
        self.words.append((peer, message))

    # What the test does

    def lead(self, term: int = 1, *, ready: bool = True) -> None:
        self.engine.told(Standing(term, ME, ready))

    def follow(self, leader: str = OTHER, term: int = 1) -> None:
        self.engine.told(Standing(term, leader, ready=False))

    def decide(self, block: Block) -> None:
        self._index += 1
        self.engine.told(Decide(self._index, encode(block), Finality.CRASH))

    def say(self, peer: str, message: Wire) -> None:
        self.engine.said(peer, said_bytes(message))

    def proposals(self) -> list[tuple[int, Block]]:
        return [
            (event.token, decode(Block, event.payload))
            for event in self.fed
            if isinstance(event, Propose)
        ]

    def proposed(self) -> list[list[Signed]]:
        return [block.items for _, block in self.proposals()]

    def offers(self) -> list[tuple[str, list[Signed]]]:
        return [(peer, said.items) for peer, said in self.sent if isinstance(said, Offered)]

    async def submit(self, *transactions: Signed) -> None:
        """All of them are taken in, and whatever follows at once has happened."""
        for signed in transactions:
            assert await self.engine.submit(*signed) == Verdict.ACCEPTED
        await turn()

    def waits(self, *transactions: Signed) -> list[asyncio.Task[Receipt | Refusal]]:
        async def one(signed: Signed) -> Receipt | Refusal:
            return (await self.engine.receipts([sha256(signed[0])]))[0]

        return [asyncio.create_task(one(signed)) for signed in transactions]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._noted.clear()
            await self._noted.wait()


async def turn() -> None:
    """Everything that is to happen soon has happened."""
    for _ in range(3):
        await asyncio.sleep(0)


Run = Callable[[Callable[[Rig], Awaitable[None]]], None]
