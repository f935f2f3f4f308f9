"""From where a home stands and what it expects to the horizon that plans are made on.

Loads that bend and loads that cannot be interrupted are settled here by price; what remains open
is the battery's, the vehicles' and the other loads'.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gridpact.agents.horizon import HomeBattery, Horizon, ParkedVehicle, WaitingLoad
from gridpact.agents.loads import SlotMarket, bent_wh, best_run, slot_limits_wh
from gridpact.agents.storage import floors_uwh
from gridpact.model.assets import SECONDS_PER_HOUR, Window, room_wh, whole_slots
from gridpact.units import ceil_divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.agents.horizon import Key
    from gridpact.agents.standing import Parked, Standing
    from gridpact.model.assets import PlanPrices


class Foresight(NamedTuple):
    """A horizon, and what is settled before anything is planned on it."""

    horizon: Horizon
    flexible_wh: list[int]
    """All flexible loads together, per slot."""
    runs_wh: dict[Key, list[int]]
    """Loads that cannot be interrupted, per slot."""


def foresee(
    standing: Standing,
    start_s: int,
    net_wh: Sequence[int],
    prices: PlanPrices,
    day_ends: Sequence[int],
) -> Foresight:
    """The horizon of T slots; arguments as in `HomePlanner.plan`, already checked."""
    markets = [
        SlotMarket(buy, sell, standing.export_max_wh)
        for buy, sell in zip(prices.buy_micro_per_kwh, prices.sell_micro_per_kwh, strict=True)
    ]
    base = list(net_wh)
    standing.look_ahead(start_s + len(base) * standing.grid.length_s)
    flexible, disutility_pico = _bend(standing, base, markets)
    runs = _place_runs(standing, start_s, base, markets, prices.leftover_micro_per_kwh)
    horizon = Horizon(
        base_wh=base,
        markets=markets,
        leftover_micro_per_kwh=prices.leftover_micro_per_kwh,
        battery=_battery(standing, len(base), day_ends),
        loads=_waiting(standing, start_s, len(base)),
        vehicles=[
            _parked(standing, one, start_s, len(base))
            for one in standing.parked
            if one.stay.arrival_s < start_s + len(base) * standing.grid.length_s
        ],
        fixed_pico=disutility_pico,
    )
    return Foresight(horizon, flexible, runs)


def _bend(standing: Standing, base: list[int], markets: list[SlotMarket]) -> tuple[list[int], int]:
    """Energy of all flexible loads per slot, and their disutility; `base` loses the energy."""
    used = [0] * len(base)
    pico = 0
    for load in standing.home.flexible:
        for number, market in enumerate(markets):
            energy, off = bent_wh(load, standing.grid.length_s, base[number], market)
            used[number] += energy
            base[number] -= energy
            pico += off
    return used, pico


def _place_runs(
    standing: Standing, start_s: int, base: list[int], markets: list[SlotMarket], leftover: int
) -> dict[Key, list[int]]:
    """Loads that cannot be interrupted, those due first before the others; `base` loses them."""
    length_s = standing.grid.length_s
    end_s = start_s + len(base) * length_s
    placed = {}
    for run in sorted(standing.runs, key=lambda one: (one.window.end_s, one.key)):
        if run.load.interruptible or run.window.start_s >= end_s:
            continue
        full_wh = run.load.power_w * length_s // SECONDS_PER_HOUR
        after = Window(max(end_s, run.window.start_s), run.window.end_s)
        fits_later = whole_slots(after, standing.grid) * full_wh >= run.remaining_wh
        used = best_run(
            base,
            markets,
            slot_limits_wh(run.window, run.load.power_w, start_s, length_s, len(base)),
            energy_wh=run.remaining_wh,
            full_wh=full_wh,
            started=run.started,
            later_nano=leftover * run.remaining_wh if fits_later else None,
        )
        if used is not None:
            base[:] = [left - energy for left, energy in zip(base, used, strict=True)]
            placed[run.key] = used
    return placed


def _waiting(standing: Standing, start_s: int, slots: int) -> list[WaitingLoad]:
    """Loads that can be interrupted."""
    length_s = standing.grid.length_s
    end_s = start_s + slots * length_s
    found = []
    for run in standing.runs:
        if not run.load.interruptible or run.window.start_s >= end_s:
            continue
        after = Window(max(end_s, run.window.start_s), run.window.end_s)
        later_wh = room_wh(after, run.load.power_w, standing.grid)
        limits = slot_limits_wh(run.window, run.load.power_w, start_s, length_s, slots)
        due_wh = max(0, run.remaining_wh - later_wh)
        found.append(WaitingLoad(run.key, limits, due_wh, run.remaining_wh))
    return found


def _parked(standing: Standing, parked: Parked, start_s: int, slots: int) -> ParkedVehicle:
    """A vehicle; its floor looks beyond the horizon, to its departure."""
    length_s = standing.grid.length_s
    stay, vehicle = parked.stay, parked.vehicle
    until = max(slots, ceil_divide(stay.departure_s - start_s, length_s))
    charge = slot_limits_wh(stay.window, vehicle.charge_w, start_s, length_s, until)
    discharge = slot_limits_wh(stay.window, vehicle.discharge_w, start_s, length_s, slots)
    due_uwh = [0] * until
    due_uwh[ceil_divide(stay.departure_s - start_s, length_s) - 1] = parked.needed_uwh
    return ParkedVehicle(
        key=parked.key,
        storage=parked.storage,
        stored_uwh=parked.stored_uwh,
        charge_limit_wh=charge[:slots],
        discharge_limit_wh=discharge,
        floor_uwh=floors_uwh(parked.storage, charge, due_uwh)[:slots],
        needed_uwh=parked.needed_uwh,
        stays_on=stay.departure_s > start_s + slots * length_s,
    )


def _battery(standing: Standing, slots: int, day_ends: Sequence[int]) -> HomeBattery | None:
    battery, storage = standing.home.battery, standing.storage
    if battery is None or storage is None:
        return None
    due_uwh = [0] * slots
    for end in day_ends:
        due_uwh[end - 1] = storage.level_uwh(battery.stored_final_wh)
    return HomeBattery(
        storage,
        standing.stored_uwh,
        due_uwh,
        battery.wear_micro_per_kwh,
        battery.allow_grid_charging,
    )
