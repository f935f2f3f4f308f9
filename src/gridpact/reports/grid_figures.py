"""The plots of the network and of the batteries over time."""

from __future__ import annotations

from gridpact.model import RunResult
from gridpact.model.grid import GridLimits
from gridpact.reports.columns import GRID_SLOTS, SLOTS
from gridpact.reports.plots import Figure, Spec, axis, bars, level, line, one_panel, title
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import Timeline

_MARGIN = 1.08
"""Room above the highest line that has to be seen."""


def limits_of(result: RunResult) -> GridLimits:
    """What voltages and loadings had to keep to."""
    network = result.scenario.network
    return GridLimits() if network is None else network.limits


def voltage_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Lowest and highest voltage of any bus between the limits."""
    limits = limits_of(result)
    hover = "%{y:.4f} pu"
    low = line(timeline, "Lowest voltage", lambda span: span.vm_min_pu, "bid", hover)
    high = line(timeline, "Highest voltage", lambda span: span.vm_max_pu, "offer", hover)
    layout = one_panel(timeline)
    layout["yaxis"] |= {"title": title("pu"), "tickformat": ".2f"}
    layout["shapes"] = [level(limits.vm_min_pu, "dash"), level(limits.vm_max_pu, "dash")]
    shown = [value for trace in (low, high) for value in trace["y"] if value is not None]
    shown += [limits.vm_min_pu, limits.vm_max_pu]
    room = (max(shown) - min(shown)) * (_MARGIN - 1)
    layout["yaxis"]["range"] = [min(shown) - room, max(shown) + room]
    layout["annotations"] = [
        _limit_note(f"Upper limit {limits.vm_max_pu:g} pu", limits.vm_max_pu, "top"),
        _limit_note(f"Lower limit {limits.vm_min_pu:g} pu", limits.vm_min_pu, "bottom"),
    ]
    return Figure(
        name="voltage",
        label="Lowest and highest voltage of any bus over time, and the limits",
        data=[low, high],
        layout=layout,
        csv=table_csv(result, GRID_SLOTS, ["vm_min_pu", "vm_min_bus", "vm_max_pu", "vm_max_bus"]),
    )


def loading_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Highest loading of any branch below its limit, and what was curtailed."""
    limit = limits_of(result).loading_max_percent
    loading = line(
        timeline, "Highest loading", lambda span: span.loading_max_percent, "load", "%{y:.1f} %"
    )
    data = [loading]
    layout = one_panel(timeline)
    layout["showlegend"] = True
    shown = [value for value in loading["y"] if value is not None]
    layout["yaxis"] |= {
        "title": title("%"),
        "range": [0, _MARGIN * max([*shown, limit])],
    }
    layout["shapes"] = [level(limit, "dash")]
    layout["annotations"] = [_limit_note(f"Limit {limit:g} %", limit, "top")]
    if any(span.curtailed_wh for span in timeline.spans):
        data.append(bars(timeline, "Curtailed", lambda span: span.curtailed_wh, "offer"))
        layout["hoversubplots"] = "axis"
        layout["xaxis"]["anchor"] = "y2"
        layout["yaxis"]["domain"] = [0.42, 1]
        layout["yaxis2"] = axis() | {
            "fixedrange": True,
            "domain": [0, 0.30],
            "title": title("kWh"),
            "rangemode": "nonnegative",
        }
    columns = ["loading_max_percent", "loading_max_branch", "curtailed_wh", "cuts", "violations"]
    return Figure(
        name="loading",
        label="Highest loading of any branch over time, its limit, and curtailed energy",
        data=data,
        layout=layout,
        csv=table_csv(result, GRID_SLOTS, columns),
    )


def storage_figure(result: RunResult, timeline: Timeline) -> Figure:
    """What went into batteries and what came out."""
    into = bars(timeline, "Into batteries", lambda span: max(0, span.stored_wh), "trade")
    out = bars(timeline, "Out of batteries", lambda span: min(0, span.stored_wh), "offer")
    layout = one_panel(timeline)
    layout["barmode"] = "relative"
    layout["yaxis"] |= {"title": title("kWh"), "zeroline": True}
    for trace in (into, out):
        trace["yaxis"] = "y"
    return Figure(
        name="storage",
        label="Energy into batteries and out of them over time, all members",
        data=[into, out],
        layout=layout,
        csv=table_csv(result, SLOTS, ["stored_wh"]),
    )


def _limit_note(text: str, value: float, side: str) -> Spec:
    """A limit's name at the left edge, on the side of its line that lies within it."""
    return {
        "xref": "paper",
        "x": 0,
        "y": value,
        "text": text,
        "showarrow": False,
        "xanchor": "left",
        "yanchor": side,
        "font": {"color": "@muted", "size": 12},
    }
