"""Solved-flow files, power flows of the grid room, the intensity of imports."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gridpact.carbon import MeterPolicy, trace
from gridpact.errors import InputError
from gridpact.grid import load_network, nominal_load, power_flow
from gridpact.inputs.flow_series import Intensities, parse_factor
from gridpact.inputs.solved_flow import read_solved_flow
from gridpact.inputs.solved_flow_grid import bus_place, flow_to_trace, nominal_generation
from gridpact.inputs.solved_flow_imports import read_import_intensity
from gridpact.inputs.solved_flow_reference import Asked, load_flow_series
from gridpact.model.carbon import FlowToTrace, LoadKind, SourceKind

FLOW: dict[str, Any] = {
    "format": "gridpact-solved-flow-1",
    "buses": [{"id": "a"}, {"id": "b", "load_mw": 2.0}, {"id": "c", "load_mw": 0.5}],
    "sources": [
        {"id": "grid", "bus": "a", "kind": "import", "p_mw": 2.1, "t_per_mwh": 0.4},
        {"id": "pv", "bus": "b", "p_mw": 0.52, "technology": "pv-rooftop", "behind_meter": True},
        {"id": "battery", "bus": "c", "kind": "store", "p_mw": 0.0},
    ],
    "branches": [
        {"id": "ab", "from_bus": "a", "to_bus": "b", "p_from_mw": 2.1, "p_to_mw": -2.0},
        {"id": "cb", "from_bus": "c", "to_bus": "b", "p_from_mw": -0.5, "p_to_mw": 0.52},
    ],
}


def written(folder: Path, flow: object) -> Path:
    path = folder / "flow.json"
    path.write_text(flow if isinstance(flow, str) else json.dumps(flow), encoding="utf-8")
    return path


def changed(path: str, value: object) -> dict[str, Any]:
    """The flow with one value replaced; `sources.1.p_mw` is the second source's."""
    flow = copy.deepcopy(FLOW)
    *way, last = path.split(".")
    place: Any = flow
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    if value is KeyError:
        del place[last]
    else:
        place[int(last) if last.isdigit() else last] = value
    return flow


def test_a_file_as_documented(tmp_path: Path) -> None:
    found = read_solved_flow(written(tmp_path, FLOW))
    network = found.flow.network
    assert network.source_kind.tolist() == [
        SourceKind.IMPORT,
        SourceKind.GENERATION,
        SourceKind.STORE,
    ]
    assert network.load_ids == ("a", "b", "c", "grid", "battery")
    assert network.load_kind[3:].tolist() == [LoadKind.EXPORT, LoadKind.CHARGING]
    result = trace(found.flow, found.low_t_per_mwh)
    rho = 0.4 * 2.0 / 2.52
    assert result.bus_t_per_mwh[0] == pytest.approx([0.4, rho, rho], rel=1e-14)


def test_net_of_what_is_behind_the_meter(tmp_path: Path) -> None:
    found = read_solved_flow(written(tmp_path, {**FLOW, "meter_policy": "net"}))
    assert found.flow.p_source_mw[0].tolist() == [2.1, 0.0, 0.0]
    assert found.flow.p_load_mw[0, 1] == pytest.approx(1.48, rel=1e-14)
    result = trace(found.flow, found.low_t_per_mwh)
    assert result.bus_t_per_mwh[0] == pytest.approx([0.4] * 3, rel=1e-14)


def test_negative_import_is_an_export_and_negative_store_charges(tmp_path: Path) -> None:
    flow = {
        "format": FLOW["format"],
        "buses": [{"id": "a"}],
        "sources": [
            {"id": "grid", "bus": "a", "kind": "import", "p_mw": -1.0},
            {"id": "battery", "bus": "a", "kind": "store", "p_mw": -0.5},
            {"id": "plant", "bus": "a", "p_mw": 1.5, "t_per_mwh": [0.1, 0.2]},
        ],
        "branches": [],
    }
    found = read_solved_flow(written(tmp_path, flow))
    assert found.flow.p_load_mw[0].tolist() == [0.0, 1.0, 0.5]
    assert found.flow.p_source_mw[0].tolist() == [0.0, 0.0, 1.5]
    assert (found.low_t_per_mwh[0, 2], found.high_t_per_mwh[0, 2]) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("format", "other", r"flow.json: format: 'other' is not allowed"),
        ("converged", False, "flow.json: converged: is false"),
        ("buses.1.load_mw", -2.0, r"buses\[2\]\.load_mw: -2.0 is not allowed"),
        ("buses.1.load_mw", 1.9, r"flow.json: bus b: inflow less outflow is \+0.1 MW"),
        ("buses.1.load_mw", float("nan"), r"buses\[2\]\.load_mw: nan is not allowed"),
        ("buses.1.id", "a", r"buses\[2\]\.id: 'a' is there twice"),
        ("buses", [], "buses: has no bus"),
        ("sources.0.bus", "A", r"sources\[1\]\.bus: 'A' is not a bus"),
        ("sources.0.t_per_mwh", -0.1, r"sources\[1\]\.t_per_mwh: -0.1 is not allowed"),
        ("sources.0.t_per_mwh", 400, r"sources\[1\]\.t_per_mwh: 400 is not allowed"),
        ("sources.0.t_per_mwh", [0.5, 0.4], r"sources\[1\]\.t_per_mwh: \[0.5, 0.4\] is not"),
        ("sources.0.t_per_mwh", KeyError, r"sources\[1\]\.t_per_mwh: 0 of t_per_mwh, tech"),
        ("sources.0.technology", "coal", r"sources\[1\]\.technology: 2 of t_per_mwh, tech"),
        ("sources.0.behind_meter", True, r"sources\[1\]\.behind_meter: has no meaning"),
        ("sources.1.p_mw", -0.5, r"sources\[2\]\.p_mw: -0.5 is not allowed"),
        ("sources.1.p_mw", KeyError, r"sources\[2\]\.p_mw: is missing"),
        ("sources.1.technology", "solar", r"sources\[2\]\.technology: 'solar' is not"),
        ("sources.1.extra", 1, r"sources\[2\]\.extra: is not a known key"),
        ("branches.0.to_bus", "z", r"branches\[1\]\.to_bus: 'z' is not a bus"),
        ("branches.0.p_from_mw", True, r"branches\[1\]\.p_from_mw: true is not allowed"),
        ("branches.0.p_to_mw", 1e9, r"branches\[1\]\.p_to_mw: 1000000000.0 is not allowed"),
        ("branches.1.id", "ab", r"branches\[2\]\.id: 'ab' is there twice"),
        ("meter_policy", "nett", "meter_policy: 'nett' is not allowed"),
    ],
)
def test_refused_with_the_place(tmp_path: Path, path: str, value: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_solved_flow(written(tmp_path, changed(path, value)))


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        ({"a": 0.001, "b": 0.1}, r"sources\[2\]\.curve\.c: is missing"),
        ({"a": 0.001, "b": 0.1, "c": 0.0, "mu": 1.5}, r"curve\.mu: 1.5 is not allowed"),
        ({"a": 0.001, "b": 0.1, "c": 4.0}, r"sources\[2\]\.curve: comes to 28\.\d+ t/MWh"),
    ],
)
def test_curves_that_cannot_be(tmp_path: Path, curve: dict[str, float], words: str) -> None:
    flow = changed("sources.1.technology", KeyError)
    flow["sources"][1]["curve"] = curve
    with pytest.raises(InputError, match=words):
        read_solved_flow(written(tmp_path, flow))


@pytest.mark.parametrize("text", ["{", "[1]", '{"buses": ' + "[" * 100_000])
def test_no_json_object(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError, match=r"flow\.json: "):
        read_solved_flow(written(tmp_path, text))
    with pytest.raises(InputError, match="cannot be read"):
        read_solved_flow(tmp_path / "nothing.json")


def grid_folder(folder: Path) -> Path:
    """Three buses of 400 V, two of them joined by a switch, one beyond an open one."""
    tables = {
        "buses": "bus,vn_kv\na,0.4\nb,0.4\nb2,0.4\nfar,0.4\n",
        "lines": "line,from_bus,to_bus,length_km,r_ohm_per_km,x_ohm_per_km\n"
        "ab,a,b,0.1,0.2,0.08\nout,b,far,0.1,0.2,0.08\n",
        "switches": "switch,bus,element_kind,element,state\ns,b,bus,b2,closed\nt,b,line,out,open\n",
        "external_grids": "external_grid,bus\ngrid,a\n",
        "loads": "load,bus,p_w\nhome,b,5000\nshop,b2,3000\n",
        "generators": "generator,bus,p_w\npv,b2,4000\n",
        "shunts": "shunt,bus,p_w\niron,b,100\n",
    }
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


def test_a_power_flow_becomes_a_flow_to_trace(tmp_path: Path) -> None:
    """Buses that a closed switch joins are one place; shunts are losses; dead buses stay dead."""
    network = load_network(f"csv:{grid_folder(tmp_path)}", Path())
    flow = power_flow(network, *nominal_load(network))
    found = flow_to_trace(network, flow, nominal_generation(network))
    assert found.network.bus_ids == ("a", "b", "far")
    assert bus_place(flow).tolist() == [0, 1, 1, 2]
    assert found.network.source_ids == ("grid", "generation:b2")
    assert found.network.load_ids == ("a", "b", "b2", "far", "export:grid", "shunt:iron")
    result = trace(found, np.array([0.4, 0.0]))
    grid_mw = found.p_source_mw[0, 0]
    arrives = -found.p_to_mw[0, 0]
    rho = 0.4 * arrives / (arrives + 0.004)
    assert result.bus_t_per_mwh[0, 1] == pytest.approx(rho, rel=1e-9)
    assert np.isnan(result.bus_t_per_mwh[0, 2])
    assert result.load_t_per_h[0, 1:3] == pytest.approx([0.005 * rho, 0.003 * rho], rel=1e-9)
    assert 0.00009 < found.p_load_mw[0, -1] < 0.00011
    assert result.residual_t_per_h[0] == pytest.approx(0.0, abs=1e-9 * grid_mw)


def test_net_power_flow_serves_its_own_load_first(tmp_path: Path) -> None:
    network = load_network(f"csv:{grid_folder(tmp_path)}", Path())
    flow = power_flow(network, *nominal_load(network))
    net = flow_to_trace(network, flow, nominal_generation(network), MeterPolicy.NET)
    assert net.p_load_mw[0, 2] == 0.0
    assert net.p_source_mw[0, 1] == pytest.approx(0.001, rel=1e-12)
    alone = flow_to_trace(network, flow)
    assert alone.p_source_mw[0].tolist() == pytest.approx(net.p_source_mw[0].tolist(), rel=1e-12)


def test_export_is_a_load(tmp_path: Path) -> None:
    network = load_network(f"csv:{grid_folder(tmp_path)}", Path())
    p_w = np.array([[0.0, 1000.0, -9000.0, 0.0]])
    found = flow_to_trace(network, power_flow(network, p_w))
    assert found.p_source_mw[0, 0] == 0.0
    export = found.network.load_ids.index("export:grid")
    assert 0.0075 < found.p_load_mw[0, export] < 0.008
    result = trace(found, np.array([0.9, 0.03]))
    assert result.bus_t_per_mwh[0, :2] == pytest.approx([0.03, 0.03], rel=1e-12)


@pytest.mark.parametrize("short_circuit_mva", [10_000.0, 1.0])
def test_carbon_is_kept_whatever_impedance_the_grid_beyond_has(
    tmp_path: Path, short_circuit_mva: float
) -> None:
    """power-grid-model gives a source an impedance of its own, 10,000 MVA unless told otherwise.

    It lowers the voltage and so raises the losses of the network. What it loses itself is beyond
    the bus: the import is what arrives there, so nothing is missing, with it or without.
    """
    ideal = load_network(f"csv:{grid_folder(tmp_path)}", Path())
    (grid,) = ideal.external_grids
    own = replace(grid, short_circuit_mva=short_circuit_mva)
    found = {}
    for name, network in (("ideal", ideal), ("own", replace(ideal, external_grids=(own,)))):
        flow = power_flow(network, *nominal_load(network))
        solved = flow_to_trace(network, flow, nominal_generation(network))
        traced = trace(solved, np.array([0.4, 0.0]))
        arrives, loss = traced.flow.p_source_mw.sum(), (traced.flow.p_from_mw + traced.flow.p_to_mw)
        assert arrives == pytest.approx(traced.flow.p_load_mw.sum() + loss.sum(), rel=1e-12)
        assert abs(traced.residual_t_per_h[0]) < 1e-12 * traced.source_t_per_h.sum()
        assert traced.bus_t_per_mwh[0, 0] == pytest.approx(0.4, rel=1e-14)
        found[name] = flow.vm_pu[0, 0], loss.sum()
    # R of rx_ratio 0.1 and P of 4 kW: what the voltage falls by.
    r_pu = 0.1 / np.hypot(0.1, 1.0) / short_circuit_mva
    fall = found["ideal"][0] - found["own"][0]
    assert fall == pytest.approx(r_pu * 0.004, rel=0.1)
    if short_circuit_mva == 1.0:
        assert found["own"][1] > found["ideal"][1] * (1 + fall)


def test_power_flows_that_cannot_be_traced(tmp_path: Path) -> None:
    network = load_network(f"csv:{grid_folder(tmp_path)}", Path())
    p_w = np.zeros((2, 4))
    p_w[1, 1] = 1e9
    flow = power_flow(network, p_w)
    with pytest.raises(InputError, match="snapshot 1: the power flow did not converge"):
        flow_to_trace(network, flow)
    good = power_flow(network, np.array([[0.0, 0.0, -500.0, 0.0]]))
    with pytest.raises(InputError, match="snapshot 0: bus b2: feeds in 500 W, more than the 100 W"):
        flow_to_trace(network, good, np.array([[0.0, 0.0, 100.0, 0.0]]))
    with pytest.raises(InputError, match=r"generated_w: allowed: shape \(1, 4\)"):
        flow_to_trace(network, good, np.zeros((1, 3)))


def load_flow_to_trace(
    reference: str, factors: dict[str, tuple[float, float]], policy: MeterPolicy
) -> FlowToTrace:
    """The one snapshot that a reference leads to."""
    (found,) = load_flow_series(reference, Asked(policy), Intensities(factors)).parts
    return found


def test_factors_by_source_and_by_kind(tmp_path: Path) -> None:
    folder = str(grid_folder(tmp_path))
    low, high = (0.3, 0.3), (0.02, 0.05)
    found = load_flow_to_trace(
        folder, {"import": low, "generation": (1.0, 1.0), "generation:b2": high}, MeterPolicy.GROSS
    )
    assert found.low_t_per_mwh.tolist() == [[0.3, 0.02]]
    assert found.high_t_per_mwh.tolist() == [[0.3, 0.05]]
    with pytest.raises(InputError, match=r"source generation:b2: has no intensity; give it"):
        load_flow_to_trace(folder, {"import": low}, MeterPolicy.GROSS)
    with pytest.raises(InputError, match=r"--factor gird: names no source here; did you mean"):
        load_flow_to_trace(folder, {"gird": low, "import": low}, MeterPolicy.GROSS)
    file = str(written(tmp_path, FLOW))
    assert load_flow_to_trace(file, {"pv": low}, MeterPolicy.GROSS).low_t_per_mwh[0, 1] == 0.3
    with pytest.raises(InputError, match="nowhere: cannot be read"):
        load_flow_to_trace(str(tmp_path / "nowhere"), {}, MeterPolicy.GROSS)


@pytest.mark.parametrize(
    "text", ["import", "=0.4", "a=b=sun", "a=-1", "a=4", "a=0.5..0.4", "a=nan", "a=0..1..2"]
)
def test_factors_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"--factor "):
        parse_factor(text)


def test_factors_by_technology() -> None:
    assert parse_factor("g=coal") == ("g", (0.76, 0.76))
    assert parse_factor("a=b=0.1") == ("a=b", (0.1, 0.1))


IMPORTS = "start,mg_per_kwh\n2024-03-31T00:00:00+01:00,400000\n2024-03-31T01:00:00+01:00,350000\n"


def test_imports_by_time(tmp_path: Path) -> None:
    """The third hour is written in summer time; the slots are still an hour apart."""
    path = tmp_path / "imports.csv"
    path.write_text(IMPORTS + "2024-03-31T03:00:00+02:00,300000\n", encoding="utf-8")
    found = read_import_intensity(path)
    assert found.step_s == 3600
    first = int(found.start_s[0])
    times = [first, first + 3599, first + 3600, first + 3 * 3600 - 1]
    assert found.t_per_mwh(times).tolist() == [0.4, 0.4, 0.35, 0.3]
    for outside in (first - 1, first + 3 * 3600):
        with pytest.raises(InputError, match=r"imports\.csv: has nothing at 2024-03-3"):
            found.t_per_mwh([outside])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("start\n", "imports.csv:1: has no column mg_per_kwh"),
        (
            IMPORTS[:-1].replace("+01:00,350000", ",350000"),
            "imports.csv:3: start .* is no time with a zone",
        ),
        (IMPORTS + "2024-03-31T05:00:00+02:00,1\n", r":4: nothing from 2024-03-31T01:00:00Z to 2"),
        (IMPORTS + "2024-03-31T01:00:00+01:00,1\n", r":4: start 2024-03-31T00:00:00Z is not after"),
        (IMPORTS + "noon,1\n", ":4: start 'noon' is no time with a zone"),
        (IMPORTS + "2024-03-31T03:00:00+02:00,-1\n", ":4: mg_per_kwh '-1' is not allowed"),
        (IMPORTS + "2024-03-31T03:00:00+02:00,nan\n", ":4: mg_per_kwh 'nan' is not allowed"),
        (IMPORTS + "2024-03-31T03:00:00+02:00\n", ":4: mg_per_kwh '' is not allowed"),
        (IMPORTS[: IMPORTS.rindex("2024")], "fewer than two rows"),
    ],
)
def test_imports_that_are_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "imports.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=words):
        read_import_intensity(path)
