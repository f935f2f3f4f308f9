"""The study of bargaining microgrids: claims of [AEPS22], theirs, ours, the gap.

One run over seeds gives a page, its plots and the numbers behind them. The day is a stand-in: the
paper's parameters are not in its text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gridpact.agents.microgrids import PERFECT, STAND_IN
from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.studies.microgrid_bargain import (
    Bargain,
    Lie,
    bargain_of,
    misreport,
    null_player,
    split_in_two,
    whole,
    with_feed_in,
    without_green,
)
from gridpact.studies.microgrid_claims import (
    CALIBRATED_MICRO,
    bargain_claims,
    payment_claims,
    penalty_claims,
    perfect_claims,
)
from gridpact.studies.microgrid_figures import (
    cost_figure,
    delivery_figure,
    penalty_figure,
    positions_figure,
    price_figure,
    storage_figure,
    surplus_figure,
    volume_figure,
)
from gridpact.studies.microgrid_payments import (
    Choice,
    Compensated,
    DeliveryCost,
    compensated,
    day_transfers_nano,
    delivery_costs,
    outside_tariffs,
    totals,
    widest_choice,
)
from gridpact.studies.microgrid_penalties import ERRORS, Compared, Played, compare, played_of
from gridpact.studies.microgrid_rolling import Day, rolling_day, unified_day
from gridpact.studies.study_page import (
    Claim,
    Figure,
    claim_table,
    figure_list,
    finite,
    page,
    table,
    write_folder,
)

SEEDS = 10
MINUS = "\N{MINUS SIGN}"
TOLD_PERMILLE = (0, 300, 800, 1300)
TOLD_BY_SELLERS_PERMILLE = (300, 1300)
"""Shares of the true loss that a microgrid tells."""


@dataclass(frozen=True, slots=True)
class Study:
    """All results."""

    claims: list[Claim]
    unprotected: list[tuple[str, str, str, str]]
    """(what somebody does, honest gain, gain, change): what nothing protects against."""
    transfers: list[tuple[str, str, str, str]]
    """(microgrid, by first periods, by what is left, whole day at once), perfect forecasts."""
    compensations: list[tuple[str, str, str, str]]
    """(buyer, missing, compensation, over-compensation if it paid for deliveries only)."""
    figures: list[Figure]
    numbers: dict[str, object]
    """What all of it was made from."""


@dataclass(frozen=True, slots=True)
class Payments:
    """What ways to pay come to; a day with perfect forecasts unless stated."""

    rolling: Day
    perfect: Played
    by_first: list[float]
    """Transfers of the day by microgrid, each slot's by the first periods of both plans."""
    by_left: list[float]
    """The same, each slot's by what is left to save."""
    outside: tuple[int, int]
    """Pair prices outside the tariffs, and all."""
    compensated: list[Compensated]
    """Of seed 0 with forecasts that are wrong as documented."""
    delivery: list[DeliveryCost]
    """Of the first buyer in the slot in which it buys the most."""
    choice: Choice


def run_study(
    window: MicrogridWindow,
    seeds: int = SEEDS,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> Study:
    """Run everything.

    Args:
        window: what really happens in a day.
        seeds: how many draws of forecasts averages are over.
        progress: (done, total) steps.
    """
    steps = seeds * len(ERRORS) + 3
    done = iter(range(1, steps + 1))

    def step() -> None:
        progress(next(done), steps)

    green, plain = bargain_of(whole(window)), bargain_of(whole(without_green(window)))
    calibrated = bargain_of(whole(with_feed_in(window, CALIBRATED_MICRO)))
    step()
    sellers = [number for number, kwh in enumerate(green.net_sales_kwh) if kwh > 0]
    buyers = [number for number, kwh in enumerate(green.net_sales_kwh) if kwh < 0]
    paid = _payments(window, buyers[0])
    step()
    compared = compare(window, seeds, step)
    lies = [misreport(window, who, told) for who in buyers for told in TOLD_PERMILLE]
    lies += [misreport(window, who, told) for who in sellers for told in TOLD_BY_SELLERS_PERMILLE]
    unprotected = _unprotected(window, green, lies, paid.choice)
    step()
    claims = bargain_claims(window, green, plain, calibrated)
    claims += penalty_claims(window, compared, sellers) + perfect_claims(paid.perfect)
    claims += payment_claims(compared, paid.perfect, paid.by_first, paid.by_left, green)
    numbers: dict[str, object] = {
        "seeds": seeds,
        "microgrids": list(window.ids),
        "bargain": asdict(green),
        "without_green_attribute": asdict(plain),
        "feed_in_calibrated": asdict(calibrated),
        "penalties": {one.error: _numbers_of(one) for one in compared},
        "misreports": [asdict(each) | {"change": each.change} for each in lies],
        **_payment_numbers(paid, green),
        **_membership_numbers(window),
    }
    return Study(
        claims=claims,
        unprotected=unprotected,
        transfers=_transfer_rows(window, paid, green),
        compensations=_compensation_rows(paid.compensated),
        figures=[
            positions_figure(window, paid.rolling),
            storage_figure(window, paid.rolling),
            cost_figure(window, green),
            volume_figure(window, green, plain),
            price_figure(window, paid.rolling, *paid.outside),
            penalty_figure(compared),
            surplus_figure(paid.rolling),
            delivery_figure(window.ids[buyers[0]], paid.delivery),
        ],
        numbers=numbers,
    )


def _payments(window: MicrogridWindow, buyer: int) -> Payments:
    rolling = rolling_day(window, PERFECT, 0)
    bought_wh = [
        sum(flow.energy_wh for flow in slot.agreements[buyer].purchases) for slot in rolling.slots
    ]
    busiest = bought_wh.index(max(bought_wh))
    return Payments(
        rolling=rolling,
        perfect=played_of(rolling, unified_day(window, PERFECT, 0)),
        by_first=totals([[one.transfer_nano for one in slot.agreements] for slot in rolling.slots]),
        by_left=totals(day_transfers_nano(rolling)),
        outside=outside_tariffs(window, rolling),
        compensated=compensated(window, rolling_day(window, STAND_IN, 0)),
        delivery=delivery_costs(window, rolling, busiest, buyer),
        choice=widest_choice(window, rolling, buyer),
    )


def _payment_numbers(paid: Payments, green: Bargain) -> dict[str, object]:
    return {
        "perfect_forecasts": asdict(paid.perfect),
        "transfers_usd": {
            "first_period": paid.by_first,
            "left_of_day": paid.by_left,
            "unified": green.transfers,
        },
        "compensated": [asdict(each) for each in paid.compensated],
        "delivery": [asdict(each) for each in paid.delivery],
        "pair_prices_outside": paid.outside,
        "first_period_choice": asdict(paid.choice),
    }


def _membership_numbers(window: MicrogridWindow) -> dict[str, object]:
    everybody = range(len(window.ids))
    return {
        "null_player": {
            "joins": null_player(window, None),
            "replaces": [null_player(window, number) for number in everybody],
        },
        "split": [split_in_two(window, number) for number in everybody],
    }


def _numbers_of(compared: Compared) -> dict[str, object]:
    return {
        "played": [asdict(each) for each in compared.played],
        "better": compared.better,
        "refused": compared.refused,
        "negative_first_surpluses": compared.negative,
    }


def _unprotected(
    window: MicrogridWindow, green: Bargain, lies: list[Lie], choice: Choice
) -> list[tuple[str, str, str, str]]:
    """What pays although nobody is better served by it."""
    honest = green.gains[0]
    joins = null_player(window, None)
    rows = [
        (
            "A microgrid with nothing at all joins as a fifth",
            "0",
            f"{joins:,.0f}",
            f"each of the others loses {honest - joins:,.0f}",
        )
    ]
    last = len(window.ids) - 1
    instead = null_player(window, last)
    rows.append(
        (
            f"A microgrid with nothing at all is there instead of {window.ids[last]}",
            "0",
            f"{instead:,.0f}",
            "for nothing",
        )
    )
    for number, name in enumerate(window.ids):
        both = split_in_two(window, number)
        rows.append(
            (
                f"{name} appears as two halves",
                f"{honest:,.0f}",
                f"{both:,.0f}",
                f"{100 * (both / honest - 1):+.0f} %",
            )
        )
    rows += [
        (
            f"{lie.who} tells {lie.told}",
            f"{lie.honest:,.0f}",
            f"{lie.gain:,.0f}",
            f"{100 * lie.change:+.0f} %",
        )
        for lie in lies
    ]
    picks = (
        f"Who proposes the clearing of hour {choice.period} picks, among plans that all cost "
        f"least, what the hour costs {choice.who} alone"
    )
    rows.append(
        (
            picks,
            f"cost {choice.least:,.0f}",
            f"cost {choice.most:,.0f}",
            f"{choice.most - choice.least:+,.0f} USD of net cost",
        )
    )
    return [_minus(row) for row in rows]


def _minus(row: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
    what, honest, gain, change = row
    return what, honest, gain, change.replace("-", MINUS)


def _transfer_rows(
    window: MicrogridWindow, paid: Payments, green: Bargain
) -> list[tuple[str, str, str, str]]:
    rows = zip(window.ids, paid.by_first, paid.by_left, green.transfers, strict=True)
    return [(name, _money(a), _money(b), _money(c)) for name, a, b, c in rows]


def _money(amount: float) -> str:
    return f"{amount:,.2f}".replace("-", MINUS)


def _compensation_rows(paid: list[Compensated]) -> list[tuple[str, str, str, str]]:
    return [
        (
            each.who,
            f"{each.missing_kwh:,.0f} kWh",
            f"{each.compensation:,.2f}",
            f"{each.over:,.2f}",
        )
        for each in paid
        if each.missing_kwh
    ]


def study_json(study: Study) -> dict[str, object]:
    """Claims and numbers as JSON has them; what is infinite becomes null."""
    content = {"claims": [asdict(claim) for claim in study.claims], "numbers": study.numbers}
    plain = finite(content)
    return plain if isinstance(plain, dict) else {}


def write_study(study: Study, folder: Path) -> None:
    """Write `index.html`, `numbers.json` and one SVG for each figure.

    Raises:
        StoreError: the disk refused.
    """
    write_folder(folder, _page(study), "numbers.json", study_json(study), study.figures)


def _page(study: Study) -> str:
    transfers = table(
        ("microgrid", "by first periods, USD", "by what is left, USD", "whole day at once, USD"),
        study.transfers,
    )
    compensations = table(
        ("buyer", "did not come", "compensation, USD", "too much if it pays for deliveries, USD"),
        study.compensations,
    )
    unprotected = table(
        ("what somebody does", "honest gain, USD", "gain, USD", "change"), study.unprotected
    )
    body = f"""<h1>Microgrids that bargain, cleared anew every hour</h1>
<p>Claims of Wang et al. (2022) about trade of green energy between four microgrids, played again on
a stand-in day: the paper's loads, prices and devices are not in its text, so directions can match
and single amounts can not. Every clearing is proposed and proved as on the ledger. Averages are
over {study.numbers["seeds"]} seeds.</p>
<h2>Theirs, ours, the gap</h2>{claim_table(study.claims)}
<h2>What the bargain does not protect against</h2>
<p>Equal gains for all who take part need true costs and closed membership. Gains by true costs:</p>
{unprotected}
<h2>Two ways to pay while rolling</h2>
<p>The paper pays each hour's part of the two plans. Plans of equal cost may put their savings into
different hours, and whoever proposes chooses among them. What is still to be saved from now on,
less what is to be saved from the next hour on, depends on least costs alone. Transfers of the day
with perfect forecasts, + receives:</p>
{transfers}
<h2>Pay for the contract, or for what comes</h2>
<p>One day with forecasts that are wrong as documented (seed 0). Compensation pays for replacing the
energy and for its green loss; who then need not pay for the energy either is paid for it twice.</p>
{compensations}
<h2>Figures</h2>{figure_list(study.figures)}"""
    return page("Microgrids, studied", body)
