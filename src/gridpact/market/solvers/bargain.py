"""What microgrids bargain for: how the gain of trading is shared, in closed form.

The product of gains (C_alone - C_together + y), each with its weight as exponent, is largest under
sum y = 0 where every gain is its weight's share of the surplus; so transfers need no solver.
Only transfers, and hence net costs, are determined: plans, pair flows and pair prices are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.market.solvers.prices import pair_prices, proportional_flows
from gridpact.market.solvers.programme import programme_of
from gridpact.market.solvers.solution import Solution, scales
from gridpact.market.solvers.solve import solve_alone, solve_together
from gridpact.model.microgrids import MicrogridBid, MicrogridTerms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gridpact.quantize import FloatArray

SURPLUS_MIN = 1e-10
"""Of dearest price x largest energy: what solvers aim at, and so cannot tell from 0."""
IDLE_KWH = 1e-6
"""A thousandth of a Wh: who sells and purchases less in a period has not traded."""


@dataclass(frozen=True, slots=True, eq=False)
class MicrogridClearing:
    """A window cleared: M microgrids, T periods, money in currency."""

    alone: Solution
    """Each for itself."""
    together: Solution
    """With trade; the plans of `alone` where trade gains nothing."""
    weights: FloatArray
    """Shape (M,), sum 1: shares of the surplus."""
    surplus: float
    """What trade saves all together; 0 where the solvers cannot tell it from 0."""
    transfers: FloatArray
    """Shape (M, T), + received from the others. Each period sums to 0; over the window they leave
    each microgrid with its share of the surplus."""
    prices_middle: FloatArray
    """Shape (T,): between feed-in and retail; which prices of pairs come nearest to."""

    @property
    def disagreement_costs(self) -> FloatArray:
        """Shape (M,): of the window without trade."""
        costs: FloatArray = self.alone.costs.sum(axis=1)
        return costs

    @property
    def net_costs(self) -> FloatArray:
        """Shape (M,): of the window after transfers."""
        costs: FloatArray = (self.together.costs - self.transfers).sum(axis=1)
        return costs

    @property
    def gains(self) -> FloatArray:
        """Shape (M,): weight x surplus."""
        return self.disagreement_costs - self.net_costs

    @property
    def period_surpluses(self) -> FloatArray:
        """Shape (T,): what trade saves in each period.

        A storage moves benefit between periods, so a part can be negative, and then all lose by
        their weights in that period.
        """
        saved: FloatArray = (self.alone.costs - self.together.costs).sum(axis=0)
        return saved

    @property
    def paid_without_trade(self) -> NDArray[np.bool_]:
        """Shape (M, T): a transfer of one who trades nothing then: no price per kWh carries it."""
        idle = np.abs(self.together.net_sales_kwh) <= IDLE_KWH
        limit = 1e-9 * max(float(np.abs(self.transfers).max()), 1e-9)
        flags: NDArray[np.bool_] = idle & (np.abs(self.transfers) > limit)
        return flags

    def flows_kwh(self, period: int) -> FloatArray:
        """Shape (M, M): sold by row to column, in proportion to sales and purchases."""
        return proportional_flows(self.together.net_sales_kwh[:, period])

    def pair_prices(self, period: int) -> tuple[FloatArray, FloatArray]:
        """Prices (M, M), NaN where nothing flows, and what they leave to pay on the side (M,).

        A report: many prices pay the same transfers; see `prices.pair_prices`.
        """
        return pair_prices(
            self.flows_kwh(period), self.transfers[:, period], float(self.prices_middle[period])
        )


def clear_microgrids(
    terms: MicrogridTerms,
    bids: Sequence[MicrogridBid],
    weights: Sequence[float] | None = None,
) -> MicrogridClearing:
    """Clear a window: the plan of least cost, and what the microgrids pay each other for it.

    Args:
        terms: of the market.
        bids: one for each microgrid.
        weights: bargaining power, one positive number for each; equal when left out.

    Raises:
        InputError: everything that is wrong with terms, bids and weights.
        SolveError: no solver reaches the tolerances.

    Source: [AEPS22], eqs. (13)-(18). Ours: the closed form of (18); weights; transfers of periods
    by the same rule, which the paper's logarithm does not define where a period's part of the
    surplus is negative.
    """
    shares = _shares(weights, len(bids))
    programme = programme_of(terms, bids)
    apart, together = solve_alone(programme), solve_together(programme)
    surplus = apart.cost - together.cost
    price, energy = scales(programme)
    if surplus <= apart.slack + together.slack + SURPLUS_MIN * price * energy:
        surplus, together = 0.0, apart
    saved = apart.costs - together.costs
    return MicrogridClearing(
        alone=apart,
        together=together,
        weights=shares,
        surplus=surplus,
        transfers=shares[:, None] * saved.sum(axis=0) - saved,
        prices_middle=np.array(
            [
                (retail + feed_in) / 2e6
                for retail, feed_in in zip(
                    terms.retail_micro_per_kwh, terms.feed_in_micro_per_kwh, strict=True
                )
            ]
        ),
    )


def _shares(weights: Sequence[float] | None, microgrids: int) -> FloatArray:
    """Weights with sum 1.

    Raises:
        InputError: not one positive number for each microgrid.
    """
    if weights is None:
        return np.full(microgrids, 1.0 / max(microgrids, 1))
    given = np.array(weights, np.float64)
    if given.shape != (microgrids,):
        message = f"has {given.size} numbers for {microgrids} microgrids; give one for each"
        raise InputError([Problem("weights", message)])
    problems = [
        Problem(f"weights[{number}]", f"{weight!r} is not a positive number; correct it")
        for number, weight in enumerate(given.tolist())
        if not 0.0 < weight < np.inf
    ]
    if problems:
        raise InputError(problems)
    shares: FloatArray = given / given.sum()
    return shares
