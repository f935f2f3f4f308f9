"""Integers as text that people read: money, energy, prices, shares. No float on the way.

Thousands are parted by commas, negative amounts carry a real minus sign, and what is rounded is
rounded half to even from the exact integer.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import isfinite

from gridpact.errors import invariant
from gridpact.units import MICRO_PER_CURRENCY, NANO_PER_CURRENCY, WH_PER_KWH

MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"
NOT_AVAILABLE = "n/a"

_SMALL_NANO = NANO_PER_CURRENCY // 10
"""Below a tenth of the currency an amount in a sentence shows four decimals."""


def fixed(numerator: int, denominator: int, digits: int, *, signed: bool = False) -> str:
    """A fraction with a fixed number of decimals.

    Args:
        numerator: any integer.
        denominator: above zero.
        digits: decimals shown.
        signed: write a plus before positive values.

    >>> fixed(1_234_567, 1000, 1), fixed(1, 8, 2, signed=True), fixed(-1, 1000, 2)
    ('1,234.6', '+0.12', '0.00')
    """
    invariant(denominator > 0, f"a fraction over {denominator}")
    whole, remainder = divmod(abs(numerator) * 10**digits, denominator)
    if 2 * remainder > denominator or (2 * remainder == denominator and whole % 2):
        whole += 1
    units, decimals = divmod(whole, 10**digits)
    text = f"{units:,}.{decimals:0{digits}d}" if digits else f"{units:,}"
    if whole == 0:
        return text
    if numerator < 0:
        return MINUS + text
    return f"+{text}" if signed else text


def count_text(number: int) -> str:
    """A whole number.

    >>> count_text(19_790)
    '19,790'
    """
    return fixed(number, 1, 0)


def counted(number: int, noun: str) -> str:
    """A number of things; the noun takes an s.

    >>> counted(1, "trade"), counted(4_206, "trade")
    ('1 trade', '4,206 trades')
    """
    return f"{count_text(number)} {noun}" + ("" if number == 1 else "s")


def money_digits(amounts_nano: Iterable[int]) -> int:
    """Decimals for a table of amounts: two, or four when all are below one of the currency.

    >>> money_digits([95_000_000, -150_000_000]), money_digits([1_000_000_000]), money_digits([])
    (4, 2, 2)
    """
    largest = max((abs(nano) for nano in amounts_nano), default=NANO_PER_CURRENCY)
    return 4 if 0 < largest < NANO_PER_CURRENCY else 2


def money_text(amount_nano: int, digits: int = 2, *, signed: bool = False) -> str:
    """An amount for a column headed by the currency.

    Where so few decimals would show nothing there are four, or all nine: an amount that is not
    zero never looks like it, and keeps its sign.

    >>> money_text(14_563_154_877), money_text(4_000_000), money_text(31_480), money_text(0)
    ('14.56', '0.0040', '0.000031480', '0.00')
    """
    for tried in (digits, 4):
        if amount_nano == 0 or 2 * abs(amount_nano) * 10**tried > NANO_PER_CURRENCY:
            return fixed(amount_nano, NANO_PER_CURRENCY, tried, signed=signed)
    return fixed(amount_nano, NANO_PER_CURRENCY, 9, signed=signed)


def money_exact(amount_nano: int) -> str:
    """An amount to the last nano.

    >>> money_exact(1005)
    '0.000001005'
    """
    return fixed(amount_nano, NANO_PER_CURRENCY, 9)


def money_with_code(amount_nano: int, currency: str, *, signed: bool = False) -> str:
    """An amount for a sentence, with its currency.

    >>> money_with_code(73_823_974_943, "EUR").replace(NO_BREAK, " ")
    '73.82 EUR'
    """
    digits = 4 if 0 < abs(amount_nano) < _SMALL_NANO else 2
    text = fixed(amount_nano, NANO_PER_CURRENCY, digits, signed=signed)
    return f"{text}{NO_BREAK}{currency}"


def kwh_text(energy_wh: int, digits: int = 1) -> str:
    """Energy in kWh, without the unit.

    >>> kwh_text(344_695), kwh_text(82, 3)
    ('344.7', '0.082')
    """
    return fixed(energy_wh, WH_PER_KWH, digits)


def energy_text(energy_wh: float | None) -> str:
    """Energy for a sentence, in kWh with its unit; below one kWh to the Wh.

    >>> [energy_text(each).replace(NO_BREAK, " ") for each in (344_695, 82, 0, -12.4, None)]
    ['344.7 kWh', '0.082 kWh', '0.0 kWh', '\N{MINUS SIGN}0.012 kWh', 'n/a']
    """
    if energy_wh is None or not isfinite(energy_wh):
        return NOT_AVAILABLE
    digits = 3 if 0 < abs(energy_wh) < WH_PER_KWH else 1
    return f"{kwh_text(round(energy_wh), digits)}{NO_BREAK}kWh"


def price_text(price_micro_per_kwh: int) -> str:
    """A price in currency per kWh to the last micro, two decimals at least; without the unit.

    >>> price_text(320_000), price_text(176_422)
    ('0.32', '0.176422')
    """
    text = fixed(price_micro_per_kwh, MICRO_PER_CURRENCY, 6)
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def mean_price_text(turnover_nano: int, energy_wh: int, currency: str) -> str:
    """Money over energy in currency per kWh; nano per Wh is micro per kWh.

    >>> mean_price_text(1_874_151_951, 10_600, "EUR").replace(NO_BREAK, " ")
    '0.1768 EUR/kWh'
    >>> mean_price_text(0, 0, "EUR")
    'n/a'
    """
    if energy_wh == 0:
        return NOT_AVAILABLE
    mean = fixed(turnover_nano, energy_wh * MICRO_PER_CURRENCY, 4)
    return f"{mean}{NO_BREAK}{currency}/kWh"


def percent_text(part: int, whole: int, *, signed: bool = False) -> str:
    """A share in percent; of nothing there is none.

    >>> percent_text(1, 3).replace(NO_BREAK, " "), percent_text(1, 0)
    ('33.3 %', 'n/a')
    """
    if whole == 0:
        return NOT_AVAILABLE
    return f"{fixed(100 * part, whole, 1, signed=signed)}{NO_BREAK}%"


def real_text(value: float | None, digits: int, *, signed: bool = False) -> str:
    """A measured or computed number, which is a float to begin with.

    >>> real_text(1234.56, 1), real_text(-0.04, 1), real_text(None, 1), real_text(float("nan"), 1)
    ('1,234.6', '0.0', 'n/a', 'n/a')
    """
    if value is None or not isfinite(value):
        return NOT_AVAILABLE
    text = f"{abs(value):,.{digits}f}"
    if not any(digit in text for digit in "123456789"):
        return text
    if value < 0:
        return MINUS + text
    return f"+{text}" if signed else text


def seconds_text(seconds: float) -> str:
    """A duration for people.

    >>> seconds_text(5.5127).replace(NO_BREAK, " "), seconds_text(0.0139).replace(NO_BREAK, " ")
    ('5.5 s', '14 ms')
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f}{NO_BREAK}ms"
    return f"{seconds:,.1f}{NO_BREAK}s"
