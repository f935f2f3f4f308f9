"""Market time: phase transactions move slots on, and are barriers for everything that waits."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gridpact.codec import encode
from gridpact.contracts.bargain_settling import finalize_bargain, settle_bargain
from gridpact.contracts.bargaining import clear_bargain
from gridpact.contracts.bodies import Endorsement, MovePhase
from gridpact.contracts.call import Call, slots_of_range
from gridpact.contracts.claims import apply_claims
from gridpact.contracts.clearing import NO_REFERENCE_PRICE, clear_slot
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import CLOCK, endorsement_key, slot_key, tariff_key
from gridpact.contracts.sealing import end_revealing
from gridpact.contracts.settling import all_have_reported, finalize_slot, settle_slot
from gridpact.contracts.tracing_moves import move_jobs
from gridpact.ledger import Draft
from gridpact.model import (
    OPEN_PHASES,
    SEALED_PHASES,
    Clock,
    Phase,
    Role,
    SlotState,
    SlotTariff,
    Verdict,
)

Step = Callable[[Draft, Market, int, SlotState], SlotState]


def _advance(phase: Phase) -> Step:
    """A step that only says how far the slot is."""

    def step(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
        return msgspec.structs.replace(slot, phase=phase)

    return step


STEPS: dict[Phase, Step] = {
    Phase.CLOSED: _advance(Phase.CLOSED),
    Phase.REVEALED: end_revealing,
    Phase.CLEARED: clear_slot,
    Phase.DELIVERED: _advance(Phase.DELIVERED),
    Phase.METERED: _advance(Phase.METERED),
    Phase.SETTLED: settle_slot,
    Phase.FINAL: finalize_slot,
}


BARGAIN_STEPS: dict[Phase, Step] = {
    **STEPS,
    Phase.CLEARED: clear_bargain,
    Phase.SETTLED: settle_bargain,
    Phase.FINAL: finalize_bargain,
}


def move_phase(call: Call, body: MovePhase, _: None) -> Verdict:
    """Moves a range of slots on, after everything that waited has taken effect.

    The operator's word is enough. Validators need to be several, and late: their phase carries a
    `not_before` after the slot's end plus the delay of the genesis file.

    Refusals: UNKNOWN_MARKET, PHASE_NUMBER_WRONG, RANGE_WRONG, PHASE_STEP_WRONG, TOO_EARLY,
    ALREADY_ENDORSED, READINGS_MISSING, TARIFF_MISSING, OVERFLOW.
    """
    draft, rules = call.draft, call.rules
    market = rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    clock = draft.require(CLOCK, Clock)
    if body.number != clock.phase + 1:
        return Verdict.PHASE_NUMBER_WRONG
    starts = slots_of_range(rules, market, body.first_start_s, body.slots)
    if starts is None:
        return Verdict.RANGE_WRONG
    slots: dict[int, SlotState | None] = {
        start_s: draft.get(slot_key(market.market, start_s), SlotState) for start_s in starts
    }
    steps = SEALED_PHASES if market.sealed_deposit_nano else OPEN_PHASES
    bare = _is_bare_barrier(body, slots)
    if not bare and (
        body.phase not in steps
        or any(
            (slot.phase if slot is not None else None) != _before(steps, body.phase)
            for slot in slots.values()
        )
    ):
        return Verdict.PHASE_STEP_WRONG
    by_validators = Role.OPERATOR not in call.roles
    if by_validators:
        verdict = _judge_endorsement(call, body, starts[-1] + market.slot_length_s)
        if verdict != Verdict.ACCEPTED:
            return verdict
    if body.phase == Phase.METERED and not all(
        slot is not None and all_have_reported(draft, market.market, start_s, slot)
        for start_s, slot in slots.items()
    ):
        return Verdict.READINGS_MISSING
    if by_validators and not _endorse(call, body):
        return Verdict.ACCEPTED
    if bare:
        starts, slots = starts[:0], {}
    draft.phase = body.number
    apply_claims(draft, rules)
    if draft.entry(endorsement_key(body.number)) is not None:
        draft.delete(endorsement_key(body.number))
    draft.put(CLOCK, _clock_after(clock, body, starts, rules.places[body.market]))
    move_jobs(draft, rules)
    steps_of_market = STEPS if market.bargain is None else BARGAIN_STEPS
    for start_s in starts:
        slot = draft.get(slot_key(market.market, start_s), SlotState)  # claims may have changed it
        moved = (
            _opened(draft, market, start_s)
            if slot is None
            else steps_of_market[body.phase](draft, market, start_s, slot)
        )
        if moved is None:
            return Verdict.TARIFF_MISSING
        draft.put(slot_key(market.market, start_s), moved)
    return Verdict.ACCEPTED


def _is_bare_barrier(body: MovePhase, slots: dict[int, SlotState | None]) -> bool:
    """Whether the slots already are what is asked for, the end of their way.

    Nothing moves then, and what waited takes effect: without it nothing could on a ledger whose
    slots are all final.
    """
    return body.phase == Phase.FINAL and all(
        slot is not None and slot.phase == Phase.FINAL for slot in slots.values()
    )


def _before(steps: tuple[Phase, ...], phase: Phase) -> Phase | None:
    """The phase that comes before; None for the first, whose slot is not there yet."""
    place = steps.index(phase)
    return steps[place - 1] if place else None


def _opened(draft: Draft, market: Market, start_s: int) -> SlotState | None:
    """A new slot with its tariff; None when none was set."""
    key = tariff_key(market.market, start_s)
    tariff = draft.get(key, SlotTariff)
    if tariff is None:
        return None
    draft.delete(key)
    return SlotState(
        phase=Phase.OPEN,
        opened_phase=draft.phase,
        tariff=tariff,
        orders=0,
        trades=0,
        traded_wh=0,
        curtailed_wh=0,
        second_stage_wh=0,
        turnover_nano=0,
        reference_price_micro_per_kwh=NO_REFERENCE_PRICE,
        grid_import_wh=0,
        grid_export_wh=0,
        archive=b"",
    )


def _clock_after(clock: Clock, body: MovePhase, starts: range, place: int) -> Clock:
    """Market time after the phase: only closing a gate moves what transactions expire against."""
    closed_s = list(clock.closed_s)
    if body.phase == Phase.CLOSED:
        closed_s[place] = max(closed_s[place], starts[-1])
    return Clock(body.number, closed_s)


def _judge_endorsement(call: Call, body: MovePhase, slots_end_s: int) -> Verdict:
    """Whether a validator may ask for this. Refusals: TOO_EARLY, ALREADY_ENDORSED."""
    if body.not_before_s < slots_end_s + call.rules.genesis.fallback.delay_s:
        return Verdict.TOO_EARLY
    if [call.sender.encode(), encode(body)] in _endorsements(call, body.number):
        return Verdict.ALREADY_ENDORSED
    return Verdict.ACCEPTED


def _endorse(call: Call, body: MovePhase) -> bool:
    """Count a validator's request, in place of its earlier one; whether enough ask for the same."""
    sender = call.sender.encode()
    others = [asked for asked in _endorsements(call, body.number) if asked[0] != sender]
    asked = [*others, [sender, encode(body)]]
    same = sum(other == encode(body) for _, other in asked)
    if same >= call.rules.genesis.fallback.quorum:
        return True
    call.draft.put(endorsement_key(body.number), Endorsement(sorted(asked)))
    return False


def _endorsements(call: Call, number: int) -> list[list[bytes]]:
    held = call.draft.get(endorsement_key(number), Endorsement)
    return held.bodies if held is not None else []
