"""A ledger for one job of tracing: who is on it, and how its market time goes on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gridpact.codec import Wire
from gridpact.contracts.bodies import (
    Deposit,
    GrantRole,
    Kind,
    MoneyPayload,
    ParticipantPayload,
    RegisterParticipant,
    SetTariff,
)
from gridpact.contracts.genesis import Genesis, Market
from gridpact.model import (
    PRICE_AUTHORITY,
    AccountMode,
    Phase,
    Role,
    SlotTariff,
    TieRule,
)
from gridpact.node import EnginePort, SimulatedKeys, Wallet
from gridpact.pipeline.desk import Desk
from gridpact.pipeline.opening import simulated_genesis

GRID_COMPANY = "grid-company"
MARKET = "tracing"
SLOT_S = 900
START_S = 1_704_067_200
"""Midnight of 2024-01-01, UTC: market time of a simulated job begins somewhere."""
SLOTS = 4_000
"""With a tariff, so that they can open; nobody trades in them."""
TARIFF = SlotTariff(1, 0, 0, "none", "2024-01-01")


def genesis_of_trace(keys: SimulatedKeys) -> Genesis:
    """The genesis file of a chain on which traces are handed out."""
    market = Market(MARKET, SLOT_S, TieRule.PRO_RATA, 1, 0, None, None)
    return simulated_genesis("tracing", "EUR", market, keys, validators=1)


class TracingDesk:
    """Sends for everybody, and makes barriers."""

    def __init__(self, engine: EnginePort, wallet: Wallet) -> None:
        self.market = MARKET
        self.wallet = wallet
        self.now_s = START_S
        """Start of the next slot that opens."""
        self.phase = 0
        """Number of the last barrier."""
        self.deposited_nano = 0
        self._engine = engine
        self._desk = Desk(engine, wallet, MARKET)

    async def open(
        self, stations: Sequence[str], providers: Sequence[str], deposit_nano: int
    ) -> None:
        """Register everybody; the grid company pays in what a job can cost it."""
        roles = {
            GRID_COMPANY: Role.GRID_COMPANY,
            **dict.fromkeys(stations, Role.SUBSTATION),
            **dict.fromkeys(providers, Role.CLOUD_PROVIDER),
        }
        desk, keys = self._desk, self.wallet.keys
        sent = []
        for name, role in roles.items():
            body = RegisterParticipant(name, keys.pair(name)[0], 0)
            agreed = ParticipantPayload(keys.secret(name), AccountMode.PREPAID, 0)
            granted = GrantRole(name, int(role), 1, 0)  # type: ignore[arg-type]
            sent.append(desk.by_operator(Kind.REGISTER_PARTICIPANT, body, agreed))
            sent.append(desk.by_operator(Kind.GRANT_ROLE, granted))
        if deposit_nano:
            paid = MoneyPayload(deposit_nano, "for tracing")
            sent.append(desk.by_operator(Kind.DEPOSIT, Deposit(GRID_COMPANY, 0), paid))
            self.deposited_nano = deposit_nano
        tariff = SetTariff(MARKET, START_S, SLOTS, TARIFF, 0)
        sent.append(desk.by(PRICE_AUTHORITY, Kind.TARIFF, tariff))
        await desk.send_sound(sent)
        await self.barrier()

    async def send(self, transactions: Iterable[tuple[str, Kind, Wire]]) -> None:
        """Sign and send what the rules cannot refuse: (sender, kind, body)."""
        signed = [self._desk.by(who, kind, body) for who, kind, body in transactions]
        await self._desk.send_sound(signed)

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """State values as they stand."""
        return await self._engine.values(keys)

    async def barrier(self) -> None:
        """What waits is decided; a slot opens, and market time stands."""
        await self._move(Phase.OPEN)
        self.now_s += SLOT_S

    async def pass_by(self, deadline_s: int) -> None:
        """Market time goes on until a deadline has passed."""
        self.now_s = max(self.now_s, deadline_s + SLOT_S)
        await self._move(Phase.OPEN)
        await self._move(Phase.CLOSED)
        self.now_s += SLOT_S

    async def _move(self, phase: Phase) -> None:
        await self._desk.send_sound([self._desk.phase(phase, self.now_s, 1)])
        self.phase += 1
