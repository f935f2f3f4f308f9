"""Trade that depends on who trades with whom: fees, limits and forbidden pairs, edge by edge.

Where one fee holds for all pairs and none is limited, `solve_together` finds the same cost faster:
whatever sums to zero can be paired. Here each pair that may trade has a column of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from gridpact.errors import GridpactError, InputError, Problem
from gridpact.market.solvers.programme import Programme
from gridpact.market.solvers.solution import MISSING_MAX, scales
from gridpact.market.solvers.sparse import Form, Piqp, Point, clarabel_point, matrix_of
from gridpact.model.microgrids import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gridpact.quantize import FloatArray

    IntArray = NDArray[np.int64]

PAIR_GAP_MAX = 1e-7
"""Relative to the turnover: what sparse solvers reach on windows in which hardly anything moves."""


class PairSolveError(GridpactError):
    """Neither PIQP nor Clarabel reached the tolerances."""

    def __init__(self, statuses: list[str]) -> None:
        self.statuses = tuple(statuses)
        super().__init__(f"no optimum of the trade between pairs: {'; '.join(statuses)}")


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Which microgrids may sell to which, E pairs in T periods; whom no pair names trades not."""

    seller: IntArray
    buyer: IntArray
    """Shape (E,), numbers of microgrids."""
    fee_per_side: FloatArray
    """Shape (E,), currency per kWh, paid by both; >= 0."""
    most_kwh: FloatArray
    """Shape (E, T): limit of each pair in each period, finite; 0 forbids."""


@dataclass(frozen=True, slots=True, eq=False)
class PairSolution:
    """A plan with the energy of each pair."""

    solver: str
    plan_kwh: FloatArray
    """Shape (M, T, 12); SELL and PURCHASE are sums over pairs."""
    flows_kwh: FloatArray
    """Shape (E, T)."""
    costs: FloatArray
    """Shape (M, T), currency, with each side's fees."""
    gap: float
    """Cost less what duals prove to be the least, relative to the turnover."""
    missing_kwh: float
    """Largest size of b - A x."""


def solve_pairs(programme: Programme, pairs: Pairs) -> PairSolution:
    """The plan of least total cost when only these pairs trade; the uniform fee plays no part.

    Raises:
        InputError: a pair names no two microgrids of the programme, or numbers are not finite.
        PairSolveError: no solver reaches the tolerances.

    Source: [AEPS22], eqs. (1), (5), (12), with P_ij as they stand there.
    """
    _refuse_unless_sound(programme, pairs)
    form = _form(programme, pairs)
    statuses = []
    for name, solve in (("PIQP", Piqp().solve), ("Clarabel", clarabel_point)):
        found = _read(programme, pairs, form, name, solve(form))
        if found.gap <= PAIR_GAP_MAX and found.missing_kwh <= MISSING_MAX * form.energy_kwh:
            return found
        statuses.append(f"{name}: gap {found.gap:.1e}, misses by {found.missing_kwh:.1e} kWh")
    raise PairSolveError(statuses)


def _refuse_unless_sound(programme: Programme, pairs: Pairs) -> None:
    problems = []
    count = len(pairs.seller)
    for pair, (seller, buyer) in enumerate(zip(pairs.seller, pairs.buyer, strict=True)):
        if seller == buyer or not (
            0 <= seller < programme.microgrids and 0 <= buyer < programme.microgrids
        ):
            message = f"({seller}, {buyer}) are no two of 0..{programme.microgrids - 1}; correct it"
            problems.append(Problem(f"pairs[{pair}]", message))
    for name, shape in (("fee_per_side", (count,)), ("most_kwh", (count, programme.periods))):
        values = getattr(pairs, name)
        if values.shape != shape:
            message = f"has the shape {values.shape}; allowed: {shape}; give one for each"
            problems.append(Problem(f"pairs.{name}", message))
        elif not (np.isfinite(values) & (values >= 0)).all():
            message = "has a number that is negative or not finite; allowed: 0 and above"
            problems.append(Problem(f"pairs.{name}", f"{message}; correct it"))
    if problems:
        raise InputError(problems)


def _form(programme: Programme, pairs: Pairs) -> Form:
    """Columns of the microgrids, then (E, T) flows; equations, then sums of sales, of purchases."""
    price, energy = scales(programme)
    microgrids, periods, count = programme.microgrids, programme.periods, len(pairs.seller)
    cost = programme.cost.copy()
    cost[..., [Column.SELL, Column.PURCHASE]] = 0.0
    equations = matrix_of(tuple(programme.kept.tolist()), periods)[: programme.constants.size]
    blocks = [[equations, None]]
    for column, side in ((Column.SELL, pairs.seller), (Column.PURCHASE, pairs.buyer)):
        pick = sparse.csr_array(([1.0], ([0], [int(column)])), shape=(1, len(Column)))
        sums = sparse.kron(sparse.eye_array(microgrids * periods), pick)
        ends = sparse.csr_array(
            (-np.ones(count), (side, np.arange(count))), shape=(microgrids, count)
        )
        blocks.append([sums, sparse.kron(ends, sparse.eye_array(periods))])
    nothing = np.zeros(count * periods)
    return Form(
        curvature=np.concatenate([programme.curvature.ravel() * (energy / price), nothing]),
        cost=np.concatenate([cost.ravel(), np.repeat(2 * pairs.fee_per_side, periods)]) / price,
        lower=np.concatenate([programme.lower.ravel(), nothing]) / energy,
        upper=np.concatenate([programme.upper.ravel(), pairs.most_kwh.ravel()]) / energy,
        matrix=sparse.csc_array(sparse.block_array(blocks)),
        constants=np.concatenate([programme.constants.ravel(), np.zeros(2 * microgrids * periods)])
        / energy,
        price=price,
        energy_kwh=energy,
    )


def _read(
    programme: Programme, pairs: Pairs, form: Form, solver: str, point: Point
) -> PairSolution:
    """What a solver found, with what its duals prove."""
    money = form.price * form.energy_kwh
    x = np.clip(point.columns_kwh / form.energy_kwh, form.lower, form.upper)
    duals = point.duals / form.price
    reduced = form.cost - form.matrix.T @ duals
    with np.errstate(divide="ignore", invalid="ignore"):
        lowest = np.clip(-reduced / form.curvature, form.lower, form.upper)
    ends = np.where(reduced > 0, form.lower, form.upper)
    best = np.where(form.curvature > 0, lowest, ends)
    bound = duals @ form.constants + best @ (reduced + 0.5 * form.curvature * best)
    cost = x @ (form.cost + 0.5 * form.curvature * x)
    split = programme.cost.size
    plan = x[:split].reshape(programme.cost.shape) * form.energy_kwh
    flows = x[split:].reshape(-1, programme.periods) * form.energy_kwh
    fees = flows * pairs.fee_per_side[:, None]
    untaxed = plan.copy()
    untaxed[..., [Column.SELL, Column.PURCHASE]] = 0.0
    costs = programme.costs(untaxed)
    for side in (pairs.seller, pairs.buyer):
        np.add.at(costs, side, fees)
    whole = float(programme.turnovers(untaxed).sum() + 2 * fees.sum()) + 1e-3 * money
    return PairSolution(
        solver=solver,
        plan_kwh=plan,
        flows_kwh=flows,
        costs=costs,
        gap=float(cost - bound) * money / whole,
        missing_kwh=float(np.abs(form.constants - form.matrix @ x).max()) * form.energy_kwh,
    )
