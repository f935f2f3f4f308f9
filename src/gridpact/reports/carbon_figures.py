"""Plots of one traced snapshot: the network by intensity, and power from sources to loads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import Tracer
from gridpact.reports.carbon_timeline import SCALE
from gridpact.reports.plots import Figure, Spec, frame
from gridpact.reports.tables import csv_text

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, FlowNetwork, IntArray, Trace

SOURCES_SHOWN, LOADS_SHOWN = 10, 14
LABELLED_MAX = 40
"""Buses up to which each has its name beside it."""


def map_figure(trace: Trace) -> Figure:
    """The network as a tree from left to right, each bus in the colour of its intensity."""
    network = trace.flow.network
    x, y = _places(network, trace.flow.p_source_mw[0])
    rho = trace.bus_t_per_mwh[0]
    live = np.flatnonzero(~np.isnan(rho))
    dead = np.flatnonzero(np.isnan(rho))
    layout = frame()
    layout["hovermode"] = "closest"
    hidden: Spec = {"visible": False, "fixedrange": False}
    layout["xaxis"], layout["yaxis"] = hidden, dict(hidden)
    lines: Spec = {
        "type": "scatter",
        "mode": "lines",
        "x": _apart(x, network),
        "y": _apart(y, network),
        "line": {"color": "@grid-light", "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    data = [lines, _buses(trace, x, y, live)]
    if len(dead):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "Nothing flows",
                "x": x[dead].tolist(),
                "y": y[dead].tolist(),
                "text": [network.bus_ids[i] for i in dead.tolist()],
                "marker": {"size": 9, "color": "@paper", "line": {"color": "@grid", "width": 1.5}},
                "hovertemplate": "%{text}: nothing flows<extra></extra>",
            }
        )
    rows: list[list[int | float | str]] = [
        [name, "" if math.isnan(value) else f"{value:.9f}"]
        for name, value in zip(network.bus_ids, rho.tolist(), strict=True)
    ]
    return Figure(
        name="carbon-map",
        label="The network, each bus coloured by its carbon intensity",
        data=data,
        layout=layout,
        csv=csv_text(["bus", "t_per_mwh"], rows),
    )


def _buses(trace: Trace, x: FloatArray, y: FloatArray, live: IntArray) -> Spec:
    network, rho = trace.flow.network, trace.bus_t_per_mwh[0]
    return {
        "type": "scatter",
        "mode": "markers+text" if len(network.bus_ids) <= LABELLED_MAX else "markers",
        "textposition": "top center",
        "x": x[live].tolist(),
        "y": y[live].tolist(),
        "text": [network.bus_ids[i] for i in live.tolist()],
        "marker": {
            "size": 12 if len(network.bus_ids) <= 200 else 6,
            "color": rho[live].tolist(),
            "colorscale": SCALE,
            "cmin": 0.0,
            "cmax": max(float(rho[live].max(initial=0.0)), 1e-6),
            "line": {"color": "@paper", "width": 1},
            "colorbar": {
                "title": {"text": "t/MWh", "font": {"color": "@muted"}},
                "tickfont": {"color": "@muted"},
                "thickness": 12,
                "outlinewidth": 0,
            },
        },
        "hovertemplate": "%{text}: %{marker.color:.4f} t/MWh<extra></extra>",
        "showlegend": False,
    }


def sankey_figure(trace: Trace) -> Figure:
    """Power of the largest sources to the largest loads and to losses, the rest together."""
    network = trace.flow.network
    delivered, lost = _deliveries(trace)
    top_sources = _largest(trace.flow.p_source_mw[0], SOURCES_SHOWN)
    top_loads = _largest(trace.flow.p_load_mw[0], LOADS_SHOWN)
    by_source = _grouped(np.vstack([delivered, lost]).T, top_sources)
    table = _grouped(by_source[:, :-1].T, top_loads).T
    table = np.column_stack([table, by_source[:, -1]])
    sources = [*(network.source_ids[i] for i in top_sources), "other sources"]
    loads = [*(network.load_ids[i] for i in top_loads), "other loads", "losses"]
    source_of, load_of = np.nonzero(table > 1e-9)
    link = {
        "source": source_of.tolist(),
        "target": (load_of + len(sources)).tolist(),
        "value": table[source_of, load_of].tolist(),
        "color": "@trade-fill",
        "hovertemplate": "%{source.label} to %{target.label}: %{value:.6f} MW<extra></extra>",
    }
    node = {
        "label": [*sources, *loads],
        "color": ["@bid"] * len(sources) + ["@load"] * (len(loads) - 1) + ["@offer"],
        "pad": 10,
        "thickness": 14,
        "line": {"width": 0},
        "hovertemplate": "%{label}: %{value:.6f} MW<extra></extra>",
    }
    layout = frame()
    layout.pop("xaxis")
    layout.pop("yaxis")
    rows: list[list[int | float | str]] = [
        [sources[i], loads[j], f"{table[i, j]:.9f}"]
        for i, j in zip(source_of.tolist(), load_of.tolist(), strict=True)
    ]
    return Figure(
        name="carbon-flows",
        label="Power from each source to loads and losses",
        data=[{"type": "sankey", "node": node, "link": link, "valueformat": ".4f"}],
        layout=layout,
        csv=csv_text(["source", "load", "p_mw"], rows),
    )


def _deliveries(trace: Trace) -> tuple[FloatArray, FloatArray]:
    """Shape (K, G), MW of each load from each source; shape (G,), MW of each source's losses."""
    flow, network = trace.flow, trace.flow.network
    found = np.zeros((len(network.load_ids), len(network.source_ids)))
    parts = list(Tracer(network).shares(flow))
    through = np.zeros(len(network.bus_ids))
    for part in parts:
        np.add.at(through, part.bus, part.p_mw)
    load = np.zeros(len(network.bus_ids))
    np.add.at(load, network.load_bus, flow.p_load_mw[0])
    share = np.divide(
        flow.p_load_mw[0],
        load[network.load_bus],
        where=flow.p_load_mw[0] > 0.0,
        out=np.zeros(len(network.load_ids)),
    )
    for part in parts:
        for column, source in enumerate(part.sources.tolist()):
            entries = slice(part.start[column], part.start[column + 1])
            at_bus = np.zeros(len(network.bus_ids))
            at_bus[part.bus[entries]] = part.p_mw[entries] / through[part.bus[entries]]
            found[:, source] = share * (load * at_bus)[network.load_bus]
    return found, np.maximum(flow.p_source_mw[0] - found.sum(axis=0), 0.0)


def _largest(p_mw: FloatArray, count: int) -> list[int]:
    """Positions of the largest that are above zero, largest first."""
    order = np.argsort(-p_mw, kind="stable")[:count]
    return [int(i) for i in order if p_mw[i] > 0.0]


def _grouped(rows: FloatArray, chosen: Sequence[int]) -> FloatArray:
    """The chosen rows, and behind them the sum of all others."""
    others = np.delete(np.arange(len(rows)), list(chosen))
    grouped: FloatArray = np.vstack([rows[list(chosen)], rows[others].sum(axis=0, keepdims=True)])
    return grouped


def _apart(values: FloatArray, network: FlowNetwork) -> list[float | None]:
    """Both ends of each branch, with a gap behind it."""
    ends = zip(values[network.from_bus].tolist(), values[network.to_bus].tolist(), strict=True)
    return [value for start, end in ends for value in (start, end, None)]


def _places(network: FlowNetwork, p_source_mw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Buses as a tree: depth from the largest source of an island, and the order of its ends."""
    buses = len(network.bus_ids)
    near: list[list[int]] = [[] for _ in range(buses)]
    for one, other in zip(network.from_bus.tolist(), network.to_bus.tolist(), strict=True):
        near[one].append(other)
        near[other].append(one)
    power = np.zeros(buses)
    np.add.at(power, network.source_bus, p_source_mw)
    depth = np.full(buses, -1.0)
    parent = np.full(buses, -1, dtype=np.int64)
    order: list[int] = []
    for root in np.argsort(-power, kind="stable").tolist():
        if depth[root] >= 0:
            continue
        depth[root], waiting = 0.0, [root]
        while waiting:
            here = waiting.pop()
            order.append(here)
            for other in near[here]:
                if depth[other] < 0:
                    depth[other], parent[other] = depth[here] + 1, here
                    waiting.append(other)
    height, children, rows = np.zeros(buses), np.zeros(buses), 0
    # Depth first, each bus comes before those behind it: ends get rows, others their mean.
    for here in order:
        if not any(parent[other] == here for other in near[here]):
            height[here], rows = rows, rows + 1
    for here in reversed(order):
        if children[here]:
            height[here] /= children[here]
        if parent[here] >= 0:
            height[parent[here]] += height[here]
            children[parent[here]] += 1
    return depth, -height
