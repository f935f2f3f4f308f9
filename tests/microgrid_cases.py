"""Two windows small enough to solve by hand, with plans and duals; arrays from named cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gridpact.market.integer.microgrids import Solution, Window, window_of
from gridpact.model.microgrids import (
    Column,
    MicrogridBid,
    MicrogridTerms,
    Row,
    Storage,
    Turbine,
)

NO_STORAGE = Storage(0, 1000, 1000, 0, 0, 0, 0)
NO_TURBINE = Turbine(0, 0, 0)


def plan_of(window: Window, cells: dict[tuple[Column, int, int], int]) -> Any:
    """(columns, M, T), zero where no cell is named by column, microgrid, period."""
    plan = np.zeros((len(Column), window.microgrids, window.periods), np.int64)
    for place, value in cells.items():
        plan[place] = value
    return plan


def duals_of(window: Window, cells: dict[tuple[Row, int, int], int]) -> Any:
    duals = np.zeros((len(Row), window.microgrids, window.periods), np.int64)
    for place, value in cells.items():
        duals[place] = value
    return duals


@dataclass
class Case:
    terms: MicrogridTerms
    bids: list[MicrogridBid]
    together: Solution
    alone: Solution

    @property
    def window(self) -> Window:
        return window_of(self.terms, self.bids)


def one_hour() -> Case:
    """A has load only; B generates 20 Wh, uses 5, sells 10 to A and exports 5.

    Alone A pays 10 x 100,000 + 6 x 60,000 = 1,360,000 nano and B earns 15 x 45,000 = 675,000.
    Together each pays fees of 10 x 5,000 = 50,000 and B earns 5 x 45,000 = 225,000.
    """
    terms = MicrogridTerms([100_000], [45_000], 5_000, 0)
    bids = [
        MicrogridBid([10], [6], [0], 60_000, NO_TURBINE, NO_STORAGE),
        MicrogridBid([5], [2], [20], 40_000, NO_TURBINE, NO_STORAGE),
    ]
    window = window_of(terms, bids)
    own = {(Column.GREEN_DEMANDED, 1, 0): 2, (Column.GREEN_OTHER, 1, 0): 3}
    plan = plan_of(
        window,
        own
        | {
            (Column.PURCHASE, 0, 0): 10,
            (Column.GREEN_DEMANDED, 0, 0): 6,
            (Column.GREEN_OTHER, 0, 0): 4,
            (Column.SELL, 1, 0): 10,
            (Column.EXPORT, 1, 0): 5,
        },
    )
    million = 10**6
    duals = duals_of(
        window,
        {
            (Row.GREEN, 0, 0): -55 * million,
            (Row.POWER, 0, 0): 55 * million,
            (Row.GREEN, 1, 0): -45 * million,
            (Row.POWER, 1, 0): 45 * million,
        },
    )
    together = Solution(plan, duals, np.array([50 * million]))
    alone = Solution(
        plan_of(window, own | {(Column.BUY, 0, 0): 10, (Column.EXPORT, 1, 0): 15}),
        duals_of(
            window,
            {
                (Row.POWER, 0, 0): 100 * million,
                (Row.GREEN, 0, 0): -160 * million,
                (Row.GREEN, 1, 0): -45 * million,
                (Row.POWER, 1, 0): 45 * million,
            },
        ),
        np.zeros(1, np.int64),
    )
    return Case(terms, bids, together, alone)


def two_hours() -> Case:
    """A stores 10 of 12 Wh for the second hour, keeps 9 of them, and sells the other 2 to B.

    B has a turbine whose best use is 7.5 Wh, so whole Wh cost 250,000 pico more than the bound.
    """
    terms = MicrogridTerms([100_000, 100_000], [45_000, 45_000], 5_000, 400_000)
    store = Storage(10, 1000, 900, 0, 10_000_000, 0, 0)
    turbine = Turbine(1_000_000, 85_000, 10)
    bids = [
        MicrogridBid([0, 9], [0, 9], [12, 0], 60_000, NO_TURBINE, store),
        MicrogridBid([10, 0], [5, 0], [0, 0], 50_000, turbine, NO_STORAGE),
    ]
    window = window_of(terms, bids)
    stored = {
        (Column.CHARGE, 0, 0): 10,
        (Column.CONTENT, 0, 0): 9_000_000,
        (Column.DISCHARGE, 0, 1): 9,
        (Column.GREEN_DEMANDED, 0, 1): 9,
        (Column.TURBINE, 1, 0): 8,
    }
    million = 10**6
    later = {
        (Row.STORED, 0, 0): -160 * million,
        (Row.STORED, 0, 1): -160 * million,
        (Row.GREEN, 0, 1): -160 * million,
        (Row.POWER, 0, 1): 100 * million,
        (Row.POWER, 1, 0): 100 * million,
        (Row.GREEN, 1, 0): -150 * million,
    }
    together = Solution(
        plan_of(
            window,
            stored
            | {
                (Column.SELL, 0, 0): 2,
                (Column.PURCHASE, 1, 0): 2,
                (Column.GREEN_DEMANDED, 1, 0): 2,
            },
        ),
        duals_of(window, later | {(Row.GREEN, 0, 0): -140 * million}),
        np.array([145 * million, 160 * million]),
    )
    alone = Solution(
        plan_of(window, stored | {(Column.EXPORT, 0, 0): 2, (Column.BUY, 1, 0): 2}),
        duals_of(window, later | {(Row.GREEN, 0, 0): -45 * million}),
        np.zeros(2, np.int64),
    )
    return Case(terms, bids, together, alone)
