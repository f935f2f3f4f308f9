"""Carbon intensity of the grid beyond, over time, from a CSV file.

Columns `start` (with a time zone) and `mg_per_kwh`, the same as g/MWh; rows in the order of time,
equally far apart. What is missing in between is named, and never filled in.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.series import start_text
from gridpact.errors import InputError, Problem
from gridpact.inputs.complaints import Complaints
from gridpact.inputs.instants import INSTANT_RULE, instant_s
from gridpact.inputs.tables import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gridpact.model.carbon import FloatArray, IntArray

COLUMNS = ("start", "mg_per_kwh")
MG_PER_KWH_MAX = 3_000_000
"""3 t/MWh."""
MG_PER_KWH_PER_T_PER_MWH = 1e6


@dataclass(frozen=True, slots=True)
class ImportIntensity:
    """An intensity for each slot of a stretch of time without gaps."""

    file: str
    start_s: IntArray
    """Starts, equally far apart, in seconds since 1970 UTC."""
    step_s: int
    mg_per_kwh: IntArray

    def t_per_mwh(self, times_s: Sequence[int]) -> FloatArray:
        """As `at`, in t/MWh."""
        found: FloatArray = self.at(times_s) / MG_PER_KWH_PER_T_PER_MWH
        return found

    def at(self, times_s: Sequence[int]) -> IntArray:
        """Intensity in mg/kWh at some times, each by the slot it lies in.

        Raises:
            InputError: times outside of the file.
        """
        times = np.asarray(times_s, dtype=np.int64)
        slot = (times - self.start_s[0]) // self.step_s
        outside = (slot < 0) | (slot >= len(self.start_s))
        if outside.any():
            end = int(self.start_s[-1]) + self.step_s
            message = (
                f"has nothing at {start_text(int(times[outside][0]))}; it goes from "
                f"{start_text(int(self.start_s[0]))} to {start_text(end)}; add the missing rows"
            )
            raise InputError([Problem(self.file, message)])
        found: IntArray = self.mg_per_kwh[slot]
        return found


def read_import_intensity(path: Path) -> ImportIntensity:
    """Read the file.

    Raises:
        InputError: everything that is wrong with it, by line: no such columns, times without a
            zone, out of order, twice or missing, values that are no whole number in 0..3,000,000.
    """
    complaints = Complaints(path.name)
    starts: list[int] = []
    values: list[int] = []
    lines: list[int] = []
    for line, row in _rows(path):
        start, value = _start(row[0], line, complaints), _value(row[1], line, complaints)
        if start is not None and value is not None:
            starts.append(start)
            values.append(value)
            lines.append(line)
    if not complaints.count:
        _note_gaps(starts, lines, complaints)
    if complaints.count:
        raise InputError(complaints.problems())
    step = starts[1] - starts[0]
    return ImportIntensity(path.name, np.array(starts), step, np.array(values))


def _rows(path: Path) -> list[tuple[int, tuple[str, str]]]:
    """Line numbers and the two cells."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}; check the path"
        raise InputError([Problem(str(path), message)]) from error
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise InputError([Problem(path.name, message)]) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [name.strip() for name in next(reader, [])]
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        message = f"has no column {', '.join(missing)}; allowed: {', '.join(COLUMNS)}; add it"
        raise InputError([Problem(f"{path.name}:1", message)])
    at = [header.index(name) for name in COLUMNS]
    return [(reader.line_num, (_cell(row, at[0]), _cell(row, at[1]))) for row in reader if any(row)]


def _cell(row: list[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _start(text: str, line: int, complaints: Complaints) -> int | None:
    start = instant_s(text)
    if start is None:
        complaints.note(line, f"start {shown(text)} is no time with a zone; {INSTANT_RULE}")
    return start


def _value(text: str, line: int, complaints: Complaints) -> int | None:
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= MG_PER_KWH_MAX:
        return int(text)
    message = f"mg_per_kwh {shown(text)} is not allowed; allowed: a whole number from 0 to"
    complaints.note(line, f"{message} {MG_PER_KWH_MAX}; 400 g/kWh is 400000")
    return None


def _note_gaps(starts: list[int], lines: list[int], complaints: Complaints) -> None:
    if len(starts) < 2:
        complaints.note_file("has fewer than two rows, so the length of a slot is not known")
        return
    step = min(later - earlier for earlier, later in pairwise(starts))
    if step <= 0:
        for line, earlier, later in zip(lines[1:], starts, starts[1:], strict=False):
            if later <= earlier:
                message = f"start {start_text(later)} is not after the row before; sort the rows"
                complaints.note(line, f"{message}, each time once")
        return
    for line, earlier, later in zip(lines[1:], starts, starts[1:], strict=False):
        if later - earlier != step:
            gap = f"nothing from {start_text(earlier + step)} to {start_text(later)}"
            complaints.note(line, f"{gap}, in a file of {step} s slots; add the missing rows")
