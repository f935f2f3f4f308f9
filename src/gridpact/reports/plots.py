"""What the plots of the page are made of: plotly specifications, in plain dictionaries.

Colours are names of the palette behind an `@`; the page's script puts the values in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gridpact.reports.timeline import Span, Timeline
from gridpact.units import WH_PER_KWH

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


def frame() -> Spec:
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
        "xaxis": axis(),
        "yaxis": axis() | {"fixedrange": True},
        "dragmode": "zoom",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@muted", "activecolor": "@ink"},
    }


def axis() -> Spec:
    """An axis without decoration."""
    return {
        "gridcolor": "@line",
        "linecolor": "@line",
        "zerolinecolor": "@grid",
        "zeroline": False,
        "tickfont": {"color": "@muted"},
        "automargin": True,
    }


def title(text: str) -> Spec:
    """An axis's name, with its unit."""
    return {"text": text, "font": {"color": "@muted", "size": 13}, "standoff": 10}


def one_panel(timeline: Timeline) -> Spec:
    """One panel on the time axis."""
    layout = frame()
    layout["hovermode"] = "x unified"
    layout["xaxis"] |= {
        "type": "date",
        "showgrid": False,
        "range": list(timeline.bounds),
        "spikecolor": "@grid",
        "spikethickness": 1,
        "spikedash": "dot",
        "title": title(timeline.axis_title),
        "hoverformat": "%a %-d %B" if timeline.by_day else "%a %-d %B, %H:%M",
        "tickformatstops": [
            {"dtickrange": [None, _DAY_MS - 1], "value": "%H:%M\n%-d %B %Y"},
            {"dtickrange": [_DAY_MS, None], "value": "%-d %B\n%Y"},
        ],
    }
    return layout


def two_panels(timeline: Timeline) -> Spec:
    """Two panels, one over the other, on the time axis."""
    layout = one_panel(timeline)
    layout["hoversubplots"] = "axis"
    layout["xaxis"]["anchor"] = "y2"
    layout["yaxis2"] = axis() | {"fixedrange": True}
    return layout


def over_time(timeline: Timeline) -> Spec:
    """A trace's place in time: each value holds for its whole slot."""
    return {
        "x": [span.at for span in timeline.spans],
        "xperiod": timeline.width_ms,
        "xperiod0": timeline.spans[0].at,
        "xperiodalignment": "middle",
    }


def line(
    timeline: Timeline, name: str, read: Callable[[Span], float | None], colour: str, hover: str
) -> Spec:
    """Steps of what is read from each span."""
    return steps(timeline, name, [read(span) for span in timeline.spans], colour, hover)


def steps(
    timeline: Timeline, name: str, values: Sequence[float | None], colour: str, hover: str
) -> Spec:
    """Steps: a value holds for its slot and then jumps.

    Plotly jumps halfway between two points. One more point beyond each end, outside the axis,
    keeps the first and the last slot from being drawn as halves.
    """
    return over_time(timeline) | {
        "type": "scatter",
        "name": name,
        "x": [timeline.before, *(span.at for span in timeline.spans), timeline.bounds[1]],
        "y": [values[0], *values, values[-1]],
        "mode": "lines",
        "line": {"shape": "hvh", "color": f"@{colour}", "width": 2},
        "hovertemplate": hover,
    }


def bars(timeline: Timeline, name: str, read_wh: Callable[[Span], int], colour: str) -> Spec:
    """Energy of each slot, in the lower panel."""
    return bars_of(timeline, name, [read_wh(span) / WH_PER_KWH for span in timeline.spans], colour)


def bars_of(timeline: Timeline, name: str, values_kwh: Sequence[float], colour: str) -> Spec:
    """Values of all steps, in the lower panel."""
    return over_time(timeline) | {
        "type": "bar",
        "name": name,
        "y": list(values_kwh),
        "yaxis": "y2",
        "width": timeline.width_ms * (0.92 if len(timeline.spans) <= _BARS_APART_MAX else 1),
        "marker": {"color": f"@{colour}", "line": {"width": 0}},
        "hovertemplate": "%{y:.2f} kWh",
    }


def band(low: float, high: float) -> Spec:
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


def level(price: float, dash: str) -> Spec:
    """A horizontal line over the whole width."""
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


def edge_note(text: str, price: float) -> Spec:
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
