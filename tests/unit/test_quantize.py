"""Goal: floats and decimal text become integers in one stated way, and nothing slips through."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.errors import InvariantError
from gridpact.quantize import (
    QuantizeError,
    divide_half_even,
    ppm_from_relative,
    round_half_even,
    wh_from_kwh,
    wh_from_mean_kw,
    whole_from_decimal,
)
from gridpact.units import QUANTITY_MAX


def test_halves_go_to_the_even_neighbour() -> None:
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 2.5001])
    rounded = round_half_even(values, name="x", low=-10, high=10)
    assert rounded.tolist() == [0, 2, 2, 0, -2, 2, 3]
    assert rounded.dtype == np.int64


def test_units_are_scaled() -> None:
    assert wh_from_kwh(np.array([0.0, 0.0009, 1.25])).tolist() == [0, 1, 1250]
    assert wh_from_mean_kw(np.array([4.0, 0.001]), 900).tolist() == [1000, 0]
    assert ppm_from_relative(np.array([1.0, -0.216653])).tolist() == [1_000_000, -216_653]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.001, 2147483.648, 1e300])
def test_no_integer_no_result(bad: float) -> None:
    with pytest.raises(QuantizeError) as caught:
        wh_from_kwh(np.array([[1.0, 2.0], [3.0, bad]]))
    error = caught.value
    assert (error.name, error.index, error.low, error.high) == ("energy_wh", 3, 0, QUANTITY_MAX)
    assert f"energy_wh[3] is {bad * 1000!r}" in str(error)
    assert "allowed: a number from 0 to 2147483647" in str(error)


def test_range_ends_are_allowed() -> None:
    assert wh_from_kwh(np.array([2147483.647])).tolist() == [QUANTITY_MAX]
    assert ppm_from_relative(np.array([-2147.483648])).tolist() == [-(2**31)]


def test_ranges_that_a_float_cannot_tell_apart_are_a_bug() -> None:
    with pytest.raises(InvariantError):
        round_half_even(np.array([0.0]), name="x", low=0, high=2**53 + 1)


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_exact_division_agrees_with_fractions(numerator: int, denominator: int) -> None:
    assert divide_half_even(numerator, denominator) == round(Fraction(numerator, denominator))


@given(
    st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False),
    st.sampled_from([(1, 1), (1000, 1), (900, 3600), (1000 * 900, 3600)]),
)
def test_text_is_rounded_once(value: Decimal, factor: tuple[int, int]) -> None:
    assert whole_from_decimal(value, *factor) == round(Fraction(value) * Fraction(*factor))


def test_text_does_not_take_the_way_through_a_float() -> None:
    assert whole_from_decimal(Decimal("0.5015"), 1000, 1) == 502
    assert wh_from_kwh(np.array([0.5015])).tolist() == [501]
