"""Three ways to plan the same horizon: a rule, one value for stored energy, a linear programme.

Each returns an `Outcome` of the exact steps; what the linear programme leaves in fractions goes
through `quantize`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.agents.horizon import Choice
from gridpact.agents.loads import fill_cheapest, whole_parts
from gridpact.model.assets import PPM
from gridpact.quantize import round_half_even
from gridpact.units import QUANTITY_MAX, ceil_divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.agents.horizon import Horizon, Outcome, ParkedVehicle
    from gridpact.agents.linear import LinearSolver
    from gridpact.quantize import FloatArray

WORTHS_MAX = 16
"""How many values of stored energy arbitrage tries at most, evenly among those that differ."""


def self_consumption(horizon: Horizon) -> Outcome:
    """The rule: loads and vehicles where they cost least, the battery takes what is left over.

    Loads are placed one after the other, those that are due first before the others, each seeing
    what the ones before it left. The battery charges from any surplus and covers any need; it
    sells nothing, and vehicles give nothing back.

    Source: [CESDT23], section 3.3.1, "energy self-arrangement of the demand side".
    """
    return horizon.outcome(placed(horizon), _as_it_comes)


def _as_it_comes(surplus_wh: Sequence[int]) -> Sequence[int]:
    return surplus_wh


def placed(horizon: Horizon) -> Choice:
    """Loads and vehicles by price alone, without a battery in mind."""
    surplus = list(horizon.base_wh)
    choice = Choice()

    def place(limits: list[int], due_wh: int, most_wh: int) -> list[int]:
        nonlocal surplus
        used = fill_cheapest(
            surplus,
            horizon.markets,
            limits,
            due_wh=due_wh,
            most_wh=most_wh,
            early_micro_per_kwh=horizon.leftover_micro_per_kwh,
        )
        surplus = [left - energy for left, energy in zip(surplus, used, strict=True)]
        return used

    for load in sorted(horizon.loads, key=lambda one: (_last(one.limits_wh), one.key)):
        choice.loads_wh[load.key] = place(load.limits_wh, load.due_wh, load.most_wh)
    for vehicle in sorted(horizon.vehicles, key=lambda one: (_last(one.charge_limit_wh), one.key)):
        due_wh, most_wh = _to_charge(vehicle)
        choice.vehicles_wh[vehicle.key] = place(vehicle.charge_limit_wh, due_wh, most_wh)
    return choice


def _last(limits_wh: Sequence[int]) -> int:
    """The last slot in which something fits."""
    return max((number for number, limit in enumerate(limits_wh) if limit), default=-1)


def _to_charge(vehicle: ParkedVehicle) -> tuple[int, int]:
    """Energy at the wiring that a vehicle must and may take within the horizon."""
    gain_uwh = vehicle.storage.gain_uwh
    most_wh = max(0, ceil_divide(vehicle.needed_uwh - vehicle.stored_uwh, gain_uwh))
    due_wh = max(0, ceil_divide(vehicle.floor_uwh[-1] - vehicle.stored_uwh, gain_uwh))
    return (min(due_wh, most_wh) if vehicle.stays_on else most_wh), most_wh


def arbitrage(horizon: Horizon, rule: Outcome) -> Outcome:
    """Hold every slot's prices against one value of stored energy, the best of several tried.

    At the value w, surplus is stored where selling it brings less than w after losses, needs are
    covered from the battery where buying costs more than w, and the battery sells where that
    brings more than w. Where the grid may charge it, it does so below w after losses. Ours.

    Args:
        horizon: the slots.
        rule: what self-consumption comes to; it is among what is tried, so on its own forecast
            the result never costs more.
    """
    best = rule
    if horizon.battery is None:
        return best
    choice = placed(horizon)
    storage = horizon.battery.storage
    for worth in _worths(horizon):

        def decide(surplus_wh: Sequence[int], worth: int = worth) -> list[int]:
            wanted = []
            for left, market in zip(surplus_wh, horizon.markets, strict=True):
                if market.sell_micro_per_kwh > worth:
                    wanted.append(-storage.discharge_max_wh)
                elif left < 0 and market.buy_micro_per_kwh > worth:
                    wanted.append(left)
                elif market.buy_micro_per_kwh * PPM < worth * storage.gain_uwh:
                    wanted.append(storage.charge_max_wh)
                elif left > 0 and market.sell_micro_per_kwh * PPM < worth * storage.gain_uwh:
                    wanted.append(left)
                else:
                    wanted.append(0)
            return wanted

        tried = horizon.outcome(choice, decide)
        if tried.cost_pico < best.cost_pico:
            best = tried
    return best


def _worths(horizon: Horizon) -> list[int]:
    """Values of stored energy between which decisions differ, at most WORTHS_MAX of them."""
    gain_uwh = horizon.battery.storage.gain_uwh if horizon.battery is not None else PPM
    values = set()
    for market in horizon.markets:
        for price in (market.buy_micro_per_kwh, market.sell_micro_per_kwh):
            values |= {price, price * PPM // gain_uwh + 1}
    ordered = sorted(values)
    if len(ordered) <= WORTHS_MAX:
        return ordered
    return [ordered[i * (len(ordered) - 1) // (WORTHS_MAX - 1)] for i in range(WORTHS_MAX)]


def optimised(horizon: Horizon, solver: LinearSolver) -> Outcome:
    """The linear programme's plan in whole Wh, carried out by the exact steps.

    Raises:
        PlanSolveError: the solver did not find an optimum.
        QuantizeError: its answer is not finite.
    """
    solution = solver.solve(horizon)
    choice = Choice()
    for load in horizon.loads:
        energies = _whole(solution.loads_wh[load.key], "deferrable_wh")
        whole_parts(energies, load.limits_wh, load.due_wh, load.most_wh)
        choice.loads_wh[load.key] = energies
    choice.vehicles_wh.update(
        {key: _whole(values, "vehicle_wh") for key, values in solution.vehicles_wh.items()}
    )
    wanted = _whole(solution.battery_wh, "battery_wh")
    return horizon.outcome(choice, lambda _: wanted)


def _whole(values_wh: FloatArray, name: str) -> list[int]:
    rounded = round_half_even(
        np.asarray(values_wh), name=name, low=-QUANTITY_MAX, high=QUANTITY_MAX
    )
    return [int(value) for value in rounded.tolist()]
