"""Rolling against unified clearing over many seeds: what sellers pay for what they do not deliver.

Source: [AEPS22], section 3.2 of its case study and its table 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gridpact.agents.microgrids import STAND_IN, ForecastError
from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.studies.microgrid_rolling import Day, rolling_day, unified_day
from gridpact.units import NANO_PER_CURRENCY

ERRORS = {
    "5 % + 0.9 % per hour": STAND_IN,
    "5 % + 1.8 % per hour": ForecastError(0.05, 0.018),
    "5 % always": ForecastError(0.05, 0.0),
}
"""Spread of the last forecast, and of the news of each hour before it."""
DOCUMENTED = "5 % + 0.9 % per hour"
STRONG = "5 % + 1.8 % per hour"
CONSTANT = "5 % always"


@dataclass(frozen=True, slots=True)
class Played:
    """Days of one seed under one error model; by microgrid, in currency."""

    rolling: list[float]
    """Penalties."""
    unified: list[float]
    rolling_costs: list[float]
    """Of the day, everything included."""
    unified_costs: list[float]
    refused: int
    """Rolling clearings that no proof was accepted for, so that nobody traded."""
    negative_slots: list[int]
    """Slots whose first-period surplus is below zero, in rolling clearing."""


@dataclass(frozen=True, slots=True)
class Compared:
    """All seeds of one error model."""

    error: str
    played: list[Played]

    def rolling(self, number: int) -> float:
        """Mean penalty of one microgrid."""
        return _mean([each.rolling[number] for each in self.played])

    def unified(self, number: int) -> float:
        """Mean penalty of one microgrid."""
        return _mean([each.unified[number] for each in self.played])

    def cut(self, number: int) -> float:
        """Share of one microgrid's mean penalty that rolling saves."""
        unified = self.unified(number)
        return 1 - self.rolling(number) / unified if unified else 0.0

    @property
    def better(self) -> int:
        """Seeds in which rolling costs all sellers together less in penalties."""
        return sum(sum(each.rolling) < sum(each.unified) for each in self.played)

    @property
    def refused(self) -> int:
        """Rolling clearings without an accepted proof."""
        return sum(each.refused for each in self.played)

    @property
    def negative(self) -> int:
        """First-period surpluses below zero."""
        return sum(len(each.negative_slots) for each in self.played)


def compare(
    window: MicrogridWindow, seeds: int, progress: Callable[[], None] = lambda: None
) -> list[Compared]:
    """Play all error models over the same seeds.

    Args:
        window: what will really happen.
        seeds: 0 to this, without it.
        progress: called after each seed of each model.
    """
    found = []
    for name, error in ERRORS.items():
        played = []
        for seed in range(seeds):
            rolling = rolling_day(window, error, seed)
            played.append(played_of(rolling, unified_day(window, error, seed)))
            progress()
        found.append(Compared(name, played))
    return found


def played_of(rolling: Day, unified: Day) -> Played:
    """Penalties and costs of two days with the same forecasts."""
    return Played(
        rolling=_currency(rolling.penalties_nano),
        unified=_currency(unified.penalties_nano),
        rolling_costs=_currency(rolling.costs_nano),
        unified_costs=_currency(unified.costs_nano),
        refused=sum(one is None for one in rolling.windows),
        negative_slots=[
            period
            for period, one in enumerate(rolling.windows)
            if one is not None and one.first_surplus_nano < 0
        ],
    )


def _currency(nano: list[int]) -> list[float]:
    return [each / NANO_PER_CURRENCY for each in nano]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
