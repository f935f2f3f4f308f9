"""Amounts as text: exact against the decimal module, whatever the number."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

from hypothesis import given
from hypothesis import strategies as st

from gridpact.reports.amounts import MINUS, fixed, money_exact, money_text


@given(st.integers(-(10**30), 10**30), st.sampled_from([1, 1000, 10**6, 10**9]), st.integers(0, 9))
def test_fixed_rounds_like_decimal(numerator: int, denominator: int, digits: int) -> None:
    with localcontext(prec=60):
        exact = Decimal(numerator) / Decimal(denominator)
        wanted = exact.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    shown = fixed(numerator, denominator, digits).replace(",", "").replace(MINUS, "-")
    assert Decimal(shown) == wanted


@given(st.integers(-(2**63), 2**63 - 1))
def test_exact_money_is_exact(amount_nano: int) -> None:
    shown = money_exact(amount_nano).replace(",", "").replace(MINUS, "-")
    assert int(shown.replace(".", "")) == amount_nano


def test_nothing_has_no_sign() -> None:
    assert fixed(0, 1, 2, signed=True) == "0.00"
    assert fixed(-1, 1000, 1) == "0.0"


@given(st.integers(-(10**12), 10**12).filter(bool), st.sampled_from([2, 4]))
def test_money_that_is_not_zero_never_looks_like_it(amount_nano: int, digits: int) -> None:
    shown = money_text(amount_nano, digits, signed=True)
    assert shown[0] == ("+" if amount_nano > 0 else MINUS)
    assert Decimal(shown[1:].replace(",", "")) > 0


def test_money_never_hides_a_cent_fraction() -> None:
    assert money_text(-1_100_000) == f"{MINUS}0.0011"
    assert money_text(-14_999_999_999) == f"{MINUS}15.00"
    assert money_text(5_000_001) == "0.01"
    assert money_text(5_000_000) == "0.0050"
    assert money_text(-50_000) == f"{MINUS}0.000050000"
    assert money_text(1, signed=True) == "+0.000000001"
