"""Times in files and options: one instant, with its zone."""

from __future__ import annotations

from datetime import datetime

INSTANT_RULE = "write 2024-06-01T12:00:00Z or +02:00 behind it"


def instant_s(text: str) -> int | None:
    """Whole seconds since 1970 UTC; None when the text is no time, or one without a zone.

    >>> instant_s("1970-01-01T02:00:00+01:00"), instant_s("1970-01-01T02:00:00")
    (3600, None)
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if time.utcoffset() is None or time.microsecond else int(time.timestamp())
