"""The plots of the page as plotly specifications, in plain dictionaries.

Colours are names of the palette behind an `@`. Hover texts spell out units.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridpact.model import RunResult
from gridpact.reports.amounts import kwh_text, mean_price_text, price_text
from gridpact.reports.orderbook import OrderBook, Step
from gridpact.reports.tables import csv_text, slots_csv
from gridpact.reports.timeline import Timeline
from gridpact.units import MICRO_PER_CURRENCY, WH_PER_KWH

Spec = dict[str, Any]
"""A piece of a plotly figure: as JSON has it, of whatever shape plotly asks for."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with its data."""

    name: str
    """Id in the page, and stem of the files it is saved as."""
    label: str
    """What it shows, for readers who cannot see it."""
    data: list[Spec]
    layout: Spec
    csv: str
    """The exact numbers behind it."""
    height: int
    """Pixels on the screen."""


def price_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Mean trade price between the tariffs, over the traded energy."""
    currency = result.scenario.currency
    spans = timeline.spans
    at = [span.at for span in spans]
    price = f"%{{y:.4f}} {currency}/kWh"
    data = [
        _line("Retail tariff", at, [s.retail for s in spans], "grid", price, timeline),
        _line("Mean trade price", at, [s.mean_price for s in spans], "trade", price, timeline),
        _line("Feed-in tariff", at, [s.feed_in for s in spans], "grid", price, timeline),
        _bars(
            "Traded energy",
            at,
            [s.traded_wh / WH_PER_KWH for s in spans],
            "trade",
            timeline,
        ),
    ]
    data[1]["mode"] = "lines+markers"
    data[1]["marker"] = {"size": 4, "color": "@trade"}
    data[2]["line"]["dash"] = "dot"
    data[3]["yaxis"] = "y2"
    layout = _layout(timeline)
    layout["yaxis"] |= {
        "domain": [0.42, 1],
        "title": {"text": f"{currency}/kWh"},
        "rangemode": "tozero",
        "tickformat": ".2f",
    }
    layout["yaxis2"] = _axis() | {"domain": [0, 0.34], "title": {"text": "kWh"}}
    layout["xaxis"]["anchor"] = "y2"
    columns = ("retail_micro_per_kwh", "feed_in_micro_per_kwh", "network_fee_micro_per_kwh")
    columns += ("orders", "trades", "traded_wh", "second_stage_wh", "turnover_nano")
    return Figure(
        name="prices",
        label="Retail tariff, mean trade price, feed-in tariff and traded energy over time",
        data=data,
        layout=layout,
        csv=slots_csv(result, columns),
        height=460,
    )


def energy_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Consumption, PV and trades over what went to and came from the grid."""
    spans = timeline.spans
    at = [span.at for span in spans]

    def kwh(values_wh: list[int]) -> list[float]:
        return [value / WH_PER_KWH for value in values_wh]

    amount = "%{y:.2f} kWh"
    pv = _line("PV", at, kwh([s.pv_wh for s in spans]), "pv", amount, timeline)
    pv |= {"fill": "tozeroy", "fillcolor": "@pv-fill"}
    exported = _bars("To the grid", at, kwh([-s.grid_export_wh for s in spans]), "pv", timeline)
    exported["customdata"] = kwh([s.grid_export_wh for s in spans])
    exported["hovertemplate"] = "%{customdata:.2f} kWh"
    imported = _bars("From the grid", at, kwh([s.grid_import_wh for s in spans]), "grid", timeline)
    data = [
        pv,
        _line("Consumption", at, kwh([s.load_wh for s in spans]), "load", amount, timeline),
        _line("Traded locally", at, kwh([s.traded_wh for s in spans]), "trade", amount, timeline),
        imported | {"yaxis": "y2"},
        exported | {"yaxis": "y2"},
    ]
    layout = _layout(timeline)
    layout["yaxis"] |= {"domain": [0.46, 1], "title": {"text": "kWh"}, "rangemode": "tozero"}
    layout["yaxis2"] = _axis() | {"domain": [0, 0.38], "title": {"text": "kWh"}, "zeroline": True}
    layout["barmode"] = "relative"
    layout["xaxis"]["anchor"] = "y2"
    columns = ("load_wh", "pv_wh", "metered_net_wh", "traded_wh")
    columns += ("grid_import_wh", "grid_export_wh")
    return Figure(
        name="energy",
        label="Consumption, PV, traded energy, and exchange with the grid over time",
        data=data,
        layout=layout,
        csv=slots_csv(result, columns),
        height=520,
    )


def order_book_figure(book: OrderBook, currency: str) -> Figure:
    """Demand and supply of one slot, the tariff band, and how far trading went."""
    state = book.slot.state
    tariff = state.tariff
    retail = tariff.retail_micro_per_kwh / MICRO_PER_CURRENCY
    feed_in = tariff.feed_in_micro_per_kwh / MICRO_PER_CURRENCY
    data = [
        _curve("Demand: bids, highest first", book.demand, "bid", currency),
        _curve("Supply: offers, lowest first", book.supply, "offer", currency),
    ]
    shapes: list[Spec] = [
        _rectangle(x0=0, x1=1, y0=feed_in, y1=retail) | {"xref": "paper"},
        _level(retail, "solid"),
        _level(feed_in, "dot"),
    ]
    notes = [_side_note("Retail tariff", retail, above=True)]
    notes.append(_side_note("Feed-in tariff", feed_in, above=False))
    crossing = book.crossing_micro_per_kwh
    if crossing is not None:
        data = _gain_area(book) + data
        at, height = book.first_stage_wh / WH_PER_KWH, crossing / MICRO_PER_CURRENCY
        data.append(
            {
                "type": "scatter",
                "name": "Trading ends here",
                "x": [at],
                "y": [height],
                "mode": "markers",
                "marker": {
                    "size": 12,
                    "color": "@trade",
                    "line": {"color": "@paper", "width": 2},
                },
                "hovertemplate": f"{kwh_text(book.first_stage_wh, 3)} kWh<extra></extra>",
            }
        )
        mean = mean_price_text(state.turnover_nano, state.traded_wh)
        notes.append(
            {
                "x": at,
                "y": height,
                "text": (
                    f"<b>{kwh_text(state.traded_wh)} kWh traded</b>"
                    f"<br>at {mean} {currency}/kWh on average"
                ),
                "showarrow": True,
                "arrowhead": 0,
                "arrowcolor": "@trade",
                "ax": 60,
                "ay": -46,
                "xanchor": "left",
                "align": "left",
                "bgcolor": "@paper",
                "borderpad": 3,
                "font": {"color": "@trade", "size": 13},
            }
        )
    if state.second_stage_wh:
        data.append(_second_stage(book, currency))
    layout = _frame()
    layout["xaxis"] |= {
        "title": {"text": "Energy, added up (kWh)"},
        "rangemode": "tozero",
        "showspikes": False,
    }
    layout["yaxis"] |= {
        "title": {"text": f"{currency}/kWh"},
        "rangemode": "tozero",
        "tickformat": ".2f",
    }
    layout |= {"hovermode": "closest", "shapes": shapes, "annotations": notes}
    return Figure(
        name="order-book",
        label="Demand and supply curves of one slot with the traded energy",
        data=data,
        layout=layout,
        csv=_book_csv(book),
        height=440,
    )


def _curve(name: str, queue: tuple[Step, ...], colour: str, currency: str) -> Spec:
    """A queue as steps: each order holds its price from where the one before ended."""
    x, y, texts = [0.0], [0.0], [""]
    x.clear()
    y.clear()
    texts.clear()
    for step in queue:
        text = f"{price_text(step.price_micro_per_kwh)} {currency}/kWh"
        text += f"<br>{kwh_text(step.energy_wh, 3)} kWh, {kwh_text(step.until_wh, 3)} in all"
        for edge_wh in (step.until_wh - step.energy_wh, step.until_wh):
            x.append(edge_wh / WH_PER_KWH)
            y.append(step.price_micro_per_kwh / MICRO_PER_CURRENCY)
            texts.append(text)
    return {
        "type": "scatter",
        "name": name,
        "x": x,
        "y": y,
        "text": texts,
        "mode": "lines",
        "line": {"color": f"@{colour}", "width": 2.5},
        "hovertemplate": "%{text}<extra></extra>",
    }
