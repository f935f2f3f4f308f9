"""One order book as curves: price over cumulative energy, and where the two sides meet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gridpact.model import PlacedOrder, RunResult, Side, SlotResult


@dataclass(frozen=True, slots=True)
class Step:
    """One order in its queue."""

    price_micro_per_kwh: int
    energy_wh: int
    until_wh: int
    """Energy of this order and all before it."""


@dataclass(frozen=True, slots=True)
class OrderBook:
    """The queues of one slot and what was traded of them."""

    slot: SlotResult
    demand: tuple[Step, ...]
    """Bids by falling price."""
    supply: tuple[Step, ...]
    """Offers by rising price."""

    @property
    def first_stage_wh(self) -> int:
        """Energy traded where the curves overlap."""
        return self.slot.state.traded_wh - self.slot.state.second_stage_wh

    @property
    def crossing_micro_per_kwh(self) -> int | None:
        """Halfway between the last bid and the last offer that traded; None without trades."""
        wh = self.first_stage_wh
        bid, offer = _price_at(self.demand, wh), _price_at(self.supply, wh)
        if wh == 0 or bid is None or offer is None:
            return None
        return (bid + offer) // 2


def order_book(result: RunResult) -> OrderBook | None:
    """The book of the slot with the most trades.

    Returns:
        None when nobody placed an order in the whole run.
    """
    book = result.fullest_book
    if book is None or not book.orders:
        return None
    (slot,) = (each for each in result.slots if each.slot == book.slot)
    bids = [order for order in book.orders if order.side == Side.BID]
    offers = [order for order in book.orders if order.side == Side.OFFER]
    bids.sort(key=lambda order: (-order.price_micro_per_kwh, order.participant_id))
    offers.sort(key=lambda order: (order.price_micro_per_kwh, order.participant_id))
    return OrderBook(slot, _queue(bids), _queue(offers))


def _queue(orders: Iterable[PlacedOrder]) -> tuple[Step, ...]:
    steps = []
    until_wh = 0
    for order in orders:
        until_wh += order.energy_wh
        steps.append(Step(order.price_micro_per_kwh, order.energy_wh, until_wh))
    return tuple(steps)


def _price_at(queue: tuple[Step, ...], energy_wh: int) -> int | None:
    """Price of the order that holds the last Wh of this much energy."""
    for step in queue:
        if step.until_wh >= energy_wh:
            return step.price_micro_per_kwh
    return None
