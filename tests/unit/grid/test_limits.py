"""Violations: named, measured, the worst first."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.grid.small_grids import chain, load_at

from gridpact.errors import InputError
from gridpact.grid import power_flow, violations
from gridpact.model.grid import GridLimits, LimitKind


def test_nothing_is_violated_within_the_limits() -> None:
    net = chain(3)
    assert violations(power_flow(net, load_at(net, b2=5_000)), GridLimits()) == ()


def test_an_overloaded_branch_is_named_with_value_and_limit() -> None:
    net = chain(3, max_i_a=50.0)
    flow = power_flow(net, load_at(net, b1=30_000, b2=10_000))
    (found,) = violations(flow, GridLimits())
    assert (found.kind, found.element, found.limit) == (LimitKind.LOADING, "l1", 100.0)
    assert found.value == flow.loading_percent[0, 0]
    assert found.severity == pytest.approx(found.value / 100 - 1)
    assert str(found) == f"snapshot 0: branch l1 is loaded {found.value:.1f} %, above 100.0 %"


def test_voltages_below_and_above_the_band() -> None:
    net = chain(2, km=0.6)
    flow = power_flow(net, np.array([[0.0, 130_000], [0.0, -180_000]]))
    low, high = sorted(
        (one for one in violations(flow, GridLimits(loading_max_percent=1000))),
        key=lambda one: one.snapshot,
    )
    assert (low.kind, low.element, low.limit) == (LimitKind.UNDERVOLTAGE, "b1", 0.9)
    assert (high.kind, high.element, high.limit) == (LimitKind.OVERVOLTAGE, "b1", 1.1)
    assert low.severity == pytest.approx((0.9 - flow.vm_pu[0, 1]) / 0.1)
    assert high.severity == pytest.approx((flow.vm_pu[1, 1] - 1.1) / 0.1)
    assert str(low) == f"snapshot 0: bus b1 has {low.value:.4f} pu, below 0.9000 pu"
    assert str(high) == f"snapshot 1: bus b1 has {high.value:.4f} pu, above 1.1000 pu"


def test_the_worst_comes_first_whatever_its_kind() -> None:
    net = chain(4, km=0.3, max_i_a=100.0)
    flow = power_flow(net, np.array([[0, 0, 0, 90_000], [0, 0, 0, 1e9], [0, 20_000, 0, 70_000]]))
    found = violations(flow, GridLimits())
    severities = [one.severity for one in found]
    assert severities == sorted(severities, reverse=True)
    assert found[0].kind == LimitKind.COLLAPSE
    assert str(found[0]) == "snapshot 1: the voltage collapses"
    assert {one.kind for one in found} >= {LimitKind.LOADING, LimitKind.UNDERVOLTAGE}
    assert {one.snapshot for one in found} == {0, 1, 2}


def test_equally_severe_ones_come_by_snapshot() -> None:
    net = chain(3, c_nf_per_km=0.0)
    limits = GridLimits(loading_max_percent=0.001)
    found = violations(power_flow(net, np.zeros((2, 3))), limits)
    assert found == ()
    flow = power_flow(net, np.array([[0, 0, 9_000.0], [0, 0, 9_000.0]]))
    for branch in ("l1", "l2"):
        snapshots = [one.snapshot for one in violations(flow, limits) if one.element == branch]
        assert snapshots == [0, 1]


def test_unknown_ratings_and_dead_buses_break_nothing() -> None:
    net = chain(2, max_i_a=float("inf"))
    assert violations(power_flow(net, load_at(net, b1=50_000)), GridLimits()) == ()


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (GridLimits(1.1, 0.9), "vm_min_pu = 1.1 and vm_max_pu = 0.9; allowed"),
        (GridLimits(0.0, 1.1), "above 0, the first below the second"),
        (GridLimits(float("nan"), 1.1), "vm_min_pu = nan"),
        (GridLimits(loading_max_percent=0.0), "loading_max_percent = 0; allowed: above 0"),
        (GridLimits(loading_max_percent=float("nan")), "loading_max_percent = nan"),
    ],
)
def test_limits_that_cannot_be_kept(limits: GridLimits, words: str) -> None:
    net = chain(2)
    with pytest.raises(InputError) as caught:
        violations(power_flow(net, load_at(net)), limits)
    assert words in str(caught.value)
