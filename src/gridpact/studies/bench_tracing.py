"""Carbon tracing of radial 10 kV networks: ours, a sparse LU and a dense solve of the same flows.

The flows are made here and balance exactly: each line loses in proportion to the square of what it
takes in at one end, and power is added up from the last bus to the feeder's head. Every fifth bus
has a plant; loads and sun vary by bus and hour, so that some lines turn with every hour of light.

Times are of the processor, not of the clock, as all runs on one core.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import process_time
from typing import TYPE_CHECKING

import numba
import numpy as np

from gridpact.carbon import Tracer
from gridpact.errors import invariant
from gridpact.model.carbon import FlowNetwork, LoadKind, SolvedFlow, SourceKind

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, IntArray

SIZES = (100, 1_000, 10_000)
YEAR_H = 8_760
AT_ONCE = 24
"""Snapshots of a part: a day."""
PLANT_EVERY = 5
REACH = 50
"""A bus hangs on one of so many before it."""
LOSS_PER_MW = 0.25
"""Over the number of buses: what a line loses of 1 MW it carries, in MW. The longer the feeder, the
shorter its lines."""
DENSE_BUSES_MAX = 1_000
SAME = 1e-9
"""Largest difference of an intensity from that of the solvers, in t/MWh."""
REPEATS = 5
"""The least time counts."""


@dataclass(frozen=True, slots=True)
class Feeder:
    """A tree, and what its flows are made from."""

    network: FlowNetwork
    parent: IntArray
    mean_load_mw: FloatArray
    peak_sun_mw: FloatArray
    seed: int

    def part(self, first_h: int, hours: int) -> tuple[SolvedFlow, FloatArray]:
        """Hours of flow, and the intensities of the grid beyond and of the plants."""
        chance = np.random.default_rng((self.seed, first_h))
        hour = np.arange(first_h, first_h + hours)
        sun = np.clip(np.sin(np.pi * (hour % 24 - 6) / 12), 0.0, None)[:, None]
        load = self.mean_load_mw * chance.uniform(0.3, 1.7, (hours, len(self.parent)))
        plants = len(self.peak_sun_mw)
        given = self.peak_sun_mw * sun * chance.uniform(0.2, 1.0, (hours, plants))
        net = load.copy()
        net[:, self.network.source_bus[1:]] -= given
        p_from, p_to, head = _flows(net, self.parent)
        source = np.column_stack([np.clip(head, 0.0, None), given])
        load[:, 0] += np.clip(-head, 0.0, None)
        t_per_mwh = np.zeros_like(source)
        t_per_mwh[:, 0] = 0.4 + 0.2 * np.cos(2 * np.pi * hour / 24)
        t_per_mwh[:, 1:] = chance.uniform(0.0, 0.05, plants)
        return SolvedFlow(self.network, source, load, p_from, p_to), t_per_mwh

    def parts(self, hours: int) -> Iterator[tuple[SolvedFlow, FloatArray]]:
        """The flow of many hours, a day at a time."""
        for first in range(0, hours, AT_ONCE):
            yield self.part(first, min(AT_ONCE, hours - first))


def feeder(buses: int, seed: int = 1) -> Feeder:
    """A tree of `buses` buses with its external grid at bus 0."""
    chance = np.random.default_rng(seed)
    number = np.arange(1, buses)
    parent = np.concatenate(
        [[0], number - 1 - (chance.random(buses - 1) * np.minimum(number, REACH)).astype(np.int64)]
    )
    plant_bus = np.arange(PLANT_EVERY - 1, buses, PLANT_EVERY)
    bus_ids = tuple(f"bus-{i}" for i in range(buses))
    kinds = [SourceKind.IMPORT, *([SourceKind.GENERATION] * len(plant_bus))]
    network = FlowNetwork(
        bus_ids=bus_ids,
        branch_ids=tuple(f"line-{i}" for i in range(1, buses)),
        from_bus=parent[1:].copy(),
        to_bus=number,
        source_ids=("grid", *(f"plant-{i}" for i in plant_bus)),
        source_bus=np.concatenate([[0], plant_bus]),
        source_kind=np.array(kinds, dtype=np.int64),
        load_ids=bus_ids,
        load_bus=np.arange(buses),
        load_kind=np.full(buses, int(LoadKind.CONSUMPTION)),
    )
    mean = 10.0 / buses * chance.uniform(0.2, 1.8, buses)
    return Feeder(network, parent, mean, 40.0 / buses * np.ones(len(plant_bus)), seed)


@numba.njit(cache=True)
def _flows(net_mw: FloatArray, parent: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Power into each line at its head and at its end, and what the first bus needs."""
    hours, buses = net_mw.shape
    p_from, p_to = np.empty((hours, buses - 1)), np.empty((hours, buses - 1))
    needed = net_mw.copy()
    loss = LOSS_PER_MW / buses
    for t in range(hours):
        for i in range(buses - 1, 0, -1):
            out = needed[t, i]
            back = out + loss * out * out
            p_to[t, i - 1], p_from[t, i - 1] = -out, back
            needed[t, parent[i]] += back
    return p_from, p_to, needed[:, 0].copy()


def bench_tracing(
    sizes: tuple[int, ...] = SIZES, year_h: int = YEAR_H
) -> dict[str, dict[str, float | int]]:
    """Time one snapshot at several sizes against solvers, then a year at the largest size.

    Args:
        sizes: buses.
        year_h: snapshots of the year; fewer for a quick look.
    Returns:
        by size `ours_ms` (intensities of all buses, per snapshot), `checked_ms` (with all checks,
        and branches), `shares_ms` (all sources), `turned` (lines that turn from hour to hour),
        the times of the solvers where they are installed, and the largest difference from them;
        of the year seconds for the intensities and for all, and the memory of two lengths.
    """
    _flows(np.zeros((1, 2)), np.zeros(2, dtype=np.int64))
    results = {f"{buses:,} buses": _figures(feeder(buses)) for buses in sizes}
    short, whole = _apart(sizes[-1], 100), _apart(sizes[-1], year_h)
    results[f"{year_h:,} snapshots of {sizes[-1]:,} buses"] = {
        "ours_s": whole["ours_s"],
        "checked_s": whole["checked_s"],
        "memory_100_mb": short["memory_mb"],
        "memory_mb": whole["memory_mb"],
    }
    return results


def _figures(tree: Feeder) -> dict[str, float | int]:
    flow, t_per_mwh = tree.part(0, AT_ONCE)
    tracer = Tracer(tree.network)
    ours = tracer.bus_intensity(flow, t_per_mwh)
    ways = np.sign(flow.p_from_mw)
    figures: dict[str, float | int] = {
        "buses": len(tree.parent),
        "sources": len(tree.network.source_ids),
        "turned": int(np.count_nonzero(ways[1:] != ways[:-1]) / (AT_ONCE - 1)),
    }

    figures["ours_ms"] = _least_ms(lambda: tracer.bus_intensity(flow, t_per_mwh)) / AT_ONCE
    figures["checked_ms"] = _least_ms(lambda: tracer.trace(flow, t_per_mwh)) / AT_ONCE
    noon = 12
    list(tracer.shares(flow, noon))
    figures["shares_ms"] = _least_ms(lambda: list(tracer.shares(flow, noon)))
    rows, columns, values, right = _extended(flow, t_per_mwh, noon)
    if importlib.util.find_spec("scipy") is not None:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        def sparse() -> FloatArray:
            shape = (len(right), len(right))
            solved: FloatArray = splu(csc_array((values, (rows, columns)), shape=shape)).solve(
                right
            )
            return solved

        figures["sparse_lu_ms"] = _least_ms(sparse)
        figures["sparse_lu_ratio"] = figures["sparse_lu_ms"] / figures["ours_ms"]
        figures["difference"] = float(np.nanmax(np.abs(sparse()[: len(tree.parent)] - ours[noon])))
        invariant(figures["difference"] < SAME, f"differs by {figures['difference']} t/MWh")
    if len(tree.parent) <= DENSE_BUSES_MAX:

        def dense() -> FloatArray:
            matrix = np.zeros((len(right), len(right)))
            np.add.at(matrix, (rows, columns), values)
            return np.linalg.solve(matrix, right).astype(np.float64)

        with _one_thread():
            figures["dense_ms"] = _least_ms(dense)
        figures["dense_ratio"] = figures["dense_ms"] / figures["ours_ms"]
    return figures


def _one_thread() -> AbstractContextManager[object]:
    """Keeps a dense solve from waking threads that cost more than they bring, where possible."""
    if importlib.util.find_spec("threadpoolctl") is None:
        return nullcontext()
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def _least_ms(run: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = process_time()
        run()
        times.append(process_time() - started)
    return 1000 * min(times)


def _extended(
    flow: SolvedFlow, t_per_mwh: FloatArray, snapshot: int
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """The (B + L) equations of one snapshot as triplets, with the intensities as unknowns.

    What flows through at its intensity is what sources bring plus what flows in.
    The through-flow of nodes where nothing flows is set to 1, which makes their intensity 0.
    """
    network = flow.network
    buses, branches = len(network.bus_ids), len(network.branch_ids)
    virtual = buses + np.arange(branches)
    p_source = flow.p_source_mw[snapshot]
    through, right = np.zeros(buses + branches), np.zeros(buses + branches)
    np.add.at(through, network.source_bus, p_source)
    np.add.at(right, network.source_bus, p_source * t_per_mwh[snapshot])
    rows, columns, values = [np.arange(buses + branches)], [np.arange(buses + branches)], [through]
    for ends, power in (
        (network.from_bus, flow.p_from_mw[snapshot]),
        (network.to_bus, flow.p_to_mw[snapshot]),
    ):
        into, out = power > 0.0, power < 0.0
        rows += [virtual[into], ends[out]]
        columns += [ends[into], virtual[out]]
        values += [-power[into], power[out]]
        np.add.at(through, virtual[into], power[into])
        np.add.at(through, ends[out], -power[out])
    through[through == 0.0] = 1.0
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(values), right


def _apart(buses: int, hours: int) -> dict[str, float]:
    """A stream of hours in a process of its own, whose memory is its alone."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_stream, (buses, hours))


def _stream(buses: int, hours: int) -> dict[str, float]:
    tree = feeder(buses)
    tracer = Tracer(tree.network)
    tracer.trace(*tree.part(0, 1))
    ours_s = checked_s = 0.0
    for flow, t_per_mwh in tree.parts(hours):
        started = process_time()
        tracer.bus_intensity(flow, t_per_mwh)
        between = process_time()
        tracer.trace(flow, t_per_mwh)
        ours_s += between - started
        checked_s += process_time() - between
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"ours_s": ours_s, "checked_s": checked_s, "memory_mb": memory_mb}
