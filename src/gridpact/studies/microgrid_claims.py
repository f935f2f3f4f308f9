"""What [AEPS22] claims of its bargain, what comes out on the stand-in day, and the gap."""

from __future__ import annotations

from collections.abc import Sequence

from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.studies.microgrid_bargain import Bargain
from gridpact.studies.microgrid_penalties import CONSTANT, Compared, Played
from gridpact.studies.study_page import Claim, percent

CALIBRATED_MICRO = 53_830
"""Feed-in price at which each gains what the paper prints: a choice of ours."""
MINUS = "\N{MINUS SIGN}"
PAPER_GAIN = 2133
PAPER_PENALTIES = {"MG2": (125.3, 106.5, 0.150), "MG3": (95.1, 81.6, 0.142)}
"""Unified, rolling, share saved."""


def _share(share: float) -> str:
    """A change in percent that does not break across lines."""
    return percent(share).replace("-", MINUS).replace(" ", "\N{NO-BREAK SPACE}")


def _amounts(values: Sequence[float]) -> str:
    return " / ".join(f"{value:,.0f}" for value in values)


def _names(window: MicrogridWindow, bargain: Bargain, sign: int) -> str:
    named = zip(window.ids, bargain.net_sales_kwh, strict=True)
    return ", ".join(name for name, kwh in named if sign * kwh > 0)


def bargain_claims(
    window: MicrogridWindow, green: Bargain, plain: Bargain, calibrated: Bargain
) -> list[Claim]:
    """The bargain of the whole day."""
    spread = max(green.gains) - min(green.gains)
    more = green.traded_kwh / plain.traded_kwh - 1
    return [
        Claim(
            "costs without trade",
            "not in the text",
            _amounts(green.alone) + " USD",
            "a stand-in day",
        ),
        Claim(
            "gain of each over the day",
            f"{PAPER_GAIN:,} USD",
            f"{green.gains[0]:,.1f} USD; surplus {green.surplus:,.1f}",
            f"equal to within {max(1, round(1e9 * spread))} nano-USD; the amount is the stand-in's",
        ),
        Claim(
            "the same with feed-in "
            f"{CALIBRATED_MICRO / 1e6:g} instead of "
            f"{window.terms.feed_in_micro_per_kwh[0] / 1e6:g} USD/kWh",
            f"{PAPER_GAIN:,} USD",
            f"{calibrated.gains[0]:,.1f} USD",
            "calibrated to it: no evidence",
        ),
        Claim(
            "buyers; sellers",
            "MG1, MG4; MG2, MG3",
            f"{_names(window, green, -1)}; {_names(window, green, 1)}",
            "who sells follows from the generation that the stand-in gives each",
        ),
        Claim(
            "traded with the green attribute, and without",
            "more with it",
            f"{green.traded_kwh:,.0f} kWh, {plain.traded_kwh:,.0f} kWh",
            f"{100 * more:+.0f} %; unique up to swaps that cost nothing",
        ),
        Claim(
            "costs after trade without the green attribute",
            "2,618 / \u22122,664 / \u22122,087 / 3,173 USD",
            _amounts(plain.after).replace("-", MINUS) + " USD",
            "signs only; loads of the stand-in are too large for the buyers' amounts",
        ),
    ]


def penalty_claims(
    window: MicrogridWindow, compared: Sequence[Compared], sellers: Sequence[int]
) -> list[Claim]:
    """Table 3 of the paper, for each error model."""
    claims = []
    for one in compared:
        for number in sellers:
            name = window.ids[number]
            unified, rolling, cut = PAPER_PENALTIES.get(name, (0.0, 0.0, 0.0))
            known = f"{unified:g} to {rolling:g} USD, {_share(-cut)}" if cut else "not given"
            ours = one.cut(number)
            claims.append(
                Claim(
                    f"penalty of {name}, unified to rolling; errors {one.error}",
                    known,
                    f"{one.unified(number):.1f} to {one.rolling(number):.1f} USD, {_share(-ours)}",
                    "errors that do not grow leave nothing to save"
                    if one.error == CONSTANT
                    else f"{100 * (ours - cut):+.1f} points; the size is the error model's".replace(
                        "-", MINUS
                    ),
                )
            )
        claims.append(
            Claim(
                f"seeds in which rolling pays less; errors {one.error}",
                "one day, less",
                f"{one.better} of {len(one.played)}",
                f"clearings without an accepted proof: {one.refused}",
            )
        )
    return claims


def _gap(compared: Compared, more: float) -> str:
    if compared.error == CONSTANT:
        return "errors that do not grow leave nothing to save"
    return f"{100 * more:+.1f} points; the size is the error model's".replace("-", MINUS)


def perfect_claims(perfect: Played) -> list[Claim]:
    """What is left of the difference when nobody is wrong."""
    apart = sum(perfect.rolling_costs) - sum(perfect.unified_costs)
    return [
        Claim(
            "perfect forecasts: total cost, rolling less unified",
            "not given; the same by theory",
            f"{apart:+.6f}".replace("-", MINUS) + f" of {sum(perfect.unified_costs):,.2f} USD",
            f"rounding to whole Wh; penalties {sum(perfect.rolling):g} and "
            f"{sum(perfect.unified):g} USD",
        )
    ]


def payment_claims(
    compared: Sequence[Compared],
    perfect: Played,
    by_first: Sequence[float],
    by_left: Sequence[float],
    green: Bargain,
) -> list[Claim]:
    """Where the paper's rule for the next hour alone leads."""
    days = sum(len(one.played) for one in compared)
    hours = sorted(
        {hour for one in compared for each in one.played for hour in each.negative_slots}
    )
    apart = max(abs(a - b) for a, b in zip(by_first, green.transfers, strict=True))
    exact = max(abs(a - b) for a, b in zip(by_left, green.transfers, strict=True))
    return [
        Claim(
            "hours whose first-period surplus is below zero, where eq. (18) has no logarithm",
            "none mentioned",
            f"{sum(one.negative for one in compared)} in {days} days; "
            f"{len(perfect.negative_slots)} with perfect forecasts",
            "hours from 0: " + (", ".join(str(hour) for hour in hours) or "none"),
        ),
        Claim(
            "perfect forecasts: largest difference of a day's transfers to those of the whole day",
            "not given",
            f"{apart:,.1f} USD by first periods, {exact:.6f} USD by what is left",
            "first periods depend on which of many best plans is proposed",
        ),
    ]
