"""The plots of prices and of energy over time."""

from __future__ import annotations

from gridpact.model import RunResult
from gridpact.reports.columns import SLOTS
from gridpact.reports.plots import Figure, Spec, bars, line, title, two_panels
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import Timeline
from gridpact.units import WH_PER_KWH


def price_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Mean trade price between the two tariffs; below it the traded energy."""
    currency = result.scenario.currency
    price = f"%{{y:.4f}} {currency}/kWh"
    retail = line(timeline, "Retail tariff", lambda span: span.retail, "grid", price)
    mean = line(timeline, "Mean trade price", lambda span: span.mean_price, "trade", price)
    mean |= {"mode": "lines+markers", "marker": _lone_dots(mean["y"])}
    feed_in = line(timeline, "Feed-in tariff", lambda span: span.feed_in, "grid", price)
    feed_in["line"]["dash"] = "dot"
    traded = bars(timeline, "Traded energy", lambda span: span.traded_wh, "trade")
    layout = two_panels(timeline)
    layout["yaxis"] |= {
        "domain": [0.40, 1],
        "title": title(f"{currency}/kWh"),
        "rangemode": "tozero",
        "tickformat": ".2f",
    }
    layout["yaxis2"] |= {
        "domain": [0, 0.32],
        "title": title("kWh"),
        "rangemode": "nonnegative",
    }
    columns = ["retail_micro_per_kwh", "feed_in_micro_per_kwh", "network_fee_micro_per_kwh"]
    columns += ["orders", "trades", "traded_wh", "second_stage_wh", "turnover_nano"]
    return Figure(
        name="prices",
        label="Retail tariff, mean trade price, feed-in tariff and traded energy over time",
        data=[retail, mean, feed_in, traded],
        layout=layout,
        csv=table_csv(result, SLOTS, columns),
    )


def energy_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Consumption, PV and trades; below them what came from the grid and went to it."""
    energy = "%{y:.2f} kWh"
    pv = line(timeline, "PV", lambda span: span.pv_wh / WH_PER_KWH, "pv", energy)
    pv |= {"fill": "tozeroy", "fillcolor": "@pv-fill"}
    load = line(timeline, "Consumption", lambda span: span.load_wh / WH_PER_KWH, "load", energy)
    traded = line(timeline, "Traded", lambda span: span.traded_wh / WH_PER_KWH, "trade", energy)
    imported = bars(timeline, "From the grid", lambda span: span.grid_import_wh, "grid")
    exported = bars(timeline, "To the grid", lambda span: -span.grid_export_wh, "grid-light")
    exported["customdata"] = [span.grid_export_wh / WH_PER_KWH for span in timeline.spans]
    exported["hovertemplate"] = "%{customdata:.2f} kWh"
    layout = two_panels(timeline)
    layout["barmode"] = "relative"
    layout["yaxis"] |= {"domain": [0.46, 1], "title": title("kWh"), "rangemode": "tozero"}
    layout["yaxis2"] |= {"domain": [0, 0.38], "title": title("kWh"), "zeroline": True}
    columns = ["load_wh", "pv_wh", "metered_net_wh", "traded_wh"]
    columns += ["grid_import_wh", "grid_export_wh"]
    return Figure(
        name="energy",
        label="Consumption, PV, traded energy, and exchange with the grid over time",
        data=[pv, load, traded, imported, exported],
        layout=layout,
        csv=table_csv(result, SLOTS, columns),
    )


def _lone_dots(values: list[float | None]) -> Spec:
    """Markers for values without neighbours, which a line cannot show."""
    around = zip([None, *values], values, [*values[1:], None], strict=False)
    sizes = [
        6 if value is not None and before is None and after is None else 0
        for before, value, after in around
    ]
    return {"size": sizes, "color": "@trade", "line": {"width": 0}}
