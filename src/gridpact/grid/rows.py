"""Rows of network files: every value checked, every problem kept, whatever format they came in.

A row never stops at a problem: it notes it and returns a value of the right type. What it returned
counts only when `Source.problems` stays empty.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from gridpact.errors import InputError, Problem

SHOWN_MAX = 60
"""Longest value that a message shows."""
NUMBER_MAX = 1e24
"""Largest size of any number in a network file, whatever its unit; more is a slip."""

POSITIVE = 1e-9
"""Smallest number where zero makes no sense, whatever its unit."""
STAND_IN = 1.0
"""Instead of a number that is none or out of range: right for every column, and never used."""

Value = TypeVar("Value")


@dataclass(slots=True)
class Source:
    """One network file or folder, with what was found in it so far."""

    reference: str
    problems: list[Problem] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    """What does not change the flow and is left out."""
    buses_complete: bool = True
    """Whether every row with a bus could be read, so that a bus not found does not exist."""

    def add(self, where: str, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(where, message))

    def stop(self) -> None:
        """End here when there are problems.

        Raises:
            InputError: all of them.
        """
        if self.problems:
            raise InputError(self.problems)


def shown(value: object) -> str:
    """A value as messages show it: its text, at most 60 characters."""
    try:
        text = repr(value) if isinstance(value, str | list | dict) else str(value)
    except ValueError:  # Python prints whole numbers of up to 4300 digits
        return "a number too long to show"
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def nearest(word: str, words: Iterable[str]) -> str:
    """The known word nearest to `word`; empty when none is near."""
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)), "")


def closest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the known word nearest to `word`, or nothing."""
    near = nearest(word, words)
    return f"; did you mean {near!r}?" if near else ""


class Row:
    """One element of a network file; a missing value is None, NaN or empty text."""

    def __init__(self, source: Source, where: str, values: Mapping[str, object]) -> None:
        self._source = source
        self._values = values
        self.where = where
        """File and line, or file and element."""

    def problem(self, message: str) -> None:
        """Note a problem with this row."""
        self._source.add(self.where, message)

    def has(self, column: str) -> bool:
        """Whether the table has `column`, with or without a value here."""
        return column in self._values

    def given(self, column: str) -> bool:
        """Whether the row has a value in `column`."""
        value = self._values.get(column)
        if isinstance(value, str):
            return bool(value.strip())
        return not (value is None or (isinstance(value, float) and math.isnan(value)))

    def text(self, column: str, default: str | None = None) -> str:
        """Text or a number as text; required without a default."""
        if not self.given(column):
            return self._absent(column, "text", default) or ""
        value = self._values[column]
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, int | float):
            return f"{value:g}" if isinstance(value, float) else str(value)
        self.problem(f"{column} = {shown(value)} is not text; correct it")
        return ""

    def number(
        self, column: str, default: float | None = None, *, low: float = -NUMBER_MAX
    ) -> float:
        """A finite number, at least `low`; required without a default."""
        allowed = "a number" if low == -NUMBER_MAX else f"a number from {low:g} to {NUMBER_MAX:g}"
        if not self.given(column):
            absent = self._absent(column, allowed, default)
            return STAND_IN if absent is None else absent
        value = self._float(column, allowed)
        if math.isnan(value):
            return STAND_IN
        if not low <= value <= NUMBER_MAX:
            self.problem(f"{column} = {value:g}; allowed: {allowed}; correct it")
            return STAND_IN
        return value

    def total(self, column: str) -> float:
        """A required number, or the sum of a list of numbers."""
        value = self._values.get(column)
        parts = value if isinstance(value, list) else [value]
        rows = [Row(self._source, self.where, {column: part}) for part in parts]
        return sum(row.number(column) for row in rows)

    def whole(self, column: str, default: int | None = None, *, low: int, high: int = 10**9) -> int:
        """A whole number from `low` to `high`; required without a default."""
        allowed = f"a whole number from {low} to {high}"
        if not self.given(column):
            return self._absent(column, allowed, default) or 0
        value = self._float(column, allowed)
        if math.isnan(value):
            return low
        if not low <= value <= high or value != int(value):
            self.problem(f"{column} = {value:g}; allowed: {allowed}; correct it")
            return low
        return int(value)

    def flag(self, column: str, default: bool | None = None) -> bool:
        """True or false, also as 1 and 0; required without a default."""
        if not self.given(column):
            return bool(self._absent(column, "true or false", default))
        value = self._values[column]
        word = str(value).strip().lower()
        if word in {"true", "1", "1.0"}:
            return True
        if word in {"false", "0", "0.0"}:
            return False
        self.problem(f"{column} = {shown(value)}; allowed: true or false; correct it")
        return False

    def choice(self, column: str, words: Iterable[str], default: str | None = None) -> str:
        """One of `words`, in any case; required without a default."""
        known = list(words)
        allowed = " | ".join(known)
        if not self.given(column):
            return self._absent(column, allowed, default) or known[0]
        value = self.text(column)
        if value.lower() in known:
            return value.lower()
        hint = closest(value.lower(), known) or "; correct it"
        self.problem(f"{column} = {shown(value)}; allowed: {allowed}{hint}")
        return known[0]

    def _absent(self, column: str, allowed: str, default: Value | None) -> Value | None:
        if default is None:
            self.problem(f"{column} is missing; allowed: {allowed}; add it")
        return default

    def _float(self, column: str, allowed: str) -> float:
        """The value as a float; NaN, with a problem, when it is none."""
        value = self._values[column]
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
        elif isinstance(value, str):
            try:
                number = float(value)
            except ValueError:
                number = math.nan
        else:
            number = math.nan
        if not math.isfinite(number):
            self.problem(
                f"{column} = {shown(value)} is not allowed; allowed: {allowed}; correct it"
            )
            return math.nan
        return number
