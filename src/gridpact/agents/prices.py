"""What a home expects energy to cost, from the tariff and from what trades have cost before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpact.errors import invariant
from gridpact.model.assets import PlanPrices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model import SlotPrices


def expected_prices(
    prices: Sequence[SlotPrices], reference_micro_per_kwh: Sequence[int]
) -> PlanPrices:
    """Prices to plan with: the trade price expected for each slot, else the tariff.

    A trade price is brought between feed-in and retail less fee, where trades are possible; the
    home then sells at it and buys at it plus the fee. Where no trade is expected it sells at
    feed-in and buys at retail. What is left over at the end is worth half-way between the last
    slot's two prices: more than selling it at once, less than not having to buy it.

    Args:
        prices: the tariff of T slots.
        reference_micro_per_kwh: T trade prices, such as those of the same slots a day before;
            below 0 where there was no trade.

    >>> from gridpact.model import SlotPrices
    >>> day = [SlotPrices(320_000, 80_000, 50_000)] * 2
    >>> expected_prices(day, [150_000, -1])
    PlanPrices(buy_micro_per_kwh=(200000, 320000), sell_micro_per_kwh=(150000, 80000), \
leftover_micro_per_kwh=200000)

    Ours.
    """
    invariant(
        len(prices) == len(reference_micro_per_kwh) and len(prices) > 0,
        f"{len(prices)} slots with {len(reference_micro_per_kwh)} trade prices",
    )
    buy, sell = [], []
    for slot, reference in zip(prices, reference_micro_per_kwh, strict=True):
        if reference < 0:
            buy.append(slot.retail_micro_per_kwh)
            sell.append(slot.feed_in_micro_per_kwh)
            continue
        most = slot.retail_micro_per_kwh - slot.network_fee_micro_per_kwh
        trade = max(slot.feed_in_micro_per_kwh, min(reference, most))
        buy.append(min(slot.retail_micro_per_kwh, trade + slot.network_fee_micro_per_kwh))
        sell.append(min(trade, buy[-1]))
    last = prices[-1]
    leftover = (last.feed_in_micro_per_kwh + last.retail_micro_per_kwh) // 2
    return PlanPrices(tuple(buy), tuple(sell), leftover)
