"""Certified clearing against windows solved with paper and pencil: all digits."""

from __future__ import annotations

import msgspec
import numpy as np
from tests.microgrid_cases import NO_STORAGE, NO_TURBINE, one_hour, two_hours

from gridpact.market.integer.microgrids import (
    ClearingVerdict,
    Solution,
    account_of,
    bargain_of,
    certificate_of,
    repair,
    verify,
    window_of,
    without_trade,
)
from gridpact.market.integer.microgrids.account import Account
from gridpact.market.integer.microgrids.certificate import _within, rounding_pico
from gridpact.model.microgrids import Column, MicrogridBid

MILLION = 10**6


def test_one_hour_costs_bounds_and_transfers() -> None:
    case = one_hour()
    account = account_of(case.window, case.together)
    assert account.costs == [50 * MILLION, -175 * MILLION]
    assert account.turnovers == [50 * MILLION, 275 * MILLION]
    # 20 x -45 + 5 x 45 + 10 x 55 for balances and loads; the shortages cancel their minima.
    assert sum(account.bounds) == (-900 + 225 + 550) * MILLION == sum(account.costs)
    assert account.gap_ppb == 0
    alone = account_of(without_trade(case.window), case.alone)
    assert alone.costs == alone.bounds == [1_360 * MILLION, -675 * MILLION]
    certificate = certificate_of(case.window, case.together, case.alone, [1, 1])
    # Savings 1,310,000 and -500,000 nano: each gains 405,000, at 90.5 per MWh.
    assert certificate.transfer_nano == certificate.first_transfer_nano == [-905_000, 905_000]
    assert certificate.cost_nano == [50_000, -175_000]
    assert certificate.alone_cost_nano == [1_360_000, -675_000]
    accepted = verify(case.terms, case.bids, [1, 1], certificate, 0)
    assert accepted is ClearingVerdict.ACCEPTED


def test_one_hour_by_weights() -> None:
    case = one_hour()
    certificate = certificate_of(case.window, case.together, case.alone, [2, 1])
    # Of 810,000 nano A gains 540,000 and B 270,000.
    assert certificate.transfer_nano == [540_000 - 1_310_000, 270_000 + 500_000]
    assert verify(case.terms, case.bids, [1, 1], certificate, 0) is (
        ClearingVerdict.TRANSFERS_WRONG
    )


def test_two_hours_costs_bounds_and_transfers() -> None:
    case = two_hours()
    account = account_of(case.window, case.together)
    # A: fees of 2 Wh. B: 3 Wh short, the same fees, 8 Wh from the turbine.
    turbine = 8 * 85 * MILLION + 64 * MILLION
    assert account.costs == [10 * MILLION, 150 * MILLION + 10 * MILLION + turbine]
    assert account.first_costs == account.costs
    assert sum(account.costs) - sum(account.bounds) == 250_000
    assert sum(account.bounds) == 913_750_000
    assert account.gap_ppb == -(-250_000 * 10**9 // 914_000_000)
    alone = account_of(without_trade(case.window), case.alone)
    assert alone.costs == [-90 * MILLION, 250 * MILLION + turbine + 200 * MILLION]
    assert [c - b for c, b in zip(alone.costs, alone.bounds, strict=True)] == [0, 250_000]
    bargain = bargain_of(alone, account, [1, 1])
    assert bargain.savings_pico == [-100 * MILLION, 290 * MILLION]
    assert bargain.surplus_pico == 190 * MILLION
    assert not bargain.first_loses
    certificate = certificate_of(case.window, case.together, case.alone, [1, 1])
    # 190,000 nano saved, 95,000 each.
    assert certificate.transfer_nano == [195_000, -195_000]
    # The gap of 250,000 pico is far below what a Wh may cost here, so no share has to cover it.
    assert verify(case.terms, case.bids, [1, 1], certificate, 0) is ClearingVerdict.ACCEPTED


def test_plans_by_hand_survive_repair() -> None:
    for case in (one_hour(), two_hours()):
        assert (repair(case.window, case.together.plan) == case.together.plan).all()
        separate = without_trade(case.window)
        assert (repair(separate, case.alone.plan) == case.alone.plan).all()


def test_a_first_period_may_lose_and_is_shared_like_any_other() -> None:
    """B pays for what A stores in the first hour, and only the second hour brings it back."""
    alone = Account([0, 300_000], [0, 0], [0, 0], [0, 0])
    together = Account([100_000, 50_000], [100_000, -40_000], [0, 0], [0, 0])
    bargain = bargain_of(alone, together, [1, 1])
    assert bargain.surplus_pico == 150_000
    assert bargain.first_loses
    assert bargain.transfer_nano == [175, -175]
    # Of the 60 nano lost each bears 30.
    assert bargain.first_transfer_nano == [70, -70]


def test_money_in_another_unit_scales_everything() -> None:
    case = two_hours()
    terms = msgspec.structs.replace(
        case.terms,
        retail_micro_per_kwh=[3 * price for price in case.terms.retail_micro_per_kwh],
        feed_in_micro_per_kwh=[3 * price for price in case.terms.feed_in_micro_per_kwh],
        fee_per_side_micro_per_kwh=15_000,
        end_micro_per_kwh=1_200_000,
    )
    bids = [case.bids[0], msgspec.structs.replace(case.bids[1], turbine=NO_TURBINE)]
    dear = [
        msgspec.structs.replace(bid, shortage_micro_per_kwh=3 * bid.shortage_micro_per_kwh)
        for bid in bids
    ]
    found = []
    for factor, one, own in ((1, case.terms, bids), (3, terms, dear)):
        solutions = []
        for solution in (case.together, case.alone):
            plan = solution.plan.copy()
            plan[Column.BUY] += plan[Column.TURBINE]
            plan[Column.TURBINE] = 0
            solutions.append(Solution(plan, factor * solution.duals, factor * solution.balance))
        found.append(certificate_of(window_of(one, own), *solutions, [1, 1]))
    small, large = found
    assert verify(terms, dear, [1, 1], large, 0) is ClearingVerdict.ACCEPTED
    for name in ("cost_nano", "alone_cost_nano", "transfer_nano", "first_transfer_nano"):
        assert getattr(large, name) == [3 * money for money in getattr(small, name)]


def test_microgrids_in_another_order_get_the_same() -> None:
    case = two_hours()
    first = certificate_of(case.window, case.together, case.alone, [2, 1])
    turned = [
        Solution(one.plan[:, ::-1], one.duals[:, ::-1], one.balance)
        for one in (case.together, case.alone)
    ]
    window = window_of(case.terms, case.bids[::-1])
    second = certificate_of(window, *turned, [1, 2])
    for name in ("cost_nano", "alone_cost_nano", "transfer_nano", "first_transfer_nano"):
        assert getattr(second, name) == getattr(first, name)[::-1]
    verdict = verify(case.terms, case.bids[::-1], [1, 2], second, 300_000)
    assert verdict is ClearingVerdict.ACCEPTED


def test_who_has_nothing_changes_no_cost_and_needs_no_trade() -> None:
    case = two_hours()
    nobody = MicrogridBid([0, 0], [0, 0], [0, 0], 0, NO_TURBINE, NO_STORAGE)
    bids = [*case.bids, nobody]
    room = ((0, 0), (0, 1), (0, 0))
    wider = [
        Solution(np.pad(one.plan, room), np.pad(one.duals, room), one.balance)
        for one in (case.together, case.alone)
    ]
    found = certificate_of(window_of(case.terms, bids), *wider, [1, 1, 0])
    assert found.cost_nano == [10_000, 904_000, 0]
    assert found.transfer_nano == [195_000, -195_000, 0]
    assert verify(case.terms, bids, [1, 1, 0], found, 300_000) is ClearingVerdict.ACCEPTED


def test_a_gap_is_a_share_of_turnover_or_what_whole_wh_cost() -> None:
    """A Wh in each of two hours at 100,000 + 60,000 + 2 x 5,000 micro per kWh."""
    case = two_hours()
    rounding = rounding_pico(case.window)
    assert rounding == (2 * (100 + 60 + 10) + 400) * MILLION
    cost, turnover = 2 * 10**9, 2 * 10**9
    assert _within(0, cost, cost - rounding, turnover, rounding)
    assert not _within(0, cost, cost - rounding - 1, turnover, rounding)
    assert _within(500_000_000, cost, cost - turnover // 2, turnover, rounding)
    assert not _within(500_000_000, cost, cost - turnover // 2 - 1, turnover, rounding)
