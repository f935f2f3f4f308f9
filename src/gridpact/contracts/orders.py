"""Orders: placed and cancelled while a slot is open, with the worst case held in escrow."""

from __future__ import annotations

from gridpact.contracts.admission import admit, is_metered
from gridpact.contracts.bargaining import cancel_bid
from gridpact.contracts.bodies import CancelOrder, OrderPayload, PlaceOrder
from gridpact.contracts.call import Call
from gridpact.contracts.keys import position_key, slot_key
from gridpact.contracts.seals import cancel_seal
from gridpact.ledger import Leg, account_key
from gridpact.model import Order, Phase, Side, SlotOrders, SlotState, SlotTariff, Verdict
from gridpact.units import money_nano


def exposure_nano(order: OrderPayload, tariff: SlotTariff) -> int:
    """The most that this order can cost its sender, whatever happens.

    A buyer pays at most its limit and the network fee. A seller that delivers nothing buys the
    energy at retail and is paid at least its limit, the lowest price the second stage may use.
    """
    if order.side == Side.BID:
        price = order.limit_micro_per_kwh + tariff.network_fee_micro_per_kwh
    else:
        price = tariff.retail_micro_per_kwh - order.limit_micro_per_kwh
    return money_nano(price, order.energy_wh)


def judge_order(order: OrderPayload, tariff: SlotTariff) -> Verdict:
    """Whether the prices of an order fit its slot. Refusals: PRICE_OUT_OF_BAND, LIMIT_WRONG."""
    price, limit = order.price_micro_per_kwh, order.limit_micro_per_kwh
    lowest, highest = tariff.feed_in_micro_per_kwh, tariff.retail_micro_per_kwh
    if not (lowest <= price <= highest and lowest <= limit <= highest):
        return Verdict.PRICE_OUT_OF_BAND
    if (limit < price) if order.side == Side.BID else (limit > price):
        return Verdict.LIMIT_WRONG
    return Verdict.ACCEPTED


def open_order(nonce: int, order: OrderPayload, escrow_nano: int) -> Order:
    """An order as it stands on the ledger."""
    return Order(
        nonce,
        order.side,
        order.price_micro_per_kwh,
        order.energy_wh,
        order.limit_micro_per_kwh,
        order.submitted_ms,
        escrow_nano,
    )


def place_order(call: Call, body: PlaceOrder, payload: OrderPayload) -> Verdict:
    """Adds an open order.

    Refusals: UNKNOWN_MARKET, UNKNOWN_SLOT, UNKNOWN_PARTY, GATE_CLOSED, PRICE_OUT_OF_BAND,
    LIMIT_WRONG, TOO_MANY_ORDERS, INSUFFICIENT_FUNDS, METER_MISSING, SEALING_WRONG,
    MECHANISM_WRONG.
    """
    admitted = admit(call, body.market, body.slot_start_s)
    if isinstance(admitted, Verdict):
        return admitted
    market, slot, account = admitted
    verdict = judge_order(payload, slot.tariff)
    if verdict != Verdict.ACCEPTED:
        return verdict
    key = position_key("orders", call.sender, body.market, body.slot_start_s)
    held = call.draft.get(key, SlotOrders)
    orders = held.orders if held is not None else []
    if len(orders) >= market.orders_per_slot:
        return Verdict.TOO_MANY_ORDERS
    escrow = exposure_nano(payload, slot.tariff)
    if not account.can_hold(escrow):
        return Verdict.INSUFFICIENT_FUNDS
    if not is_metered(call, slot):
        return Verdict.METER_MISSING
    if market.sealed_deposit_nano:
        return Verdict.SEALING_WRONG
    if market.bargain is not None:
        return Verdict.MECHANISM_WRONG
    call.draft.post(Leg(account_key(call.sender), -escrow, escrow))
    order = open_order(call.envelope.nonce, payload, escrow)
    call.draft.put(key, SlotOrders([*orders, order]))
    return Verdict.ACCEPTED


def cancel_order(call: Call, body: CancelOrder, _: None) -> Verdict:
    """Takes a bid or an order back, open or sealed, and frees what was held for it.

    Refusals: UNKNOWN_SLOT, GATE_CLOSED, UNKNOWN_ORDER.
    """
    slot = call.draft.get(slot_key(body.market, body.slot_start_s), SlotState)
    if slot is None:
        return Verdict.UNKNOWN_SLOT
    if slot.phase != Phase.OPEN:
        return Verdict.GATE_CLOSED
    if cancel_seal(call, body) or cancel_bid(call, body):
        return Verdict.ACCEPTED
    key = position_key("orders", call.sender, body.market, body.slot_start_s)
    held = call.draft.get(key, SlotOrders)
    orders = held.orders if held is not None else []
    cancelled = [order for order in orders if order.nonce == body.order_nonce]
    if not cancelled:
        return Verdict.UNKNOWN_ORDER
    escrow = cancelled[0].escrow_nano
    call.draft.post(Leg(account_key(call.sender), escrow, -escrow))
    kept = [order for order in orders if order.nonce != body.order_nonce]
    if kept:
        call.draft.put(key, SlotOrders(kept))
    else:
        call.draft.delete(key)
    return Verdict.ACCEPTED
