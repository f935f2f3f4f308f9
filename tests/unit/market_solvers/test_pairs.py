"""Trade by pairs: the same as together where pairs do not matter, dearer where they do."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from tests.unit.market_solvers.windows import standin, windows

from gridpact.errors import InputError
from gridpact.market.solvers import Pairs, programme_of, solve_alone, solve_pairs, solve_together
from gridpact.market.solvers.solution import scales
from gridpact.model.microgrids import Column, MicrogridBid, MicrogridTerms

Window = tuple[MicrogridTerms, list[MicrogridBid]]


def all_pairs(microgrids: int, periods: int, fee: float, most_kwh: float) -> Pairs:
    ends = np.array(list(permutations(range(microgrids), 2)), np.int64).reshape(-1, 2)
    return Pairs(
        seller=ends[:, 0],
        buyer=ends[:, 1],
        fee_per_side=np.full(len(ends), fee),
        most_kwh=np.full((len(ends), periods), most_kwh),
    )


@given(windows(fee_min=1_000))
@settings(max_examples=30)
def test_one_fee_for_all_pairs_costs_what_trade_together_does(window: Window) -> None:
    terms, bids = window
    programme = programme_of(terms, bids)
    price, energy = scales(programme)
    fee = terms.fee_per_side_micro_per_kwh / 1e6
    pairs = all_pairs(len(bids), programme.periods, fee, 4 * energy)
    found = solve_pairs(programme, pairs)
    together = solve_together(programme)
    assert found.costs.sum() == pytest.approx(together.cost, abs=1e-6 * price * energy)


def test_forbidden_and_limited_pairs_cost_more() -> None:
    programme = programme_of(*standin())
    free = all_pairs(4, 24, 0.005, 20_000.0)
    best = solve_pairs(programme, free).costs.sum()
    assert best == pytest.approx(solve_together(programme).cost, rel=1e-8)
    limited = all_pairs(4, 24, 0.005, 500.0)
    found = solve_pairs(programme, limited)
    assert found.flows_kwh.max() <= 500.0
    assert found.costs.sum() > best + 100
    shut = all_pairs(4, 24, 0.005, 0.0)
    alone = solve_alone(programme).cost
    assert solve_pairs(programme, shut).costs.sum() == pytest.approx(alone, rel=1e-8)
    nobody = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 24)))
    assert solve_pairs(programme, nobody).costs.sum() == pytest.approx(alone, rel=1e-8)


def test_a_dear_pair_is_avoided_and_sums_are_those_of_the_plan() -> None:
    programme = programme_of(*standin())
    pairs = all_pairs(4, 24, 0.005, 20_000.0)
    dear = (pairs.seller == 1) & (pairs.buyer == 0)
    pairs.fee_per_side[dear] = 0.02
    found = solve_pairs(programme, pairs)
    before = solve_pairs(programme, all_pairs(4, 24, 0.005, 20_000.0))
    assert found.flows_kwh[dear].sum() < before.flows_kwh[dear].sum()
    for side, column in ((pairs.seller, Column.SELL), (pairs.buyer, Column.PURCHASE)):
        sums = np.zeros((4, 24))
        np.add.at(sums, side, found.flows_kwh)
        np.testing.assert_allclose(sums, found.plan_kwh[..., column], atol=1e-5)


def test_pairs_that_make_no_sense_are_refused() -> None:
    programme = programme_of(*standin())
    pairs = all_pairs(4, 24, 0.005, 10.0)
    pairs.buyer[2], pairs.most_kwh[0, 0] = 9, np.nan
    pairs.fee_per_side[1] = -1.0
    with pytest.raises(InputError) as refused:
        solve_pairs(programme, pairs)
    places = [problem.where for problem in refused.value.problems]
    assert places == ["pairs[2]", "pairs.fee_per_side", "pairs.most_kwh"]
