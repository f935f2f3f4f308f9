"""Integer quantities whose products are exact, and divisions that say what they do.

| quantity | unit | name ends in |
|---|---|---|
| energy | Wh | `_wh` |
| power | W | `_w` |
| price | micro-currency per kWh | `_micro_per_kwh` |
| money | nano-currency | `_nano` |
| time of market | seconds since 1970-01-01 UTC | `_s` |

price x energy is money without a remainder: micro/kWh x Wh = micro/1000 = nano.
Numbers are Python ints here; the wire takes signed 64 bits, and what leaves that range is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridpact.errors import invariant

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

QUANTITY_MAX = 2**31 - 1
"""Largest price (micro/kWh) and largest energy (Wh) of one order, reading or tariff.

Their product stays below 2^62, so one payment always fits the wire and compiled code cannot
wrap."""

NANO_PER_CURRENCY = 10**9
MICRO_PER_CURRENCY = 10**6
WH_PER_KWH = 1000


def fits_int64(value: int) -> bool:
    """Whether `value` can be written on the wire.

    >>> fits_int64(2**63 - 1), fits_int64(2**63)
    (True, False)
    """
    return INT64_MIN <= value <= INT64_MAX


def money_nano(price_micro_per_kwh: int, energy_wh: int) -> int:
    """Price times energy, exactly.

    >>> money_nano(250_000, 1_000)  # 0.25 per kWh x 1 kWh = 0.25
    250000000
    """
    return price_micro_per_kwh * energy_wh


def divide_exact(numerator: int, denominator: int) -> int:
    """A quotient that must have no remainder.

    Raises:
        InvariantError: there is a remainder, or the denominator is zero.
    """
    invariant(denominator != 0, f"division of {numerator} by zero")
    quotient, remainder = divmod(numerator, denominator)
    invariant(remainder == 0, f"{numerator} is not a multiple of {denominator}")
    return quotient


def floor_divide(numerator: int, denominator: int) -> int:
    """The quotient rounded towards minus infinity; `denominator` > 0."""
    invariant(denominator > 0, f"floor_divide by {denominator}")
    return numerator // denominator


def ceil_divide(numerator: int, denominator: int) -> int:
    """The quotient rounded towards plus infinity; `denominator` > 0."""
    invariant(denominator > 0, f"ceil_divide by {denominator}")
    return -(-numerator // denominator)


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Whole parts of `total` in proportion to `weights`, which sum to `total` to the unit.

    Everybody gets the floor of the exact share; the units left over go to the largest
    remainders, equal remainders in the order given. With all weights zero there is nobody to
    give to, so `total` must be zero too.

    >>> split_by_largest_remainder(10, [1, 1, 1])
    [4, 3, 3]

    Raises:
        InvariantError: a negative total or weight, or weights that are all zero.
    """
    invariant(total >= 0, f"split of the negative total {total}")
    invariant(all(weight >= 0 for weight in weights), "split by a negative weight")
    whole = sum(weights)
    if whole == 0:
        invariant(total == 0, f"{total} to split, but all weights are zero")
        return [0] * len(weights)
    parts = [total * weight // whole for weight in weights]
    left = total - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(total * weights[i] % whole), i))
    for i in by_remainder[:left]:
        parts[i] += 1
    return parts


def split_half_unit(price_sum_micro_per_kwh: int, energy_wh: int) -> tuple[int, int, int]:
    """Payment at the midpoint of two prices, given as their sum so that nothing is lost.

    Returns:
        (buyer pays, seller gets, market fund gets) in nano; the buyer pays the ceiling of a
        half unit, the seller gets the floor, the fund the rest, so the three always balance.

    >>> split_half_unit(3, 1)
    (2, 1, 1)

    Source: [WANG24], section 3.2.2, price (Ps + Pb) / 2. Ours: the half unit.
    """
    doubled = price_sum_micro_per_kwh * energy_wh
    paid, received = ceil_divide(doubled, 2), floor_divide(doubled, 2)
    return paid, received, paid - received
