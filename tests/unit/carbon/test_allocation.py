"""Whole micrograms: what goes in comes out, kind by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.carbon.flows import solved

from gridpact.carbon import TracingError, allocate, trace
from gridpact.errors import InputError
from gridpact.model.carbon import LoadKind, SourceKind, Trace
from gridpact.quantize import QuantizeError


def everything() -> Trace:
    """Import, a plant, a store that gives and one that takes, export, a shunt, a branch that loses
    and one that gains."""
    flow = solved(
        [("a", "b", 5.0, -4.7), ("b", "c", 1.0, -1.1)],
        [("import", "a", 5.0), ("plant", "b", 2.0), ("full", "b", 0.3)],
        [
            ("home", "b", 4.0),
            ("empty", "b", 1.5),
            ("shunt", "b", 0.5),
            ("export", "c", 1.1),
        ],
        kinds={"import": SourceKind.IMPORT, "export": LoadKind.EXPORT, "shunt": LoadKind.SHUNT}
        | {"full": SourceKind.STORE, "empty": LoadKind.CHARGING},
    )
    return trace(flow, np.array([0.7, 0.1, 0.3]))


def test_the_sums_are_exact_and_by_kind() -> None:
    result = everything()
    found = allocate(result, 0.25)
    assert found.residual_ug == 0
    assert found.imported_ug == 875_000_000_000
    assert found.generated_ug == 50_000_000_000
    assert found.emitted_ug == (875_000_000_000, 50_000_000_000, 22_500_000_000)
    rho = (4.7 * 0.7 + 0.2 + 0.09) / 7.0
    assert found.consumed_ug == pytest.approx(4.0 * rho * 0.25e12, abs=2)
    assert found.exported_ug == pytest.approx(1.1 * rho * 0.25e12, abs=2)
    assert found.stored_ug == pytest.approx((1.5 * rho - 0.09) * 0.25e12, abs=2)
    assert found.loss_ug[1] == pytest.approx(-0.1 * rho * 0.25e12, abs=2)
    assert found.lost_ug == sum(found.loss_ug) + found.load_ug[2]


def test_odd_micrograms_go_to_the_largest_remainder() -> None:
    """2 ug among three equal loads: the first two get one each."""
    flow = solved([], [("g", "a", 3e-6)], [(name, "a", 1e-6) for name in "xyz"])
    found = allocate(trace(flow, np.array([2e-6 / 3])), 1.0)
    assert found.emitted_ug == (2,)
    assert found.load_ug == (1, 1, 0)


def test_no_carbon_at_all() -> None:
    flow = solved([], [("g", "a", 1.0)], [("l", "a", 1.0)])
    found = allocate(trace(flow, np.array([0.0])), 1.0)
    assert (found.emitted_ug, found.load_ug, found.residual_ug) == ((0,), (0,), 0)


def test_refusals() -> None:
    result = everything()
    for hours in (0.0, -1.0, np.nan):
        with pytest.raises(InputError, match="hours: "):
            allocate(result, hours)
    with pytest.raises(InputError, match=r"snapshot: 1 is not there; allowed: 0 to 0"):
        allocate(result, 1.0, 1)
    with pytest.raises(QuantizeError, match="emitted_ug"):
        allocate(result, 1e4)
    half = replace(result, bus_t_per_mwh=result.bus_t_per_mwh / 2)
    with pytest.raises(TracingError, match="did not reach a load or loss"):
        allocate(half, 1.0)
