"""Readings: what a meter saw in a slot, signed by the meter or by who operates it."""

from __future__ import annotations

from gridpact.contracts.bodies import ReadingPayload, ReportReading
from gridpact.contracts.call import Call
from gridpact.contracts.keys import metering_key, position_key, slot_key
from gridpact.model import (
    Metering,
    Phase,
    Reading,
    Role,
    SlotReadings,
    SlotState,
    Verdict,
)
from gridpact.settlement import choose_readings


def report_reading(call: Call, body: ReportReading, payload: ReadingPayload) -> Verdict:
    """Keeps the sender's latest version for this meter and slot.

    Versions of two senders stand side by side until a barrier chooses, so it does not matter
    which of them came first.

    Refusals: UNKNOWN_SLOT, METER_FOREIGN, NOT_DELIVERED, READING_CLOSED, VERSION_STALE.
    """
    slot = call.draft.get(slot_key(body.market, body.slot_start_s), SlotState)
    if slot is None:
        return Verdict.UNKNOWN_SLOT
    if slot.phase < Phase.DELIVERED:
        return Verdict.NOT_DELIVERED
    metering = call.draft.get(metering_key(body.owner), Metering)
    meters = metering.meters if metering is not None else []
    if not any(
        meter.meter == body.meter
        and meter.since_phase <= slot.opened_phase
        and (
            call.sender == meter.meter
            or (call.sender == meter.reporter and Role.METERING_OPERATOR in call.roles)
        )
        for meter in meters
    ):
        return Verdict.METER_FOREIGN
    key = position_key("readings", body.owner, body.market, body.slot_start_s)
    held = call.draft.get(key, SlotReadings)
    readings = held.readings if held is not None else []
    mine = [r for r in readings if r.meter == body.meter and r.sender == call.sender]
    if mine and mine[0].version >= payload.version:
        return Verdict.VERSION_STALE
    if slot.phase >= Phase.FINAL:
        return Verdict.READING_CLOSED
    others = [r for r in readings if r.meter != body.meter or r.sender != call.sender]
    reading = Reading(
        body.meter,
        call.sender,
        payload.version,
        payload.quality,
        payload.import_wh,
        payload.export_wh,
    )
    settled = held.settled if held is not None else []
    if slot.phase == Phase.SETTLED and not settled:
        settled = choose_readings(readings)
    readings = sorted([*others, reading], key=lambda r: (r.meter, r.sender))
    call.draft.put(key, SlotReadings(readings, settled))
    return Verdict.ACCEPTED
