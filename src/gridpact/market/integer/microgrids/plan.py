"""A plan judged exactly: whether it keeps every rule, what it costs, and what moves in it.

A plan is an int64 array (columns, microgrids, periods) in the order of `Column`. `plain` says the
same number by number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.market.integer.microgrids.verdicts import ClearingVerdict
from gridpact.market.integer.microgrids.window import UWH_PER_WH, Window
from gridpact.model.microgrids import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

LOW_BITS = 2**32 - 1


def fault(window: Window, plan: IntArray) -> ClearingVerdict:
    """The first rule that a plan breaks, `ACCEPTED` when it breaks none.

    Limits come first: all other sums are below 2^63 only within them.

    Source: [AEPS22], eqs. (8)-(12).
    """
    if ((plan < window.lower) | (plan > window.upper)).any():
        return ClearingVerdict.LIMIT_BROKEN
    used = plan[Column.GREEN_DEMANDED] + plan[Column.GREEN_OTHER]
    given = plan[Column.EXPORT] + plan[Column.CURTAIL] + plan[Column.SELL] + plan[Column.CHARGE]
    taken = window.renewable_wh + plan[Column.DISCHARGE] + plan[Column.PURCHASE]
    if (used + given != taken).any():
        return ClearingVerdict.GREEN_UNBALANCED
    if (used + plan[Column.TURBINE] + plan[Column.BUY] != window.load_wh).any():
        return ClearingVerdict.POWER_UNBALANCED
    if (plan[Column.CONTENT] != _content_before(window, plan) + _content_gain(window, plan)).any():
        return ClearingVerdict.STORAGE_WRONG
    if (plan[Column.SELL].sum(axis=0) != plan[Column.PURCHASE].sum(axis=0)).any():
        return ClearingVerdict.TRADE_UNBALANCED
    return ClearingVerdict.ACCEPTED


def _content_before(window: Window, plan: IntArray) -> IntArray:
    """(M, T): what each storage holds at the start of each period."""
    start = window.content_start_uwh[:, np.newaxis]
    return np.concatenate([start, plan[Column.CONTENT, :, :-1]], axis=1)


def _content_gain(window: Window, plan: IntArray) -> IntArray:
    """(M, T): micro-Wh that each period adds to each storage."""
    whole = plan[Column.MISSING] - plan[Column.DISCHARGE]
    gain: IntArray = window.efficiency_ppm * plan[Column.CHARGE] + UWH_PER_WH * whole
    return gain


def cost_terms(window: Window, plan: IntArray) -> IntArray:
    """(7, M, T) in pico: shortage, turbine, grid, export, fees of sale and purchase, missing.

    Each is at most 2^59 in size for a plan within its limits.

    Source: [AEPS22], eqs. (1)-(6).
    """
    terms = np.empty((7, *plan.shape[1:]), np.int64)
    turbine = plan[Column.TURBINE]
    short = window.green_demand_wh - plan[Column.GREEN_DEMANDED]
    marginal = window.turbine_linear_pico + window.turbine_quadratic_pico * turbine
    np.multiply(short, window.shortage_pico, out=terms[0])
    np.multiply(turbine, marginal, out=terms[1])
    np.multiply(plan[Column.BUY], window.retail_pico, out=terms[2])
    np.multiply(plan[Column.EXPORT], -window.feed_in_pico, out=terms[3])
    np.multiply(plan[Column.SELL : Column.PURCHASE + 1], window.fee_pico, out=terms[4:6])
    np.multiply(plan[Column.MISSING], window.end_pico, out=terms[6])
    return terms


def costs_pico(terms: IntArray) -> list[int]:
    """Cost of each microgrid over the window, from `cost_terms`."""
    return exact_sums(terms)


def first_costs_pico(terms: IntArray) -> list[int]:
    """Cost of each microgrid in the first period, from `cost_terms`."""
    return exact_sums(terms[:, :, :1])


def turnovers_pico(terms: IntArray) -> list[int]:
    """Gross turnover of each microgrid over the window: the sum of its cost terms without signs.

    What a gap is relative to: unlike the cost it cannot be near zero because sales and expenses
    cancel. Turbine costs count once, linear and quadratic part together.
    """
    return exact_sums(np.abs(terms))


def exact_sums(terms: IntArray) -> list[int]:
    """Sum over all but the middle axis, (any, M, any), exact whatever the size of the terms.

    Upper and lower 32 bits are summed apart, so up to 2^31 terms cannot wrap.
    """
    high = (terms >> 32).sum(axis=(0, 2)).tolist()
    low = (terms & LOW_BITS).sum(axis=(0, 2)).tolist()
    return [(upper << 32) + lower for upper, lower in zip(high, low, strict=True)]
