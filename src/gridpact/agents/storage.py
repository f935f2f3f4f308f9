"""Batteries in exact integers: one slot, a row of slots, and how low one may go on the way.

What is stored counts as drawable micro-Wh (`gridpact.model.assets`). Every limit is a whole
number, so whatever a plan asks for, no step leaves the limits and no energy comes from nowhere.
Nothing here knows prices, loads or why a battery should do anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, NamedTuple

from gridpact.errors import invariant
from gridpact.model.assets import PERMILLE, PPM, SECONDS_PER_HOUR, UWH_PER_WH
from gridpact.units import ceil_divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model.assets import Battery, ElectricVehicle

UWH_PER_CELL_WH = UWH_PER_WH // PERMILLE
"""Drawable micro-Wh of one Wh in the cells, per permille of discharging efficiency."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A battery as slots of one length see it: all limits whole, in the units of a step."""

    charge_max_wh: int
    """In one slot, at the wiring."""
    discharge_max_wh: int
    gain_uwh: int
    """Drawable energy that one charged Wh adds: the round-trip efficiency in millionths."""
    min_uwh: int
    """Drawable energy at `stored_min_wh`, and so on."""
    max_uwh: int
    kept: int
    """Share of what lies above the minimum that is still there after a slot, over `kept_of`."""
    kept_of: int
    cell_uwh: int
    """Drawable energy of one Wh in the cells."""

    def level_uwh(self, stored_wh: int) -> int:
        """Drawable energy of so much energy in the cells."""
        return stored_wh * self.cell_uwh

    def after_rest_uwh(self, stored_uwh: int) -> int:
        """What self-discharge leaves of it in one slot, rounded down."""
        return self.min_uwh + (stored_uwh - self.min_uwh) * self.kept // self.kept_of


class Step(NamedTuple):
    """One slot of a battery: 10^6 x charged = 10^6 x discharged + both losses + change."""

    charged_wh: int
    discharged_wh: int
    """At most one of the two is above zero."""
    stored_uwh: int
    """At the end of the slot."""
    self_discharge_uwh: int
    conversion_loss_uwh: int
    """Of charging and of discharging later, booked when charging."""


class Path(NamedTuple):
    """What a battery does in T slots."""

    battery_wh: list[int]
    """+ charged, - discharged."""
    stored_uwh: list[int]
    """At the end of each slot."""


def storage_of(battery: Battery, slot_length_s: int) -> Storage:
    """A battery's limits for slots of this length; powers round down to whole Wh per slot.

    Source: [CESDT23], eq. (7)-(10). Ours: what is stored is counted as drawable energy, and
    self-discharge acts on what lies above the minimum.
    """
    whole = PPM * SECONDS_PER_HOUR
    lost = min(whole, battery.self_discharge_ppm_per_hour * slot_length_s)
    cell_uwh = battery.discharge_permille * UWH_PER_CELL_WH
    return Storage(
        charge_max_wh=battery.charge_w * slot_length_s // SECONDS_PER_HOUR,
        discharge_max_wh=battery.discharge_w * slot_length_s // SECONDS_PER_HOUR,
        gain_uwh=battery.charge_permille * battery.discharge_permille,
        min_uwh=battery.stored_min_wh * cell_uwh,
        max_uwh=battery.stored_max_wh * cell_uwh,
        kept=whole - lost,
        kept_of=whole,
        cell_uwh=cell_uwh,
    )


def storage_of_vehicle(vehicle: ElectricVehicle, slot_length_s: int) -> Storage:
    """A vehicle's battery for slots of this length; it holds what it has."""
    cell_uwh = vehicle.discharge_permille * UWH_PER_CELL_WH
    return Storage(
        charge_max_wh=vehicle.charge_w * slot_length_s // SECONDS_PER_HOUR,
        discharge_max_wh=vehicle.discharge_w * slot_length_s // SECONDS_PER_HOUR,
        gain_uwh=vehicle.charge_permille * vehicle.discharge_permille,
        min_uwh=0,
        max_uwh=vehicle.capacity_wh * cell_uwh,
        kept=1,
        kept_of=1,
        cell_uwh=cell_uwh,
    )


def step(
    storage: Storage,
    stored_uwh: int,
    wanted_wh: int,
    *,
    charge_limit_wh: int | None = None,
    discharge_limit_wh: int | None = None,
    floor_uwh: int = 0,
) -> Step:
    """One slot: as much of what is wanted as all limits allow.

    First self-discharge, then charging or discharging. Charging stops at the maximum, and
    discharging at the minimum or at the floor, whichever is higher. Below the floor it charges
    towards it, as far as power and `charge_limit_wh` go, whatever is wanted.

    Args:
        storage: the battery.
        stored_uwh: drawable energy at the start of the slot, from minimum to maximum.
        wanted_wh: + to charge, - to discharge, at the wiring.
        charge_limit_wh: what there is to charge from, >= 0; no limit but power when None.
        discharge_limit_wh: what there is to discharge into, >= 0.
        floor_uwh: drawable energy that should be there at the end of the slot.
    Raises:
        InvariantError: the state lies outside the limits.

    Source: [CESDT23], eq. (7)-(10).
    """
    invariant(
        storage.min_uwh <= stored_uwh <= storage.max_uwh,
        f"a battery holds {stored_uwh} uWh, outside {storage.min_uwh}..{storage.max_uwh}",
    )
    rested_uwh = storage.after_rest_uwh(stored_uwh)
    floor_uwh = max(floor_uwh, storage.min_uwh)
    if rested_uwh < floor_uwh:
        wanted_wh = max(wanted_wh, ceil_divide(floor_uwh - rested_uwh, storage.gain_uwh))
    charged_wh = discharged_wh = 0
    if wanted_wh > 0:
        room_wh = (storage.max_uwh - rested_uwh) // storage.gain_uwh
        charged_wh = min(wanted_wh, storage.charge_max_wh, room_wh)
        if charge_limit_wh is not None:
            charged_wh = min(charged_wh, charge_limit_wh)
    elif wanted_wh < 0:
        drawable_wh = (rested_uwh - floor_uwh) // UWH_PER_WH
        discharged_wh = min(-wanted_wh, storage.discharge_max_wh, drawable_wh)
        if discharge_limit_wh is not None:
            discharged_wh = min(discharged_wh, discharge_limit_wh)
    return Step(
        charged_wh,
        discharged_wh,
        rested_uwh + charged_wh * storage.gain_uwh - discharged_wh * UWH_PER_WH,
        stored_uwh - rested_uwh,
        charged_wh * (UWH_PER_WH - storage.gain_uwh),
    )


def path(
    storage: Storage,
    stored_uwh: int,
    wanted_wh: Sequence[int],
    *,
    charge_limit_wh: Sequence[int] | None = None,
    discharge_limit_wh: Sequence[int] | None = None,
    floor_uwh: Sequence[int] | None = None,
) -> Path:
    """A row of steps; every argument as in `step`, one value per slot."""
    slots = len(wanted_wh)
    battery_wh: list[int] = []
    states_uwh: list[int] = []
    for wanted, charge, discharge, floor in zip(
        wanted_wh,
        repeat(None, slots) if charge_limit_wh is None else charge_limit_wh,
        repeat(None, slots) if discharge_limit_wh is None else discharge_limit_wh,
        repeat(0, slots) if floor_uwh is None else floor_uwh,
        strict=True,
    ):
        taken = step(
            storage,
            stored_uwh,
            wanted,
            charge_limit_wh=charge,
            discharge_limit_wh=discharge,
            floor_uwh=floor,
        )
        stored_uwh = taken.stored_uwh
        battery_wh.append(taken.charged_wh - taken.discharged_wh)
        states_uwh.append(stored_uwh)
    return Path(battery_wh, states_uwh)


def floors_uwh(
    storage: Storage, charge_limit_wh: Sequence[int], due_uwh: Sequence[int]
) -> list[int]:
    """The least that must be stored after each slot so that what is due can still be reached.

    Going backwards: before a slot there must be what is due after it, less the most that the slot
    can charge, plus what self-discharge takes. Who stays on or above the path in one slot can do
    so in the next by charging, which `step` sees to.

    Args:
        storage: the battery.
        charge_limit_wh: what each slot has to charge from, >= 0.
        due_uwh: drawable energy due at the end of each slot; 0 where nothing is.
    Returns:
        drawable energy for the end of each slot, from minimum to maximum. One whole charged Wh
        below the maximum it stops, because steps of whole Wh may not meet the last one.

    Source: [CESDT23], eq. (11). Ours: the paper leaves open how the end of the day is reached.
    """
    top_uwh = max(storage.min_uwh, storage.max_uwh - storage.gain_uwh + 1)
    floors: list[int] = []
    needed_uwh = 0
    for due, charge in zip(reversed(due_uwh), reversed(charge_limit_wh), strict=True):
        needed_uwh = min(max(needed_uwh, due, storage.min_uwh), top_uwh)
        floors.append(needed_uwh)
        charge_wh = min(charge, storage.charge_max_wh)
        above_uwh = needed_uwh - storage.min_uwh - charge_wh * storage.gain_uwh
        if above_uwh <= 0:
            needed_uwh = storage.min_uwh
        elif storage.kept == 0:
            needed_uwh = top_uwh
        else:
            needed_uwh = storage.min_uwh + ceil_divide(above_uwh * storage.kept_of, storage.kept)
    floors.reverse()
    return floors


def missing_cell_wh(storage: Storage, stored_uwh: int, due_uwh: int) -> int:
    """What is missing in the cells, rounded up; 0 when less than one charged Wh is missing."""
    missing_uwh = due_uwh - stored_uwh
    return ceil_divide(missing_uwh, storage.cell_uwh) if missing_uwh >= storage.gain_uwh else 0
