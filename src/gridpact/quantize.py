"""The only door from floats, and from decimal text, to the integers of the ledger.

Everything rounds half to even and nothing wraps: NaN, infinities and values outside the stated
range are refused with the place and the value.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import GridpactError, invariant
from gridpact.units import QUANTITY_MAX, WH_PER_KWH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.int64]

SECONDS_PER_HOUR = 3600
PPM = 10**6
"""Relative values are integers in millionths of the nominal value."""
FLOAT_EXACT_MAX = 2**53
"""Above it a float64 no longer tells neighbouring integers apart."""


class QuantizeError(GridpactError):
    """A float has no integer: not finite, or out of range."""

    def __init__(self, name: str, index: int, value: float, low: int, high: int) -> None:
        self.name, self.index, self.value, self.low, self.high = name, index, value, low, high
        super().__init__(
            f"{name}[{index}] is {value!r} after scaling; allowed: a number from {low} to {high}"
        )


def round_half_even(values: FloatArray, *, name: str, low: int, high: int) -> IntArray:
    """Whole numbers nearest to `values`; a half goes to the even neighbour.

    Args:
        values: any shape, already in the target unit.
        name: what the values are, for the message.
        low: smallest result allowed, >= -2^53.
        high: largest result allowed, <= 2^53.

    Raises:
        QuantizeError: the first value, in C order, that is NaN, infinite or out of range.

    >>> round_half_even(np.array([0.5, 1.5, -0.4]), name="energy_wh", low=0, high=10).tolist()
    [0, 2, 0]
    """
    invariant(-FLOAT_EXACT_MAX <= low <= high <= FLOAT_EXACT_MAX, f"range {low}..{high}")
    rounded = np.rint(values)
    # NaN compares false with everything, so it is among the bad ones.
    bad = ~((rounded >= low) & (rounded <= high))
    if bad.any():
        index = int(np.flatnonzero(bad)[0])
        raise QuantizeError(name, index, float(np.ravel(values)[index]), low, high)
    return rounded.astype(np.int64)


def wh_from_kwh(energy_kwh: FloatArray) -> IntArray:
    """Energy in Wh, 0..2^31-1, from kWh.

    Raises:
        QuantizeError: NaN, infinite, negative or too large.

    >>> wh_from_kwh(np.array([0.8512, 2.0])).tolist()
    [851, 2000]
    """
    scaled = np.asarray(energy_kwh, dtype=np.float64) * WH_PER_KWH
    return round_half_even(scaled, name="energy_wh", low=0, high=QUANTITY_MAX)


def wh_from_mean_kw(power_kw: FloatArray, interval_s: int) -> IntArray:
    """Energy in Wh, 0..2^31-1, of an interval with this mean power.

    Raises:
        QuantizeError: NaN, infinite, negative or too large.

    >>> wh_from_mean_kw(np.array([1.0]), 900).tolist()
    [250]
    """
    scaled = np.asarray(power_kw, dtype=np.float64) * (WH_PER_KWH * interval_s / SECONDS_PER_HOUR)
    return round_half_even(scaled, name="energy_wh", low=0, high=QUANTITY_MAX)


def ppm_from_relative(shares: FloatArray) -> IntArray:
    """Shares of a nominal value in millionths; between -2^31 and 2^31-1, so they fit 32 bits.

    Raises:
        QuantizeError: NaN, infinite or beyond 32 bits.

    >>> ppm_from_relative(np.array([0.25, -0.0000015])).tolist()
    [250000, -2]
    """
    scaled = np.asarray(shares, dtype=np.float64) * PPM
    return round_half_even(scaled, name="share_ppm", low=-(2**31), high=2**31 - 1)


def divide_half_even(numerator: int, denominator: int) -> int:
    """The nearest whole quotient; a half goes to the even neighbour; `denominator` > 0.

    >>> [divide_half_even(n, 2) for n in (1, 3, 5, -1, -3)]
    [0, 2, 2, 0, -2]
    """
    invariant(denominator > 0, f"divide_half_even by {denominator}")
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    if twice > denominator or (twice == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def whole_from_decimal(value: Decimal, numerator: int, denominator: int) -> int:
    """`value` x numerator / denominator, exact until the one rounding half to even.

    Text goes through here rather than through a float: 0.5015 kWh is exactly 501.5 Wh and
    becomes 502, while the float product is 501.49999999999994 and would become 501.

    Args:
        value: finite, with an exponent that the caller has bounded.
        numerator: of the unit's factor.
        denominator: of the unit's factor, > 0.

    >>> whole_from_decimal(Decimal("0.5015"), 1000, 1)
    502
    """
    top, bottom = value.as_integer_ratio()
    return divide_half_even(top * numerator, bottom * denominator)
