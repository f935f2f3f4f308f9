"""The homes behind the meters: what each expects, plans, and does with its battery and loads.

Rows are members in the scenario's order, columns traded slots. Net energy is + for export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.agents import (
    HomePlanner,
    LearnedForecast,
    LinearSolver,
    expected_prices,
    forecast_errors,
    seasonal_path,
)
from gridpact.inputs import homes_of, parse_zone
from gridpact.model import Forecasting, HomeResult
from gridpact.model.assets import Planning, PlanOutcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model import ForecastErrors, Profiles, Scenario, SlotPrices
    from gridpact.model.assets import Home, HomeSlot, Shortfall
    from gridpact.quantize import IntArray

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Position:
    """What a member's order came to."""

    ordered_wh: int
    """+ offered, - bid."""
    traded_wh: int
    """The same sign: what found another side."""
    curtailed_wh: int
    """>= 0: part of it that the grid could not carry."""

    @property
    def undelivered_wh(self) -> int:
        """What of the order comes to nothing, with the order's sign."""
        cut_wh = self.curtailed_wh if self.ordered_wh > 0 else -self.curtailed_wh
        return self.ordered_wh - self.traded_wh + cut_wh


NO_POSITION = Position(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Delivered:
    """One slot behind all meters."""

    net_wh: list[int]
    """What each meter saw, + = export."""
    load_wh: list[int]
    """Gross, with loads that wait or bend and vehicles."""
    pv_wh: int
    charged_wh: list[int]
    """Into each member's battery."""
    discharged_wh: list[int]
    left_uwh: list[int]
    """Drawable in each member's battery after the slot, micro-Wh."""
    spilled_wh: int


class Population:
    """Forecasts and homes of all members."""

    def __init__(
        self, scenario: Scenario, profiles: Profiles, prices: Sequence[SlotPrices]
    ) -> None:
        self._scenario, self._profiles, self._prices = scenario, profiles, prices
        self._per_day = SECONDS_PER_DAY // scenario.slot_length_s
        homes = homes_of(scenario, profiles)
        programmes = any(home.planning is Planning.OPTIMISED for home in homes.values())
        solver = LinearSolver() if programmes else None
        self._homes: dict[int, _PlannedHome] = {
            row: _PlannedHome(homes[name], HomePlanner(homes[name], profiles.slots[0], solver))
            for row, name in enumerate(member.participant_id for member in scenario.members)
            if name in homes
        }
        self._learned: LearnedForecast | None = None
        if scenario.forecasting is Forecasting.LEARNED:
            zone = parse_zone(scenario.time_zone)
            self._learned = LearnedForecast(profiles, zone, scenario.seed)
        shape = (len(scenario.members), len(profiles.slots))
        self.expected_wh: IntArray = np.zeros(shape, dtype=np.int64)
        """Forecast of the profiles, without what homes move."""
        self.naive_wh: IntArray = np.zeros(shape, dtype=np.int64)
        """The seasonal naive forecast."""
        self.metered_wh: IntArray = np.zeros(shape, dtype=np.int64)
        """What the meters saw."""
        self._bands: dict[float, IntArray] = {}
        self.unlearned_days = 0
        """Days that a learned forecast was asked for and the history was too short."""

    def begin_day(self, first: int, end: int, trade_prices: Sequence[int]) -> None:
        """Forecast a day and let every home plan it and half of the next.

        Args:
            first: first slot.
            end: the one after the last.
            trade_prices: reference price of each slot before `first`, below 0 without one.
        """
        slots = min(end + self._per_day // 2, len(self._profiles.slots)) - first
        season_days = [member.agent.season_days for member in self._scenario.members]
        path_wh = seasonal_path(self._profiles, self._per_day, season_days, first, slots)
        today = slice(first, end)
        self.naive_wh[:, today] = path_wh[:, : end - first]
        if self._learned is not None:
            band = self._learned.path(first, slots)
            path_wh = band.middle_wh
            self.unlearned_days += not band.learned
            for share, quantile_wh in band.quantiles().items():
                held = self._bands.setdefault(share, np.zeros_like(self.expected_wh))
                held[:, today] = quantile_wh[:, : end - first]
        self.expected_wh[:, today] = path_wh[:, : end - first]
        if not self._homes:
            return
        references = [self._reference(trade_prices, first + i) for i in range(slots)]
        prices = expected_prices(self._prices[first : first + slots], references)
        start_s = self._profiles.slots[first].start_s
        for row, home in self._homes.items():
            ends = [end - first]
            plan = home.planner.plan(start_s, slots, path_wh[row].tolist(), prices, day_ends=ends)
            home.fallback_plans += plan.outcome is not PlanOutcome.AS_ASKED

    def _reference(self, trade_prices: Sequence[int], index: int) -> int:
        """The trade price of the same time on the last day that is known; -1 without one."""
        known = index - self._per_day
        while known >= len(trade_prices):
            known -= self._per_day
        return trade_prices[known] if known >= 0 else -1

    def orders_wh(self, index: int) -> list[int]:
        """The net energy that each member expects its meter to see in a slot."""
        expected: list[int] = self.expected_wh[:, index].tolist()
        start_s = self._profiles.slots[index].start_s
        for row, home in self._homes.items():
            expected[row] = home.planner.expected_net_wh(start_s)
        return expected

    def deliver(
        self, index: int, expected_wh: Sequence[int], positions: Sequence[Position]
    ) -> Delivered:
        """Let a slot happen.

        Who sold what the grid cannot carry feeds that much less in than it meant to: a battery
        takes it, the rest of the sun is spilled. Who bought it draws what it needs all the same.
        """
        column = self._profiles.history + index
        load_wh: list[int] = self._profiles.load_wh[:, column].tolist()
        pv_wh: list[int] = self._profiles.pv_wh[:, column].tolist()
        start_s = self._profiles.slots[index].start_s
        net_wh = [pv - load for pv, load in zip(pv_wh, load_wh, strict=True)]
        spilled_wh = 0
        charged_wh, discharged_wh, left_uwh = ([0] * len(load_wh) for _ in range(3))
        for row, home in self._homes.items():
            undelivered_wh = positions[row].undelivered_wh
            slot = home.planner.deliver(
                start_s, load_wh[row], pv_wh[row], unmatched_wh=undelivered_wh
            )
            home.add(slot)
            net_wh[row] = slot.net_wh
            load_wh[row] = slot.load_wh + slot.flexible_wh + slot.deferrable_wh
            load_wh[row] += slot.vehicle_charged_wh - slot.vehicle_discharged_wh
            charged_wh[row], discharged_wh[row] = slot.charged_wh, slot.discharged_wh
            left_uwh[row] = slot.stored_uwh
            spilled_wh += slot.spilled_wh
        for row, position in enumerate(positions):
            if position.curtailed_wh and position.ordered_wh > 0:
                allowed_wh = max(0, expected_wh[row] - position.curtailed_wh)
                over_wh = max(0, min(net_wh[row] - allowed_wh, position.curtailed_wh, pv_wh[row]))
                net_wh[row] -= over_wh
                spilled_wh += over_wh
                if row in self._homes:
                    self._homes[row].spilled_wh += over_wh
        self.metered_wh[:, index] = net_wh
        return Delivered(
            net_wh, load_wh, sum(pv_wh), charged_wh, discharged_wh, left_uwh, spilled_wh
        )

    def forecast_errors(self) -> ForecastErrors:
        """How far the forecasts were from the profiles that came."""
        traded = slice(self._profiles.history, None)
        came_wh = self._profiles.pv_wh[:, traded] - self._profiles.load_wh[:, traded]
        return forecast_errors(came_wh, self.expected_wh, self.naive_wh, self._bands)

    def homes(self) -> tuple[HomeResult, ...]:
        """What members' batteries, loads and vehicles did, by participant."""
        results = [home.result() for home in self._homes.values()]
        return tuple(sorted(results, key=lambda result: result.participant_id))


class _PlannedHome:
    """A home's manager with sums of what it did."""

    def __init__(self, home: Home, planner: HomePlanner) -> None:
        self.home, self.planner = home, planner
        self.fallback_plans = 0
        self.spilled_wh = 0
        self.sums = dict.fromkeys(_SUMMED, 0)
        self.shortfalls: list[Shortfall] = []

    def add(self, slot: HomeSlot) -> None:
        """Count one slot."""
        for name in _SUMMED:
            self.sums[name] += getattr(slot, name)
        self.spilled_wh += slot.spilled_wh
        self.shortfalls.extend(slot.shortfalls)

    def result(self) -> HomeResult:
        """The sums so far."""
        return HomeResult(
            participant_id=self.home.participant_id,
            planning=self.home.planning,
            spilled_wh=self.spilled_wh,
            fallback_plans=self.fallback_plans,
            shortfalls=tuple(self.shortfalls),
            **self.sums,
        )


_SUMMED = (
    "charged_wh",
    "discharged_wh",
    "conversion_loss_uwh",
    "self_discharge_uwh",
    "deferrable_wh",
    "flexible_wh",
    "vehicle_charged_wh",
    "vehicle_discharged_wh",
)
"""What `HomeResult` adds up of each `HomeSlot`."""
