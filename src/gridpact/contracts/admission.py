"""What every order, sealed order and bid needs before anything else is asked of it."""

from __future__ import annotations

from typing import NamedTuple

from gridpact.contracts.call import Call
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import metering_key, slot_key
from gridpact.ledger import Account, account_key
from gridpact.model import Metering, Phase, SlotState, Verdict


class Admitted(NamedTuple):
    """A member with an account before an open slot."""

    market: Market
    slot: SlotState
    account: Account


def admit(call: Call, market_id: str, start_s: int) -> Admitted | Verdict:
    """What the sender stands before, or why it stands nowhere.

    Refusals: UNKNOWN_MARKET, UNKNOWN_SLOT, UNKNOWN_PARTY, GATE_CLOSED.
    """
    market = call.rules.markets.get(market_id)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    slot = call.draft.get(slot_key(market_id, start_s), SlotState)
    if slot is None:
        return Verdict.UNKNOWN_SLOT
    account = call.draft.get(account_key(call.sender), Account)
    if account is None:
        return Verdict.UNKNOWN_PARTY
    if slot.phase != Phase.OPEN:
        return Verdict.GATE_CLOSED
    return Admitted(market, slot, account)


def is_metered(call: Call, slot: SlotState) -> bool:
    """Whether the sender has a meter that was active when the slot opened."""
    metering = call.draft.require(metering_key(call.sender), Metering)
    return any(meter.since_phase <= slot.opened_phase for meter in metering.meters)
