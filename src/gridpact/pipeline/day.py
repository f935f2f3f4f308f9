"""One trading day, top to bottom. The file to read first.

Per slot: forecast -> orders -> gate closure -> clearing -> what the lines can carry -> delivery ->
readings -> settlement; after the day late readings, then the closing date. Everything that counts
happens on the ledger behind the engine port; this file only plays the parts of members, meters,
price authority, metering operator and operator, in the order in which a day happens.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gridpact.contracts.bodies import Curtail, CurtailedTrade, CurtailmentPayload, Kind
from gridpact.contracts.keys import slot_key
from gridpact.errors import invariant
from gridpact.inputs import slot_prices
from gridpact.model import (
    Book,
    Phase,
    PlacedOrder,
    Profiles,
    Scenario,
    Side,
    SlotGrid,
    SlotResult,
    SlotState,
    TradeCut,
)
from gridpact.node import EnginePort, Wallet
from gridpact.pipeline.carbon import CarbonDesk
from gridpact.pipeline.desk import Desk
from gridpact.pipeline.lines import Lines, Trade
from gridpact.pipeline.metering import Metering
from gridpact.pipeline.opening import registrations, tariffs
from gridpact.pipeline.orders import OrderDesk
from gridpact.pipeline.population import Delivered, Population, Position

Progress = Callable[[int, int, SlotResult], None]
"""Told (slots done, slots in all, the slot that was just done)."""

CUTS_PER_TRANSACTION = 400
"""Curtailed trades that fit one payload, whatever their branches are called."""


class _Came(NamedTuple):
    """What a slot came to before its meters are read."""

    place: int
    """Which slot of the run."""
    delivered: Delivered
    grid: SlotGrid | None


class DayTrader:
    """Plays a scenario's population against an engine."""

    def __init__(
        self, engine: EnginePort, scenario: Scenario, profiles: Profiles, wallet: Wallet
    ) -> None:
        self.scenario, self.profiles = scenario, profiles
        self.desk = Desk(engine, wallet, scenario.market_id)
        self.prices = [
            slot_prices(scenario.tariff, scenario.time_zone, slot) for slot in profiles.slots
        ]
        self.population = Population(scenario, profiles, self.prices)
        self.orders = OrderDesk(scenario, profiles, self.desk)
        self.metering = Metering(scenario, profiles, self.population, self.desk)
        self.lines = (
            Lines(scenario.network, scenario.members, scenario.slot_length_s)
            if scenario.network is not None
            else None
        )
        self.carbon = (
            CarbonDesk(scenario, profiles, self.lines.network, self.desk, scenario.carbon)
            if self.lines is not None and scenario.carbon is not None
            else None
        )
        self.fullest_book: Book | None = None
        """Orders of the slot with the most trades so far."""
        self.clearing_s = 0.0
        """Time from closing the gate to the receipt of `cleared`, over all slots."""
        self._trade_prices: list[int] = []
        self._fullest = (-1, -1)

    async def trade(self, progress: Progress | None = None) -> list[SlotResult]:
        """Run all days of the scenario.

        Returns:
            What each slot came to, in time order.
        """
        await self.desk.send_sound(registrations(self.scenario, self.desk))
        results: list[SlotResult] = []
        for day in range(len(self.profiles.days)):
            results.extend(await self._day(day, progress))
        return results

    async def _day(self, number: int, progress: Progress | None) -> list[SlotResult]:
        """One day from its tariffs to its closing date."""
        first, end = self.profiles.days[number]
        priced = tariffs(self.scenario, self.profiles, self.prices, self.desk, number)
        await self.desk.send_sound(priced)
        self.population.begin_day(first, end, self._trade_prices)
        await self._move(first, end, Phase.OPEN)
        day = []
        for index in range(first, end):
            came = await self._slot(index)
            if not self.metering.by_day:
                await self.desk.send_sound(self.metering.of_slot(index))
                await self._move(index, index + 1, Phase.METERED, Phase.SETTLED)
            (state,) = await self._states(index, index + 1)
            self._trade_prices.append(state.reference_price_micro_per_kwh)
            day.append(self._result(came, state))
            if progress is not None:
                progress(index + 1, len(self.profiles.slots), day[-1])
        if self.metering.by_day:
            await self.desk.send_sound(self.metering.of_day(first, end))
            await self._move(first, end, Phase.METERED, Phase.SETTLED)
        await self.desk.send_sound(self.metering.late_of_day(first, end))
        if self.carbon is not None:
            await self.desk.send_sound(self.carbon.of_day(first, end))
        await self._move(first, end, Phase.FINAL)
        if self.carbon is not None:
            await self.carbon.confirm()
        final = await self._states(first, end)
        return [
            dataclasses.replace(slot, state=state) for slot, state in zip(day, final, strict=True)
        ]

    async def _slot(self, index: int) -> _Came:
        """One delivery slot from orders to delivery."""
        expected_wh = self.population.orders_wh(index)
        placed = await self.orders.place(index, expected_wh, self.prices[index])
        if self.orders.sealed:
            await self._move(index, index + 1, Phase.CLOSED)
            await self.orders.reveal(index)
        gate = Phase.REVEALED if self.orders.sealed else Phase.CLOSED
        started = time.perf_counter()
        await self._move(index, index + 1, gate, Phase.CLEARED)
        self.clearing_s += time.perf_counter() - started
        trades = await self.orders.trades(index, placed)
        self._keep_fullest(index, placed, trades)
        traded_wh = self._by_member(trades)
        cuts: tuple[TradeCut, ...] = ()
        if self.lines is not None and trades:
            cuts = self.lines.cuts(expected_wh, traded_wh, trades)
            await self._curtail(index, cuts)
        await self._move(index, index + 1, Phase.DELIVERED)
        ordered_wh = self._ordered(placed)
        self.orders.learn(ordered_wh, traded_wh)
        delivered = self.population.deliver(
            index, expected_wh, self._positions(ordered_wh, traded_wh, cuts)
        )
        grid = None
        if self.lines is not None:
            grid = self.lines.observe(index, delivered.net_wh, delivered.load_wh, cuts)
        if self.carbon is not None and self.lines is not None and self.lines.flow is not None:
            self.carbon.trace(index, self.lines.flow, delivered)
        return _Came(index, delivered, grid)

    async def _curtail(self, index: int, cuts: tuple[TradeCut, ...]) -> None:
        """Tell the ledger which trades the lines cannot carry; in force with the delivery."""
        body = Curtail(self.scenario.market_id, self.profiles.slots[index].start_s, 0)
        trades = [CurtailedTrade(cut.trade, cut.curtailed_wh, cut.bound_by) for cut in cuts]
        await self.desk.send_sound(
            self.desk.by_operator(
                Kind.CURTAILMENT,
                body,
                CurtailmentPayload(trades[start : start + CUTS_PER_TRANSACTION]),
            )
            for start in range(0, len(trades), CUTS_PER_TRANSACTION)
        )

    async def _move(self, first: int, end: int, *phases: Phase) -> None:
        """Walk a range of slots through phases between which nobody else has anything to say."""
        start_s = self.profiles.slots[first].start_s
        await self.desk.send_sound(
            [self.desk.phase(phase, start_s, end - first) for phase in phases]
        )

    async def _states(self, first: int, end: int) -> list[SlotState]:
        """Public states of a range of slots."""
        market = self.scenario.market_id
        keys = [slot_key(market, slot.start_s) for slot in self.profiles.slots[first:end]]
        states = []
        for key, state in zip(keys, await self.desk.engine.values(keys), strict=True):
            invariant(isinstance(state, SlotState), f"{key} is not on the ledger")
            states.append(state)
        return states  # type: ignore[return-value]

    def _result(self, came: _Came, state: SlotState) -> SlotResult:
        delivered = came.delivered
        cut_wh = sum(cut.curtailed_wh for cut in came.grid.cuts) if came.grid is not None else 0
        invariant(state.curtailed_wh == cut_wh, f"{state.curtailed_wh} of {cut_wh} Wh curtailed")
        return SlotResult(
            slot=self.profiles.slots[came.place],
            state=state,
            load_wh=sum(delivered.load_wh),
            pv_wh=delivered.pv_wh,
            metered_net_wh=sum(delivered.net_wh),
            stored_wh=sum(delivered.charged_wh) - sum(delivered.discharged_wh),
            spilled_wh=delivered.spilled_wh,
            grid=came.grid,
        )

    def _ordered(self, placed: Sequence[PlacedOrder]) -> list[int]:
        """Energy of each member's order, + offered, - bid."""
        by_name = {
            order.participant_id: order.energy_wh if order.side == Side.OFFER else -order.energy_wh
            for order in placed
        }
        return [by_name.get(member.participant_id, 0) for member in self.scenario.members]

    def _by_member(self, trades: Sequence[Trade]) -> list[int]:
        """Traded energy of each member, + sold."""
        traded_wh = [0] * len(self.scenario.members)
        for trade in trades:
            traded_wh[trade.seller] += trade.energy_wh
            traded_wh[trade.buyer] -= trade.energy_wh
        return traded_wh

    def _positions(
        self, ordered_wh: Sequence[int], traded_wh: Sequence[int], cuts: Sequence[TradeCut]
    ) -> list[Position]:
        cut_wh: dict[str, int] = {}
        for cut in cuts:
            for name in (cut.seller, cut.buyer):
                cut_wh[name] = cut_wh.get(name, 0) + cut.curtailed_wh
        names = (member.participant_id for member in self.scenario.members)
        return [
            Position(ordered, traded, cut_wh.get(name, 0))
            for name, ordered, traded in zip(names, ordered_wh, traded_wh, strict=True)
        ]

    def _keep_fullest(
        self, index: int, placed: tuple[PlacedOrder, ...], trades: Sequence[Trade]
    ) -> None:
        """Remember the orders of the slot with the most traded energy, then the most orders."""
        fullness = (sum(trade.energy_wh for trade in trades), len(placed))
        if placed and fullness > self._fullest:
            self._fullest = fullness
            self.fullest_book = Book(self.profiles.slots[index], placed)
