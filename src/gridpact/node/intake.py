"""What an engine has taken in and not answered yet, and what it answered last.

Every engine judges at its door alike, keeps a place for the answer of all that it took in, and
gives the answer once: a receipt when the block is durable, or a refusal.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gridpact.contracts import Application, is_early, judge_payload
from gridpact.errors import InputError, Problem
from gridpact.ledger.blocks import Receipt
from gridpact.ledger.envelope import Transaction
from gridpact.model import Verdict
from gridpact.node.port import Refusal

WAITING_MAX = 100_000
WAITING_PER_SENDER_MAX = 10_000
EARLY_MAX_S = 86_400
"""A phase that may not be in a block for longer than this is refused, not kept waiting with all
that its sender sends after it. Where there is no clock, every time lies further ahead."""
REMEMBERED_MAX = 20_000
"""Outcomes kept in memory; older receipts are read from the store."""

Outcome = Receipt | Refusal


@dataclass(frozen=True, slots=True)
class Waiting:
    """A transaction that was taken in."""

    transaction: Transaction
    payload: bytes
    future: asyncio.Future[Outcome]

    @property
    def sender(self) -> str:
        """Party id."""
        return self.transaction.envelope.sender


class Intake:
    """An engine's door: who comes in, who waits, and what they were told."""

    def __init__(
        self,
        application: Callable[[], Application],
        stored: Callable[[bytes], tuple[int, Receipt] | None],
    ) -> None:
        """Begin empty.

        Args:
            application: gives the state to judge against; a restored node has another one.
            stored: looks up height and receipt on the disk, by transaction id.
        """
        self._application, self._stored = application, stored
        self._waiting: dict[bytes, Waiting] = {}
        self._per_sender: Counter[str] = Counter()
        self._outcomes: OrderedDict[bytes, Outcome] = OrderedDict()
        self._failure: Exception | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        """All that waits, in the order in which it came."""
        return iter(tuple(self._waiting.values()))

    def get(self, transaction_id: bytes) -> Waiting | None:
        """One that waits."""
        return self._waiting.get(transaction_id)

    def admit(self, envelope: bytes, payload: bytes, time_s: int) -> Transaction | Verdict:
        """Take a transaction in, or say why not.

        A nonce that is used is refused before anybody looks at the signature: a check is dear.

        Args:
            envelope: its bytes.
            payload: its sealed payload.
            time_s: header time of a block that would be made now.
        Raises:
            Exception: what made the engine stop.
        """
        self.check()
        application = self._application()
        transaction = application.readable(envelope)
        if isinstance(transaction, Verdict):
            return transaction
        verdict = judge_payload(transaction, payload, application.rules)
        if verdict != Verdict.ACCEPTED:
            return verdict
        if is_early(transaction, time_s + EARLY_MAX_S):
            return Verdict.TOO_EARLY
        sender = transaction.envelope.sender
        party = application.party(sender)
        if party is None:
            return Verdict.UNKNOWN_SENDER
        if transaction.envelope.nonce <= party.nonce or transaction.id in self._waiting:
            return Verdict.NONCE_USED
        full = len(self._waiting) >= WAITING_MAX
        if full or self._per_sender[sender] >= WAITING_PER_SENDER_MAX:
            return Verdict.MEMPOOL_FULL
        self._per_sender[sender] += 1
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[transaction.id] = Waiting(transaction, payload, future)
        return transaction

    def settle(self, transaction_id: bytes, outcome: Outcome) -> None:
        """Give the answer to who waits for it; others' transactions are nobody's business here."""
        waiting = self._leave(transaction_id)
        if waiting is None:
            return
        self._outcomes[transaction_id] = outcome
        if len(self._outcomes) > REMEMBERED_MAX:
            self._outcomes.popitem(last=False)
        if not waiting.future.done():
            waiting.future.set_result(outcome)

    def _leave(self, transaction_id: bytes) -> Waiting | None:
        """Its place is free again."""
        waiting = self._waiting.pop(transaction_id, None)
        if waiting is not None:
            self._per_sender[waiting.sender] -= 1
            if not self._per_sender[waiting.sender]:
                del self._per_sender[waiting.sender]
        return waiting

    def settle_all(self, receipts: Sequence[Receipt]) -> None:
        """A block is durable."""
        for receipt in receipts:
            self.settle(receipt.transaction, receipt)

    def refuse(self, transaction_id: bytes, verdict: Verdict) -> None:
        """A transaction will be in no block."""
        self.settle(transaction_id, Refusal(transaction_id, verdict))

    def lose(self, transaction_id: bytes) -> None:
        """Nobody here can say what became of one: the block that used its nonce was skipped."""
        waiting = self._leave(transaction_id)
        if waiting is not None and not waiting.future.done():
            text = "its nonce is used, in a block that is not here; ask another validator"
            waiting.future.set_exception(InputError([Problem(transaction_id.hex(), text)]))
            waiting.future.exception()  # seen: nobody has to await what nobody waits for

    async def outcome(self, transaction_id: bytes) -> Outcome:
        """Wait for the answer.

        Raises:
            InputError: nobody handed in such a transaction.
            Exception: what made the engine stop.
        """
        waiting = self._waiting.get(transaction_id)
        if waiting is not None:
            return await asyncio.shield(waiting.future)  # others may wait for it too
        outcome = self._outcomes.get(transaction_id)
        if outcome is not None:
            return outcome
        self.check()
        found = self._stored(transaction_id)
        if found is None:
            raise InputError([Problem(transaction_id.hex(), "no such transaction was submitted")])
        return found[1]

    def check(self) -> None:
        """Raise what made the engine stop, if anything did."""
        if self._failure is not None:
            raise self._failure

    def fail(self, error: Exception) -> None:
        """Nothing more is promised, everybody who waits is told; the first reason stays."""
        self._failure = self._failure or error
        for waiting in self._waiting.values():
            if not waiting.future.done():
                waiting.future.set_exception(self._failure)
                waiting.future.exception()  # seen: nobody has to await what nobody waits for
        self._waiting.clear()
        self._per_sender.clear()
