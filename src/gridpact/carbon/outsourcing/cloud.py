"""What an honest provider does with what it is given; it must not know what is behind the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.linalg import splu

from gridpact.carbon.emissions import CO2_PER_CARBON
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.carbon.outsourcing.curves import MaskedCurves
    from gridpact.carbon.outsourcing.masks import MaskedProblem
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
        raise InputError([Problem("matrix", message)]) from None
    return solved


def price_masked(task: MaskedCurves) -> tuple[FloatArray, FloatArray]:
    """w' and e', shape (k,) each. Source: [SUN23], eq. (24)-(26) and (29)-(33)."""
    coal = task.zeta * np.einsum("ki,ki->k", task.curves, task.powers)
    return coal, CO2_PER_CARBON * task.theta * coal
