"""Readings: what a meter saw in a slot, signed by the meter or by who operates it."""

from __future__ import annotations

from gridpact.contracts.bodies import (
    BatchPayload,
    ReadingPayload,
    ReportBatch,
    ReportReading,
    SlotReading,
)
from gridpact.contracts.call import Call, slots_of_range
from gridpact.contracts.keys import metering_key, position_key, slot_carbon_key, slot_key
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

    Refusals: UNKNOWN_SLOT, NOT_DELIVERED, METER_FOREIGN, VERSION_STALE, READING_CLOSED.
    """
    verdict = _judge(call, body, payload.version)
    if verdict == Verdict.ACCEPTED:
        _keep(
            call,
            body,
            Reading(
                body.meter,
                call.sender,
                payload.version,
                payload.quality,
                payload.import_wh,
                payload.export_wh,
            ),
        )
    return verdict


def report_batch(call: Call, body: ReportBatch, payload: BatchPayload) -> Verdict:
    """Keeps one version for a run of slots, all of them or none.

    Refusals: UNKNOWN_MARKET, RANGE_WRONG, then as `report_reading`: of several slots' reasons the
    one with the smallest number.
    """
    market = call.rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    starts = slots_of_range(call.rules, market, body.first_start_s, len(payload.readings))
    if starts is None:
        return Verdict.RANGE_WRONG
    slots = [ReportReading(body.market, start_s, body.owner, body.meter) for start_s in starts]
    verdicts = [_judge(call, slot, payload.version) for slot in slots]
    refused = [verdict for verdict in verdicts if verdict != Verdict.ACCEPTED]
    if refused:
        return min(refused)
    for slot, seen in zip(slots, payload.readings, strict=True):
        _keep(call, slot, _reading_of(call, body, payload.version, seen))
    return Verdict.ACCEPTED


def _reading_of(call: Call, body: ReportBatch, version: int, seen: SlotReading) -> Reading:
    return Reading(body.meter, call.sender, version, seen.quality, seen.import_wh, seen.export_wh)


def _judge(call: Call, body: ReportReading, version: int) -> Verdict:
    """Whether the sender may report this version for this meter and slot."""
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
    for reading in _held(call, body).readings:
        mine = reading.meter == body.meter and reading.sender == call.sender
        if mine and reading.version >= version:
            return Verdict.VERSION_STALE
    allotted = call.draft.entry(slot_carbon_key(body.market, body.slot_start_s)) is not None
    closed = allotted or slot.phase >= Phase.FINAL
    return Verdict.READING_CLOSED if closed else Verdict.ACCEPTED


def _held(call: Call, body: ReportReading) -> SlotReadings:
    key = position_key("readings", body.owner, body.market, body.slot_start_s)
    return call.draft.get(key, SlotReadings) or SlotReadings([], [])


def _keep(call: Call, body: ReportReading, reading: Reading) -> None:
    """Put one reading in the place of the sender's earlier version."""
    held = _held(call, body)
    slot = call.draft.require(slot_key(body.market, body.slot_start_s), SlotState)
    settled = held.settled
    if slot.phase == Phase.SETTLED and not settled:
        settled = choose_readings(held.readings)
    mine = (reading.meter, reading.sender)
    others = [other for other in held.readings if (other.meter, other.sender) != mine]
    readings = sorted([*others, reading], key=lambda r: (r.meter, r.sender))
    key = position_key("readings", body.owner, body.market, body.slot_start_s)
    call.draft.put(key, SlotReadings(readings, settled))
