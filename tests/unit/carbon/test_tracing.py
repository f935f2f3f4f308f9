"""Tracing: degenerate flows, refusals, streams; the equations themselves are in the properties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.carbon.flows import dense, random_flow, solved, stacked

from gridpact.carbon import (
    MeterPolicy,
    Tracer,
    TracingError,
    dense_shares,
    metered,
    trace,
    trace_bounds,
    trace_many,
)
from gridpact.errors import InputError
from gridpact.model.carbon import LoadKind, SolvedFlow, SourceKind


def shares_of(flow: SolvedFlow, snapshot: int = 0) -> np.ndarray:
    """Shape (buses, sources), rows sum to 1."""
    network = flow.network
    x = dense_shares(
        Tracer(network).shares(flow, snapshot), len(network.source_ids), len(network.bus_ids)
    )
    return x / x.sum(axis=1, keepdims=True)


def test_both_ends_feed_the_loss() -> None:
    """Each bus has a source of its own, and 0.05 MW are lost in the branch between them."""
    flow = solved(
        [("a", "b", 0.03, 0.02)],
        [("ga", "a", 1.03), ("gb", "b", 1.02)],
        [("la", "a", 1.0), ("lb", "b", 1.0)],
    )
    result = trace(flow, np.array([1.0, 0.5]))
    assert result.bus_t_per_mwh[0].tolist() == [1.0, 0.5]
    assert result.branch_t_per_mwh[0, 0] == pytest.approx(0.6 * 1.0 + 0.4 * 0.5, rel=1e-15)
    assert result.loss_t_per_h[0, 0] == pytest.approx(0.05 * 0.8, rel=1e-14)
    assert abs(result.residual_t_per_h[0]) < 1e-15


def test_negative_loss_keeps_its_sign() -> None:
    flow = solved([("a", "b", 10.0, -10.5)], [("g", "a", 10.0)], [("l", "b", 10.5)])
    result = trace(flow, np.array([0.4]))
    assert result.bus_t_per_mwh[0].tolist() == [0.4, 0.4]
    assert result.loss_t_per_h[0, 0] == pytest.approx(-0.2, rel=1e-12)
    assert abs(result.residual_t_per_h[0]) < 1e-14


def ring() -> SolvedFlow:
    """10 MW come in at a, 6 leave at b and 4 at c, while 5 MW go round."""
    return solved(
        [("a", "b", 15.0, -15.0), ("b", "c", 9.0, -9.0), ("c", "a", 5.0, -5.0)],
        [("g", "a", 8.0), ("h", "b", 0.0), ("k", "a", 2.0)],
        [("lb", "b", 6.0), ("lc", "c", 4.0)],
    )


def test_circulating_flow_is_solved_and_not_cut() -> None:
    flow = ring()
    result = trace(flow, np.array([1.0, 0.0, 0.5]))
    assert result.bus_t_per_mwh[0] == pytest.approx([0.9, 0.9, 0.9], rel=1e-14)
    assert abs(result.residual_t_per_h[0]) < 1e-14
    assert shares_of(flow)[:, [0, 2]] == pytest.approx(np.tile([0.8, 0.2], (3, 1)), rel=1e-14)
    assert shares_of(flow)[:, 1].tolist() == [0.0, 0.0, 0.0]


def test_circulating_flow_fed_at_two_buses() -> None:
    """A source inside the ring makes mixes differ; the dense solve of all nodes agrees."""
    flow = solved(
        [
            ("a", "b", 15.0, -14.0),
            ("b", "c", 12.0, -11.5),
            ("c", "a", 5.0, -4.9),
            ("c", "d", 2.5, -2.4),
        ],
        [("g", "a", 10.1), ("h", "b", 3.0)],
        [("lb", "b", 5.0), ("lc", "c", 4.0), ("ld", "d", 2.4)],
    )
    through, x = dense(flow)
    e = np.array([1.0, 0.2])
    result = trace(flow, e)
    assert result.bus_t_per_mwh[0] == pytest.approx((x @ e / through)[:4], rel=1e-13)
    assert result.branch_t_per_mwh[0] == pytest.approx((x @ e / through)[4:], rel=1e-13)
    assert len(set(result.bus_t_per_mwh[0].round(6))) == 2
    assert shares_of(flow) == pytest.approx(x[:4] / through[:4, None], rel=1e-13)


@pytest.mark.parametrize("mw", [3.0, 2e-7])
def test_closed_ring_is_refused_by_name(mw: float) -> None:
    flow = solved(
        [("a", "b", mw, -mw), ("b", "c", mw, -mw), ("c", "a", mw, -mw)],
        [("g", "far", 1.0)],
        [("l", "far", 1.0)],
    )
    with pytest.raises(TracingError, match=r"snapshot 0: power goes in a ring through bus [abc] "):
        trace(flow, np.array([0.5]))
    with pytest.raises(TracingError, match="no source feeds"):
        list(Tracer(flow.network).shares(flow))


def test_noise_that_goes_round_is_no_flow() -> None:
    """Ten milliwatts round three unloaded buses: no error, and no intensity."""
    mw = 1e-8
    flow = solved(
        [("a", "b", mw, -mw), ("b", "c", mw, -mw), ("c", "a", mw, -mw)],
        [("g", "far", 1.0)],
        [("l", "far", 1.0)],
    )
    result = trace(flow, np.array([0.5]))
    assert np.isnan(result.bus_t_per_mwh[0, :3]).all()
    assert result.bus_t_per_mwh[0, 3] == 0.5
    x = dense_shares(Tracer(flow.network).shares(flow), 1, 4)
    assert x[:, 0].tolist() == [0.0, 0.0, 0.0, 1.0]


def test_where_nothing_flows_the_intensity_is_null() -> None:
    flow = solved(
        [("a", "b", 1.0, -1.0), ("b", "c", 0.0, 0.0)], [("g", "a", 1.0)], [("l", "b", 1.0)]
    )
    result = trace(flow, np.array([0.0]))
    assert result.bus_t_per_mwh[0, :2].tolist() == [0.0, 0.0]
    assert np.isnan(result.bus_t_per_mwh[0, 2])
    assert np.isnan(result.branch_t_per_mwh[0, 1])
    assert result.loss_t_per_h[0].tolist() == [0.0, 0.0]
    meshed = solved(
        [("a", "b", 0.5, -0.5), ("a", "b", 0.5, -0.5), ("b", "c", 0.0, 0.0)],
        [("g", "a", 1.0)],
        [("l", "b", 1.0)],
    )
    assert np.isnan(trace(meshed, np.array([0.0])).bus_t_per_mwh[0, 2])


def test_noise_below_a_milliwatt_is_no_flow() -> None:
    """What a power flow rounds at the unloaded end of a feeder gives no intensity there."""
    flow = solved(
        [("a", "b", 1.0, -1.0), ("b", "c", 1e-10, -1e-10)], [("g", "a", 1.0)], [("l", "b", 1.0)]
    )
    assert np.isnan(trace(flow, np.array([0.3])).bus_t_per_mwh[0, 2])


@pytest.mark.parametrize("lines", [1, 2])
@pytest.mark.parametrize("mw", [2e-9, 1e-6, 1e-3])
def test_whatever_is_above_a_milliwatt_flows(mw: float, lines: int) -> None:
    """A few milliwatts and a kilowatt get an intensity alike, down the feeder and up."""
    sent = [("a", "b", lines * mw, -lines * mw), *[("b", "c", mw, -mw)] * lines]
    down = solved(sent, [("g", "a", lines * mw)], [("l", "c", lines * mw)], buses="abc")
    up = solved(
        [(a, b, -p, -q) for a, b, p, q in sent],
        [("g", "c", lines * mw)],
        [("l", "a", lines * mw)],
        buses="abc",
    )
    for flow in (down, up):
        result = trace(flow, np.array([0.7]))
        assert result.bus_t_per_mwh[0].tolist() == pytest.approx([0.7] * 3, rel=1e-14)
        assert result.branch_t_per_mwh[0].tolist() == pytest.approx([0.7] * (1 + lines), rel=1e-14)


@pytest.mark.parametrize("lines", [1, 2])
def test_flow_turns_between_snapshots(lines: int) -> None:
    """At night the grid feeds c through b, at noon c feeds all: each hour by its own direction."""
    night = solved(
        [("a", "b", 3.0, -2.9), *[("b", "c", 1.0, -0.9)] * lines],
        [("grid", "a", 3.0), ("pv", "c", 0.0)],
        [("lb", "b", 2.9 - lines), ("lc", "c", 0.9 * lines), ("export", "a", 0.0)],
    )
    noon = solved(
        [("a", "b", -0.1, 0.2), *[("b", "c", -0.9, 1.0)] * lines],
        [("grid", "a", 0.0), ("pv", "c", lines + 0.5)],
        [("lb", "b", 0.9 * lines - 0.2), ("lc", "c", 0.5), ("export", "a", 0.1)],
    )
    result = trace(stacked([night, noon, night]), np.array([0.5, 0.03]))
    assert result.bus_t_per_mwh.round(12).tolist() == [[0.5] * 3, [0.03] * 3, [0.5] * 3]
    assert np.abs(result.residual_t_per_h).max() < 1e-15
    assert (
        result.bus_t_per_mwh[1].tolist()
        == trace(noon, np.array([0.5, 0.03])).bus_t_per_mwh[0].tolist()
    )


def test_several_sources_at_a_bus_and_units_off() -> None:
    flow = solved(
        [("a", "b", 4.0, -4.0)],
        [("g", "a", 3.0), ("h", "a", 1.0), ("off", "a", 0.0)],
        [("l", "b", 4.0)],
    )
    result = trace(flow, np.array([0.8, 0.0, np.nan]))
    assert result.load_t_per_h[0, 0] == pytest.approx(2.4, rel=1e-15)
    assert result.source_t_per_h[0] == pytest.approx([2.4, 0.0, 0.0], rel=1e-15)
    assert shares_of(flow)[1].tolist() == [0.75, 0.25, 0.0]


def test_parallel_branches_sum() -> None:
    """Two lines in parallel carry what one would; each has a loss of its own."""
    loads = [("l", "c", 7.8)]
    sources = [("g", "a", 4.1), ("h", "b", 4.0)]
    one = solved([("a", "b", 4.1, -4.0), ("b", "c", 8.0, -7.8)], sources, loads)
    two = solved(
        [("a", "b", 4.1, -4.0), ("b", "c", 5.0, -4.9), ("c", "b", -2.9, 3.0)], sources, loads
    )
    e = np.array([0.9, 0.1])
    first, second = trace(one, e), trace(two, e)
    assert second.bus_t_per_mwh[0] == pytest.approx(first.bus_t_per_mwh[0], rel=1e-15)
    assert second.loss_t_per_h[0, 1:].sum() == pytest.approx(first.loss_t_per_h[0, 1], rel=1e-13)
    assert (second.loss_t_per_h[0] > 0).all()


def test_branch_from_a_bus_to_itself_loses_at_the_bus() -> None:
    flow = solved(
        [("a", "b", 2.0, -2.0), ("b", "b", 0.1, 0.1), ("b", "b", 5.0, -4.9)],
        [("g", "a", 2.0)],
        [("l", "b", 1.7)],
    )
    result = trace(flow, np.array([0.5]))
    assert result.bus_t_per_mwh[0] == pytest.approx([0.5, 0.5], rel=1e-15)
    assert result.loss_t_per_h[0] == pytest.approx([0.0, 0.1, 0.05], rel=1e-12)
    assert shares_of(flow).tolist() == [[1.0], [1.0]]


def test_load_and_plant_at_one_meter_by_policy() -> None:
    """Gross, the plant mixes with the grid; net, it serves its own load first."""
    load, plant = np.array([2.0]), np.array([1.5])
    found = {}
    for policy in MeterPolicy:
        own, given = metered(load, plant, policy)
        flow = solved(
            [("grid", "home", 1.5, -1.5)],
            [("import", "grid", 1.5), ("pv", "home", given[0])],
            [("home", "home", own[0]), ("neighbour", "home", 1.0)],
        )
        found[policy] = trace(flow, np.array([0.6, 0.0])).load_t_per_h[0].tolist()
    assert found[MeterPolicy.GROSS] == pytest.approx([0.6, 0.3], rel=1e-15)
    assert found[MeterPolicy.NET] == pytest.approx([0.3, 0.6], rel=1e-15)


def test_import_over_time_and_export() -> None:
    """The grid beyond has an intensity by hour; what goes back to it is a load."""
    hour = [("grid", "a", 3.0, -3.0)]
    imports = solved(
        hour,
        [("import", "grid", 3.0), ("pv", "a", 0.0)],
        [("l", "a", 3.0), ("export", "grid", 0.0)],
        kinds={"import": SourceKind.IMPORT, "export": LoadKind.EXPORT},
    )
    exports = solved(
        [("grid", "a", -1.0, 1.0)],
        [("import", "grid", 0.0), ("pv", "a", 4.0)],
        [("l", "a", 3.0), ("export", "grid", 1.0)],
    )
    flow = stacked([imports, imports, exports])
    result = trace(flow, np.array([[0.3, 0.05], [0.7, 0.05], [9.0, 0.05]]))
    assert result.bus_t_per_mwh[:, 1].tolist() == pytest.approx([0.3, 0.7, 0.05], rel=1e-15)
    assert result.load_t_per_h[2].tolist() == pytest.approx([0.15, 0.05], rel=1e-14)


def test_unknown_import_gives_bounds() -> None:
    flow = random_flow(5, 12, 9)
    count = len(flow.network.source_ids)
    low, high = np.full(count, 0.1), np.full(count, 0.1)
    high[3], low[3] = 0.9, 0.2
    lower, upper = trace_bounds(flow, low, high)
    between = trace(flow, 0.3 * low + 0.7 * high)
    live = ~np.isnan(lower.bus_t_per_mwh)
    assert (lower.bus_t_per_mwh[live] <= between.bus_t_per_mwh[live] + 1e-15).all()
    assert (between.bus_t_per_mwh[live] <= upper.bus_t_per_mwh[live] + 1e-15).all()
    assert (upper.bus_t_per_mwh[live] > lower.bus_t_per_mwh[live] + 0.01).any()
    with pytest.raises(InputError, match="above the upper bound"):
        trace_bounds(flow, high, low)


@pytest.mark.parametrize("lines", [1, 2])
def test_islands_are_traced_apart(lines: int) -> None:
    flow = solved(
        [("a", "b", 1.0, -1.0), *[("c", "d", 2.0 / lines, -2.0 / lines)] * lines],
        [("g", "a", 1.0), ("h", "c", 2.0)],
        [("l", "b", 1.0), ("m", "d", 2.0)],
        buses=("alone", "a", "c"),
    )
    result = trace(flow, np.array([0.9, 0.1]))
    by_bus = dict(zip(flow.network.bus_ids, result.bus_t_per_mwh[0].tolist(), strict=True))
    assert {bus: by_bus[bus] for bus in "abcd"} == {"a": 0.9, "b": 0.9, "c": 0.1, "d": 0.1}
    assert np.isnan(by_bus["alone"])


def test_a_stream_is_the_same_as_one_batch() -> None:
    parts = [random_flow(seed, 20, 15) for seed in (1, 2, 3)]
    parts = [replace(part, network=parts[0].network) for part in parts[:1] * 3]
    e = np.linspace(0.0, 1.0, len(parts[0].network.source_ids))
    whole = trace(stacked(parts), np.stack([e, 2 * e, e]))
    streamed = list(trace_many((part, k * e) for part, k in zip(parts, (1, 2, 1), strict=True)))
    assert len(streamed) == 3
    for row, part in enumerate(streamed):
        np.testing.assert_array_equal(part.bus_t_per_mwh[0], whole.bus_t_per_mwh[row])
    other = random_flow(9, 21, 15)
    with pytest.raises(InputError, match="another network"):
        list(trace_many([(parts[0], e), (other, np.zeros(42))]))
