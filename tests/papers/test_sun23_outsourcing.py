"""[SUN23], sections 4.1-4.3: masked outsourcing, and which lies its double check sees.

The paper's text names no lies. Those below are of the kinds it means ("negatively treat computing
tasks in order to reduce costs"), on two published networks, whose flows pandapower solved:
`write_flows.py`. For each the verdict of the double check, of the residual check and of
conservation is expected. The paper's numbers are in tables that are not reproduced in its text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest
from tests.papers.test_sun23_tracing import CURVES, wang

from gridpact.carbon import trace
from gridpact.carbon.outsourcing import (
    Answer,
    carbon_rates,
    dense_mask,
    diagonal_mask,
    is_right,
    mask_curves,
    mask_problem,
    price_masked,
    problem_of,
    same_answer,
    solve_masked,
    sparse_mask,
    unmask_curves,
    unmask_solution,
)
from gridpact.carbon.outsourcing.checks import (
    RESIDUAL_MAX,
    SAME,
    difference,
    is_conserved,
    residual,
)
from gridpact.carbon.outsourcing.cloud import solve_clear
from gridpact.carbon.outsourcing.masks import Mask, MaskedProblem, uniform
from gridpact.carbon.outsourcing.problem import Problem
from gridpact.inputs.solved_flow import read_solved_flow

FLOWS = Path(__file__).parent / "flows"
CASES = ("case33bw", "case118")
FAMILIES = (diagonal_mask, sparse_mask, dense_mask)
Lie = Callable[[np.ndarray], np.ndarray]


@cache
def case(name: str) -> Problem:
    return problem_of(read_solved_flow(FLOWS / f"{name}.json").flow)


def bits(seed: int) -> Callable[[int], bytes]:
    return Random(seed).randbytes


@dataclass(frozen=True)
class Verdicts:
    double: bool
    residual: bool
    conserved: bool


def verdicts(problem: Problem, one: np.ndarray, other: np.ndarray) -> Verdicts:
    nothing = np.zeros(0)
    return Verdicts(
        same_answer(Answer(one, nothing, nothing), Answer(other, nothing, nothing)),
        is_right(problem, one, bits(97)) and is_right(problem, other, bits(98)),
        is_conserved(problem, one) and is_conserved(problem, other),
    )


HONEST = Verdicts(double=True, residual=True, conserved=True)
CAUGHT = Verdicts(double=False, residual=False, conserved=False)
MISSED_BY_DOUBLE = Verdicts(double=True, residual=False, conserved=False)
MISSED_BY_BOTH = Verdicts(double=True, residual=False, conserved=True)


def given_back(problem: Problem, mask: Mask, lie: Lie) -> np.ndarray:
    return unmask_solution(lie(solve_masked(mask_problem(problem, mask))), mask)


def honest(masked: np.ndarray) -> np.ndarray:
    return masked


def one_entry(masked: np.ndarray) -> np.ndarray:
    changed = masked.copy()
    changed[0, 0] += 1e-6 * np.abs(masked).max()
    return changed


def single_precision(masked: np.ndarray) -> np.ndarray:
    return masked.astype(np.float32).astype(np.float64)


def tenth_more(masked: np.ndarray) -> np.ndarray:
    return 1.1 * masked


def zeros(masked: np.ndarray) -> np.ndarray:
    return np.zeros_like(masked)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (honest, honest, HONEST),
        (honest, one_entry, CAUGHT),
        (honest, single_precision, CAUGHT),
        (single_precision, single_precision, CAUGHT),
        (tenth_more, tenth_more, CAUGHT),
        (zeros, zeros, CAUGHT),
    ],
)
def test_lies_without_collusion(
    name: str, family: Callable[..., Mask], first: Lie, second: Lie, expected: Verdicts
) -> None:
    """With an offset every lie told alone, even the same one by both, is seen by all checks."""
    problem = case(name)
    one = given_back(problem, family(problem, bits(1)), first)
    other = given_back(problem, family(problem, bits(2)), second)
    assert verdicts(problem, one, other) == expected
    if first is second is honest:
        assert difference(one, other) < 1e-2 * SAME
        assert residual(problem, one, bits(3)) < 0.1 * RESIDUAL_MAX
        assert difference(one, solve_clear(problem)) < 1e-2 * SAME


@pytest.mark.parametrize("name", CASES)
def test_single_precision_solvers_are_seen(name: str) -> None:
    """Not only rounded results: the arithmetic itself in 32 bits."""
    problem = case(name)
    found = []
    for seed in (1, 2):
        mask = dense_mask(problem, bits(seed))
        task = mask_problem(problem, mask)
        matrix, right = task.matrix.toarray().astype(np.float32), task.right.astype(np.float32)
        solved = np.linalg.solve(matrix, right).astype(np.float64)
        found.append(unmask_solution(solved, mask))
    assert verdicts(problem, *found) == CAUGHT
    assert difference(*found) > 5 * SAME


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("lie", [tenth_more, zeros])
def test_without_an_offset_lazy_providers_agree(name: str, lie: Lie) -> None:
    """The "random vector" of section 4.1.2 is needed: masks are linear, and so are these lies.

    Two providers who never speak to each other give the same wrong answer, and the double check
    takes it. Our masks refuse to be without an offset.
    """
    problem = case(name)
    found = []
    for seed in (1, 2):
        mask = sparse_mask(problem, bits(seed))
        plain = mask_problem(problem, mask)
        right = np.asarray(mask.left @ (problem.right * mask.scale))
        solved = lie(solve_masked(MaskedProblem(plain.matrix, right)))
        found.append((mask.right @ solved) / mask.scale)
    assert verdicts(problem, *found) == MISSED_BY_DOUBLE


def rank_one(problem: Problem, mask: Mask, seed: int) -> Mask:
    """The same with an offset u v^T."""
    nodes, sources = problem.right.shape
    chance = bits(seed)
    u, v = 2.0 * uniform(nodes, chance) - 1.0, 2.0 * uniform(sources, chance) - 1.0
    offset = np.abs(mask.offset).max() * np.outer(u, v)
    return Mask(mask.left, mask.right, mask.scale, offset)


def stripped(task: MaskedProblem) -> np.ndarray:
    """B' without an offset of rank one, found from B' alone.

    Where L is sparse, most entries of each column of B' are of the offset only, so that columns are
    in one ratio almost everywhere: the median.
    """
    right = task.right
    full = int(np.argmax(np.abs(right).sum(axis=0)))
    ratio = np.median(right / right[:, [full]], axis=0)
    offset = np.median(right / ratio, axis=1)[:, None] * ratio
    left = right - offset
    left[np.abs(left) < 1e-9 * np.abs(right).max()] = 0.0
    return left


@pytest.mark.parametrize("family", [diagonal_mask, sparse_mask])
def test_an_offset_of_rank_one_can_be_taken_off(family: Callable[..., Mask]) -> None:
    """Why ours has full rank: lazy providers who take u v^T off are as without an offset."""
    problem = case("case118")
    found = []
    for seed in (1, 2):
        mask = rank_one(problem, family(problem, bits(seed)), seed + 10)
        task = mask_problem(problem, mask)
        own = stripped(task)
        # What is left over names the places of the sources: it is L B D to the last digits.
        assert difference(own, np.asarray(mask.left @ (problem.right * mask.scale))) < 1e-9
        solved = solve_masked(task)
        wrong = solved + 0.1 * solve_masked(MaskedProblem(task.matrix, own))
        found.append(unmask_solution(wrong, mask))
    assert verdicts(problem, *found) == MISSED_BY_DOUBLE
    mask = family(problem, bits(1))
    own = stripped(mask_problem(problem, mask))
    assert difference(own, np.asarray(mask.left @ (problem.right * mask.scale))) > 0.5


@pytest.mark.parametrize("name", CASES)
def test_colluders_who_exchange_shares(name: str) -> None:
    """Two providers who know the masks move power between two sources at two nodes.

    Rows and columns still add up. Only the equations themselves tell; the double check never can.
    """
    problem = case(name)
    x = solve_clear(problem)
    through = np.where(problem.through_mw > 0.0, problem.through_mw, np.inf)
    weight = (problem.demand_mw / through)[: problem.buses]
    nodes = np.flatnonzero(weight > 0.05)
    sources = np.argsort(-problem.source_mw)[:2]
    i, j = nodes[np.argsort(-np.min(x[np.ix_(nodes, sources)], axis=1))[:2]]
    a, b = sources
    moved = 0.5 * min(x[i, a], x[j, b] * weight[j] / weight[i])
    assert moved > 0.0
    wrong = x.copy()
    wrong[i, a] -= moved
    wrong[i, b] += moved
    wrong[j, a] += moved * weight[i] / weight[j]
    wrong[j, b] -= moved * weight[i] / weight[j]
    assert verdicts(problem, wrong, wrong.copy()) == MISSED_BY_BOTH
    assert residual(problem, wrong, bits(3)) > 1e-6


def test_diagonal_masks_show_the_degrees_of_all_nodes() -> None:
    """What section 4 of the paper does not say: the graph stays what it is, up to labels."""
    problem = case("case118")
    plain = problem.matrix.toarray() != 0.0

    def degrees(matrix: np.ndarray) -> list[tuple[int, ...]]:
        return [tuple(sorted(matrix.sum(axis=axis))) for axis in (0, 1)]

    hidden = mask_problem(problem, diagonal_mask(problem, bits(1))).matrix.toarray() != 0.0
    assert degrees(hidden) == degrees(plain)
    mixed = mask_problem(problem, sparse_mask(problem, bits(1))).matrix.toarray() != 0.0
    assert degrees(mixed) != degrees(plain)


@pytest.mark.parametrize("family", FAMILIES)
def test_carbon_of_four_nodes_through_masks(family: Callable[..., Mask]) -> None:
    """Eq. (10)-(39) from end to end on the 4-node system: as tracing without masks.

    Source: section 4.2.4 and the 4-node system with two thermal units of section 4.3.
    """
    flow = wang()
    problem = problem_of(flow)
    x = given_back(problem, family(problem, bits(5)), honest)
    masked, mask = mask_curves(CURVES, flow.p_source_mw[0], bits(6))
    coal, carbon = unmask_curves(*price_masked(masked), mask)
    assert coal == pytest.approx([0.293370, 0.289088], abs=0.6e-6)
    assert carbon == pytest.approx([0.168668, 0.831031], abs=0.6e-6)
    rates, expected = carbon_rates(problem, x, carbon), trace(flow, carbon)
    assert rates.load[2:] == pytest.approx(expected.load_t_per_h[0], rel=1e-12)
    assert rates.branch == pytest.approx(expected.branch_t_per_h[0], rel=1e-12)
    assert rates.loss == pytest.approx(expected.loss_t_per_h[0], rel=1e-12)
    assert rates.load.sum() + rates.loss.sum() == pytest.approx(164.052501789, abs=3e-6)


@pytest.mark.parametrize(("name", "loops"), [("case33bw", 0), ("case118", 186 - 118 + 1)])
def test_diagonal_masks_show_a_number_for_each_loop(name: str, loops: int) -> None:
    """Who knows the topology, which is often public, reads so many numbers of A_u exactly.

    Scales of rows and columns are a_i + b_j in the logarithm of each entry. What no such scales
    explain stays: as many numbers as the network has independent loops, none in a radial one.
    """
    problem = case(name)
    mask = diagonal_mask(problem, bits(8))
    task = mask_problem(problem, mask)
    plain = problem.matrix.tocoo()
    row_label, column_label = mask.left.indices, mask.right.tocsr().indices
    seen = task.matrix.toarray()[row_label[plain.row], column_label[plain.col]]
    live = np.flatnonzero(plain.data)
    nodes = len(problem.through_mw)
    edges = np.zeros((len(live), 2 * nodes))
    edges[np.arange(len(live)), plain.row[live]] = 1.0
    edges[np.arange(len(live)), nodes + plain.col[live]] = 1.0
    left, _, _ = np.linalg.svd(edges)
    rank = np.linalg.matrix_rank(edges)
    around = left[:, rank:]
    assert around.shape[1] == loops
    if loops:
        told = around.T @ np.log(np.abs(seen[live]))
        np.testing.assert_allclose(told, around.T @ np.log(np.abs(plain.data[live])), atol=1e-10)
        assert np.abs(told).max() > 0.1
