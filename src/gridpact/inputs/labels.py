"""The times that meter files write beside their values: text to instants, clock changes included.

Most labels are one instant. Those near a change of clocks can be two instants or none, and only
the rows around them tell which: `Clock.times` marks them, `Clock.candidates` lists what they can
be.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gridpact.inputs.calendar import FIRST_DATE, LAST_DATE, SECONDS_PER_DAY
from gridpact.model import IntervalLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.quantize import IntArray

EPOCH_DAY = date(1970, 1, 1).toordinal()
NOT_A_TIME = -(2**60)
"""What stands for a label that is no time at all."""
_SPECIAL = NOT_A_TIME + 1
"""What stands for the first label near a change of clocks; further ones count up."""
_MEMORY_MAX = 200_000
"""Labels remembered: a month of minutes, or five years of quarter-hours."""
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.0{1,9})?)?"
    r"(?:(Z)|([+-])(\d\d):(\d\d))?",
    re.ASCII,
)


class Clock:
    """Reads the labels of one file.

    Args:
        zone: of labels without an offset.
        label: whether a label is the start or the end of its interval.
        reach_s: longest interval that is possible.
    """

    def __init__(self, zone: tzinfo, label: IntervalLabel, reach_s: int) -> None:
        self._zone = zone
        self._label = label
        self._reach_s = reach_s if label is IntervalLabel.END else 0
        self._known: dict[str, int] = {}
        self._special: list[datetime] = []

    def times(self, labels: Sequence[str]) -> IntArray:
        """For each label its instant in seconds UTC, or a mark, which is below zero."""
        if len(self._known) > _MEMORY_MAX:
            self._known.clear()
        known = self._known
        times = [known.get(label) for label in labels]
        for index, time in enumerate(times):
            if time is None:
                label = labels[index]
                if label not in known:
                    known[label] = self._time(label.strip())
                times[index] = known[label]
        return np.array(times, dtype=np.int64)

    def candidates(self, mark: int, interval_s: int) -> tuple[list[int], bool]:
        """The instants that a marked label can stand for, in order.

        Returns:
            the instants, none when the clocks skip the label; and whether the wall clock never
            shows it, though as the end of the interval before the clocks jump it has a meaning:
            02:00 where 03:00 follows 01:59.
        """
        naive = self._special[mark - _SPECIAL]
        found = _instants(naive, self._zone)
        shown = bool(found)
        if self._label is IntervalLabel.END:
            # Some files write the wall clock at the end, others their start plus the interval.
            start = naive - timedelta(seconds=interval_s)
            found |= {instant + interval_s for instant in _instants(start, self._zone)}
        return sorted(found), not shown

    def _time(self, text: str) -> int:
        found = _TIME.fullmatch(text)
        if found is None:
            return NOT_A_TIME
        year, month, day, hour, minute = (int(part) for part in found.group(1, 2, 3, 4, 5))
        second = int(found[6] or 0)
        end_of_day = (hour, minute, second) == (24, 0, 0) and self._label is IntervalLabel.END
        if not FIRST_DATE.year <= year <= LAST_DATE.year or second > 59 or minute > 59:
            return NOT_A_TIME
        try:
            ordinal = date(year, month, day).toordinal()
        except ValueError:
            return NOT_A_TIME
        if hour > 23 and not end_of_day:
            return NOT_A_TIME
        naive_s = (ordinal - EPOCH_DAY) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second
        if found[7]:
            return naive_s
        if found[8]:
            offset_s = int(found[9]) * 3600 + int(found[10]) * 60
            if int(found[9]) > 14 or int(found[10]) > 59:
                return NOT_A_TIME
            return naive_s - offset_s if found[8] == "+" else naive_s + offset_s
        offset = constant_offset_s(naive_s // SECONDS_PER_DAY, self._zone, self._reach_s)
        if offset is not None:
            return naive_s - offset
        self._special.append(_EPOCH + timedelta(seconds=naive_s))
        return _SPECIAL + len(self._special) - 1


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock, which no zone goes with


@lru_cache(maxsize=4096)
def constant_offset_s(day: int, zone: tzinfo, reach_s: int) -> int | None:
    """The offset from UTC that holds through a local day; None when it changes.

    Args:
        day: counted from 1970-01-01.
        zone: of the day.
        reach_s: how long before the day it must have held, too.
    """
    start = _EPOCH + timedelta(days=day)
    moments = (start - timedelta(seconds=reach_s), start, start + timedelta(days=1))
    offsets = {
        moment.replace(tzinfo=zone, fold=fold).utcoffset() for moment in moments for fold in (0, 1)
    }
    offset = offsets.pop()
    return None if offsets or offset is None else int(offset.total_seconds())


def _instants(naive: datetime, zone: tzinfo) -> set[int]:
    """When a wall clock shows this: once, twice, or never."""
    earlier, later = (
        int(naive.replace(tzinfo=zone, fold=fold).astimezone(UTC).timestamp()) for fold in (0, 1)
    )
    return {earlier, later} if earlier <= later else set()


def wall_instants(naive_s: int, zone: tzinfo) -> list[int]:
    """When a wall clock shows `naive_s`, seconds since 1970 as it counts: once, twice, or never.

    >>> from zoneinfo import ZoneInfo
    >>> berlin = ZoneInfo("Europe/Berlin")
    >>> two_o_clock = 16887 * 86400 + 2 * 3600  # 2016-03-27, when 03:00 follows 01:59
    >>> wall_instants(two_o_clock, berlin), len(wall_instants(two_o_clock + 217 * 86400, berlin))
    ([], 2)
    """
    return sorted(_instants(_EPOCH + timedelta(seconds=naive_s), zone))
