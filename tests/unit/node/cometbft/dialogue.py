"""CometBFT's side of the conversation, played by a test, and a day to talk about."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TypeVar

from tests.ledger_bench import Bench, Signed

from gridpact.codec import sha256
from gridpact.model import Phase
from gridpact.node import LedgerStore
from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft.adapter import Adapter, app_state, chain_id
from gridpact.node.cometbft.protobuf import Message

Response = TypeVar("Response", bound=Message)


class Dialogue:
    """One adapter on a ledger folder, asked in CometBFT's order."""

    def __init__(self, folder: Path, bench: Bench, snapshots_every: int = 0) -> None:
        self.folder = folder
        self.snapshots_every = snapshots_every
        self.bench = bench
        if (folder / "ledger").exists():
            store = LedgerStore.open(folder / "ledger")
        else:
            store = LedgerStore.create(folder / "ledger", bench.genesis)
        self.adapter = Adapter(store, snapshots_every=snapshots_every)

    def crash(self) -> Dialogue:
        """Lose what is in memory and begin again on what is on the disk."""
        self.adapter.close()
        return Dialogue(self.folder, self.bench, self.snapshots_every)

    def ask(self, number: int, request: Message, kind: type[Response]) -> Response:
        answer = asyncio.run(self.adapter.answer(number, request))
        assert isinstance(answer, kind)
        return answer

    def info(self) -> abci.ResponseInfo:
        return self.ask(abci.INFO, abci.RequestInfo("0.38.25"), abci.ResponseInfo)

    def first(self) -> abci.RequestInitChain:
        """The request with which this chain begins."""
        genesis_hash = self.adapter.application.genesis_hash
        validators = tuple(
            abci.ValidatorUpdate(abci.PublicKey(bytes([number]) * 32), 1) for number in range(3)
        )
        return abci.RequestInitChain(
            abci.Timestamp(1), chain_id(genesis_hash), validators, app_state(genesis_hash), 1
        )

    def begin(self) -> None:
        answer = self.ask(abci.INIT_CHAIN, self.first(), abci.ResponseInitChain)
        assert answer.app_hash == self.adapter.application.genesis_hash

    def bring(self, *transactions: Signed) -> None:
        """Payloads and envelopes come in."""
        for envelope, payload in transactions:
            if payload:
                assert self.adapter.take(envelope, payload)
            assert self.check(envelope).code == 0

    def check(self, envelope: bytes, kind: int = 0) -> abci.ResponseCheckTx:
        return self.ask(abci.CHECK_TX, abci.RequestCheckTx(envelope, kind), abci.ResponseCheckTx)

    def request(self, *envelopes: bytes) -> abci.RequestBlock:
        height = self.adapter.height + 1
        name = sha256(b"".join(envelopes) + bytes([height]))
        return abci.RequestBlock(tuple(envelopes), name, height, abci.Timestamp(height))

    def prepare(self, *envelopes: bytes) -> tuple[bytes, ...]:
        height = self.adapter.height + 1
        request = abci.RequestPrepareProposal(
            2**20, tuple(envelopes), height, abci.Timestamp(height)
        )
        return self.ask(abci.PREPARE_PROPOSAL, request, abci.ResponsePrepareProposal).txs

    def accepts(self, request: abci.RequestBlock) -> bool:
        answer = self.ask(abci.PROCESS_PROPOSAL, request, abci.ResponseResult)
        assert answer.result in {abci.ACCEPT, abci.REJECT_PROPOSAL}
        return answer.result == abci.ACCEPT

    def finalize(self, request: abci.RequestBlock) -> abci.ResponseFinalizeBlock:
        return self.ask(abci.FINALIZE_BLOCK, request, abci.ResponseFinalizeBlock)

    def commit(self) -> None:
        self.ask(abci.COMMIT, abci.Empty(), abci.ResponseCommit)

    def block(self, *transactions: Signed) -> abci.ResponseFinalizeBlock:
        """One block from mempool to disk."""
        self.bring(*transactions)
        chosen = self.prepare(*(envelope for envelope, _ in transactions))
        assert len(chosen) == len(transactions)
        request = self.request(*chosen)
        assert self.accepts(request)
        answer = self.finalize(request)
        self.commit()
        return answer


def blocks_of_a_slot(bench: Bench) -> list[tuple[Signed, ...]]:
    """What a bench has accepted, block by block: two members, one slot from orders to delivery."""
    blocks: list[tuple[Signed, ...]] = []

    def both(*transactions: Signed) -> None:
        bench.accept(*transactions)
        blocks.append(transactions)

    both(
        bench.register("ann"),
        bench.meter("ann"),
        bench.deposit("ann", 50 * 10**9),
        bench.register("bob"),
        bench.meter("bob"),
        bench.deposit("bob", 50 * 10**9),
        bench.tariff(),
    )
    both(bench.phase(Phase.OPEN))
    both(bench.bid("ann", 200_000, 700), bench.offer("bob", 100_000, 500))
    for phase in (Phase.CLOSED, Phase.CLEARED, Phase.DELIVERED):
        both(bench.phase(phase))
    return blocks
