"""Goal: the loop of docs/agents.md runs as it stands there, over days of 23 and 25 hours.

Three homes of the built-in village with everything a home can have; half of each order trades.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pytest

from gridpact.agents import HomePlanner, LinearSolver, expected_prices, seasonal_path
from gridpact.inputs import builtin_scenario, load_profiles, slot_prices
from gridpact.model.assets import (
    Battery,
    DailyWindow,
    DeferrableLoad,
    ElectricVehicle,
    FlexibleLoad,
    Home,
    HomeSlot,
    Planning,
    Stay,
)

BERLIN = ZoneInfo("Europe/Berlin")
EVERY_DAY = frozenset(range(7))


def home_of(planning: Planning, first_day: date, days: int) -> Home:
    at_night = DailyWindow(EVERY_DAY, 18 * 60, 7 * 60).windows(first_day, days, BERLIN)
    at_day = DailyWindow(EVERY_DAY, 0, 20 * 60).windows(first_day, days, BERLIN)
    return Home(
        participant_id="anna",
        planning=planning,
        battery=Battery(
            capacity_wh=10_000,
            charge_w=5_000,
            discharge_w=5_000,
            charge_permille=950,
            discharge_permille=950,
            stored_initial_wh=2_000,
            stored_min_wh=500,
            stored_max_wh=10_000,
            stored_final_wh=1_000,
            self_discharge_ppm_per_hour=40,
        ),
        deferrable=(
            DeferrableLoad("washer", 1_200, 2_000, False, at_day),
            DeferrableLoad("boiler", 4_000, 2_000, True, at_day),
        ),
        flexible=(FlexibleLoad("heat", 100, 400, 600, 300_000),),
        vehicles=(
            ElectricVehicle(
                name="car",
                capacity_wh=50_000,
                charge_w=7_400,
                charge_permille=900,
                discharge_w=3_000,
                discharge_permille=900,
                stays=tuple(Stay(one.start_s, one.end_s, 20_000, 32_000) for one in at_night),
            ),
        ),
        export_max_w=8_000,
    )


def run(planning: Planning, first_day: date, days: int) -> list[HomeSlot]:
    scenario = replace(builtin_scenario(), first_day=first_day, days=days)
    past = load_profiles(scenario)
    row = int(past.pv_wh.sum(axis=1).argmax())
    tariffs = [slot_prices(scenario.tariff, scenario.time_zone, slot) for slot in past.slots]
    planner = HomePlanner(home_of(planning, first_day, days), past.slots[0], LinearSolver())
    delivered = []
    for first, end in past.days:
        slots = min(end + 48, len(past.slots)) - first
        net_wh = seasonal_path(past, 96, [7] * len(past.load_wh), first, slots)[row]
        prices = expected_prices(tariffs[first : first + slots], [150_000] * slots)
        start_s = past.slots[first].start_s
        planner.plan(start_s, slots, net_wh.tolist(), prices, day_ends=[end - first])
        for index in range(first, end):
            start_s = past.slots[index].start_s
            order_wh = planner.expected_net_wh(start_s)
            column = past.history + index
            delivered.append(
                planner.deliver(
                    start_s,
                    int(past.load_wh[row, column]),
                    int(past.pv_wh[row, column]),
                    unmatched_wh=order_wh - order_wh // 2,
                )
            )
    return delivered


@pytest.mark.parametrize("planning", Planning)
@pytest.mark.parametrize(
    ("first_day", "slots"),
    [(date(2016, 3, 26), 96 + 92 + 96), (date(2016, 10, 29), 96 + 100 + 96)],
)
def test_three_days_around_a_change_of_clocks(
    planning: Planning, first_day: date, slots: int
) -> None:
    delivered = run(planning, first_day, 3)
    assert len(delivered) == slots
    # each load ran once a day, and nothing fell short but the battery of a dark day
    assert sum(slot.deferrable_wh for slot in delivered) == 3 * 5_200
    assert {one.asset for slot in delivered for one in slot.shortfalls} <= {"battery"}
    # two nights end within the run: 12 kWh in the cells each, and what the third night brought
    gained_uwh = sum(slot.vehicle_change_uwh for slot in delivered)
    assert gained_uwh >= 2 * 12_000 * 900 * 1000
    assert all(slot.net_wh <= 2_000 for slot in delivered)
    assert sum(slot.pv_wh for slot in delivered) == sum(
        slot.self_used_wh + slot.stored_wh + slot.exported_pv_wh + slot.spilled_wh
        for slot in delivered
    )


def test_the_same_day_twice_is_the_same() -> None:
    first_day = date(2016, 6, 9)
    assert run(Planning.OPTIMISED, first_day, 1) == run(Planning.OPTIMISED, first_day, 1)
