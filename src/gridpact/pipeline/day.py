"""One trading day, top to bottom. The file to read first.

Per slot: forecast -> orders -> gate closure -> clearing -> delivery -> readings -> settlement.
Everything that counts happens on the ledger behind the engine port; this file only plays the
parts of members, meters, price authority and operator, in the order in which a day happens.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby

from gridpact.agents import Quote, quotes, seasonal_naive
from gridpact.codec import Wire, sha256
from gridpact.contracts.bodies import (
    Deposit,
    Kind,
    MoneyPayload,
    MovePhase,
    OrderPayload,
    ParticipantPayload,
    PlaceOrder,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportReading,
    SetTariff,
)
from gridpact.contracts.genesis import (
    APP_VERSION,
    DEFAULT_LIMITS,
    GENESIS_VERSION,
    FallbackRule,
    Genesis,
    GenesisParty,
    Market,
    Validator,
)
from gridpact.contracts.keys import slot_key
from gridpact.errors import invariant
from gridpact.inputs import slot_prices
from gridpact.model import (
    OPERATOR,
    PRICE_AUTHORITY,
    Phase,
    PlacedOrder,
    Profiles,
    Quality,
    Role,
    Scenario,
    SlotPrices,
    SlotResult,
    SlotState,
    SlotTariff,
    Verdict,
)
from gridpact.node import EnginePort, SimulatedKeys, Wallet

ADMIN_EXPIRY_S = 2**40
"""Expiry of what does not belong to a slot: never, in practice."""
READING_EXPIRY_S = 7 * 86_400
"""How long after its slot a reading may still be on its way."""

Progress = Callable[[int, int], None]
"""Told (slots done, slots in all)."""


def genesis_of(scenario: Scenario, keys: SimulatedKeys) -> Genesis:
    """The genesis file of a simulated run: operator and price authority, one market."""
    return Genesis(
        version=GENESIS_VERSION,
        app_version=APP_VERSION,
        chain=scenario.name,
        currency=scenario.currency,
        network=scenario.network.reference if scenario.network else "",
        previous=b"",
        markets=[
            Market(
                scenario.market_id,
                scenario.slot_length_s,
                scenario.tie,
                scenario.orders_per_slot,
                scenario.sealed_deposit_micro * 1000,
            )
        ],
        parties=[
            GenesisParty(OPERATOR, keys.pair(OPERATOR)[0], int(Role.OPERATOR | Role.VALIDATOR)),
            GenesisParty(PRICE_AUTHORITY, keys.pair(PRICE_AUTHORITY)[0], int(Role.PRICE_AUTHORITY)),
        ],
        validators=[Validator(OPERATOR, 1)],
        limits=DEFAULT_LIMITS,
        fallback=FallbackRule(quorum=1, delay_s=86_400),
    )


@dataclass(slots=True)
class DayTrader:
    """Plays a scenario's population against an engine."""

    engine: EnginePort
    scenario: Scenario
    profiles: Profiles
    wallet: Wallet
    verdicts: Counter[str] = field(default_factory=Counter)
    """What became of every transaction sent."""
    clearing_s: float = 0.0
    """Time from asking for `cleared` to its receipt, over all slots."""
    _phase: int = 0
    _prices: list[SlotPrices] = field(default_factory=list)

    async def trade(self, progress: Progress | None = None) -> list[SlotResult]:
        """Run all days of the scenario.

        Returns:
            What each slot came to, in time order.
        """
        scenario = self.scenario
        self._prices = [
            slot_prices(scenario.tariff, scenario.time_zone, slot) for slot in self.profiles.slots
        ]
        await self._register_members()
        await self._set_tariffs()
        results: list[SlotResult] = []
        for first, end in self.profiles.days:
            await self._move(Phase.OPEN, first, end)
            for index in range(first, end):
                results.append(await self._slot(index))
                if progress is not None:
                    progress(index + 1, len(self.profiles.slots))
            await self._move(Phase.FINAL, first, end)
        return results

    async def _register_members(self) -> None:
        """Members with accounts and meters; what they pay in counts from the first barrier."""
        keys = self.wallet.keys
        sent = []
        for member in self.scenario.members:
            name, account = member.participant_id, member.account
            meter = member.meter_id
            sent.append(
                self._admin(
                    Kind.REGISTER_PARTICIPANT,
                    RegisterParticipant(name, keys.pair(name)[0], 0),
                    ParticipantPayload(keys.secret(name), account.mode, account.limit_micro * 1000),
                )
            )
            sent.append(
                self._admin(
                    Kind.REGISTER_METER,
                    RegisterMeter(meter, keys.pair(meter)[0], name, meter, 0),
                )
            )
            if account.deposit_micro:
                sent.append(
                    self._admin(
                        Kind.DEPOSIT,
                        Deposit(name, 0),
                        MoneyPayload(account.deposit_micro * 1000, "first payment"),
                    )
                )
        await self._send_expecting_acceptance(sent)

    async def _set_tariffs(self) -> None:
        """One transaction for each run of slots with the same prices and billing day."""
        scenario, slots = self.scenario, self.profiles.slots
        tariffs = [
            SlotTariff(
                prices.retail_micro_per_kwh,
                prices.feed_in_micro_per_kwh,
                prices.network_fee_micro_per_kwh,
                scenario.tariff.region,
                (scenario.first_day + timedelta(days=day)).isoformat(),
            )
            for day, (first, end) in enumerate(self.profiles.days)
            for prices in self._prices[first:end]
        ]
        sent = []
        for tariff, run in groupby(range(len(slots)), key=tariffs.__getitem__):
            indices = list(run)
            body = SetTariff(scenario.market_id, slots[indices[0]].start_s, len(indices), tariff, 0)
            sent.append(
                self.wallet.write(PRICE_AUTHORITY, Kind.TARIFF, body, None, expiry_s=ADMIN_EXPIRY_S)
            )
        await self._send_expecting_acceptance(sent)

    async def _slot(self, index: int) -> SlotResult:
        """One delivery slot from forecast to settlement."""
        placed = await self._place_orders(index)
        await self._move(Phase.CLOSED, index, index + 1)
        started = time.perf_counter()
        await self._move(Phase.CLEARED, index, index + 1)
        self.clearing_s += time.perf_counter() - started
        await self._move(Phase.DELIVERED, index, index + 1)
        net_wh = await self._report_readings(index)
        await self._move(Phase.METERED, index, index + 1)
        await self._move(Phase.SETTLED, index, index + 1)
        slot = self.profiles.slots[index]
        answer = await self.engine.query(slot_key(self.scenario.market_id, slot.start_s))
        state = answer.entry.value if answer.entry is not None else None
        invariant(isinstance(state, SlotState), f"slot {slot.start_s} is not on the ledger")
        column = self.profiles.history + index
        return SlotResult(
            slot=slot,
            state=state,  # type: ignore[arg-type]
            orders=placed,
            load_wh=int(self.profiles.load_wh[:, column].sum()),
            pv_wh=int(self.profiles.pv_wh[:, column].sum()),
            metered_net_wh=net_wh,
        )

    async def _place_orders(self, index: int) -> tuple[PlacedOrder, ...]:
        """Every member forecasts its net energy and sends one order."""
        scenario, slot = self.scenario, self.profiles.slots[index]
        net_wh = seasonal_naive(
            self.profiles,
            86_400 // scenario.slot_length_s,
            [member.agent.season_days for member in scenario.members],
            index,
        )
        made = quotes(scenario.members, net_wh.tolist(), self._prices[index], slot, scenario.seed)
        body = PlaceOrder(scenario.market_id, slot.start_s)
        sent = [
            self.wallet.write(
                quote.participant_id,
                Kind.ORDER,
                body,
                OrderPayload(
                    quote.side,
                    quote.price_micro_per_kwh,
                    quote.energy_wh,
                    quote.limit_micro_per_kwh,
                    quote.submitted_ms,
                ),
                expiry_s=slot.start_s,
            )
            for quote in made
        ]
        verdicts = await self._send(sent)
        return tuple(
            _placed(quote)
            for quote, verdict in zip(made, verdicts, strict=True)
            if verdict == Verdict.ACCEPTED
        )

    async def _report_readings(self, index: int) -> int:
        """Every meter reports what its member fed in or took, net.

        Returns:
            Sum over members, Wh, + = injection.
        """
        scenario, slot = self.scenario, self.profiles.slots[index]
        column = self.profiles.history + index
        net_wh = (self.profiles.pv_wh[:, column] - self.profiles.load_wh[:, column]).tolist()
        sent = []
        quality = self.profiles.quality[:, column].tolist()
        for member, net, how in zip(scenario.members, net_wh, quality, strict=True):
            meter = member.meter_id
            sent.append(
                self.wallet.write(
                    meter,
                    Kind.READING,
                    ReportReading(scenario.market_id, slot.start_s, member.participant_id, meter),
                    ReadingPayload(1, Quality(how), max(0, -net), max(0, net)),
                    expiry_s=slot.start_s + READING_EXPIRY_S,
                )
            )
        await self._send_expecting_acceptance(sent)
        return sum(net_wh)

    async def _move(self, phase: Phase, first: int, end: int) -> None:
        """Move slots [first, end) one phase on."""
        self._phase += 1
        body = MovePhase(
            self.scenario.market_id,
            self._phase,
            phase,
            self.profiles.slots[first].start_s,
            end - first,
            0,
        )
        await self._send_expecting_acceptance([self._admin(Kind.PHASE, body)])

    def _admin(self, kind: Kind, body: Wire, payload: Wire | None = None) -> tuple[bytes, bytes]:
        return self.wallet.write(OPERATOR, kind, body, payload, expiry_s=ADMIN_EXPIRY_S)

    async def _send_expecting_acceptance(self, transactions: list[tuple[bytes, bytes]]) -> None:
        """Send what the rules cannot refuse a careful operator or meter."""
        for verdict in await self._send(transactions):
            invariant(verdict == Verdict.ACCEPTED, f"refused in a simulated run: {verdict.name}")

    async def _send(self, transactions: Iterable[tuple[bytes, bytes]]) -> list[Verdict]:
        """Submit, wait until all are durable or refused, and count what they were told."""
        ids = []
        verdicts: dict[bytes, Verdict] = {}
        order = []
        for envelope, payload in transactions:
            transaction_id = sha256(envelope)
            order.append(transaction_id)
            verdict = await self.engine.submit(envelope, payload)
            if verdict == Verdict.ACCEPTED:
                ids.append(transaction_id)
            else:
                verdicts[transaction_id] = verdict
        for transaction_id, receipt in zip(ids, await self.engine.receipts(ids), strict=True):
            verdicts[transaction_id] = Verdict(receipt.verdict)
        told = [verdicts[transaction_id] for transaction_id in order]
        self.verdicts.update(verdict.name for verdict in told)
        return told


def _placed(quote: Quote) -> PlacedOrder:
    return PlacedOrder(
        quote.participant_id,
        quote.side,
        quote.price_micro_per_kwh,
        quote.energy_wh,
        quote.limit_micro_per_kwh,
    )
