"""Links between replicas: how long messages take, and everything that can happen to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from random import Random

DRAWS = 256
"""Delays are drawn from a table of so many, which costs the same for every model."""
REGIONS_MS = (
    (1, 8, 40, 70, 110),
    (8, 1, 35, 75, 105),
    (40, 35, 1, 60, 80),
    (70, 75, 60, 1, 50),
    (110, 105, 80, 50, 1),
)
"""One-way delays between five regions, of the size of those between continents."""
LATENCIES = ("constant", "uniform", "log-normal", "geographic", "per-link", "asymmetric")

Table = list[int]


def delays(model: str, middle_us: int, peers: int, random: Random) -> list[list[Table]]:
    """A table of delays, in microseconds, for every link.

    Args:
        model: one of `LATENCIES`.
        middle_us: the typical delay.
        peers: how many there are.
        random: all chance.
    Returns:
        tables by sender and receiver.
    """
    region = [random.randrange(len(REGIONS_MS)) for _ in range(peers)]
    shared = _table(model, middle_us, random)
    tables = []
    for sender in range(peers):
        row = []
        for receiver in range(peers):
            if model == "geographic":
                share = REGIONS_MS[region[sender]][region[receiver]]
                row.append(_table("uniform", max(2, middle_us * share // 50), random))
            elif model == "per-link":
                row.append(_table("uniform", random.randint(middle_us // 3, 2 * middle_us), random))
            elif model == "asymmetric":
                there = middle_us // 3 if sender < receiver else 2 * middle_us
                row.append(_table("uniform", there, random))
            else:
                row.append(shared)
        tables.append(row)
    return tables


def _table(model: str, middle_us: int, random: Random) -> Table:
    if model == "constant":
        return [middle_us]
    if model == "log-normal":
        return [1 + int(middle_us * exp(random.gauss(0.0, 0.5))) for _ in range(DRAWS)]
    return [middle_us // 2 + int(middle_us * random.random()) for _ in range(DRAWS)]


def slowest_us(tables: Sequence[Sequence[Table]]) -> int:
    """99th percentile of the slowest link, in microseconds."""
    slowest = 0
    for row in tables:
        for table in row:
            slowest = max(slowest, sorted(table)[len(table) * 99 // 100])
    return slowest


class Link:
    """One way from one replica to another."""

    __slots__ = ("cut", "duplicated", "held", "last_us", "lost", "ordered", "table")

    def __init__(self, table: Table, *, ordered: bool) -> None:
        self.table = table
        self.ordered = ordered
        """Whether messages arrive in the order of sending, as over one connection."""
        self.last_us = 0
        self.cut = 0
        """How many faults cut it now."""
        self.lost = 0.0
        """Share of messages that get lost."""
        self.duplicated = 0.0
        """Share of messages that arrive twice."""
        self.held: list[bytes] | None = None
        """Messages of a clogged link; None while it is free."""

    def arrivals(self, now_us: int, random: Random) -> tuple[int, ...]:
        """When a message that is sent now arrives, in microseconds: never, once or twice."""
        if self.cut or (self.lost and random.random() < self.lost):
            return ()
        at_us = self.arrival(now_us, random)
        if self.duplicated and random.random() < self.duplicated:
            return (at_us, self.arrival(now_us, random))
        return (at_us,)

    def arrival(self, now_us: int, random: Random) -> int:
        """When a message that gets through arrives, in microseconds."""
        table = self.table
        at_us = now_us + table[int(random.random() * len(table))]
        if self.ordered:
            if at_us < self.last_us:
                return self.last_us
            self.last_us = at_us
        return at_us


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """What the links of a run are like."""

    model: str
    """One of `LATENCIES`."""
    tables: list[list[Table]]
    """Delays in microseconds, by sender and receiver."""
    ordered: bool
    """No reordering."""
    lost: float
    """Share of messages lost throughout the faulty part."""
    duplicated: float
    """Share of messages doubled throughout the faulty part."""
