"""Tracing on random networks: a dense solve agrees, carbon is kept, changes do what they must.

Networks have losses, rings of flow, branches that both ends feed, parallel and dead branches.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.carbon.flows import dense, random_flow, stacked

from gridpact.carbon import Tracer, allocate, dense_shares, trace
from gridpact.carbon.series import trace_series
from gridpact.model.carbon import FlowToTrace, SolvedFlow

flows = st.builds(
    random_flow,
    st.integers(0, 10**6),
    st.integers(2, 14),
    st.integers(0, 20),
    radial=st.booleans(),
    acyclic=st.booleans(),
)


def some_intensity(flow: SolvedFlow, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.0, 1.2, len(flow.network.source_ids))


def table(flow: SolvedFlow) -> np.ndarray:
    network = flow.network
    return dense_shares(Tracer(network).shares(flow), len(network.source_ids), len(network.bus_ids))


@given(flows)
def test_the_dense_solve_of_the_extended_network_agrees(flow: SolvedFlow) -> None:
    e = some_intensity(flow)
    result = trace(flow, e)
    through, x = dense(flow)
    rho = np.divide(x @ e, through, out=np.full_like(through, np.nan), where=through > 0)
    buses = len(flow.network.bus_ids)
    np.testing.assert_allclose(result.bus_t_per_mwh[0], rho[:buses], rtol=1e-9)
    np.testing.assert_allclose(result.branch_t_per_mwh[0], rho[buses:], rtol=1e-9)
    np.testing.assert_allclose(table(flow), x[:buses], rtol=1e-9, atol=1e-12)


@given(flows)
def test_carbon_and_power_are_kept(flow: SolvedFlow) -> None:
    e = some_intensity(flow)
    result = trace(flow, e)
    total = result.source_t_per_h.sum()
    assert abs(result.residual_t_per_h[0]) <= 1e-12 * total
    x = table(flow)
    through = x.sum(axis=1)
    power = np.zeros(len(through))
    np.add.at(power, flow.network.source_bus, flow.p_source_mw[0])
    for ends, p in (
        (flow.network.from_bus, flow.p_from_mw[0]),
        (flow.network.to_bus, flow.p_to_mw[0]),
    ):
        np.add.at(power, ends, np.clip(-p, 0.0, None))
    np.testing.assert_allclose(through, power, rtol=1e-12, atol=1e-12)
    assert (x >= 0.0).all()


@given(flows)
def test_every_megawatt_of_every_source_is_delivered(flow: SolvedFlow) -> None:
    """Tracing each source alone, loads and losses take all it gives."""
    x = table(flow)
    through = x.sum(axis=1)
    share = np.divide(x, through[:, None], out=np.zeros_like(x), where=through[:, None] > 0)
    taken = flow.p_load_mw[0] @ share[flow.network.load_bus]
    for source in range(0, x.shape[1], 5):
        alone = np.zeros(x.shape[1])
        alone[source] = 1.0
        result = trace(flow, alone)
        lost = result.loss_t_per_h[0].sum()
        assert taken[source] + lost == pytest.approx(
            flow.p_source_mw[0, source], rel=1e-10, abs=1e-12
        )


@given(flows, st.floats(0.0, 2.0))
def test_equal_intensities_stay_equal(flow: SolvedFlow, e: float) -> None:
    rho = trace(flow, np.full(len(flow.network.source_ids), e)).bus_t_per_mwh[0]
    assert rho[~np.isnan(rho)] == pytest.approx(e, rel=1e-11)


@given(flows, st.floats(0.01, 1000.0))
def test_power_scales(flow: SolvedFlow, factor: float) -> None:
    scaled = replace(
        flow,
        **{
            name: factor * getattr(flow, name)
            for name in ("p_source_mw", "p_load_mw", "p_from_mw", "p_to_mw")
        },
    )
    np.testing.assert_allclose(table(scaled), factor * table(flow), rtol=1e-10, atol=1e-12)


@given(flows, st.floats(0.1, 0.9), st.integers(0, 10**6))
def test_splitting_a_branch_changes_no_bus(flow: SolvedFlow, part: float, pick: int) -> None:
    network = flow.network
    branch = pick % len(network.branch_ids)
    split = {}
    for name in ("p_from_mw", "p_to_mw"):
        values = getattr(flow, name).copy()
        second = (1 - part) * values[:, [branch]]
        values[:, branch] *= part
        split[name] = np.hstack([values, second])
    twice = replace(
        flow,
        network=replace(
            network,
            branch_ids=(*network.branch_ids, "second"),
            from_bus=np.append(network.from_bus, network.from_bus[branch]),
            to_bus=np.append(network.to_bus, network.to_bus[branch]),
        ),
        **split,
    )
    e = some_intensity(flow)
    before, after = trace(flow, e), trace(twice, e)
    np.testing.assert_allclose(after.bus_t_per_mwh, before.bus_t_per_mwh, rtol=1e-10)


@given(flows, st.randoms(use_true_random=False))
def test_labels_and_directions_do_not_matter(flow: SolvedFlow, chance: object) -> None:
    """Buses are renumbered and branches read from their other end."""
    network = flow.network
    new = list(range(len(network.bus_ids)))
    chance.shuffle(new)  # type: ignore[attr-defined]
    at = np.array(new, dtype=np.int64)
    ids = np.empty(len(new), dtype=object)
    ids[at] = network.bus_ids
    turned = SolvedFlow(
        replace(
            network,
            bus_ids=tuple(ids),
            from_bus=at[network.to_bus],
            to_bus=at[network.from_bus],
            source_bus=at[network.source_bus],
            load_bus=at[network.load_bus],
        ),
        flow.p_source_mw,
        flow.p_load_mw,
        flow.p_to_mw,
        flow.p_from_mw,
    )
    e = some_intensity(flow)
    before, after = trace(flow, e), trace(turned, e)
    np.testing.assert_allclose(after.bus_t_per_mwh[:, at], before.bus_t_per_mwh, rtol=1e-10)
    np.testing.assert_allclose(after.branch_t_per_mwh, before.branch_t_per_mwh, rtol=1e-10)


@given(flows, st.floats(0.01, 24.0))
@example(random_flow(3, 5, 4), 1.0)
def test_allocation_leaves_nothing(flow: SolvedFlow, hours: float) -> None:
    result = trace(flow, some_intensity(flow))
    allocation = allocate(result, hours)
    assert allocation.residual_ug == 0
    assert sum(allocation.emitted_ug) == sum(allocation.load_ug) + sum(allocation.loss_ug)
    exact = result.load_t_per_h[0] * hours * 1e12
    off = np.abs(np.array(allocation.load_ug) - exact)
    assert off.max() <= 2 + 1e-9 * exact.sum()


@given(
    flows,
    st.lists(st.floats(0.01, 100.0), min_size=1, max_size=6),
    st.integers(1, 6),
    st.floats(0.0, 0.5),
)
def test_a_series_in_parts_of_any_size_is_one_batch(
    flow: SolvedFlow, scales: list[float], size: int, width: float
) -> None:
    """Bounds too: each is the trace with its own intensities."""
    scaled = [
        replace(
            flow,
            **{
                name: factor * getattr(flow, name)
                for name in ("p_source_mw", "p_load_mw", "p_from_mw", "p_to_mw")
            },
        )
        for factor in scales
    ]
    whole = stacked(scaled)
    low = np.tile(some_intensity(flow), (len(scales), 1))
    high = low + width
    parts = (
        FlowToTrace(stacked(scaled[first : first + size]), low[first:][:size], high[first:][:size])
        for first in range(0, len(scales), size)
    )
    found = list(trace_series(flow.network, parts))
    for side, e in (("low", low), ("high", high)):
        expected = trace(whole, e)
        for name in ("bus_t_per_mwh", "branch_t_per_mwh"):
            joined = np.concatenate([getattr(getattr(part, side), name) for part in found])
            np.testing.assert_array_equal(joined, getattr(expected, name))
