"""Sealed orders: committed while a slot is open, revealed after its gate, else the deposit is lost.

Nobody, not the operator either, can read a sealed order before everybody's are fixed. The deposit
is the price of walking away; a market sets it above what seeing the others' orders is worth.
"""

from __future__ import annotations

import msgspec

from gridpact.contracts.admission import admit, is_metered
from gridpact.contracts.bodies import OrderPayload, RevealOrder, SealOrder, order_commitment
from gridpact.contracts.books import SlotBooks
from gridpact.contracts.call import Call
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import position_group, position_key, slot_key
from gridpact.contracts.orders import exposure_nano, judge_order, open_order
from gridpact.contracts.seals import keep_seals, seals_of
from gridpact.ledger import Account, Draft, Leg, account_key, owner_of
from gridpact.model import (
    BillLine,
    LineKind,
    Phase,
    Seal,
    SlotOrders,
    SlotSeals,
    SlotState,
    Verdict,
)


def seal_order(call: Call, body: SealOrder, _: None) -> Verdict:
    """Adds a sealed order and holds the market's deposit for it.

    Refusals: UNKNOWN_MARKET, UNKNOWN_SLOT, UNKNOWN_PARTY, GATE_CLOSED, TOO_MANY_ORDERS,
    INSUFFICIENT_FUNDS, METER_MISSING, SEALING_WRONG.
    """
    admitted = admit(call, body.market, body.slot_start_s)
    if isinstance(admitted, Verdict):
        return admitted
    market, slot, account = admitted
    seals = seals_of(call, body.market, body.slot_start_s)
    if len(seals) >= market.orders_per_slot:
        return Verdict.TOO_MANY_ORDERS
    deposit = market.sealed_deposit_nano
    if not account.can_hold(deposit):
        return Verdict.INSUFFICIENT_FUNDS
    if not is_metered(call, slot):
        return Verdict.METER_MISSING
    if not deposit:
        return Verdict.SEALING_WRONG
    call.draft.post(Leg(account_key(call.sender), -deposit, deposit))
    seal = Seal(call.envelope.nonce, body.commitment, deposit)
    keep_seals(call, body.market, body.slot_start_s, [*seals, seal])
    return Verdict.ACCEPTED


def reveal_order(call: Call, body: RevealOrder, payload: OrderPayload) -> Verdict:
    """Opens a sealed order: its deposit comes back, its worst case is held from now on.

    The order keeps the nonce, and with it the id, that it was sealed under.

    Refusals: UNKNOWN_SLOT, UNKNOWN_PARTY, PRICE_OUT_OF_BAND, LIMIT_WRONG, INSUFFICIENT_FUNDS,
    UNKNOWN_SEAL, SEAL_BROKEN, NOT_REVEALING.
    """
    slot = call.draft.get(slot_key(body.market, body.slot_start_s), SlotState)
    if slot is None:
        return Verdict.UNKNOWN_SLOT
    account = call.draft.get(account_key(call.sender), Account)
    if account is None:
        return Verdict.UNKNOWN_PARTY
    verdict = judge_order(payload, slot.tariff)
    if verdict != Verdict.ACCEPTED:
        return verdict
    seals = seals_of(call, body.market, body.slot_start_s)
    found = next((seal for seal in seals if seal.nonce == body.order_nonce), None)
    escrow = exposure_nano(payload, slot.tariff)
    freed = found.deposit_nano if found is not None else 0
    if not account.can_hold(escrow - freed):
        return Verdict.INSUFFICIENT_FUNDS
    if found is None:
        return Verdict.UNKNOWN_SEAL
    hashed = call.envelope.payload_hash
    shown = order_commitment(call.sender, body.market, body.slot_start_s, hashed)
    if shown != found.commitment:
        return Verdict.SEAL_BROKEN
    if slot.phase != Phase.CLOSED:
        return Verdict.NOT_REVEALING
    call.draft.post(Leg(account_key(call.sender), freed - escrow, escrow - freed))
    kept = [seal for seal in seals if seal is not found]
    keep_seals(call, body.market, body.slot_start_s, kept)
    key = position_key("orders", call.sender, body.market, body.slot_start_s)
    held = call.draft.get(key, SlotOrders)
    orders = [*(held.orders if held is not None else []), open_order(found.nonce, payload, escrow)]
    call.draft.put(key, SlotOrders(sorted(orders, key=lambda order: order.nonce)))
    return Verdict.ACCEPTED


def end_revealing(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Takes the deposits of orders that stayed sealed: they go to the market's fund.

    Returns:
        The slot in phase `revealed`.
    """
    books = SlotBooks(draft, slot.tariff)
    keys = draft.group(position_group("seals", market.market, start_s))
    for key in sorted(keys, key=owner_of):
        seals = draft.require(key, SlotSeals).seals
        lines = [
            BillLine(
                start_s,
                LineKind.LOST_DEPOSIT,
                0,
                f"order/{seal.nonce}",
                0,
                0,
                -seal.deposit_nano,
            )
            for seal in seals
        ]
        books.enter(owner_of(key), sum(seal.deposit_nano for seal in seals), lines)
        draft.delete(key)
    books.close()
    return msgspec.structs.replace(slot, phase=Phase.REVEALED)
