"""Times of day in scenario files: `from`, `to` and the days on which a window begins."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gridpact.inputs.tables import shown
from gridpact.model.assets import MINUTES_PER_DAY, DailyWindow

if TYPE_CHECKING:
    from gridpact.inputs.tables import TableReader

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)


def read_daily_window(row: TableReader) -> DailyWindow:
    """`from`, `to` and `days`; without `days` it is every day.

    `to` before `from` is on the day after.
    """
    window = DailyWindow(
        weekdays=read_days(row, default="all"),
        from_minute=read_minute(row, "from") % MINUTES_PER_DAY,
        to_minute=read_minute(row, "to"),
    )
    check_span(row, window.from_minute, window.to_minute)
    return window


def check_span(row: TableReader, from_minute: int, to_minute: int) -> None:
    """Note a window without a length, and one that begins at the end of a day."""
    if row.given("from") == "24:00":
        row.problem("from", "'24:00' is the end of a day; write \"00:00\" of the day after")
    if not row.faulty("from", "to") and from_minute == to_minute:
        row.problem("to", 'is the same as from; for a whole day write "00:00" to "24:00"')


def read_minute(row: TableReader, key: str) -> int:
    """Minute of the day, 0..1440; 0 when the key is wrong."""
    allowed = 'a local time from "00:00" to "24:00"'
    text = row.text(key, allowed)
    if not text:
        return 0
    if not _CLOCK.fullmatch(text):
        row.problem(key, f'{shown(text)} is not a time; allowed: {allowed}; write it as "17:00"')
        return 0
    return int(text[:2]) * 60 + int(text[3:])


def read_days(row: TableReader, *, default: str | None = None) -> frozenset[int]:
    """Weekdays from `all`, or from days and ranges such as `mon-fri,sun`."""
    allowed = '"all", days such as "mon,wed", or ranges such as "mon-fri"'
    text = row.text("days", allowed, default=default)
    if not text or text == "all":
        return frozenset(range(len(WEEKDAYS)))
    days: set[int] = set()
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first not in WEEKDAYS or (last or first) not in WEEKDAYS or part.strip()[-1:] == "-":
            row.problem(
                "days",
                f"{shown(part.strip())} in {shown(text)} is not a weekday or range; allowed: "
                f"{allowed}, with {', '.join(WEEKDAYS)}",
            )
            continue
        begin = WEEKDAYS.index(first)
        span = (WEEKDAYS.index(last or first) - begin) % len(WEEKDAYS)
        days.update((begin + day) % len(WEEKDAYS) for day in range(span + 1))
    return frozenset(days)
