"""Sending: everything that a simulated population says to the ledger goes over this desk."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from gridpact.codec import Wire, sha256
from gridpact.contracts.bodies import Kind, MovePhase
from gridpact.errors import invariant
from gridpact.model import OPERATOR, Phase, Verdict
from gridpact.node import EnginePort, Wallet

NEVER_S = 2**40
"""Expiry of what does not belong to a slot: never, in practice."""

Signed = tuple[bytes, bytes]
"""(envelope, salt || payload)"""


@dataclass(slots=True)
class Desk:
    """Signs for the population, sends, and counts what it was told."""

    engine: EnginePort
    wallet: Wallet
    market: str
    verdicts: Counter[str] = field(default_factory=Counter)
    """What became of every transaction sent."""
    _phase: int = 0

    def by(
        self,
        sender: str,
        kind: Kind,
        body: Wire,
        payload: Wire | None = None,
        *,
        expiry_s: int = NEVER_S,
    ) -> Signed:
        """The sender's next transaction."""
        return self.wallet.write(sender, kind, body, payload, expiry_s=expiry_s)

    def by_operator(self, kind: Kind, body: Wire, payload: Wire | None = None) -> Signed:
        """The operator's next transaction."""
        return self.by(OPERATOR, kind, body, payload)

    def phase(self, phase: Phase, first_start_s: int, slots: int) -> Signed:
        """Moves a range of slots one phase on; to be sent in the order written."""
        self._phase += 1
        body = MovePhase(self.market, self._phase, phase, first_start_s, slots, 0)
        return self.by_operator(Kind.PHASE, body)

    async def send_sound(self, transactions: Iterable[Signed]) -> None:
        """Send what the rules cannot refuse a careful operator or meter."""
        for verdict in await self.send(transactions):
            invariant(verdict == Verdict.ACCEPTED, f"refused in a simulated run: {verdict.name}")

    async def send(self, transactions: Iterable[Signed]) -> list[Verdict]:
        """Submit, wait until all are durable or refused, and count what they were told."""
        sent = list(transactions)
        order = [sha256(envelope) for envelope, _ in sent]
        taken = await asyncio.gather(*(self.engine.submit(*signed) for signed in sent))
        verdicts = dict(zip(order, taken, strict=True))
        waiting = [key for key, verdict in verdicts.items() if verdict == Verdict.ACCEPTED]
        answers = await self.engine.receipts(waiting)
        for transaction_id, receipt in zip(waiting, answers, strict=True):
            verdicts[transaction_id] = Verdict(receipt.verdict)
        told = [verdicts[transaction_id] for transaction_id in order]
        self.verdicts.update(verdict.name for verdict in told)
        return told
