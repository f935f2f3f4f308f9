"""Stores keep the carbon of what they take, and give it back to the gram."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.carbon.flows import solved, stacked

from gridpact.carbon import Store, Tracer, trace_with_stores
from gridpact.errors import InputError
from gridpact.model.carbon import LoadKind, SolvedFlow, SourceKind

BATTERY = Store("battery", 2.0, 0.0, 0.95, 0.95)


def hour(charge_mw: float, discharge_mw: float) -> SolvedFlow:
    """The grid gives 2 MW; the battery is at the customer's bus."""
    taken = 2.0 + discharge_mw - charge_mw
    return solved(
        [("grid", "home", 2.0, -2.0)],
        [("import", "grid", 2.0), ("battery", "home", discharge_mw)],
        [("customer", "home", taken), ("battery", "home", charge_mw)],
        kinds={"import": SourceKind.IMPORT},
    )


def schedule(*powers: tuple[float, float]) -> SolvedFlow:
    flow = stacked([hour(*power) for power in powers])
    network = replace(
        flow.network,
        source_kind=np.array([SourceKind.IMPORT, SourceKind.STORE], dtype=np.int64),
        load_kind=np.array([LoadKind.CONSUMPTION, LoadKind.CHARGING], dtype=np.int64),
    )
    return replace(flow, network=network)


def test_example_of_charging_dear_and_cheap() -> None:
    """1 MWh at 0.5 and at 0.1 t/MWh, then 1 and 0.5 MWh out. Source: eta 0.95 both ways, by hand:
    C / (eta E) = 0.5 / (0.95 x 2.95), then 0.6 / (0.95 x 3.9), which discharging leaves alone."""
    flow = schedule((1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.5))
    e = np.array([[0.5, 0], [0.1, 0], [0.4, 0], [0.4, 0]])
    result = trace_with_stores(Tracer(flow.network), flow, e, [BATTERY], 1.0)
    after = result.carbon_t[:, 0] / (0.95 * result.energy_mwh[:, 0])
    assert after[0] == pytest.approx(0.178412, abs=0.6e-6)
    assert after[1:] == pytest.approx(0.161943, abs=0.6e-6)
    assert result.trace.source_t_per_mwh[2:, 1] == pytest.approx(0.161943, abs=0.6e-6)
    mix = (2 * 0.4 + 0.161943) / 3
    assert result.trace.bus_t_per_mwh[2, 1] == pytest.approx(mix, abs=1e-6)
    assert result.energy_mwh[-1, 0] == pytest.approx(2 + 1.9 - 1.5 / 0.95, rel=1e-14)


def test_all_carbon_that_goes_in_comes_out() -> None:
    flow = schedule(*[(1.0, 0.0)] * 3, *[(0.0, 0.5)] * 4, (0.3, 0.7))
    e = np.column_stack([np.linspace(0.2, 0.7, 8), np.zeros(8)])
    result = trace_with_stores(Tracer(flow.network), flow, e, [BATTERY], 0.5)
    taken = result.trace.load_t_per_h[:, 1].sum() * 0.5
    given = result.trace.source_t_per_h[:, 1].sum() * 0.5
    assert taken - given == pytest.approx(result.stores[0].carbon_t, rel=1e-13)
    assert (result.carbon_t >= 0).all()
    assert np.abs(result.trace.residual_t_per_h).max() < 1e-14


def test_emptied_to_the_last_there_is_no_carbon_left() -> None:
    flow = schedule((1.0, 0.0), (0.0, 0.9025))
    store = Store("battery", 0.0, 0.0, 0.95, 0.95)
    e = np.array([[0.5, 0], [0.4, 0]])
    result = trace_with_stores(Tracer(flow.network), flow, e, [store], 1.0)
    assert result.stores[0].energy_mwh == pytest.approx(0.0, abs=1e-12)
    assert result.stores[0].carbon_t == pytest.approx(0.0, abs=1e-12)
    assert result.trace.source_t_per_h[1, 1] == pytest.approx(0.5, rel=1e-12)


def test_a_stream_goes_on_where_it_was() -> None:
    flow = schedule((1.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.5))
    e = np.array([[0.5, 0], [0.1, 0], [0.4, 0], [0.4, 0]])
    tracer = Tracer(flow.network)
    whole = trace_with_stores(tracer, flow, e, [BATTERY], 1.0)
    stores = (BATTERY,)
    for rows in (slice(0, 2), slice(2, 4)):
        part = SolvedFlow(
            flow.network,
            flow.p_source_mw[rows],
            flow.p_load_mw[rows],
            flow.p_from_mw[rows],
            flow.p_to_mw[rows],
        )
        stores = trace_with_stores(tracer, part, e[rows], stores, 1.0).stores
    assert stores == whole.stores


def test_what_is_not_there_cannot_be_given() -> None:
    flow = schedule((0.0, 1.0), (0.0, 1.0))
    with pytest.raises(InputError, match=r"snapshot 1: store battery: gives 1 MW, .* 0\.9 MW"):
        trace_with_stores(Tracer(flow.network), flow, np.zeros(2), [BATTERY], 1.0)
    empty = replace(BATTERY, energy_mwh=0.0)
    with pytest.raises(InputError, match="snapshot 0: store battery: gives 1 MW"):
        trace_with_stores(Tracer(flow.network), flow, np.zeros(2), [empty], 1.0)
    assert np.isnan(empty.t_per_mwh)


def test_stores_that_cannot_be() -> None:
    flow = schedule((0.0, 0.0))
    tracer = Tracer(flow.network)
    for store, words in (
        (replace(BATTERY, energy_mwh=-1.0), "energy_mwh -1 is not allowed"),
        (replace(BATTERY, carbon_t=np.nan), "carbon_t nan is not allowed"),
        (replace(BATTERY, charge_efficiency=0.0), "charge_efficiency 0 is not allowed"),
        (replace(BATTERY, discharge_efficiency=1.1), "discharge_efficiency 1.1"),
        (replace(BATTERY, store_id="other"), "store other: is not exactly one source"),
    ):
        with pytest.raises(InputError, match=words):
            trace_with_stores(tracer, flow, np.zeros(2), [store], 1.0)
    with pytest.raises(InputError, match="hours: 0"):
        trace_with_stores(tracer, flow, np.zeros(2), [BATTERY], 0.0)
