"""The figures of the study of microgrids, each with a title and what to see in it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.studies.consensus_svg import Axes, Bars, Line, draw_bars, draw_lines
from gridpact.studies.microgrid_bargain import Bargain
from gridpact.studies.microgrid_payments import DeliveryCost, day_surpluses_nano, pairs_of
from gridpact.studies.microgrid_penalties import Compared
from gridpact.studies.microgrid_rolling import UWH_PER_KWH, Day
from gridpact.studies.study_page import Figure
from gridpact.units import MICRO_PER_CURRENCY, NANO_PER_CURRENCY, WH_PER_KWH

COLOURS = ("a", "b", "c", "d", "e", "grid")
HOURS = "hour of the day"


def held(name: str, values: Sequence[float], colour: str, *, dashed: bool = False) -> Line:
    """One value for each slot, which holds to its end."""
    xs = range(len(values) + 1)
    return Line(name, xs, [*values, values[-1]], colour, dashed=dashed, steps=True)


def around(values: Sequence[float]) -> tuple[float, float]:
    """Bounds of an axis with room above and below."""
    finite = [value for value in values if np.isfinite(value)]
    low, high = min([0.0, *finite]), max(finite)
    room = 0.07 * (high - low)
    return low - room if low < 0 else low, high + room


def positions_figure(window: MicrogridWindow, day: Day) -> Figure:
    """Who sells and who buys, by hour. The paper's figure 3."""
    lines = [
        held(
            name,
            [
                (
                    sum(flow.energy_wh for flow in slot.agreements[number].sales)
                    - sum(flow.energy_wh for flow in slot.agreements[number].purchases)
                )
                / WH_PER_KWH
                for slot in day.slots
            ],
            colour,
        )
        for number, (name, colour) in enumerate(zip(window.ids, COLOURS, strict=False))
    ]
    low, high = around([y for line in lines for y in line.ys])
    title = "Sold to the others, hour by hour"
    caption = (
        "Above zero sells, below buys; rolling clearing, perfect forecasts. MG2 and MG3 sell, MG1 "
        "and MG4 buy. The sums of each hour are unique only up to swaps that cost nothing."
    )
    axes = Axes(HOURS, "kWh in the hour", low, high)
    return Figure("positions", title, caption, draw_lines(title, axes, lines))


def storage_figure(window: MicrogridWindow, day: Day) -> Figure:
    """What storages hold."""
    lines = []
    for number, (name, colour) in enumerate(zip(window.ids, COLOURS, strict=False)):
        start = window.bids[number].storage.content_start_uwh
        held_uwh = [start, *(slot.content_uwh[number] for slot in day.slots)]
        kwh = [uwh / UWH_PER_KWH for uwh in held_uwh]
        lines.append(Line(name, range(len(kwh)), kwh, colour))
    _, high = around([y for line in lines for y in line.ys])
    title = "What the storages hold"
    caption = (
        "Counted at their output, rolling clearing, perfect forecasts. They store green energy "
        "only and end the day as full as it began. They are alike and see the same prices, so "
        "their curves cover each other for most of the day."
    )
    axes = Axes(HOURS, "kWh", 0, high)
    return Figure("storage", title, caption, draw_lines(title, axes, lines))


def price_figure(window: MicrogridWindow, day: Day, outside: int, every: int) -> Figure:
    """Prices of pairs between the tariffs."""
    prices = np.array(
        [pairs_of(window, slot, period).prices for period, slot in enumerate(day.slots)]
    )
    lines: list[Line] = []
    for seller, buyer in np.argwhere(np.isfinite(prices).any(axis=0)).tolist():
        name = f"{window.ids[seller]} to {window.ids[buyer]}"
        colour = COLOURS[len(lines) % len(COLOURS)]
        lines.append(held(name, prices[:, seller, buyer].tolist(), colour))
    terms = window.terms
    retail = [price / MICRO_PER_CURRENCY for price in terms.retail_micro_per_kwh]
    feed_in = [price / MICRO_PER_CURRENCY for price in terms.feed_in_micro_per_kwh]
    lines.append(held("retail", retail, "grid"))
    lines.append(held("feed-in", feed_in, "grid", dashed=True))
    low, high = around([y for line in lines for y in line.ys])
    title = "Prices of pairs, one choice of many"
    caption = (
        "Only what each receives in all is determined; with two sellers and two buyers many "
        "prices pay it. These are the nearest to the middle of the tariffs. Equal gains push "
        f"them far: {outside} of {every} lie below feed-in or above what the buyer loses without "
        "the energy. Gaps: nothing is sold."
    )
    axes = Axes(HOURS, "USD/kWh", low, high)
    return Figure("prices", title, caption, draw_lines(title, axes, lines))


def cost_figure(window: MicrogridWindow, bargain: Bargain) -> Figure:
    """Before and after trade. The paper's figure 4."""
    title = "Cost of the day, before and after trade"
    bars = [
        Bars("each alone", bargain.alone, "grid"),
        Bars("with trade and transfers", bargain.after, "a"),
    ]
    low, high = around([*bargain.alone, *bargain.after])
    caption = (
        f"All gain the same, {bargain.gains[0]:,.0f} USD: for the two sellers that turns a cost "
        "into an income."
    )
    axes = Axes("", "USD", low, high)
    return Figure("costs", title, caption, draw_bars(title, axes, window.ids, bars))


def volume_figure(window: MicrogridWindow, green: Bargain, plain: Bargain) -> Figure:
    """With and without the green attribute."""
    title = "Sold over the day, with and without the green attribute"
    bars = [
        Bars("green energy is worth more", green.net_sales_kwh, "c"),
        Bars("all energy is alike", plain.net_sales_kwh, "grid"),
    ]
    low, high = around([*green.net_sales_kwh, *plain.net_sales_kwh])
    caption = f"{green.traded_kwh:,.0f} kWh against {plain.traded_kwh:,.0f} kWh. Below zero buys."
    axes = Axes("", "kWh", low, high)
    return Figure("volumes", title, caption, draw_bars(title, axes, window.ids, bars))


def penalty_figure(compared: Sequence[Compared]) -> Figure:
    """Penalties of all sellers by error model."""
    title = "Penalties for what was sold and not delivered"
    bars = []
    for name, colour in (("unified", "grid"), ("rolling", "a")):
        sums = [[sum(getattr(each, name)) for each in one.played] for one in compared]
        errors = [float(np.std(each, ddof=1) / len(each) ** 0.5) for each in sums]
        bars.append(Bars(name, [float(np.mean(each)) for each in sums], colour, errors))
    tops = [
        value + error
        for each in bars
        for value, error in zip(each.values, each.errors, strict=True)
    ]
    _, high = around(tops)
    caption = (
        "Of all sellers in a day, mean over seeds with standard error; both ways see the same "
        "forecasts, so their difference is surer than the whiskers say. How fast errors grow with "
        "the lead decides what rolling saves, and the paper's text does not give it."
    )
    labels = [one.error for one in compared]
    axes = Axes("error of forecasts", "USD a day", 0, high)
    return Figure("penalties", title, caption, draw_bars(title, axes, labels, bars))


def surplus_figure(day: Day) -> Figure:
    """What the two rules share in each slot."""
    first = [
        one.first_surplus_nano / NANO_PER_CURRENCY if one is not None else 0.0
        for one in day.windows
    ]
    left = [nano / NANO_PER_CURRENCY for nano in day_surpluses_nano(day)]
    lines = [
        held("first period of both plans", first, "b"),
        held("what is left of the day, less what is left later", left, "a"),
    ]
    low, high = around([*first, *left])
    title = "What is shared in each hour"
    caption = (
        f"Rolling clearing, perfect forecasts. The first rule hands out {sum(first):,.0f} USD over "
        f"the day, the second {sum(left):,.0f} USD, which is the surplus of the day. Storage moves "
        "gains between hours, so both have hours in which all lose. The deepest is the evening "
        "hour in which trade has emptied the storages: from then on who stood alone could not fill "
        "them again by midnight, and what is left to save grows by what that would cost."
    )
    axes = Axes(HOURS, "USD", low, high)
    return Figure("surpluses", title, caption, draw_lines(title, axes, lines))


def delivery_figure(buyer: str, costs: Sequence[DeliveryCost]) -> Figure:
    """A buyer's cost by what comes."""
    xs = [100 * each.delivered_share for each in costs]
    lines = [
        Line(
            "pays for the contract", xs, [each.paid_by_contract for each in costs], "a", marks=True
        ),
        Line("pays for what comes", xs, [each.paid_by_delivery for each in costs], "b", marks=True),
    ]
    low, high = around([y for line in lines for y in line.ys])
    title = f"What an hour costs {buyer}, by how much its sellers deliver"
    caption = (
        "Both get the compensation of eq. (19), retail price and green loss of each kWh that is "
        "missing. Who pays for the contract is nearly indifferent, and saves the network fee and, "
        "near the right edge, is paid for the loss of green energy that it bought and had no green "
        "demand for. Who pays for what comes earns by not being served."
    )
    axes = Axes("% of purchases delivered", "USD in the hour", low, high)
    return Figure("delivery", title, caption, draw_lines(title, axes, lines))
