"""The line that follows a run while it trades."""

from __future__ import annotations

from gridpact.model import SlotResult
from gridpact.reports.amounts import NO_BREAK, kwh_text, mean_price_text
from gridpact.reports.timeline import start_text, zone_of


def slot_line(slot: SlotResult, time_zone: str, currency: str) -> str:
    """The slot that was just settled: its time, mean trade price, traded and curtailed energy."""
    state = slot.state
    parts = [start_text(slot.slot.start_s, zone_of(time_zone))]
    if state.traded_wh:
        parts.append(mean_price_text(state.turnover_nano, state.traded_wh, currency))
    parts.append(f"{kwh_text(state.traded_wh, 2)} kWh traded")
    if slot.grid is not None:
        parts.append(f"{kwh_text(state.curtailed_wh, 2)} kWh curtailed")
    return "  ".join(parts).replace(NO_BREAK, " ")
