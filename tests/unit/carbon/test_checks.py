"""What is no solved flow is refused with the snapshot, the element and the value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.carbon.flows import solved, stacked

from gridpact.carbon import check_flow, trace
from gridpact.errors import InputError
from gridpact.model.carbon import SolvedFlow


def two_buses() -> SolvedFlow:
    return solved([("a", "b", 1.0, -0.9)], [("g", "a", 1.0)], [("l", "b", 0.9)])


def changed(**values: float) -> SolvedFlow:
    """Three snapshots, the last with other values."""
    flow = two_buses()
    last = replace(flow, **{name: np.array([[value]]) for name, value in values.items()})
    return stacked([flow, flow, last])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"p_load_mw": 0.8}, r"snapshot 2: bus b: inflow less outflow is \+0.1 MW"),
        ({"p_source_mw": 0.9}, r"snapshot 2: bus a: inflow less outflow is -0.1 MW"),
        ({"p_load_mw": 0.0, "p_from_mw": 0.0, "p_to_mw": 0.0}, r"bus a: .* is \+1 MW"),
        ({"p_source_mw": -1.0}, "snapshot 2: source g: -1 MW is not allowed.* is a load"),
        ({"p_load_mw": -0.9}, "snapshot 2: load l: -0.9 MW is not allowed.* is a source"),
        ({"p_load_mw": np.nan}, "snapshot 2: load l: nan MW"),
        ({"p_source_mw": np.inf}, "snapshot 2: source g: inf MW"),
        ({"p_from_mw": np.nan}, "snapshot 2: branch a-b-0: nan is no number; solve"),
        ({"p_to_mw": -np.inf}, "snapshot 2: branch a-b-0: -inf is no number; solve"),
        ({"p_from_mw": -1.0}, "snapshot 2: branch a-b-0: 1 MW flows into its from-bus, and more"),
    ],
)
def test_refused(values: dict[str, float], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_flow(changed(**values))


def test_a_branch_that_feeds_both_its_buses_is_refused_though_they_balance() -> None:
    flow = solved([("a", "b", -1.0, -0.9)], [], [("l", "a", 1.0), ("m", "b", 0.9)])
    with pytest.raises(InputError, match="branch a-b-0: 1 MW flows into its from-bus, and more"):
        check_flow(flow)


def test_a_disconnected_load_is_a_bus_that_does_not_balance() -> None:
    flow = solved(
        [("a", "b", 1.0, -0.9)], [("g", "a", 1.0)], [("l", "b", 0.9), ("m", "alone", 0.2)]
    )
    with pytest.raises(InputError, match=r"bus alone: inflow less outflow is -0.2 MW"):
        trace(flow, np.array([0.5]))


def test_what_a_solver_leaves_is_allowed() -> None:
    check_flow(changed(p_load_mw=0.9 + 0.9e-7))
    with pytest.raises(InputError, match="bus b"):
        check_flow(changed(p_load_mw=0.9 + 3e-6))
    check_flow(changed(p_load_mw=0.9 + 3e-6), relative=1e-5)


@pytest.mark.parametrize("value", [-0.1, 3.1, 400.0, np.nan, np.inf])
def test_absurd_intensities(value: float) -> None:
    with pytest.raises(InputError, match=r"snapshot 1: source g: \S+ t/MWh is not allowed"):
        trace(changed(), np.array([[0.5], [value], [value]]))


def test_shapes() -> None:
    flow = two_buses()
    with pytest.raises(InputError, match=r"t_per_mwh: has shape \(2,\); allowed: \(1,\) or"):
        trace(flow, np.zeros(2))
    with pytest.raises(InputError, match=r"p_load_mw: has shape \(2, 1\); allowed: \(1, 1\)"):
        check_flow(replace(flow, p_load_mw=np.zeros((2, 1))))
    outside = replace(flow.network, load_bus=np.array([2]))
    with pytest.raises(InputError, match=r"load_bus: names a bus outside 0\.\.1"):
        check_flow(replace(flow, network=outside))
