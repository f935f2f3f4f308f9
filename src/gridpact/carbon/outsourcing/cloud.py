"""What an honest provider computes from what it is given, and the same without masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.linalg import splu

from gridpact.carbon.emissions import CO2_PER_CARBON
from gridpact.errors import InputError
from gridpact.errors import Problem as Wrong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.carbon.emissions import CoalCurve
    from gridpact.carbon.outsourcing.curves import MaskedCurves
    from gridpact.carbon.outsourcing.masks import MaskedProblem
    from gridpact.carbon.outsourcing.problem import Problem
    from gridpact.model.carbon import FloatArray

DENSE_SHARE = 0.25
"""From this share of entries on, a dense solve is faster."""


def solve_masked(task: MaskedProblem) -> FloatArray:
    """X' of A' X' = B', shape (N, g). Source: [SUN23], eq. (12)-(14).

    Raises:
        InputError: the matrix is singular.
    """
    nodes = len(task.right)
    try:
        if task.matrix.nnz >= DENSE_SHARE * nodes * nodes:
            solved: FloatArray = np.linalg.solve(task.matrix.toarray(), task.right)
        else:
            solved = splu(task.matrix).solve(task.right)
    except (RuntimeError, np.linalg.LinAlgError):
        message = f"of {nodes} rows is singular; give one that is not"
        raise InputError([Wrong("matrix", message)]) from None
    return solved


def price_masked(task: MaskedCurves) -> tuple[FloatArray, FloatArray]:
    """Virtual w' and e', shape (k,) each. Source: [SUN23], eq. (24)-(26) and (29)-(33)."""
    coal = task.zeta * np.einsum("ki,ki->k", task.curves, task.powers)
    return coal, CO2_PER_CARBON * task.theta * coal


def solve_clear(problem: Problem) -> FloatArray:
    """X, shape (N, g), as the grid's own data centre computes it. Source: [SUN23], eq. (8)."""
    solved: FloatArray = splu(problem.matrix).solve(problem.right)
    return solved


def price_clear(curves: Sequence[CoalCurve], p_mw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coal w and carbon e, shape (k,) each. Source: [SUN23], eq. (20)-(21)."""
    units = list(zip(curves, p_mw, strict=True))
    coal = np.array([float(curve.coal_t_per_mwh(p)) for curve, p in units])
    return coal, np.array([float(curve.t_per_mwh(p)) for curve, p in units])
