"""Local days on the UTC axis: where a day starts, how long it is, what a time zone's name means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

SECONDS_PER_DAY = 86400
SECONDS_PER_MINUTE = 60
FIRST_DATE = date(1971, 1, 1)
"""Slot starts are never negative, with a year of room for history and offsets."""
LAST_DATE = date(2199, 12, 31)
MAX_OFFSET_MINUTES = 14 * 60
_OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """Slots in a row."""

    start_s: int
    end_s: int
    slot_s: int

    @property
    def slots(self) -> int:
        """How many there are."""
        return (self.end_s - self.start_s) // self.slot_s


@lru_cache(maxsize=64)
def parse_zone(text: str) -> tzinfo:
    """The time zone of an IANA name such as `Europe/Berlin`, or of an offset such as `+01:00`.

    Raises:
        ValueError: neither; the message says what is allowed.
    """
    if offset := _OFFSET.fullmatch(text):
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes <= MAX_OFFSET_MINUTES:
            return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{text!r} is not a known time zone; allowed: an IANA name such as 'Europe/Berlin' "
            "(needs the system's time zone data or the package tzdata), or an offset from "
            "'-14:00' to '+14:00'"
        ) from error


def midnight_s(day: date, zone: tzinfo) -> int:
    """First instant of a local day, in seconds UTC.

    Where clocks jump over midnight, that is the instant of the jump.
    """
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def day_bounds(first_day: date, days: int, zone: tzinfo) -> list[tuple[int, int]]:
    """Start and end of each local day in seconds UTC; days of 23 and 25 hours as they come."""
    starts = [midnight_s(first_day + timedelta(days=i), zone) for i in range(days + 1)]
    return list(pairwise(starts))


def history_start_s(first_day: date, season_days: int, zone: tzinfo) -> int:
    """Where history begins that holds `season_days` days before `first_day`, in seconds UTC.

    Both readings of a day are covered, local days and spans of 24 hours, whichever is longer.
    """
    return min(
        midnight_s(first_day - timedelta(days=season_days), zone),
        midnight_s(first_day, zone) - season_days * SECONDS_PER_DAY,
    )


def utc_text(instant_s: int) -> str:
    """An instant for people, `2016-06-09 22:00Z`."""
    return datetime.fromtimestamp(instant_s, UTC).strftime("%Y-%m-%d %H:%MZ")
