"""Slots on the local time axis; a long run is drawn day by day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import groupby
from math import isnan
from zoneinfo import ZoneInfo

from gridpact.model import RunResult, Slot, SlotResult
from gridpact.units import MICRO_PER_CURRENCY

SLOTS_DRAWN_MAX = 1344
"""Two weeks of quarter hours; beyond it single slots are thinner than a line."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_BY_DAY = "Each step is a day, with tariffs as means; the CSV has every slot."


@lru_cache(maxsize=64)
def zone_of(text: str) -> tzinfo:
    """The time zone of a scenario: an IANA name, or an offset such as `+01:00`.

    It was checked when the scenario was read.
    """
    if text[0] in "+-":
        return datetime.fromisoformat(f"1970-01-01T00:00{text}").tzinfo or UTC
    return ZoneInfo(text)


def date_text(day: date) -> str:
    """A date for people, the same in every locale.

    >>> date_text(date(2016, 6, 9))
    'Thu 9 June 2016'
    """
    return f"{_DAYS[day.weekday()]} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def slot_text(slot: Slot, zone: tzinfo) -> str:
    """A slot for people, `Thu 9 June 2016, 13:15 to 13:30`."""
    start = datetime.fromtimestamp(slot.start_s, zone)
    end = datetime.fromtimestamp(slot.end_s, zone)
    return f"{date_text(start)}, {start:%H:%M} to {end:%H:%M}"


def start_text(instant_s: int, zone: tzinfo) -> str:
    """An instant for tables.

    >>> start_text(1_465_423_200, UTC)
    '2016-06-08 22:00'
    """
    return f"{datetime.fromtimestamp(instant_s, zone):%Y-%m-%d %H:%M}"


def days_text(result: RunResult) -> str:
    """The traded days for people."""
    first = result.scenario.first_day
    if result.scenario.days == 1:
        return date_text(first)
    last = first + timedelta(days=result.scenario.days - 1)
    return f"{date_text(first)} to {date_text(last)}"


def duration_text(length_s: int) -> str:
    """A slot's length for people.

    >>> duration_text(900), duration_text(3600), duration_text(90)
    ('15 minutes', '1 hour', '90 seconds')
    """
    for unit_s, name in ((3600, "hour"), (60, "minute"), (1, "second")):
        if length_s % unit_s == 0:
            count = length_s // unit_s
            return f"{count} {name}" + ("s" if count != 1 else "")
    return f"{length_s} seconds"


@dataclass(frozen=True, slots=True)
class Span:
    """What is drawn as one step: a slot, or a whole day of a long run."""

    at: str
    """Start in local time as the axis takes it, `2016-06-09 13:15:00`."""
    load_wh: int
    pv_wh: int
    traded_wh: int
    turnover_nano: int
    grid_import_wh: int
    grid_export_wh: int
    retail: float
    """Currency per kWh; the mean over the slots."""
    feed_in: float
    """Currency per kWh; the mean over the slots."""
    stored_wh: int
    """Into batteries less out of them."""
    curtailed_wh: int
    vm_min_pu: float | None
    """Lowest voltage of any bus; None without a solved power flow."""
    vm_max_pu: float | None
    loading_max_percent: float | None
    """Highest loading of any branch."""

    @property
    def mean_price(self) -> float | None:
        """Currency per kWh over all trades; None without any."""
        if self.traded_wh == 0:
            return None
        return self.turnover_nano / self.traded_wh / MICRO_PER_CURRENCY


@dataclass(frozen=True, slots=True)
class Timeline:
    """A run as steps of equal width."""

    spans: tuple[Span, ...]
    width_ms: int
    by_day: bool
    """Whether a step is a day."""
    axis_title: str
    note: str
    """What a reader has to know about the axis; often nothing."""

    @property
    def bounds(self) -> tuple[str, str]:
        """Start of the first step and end of the last, as the axis takes them."""
        last = datetime.fromisoformat(self.spans[-1].at) + timedelta(milliseconds=self.width_ms)
        return self.spans[0].at, f"{last:%Y-%m-%d %H:%M:%S}"

    @property
    def before(self) -> str:
        """Start of the step before the first."""
        first = datetime.fromisoformat(self.spans[0].at) - timedelta(milliseconds=self.width_ms)
        return f"{first:%Y-%m-%d %H:%M:%S}"


def timeline_of(result: RunResult) -> Timeline:
    """The steps of a run.

    An axis has no clock changes. So slots lie at their time in the offset that holds when the run
    starts, and a note says so when the offset changes on the way.
    """
    scenario = result.scenario
    zone = zone_of(scenario.time_zone)
    starts = [datetime.fromtimestamp(slot.slot.start_s, zone) for slot in result.slots]
    if len(result.slots) > SLOTS_DRAWN_MAX:
        days = groupby(result.slots, key=lambda slot: slot.state.tariff.billing_day)
        spans = tuple(_span(f"{day} 00:00:00", list(slots)) for day, slots in days)
        return Timeline(spans, 86_400_000, by_day=True, axis_title="Day", note=_BY_DAY)
    offset = starts[0].utcoffset() or timedelta(0)
    fixed_zone = timezone(offset)
    spans = tuple(
        _span(f"{start.astimezone(fixed_zone):%Y-%m-%d %H:%M:%S}", [slot])
        for start, slot in zip(starts, result.slots, strict=True)
    )
    title, note = f"Local time ({scenario.time_zone})", ""
    if any(start.utcoffset() != offset for start in starts):
        title = f"Time in {fixed_zone}"
        note = f"Clocks in {scenario.time_zone} change on the way; the plots stay in {fixed_zone}."
    width_ms = 1000 * scenario.slot_length_s
    return Timeline(spans, width_ms, by_day=False, axis_title=title, note=note)


def _span(at: str, slots: Sequence[SlotResult]) -> Span:
    states = [slot.state for slot in slots]
    prices = len(slots) * MICRO_PER_CURRENCY
    grids = [slot.grid for slot in slots if slot.grid is not None]
    return Span(
        at=at,
        load_wh=sum(slot.load_wh for slot in slots),
        pv_wh=sum(slot.pv_wh for slot in slots),
        traded_wh=sum(state.traded_wh for state in states),
        turnover_nano=sum(state.turnover_nano for state in states),
        grid_import_wh=sum(state.grid_import_wh for state in states),
        grid_export_wh=sum(state.grid_export_wh for state in states),
        retail=sum(state.tariff.retail_micro_per_kwh for state in states) / prices,
        feed_in=sum(state.tariff.feed_in_micro_per_kwh for state in states) / prices,
        stored_wh=sum(slot.stored_wh for slot in slots),
        curtailed_wh=sum(state.curtailed_wh for state in states),
        vm_min_pu=min(known(grid.vm_min_pu for grid in grids), default=None),
        vm_max_pu=max(known(grid.vm_max_pu for grid in grids), default=None),
        loading_max_percent=max(known(grid.loading_max_percent for grid in grids), default=None),
    )


def known(values: Iterable[float | None]) -> list[float]:
    """The values that there are: neither None nor NaN.

    >>> known([1.0, None, float("nan")])
    [1.0]
    """
    return [value for value in values if value is not None and not isnan(value)]
