"""Claims of [AEPS22] about bargaining between four microgrids, on a stand-in for its data.

The paper prints neither loads nor device parameters. `gridpact/data/microgrids/aeps22.json` stands
in; what it should give was computed once with other software and stands in the file. The directions
of the paper's claims are checked; its numbers (a gain of 2,133 USD each; costs without the green
attribute) belong to data that nobody has.

Then what the method does to those who lie or split: facts that a market's rules have to live with.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tests.unit.market_solvers.windows import STANDIN, changed, standin

from gridpact.market.solvers import clear_microgrids, programme_of, roll, solve_together
from gridpact.market.solvers.sparse import form_of
from gridpact.model.microgrids import Column, MicrogridBid, Storage, Turbine

EXPECTED: dict[str, Any] = json.loads(STANDIN.read_text(encoding="utf-8"))["expected"]
BUYERS, SELLERS = [0, 3], [1, 2]


def gain_of(bids: list[MicrogridBid], microgrid: int, truth: MicrogridBid) -> float:
    """What a microgrid gains with these bids, counted with its true loss for shortage."""
    cleared = clear_microgrids(standin()[0], bids)
    demand = np.array(truth.green_demand_wh) / 1000
    price = truth.shortage_micro_per_kwh - bids[microgrid].shortage_micro_per_kwh
    used = cleared.together.plan_kwh[microgrid, :, Column.GREEN_DEMANDED]
    unstated = price / 1e6 * (demand - used).sum()
    honest = clear_microgrids(standin()[0], standin()[1]).disagreement_costs[microgrid]
    return float(honest - cleared.net_costs[microgrid] - unstated)


def test_disagreement_costs_gains_and_net_costs_of_the_stand_in() -> None:
    cleared = clear_microgrids(*standin())
    assert cleared.disagreement_costs == pytest.approx(EXPECTED["disagreement_cost_usd"], abs=0.01)
    assert cleared.surplus == pytest.approx(EXPECTED["total_surplus_usd"], abs=0.01)
    assert cleared.gains == pytest.approx([EXPECTED["gain_each_usd"]] * 4, abs=0.01)
    assert np.ptp(cleared.gains) < 1e-6
    assert cleared.net_costs == pytest.approx(EXPECTED["net_cost_usd"], abs=0.01)


def test_microgrids_1_and_4_buy_from_2_and_3() -> None:
    """Source: section 4.2, Fig. 3."""
    sales = clear_microgrids(*standin()).together.net_sales_kwh.sum(axis=1)
    assert (sales[SELLERS] > 0).all()
    assert (sales[BUYERS] < 0).all()


def test_more_is_traded_with_the_green_attribute_than_without() -> None:
    """Source: section 4.2, Fig. 3. Without it no one loses by unmet green demand."""
    terms, bids = standin()
    volumes = []
    for given in (bids, [changed(bid, shortage_micro_per_kwh=0) for bid in bids]):
        sales = clear_microgrids(terms, given).together.net_sales_kwh
        volumes.append(np.maximum(sales, 0.0).sum())
    green, grey = volumes
    assert green == pytest.approx(EXPECTED["traded_kwh"], rel=1e-3)
    assert grey == pytest.approx(EXPECTED["traded_kwh_without_green_attribute"], rel=1e-3)
    assert green > grey


def test_every_hour_of_a_rolling_day_is_settled() -> None:
    """The paper's logarithm is undefined in hours whose part of the surplus is negative."""
    day = roll(*standin())
    assert day.surpluses.min() < 0
    assert np.isfinite(day.transfers).all()
    assert np.abs(day.transfers.sum(axis=0)).max() < 1e-9


def test_cvxpy_finds_the_same_costs() -> None:
    cvxpy = pytest.importorskip("cvxpy")
    programme = programme_of(*standin())
    form = form_of(programme)
    x = cvxpy.Variable(len(form.cost))
    cost = 0.5 * cvxpy.sum_squares(cvxpy.multiply(np.sqrt(form.curvature), x)) + form.cost @ x
    limits = [form.matrix @ x == form.constants, x >= form.lower, x <= form.upper]
    problem = cvxpy.Problem(cvxpy.Minimize(cost), limits)
    problem.solve(solver="CLARABEL")
    whole = problem.value * form.price * form.energy_kwh + programme.shortage.sum()
    assert solve_together(programme).cost == pytest.approx(whole, rel=1e-7)


def test_cvxpy_finds_the_transfers_that_maximise_the_product_of_gains() -> None:
    """Source: eq. (18), with a logarithm and a solver where ours has a closed form."""
    cvxpy = pytest.importorskip("cvxpy")
    cleared = clear_microgrids(*standin())
    saved = cleared.disagreement_costs - cleared.together.costs.sum(axis=1)
    y = cvxpy.Variable(4)
    product = cvxpy.sum(cvxpy.log(saved / 1000 + y))
    cvxpy.Problem(cvxpy.Maximize(product), [cvxpy.sum(y) == 0]).solve(solver="CLARABEL")
    np.testing.assert_allclose(cleared.transfers.sum(axis=1), 1000 * y.value, atol=0.5)


# Incentives


def test_a_buyer_gains_by_understating_its_loss() -> None:
    """MG1 that states 0.3, 0.8, 0 and 1.3 of its loss gains 3012, 2486, about 3120 and 1274 instead
    of 2275. Nothing in the method makes the truth the best answer."""
    _, bids = standin()
    truth = bids[0]
    gains = []
    for percent in (30, 80, 100, 130, 0):
        loss = truth.shortage_micro_per_kwh * percent // 100
        lie = [changed(truth, shortage_micro_per_kwh=loss), *bids[1:]]
        gains.append(gain_of(lie, 0, truth))
    assert gains[:-1] == pytest.approx([3012, 2486, 2275.53, 1274], abs=0.6)
    assert gains[-1] == pytest.approx(3120, abs=5)


def test_a_seller_loses_by_understating_its_loss() -> None:
    _, bids = standin()
    for seller in SELLERS:
        lie = list(bids)
        lie[seller] = changed(bids[seller], shortage_micro_per_kwh=12_000)
        assert gain_of(lie, seller, bids[seller]) < 2000


def test_who_brings_nothing_takes_a_share() -> None:
    """A microgrid without load, generation and storage takes a fifth of the others' surplus."""
    terms, bids = standin()
    idle, empty = [0] * 24, Storage(0, 1, 1, 0, 0, 0, 0)
    nobody = MicrogridBid(idle, idle, idle, 0, Turbine(0, 0, 0), empty)
    cleared = clear_microgrids(terms, [*bids, nobody])
    assert cleared.gains[4] == pytest.approx(EXPECTED["total_surplus_usd"] / 5, abs=0.1)


def test_who_splits_takes_two_shares() -> None:
    """MG4 as two halves takes 3,641 instead of 2,276, so membership must not be free."""
    terms, bids = standin()
    whole = bids[3]
    half = changed(
        whole,
        load_wh=[energy // 2 for energy in whole.load_wh],
        green_demand_wh=[energy // 2 for energy in whole.green_demand_wh],
        renewable_wh=[energy // 2 for energy in whole.renewable_wh],
        turbine=Turbine(
            2 * whole.turbine.quadratic_pico_per_wh2,
            whole.turbine.linear_micro_per_kwh,
            whole.turbine.energy_max_wh // 2,
        ),
        storage=changed(
            whole.storage,
            energy_max_wh=whole.storage.energy_max_wh // 2,
            content_min_uwh=whole.storage.content_min_uwh // 2,
            content_max_uwh=whole.storage.content_max_uwh // 2,
            content_start_uwh=whole.storage.content_start_uwh // 2,
            content_end_uwh=whole.storage.content_end_uwh // 2,
        ),
    )
    cleared = clear_microgrids(terms, [*bids[:3], half, half])
    assert cleared.surplus == pytest.approx(EXPECTED["total_surplus_usd"], abs=0.5)
    assert cleared.gains[3:].sum() == pytest.approx(3641, abs=1)
