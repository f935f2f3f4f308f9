"""What solvers give back, and how good it is: judged the same way whoever solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import GridpactError
from gridpact.market.solvers.programme import Programme
from gridpact.model.microgrids import Column, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gridpact.quantize import FloatArray

GAP_MAX = 1e-8
"""Largest gap of a solution, relative to turnover; certificates need 1e-6 after rounding."""
MISSING_MAX = 1e-9
"""By how much an equation may miss, relative to the largest energy: far below the Wh that plans
are rounded to."""
IDLE_SHARE = 1e-3
"""Dearest price x largest energy counts for the turnover with this share, so that a microgrid
that moves nothing has something its gap can be relative to."""


class SolveError(GridpactError):
    """No solver reached the tolerances; with what each of them reached."""

    def __init__(self, attempts: list[Solution]) -> None:
        self.attempts = tuple(attempts)
        lines = "; ".join(
            f"{one.solver}: {one.status} after {one.iterations} iterations, relative gap "
            f"{one.gap:.1e}, equations miss by {one.missing_kwh:.1e} kWh"
            for one in attempts
        )
        super().__init__(
            f"no optimum within gap {GAP_MAX:g} and {MISSING_MAX:g} of the largest energy: {lines}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """A plan of a programme with the duals that prove how good it is."""

    solver: str
    """Name of who solved."""
    status: str
    """Its own word for how it ended."""
    iterations: int
    plan_kwh: FloatArray
    """Shape (M, T, 12), in the order of `Column`; within all bounds."""
    duals: FloatArray
    """Shape (M, T, 3), in the order of `Row`: y of cost + y'(b - A x), in currency per kWh; that of
    STORED per kWh of content."""
    balance_duals: FloatArray
    """Shape (T,): of sales - purchases = 0, in currency per kWh."""
    costs: FloatArray
    """Shape (M, T), currency: what the plan costs each microgrid before anybody pays another."""
    bounds: FloatArray
    """Shape (M,), currency: parts of the lower bound g(y); their sum bounds the cost of any plan of
    all, and without trade each bounds that of its microgrid."""
    turnovers: FloatArray
    """Shape (M,), currency."""
    missing_kwh: float
    """Primal residual: largest size of b - A x."""
    dual_residual: float
    """Largest reduced cost, in currency per kWh, of a column that is neither at the bound to which
    it pulls nor near it: the distance counts as a price, in units of the largest energy."""
    gap: float
    """Cost less lower bound, relative to the turnover."""

    @property
    def cost(self) -> float:
        """Of all microgrids over the window, in currency."""
        return float(self.costs.sum())

    @property
    def slack(self) -> float:
        """By how much, in currency, the cost can be above the least possible."""
        return max(float(self.cost - self.bounds.sum()), 0.0)

    @property
    def net_sales_kwh(self) -> FloatArray:
        """Shape (M, T): + sold to the others, - purchased from them."""
        net: FloatArray = self.plan_kwh[..., Column.SELL] - self.plan_kwh[..., Column.PURCHASE]
        return net


def columns_of(programme: Programme, duals: FloatArray, balance: FloatArray) -> FloatArray:
    """Shape (M, T, 12): A'y. Plain numpy: what compiled code and solvers are checked with."""
    green, power, stored = (duals[..., row] for row in (Row.GREEN, Row.POWER, Row.STORED))
    later = np.zeros_like(stored)
    later[:, :-1] = stored[:, 1:]
    prices = np.empty(programme.cost.shape)
    prices[..., [Column.BUY, Column.TURBINE]] = power[..., None]
    prices[..., [Column.EXPORT, Column.CURTAIL]] = green[..., None]
    prices[..., [Column.GREEN_DEMANDED, Column.GREEN_OTHER]] = (green + power)[..., None]
    prices[..., Column.CHARGE] = green - programme.kept[:, None] * stored
    prices[..., Column.DISCHARGE] = stored - green
    prices[..., Column.CONTENT] = stored - later
    prices[..., Column.SELL] = green + balance
    prices[..., Column.PURCHASE] = -prices[..., Column.SELL]
    prices[..., Column.MISSING] = -stored
    return prices


def rows_of(programme: Programme, plan: FloatArray) -> tuple[FloatArray, FloatArray]:
    """A x: shape (M, T, 3) of the equations and (T,) of the balances."""
    rows = np.empty(programme.constants.shape)
    used = plan[..., Column.GREEN_DEMANDED] + plan[..., Column.GREEN_OTHER]
    given = plan[..., [Column.EXPORT, Column.CURTAIL, Column.SELL, Column.CHARGE]].sum(axis=2)
    rows[..., Row.GREEN] = used + given - plan[..., Column.DISCHARGE] - plan[..., Column.PURCHASE]
    rows[..., Row.POWER] = used + plan[..., Column.TURBINE] + plan[..., Column.BUY]
    gained = np.diff(plan[..., Column.CONTENT], axis=1, prepend=0.0)
    charged = programme.kept[:, None] * plan[..., Column.CHARGE]
    out = plan[..., Column.DISCHARGE] - plan[..., Column.MISSING]
    rows[..., Row.STORED] = gained - charged + out
    return rows, (plan[..., Column.SELL] - plan[..., Column.PURCHASE]).sum(axis=0)


def judged(
    programme: Programme,
    solver: str,
    status: str,
    iterations: int,
    plan: FloatArray,
    duals: FloatArray,
    balance: FloatArray,
) -> Solution:
    """A solver's numbers with all that says how good they are."""
    plan = np.clip(plan, programme.lower, programme.upper)
    rows, traded = rows_of(programme, plan)
    missing = max(np.abs(programme.constants - rows).max(), np.abs(traded).max())
    costs = programme.costs(plan)
    turnovers = programme.turnovers(plan)
    reduced = programme.cost - columns_of(programme, duals, balance)
    bounds = _bounds(programme, reduced, duals)
    price, energy = scales(programme)
    slope = reduced + programme.curvature * plan
    target = np.where(slope > 0, programme.lower, programme.upper)
    distance = np.abs(plan - target) * (price / energy)
    whole = float(turnovers.sum()) + IDLE_SHARE * price * energy
    return Solution(
        solver=solver,
        status=status,
        iterations=iterations,
        plan_kwh=plan,
        duals=duals,
        balance_duals=balance,
        costs=costs,
        bounds=bounds,
        turnovers=turnovers,
        missing_kwh=float(missing),
        dual_residual=float(np.minimum(np.abs(slope), distance).max()),
        gap=float(costs.sum() - bounds.sum()) / whole,
    )


def _bounds(programme: Programme, reduced: FloatArray, duals: FloatArray) -> FloatArray:
    """Shape (M,): b'y + sum over columns of the least 1/2 q x^2 + (c - A'y) x within bounds."""
    with np.errstate(divide="ignore", invalid="ignore"):
        lowest = np.where(programme.curvature > 0, -reduced / programme.curvature, 0.0)
    ends = np.where(reduced > 0, programme.lower, programme.upper)
    best = np.where(
        programme.curvature > 0, np.clip(lowest, programme.lower, programme.upper), ends
    )
    least = best * (reduced + 0.5 * programme.curvature * best)
    own = (duals * programme.constants).sum(axis=2) + programme.shortage
    bounds: FloatArray = own.sum(axis=1) + least.sum(axis=(1, 2))
    return bounds


def scales_each(programme: Programme) -> tuple[FloatArray, FloatArray]:
    """Shape (M,) each: the dearest price, in currency per kWh, and the largest energy, in kWh.

    A turbine's price counts at its full energy; a content counts where nothing else has a size,
    and 1 where there is nothing at all.
    """
    moves = programme.upper > programme.lower
    price = np.abs(programme.cost) + programme.curvature * programme.upper
    prices = price.max(axis=(1, 2), where=moves, initial=0.0)
    content = programme.upper[..., Column.CONTENT].max(axis=1)
    energies = np.delete(programme.upper, Column.CONTENT, axis=2).max(axis=(1, 2))
    energies = np.where(energies > 0.0, energies, content)
    return np.where(prices > 0.0, prices, 1.0), np.where(energies > 0.0, energies, 1.0)


def scales(programme: Programme) -> tuple[float, float]:
    """The largest of `scales_each`."""
    prices, energies = scales_each(programme)
    return float(prices.max()), float(energies.max())


def is_good(programme: Programme, solution: Solution, gap: float = GAP_MAX) -> bool:
    """Whether a solution is within the tolerances; one with NaN is not."""
    _, energy = scales(programme)
    return solution.gap <= gap and solution.missing_kwh <= MISSING_MAX * energy


def good_each(programme: Programme, solution: Solution) -> NDArray[np.bool_]:
    """Shape (M,): `is_good` for each microgrid by itself, in a programme without trade."""
    rows, _ = rows_of(programme, solution.plan_kwh)
    missing = np.abs(programme.constants - rows).max(axis=(1, 2))
    prices, energies = scales_each(programme)
    gaps = solution.costs.sum(axis=1) - solution.bounds
    wholes = solution.turnovers + IDLE_SHARE * prices * energies
    good: NDArray[np.bool_] = (gaps <= GAP_MAX * wholes) & (missing <= MISSING_MAX * energies)
    return good
