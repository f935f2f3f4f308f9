"""What stands in a home: batteries, loads that can wait or bend, vehicles, and what they did.

Times are UTC, energies whole Wh, and what a battery holds is kept in whole micro-Wh *as it comes
out again*: energy that can be drawn, discharging losses already taken off. So one Wh in adds
efficiency x efficiency micro-Wh, one Wh out takes 10^6, and nothing is ever rounded. Nothing here
plans anything, and what can be wrong with an asset is in `asset_checks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING

from gridpact.units import ceil_divide

if TYPE_CHECKING:
    from datetime import tzinfo

    from gridpact.model.scenario import Slot

PERMILLE = 1000
PPM = 10**6
UWH_PER_WH = 10**6
SECONDS_PER_HOUR = 3600
SECONDS_PER_MINUTE = 60
MINUTES_PER_DAY = 1440


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open interval of UTC time in which something may run."""

    start_s: int
    end_s: int
    """First second after it."""

    def overlap_s(self, start_s: int, end_s: int) -> int:
        """Seconds that it shares with [start_s, end_s), 0 when none.

        >>> Window(600, 2400).overlap_s(0, 900)
        300
        """
        return max(0, min(self.end_s, end_s) - max(self.start_s, start_s))

    def __str__(self) -> str:
        return f"{utc_text(self.start_s)} to {utc_text(self.end_s)}"


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """A time of day by the wall clock that comes again."""

    weekdays: frozenset[int]
    """Days on which it begins, Monday 0 to Sunday 6."""
    from_minute: int
    """First minute of the day, 0..1439."""
    to_minute: int
    """First minute after it, 0..1440; not above from_minute: it ends on the day after."""

    def windows(self, first_day: date, days: int, zone: tzinfo) -> tuple[Window, ...]:
        """The windows that begin on `days` local days from `first_day` on, in UTC.

        On the day of 23 hours a window is an hour shorter when it spans the change, and absent
        when all of it is skipped; on the day of 25 hours it is an hour longer.

        >>> from datetime import date, timezone
        >>> night = DailyWindow(frozenset(range(7)), 22 * 60, 6 * 60)
        >>> [str(w) for w in night.windows(date(2024, 5, 1), 1, timezone.utc)]
        ['2024-05-01 22:00Z to 2024-05-02 06:00Z']
        """
        found = []
        for number in range(days):
            day = first_day + timedelta(days=number)
            if day.weekday() in self.weekdays:
                overnight = 0 if self.to_minute > self.from_minute else MINUTES_PER_DAY
                start_s = _instant_s(day, self.from_minute, zone)
                end_s = _instant_s(day, self.to_minute + overnight, zone)
                if start_s < end_s:
                    found.append(Window(start_s, end_s))
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A stationary battery behind a member's meter.

    Source: [CESDT23], eq. (7)-(11). Ours: self-discharge takes from what is above
    `stored_min_wh`, so that (10) can always be kept.
    """

    capacity_wh: int
    """Energy that its cells can hold."""
    charge_w: int
    """Largest power from the home's wiring, 0 or more."""
    discharge_w: int
    """Largest power into the home's wiring, 0 or more."""
    charge_permille: int
    """Share of the charged energy that reaches the cells, 1..1000."""
    discharge_permille: int
    """Share of the energy taken from the cells that reaches the wiring, 1..1000."""
    stored_initial_wh: int
    """In the cells before the first slot."""
    stored_min_wh: int = 0
    """It is never discharged below this."""
    stored_max_wh: int
    """It is never charged above this; at most the capacity."""
    stored_final_wh: int = 0
    """What must be in the cells at the end of each day, as far as that can be reached."""
    self_discharge_ppm_per_hour: int = 0
    """Share of the stored energy that is lost per hour, in millionths."""
    wear_micro_per_kwh: int = 0
    """What discharging one kWh is worth in lost life."""
    allow_grid_charging: bool = False
    """Whether it may take more than the home's own surplus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PvPlant:
    """A photovoltaic plant, as its generation is computed from the weather."""

    latitude_deg: float
    """+ north, -90..90."""
    longitude_deg: float
    """+ east, -180..180."""
    tilt_deg: float
    """Of the panels, 0 flat to 90 upright."""
    azimuth_deg: float
    """Where they look: 0 north, 90 east, 180 south, 0..360."""
    peak_kw: float
    """Power under standard conditions, >= 0."""
    altitude_m: float = 0.0
    """Above the sea, -500..9000; clear air is clearer high up."""


@dataclass(frozen=True, slots=True)
class DeferrableLoad:
    """Energy that must be used once in each window, such as a run of a dishwasher.

    Source: [CESDT23], section 3.1, energy "that must be completed in a specific time range".
    """

    name: str
    energy_wh: int
    """Used in each window, > 0."""
    power_w: int
    """Most that it draws; one that cannot be interrupted draws just this until it is done."""
    interruptible: bool
    windows: tuple[Window, ...]
    """In time order, without overlap."""


@dataclass(frozen=True, slots=True)
class FlexibleLoad:
    """A load that runs all day and bends with the price, at a discomfort.

    Source: [CESDT23], section 3.1, power within limits and a disutility for leaving the nominal
    operating point. Ours: the disutility is a (P - P_nominal)^2 per hour; the paper gives none.
    """

    name: str
    power_min_w: int
    power_nominal_w: int
    """What it draws when energy costs nothing."""
    power_max_w: int
    disutility_micro_per_kw2h: int
    """a, > 0: discomfort of being one kW off for one hour, in micro-currency."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A vehicle at its charging point."""

    arrival_s: int
    departure_s: int
    """First second at which it is gone."""
    arrival_wh: int
    """In its battery when it arrives."""
    needed_wh: int
    """At least in its battery when it leaves."""

    @property
    def window(self) -> Window:
        """When it can charge."""
        return Window(self.arrival_s, self.departure_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectricVehicle:
    """A vehicle that charges at home, from any source."""

    name: str
    capacity_wh: int
    charge_w: int
    """Largest power of the charging point, > 0."""
    charge_permille: int
    """Share of the charged energy that reaches its battery, 1..1000."""
    discharge_w: int = 0
    """Largest power back into the home; 0: there is no vehicle-to-home. Never into the grid."""
    discharge_permille: int = PERMILLE
    """Share of the energy taken from its battery that reaches the home, 1..1000."""
    stays: tuple[Stay, ...]
    """In time order, without overlap."""


class Planning(IntEnum):
    """How a home decides what its battery and its loads do."""

    SELF_CONSUMPTION = 1
    """the rule: store what is left over, use it as soon as it is needed, sell neither."""
    ARBITRAGE = 2
    """stored energy has one value per horizon, and every slot's prices are held against it."""
    OPTIMISED = 3
    """a linear programme over the horizon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What one member can move."""

    participant_id: str
    planning: Planning = Planning.SELF_CONSUMPTION
    battery: Battery | None = None
    deferrable: tuple[DeferrableLoad, ...] = ()
    flexible: tuple[FlexibleLoad, ...] = ()
    vehicles: tuple[ElectricVehicle, ...] = ()
    export_max_w: int | None = None
    """Surplus above it is spilled; 0 spills all of it, None exports all of it."""


class PlanOutcome(IntEnum):
    """Where a plan comes from."""

    AS_ASKED = 1
    """the home's own way of planning."""
    RULE_CHEAPER = 2
    """self-consumption: in whole Wh it costs less on the same forecast."""
    SOLVER_FAILED = 3
    """self-consumption: the linear programme was not solved; `HomePlan.reason` says why."""


@dataclass(frozen=True, slots=True)
class HomePlan:
    """What a home means to do in T slots, as it would come out if its forecast were right."""

    start_s: int
    slot_length_s: int
    outcome: PlanOutcome
    reason: str
    """Why the solver failed; empty otherwise."""
    cost_pico: int
    """Of the plan on its own forecast: purchases - sales + wear + disutility - what is stored or
    done early."""
    rule_cost_pico: int
    """What self-consumption would cost on the same forecast."""
    surplus_wh: tuple[int, ...]
    """What all loads and vehicles leave for the battery, + = surplus, on this forecast."""
    net_wh: tuple[int, ...]
    """Expected exchange with market and grid, + = export."""
    wanted_wh: tuple[int, ...]
    """What the battery should do, + charge, as far as its limits allow when the time comes."""
    battery_wh: tuple[int, ...]
    """What that comes to on this forecast: + charged, - discharged, at the wiring."""
    stored_uwh: tuple[int, ...]
    """Drawable energy at the end of each slot."""
    floor_uwh: tuple[int, ...]
    """Least of it from which the day's final level can still be reached on this forecast."""
    flexible_wh: tuple[int, ...]
    """All flexible loads together."""
    deferrable_wh: dict[tuple[str, int], tuple[int, ...]]
    """By load and start of its window."""
    vehicle_wh: dict[tuple[str, int], tuple[int, ...]]
    """By vehicle and arrival: + charged, - discharged, at the wiring."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Energy that was due and is not there: named, never silently dropped."""

    participant_id: str
    asset: str
    """The load's or the vehicle's name, or `battery` for the day's final level."""
    due_s: int
    """End of the window, departure, or end of the day."""
    missing_wh: int
    """> 0; of a battery and a vehicle what is missing in the cells."""

    def __str__(self) -> str:
        return (
            f"{self.participant_id}: {self.asset} is {self.missing_wh} Wh short "
            f"at {utc_text(self.due_s)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HomeSlot:
    """What flowed in a home in one slot. Three balances hold to the unit.

    pv = self_used + stored + exported_pv + spilled;
    pv + discharged + imported (vehicles' discharging included) = all loads + charged (vehicles'
    charging included) + exported + spilled;
    10^6 x charged = 10^6 x discharged + losses + change of drawable energy, for the battery and
    for the vehicles alike.
    """

    start_s: int
    pv_wh: int
    load_wh: int
    """Of the profile, without what follows."""
    flexible_wh: int
    deferrable_wh: int
    vehicle_charged_wh: int
    vehicle_discharged_wh: int
    """All of it used in the home."""
    self_used_wh: int
    """PV that loads and vehicles took at once."""
    stored_wh: int
    """PV that went into the battery."""
    exported_pv_wh: int
    spilled_wh: int
    """PV that nobody took: export was limited."""
    charged_wh: int
    """Into the battery, from PV and, where that is allowed, from outside."""
    discharged_wh: int
    """Out of the battery."""
    exported_battery_wh: int
    """The part of it that left the home."""
    imported_wh: int
    """From market and grid."""
    conversion_loss_uwh: int
    """Of the battery, both ways, booked when charging."""
    self_discharge_uwh: int
    """Of the battery."""
    stored_uwh: int
    """Drawable energy of the battery at the end of the slot."""
    vehicle_loss_uwh: int
    """Of the vehicles, both ways, booked when charging."""
    vehicle_change_uwh: int
    """Drawable energy at the end less at the start, over the vehicles that are there."""
    shortfalls: tuple[Shortfall, ...]
    """What fell due in this slot and is not there."""

    @property
    def net_wh(self) -> int:
        """What the meter sees, + = export."""
        return self.exported_pv_wh + self.exported_battery_wh - self.imported_wh


@dataclass(frozen=True, slots=True)
class PlanPrices:
    """What a home expects energy to cost in T slots, fees included."""

    buy_micro_per_kwh: tuple[int, ...]
    """Paid for what it takes, >= 0."""
    sell_micro_per_kwh: tuple[int, ...]
    """Got for what it gives, 0..buy."""
    leftover_micro_per_kwh: int
    """Value of energy that is stored, or of load that is served early, when the horizon ends."""


def room_wh(window: Window, power_w: int, slot: Slot) -> int:
    """Energy that fits into a window at this power, slot by slot and rounded down in each.

    Args:
        window: when.
        power_w: at most.
        slot: any slot of the run; it says where slots begin.

    >>> from gridpact.model import Slot
    >>> room_wh(Window(300, 2700), 1001, Slot(900, 900))  # 166 + 250 + 250
    666
    """
    first_s = window.start_s + (slot.start_s - window.start_s) % slot.length_s
    if first_s >= window.end_s:
        return power_w * max(0, window.end_s - window.start_s) // SECONDS_PER_HOUR
    whole, rest_s = divmod(window.end_s - first_s, slot.length_s)
    return (
        power_w * (first_s - window.start_s) // SECONDS_PER_HOUR
        + whole * (power_w * slot.length_s // SECONDS_PER_HOUR)
        + power_w * rest_s // SECONDS_PER_HOUR
    )


def whole_slots(window: Window, slot: Slot) -> int:
    """How many slots lie wholly inside a window."""
    first_s = window.start_s + (slot.start_s - window.start_s) % slot.length_s
    return max(0, window.end_s - first_s) // slot.length_s


def charge_needed_wh(vehicle: ElectricVehicle, stay: Stay) -> int:
    """Energy at the wiring that lifts a vehicle to what it needs, rounded up to a whole Wh."""
    missing_wh = max(0, stay.needed_wh - stay.arrival_wh)
    return ceil_divide(missing_wh * PERMILLE, vehicle.charge_permille)


def _instant_s(day: date, minute: int, zone: tzinfo) -> int:
    """An instant by the wall clock; the first of two, and the instant of a jump for one skipped."""
    skipped = 0
    while True:
        wall = datetime(day.year, day.month, day.day) + timedelta(  # noqa: DTZ001
            minutes=minute - skipped
        )
        instant_s = int(wall.replace(tzinfo=zone).timestamp())
        if datetime.fromtimestamp(instant_s, zone).replace(tzinfo=None) == wall:
            # the minute before a jump ends at the jump
            return instant_s + (SECONDS_PER_MINUTE if skipped else 0)
        skipped += 1


def utc_text(instant_s: int) -> str:
    """An instant for people, `2016-06-09 22:00Z`."""
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%d %H:%MZ")
