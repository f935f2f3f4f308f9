"""Goal: text becomes whole Wh as on paper, however many digits it has and however many are summed.

Method: against Decimal with room for every digit.
"""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.inputs.fixed_point import Amounts, parse_odd, parse_plain, whole_wh
from gridpact.quantize import divide_half_even

EXACT = Context(prec=200)
FACTORS = [Fraction(1), Fraction(1000), Fraction(250), Fraction(1, 60), Fraction(50, 3)]

digits = st.text("0123456789", min_size=1, max_size=12)
decimals = st.text("0123456789", max_size=24)
plain = st.builds(lambda whole, part, point: whole + point + part if part else whole,
                  digits, decimals, st.just("."))  # fmt: skip


def dumb(texts: list[str], factor: Fraction) -> int:
    """The sum in Wh, rounded once."""
    total = sum((Fraction(Decimal(text)) for text in texts), Fraction(0)) * factor
    return divide_half_even(total.numerator, total.denominator)


@given(st.lists(plain, min_size=1, max_size=60), st.sampled_from(FACTORS))
def test_sums_are_rounded_once_and_exactly(texts: list[str], factor: Fraction) -> None:
    amounts, odd = parse_plain(texts, ".")
    assert odd.tolist() == []
    total = Amounts(amounts.whole.sum(), amounts.first.sum(), amounts.second.sum())
    assert int(whole_wh(total, factor)) == dumb(texts, factor)


@given(st.lists(plain, min_size=1, max_size=20), st.sampled_from(FACTORS))
def test_single_values_are_rounded_exactly(texts: list[str], factor: Fraction) -> None:
    amounts, _ = parse_plain([text.replace(".", ",") for text in texts], ",")
    assert whole_wh(amounts, factor).tolist() == [dumb([text], factor) for text in texts]


@given(st.lists(st.one_of(plain, st.text(max_size=6)), min_size=1, max_size=30))
def test_whatever_is_not_plain_is_reported(texts: list[str]) -> None:
    amounts, odd = parse_plain(texts, ".")
    assert len(amounts.whole) == len(texts)
    for index in set(range(len(texts))) - set(odd.tolist()):
        value = Fraction(Decimal(texts[index]))
        found = Fraction(int(amounts.whole[index])) + Fraction(int(amounts.first[index]), 10**12)
        assert found + Fraction(int(amounts.second[index]), 10**24) == value


@pytest.mark.parametrize(
    "text",
    ["", " ", "-1", "+1", "1e3", ".5", "1.2.3", "1,2", "0x1", "nan", "\u0661", "1\n2", "1_0",
     "1234567890123", "0." + "1" * 25, "1 ", "\ud800"],
)  # fmt: skip
def test_not_plain(text: str) -> None:
    _, odd = parse_plain(["1", text, "2"], ".")
    assert odd.tolist() == [1]


@pytest.mark.parametrize(
    ("text", "point", "value"),
    [
        (" 1.5 ", ".", "1.5"),
        ("+.5", ".", "0.5"),
        ("5.", ".", "5"),
        ("1,5", ",", "1.5"),
        ("1.5", ",", None),
        ("1.234,5", ",", None),
        ("1,5", ".", None),
        ("1e-3", ".", "0.001"),
        ("1e999", ".", None),
        ("nan", ".", None),
        ("", ".", None),
    ],
)
def test_odd_but_readable(text: str, point: str, value: str | None) -> None:
    found = parse_odd(text, point)
    assert found == (None if value is None else Decimal(value))


def test_more_than_24_decimals_are_rounded_half_to_even_first() -> None:
    amounts, _ = parse_plain(["0"], ".")
    amounts.put(0, Decimal("7." + "0" * 23 + "15"))
    assert (amounts.whole[0], amounts.first[0], amounts.second[0]) == (7, 0, 2)


@given(st.lists(plain, min_size=1, max_size=20), st.fractions(0, 10**6, max_denominator=10**6))
def test_above_a_limit(texts: list[str], limit: Fraction) -> None:
    amounts, _ = parse_plain(texts, ".")
    # The limit has as many decimals as the numbers; a third ends after the 24th.
    cut = Fraction(int(limit * 10**24), 10**24)
    expected = [i for i, text in enumerate(texts) if Fraction(Decimal(text)) > cut]
    assert amounts.above(limit).tolist() == expected


def test_a_minute_is_not_rounded_on_its_own() -> None:
    """0.05 kW is 0.83 Wh a minute; rounded each, an hour would have 60 Wh instead of 50."""
    amounts, _ = parse_plain(["0.05"] * 60, ".")
    total = Amounts(*(np.array([part.sum()]) for part in (amounts.whole, amounts.first,
                                                          amounts.second)))  # fmt: skip
    assert whole_wh(total, Fraction(1000 * 60, 3600)).tolist() == [50]
