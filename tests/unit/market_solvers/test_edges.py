"""Windows at the edge: nothing to trade, nothing to store, odd prices, ends out of reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from tests.unit.market_solvers.windows import UWH, bid_of, changed, standin, terms_of, windows

from gridpact.errors import InputError
from gridpact.market.solvers import (
    clear_microgrids,
    programme_of,
    solve_alone,
    solve_together,
)
from gridpact.market.solvers.solution import scales
from gridpact.model.microgrids import Column, MicrogridBid, MicrogridTerms, Row, Turbine

Window = tuple[MicrogridTerms, list[MicrogridBid]]


def no_trade(terms: MicrogridTerms, bids: list[MicrogridBid]) -> None:
    cleared = clear_microgrids(terms, bids)
    assert cleared.surplus == 0.0
    assert not cleared.transfers.any()
    assert not cleared.together.net_sales_kwh.any()
    np.testing.assert_array_equal(cleared.net_costs, cleared.disagreement_costs)


def test_one_microgrid_trades_with_nobody() -> None:
    no_trade(terms_of(2), [bid_of([1000, 2000], [3000, 0], flow_wh=500, content_wh=(0, 900, 0, 0))])


def test_equal_microgrids_do_not_trade() -> None:
    bid = bid_of([1000, 2000], [3000, 0])
    no_trade(terms_of(2), [bid] * 3)


def test_without_renewables_nobody_trades() -> None:
    terms, bids = standin()
    empty = [
        changed(
            bid,
            renewable_wh=[0] * 24,
            storage=changed(bid.storage, content_start_uwh=bid.storage.content_min_uwh,
                            content_end_uwh=0),
        )
        for bid in bids
    ]  # fmt: skip
    no_trade(terms, empty)


def test_nothing_at_all_costs_nothing() -> None:
    cleared = clear_microgrids(terms_of(3), [bid_of([0] * 3, [0] * 3)] * 2)
    assert not cleared.net_costs.any()


def test_one_period_by_hand() -> None:
    """2 kWh of surplus meet 3 kWh of load, of which 2 should be green.

    Alone: 2 x 0.045 earned; 3 x 0.15 + 2 x 0.05 paid. Together the 2 kWh are sold: 1 x 0.15 and
    fees of 4 x 0.005. So 0.46 becomes 0.17 and each gains 0.145.
    """
    seller, buyer = bid_of([0], [2000]), bid_of([3000], [0], demand_wh=[2000])
    cleared = clear_microgrids(terms_of(1), [seller, buyer])
    assert cleared.disagreement_costs == pytest.approx([-0.09, 0.55])
    assert cleared.surplus == pytest.approx(0.29)
    assert cleared.gains == pytest.approx([0.145, 0.145])
    assert cleared.transfers[:, 0] == pytest.approx([0.245, -0.245])
    assert cleared.together.net_sales_kwh[:, 0] == pytest.approx([2.0, -2.0])
    prices, side = cleared.pair_prices(0)
    assert prices[0, 1] == pytest.approx(0.1225)
    assert np.isnan(prices[1, 0])
    assert side == pytest.approx([0.0, 0.0], abs=1e-9)


def test_missing_end_content_costs_its_price_and_no_more() -> None:
    """Nothing can charge, 700 of 1000 Wh are missing: 0.7 kWh at 2 each. Feasible all the same."""
    bid = bid_of([0], [0], content_wh=(0, 1000, 300, 1000))
    terms = terms_of(1, end_micro_per_kwh=2_000_000)
    found = solve_alone(programme_of(terms, [bid]))
    assert found.cost == pytest.approx(1.4)
    assert found.plan_kwh[0, 0, Column.MISSING] == pytest.approx(0.7)


def test_a_cheap_end_price_sells_what_is_stored() -> None:
    bid = bid_of([0], [0], flow_wh=1000, content_wh=(0, 1000, 1000, 1000))
    found = solve_alone(programme_of(terms_of(1, end_micro_per_kwh=40_000), [bid]))
    assert found.cost == pytest.approx(0.04 - 0.045)
    kept = solve_alone(programme_of(terms_of(1, end_micro_per_kwh=50_000), [bid]))
    assert kept.cost == pytest.approx(0.0, abs=1e-9)


def test_storage_without_capacity_and_storage_without_flow() -> None:
    still = bid_of([1000, 0], [0, 800], flow_wh=500)
    full = bid_of([1000, 0], [0, 800], content_wh=(0, 2000, 900, 900))
    for bid in (still, full):
        found = solve_alone(programme_of(terms_of(2), [bid]))
        assert not found.plan_kwh[..., [Column.CHARGE, Column.DISCHARGE]].round(6).any()
        assert found.cost == pytest.approx(0.15 + 0.5 * 0.05 - 0.8 * 0.045)


@given(windows(price_min=-100_000))
@settings(max_examples=80)
def test_charging_and_discharging_at_once_never_pays(window: Window) -> None:
    """Losing energy in the storage is worth nothing even where prices are negative, as surplus may
    be curtailed for nothing. Nor does selling and purchasing at once.

    Where all generation is curtailed already and export costs, a plan may lose stored energy this
    way; that energy has no price then.
    """
    export_costs = np.array(window[0].feed_in_micro_per_kwh) < 0
    for solve in (solve_together, solve_alone):
        programme = programme_of(*window)
        price, energy = scales(programme)
        found = solve(programme)
        plan = found.plan_kwh
        sold_twice = np.minimum(plan[..., Column.SELL], plan[..., Column.PURCHASE])
        assert (sold_twice <= 1e-9 * energy).all()
        cycled = np.minimum(plan[..., Column.CHARGE], plan[..., Column.DISCHARGE])
        assert (cycled[:, ~export_costs] <= 1e-6 * energy).all()
        worth = cycled * np.abs(found.duals[..., Row.GREEN])
        assert (worth <= 1e-6 * price * energy).all()


def test_worthless_stored_energy_is_neither_cycled_nor_lost_from_the_balance() -> None:
    """Nothing to curtail and nothing to earn: what a cycle would lose is exported."""
    terms = terms_of(
        3,
        retail_micro_per_kwh=[0] * 3,
        feed_in_micro_per_kwh=[0] * 3,
        fee_per_side_micro_per_kwh=0,
        end_micro_per_kwh=0,
    )
    idle = bid_of([0] * 3, [0] * 3, flow_wh=10, content_wh=(0, 30, 1, 0), permille=700)
    for solve in (solve_together, solve_alone):
        found = solve(programme_of(terms, [idle]))
        cycled = np.minimum(
            found.plan_kwh[..., Column.CHARGE], found.plan_kwh[..., Column.DISCHARGE]
        )
        assert cycled.max() < 1e-12
        assert found.missing_kwh < 1e-10


def test_negative_prices_fill_the_load_from_the_grid() -> None:
    terms = terms_of(1, retail_micro_per_kwh=[-20_000], feed_in_micro_per_kwh=[-30_000])
    bid = bid_of([1000], [500], flow_wh=400, content_wh=(0, 800, 0, 0), demand_wh=[0])
    found = solve_alone(programme_of(terms, [bid]))
    assert found.cost == pytest.approx(-0.02)
    assert found.plan_kwh[0, 0, Column.EXPORT] == pytest.approx(0.0, abs=1e-6)


def test_without_fee_net_trade_is_reported() -> None:
    terms, bids = standin()
    free = changed(terms, fee_per_side_micro_per_kwh=0)
    found = solve_together(programme_of(free, bids))
    plan = found.plan_kwh
    assert np.minimum(plan[..., Column.SELL], plan[..., Column.PURCHASE]).max() == 0.0
    assert np.abs(found.net_sales_kwh.sum(axis=0)).max() < 1e-6
    assert found.cost < solve_together(programme_of(terms, bids)).cost


def test_green_energy_serves_the_demand_for_it_first() -> None:
    """Also where a shortage costs nothing, so that the plan says who was short."""
    terms = terms_of(1, feed_in_micro_per_kwh=[0])
    found = solve_alone(programme_of(terms, [bid_of([1000], [400], shortage=0)]))
    plan = found.plan_kwh[0, 0]
    assert plan[Column.GREEN_DEMANDED] == pytest.approx(0.4)
    assert plan[Column.GREEN_OTHER] == pytest.approx(0.0, abs=1e-9)


def test_huge_and_tiny_microgrids_in_one_window() -> None:
    """The dwarf sells what it does not use itself, 6 Wh, as far as the gap can see: 1e-10 of the
    giant's costs. Gains are equal all the same."""
    giant = bid_of(
        [2 * 10**9], [0], flow_wh=10**9, content_wh=(0, 2 * 10**9, 0, 0), turbine=Turbine(1, 9, 9)
    )
    dwarf = bid_of([3], [9])
    cleared = clear_microgrids(terms_of(1), [giant, dwarf])
    assert 0.005 < cleared.together.net_sales_kwh[1, 0] < 0.009
    assert cleared.together.slack < 1e-9 * cleared.together.turnovers.sum()
    assert cleared.gains[0] == pytest.approx(cleared.gains[1], abs=1e-9)


def test_nobody_dares_what_contradicts_itself() -> None:
    terms = terms_of(2)
    bid = bid_of([1000, 1000], [0, 0])
    with pytest.raises(InputError) as refused:
        programme_of(
            terms,
            [
                changed(bid, load_wh=[1000]),
                changed(bid, green_demand_wh=[1001, 0]),
                changed(bid, storage=changed(bid.storage, content_start_uwh=UWH)),
            ],
        )
    places = [problem.where for problem in refused.value.problems]
    assert places == [
        "bids[0].load_wh",
        "bids[1].green_demand_wh[0]",
        "bids[2].storage.content_start_uwh",
    ]
    with pytest.raises(InputError, match=r"bids.*are 0; allowed: 1\.\.512"):
        programme_of(terms, [])
    with pytest.raises(InputError, match="feed_in"):
        programme_of(changed(terms, feed_in_micro_per_kwh=[1]), [bid])
    with pytest.raises(InputError, match="0 periods"):
        programme_of(terms_of(0), [])


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_not_finite_stops_at_the_door(number: float) -> None:
    bid = changed(bid_of([1000], [0]), renewable_wh=[number])
    with pytest.raises(InputError, match="not finite"):
        clear_microgrids(terms_of(1), [bid])
    with pytest.raises(InputError, match=r"weights\[0\]"):
        clear_microgrids(terms_of(1), [bid_of([1000], [0])], weights=[number])
