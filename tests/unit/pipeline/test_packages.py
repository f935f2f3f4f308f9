"""What substations package: all of the flow, each its own part, and nobody else can read it."""

from __future__ import annotations

from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.carbon.flows import random_flow

from gridpact.carbon import trace
from gridpact.errors import InputError
from gridpact.node import SimulatedKeys
from gridpact.pipeline.packages import (
    joined,
    opened_package,
    packages_of,
    parts_of,
    sealed_to,
)

KEYS = SimulatedKeys(1)


@given(st.integers(0, 200), st.integers(1, 9))
def test_all_packages_together_are_the_flow(seed: int, count: int) -> None:
    """In another order, so elements are compared by their ids, and by what tracing finds."""
    flow = random_flow(seed, 12, 8, acyclic=True)
    network = flow.network
    factors = [Random(seed).random() for _ in network.source_ids]
    parts = parts_of(network, count)
    assert sorted(bus for part in parts for bus in part) == list(range(len(network.bus_ids)))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    stations = [f"s{i}" for i in range(count)]
    again, intensity = joined(packages_of(flow, factors, stations, parts))
    for ids, powers in (
        ("source_ids", "p_source_mw"),
        ("load_ids", "p_load_mw"),
        ("branch_ids", "p_from_mw"),
        ("branch_ids", "p_to_mw"),
    ):
        before = dict(zip(getattr(network, ids), getattr(flow, powers)[0], strict=True))
        after = dict(zip(getattr(again.network, ids), getattr(again, powers)[0], strict=True))
        assert before == after
    one, other = trace(flow, np.array([factors])), trace(again, np.array([intensity]))
    loads = dict(zip(network.load_ids, one.load_t_per_h[0], strict=True))
    for name, carbon in zip(again.network.load_ids, other.load_t_per_h[0], strict=True):
        assert carbon == pytest.approx(loads[name], rel=1e-9, abs=1e-12)


def test_a_package_has_its_own_part_and_no_more() -> None:
    flow = random_flow(3, 12, 8, acyclic=True)
    names = flow.network.bus_ids
    parts = parts_of(flow.network, 3)
    packages = packages_of(flow, [0.5] * len(flow.network.source_ids), ["x", "y", "z"], parts)
    for part, package in zip(parts, packages, strict=True):
        assert [bus.bus for bus in package.buses] == [names[place] for place in part]


@pytest.mark.parametrize("count", [0, 13])
def test_as_many_parts_as_buses_at_most(count: int) -> None:
    flow = random_flow(3, 12, 8, acyclic=True)
    with pytest.raises(InputError, match="allowed: 1 to 12"):
        parts_of(flow.network, count)


def test_a_box_opens_for_its_owner_only() -> None:
    flow = random_flow(3, 6, 4, acyclic=True)
    factors = [0.5] * len(flow.network.source_ids)
    (package,) = packages_of(flow, factors, ["x"], parts_of(flow.network, 1))
    box = sealed_to(KEYS.pair("dso")[0], package)
    assert opened_package(box, *KEYS.pair("dso")) == package
    assert msgspec.json.encode(package) not in box
    with pytest.raises(Exception, match="decrypt"):
        opened_package(box, *KEYS.pair("eve"))
    with pytest.raises(Exception, match="decrypt"):
        opened_package(box[:-1] + bytes([box[-1] ^ 1]), *KEYS.pair("dso"))
