"""Handing tracing out: what masks, providers and checks cost beside computing it oneself.

The flows are those of `bench tracing`, at noon; each case is one snapshot split by all its
sources. Times are of the processor, but for the job through processes, which is by the clock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from time import perf_counter, process_time
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from gridpact.carbon import Tracer
from gridpact.carbon.outsourcing import (
    dense_mask,
    diagonal_mask,
    is_right,
    mask_problem,
    problem_of,
    solve_masked,
    sparse_mask,
    unmask_solution,
)
from gridpact.carbon.outsourcing.checks import difference, is_conserved
from gridpact.carbon.outsourcing.cloud import solve_clear
from gridpact.carbon.outsourcing.curves import MaskedCurves
from gridpact.carbon.outsourcing.masks import Bits, Mask
from gridpact.carbon.outsourcing.problem import Problem
from gridpact.errors import invariant
from gridpact.node.clouds import Provider, outsource
from gridpact.node.clouds.protocol import frame, result_of, task_of
from gridpact.settlement.standings import Standings
from gridpact.studies.bench_tracing import feeder

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, SolvedFlow

SIZES = (100, 1_000)
FAMILIES: dict[str, Callable[[Problem, Bits], Mask]] = {
    "diagonal": diagonal_mask,
    "sparse": sparse_mask,
    "dense": dense_mask,
}
DENSE_BUSES_MAX = 100
REPEATS = 3
"""The least time counts."""
SAME = 1e-9
NOON = 12
T = TypeVar("T")


def bench_outsourcing(sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, float | int]]:
    """Figures by number of buses and family of masks."""
    results: dict[str, dict[str, float | int]] = {}
    for buses in sizes:
        flow, t_per_mwh = feeder(buses).part(NOON, 1)
        problem = problem_of(flow)
        alone, clear = _oneself(Tracer(flow.network), flow, t_per_mwh, problem)
        results[f"{buses} buses, oneself"] = alone
        for name, draw in FAMILIES.items():
            if name != "dense" or buses <= DENSE_BUSES_MAX:
                figures = _masked(problem, draw, clear)
                figures["ours_to_shares"] = figures["ours_ms"] / alone["shares_ms"]
                results[f"{buses} buses, {name} masks"] = figures
    seconds = asyncio.run(_job_s(problem_of(feeder(sizes[0]).part(NOON, 1)[0])))
    results[f"{sizes[0]} buses, double check by two processes"] = {"job_ms": 1000 * seconds}
    return results


def _oneself(
    tracer: Tracer, flow: SolvedFlow, t_per_mwh: FloatArray, problem: Problem
) -> tuple[dict[str, float | int], FloatArray]:
    intensity_ms, _ = _least_ms(lambda: tracer.bus_intensity(flow, t_per_mwh))
    shares_ms, _ = _least_ms(lambda: list(tracer.shares(flow)))
    sparse_lu_ms, clear = _least_ms(lambda: solve_clear(problem))
    figures: dict[str, float | int] = {
        "nodes": len(problem.through_mw),
        "sources": len(problem.source_mw),
        "intensity_ms": intensity_ms,
        "shares_ms": shares_ms,
        "sparse_lu_ms": sparse_lu_ms,
    }
    return figures, clear


def _masked(
    problem: Problem, draw: Callable[[Problem, Bits], Mask], clear: FloatArray
) -> dict[str, float | int]:
    draw_ms, mask = _least_ms(lambda: draw(problem, secrets.token_bytes))
    mask_ms, task = _least_ms(lambda: mask_problem(problem, mask))
    cloud_ms, solved = _least_ms(lambda: solve_masked(task))
    unmask_ms, x = _least_ms(lambda: unmask_solution(solved, mask))
    check_ms, right = _least_ms(lambda: is_right(problem, x, secrets.token_bytes))
    conserved_ms, kept = _least_ms(lambda: is_conserved(problem, x))
    apart = difference(x, clear)
    invariant(right and kept and apart < SAME, f"an honest answer differs by {apart}")
    nothing = MaskedCurves(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0), np.zeros(0))
    none = np.zeros(0)
    return {
        "entries_ratio": task.matrix.nnz / problem.matrix.nnz,
        "task_kb": len(frame(task_of(1, task, nothing))) / 1000,
        "result_kb": len(frame(result_of(1, solved, none, none))) / 1000,
        "draw_ms": draw_ms,
        "mask_ms": mask_ms,
        "cloud_ms": cloud_ms,
        "unmask_ms": unmask_ms,
        "check_ms": check_ms,
        "conserved_ms": conserved_ms,
        "ours_ms": draw_ms + mask_ms + unmask_ms + check_ms,
        "difference": apart,
    }


async def _job_s(problem: Problem) -> float:
    """The second of two jobs: in the first the processes start."""
    providers = {name: Provider(name) for name in ("I", "II")}
    try:
        await outsource(problem, (), providers, Standings(), 0)
        started = perf_counter()
        await outsource(problem, (), providers, Standings(), 0)
        return perf_counter() - started
    finally:
        await asyncio.gather(*(provider.close() for provider in providers.values()))


def _least_ms(run: Callable[[], T]) -> tuple[float, T]:
    result = run()
    times = []
    for _ in range(REPEATS):
        started = process_time()
        run()
        times.append(process_time() - started)
    return 1000 * min(times), result
