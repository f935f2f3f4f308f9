"""The same programmes as sparse matrices, for solvers that know nothing of their structure.

PIQP (a proximal interior point method, BSD-2) and Clarabel (Apache-2). Numbers are scaled so that
the largest energy and the dearest price are one; columns that cannot move are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import clarabel
import numpy as np
import piqp
from scipy import sparse

from gridpact.market.solvers.programme import Programme
from gridpact.market.solvers.solution import scales
from gridpact.model.microgrids import Column, Row

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray

ITERATIONS_MAX = 200
GAP_RELATIVE = 1e-10
RESIDUAL = 1e-10
"""What the solvers are asked for, in scaled numbers."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """min 1/2 x'Qx + c'x with A x = b and lower <= x <= upper, scaled."""

    curvature: FloatArray
    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    """Shape (n,) each."""
    matrix: Any
    """A, scipy CSC, shape (m, n)."""
    constants: FloatArray
    """Shape (m,): b."""
    price: float
    energy_kwh: float
    """What one of a price and of an energy stands for."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """What a solver found, in kWh and currency per kWh."""

    status: str
    iterations: int
    columns_kwh: FloatArray
    """Shape (n,)."""
    duals: FloatArray
    """Shape (m,)."""


def form_of(programme: Programme) -> Form:
    """The whole programme: M T 12 columns, M T 3 rows and T balances."""
    price, energy = scales(programme)
    constants = np.concatenate([programme.constants.ravel(), np.zeros(programme.periods)])
    return Form(
        curvature=programme.curvature.ravel() * (energy / price),
        cost=programme.cost.ravel() / price,
        lower=programme.lower.ravel() / energy,
        upper=programme.upper.ravel() / energy,
        matrix=matrix_of(tuple(programme.kept.tolist()), programme.periods),
        constants=constants / energy,
        price=price,
        energy_kwh=energy,
    )


@lru_cache(maxsize=4)
def matrix_of(kept: tuple[float, ...], periods: int) -> Any:
    """A, scipy CSC: in a rolling market only numbers beside it change."""
    balance = sparse.lil_array((1, len(Column)))
    balance[0, Column.SELL], balance[0, Column.PURCHASE] = 1.0, -1.0
    balances = sparse.kron(sparse.eye_array(periods), balance)
    before = sparse.lil_array((len(Row), len(Column)))
    before[Row.STORED, Column.CONTENT] = -1.0
    earlier = sparse.kron(sparse.eye_array(periods, k=-1), before)
    chains = [sparse.kron(sparse.eye_array(periods), _cell(share)) + earlier for share in kept]
    return sparse.csc_array(
        sparse.vstack([sparse.block_diag(chains), sparse.hstack([balances] * len(kept))])
    )


def _cell(kept: float) -> Any:
    """The equations of one microgrid in one period, but for the content before."""
    cell = sparse.lil_array((len(Row), len(Column)))
    for row, column, value in (
        *((Row.GREEN, column, 1.0) for column in (Column.EXPORT, Column.CURTAIL, Column.SELL)),
        (Row.GREEN, Column.CHARGE, 1.0),
        (Row.GREEN, Column.DISCHARGE, -1.0),
        (Row.GREEN, Column.PURCHASE, -1.0),
        *((row, Column.GREEN_DEMANDED, 1.0) for row in (Row.GREEN, Row.POWER)),
        *((row, Column.GREEN_OTHER, 1.0) for row in (Row.GREEN, Row.POWER)),
        (Row.POWER, Column.TURBINE, 1.0),
        (Row.POWER, Column.BUY, 1.0),
        (Row.STORED, Column.CONTENT, 1.0),
        (Row.STORED, Column.CHARGE, -kept),
        (Row.STORED, Column.DISCHARGE, 1.0),
        (Row.STORED, Column.MISSING, -1.0),
    ):
        cell[row, column] = value
    return cell


class _Reduced:
    """A form without columns that cannot move and rows that then say nothing."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.free = form.upper > form.lower
        self.matrix = sparse.csc_matrix(form.matrix[:, self.free])
        self.told = np.diff(sparse.csr_matrix(self.matrix).indptr) > 0
        self.matrix = sparse.csc_matrix(self.matrix[self.told])
        self.curvature = sparse.csc_matrix(sparse.diags_array(form.curvature[self.free]))
        fixed = np.where(self.free, 0.0, form.lower)
        self.constants = (form.constants - form.matrix @ fixed)[self.told]
        self.cost = form.cost[self.free]
        self.lower, self.upper = form.lower[self.free], form.upper[self.free]

    def point(self, status: str, iterations: int, x: FloatArray, duals: FloatArray) -> Point:
        """What was found, with what was left out. `duals` as solvers sign them: y'(A x - b)."""
        columns = self.form.lower.copy()
        columns[self.free] = x
        rows = np.zeros(len(self.form.constants))
        rows[self.told] = -np.asarray(duals)
        return Point(status, iterations, columns * self.form.energy_kwh, rows * self.form.price)


class Piqp:
    """PIQP, kept between solves: where only vectors change it is not set up again."""

    def __init__(self) -> None:
        self._solver: Any = None
        self._last: _Reduced | None = None

    def solve(self, form: Form) -> Point:
        """What PIQP finds; its status is for the caller to judge."""
        now = _Reduced(form)
        if self._last is not None and _same_matrices(self._last, now):
            self._solver.update(c=now.cost, b=now.constants, x_l=now.lower, x_u=now.upper)
        else:
            solver = piqp.SparseSolver()
            solver.settings.max_iter = ITERATIONS_MAX
            solver.settings.eps_abs = solver.settings.eps_rel = RESIDUAL
            solver.settings.eps_duality_gap_abs = solver.settings.eps_duality_gap_rel = GAP_RELATIVE
            solver.setup(
                now.curvature, now.cost, now.matrix, now.constants,
                x_l=now.lower, x_u=now.upper,
            )  # fmt: skip
            self._solver = solver
        self._last = now
        status = self._solver.solve()
        result = self._solver.result
        return now.point(str(status).rpartition(".")[2], result.info.iter, result.x, result.y)


def _same_matrices(last: _Reduced, now: _Reduced) -> bool:
    return (
        last.form.matrix is now.form.matrix
        and np.array_equal(last.free, now.free)
        and np.array_equal(last.form.curvature, now.form.curvature)
    )


def clarabel_point(form: Form) -> Point:
    """What Clarabel finds; its status is for the caller to judge."""
    now = _Reduced(form)
    count, rows = len(now.cost), len(now.constants)
    eye = sparse.eye_array(count)
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_iter = ITERATIONS_MAX
    settings.tol_gap_abs = settings.tol_gap_rel = GAP_RELATIVE
    settings.tol_feas = RESIDUAL
    solver = clarabel.DefaultSolver(
        now.curvature,
        now.cost,
        sparse.csc_matrix(sparse.vstack([now.matrix, -eye, eye])),
        np.concatenate([now.constants, -now.lower, now.upper]),
        [clarabel.ZeroConeT(rows), clarabel.NonnegativeConeT(2 * count)],
        settings,
    )
    found = solver.solve()
    return now.point(
        str(found.status), found.iterations, np.array(found.x), np.array(found.z)[:rows]
    )
