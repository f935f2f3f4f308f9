"""What a bargain promises, on random windows; the sums behind it, on days."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.market_solvers.windows import STANDIN, changed, standin, windows

import gridpact
from gridpact.errors import InputError
from gridpact.market.solvers import (
    clear_microgrids,
    pair_prices,
    programme_of,
    proportional_flows,
    roll,
    solve_together,
)
from gridpact.market.solvers.solution import scales
from gridpact.model.microgrids import Column, MicrogridBid, MicrogridTerms

Window = tuple[MicrogridTerms, list[MicrogridBid]]


@given(windows(), st.lists(st.floats(0.1, 9.0), min_size=4, max_size=4))
@settings(max_examples=100)
def test_every_gain_is_its_share_of_the_surplus(window: Window, drawn: list[float]) -> None:
    """Equal gains with equal weights, nobody worse off, transfers that sum to 0."""
    terms, bids = window
    for weights in (None, drawn[: len(bids)]):
        cleared = clear_microgrids(terms, bids, weights)
        money = cleared.alone.turnovers.sum() + 1e-12
        assert cleared.surplus >= 0.0
        assert cleared.weights.sum() == pytest.approx(1.0)
        np.testing.assert_allclose(
            cleared.gains, cleared.weights * cleared.surplus, rtol=1e-6, atol=1e-9 * money
        )
        assert (cleared.gains >= -1e-9 * money).all()
        assert np.abs(cleared.transfers.sum(axis=0)).max() <= 1e-9 * money
        total = cleared.together.costs.sum()
        assert cleared.net_costs.sum() == pytest.approx(total, abs=1e-9 * money)


@given(windows())
@settings(max_examples=60)
def test_trade_balances_and_contents_stay_within_limits(window: Window) -> None:
    terms, bids = window
    cleared = clear_microgrids(terms, bids)
    plan = cleared.together.plan_kwh
    size = 1e-8 * (1.0 + np.abs(plan).max())
    assert np.abs(cleared.together.net_sales_kwh.sum(axis=0)).max() <= size
    for number, bid in enumerate(bids):
        content = plan[number, :, Column.CONTENT] * 1e9
        assert (content >= bid.storage.content_min_uwh - 1e9 * size).all()
        assert (content <= bid.storage.content_max_uwh + 1e9 * size).all()
        assert content[-1] >= bid.storage.content_end_uwh - 1e9 * size
    for period in range(plan.shape[1]):
        flows = cleared.flows_kwh(period)
        net = flows.sum(axis=1) - flows.sum(axis=0)
        np.testing.assert_allclose(net, cleared.together.net_sales_kwh[:, period], atol=size)
        assert not (np.diag(flows) > 0).any()


@given(windows(price_min=0))
@settings(max_examples=40)
def test_surplus_falls_as_the_fee_rises(window: Window) -> None:
    terms, bids = window
    surpluses = [
        clear_microgrids(changed(terms, fee_per_side_micro_per_kwh=fee), bids).surplus
        for fee in (0, 3_000, 20_000, 2_000_000)
    ]
    price, energy = scales(programme_of(changed(terms, fee_per_side_micro_per_kwh=0), bids))
    near = 1e-7 * clear_microgrids(terms, bids).alone.turnovers.sum() + 1e-8 * price * energy
    assert all(after <= before + near for before, after in pairwise(surpluses))
    assert surpluses[-1] == 0.0


@given(windows(), st.randoms())
@settings(max_examples=30)
def test_order_of_bids_permutes_net_costs(window: Window, chance: object) -> None:
    terms, bids = window
    order = list(range(len(bids)))
    chance.shuffle(order)  # type: ignore[attr-defined]
    cleared = clear_microgrids(terms, bids)
    turned = clear_microgrids(terms, [bids[place] for place in order])
    near = 1e-7 * (cleared.alone.turnovers.sum() + 1e-9)
    np.testing.assert_allclose(turned.net_costs, cleared.net_costs[order], atol=near)


def test_a_file_is_cleared_from_python() -> None:
    window = gridpact.load_microgrids(str(STANDIN))
    cleared = gridpact.clear_microgrids(window.terms, window.bids)
    assert cleared.surplus == pytest.approx(9102.1261, abs=0.01)


def test_weights_share_the_surplus_of_the_day() -> None:
    terms, bids = standin()
    cleared = clear_microgrids(terms, bids, weights=[1, 1, 2, 4])
    assert cleared.gains == pytest.approx(9102.1261 * np.array([1, 1, 2, 4]) / 8, abs=0.01)
    for weights in ([1.0], [1, 1, 0, 1], [1, 1, -1, 1]):
        with pytest.raises(InputError, match="weights"):
            clear_microgrids(terms, bids, weights)


def test_prices_of_the_day_pay_the_transfers() -> None:
    cleared = clear_microgrids(*standin())
    assert not cleared.paid_without_trade.any()
    for period in range(24):
        prices, side = cleared.pair_prices(period)
        flows = cleared.flows_kwh(period)
        payments = np.where(flows > 0, flows * prices, 0.0)
        received = payments.sum(axis=1) - payments.sum(axis=0)
        np.testing.assert_allclose(received, cleared.transfers[:, period], atol=1e-6)
        assert np.abs(side).max() < 1e-6


def test_prices_are_the_nearest_to_the_middle() -> None:
    """Two sellers, two buyers: one loop, so one price is free; no shift along it comes nearer.

    In closed form the price is the seller's mean, plus the buyer's, less the mean of all.
    """
    flows = proportional_flows(np.array([3.0, 1.0, -2.0, -2.0]))
    assert flows[:2, 2:] == pytest.approx(np.array([[1.5, 1.5], [0.5, 0.5]]))
    transfers = np.array([0.5, 0.1, -0.4, -0.2])
    prices, side = pair_prices(flows, transfers, 0.1)
    assert side == pytest.approx(np.zeros(4), abs=1e-12)
    means = [0.5 / 3, 0.1, 0.2, 0.1]
    for seller in (0, 1):
        for buyer in (2, 3):
            assert prices[seller, buyer] == pytest.approx(means[seller] + means[buyer] - 0.15)
    loop = np.array([[1 / 1.5, -1 / 1.5], [-1 / 0.5, 1 / 0.5]])
    away = (flows[:2, 2:] * (prices[:2, 2:] - 0.1) * loop).sum()
    assert away == pytest.approx(0.0, abs=1e-12)


def test_who_does_not_trade_is_paid_on_the_side() -> None:
    flows = proportional_flows(np.array([2.0, -2.0, 0.0]))
    prices, side = pair_prices(flows, np.array([0.2, -0.3, 0.1]), 0.1)
    assert side[2] == pytest.approx(0.1)
    assert side.sum() == pytest.approx(0.0)
    assert np.isfinite(prices).sum() == 1
    assert not proportional_flows(np.zeros(3)).any()


def test_rolling_with_perfect_forecasts_costs_what_one_clearing_does() -> None:
    """And what trade is worth before and after each hour adds up to equal gains of the day."""
    terms, bids = standin()
    day, whole = roll(terms, bids), clear_microgrids(terms, bids)
    assert day.costs.sum() == pytest.approx(whole.together.cost, rel=1e-8)
    net = (day.costs - day.worth_transfers).sum(axis=1)
    assert net == pytest.approx(whole.net_costs, abs=0.01)
    assert np.abs(day.transfers.sum(axis=0)).max() < 1e-9
    assert np.abs(day.net_sales_kwh.sum(axis=0)).max() < 1e-5
    # A storage that fills for the evening makes an hour's part negative; it is settled all the same
    assert (day.surpluses < 0).any()
    assert day.surpluses.sum() == pytest.approx(whole.surplus, rel=0.2)


def test_parts_of_periods_add_up() -> None:
    cleared = clear_microgrids(*standin())
    assert cleared.period_surpluses.sum() == pytest.approx(cleared.surplus)
    assert (cleared.period_surpluses < 0).any()


def test_surplus_and_volume_by_price() -> None:
    """Surplus falls with the feed-in price: 12007, 9102, 8114, 5238 at 0, .045, .06, .10."""
    terms, bids = standin()
    surpluses = [
        clear_microgrids(changed(terms, feed_in_micro_per_kwh=[price] * 24), bids).surplus
        for price in (0, 45_000, 60_000, 100_000)
    ]
    assert surpluses == pytest.approx([12_007, 9_102, 8_114, 5_238], abs=1)
    volumes = [
        np.maximum(
            solve_together(
                programme_of(changed(terms, fee_per_side_micro_per_kwh=fee), bids)
            ).net_sales_kwh,
            0,
        ).sum()
        for fee in (5_000, 30_000, 60_000, 150_000)
    ]
    assert volumes == sorted(volumes, reverse=True)
    assert volumes[-1] < 1.0
