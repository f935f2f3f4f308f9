"""The engine port on a validator of a CometBFT network.

A transaction is taken in here, its payload goes to the other validators, its envelope to CometBFT's
mempool. What was taken in is offered again until it is in a block or refused, also when CometBFT
starts anew. A receipt is given when the block is durable in this validator's ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from gridpact.codec import Wire
from gridpact.contracts import Application, is_early, judge_payload
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node.cometbft.adapter import Adapter
from gridpact.node.cometbft.link import PayloadLink
from gridpact.node.cometbft.rpc import BATCH_MAX, RpcClient, RpcError
from gridpact.node.embedded import (
    EARLY_MAX_S,
    MEMPOOL_MAX,
    MEMPOOL_PER_SENDER_MAX,
    REMEMBERED_MAX,
    Outcome,
    wall_time,
)
from gridpact.node.port import QueryResult, Refusal
from gridpact.node.store import LedgerStore

RETRY_S = 0.2
"""Wait before offering again what CometBFT did not take."""
QUIET_S = 3.0
"""After this long without a block everything that waits is offered again."""
KNOWN = "tx already exists in cache"
"""How CometBFT says that it has a transaction."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A transaction that was taken in."""

    envelope: bytes
    payload: bytes
    sender: str
    future: asyncio.Future[Outcome]


class CometbftEngine:
    """The engine port over one validator."""

    def __init__(self, adapter: Adapter, link: PayloadLink, rpc: RpcClient) -> None:
        self._adapter, self._link, self._rpc = adapter, link, rpc
        self._waiting: dict[bytes, _Waiting] = {}
        """By transaction id, in the order in which they came."""
        self._per_sender: Counter[str] = Counter()
        self._outbox: deque[bytes] = deque()
        self._unsent: list[tuple[bytes, bytes]] = []
        """Envelopes and payloads that the other validators have not been sent."""
        self._has_outbox = asyncio.Event()
        self._outcomes: OrderedDict[bytes, Outcome] = OrderedDict()
        self._failure: Exception | None = None
        adapter.settled = self._settled
        adapter.refused = self._refused
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
    def genesis_hash(self) -> bytes:
        """Name of the chain."""
        return self.application.genesis_hash

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        """See `EnginePort.submit`."""
        if self._failure is not None:
            raise self._failure
        application = self.application
        transaction = application.readable(envelope)
        if isinstance(transaction, Verdict):
            return transaction
        verdict = judge_payload(transaction, payload, application.rules)
        if verdict != Verdict.ACCEPTED:
            return verdict
        if is_early(transaction, wall_time() + EARLY_MAX_S):
            return Verdict.TOO_EARLY
        sender = transaction.envelope.sender
        party = application.party(sender)
        if party is None:
            return Verdict.UNKNOWN_SENDER
        if transaction.envelope.nonce <= party.nonce or transaction.id in self._waiting:
            return Verdict.NONCE_USED
        if len(self._waiting) >= MEMPOOL_MAX or self._per_sender[sender] >= MEMPOOL_PER_SENDER_MAX:
            return Verdict.MEMPOOL_FULL
        if payload and not self._adapter.take(envelope, payload):
            return Verdict.MEMPOOL_FULL
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[transaction.id] = _Waiting(envelope, payload, sender, future)
        self._per_sender[sender] += 1
        self._unsent.append((envelope, payload))
        self._outbox.append(transaction.id)
        self._has_outbox.set()
        if len(self._outbox) % BATCH_MAX == 0:
            await asyncio.sleep(0)  # who submits without a pause still lets the node work
        return Verdict.ACCEPTED

    async def receipts(self, ids: Sequence[bytes]) -> list[Receipt | Refusal]:
        """See `EnginePort.receipts`."""
        return [await self._outcome(transaction_id) for transaction_id in ids]

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """See `EnginePort.values`."""
        if self._failure is not None:
            raise self._failure
        await self._adapter.at_rest.wait()
        entries = map(self.application.state.entries.get, keys)
        return [None if entry is None else entry.value for entry in entries]

    async def query(self, key: str) -> QueryResult:
        """See `EnginePort.query`; InputError before the first block."""
        if self._failure is not None:
            raise self._failure
        await self._adapter.at_rest.wait()
        height = self.application.height
        if height == 0:
            raise InputError([Problem(key, "nothing can be proved before the first block")])
        entry, proof = self.application.query(key)
        return QueryResult(self.store.record(height), entry, proof)

    def fail(self, error: Exception) -> None:
        """Nothing more is promised, everybody who waits is told; the first reason stays."""
        self._failure = self._failure or error
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(self._failure)
                waiting.future.exception()  # seen: nobody has to await what nobody waits for
        self._waiting.clear()

    async def _outcome(self, transaction_id: bytes) -> Outcome:
        waiting = self._waiting.get(transaction_id)
        if waiting is not None:
            return await waiting.future
        outcome = self._outcomes.get(transaction_id)
        if outcome is not None:
            return outcome
        if self._failure is not None:
            raise self._failure
        found = self.store.find_transaction(transaction_id)
        if found is None:
            raise InputError([Problem(transaction_id.hex(), "no such transaction was submitted")])
        return found[1]

    def _settled(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            self._settle(receipt.transaction, receipt)

    def _refused(self, transaction_id: bytes, verdict: Verdict) -> None:
        self._settle(transaction_id, Refusal(transaction_id, verdict))

    def _settle(self, transaction_id: bytes, outcome: Outcome) -> None:
        waiting = self._waiting.pop(transaction_id, None)
        if waiting is None:
            return
        self._outcomes[transaction_id] = outcome
        if len(self._outcomes) > REMEMBERED_MAX:
            self._outcomes.popitem(last=False)
        self._per_sender[waiting.sender] -= 1
        if not self._per_sender[waiting.sender]:
            del self._per_sender[waiting.sender]
        if not waiting.future.done():
            waiting.future.set_result(outcome)

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

    def _next_batch(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        while self._outbox and len(batch) < BATCH_MAX:
            waiting = self._waiting.get(self._outbox.popleft())
            if waiting is not None:
                batch.append(waiting)
        return batch

    async def _offer(self, batch: list[_Waiting]) -> None:
        self._link.push(self._unsent)
        self._unsent = []
        errors = await self._rpc.broadcast([waiting.envelope for waiting in batch])
        refused = [error for error in errors if error and KNOWN not in error]
        if refused:
            raise RpcError(f"{len(refused)} of {len(batch)} were not taken: {refused[0]}")

    def _offer_all(self) -> None:
        self._outbox = deque(self._waiting)
        if self._outbox:
            self._has_outbox.set()
