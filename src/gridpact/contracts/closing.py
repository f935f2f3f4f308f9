"""The end of a membership: what leaves the state with it, and which transactions are about it."""

from __future__ import annotations

import msgspec

from gridpact.codec import Wire
from gridpact.contracts.bodies import CloseAccount
from gridpact.contracts.call import Call
from gridpact.contracts.keys import OF_A_SLOT, closure_key, metering_key, party_key
from gridpact.contracts.money import BANK
from gridpact.ledger import Account, Draft, Leg, Privacy, account_key, owner_of
from gridpact.ledger.trees import leaf_hash, merkle_root
from gridpact.model import Closure, Metering, Party, Phase, SlotState, Verdict
from gridpact.model.trace_jobs import TraceJob

_NAMING = ("participant", "party", "owner", "meter")
"""Fields of public bodies that name whom the transaction is about."""


def close_account(call: Call, body: CloseAccount, _: None) -> Verdict:
    """Asks for the end of a membership. Refusals: none before the barrier."""
    return call.wait(body.submitted_ms)


def apply_close_account(
    draft: Draft, sender: str, body: CloseAccount, payload: None, salt: bytes
) -> Verdict:
    """Pays the balance out and takes everything personal out of the state.

    The party and those of its meters stay without roles, so that ids stay taken. It comes last
    among the claims of a barrier: what the member asked for itself has been done by then.

    Refusals: UNKNOWN_PARTY, OVERFLOW of the bank's balance, ACCOUNT_IN_USE.
    """
    member = body.participant
    account = draft.get(account_key(member), Account)
    metering = draft.get(metering_key(member), Metering)
    if account is None or metering is None:
        return Verdict.UNKNOWN_PARTY
    present = _keys(draft)
    if (
        account.available_nano < 0
        or account.escrow_nano
        or _has_positions(present, member)
        or _is_awaited(draft, present, metering)
        or _has_jobs(draft, member)
    ):
        return Verdict.ACCOUNT_IN_USE
    if account.available_nano:
        amount = account.available_nano
        draft.post(Leg(account_key(member), -amount, 0), Leg(BANK, amount, 0))
    leaves = []
    for key in _leaving(draft, present, member):
        entry = draft.entry(key)
        if entry is not None:
            leaves.append(leaf_hash(key.encode() + b"\x00" + entry.content()))
        draft.delete(key)
    for party in (member, *(meter.meter for meter in metering.meters)):
        known = draft.require(party_key(party), Party)
        draft.put(party_key(party), msgspec.structs.replace(known, roles=0))
    draft.put(closure_key(member), Closure(draft.phase, merkle_root(leaves)))
    return Verdict.ACCEPTED


def concerns(sender: str, body: Wire, parties: set[str]) -> bool:
    """Whether a transaction is about any of these parties: sent by one, or naming one.

    Args:
        sender: who signed it.
        body: its public body.
        parties: a member with its meters.
    """
    return sender in parties or any(getattr(body, name, None) in parties for name in _NAMING)


def _keys(draft: Draft) -> set[str]:
    """All keys of the state as the draft leaves them."""
    present = set(draft.state.entries)
    for key, entry in draft.writes.items():
        (present.discard if entry is None else present.add)(key)
    return present


def _has_positions(present: set[str], member: str) -> bool:
    """Whether anything of the member in a slot is still in the state."""
    return any(
        key.partition("/")[0] in OF_A_SLOT and owner_of(key) == member
        for key in present
        if "/" in key
    )


def _is_awaited(draft: Draft, present: set[str], metering: Metering) -> bool:
    """Whether a slot that is not final needs readings of the member's meters."""
    if not metering.meters:
        return False
    since = min(meter.since_phase for meter in metering.meters)
    slots = (draft.require(key, SlotState) for key in present if key.startswith("slot/"))
    return any(slot.phase < Phase.FINAL and slot.opened_phase >= since for slot in slots)


def _has_jobs(draft: Draft, member: str) -> bool:
    """Whether an open trace is the member's own, or may yet pay it or charge it."""
    return any(
        owner_of(key) == member or member in draft.require(key, TraceJob).terms.providers
        for key in draft.group("tracing")
    )


def _leaving(draft: Draft, present: set[str], member: str) -> list[str]:
    """Keys that go with the member, sorted: its metering and every owned or sealed entry.

    Claims are left out: all of them leave at the barrier anyhow. So are clearings, whose keys name
    a market where others name an owner.
    """
    leaving = {metering_key(member)}
    for key in present:
        if "/" not in key or key.startswith(("claim/", "clearing/")) or owner_of(key) != member:
            continue
        if draft.state.namespace(key).privacy is not Privacy.PUBLIC:
            leaving.add(key)
    return sorted(leaving)
