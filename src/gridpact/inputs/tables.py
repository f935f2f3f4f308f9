"""Reading a TOML table key by key: every value checked, every problem kept, no key overlooked.

A reader never stops at a problem: it notes it and returns a value of the right type, so that the
rest can be checked too. What it returned counts only when `Findings.problems` stays empty.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

from gridpact.errors import Problem

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,47}")
"""The shape of `codec.Name`."""
NAME_RULE = "1 to 48 of a-z, 0-9, '.', '_', '-', starting with a letter or digit"
SHOWN_MAX = 60
"""Longest value that a message shows."""

Choice = TypeVar("Choice")


@dataclass(slots=True)
class Findings:
    """All problems of one file so far."""

    file: str
    """Name that messages begin with."""
    problems: list[Problem] = field(default_factory=list)
    roots: set[str] = field(default_factory=set)
    """Top-level keys that have a problem."""

    def add(self, key: str, message: str) -> None:
        """Note a problem with the dotted `key`."""
        self.problems.append(Problem(f"{self.file}: {key}", message))
        self.roots.add(re.split(r"[.\[]", key, maxsplit=1)[0])


def shown(value: object) -> str:
    """A value as messages show it: its text, at most 60 characters."""
    try:
        text = repr(value) if isinstance(value, (str, list, dict)) else str(value).lower()
    except ValueError:  # Python prints whole numbers of up to 4300 digits
        return "a number too long to show"
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 3] + "..."


def closest(word: str, words: Iterable[str]) -> str:
    """`; did you mean 'x'?` with the known word nearest to `word`, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


class TableReader:
    """One TOML table, with the keys that were asked for so far."""

    def __init__(self, values: Mapping[str, Any], findings: Findings, path: str = "") -> None:
        self._values = values
        self._findings = findings
        self._path = path
        self._asked: set[str] = set()
        self._faulty: set[str] = set()

    def where(self, key: str) -> str:
        """The dotted name of `key`."""
        return f"{self._path}.{key}" if self._path else key

    def problem(self, key: str, message: str) -> None:
        """Note a problem with `key`."""
        self._faulty.add(key)
        self._findings.add(self.where(key), message)

    def faulty(self, *keys: str) -> bool:
        """Whether one of `keys` has a problem, so that its value means nothing."""
        return not self._faulty.isdisjoint(keys)

    @property
    def sound(self) -> bool:
        """Whether no key of this table has a problem; those of tables inside it do not count."""
        return not self._faulty

    def has(self, key: str) -> bool:
        """Whether the file gives `key`; asking makes the key a known one."""
        self._asked.add(key)
        return key in self._values

    def given(self, key: str) -> object:
        """What the file says for `key`, unchecked; None when it says nothing."""
        return self._values.get(key)

    def _absent(self, key: str, allowed: str, *, required: bool) -> bool:
        if self.has(key):
            return False
        if required:
            self.problem(key, f"is missing; allowed: {allowed}; add {key} = ...")
        return True

    def integer(
        self, key: str, low: int, high: int, *, default: int | None = None, remedy: str = ""
    ) -> int:
        """A whole number from `low` to `high`; required without a default."""
        allowed = f"a whole number from {low} to {high}"
        if self._absent(key, allowed, required=default is None):
            return low if default is None else default
        value = self._values[key]
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            remedy = remedy or "give a number in this range"
            self.problem(key, f"{shown(value)} is not allowed; allowed: {allowed}; {remedy}")
            return low if default is None else default
        return value

    def real(self, key: str, low: float, high: float, *, default: float) -> float:
        """A number from `low` to `high`, with or without a decimal point."""
        if not self.has(key):
            return default
        value = self._values[key]
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not low <= value <= high
        ):
            self.problem(
                key,
                f"{shown(value)} is not allowed; allowed: a number from {low:g} to {high:g}; give "
                "a number in this range",
            )
            return default
        return float(value)

    def boolean(self, key: str, *, default: bool) -> bool:
        """`true` or `false`."""
        if not self.has(key):
            return default
        value = self._values[key]
        if not isinstance(value, bool):
            self.problem(
                key,
                f"{shown(value)} is not allowed; allowed: true | false; write it without quotes",
            )
            return default
        return value

    def text(self, key: str, allowed: str, *, default: str | None = None) -> str:
        """Text that is not empty; required without a default."""
        if self._absent(key, allowed, required=default is None):
            return default or ""
        value = self._values[key]
        if not isinstance(value, str) or not value:
            self.problem(
                key, f"{shown(value)} is not allowed; allowed: {allowed}; write it in quotes"
            )
            return default or ""
        return value

    def name(self, key: str, *, default: str | None = None, longest: int = 48) -> str:
        """An identifier that the ledger takes; required without a default."""
        rule = NAME_RULE.replace("48", str(longest))
        value = self.text(key, rule, default=default)
        if value and not (NAME_PATTERN.fullmatch(value) and len(value) <= longest):
            self.problem(key, f"{shown(value)} is not a valid name; allowed: {rule}; rename it")
        return value

    def choice(
        self, key: str, choices: Mapping[str, Choice], *, default: str | None = None
    ) -> Choice:
        """One of a few words; required without a default."""
        allowed = " | ".join(f'"{word}"' for word in choices)
        fallback = choices[next(iter(choices)) if default is None else default]
        if self._absent(key, allowed, required=default is None):
            return fallback
        value = self._values[key]
        if not isinstance(value, str) or value not in choices:
            hint = closest(value, choices) if isinstance(value, str) else "; write it in quotes"
            self.problem(key, f"{shown(value)} is not allowed; allowed: {allowed}{hint}")
            return fallback
        return choices[value]

    def day(self, key: str, low: date, high: date) -> date:
        """A required date without a time."""
        allowed = f"a date from {low} to {high}"
        if self._absent(key, allowed, required=True):
            return low
        value = self._values[key]
        if isinstance(value, datetime) or not isinstance(value, date) or not low <= value <= high:
            self.problem(
                key,
                f"{shown(value)} is not allowed; allowed: {allowed}; write it without quotes and "
                f"without a time, {key} = 2016-06-09",
            )
            return low
        return value

    def table(self, key: str) -> TableReader:
        """A sub-table; an empty one when the file has none."""
        value = self._values[key] if self.has(key) else {}
        if not isinstance(value, dict):
            self.problem(key, f"{shown(value)} is not a table; write [{self._header(key)}]")
            value = {}
        return TableReader(value, self._findings, self.where(key))

    def tables(self, key: str) -> list[TableReader]:
        """An array of tables, counted from 1 in messages; empty when the file has none."""
        value = self._values[key] if self.has(key) else []
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self.problem(
                key, f"{shown(value)} is not a list of tables; write [[{self._header(key)}]]"
            )
            value = []
        return [
            TableReader(row, self._findings, f"{self.where(key)}[{number}]")
            for number, row in enumerate(value, start=1)
        ]

    def _header(self, key: str) -> str:
        """How a file writes the name of a table inside this one: without counting."""
        return re.sub(r"\[\d+\]", "", self.where(key))

    def refuse(self, keys: Iterable[str], reason: str) -> None:
        """Keys that are known but have no meaning here: never ignored, always a problem."""
        for key in keys:
            if self.has(key):
                self.problem(key, f"has no meaning here: {reason}; remove it")

    def finish(self) -> None:
        """Note every key that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.problem(
                    key,
                    f"is not a known key{closest(key, self._asked)}; allowed here: "
                    f"{', '.join(sorted(self._asked))}; rename or remove it",
                )
