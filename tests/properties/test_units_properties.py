"""Divisions and splits against exact fractions and against a deliberately dumb twin.

Method: every number is drawn well beyond 64 bits, so that a float anywhere would show.
"""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gridpact.units import (
    INT64_MAX,
    INT64_MIN,
    ceil_divide,
    divide_exact,
    fits_int64,
    floor_divide,
    money_nano,
    split_by_largest_remainder,
    split_half_unit,
)

whole = st.integers(-(2**100), 2**100)
natural = st.integers(0, 2**100)
positive = st.integers(1, 2**100)
weights = st.lists(st.one_of(st.integers(0, 4), natural), min_size=1, max_size=12)


@given(whole)
def test_what_fits_is_what_64_bits_can_hold(value: int) -> None:
    assert fits_int64(value) == (min(max(value, INT64_MIN), INT64_MAX) == value)


@given(natural, whole)
def test_money_is_the_exact_product(price: int, energy_wh: int) -> None:
    per_kwh = Fraction(price, 10**6)
    assert Fraction(money_nano(price, energy_wh), 10**9) == per_kwh * Fraction(energy_wh, 1000)


@given(whole, positive)
def test_floor_and_ceiling_enclose_the_quotient(numerator: int, denominator: int) -> None:
    exact = Fraction(numerator, denominator)
    floor, ceil = floor_divide(numerator, denominator), ceil_divide(numerator, denominator)
    assert floor <= exact <= ceil
    assert exact - floor < 1
    assert ceil - exact < 1
    assert ceil - floor == (exact.denominator != 1)


@given(whole, positive)
def test_exact_division_undoes_multiplication(quotient: int, denominator: int) -> None:
    assert divide_exact(quotient * denominator, denominator) == quotient


def faults(total: int, shares: list[int], parts: list[int]) -> set[str]:
    """What is wrong with a split."""
    exact = [Fraction(total * share, sum(shares)) for share in shares]
    found = set()
    if sum(parts) != total:
        found.add("sum")
    if any(abs(part - due) >= 1 for part, due in zip(parts, exact, strict=True)):
        found.add("proportion")
    if any(part and not share for part, share in zip(parts, shares, strict=True)):
        found.add("gift")
    given_up = [due - part for part, due in zip(parts, exact, strict=True)]
    raised = [i for i, lack in enumerate(given_up) if lack < 0]
    lowered = [i for i, lack in enumerate(given_up) if lack > 0]
    remainder = [due - due.__floor__() for due in exact]
    if any((-remainder[up], up) > (-remainder[down], down) for up in raised for down in lowered):
        found.add("order")
    return found


@given(natural, weights.filter(any))
def test_a_split_is_whole_proportional_and_in_order(total: int, shares: list[int]) -> None:
    assert faults(total, shares, split_by_largest_remainder(total, shares)) == set()


@given(natural, weights.filter(any))
def test_a_split_agrees_with_handing_out_one_by_one(total: int, shares: list[int]) -> None:
    exact = [Fraction(total * share, sum(shares)) for share in shares]
    parts = [due.__floor__() for due in exact]
    while sum(parts) < total:
        lacks = [
            due - part if part <= due else Fraction(-1)
            for part, due in zip(parts, exact, strict=True)
        ]
        parts[lacks.index(max(lacks))] += 1
    assert split_by_largest_remainder(total, shares) == parts


@given(natural, st.integers(1, 12))
def test_equal_weights_differ_by_one_unit_and_the_first_have_more(total: int, count: int) -> None:
    parts = split_by_largest_remainder(total, [7] * count)
    assert parts == sorted(parts, reverse=True)
    assert parts[0] - parts[-1] <= 1


def test_broken_splits_are_caught() -> None:
    assert faults(10, [1, 1, 1], [3, 3, 3]) == {"sum"}  # everybody rounded down
    assert faults(10, [1, 2, 1], [3, 5, 3]) == {"sum"}  # everybody rounded half up
    assert faults(10, [1, 1, 1], [3, 3, 4]) == {"order"}  # the last takes what is left
    assert faults(9, [1, 1, 1], [5, 2, 2]) == {"proportion"}
    assert "gift" in faults(1, [0, 1], [1, 0])


@given(natural, natural)
def test_a_half_unit_always_balances(price_sum: int, energy_wh: int) -> None:
    paid, received, fund = split_half_unit(price_sum, energy_wh)
    assert paid == received + fund
    assert fund in (0, 1)
    assert paid + received == price_sum * energy_wh
