"""The bench of tracing: its flows balance and turn, and all ways find the same."""

from __future__ import annotations

import numpy as np

from gridpact.carbon import check_flow
from gridpact.studies.bench_tracing import bench_tracing, feeder


def test_figures_per_size() -> None:
    figures = bench_tracing(sizes=(20, 300), year_h=30)
    assert list(figures) == ["20 buses", "300 buses", "30 snapshots of 300 buses"]
    assert figures["300 buses"]["sources"] == 61
    assert figures["300 buses"]["difference"] < 1e-12
    assert figures["300 buses"]["dense_ratio"] > 10  # measured: thousands
    assert figures["30 snapshots of 300 buses"]["memory_mb"] > 0


def test_flows_balance_and_turn() -> None:
    tree = feeder(500)
    flow, t_per_mwh = tree.part(0, 24)
    check_flow(flow)
    ways = np.sign(flow.p_from_mw)
    turned = (ways[12] != ways[0]).mean()
    assert 0.02 < turned < 0.4
    losses = (flow.p_from_mw + flow.p_to_mw).sum() / flow.p_source_mw.sum()
    assert 0.005 < losses < 0.1
    assert t_per_mwh.shape == flow.p_source_mw.shape


def test_the_same_hour_is_the_same_in_every_part() -> None:
    first, again = feeder(50).part(24, 24)[0], list(feeder(50).parts(48))[1][0]
    np.testing.assert_array_equal(first.p_from_mw, again.p_from_mw)
