"""Decimal text to whole Wh, exactly: no float between the file and the ledger.

A number is held in three integers, its whole part and two groups of twelve decimals. They add up
without rounding, so that the sixty values of an hour are rounded once, as their sum, and 0.08 kWh
a minute are not sixty times a tenth of a Wh too much. What a text has after the 24th decimal is
rounded half to even before anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from gridpact.quantize import whole_from_decimal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from gridpact.quantize import IntArray

GROUP = 10**12
"""What twelve decimals count up to."""
WHOLE_DIGITS_MAX = 12
DECIMALS_MAX = 24
_NUMBER = re.compile(r"[+-]?(\d{1,40}(\.\d{0,40})?|\.\d{1,40})([eE][+-]?\d{1,2})?", re.ASCII)
_POINTS = {".": ord("."), ",": ord(",")}
_LINE_FEED = 10
_ZERO = 48

_OFFSETS = range(-DECIMALS_MAX - 1, WHOLE_DIGITS_MAX + 2)
"""How far a character is before the decimal point: the last digit of the whole part is 1, the
first decimal is -1. The outermost values stand for everything beyond."""
_WHOLE_WEIGHT = np.array([10 ** (d - 1) if 1 <= d <= 12 else 0 for d in _OFFSETS], dtype=np.int64)
_FIRST_WEIGHT = np.array([10 ** (12 + d) if -12 <= d < 0 else 0 for d in _OFFSETS], dtype=np.int64)
_SECOND_WEIGHT = np.array(
    [10 ** (24 + d) if -24 <= d < -12 else 0 for d in _OFFSETS], dtype=np.int64
)


@dataclass(slots=True)
class Amounts:
    """Numbers that are zero or more, in the unit of their file; arrays of one shape."""

    whole: IntArray
    first: IntArray
    """Decimals 1 to 12, in units of 10^-12; sums of them may pass 10^12."""
    second: IntArray
    """Decimals 13 to 24, in units of 10^-24; sums of them may pass 10^12."""

    def transposed(self, columns: int) -> Amounts:
        """Numbers that come column by column as a table of rows."""
        return Amounts(
            self.whole.reshape(columns, -1).T,
            self.first.reshape(columns, -1).T,
            self.second.reshape(columns, -1).T,
        )

    def put(self, index: int, value: Decimal) -> None:
        """Write one number, rounded half to even after the 24th decimal."""
        units = whole_from_decimal(value, GROUP * GROUP, 1)
        rest, self.second[index] = divmod(units, GROUP)
        self.whole[index], self.first[index] = divmod(rest, GROUP)

    def above(self, limit: Fraction) -> IntArray:
        """Indices of the numbers above `limit`, flat."""
        units = int(limit * GROUP * GROUP)
        rest, second = divmod(units, GROUP)
        whole, first = divmod(rest, GROUP)
        found: IntArray = np.flatnonzero(
            (self.whole > whole)
            | (
                (self.whole == whole)
                & ((self.first > first) | ((self.first == first) & (self.second > second)))
            )
        )
        return found


def parse_plain(texts: Sequence[str], point: str) -> tuple[Amounts, IntArray]:
    """The numbers written as digits with at most one decimal point.

    Args:
        texts: N of them, at least one.
        point: `.` or `,`.
    Returns:
        the numbers, and the indices of the texts that are anything else, such as signs, exponents,
        blanks, words or nothing; there the numbers mean nothing.
    """
    data = np.frombuffer(("\n".join(texts) + "\n").encode("utf-8", "replace"), dtype=np.uint8)
    breaks = data == _LINE_FEED
    ends = np.flatnonzero(breaks)
    if len(ends) != len(texts):  # a quoted field can hold a line break
        return parse_plain(["?" if "\n" in text else text for text in texts], point)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends[:-1] + 1])
    digits = data - np.uint8(_ZERO)
    is_digit = digits < 10
    points = np.flatnonzero(data == _POINTS[point])
    owners = np.searchsorted(ends, points)
    point_at = ends.copy()
    point_at[owners] = points
    characters = np.bincount(owners, minlength=len(ends)) + np.add.reduceat(
        is_digit, starts, dtype=np.int64
    )
    plain = (
        (characters == ends - starts)
        & (point_at > starts)
        & (point_at - starts <= WHOLE_DIGITS_MAX)
        & (ends - point_at <= DECIMALS_MAX + 1)
    )
    plain[owners[1:][owners[1:] == owners[:-1]]] = False  # two points in one text
    before = np.repeat(point_at, ends - starts + 1) - np.arange(len(data))
    offset = np.clip(before, _OFFSETS[0], _OFFSETS[-1]) - _OFFSETS[0]
    counted = np.where(is_digit, digits, 0).astype(np.int64)
    decimals = int((ends - point_at).max(initial=0)) - 1
    nothing = np.zeros(len(texts), dtype=np.int64)

    def total(weight: IntArray) -> IntArray:
        sums: IntArray = np.add.reduceat(counted * weight[offset], starts)
        return sums

    amounts = Amounts(
        total(_WHOLE_WEIGHT),
        total(_FIRST_WEIGHT) if decimals > 0 else nothing,
        total(_SECOND_WEIGHT) if decimals > 12 else nothing.copy(),
    )
    return amounts, np.flatnonzero(~plain)


def parse_odd(text: str, point: str) -> Decimal | None:
    """The number that a text stands for in any usual notation, or nothing.

    >>> parse_odd(" +1,5e3 ", ",")
    Decimal('1.5E+3')
    """
    stripped = text.strip()
    if point == ",":
        if "." in stripped:
            return None
        stripped = stripped.replace(",", ".")
    return Decimal(stripped) if _NUMBER.fullmatch(stripped) else None


def whole_wh(amounts: Amounts, factor: Fraction) -> IntArray:
    """Amounts times `factor`, rounded half to even, once and exactly.

    Args:
        amounts: sums of at most 1440 numbers.
        factor: Wh in one unit of the file; its numerator is at most 24 000.

    >>> from fractions import Fraction
    >>> amounts, _ = parse_plain(["0.5015", "0.5025", "0.50250000000001"], ".")
    >>> whole_wh(amounts, Fraction(1000)).tolist()
    [502, 502, 503]
    """
    first = amounts.first * factor.numerator
    if amounts.second.any():
        carry, second = np.divmod(amounts.second * factor.numerator, GROUP)
        first += carry
    else:
        second = amounts.second
    carry, first = np.divmod(first, GROUP)
    quotient, remainder = np.divmod(amounts.whole * factor.numerator + carry, factor.denominator)
    # Twice the remainder against the denominator says which neighbour is nearer.
    carry, second = np.divmod(2 * second, GROUP)
    carry, first = np.divmod(2 * first + carry, GROUP)
    twice = 2 * remainder + carry
    beyond = (first > 0) | (second > 0)
    up = (twice > factor.denominator) | (
        (twice == factor.denominator) & (beyond | (quotient % 2 == 1))
    )
    rounded: IntArray = quotient + up
    return rounded
