"""Goal: an order holds the worst it can cost, to the nano, and nothing is held once it is gone."""

from __future__ import annotations

import pytest

from gridpact.codec import Wire
from gridpact.contracts.bodies import CancelOrder, Kind, OrderPayload, PlaceOrder
from gridpact.contracts.keys import position_key
from gridpact.model import AccountMode, Order, Phase, Side, SlotTariff, Verdict
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    AUDITOR,
    DAY,
    LENGTH_S,
    MARKET,
    NEVER,
    OTHER_MARKET,
    SLOT,
    UNIT,
    Bench,
    Signed,
)

RETAIL, FEED_IN = 300_000, 80_000
BOTH = pytest.mark.parametrize("side", Side)
ORDERS = position_key("orders", "ann", MARKET, SLOT)


@pytest.fixture
def bench() -> Bench:
    """Ann and Bob with 10 each and a meter, two slots open."""
    bench = Bench()
    bench.join("ann", "bob", deposit_nano=10 * UNIT)
    bench.open(slots=2)
    return bench


# Placing


def test_a_bid_holds_its_limit_and_the_fee(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1_500, limit=250_000, submitted_ms=42))
    held = (250_000 + 20_000) * 1_500
    assert bench.orders("ann") == [Order(1, Side.BID, 200_000, 1_500, 250_000, 42, held)]
    assert bench.account("ann") == (10 * UNIT - held, held)
    assert held == 405_000_000


def test_an_offer_holds_what_the_grid_would_ask_beyond_its_limit(bench: Bench) -> None:
    bench.accept(bench.offer("ann", 200_000, 1_500, limit=150_000, submitted_ms=42))
    held = (RETAIL - 150_000) * 1_500
    assert bench.orders("ann") == [Order(1, Side.OFFER, 200_000, 1_500, 150_000, 42, held)]
    assert bench.account("ann") == (10 * UNIT - held, held)
    assert held == 225_000_000


def test_orders_stand_by_nonce_and_by_slot(bench: Bench) -> None:
    bench.accept(
        bench.bid("ann", 200_000, 1),
        bench.offer("ann", 100_000, 2, slot_s=SLOT + LENGTH_S),
        bench.bid("ann", 90_000, 3),
    )
    assert [(order.nonce, order.energy_wh) for order in bench.orders("ann")] == [(1, 1), (3, 3)]
    assert [order.nonce for order in bench.orders("ann", SLOT + LENGTH_S)] == [2]
    assert bench.orders("bob") == []


def test_a_meter_that_came_with_the_barrier_that_opened_the_slot_may_trade(bench: Bench) -> None:
    """`bench` registers meters and opens the slot at the same barrier."""
    assert bench.slot().opened_phase == 1
    bench.accept(bench.bid("ann", 200_000, 1))


# Refusals of an order, by number


def test_expired(bench: Bench) -> None:
    """Once a gate has closed, what was wanted for earlier slots only is not wanted any more."""
    bench.accept(bench.bid("ann", 200_000, 1, expiry_s=SLOT, slot_s=SLOT + LENGTH_S))
    bench.move(Phase.CLOSED)
    bench.accept(bench.bid("ann", 200_000, 1, expiry_s=SLOT, slot_s=SLOT + LENGTH_S))
    bench.move(Phase.CLOSED, first_s=SLOT + LENGTH_S)
    late = bench.sign(
        "ann",
        Kind.ORDER,
        PlaceOrder(MARKET, SLOT + LENGTH_S),
        OrderPayload(Side.BID, 200_000, 1, 200_000, 0),
        nonce=3,
        expiry_s=SLOT + LENGTH_S - 1,
    )
    bench.refuse(late, Verdict.EXPIRED)


class Odd(Wire, frozen=True):
    side: int
    price_micro_per_kwh: int
    energy_wh: int
    limit_micro_per_kwh: int
    submitted_ms: int


@pytest.mark.parametrize(
    "payload",
    [
        Odd(0, 1, 1, 1, 0),
        Odd(3, 1, 1, 1, 0),
        Odd(1, -1, 1, 1, 0),
        Odd(1, QUANTITY_MAX + 1, 1, 1, 0),
        Odd(1, 1, 0, 1, 0),
        Odd(1, 1, -1, 1, 0),
        Odd(1, 1, QUANTITY_MAX + 1, 1, 0),
        Odd(1, 1, 1, -1, 0),
        Odd(1, 1, 1, 1, -1),
    ],
)
def test_malformed_payload(bench: Bench, payload: Odd) -> None:
    transaction = bench.write("ann", Kind.ORDER, PlaceOrder(MARKET, SLOT), payload)
    bench.refuse(transaction, Verdict.MALFORMED_PAYLOAD)


def test_role_missing(bench: Bench) -> None:
    for party in (AUDITOR, "ann.meter"):
        bench.refuse(bench.bid(party, 200_000, 1), Verdict.ROLE_MISSING)


HUGE = SlotTariff(QUANTITY_MAX, 0, 0, "north", DAY)
LARGEST = QUANTITY_MAX**2
"""What the largest order under the highest tariff holds: a little below 2^62."""


def test_even_unlimited_credit_ends_where_settlement_needs_room(bench: Bench) -> None:
    bench.join("eve", mode=AccountMode.POSTPAID)
    bench.open(first_s=SLOT + 2 * LENGTH_S, prices=HUGE)

    def largest() -> Signed:
        return bench.bid("eve", QUANTITY_MAX, QUANTITY_MAX, slot_s=SLOT + 2 * LENGTH_S)

    bench.accept(largest())
    assert bench.account("eve") == (-LARGEST, LARGEST)
    bench.refuse(largest(), Verdict.INSUFFICIENT_FUNDS)


def test_unknown_market(bench: Bench) -> None:
    body, payload = PlaceOrder("lv9", SLOT), OrderPayload(Side.BID, 200_000, 1, 200_000, 0)
    bench.refuse(bench.write("ann", Kind.ORDER, body, payload), Verdict.UNKNOWN_MARKET)


@pytest.mark.parametrize(
    ("market", "start_s"),
    [(MARKET, SLOT - LENGTH_S), (MARKET, SLOT + 1), (MARKET, 0), (OTHER_MARKET, SLOT)],
)
def test_unknown_slot(bench: Bench, market: str, start_s: int) -> None:
    body, payload = PlaceOrder(market, start_s), OrderPayload(Side.BID, 200_000, 1, 200_000, 0)
    bench.refuse(bench.write("ann", Kind.ORDER, body, payload), Verdict.UNKNOWN_SLOT)


def test_gate_closed_in_every_later_phase(bench: Bench) -> None:
    for phase in (Phase.CLOSED, Phase.CLEARED, Phase.DELIVERED):
        bench.move(phase)
        bench.refuse(bench.bid("ann", 200_000, 1), Verdict.GATE_CLOSED)
    bench.accept(bench.reading("ann"), bench.reading("bob"))
    for phase in (Phase.METERED, Phase.SETTLED, Phase.FINAL):
        bench.move(phase)
        bench.refuse(bench.bid("ann", 200_000, 1), Verdict.GATE_CLOSED)


@BOTH
@pytest.mark.parametrize(
    ("price", "limit", "verdict"),
    [
        (FEED_IN, FEED_IN, Verdict.ACCEPTED),
        (RETAIL, RETAIL, Verdict.ACCEPTED),
        (FEED_IN - 1, FEED_IN, Verdict.PRICE_OUT_OF_BAND),
        (RETAIL + 1, RETAIL, Verdict.PRICE_OUT_OF_BAND),
        (FEED_IN, FEED_IN - 1, Verdict.PRICE_OUT_OF_BAND),
        (RETAIL, RETAIL + 1, Verdict.PRICE_OUT_OF_BAND),
        (0, 0, Verdict.PRICE_OUT_OF_BAND),
        (QUANTITY_MAX, QUANTITY_MAX, Verdict.PRICE_OUT_OF_BAND),
    ],
)
def test_price_and_limit_lie_between_feed_in_and_retail(
    bench: Bench, side: Side, price: int, limit: int, verdict: Verdict
) -> None:
    transaction = bench.order("ann", side, price, 1, limit=limit)
    if verdict == Verdict.ACCEPTED:
        bench.accept(transaction)
    else:
        bench.refuse(transaction, verdict)


@pytest.mark.parametrize(
    ("side", "limit", "verdict"),
    [
        (Side.BID, 200_001, Verdict.ACCEPTED),
        (Side.BID, 200_000, Verdict.ACCEPTED),
        (Side.BID, 199_999, Verdict.LIMIT_WRONG),
        (Side.OFFER, 199_999, Verdict.ACCEPTED),
        (Side.OFFER, 200_000, Verdict.ACCEPTED),
        (Side.OFFER, 200_001, Verdict.LIMIT_WRONG),
    ],
)
def test_a_limit_is_never_better_than_the_quote(
    bench: Bench, side: Side, limit: int, verdict: Verdict
) -> None:
    transaction = bench.order("ann", side, 200_000, 1, limit=limit)
    if verdict == Verdict.ACCEPTED:
        bench.accept(transaction)
    else:
        bench.refuse(transaction, verdict)


def test_too_many_orders_of_one_sender_in_one_slot(bench: Bench) -> None:
    bench.accept(*(bench.bid("ann", 200_000, 1) for _ in range(3)))
    bench.refuse(bench.bid("ann", 200_000, 1), Verdict.TOO_MANY_ORDERS)
    bench.refuse(bench.offer("ann", 200_000, 1), Verdict.TOO_MANY_ORDERS)
    bench.accept(bench.bid("bob", 200_000, 1), bench.bid("ann", 200_000, 1, slot_s=SLOT + 900))
    bench.accept(bench.cancel("ann", 2), bench.bid("ann", 200_000, 1))
    assert [order.nonce for order in bench.orders("ann")] == [1, 3, 8]


@pytest.mark.parametrize(
    ("mode", "limit_nano", "most_wh"),
    [
        (AccountMode.PREPAID, 0, 5_000),  # 1.1 for 5 kWh at 0.22
        (AccountMode.CREDIT_LIMIT, 660_000_000, 8_000),
        (AccountMode.CREDIT_LIMIT, 659_999_999, 7_999),
    ],
)
def test_insufficient_funds_from_the_first_nano_beyond_the_limit(
    mode: AccountMode, limit_nano: int, most_wh: int
) -> None:
    bench = Bench()
    bench.join("ann", mode=mode, limit_nano=limit_nano, deposit_nano=1_100_000_000)
    bench.open()
    bench.refuse(bench.bid("ann", 200_000, most_wh + 1), Verdict.INSUFFICIENT_FUNDS)
    bench.accept(bench.bid("ann", 200_000, most_wh))
    bench.refuse(bench.bid("ann", 80_000, 9), Verdict.INSUFFICIENT_FUNDS)


@pytest.mark.parametrize(
    ("missing_nano", "verdict"), [(0, Verdict.ACCEPTED), (1, Verdict.INSUFFICIENT_FUNDS)]
)
@pytest.mark.parametrize(
    ("mode", "limit_nano"), [(AccountMode.PREPAID, 0), (AccountMode.CREDIT_LIMIT, 7 * UNIT)]
)
def test_funds_suffice_to_the_nano(
    mode: AccountMode, limit_nano: int, missing_nano: int, verdict: Verdict
) -> None:
    bench = Bench()
    needed = (200_000 + 20_000) * 100_000
    deposit = needed - limit_nano - missing_nano
    bench.join("ann", mode=mode, limit_nano=limit_nano, deposit_nano=deposit)
    bench.open()
    assert bench.told(bench.bid("ann", 200_000, 100_000)) == [verdict]
    if not missing_nano:
        assert bench.account("ann") == (-limit_nano, needed)


def test_a_postpaid_account_needs_nothing(bench: Bench) -> None:
    bench.join("eve", mode=AccountMode.POSTPAID)
    bench.open(first_s=SLOT + 2 * LENGTH_S)
    bench.accept(bench.bid("eve", 200_000, QUANTITY_MAX, slot_s=SLOT + 2 * LENGTH_S))
    held = 220_000 * QUANTITY_MAX
    assert bench.account("eve") == (-held, held)


def test_meter_missing(bench: Bench) -> None:
    """Without any, or with one that came after the slot was opened."""
    bench.accept(bench.register("eve"), bench.deposit("eve", UNIT))
    bench.open(first_s=SLOT + 2 * LENGTH_S)
    bench.refuse(bench.bid("eve", 200_000, 1, slot_s=SLOT + 1800), Verdict.METER_MISSING)
    bench.accept(bench.meter("eve"))
    bench.refuse(bench.bid("eve", 200_000, 1, slot_s=SLOT + 1800), Verdict.METER_MISSING)
    bench.open(first_s=SLOT + 3 * LENGTH_S)
    bench.refuse(bench.bid("eve", 200_000, 1, slot_s=SLOT + 1800), Verdict.METER_MISSING)
    bench.accept(bench.bid("eve", 200_000, 1, slot_s=SLOT + 2700))


def test_of_two_reasons_the_smaller_number_is_told(bench: Bench) -> None:
    """An order beyond all credit, by somebody whose meter is too young for the slot."""
    bench.accept(bench.register("eve", AccountMode.POSTPAID))
    bench.open(first_s=SLOT + 2 * LENGTH_S, prices=HUGE)
    bench.accept(bench.meter("eve"))
    bench.open(first_s=SLOT + 3 * LENGTH_S, prices=HUGE)
    bench.accept(bench.bid("eve", QUANTITY_MAX, QUANTITY_MAX, slot_s=SLOT + 3 * LENGTH_S))
    second = bench.bid("eve", QUANTITY_MAX, QUANTITY_MAX, slot_s=SLOT + 2 * LENGTH_S)
    bench.refuse(second, min(Verdict.INSUFFICIENT_FUNDS, Verdict.METER_MISSING))


# Cancelling


def test_a_cancelled_order_frees_what_it_held(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1_000), bench.offer("ann", 100_000, 500))
    bench.accept(bench.cancel("ann", 1))
    held = (RETAIL - 100_000) * 500
    assert bench.account("ann") == (10 * UNIT - held, held)
    assert [order.nonce for order in bench.orders("ann")] == [2]
    bench.accept(bench.cancel("ann", 2))
    assert bench.account("ann") == (10 * UNIT, 0)
    assert bench.entry(ORDERS) is None


def test_a_place_that_was_cancelled_can_be_taken_again(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1), bench.cancel("ann", 1), bench.bid("ann", 90_000, 2))
    assert [(order.nonce, order.energy_wh) for order in bench.orders("ann")] == [(3, 2)]


@pytest.mark.parametrize("nonce", [0, 2, 4, 99])
def test_only_an_open_order_can_be_cancelled(bench: Bench, nonce: int) -> None:
    """2 is cancelled already, 3 lies in another slot, and 0 and 99 were never sent."""
    bench.accept(
        bench.bid("ann", 200_000, 1),
        bench.bid("ann", 200_000, 2),
        bench.bid("ann", 200_000, 3, slot_s=SLOT + LENGTH_S),
        bench.cancel("ann", 2),
    )
    bench.refuse(bench.cancel("ann", nonce), Verdict.UNKNOWN_ORDER)
    bench.refuse(bench.cancel("ann", 3), Verdict.UNKNOWN_ORDER)
    bench.refuse(bench.cancel("ann", 1, slot_s=SLOT + LENGTH_S), Verdict.UNKNOWN_ORDER)


def test_nobody_cancels_for_another(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1))
    bench.refuse(bench.cancel("bob", 1), Verdict.UNKNOWN_ORDER)
    assert len(bench.orders("ann")) == 1


def test_nothing_is_cancelled_behind_the_gate(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1))
    for phase in (Phase.CLOSED, Phase.CLEARED):
        bench.move(phase)
        bench.refuse(bench.cancel("ann", 1), Verdict.GATE_CLOSED)
        bench.refuse(bench.cancel("ann", 99), Verdict.GATE_CLOSED)


@pytest.mark.parametrize(
    ("market", "start_s"), [(MARKET, SLOT - LENGTH_S), ("lv9", SLOT), (OTHER_MARKET, SLOT)]
)
def test_a_slot_that_never_opened_has_no_orders(bench: Bench, market: str, start_s: int) -> None:
    body = CancelOrder(market, start_s, 1)
    bench.refuse(bench.write("ann", Kind.CANCEL, body), Verdict.UNKNOWN_SLOT)


def test_a_cancel_expires_too(bench: Bench) -> None:
    bench.accept(bench.bid("ann", 200_000, 1, expiry_s=NEVER))
    bench.move(Phase.CLOSED, slots=2)
    late = bench.sign(
        "ann", Kind.CANCEL, CancelOrder(MARKET, SLOT, 1), nonce=2, expiry_s=SLOT + LENGTH_S - 1
    )
    bench.refuse(late, Verdict.EXPIRED)
