"""How snapshots are named in messages: by their number in the series, and by their start."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gridpact.carbon.checks import TracingError
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.model.carbon import IntArray

_NUMBERED = re.compile(r"\Asnapshot (\d+)\b")


def named(
    error: InputError | TracingError, first: int, start_s: IntArray | None = None
) -> InputError | TracingError:
    """The same error with snapshots by their number in the series and by their start."""

    def renumbered(text: str) -> str:
        found = _NUMBERED.match(text)
        if found is None:
            return text
        place = int(found[1])
        start = "" if start_s is None else f" ({start_text(int(start_s[place]))})"
        return f"snapshot {first + place}{start}{text[found.end() :]}"

    if isinstance(error, InputError):
        return InputError([Problem(renumbered(p.where), p.message) for p in error.problems])
    return TracingError(renumbered(str(error)))


def start_text(start_s: int) -> str:
    """A time as files have it.

    >>> start_text(1_465_423_200)
    '2016-06-08T22:00:00Z'
    """
    return f"{datetime.fromtimestamp(start_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
