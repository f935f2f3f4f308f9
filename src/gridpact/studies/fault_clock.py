"""A validator whose clock can be set: `python -m gridpact.studies.fault_clock FOLDER`.

What its wall clock is ahead stands in a file in its folder and is read each time that anything
asks for the time of day. Clocks that only run, which timers use, are left alone, as they are when
an operator sets the time of a machine.
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

CLOCK = "clock"
"""The file, with seconds."""


def set_clock(home: Path, ahead_s: int) -> None:
    """Make a validator's clock jump to so many seconds ahead of the true time, or behind it."""
    aside = home / f"{CLOCK}.new"
    aside.write_text(f"{ahead_s}\n", encoding="utf-8")
    aside.rename(home / CLOCK)


def clock_of(home: Path, true: Callable[[], float]) -> Callable[[], float]:
    """The time of day as a validator has it."""

    def now() -> float:
        return true() + int((home / CLOCK).read_text(encoding="utf-8"))

    return now


if __name__ == "__main__":
    time.time = clock_of(Path(sys.argv[1]), time.time)
    runpy.run_module("gridpact.node", run_name="__main__")
