"""Goal: trades become contracts of both sides, by hand-computed numbers, and the rest is freed."""

from __future__ import annotations

import pytest

from gridpact.contracts.keys import position_key
from gridpact.market import integer
from gridpact.model import (
    AccountMode,
    Contract,
    Phase,
    Side,
    SlotContracts,
    SlotState,
    SlotTariff,
    TieRule,
    Verdict,
)
from gridpact.node import SimulatedKeys
from gridpact.units import QUANTITY_MAX
from ledger_bench import (
    DAY,
    LENGTH_S,
    MARKET,
    SLOT,
    TARIFF,
    UNIT,
    Bench,
    Signed,
    genesis_with,
)

TEN = 10 * UNIT


def market(*members: str, tie: TieRule = TieRule.PRO_RATA) -> Bench:
    """Members with 10 each, `SLOT` open."""
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, tie=tie), keys)
    bench.join(*members, deposit_nano=TEN)
    bench.open()
    return bench


def cleared(bench: Bench, *orders: Signed) -> SlotState:
    bench.accept(*orders)
    bench.walk(Phase.CLEARED)
    return bench.slot()


def energies(bench: Bench, *members: str) -> list[int]:
    """Traded energy of each member's first contract, 0 without one."""
    return [sum(c.energy_wh for c in bench.contracts(member)) for member in members]


def test_a_trade_by_hand() -> None:
    """601 Wh at (0.200 + 0.100001) / 2 per kWh: 90,150,300.5 nano; the half goes to the fund."""
    bench = market("ann", "bob")
    slot = cleared(
        bench,
        bench.bid("ann", 200_000, 1_000, limit=250_000),
        bench.offer("bob", 100_001, 601, limit=90_000),
    )
    paid, received = 90_150_301, 90_150_300
    fee = 20_000 * 601
    assert bench.contracts("ann") == [
        Contract(0, Side.BID, 1, "bob", 1, 601, 300_001, paid, fee, 0, ""),
    ]
    assert bench.contracts("bob") == [
        Contract(0, Side.OFFER, 1, "ann", 1, 601, 300_001, received, 0, 0, ""),
    ]
    ann_held = paid + fee
    bob_held = 300_000 * 601 - received  # delivering nothing costs retail, less what it is paid
    assert bench.account("ann") == (TEN - ann_held, ann_held)
    assert bench.account("bob") == (TEN - bob_held, bob_held)
    assert (ann_held, bob_held) == (102_170_301, 90_149_700)
    for member, held in (("ann", ann_held), ("bob", bob_held)):
        key = position_key("contracts", member, MARKET, SLOT)
        assert bench.value(key, SlotContracts).escrow_nano == held
    assert slot == SlotState(
        phase=Phase.CLEARED,
        opened_phase=1,
        tariff=TARIFF,
        orders=2,
        trades=1,
        traded_wh=601,
        curtailed_wh=0,
        second_stage_wh=0,
        turnover_nano=paid,
        reference_price_micro_per_kwh=150_000,  # the floor of 150,000.5
        grid_import_wh=0,
        grid_export_wh=0,
        archive=b"",
    )


def test_both_stages_by_hand() -> None:
    """Ann and Bob at 0.15; then Eve and Dan, whose limits enclose 0.15, at exactly that."""
    bench = market("ann", "bob", "eve", "dan")
    slot = cleared(
        bench,
        bench.bid("ann", 200_000, 1_000, limit=250_000),
        bench.bid("eve", 120_000, 500, limit=200_000),
        bench.offer("bob", 100_000, 1_000),
        bench.offer("dan", 180_000, 400, limit=140_000),
    )
    assert (slot.orders, slot.trades, slot.traded_wh, slot.second_stage_wh) == (4, 2, 1_400, 400)
    assert slot.reference_price_micro_per_kwh == 150_000
    assert slot.turnover_nano == 150_000 * 1_400
    (eve,), (dan,) = bench.contracts("eve"), bench.contracts("dan")
    assert (eve.stage, eve.energy_wh, eve.price_sum_micro_per_kwh) == (2, 400, 300_000)
    assert (dan.stage, dan.trade, dan.counterparty) == (2, 1, "eve")
    assert eve.payment_nano == dan.payment_nano == 60_000_000
    assert bench.account("eve")[1] == 60_000_000 + 20_000 * 400
    assert bench.account("dan")[1] == 300_000 * 400 - 60_000_000


def test_orders_that_do_not_meet_are_freed() -> None:
    bench = market("ann", "bob")
    slot = cleared(bench, bench.bid("ann", 100_000, 500), bench.offer("bob", 200_000, 500))
    assert (slot.orders, slot.trades, slot.traded_wh, slot.turnover_nano) == (2, 0, 0, 0)
    assert slot.reference_price_micro_per_kwh == -1
    assert bench.account("ann") == bench.account("bob") == (TEN, 0)
    assert bench.contracts("ann") == bench.contracts("bob") == []
    assert len(bench.orders("ann")) == 1  # until the slot is final


def test_a_slot_without_orders_clears_without_trades() -> None:
    bench = market("ann")
    slot = cleared(bench)
    assert (slot.orders, slot.trades, slot.reference_price_micro_per_kwh) == (0, 0, -1)


def test_one_member_on_both_sides_pays_itself_and_the_fee() -> None:
    bench = market("ann")
    cleared(bench, bench.bid("ann", 200_000, 100), bench.offer("ann", 200_000, 100))
    bought, sold = bench.contracts("ann")
    assert (bought.side, sold.side) == (Side.BID, Side.OFFER)
    assert (bought.order_nonce, sold.order_nonce) == (1, 2)
    assert bought.counterparty == sold.counterparty == "ann"
    assert bench.account("ann")[1] == 20_000_000 + 2_000_000 + 10_000_000


def test_a_members_orders_and_contracts_add_up_across_orders() -> None:
    bench = market("ann", "bob", "eve")
    cleared(
        bench,
        bench.bid("ann", 200_000, 100),
        bench.bid("ann", 220_000, 300),
        bench.offer("bob", 100_000, 250),
        bench.offer("eve", 110_000, 100),
    )
    contracts = bench.contracts("ann")
    assert [(c.trade, c.order_nonce, c.counterparty, c.energy_wh) for c in contracts] == [
        (0, 2, "bob", 250),
        (1, 2, "eve", 50),
        (2, 1, "eve", 50),
    ]
    assert bench.account("ann")[1] == sum(c.payment_nano + c.fee_nano for c in contracts)


@pytest.mark.parametrize("swapped", [False, True])
def test_equal_offers_share_in_proportion(swapped: bool) -> None:
    bench = market("ann", "bob", "eve")
    offers = [bench.offer("bob", 100_000, 600), bench.offer("eve", 100_000, 300)]
    cleared(
        bench,
        *(reversed(offers) if swapped else offers),
        bench.bid("ann", 200_000, 301),
    )
    # 200.67 and 100.33: the larger remainder takes the odd one
    assert energies(bench, "bob", "eve") == [201, 100]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("bob_ms", "eve_ms", "first"), [(1, 2, "bob"), (2, 1, "eve"), (5, 5, "bob")]
)
def test_under_the_rule_of_time_the_signed_time_counts_and_then_the_id(
    bob_ms: int, eve_ms: int, first: str, swapped: bool
) -> None:
    """Never the place in the block."""
    bench = market("ann", "bob", "eve", tie=TieRule.TIME)
    offers = [
        bench.offer("bob", 100_000, 300, submitted_ms=bob_ms),
        bench.offer("eve", 100_000, 300, submitted_ms=eve_ms),
    ]
    cleared(
        bench,
        *(reversed(offers) if swapped else offers),
        bench.bid("ann", 200_000, 300),
    )
    assert energies(bench, first) == [300]
    assert energies(bench, "bob", "eve", "ann") == (
        [300, 0, 300] if first == "bob" else [0, 300, 300]
    )


@pytest.mark.parametrize("swapped", [False, True])
def test_ids_are_compared_as_ids_not_as_parts_of_a_key(swapped: bool) -> None:
    """`bob` comes before `bob-2`, although `orders/bob-2/...` comes before `orders/bob/...`."""
    bench = market("ann", "bob", "bob-2", tie=TieRule.TIME)
    offers = [bench.offer("bob", 100_000, 300), bench.offer("bob-2", 100_000, 300)]
    cleared(bench, *(reversed(offers) if swapped else offers), bench.bid("ann", 200_000, 301))
    assert energies(bench, "bob", "bob-2") == [300, 1]


def test_a_members_older_order_comes_first_among_equals() -> None:
    bench = market("ann", "bob", tie=TieRule.TIME)
    cleared(
        bench,
        *(bench.offer("bob", 100_000, 10) for _ in range(3)),
        bench.bid("ann", 200_000, 15),
    )
    contracts = bench.contracts("bob")
    assert [(c.order_nonce, c.energy_wh) for c in contracts] == [(1, 10), (2, 5)]


def test_each_slot_of_a_range_clears_on_its_own() -> None:
    bench = Bench()
    bench.join("ann", "bob", deposit_nano=TEN)
    bench.open(slots=2)
    bench.accept(
        bench.bid("ann", 200_000, 100),
        bench.offer("bob", 200_000, 100, slot_s=SLOT + LENGTH_S),
    )
    bench.walk(Phase.CLEARED, slots=2)
    assert bench.slot().trades == bench.slot(SLOT + LENGTH_S).trades == 0
    assert bench.account("ann") == bench.account("bob") == (TEN, 0)


@pytest.mark.parametrize("side", Side)
def test_with_more_energy_than_one_clearing_takes_nobody_trades_and_all_are_freed(
    side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders alone cannot make a slot stand still; at the bound itself it clears as ever."""
    monkeypatch.setattr(integer, "ENERGY_TOTAL_MAX", 1_000)
    other = Side.OFFER if side == Side.BID else Side.BID
    for last_wh, traded_wh in ((400, 500), (401, 0)):
        bench = market("ann", "bob", "eve")
        slot = cleared(
            bench,
            bench.order("ann", side, 200_000, 600),
            bench.order("bob", side, 200_000, last_wh),
            bench.order("eve", other, 200_000, 500),
        )
        assert (slot.orders, slot.traded_wh) == (3, traded_wh)
        if not traded_wh:
            assert (slot.trades, slot.turnover_nano) == (0, 0)
            assert slot.reference_price_micro_per_kwh == -1
            for member in ("ann", "bob", "eve"):
                assert bench.account(member) == (TEN, 0)
                assert bench.contracts(member) == []
        bench.walk(Phase.DELIVERED)
        bench.accept(*(bench.reading(member) for member in ("ann", "bob", "eve")))
        bench.walk(Phase.FINAL)


@pytest.mark.parametrize("pairs", [3, 5])
def test_totals_beyond_64_bits_are_a_named_refusal(pairs: int) -> None:
    """A turnover that does not fit the wire must neither be stored nor stop the replica."""
    bench = Bench()
    buyers, sellers = [f"b{i}" for i in range(pairs)], [f"s{i}" for i in range(pairs)]
    bench.join(*buyers, *sellers, mode=AccountMode.POSTPAID)
    bench.open(prices=SlotTariff(QUANTITY_MAX, 0, 0, "north", DAY))
    bench.accept(*(bench.bid(buyer, QUANTITY_MAX, QUANTITY_MAX) for buyer in buyers))
    bench.accept(*(bench.offer(seller, QUANTITY_MAX, QUANTITY_MAX) for seller in sellers))
    bench.walk(Phase.CLOSED)
    bench.refuse(bench.phase(Phase.CLEARED), Verdict.OVERFLOW)
