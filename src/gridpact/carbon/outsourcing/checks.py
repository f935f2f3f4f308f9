"""Is an answer right? By comparing two, and by putting one into the equations.

The double check of [SUN23] says whether two answers are the same, and so misses two providers who
agree on a wrong one. The residual check asks the equations themselves, which costs about as much as
writing the answer down, and needs one provider only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.outsourcing.masks import Bits, uniform

if TYPE_CHECKING:
    from gridpact.carbon.outsourcing.problem import Problem
    from gridpact.model.carbon import FloatArray

SAME = 1e-8
"""Largest difference of two answers that count as the same, relative to the largest value. Honest
ones differ by 1e-15 to 1e-11, those of 32-bit arithmetic by 5e-8 and more."""
RESIDUAL_MAX = 1e-9
"""Largest residual of a right answer, relative to the right side."""
CONSERVED = 1e-9
"""Relative."""
DRAWS = 3
"""Random directions; one alone misses a wrong answer with probability 0 in exact arithmetic."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider gave, with the cover taken off."""

    x_mw: FloatArray
    """X, shape (N, g)."""
    coal_t_per_mwh: FloatArray
    """w of the units with a curve, shape (k,)."""
    t_per_mwh: FloatArray
    """e of the units with a curve, shape (k,)."""


def difference(one: FloatArray, other: FloatArray) -> float:
    """Largest difference over the largest value of either; infinite for other shapes or NaN."""
    if one.shape != other.shape or not (np.isfinite(one).all() and np.isfinite(other).all()):
        return float("inf")
    if not one.size:
        return 0.0
    apart = float(np.abs(one - other).max())
    size = max(float(np.abs(one).max()), float(np.abs(other).max()))
    return apart / size if size > 0.0 else 0.0


def same_answer(one: Answer, other: Answer) -> bool:
    """The double check. Source: [SUN23], section 4.3, eq. (40)-(44): X, w and e must all agree."""
    return all(
        difference(first, second) <= SAME
        for first, second in (
            (one.x_mw, other.x_mw),
            (one.coal_t_per_mwh, other.coal_t_per_mwh),
            (one.t_per_mwh, other.t_per_mwh),
        )
    )


def residual(problem: Problem, x_mw: FloatArray, bits: Bits) -> float:
    """Largest relative residual of A_u X r = B r in `DRAWS` random directions r.

    Infinite for NaN or another shape. The directions are drawn after the answer is in, so nobody
    can have fitted it to them. Costs O(entries + N g) a draw.

    Source: ours; the check of products by R. Freivalds.
    """
    if x_mw.shape != problem.right.shape or not np.isfinite(x_mw).all():
        return float("inf")
    worst = 0.0
    for _ in range(DRAWS):
        direction = 2.0 * uniform(x_mw.shape[1], bits) - 1.0
        right = problem.right @ direction
        left = problem.matrix @ (x_mw @ direction)
        size = float(np.linalg.norm(right))
        apart = float(np.linalg.norm(left - right))
        worst = max(worst, apart / size if size > 0.0 else apart)
    return worst


def is_right(problem: Problem, x_mw: FloatArray, bits: Bits) -> bool:
    """The residual check."""
    return residual(problem, x_mw, bits) <= RESIDUAL_MAX


def is_conserved(problem: Problem, x_mw: FloatArray) -> bool:
    """Whether all power through each node, and all power of each source, is accounted for.

    Necessary, but two wrong answers that exchange shares pass it too. The flow's own imbalance,
    which `check_flow` bounds, is allowed for.

    Source: X 1 = P and (P_L / P)^T X = p^T.
    """
    if x_mw.shape != problem.right.shape or not np.isfinite(x_mw).all():
        return False
    through, source = problem.through_mw, problem.source_mw
    part = np.divide(problem.demand_mw, through, where=through > 0.0, out=np.zeros_like(through))
    sent = np.asarray(problem.matrix.sum(axis=0)).ravel()
    # What a column of A_u sums to is the part of a node's power that stays there: its load, and
    # what the power flow left over.
    left_over = np.abs(sent - part) @ through
    by_node = np.abs(x_mw.sum(axis=1) - through).max(initial=0.0)
    by_source = np.abs(part @ x_mw - source).max(initial=0.0)
    allowed = CONSERVED * float(source.sum())
    return bool(by_node <= allowed and by_source <= allowed + left_over)
