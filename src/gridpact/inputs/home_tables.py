"""What members own in a scenario file: batteries, loads that wait or bend, vehicles.

The reader knows the range of each key. Whether keys fit each other and the days of the run is what
`model.asset_checks` says about the home that they describe; its findings go back to the keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.inputs.daily import read_daily_window
from gridpact.inputs.homes import deferrable_of, vehicle_of
from gridpact.inputs.tables import shown
from gridpact.model import DeferrablePattern, HomePattern, VehiclePattern
from gridpact.model.asset_checks import home_problems
from gridpact.model.assets import PERMILLE, PPM, Battery, FlexibleLoad, Home, Planning
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gridpact.inputs.homes import RunDays
    from gridpact.inputs.tables import TableReader

DEFAULT_PERMILLE = 950
"""Efficiency each way of batteries and of vehicles: 90 % there and back."""
PLANNINGS = {
    "self_consumption": Planning.SELF_CONSUMPTION,
    "arbitrage": Planning.ARBITRAGE,
    "optimised": Planning.OPTIMISED,
}
BATTERY_KEYS = {
    "capacity_wh": (1, QUANTITY_MAX),
    "charge_w": (0, QUANTITY_MAX),
    "discharge_w": (0, QUANTITY_MAX),
    "charge_permille": (1, PERMILLE),
    "discharge_permille": (1, PERMILLE),
    "stored_initial_wh": (0, QUANTITY_MAX),
    "stored_min_wh": (0, QUANTITY_MAX),
    "stored_max_wh": (0, QUANTITY_MAX),
    "stored_final_wh": (0, QUANTITY_MAX),
    "self_discharge_ppm_per_hour": (0, PPM),
    "wear_micro_per_kwh": (0, QUANTITY_MAX),
}
"""Whole numbers of a battery, with their ranges; the first two are required."""
REQUIRED = ("capacity_wh", "charge_w")
_INSTANTS = re.compile(r"(?:windows|stays)(?:\[\d+\])?\.?")
"""What a file says once for all days."""


@dataclass(frozen=True, slots=True)
class CommonHome:
    """What holds for every member that does not say otherwise."""

    run: RunDays
    planning: Planning
    battery: Mapping[str, int] | None
    """The keys of [battery]; None without this table."""
    battery_sound: bool
    """Whether nothing is wrong with them."""


def read_common_home(top: TableReader, agents: TableReader, run: RunDays) -> CommonHome:
    """`planning` of [agents] and the table [battery]; problems are noted in the readers."""
    planning = agents.choice("planning", PLANNINGS, default="self_consumption")
    table = top.table("battery")
    if not top.has("battery") or top.faulty("battery"):
        return CommonHome(run, planning, None, battery_sound=not top.faulty("battery"))
    values = _battery_keys(table)
    _require(table, values)
    table.finish()
    _check(table, "battery", Home(participant_id="", battery=_battery_of(values)), run)
    return CommonHome(run, planning, values, battery_sound=table.sound)


def read_home(row: TableReader, common: CommonHome, *, owns_generation: bool) -> HomePattern | None:
    """What a [[participant]] owns; None when that is nothing but load and generation."""
    battery = _battery(row, common, owns_generation=owns_generation)
    tables = {key: row.tables(key) for key in ("deferrable", "flexible", "vehicle")}
    deferrable = tuple(_deferrable(table, common.run) for table in tables["deferrable"])
    flexible = tuple(_flexible(table, common.run) for table in tables["flexible"])
    vehicles = tuple(_vehicle(table, common.run) for table in tables["vehicle"])
    _check_names([table for group in tables.values() for table in group])
    export_max_w = None
    if row.has("export_max_w"):
        export_max_w = row.integer("export_max_w", 0, QUANTITY_MAX, default=0)
        if not owns_generation and battery is None:
            row.refuse(("export_max_w",), "without generation or a battery nothing is exported")
    inherited = next(word for word, way in PLANNINGS.items() if way is common.planning)
    planning = row.choice("planning", PLANNINGS, default=inherited)
    if battery is None and export_max_w is None and not any(tables.values()):
        if row.sound:
            row.refuse(("planning",), "the participant owns nothing that can be planned")
        return None
    return HomePattern(
        planning=planning,
        battery=battery,
        deferrable=deferrable,
        flexible=flexible,
        vehicles=vehicles,
        export_max_w=export_max_w,
    )


def common_pattern(common: CommonHome) -> HomePattern | None:
    """The home of a member that owns generation and has no keys of its own."""
    if common.battery is None:
        return None
    return HomePattern(planning=common.planning, battery=_battery_of(common.battery))


def _battery(row: TableReader, common: CommonHome, *, owns_generation: bool) -> Battery | None:
    """The battery of [battery] with the keys of [participant.battery] on top, or none."""
    table, own = row.table("battery"), row.has("battery")
    values = _battery_keys(table)
    table.finish()
    inherits = owns_generation and common.battery is not None
    wanted = row.boolean("own_battery", default=own or inherits)
    if not wanted and own:
        row.problem(
            "own_battery",
            "false does not fit [participant.battery]; allowed: one of the two; remove one",
        )
    if not wanted:
        return None
    if not own and common.battery is None:
        if common.battery_sound and not row.faulty("own_battery"):
            row.problem(
                "own_battery",
                "true, but there is no [battery]; allowed: true with [battery] or "
                "[participant.battery]; add one of them, or remove own_battery",
            )
        return None
    merged = {**(common.battery or {}), **values}
    if own and not row.faulty("battery") and common.battery_sound:
        _require(table, merged)
        home = Home(participant_id="", battery=_battery_of(merged))
        _check(table, "battery", home, common.run)
    return _battery_of(merged)


def _battery_keys(table: TableReader) -> dict[str, int]:
    """The keys that a table gives."""
    values = {
        key: table.integer(key, low, high, default=low)
        for key, (low, high) in BATTERY_KEYS.items()
        if table.has(key)
    }
    if table.has("allow_grid_charging"):
        values["allow_grid_charging"] = table.boolean("allow_grid_charging", default=False)
    return values


def _require(table: TableReader, values: Mapping[str, int]) -> None:
    for key in REQUIRED:
        if key not in values:
            low, high = BATTERY_KEYS[key]
            table.integer(key, low, high)


def _battery_of(values: Mapping[str, int]) -> Battery:
    """A battery from the keys given, and the defaults of the others."""
    capacity_wh, charge_w = (values.get(key, 1) for key in REQUIRED)
    stored_min_wh = values.get("stored_min_wh", 0)
    return Battery(
        capacity_wh=capacity_wh,
        charge_w=charge_w,
        discharge_w=values.get("discharge_w", charge_w),
        charge_permille=values.get("charge_permille", DEFAULT_PERMILLE),
        discharge_permille=values.get("discharge_permille", DEFAULT_PERMILLE),
        stored_initial_wh=values.get("stored_initial_wh", stored_min_wh),
        stored_min_wh=stored_min_wh,
        stored_max_wh=values.get("stored_max_wh", capacity_wh),
        stored_final_wh=values.get("stored_final_wh", 0),
        self_discharge_ppm_per_hour=values.get("self_discharge_ppm_per_hour", 0),
        wear_micro_per_kwh=values.get("wear_micro_per_kwh", 0),
        allow_grid_charging=bool(values.get("allow_grid_charging", False)),
    )


def _deferrable(table: TableReader, run: RunDays) -> DeferrablePattern:
    """One [[participant.deferrable]]."""
    pattern = DeferrablePattern(
        name=table.name("name"),
        energy_wh=table.integer("energy_wh", 1, QUANTITY_MAX),
        power_w=table.integer("power_w", 1, QUANTITY_MAX),
        interruptible=table.boolean("interruptible", default=False),
        window=read_daily_window(table),
    )
    table.finish()
    home = Home(participant_id="", deferrable=(deferrable_of(pattern, run),))
    _check(table, pattern.name, home, run)
    return pattern


def _flexible(table: TableReader, run: RunDays) -> FlexibleLoad:
    """One [[participant.flexible]]."""
    power_nominal_w = table.integer("power_nominal_w", 0, QUANTITY_MAX)
    load = FlexibleLoad(
        name=table.name("name"),
        power_min_w=table.integer("power_min_w", 0, QUANTITY_MAX, default=0),
        power_nominal_w=power_nominal_w,
        power_max_w=table.integer("power_max_w", 0, QUANTITY_MAX, default=power_nominal_w),
        disutility_micro_per_kw2h=table.integer("disutility_micro_per_kw2h", 1, QUANTITY_MAX),
    )
    table.finish()
    _check(table, load.name, Home(participant_id="", flexible=(load,)), run)
    return load


def _vehicle(table: TableReader, run: RunDays) -> VehiclePattern:
    """One [[participant.vehicle]]."""
    discharge_w = table.integer("discharge_w", 0, QUANTITY_MAX, default=0)
    usual_permille = DEFAULT_PERMILLE if discharge_w else PERMILLE
    pattern = VehiclePattern(
        name=table.name("name"),
        capacity_wh=table.integer("capacity_wh", 1, QUANTITY_MAX),
        charge_w=table.integer("charge_w", 1, QUANTITY_MAX),
        charge_permille=table.integer("charge_permille", 1, PERMILLE, default=DEFAULT_PERMILLE),
        discharge_w=discharge_w,
        discharge_permille=table.integer("discharge_permille", 1, PERMILLE, default=usual_permille),
        at_home=read_daily_window(table),
        arrival_wh=table.integer("arrival_wh", 0, QUANTITY_MAX),
        needed_wh=table.integer("needed_wh", 0, QUANTITY_MAX),
    )
    if not discharge_w and not table.faulty("discharge_w"):
        table.refuse(("discharge_permille",), "discharge_w is 0, so nothing comes out")
    table.finish()
    _check(table, pattern.name, Home(participant_id="", vehicles=(vehicle_of(pattern, run),)), run)
    return pattern


def _check(table: TableReader, name: str, home: Home, run: RunDays) -> None:
    """Note at its key what is wrong with the one asset of a home, once for all days.

    Nothing is said about tables with a problem: the values that stand in for it fit nothing.
    """
    if not table.sound:
        return
    for problem in home_problems(home, run.first):
        place = problem.where.removeprefix(f": {name}").removeprefix(".")
        key = (_INSTANTS.sub("", place) or "to") if place else "name"
        if not table.faulty(key):
            table.problem(key, problem.message)


def _check_names(tables: list[TableReader]) -> None:
    """Assets of one member are told apart by their names."""
    first: dict[object, str] = {}
    for table in tables:
        name = table.given("name")
        if not isinstance(name, str) or table.faulty("name"):
            continue
        if name in first:
            table.problem("name", f"{shown(name)} is the name of {first[name]} already; rename one")
        else:
            first[name] = table.where("name")
