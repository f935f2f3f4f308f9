"""Scenario to gross energies per member and slot, with the history that forecasts need."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from gridpact.errors import InputError, Problem, invariant
from gridpact.inputs import simbench
from gridpact.inputs.calendar import (
    FIRST_DATE,
    Window,
    day_bounds,
    history_start_s,
    midnight_s,
    parse_zone,
    utc_text,
)
from gridpact.model import Profiles, Quality, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from gridpact.inputs.batches import ByteArray
    from gridpact.model import Scenario
    from gridpact.quantize import IntArray


def load_profiles(scenario: Scenario) -> Profiles:
    """Gross load and PV of all members, from `season_days` before the first day to the last slot.

    Rows follow the order of the scenario's members.

    Raises:
        InputError: bad rows of the file, or days that it does not cover.
    """
    if scenario.profiles.file is None:
        return _from_simbench(scenario)
    return _from_file(scenario, scenario.profiles.file)


def coverage_problems(
    scenario: Scenario, start_s: int, end_s: int, interval_s: int
) -> list[Problem]:
    """Why profiles of this span and interval do not hold the scenario's days with history."""
    zone = parse_zone(scenario.time_zone)
    length_s = scenario.slot_length_s
    bounds = day_bounds(scenario.first_day, scenario.days, zone)
    first_s, last_s = bounds[0][0], bounds[-1][1]
    step_s = min(length_s, interval_s)
    for number, midnight in enumerate([first_s, *(day_end_s for _, day_end_s in bounds)]):
        off = (midnight - start_s) % step_s
        if off or (midnight - first_s) % length_s:
            day = scenario.first_day + timedelta(days=number)
            inside = f"interval of {step_s} s of the profiles" if off else f"slot of {length_s} s"
            return [
                Problem(
                    "time_zone",
                    f"midnight of {day} in {scenario.time_zone} is {utc_text(midnight)}, inside an "
                    f"{inside}; allowed: days that begin with an interval and a slot; change "
                    "time_zone or slot_length_s",
                )
            ]
    season_days = _season_days(scenario)
    needed_s = history_start_s(scenario.first_day, season_days, zone)
    if start_s <= _window(scenario).start_s and last_s <= end_s:
        return []
    earliest, latest = _first_days(scenario, start_s, end_s)
    remedy = (
        f"choose first_day from {earliest} to {latest}"
        if earliest <= latest
        else "give longer profiles, fewer days, or a smaller agents.season_days"
    )
    return [
        Problem(
            "first_day",
            f"{scenario.first_day} with days = {scenario.days} and {season_days} days of history "
            f"needs {utc_text(needed_s)} to {utc_text(last_s)}; the profiles hold "
            f"{utc_text(start_s)} to {utc_text(end_s)}; {remedy}",
        )
    ]


def _season_days(scenario: Scenario) -> int:
    return max(member.agent.season_days for member in scenario.members)


def _first_days(scenario: Scenario, start_s: int, end_s: int) -> tuple[date, date]:
    """Earliest and latest `first_day` that the profiles would allow; crossed when there is none."""
    zone = parse_zone(scenario.time_zone)
    season_days = _season_days(scenario)
    one_day = timedelta(days=1)
    earliest = datetime.fromtimestamp(start_s, UTC).date() - one_day
    earliest = max(FIRST_DATE, earliest + timedelta(days=season_days))
    while history_start_s(earliest, season_days, zone) < start_s:
        earliest += one_day
    day_after = datetime.fromtimestamp(end_s, UTC).date() + one_day
    while midnight_s(day_after, zone) > end_s:
        day_after -= one_day
    return earliest, day_after - timedelta(days=scenario.days)


def _from_simbench(scenario: Scenario) -> Profiles:
    import numpy as np

    members = scenario.members
    problems = coverage_problems(scenario, simbench.START_S, simbench.END_S, simbench.INTERVAL_S)
    if problems:
        raise InputError(problems)
    shares, sha256 = simbench.read_profiles()
    window = _window(scenario)
    first = (window.start_s - simbench.START_S) // simbench.INTERVAL_S
    last = first + window.slots
    load_wh = simbench.energy_wh(
        [member.load_nominal_w for member in members],
        _rows(shares, [member.load_column for member in members], first, last),
    )
    pv_wh = simbench.energy_wh(
        [member.pv_nominal_w for member in members],
        _rows(shares, [member.pv_column for member in members], first, last),
    )
    quality = np.full(load_wh.shape, Quality.MEASURED, dtype=np.uint8)
    return _profiles(scenario, load_wh, pv_wh, quality, f"{simbench.PROFILE_FILE} {sha256}")


def _from_file(scenario: Scenario, file: Path) -> Profiles:
    import numpy as np

    from gridpact.inputs.series import read_series

    members = scenario.members
    loads = [member.load_column for member in members]
    plants = [member.pv_column for member in members]
    window = _window(scenario)
    series, problems = read_series(
        file,
        scenario.profiles,
        parse_zone(scenario.profiles.time_zone),
        list(dict.fromkeys([*loads, *filter(None, plants)])),
        window,
    )
    if series is not None:
        problems += coverage_problems(scenario, series.start_s, series.end_s, series.interval_s)
    if series is None or problems:
        raise InputError(problems)
    quality = np.maximum(
        _rows(series.quality, loads, 0, window.slots),
        _rows(series.quality, plants, 0, window.slots),
    )
    return _profiles(
        scenario,
        _rows(series.wh, loads, 0, window.slots),
        _rows(series.wh, plants, 0, window.slots),
        quality.astype(np.uint8),
        f"{file.name} {series.sha256}",
        _remarks(series.remarks, quality),
    )


def _remarks(remarks: tuple[str, ...], quality: IntArray) -> tuple[str, ...]:
    """What was mended, and how many of the readings that are used it concerns."""
    found = []
    for code in (Quality.ESTIMATED, Quality.SUBSTITUTED):
        count = int((quality == code).sum())
        if count:
            name = code.name.lower()
            found.append(f"{count} of {quality.size} slot readings of members are {name}")
    return (*remarks, *found)


def _window(scenario: Scenario) -> Window:
    """The traded slots and those before them that cover the history."""
    zone = parse_zone(scenario.time_zone)
    length_s = scenario.slot_length_s
    needed_s = history_start_s(scenario.first_day, _season_days(scenario), zone)
    bounds = day_bounds(scenario.first_day, scenario.days, zone)
    first_s = bounds[0][0]
    history = -((needed_s - first_s) // length_s)
    slots = (bounds[-1][1] - first_s) // length_s
    return Window(first_s - history * length_s, first_s + slots * length_s, length_s)


def _rows(
    series: Mapping[str, NDArray[np.integer[Any]]], columns: Sequence[str], first: int, last: int
) -> IntArray:
    """One row per column name, zeros where the name is empty."""
    import numpy as np

    rows = np.zeros((len(columns), last - first), dtype=np.int64)
    for row, column in zip(rows, columns, strict=True):
        if column:
            row[:] = series[column][first:last]
    return rows


def _profiles(
    scenario: Scenario,
    load_wh: IntArray,
    pv_wh: IntArray,
    quality: ByteArray,
    source: str,
    remarks: tuple[str, ...] = (),
) -> Profiles:
    """The result, from energies that end with the last slot."""
    length_s = scenario.slot_length_s
    zone = parse_zone(scenario.time_zone)
    bounds = day_bounds(scenario.first_day, scenario.days, zone)
    first_s, end_s = bounds[0][0], bounds[-1][1]
    slots = tuple(Slot(start_s, length_s) for start_s in range(first_s, end_s, length_s))
    history = load_wh.shape[1] - len(slots)
    invariant(history >= 0 and load_wh.shape == pv_wh.shape, "profiles end with the last slot")
    return Profiles(
        slots=slots,
        days=tuple(
            ((start_s - first_s) // length_s, (day_end_s - first_s) // length_s)
            for start_s, day_end_s in bounds
        ),
        history=history,
        load_wh=load_wh,
        pv_wh=pv_wh,
        sources=(source,),
        stated_quality=quality,
        remarks=remarks,
    )
