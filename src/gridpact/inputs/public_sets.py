"""Two public data sets in the form in which they are published.

Both count every day as 24 hours. How that is read on the days on which clocks change is written
down in `docs/meter-files.md`; neither publisher says more than is cited there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.inputs.batches import Batch
from gridpact.inputs.calendar import FIRST_DATE, LAST_DATE, SECONDS_PER_DAY
from gridpact.inputs.fixed_point import parse_odd
from gridpact.inputs.labels import (
    EPOCH_DAY,
    Clock,
    constant_offset_s,
    wall_instants,
)
from gridpact.inputs.layouts import WideLayout
from gridpact.inputs.row_sources import AUSGRID_NOTICES
from gridpact.inputs.tables import closest, shown
from gridpact.model import IntervalLabel, Quality

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from numpy.typing import NDArray

    from gridpact.inputs.complaints import Complaints
    from gridpact.inputs.row_sources import RowSource
    from gridpact.quantize import IntArray

UCI_TIME_COLUMN = ""
CUSTOMER, CATEGORY, DATE, ROW_QUALITY = (
    "Customer",
    "Consumption Category",
    "date",
    "Row Quality",
)
CATEGORIES = ("GC", "CL", "GG")
"""General consumption, controlled load, gross generation."""
HALF_HOUR_S = 1800
HALF_HOURS = 48
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DATE = re.compile(r"(\d{1,2})(?:/(\d{1,2})/|-([A-Za-z]{3})-)((?:19|20)?\d\d)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):([03]0)", re.ASCII)


def without_skipped_hours(batch: Batch, point: str, zone: tzinfo, complaints: Complaints) -> Batch:
    """A batch of local days without the hour that the clocks skip, which has to be zero.

    Args:
        batch: with times of the wall clock.
        point: decimal point.
        zone: of the wall clock.
        complaints: takes values that are not zero.
    """
    skips = _skipped(batch.times, zone)
    if not skips.any():
        return batch
    for row in np.flatnonzero(skips).tolist():
        for text in (texts[row] for texts in batch.values):
            if not _is_nothing(text, point):
                complaints.note(
                    int(batch.lines[row]),
                    f"{batch.labels[row]} does not exist in the time zone {zone}, but has the "
                    f"value {shown(text)}; allowed: 0 in the hour that clocks jump over; set "
                    "profiles.time_zone to the clock that the file follows",
                )
    rest = batch.part(~skips)
    rest.skipped = (batch.skipped + np.cumsum(skips))[~skips]
    return rest


def _skipped(times: IntArray, zone: tzinfo) -> NDArray[np.bool_]:
    """Which times of a wall clock never come."""
    days, place = np.unique(np.maximum(times, 0) // SECONDS_PER_DAY, return_inverse=True)
    changing = np.array([constant_offset_s(int(day), zone, 0) is None for day in days])[place]
    skips = np.zeros(len(times), dtype=np.bool_)
    for index in np.flatnonzero(changing & (times >= 0)).tolist():
        skips[index] = not wall_instants(int(times[index]), zone)
    return skips


def _is_nothing(text: str, point: str) -> bool:
    number = parse_odd(text, point)
    return not text.strip() or (number is not None and number == 0)


class UciLayout(WideLayout):
    """`LD2011_2014.txt`: mean kW of quarter-hours, labelled by their end, 96 on every day.

    Args:
        source: the file.
        zone: of its wall clock.
        series: the columns wanted.
    """

    def __init__(self, source: RowSource, zone: tzinfo, series: Sequence[str]) -> None:
        super().__init__(source, UCI_TIME_COLUMN, Clock(UTC, IntervalLabel.END, 0), series)
        self._zone = zone

    def batches(self, complaints: Complaints) -> Iterator[Batch]:
        """All rows but those of the hour that clocks skip."""
        dropped = 0
        for batch in super().batches(complaints):
            rest = without_skipped_hours(batch, ",", self._zone, complaints)
            rest.skipped = rest.skipped + dropped
            dropped += len(batch.lines) - len(rest.lines)
            yield rest


class AusgridLayout:
    """The solar homes: kWh of half-hours, one row per customer, category and day.

    A series is `12/GC`, `12/CL`, `12/GG`, or a sum such as `12/GC+CL`.

    Args:
        source: the file.
        zone: of its wall clock.
        series: the series wanted.
    Raises:
        InputError: a column is missing.
    """

    def __init__(self, source: RowSource, zone: tzinfo, series: Sequence[str], file: str) -> None:
        self._source, self._zone = source, zone
        self._columns = [CUSTOMER, CATEGORY, DATE, *_half_hour_columns(source.header, file)]
        self._has_quality = ROW_QUALITY in source.header
        self.values: Sequence[str] = ("kWh",)
        meters: dict[str, int] = {}
        self.places: dict[str, tuple[tuple[int, int], ...]] = {}
        for name in series:
            customer, _, categories = name.partition("/")
            wanted = categories.split("+")
            if customer and set(wanted) <= set(CATEGORIES) and len(set(wanted)) == len(wanted):
                names = [f"{customer}/{category}" for category in wanted]
                self.places[name] = tuple((meters.setdefault(n, len(meters)), 0) for n in names)
        self.meters: Sequence[str] = list(meters)
        self._seen: set[str] = set()

    @property
    def sha256(self) -> str:
        """Of the file, once it has been read."""
        return self._source.sha256

    def batches(self, complaints: Complaints) -> Iterator[Batch]:
        """The half-hours of the wanted customers and categories."""
        extra = [ROW_QUALITY] if self._has_quality else []
        index = {name: number for number, name in enumerate(self.meters)}
        gone = 0
        for chunk in self._source.chunks([*self._columns, *extra], complaints):
            days: list[_Day] = []
            lines, skipped = chunk.lines.tolist(), chunk.skipped.tolist()
            for line, passed, *row in zip(lines, skipped, *chunk.columns, strict=True):
                name = f"{row[0].strip()}/{row[1].strip()}"
                self._seen.add(name)
                if name not in index:
                    continue
                label = row[2].strip()
                day = _day(label)
                if day is None:
                    message = f"{shown(label)} is not a date; write 1/07/2012, day first, or "
                    complaints.note(line, f"{message}1-Jul-12")
                    gone += HALF_HOURS
                    continue
                quality = Quality.ESTIMATED if extra and row[-1].strip() else Quality.MEASURED
                values = self._values(row[3 : 3 + HALF_HOURS], day)
                days.append(_Day(line, passed + gone, index[name], day, label, values, quality))
            if days:
                batch = _half_hours(days)
                rest = without_skipped_hours(batch, ".", self._zone, complaints)
                gone += len(batch.lines) - len(rest.lines)
                yield rest

    def _values(self, values: list[str], day: int) -> list[str]:
        """The values of a day, those of the skipped hour where a wall clock has them.

        The half-hour before the jump ends when the clock already shows an hour more. A file may
        count on and label it by the time that does not exist, with zeros after it.
        """
        if constant_offset_s(day, self._zone, 0) is not None:
            return values
        ends = day * SECONDS_PER_DAY + HALF_HOUR_S * np.arange(1, HALF_HOURS + 1)
        skips = np.flatnonzero(_skipped(ends, self._zone))
        if len(skips) == 0 or skips[-1] + 1 == HALF_HOURS:
            return values
        first, after = int(skips[0]), int(skips[-1]) + 1
        if _is_nothing(values[first], ".") or not _is_nothing(values[after], "."):
            return values
        swapped = list(values)
        swapped[first], swapped[after] = values[after], values[first]
        return swapped

    def name(self, meter: int, value: int) -> str:
        """What messages call a value."""
        return self.meters[meter]

    def absent(self, series: str) -> str:
        """Why the file has no such series."""
        if series not in self.places:
            return (
                f"{shown(series)} does not name readings of a customer; allowed: a customer with "
                "one of GC, CL, GG, or a sum, such as '12/GC+CL'"
            )
        missing = [name for meter, _ in self.places[series] if (name := self.meters[meter])]
        missing = [name for name in missing if name not in self._seen]
        near = closest(missing[0], self._seen) if missing else ""
        return f"it has no rows of {', '.join(missing)}{near}"


@dataclass(frozen=True, slots=True)
class _Day:
    """One row: a day of one meter."""

    line: int
    skipped: int
    meter: int
    day: int
    """Since 1970-01-01."""
    label: str
    values: list[str]
    quality: Quality


def _half_hours(days: list[_Day]) -> Batch:
    """Days as readings of half-hours."""
    ends = HALF_HOUR_S * np.arange(1, HALF_HOURS + 1, dtype=np.int64)
    starts = SECONDS_PER_DAY * np.array([day.day for day in days], dtype=np.int64)
    clocks = [f"{minute // 60}:{minute % 60:02d}" for minute in range(30, 24 * 60 + 1, 30)]
    return Batch(
        np.repeat(np.array([day.line for day in days]), HALF_HOURS),
        np.repeat(np.array([day.skipped for day in days]), HALF_HOURS),
        (starts[:, np.newaxis] + ends).ravel(),
        [f"{day.label} {clock}" for day in days for clock in clocks],
        np.repeat(np.array([day.meter for day in days]), HALF_HOURS),
        [list(chain.from_iterable(day.values for day in days))],
        np.repeat(np.array([day.quality for day in days], dtype=np.uint8), HALF_HOURS),
    )


def _day(text: str) -> int | None:
    """Days since 1970 of `1-Jul-10` or `1/07/2012`, day first."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    name = (found[3] or "").lower()
    if name and name not in _MONTHS:
        return None
    month = _MONTHS.index(name) + 1 if name else int(found[2])
    year = int(found[4]) if len(found[4]) == 4 else 2000 + int(found[4])
    try:
        day = date(year, month, int(found[1]))
    except ValueError:
        return None
    return day.toordinal() - EPOCH_DAY if FIRST_DATE <= day <= LAST_DATE else None


def _half_hour_columns(header: Sequence[str], file: str) -> list[str]:
    """The columns of 0:30 to 0:00, in the order of the day."""
    by_minute = {}
    for column in header:
        if found := _CLOCK.fullmatch(column):
            minute = int(found[1]) * 60 + int(found[2])
            by_minute[minute or HALF_HOURS * 30] = column
    wanted = [30 * (i + 1) for i in range(HALF_HOURS)]
    missing = [name for name in (CUSTOMER, CATEGORY, DATE) if name not in header]
    missing += [f"{(m // 60) % 24}:{m % 60:02d}" for m in wanted if m not in by_minute]
    if missing:
        raise InputError(
            [
                Problem(
                    f"{file}:{AUSGRID_NOTICES + 1}",
                    f"lacks the columns {shown(', '.join(missing))}; the second line of Ausgrid's "
                    "files names Customer, Consumption Category, date and 0:30 to 0:00",
                )
            ]
        )
    return [by_minute[minute] for minute in wanted]
