"""The engine port on a validator of a CometBFT network.

A transaction is taken in here, its payload goes to the other validators, its envelope to CometBFT's
mempool. What was taken in is offered again until it is in a block or refused, also when CometBFT
starts anew. A receipt is given when the block is durable in this validator's ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence

import structlog

from gridpact.codec import Wire
from gridpact.contracts import Application
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node.cometbft.adapter import Adapter
from gridpact.node.cometbft.link import PayloadLink
from gridpact.node.cometbft.rpc import BATCH_MAX, RpcClient, RpcError
from gridpact.node.embedded import wall_time
from gridpact.node.intake import Intake, Outcome, Waiting
from gridpact.node.port import QueryResult
from gridpact.node.store import LedgerStore

RETRY_S = 0.2
"""Wait before offering again what CometBFT did not take."""
QUIET_S = 3.0
"""After this long without a block everything that waits is offered again."""
KNOWN = "tx already exists in cache"
"""How CometBFT says that it has a transaction."""

_log = structlog.get_logger(__name__)


class CometbftEngine:
    """The engine port over one validator."""

    def __init__(self, adapter: Adapter, link: PayloadLink, rpc: RpcClient) -> None:
        self._adapter, self._link, self._rpc = adapter, link, rpc
        self._intake = Intake(lambda: self.application, self._stored)
        self._outbox: deque[bytes] = deque()
        self._unsent: list[tuple[bytes, bytes]] = []
        """Envelopes and payloads that the other validators have not been sent."""
        self._has_outbox = asyncio.Event()
        self.transactions: Counter[str] = Counter()
        """In blocks, by verdict."""
        adapter.settled = self._settled
        adapter.refused = self._intake.refuse
        self._task = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Stop taking transactions; what was acknowledged is in the ledger."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self.fail(StoreError(f"{self.store.folder}: the engine was stopped"))
        self._rpc.close()

    @property
    def store(self) -> LedgerStore:
        """This validator's ledger."""
        return self._adapter.store

    @property
    def application(self) -> Application:
        """This validator's state."""
        return self._adapter.application

    @property
    def waiting(self) -> int:
        """Transactions that were taken in and not answered."""
        return len(self._intake)

    @property
    def genesis_hash(self) -> bytes:
        """Name of the chain."""
        return self.application.genesis_hash

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        """See `EnginePort.submit`."""
        taken = self._intake.admit(envelope, payload, wall_time())
        if isinstance(taken, Verdict):
            return taken
        if payload and not self._adapter.take(envelope, payload):
            self._intake.refuse(taken.id, Verdict.MEMPOOL_FULL)
            return Verdict.MEMPOOL_FULL
        self._unsent.append((envelope, payload))
        self._outbox.append(taken.id)
        self._has_outbox.set()
        if len(self._outbox) % BATCH_MAX == 0:
            await asyncio.sleep(0)  # who submits without a pause still lets the node work
        return Verdict.ACCEPTED

    async def receipts(self, ids: Sequence[bytes]) -> list[Outcome]:
        """See `EnginePort.receipts`."""
        return [await self._intake.outcome(transaction_id) for transaction_id in ids]

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """See `EnginePort.values`."""
        self._intake.check()
        await self._adapter.at_rest.wait()
        entries = map(self.application.state.entries.get, keys)
        return [None if entry is None else entry.value for entry in entries]

    async def query(self, key: str) -> QueryResult:
        """See `EnginePort.query`; InputError before the first block."""
        self._intake.check()
        await self._adapter.at_rest.wait()
        height = self.application.height
        if height == 0:
            raise InputError([Problem(key, "nothing can be proved before the first block")])
        entry, proof = self.application.query(key)
        return QueryResult(self.store.record(height), entry, proof)

    def fail(self, error: Exception) -> None:
        """Nothing more is promised, everybody who waits is told; the first reason stays."""
        self._intake.fail(error)

    def _settled(self, receipts: Sequence[Receipt]) -> None:
        self.transactions.update(Verdict(receipt.verdict).name for receipt in receipts)
        self._intake.settle_all(receipts)

    def _stored(self, transaction_id: bytes) -> tuple[int, Receipt] | None:
        return self.store.find_transaction(transaction_id)

    async def _send(self) -> None:
        """Offer what came in; all that waits once more when CometBFT is not there or silent."""
        height = -1
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._has_outbox.wait()
            except TimeoutError:
                if height == self._adapter.height:
                    self._offer_all()
                height = self._adapter.height
                continue
            batch = self._next_batch()
            if not batch:
                self._has_outbox.clear()
                continue
            try:
                await self._offer(batch)
            except RpcError as error:
                _log.warning("CometBFT does not take transactions", reason=str(error))
                await asyncio.sleep(RETRY_S)
                self._offer_all()

    def _next_batch(self) -> list[Waiting]:
        batch: list[Waiting] = []
        while self._outbox and len(batch) < BATCH_MAX:
            waiting = self._intake.get(self._outbox.popleft())
            if waiting is not None:
                batch.append(waiting)
        return batch

    async def _offer(self, batch: list[Waiting]) -> None:
        self._link.push(self._unsent)
        self._unsent = []
        errors = await self._rpc.broadcast([waiting.transaction.raw for waiting in batch])
        refused = [error for error in errors if error and KNOWN not in error]
        if refused:
            raise RpcError(f"{len(refused)} of {len(batch)} were not taken: {refused[0]}")

    def _offer_all(self) -> None:
        self._outbox = deque(waiting.transaction.id for waiting in self._intake)
        if self._outbox:
            self._has_outbox.set()
