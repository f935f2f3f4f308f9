"""Carbon of settled slots: allotted by the grid company's trace, checked in exact integers.

Where carbon went comes from tracing a power flow, in floats and outside the ledger. Replicas take
the integers and check what can be checked exactly: emissions are factor times energy, every member
has its part, whose energy is what its meters saw, no storage gives more carbon than it took, and
what goes in comes out, to the Wh and the microgram. Contractual carbon they work out themselves.

Members' parts are personal, so each is a transaction of its own; the sums that make them count are
public. Both wait for a barrier, the parts first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gridpact.codec import CodecError, Wire, encode
from gridpact.contracts.bodies import AllotMemberCarbon, AllotSlotCarbon, MemberCarbonPayload
from gridpact.contracts.call import Call, slots_of_range
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import (
    carbon_key,
    carbon_store_key,
    metering_key,
    position_group,
    position_key,
    slot_carbon_key,
    slot_key,
)
from gridpact.contracts.settling import metered_owners
from gridpact.ledger import Draft, owner_of
from gridpact.ledger.trees import Frontier, leaf_hash
from gridpact.model import (
    CarbonLine,
    CarbonRules,
    CarbonStatement,
    CarbonStore,
    MemberCarbon,
    MemberParts,
    Phase,
    SlotCarbon,
    SlotContracts,
    SlotReadings,
    SlotState,
    Verdict,
)
from gridpact.settlement import (
    choose_readings,
    metered_net_wh,
)
from gridpact.settlement.carbon import NO_CARBON, add_carbon, purchases_wh

ENERGIES = ("load_wh", "generated_wh", "charged_wh", "discharged_wh")
CARBONS = ("load_ug", "charged_ug", "discharged_ug")
_Parts = dict[str, list[MemberCarbon]]
"""By participant, in the order of ids."""


@dataclass(frozen=True, slots=True)
class _Booked:
    """What an allotment writes about one member."""

    store: CarbonStore | None
    by_day: dict[str, list[CarbonLine]]


def allot_member_carbon(
    call: Call, body: AllotMemberCarbon, payload: MemberCarbonPayload
) -> Verdict:
    """Asks to keep a member's part.

    Refusals: UNKNOWN_MARKET, RANGE_WRONG, then as of `apply_member_carbon`.
    """
    market = call.rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    if slots_of_range(call.rules, market, body.first_start_s, len(payload.slots)) is None:
        return Verdict.RANGE_WRONG
    verdict = _judge_member(call.draft, market, body, payload)
    return call.wait(body.submitted_ms) if verdict == Verdict.ACCEPTED else verdict


def apply_member_carbon(
    draft: Draft,
    sender: str,
    body: AllotMemberCarbon,
    payload: MemberCarbonPayload,
    salt: bytes,
    *,
    market: Market,
) -> Verdict:
    """Keeps the part, in place of an earlier one, until the slots' carbon comes.

    A part of who has no meter in these slots would keep the others' parts from ever counting, so
    it is not kept.

    Refusals: UNKNOWN_SLOT, UNKNOWN_PARTY, CARBON_UNRULED, NOT_SETTLED, CARBON_ALLOTTED,
    CARBON_MEMBERS_WRONG, CARBON_WITHOUT_ENERGY.
    """
    verdict = _judge_member(draft, market, body, payload)
    if verdict == Verdict.ACCEPTED:
        key = position_key("parts", body.participant, market.market, body.first_start_s)
        draft.put(key, MemberParts(payload.slots))
    return verdict


def allot_slot_carbon(call: Call, body: AllotSlotCarbon, _: None) -> Verdict:
    """Asks to allot what the members' parts say, which may still be on their way.

    Refusals: UNKNOWN_MARKET, RANGE_WRONG, then as of `apply_slot_carbon`, but for those about
    parts.
    """
    market = call.rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    if slots_of_range(call.rules, market, body.first_start_s, len(body.slots)) is None:
        return Verdict.RANGE_WRONG
    verdict = _judge_slots(call.draft, market, body)
    return call.wait(body.submitted_ms) if verdict == Verdict.ACCEPTED else verdict


def apply_slot_carbon(
    draft: Draft, sender: str, body: AllotSlotCarbon, _: None, salt: bytes, *, market: Market
) -> Verdict:
    """Writes every member's statement and the slots' sums; the parts are used up.

    Corrections of these slots are over: later readings are refused.

    Refusals: UNKNOWN_SLOT, CARBON_UNRULED, NOT_SETTLED, CARBON_ALLOTTED; of the sums alone
    CARBON_ENERGY_WRONG, CARBON_UNBALANCED, CARBON_WITHOUT_ENERGY; with the parts
    CARBON_MEMBERS_WRONG, CARBON_ENERGY_WRONG, CARBON_UNBALANCED, CARBON_STORE_SHORT; OVERFLOW.
    """
    verdict = _judge_slots(draft, market, body)
    if verdict != Verdict.ACCEPTED:
        return verdict
    starts = _starts(market, body.first_start_s, len(body.slots))
    group = position_group("parts", market.market, body.first_start_s)
    parts = {owner_of(key): draft.require(key, MemberParts).slots for key in draft.group(group)}
    verdict = _judge_parts(draft, market, starts, body.slots, parts)
    if verdict != Verdict.ACCEPTED:
        return verdict
    booked = {
        participant: _Booked(
            _held_after(draft, market, participant, slots),
            _by_day(draft, market, starts, participant, slots),
        )
        for participant, slots in parts.items()
    }
    if not all(_fits(draft, participant, mine) for participant, mine in booked.items()):
        return Verdict.OVERFLOW
    for key in draft.group(group):
        draft.delete(key)
    for participant, mine in booked.items():
        _book(draft, market, participant, mine)
    for start_s, slot in zip(starts, body.slots, strict=True):
        draft.put(slot_carbon_key(market.market, start_s), slot)
    return Verdict.ACCEPTED


def _starts(market: Market, first_start_s: int, slots: int) -> range:
    length_s = market.slot_length_s
    return range(first_start_s, first_start_s + slots * length_s, length_s)


def _judge_range(draft: Draft, market: Market, starts: range) -> Verdict:
    """Whether carbon may be allotted to these slots; barriers alone change the answer."""
    slots = [draft.get(slot_key(market.market, start_s), SlotState) for start_s in starts]
    if any(slot is None for slot in slots):
        return Verdict.UNKNOWN_SLOT
    if market.carbon is None:
        return Verdict.CARBON_UNRULED
    if any(slot is not None and slot.phase != Phase.SETTLED for slot in slots):
        return Verdict.NOT_SETTLED
    if any(draft.entry(slot_carbon_key(market.market, start_s)) for start_s in starts):
        return Verdict.CARBON_ALLOTTED
    return Verdict.ACCEPTED


def _judge_member(
    draft: Draft, market: Market, body: AllotMemberCarbon, payload: MemberCarbonPayload
) -> Verdict:
    starts = _starts(market, body.first_start_s, len(payload.slots))
    verdict = _judge_range(draft, market, starts)
    known = draft.entry(metering_key(body.participant)) is not None
    if not known and verdict != Verdict.UNKNOWN_SLOT:
        return Verdict.UNKNOWN_PARTY
    if verdict != Verdict.ACCEPTED:
        return verdict
    owner, name = body.participant, market.market
    if not all(draft.entry(position_key("readings", owner, name, start_s)) for start_s in starts):
        return Verdict.CARBON_MEMBERS_WRONG
    if any(wh == 0 < ug for wh, ug in _pairs(payload.slots)):
        return Verdict.CARBON_WITHOUT_ENERGY
    return Verdict.ACCEPTED


def _pairs(parts: Iterable[MemberCarbon]) -> Iterable[tuple[int, int]]:
    for part in parts:
        yield part.load_wh, part.load_ug
        yield part.charged_wh, part.charged_ug
        yield part.discharged_wh, part.discharged_ug


def _judge_slots(draft: Draft, market: Market, body: AllotSlotCarbon) -> Verdict:
    """What the sums alone tell."""
    verdict = _judge_range(draft, market, _starts(market, body.first_start_s, len(body.slots)))
    rules = market.carbon
    if verdict != Verdict.ACCEPTED or rules is None:
        return verdict
    if any(slot.residual_wh for slot in body.slots):
        return Verdict.CARBON_ENERGY_WRONG
    if any(slot.residual_ug or not _emitted(rules, slot) for slot in body.slots):
        return Verdict.CARBON_UNBALANCED
    pairs = ((slot.lost_wh, slot.lost_ug) for slot in body.slots)
    beyond = ((slot.exported_wh, slot.exported_ug) for slot in body.slots)
    if any(wh <= 0 < ug for wh, ug in (*pairs, *beyond)):
        return Verdict.CARBON_WITHOUT_ENERGY
    return Verdict.ACCEPTED


def _emitted(rules: CarbonRules, slot: SlotCarbon) -> bool:
    """Whether the emissions are factor times energy."""
    imported_ug = slot.import_mg_per_kwh * slot.imported_wh
    generated_ug = rules.generation_mg_per_kwh * slot.generated_wh
    return (slot.imported_ug, slot.generated_ug) == (imported_ug, generated_ug)


def _judge_parts(
    draft: Draft, market: Market, starts: range, slots: Sequence[SlotCarbon], parts: _Parts
) -> Verdict:
    """Whether the members' parts are all there, true to the meters, and sum to the slots."""
    states = [draft.require(slot_key(market.market, start_s), SlotState) for start_s in starts]
    first_by_opening = {state.opened_phase: state for state in states}.values()
    if any(set(metered_owners(draft, state)) != set(parts) for state in first_by_opening) or any(
        len(mine) != len(slots) for mine in parts.values()
    ):
        return Verdict.CARBON_MEMBERS_WRONG
    for owner, mine in parts.items():
        for start_s, part in zip(starts, mine, strict=True):
            if part.net_wh != _metered_wh(draft, market, start_s, owner):
                return Verdict.CARBON_ENERGY_WRONG
    for place, slot in enumerate(slots):
        of_slot = [mine[place] for mine in parts.values()]
        if _summed(of_slot, ENERGIES) != _of(slot, ENERGIES):
            return Verdict.CARBON_ENERGY_WRONG
    for place, slot in enumerate(slots):
        of_slot = [mine[place] for mine in parts.values()]
        if _summed(of_slot, CARBONS) != _of(slot, CARBONS):
            return Verdict.CARBON_UNBALANCED
    for owner, mine in parts.items():
        held_ug = _held_ug(draft, market, owner)
        for part in mine:
            if part.discharged_ug > held_ug:
                return Verdict.CARBON_STORE_SHORT
            held_ug += part.charged_ug - part.discharged_ug
    return Verdict.ACCEPTED


def _of(slot: SlotCarbon, names: Sequence[str]) -> list[int]:
    return [getattr(slot, name) for name in names]


def _summed(parts: Sequence[MemberCarbon], names: Sequence[str]) -> list[int]:
    return [sum(getattr(part, name) for part in parts) for name in names]


def _metered_wh(draft: Draft, market: Market, start_s: int, owner: str) -> int:
    key = position_key("readings", owner, market.market, start_s)
    return metered_net_wh(choose_readings(draft.require(key, SlotReadings).readings))


def _held_ug(draft: Draft, market: Market, owner: str) -> int:
    held = draft.get(carbon_store_key(owner, market.market), CarbonStore)
    return held.held_ug if held is not None else 0


def _held_after(
    draft: Draft, market: Market, owner: str, slots: Sequence[MemberCarbon]
) -> CarbonStore | None:
    """What the member's storage holds after the range; None when nothing went in or out."""
    if not any(part.charged_ug or part.discharged_ug for part in slots):
        return None
    change_ug = sum(part.charged_ug - part.discharged_ug for part in slots)
    return CarbonStore(_held_ug(draft, market, owner) + change_ug)


def _by_day(
    draft: Draft, market: Market, starts: range, owner: str, slots: Sequence[MemberCarbon]
) -> dict[str, list[CarbonLine]]:
    """The member's new lines by billing day."""
    by_day: dict[str, list[CarbonLine]] = {}
    for start_s, part in zip(starts, slots, strict=True):
        slot = draft.require(slot_key(market.market, start_s), SlotState)
        line = _line(draft, market, start_s, owner, part)
        by_day.setdefault(slot.tariff.billing_day, []).append(line)
    return by_day


def _fits(draft: Draft, owner: str, booked: _Booked) -> bool:
    """Whether all that would be written stays within 64 bits; asked before anything is.

    No number is below 0, so a line that does not fit makes a sum that does not.
    """
    values: list[Wire] = [] if booked.store is None else [booked.store]
    for day, lines in booked.by_day.items():
        values.append(add_carbon(_statement(draft, owner, day), lines, []))
    try:
        for value in values:
            encode(value)
    except CodecError:
        return False
    return True


def _statement(draft: Draft, owner: str, day: str) -> CarbonStatement:
    return draft.get(carbon_key(owner, day), CarbonStatement) or NO_CARBON


def _book(draft: Draft, market: Market, owner: str, booked: _Booked) -> None:
    """Adds the lines to the member's statements and moves its storage."""
    if booked.store is not None:
        draft.put(carbon_store_key(owner, market.market), booked.store)
    for day, lines in booked.by_day.items():
        key, statement = carbon_key(owner, day), _statement(draft, owner, day)
        frontier = Frontier(statement.lines, tuple(statement.frontier))
        for index, line in enumerate(lines, start=statement.lines):
            frontier = frontier.append(leaf_hash(draft.append(owner, key, index, line)))
        draft.put(key, add_carbon(statement, lines, list(frontier.hashes)))


def _line(draft: Draft, market: Market, start_s: int, owner: str, part: MemberCarbon) -> CarbonLine:
    """Physical carbon as allotted, contractual carbon by contracts and readings."""
    rules = market.carbon or CarbonRules(0, 0)
    held = draft.get(position_key("contracts", owner, market.market, start_s), SlotContracts)
    contracts = held.contracts if held is not None else []
    bought, supplied = purchases_wh(contracts, part.net_wh)
    return CarbonLine(
        start_s,
        part,
        bought,
        bought * rules.generation_mg_per_kwh,
        supplied,
        supplied * rules.supplier_mg_per_kwh,
    )
