"""What a ledger asks others for, when messages to them are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.raft.ledgers import a_slot_of_blocks, new_ledger

from gridpact.codec import Wire
from gridpact.contracts import BlockResult
from gridpact.node.raft import sync
from gridpact.node.raft.blocks import BlocksAsked, BlocksSent, SnapshotBegun
from gridpact.node.raft.replicated import Replicated
from gridpact.node.raft.sync import LedgerSync

PEERS = ["b", "c"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for who says nothing; who takes a snapshot is waited for very long."""
    monkeypatch.setattr(sync, "ANSWER_WAITS_S", 0.001)
    monkeypatch.setattr(sync, "SNAPSHOT_WAITS_S", 3600.0)


class Pair:
    """A ledger that has blocks, one that has none, and messages between them."""

    def __init__(self, folder: Path) -> None:
        bench = Bench()
        self.full, self.empty = new_ledger(folder / "b", bench), new_ledger(folder / "a", bench)
        a_slot_of_blocks(self.full, bench)
        self.asked: list[tuple[str, Wire]] = []
        self.executed: list[BlockResult] = []
        self.on_asked: Callable[[str, Wire], None] = lambda _peer, _message: None
        self.giver = LedgerSync(self.full, ["a"], self._give, lambda _: None)
        self.taker = LedgerSync(self.empty, PEERS, self._ask, self.executed.append)

    def _give(self, _: str, message: Wire) -> None:
        self.taker.heard(self.asked[-1][0], message)

    def _ask(self, peer: str, message: Wire) -> None:
        self.asked.append((peer, message))
        asyncio.get_running_loop().call_soon(self.on_asked, peer, message)


def run(folder: Path, work: Callable[[Pair], Awaitable[None]]) -> None:
    async def whole() -> None:
        pair = Pair(folder)
        try:
            async with asyncio.timeout(20):
                await work(pair)
        finally:
            pair.full.close()
            pair.empty.close()

    asyncio.run(whole())


def same(one: Replicated, other: Replicated) -> bool:
    return one.point == other.point


def test_a_lost_request_is_made_again_to_another_one(tmp_path: Path) -> None:
    """A validator that had just started lost half a minute for each: nobody was connected yet."""

    async def work(pair: Pair) -> None:
        def answer(peer: str, message: Wire) -> None:
            if len(pair.asked) > 3:
                pair.giver.heard("a", message)

        pair.on_asked = answer
        await pair.taker.to(pair.full.point)
        assert same(pair.full, pair.empty)
        assert [peer for peer, _ in pair.asked[:4]] == ["b", "c", "b", "c"]
        assert len(pair.executed) == pair.full.point.height

    run(tmp_path, work)


def test_who_takes_a_snapshot_is_waited_for(tmp_path: Path) -> None:
    async def work(pair: Pair) -> None:
        def answer(peer: str, message: Wire) -> None:
            if isinstance(message, BlocksAsked) and len(pair.asked) == 1:
                pair.taker.heard(peer, SnapshotBegun(message.first))
                loop = asyncio.get_running_loop()
                loop.call_later(20 * sync.ANSWER_WAITS_S, later, peer, message)

        def later(peer: str, message: BlocksAsked) -> None:
            blocks = pair.full.blocks(message.first, 64, 2**20)
            pair.taker.heard(peer, BlocksSent(blocks))

        pair.on_asked = answer
        await pair.taker.to(pair.full.point)
        assert same(pair.full, pair.empty)
        assert len(pair.asked) == 1

    run(tmp_path, work)


def test_a_snapshot_is_announced_once_begun_and_then_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every block is too many here."""
    monkeypatch.setattr(sync, "GAP_MAX", 0)

    async def work(pair: Pair) -> None:
        heard: list[Wire] = []
        give = pair._give

        def note(peer: str, message: Wire) -> None:
            heard.append(message)
            give(peer, message)

        pair.giver._send = note
        pair.on_asked = lambda _peer, message: pair.giver.heard("a", message)
        await pair.taker.to(pair.full.point)
        assert same(pair.full, pair.empty)
        assert isinstance(heard[0], SnapshotBegun)
        assert len(pair.asked) == len(heard) - 1

    run(tmp_path, work)
