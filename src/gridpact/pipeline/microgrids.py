"""A day of microgrids that bargain: bids, a clearing with its proof, delivery, settlement.

Every slot the rest of the day is cleared anew from better forecasts and what the storages really
hold; only its first slot counts. The parts of operators, meters and price authority are played
here; everything that counts happens on the ledger behind the engine port.

Source: [AEPS22], sections 2 and 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from gridpact.agents.microgrids import MicrogridSites
from gridpact.contracts.bodies import (
    BidPayload,
    Deposit,
    Kind,
    MoneyPayload,
    ParticipantPayload,
    PlaceBid,
    ProposeClearing,
    ReadingPayload,
    RegisterMeter,
    RegisterParticipant,
    ReportReading,
    SetTariff,
)
from gridpact.contracts.genesis import BargainRules, Genesis, Market
from gridpact.contracts.keys import position_key, slot_key
from gridpact.errors import GridpactError, InvariantError
from gridpact.model import (
    METERING_OPERATOR,
    PRICE_AUTHORITY,
    AccountMode,
    Agreement,
    LineKind,
    MicrogridBid,
    Phase,
    Quality,
    SlotState,
    SlotTariff,
    TieRule,
    Verdict,
)
from gridpact.model.microgrid_day import MicrogridDay, MicrogridSlot
from gridpact.node import EnginePort, Wallet
from gridpact.pipeline.desk import Desk, Signed
from gridpact.pipeline.opening import simulated_genesis
from gridpact.settlement import (
    NO_AGREEMENT,
    Metered,
    bargain_lines,
    deliver,
    realised_cost_nano,
)

if TYPE_CHECKING:
    from gridpact.market.solvers.proposal import Proposal
    from gridpact.node import SimulatedKeys

MARKET = "microgrids"
DEPOSIT_NANO = 200_000 * 10**9
"""What each pays in before the day."""
PRICE_MAX_MICRO = 1_000_000
GAP_PPB = 1000
"""Of turnover, where that is more than what whole Wh cost."""
METERS = ("generation", "load")
"""Of each microgrid: what it makes and what it uses, gross."""
SOON_S = 86_400
Progress = Callable[[int, int], None]
"""Told (slots done, slots in all)."""


def genesis_of_day(day: MicrogridDay, keys: SimulatedKeys, validators: int = 1) -> Genesis:
    """The genesis file of a simulated day."""
    rules = BargainRules(GAP_PPB, PRICE_MAX_MICRO, day.terms.end_micro_per_kwh, [])
    market = Market(MARKET, day.slot_length_s, TieRule.PRO_RATA, 1, 0, rules, None)
    return simulated_genesis(day.name, day.currency, market, keys, validators)


class BargainTrader:
    """Plays the microgrids of a day against an engine."""

    def __init__(
        self,
        engine: EnginePort,
        day: MicrogridDay,
        sites: MicrogridSites,
        wallet: Wallet,
        alone_cost_nano: Sequence[tuple[int, ...]],
    ) -> None:
        self.day, self.sites = day, sites
        self._alone_cost_nano = alone_cost_nano
        """By slot: what the day costs each when nobody trades."""
        self.desk = Desk(engine, wallet, MARKET)
        self.order = sorted(range(len(day.ids)), key=lambda i: day.ids[i])
        """Microgrids in the order of their ids, as the ledger has them."""

    async def trade(self, progress: Progress | None = None) -> list[MicrogridSlot]:
        """Run the day.

        Returns:
            What each slot came to.
        """
        day, desk = self.day, self.desk
        slots = len(day.terms.retail_micro_per_kwh)
        await desk.send_sound(self._registrations())
        await desk.send_sound(self._tariffs())
        await desk.send_sound([desk.phase(Phase.OPEN, day.start_s, slots)])
        done = []
        for period in range(slots):
            done.append(await self._slot(period))
            if progress is not None:
                progress(period + 1, slots)
        await desk.send_sound([desk.phase(Phase.FINAL, day.start_s, slots)])
        return done

    # Opening

    def _registrations(self) -> list[Signed]:
        keys, sent = self.desk.wallet.keys, []
        for name in self.day.ids:
            joined = RegisterParticipant(name, keys.pair(name)[0], 0)
            agreed = ParticipantPayload(keys.secret(name), AccountMode.PREPAID, 0)
            sent.append(self.desk.by_operator(Kind.REGISTER_PARTICIPANT, joined, agreed))
            for what in METERS:
                meter = f"{name}-{what}"
                metered = RegisterMeter(meter, keys.pair(meter)[0], name, METERING_OPERATOR, 0)
                sent.append(self.desk.by_operator(Kind.REGISTER_METER, metered))
            paid = MoneyPayload(DEPOSIT_NANO, "first payment")
            sent.append(self.desk.by_operator(Kind.DEPOSIT, Deposit(name, 0), paid))
        return sent

    def _tariffs(self) -> list[Signed]:
        """One transaction for each run of slots with the same prices."""
        terms, day = self.day.terms, self.day
        prices = zip(terms.retail_micro_per_kwh, terms.feed_in_micro_per_kwh, strict=True)
        sent, first = [], 0
        for (retail, feed_in), run in groupby(prices):
            count = len(list(run))
            tariff = SlotTariff(
                retail, feed_in, terms.fee_per_side_micro_per_kwh, "region", day.name
            )
            body = SetTariff(MARKET, self._start_s(first), count, tariff, 0)
            sent.append(self.desk.by(PRICE_AUTHORITY, Kind.TARIFF, body))
            first += count
        return sent

    def _start_s(self, period: int) -> int:
        return self.day.start_s + period * self.day.slot_length_s

    # A slot

    async def _slot(self, period: int) -> MicrogridSlot:
        start_s = self._start_s(period)
        bids = self.sites.bids(period)
        body = PlaceBid(MARKET, start_s)
        await self.desk.send_sound(
            self.desk.by(self.day.ids[i], Kind.BID, body, BidPayload(bids[i]), expiry_s=start_s)
            for i in self.order
        )
        await self._move(period, Phase.CLOSED)
        proposal, refused = await self._clear(period, [bids[i] for i in self.order])
        await self._move(period, Phase.CLEARED, Phase.DELIVERED)
        agreements = await self._agreements(start_s)
        metered = [self._metered(i, period) for i in range(len(self.day.ids))]
        await self.desk.send_sound(self._readings(start_s, metered))
        await self._move(period, Phase.METERED, Phase.SETTLED)
        (state,) = await self.desk.engine.values([slot_key(MARKET, start_s)])
        if not isinstance(state, SlotState):
            raise InvariantError(f"slot {start_s} is not on the ledger")
        return self._result(period, state, proposal, refused, agreements, metered)

    async def _move(self, period: int, *phases: Phase) -> None:
        start_s = self._start_s(period)
        await self.desk.send_sound([self.desk.phase(phase, start_s, 1) for phase in phases])

    async def _clear(self, period: int, bids: list[MicrogridBid]) -> tuple[Proposal | None, str]:
        """Propose a clearing; without a solution nobody trades in this slot."""
        from gridpact.market.solvers.proposal import propose

        try:
            found = propose(self.day.terms.since(period), bids, [1] * len(bids))
        except GridpactError as error:
            return None, str(error)
        body = ProposeClearing(MARKET, self._start_s(period), [])
        sent = self.desk.by_operator(Kind.CLEARING, body, found.certificate)
        (verdict,) = await self.desk.send([sent])
        if verdict != Verdict.ACCEPTED:
            return None, verdict.name
        return found, ""

    async def _agreements(self, start_s: int) -> list[Agreement]:
        """By microgrid; nothing agreed where nobody trades."""
        keys = [position_key("agreements", name, MARKET, start_s) for name in self.day.ids]
        found = await self.desk.engine.values(keys)
        return [one if isinstance(one, Agreement) else NO_AGREEMENT for one in found]

    def _metered(self, number: int, period: int) -> Metered:
        truth = self.day.truth[number]
        return Metered(truth.renewable_wh[period], truth.load_wh[period], "")

    def _readings(self, start_s: int, metered: list[Metered]) -> list[Signed]:
        """Meters report for themselves."""
        sent = []
        for name, seen in zip(self.day.ids, metered, strict=True):
            for what, used_wh, made_wh in (
                ("generation", 0, seen.generated_wh),
                ("load", seen.consumed_wh, 0),
            ):
                meter = f"{name}-{what}"
                body = ReportReading(MARKET, start_s, name, meter)
                payload = ReadingPayload(1, Quality.MEASURED, used_wh, made_wh)
                sent.append(
                    self.desk.by(meter, Kind.READING, body, payload, expiry_s=start_s + SOON_S)
                )
        return sent

    def _result(
        self,
        period: int,
        state: SlotState,
        proposal: Proposal | None,
        refused: str,
        agreements: list[Agreement],
        metered: list[Metered],
    ) -> MicrogridSlot:
        day = self.day
        start_s = self._start_s(period)
        by_name = dict(zip(day.ids, metered, strict=True))
        lines = bargain_lines(
            market=MARKET,
            slot_start_s=start_s,
            tariff=state.tariff,
            agreements=dict(zip(day.ids, agreements, strict=True)),
            metered=by_name,
        )
        deliveries = [deliver(*pair) for pair in zip(agreements, metered, strict=True)]
        received = [0] * len(day.ids)
        for agreement, delivery in zip(agreements, deliveries, strict=True):
            for flow, sent_wh in zip(agreement.sales, delivery.sent_wh, strict=True):
                received[day.ids.index(flow.counterparty)] += sent_wh
        for number, delivery in enumerate(deliveries):
            self.sites.follow(number, agreements[number], delivery.charged_wh)
        owed = [
            [
                line
                for line in lines[name]
                if line.kind == LineKind.COMPENSATION and line.amount_nano < 0
            ]
            for name in day.ids
        ]
        return MicrogridSlot(
            alone_cost_nano=self._alone_cost_nano[period],
            start_s=start_s,
            state=state,
            refused=refused,
            agreements=tuple(agreements) if proposal is not None else (),
            window_surplus_nano=proposal.surplus_nano if proposal is not None else 0,
            first_surplus_nano=proposal.first_surplus_nano if proposal is not None else 0,
            content_uwh=tuple(self.sites.content_uwh),
            sent_wh=tuple(sum(delivery.sent_wh) for delivery in deliveries),
            received_wh=tuple(received),
            missing_wh=tuple(sum(line.energy_wh for line in each) for each in owed),
            penalty_nano=tuple(-sum(line.amount_nano for line in each) for each in owed),
            cost_nano=tuple(
                realised_cost_nano(
                    day.truth[i],
                    period,
                    agreements[i],
                    metered[i],
                    deliveries[i],
                    received[i],
                    lines[day.ids[i]],
                )
                for i in range(len(day.ids))
            ),
        )
