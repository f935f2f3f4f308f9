"""One slot of a home as it really goes: planned flows meet the load and the sun that came.

`flow` computes and changes nothing; `settle` moves the home on. All in exact integers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gridpact.agents.loads import slot_limits_wh
from gridpact.agents.storage import Step, missing_cell_wh, step
from gridpact.model.assets import HomeSlot, Shortfall

if TYPE_CHECKING:
    from gridpact.agents.horizon import Key
    from gridpact.agents.standing import Standing
    from gridpact.model.assets import HomePlan

BATTERY = "battery"
"""How shortfalls name it."""


class Flows(NamedTuple):
    """What a slot comes to."""

    slot: HomeSlot
    runs_wh: dict[Key, int]
    vehicles: dict[Key, Step]


def flow(
    standing: Standing,
    plan: HomePlan,
    start_s: int,
    *,
    load_wh: int,
    pv_wh: int,
    unmatched_wh: int,
    due_uwh: int,
) -> Flows:
    """A slot of the plan with this load and generation.

    Args:
        standing: the home before the slot.
        plan: holds the slot.
        start_s: of the slot.
        load_wh: of the profile.
        pv_wh: generation.
        unmatched_wh: part of the home's order without another side, + of an offer, - of a bid.
        due_uwh: drawable energy due in the battery after the slot; 0 when nothing is.
    """
    number = (start_s - plan.start_s) // plan.slot_length_s
    flexible_wh = plan.flexible_wh[number]
    runs = {
        run.key: min(run.remaining_wh, plan.deferrable_wh[run.key][number])
        for run in standing.runs
        if run.key in plan.deferrable_wh
    }
    deferrable_wh = sum(runs.values())
    used_wh = load_wh + flexible_wh + deferrable_wh
    vehicles = _vehicles(standing, plan, start_s, pv_wh - used_wh)
    into_wh = sum(one.charged_wh for one in vehicles.values())
    from_wh = sum(one.discharged_wh for one in vehicles.values())
    surplus_wh = pv_wh - used_wh - into_wh + from_wh
    battery = _battery(standing, plan, number, surplus_wh, unmatched_wh)

    # The sun serves loads and vehicles first, then the battery, then the grid.
    self_used_wh = min(pv_wh, used_wh + into_wh)
    stored_wh = min(pv_wh - self_used_wh, battery.charged_wh)
    left_wh = pv_wh - self_used_wh - stored_wh
    needed_wh = used_wh + into_wh - self_used_wh - from_wh
    drawn_wh = min(needed_wh, battery.discharged_wh)
    exported_battery_wh = battery.discharged_wh - drawn_wh
    exported_pv_wh = left_wh
    if standing.export_max_wh is not None:
        exported_pv_wh = min(left_wh, max(0, standing.export_max_wh - exported_battery_wh))
    slot = HomeSlot(
        start_s=start_s,
        pv_wh=pv_wh,
        load_wh=load_wh,
        flexible_wh=flexible_wh,
        deferrable_wh=deferrable_wh,
        vehicle_charged_wh=into_wh,
        vehicle_discharged_wh=from_wh,
        self_used_wh=self_used_wh,
        stored_wh=stored_wh,
        exported_pv_wh=exported_pv_wh,
        spilled_wh=left_wh - exported_pv_wh,
        charged_wh=battery.charged_wh,
        discharged_wh=battery.discharged_wh,
        exported_battery_wh=exported_battery_wh,
        imported_wh=needed_wh - drawn_wh + battery.charged_wh - stored_wh,
        conversion_loss_uwh=battery.conversion_loss_uwh,
        self_discharge_uwh=battery.self_discharge_uwh,
        stored_uwh=battery.stored_uwh,
        vehicle_loss_uwh=sum(one.conversion_loss_uwh for one in vehicles.values()),
        vehicle_change_uwh=sum(
            vehicles[one.key].stored_uwh - one.stored_uwh
            for one in standing.parked
            if one.key in vehicles
        ),
        shortfalls=_shortfalls(standing, start_s, runs, vehicles, battery.stored_uwh, due_uwh),
    )
    return Flows(slot, runs, vehicles)


def _vehicles(standing: Standing, plan: HomePlan, start_s: int, surplus_wh: int) -> dict[Key, Step]:
    """Each vehicle as planned; it gives back no more than the home then needs.

    So it never holds less than planned, and the plan sees to what it leaves with.
    """
    number = (start_s - plan.start_s) // plan.slot_length_s
    steps = {}
    for parked in standing.parked:
        if parked.key not in plan.vehicle_wh:
            continue
        window, vehicle = parked.stay.window, parked.vehicle
        charge_wh, discharge_wh = (
            slot_limits_wh(window, power_w, start_s, plan.slot_length_s, 1)[0]
            for power_w in (vehicle.charge_w, vehicle.discharge_w)
        )
        taken = step(
            parked.storage,
            parked.stored_uwh,
            plan.vehicle_wh[parked.key][number],
            charge_limit_wh=charge_wh,
            discharge_limit_wh=max(0, min(discharge_wh, -surplus_wh)),
        )
        surplus_wh -= taken.charged_wh - taken.discharged_wh
        steps[parked.key] = taken
    return steps


def _battery(
    standing: Standing, plan: HomePlan, number: int, surplus_wh: int, unmatched_wh: int
) -> Step:
    """The battery as expected, corrected by what came differently and by what found no trade.

    Expected is what the plan wants, from what the battery holds now. More surplus than foreseen
    is stored, and less is made up for, so that the exchange stays as announced; where surplus
    would be spilled, less of it first means less to spill. What was not sold is stored, and what
    was meant to be bought for the battery and was not is not charged.
    """
    storage, battery = standing.storage, standing.home.battery
    if storage is None or battery is None:
        return Step(0, 0, 0, 0, 0)
    export_wh, floor_uwh = standing.export_max_wh, plan.floor_uwh[number]

    def limited(wanted_wh: int, left_wh: int) -> Step:
        return step(
            storage,
            standing.stored_uwh,
            wanted_wh,
            charge_limit_wh=None if battery.allow_grid_charging else max(0, left_wh),
            discharge_limit_wh=None if export_wh is None else max(0, export_wh - left_wh),
            floor_uwh=floor_uwh,
        )

    foreseen_wh = plan.surplus_wh[number]
    expected = limited(plan.wanted_wh[number], foreseen_wh)
    expected_wh = expected.charged_wh - expected.discharged_wh
    different_wh = surplus_wh - foreseen_wh
    if different_wh < 0 and export_wh is not None:
        to_spill_wh = max(0, foreseen_wh - expected_wh - export_wh)
        different_wh = min(0, different_wh + to_spill_wh)
    wanted_wh = expected_wh + different_wh
    if unmatched_wh > 0:
        wanted_wh += unmatched_wh
    elif unmatched_wh < 0:
        wanted_wh -= max(0, min(-unmatched_wh, expected_wh - max(0, foreseen_wh)))
    return limited(wanted_wh, surplus_wh)


def _shortfalls(
    standing: Standing,
    start_s: int,
    runs: dict[Key, int],
    vehicles: dict[Key, Step],
    stored_uwh: int,
    due_uwh: int,
) -> tuple[Shortfall, ...]:
    """What falls due in the slot and is not there."""
    name, end_s = standing.home.participant_id, start_s + standing.grid.length_s
    found = []
    for run in standing.runs:
        missing_wh = run.remaining_wh - runs.get(run.key, 0)
        if run.window.end_s <= end_s and missing_wh:
            found.append(Shortfall(name, run.load.name, run.window.end_s, missing_wh))
    for parked in standing.parked:
        if parked.stay.departure_s <= end_s:
            held = vehicles[parked.key].stored_uwh if parked.key in vehicles else parked.stored_uwh
            missing_wh = missing_cell_wh(parked.storage, held, parked.needed_uwh)
            if missing_wh:
                departure_s = parked.stay.departure_s
                found.append(Shortfall(name, parked.vehicle.name, departure_s, missing_wh))
    if standing.storage is not None and due_uwh:
        missing_wh = missing_cell_wh(standing.storage, stored_uwh, due_uwh)
        if missing_wh:
            found.append(Shortfall(name, BATTERY, end_s, missing_wh))
    return tuple(found)


def settle(standing: Standing, flows: Flows) -> None:
    """Move the home on to the end of the slot."""
    standing.next_s = flows.slot.start_s + standing.grid.length_s
    standing.stored_uwh = flows.slot.stored_uwh
    for run in standing.runs:
        run.remaining_wh -= flows.runs_wh.get(run.key, 0)
    for parked in standing.parked:
        if parked.key in flows.vehicles:
            parked.stored_uwh = flows.vehicles[parked.key].stored_uwh
    standing.runs = [
        run for run in standing.runs if run.remaining_wh and run.window.end_s > standing.next_s
    ]
    standing.parked = [one for one in standing.parked if one.stay.departure_s > standing.next_s]
