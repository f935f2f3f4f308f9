"""Goal: the linear programme's plan is optimal, and stays so in whole Wh where it can.

Method: horizons small enough to try every choice in whole Wh through the same exact cost. Without
losses corners of the programme are whole, so both must agree to the unit; with losses fractions
may only be better, and rounding may cost no more than it can move.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridpact.agents import LinearSolver
from gridpact.agents.horizon import Choice, HomeBattery, Horizon, ParkedVehicle, WaitingLoad
from gridpact.agents.linear import PlanSolveError
from gridpact.agents.loads import SlotMarket
from gridpact.agents.storage import floors_uwh, storage_of, storage_of_vehicle
from gridpact.agents.strategies import arbitrage, optimised, self_consumption
from gridpact.errors import InputError
from gridpact.model.assets import UWH_PER_WH, Battery, ElectricVehicle

SOLVER = LinearSolver()
HOUR_S = 3600
FEW = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def small_horizons(draw: st.DrawFn, efficiency: int) -> Horizon:
    """Two or three slots, a battery of a few Wh; flows of at most 2 Wh a slot."""
    slots = draw(st.integers(2, 3))
    most = draw(st.integers(1, 5))
    battery = Battery(
        capacity_wh=most,
        charge_w=draw(st.integers(0, 2)),
        discharge_w=draw(st.integers(0, 2)),
        charge_permille=efficiency,
        discharge_permille=1000,
        stored_initial_wh=draw(st.integers(0, most)),
        stored_max_wh=most,
        allow_grid_charging=draw(st.booleans()),
    )
    storage = storage_of(battery, HOUR_S)
    prices = draw(
        st.lists(
            st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted),
            min_size=slots,
            max_size=slots,
        )
    )
    due = [0] * slots
    # Less than one charged Wh below the top no whole step meets what is due: not here.
    due[-1] = storage.level_uwh(draw(st.integers(0, most if efficiency == 1000 else most - 1)))
    export = draw(st.none() | st.integers(0, 3))
    return Horizon(
        base_wh=draw(st.lists(st.integers(-3, 3), min_size=slots, max_size=slots)),
        markets=[SlotMarket(dear * 10**5, cheap * 10**5, export) for cheap, dear in prices],
        leftover_micro_per_kwh=draw(st.integers(0, 9)) * 10**5,
        battery=HomeBattery(
            storage,
            storage.level_uwh(battery.stored_initial_wh),
            due,
            draw(st.sampled_from([0, 50_000])),
            battery.allow_grid_charging,
        ),
        loads=[],
        vehicles=[],
        fixed_pico=0,
    )


def cheapest(horizon: Horizon) -> int:
    """The least cost of all choices in whole Wh."""
    slots = range(len(horizon.base_wh))
    return min(
        horizon.outcome(Choice(), lambda _, wanted=wanted: wanted).cost_pico
        for wanted in product((-2, -1, 0, 1, 2), repeat=len(slots))
    )


@FEW
@given(small_horizons(1000))
def test_without_losses_the_plan_is_the_best_of_all(horizon: Horizon) -> None:
    best = cheapest(horizon)
    assert optimised(horizon, SOLVER).cost_pico == best
    assert SOLVER.solve(horizon).cost * 10**12 == pytest.approx(best, abs=1e3)
    rule = self_consumption(horizon)
    assert best <= arbitrage(horizon, rule).cost_pico <= rule.cost_pico


@FEW
@given(small_horizons(900))
def test_with_losses_fractions_are_at_least_as_good(horizon: Horizon) -> None:
    """A whole Wh left over counts in the exact cost, its fractions only in the programme's."""
    best = cheapest(horizon)
    linear = SOLVER.solve(horizon).cost * 10**12
    assert linear <= best + 1e3
    # Rounding moves half a Wh a slot and strands less than one, at most 0.9 currency per kWh.
    room = (0.5 * len(horizon.base_wh) + 1) * 900_000 * 1000
    assert optimised(horizon, SOLVER).cost_pico <= linear + 2 * room


@FEW
@given(small_horizons(1000), st.data())
def test_loads_that_wait_are_placed_together_with_the_battery(
    horizon: Horizon, data: st.DataObject
) -> None:
    """Where the grid may charge nothing has to be tidied, so the plan is the best of all."""
    slots = len(horizon.base_wh)
    limits = data.draw(st.lists(st.integers(0, 1), min_size=slots, max_size=slots))
    most = data.draw(st.integers(0, sum(limits)))
    load = WaitingLoad(("boiler", 0), limits, data.draw(st.integers(0, most)), most)
    battery = horizon.battery
    assert battery is not None
    horizon = replace(horizon, loads=[load], battery=replace(battery, from_grid=True))
    best = min(
        horizon.outcome(
            Choice(loads_wh={load.key: list(used)}), lambda _, wanted=wanted: wanted
        ).cost_pico
        for used in product((0, 1), repeat=slots)
        if all(one <= limit for one, limit in zip(used, limits, strict=True))
        and load.due_wh <= sum(used) <= load.most_wh
        for wanted in product((-2, -1, 0, 1, 2), repeat=slots)
    )
    assert optimised(horizon, SOLVER).cost_pico == best


@FEW
@given(small_horizons(1000), st.data())
def test_a_vehicle_that_gives_back_is_the_best_of_all(
    horizon: Horizon, data: st.DataObject
) -> None:
    slots = len(horizon.base_wh)
    car = ElectricVehicle(
        name="car", capacity_wh=3, charge_w=1, charge_permille=1000, discharge_w=1, stays=()
    )
    storage = storage_of_vehicle(car, HOUR_S)
    there = data.draw(st.integers(1, slots))
    charge = [1] * there + [0] * (slots - there)
    due = [0] * slots
    needed = storage.level_uwh(data.draw(st.integers(0, 3)))
    due[there - 1] = needed
    vehicle = ParkedVehicle(
        key=("car", 0),
        storage=storage,
        stored_uwh=data.draw(st.integers(0, 3)) * UWH_PER_WH,
        charge_limit_wh=charge,
        discharge_limit_wh=charge,
        floor_uwh=floors_uwh(storage, charge, due),
        needed_uwh=needed,
        stays_on=False,
    )
    horizon = replace(horizon, vehicles=[vehicle], battery=None)
    best = min(
        horizon.outcome(Choice(vehicles_wh={vehicle.key: list(wanted)}), None).cost_pico
        for wanted in product((-1, 0, 1), repeat=slots)
    )
    assert optimised(horizon, SOLVER).cost_pico == best


def one_battery(base: list[int], prices: list[tuple[int, int]], **changes: object) -> Horizon:
    battery = Battery(
        capacity_wh=1_000,
        charge_w=1_000,
        discharge_w=1_000,
        charge_permille=900,
        discharge_permille=1000,
        stored_initial_wh=0,
        stored_max_wh=1_000,
    )
    storage = storage_of(battery, HOUR_S)
    horizon = Horizon(
        base_wh=base,
        markets=[SlotMarket(dear, cheap, None) for dear, cheap in prices],
        leftover_micro_per_kwh=0,
        battery=HomeBattery(storage, 0, [0] * len(base), 0, from_grid=False),
        loads=[],
        vehicles=[],
        fixed_pico=0,
    )
    return replace(horizon, **changes)


def test_it_keeps_energy_for_the_dear_hour() -> None:
    """1,000 Wh of sun, then two needs of 900 Wh: it covers the one at 0.38, not that at 0.32."""
    horizon = one_battery(
        [1_000, -900, -900], [(320_000, 80_000), (320_000, 80_000), (380_000, 80_000)]
    )
    assert optimised(horizon, SOLVER).battery.battery_wh == [1_000, 0, -900]
    assert self_consumption(horizon).battery.battery_wh == [1_000, -900, 0]
    rule = self_consumption(horizon)
    assert arbitrage(horizon, rule).battery.battery_wh == [1_000, 0, -900]


def test_a_battery_does_not_charge_while_a_load_takes_from_outside() -> None:
    """The tidied programme: 400 Wh of sun at a cheap hour, and a boiler that must run then."""
    boiler = WaitingLoad(("boiler", 0), [500, 0], 500, 500)
    horizon = one_battery([400, -900], [(90_000, 80_000), (400_000, 80_000)], loads=[boiler])
    found = SOLVER.solve(horizon)
    assert found.loads_wh[boiler.key].tolist() == pytest.approx([500, 0])
    assert found.battery_wh.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_what_is_due_but_out_of_reach_is_no_reason_to_fail() -> None:
    horizon = one_battery([100, -50], [(320_000, 80_000)] * 2)
    battery = horizon.battery
    assert battery is not None
    horizon = replace(horizon, battery=replace(battery, due_uwh=[0, 900 * UWH_PER_WH]))
    assert optimised(horizon, SOLVER).battery.battery_wh == [100, 0]


def test_an_unsolved_programme_says_so() -> None:
    """A load whose slots hold more than its most is impossible: the solver's word is kept."""
    impossible = WaitingLoad(("boiler", 0), [500, 500], 600, 100)
    horizon = one_battery([0, 0], [(320_000, 80_000)] * 2, loads=[impossible])
    with pytest.raises(PlanSolveError, match="Infeasible") as caught:
        SOLVER.solve(horizon)
    assert caught.value.status == "Infeasible"
    # and the model it failed on goes on to work
    possible = replace(horizon, loads=[replace(impossible, most_wh=600)])
    assert sum(SOLVER.solve(possible).loads_wh[impossible.key]) == pytest.approx(600)


def test_without_highs_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    with pytest.raises(InputError, match=r"gridpact\[agents\]"):
        LinearSolver()


def test_ties_do_not_depend_on_what_was_solved_before() -> None:
    """A flat day has many best plans; the same one is found whoever was solved before."""
    chance = np.random.default_rng(4)
    prices = [(320_000, 80_000)] * 96
    homes = [one_battery(chance.integers(-500, 500, 96).tolist(), prices) for _ in range(12)]
    shared = LinearSolver()
    together = [shared.solve(home).battery_wh.tolist() for home in homes]
    again = [shared.solve(home).battery_wh.tolist() for home in homes[::-1]]
    assert together == again[::-1]
    assert together[5] == LinearSolver().solve(homes[5]).battery_wh.tolist()


def test_one_model_per_shape() -> None:
    solver = LinearSolver()
    for base in ([1_000, -900], [5, -7], [0, 0]):
        solver.solve(one_battery(base, [(320_000, 80_000)] * 2))
    assert len(solver._models) == 1
    solver.solve(one_battery([0, 0, 0], [(320_000, 80_000)] * 3))
    assert len(solver._models) == 2
    assert np.isfinite(solver.solve(one_battery([3, 4], [(320_000, 80_000)] * 2)).cost)
