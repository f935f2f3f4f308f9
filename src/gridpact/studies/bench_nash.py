"""How fast microgrids clear, with solvers that do not know the structure timed in the same run.

The ratio is what travels between machines; seconds are those of the machine at hand. All seconds
are of one thread's or one process's wall clock and include building what a solver is given.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from gridpact.errors import invariant
from gridpact.market.solvers import (
    Programme,
    clear_microgrids,
    programme_of,
    solve_alone,
    solve_together,
)
from gridpact.market.solvers.solve import by_clarabel, by_piqp
from gridpact.market.solvers.sparse import form_of
from gridpact.model.microgrids import MicrogridBid, MicrogridTerms, Storage, Turbine

Found = TypeVar("Found")

SIZES = (4, 20, 100, 500)
"""Microgrids."""
PERIODS = 24
REPEAT_S = 0.5
"""About this long each solver is repeated; the best time counts."""
AGREE = 1e-6
"""How near the costs of all solvers are, relative."""
PEER_MAX = 100
"""Microgrids up to which cvxpy is timed: beyond, it takes tens of seconds."""
MEMORY_SIZES = (250, 500)
"""Microgrids between which the growth of memory is measured."""


def random_microgrids(microgrids: int, seed: int) -> tuple[MicrogridTerms, list[MicrogridBid]]:
    """A day of microgrids of a few MW: some with much wind, some with much sun, some with none."""
    chance = np.random.default_rng(seed)
    hour = np.arange(PERIODS)
    sun = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0.0)
    retail = np.where(hour < 7, 60_000, np.where((hour % 10) == 9, 168_000, 115_000))
    bids = []
    for number in range(microgrids):
        load = chance.uniform(2e6, 7e6) * (1 + 0.2 * np.sin((hour - 12) / 12 * np.pi))
        load *= chance.uniform(0.9, 1.1, PERIODS)
        wind, solar = ((6e6, 0.0), (1e6, 9e6), (4e5, 4e5))[number % 3]
        renewable = wind * chance.uniform(0.5, 1.2, PERIODS) + solar * sun
        content = int(chance.integers(1_000, 4_000)) * 10**9
        bids.append(
            MicrogridBid(
                load_wh=load.astype(int).tolist(),
                green_demand_wh=(load * chance.uniform(0.3, 0.9)).astype(int).tolist(),
                renewable_wh=renewable.astype(int).tolist(),
                shortage_micro_per_kwh=int(chance.integers(20_000, 80_000)),
                turbine=Turbine(int(chance.integers(5, 30)), 85_000, 1_500_000),
                storage=Storage(
                    10**6, 950, 950, content // 10, content, content // 2, content // 2
                ),
            )
        )
    return MicrogridTerms(retail.tolist(), [45_000] * PERIODS, 5_000, 1_000_000), bids


def bench_nash(sizes: Sequence[int] = SIZES) -> dict[str, dict[str, float | int | str]]:
    """Time solving and clearing, and compare costs, gaps and residuals with those of peers.

    Args:
        sizes: microgrids, each of `PERIODS` hours.
    Returns:
        per size seconds, times slower than ours, relative gaps and largest misses in kWh;
        `first_call_s` compiles the kernel or loads it from numba's cache; under `memory` how much
        a further microgrid costs, from the peaks of two processes.
    """
    started = perf_counter()
    clear_microgrids(*random_microgrids(1, seed=0))
    figures: dict[str, dict[str, float | int | str]] = {
        "first_call": {"ours_s": perf_counter() - started}
    }
    for size in sizes:
        terms, bids = random_microgrids(size, seed=size)
        programme = programme_of(terms, bids)
        clearing_s, _ = _best(partial(clear_microgrids, terms, bids))
        alone_s, apart = _best(partial(solve_alone, programme))
        ours_s, ours = _best(partial(solve_together, programme))
        row: dict[str, float | int | str] = {
            "clearing_s": clearing_s,
            "alone_s": alone_s,
            "ours_s": ours_s,
            "ours_gap": ours.gap,
            "ours_misses_kwh": ours.missing_kwh,
            "iterations": ours.iterations,
            "solver": f"{ours.solver}, {apart.solver}",
        }
        for name, solve in (("piqp", by_piqp), ("clarabel", by_clarabel)):
            seconds, found = _best(partial(solve, programme))
            _agree(ours.cost, found.cost)
            row |= {
                f"{name}_s": seconds,
                f"{name}_ratio": seconds / ours_s,
                f"{name}_gap": found.gap,
                f"{name}_misses_kwh": found.missing_kwh,
            }
        row |= _by_cvxpy(programme, ours.cost, ours_s)
        figures[f"{size}x{PERIODS}"] = row
    figures["memory"] = _memory()
    return figures


def _by_cvxpy(programme: Programme, cost: float, ours_s: float) -> dict[str, float | int | str]:
    """Time cvxpy with Clarabel on the same matrices."""
    if programme.microgrids > PEER_MAX:
        return {"cvxpy_s": f"not timed above {PEER_MAX}"}
    try:
        cvxpy: Any = importlib.import_module("cvxpy")
    except ImportError:
        return {"cvxpy_s": "not installed"}

    def solve() -> float:
        form = form_of(programme)
        x = cvxpy.Variable(len(form.cost))
        objective = 0.5 * cvxpy.sum_squares(cvxpy.multiply(np.sqrt(form.curvature), x))
        problem = cvxpy.Problem(
            cvxpy.Minimize(objective + form.cost @ x),
            [form.matrix @ x == form.constants, x >= form.lower, x <= form.upper],
        )
        problem.solve(solver="CLARABEL")
        scaled = float(problem.value)
        return scaled * form.price * form.energy_kwh + float(programme.shortage.sum())

    seconds, found = _best(solve)
    _agree(cost, found)
    return {"cvxpy_s": seconds, "cvxpy_ratio": seconds / ours_s}


def _agree(ours: float, other: float) -> None:
    invariant(abs(ours - other) <= AGREE * abs(ours), f"costs differ: {ours} and {other}")


def peak_growth_kib(microgrids: int) -> int:
    """By how much resident memory peaks above its level before, while so many clear.

    The compiled code is loaded before; Linux forgets the peak of that when it is told to.
    """
    terms, bids = random_microgrids(microgrids, seed=0)
    clear_microgrids(*random_microgrids(1, seed=0))
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _resident_kib("VmRSS")
    clear_microgrids(terms, bids)
    return _resident_kib("VmHWM") - before


def _resident_kib(field: str) -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(f"{field}:"))
    return int(line.split()[1])


def _memory() -> dict[str, float | int | str]:
    """Growth of the peak, for each microgrid, in fresh processes of different size."""
    if not Path("/proc/self/clear_refs").exists():
        return {"kib_each": "measured on Linux only"}
    figures: dict[str, float | int | str] = {}
    for microgrids in MEMORY_SIZES:
        code = (
            "from gridpact.studies.bench_nash import peak_growth_kib; "
            f"print(peak_growth_kib({microgrids}))"
        )
        ran = subprocess.run(  # noqa: S603 (this interpreter, our function)
            [sys.executable, "-c", code], capture_output=True, check=True
        )
        figures[f"kib_each_of_{microgrids}"] = int(ran.stdout) / microgrids
    return figures


def _best(run: Callable[[], Found]) -> tuple[float, Found]:
    """The least time of several runs in seconds, and their result; slow ones run once."""
    best_s = spent_s = 0.0
    while True:
        started = perf_counter()
        result = run()
        seconds = perf_counter() - started
        best_s = min(best_s or seconds, seconds)
        spent_s += seconds
        if spent_s >= REPEAT_S:
            return best_s, result
