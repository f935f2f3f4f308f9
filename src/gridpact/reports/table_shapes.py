"""What tables of a run are made of: columns with a name, a kind, a meaning and a way to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from gridpact.model import RunResult

Row = TypeVar("Row")
Value = int | float | str | None


class Kind(Enum):
    """What a column holds."""

    WHOLE = "integer"
    REAL = "float"
    TEXT = "text"
    TIME = "time"
    """An instant, in seconds since 1970-01-01 UTC until it is written."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """One column; None is a value that is not there."""

    name: str
    kind: Kind
    read: Callable[[Row], Value]
    meaning: str


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """One table."""

    name: str
    meaning: str
    """What a row is, and how rows are ordered."""
    rows: Callable[[RunResult], Iterable[Row]]
    columns: tuple[Column[Row], ...]


def whole(name: str, read: Callable[[Row], int | None], meaning: str) -> Column[Row]:
    """An exact integer."""
    return Column(name, Kind.WHOLE, read, meaning)


def real(name: str, read: Callable[[Row], float | None], meaning: str) -> Column[Row]:
    """A number from a computation."""
    return Column(name, Kind.REAL, read, meaning)


def text(name: str, read: Callable[[Row], str], meaning: str) -> Column[Row]:
    """Words."""
    return Column(name, Kind.TEXT, read, meaning)


def time(name: str, read: Callable[[Row], int], meaning: str) -> Column[Row]:
    """An instant."""
    return Column(name, Kind.TIME, read, meaning)
