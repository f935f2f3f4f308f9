"""What a solution costs each microgrid, and how far from the best it can be at most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.market.integer.microgrids.bound import lower_bounds_pico
from gridpact.market.integer.microgrids.plan import (
    cost_terms,
    costs_pico,
    first_costs_pico,
    turnovers_pico,
)
from gridpact.market.integer.microgrids.window import Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

PPB = 10**9


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A feasible plan of a window and duals for its bound, as whole numbers."""

    plan: IntArray
    """(columns, M, T)"""
    duals: IntArray
    """(rows, M, T)"""
    balance: IntArray
    """(T,)"""


@dataclass(frozen=True, slots=True)
class Account:
    """What a plan costs and how far from the best it can be, per microgrid in pico."""

    costs: list[int]
    first_costs: list[int]
    turnovers: list[int]
    bounds: list[int]

    @property
    def gap_ppb(self) -> int:
        """Of all together: cost above the bound relative to gross turnover, rounded up."""
        gap, turnover = sum(self.costs) - sum(self.bounds), sum(self.turnovers)
        return -(-gap * PPB // max(turnover, 1))


def account_of(window: Window, solution: Solution) -> Account:
    """Costs, turnover and bounds of a feasible plan with duals within `dual_limit`."""
    terms = cost_terms(window, solution.plan)
    return Account(
        costs=costs_pico(terms),
        first_costs=first_costs_pico(terms),
        turnovers=turnovers_pico(terms),
        bounds=lower_bounds_pico(window, solution.duals, solution.balance),
    )
