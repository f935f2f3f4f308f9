"""From open orders to contracts: the step `closed -> cleared`, computed by every replica."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import position_group, position_key
from gridpact.ledger import Draft, Leg, account_key, owner_of
from gridpact.model import Contract, Contracts, Order, Orders, Phase, Side, SlotState
from gridpact.units import money_nano, split_half_unit

if TYPE_CHECKING:
    from gridpact.market.integer import Orders as Book

NO_REFERENCE_PRICE = -1

PlacedOrder = tuple[str, Order]
"""(sender, order); its id is (sender, nonce)."""


def clear_slot(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Matches the slot's orders and turns trades into contracts of both sides.

    Orders keep their worst case in escrow until here; what no contract needs is freed.

    Returns:
        The slot with its public totals, in phase `cleared`.

    Source: [WANG24], section 3.2.2, steps 2 and 3.
    """
    from gridpact.market.integer import clear_auction  # numpy loads with the first clearing

    placed: dict[Side, list[PlacedOrder]] = {Side.BID: [], Side.OFFER: []}
    held: dict[str, int] = {}
    keys = draft.group(position_group("orders", market.market, start_s))
    for key in sorted(keys, key=owner_of):
        owner = owner_of(key)
        orders = draft.require(key, Orders).orders
        held[owner] = sum(order.escrow_nano for order in orders)
        for order in orders:
            placed[order.side].append((owner, order))
    bids, offers = placed[Side.BID], placed[Side.OFFER]
    result = clear_auction(_book(bids), _book(offers), market.tie)
    contracts: dict[str, list[Contract]] = defaultdict(list)
    needed: dict[str, int] = defaultdict(int)
    traded_wh = second_stage_wh = turnover_nano = 0
    trades = zip(
        result.trades.stage.tolist(),
        result.trades.bid.tolist(),
        result.trades.offer.tolist(),
        result.trades.energy_wh.tolist(),
        result.trades.price_sum_micro_per_kwh.tolist(),
        strict=True,
    )
    for number, (stage, bid, offer, energy_wh, price_sum) in enumerate(trades):
        buyer, bid_order = bids[bid]
        seller, offer_order = offers[offer]
        paid, received, _ = split_half_unit(price_sum, energy_wh)
        fee = money_nano(slot.tariff.network_fee_micro_per_kwh, energy_wh)
        contracts[buyer].append(
            Contract(
                number, Side.BID, stage, seller, bid_order.nonce, energy_wh, price_sum, paid, fee
            )
        )
        contracts[seller].append(
            Contract(
                number,
                Side.OFFER,
                stage,
                buyer,
                offer_order.nonce,
                energy_wh,
                price_sum,
                received,
                0,
            )
        )
        needed[buyer] += paid + fee
        needed[seller] += money_nano(slot.tariff.retail_micro_per_kwh, energy_wh) - received
        traded_wh += energy_wh
        second_stage_wh += energy_wh if stage == 2 else 0
        turnover_nano += paid
    for owner, escrow in held.items():
        freed = escrow - needed[owner]
        if freed:
            draft.post(Leg(account_key(owner), freed, -freed))
        if owner in contracts:
            draft.put(
                position_key("contracts", owner, market.market, start_s),
                Contracts(needed[owner], contracts[owner]),
            )
    reference = result.reference_price_micro_per_kwh
    return msgspec.structs.replace(
        slot,
        phase=Phase.CLEARED,
        orders=len(bids) + len(offers),
        trades=len(result.trades.stage),
        traded_wh=traded_wh,
        second_stage_wh=second_stage_wh,
        turnover_nano=turnover_nano,
        reference_price_micro_per_kwh=NO_REFERENCE_PRICE if reference is None else reference,
    )


def _book(placed: list[PlacedOrder]) -> Book:
    """One side as arrays; rank is the position by (sender, nonce), the order's id."""
    from gridpact.market.integer import Orders as Book

    orders = [order for _, order in placed]
    return Book.of(
        price_micro_per_kwh=[order.price_micro_per_kwh for order in orders],
        energy_wh=[order.energy_wh for order in orders],
        limit_micro_per_kwh=[order.limit_micro_per_kwh for order in orders],
        submitted_ms=[order.submitted_ms for order in orders],
        rank=range(len(orders)),
    )
