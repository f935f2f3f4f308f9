"""Wide CSV of load and generation: one row per interval, one column per meter, all rows checked.

Comma separated, UTF-8 with or without byte order mark, one header line. A row's time is the start
of its interval. Values are decimal text and are parsed exactly, never through a float.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from gridpact.errors import InputError, Problem
from gridpact.inputs.calendar import utc_text
from gridpact.inputs.tables import closest, shown
from gridpact.model import ProfileUnit
from gridpact.units import QUANTITY_MAX, WH_PER_KWH

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from gridpact.model import ProfileSource
    from gridpact.quantize import IntArray

PROBLEMS_SHOWN = 50
"""Problems of one file that are listed; the rest is counted."""
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_TIME = re.compile(
    r"(19[7-9]\d|2[01]\d\d)-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(?P<offset>Z|[+-]\d\d:\d\d)?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Series:
    """Evenly spaced energies of the columns that were asked for."""

    start_s: int
    """Start of the first interval, seconds UTC."""
    intervals: int
    """From the first row to the last."""
    wh: dict[str, IntArray]
    """Per column the energy of each interval, Wh; empty when the file has problems."""
    sha256: str
    """Of the file's bytes, 64 hexadecimal digits."""


def read_header(path: Path) -> list[str]:
    """The column names of a file, without reading the rest.

    Raises:
        InputError: the file cannot be opened, is not UTF-8, or has no header.
    """
    try:
        with path.open("rb") as stream:
            first = stream.readline(1 << 20)
    except (OSError, ValueError) as error:
        raise InputError([_unreadable(path, error)]) from error
    return _header(path, _rows(path, _decoded(path, first)))


def missing_columns(header: Sequence[str], file: str, columns: Sequence[str]) -> dict[str, str]:
    """For each column that the header lacks or has twice, a message that says what to do."""
    messages = {}
    for column in columns:
        if column not in header:
            semicolons = len(header) == 1 and ";" in header[0]
            hint = (
                "; only commas separate columns, this file uses semicolons: convert it"
                if semicolons
                else closest(column, header)
            )
            messages[column] = (
                f"{shown(column)} is not a column of {file}{hint}; "
                f"its columns: {shown(', '.join(header))}"
            )
        elif header.count(column) > 1:
            messages[column] = (
                f"{shown(column)} is the name of {header.count(column)} columns of {file}; "
                "rename all but one"
            )
    return messages


def read_series(
    path: Path, source: ProfileSource, zone: tzinfo, columns: Sequence[str], interval_s: int
) -> tuple[Series | None, list[Problem]]:
    """The energies of `columns`, if every row of the file is in order.

    Args:
        path: the file.
        source: its time column and unit.
        zone: of times without an offset.
        columns: which ones to read; others are not looked at.
        interval_s: the interval that the rows must have.
    Returns:
        the energies, and all problems with their line numbers, the first 50 in words. With
        problems the series only tells which time the file spans; it is None when not even that
        is known.
    Raises:
        InputError: the file cannot be opened, is not UTF-8, or lacks a column.
    """
    import numpy as np

    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError([_unreadable(path, error)]) from error
    rows = _rows(path, _decoded(path, data))
    header = _header(path, rows)
    absent = missing_columns(header, path.name, [source.time_column, *columns])
    if absent:
        raise InputError([Problem(f"{path.name}:1", message) for message in absent.values()])
    columns = sorted(columns, key=header.index)  # problems come in the order of the file
    reading = _Reading(path.name, header, zone, _TextToWh(source.unit, interval_s), interval_s)
    reading.take(rows, source.time_column, columns)
    evenly, time_problems = reading.time_problems()
    problems = [
        problem for _, problem in sorted(reading.problems + time_problems, key=lambda item: item[0])
    ]
    if len(problems) > PROBLEMS_SHOWN:
        rest = len(problems) - PROBLEMS_SHOWN
        problems[PROBLEMS_SHOWN:] = [Problem(path.name, f"and {rest} more problems in this file")]
    if not evenly:
        return None, problems
    start_s = reading.times[0].start_s
    intervals = (max(time.start_s for time in reading.times) - start_s) // interval_s + 1
    wh: dict[str, IntArray] = {}
    if not problems:
        for column, values in zip(columns, reading.values, strict=True):
            wh[column] = np.array(values, dtype=np.int64)
    return Series(start_s, intervals, wh, hashlib.sha256(data).hexdigest()), problems


class _TextToWh:
    """Decimal text to whole Wh, remembering what it has seen: meter values repeat."""

    def __init__(self, unit: ProfileUnit, interval_s: int) -> None:
        self._unit, self._numerator, self._denominator = {
            ProfileUnit.WH: ("Wh", 1, 1),
            ProfileUnit.KWH: ("kWh", WH_PER_KWH, 1),
            ProfileUnit.W: ("W", interval_s, 3600),
            ProfileUnit.KW: ("kW", WH_PER_KWH * interval_s, 3600),
        }[unit]
        self._largest = Decimal(QUANTITY_MAX) * self._denominator / self._numerator
        self.known: dict[str, int] = {}

    def parse(self, text: str) -> int | str:
        """The energy in Wh, or what is wrong with the text."""
        from gridpact.quantize import whole_from_decimal

        if not text.strip():
            return "has no value; fill it in, 0 is not assumed"
        if not _NUMBER.fullmatch(text.strip()):
            return f"{shown(text)} is not a number; write digits with a decimal point"
        value = Decimal(text.strip())
        if value < 0:
            return (
                f"{text.strip()} {self._unit} is negative; load and generation are gross and "
                "never below 0; correct the value or its sign"
            )
        if value > self._largest:
            return (
                f"{text.strip()} {self._unit} is absurd; allowed: 0 to {QUANTITY_MAX} Wh in one "
                "interval; correct the value or profiles.unit"
            )
        self.known[text] = wh = whole_from_decimal(value, self._numerator, self._denominator)
        return wh


@dataclass(frozen=True, slots=True)
class _Time:
    """A row's time, as instant and as the file writes it."""

    line: int
    row: int
    start_s: int
    text: str


class _Reading:
    """The rows of one file while they are read."""

    def __init__(
        self, file: str, header: list[str], zone: tzinfo, to_wh: _TextToWh, interval_s: int
    ) -> None:
        self.file, self.header, self.zone, self.to_wh = file, header, zone, to_wh
        self.interval_s = interval_s
        self.problems: list[tuple[int, Problem]] = []
        self.times: list[_Time] = []
        self.values: list[list[int]] = []

    def note(self, line: int, message: str) -> None:
        """Keep a problem with its line."""
        self.problems.append((line, Problem(f"{self.file}:{line}", message)))

    def take(
        self, rows: Iterator[tuple[int, list[str]]], time_column: str, columns: Sequence[str]
    ) -> None:
        """Read all rows: times into `times`, energies into `values`."""
        time_index = self.header.index(time_column)
        indices = [self.header.index(column) for column in columns]
        self.values = [[] for _ in columns]
        known, width = self.to_wh.known, len(self.header)
        blank: list[int] = []
        number = 0
        for line, row in rows:
            if not row:
                blank.append(line)
                continue
            for blank_line in blank:
                self.note(blank_line, "is an empty line; remove it")
            blank.clear()
            number += 1
            if len(row) != width:
                self.note(line, f"has {len(row)} fields, the header has {width}; correct the row")
                continue
            self._take_time(line, number, row[time_index])
            for index, column in zip(indices, self.values, strict=True):
                text = row[index]
                wh = known.get(text)
                if wh is None:
                    parsed = self.to_wh.parse(text)
                    if isinstance(parsed, str):
                        self.note(line, f"column {self.header[index]}: {parsed}")
                        continue
                    wh = parsed
                column.append(wh)
        if number == 0:
            self.note(1, "has no rows after the header; add the intervals")

    def _take_time(self, line: int, number: int, text: str) -> None:
        found = _TIME.fullmatch(text.strip())
        try:
            moment = datetime.fromisoformat(text.strip()) if found else None
        except ValueError:
            moment = None
        if found is None or moment is None:
            self.note(
                line,
                f"{shown(text)} is not a time; write 2016-06-09 14:15, with seconds, Z or an "
                "offset such as +01:00 if you like",
            )
            return
        start_s = self._instant(moment)
        if start_s is None:
            self.note(
                line,
                f"{text.strip()} does not exist in the time zone {self.zone}: clocks jump over "
                "it; write times with an offset, or set profiles.time_zone to the fixed offset "
                "that the file uses",
            )
            return
        self.times.append(_Time(line, number, start_s, text.strip()))

    def _instant(self, moment: datetime) -> int | None:
        """Seconds UTC; of an hour that occurs twice, the one that continues the rows before."""
        if moment.tzinfo is not None:
            return int(moment.timestamp())
        earlier = int(moment.replace(tzinfo=self.zone, fold=0).timestamp())
        later = int(moment.replace(tzinfo=self.zone, fold=1).timestamp())
        if later < earlier:
            return None
        continues = bool(self.times) and later == self.times[-1].start_s + self.interval_s
        return later if continues else earlier

    def time_problems(self) -> tuple[bool, list[tuple[int, Problem]]]:
        """Whether the rows have the wanted interval, and what is wrong with single rows."""
        if not self.times:
            return False, []
        steps = Counter(
            b.start_s - a.start_s
            for a, b in zip(self.times, self.times[1:], strict=False)
            if b.row == a.row + 1 and b.start_s > a.start_s
        )
        if steps and max(steps, key=lambda step: (steps[step], -step)) != self.interval_s:
            found = max(steps, key=lambda step: (steps[step], -step))
            message = (
                f"its rows are {found} s apart, but slot_length_s is {self.interval_s}; allowed: "
                f"the same; set slot_length_s = {found}, or give the file in intervals of "
                f"{self.interval_s} s"
            )
            return False, [(1, Problem(self.file, message))]
        noted: list[tuple[int, Problem]] = []
        last: _Time | None = None
        for time in self.times:
            if last is not None:
                message = self._step_problem(last, time)
                if message:
                    noted.append((time.line, Problem(f"{self.file}:{time.line}", message)))
            if last is None or time.start_s > last.start_s:
                last = time
            else:  # a row that must go stands for no interval
                last = _Time(last.line, time.row, last.start_s, last.text)
        return True, noted

    def _step_problem(self, last: _Time, time: _Time) -> str:
        """What is wrong between two rows; rows without a usable time count as one interval."""
        step_s = time.start_s - last.start_s
        # Rows between them whose time could not be used have been reported already.
        rows_s = max(1, time.row - last.row) * self.interval_s
        if step_s == 0:
            return f"{time.text} is the time of line {last.line} again; remove one of them"
        if step_s < 0:
            return (
                f"{time.text} is before line {last.line} ({last.text}); times must increase: "
                "sort the rows, and write offsets if clocks were set back"
            )
        if step_s % self.interval_s:
            return (
                f"{time.text} is {step_s} s after line {last.line} ({last.text}); allowed: steps "
                f"of {self.interval_s} s; correct the time"
            )
        if step_s > rows_s:
            missing = (step_s - rows_s) // self.interval_s
            return (
                f"{missing} intervals are missing before {time.text}, from "
                f"{utc_text(last.start_s + rows_s)}; add them"
            )
        return ""


def _unreadable(path: Path, error: Exception) -> Problem:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Problem(str(path), f"cannot be read: {reason}; check the path")


def _decoded(path: Path, data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise InputError([Problem(f"{path.name}:{line}", message)]) from error


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every row."""
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        message = f"is not readable as CSV: {error}; look for a quote that is not closed"
        raise InputError([Problem(f"{path.name}:{reader.line_num}", message)]) from error


def _header(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    for _, row in rows:
        if row:
            return [column.strip() for column in row]
        break
    message = "has no header; the first line names the columns, separated by commas"
    raise InputError([Problem(f"{path.name}:1", message)])
