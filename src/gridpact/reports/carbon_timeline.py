"""Plots of carbon over time: the mix of sources, intensities, and what stores hold.

Each takes plain arrays with the times of their rows and the names of their columns, so that any
page can have them. Times are starts of slots of equal length, as the axis takes them:
`2016-06-09 13:15:00`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from gridpact.reports.plots import Figure, Spec, axis, one_panel, over_time, title
from gridpact.reports.tables import csv_text
from gridpact.reports.timeline import Span, Timeline
from gridpact.units import WH_PER_KWH

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray

COLOURS = ("grid", "pv", "trade", "bid", "offer", "load")
REST_COLOUR = "grid-light"
DRAWN_MAX = len(COLOURS)
"""Names that have a colour of their own; a plot's CSV has all."""
HOUR_MS = 3_600_000
DAY_MS = 86_400_000
SCALE = [[0.0, "@trade"], [0.5, "@pv"], [1.0, "@offer"]]
"""Clean to dirty: green, yellow, red."""


def timeline_at(times: Sequence[str], axis_title: str) -> Timeline:
    """The slots that start at these times, as the axis takes them."""
    first = datetime.fromisoformat(times[0])
    step = timedelta(milliseconds=HOUR_MS)
    if len(times) > 1:
        step = datetime.fromisoformat(times[1]) - first
    width_ms = round(step.total_seconds() * 1000)
    spans = tuple(_span(time) for time in times)
    return Timeline(spans, width_ms, width_ms == DAY_MS, axis_title=axis_title, note="")


def _span(at: str) -> Span:
    """A time alone; what a trading day has besides is not drawn here."""
    nothing = dict.fromkeys(
        (
            *("load_wh", "pv_wh", "traded_wh", "turnover_nano", "grid_import_wh"),
            *("grid_export_wh", "stored_wh", "curtailed_wh"),
        ),
        0,
    )
    return Span(
        at=at,
        retail=0.0,
        feed_in=0.0,
        vm_min_pu=None,
        vm_max_pu=None,
        loading_max_percent=None,
        **nothing,
    )


def mix_figure(
    times: Sequence[str],
    names: Sequence[str],
    mw_or_wh: FloatArray,
    *,
    unit: Literal["MW", "Wh"] = "MW",
    axis_title: str = "Time (UTC)",
) -> Figure:
    """What each source gives over time, one on top of the other.

    Args:
        times: T starts.
        names: of the G sources; those that give the least are drawn as one when they are many.
        mw_or_wh: shape (T, G), >= 0.
        unit: of the values; Wh are drawn as kWh.
        axis_title: what the times are.
    """
    timeline = timeline_at(times, axis_title)
    scale, shown_unit = (1.0, "MW") if unit == "MW" else (1 / WH_PER_KWH, "kWh")
    data = []
    columns, rest = _drawn(names, mw_or_wh)
    colours = [*COLOURS[: len(columns) - 1], REST_COLOUR] if rest else COLOURS
    for colour, (name, values) in zip(colours, columns, strict=False):
        data.append(
            over_time(timeline)
            | {
                "type": "bar",
                "name": name,
                "y": (scale * values).tolist(),
                "width": timeline.width_ms,
                "marker": {"color": f"@{colour}", "line": {"width": 0}},
                "hovertemplate": f"%{{y:.4~g}} {shown_unit}",
            }
        )
    layout = one_panel(timeline)
    layout["barmode"] = "stack"
    layout["bargap"] = 0
    layout["showlegend"] = True
    layout["legend"]["traceorder"] = "normal"
    layout["yaxis"] |= {"title": title(shown_unit), "rangemode": "tozero"}
    column = "p_mw" if unit == "MW" else "energy_wh"
    return Figure(
        name="carbon-mix",
        label="Power of each source over time, stacked",
        data=data,
        layout=layout,
        csv=_csv(times, "source", names, {column: mw_or_wh}),
    )


def _drawn(names: Sequence[str], values: FloatArray) -> tuple[list[tuple[str, FloatArray]], bool]:
    """Names with their columns, in their order, and whether the last is all that are small."""
    total = np.nan_to_num(values).sum(axis=0)
    given = [i for i in range(len(names)) if total[i] > 0.0]
    if len(given) <= DRAWN_MAX:
        return [(names[i], values[:, i]) for i in given], False
    largest = sorted(sorted(given, key=lambda i: (-total[i], i))[: DRAWN_MAX - 1])
    rest = [i for i in given if i not in largest]
    others = (f"{len(rest)} others", values[:, rest].sum(axis=1))
    return [*((names[i], values[:, i]) for i in largest), others], True


def intensity_figure(
    times: Sequence[str],
    names: Sequence[str],
    g_per_kwh: FloatArray,
    *,
    colours: Sequence[str] = COLOURS,
    axis_title: str = "Time (UTC)",
) -> Figure:
    """Carbon intensity over time: lines of a few, rows of colour of many.

    Args:
        times: T starts.
        names: of what has an intensity: buses, loads.
        g_per_kwh: shape (T, names), NaN where nothing flows, which leaves a gap.
        colours: of lines, names of the palette.
        axis_title: what the times are.
    """
    timeline = timeline_at(times, axis_title)
    layout = one_panel(timeline)
    if len(names) <= DRAWN_MAX:
        data = [
            _held(timeline, name, g_per_kwh[:, place], colours[place], "%{y:.1f} g/kWh")
            for place, name in enumerate(names)
        ]
        layout["showlegend"] = True
        layout["legend"]["traceorder"] = "normal"
        layout["yaxis"] |= {"title": title("g/kWh"), "rangemode": "tozero"}
    else:
        data = [_intensity_rows(timeline, names, g_per_kwh)]
        layout["hovermode"] = "closest"
        layout["yaxis"] |= {
            "type": "category",
            "autorange": "reversed",
            "showgrid": False,
            "tickfont": {"color": "@muted", "size": 11},
        }
    return Figure(
        name="carbon-intensity",
        label="Carbon intensity over time",
        data=data,
        layout=layout,
        csv=_csv(times, "name", names, {"g_per_kwh": g_per_kwh}),
    )


def _intensity_rows(timeline: Timeline, names: Sequence[str], values: FloatArray) -> Spec:
    known = values[~np.isnan(values)]
    middle = timedelta(milliseconds=timeline.width_ms / 2)
    at = [
        f"{datetime.fromisoformat(span.at) + middle:%Y-%m-%d %H:%M:%S}" for span in timeline.spans
    ]
    return {
        "type": "heatmap",
        "x": at,
        "y": list(names),
        "z": [_known(values[:, place]) for place in range(len(names))],
        "colorscale": SCALE,
        "zmin": 0.0,
        "zmax": max(float(known.max(initial=0.0)), 1e-3),
        "hoverongaps": False,
        "colorbar": {
            "title": {"text": "g/kWh", "font": {"color": "@muted"}},
            "tickfont": {"color": "@muted"},
            "thickness": 12,
            "outlinewidth": 0,
        },
        "hovertemplate": "%{y}, %{x}: %{z:.1f} g/kWh<extra></extra>",
    }


def store_figure(
    times: Sequence[str],
    names: Sequence[str],
    g_per_kwh: FloatArray,
    held_wh: FloatArray,
    *,
    axis_title: str = "Time (UTC)",
) -> Figure:
    """At which intensity stores give what they hold, and how much that is, after each slot.

    Args:
        times: T starts.
        names: of S stores; those that hold the most are drawn when they are many.
        g_per_kwh: shape (T, S), NaN when a store is empty.
        held_wh: shape (T, S).
        axis_title: what the times are.
    """
    timeline = timeline_at(times, axis_title)
    most = np.nan_to_num(held_wh).max(axis=0, initial=0.0)
    chosen = sorted(sorted(range(len(names)), key=lambda i: (-most[i], i))[:DRAWN_MAX])
    data = []
    scale, unit = (1e-6, "MWh") if most.max(initial=0.0) >= 1e6 else (1 / WH_PER_KWH, "kWh")
    for place, number in enumerate(chosen):
        colour = COLOURS[(place + 3) % DRAWN_MAX]
        given = _held(timeline, names[number], g_per_kwh[:, number], colour, "%{y:.1f} g/kWh")
        held = scale * held_wh[:, number]
        below = _held(timeline, names[number], held, colour, f"%{{y:.4~g}} {unit}")
        data += [given, below | {"yaxis": "y2", "showlegend": False}]
    layout = one_panel(timeline)
    layout["hoversubplots"] = "axis"
    layout["showlegend"] = True
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis"] |= {"title": title("g/kWh"), "rangemode": "tozero", "domain": [0.5, 1]}
    layout["yaxis2"] = axis() | {
        "fixedrange": True,
        "domain": [0, 0.38],
        "title": title(f"{unit} held"),
        "rangemode": "tozero",
    }
    return Figure(
        name="carbon-stores",
        label="Carbon intensity and content of each store over time",
        data=data,
        layout=layout,
        csv=_csv(times, "store", names, {"g_per_kwh": g_per_kwh, "held_wh": held_wh}),
    )


def _held(timeline: Timeline, name: str, values: FloatArray, colour: str, hover: str) -> Spec:
    """Steps that hold for their slot, and end with it where the next has no value."""
    starts = [span.at for span in timeline.spans]
    ends = [*starts[1:], timeline.bounds[1]]
    known = _known(values)
    x: list[str] = []
    y: list[float | None] = []
    for place, value in enumerate(known):
        x.append(starts[place])
        y.append(value)
        last = place + 1 == len(known)
        if value is not None and (last or known[place + 1] is None):
            x.append(ends[place])
            y.append(value)
    return {
        "type": "scatter",
        "name": name,
        "x": x,
        "y": y,
        "mode": "lines",
        "connectgaps": False,
        "line": {"shape": "hv", "color": f"@{colour}", "width": 2},
        "hovertemplate": hover,
    }


def _known(values: FloatArray) -> list[float | None]:
    """Numbers, and None where there is none, which is a gap."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124


def _csv(
    times: Sequence[str], what: str, names: Sequence[str], columns: dict[str, FloatArray]
) -> str:
    tables = [table.tolist() for table in columns.values()]
    rows: list[list[int | float | str]] = [
        [time, name, *("" if table[t][n] != table[t][n] else table[t][n] for table in tables)]
        for t, time in enumerate(times)
        for n, name in enumerate(names)
    ]
    return csv_text(["start", what, *columns], rows)
