"""Solve a programme: by its structure, and when that fails by solvers that do not know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from gridpact.market.solvers import kernel
from gridpact.market.solvers.programme import Programme, alone
from gridpact.market.solvers.solution import (
    Solution,
    SolveError,
    good_each,
    is_good,
    judged,
)
from gridpact.model.microgrids import Column

if TYPE_CHECKING:
    from gridpact.market.solvers.sparse import Point
    from gridpact.quantize import FloatArray

STRUCTURED = "structured"
GAP_AIM = 1e-10
MISSING_AIM = 1e-10
"""What the interior point method stops at: as tight as doubles reach on a hundred microgrids."""
GAP_LAST = 1e-7
"""What the tightest may have when none is good: where next to nothing costs next to nothing,
doubles end before. Replicas check the certificate all the same."""


def solve_together(programme: Programme) -> Solution:
    """The plan of least total cost when all may trade with all.

    Source: [AEPS22], eqs. (14)-(17): the largest product of gains has the least total cost.

    Raises:
        SolveError: neither the structured method nor PIQP nor Clarabel reaches the tolerances.
    """
    return _netted(programme, _first_good(programme, (structured, by_piqp, by_clarabel)))


def solve_alone(programme: Programme) -> Solution:
    """Plans of least cost of each microgrid without trade: the disagreement point.

    M programmes, solved one after the other; each keeps the tolerances by itself.

    Raises:
        SolveError: as `solve_together`, for the first microgrid of which no solver has a solution.
    """
    programme = alone(programme)
    plan, duals, balance, iterations = kernel.optimise_each(*_numbers(programme))
    found = judged(programme, STRUCTURED, "ended", iterations, plan, duals, balance)
    bad = np.flatnonzero(~good_each(programme, found))
    if not bad.size:
        return _netted(programme, found)
    for microgrid in bad.tolist():
        one = _first_good(programme.only(microgrid), (by_piqp, by_clarabel))
        plan[microgrid], duals[microgrid] = one.plan_kwh[0], one.duals[0]
    found = judged(programme, STRUCTURED, "mended", iterations, plan, duals, balance)
    return _netted(programme, found)


def structured(programme: Programme) -> Solution:
    """By interior points that know the structure of `Programme`."""
    plan, duals, balance, iterations = kernel.optimise(*_numbers(programme))
    return judged(programme, STRUCTURED, "ended", iterations, plan, duals, balance)


def by_piqp(programme: Programme) -> Solution:
    """By PIQP."""
    from gridpact.market.solvers.sparse import Piqp, form_of

    return solution_of(programme, "PIQP", Piqp().solve(form_of(programme)))


def by_clarabel(programme: Programme) -> Solution:
    """By Clarabel."""
    from gridpact.market.solvers.sparse import clarabel_point, form_of

    return solution_of(programme, "Clarabel", clarabel_point(form_of(programme)))


def solution_of(programme: Programme, solver: str, point: Point) -> Solution:
    """The columns and duals of a sparse solver in the shapes of the programme."""
    count = programme.constants.size
    return judged(
        programme,
        solver,
        point.status,
        point.iterations,
        point.columns_kwh[: programme.cost.size].reshape(programme.cost.shape),
        point.duals[:count].reshape(programme.constants.shape),
        point.duals[count:],
    )


def _first_good(
    programme: Programme, solvers: tuple[Callable[[Programme], Solution], ...]
) -> Solution:
    attempts = []
    for solver in solvers:
        attempts.append(solver(programme))
        if is_good(programme, attempts[-1]):
            return attempts[-1]
    tightest = min(attempts, key=lambda attempt: attempt.gap)
    if is_good(programme, tightest, GAP_LAST):
        return tightest
    raise SolveError(attempts)


def _numbers(
    programme: Programme,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, float, float]:
    return (
        programme.cost,
        programme.curvature,
        programme.lower,
        programme.upper,
        programme.constants,
        programme.kept,
        GAP_AIM,
        MISSING_AIM,
    )


def _netted(programme: Programme, found: Solution) -> Solution:
    """The same plan without flows that cancel: sold and purchased, charged and discharged.

    Neither pays, as green energy may be curtailed for nothing, but where it costs nothing either
    interior points leave some. What the storage no longer loses is curtailed, or exported where
    there is nothing to curtail and export is no loss. Green energy serves the demand for it first,
    which matters to the plan where a shortage costs nothing.
    """
    plan = found.plan_kwh.copy()
    both = np.minimum(plan[..., Column.SELL], plan[..., Column.PURCHASE])
    plan[..., Column.SELL] -= both
    plan[..., Column.PURCHASE] -= both
    kept = programme.kept[:, None]
    cycled = np.minimum(plan[..., Column.CHARGE], plan[..., Column.DISCHARGE] / kept)
    lost = cycled * (1.0 - kept)
    room = programme.upper - plan
    curtailed = np.minimum(lost, room[..., Column.CURTAIL])
    exported = np.minimum(lost - curtailed, room[..., Column.EXPORT])
    exported[programme.cost[..., Column.EXPORT] > 0.0] = 0.0
    moved = curtailed + exported
    share = np.where(lost > moved, moved / np.where(lost > 0.0, lost, 1.0), 1.0)
    plan[..., Column.CHARGE] -= share * cycled
    plan[..., Column.DISCHARGE] -= share * cycled * kept
    plan[..., Column.CURTAIL] += curtailed
    plan[..., Column.EXPORT] += exported
    short = programme.upper[..., Column.GREEN_DEMANDED] - plan[..., Column.GREEN_DEMANDED]
    first = np.minimum(short, plan[..., Column.GREEN_OTHER])
    plan[..., Column.GREEN_DEMANDED] += first
    plan[..., Column.GREEN_OTHER] -= first
    return judged(
        programme,
        found.solver,
        found.status,
        found.iterations,
        plan,
        found.duals,
        found.balance_duals,
    )
