"""Which sealed orders a participant has, and what is held for them."""

from __future__ import annotations

from gridpact.contracts.bodies import CancelOrder
from gridpact.contracts.call import Call
from gridpact.contracts.keys import position_key
from gridpact.ledger import Leg, account_key
from gridpact.model import Seal, SlotSeals


def seals_key(sender: str, market: str, start_s: int) -> str:
    """State key of a participant's sealed orders in one slot."""
    return position_key("seals", sender, market, start_s)


def seals_of(call: Call, market: str, start_s: int) -> list[Seal]:
    """The sender's sealed orders in one slot, by nonce."""
    held = call.draft.get(seals_key(call.sender, market, start_s), SlotSeals)
    return held.seals if held is not None else []


def keep_seals(call: Call, market: str, start_s: int, seals: list[Seal]) -> None:
    """Make these the sender's sealed orders in one slot."""
    key = seals_key(call.sender, market, start_s)
    if seals:
        call.draft.put(key, SlotSeals(seals))
    else:
        call.draft.delete(key)


def cancel_seal(call: Call, body: CancelOrder) -> bool:
    """Take a sealed order back and free its deposit; False when there is none of this nonce."""
    seals = seals_of(call, body.market, body.slot_start_s)
    for seal in seals:
        if seal.nonce == body.order_nonce:
            deposit = seal.deposit_nano
            call.draft.post(Leg(account_key(call.sender), deposit, -deposit))
            kept = [other for other in seals if other is not seal]
            keep_seals(call, body.market, body.slot_start_s, kept)
            return True
    return False
