"""The plots of the page as plotly specifications, in plain dictionaries.

Colours are names of the palette behind an `@`; the page's script puts the values in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gridpact.model import RunResult
from gridpact.reports.amounts import kwh_text, mean_price_text, price_text
from gridpact.reports.orderbook import OrderBook, Step
from gridpact.reports.tables import csv_text, slots_csv
from gridpact.reports.timeline import Span, Timeline
from gridpact.units import MICRO_PER_CURRENCY, WH_PER_KWH

_DAY_MS = 86_400_000
_BARS_APART_MAX = 200
"""With more bars than this the gaps between them would only flicker."""

Spec = dict[str, Any]
"""A piece of a plotly figure: as JSON has it, in whatever shape plotly asks for."""


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
    """The exact numbers behind it, units in the column names."""


def price_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Mean trade price between the two tariffs; below it the traded energy."""
    currency = result.scenario.currency
    price = f"%{{y:.4f}} {currency}/kWh"
    retail = _line(timeline, "Retail tariff", lambda span: span.retail, "grid", price)
    mean = _line(timeline, "Mean trade price", lambda span: span.mean_price, "trade", price)
    mean |= {"mode": "lines+markers", "marker": _lone_dots(mean["y"])}
    feed_in = _line(timeline, "Feed-in tariff", lambda span: span.feed_in, "grid", price)
    feed_in["line"]["dash"] = "dot"
    traded = _bars(timeline, "Traded energy", lambda span: span.traded_wh, "trade")
    layout = _time_layout(timeline)
    layout["yaxis"] |= {
        "domain": [0.40, 1],
        "title": _title(f"{currency}/kWh"),
        "rangemode": "tozero",
        "tickformat": ".2f",
    }
    layout["yaxis2"] |= {
        "domain": [0, 0.32],
        "title": _title("kWh"),
        "rangemode": "nonnegative",
    }
    columns = ["retail_micro_per_kwh", "feed_in_micro_per_kwh", "network_fee_micro_per_kwh"]
    columns += ["orders", "trades", "traded_wh", "second_stage_wh", "turnover_nano"]
    return Figure(
        name="prices",
        label="Retail tariff, mean trade price, feed-in tariff and traded energy over time",
        data=[retail, mean, feed_in, traded],
        layout=layout,
        csv=slots_csv(result, columns),
    )


def energy_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Consumption, PV and trades; below them what came from the grid and went to it."""
    energy = "%{y:.2f} kWh"
    pv = _line(timeline, "PV", lambda span: span.pv_wh / WH_PER_KWH, "pv", energy)
    pv |= {"fill": "tozeroy", "fillcolor": "@pv-fill"}
    load = _line(timeline, "Consumption", lambda span: span.load_wh / WH_PER_KWH, "load", energy)
    traded = _line(timeline, "Traded", lambda span: span.traded_wh / WH_PER_KWH, "trade", energy)
    imported = _bars(timeline, "From the grid", lambda span: span.grid_import_wh, "grid")
    exported = _bars(timeline, "To the grid", lambda span: -span.grid_export_wh, "grid-light")
    exported["customdata"] = [span.grid_export_wh / WH_PER_KWH for span in timeline.spans]
    exported["hovertemplate"] = "%{customdata:.2f} kWh"
    layout = _time_layout(timeline)
    layout["barmode"] = "relative"
    layout["yaxis"] |= {"domain": [0.46, 1], "title": _title("kWh"), "rangemode": "tozero"}
    layout["yaxis2"] |= {"domain": [0, 0.38], "title": _title("kWh"), "zeroline": True}
    columns = ["load_wh", "pv_wh", "metered_net_wh", "traded_wh"]
    columns += ["grid_import_wh", "grid_export_wh"]
    return Figure(
        name="energy",
        label="Consumption, PV, traded energy, and exchange with the grid over time",
        data=[pv, load, traded, imported, exported],
        layout=layout,
        csv=slots_csv(result, columns),
    )


def order_book_figure(book: OrderBook, currency: str) -> Figure:
    """Demand and supply of one slot between the tariffs, and how far trading went."""
    tariff = book.slot.state.tariff
    retail = tariff.retail_micro_per_kwh / MICRO_PER_CURRENCY
    feed_in = tariff.feed_in_micro_per_kwh / MICRO_PER_CURRENCY
    data = [
        _curve("Bids, highest first", book.demand, "bid", currency),
        _curve("Offers, lowest first", book.supply, "offer", currency),
    ]
    layout = _frame()
    layout["hovermode"] = "closest"
    layout["shapes"] = [_band(feed_in, retail), _level(retail, "solid"), _level(feed_in, "dot")]
    layout["annotations"] = [
        _edge_note(f"Retail tariff {price_text(tariff.retail_micro_per_kwh)}", retail),
        _edge_note(f"Feed-in tariff {price_text(tariff.feed_in_micro_per_kwh)}", feed_in),
    ]
    layout["xaxis"] |= {
        "title": _title("Energy, added up (kWh)"),
        "range": [0, _drawn_wh(book) / WH_PER_KWH],
    }
    layout["yaxis"] |= {
        "title": _title(f"{currency}/kWh"),
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


def _frame() -> Spec:
    """What all plots have in common: one pair of axes, a legend on top, no decoration."""
    return {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": "@ink"},
        "margin": {"l": 56, "r": 12, "t": 36, "b": 52},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "hoverlabel": {
            "bgcolor": "@paper",
            "bordercolor": "@line",
            "font": {"color": "@ink", "size": 13},
            "align": "left",
        },
        "xaxis": _axis(),
        "yaxis": _axis() | {"fixedrange": True},
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@muted", "activecolor": "@ink"},
    }


def _axis() -> Spec:
    return {
        "gridcolor": "@line",
        "linecolor": "@line",
        "zerolinecolor": "@grid",
        "zeroline": False,
        "tickfont": {"color": "@muted"},
        "automargin": True,
    }


def _title(text: str) -> Spec:
    """An axis's name, with its unit."""
    return {"text": text, "font": {"color": "@muted", "size": 13}, "standoff": 10}


def _time_layout(timeline: Timeline) -> Spec:
    """Two panels, one over the other, on the time axis."""
    layout = _frame()
    layout["hovermode"] = "x unified"
    layout["hoversubplots"] = "axis"
    layout["xaxis"] |= {
        "type": "date",
        "anchor": "y2",
        "showgrid": False,
        "range": list(timeline.bounds),
        "spikecolor": "@grid",
        "spikethickness": 1,
        "spikedash": "dot",
        "title": _title(timeline.axis_title),
        "hoverformat": "%a %-d %B" if timeline.by_day else "%a %-d %B, %H:%M",
        "tickformatstops": [
            {"dtickrange": [None, _DAY_MS - 1], "value": "%H:%M\n%-d %B %Y"},
            {"dtickrange": [_DAY_MS, None], "value": "%-d %B\n%Y"},
        ],
    }
    layout["yaxis2"] = _axis() | {"fixedrange": True}
    return layout


def _over_time(timeline: Timeline) -> Spec:
    """A trace's place in time: each value holds for its whole slot."""
    return {
        "x": [span.at for span in timeline.spans],
        "xperiod": timeline.width_ms,
        "xperiod0": timeline.spans[0].at,
        "xperiodalignment": "middle",
    }


def _line(
    timeline: Timeline, name: str, read: Callable[[Span], float | None], colour: str, hover: str
) -> Spec:
    """Steps: a value holds for its slot and then jumps.

    Plotly jumps halfway between two points. One more point beyond each end, outside the axis,
    keeps the first and the last slot from being drawn as halves.
    """
    values = [read(span) for span in timeline.spans]
    return _over_time(timeline) | {
        "type": "scatter",
        "name": name,
        "x": [timeline.before, *(span.at for span in timeline.spans), timeline.bounds[1]],
        "y": [values[0], *values, values[-1]],
        "mode": "lines",
        "line": {"shape": "hvh", "color": f"@{colour}", "width": 2},
        "hovertemplate": hover,
    }


def _lone_dots(values: list[float | None]) -> Spec:
    """Markers for values without neighbours, which a line cannot show."""
    around = zip([None, *values], values, [*values[1:], None], strict=False)
    sizes = [
        6 if value is not None and before is None and after is None else 0
        for before, value, after in around
    ]
    return {"size": sizes, "color": "@trade", "line": {"width": 0}}


def _bars(timeline: Timeline, name: str, read_wh: Callable[[Span], int], colour: str) -> Spec:
    """Energy of each slot, in the lower panel."""
    return _over_time(timeline) | {
        "type": "bar",
        "name": name,
        "y": [read_wh(span) / WH_PER_KWH for span in timeline.spans],
        "yaxis": "y2",
        "width": timeline.width_ms * (0.92 if len(timeline.spans) <= _BARS_APART_MAX else 1),
        "marker": {"color": f"@{colour}", "line": {"width": 0}},
        "hovertemplate": "%{y:.2f} kWh",
    }


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


def _band(low: float, high: float) -> Spec:
    """Between feed-in and retail: where a trade is better for both sides than the grid."""
    return {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "fillcolor": "@band-fill",
        "line": {"width": 0},
        "layer": "below",
    }


def _level(price: float, dash: str) -> Spec:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": price,
        "y1": price,
        "line": {"color": "@grid", "width": 1.5, "dash": dash},
        "layer": "between",
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


def _edge_note(text: str, price: float) -> Spec:
    """A tariff's name, above its line at the right edge."""
    return {
        "xref": "paper",
        "x": 1,
        "y": price,
        "text": text,
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "font": {"color": "@muted", "size": 12},
    }


def _book_csv(book: OrderBook) -> str:
    """The queues without names: whose order it is stays with its sender."""
    rows: list[list[int | str]] = [
        [side, step.price_micro_per_kwh, step.energy_wh, step.until_wh]
        for side, queue in (("bid", book.demand), ("offer", book.supply))
        for step in queue
    ]
    return csv_text(["side", "price_micro_per_kwh", "energy_wh", "added_up_wh"], rows)
