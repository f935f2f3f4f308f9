"""What a window of microgrids asks to be minimised: bids as floats, in kWh and currency.

min 1/2 x'Qx + c'x over lower <= x <= upper with the equations of `Row` and, where microgrids trade,
sales = purchases in every period. Arrays have the shape (M, T, 12) of columns or (M, T, 3) of rows,
for M microgrids and T periods. Every bound is finite, so duals alone bound the cost from below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.model.microgrids import (
    MICROGRIDS_MAX,
    PERIODS_MAX,
    Column,
    MicrogridBid,
    MicrogridTerms,
    Row,
)
from gridpact.units import MICRO_PER_CURRENCY, WH_PER_KWH

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray

UWH_PER_WH = 10**6
UWH_PER_KWH = UWH_PER_WH * WH_PER_KWH
PER_PICO_WH2 = 1e-6
"""Currency per kWh^2 in one pico-currency per Wh^2."""
PERMILLE_SQUARED = 10**6


@dataclass(frozen=True, slots=True)
class Programme:
    """A convex quadratic programme with diagonal Q. Source: [AEPS22], eqs. (1)-(12), (14)-(17)."""

    cost: FloatArray
    """Shape (M, T, 12): c, in currency per kWh."""
    curvature: FloatArray
    """Shape (M, T, 12): the diagonal of Q, in currency per kWh^2; >= 0."""
    lower: FloatArray
    upper: FloatArray
    """Shape (M, T, 12), kWh."""
    constants: FloatArray
    """Shape (M, T, 3): right-hand sides of the equations, kWh."""
    kept: FloatArray
    """Shape (M,): share of charged energy that comes out again."""
    shortage: FloatArray
    """Shape (M, T): cost, in currency, of leaving all green demand unmet; the plan's cost counts
    from here."""

    @property
    def microgrids(self) -> int:
        """M."""
        return int(self.cost.shape[0])

    @property
    def periods(self) -> int:
        """T."""
        return int(self.cost.shape[1])

    def costs(self, plan: FloatArray) -> FloatArray:
        """Shape (M, T): what a plan costs each microgrid in each period, in currency."""
        cost: FloatArray = (plan * (self.cost + 0.5 * self.curvature * plan)).sum(axis=2)
        return cost + self.shortage

    def turnovers(self, plan: FloatArray) -> FloatArray:
        """Shape (M,): the sizes of all costs and revenues of a plan, in currency.

        What a gap is relative to: unlike the cost it is not near zero because sales and expenses
        cancel. Unmet green demand counts with what it costs.
        """
        terms = plan * (self.cost + 0.5 * self.curvature * plan)
        terms[..., Column.GREEN_DEMANDED] += self.shortage
        sizes: FloatArray = np.abs(terms, out=terms).sum(axis=(1, 2))
        return sizes

    def only(self, microgrid: int) -> Programme:
        """The programme of one microgrid."""
        part = slice(microgrid, microgrid + 1)
        return Programme(**{one.name: getattr(self, one.name)[part] for one in fields(self)})


def programme_of(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> Programme:
    """The joint programme of a window, in which all may trade with all.

    The bounds that no bid states follow from what a plan could use at most: green energy leaves
    as far as generation and storage give it, and is bought as far as load and storage take it.

    Raises:
        InputError: everything that contradicts itself in terms and bids.
    """
    problems = _problems(terms, bids)
    if problems:
        raise InputError(problems)
    shape = len(bids), len(terms.retail_micro_per_kwh)
    cost, curvature, lower, upper = (np.zeros((*shape, len(Column))) for _ in range(4))
    load, demand, renewable = (
        _kwh([getattr(bid, name) for bid in bids]).reshape(shape)
        for name in ("load_wh", "green_demand_wh", "renewable_wh")
    )
    shortage = _price([[bid.shortage_micro_per_kwh] for bid in bids]).reshape(-1, 1)
    turbine, storage = [bid.turbine for bid in bids], [bid.storage for bid in bids]
    flow_max = _kwh([[one.energy_max_wh] for one in storage]).reshape(-1, 1)

    cost[..., Column.BUY] = _price(terms.retail_micro_per_kwh)
    cost[..., Column.TURBINE] = _price([[one.linear_micro_per_kwh] for one in turbine]).reshape(
        -1, 1
    )
    cost[..., Column.EXPORT] = -_price(terms.feed_in_micro_per_kwh)
    cost[..., Column.GREEN_DEMANDED] = -shortage
    cost[..., Column.SELL] = cost[..., Column.PURCHASE] = _price(terms.fee_per_side_micro_per_kwh)
    cost[:, -1, Column.MISSING] = _price(terms.end_micro_per_kwh)
    curvature[..., Column.TURBINE] = (2 * PER_PICO_WH2) * np.array(
        [[one.quadratic_pico_per_wh2] for one in turbine], np.float64
    ).reshape(-1, 1)

    upper[..., Column.BUY] = load
    turbine_max = _kwh([[one.energy_max_wh] for one in turbine]).reshape(-1, 1)
    upper[..., Column.TURBINE] = np.minimum(load, turbine_max)
    upper[..., Column.CURTAIL] = renewable
    upper[..., Column.CHARGE] = upper[..., Column.DISCHARGE] = flow_max
    for column in (Column.EXPORT, Column.SELL):
        upper[..., column] = renewable + flow_max
    upper[..., Column.GREEN_DEMANDED] = demand
    upper[..., Column.GREEN_OTHER] = load - demand
    upper[..., Column.PURCHASE] = load + flow_max
    content = np.array(
        [
            (one.content_min_uwh, one.content_max_uwh, one.content_start_uwh, one.content_end_uwh)
            for one in storage
        ],
        np.float64,
    ).reshape(-1, 4) / float(UWH_PER_KWH)
    lower[..., Column.CONTENT] = content[:, :1]
    upper[..., Column.CONTENT] = content[:, 1:2]
    lower[:, -1, Column.CONTENT] = np.maximum(content[:, 0], content[:, 3])
    # In whole Wh, as exact checks have it: where all that can be missing is, the dual of the
    # storage may be anything, and multiplies every difference between two readings of this limit.
    lacking = [max(0, one.content_end_uwh - one.content_min_uwh) for one in storage]
    upper[:, -1, Column.MISSING] = [-(-one // UWH_PER_WH) / WH_PER_KWH for one in lacking]

    constants = np.zeros((*shape, len(Row)))
    constants[..., Row.GREEN] = renewable
    constants[..., Row.POWER] = load
    constants[:, 0, Row.STORED] = content[:, 2]
    kept = np.array([one.charge_permille * one.discharge_permille for one in storage], np.float64)
    programme = Programme(
        cost=cost,
        curvature=curvature,
        lower=lower,
        upper=upper,
        constants=constants,
        kept=kept / PERMILLE_SQUARED,
        shortage=shortage * demand,
    )
    _refuse_unless_finite(programme)
    return programme


def alone(programme: Programme) -> Programme:
    """The same window without trade: M programmes that have nothing to do with each other.

    Source: [AEPS22], eqs. (1)-(11), (13): the disagreement point.
    """
    upper = programme.upper.copy()
    upper[..., [Column.SELL, Column.PURCHASE]] = 0.0
    return replace(programme, upper=upper)


def _refuse_unless_finite(programme: Programme) -> None:
    """NaN and infinities stop here, not in a solver."""
    problems = [
        Problem(name, "has a number that is not finite; give whole numbers of the stated units")
        for name in ("cost", "curvature", "lower", "upper", "constants", "kept")
        if not np.isfinite(getattr(programme, name)).all()
    ]
    if problems:
        raise InputError(problems)


def _kwh(energy_wh: Sequence[Sequence[int]]) -> FloatArray:
    return np.array(energy_wh, np.float64) / WH_PER_KWH


def _price(price_micro_per_kwh: int | Sequence[int] | Sequence[Sequence[int]]) -> FloatArray:
    return np.array(price_micro_per_kwh, np.float64) / MICRO_PER_CURRENCY


def _problems(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> list[Problem]:
    """What the shapes of terms and bids do not rule out by themselves.

    Less than a ledger refuses (`market.integer.microgrids.check`): floats need neither room for a
    missing Wh nor bounds on products.
    """
    periods = len(terms.retail_micro_per_kwh)
    found = []
    if not 1 <= periods <= PERIODS_MAX:
        message = f"has {periods} periods; allowed: 1..{PERIODS_MAX}; clear a window of that length"
        found.append(Problem("terms.retail_micro_per_kwh", message))
    if len(terms.feed_in_micro_per_kwh) != periods:
        message = f"has {len(terms.feed_in_micro_per_kwh)} periods, the retail price {periods}"
        found.append(Problem("terms.feed_in_micro_per_kwh", f"{message}; give one price a period"))
    if not 1 <= len(bids) <= MICROGRIDS_MAX:
        message = f"are {len(bids)}; allowed: 1..{MICROGRIDS_MAX}; clear more in groups"
        found.append(Problem("bids", message))
    for number, bid in enumerate(bids):
        found += _problems_of_bid(f"bids[{number}]", bid, periods)
    return found


def _problems_of_bid(where: str, bid: MicrogridBid, periods: int) -> list[Problem]:
    found = []
    for name in ("load_wh", "green_demand_wh", "renewable_wh"):
        count = len(getattr(bid, name))
        if count != periods:
            message = f"has {count} periods, the window {periods}; give one number a period"
            found.append(Problem(f"{where}.{name}", message))
    for period, (demand, load) in enumerate(zip(bid.green_demand_wh, bid.load_wh, strict=False)):
        if demand > load:
            message = f"{demand} Wh is above the load; allowed: 0..{load} Wh; ask for part of it"
            found.append(Problem(f"{where}.green_demand_wh[{period}]", message))
    storage = bid.storage
    low, high = storage.content_min_uwh, storage.content_max_uwh
    for name, least in (("content_start_uwh", low), ("content_end_uwh", 0)):
        content = getattr(storage, name)
        if not least <= content <= high:
            message = f"{content} uWh is outside the storage; allowed: {least}..{high} uWh"
            found.append(Problem(f"{where}.storage.{name}", f"{message}; correct one of them"))
    if low > high:
        message = f"{low} uWh is above content_max_uwh {high} uWh; swap or widen them"
        found.append(Problem(f"{where}.storage.content_min_uwh", message))
    return found
