"""The embedded engine: one process orders, executes and stores; nothing else is needed.

Acknowledged means durable: a receipt is handed out only after its block is on the disk.
Finality is that of one disk (`crash`); other engines add replicas, not another application.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from gridpact.codec import Wire
from gridpact.contracts import Application, Candidate, Unreadable
from gridpact.contracts.genesis import Genesis
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger.blocks import EngineState, Record
from gridpact.ledger.envelope import Transaction
from gridpact.model import Verdict
from gridpact.node.engines import EMBEDDED, engine_state
from gridpact.node.intake import Intake, Outcome
from gridpact.node.port import QueryResult
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import LedgerStore
from gridpact.node.verifier import VerifierProcess

VERIFY_BATCH = 512
VERIFY_AHEAD = 3
"""Signatures per frame and frames on their way to the worker: what its pipe holds (128 bytes each)
is what it checks while this process executes a block."""
RETRY_S = 0.2
"""How long a phase whose time has not come waits before it is tried again."""


def simulated_time() -> int:
    """Header time of simulated runs: there is no clock at all."""
    return 0


def wall_time() -> int:
    """Header time of live runs, seconds UTC."""
    return int(time.time())


def embedded_state(genesis: Genesis) -> EngineState:
    """What this engine says about itself in the engine root."""
    return engine_state(genesis, EMBEDDED)


def catch_up(application: Application, store: LedgerStore) -> None:
    """Bring an application to the store's height.

    Raises:
        StoreError: what is stored does not add up to the last record's root; run `audit`.
    """
    if not store.is_initialised:
        store.save_initial(application.init_chain())
        return
    tip = store.tip() or (0, application.genesis_hash)
    application.restore(store.entries(), *tip)
    if tip[0] and application.state_map.root != store.record(tip[0]).market_root:
        raise StoreError(
            f"{store.folder}: the stored state does not have the root of block {tip[0]}; "
            f"run `gridpact audit {store.folder}`"
        )


class EmbeddedEngine:
    """The engine port over one ledger folder."""

    def __init__(self, store: LedgerStore, header_time: Callable[[], int]) -> None:
        self.store = store
        self.application = Application(
            store.genesis, embedded_state(store.genesis), verify_signature
        )
        self.execution_s = 0.0
        """Time spent executing and storing blocks."""
        self._header_time = header_time
        self._verifier = VerifierProcess()
        self._inbox: list[tuple[Transaction, bytes]] = []
        self._ready: list[Candidate] = []
        self._intake = Intake(lambda: self.application, store.find_transaction)
        self._has_inbox = asyncio.Event()
        self._has_ready = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def start(
        cls, store: LedgerStore, header_time: Callable[[], int] = simulated_time
    ) -> EmbeddedEngine:
        """Bring the application to the store's height and begin to take transactions.

        Raises:
            StoreError: what is stored does not add up to the last record's root; run `audit`.
        """
        engine = cls(store, header_time)
        try:
            catch_up(engine.application, store)
        except BaseException:
            store.close()
            raise
        engine._tasks = [
            asyncio.create_task(engine._until_it_fails(stage))
            for stage in (engine._check_signatures, engine._make_blocks)
        ]
        return engine

    @classmethod
    async def create(
        cls, folder: Path, genesis: Genesis, header_time: Callable[[], int] = simulated_time
    ) -> EmbeddedEngine:
        """A new ledger with its engine."""
        return await cls.start(LedgerStore.create(folder, genesis), header_time)

    async def close(self) -> None:
        """Stop. What was not acknowledged is forgotten, what was acknowledged is on the disk."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._intake.fail(StoreError(f"{self.store.folder}: the engine was stopped"))
        await self._verifier.close()
        self.store.close()

    @property
    def genesis_hash(self) -> bytes:
        """Name of the chain."""
        return self.application.genesis_hash

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        """See `EnginePort.submit`."""
        taken = self._intake.admit(envelope, payload, self._header_time())
        if isinstance(taken, Verdict):
            return taken
        self._inbox.append((taken, payload))
        self._has_inbox.set()
        if len(self._inbox) % VERIFY_BATCH == 0:
            await asyncio.sleep(0)  # who submits without a pause still lets the engine work
        return Verdict.ACCEPTED

    async def receipts(self, ids: Sequence[bytes]) -> list[Outcome]:
        """See `EnginePort.receipts`."""
        return [await self._intake.outcome(transaction_id) for transaction_id in ids]

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """See `EnginePort.values`."""
        self._intake.check()
        entries = map(self.application.state.entries.get, keys)
        return [None if entry is None else entry.value for entry in entries]

    async def query(self, key: str) -> QueryResult:
        """See `EnginePort.query`; InputError before the first block."""
        self._intake.check()
        height = self.application.height
        if height == 0:
            raise InputError([Problem(key, "nothing can be proved before the first block")])
        record: Record = self.store.record(height)
        entry, proof = self.application.query(key)
        return QueryResult(record, entry, proof)

    async def _until_it_fails(self, stage: Callable[[], Coroutine[None, None, None]]) -> None:
        """Run a stage for ever; whatever ends it is told to everybody who waits."""
        try:
            await stage()
        except Exception as error:
            self._intake.fail(error)
            if not isinstance(error, StoreError):
                raise

    async def _check_signatures(self) -> None:
        """Take what comes in, check signatures elsewhere, hand it on in the same order."""
        checking: deque[asyncio.Task[list[Candidate]]] = deque()
        try:
            while True:
                if not checking:
                    await self._has_inbox.wait()
                while self._inbox and len(checking) < VERIFY_AHEAD:
                    batch = self._inbox[:VERIFY_BATCH]
                    del self._inbox[: len(batch)]
                    checking.append(asyncio.create_task(self._checked(batch)))
                if not self._inbox:
                    self._has_inbox.clear()
                if checking:
                    candidates = await checking.popleft()
                    self._ready.extend(candidates)
                    self._has_ready.set()
        finally:
            for task in checking:  # or they would start another worker when this one is ended
                task.cancel()
            await asyncio.gather(*checking, return_exceptions=True)

    async def _checked(self, batch: Sequence[tuple[Transaction, bytes]]) -> list[Candidate]:
        """Transactions with the verdict on their signature under the senders' keys."""
        keys = []
        for transaction, _ in batch:
            party = self.application.party(transaction.envelope.sender)
            keys.append(party.public_key if party is not None else bytes(32))
        verdicts = await self._verifier.verify(
            [
                (key, transaction.digest, transaction.envelope.signature)
                for key, (transaction, _) in zip(keys, batch, strict=True)
            ]
        )
        return [
            Candidate(transaction, sealed, key, good)
            for key, good, (transaction, sealed) in zip(keys, verdicts, batch, strict=True)
        ]

    async def _make_blocks(self) -> None:
        """Whatever is ready becomes the next block."""
        while True:
            await self._has_ready.wait()
            self._has_ready.clear()
            started = time.perf_counter()
            self._make_block()
            self.execution_s += time.perf_counter() - started

    def _make_block(self) -> None:
        application = self.application
        proposal, chosen = application.prepare_proposal(self._ready, self._header_time())
        if chosen:
            candidates: list[Candidate | Unreadable] = list(chosen)
            result = application.finalize_block(proposal, candidates)
            self.store.save_block(proposal, chosen, result)
            application.commit(result)
            self._intake.settle_all(result.receipts)
        self._ready = self._left_to_wait(chosen)
        if self._ready and chosen:
            self._has_ready.set()
        elif self._ready:
            asyncio.get_running_loop().call_later(RETRY_S, self._has_ready.set)

    def _left_to_wait(self, chosen: Sequence[Candidate]) -> list[Candidate]:
        """Candidates that a later block may still take; the others are refused."""
        in_block = {candidate.transaction.id for candidate in chosen}
        kept: list[Candidate] = []
        senders: set[str] = set()
        for candidate in self._ready:
            transaction = candidate.transaction
            if transaction.id in in_block:
                continue
            verdict = self.application.check_tx(candidate)
            sender = transaction.envelope.sender
            follows_one = verdict == Verdict.NONCE_AHEAD and sender in senders
            if verdict == Verdict.ACCEPTED or follows_one:
                kept.append(candidate)
                senders.add(sender)
            else:
                self._intake.refuse(transaction.id, verdict)
        return kept
