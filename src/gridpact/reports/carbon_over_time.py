"""Carbon of a run over time: mix, intensity of each member, storages."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from gridpact.reports.carbon_columns import CARBON_SLOTS, CARBON_STATEMENTS
from gridpact.reports.carbon_timeline import intensity_figure
from gridpact.reports.plots import Figure, bars_of, steps, title, two_panels
from gridpact.reports.tables import table_csv
from gridpact.units import WH_PER_KWH

if TYPE_CHECKING:
    from gridpact.model import RunResult, SlotCarbon
    from gridpact.model.carbon import FloatArray
    from gridpact.reports.timeline import Timeline

ROWS_DRAWN_MAX = 400
"""Members whose intensity is drawn; more would be thinner than a line."""
MG_PER_G = 1000


def mix_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Intensity of what was used and of what came from outside; below it where it was from."""
    spans = _by_span(result, timeline)
    used = [
        _g_per_kwh(sum(s.load_ug for s in span), sum(s.load_wh for s in span)) for span in spans
    ]
    outside = [
        _g_per_kwh(sum(s.imported_ug for s in span), sum(s.imported_wh for s in span))
        for span in spans
    ]
    data = [
        steps(timeline, "From outside", outside, "grid", "%{y:.0f} g/kWh"),
        steps(timeline, "Used by members", used, "trade", "%{y:.0f} g/kWh"),
    ]
    data[0]["line"]["dash"] = "dot"
    loads_wh = _load_from(result, timeline)
    for name, values, colour in zip(
        ("Used: members' generation", "Used: storages", "Used: from outside"),
        loads_wh,
        ("pv", "bid", "grid"),
        strict=True,
    ):
        data.append(bars_of(timeline, name, [wh / WH_PER_KWH for wh in values], colour))
    layout = two_panels(timeline)
    layout["barmode"] = "stack"
    layout["yaxis"] |= {"domain": [0.46, 1], "title": title("g/kWh"), "rangemode": "tozero"}
    layout["yaxis2"] |= {"domain": [0, 0.38], "title": title("kWh"), "rangemode": "tozero"}
    return Figure(
        name="carbon-mix",
        label="Carbon intensity of what members used, and where it was from, over time",
        data=data,
        layout=layout,
        csv=table_csv(result, CARBON_SLOTS),
    )


def member_figure(result: RunResult, timeline: Timeline) -> Figure:
    """Intensity of each member over time, those with the least on top."""
    names, table = _intensities(result, timeline)
    mean = np.array([np.nanmean(row) if np.isfinite(row).any() else np.inf for row in table])
    order = np.argsort(mean, kind="stable")[:ROWS_DRAWN_MAX].tolist()
    times = [span.at for span in timeline.spans]
    chosen = [names[row] for row in order]
    return intensity_figure(times, chosen, table[order].T, axis_title=timeline.axis_title)


def store_figure(result: RunResult, timeline: Timeline) -> Figure | None:
    """Intensity of what storages took in and gave back; None where no carbon was stored."""
    spans = _by_span(result, timeline)
    if not any(slot.charged_ug or slot.discharged_ug for span in spans for slot in span):
        return None
    into = [
        _g_per_kwh(sum(s.charged_ug for s in span), sum(s.charged_wh for s in span))
        for span in spans
    ]
    out = [
        _g_per_kwh(sum(s.discharged_ug for s in span), sum(s.discharged_wh for s in span))
        for span in spans
    ]
    held_kg, change = [], 0
    for span in spans:
        change += sum(slot.charged_ug - slot.discharged_ug for slot in span)
        held_kg.append(change / 10**9)
    layout = two_panels(timeline)
    layout["yaxis"] |= {"domain": [0.42, 1], "title": title("g/kWh"), "rangemode": "tozero"}
    layout["yaxis2"] |= {"domain": [0, 0.34], "title": title("kg held"), "rangemode": "tozero"}
    held = bars_of(timeline, "Held by storages", held_kg, "grid-light")
    held["hovertemplate"] = "%{y:.3f} kg"
    return Figure(
        name="carbon-storage",
        label="Carbon intensity of what storages took in and gave back, and carbon they hold",
        data=[
            steps(timeline, "Taken in", into, "trade", "%{y:.0f} g/kWh"),
            steps(timeline, "Given back", out, "offer", "%{y:.0f} g/kWh"),
            held,
        ],
        layout=layout,
        csv=table_csv(result, CARBON_STATEMENTS),
    )


def _by_span(result: RunResult, timeline: Timeline) -> list[list[SlotCarbon]]:
    """The slots with carbon of each step."""
    carbon = result.carbon.slots if result.carbon is not None else ()
    return [
        [slot for place in places if (slot := carbon[place]) is not None]
        for places in span_places(result, timeline)
    ]


def span_places(result: RunResult, timeline: Timeline) -> list[list[int]]:
    """The places of the slots of each step."""
    if not timeline.by_day:
        return [[place] for place in range(len(result.slots))]
    days = groupby(range(len(result.slots)), key=lambda i: result.slots[i].state.tariff.billing_day)
    return [list(places) for _, places in days]


def _load_from(result: RunResult, timeline: Timeline) -> list[list[float]]:
    """Wh used in each step that members generated, storages gave, external grids supplied."""
    found: list[list[float]] = [[], [], []]
    if result.carbon is None:
        return found
    load_wh, _ = _lines(result)
    mix = result.carbon.mix
    imported_wh = np.nan_to_num(mix.import_share) * load_wh
    stored_wh = np.nan_to_num(mix.storage_share) * load_wh
    for places in span_places(result, timeline):
        total = float(load_wh[:, places].sum())
        imported, stored = (float(values[:, places].sum()) for values in (imported_wh, stored_wh))
        for values, wh in zip(found, (total - imported - stored, stored, imported), strict=True):
            values.append(max(0.0, wh))
    return found


def _intensities(result: RunResult, timeline: Timeline) -> tuple[list[str], FloatArray]:
    """Members and their g/kWh in each step, NaN where they used nothing."""
    load_wh, load_ug = _lines(result)
    steps_of = span_places(result, timeline)
    wh = np.stack([load_wh[:, places].sum(axis=1) for places in steps_of], axis=1)
    ug = np.stack([load_ug[:, places].sum(axis=1) for places in steps_of], axis=1)
    table = np.divide(ug, wh * MG_PER_G, out=np.full(wh.shape, np.nan), where=wh > 0)
    return [member.participant_id for member in result.scenario.members], table


def _lines(result: RunResult) -> tuple[FloatArray, FloatArray]:
    """Wh used and micrograms of it, each shape (members, slots), as the statements have it."""
    members = {each.participant_id: row for row, each in enumerate(result.scenario.members)}
    starts = {slot.slot.start_s: place for place, slot in enumerate(result.slots)}
    load_wh = np.zeros((len(members), len(starts)))
    load_ug = np.zeros_like(load_wh)
    for each in result.carbon.statements if result.carbon is not None else ():
        row = members[each.participant_id]
        for line in each.lines:
            place = starts[line.slot_start_s]
            load_wh[row, place] = line.physical.load_wh
            load_ug[row, place] = line.physical.load_ug
    return load_wh, load_ug


def _g_per_kwh(carbon_ug: int, energy_wh: int) -> float | None:
    return carbon_ug / energy_wh / MG_PER_G if energy_wh > 0 else None
