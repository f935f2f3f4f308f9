"""Goal: whatever a home is asked to do, its limits hold and no energy appears or is lost.

Method: random homes on random days, carried out slot by slot with loads and sun that differ from
the forecast; then with a perfect forecast, where the plan's own numbers must come true.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridpact.agents import HomePlanner, LinearSolver
from gridpact.agents.storage import floors_uwh, step, storage_of
from gridpact.model import Slot
from gridpact.model.asset_checks import home_problems
from gridpact.model.assets import (
    UWH_PER_WH,
    Battery,
    DeferrableLoad,
    ElectricVehicle,
    FlexibleLoad,
    Home,
    HomePlan,
    HomeSlot,
    Planning,
    PlanPrices,
    Stay,
    Window,
)

LENGTH_S = 900
START_S = 1_711_839_600  # 2024-03-31 00:00 in Berlin, the day of 23 hours
SOLVER = LinearSolver()
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def batteries(draw: st.DrawFn) -> Battery:
    most = draw(st.integers(0, 12_000))
    least = draw(st.integers(0, most))
    return Battery(
        capacity_wh=most + draw(st.integers(0, 1_000)),
        charge_w=draw(st.integers(0, 6_000)),
        discharge_w=draw(st.integers(0, 6_000)),
        charge_permille=draw(st.integers(700, 1000)),
        discharge_permille=draw(st.integers(700, 1000)),
        stored_initial_wh=draw(st.integers(least, most)),
        stored_min_wh=least,
        stored_max_wh=most,
        stored_final_wh=draw(st.integers(0, most)),
        self_discharge_ppm_per_hour=draw(st.sampled_from([0, 40, 5_000])),
        wear_micro_per_kwh=draw(st.sampled_from([0, 30_000])),
        allow_grid_charging=draw(st.booleans()),
    )


@st.composite
def windows(draw: st.DrawFn, slots: int) -> Window:
    first = draw(st.integers(-2 * LENGTH_S, (slots - 1) * LENGTH_S))
    return Window(START_S + first, START_S + first + draw(st.integers(1, (slots + 3) * LENGTH_S)))


@st.composite
def homes(draw: st.DrawFn, slots: int) -> Home:
    """A home without problems; windows and stays may reach beyond the run on both sides."""
    loads = tuple(
        DeferrableLoad(
            f"load-{number}",
            draw(st.integers(1, 4_000)),
            draw(st.integers(4, 4_000)),
            draw(st.booleans()),
            (draw(windows(slots)),),
        )
        for number in range(draw(st.integers(0, 2)))
    )
    stay = draw(windows(slots))
    vehicle = ElectricVehicle(
        name="car",
        capacity_wh=40_000,
        charge_w=draw(st.integers(1, 11_000)),
        charge_permille=draw(st.integers(800, 1000)),
        discharge_w=draw(st.sampled_from([0, 5_000])),
        discharge_permille=draw(st.integers(800, 1000)),
        stays=(
            Stay(
                stay.start_s,
                stay.end_s,
                draw(st.integers(0, 40_000)),
                draw(st.integers(0, 40_000)),
            ),
        ),
    )
    home = Home(
        participant_id="h",
        planning=draw(st.sampled_from(Planning)),
        battery=draw(st.none() | batteries()),
        deferrable=loads,
        flexible=draw(st.just(()) | st.just((FlexibleLoad("pump", 100, 400, 700, 300_000),))),
        vehicles=draw(st.just(()) | st.just((vehicle,))),
        export_max_w=draw(st.none() | st.integers(0, 3_000)),
    )
    faulty = {problem.where for problem in home_problems(home, Slot(START_S, LENGTH_S))}
    return replace(
        home,
        deferrable=tuple(one for one in loads if f"h: {one.name}.windows" not in faulty),
        vehicles=() if "h: car.stays" in faulty else home.vehicles,
    )


@st.composite
def days(draw: st.DrawFn, slots: int) -> tuple[PlanPrices, list[int], list[int]]:
    """Prices, load and generation of T slots, from a few levels so that ties and steps occur."""
    prices = draw(
        st.lists(
            st.sampled_from([(380_000, 80_000), (320_000, 80_000), (200_000, 150_000), (90_000, 0)])
            | st.tuples(st.integers(0, 400_000), st.integers(0, 400_000)),
            min_size=slots,
            max_size=slots,
        )
    )
    energies = st.lists(st.integers(0, 1_500), min_size=slots, max_size=slots)
    return (
        PlanPrices(
            tuple(max(pair) for pair in prices),
            tuple(min(pair) for pair in prices),
            draw(st.sampled_from([0, 100_000, 250_000])),
        ),
        draw(energies),
        draw(energies),
    )


def planner_of(home: Home) -> HomePlanner:
    return HomePlanner(home, Slot(START_S, LENGTH_S), SOLVER)


def starts(slots: int) -> list[int]:
    return [START_S + number * LENGTH_S for number in range(slots)]


def check_balances(home: Home, slot: HomeSlot, before_uwh: int) -> None:
    """What the docstring of `HomeSlot` promises, and every limit of the battery."""
    assert slot.pv_wh == (
        slot.self_used_wh + slot.stored_wh + slot.exported_pv_wh + slot.spilled_wh
    )
    loads = slot.load_wh + slot.flexible_wh + slot.deferrable_wh
    assert slot.pv_wh + slot.discharged_wh + slot.vehicle_discharged_wh + slot.imported_wh == (
        loads
        + slot.vehicle_charged_wh
        + slot.charged_wh
        + slot.exported_pv_wh
        + slot.exported_battery_wh
        + slot.spilled_wh
    )
    assert UWH_PER_WH * slot.charged_wh == (
        UWH_PER_WH * slot.discharged_wh
        + slot.conversion_loss_uwh
        + slot.self_discharge_uwh
        + slot.stored_uwh
        - before_uwh
    )
    assert UWH_PER_WH * slot.vehicle_charged_wh == (
        UWH_PER_WH * slot.vehicle_discharged_wh + slot.vehicle_loss_uwh + slot.vehicle_change_uwh
    )
    quantities = [
        getattr(slot, field)
        for field in slot.__dataclass_fields__
        if field.endswith(("_wh", "loss_uwh", "self_discharge_uwh"))
    ]
    assert min(quantities) >= 0
    assert slot.charged_wh == 0 or slot.discharged_wh == 0
    assert min(slot.imported_wh, slot.exported_pv_wh + slot.exported_battery_wh) == 0
    if home.export_max_w is not None:
        assert slot.net_wh <= home.export_max_w * LENGTH_S // 3600
    else:
        assert slot.spilled_wh == 0
    if home.battery is None:
        assert slot.charged_wh == slot.discharged_wh == slot.stored_uwh == 0
        return
    storage = storage_of(home.battery, LENGTH_S)
    assert storage.min_uwh <= slot.stored_uwh <= storage.max_uwh
    assert slot.charged_wh <= home.battery.charge_w * LENGTH_S // 3600
    assert slot.discharged_wh <= home.battery.discharge_w * LENGTH_S // 3600
    if not home.battery.allow_grid_charging:
        assert slot.charged_wh == slot.stored_wh


@SLOW
@given(st.data(), st.sampled_from([1, 2, 7, 24]))
def test_a_day_that_comes_differently_keeps_every_limit(data: st.DataObject, slots: int) -> None:
    home = data.draw(homes(slots))
    prices, load, pv = data.draw(days(slots))
    forecast = data.draw(st.lists(st.integers(-1_500, 1_500), min_size=slots, max_size=slots))
    planner = planner_of(home)
    planner.plan(START_S, slots, forecast, prices, (slots,))
    used: dict[str, int] = {one.name: 0 for one in home.deferrable}
    short: dict[str, int] = {}
    total = 0
    for number, start_s in enumerate(starts(slots)):
        if data.draw(st.booleans()) and number:  # another plan, from here on
            rest = PlanPrices(
                prices.buy_micro_per_kwh[number:],
                prices.sell_micro_per_kwh[number:],
                prices.leftover_micro_per_kwh,
            )
            planner.plan(start_s, slots - number, forecast[number:], rest, (slots - number,))
        before_uwh = planner.stored_uwh
        expected = planner.expected_net_wh(start_s)
        assert planner.expected_net_wh(start_s) == expected  # asking changes nothing
        unmatched = data.draw(st.sampled_from([0, expected, expected // 2]))
        slot = planner.deliver(start_s, load[number], pv[number], unmatched_wh=unmatched)
        check_balances(home, slot, before_uwh)
        total += slot.deferrable_wh
        short |= {one.asset: one.missing_wh for one in slot.shortfalls}
    end_s = START_S + slots * LENGTH_S
    for one in home.deferrable:
        (window,) = one.windows
        if window.start_s >= START_S and window.end_s <= end_s:
            # it had all of its window, which is long enough
            assert one.name not in short
            used[one.name] = one.energy_wh
    assert total >= sum(used.values())
    assert total + sum(missing for name, missing in short.items() if name in used) <= sum(
        one.energy_wh for one in home.deferrable
    )
    for vehicle in home.vehicles:
        (stay,) = vehicle.stays
        if stay.arrival_s >= START_S and stay.departure_s <= end_s:
            assert vehicle.name not in short


def money_nano(slots: list[HomeSlot], prices: PlanPrices) -> int:
    return sum(
        slot.imported_wh * buy - (slot.exported_pv_wh + slot.exported_battery_wh) * sell
        for slot, buy, sell in zip(
            slots, prices.buy_micro_per_kwh, prices.sell_micro_per_kwh, strict=True
        )
    )


@SLOW
@given(st.data(), st.sampled_from([1, 2, 7, 24, 92]))
def test_with_a_perfect_forecast_the_plan_comes_true(data: st.DataObject, slots: int) -> None:
    home = data.draw(homes(slots))
    prices, load, pv = data.draw(days(slots))
    planner = planner_of(home)
    net = [one - other for one, other in zip(pv, load, strict=True)]
    plan = planner.plan(START_S, slots, net, prices, (slots,))
    assert plan.cost_pico <= plan.rule_cost_pico
    delivered = []
    for number, start_s in enumerate(starts(slots)):
        assert planner.expected_net_wh(start_s) == plan.net_wh[number]
        delivered.append(planner.deliver(start_s, max(0, -net[number]), max(0, net[number])))
    assert tuple(slot.net_wh for slot in delivered) == plan.net_wh
    assert tuple(slot.stored_uwh for slot in delivered) == plan.stored_uwh
    check_cost(home, plan, delivered, prices)
    check_final_level(home, delivered)


def check_cost(home: Home, plan: HomePlan, delivered: list[HomeSlot], prices: PlanPrices) -> None:
    """Where nothing is bent and nothing reaches beyond the day, the plan's cost in plain words."""
    reaching = [
        window
        for window in (
            *(one for load in home.deferrable for one in load.windows),
            *(stay.window for vehicle in home.vehicles for stay in vehicle.stays),
        )
        if window.end_s > START_S + len(delivered) * LENGTH_S
    ]
    if home.flexible or reaching:
        return
    wear = home.battery.wear_micro_per_kwh if home.battery else 0
    least = storage_of(home.battery, LENGTH_S).min_uwh if home.battery else 0
    left_wh = (delivered[-1].stored_uwh - least) // UWH_PER_WH
    cost = money_nano(delivered, prices) + wear * sum(slot.discharged_wh for slot in delivered)
    assert plan.cost_pico == 1000 * (cost - left_wh * prices.leftover_micro_per_kwh)


def check_final_level(home: Home, delivered: list[HomeSlot]) -> None:
    """The day ends with what is due; else that is said, and no slot that could charge did not."""
    if home.battery is None:
        return
    storage = storage_of(home.battery, LENGTH_S)
    due = storage.level_uwh(home.battery.stored_final_wh)
    short = [one for one in delivered[-1].shortfalls if one.asset == "battery"]
    assert bool(short) == (delivered[-1].stored_uwh <= due - storage.gain_uwh)
    if short:
        assert all(slot.discharged_wh == 0 for slot in delivered)
        for slot in delivered:
            full = (storage.max_uwh - slot.stored_uwh) < storage.gain_uwh
            wanted = slot.stored_uwh < due
            at_power = slot.charged_wh == storage.charge_max_wh
            nothing_left = slot.exported_pv_wh + slot.spilled_wh == 0
            may_import = home.battery.allow_grid_charging
            assert full or not wanted or at_power or (nothing_left and not may_import)


@given(batteries(), st.data())
def test_one_step_creates_nothing_and_keeps_limits(battery: Battery, data: st.DataObject) -> None:
    storage = storage_of(battery, LENGTH_S)
    stored = data.draw(st.integers(storage.min_uwh, storage.max_uwh))
    charge, discharge = (data.draw(st.none() | st.integers(0, 2_000)) for _ in range(2))
    floor = data.draw(st.integers(0, storage.max_uwh))
    taken = step(
        storage,
        stored,
        data.draw(st.integers(-3_000, 3_000)),
        charge_limit_wh=charge,
        discharge_limit_wh=discharge,
        floor_uwh=floor,
    )
    assert storage.min_uwh <= taken.stored_uwh <= storage.max_uwh
    assert UWH_PER_WH * taken.charged_wh == (
        UWH_PER_WH * taken.discharged_wh
        + taken.self_discharge_uwh
        + taken.conversion_loss_uwh
        + taken.stored_uwh
        - stored
    )
    assert min(taken.self_discharge_uwh, taken.conversion_loss_uwh) >= 0
    assert charge is None or taken.charged_wh <= charge
    assert discharge is None or taken.discharged_wh <= discharge
    assert taken.discharged_wh == 0 or taken.stored_uwh >= floor


@given(batteries(), st.data())
def test_floors_are_the_lowest_levels_that_still_reach_what_is_due(
    battery: Battery, data: st.DataObject
) -> None:
    """Plain twin: from the floor greedy charging gets there, from a little below it does not."""
    storage = storage_of(battery, LENGTH_S)
    slots = data.draw(st.integers(2, 6))
    charge = data.draw(st.lists(st.integers(0, 600), min_size=slots, max_size=slots))
    top = max(storage.min_uwh, storage.max_uwh - storage.gain_uwh + 1)
    due = [0] * slots
    due[-1] = data.draw(st.integers(0, top))
    floors = floors_uwh(storage, charge, due)

    def end_from(stored: int) -> int:
        for limit in charge[1:]:
            stored = step(storage, stored, 10**6, charge_limit_wh=limit).stored_uwh
        return stored

    if floors[0] < top:
        assert end_from(floors[0]) >= due[-1]
    if floors[0] > storage.min_uwh:
        assert end_from(floors[0] - 1) < max(due[-1], storage.min_uwh) or floors[0] == top


@SLOW
@given(st.data())
def test_a_plan_does_not_depend_on_what_was_solved_before(data: st.DataObject) -> None:
    slots = 8
    home = replace(data.draw(homes(slots)), planning=Planning.OPTIMISED)
    other = replace(data.draw(homes(slots)), planning=Planning.OPTIMISED)
    prices, load, pv = data.draw(days(slots))
    net = [one - two for one, two in zip(pv, load, strict=True)]
    first = Slot(START_S, LENGTH_S)
    alone = HomePlanner(home, first, LinearSolver()).plan(START_S, slots, net, prices)
    shared = LinearSolver()
    HomePlanner(other, first, shared).plan(START_S, slots, net[::-1], prices)
    assert HomePlanner(home, first, shared).plan(START_S, slots, net, prices) == alone


@pytest.mark.parametrize("slots", [92, 96, 100])
def test_days_of_23_24_and_25_hours(slots: int) -> None:
    battery = Battery(
        capacity_wh=5_000,
        charge_w=2_500,
        discharge_w=2_500,
        charge_permille=950,
        discharge_permille=950,
        stored_initial_wh=1_000,
        stored_min_wh=500,
        stored_max_wh=5_000,
        stored_final_wh=1_000,
    )
    prices = PlanPrices((320_000,) * slots, (80_000,) * slots, 200_000)
    net = [600 if 36 <= number < 64 else -150 for number in range(slots)]
    for planning in Planning:
        home = Home(participant_id="h", planning=planning, battery=battery)
        planner = planner_of(home)
        plan = planner.plan(START_S, slots, net, prices, (slots,))
        assert len(plan.net_wh) == slots
        for number, start_s in enumerate(starts(slots)):
            before_uwh = planner.stored_uwh
            slot = planner.deliver(start_s, max(0, -net[number]), max(0, net[number]))
            check_balances(home, slot, before_uwh)
            assert slot.shortfalls == ()
