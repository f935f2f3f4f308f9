"""The least cost that any plan can have, as duals prove it.

For integers y, one for each equation, no plan within its limits costs less than

    g(y) = b'y + sum over columns of min over [least, most] of 1/2 q x^2 + (c - A'y) x

whatever y is; good duals make it nearly the cost of the best plan. Each minimum is over real x and
floored to whole pico, so the sum is an integer and still a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.market.integer.microgrids.plan import exact_sums
from gridpact.market.integer.microgrids.window import (
    DUAL_MAX,
    DUAL_TERM_MAX,
    UWH_PER_WH,
    Window,
)
from gridpact.model.microgrids import Column, Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

TERMS = 14
"""Of each microgrid and period: a minimum for each column, and the constants of two rows."""


def dual_limit(window: Window) -> int:
    """Largest size of a dual whose products 64 bits hold, in pico per Wh."""
    return min(DUAL_MAX, DUAL_TERM_MAX // window.energy_max_wh)


def lower_bounds_pico(window: Window, duals: IntArray, balance: IntArray) -> list[int]:
    """Each microgrid's part of g(y); their sum is the bound of the joint problem.

    In a window without trade the balances play no part, and each is the bound of its microgrid.

    Args:
        window: M microgrids, T periods.
        duals: (rows, M, T) in pico per Wh; those of STORED per Wh of content.
        balance: (T,), of sales = purchases; neither is beyond `dual_limit`, which keeps every
            product below 2^63.
    """
    green, power, stored = duals[Row.GREEN], duals[Row.POWER], duals[Row.STORED]
    upper = window.upper
    terms = np.empty((TERMS, window.microgrids, window.periods), np.int64)

    def linear(column: Column, reduced: IntArray) -> None:
        """The minimum of a linear cost between 0 and the column's most."""
        np.multiply(np.minimum(reduced, 0), upper[column], out=terms[column])

    used = green + power
    trade = green + balance
    linear(Column.BUY, window.retail_pico - power)
    terms[Column.TURBINE] = _turbine_minimum(window, window.turbine_linear_pico - power)
    terms[Column.CHARGE] = _charge_minimum(window, green, stored)
    linear(Column.DISCHARGE, green - stored)
    linear(Column.EXPORT, -window.feed_in_pico - green)
    linear(Column.CURTAIL, -green)
    linear(Column.GREEN_DEMANDED, -window.shortage_pico - used)
    linear(Column.GREEN_OTHER, -used)
    terms[Column.CONTENT] = _content_minimum(window, stored)
    linear(Column.SELL, window.fee_pico - trade)
    linear(Column.PURCHASE, window.fee_pico + trade)
    linear(Column.MISSING, window.end_pico + stored)
    # b'y and the shortage that c'x leaves out: c'x has -shortage x GREEN_DEMANDED only.
    terms[12] = window.renewable_wh * green + window.green_demand_wh * window.shortage_pico
    np.multiply(window.load_wh, power, out=terms[13])
    start = _per_wh(stored[:, :1], window.content_start_uwh[:, np.newaxis])
    started = exact_sums(start[np.newaxis])
    return [part + first for part, first in zip(exact_sums(terms), started, strict=True)]


def _turbine_minimum(window: Window, reduced: IntArray) -> IntArray:
    """Floor of the least a x^2 + r x with 0 <= x <= most.

    Below the lowest point of the parabola, x0 = floor(-r / 2a) whole Wh, the rest of a Wh brings
    s^2 / 4a more, where s = -r - 2a x0 < 2a <= 2^21. So nothing larger than r x0 is multiplied.
    """
    a, most = window.turbine_quadratic_pico, window.upper[Column.TURBINE]
    saving = np.maximum(-reduced, 0)
    slope = np.maximum(2 * a, 1)
    best = np.where(a > 0, saving // slope, most)
    whole = np.minimum(best, most)
    rest = np.where((best < most) & (a > 0), saving - 2 * a * whole, 0)
    fraction = -(-(rest * rest) // (2 * slope))
    least: IntArray = (a * whole - saving) * whole - fraction
    return least


def _charge_minimum(window: Window, green: IntArray, stored: IntArray) -> IntArray:
    """Floor of the least (content dual x efficiency - green dual) x with 0 <= x <= most.

    The reduced cost has six digits after the point; they are multiplied apart.
    """
    reduced = np.minimum(window.efficiency_ppm * stored - UWH_PER_WH * green, 0)
    whole = reduced // UWH_PER_WH
    most = window.upper[Column.CHARGE]
    least: IntArray = whole * most + (reduced - whole * UWH_PER_WH) * most // UWH_PER_WH
    return least


def _content_minimum(window: Window, stored: IntArray) -> IntArray:
    """Floor of the least (dual of the next period - dual) x content."""
    reduced = -stored
    reduced[:, :-1] += stored[:, 1:]
    least, most = window.lower[Column.CONTENT], window.upper[Column.CONTENT]
    return _per_wh(reduced, np.where(reduced < 0, most, least))


def _per_wh(price_pico: IntArray, content_uwh: IntArray) -> IntArray:
    """Floor of price x content / 10^6, whole Wh and the rest multiplied apart."""
    whole = content_uwh // UWH_PER_WH
    rest = content_uwh - whole * UWH_PER_WH
    product: IntArray = price_pico * whole + price_pico * rest // UWH_PER_WH
    return product
