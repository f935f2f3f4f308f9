"""Series in parts: the same as one batch, stores go on, and errors name the snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.carbon.flows import solved, stacked
from tests.unit.carbon.test_storage import BATTERY, schedule

from gridpact.carbon import Store, Tracer, TracingError, trace, trace_with_stores
from gridpact.carbon.series import TracedPart, gains_power, trace_series
from gridpact.errors import InputError
from gridpact.model.carbon import FlowToTrace, SolvedFlow

POWERS = ((1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.5), (0.0, 0.2))
INTENSITY = np.array([[0.5, 0], [0.1, 0], [0.4, 0], [0.4, 0], [0.3, 0]])


def rows_of(flow: SolvedFlow, rows: slice) -> SolvedFlow:
    names = ("p_source_mw", "p_load_mw", "p_from_mw", "p_to_mw")
    return replace(flow, **{name: getattr(flow, name)[rows] for name in names})


def parts_of(
    flow: SolvedFlow, low: np.ndarray, high: np.ndarray, size: int
) -> Iterator[FlowToTrace]:
    for first in range(0, len(low), size):
        rows = slice(first, first + size)
        starts = np.arange(first, min(first + size, len(low))) * 3600
        yield FlowToTrace(rows_of(flow, rows), low[rows], high[rows], starts)


def series(size: int, high: np.ndarray = INTENSITY, store: Store = BATTERY) -> list[TracedPart]:
    flow = schedule(*POWERS)
    parts = parts_of(flow, INTENSITY, high, size)
    return list(trace_series(flow.network, parts, [store], 1.0))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_stores_go_on_from_part_to_part(size: int) -> None:
    flow = schedule(*POWERS)
    whole = trace_with_stores(Tracer(flow.network), flow, INTENSITY, [BATTERY], 1.0)
    found = series(size)
    assert [part.first for part in found] == list(range(0, 5, size))
    bus = np.concatenate([part.low.bus_t_per_mwh for part in found])
    np.testing.assert_array_equal(bus, whole.trace.bus_t_per_mwh)
    states = [part.stores for part in found if part.stores is not None]
    carbon = np.concatenate([each.low_carbon_t for each in states])
    np.testing.assert_array_equal(carbon, whole.carbon_t)
    energy = np.concatenate([each.energy_mwh for each in states])
    rho = np.concatenate([each.low_t_per_mwh for each in states])
    assert rho == pytest.approx(carbon / (0.95 * energy), rel=1e-14)
    assert all(part.low is part.high for part in found)


def test_an_interval_is_two_stores() -> None:
    """What was unknown while charging is unknown while discharging, part after part."""
    high = INTENSITY.copy()
    high[0, 0] = 0.9
    found = series(2, high)
    upper = trace_with_stores(
        Tracer(schedule(*POWERS).network), schedule(*POWERS), high, [BATTERY], 1.0
    )
    bus = np.concatenate([part.high.bus_t_per_mwh for part in found])
    np.testing.assert_array_equal(bus, upper.trace.bus_t_per_mwh)
    low = np.concatenate([part.low.bus_t_per_mwh for part in found])
    assert (bus[2:, 1] > low[2:, 1]).all()
    assert [part.low is part.high for part in found] == [False, False, False]


def test_an_empty_store_has_no_intensity() -> None:
    flow = schedule((1.0, 0.0), (0.0, 0.9025))
    store = Store("battery", 0.0, 0.0, 0.95, 0.95)
    e = np.array([[0.5, 0], [0.4, 0]])
    (found,) = trace_series(flow.network, parts_of(flow, e, e, 2), [store], 1.0)
    assert found.stores is not None
    assert found.stores.low_t_per_mwh[0, 0] == pytest.approx(0.5 / 0.9025, rel=1e-12)
    assert np.isnan(found.stores.low_t_per_mwh[1, 0])


def test_a_store_that_is_full_takes_no_more() -> None:
    with pytest.raises(InputError) as caught:
        series(1, store=replace(BATTERY, capacity_mwh=3.0))
    assert str(caught.value).startswith(
        "snapshot 1 (1970-01-01T01:00:00Z): store battery: holds 3.9 MWh after taking 1 MWh; "
        "allowed: up to its capacity of 3 MWh"
    )
    series(1, store=replace(BATTERY, capacity_mwh=3.9))
    with pytest.raises(InputError, match=r"capacity_mwh 1 is not allowed; .* energy_mwh, 2"):
        series(1, store=replace(BATTERY, capacity_mwh=1.0))


def test_errors_name_the_snapshot_of_the_series() -> None:
    with pytest.raises(InputError) as caught:
        series(2, store=replace(BATTERY, energy_mwh=0.0, discharge_efficiency=0.5))
    where = caught.value.problems[0].where
    assert where == "snapshot 2 (1970-01-01T02:00:00Z): store battery"
    flow = schedule(*POWERS)
    flow.p_load_mw[3, 0] += 0.1
    parts = parts_of(flow, INTENSITY, INTENSITY, 2)
    with pytest.raises(InputError, match=r"^snapshot 3 \(1970-01-01T03:00:00Z\): bus home: inflow"):
        list(trace_series(flow.network, parts, [BATTERY], 1.0))


def test_a_closed_ring_names_the_snapshot_too() -> None:
    loop = [("a", "b", 1.0, -1.0), ("b", "c", 1.0, -1.0), ("c", "a", 1.0, -1.0)]
    still = [(a, b, 0.0, 0.0) for a, b, *_ in loop]
    far = [("g", "far", 1.0)], [("l", "far", 1.0)]
    flow = stacked([solved(still, *far), solved(still, *far), solved(loop, *far)])
    e = np.full((3, 1), 0.5)
    parts = (replace(part, start_s=None) for part in parts_of(flow, e, e, 2))
    with pytest.raises(TracingError, match=r"^snapshot 2: power goes in a ring"):
        list(trace_series(flow.network, parts))


def test_lower_above_upper() -> None:
    flow = schedule(*POWERS)
    with pytest.raises(InputError, match="above the upper bound"):
        list(trace_series(flow.network, parts_of(flow, INTENSITY, INTENSITY / 2, 2)))


@pytest.mark.parametrize(
    ("arrives", "gains"), [(10.5, True), (10.0 + 2e-5, True), (10.0 + 5e-6, False), (9.9, False)]
)
def test_branches_that_gain_power_are_flagged(arrives: float, gains: bool) -> None:
    """Within the tolerance of a balance it is rounding. In either direction of the branch."""
    forth = solved([("a", "b", 10.0, -arrives)], [("g", "a", 10.0)], [("l", "b", arrives)])
    back = solved([("b", "a", -arrives, 10.0)], [("g", "a", 10.0)], [("l", "b", arrives)])
    for flow in (forth, back):
        result = trace(flow, np.array([0.4]))
        assert gains_power(result).tolist() == [[gains]]
        assert result.loss_t_per_h[0, 0] == pytest.approx(0.4 * (10.0 - arrives), rel=1e-9)
