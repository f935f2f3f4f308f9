from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.carbon.flows import dense, random_flow, solved

from gridpact.carbon import CoalCurve, TracingError, trace
from gridpact.carbon.outsourcing import (
    MaskError,
    carbon_rates,
    dense_mask,
    diagonal_mask,
    is_right,
    mask_curves,
    mask_problem,
    price_masked,
    problem_of,
    solve_masked,
    sparse_mask,
    unmask_curves,
    unmask_solution,
)
from gridpact.carbon.outsourcing.checks import DRAWS, difference, is_conserved, residual
from gridpact.carbon.outsourcing.cloud import solve_clear
from gridpact.carbon.outsourcing.masks import FILL_MAX, Mask, MaskedProblem, uniform
from gridpact.carbon.outsourcing.problem import Problem
from gridpact.errors import InputError

FAMILIES = (diagonal_mask, sparse_mask, dense_mask)


def bits(seed: int = 1) -> Callable[[int], bytes]:
    return Random(seed).randbytes


@given(st.integers(0, 10**6), st.integers(2, 25), st.sampled_from(FAMILIES), st.booleans())
def test_taking_the_cover_off_gives_the_clear_solution(
    seed: int, buses: int, family: Callable[..., Mask], rings: bool
) -> None:
    """Random flows, also in rings and with dead branches: as a dense solve of the equations."""
    flow = random_flow(seed, buses, buses, acyclic=not rings)
    try:
        problem = problem_of(flow)
    except TracingError:
        return
    through, x = dense(flow)
    np.testing.assert_allclose(problem.through_mw, through, rtol=1e-12, atol=1e-12)
    if np.linalg.cond(problem.matrix.toarray()) > 1e4:
        return  # a ring that hardly anything feeds
    mask = family(problem, bits(seed))
    found = unmask_solution(solve_masked(mask_problem(problem, mask)), mask)
    assert difference(found, x) < 1e-9
    assert is_right(problem, found, secrets.token_bytes)
    assert is_conserved(problem, found)


def test_rates_are_those_of_tracing() -> None:
    flow = random_flow(3, 30, 20, acyclic=True)
    problem = problem_of(flow)
    t_per_mwh = np.random.default_rng(1).uniform(0.0, 1.0, len(problem.source_mw))
    mask = sparse_mask(problem, bits())
    x = unmask_solution(solve_masked(mask_problem(problem, mask)), mask)
    rates, expected = carbon_rates(problem, x, t_per_mwh), trace(flow, t_per_mwh)
    load = np.bincount(flow.network.load_bus, expected.load_t_per_h[0], problem.buses)
    np.testing.assert_allclose(rates.load, load, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rates.branch, expected.branch_t_per_h[0], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(rates.loss, expected.loss_t_per_h[0], rtol=1e-9, atol=1e-9)


def small() -> Problem:
    return problem_of(random_flow(5, 20, 15, acyclic=True))


def test_a_mask_without_offset_is_refused() -> None:
    mask = sparse_mask(small(), bits())
    bare = mask.offset.copy()
    bare[:, 3] = 0.0
    with pytest.raises(MaskError, match="source 3 has no offset"):
        replace(mask, offset=bare)
    with pytest.raises(MaskError, match="above 0"):
        replace(mask, scale=0.0 * mask.scale)


@pytest.mark.parametrize("family", FAMILIES)
def test_secrets_are_fresh(family: Callable[..., Mask]) -> None:
    """Two draws share nothing, and what a provider sees shares no number with the plain."""
    problem = small()
    one, other = (family(problem, secrets.token_bytes) for _ in range(2))
    for first, second in ((one.scale, other.scale), (one.offset, other.offset)):
        assert not np.intersect1d(first, second).size
    seen = mask_problem(problem, one)
    assert not np.intersect1d(seen.right, problem.right).size
    assert not np.intersect1d(np.abs(seen.matrix.data), np.abs(problem.matrix.data)).size


def test_entries_of_each_family() -> None:
    problem = problem_of(random_flow(5, 100, 60, acyclic=True))
    nodes, plain = len(problem.through_mw), problem.matrix.nnz
    counts = [mask_problem(problem, family(problem, bits())).matrix.nnz for family in FAMILIES]
    assert counts[0] == plain
    assert 2 * plain < counts[1] <= FILL_MAX * plain
    assert counts[2] == nodes * nodes


@pytest.mark.parametrize("seed", range(20))
def test_mixing_is_unimodular_and_well_conditioned(seed: int) -> None:
    """L is a mixing with scales of 1/4 to 4 around it: its determinant is theirs."""
    problem = small()
    left = sparse_mask(problem, bits(seed)).left.toarray()
    assert np.linalg.cond(left) < 1e3
    nodes = len(left)
    drawn = bits(seed)
    factors = np.sort(np.abs(4.0 ** (2.0 * uniform(nodes, drawn) - 1.0)))
    assert abs(np.linalg.det(left)) == pytest.approx(np.prod(factors), rel=1e-9)
    assert max((left != 0).sum(axis=0).max(), (left != 0).sum(axis=1).max()) <= 4


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_that_fits_no_mask(family: Callable[..., Mask]) -> None:
    problem = small()
    mask = family(problem, bits())
    found = solve_masked(mask_problem(problem, mask))
    with pytest.raises(MaskError, match="shape"):
        unmask_solution(found[:-1], mask)
    for bad in (np.nan, np.inf):
        found[2, 2] = bad
        with pytest.raises(MaskError, match="NaN or infinity"):
            unmask_solution(found, mask)


def test_a_singular_task_is_refused() -> None:
    task = mask_problem(small(), sparse_mask(small(), bits()))
    with pytest.raises(InputError, match="singular"):
        solve_masked(MaskedProblem(0.0 * task.matrix, task.right))


def test_power_from_nowhere() -> None:
    """A ring that no source feeds, balanced at every bus."""
    ring = [("a", "b", 1.0, -1.0), ("b", "c", 1.0, -1.0), ("c", "a", 1.0, -1.0)]
    flow = solved([*ring, ("d", "e", 1.0, -1.0)], [("g", "d", 1.0)], [("k", "e", 1.0)])
    with pytest.raises(TracingError, match="through a "):
        problem_of(flow)


def test_checks_refuse_what_is_no_answer() -> None:
    problem = small()
    x = np.linalg.solve(problem.matrix.toarray(), problem.right)
    assert residual(problem, x, bits()) < 1e-13
    for wrong in (x[:-1], x[:, :-1], np.full_like(x, np.nan), np.full_like(x, np.inf)):
        assert residual(problem, wrong, bits()) == np.inf
        assert not is_conserved(problem, wrong)
        assert difference(x, wrong) == np.inf
    assert difference(wrong, wrong) == np.inf
    assert difference(np.zeros((0, 2)), np.zeros((0, 2))) == 0.0


def test_directions_are_drawn_after_the_answer() -> None:
    """Who knew one direction could hide from it; each of the draws is another one."""
    problem = small()
    x = np.linalg.solve(problem.matrix.toarray(), problem.right)
    known = 2.0 * uniform(x.shape[1], bits(9)) - 1.0
    hidden = np.random.default_rng(1).normal(size=x.shape)
    hidden -= np.outer(hidden @ known, known) / (known @ known)

    def the_same_again(count: int) -> bytes:
        return bits(9)(count)

    assert residual(problem, x + hidden, the_same_again) < 1e-12
    assert DRAWS >= 2
    assert residual(problem, x + hidden, bits(9)) > 1e-3


CURVES = (
    CoalCurve(a=0.0004, b=0.12, c=2.5, zeta=1.01, eta=0.80, xi=0.98, mu=0.8),
    CoalCurve(a=0.0, b=0.3, c=0.0),
    CoalCurve(a=0.0, b=0.0, c=0.0),
    CoalCurve(a=0.0010, b=0.14, c=4.0, mu=1.0),
)


@given(st.lists(st.floats(1e-3, 2e3), min_size=4, max_size=4), st.integers(0, 10**6))
def test_curves_through_masks(p_mw: list[float], seed: int) -> None:
    masked, mask = mask_curves(CURVES, np.array(p_mw), bits(seed))
    coal, carbon = unmask_curves(*price_masked(masked), mask)
    for i, curve in enumerate(CURVES):
        p = np.float64(p_mw[i])
        assert coal[i] == pytest.approx(float(curve.coal_t_per_mwh(p)), rel=1e-8, abs=1e-9)
        assert carbon[i] == pytest.approx(float(curve.t_per_mwh(p)), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_units_that_are_off_have_no_curve(bad: float) -> None:
    with pytest.raises(InputError, match=r"p_mw\[1\].*leave out units that are off"):
        mask_curves(CURVES, np.array([1.0, bad, 2.0, 3.0]), bits())
    with pytest.raises(InputError, match="one for each curve"):
        mask_curves(CURVES, np.array([1.0]), bits())


def test_curves_that_fit_no_mask() -> None:
    masked, mask = mask_curves(CURVES, np.array([1.0, 2.0, 3.0, 4.0]), bits())
    coal, carbon = price_masked(masked)
    for wrong in ((coal[:-1], carbon), (coal, carbon[:-1]), (coal * np.nan, carbon)):
        with pytest.raises(MaskError, match="counts as wrong"):
            unmask_curves(*wrong, mask)
    nothing, bare = mask_curves((), np.zeros(0), bits())
    assert [len(part) for part in unmask_curves(*price_masked(nothing), bare)] == [0, 0]


def test_each_half_of_conservation() -> None:
    """A node's power moved to another source keeps rows only; power at a node without demand,
    columns only."""
    chain = [("a", "b", 5.0, -5.0), ("b", "c", 5.0, -5.0)]
    problem = problem_of(solved(chain, [("g", "a", 3.0), ("h", "a", 2.0)], [("k", "c", 5.0)]))
    x = solve_clear(problem)
    assert is_conserved(problem, x)
    rows, columns = x.copy(), x.copy()
    rows[2] += (0.1, -0.1)
    columns[1, 0] += 0.1
    np.testing.assert_allclose(rows.sum(axis=1), problem.through_mw)
    np.testing.assert_allclose(columns[2], problem.source_mw)
    assert not is_conserved(problem, rows)
    assert not is_conserved(problem, columns)
