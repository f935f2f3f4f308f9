"""Repair of rough plans by hand: storages, trades that do not match or could be better."""

from __future__ import annotations

import msgspec
from tests.microgrid_cases import NO_STORAGE, NO_TURBINE, one_hour, plan_of

from gridpact.market.integer.microgrids import repair, window_of, without_trade
from gridpact.model.microgrids import Column, MicrogridBid, MicrogridTerms, Storage

C = Column
WH = 10**6


def test_a_storage_reaches_its_target_from_above() -> None:
    """0.9025 Wh for each one charged: 5 Wh of content need 6, and none is missing at the end."""
    store = Storage(10, 950, 950, 0, 20 * WH, 0, 5 * WH)
    bid = MicrogridBid([0, 0], [0, 0], [10, 10], 0, NO_TURBINE, store)
    window = window_of(MicrogridTerms([100_000] * 2, [45_000] * 2, 0, 400_000), [bid])
    rough = plan_of(window, {(C.CONTENT, 0, 0): 5 * WH, (C.CONTENT, 0, 1): 5 * WH})
    plan = repair(window, rough)
    assert plan is not None
    assert plan[C.CHARGE].tolist() == [[6, 0]]
    assert plan[C.CONTENT].tolist() == [[5_415_000, 5_415_000]]
    assert plan[C.EXPORT].tolist() == [[4, 10]]
    assert not plan[C.MISSING].any()


def test_a_storage_is_emptied_in_whole_wh_and_never_below_its_target() -> None:
    store = Storage(10, 950, 950, 0, 20 * WH, 5_415_000, 0)
    bid = MicrogridBid([9, 9], [9, 9], [0, 0], 60_000, NO_TURBINE, store)
    window = window_of(MicrogridTerms([100_000] * 2, [45_000] * 2, 0, 400_000), [bid])
    plan = repair(window, plan_of(window, {(C.CONTENT, 0, 0): 2_200_000}))
    assert plan is not None
    assert plan[C.DISCHARGE].tolist() == [[3, 2]]
    assert plan[C.CONTENT].tolist() == [[2_415_000, 415_000]]
    assert plan[C.GREEN_DEMANDED].tolist() == [[3, 2]]
    assert plan[C.BUY].tolist() == [[6, 7]]


def test_trades_that_do_not_match_move_where_a_wh_costs_least() -> None:
    """Rough plans that sell one too many, or two too few, come back to the best one."""
    case = one_hour()
    for sold, purchased in ((11, 10), (8, 10), (10, 9), (0, 10), (15, 0)):
        rough = case.together.plan.copy()
        rough[C.SELL, 1, 0], rough[C.EXPORT, 1, 0] = sold, 15 - sold
        rough[C.PURCHASE, 0, 0] = purchased
        plan = repair(case.window, rough)
        assert plan is not None
        assert (plan == case.together.plan).all()


def test_trades_that_match_are_still_made_better_wh_by_wh() -> None:
    case = one_hour()
    rough = case.together.plan.copy()
    rough[C.SELL, 1, 0], rough[C.EXPORT, 1, 0] = 7, 8
    rough[C.PURCHASE, 0, 0], rough[C.GREEN_OTHER, 0, 0], rough[C.BUY, 0, 0] = 7, 1, 3
    plan = repair(case.window, rough)
    assert plan is not None
    assert (plan == case.together.plan).all()


def test_trade_that_saves_less_than_its_fees_stays_out() -> None:
    """Green power is worth 50,000 to A and 45,000 to B; two fees of 5,000 are more than that."""
    terms = MicrogridTerms([50_000], [45_000], 5_000, 0)
    bids = [
        MicrogridBid([10], [0], [0], 0, NO_TURBINE, NO_STORAGE),
        MicrogridBid([0], [0], [20], 0, NO_TURBINE, NO_STORAGE),
    ]
    window = window_of(terms, bids)
    plan = repair(window, plan_of(window, {(C.BUY, 0, 0): 10, (C.EXPORT, 1, 0): 20}))
    assert plan is not None
    assert not plan[C.SELL].any()
    cheap = window_of(msgspec.structs.replace(terms, fee_per_side_micro_per_kwh=2_000), bids)
    better = repair(cheap, plan_of(cheap, {(C.BUY, 0, 0): 10, (C.EXPORT, 1, 0): 20}))
    assert better is not None
    assert better[C.SELL].tolist() == [[0], [10]]


def test_trades_that_nobody_can_match_have_no_repair() -> None:
    """A is to charge what it would have to purchase, and there is nobody to sell it."""
    store = Storage(10, 1000, 1000, 0, 10 * WH, 0, 0)
    bid = MicrogridBid([0], [0], [0], 0, NO_TURBINE, store)
    window = window_of(MicrogridTerms([100_000], [45_000], 0, 0), [bid])
    rough = plan_of(window, {(C.CONTENT, 0, 0): 5 * WH, (C.PURCHASE, 0, 0): 5})
    assert repair(window, rough) is None
    assert repair(without_trade(window), rough) is not None
