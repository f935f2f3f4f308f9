"""Scenario files: TOML to a checked `Scenario`, or all problems at once.

The table of keys with units, defaults and ranges is `docs/scenario.md`.
"""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from gridpact.errors import InputError, Problem
from gridpact.inputs import simbench
from gridpact.inputs.calendar import (
    FIRST_DATE,
    LAST_DATE,
    SECONDS_PER_DAY,
    midnight_s,
    parse_zone,
)
from gridpact.inputs.carbon_policy import read_carbon
from gridpact.inputs.connections import read_network
from gridpact.inputs.homes import RunDays
from gridpact.inputs.members import Offered, read_members
from gridpact.inputs.profile_table import read_profile_source, read_zone
from gridpact.inputs.profiles import coverage_problems, load_profiles
from gridpact.inputs.tables import Findings, TableReader, shown
from gridpact.inputs.tariffs import read_tariff
from gridpact.model import MeteringPolicy, Reporting, Scenario, Slot, TieRule
from gridpact.model.assets import PERMILLE
from gridpact.units import INT64_MAX

VERSION = 1
"""Of the file format."""
DAYS_MAX = 366
SLOT_LENGTH_MIN_S = 60
ORDERS_PER_SLOT_MAX = 100
SEALED_DEPOSIT_MAX_MICRO = 10**12
"""A million units of currency for each order."""
BUILTIN = ("rural-day",)
"""Scenarios that ship with the package."""
TIES = {"pro_rata": TieRule.PRO_RATA, "time": TieRule.TIME}
REPORTINGS = {"meter": Reporting.METER, "metering_operator": Reporting.METERING_OPERATOR}
_DATA_ROOTS = frozenset(
    {"first_day", "days", "slot_length_s", "time_zone", "profiles", "agents", "participant"}
)
"""Keys that say what to read from the profiles."""


def load_scenario(path: str | Path) -> Scenario:
    """The scenario in a TOML file.

    Raises:
        InputError: everything that is wrong with the file, by table and key. The rows of its
            profile file are checked by `load_profiles`.
    """
    scenario, findings = _read(Path(path))
    if findings.problems:
        raise InputError(findings.problems)
    return scenario


def builtin_scenario(name: str = "rural-day") -> Scenario:
    """A scenario that ships with the package.

    >>> builtin_scenario().name
    'rural-day'

    Raises:
        InputError: there is none of this name.
    """
    if name not in BUILTIN:
        message = f"{shown(name)} is not a built-in scenario; allowed: {', '.join(BUILTIN)}"
        raise InputError([Problem("scenario", message)])
    file = resources.files("gridpact").joinpath("data", "scenarios", f"{name}.toml")
    with resources.as_file(file) as path:
        return load_scenario(path)


def validate_scenario(path: str | Path) -> tuple[Problem, ...]:
    """All problems of a scenario file and of the profiles it names; empty when it can run.

    The profiles are read too, even when other parts of the file are wrong, as long as the keys
    that say what to read are right.
    """
    try:
        scenario, findings = _read(Path(path))
    except InputError as error:
        return error.problems
    problems = findings.problems
    if findings.roots.isdisjoint(_DATA_ROOTS):
        try:
            load_profiles(scenario)
        except InputError as error:
            problems += error.problems
    return tuple(problems)


def _read(path: Path) -> tuple[Scenario, Findings]:
    """A scenario and its problems; only without problems is it what the file says."""
    findings = Findings(path.name)
    top = TableReader(_toml(path), findings)
    version = top.integer("version", 0, INT64_MAX, remedy=f"write version = {VERSION}")
    if version != VERSION and not top.faulty("version"):
        message = f"{version} is not a version that this release reads; allowed: {VERSION}"
        raise InputError([Problem(f"{path.name}: version", message)])
    time_zone = read_zone(top, default=None)
    slot_length_s = _slot_length(top)
    source = top.table("profiles")
    profiles, columns = read_profile_source(source, path.parent, time_zone)
    of_grid = None if source.faulty("source") else profiles.file is None
    if of_grid:
        _check_interval(top, slot_length_s)
    network, market = top.table("network"), top.table("market")
    policy, connections = read_network(network, path.parent, of_grid=of_grid)
    region = network.name("region", default="local")
    first_day = top.day("first_day", FIRST_DATE, LAST_DATE)
    days = top.integer("days", 1, DAYS_MAX, default=1)
    zone = parse_zone(time_zone)
    tariff = read_tariff(top.table("tariff"), region, slot_length_s)
    run = RunDays(first_day, days, zone, Slot(midnight_s(first_day, zone), slot_length_s))
    members, forecasting = read_members(
        top,
        Offered(
            of_grid=of_grid,
            file=profiles.file.name if profiles.file else "",
            columns=columns,
            has_network=policy is not None,
            connections=connections,
        ),
        run,
    )
    carbon = read_carbon(top.table("carbon"), path.parent, has_network=policy is not None, run=run)
    scenario = Scenario(
        name=top.name("name"),
        seed=top.integer("seed", 0, INT64_MAX, default=1),
        currency=_currency(top),
        time_zone=time_zone,
        first_day=first_day,
        days=days,
        slot_length_s=slot_length_s,
        market_id=market.name("id", default="local"),
        tie=market.choice("tie", TIES, default="pro_rata"),
        orders_per_slot=market.integer("orders_per_slot", 1, ORDERS_PER_SLOT_MAX, default=4),
        network=policy,
        tariff=tariff,
        profiles=profiles,
        members=members,
        forecasting=forecasting,
        metering=_metering(top.table("metering")),
        carbon=carbon,
        sealed_deposit_micro=market.integer(
            "sealed_deposit_micro",
            0,
            SEALED_DEPOSIT_MAX_MICRO,
            default=0,
            remedy="give micro-currency: a deposit of 0.10 is 100000",
        ),
    )
    network.finish()
    market.finish()
    top.finish()
    if of_grid and findings.roots.isdisjoint(_DATA_ROOTS):
        held = (simbench.START_S, simbench.END_S, simbench.INTERVAL_S)
        for problem in coverage_problems(scenario, *held):
            findings.add(problem.where, problem.message)
    return scenario, findings


def _toml(path: Path) -> dict[str, Any]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        reason = f"cannot be read: {error.strerror or error}; check the path"
        raise InputError([Problem(str(path), reason)]) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        reason = f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise InputError([Problem(f"{path.name}:{line}", reason)]) from error
    except ValueError as error:  # a path with a NUL character
        raise InputError([Problem(repr(str(path)), f"is not a path: {error}")]) from error
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        reason = f"is not TOML: {error}; correct the syntax"
        raise InputError([Problem(path.name, reason)]) from error


def _slot_length(top: TableReader) -> int:
    value = top.integer("slot_length_s", SLOT_LENGTH_MIN_S, SECONDS_PER_DAY, default=900)
    if SECONDS_PER_DAY % value:
        top.problem(
            "slot_length_s",
            f"{value} does not divide a day; allowed: divisors of {SECONDS_PER_DAY} from "
            f"{SLOT_LENGTH_MIN_S}; use 900, 1800 or 3600",
        )
        return simbench.INTERVAL_S
    return value


def _check_interval(top: TableReader, slot_length_s: int) -> None:
    if slot_length_s != simbench.INTERVAL_S and not top.faulty("slot_length_s"):
        top.problem(
            "slot_length_s",
            f"{slot_length_s} is not the interval of the SimBench profiles; allowed: "
            f"{simbench.INTERVAL_S}; set slot_length_s = {simbench.INTERVAL_S}",
        )


def _currency(top: TableReader) -> str:
    allowed = "three capital letters, an ISO 4217 code such as 'EUR'"
    value = top.text("currency", allowed)
    if value and not re.fullmatch(r"[A-Z]{3}", value):
        top.problem("currency", f"{shown(value)} is not a currency; allowed: {allowed}; correct it")
    return value


def _metering(table: TableReader) -> MeteringPolicy:
    policy = MeteringPolicy(
        reporting=table.choice("reporting", REPORTINGS, default="meter"),
        late_permille=table.integer("late_permille", 0, PERMILLE, default=0),
    )
    table.finish()
    return policy
