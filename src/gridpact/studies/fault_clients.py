"""Clients of a network under faults: each does one thing after the other and notes what it saw.

A client that gets no answer goes to another validator with the same transaction, as often as it
takes; one that is refused writes another transaction with the same nonce, since the refused one
must never be on the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from random import Random
from time import monotonic_ns

from gridpact.codec import sha256
from gridpact.contracts.bodies import CancelOrder, Kind, OrderPayload, PlaceOrder
from gridpact.contracts.keys import party_key
from gridpact.errors import GridpactError, InputError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Party, Side, Verdict
from gridpact.node.devnet import Devnet
from gridpact.node.door import RemoteEngine
from gridpact.studies.fault_history import HeightRead, History, NonceRead, Write
from gridpact.studies.workload import MARKET, TARIFF, Signed, Workload, start_of

SLOTS = 8
"""Open ones, in which members place orders and take them back."""
READS, HEIGHTS = 0.3, 0.1
"""Shares of what clients do: read somebody's nonce, read the height; the others write."""
BURSTS = (1, 1, 1, 2, 8)
"""How many transactions a client hands in together."""
PATIENCE_S = (0.5, 3.0)
"""How long a client waits for one validator; each time another time in between."""
PAUSE_S = 0.02
"""Mean time that a client does nothing after an answer."""
AGAIN_S = 0.1
"""Wait before going on after a refusal or a failure."""
SURE = (Verdict.ACCEPTED, Verdict.NONCE_USED)
"""What a door may say to a transaction of which `receipts` then tells more."""


@dataclass(slots=True)
class _Pending:
    """A transaction without an answer."""

    write: Write
    signed: Signed
    tried: bool = False
    """It was handed in before, and nobody said what became of it."""

    def __str__(self) -> str:
        return f"nonce {self.write.nonce}, {self.write.transaction.hex()[:16]}"


class FaultClient:
    """One client, who signs for one member."""

    def __init__(
        self, number: int, devnet: Devnet, workload: Workload, history: History, chance: Random
    ) -> None:
        """Nothing is done before `run`.

        Args:
            number: of the client, and of its member.
            devnet: whose doors are used.
            workload: who the members are; its market is open.
            history: gets what this client sees.
            chance: decides what it does and where.
        """
        self.doing = ""
        """What it waits for; empty while it does nothing."""
        self.faults: list[str] = []
        """What it was told that nobody may be told."""
        self.allowed = asyncio.Event()
        """Whether it may begin something."""
        self.idle = asyncio.Event()
        self._number, self._devnet, self._workload = number, devnet, workload
        self._member = workload.members[number]
        self._history, self._chance = history, chance
        self._engine: RemoteEngine | None = None
        self._at = "nowhere"
        self._placed: tuple[int, int] | None = None
        """(slot, nonce) of the order that it takes back next."""
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                self.idle.set()
                await self.allowed.wait()
                self.idle.clear()
                await self._one()
                self.doing = ""
                self._answered.set()
                await asyncio.sleep(2 * PAUSE_S * self._chance.random())
        finally:
            self.idle.set()
            await self._leave()

    async def until_answered(self) -> None:
        """Wait until something that was begun after now is done."""
        for _ in range(2):
            self._answered.clear()
            await self._answered.wait()

    async def _one(self) -> None:
        draw = self._chance.random()
        if draw < READS:
            await self._read_nonce()
        elif draw < READS + HEIGHTS:
            await self._read_height()
        else:
            await self._write()

    # Reading

    async def _read_nonce(self) -> None:
        sender = self._chance.choice(self._workload.members)
        self.doing = f"read nonce of {sender}"
        while True:
            began_us = _now_us()
            try:
                async with asyncio.timeout(self._patience_s()):
                    (party,) = await (await self._anyone()).values([party_key(sender)])
            except (TimeoutError, GridpactError):
                await self._leave()
                continue
            nonce = party.nonce if isinstance(party, Party) else 0
            read = NonceRead(self._number, sender, nonce, began_us, _now_us())
            self._history.nonce_reads.append(read)
            return

    async def _read_height(self) -> None:
        self.doing = "read the height"
        while True:
            began_us = _now_us()
            try:
                async with asyncio.timeout(self._patience_s()):
                    found = await (await self._anyone()).query(party_key(self._member))
            except (TimeoutError, GridpactError):
                await self._leave()
                continue
            height = found.record.height
            self._history.height_reads.append(HeightRead(self._number, height, began_us, _now_us()))
            return

    # Writing

    async def _write(self) -> None:
        """A few transactions at once, until each is in a block."""
        nonce = self._workload.wallet.next_nonce(self._member)
        count = self._chance.choice(BURSTS)
        pending = [self._written(at) for at in range(nonce, nonce + count)]
        while pending:
            self.doing = f"write {', '.join(str(one) for one in pending)}"
            with contextlib.suppress(TimeoutError, GridpactError):
                async with asyncio.timeout(self._patience_s()):
                    engine = await self._anyone()
                    told = [await engine.submit(*one.signed) for one in pending]
                    for one, verdict in zip(pending, told, strict=True):
                        await self._heard(one, verdict, engine)
            pending = [self._again(one) for one in pending if one.write.receipt is None]
            if pending:
                await self._leave()
                await asyncio.sleep(AGAIN_S)

    async def _heard(self, one: _Pending, verdict: Verdict, engine: RemoteEngine) -> None:
        """Note what is said about a transaction."""
        if verdict in SURE:
            try:
                (outcome,) = await engine.receipts([one.write.transaction])
            except InputError as error:
                if verdict == Verdict.NONCE_USED:
                    self.faults.append(f"{self._at} took another {one} of this client: {error}")
                raise
            if isinstance(outcome, Receipt):
                one.write.receipt, one.write.ended_us = outcome, _now_us()
                return
            verdict = Verdict(outcome.verdict)
        if not one.tried:
            one.write.refusal, one.write.ended_us = verdict, _now_us()

    def _again(self, one: _Pending) -> _Pending:
        """The same once more; another one in its place when it was refused for good.

        What was tried before may have been taken in by somebody: whatever others say of it, it is
        asked for until it is in a block.
        """
        if one.write.refusal is not None:
            return self._written(one.write.nonce)
        one.tried = True
        return one

    def _written(self, nonce: int) -> _Pending:
        """The next transaction: an order, or the end of the one before."""
        wallet = self._workload.wallet
        last = wallet.next_nonce(self._member) - 1
        wallet.resume(self._member, nonce - 1)
        signed = self._signed()
        wallet.resume(self._member, max(last, nonce))
        write = Write(self._number, self._member, nonce, sha256(signed[0]), _now_us())
        self._history.writes.append(write)
        return _Pending(write, signed)

    def _signed(self) -> Signed:
        sign, expiry_s = self._workload.sign, start_of(SLOTS)
        placed, self._placed = self._placed, None
        if placed is not None:
            body = CancelOrder(MARKET, *placed)
            return sign(self._member, Kind.CANCEL, body, expiry_s=expiry_s)
        start_s = start_of(self._chance.randrange(SLOTS))
        price = self._chance.randint(TARIFF.feed_in_micro_per_kwh, TARIFF.retail_micro_per_kwh)
        payload = OrderPayload(Side.BID, price, 1, price, self._chance.randrange(10**9))
        order = PlaceOrder(MARKET, start_s)
        signed = sign(self._member, Kind.ORDER, order, payload, expiry_s=expiry_s)
        self._placed = (start_s, self._workload.wallet.last_nonce(self._member))
        return signed

    # Doors

    def _patience_s(self) -> float:
        least_s, most_s = PATIENCE_S
        return least_s + (most_s - least_s) * self._chance.random()

    async def _anyone(self) -> RemoteEngine:
        """The engine behind the door that answered last, or behind another one."""
        if self._engine is None:
            names = list(self._devnet.homes)
            self._chance.shuffle(names)
            self._at = names[0]
            self._engine = await self._devnet.connect(*names)
        return self._engine

    async def _leave(self) -> None:
        """Ask another validator the next time."""
        engine, self._engine = self._engine, None
        if engine is not None:
            await engine.close()


def _now_us() -> int:
    return monotonic_ns() // 1000
