"""The plot of one order book: demand, supply and how far trading went."""

from __future__ import annotations

from gridpact.reports.amounts import kwh_text, mean_price_text, price_text
from gridpact.reports.orderbook import OrderBook, Step
from gridpact.reports.plots import Figure, Spec, band, edge_note, frame, level, title
from gridpact.reports.tables import csv_text
from gridpact.units import MICRO_PER_CURRENCY, WH_PER_KWH


def order_book_figure(book: OrderBook, currency: str) -> Figure:
    """Demand and supply of one slot between the tariffs, and how far trading went."""
    tariff = book.slot.state.tariff
    retail = tariff.retail_micro_per_kwh / MICRO_PER_CURRENCY
    feed_in = tariff.feed_in_micro_per_kwh / MICRO_PER_CURRENCY
    data = [
        _curve("Bids, highest first", book.demand, "bid", currency),
        _curve("Offers, lowest first", book.supply, "offer", currency),
    ]
    layout = frame()
    layout["hovermode"] = "closest"
    layout["shapes"] = [band(feed_in, retail), level(retail, "solid"), level(feed_in, "dot")]
    layout["annotations"] = [
        edge_note(f"Retail tariff {price_text(tariff.retail_micro_per_kwh)}", retail),
        edge_note(f"Feed-in tariff {price_text(tariff.feed_in_micro_per_kwh)}", feed_in),
    ]
    layout["xaxis"] |= {
        "title": title("Energy, added up (kWh)"),
        "range": [0, _drawn_wh(book) / WH_PER_KWH],
    }
    layout["yaxis"] |= {
        "title": title(f"{currency}/kWh"),
        "range": [0, 1.12 * max(retail, *(y for curve in data for y in curve["y"]))],
        "tickformat": ".2f",
    }
    crossing = book.crossing_micro_per_kwh
    if crossing is not None:
        height = crossing / MICRO_PER_CURRENCY
        data = [_gain_area(book), *data, *_second_stage(book), _meeting_point(book, height)]
        layout["shapes"].append(_traded_line(book))
        layout["annotations"].append(_traded_note(book, height, currency))
    return Figure(
        name="order-book",
        label="Demand and supply of one slot as price over energy, with the traded energy",
        data=data,
        layout=layout,
        csv=_book_csv(book),
    )


def _corners(queue: tuple[Step, ...], up_to_wh: int) -> list[tuple[float, float]]:
    """(kWh, currency per kWh) at both ends of each step, up to some energy."""
    found = []
    for step in queue:
        start_wh = step.until_wh - step.energy_wh
        if start_wh >= up_to_wh:
            break
        price = step.price_micro_per_kwh / MICRO_PER_CURRENCY
        found.append((start_wh / WH_PER_KWH, price))
        found.append((min(step.until_wh, up_to_wh) / WH_PER_KWH, price))
    return found


def _curve(name: str, queue: tuple[Step, ...], colour: str, currency: str) -> Spec:
    """A queue as steps: each order holds its price over its energy."""
    corners = _corners(queue, queue[-1].until_wh if queue else 0)
    texts = [
        f"{price_text(step.price_micro_per_kwh)} {currency}/kWh"
        f"<br>{kwh_text(step.energy_wh, 3)} kWh, added up {kwh_text(step.until_wh, 3)} kWh"
        for step in queue
        for _ in range(2)
    ]
    return {
        "type": "scatter",
        "name": name,
        "x": [x for x, _ in corners],
        "y": [y for _, y in corners],
        "text": texts,
        "mode": "lines",
        "line": {"color": f"@{colour}", "width": 2.5, "simplify": False},
        "hovertemplate": "%{text}<extra></extra>",
    }


def _gain_area(book: OrderBook) -> Spec:
    """Between the curves, as far as trading went: what the trades are worth to both sides."""
    outline = _corners(book.demand, book.first_stage_wh)
    outline += reversed(_corners(book.supply, book.first_stage_wh))
    return {
        "type": "scatter",
        "name": "Gain of both sides",
        "x": [x for x, _ in outline],
        "y": [y for _, y in outline],
        "mode": "lines",
        "line": {"width": 0},
        "fill": "toself",
        "fillcolor": "@trade-fill",
        "hoverinfo": "skip",
        "legendrank": 2000,
    }


def _meeting_point(book: OrderBook, height: float) -> Spec:
    """A mark where the curves pass each other."""
    traded = kwh_text(book.first_stage_wh, 3)
    return {
        "type": "scatter",
        "name": "Clearing point",
        "x": [book.first_stage_wh / WH_PER_KWH],
        "y": [height],
        "mode": "markers",
        "marker": {"size": 11, "color": "@trade", "line": {"color": "@paper", "width": 2}},
        "hovertemplate": f"Clearing point: {traded} kWh<extra></extra>",
        "showlegend": False,
    }


def _second_stage(book: OrderBook) -> list[Spec]:
    """What was traded at the reference price after the curves had crossed; often nothing."""
    state = book.slot.state
    if not state.second_stage_wh:
        return []
    price = state.reference_price_micro_per_kwh / MICRO_PER_CURRENCY
    return [
        {
            "type": "scatter",
            "name": "Second stage, at the reference price",
            "x": [book.first_stage_wh / WH_PER_KWH, state.traded_wh / WH_PER_KWH],
            "y": [price, price],
            "mode": "lines",
            "line": {"color": "@trade", "width": 4, "dash": "dash"},
            "hovertemplate": f"Second stage: {kwh_text(state.second_stage_wh, 3)} kWh"
            "<extra></extra>",
        }
    ]


def _drawn_wh(book: OrderBook) -> int:
    """How far the axis goes: the longer side, but not so far that what was traded gets lost."""
    longest = max(queue[-1].until_wh for queue in (book.demand, book.supply) if queue)
    traded = book.slot.state.traded_wh
    return min(longest, 3 * traded) if traded else longest


def _traded_note(book: OrderBook, height: float, currency: str) -> Spec:
    """What was traded, beside the clearing point, on the side that has more room."""
    state = book.slot.state
    mean = mean_price_text(state.turnover_nano, state.traded_wh, currency)
    left = 2 * book.first_stage_wh > _drawn_wh(book)
    return {
        "x": book.first_stage_wh / WH_PER_KWH,
        "y": height,
        "text": f"<b>{kwh_text(state.traded_wh)} kWh traded</b><br>mean {mean}",
        "ax": -36 if left else 36,
        "ay": -20,
        "xanchor": "right" if left else "left",
        "align": "left",
        "arrowhead": 0,
        "arrowcolor": "@trade",
        "font": {"color": "@trade"},
        "bgcolor": "@paper",
        "borderpad": 3,
    }


def _traded_line(book: OrderBook) -> Spec:
    """How far trading went: from the last offer up to the last bid that traded."""
    at = book.first_stage_wh / WH_PER_KWH
    ends = (_corners(queue, book.first_stage_wh)[-1][1] for queue in (book.supply, book.demand))
    low, high = ends
    return {
        "type": "line",
        "x0": at,
        "x1": at,
        "y0": low,
        "y1": high,
        "line": {"color": "@trade", "width": 1.5},
    }


def _book_csv(book: OrderBook) -> str:
    """The queues without names: whose order it is stays with its sender."""
    rows: list[list[int | float | str]] = [
        [side, step.price_micro_per_kwh, step.energy_wh, step.until_wh]
        for side, queue in (("bid", book.demand), ("offer", book.supply))
        for step in queue
    ]
    return csv_text(["side", "price_micro_per_kwh", "energy_wh", "added_up_wh"], rows)
