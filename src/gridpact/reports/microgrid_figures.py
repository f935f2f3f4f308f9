"""The plots of a day of microgrids that bargain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from gridpact.model.microgrid_day import MicrogridDay, MicrogridSlot
from gridpact.reports.plots import Figure, Spec, one_panel, over_time, steps, title
from gridpact.reports.tables import csv_text
from gridpact.reports.timeline import Span, Timeline
from gridpact.units import MICRO_PER_CURRENCY, NANO_PER_CURRENCY, WH_PER_KWH

UWH_PER_KWH = 10**9
COLOURS = ("bid", "offer", "trade", "pv", "grid", "load")
DRAWN_MAX = len(COLOURS)
"""Microgrids in one plot; its CSV has all."""


def timeline_of_day(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Timeline:
    """The slots as steps, in UTC."""
    spans = tuple(_span(day, slot, period) for period, slot in enumerate(slots))
    width_ms = 1000 * day.slot_length_s
    return Timeline(spans, width_ms, by_day=False, axis_title="Time (UTC)", note="")


def _span(day: MicrogridDay, slot: MicrogridSlot, period: int) -> Span:
    state = slot.state
    return Span(
        at=f"{datetime.fromtimestamp(slot.start_s, UTC):%Y-%m-%d %H:%M:%S}",
        load_wh=sum(bid.load_wh[period] for bid in day.truth),
        pv_wh=sum(bid.renewable_wh[period] for bid in day.truth),
        traded_wh=state.traded_wh,
        turnover_nano=state.turnover_nano,
        grid_import_wh=state.grid_import_wh,
        grid_export_wh=state.grid_export_wh,
        retail=state.tariff.retail_micro_per_kwh / MICRO_PER_CURRENCY,
        feed_in=state.tariff.feed_in_micro_per_kwh / MICRO_PER_CURRENCY,
        stored_wh=0,
        curtailed_wh=state.curtailed_wh,
        vm_min_pu=None,
        vm_max_pu=None,
        loading_max_percent=None,
    )


def drawn(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> list[int]:
    """The microgrids that plots show, those that trade the most when they are too many."""
    everybody = list(range(len(day.ids)))
    if len(everybody) <= DRAWN_MAX:
        return everybody
    traded = [sum(slot.sent_wh[i] + slot.received_wh[i] for slot in slots) for i in everybody]
    return sorted(sorted(everybody, key=lambda i: (-traded[i], i))[:DRAWN_MAX])


def net_sold_wh(slot: MicrogridSlot, number: int) -> int:
    """What a microgrid sold less what it bought in a slot, delivered or not."""
    if not slot.agreements:
        return 0
    agreed = slot.agreements[number]
    sold = sum(flow.energy_wh for flow in agreed.sales)
    return sold - sum(flow.energy_wh for flow in agreed.purchases)


def position_figure(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Figure:
    """Sold less bought of each microgrid, by slot."""
    return _by_microgrid(
        day,
        slots,
        name="positions",
        label="What each microgrid sells to the others and buys from them over time",
        column="sold_wh",
        per_kwh=WH_PER_KWH,
        read=net_sold_wh,
    )


def storage_figure(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Figure:
    """What each storage holds after each slot, at its output, one on top of the other."""
    figure = _by_microgrid(
        day,
        slots,
        name="storage",
        label="What the storage of each microgrid holds after each slot",
        column="content_uwh",
        per_kwh=UWH_PER_KWH,
        read=lambda slot, number: slot.content_uwh[number],
    )
    for trace in figure.data:
        trace["stackgroup"] = "all"
    figure.layout["legend"]["traceorder"] = "normal"
    return figure


def penalty_figure(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Figure:
    """Compensation that each microgrid paid for what it did not deliver, stacked by slot."""
    timeline = timeline_of_day(day, slots)
    data = []
    for place, number in enumerate(drawn(day, slots)):
        paid = [slot.penalty_nano[number] / NANO_PER_CURRENCY for slot in slots]
        data.append(
            over_time(timeline)
            | {
                "type": "bar",
                "name": day.ids[number],
                "y": paid,
                "width": timeline.width_ms * 0.92,
                "marker": {"color": f"@{COLOURS[place]}", "line": {"width": 0}},
                "hovertemplate": f"%{{y:,.2f}} {day.currency}",
            }
        )
    layout = _layout(timeline, f"{day.currency} per slot")
    layout["barmode"] = "stack"
    layout["legend"]["traceorder"] = "normal"
    layout["yaxis"]["rangemode"] = "nonnegative"
    return Figure(
        name="penalties",
        label="What microgrids paid for energy sold and not delivered, over time",
        data=data,
        layout=layout,
        csv=_csv(day, slots, "penalty_nano", lambda slot, number: slot.penalty_nano[number]),
    )


def cost_figure(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Figure:
    """Costs of all microgrids together, by slot: on a day without trade, and on this one."""
    timeline = timeline_of_day(day, slots)
    everybody = range(len(day.ids))
    alone = [sum(slot.alone_cost_nano) / NANO_PER_CURRENCY for slot in slots]
    real = [sum(slot.cost_nano) / NANO_PER_CURRENCY for slot in slots]
    hover = f"%{{y:,.2f}} {day.currency}"
    before = steps(timeline, "Without trade", alone, "grid", hover)
    after = steps(timeline, "With trade", real, "trade", hover)
    header = ["slot_start", "microgrid", "alone_cost_nano", "cost_nano"]
    rows: list[list[int | float | str]] = [
        [_start(slot), day.ids[i], slot.alone_cost_nano[i], slot.cost_nano[i]]
        for slot in slots
        for i in everybody
    ]
    return Figure(
        name="costs",
        label="Costs of all microgrids together over time, with and without trade",
        data=[before, after],
        layout=_layout(timeline, f"{day.currency} per slot"),
        csv=csv_text(header, rows),
    )


def _by_microgrid(
    day: MicrogridDay,
    slots: Sequence[MicrogridSlot],
    *,
    name: str,
    label: str,
    column: str,
    per_kwh: int,
    read: Callable[[MicrogridSlot, int], int],
) -> Figure:
    """One line of steps for each microgrid, in kWh."""
    timeline = timeline_of_day(day, slots)
    data = [
        steps(
            timeline,
            day.ids[number],
            [read(slot, number) / per_kwh for slot in slots],
            COLOURS[place],
            "%{y:,.1f} kWh",
        )
        for place, number in enumerate(drawn(day, slots))
    ]
    return Figure(name, label, data, _layout(timeline, "kWh"), _csv(day, slots, column, read))


def _layout(timeline: Timeline, unit: str) -> Spec:
    layout = one_panel(timeline)
    layout["yaxis"] |= {"title": title(unit), "zeroline": True}
    return layout


def _csv(
    day: MicrogridDay,
    slots: Sequence[MicrogridSlot],
    column: str,
    read: Callable[[MicrogridSlot, int], int],
) -> str:
    rows: list[list[int | float | str]] = [
        [_start(slot), name, read(slot, number)]
        for slot in slots
        for number, name in enumerate(day.ids)
    ]
    return csv_text(["slot_start", "microgrid", column], rows)


def _start(slot: MicrogridSlot) -> str:
    return f"{datetime.fromtimestamp(slot.start_s, UTC):%Y-%m-%dT%H:%M:%SZ}"
