"""The two-stage auction in plain Python: the oracle of the tests and the baseline of the bench.

Written to be read beside the rules, with lists, dictionaries and Python integers, and to share
nothing with the compiled version but the checks at the door.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from gridpact.market.integer.auction import AuctionResult, Orders, Trades, checked_books
from gridpact.model import TieRule
from gridpact.units import floor_divide, split_by_largest_remainder


@dataclass(slots=True)
class _Quote:
    """One order as it stands in a stage."""

    row: int
    """Row of the order in its side."""
    price_micro_per_kwh: int
    limit_micro_per_kwh: int
    turn: tuple[int, int]
    """Its place among quotes of one price."""
    energy_wh: int
    """What it has not traded yet."""


_Trade = tuple[int, int, int, int, int]
"""Stage, offer, bid, energy in Wh, price sum in micro-currency per kWh."""


def clear_auction_plain(bids: Orders, offers: Orders, tie: TieRule) -> AuctionResult:
    """The same result as `clear_auction`, slowly.

    Source: [WANG24], section 3.2.2, steps 1 and 2. Ours: as in `clear_auction`.
    """
    checked_books(bids, offers)
    buyers, sellers = _quotes(bids, tie), _quotes(offers, tie)
    trades = _match(sellers, buyers, tie, stage=1)
    reference = None
    if trades:
        reference = floor_divide(sum(trade[4] for trade in trades), 2 * len(trades))
        joining_sellers = [s for s in sellers if s.limit_micro_per_kwh <= reference]
        joining_buyers = [b for b in buyers if b.limit_micro_per_kwh >= reference]
        for quote in joining_sellers + joining_buyers:
            quote.price_micro_per_kwh = reference
        trades += _match(joining_sellers, joining_buyers, tie, stage=2)
    table = np.array(trades, np.int64).reshape(-1, 5)
    return AuctionResult(
        trades=Trades(*(np.ascontiguousarray(column) for column in table.T)),
        reference_price_micro_per_kwh=reference,
        remaining_offer_wh=np.array([quote.energy_wh for quote in sellers], np.int64),
        remaining_bid_wh=np.array([quote.energy_wh for quote in buyers], np.int64),
    )


def _quotes(orders: Orders, tie: TieRule) -> list[_Quote]:
    """The orders of one side, row by row."""
    rows = zip(
        orders.price_micro_per_kwh.tolist(),
        orders.limit_micro_per_kwh.tolist(),
        orders.submitted_ms.tolist(),
        orders.rank.tolist(),
        orders.energy_wh.tolist(),
        strict=True,
    )
    return [
        _Quote(row, price, limit, (submitted if tie == TieRule.TIME else 0, rank), energy)
        for row, (price, limit, submitted, rank, energy) in enumerate(rows)
    ]


def _match(
    sellers: list[_Quote], buyers: list[_Quote], tie: TieRule, *, stage: int
) -> list[_Trade]:
    """One stage; takes what is traded off the quotes."""
    sellers = sorted(
        (quote for quote in sellers if quote.energy_wh),
        key=lambda quote: (quote.price_micro_per_kwh, quote.turn),
    )
    buyers = sorted(
        (quote for quote in buyers if quote.energy_wh),
        key=lambda quote: (-quote.price_micro_per_kwh, quote.turn),
    )
    volume = sum(
        energy
        for _, _, energy in _pairs(
            sellers,
            [quote.energy_wh for quote in sellers],
            buyers,
            [quote.energy_wh for quote in buyers],
        )
    )
    sold, bought = _filled(sellers, volume, tie), _filled(buyers, volume, tie)
    trades = []
    for seller, buyer, energy in _pairs(sellers, sold, buyers, bought):
        price_sum = seller.price_micro_per_kwh + buyer.price_micro_per_kwh
        trades.append((stage, seller.row, buyer.row, energy, price_sum))
        seller.energy_wh -= energy
        buyer.energy_wh -= energy
    return trades


def _pairs(
    sellers: list[_Quote], sold: list[int], buyers: list[_Quote], bought: list[int]
) -> list[tuple[_Quote, _Quote, int]]:
    """The heads of both queues trade as long as their prices cross; who is served leaves."""
    pairs = []
    offered = deque((quote, energy) for quote, energy in zip(sellers, sold, strict=True) if energy)
    wanted = deque((quote, energy) for quote, energy in zip(buyers, bought, strict=True) if energy)
    while offered and wanted:
        (seller, offer_wh), (buyer, bid_wh) = offered[0], wanted[0]
        if seller.price_micro_per_kwh > buyer.price_micro_per_kwh:
            break
        energy = min(offer_wh, bid_wh)
        pairs.append((seller, buyer, energy))
        offered[0] = (seller, offer_wh - energy)
        wanted[0] = (buyer, bid_wh - energy)
        if energy == offer_wh:
            offered.popleft()
        if energy == bid_wh:
            wanted.popleft()
    return pairs


def _filled(queue: list[_Quote], volume: int, tie: TieRule) -> list[int]:
    """How much of each quote in the queue is filled when `volume` is filled altogether."""
    filled: list[int] = []
    for _, group in groupby(queue, key=lambda quote: quote.price_micro_per_kwh):
        level = [quote.energy_wh for quote in group]
        here = min(volume, sum(level))
        if tie == TieRule.PRO_RATA:
            filled += split_by_largest_remainder(here, level)
        else:
            filled += _from_the_front(here, level)
        volume -= here
    return filled


def _from_the_front(volume: int, level: list[int]) -> list[int]:
    """First come, first served."""
    filled = []
    for energy in level:
        filled.append(min(energy, volume))
        volume -= filled[-1]
    return filled
