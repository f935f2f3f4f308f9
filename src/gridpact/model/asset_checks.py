"""What can be wrong with a home's assets: all of it at once, each with what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpact.errors import Problem
from gridpact.model.assets import (
    PERMILLE,
    PPM,
    SECONDS_PER_HOUR,
    Battery,
    DeferrableLoad,
    ElectricVehicle,
    FlexibleLoad,
    Home,
    PvPlant,
    Stay,
    Window,
    charge_needed_wh,
    room_wh,
    utc_text,
    whole_slots,
)
from gridpact.units import QUANTITY_MAX, ceil_divide

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gridpact.model.scenario import Slot


def home_problems(home: Home, slot: Slot) -> list[Problem]:
    """Everything that is wrong with a home's assets; empty when it can be planned.

    Args:
        home: what it has.
        slot: any slot of the run; it says where slots begin and how long they are.
    """
    where = home.participant_id
    problems = _Problems()
    if home.export_max_w is not None:
        problems.between(where, "export_max_w", home.export_max_w, 0, QUANTITY_MAX, "W")
    if home.battery is not None:
        _check_battery(problems, f"{where}: battery", home.battery)
    for load in home.deferrable:
        _check_deferrable(problems, f"{where}: {load.name}", load, slot)
    for flexible in home.flexible:
        _check_flexible(problems, f"{where}: {flexible.name}", flexible)
    for vehicle in home.vehicles:
        _check_vehicle(problems, f"{where}: {vehicle.name}", vehicle, slot)
    names = [load.name for load in home.deferrable]
    names += [flexible.name for flexible in home.flexible]
    names += [vehicle.name for vehicle in home.vehicles]
    for name in sorted({name for name in names if names.count(name) > 1 or name == "battery"}):
        problems.add(f"{where}: {name}", "is the name of something else too; rename it")
    return problems.found


def plant_problems(plant: PvPlant) -> list[Problem]:
    """Everything that is wrong with a photovoltaic plant."""
    problems = []
    for field, low, high, unit in (
        ("latitude_deg", -90.0, 90.0, "degrees, + north"),
        ("longitude_deg", -180.0, 180.0, "degrees, + east"),
        ("tilt_deg", 0.0, 90.0, "degrees from flat"),
        ("azimuth_deg", 0.0, 360.0, "degrees, 180 is south"),
        ("peak_kw", 0.0, 1e6, "kW"),
        ("altitude_m", -500.0, 9000.0, "m"),
    ):
        problems += real_problems(field, getattr(plant, field), low, high, unit)
    return problems


def real_problems(field: str, value: float, low: float, high: float, unit: str) -> list[Problem]:
    """One problem when a real number is NaN or out of range."""
    if low <= value <= high:
        return []
    return [Problem(field, f"{value:g} is out of range; allowed: {low:g} to {high:g} {unit}")]


class _Problems:
    """Collects what is wrong."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, where: str, message: str) -> None:
        self.found.append(Problem(where, message))

    def between(self, where: str, field: str, value: int, low: int, high: int, unit: str) -> bool:
        """Note a value outside low..high; whether it is inside."""
        if low <= value <= high:
            return True
        self.add(
            f"{where}.{field}",
            f"{value} {unit} is out of range; allowed: {low} to {high}; give a value in this range",
        )
        return False


def _check_battery(problems: _Problems, where: str, battery: Battery) -> None:
    def check(field: str, low: int, high: int, unit: str) -> bool:
        return problems.between(where, field, getattr(battery, field), low, high, unit)

    sized = check("capacity_wh", 0, QUANTITY_MAX, "Wh")
    for field in ("charge_w", "discharge_w"):
        check(field, 0, QUANTITY_MAX, "W")
    for field in ("charge_permille", "discharge_permille"):
        check(field, 1, PERMILLE, "permille")
    check("self_discharge_ppm_per_hour", 0, PPM, "ppm per hour")
    check("wear_micro_per_kwh", 0, QUANTITY_MAX, "micro-currency per kWh")
    if (
        sized
        and check("stored_max_wh", 0, battery.capacity_wh, "Wh")
        and check("stored_min_wh", 0, battery.stored_max_wh, "Wh")
    ):
        for field in ("stored_initial_wh", "stored_final_wh"):
            low = battery.stored_min_wh if field == "stored_initial_wh" else 0
            check(field, low, battery.stored_max_wh, "Wh")


def _check_deferrable(problems: _Problems, where: str, load: DeferrableLoad, slot: Slot) -> None:
    sized = problems.between(where, "energy_wh", load.energy_wh, 1, QUANTITY_MAX, "Wh")
    sized &= problems.between(where, "power_w", load.power_w, 1, QUANTITY_MAX, "W")
    _check_order(problems, f"{where}.windows", load.windows)
    if not sized:
        return
    each_wh = load.power_w * slot.length_s // SECONDS_PER_HOUR
    needed = ceil_divide(load.energy_wh, each_wh) if each_wh else 0
    short = [
        window
        for window in load.windows
        if window.start_s < window.end_s
        and (
            room_wh(window, load.power_w, slot) < load.energy_wh
            or (not load.interruptible and (not needed or whole_slots(window, slot) < needed))
        )
    ]
    if short:
        run = "" if load.interruptible else f", in {max(1, needed)} whole slots without a break"
        problems.add(
            f"{where}.windows",
            f"{short[0]} is too short for {load.energy_wh} Wh at {load.power_w} W{run}"
            f"{_and_more(short)}; widen the window, raise power_w or lower energy_wh",
        )


def _check_flexible(problems: _Problems, where: str, load: FlexibleLoad) -> None:
    if problems.between(where, "power_max_w", load.power_max_w, 0, QUANTITY_MAX, "W"):
        most = load.power_max_w
        if problems.between(where, "power_min_w", load.power_min_w, 0, most, "W"):
            low = load.power_min_w
            problems.between(where, "power_nominal_w", load.power_nominal_w, low, most, "W")
    problems.between(
        where,
        "disutility_micro_per_kw2h",
        load.disutility_micro_per_kw2h,
        1,
        QUANTITY_MAX,
        "micro-currency per kW^2 and hour",
    )


def _check_vehicle(problems: _Problems, where: str, vehicle: ElectricVehicle, slot: Slot) -> None:
    sized = problems.between(where, "capacity_wh", vehicle.capacity_wh, 1, QUANTITY_MAX, "Wh")
    able = problems.between(where, "charge_w", vehicle.charge_w, 1, QUANTITY_MAX, "W")
    problems.between(where, "discharge_w", vehicle.discharge_w, 0, QUANTITY_MAX, "W")
    for field in ("charge_permille", "discharge_permille"):
        value = getattr(vehicle, field)
        able &= problems.between(where, field, value, 1, PERMILLE, "permille")
    _check_order(problems, f"{where}.stays", [stay.window for stay in vehicle.stays])
    short = []
    for number, stay in enumerate(vehicle.stays):
        at = f"{where}.stays[{number}]"
        for field in ("arrival_wh", "needed_wh") if sized else ():
            value = getattr(stay, field)
            able &= problems.between(at, field, value, 0, vehicle.capacity_wh, "Wh")
        if able and stay.arrival_s < stay.departure_s:
            needed_wh = charge_needed_wh(vehicle, stay)
            if room_wh(stay.window, vehicle.charge_w, slot) < needed_wh:
                short.append(stay)
    if short:
        first = short[0]
        problems.add(
            f"{where}.stays",
            f"{first.window} is too short to charge {charge_needed_wh(vehicle, first)} Wh at "
            f"{vehicle.charge_w} W, from {first.arrival_wh} to {first.needed_wh} Wh at "
            f"{vehicle.charge_permille} permille{_and_more(short)}; allow a longer stay, raise "
            "charge_w or lower needed_wh",
        )


def _check_order(problems: _Problems, where: str, windows: Iterable[Window]) -> None:
    """Windows that end before they begin, or that do not follow each other."""
    before: Window | None = None
    for number, window in enumerate(windows):
        if window.end_s <= window.start_s:
            problems.add(
                f"{where}[{number}]",
                f"ends at {utc_text(window.end_s)}, which is not after its start at "
                f"{utc_text(window.start_s)}; a departure comes after the arrival",
            )
        elif before is not None and window.start_s < before.end_s:
            problems.add(
                f"{where}[{number}]",
                f"{window} begins before {before} has ended; put them in order, without overlap",
            )
        before = window


def _and_more(short: list[Window] | list[Stay]) -> str:
    return f" (and {len(short) - 1} more like it)" if len(short) > 1 else ""
