"""The engine port without CometBFT: a test stands in for its RPC and its blocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.cometbft.dialogue import Dialogue

from gridpact.codec import sha256
from gridpact.contracts.keys import CLOCK
from gridpact.errors import InputError, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Clock, Verdict
from gridpact.node import Refusal
from gridpact.node.cometbft import engine as engine_module
from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft.engine import CometbftEngine
from gridpact.node.cometbft.rpc import RpcError

WAITS_S = 5.0


class Node:
    """Mempool, blocks and link of one validator, all played."""

    def __init__(self, dialogue: Dialogue) -> None:
        self.adapter = dialogue.adapter
        self.dialogue = dialogue
        self.pool: list[bytes] = []
        self.pushed: list[tuple[bytes, bytes]] = []
        self.failures = 0
        """How many offers fail from now on."""
        self.offered = asyncio.Event()

    def push(self, items: Sequence[tuple[bytes, bytes]]) -> None:
        self.pushed += items

    def close(self) -> None:
        pass

    async def broadcast(self, envelopes: Sequence[bytes]) -> list[str]:
        if self.failures:
            self.failures -= 1
            raise RpcError("refused")
        told = []
        for envelope in envelopes:
            told.append("x: tx already exists in cache" if envelope in self.pool else "")
            if envelope not in self.pool:
                answer = await self.adapter.answer(abci.CHECK_TX, abci.RequestCheckTx(envelope))
                assert isinstance(answer, abci.ResponseCheckTx)
                self.pool += [] if answer.code else [envelope]
        self.offered.set()
        return told

    async def block(self) -> None:
        """What is in the pool becomes a block."""
        request = self.dialogue.request(*self.pool)
        self.pool.clear()
        for number, asked in (
            (abci.PROCESS_PROPOSAL, request),
            (abci.FINALIZE_BLOCK, request),
            (abci.COMMIT, abci.Empty()),
        ):
            await self.adapter.answer(number, asked)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[CometbftEngine, Node], Awaitable[None]]], None]:
    """Runs a test on an engine whose node is played."""

    def started(work: Callable[[CometbftEngine, Node], Awaitable[None]]) -> None:
        async def whole() -> None:
            dialogue = Dialogue(tmp_path, Bench())
            node = Node(dialogue)
            engine = CometbftEngine(node.adapter, node, node)  # type: ignore[arg-type]
            try:
                async with asyncio.timeout(WAITS_S):
                    await work(engine, node)
            finally:
                await engine.close()
                node.adapter.close()

        asyncio.run(whole())

    return started


Run = Callable[[Callable[[CometbftEngine, Node], Awaitable[None]]], None]


def test_a_receipt_comes_with_the_block(run: Run) -> None:
    async def work(engine: CometbftEngine, node: Node) -> None:
        ann, bob = (node.dialogue.bench.register(name) for name in ("ann", "bob"))
        for signed in (ann, bob):
            assert await engine.submit(*signed) == Verdict.ACCEPTED
        assert await engine.submit(*ann) == Verdict.NONCE_USED
        await node.offered.wait()
        assert node.pushed == [ann, bob], "payloads go before the envelope"
        waiting = asyncio.create_task(engine.receipts([sha256(ann[0]), sha256(bob[0])]))
        await node.block()
        told = await waiting
        assert [receipt.verdict for receipt in told] == [Verdict.ACCEPTED] * 2
        assert all(isinstance(receipt, Receipt) for receipt in told)
        assert isinstance((await engine.values([CLOCK, "party/nobody"]))[0], Clock)
        assert (await engine.query(CLOCK)).record.height == 1
        assert await engine.submit(*ann) == Verdict.NONCE_USED

    run(work)


def test_what_the_mempool_refuses_is_a_refusal(run: Run) -> None:
    async def work(engine: CometbftEngine, node: Node) -> None:
        bench = node.dialogue.bench
        bench.register("never-sent")
        ahead = bench.register("bob")
        assert await engine.submit(*ahead) == Verdict.ACCEPTED
        (told,) = await engine.receipts([sha256(ahead[0])])
        assert told == Refusal(sha256(ahead[0]), Verdict.NONCE_AHEAD)
        assert node.pool == []

    run(work)


def test_what_was_not_taken_is_offered_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "RETRY_S", 0.01)
    monkeypatch.setattr(engine_module, "QUIET_S", 0.05)

    async def work(engine: CometbftEngine, node: Node) -> None:
        node.failures = 2
        ann = node.dialogue.bench.register("ann")
        await engine.submit(*ann)
        await node.offered.wait()
        node.pool.clear()  # CometBFT lost its mempool
        node.adapter._nonces.clear()
        node.offered.clear()
        await node.offered.wait()
        assert node.pool == [ann[0]]
        await node.block()
        (told,) = await engine.receipts([sha256(ann[0])])
        assert told.verdict == Verdict.ACCEPTED
        assert node.pushed == [ann]

    run(work)


def test_what_is_wrong_is_refused_at_once(run: Run) -> None:
    async def work(engine: CometbftEngine, node: Node) -> None:
        bench = node.dialogue.bench
        envelope, payload = bench.register("ann")
        assert await engine.submit(envelope[:-1], payload) == Verdict.MALFORMED_ENVELOPE
        assert await engine.submit(envelope, payload + b"x") == Verdict.PAYLOAD_MISMATCH
        stranger = bench.bid("ann", 200_000, 10)
        assert await engine.submit(*stranger) == Verdict.UNKNOWN_SENDER
        with pytest.raises(InputError, match="no such transaction"):
            await engine.receipts([b"x" * 32])
        with pytest.raises(InputError, match="before the first block"):
            await engine.query(CLOCK)

    run(work)


def test_who_waits_is_told_when_the_validator_stops(run: Run) -> None:
    async def work(engine: CometbftEngine, node: Node) -> None:
        ann = node.dialogue.bench.register("ann")
        await engine.submit(*ann)
        waiting = asyncio.create_task(engine.receipts([sha256(ann[0])]))
        await node.offered.wait()
        engine.fail(StoreError("the disk is full"))
        with pytest.raises(StoreError, match="full"):
            await waiting
        for again in (engine.submit(*ann), engine.values([CLOCK]), engine.query(CLOCK)):
            with pytest.raises(StoreError, match="full"):
                await again

    run(work)
