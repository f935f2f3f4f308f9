"""The one sentence that says what the market brought."""

from __future__ import annotations

from gridpact.model import RunResult
from gridpact.reports.amounts import NO_BREAK, kwh_text, money_with_code, percent_text
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.totals import Totals


def headline(result: RunResult, totals: Totals) -> Html:
    """What sellers gained, what buyers saved, how much was traded."""
    return joined(_sellers(result), ", ", _buyers(result), ", ", *_traded(totals), ".")


def _sellers(result: RunResult) -> Html:
    gains = result.gains
    income, baseline = gains.seller_income_nano, gains.seller_baseline_nano
    if baseline:
        return joined("Sellers earned ", _change(income, baseline))
    if income:
        earned = money_with_code(income, result.scenario.currency)
        return joined("Sellers earned ", tag("b", earned), " instead of nothing")
    return joined("Nobody fed energy in")


def _buyers(result: RunResult) -> Html:
    cost, baseline = result.gains.buyer_cost_nano, result.gains.buyer_baseline_nano
    if baseline:
        return joined("buyers paid ", _change(cost, baseline))
    if cost:
        paid = money_with_code(cost, result.scenario.currency)
        return joined("buyers paid ", tag("b", paid), " instead of nothing")
    return joined("nobody took energy from the network")


def _change(value: int, baseline: int) -> Html:
    """`12.3 % more`, `4.5 % less` or `the same`; the baseline is not zero."""
    if value == baseline:
        return tag("b", "the same")
    share = percent_text(abs(value - baseline), abs(baseline))
    return tag("b", f"{share}{NO_BREAK}{'more' if value > baseline else 'less'}")


def _traded(totals: Totals) -> tuple[str, ...]:
    if not totals.traded_wh:
        return ("and ", tag("b", "nothing"), " was traded locally")
    energy = tag("b", f"{kwh_text(totals.traded_wh)}{NO_BREAK}kWh")
    if not totals.load_wh:
        return ("and ", energy, " were traded locally")
    share = percent_text(totals.traded_wh, totals.load_wh)
    return ("and ", energy, " were traded locally: ", tag("b", share), " of consumption")
