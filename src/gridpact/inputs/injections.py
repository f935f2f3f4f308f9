"""Load and generation of buses over time, from a CSV file, some snapshots at a time.

Columns `start` (with a time zone), `bus` and `load_mw`, and if wanted `load_mvar` and
`generated_mw`. Rows of one start stand together, starts are in order and equally far apart. A bus
without a row in a snapshot has no load there. The file is read twice: once to check all of it and
to find the buses that generate, then for the snapshots, so that memory is that of one part.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.series import start_text
from gridpact.errors import InputError, Problem
from gridpact.inputs.complaints import Complaints
from gridpact.inputs.instants import INSTANT_RULE, instant_s
from gridpact.inputs.solved_flow_elements import POWER_MAX_MW
from gridpact.inputs.tables import closest, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray, IntArray

REQUIRED = ("start", "bus", "load_mw")
POWERS = ("load_mw", "load_mvar", "generated_mw")
VALUES_AT_ONCE = 2**18


@dataclass(frozen=True, slots=True)
class InjectedPart:
    """T snapshots of B buses."""

    start_s: IntArray
    load_mw: FloatArray
    """Shape (T, B), >= 0."""
    load_mvar: FloatArray
    """Shape (T, B), + = inductive."""
    generated_mw: FloatArray
    """Shape (T, B), >= 0."""


@dataclass(frozen=True, slots=True)
class Injections:
    """A checked file."""

    path: Path
    bus_place: Mapping[str, int]
    snapshots: int
    step_s: int | None
    """From one start to the next; None when there is one alone."""
    generates: NDArray[np.bool_]
    """Shape (B,): buses that generate in some snapshot."""

    def parts(self) -> Iterator[InjectedPart]:
        """All snapshots, some at a time."""
        at_once = max(1, VALUES_AT_ONCE // len(self.bus_place))
        starts: list[int] = []
        tables: list[FloatArray] = []
        text_before, before = "", None
        for _, cells in _rows(self.path):
            if cells[0] != text_before:
                text_before = cells[0]
                start = instant_s(text_before)
                if start is not None and start != before:
                    if len(starts) == at_once:
                        yield _part(starts, tables)
                        starts, tables = [], []
                    starts.append(start)
                    before = start
                    tables.append(np.zeros((len(POWERS), len(self.bus_place))))
            tables[-1][:, self.bus_place[cells[1]]] = [float(cell or 0.0) for cell in cells[2:]]
        yield _part(starts, tables)


def read_injections(path: Path, bus_ids: Sequence[str]) -> Injections:
    """Check a file.

    Args:
        path: of the CSV.
        bus_ids: buses of the network.

    Raises:
        InputError: everything that is wrong with it, by line and column: missing columns, times
            without a zone, out of order or missing, unknown buses, buses twice in a snapshot,
            powers that are no numbers, below 0 or beyond a terawatt; no row at all.
    """
    place = {bus: i for i, bus in enumerate(bus_ids)}
    complaints = Complaints(path.name)
    generates = np.zeros(len(place), dtype=np.bool_)
    starts: list[int] = []
    step: int | None = None
    text_before, seen = "", set[str]()
    count = 0
    for line, cells in _rows(path):
        if cells[0] != text_before:
            text_before = cells[0]
            start = instant_s(text_before)
            if start is None:
                message = f"start {shown(text_before)} is no time with a zone; {INSTANT_RULE}"
                complaints.note(line, message)
            elif not starts or start != starts[-1]:
                step = _next_step(starts, start, step, line, complaints)
                starts, seen = [start], set()
                count += 1
        bus, powers = cells[1], [_power(cell) for cell in cells[2:]]
        if bus not in place:
            message = f"bus {shown(bus)} is not in the network{closest(bus, place)}; correct it"
            complaints.note(line, message)
        elif bus in seen:
            complaints.note(line, f"bus {bus} is there twice at {text_before}; give one row")
        seen.add(bus)
        for name, value, cell in zip(POWERS, powers, cells[2:], strict=True):
            if not abs(value) <= POWER_MAX_MW or (name != "load_mvar" and value < 0.0):
                low = -POWER_MAX_MW if name == "load_mvar" else 0.0
                message = f"{name} {shown(cell)} of bus {bus} is not allowed; allowed: {low:g} to"
                complaints.note(line, f"{message} {POWER_MAX_MW:g}; correct it, or its unit")
            elif name == "generated_mw" and value > 0.0 and bus in place:
                generates[place[bus]] = True
    if not count and not complaints.count:
        complaints.note_file("has no rows; add one for each start and bus")
    if complaints.count:
        raise InputError(complaints.problems())
    return Injections(path, place, count, step, generates)


def _next_step(
    before: list[int], start: int, step: int | None, line: int, complaints: Complaints
) -> int | None:
    """The step between starts, which the first two of them give."""
    if not before:
        return None
    found = start - before[0]
    if found <= 0:
        message = f"start {start_text(start)} is not after {start_text(before[0])}; sort the rows"
        complaints.note(line, f"{message} by start")
    elif step is not None and found != step:
        message = f"start {start_text(start)} is {found} s after the one before, in a file of"
        complaints.note(line, f"{message} {step} s snapshots; add the missing rows")
    return step if step is not None or found <= 0 else found


def _power(cell: str) -> float:
    """MW of a cell; 0 when it is empty, NaN when it is no number."""
    try:
        return float(cell) if cell else 0.0
    except ValueError:
        return math.nan


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line numbers with start, bus and the three powers; empty where a column is not there."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            missing = [name for name in REQUIRED if name not in header]
            if missing:
                allowed = ", ".join((*REQUIRED, *POWERS[1:]))
                message = f"has no column {', '.join(missing)}; allowed: {allowed}; add it"
                raise InputError([Problem(f"{path.name}:1", message)])
            columns = ("start", "bus", *POWERS)
            at = [header.index(name) if name in header else -1 for name in columns]
            for row in reader:
                if any(row):
                    yield (
                        reader.line_num,
                        [row[i].strip() if 0 <= i < len(row) else "" for i in at],
                    )
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}; check the path"
        raise InputError([Problem(str(path), message)]) from error
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not UTF-8; save the file as UTF-8"
        raise InputError([Problem(path.name, message)]) from error
    except csv.Error as error:
        message = f"is no CSV: {error}; save it with commas and one header row"
        raise InputError([Problem(path.name, message)]) from error


def _part(starts: list[int], tables: list[FloatArray]) -> InjectedPart:
    load, reactive, generated = np.stack(tables, axis=1)
    return InjectedPart(np.array(starts, dtype=np.int64), load, reactive, generated)
