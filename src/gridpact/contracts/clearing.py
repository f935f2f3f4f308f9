"""From open orders to contracts: the step `closed -> cleared`, computed by every replica."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import msgspec

from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import position_group, position_key
from gridpact.ledger import Draft, Leg, account_key, owner_of
from gridpact.model import (
    Contract,
    Order,
    Phase,
    Side,
    SlotContracts,
    SlotOrders,
    SlotState,
    SlotTariff,
)
from gridpact.units import money_nano, split_half_unit

if TYPE_CHECKING:
    from gridpact.market.integer import Orders as Book

NO_REFERENCE_PRICE = -1
SECOND_STAGE = 2

PlacedOrder = tuple[str, Order]
"""(sender, order); its id is (sender, nonce)."""


def clear_slot(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Matches the slot's orders and turns trades into contracts of both sides.

    Orders keep their worst case in escrow until here; what no contract needs is freed. A slot with
    more energy in its orders than one clearing can add up ends without a trade.

    Returns:
        The slot with its public totals, in phase `cleared`.

    Source: [WANG24], section 3.2.2, steps 2 and 3.
    """
    # numpy loads with the first clearing, not with what only reads a ledger
    from gridpact.market.integer import ENERGY_TOTAL_MAX, clear_auction

    placed, held = _open_orders(draft, market, start_s)
    bids, offers = placed[Side.BID], placed[Side.OFFER]
    if any(sum(order.energy_wh for _, order in side) > ENERGY_TOTAL_MAX for side in (bids, offers)):
        bids, offers = [], []  # more than a clearing can add up: nobody trades, the slot goes on
    result = clear_auction(_book(bids), _book(offers), market.tie)
    agreed = _Agreed(slot.tariff)
    trades = zip(
        result.trades.stage.tolist(),
        result.trades.bid.tolist(),
        result.trades.offer.tolist(),
        result.trades.energy_wh.tolist(),
        result.trades.price_sum_micro_per_kwh.tolist(),
        strict=True,
    )
    for stage, bid, offer, energy_wh, price_sum in trades:
        agreed.trade(stage, bids[bid], offers[offer], energy_wh, price_sum)
    for owner, escrow in held.items():
        freed = escrow - agreed.needed[owner]
        if freed:
            draft.post(Leg(account_key(owner), freed, -freed))
        if owner in agreed.contracts:
            draft.put(
                position_key("contracts", owner, market.market, start_s),
                SlotContracts(agreed.needed[owner], agreed.contracts[owner]),
            )
    reference = result.reference_price_micro_per_kwh
    return msgspec.structs.replace(
        slot,
        phase=Phase.CLEARED,
        orders=sum(map(len, placed.values())),
        trades=agreed.trades,
        traded_wh=agreed.traded_wh,
        second_stage_wh=agreed.second_stage_wh,
        turnover_nano=agreed.turnover_nano,
        reference_price_micro_per_kwh=NO_REFERENCE_PRICE if reference is None else reference,
    )


class _Agreed:
    """Contracts of one clearing with the escrow that they need, and public totals."""

    def __init__(self, tariff: SlotTariff) -> None:
        self.tariff = tariff
        self.contracts: dict[str, list[Contract]] = defaultdict(list)
        self.needed: dict[str, int] = defaultdict(int)
        """Escrow by participant: what a buyer pays with the fee; what a seller that delivers
        nothing must find on top of what it is paid."""
        self.trades = self.traded_wh = self.second_stage_wh = self.turnover_nano = 0

    def trade(
        self, stage: int, bid: PlacedOrder, offer: PlacedOrder, energy_wh: int, price_sum: int
    ) -> None:
        """One trade as a contract of its buyer and one of its seller."""
        (buyer, bid_order), (seller, offer_order) = bid, offer
        number = self.trades
        paid, received, _ = split_half_unit(price_sum, energy_wh)
        fee = money_nano(self.tariff.network_fee_micro_per_kwh, energy_wh)
        for owner, side, other, order, payment, owed in (
            (buyer, Side.BID, seller, bid_order, paid, fee),
            (seller, Side.OFFER, buyer, offer_order, received, 0),
        ):
            self.contracts[owner].append(
                Contract(
                    number,
                    side,
                    stage,
                    other,
                    order.nonce,
                    energy_wh,
                    price_sum,
                    payment,
                    owed,
                    0,
                    "",
                )
            )
        self.needed[buyer] += paid + fee
        self.needed[seller] += money_nano(self.tariff.retail_micro_per_kwh, energy_wh) - received
        self.trades += 1
        self.traded_wh += energy_wh
        self.second_stage_wh += energy_wh if stage == SECOND_STAGE else 0
        self.turnover_nano += paid


def _open_orders(
    draft: Draft, market: Market, start_s: int
) -> tuple[dict[Side, list[PlacedOrder]], dict[str, int]]:
    """Orders of a slot by side, each side by (sender, nonce), and the escrow of each sender."""
    placed: dict[Side, list[PlacedOrder]] = {Side.BID: [], Side.OFFER: []}
    held: dict[str, int] = {}
    keys = draft.group(position_group("orders", market.market, start_s))
    for key in sorted(keys, key=owner_of):
        owner = owner_of(key)
        orders = draft.require(key, SlotOrders).orders
        held[owner] = sum(order.escrow_nano for order in orders)
        for order in orders:
            placed[order.side].append((owner, order))
    return placed, held


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
