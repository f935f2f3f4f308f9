"""Goal: integer quantities whose products are exact, and divisions that do what they are named."""

from __future__ import annotations

import pytest

from gridpact.errors import InvariantError
from gridpact.units import (
    INT64_MAX,
    INT64_MIN,
    MICRO_PER_CURRENCY,
    NANO_PER_CURRENCY,
    QUANTITY_MAX,
    WH_PER_KWH,
    ceil_divide,
    divide_exact,
    fits_int64,
    floor_divide,
    money_nano,
    split_by_largest_remainder,
    split_half_unit,
)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (0, True),
        (INT64_MAX, True),
        (INT64_MAX + 1, False),
        (INT64_MIN, True),
        (INT64_MIN - 1, False),
        (2**64, False),
    ],
)
def test_the_wire_takes_signed_64_bits(value: int, fits: bool) -> None:
    assert fits_int64(value) is fits


def test_the_bounds_are_what_the_wire_format_says() -> None:
    assert (INT64_MIN, INT64_MAX) == (-9_223_372_036_854_775_808, 9_223_372_036_854_775_807)
    assert QUANTITY_MAX == 2_147_483_647


def test_the_largest_price_times_the_largest_energy_fits_twice() -> None:
    largest = money_nano(QUANTITY_MAX, QUANTITY_MAX)
    assert largest < 2**62
    assert fits_int64(2 * largest)


def test_price_times_energy_is_money_without_a_remainder() -> None:
    one_currency_per_kwh = MICRO_PER_CURRENCY
    assert money_nano(one_currency_per_kwh, WH_PER_KWH) == NANO_PER_CURRENCY
    assert money_nano(1, 1) == 1
    assert money_nano(250_001, 3) == 750_003
    assert money_nano(250_001, -3) == -750_003
    assert money_nano(0, QUANTITY_MAX) == money_nano(QUANTITY_MAX, 0) == 0


@pytest.mark.parametrize(
    ("numerator", "denominator", "floor", "ceil"),
    [
        (7, 2, 3, 4),
        (-7, 2, -4, -3),
        (8, 2, 4, 4),
        (-8, 2, -4, -4),
        (0, 5, 0, 0),
        (1, 10**30, 0, 1),
        (-1, 10**30, -1, 0),
        (10**40 + 1, 10**20, 10**20, 10**20 + 1),  # a float would not see the 1
    ],
)
def test_divisions_round_the_way_their_name_says(
    numerator: int, denominator: int, floor: int, ceil: int
) -> None:
    assert floor_divide(numerator, denominator) == floor
    assert ceil_divide(numerator, denominator) == ceil


@pytest.mark.parametrize("denominator", [0, -1])
def test_rounding_towards_a_side_needs_a_positive_denominator(denominator: int) -> None:
    for divide in (floor_divide, ceil_divide):
        with pytest.raises(InvariantError, match=f"by {denominator}"):
            divide(1, denominator)


def test_an_exact_division_has_no_remainder() -> None:
    assert divide_exact(12, 4) == 3
    assert divide_exact(-12, 4) == divide_exact(12, -4) == -3
    assert divide_exact(0, 7) == 0
    for numerator, denominator in ((13, 4), (-13, 4), (1, 2**80)):
        with pytest.raises(InvariantError, match="is not a multiple"):
            divide_exact(numerator, denominator)
    with pytest.raises(InvariantError, match="by zero"):
        divide_exact(0, 0)


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (10, [1, 1, 1], [4, 3, 3]),  # equal remainders: the order given
        (11, [1, 1, 1], [4, 4, 3]),
        (10, [1, 2, 1], [3, 5, 2]),  # 2.5, 5, 2.5
        (1, [1, 2, 4], [0, 0, 1]),  # 0.14, 0.29, 0.57
        (2, [1, 2, 4], [0, 1, 1]),  # 0.29, 0.57, 1.14: the remainder counts, not the share
        (7, [0, 3, 0], [0, 7, 0]),
        (0, [5, 6], [0, 0]),
        (0, [0, 0], [0, 0]),
        (0, [], []),
        (5, [9], [5]),
        (2**70 + 1, [1, 1], [2**69 + 1, 2**69]),  # beyond 64 bits and beyond floats
        (3, [2**90, 2**90, 2**90 + 1], [1, 1, 1]),
    ],
)
def test_the_parts_of_a_split(total: int, weights: list[int], parts: list[int]) -> None:
    assert split_by_largest_remainder(total, weights) == parts


@pytest.mark.parametrize(
    ("total", "weights", "why"),
    [
        (-1, [1], "negative total -1"),
        (1, [2, -1], "negative weight"),
        (1, [0, 0], "all weights are zero"),
        (1, [], "all weights are zero"),
    ],
)
def test_what_cannot_be_split(total: int, weights: list[int], why: str) -> None:
    with pytest.raises(InvariantError, match=why):
        split_by_largest_remainder(total, weights)


@pytest.mark.parametrize(
    ("price_sum", "energy_wh", "paid", "received", "fund"),
    [
        (3, 1, 2, 1, 1),  # 1.5 nano
        (4, 1, 2, 2, 0),
        (3, 2, 3, 3, 0),  # the half disappears over an even energy
        (801_001, 1_001, 400_901_001, 400_901_000, 1),  # 400,901,000.5
        (0, 9, 0, 0, 0),
        (2 * QUANTITY_MAX, QUANTITY_MAX, QUANTITY_MAX**2, QUANTITY_MAX**2, 0),
    ],
)
def test_the_half_unit_of_a_midpoint_goes_to_the_fund(
    price_sum: int, energy_wh: int, paid: int, received: int, fund: int
) -> None:
    assert split_half_unit(price_sum, energy_wh) == (paid, received, fund)
