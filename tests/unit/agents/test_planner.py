"""Goal: a home's day by hand: what it plans, what it does when things differ, what it says.

Slots are an hour and numbers round, so that every expectation can be checked in the head.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from gridpact.agents import HomePlanner, LinearSolver, expected_prices
from gridpact.agents.linear import LinearPlan, PlanSolveError
from gridpact.errors import InputError, InvariantError
from gridpact.inputs import builtin_scenario, load_profiles, slot_prices
from gridpact.model import Slot, SlotPrices
from gridpact.model.assets import (
    Battery,
    DeferrableLoad,
    ElectricVehicle,
    FlexibleLoad,
    Home,
    HomePlan,
    HomeSlot,
    Planning,
    PlanOutcome,
    PlanPrices,
    Stay,
    Window,
)

HOUR_S = 3600
FIRST = Slot(1_465_423_200, HOUR_S)
BATTERY = Battery(
    capacity_wh=2_000,
    charge_w=1_000,
    discharge_w=1_000,
    charge_permille=1000,
    discharge_permille=1000,
    stored_initial_wh=0,
    stored_max_wh=2_000,
)
HOME = Home(participant_id="anna", battery=BATTERY)


def at(number: int) -> int:
    return FIRST.start_s + number * HOUR_S


def window(first: int, end: int) -> Window:
    return Window(at(first), at(end))


def flat(slots: int, leftover: int = 0) -> PlanPrices:
    return PlanPrices((320_000,) * slots, (80_000,) * slots, leftover)


def planned(
    home: Home, net: list[int], prices: PlanPrices | None = None, day_ends: tuple[int, ...] = ()
) -> tuple[HomePlanner, HomePlan]:
    planner = HomePlanner(home, FIRST)
    plan = planner.plan(at(0), len(net), net, prices or flat(len(net)), day_ends)
    return planner, plan


# The rule


def test_self_consumption_by_hand() -> None:
    """Stores 1,000 of 1,200 Wh for want of power, then covers needs until it is empty."""
    _, plan = planned(HOME, [1_200, 500, -900, -900])
    assert plan.battery_wh == (1_000, 500, -900, -600)
    assert plan.net_wh == (200, 0, 0, -300)
    assert plan.cost_pico == plan.rule_cost_pico == 1000 * (300 * 320_000 - 200 * 80_000)
    assert (plan.outcome, plan.reason) == (PlanOutcome.AS_ASKED, "")


def test_a_home_without_assets_passes_its_forecast_on() -> None:
    planner, plan = planned(Home(participant_id="ben"), [300, -200])
    assert plan.net_wh == (300, -200)
    slot = planner.deliver(at(0), 50, 250)
    assert (slot.net_wh, slot.self_used_wh, slot.exported_pv_wh) == (200, 50, 200)
    assert planner.deliver(at(1), 70, 0).net_wh == -70


def test_the_final_level_is_kept_from_the_start() -> None:
    """500 Wh are due; the last surplus of 300 Wh brings part of it, so 200 Wh must stay."""
    home = replace(HOME, battery=replace(BATTERY, stored_initial_wh=900, stored_final_wh=500))
    _, plan = planned(home, [-600, -600, 300], day_ends=(3,))
    assert plan.floor_uwh == (200 * 10**6, 200 * 10**6, 500 * 10**6)
    assert plan.battery_wh == (-600, -100, 300)


def test_a_final_level_out_of_reach_is_named() -> None:
    home = replace(HOME, battery=replace(BATTERY, stored_initial_wh=100, stored_final_wh=500))
    planner, plan = planned(home, [-600, 300], day_ends=(2,))
    assert plan.battery_wh == (0, 300)
    assert planner.deliver(at(0), 600, 0).shortfalls == ()
    (short,) = planner.deliver(at(1), 0, 300).shortfalls
    assert str(short) == "anna: battery is 100 Wh short at 2016-06-09 00:00Z"


def test_a_battery_that_may_charges_from_the_grid_for_its_final_level() -> None:
    home = replace(HOME, battery=replace(BATTERY, stored_final_wh=500, allow_grid_charging=True))
    planner, plan = planned(home, [-600, -100], day_ends=(2,))
    assert plan.battery_wh == (0, 500)
    assert plan.net_wh == (-600, -600)
    planner.deliver(at(0), 600, 0)
    slot = planner.deliver(at(1), 100, 0)
    assert (slot.charged_wh, slot.stored_wh, slot.imported_wh) == (500, 0, 600)


def test_surplus_above_the_export_limit_is_spilled_when_nobody_takes_it() -> None:
    home = replace(HOME, export_max_w=300)
    planner, plan = planned(home, [1_500, 1_500, 1_500])
    assert plan.battery_wh == (1_000, 1_000, 0)
    assert plan.net_wh == (300, 300, 300)
    slot = planner.deliver(at(0), 0, 1_400)
    assert (slot.stored_wh, slot.exported_pv_wh, slot.spilled_wh) == (1_000, 300, 100)
    assert plan.cost_pico == -1000 * 900 * 80_000


# Plans


def test_optimised_and_arbitrage_wait_for_the_dear_hour() -> None:
    prices = PlanPrices((320_000, 320_000, 380_000), (80_000,) * 3, 0)
    for planning in (Planning.OPTIMISED, Planning.ARBITRAGE):
        _, plan = planned(replace(HOME, planning=planning), [900, -900, -900], prices)
        assert plan.battery_wh == (900, 0, -900)
        assert plan.rule_cost_pico - plan.cost_pico == 1000 * 900 * 60_000


def test_optimised_and_arbitrage_sell_where_it_brings_most() -> None:
    prices = PlanPrices((300_000,) * 3, (80_000, 200_000, 100_000), 0)
    for planning in (Planning.OPTIMISED, Planning.ARBITRAGE):
        _, plan = planned(replace(HOME, planning=planning), [1_000, 0, 0], prices)
        assert plan.net_wh == (0, 1_000, 0)


def test_arbitrage_charges_from_the_grid_only_where_losses_leave_a_gain() -> None:
    """At 80 % round trip 0.10 costs 0.125 when it comes out: enough below 0.13, not 0.12."""
    lossy = replace(BATTERY, charge_permille=800, allow_grid_charging=True)
    home = replace(HOME, planning=Planning.ARBITRAGE, battery=lossy)
    for dear, charged in ((130_000, 1_000), (120_000, 0)):
        prices = PlanPrices((100_000, dear), (0, 0), 0)
        _, plan = planned(home, [0, -800], prices)
        assert plan.battery_wh == (charged, -charged * 8 // 10)


class Broken(LinearSolver):
    """Fails, or answers nonsense."""

    def __init__(self, answer: list[float] | None) -> None:
        self.answer = answer

    def solve(self, horizon: object) -> LinearPlan:
        if self.answer is None:
            raise PlanSolveError("Unknown", 17)
        return LinearPlan(0.0, np.asarray(self.answer), {}, {})


@pytest.mark.parametrize(
    ("answer", "outcome", "reason"),
    [
        (None, PlanOutcome.SOLVER_FAILED, "Unknown after 17 iterations"),
        ([float("nan"), 0.0], PlanOutcome.SOLVER_FAILED, "battery_wh[0] is nan"),
        ([0.0, 0.0], PlanOutcome.RULE_CHEAPER, ""),
    ],
)
def test_a_failed_or_worse_programme_gives_way_to_the_rule(
    answer: list[float] | None, outcome: PlanOutcome, reason: str
) -> None:
    home = replace(HOME, planning=Planning.OPTIMISED)
    planner = HomePlanner(home, FIRST, Broken(answer))
    plan = planner.plan(at(0), 2, [500, -500], flat(2))
    assert plan.outcome is outcome
    assert reason in plan.reason
    assert plan.battery_wh == (500, -500)
    assert planner.deliver(at(0), 0, 500).net_wh == 0


# What comes differently


def delivered(
    *, unmatched: int = 0, load: int = 0, pv: int = 0, net: int, stored: int = 0
) -> HomeSlot:
    """One slot of the rule that expected `net`, from a battery of 2 kWh that holds `stored`."""
    home = replace(HOME, battery=replace(BATTERY, stored_initial_wh=stored))
    planner, _ = planned(home, [net])
    return planner.deliver(at(0), load, pv, unmatched_wh=unmatched)


def test_a_full_battery_makes_up_for_less_sun() -> None:
    """It announced 500 Wh to sell; 300 Wh of sun come, so 200 Wh are drawn."""
    slot = delivered(net=500, stored=2_000, pv=300)
    assert (slot.net_wh, slot.discharged_wh, slot.exported_battery_wh) == (500, 200, 200)


def test_more_sun_than_announced_is_stored_first() -> None:
    slot = delivered(net=-300, pv=200)
    assert (slot.net_wh, slot.stored_wh) == (0, 200)


def test_what_was_bought_does_not_go_into_the_battery() -> None:
    """It bought 300 Wh and needs none: grid energy may not be stored, so nothing flows."""
    slot = delivered(net=-300, load=0, pv=0)
    assert (slot.net_wh, slot.charged_wh) == (0, 0)


def test_what_was_not_sold_is_stored_as_far_as_there_is_room() -> None:
    """Of 500 Wh announced 400 find no buyer; the battery takes them now that it has to."""
    prices = PlanPrices((300_000,) * 2, (200_000, 80_000), 0)
    planner = HomePlanner(replace(HOME, planning=Planning.OPTIMISED), FIRST)
    plan = planner.plan(at(0), 2, [500, 0], prices)
    assert plan.net_wh == (500, 0)
    slot = planner.deliver(at(0), 0, 500, unmatched_wh=400)
    assert (slot.stored_wh, slot.exported_pv_wh) == (400, 100)


def test_a_discharge_to_sell_is_left_when_nobody_bought() -> None:
    prices = PlanPrices((300_000,), (200_000,), 0)
    home = replace(
        HOME, planning=Planning.OPTIMISED, battery=replace(BATTERY, stored_initial_wh=700)
    )
    for unmatched, drawn in ((0, 700), (700, 0), (300, 400)):
        planner = HomePlanner(home, FIRST)
        assert planner.plan(at(0), 1, [0], prices).net_wh == (700,)
        slot = planner.deliver(at(0), 0, 0, unmatched_wh=unmatched)
        assert (slot.discharged_wh, slot.net_wh) == (drawn, drawn)


def test_a_charge_from_the_grid_is_left_when_nobody_sold() -> None:
    prices = PlanPrices((100_000, 400_000), (0, 0), 0)
    home = replace(
        HOME, planning=Planning.OPTIMISED, battery=replace(BATTERY, allow_grid_charging=True)
    )
    for unmatched, charged in ((0, 600), (-700, 0), (-200, 400)):
        planner = HomePlanner(home, FIRST)
        assert planner.plan(at(0), 2, [-100, -600], prices).net_wh == (-700, 0)
        assert planner.deliver(at(0), 100, 0, unmatched_wh=unmatched).charged_wh == charged


def test_the_rule_decides_from_what_the_battery_holds() -> None:
    """The plan foresaw an empty battery; after a sunny hour it covers the need all the same."""
    planner, plan = planned(HOME, [0, -400])
    assert plan.net_wh == (0, -400)
    planner.deliver(at(0), 0, 900)
    assert planner.expected_net_wh(at(1)) == 0
    assert planner.deliver(at(1), 400, 0).discharged_wh == 400


# Loads that wait


def test_a_boiler_takes_the_sun_and_a_washer_runs_in_one_piece() -> None:
    home = Home(
        participant_id="anna",
        deferrable=(
            DeferrableLoad("boiler", 1_500, 1_000, True, (window(0, 6),)),
            DeferrableLoad("washer", 900, 500, False, (window(0, 6),)),
        ),
    )
    planner, plan = planned(home, [-100, 200, 900, 800, 400, -100])
    assert plan.deferrable_wh["washer", at(0)] == (0, 0, 500, 400, 0, 0)
    assert plan.deferrable_wh["boiler", at(0)] == (100, 200, 400, 400, 400, 0)
    total = sum(planner.deliver(at(n), 0, 0).deferrable_wh for n in range(6))
    assert total == 2_400


def test_a_run_goes_on_after_another_plan() -> None:
    home = Home(
        participant_id="anna",
        deferrable=(DeferrableLoad("washer", 900, 500, False, (window(0, 6),)),),
    )
    planner, plan = planned(home, [500, 500, 0, 0, 0, 0])
    assert plan.deferrable_wh["washer", at(0)] == (500, 400, 0, 0, 0, 0)
    planner.deliver(at(0), 0, 500)
    # now the sun is said to come later: what runs, runs
    again = planner.plan(at(1), 5, [0, 0, 0, 900, 900], flat(5))
    assert again.deferrable_wh["washer", at(0)] == (400, 0, 0, 0, 0)


def test_a_window_beyond_the_horizon_waits_for_a_better_price() -> None:
    """Now it costs the buying price; later is worth half-way, and there is room for it."""
    loads = (
        DeferrableLoad("boiler", 600, 1_000, True, (window(0, 9),)),
        DeferrableLoad("washer", 600, 300, False, (window(0, 9),)),
    )
    home = Home(participant_id="anna", deferrable=loads)
    _, plan = planned(home, [0, 0, 0], flat(3, leftover=200_000))
    assert set(plan.deferrable_wh.values()) == {(0, 0, 0)}
    _, plan = planned(home, [0, 500, 500], flat(3, leftover=200_000))
    assert plan.deferrable_wh["washer", at(0)] == (0, 300, 300)
    assert plan.deferrable_wh["boiler", at(0)] == (0, 200, 200)


def test_what_was_over_before_the_run_is_left_out() -> None:
    """Windows and stays that end with or before the first slot's start owe nothing."""
    loads = tuple(
        DeferrableLoad(f"load-{end}", 500, 1_000, True, (window(-9, end),)) for end in (-3, 0)
    )
    for vehicle in (car(-9, -3, 0, 4_000), car(-9, 0, 0, 4_000)):
        home = Home(participant_id="anna", deferrable=loads, vehicles=(vehicle,))
        planner, plan = planned(home, [0, 0])
        assert (plan.deferrable_wh, plan.vehicle_wh) == ({}, {})
        assert planner.deliver(at(0), 0, 0).shortfalls == ()


def test_a_load_that_cannot_be_served_any_more_is_named() -> None:
    """The run begins in the middle of its window."""
    load = DeferrableLoad("boiler", 3_000, 1_000, True, (window(-2, 2),))
    home = Home(participant_id="anna", deferrable=(load,))
    planner, _ = planned(home, [0, 0])
    planner.deliver(at(0), 0, 0)
    (short,) = planner.deliver(at(1), 0, 0).shortfalls
    assert (short.asset, short.missing_wh, short.due_s) == ("boiler", 1_000, at(2))


def test_a_flexible_load_bends_when_energy_is_dear() -> None:
    """a = 0.2 per kW^2 h: at 0.32 it gives up 0.8 kW, at 0.08 (own sun) 0.2 kW."""
    load = FlexibleLoad("heat", 500, 2_000, 2_500, 200_000)
    planner, plan = planned(Home(participant_id="anna", flexible=(load,)), [0, 3_000])
    assert plan.flexible_wh == (1_200, 1_800)
    assert planner.deliver(at(0), 10, 0).imported_wh == 1_210


# Vehicles


def car(first: int, end: int, arrival: int, needed: int, **more: int) -> ElectricVehicle:
    return ElectricVehicle(
        name="car",
        capacity_wh=10_000,
        charge_w=1_000,
        charge_permille=800,
        stays=(Stay(at(first), at(end), arrival, needed),),
        **more,
    )


@pytest.mark.parametrize("planning", Planning)
def test_a_vehicle_leaves_with_what_it_needs(planning: Planning) -> None:
    """1,600 Wh in the cells are 2,000 Wh at the wiring; 1,500 Wh of sun come first."""
    home = Home(participant_id="anna", planning=planning, vehicles=(car(1, 5, 400, 2_000),))
    planner, plan = planned(home, [900, 900, 600, 0, 0, 0])
    assert sum(plan.vehicle_wh["car", at(1)]) == 2_000
    assert plan.vehicle_wh["car", at(1)][0] == plan.vehicle_wh["car", at(1)][5] == 0
    assert plan.vehicle_wh["car", at(1)][1:3] >= (900, 600)
    slots = [planner.deliver(at(n), 0, 0) for n in range(6)]
    assert sum(slot.vehicle_charged_wh for slot in slots) == 2_000
    assert all(slot.shortfalls == () for slot in slots)


def test_a_vehicle_that_came_before_the_run_is_named_when_it_leaves_short() -> None:
    home = Home(participant_id="anna", vehicles=(car(-9, 2, 0, 4_000),))
    planner, _ = planned(home, [0, 0, 0])
    planner.deliver(at(0), 0, 0)
    (short,) = planner.deliver(at(1), 0, 0).shortfalls
    assert (short.asset, short.missing_wh, short.due_s) == ("car", 2_400, at(2))
    assert planner.deliver(at(2), 0, 0).vehicle_charged_wh == 0


def test_a_stay_over_the_end_of_the_horizon_keeps_what_can_still_be_done_later() -> None:
    """4,000 Wh at the wiring, five hours left after the horizon's three: nothing is due yet."""
    home = Home(participant_id="anna", vehicles=(car(0, 8, 0, 3_200),))
    planner, plan = planned(home, [0, 0, 0])
    assert plan.vehicle_wh["car", at(0)] == (0, 0, 0)
    for number in range(3):
        planner.deliver(at(number), 0, 0)
    again = planner.plan(at(3), 6, [0] * 6, flat(6))
    assert sum(again.vehicle_wh["car", at(0)]) == 4_000


def test_vehicle_to_home_covers_the_dear_hour_and_never_exports() -> None:
    vehicle = car(0, 4, 5_000, 4_000, discharge_w=1_000, discharge_permille=800)
    home = Home(participant_id="anna", planning=Planning.OPTIMISED, vehicles=(vehicle,))
    prices = PlanPrices((100_000, 500_000, 100_000, 100_000), (90_000, 400_000, 90_000, 0), 0)
    planner, plan = planned(home, [-100, -600, -100, -100], prices)
    flows = plan.vehicle_wh["car", at(0)]
    assert flows[1] == -600
    slots = [planner.deliver(at(n), load, 0) for n, load in enumerate([100, 400, 100, 100])]
    assert slots[1].vehicle_discharged_wh == 400  # less than planned: no more was needed
    assert all(slot.net_wh <= 0 for slot in slots)
    assert slots[3].shortfalls == ()
    off = replace(home, vehicles=(replace(vehicle, discharge_w=0),))
    assert min(planned(off, [-100, -600, -100, -100], prices)[1].vehicle_wh["car", at(0)]) >= 0


# What is wrong


def test_a_forecast_of_the_wrong_length_is_named_and_the_last_plan_holds() -> None:
    planner, plan = planned(HOME, [500, -500])
    with pytest.raises(InputError) as caught:
        planner.plan(at(0), 3, [1, 2], flat(2), (4,))
    assert [problem.where for problem in caught.value.problems] == [
        "anna: net_wh",
        "anna: prices.buy_micro_per_kwh",
        "anna: prices.sell_micro_per_kwh",
        "anna: day_ends",
    ]
    assert "2 values from 2016-06-08 22:00Z on; expected 3" in str(caught.value)
    assert planner.expected_net_wh(at(0)) == plan.net_wh[0]


def test_time_does_not_go_back() -> None:
    planner, _ = planned(HOME, [500, -500])
    planner.deliver(at(0), 0, 500)
    with pytest.raises(InputError, match="plan forward only"):
        planner.plan(at(0), 1, [0], flat(1))
    with pytest.raises(InputError, match="not the start of a slot"):
        planner.plan(at(1) + 60, 1, [0], flat(1))
    with pytest.raises(InvariantError, match="not the next one"):
        planner.deliver(at(0), 0, 500)
    assert planner.stored_uwh == 500 * 10**6


def test_prices_and_forecasts_out_of_range_are_named_together() -> None:
    prices = PlanPrices((100, 100), (200, 0), -1)
    with pytest.raises(InputError) as caught:
        planned(HOME, [0, 2**31], prices)
    assert [problem.where for problem in caught.value.problems] == [
        "anna: net_wh[1]",
        "anna: prices[0]",
        "anna: prices.leftover_micro_per_kwh",
    ]


def test_a_broken_home_is_refused_with_all_its_problems() -> None:
    broken = replace(HOME, battery=replace(BATTERY, stored_initial_wh=2_001, charge_w=-1))
    with pytest.raises(InputError) as caught:
        HomePlanner(broken, FIRST)
    assert len(caught.value.problems) == 2


def test_a_slot_beyond_the_plan_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="not the next one of a plan"):
        HomePlanner(HOME, FIRST).deliver(at(0), 0, 0)


# Prices


def test_expected_prices_stay_between_the_tariffs() -> None:
    day = [SlotPrices(320_000, 80_000, 50_000)] * 4
    found = expected_prices(day, [-1, 10_000, 150_000, 400_000])
    assert found.buy_micro_per_kwh == (320_000, 130_000, 200_000, 320_000)
    assert found.sell_micro_per_kwh == (80_000, 80_000, 150_000, 270_000)
    assert found.leftover_micro_per_kwh == 200_000


# Speed


def village(planning: Planning) -> list[tuple[HomePlanner, list[int], list[int]]]:
    """40 members of the built-in village, each with a battery."""
    scenario = builtin_scenario()
    past = load_profiles(scenario)
    solver = LinearSolver()
    found = []
    for row, member in enumerate(scenario.members[:40]):
        battery = replace(
            BATTERY,
            capacity_wh=10_000,
            stored_max_wh=10_000,
            charge_w=5_000,
            discharge_w=5_000,
            charge_permille=950,
            discharge_permille=950,
            stored_initial_wh=3_000,
            stored_final_wh=3_000,
            self_discharge_ppm_per_hour=40,
        )
        home = Home(participant_id=member.participant_id, planning=planning, battery=battery)
        planner = HomePlanner(home, past.slots[0], solver)
        sun = past.pv_wh[row % 8 : row % 8 + 1].max(axis=0) + past.pv_wh.max(axis=0) // 20
        found.append(
            (planner, past.load_wh[row, past.history :].tolist(), sun[past.history :].tolist())
        )
    return found


@pytest.mark.parametrize("planning", [Planning.SELF_CONSUMPTION, Planning.ARBITRAGE])
def test_a_day_of_40_homes_by_rule_is_quick(planning: Planning) -> None:
    """Floor 1 s of processor time for plans, expectations and 3,840 slots; measured 0.2 s."""
    scenario = builtin_scenario()
    past = load_profiles(scenario)
    homes = village(planning)
    tariffs = [slot_prices(scenario.tariff, scenario.time_zone, slot) for slot in past.slots]
    prices = expected_prices(tariffs, [150_000] * 96)
    begin = time.process_time()
    for planner, load, sun in homes:
        net = [one - other for one, other in zip(sun, load, strict=True)]
        planner.plan(past.slots[0].start_s, 96, net, prices, (96,))
        for slot, used, made in zip(past.slots, load, sun, strict=True):
            planner.expected_net_wh(slot.start_s)
            planner.deliver(slot.start_s, used, made)
    assert time.process_time() - begin < 1.0


def test_a_plan_by_linear_programme_is_quick() -> None:
    """Floor 10 ms of processor time for a home and day; measured 2 to 3 ms."""
    scenario = builtin_scenario()
    past = load_profiles(scenario)
    tariffs = [slot_prices(scenario.tariff, scenario.time_zone, slot) for slot in past.slots]
    prices = expected_prices(tariffs, [150_000 + 100 * n for n in range(96)])
    took = []
    for planner, load, sun in village(Planning.OPTIMISED):
        net = [one - other for one, other in zip(sun, load, strict=True)]
        begin = time.process_time()
        plan = planner.plan(past.slots[0].start_s, 96, net, prices, (96,))
        took.append(time.process_time() - begin)
        assert plan.outcome is not PlanOutcome.SOLVER_FAILED
        assert plan.cost_pico <= plan.rule_cost_pico
    assert sorted(took)[len(took) // 2] < 0.010
