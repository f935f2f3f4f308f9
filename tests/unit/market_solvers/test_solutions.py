"""Solutions are feasible, optimal by their own duals, and the same whoever solves."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from tests.unit.market_solvers.windows import bid_of, changed, standin, terms_of, windows

from gridpact.market.solvers import (
    Programme,
    Solution,
    SolveError,
    programme_of,
    solve_alone,
    solve_together,
)
from gridpact.market.solvers import solve as solving
from gridpact.market.solvers.programme import alone
from gridpact.market.solvers.solution import columns_of, is_good, rows_of, scales
from gridpact.market.solvers.solve import GAP_LAST, by_clarabel, by_piqp, structured
from gridpact.market.solvers.sparse import Piqp, form_of
from gridpact.model.microgrids import Column, MicrogridBid, MicrogridTerms, Turbine

Window = tuple[MicrogridTerms, list[MicrogridBid]]


@given(windows())
@settings(max_examples=150)
def test_plans_keep_all_rules_and_duals_prove_them_best(window: Window) -> None:
    programme = programme_of(*window)
    price, energy = scales(programme)
    for found, solved in (
        (solve_together(programme), programme),
        (solve_alone(programme), alone(programme)),
    ):
        assert (found.plan_kwh >= solved.lower).all()
        assert (found.plan_kwh <= solved.upper).all()
        assert found.missing_kwh <= 1e-9 * energy
        assert -1e-9 <= found.gap <= GAP_LAST
        assert found.dual_residual <= 1e-3 * price
        assert found.costs.sum() >= found.bounds.sum() - 1e-9 * price * energy


@given(windows())
@settings(max_examples=60)
def test_three_solvers_find_one_cost(window: Window) -> None:
    programme = programme_of(*window)
    price, energy = scales(programme)
    ours, piqp, clarabel = (solve(programme) for solve in (structured, by_piqp, by_clarabel))
    near = 1e-6 * price * energy * programme.constants[..., 0].size
    for one in (ours, piqp, clarabel):
        if is_good(programme, one):
            assert one.cost == pytest.approx(solve_together(programme).cost, abs=near)
    assert is_good(programme, ours) or is_good(programme, piqp) or is_good(programme, clarabel)


def test_structured_is_as_tight_as_piqp_on_the_day() -> None:
    programme = programme_of(*standin())
    ours, piqp = structured(programme), by_piqp(programme)
    assert ours.gap <= max(piqp.gap, 1e-10)
    assert ours.missing_kwh <= max(piqp.missing_kwh, 1e-9)
    assert ours.cost == pytest.approx(piqp.cost, rel=1e-9)
    np.testing.assert_allclose(ours.balance_duals, piqp.balance_duals, atol=1e-6)


def rounded_bounds(solved: Programme, found: Solution) -> np.ndarray:
    """Shape (M,): what duals rounded to 1e-12 currency per Wh, 1e-9 per kWh, prove."""
    duals, balance = np.round(found.duals, 9), np.round(found.balance_duals, 9)
    reduced = solved.cost - columns_of(solved, duals, balance)
    curved = solved.curvature > 0
    ends = np.where(reduced > 0, solved.lower, solved.upper)
    best = np.where(curved, -reduced / np.where(curved, solved.curvature, 1.0), ends)
    best = np.clip(best, solved.lower, solved.upper)
    least = best * (reduced + 0.5 * solved.curvature * best)
    fixed = (duals * solved.constants).sum(axis=2) + solved.shortage
    bounds: np.ndarray = fixed.sum(axis=1) + least.sum(axis=(1, 2))
    return bounds


@given(windows())
@settings(max_examples=100)
@example(standin())
@example((terms_of(1), [bid_of([9], [0], flow_wh=5, content_wh=(0, 20, 0, 20))]))
def test_rounded_duals_still_prove_the_optimum(window: Window) -> None:
    """Within 1e-6 of the turnover, of all together and of each alone, and of what rounding costs:
    a column has at most two duals, so its price moves by 1e-9 at most, over all of its energy."""
    programme = programme_of(*window)
    price, energy = scales(programme)
    rounding = 1e-9 * np.abs(programme.upper).sum(axis=(1, 2)) + 1e-9 * price * energy
    found = solve_together(programme)
    unproved = found.cost - rounded_bounds(programme, found).sum()
    assert unproved <= 1e-6 * found.turnovers.sum() + rounding.sum()
    apart = solve_alone(programme)
    each = apart.costs.sum(axis=1) - rounded_bounds(alone(programme), apart)
    assert (each <= 1e-6 * apart.turnovers + rounding).all()


def test_what_can_be_missing_counts_in_whole_wh_as_in_certificates() -> None:
    """Of 20.3 Wh at the end 19.3 are short of the least: at most 20 are missing."""
    storage = changed(
        bid_of([9], [0]).storage,
        content_min_uwh=1_000_000,
        content_max_uwh=30_000_000,
        content_start_uwh=1_000_000,
        content_end_uwh=20_300_000,
    )
    programme = programme_of(terms_of(1), [changed(bid_of([9], [0]), storage=storage)])
    assert programme.upper[0, 0, Column.MISSING] == pytest.approx(0.020)
    plan = solve_alone(programme).plan_kwh
    assert plan[0, 0, Column.MISSING] == pytest.approx(0.0193)


def test_duals_are_prices() -> None:
    """The cost is convex in load, generation and start: a kWh more costs no less than the dual
    says, a kWh less saves no more."""
    programme = programme_of(*standin())
    found = solve_together(programme)
    for row in range(3):
        change = []
        for energy in (-1.0, 1.0):
            other = replace(programme, constants=programme.constants.copy())
            other.constants[1, 0, row] += energy
            change.append(solve_together(other).cost - found.cost)
        assert -change[0] - 1e-5 <= found.duals[1, 0, row] <= change[1] + 1e-5
        assert change[1] + change[0] < 0.02


def test_wrong_duals_prove_less() -> None:
    programme = programme_of(*standin())
    found = solve_together(programme)
    from gridpact.market.solvers.solution import judged

    worse = judged(
        programme, "none", "", 0, found.plan_kwh, found.duals + 0.01, found.balance_duals
    )
    assert worse.gap > 1e-4
    assert not is_good(programme, worse)


def test_rows_and_columns_are_transposes() -> None:
    programme = programme_of(*standin())
    chance = np.random.default_rng(1)
    x = chance.normal(size=programme.cost.shape)
    x[:, :-1, Column.MISSING] = 0.0
    y, balance = chance.normal(size=programme.constants.shape), chance.normal(size=24)
    rows, traded = rows_of(programme, x)
    forward = (rows * y).sum() + traded @ balance
    assert forward == pytest.approx((columns_of(programme, y, balance) * x).sum())
    form = form_of(programme)
    flat = np.concatenate([rows.ravel(), traded])
    np.testing.assert_allclose(form.matrix @ x.ravel(), flat, atol=1e-9)


def test_a_scaled_window_has_a_scaled_plan_and_cost() -> None:
    terms, bids = standin()
    tripled = changed(
        terms,
        retail_micro_per_kwh=[3 * price for price in terms.retail_micro_per_kwh],
        feed_in_micro_per_kwh=[3 * price for price in terms.feed_in_micro_per_kwh],
        fee_per_side_micro_per_kwh=3 * terms.fee_per_side_micro_per_kwh,
        end_micro_per_kwh=3 * terms.end_micro_per_kwh,
    )
    dear = [
        changed(
            bid,
            shortage_micro_per_kwh=3 * bid.shortage_micro_per_kwh,
            turbine=Turbine(
                3 * bid.turbine.quadratic_pico_per_wh2,
                3 * bid.turbine.linear_micro_per_kwh,
                bid.turbine.energy_max_wh,
            ),
        )
        for bid in bids
    ]
    once, thrice = (solve_together(programme_of(*one)) for one in ((terms, bids), (tripled, dear)))
    assert thrice.cost == pytest.approx(3 * once.cost, rel=1e-9)


def test_piqp_gives_the_same_after_an_update() -> None:
    terms, bids = standin()
    less = [changed(bid, renewable_wh=[g // 2 for g in bid.renewable_wh]) for bid in bids]
    kept = Piqp()
    kept.solve(form_of(programme_of(terms, bids)))
    form = form_of(programme_of(terms, less))
    again, fresh = kept.solve(form), Piqp().solve(form)
    cost = form.cost * form.price
    assert cost @ again.columns_kwh == pytest.approx(cost @ fresh.columns_kwh, rel=1e-8)


def test_a_failed_solver_is_followed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    programme = programme_of(*standin())
    right = solve_together(programme)

    def broken(*numbers: object) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        shape = programme.cost.shape
        return np.full(shape, np.nan), np.zeros((*shape[:2], 3)), np.zeros(shape[1]), 7

    monkeypatch.setattr(solving.kernel, "optimise", broken)
    monkeypatch.setattr(solving.kernel, "optimise_each", broken)
    together = solve_together(programme)
    assert together.solver == "PIQP"
    assert together.cost == pytest.approx(right.cost, rel=1e-9)
    assert solve_alone(programme).status == "mended"
    monkeypatch.setattr(solving, "is_good", lambda *_: False)
    with pytest.raises(SolveError, match=r"structured.*PIQP.*Clarabel") as failure:
        solve_together(programme)
    assert [one.solver for one in failure.value.attempts] == ["structured", "PIQP", "Clarabel"]


def test_order_of_microgrids_permutes_plan_and_duals() -> None:
    terms, bids = standin()
    order = [2, 0, 3, 1]
    found = solve_together(programme_of(terms, bids))
    turned = solve_together(programme_of(terms, [bids[place] for place in order]))
    assert turned.cost == pytest.approx(found.cost, rel=1e-10)
    np.testing.assert_allclose(turned.duals[:, :, :2], found.duals[order][:, :, :2], atol=1e-2)


def test_programmes_share_their_fields() -> None:
    programme = programme_of(terms_of(2), [bid_of([5, 5], [1, 9]), bid_of([7, 0], [0, 0])])
    one = programme.only(1)
    assert isinstance(one, Programme)
    assert {field.name: getattr(one, field.name).shape[0] for field in fields(one)} == {
        field.name: 1 for field in fields(one)
    }
    assert isinstance(solve_together(one), Solution)
