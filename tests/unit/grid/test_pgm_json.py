"""Files of power-grid-model: against its own solution, and what is listed or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from power_grid_model import PowerGridModel
from power_grid_model.utils import json_deserialize
from tests.unit.grid.small_grids import CASES, problems

from gridpact.grid import load_network, nominal_load, power_flow
from gridpact.model.grid import BranchEnd, EquivalentCircuit, SwitchKind

Edit = Callable[[dict[str, Any]], None]
FOLDER = CASES / "power_grid_model"


def write(tmp_path: Path, edit: Edit) -> Path:
    file = json.loads((FOLDER / "input.json").read_text())
    edit(file)
    (tmp_path / "net.json").write_text(json.dumps(file))
    return tmp_path


def found(tmp_path: Path, edit: Edit) -> list[str]:
    return problems("pgm:net.json", write(tmp_path, edit))


def change(component: str, row: int, **values: Any) -> Edit:
    return lambda file: file["data"][component][row].update(values)


def drop(component: str, row: int, attribute: str) -> Edit:
    return lambda file: file["data"][component][row].pop(attribute)


def add(component: str, **values: Any) -> Edit:
    return lambda file: file["data"].setdefault(component, []).append(values)


def test_what_the_stored_file_holds() -> None:
    net = load_network("pgm:input.json", FOLDER)
    assert [bus.bus_id for bus in net.buses] == [f"bus-{number}" for number in range(8)]
    assert [line.line_id for line in net.lines] == [f"line-{number}" for number in range(10, 15)]
    assert [line.in_service for line in net.lines] == [True] * 4 + [False]
    first, second = net.transformers
    assert (first.circuit, first.shift_degree) == (EquivalentCircuit.PI, 150)
    assert (first.tap_end, second.tap_end) == (BranchEnd.FROM, BranchEnd.TO)
    assert first.tap_step_percent == pytest.approx(-100 * 250 / 10_200)  # reversed range
    assert first.vk_percent == pytest.approx(100 * (0.05 + (0.055 - 0.05) / 3))
    assert [grid.in_service for grid in net.external_grids] == [True, False]
    assert net.external_grids[0].short_circuit_mva == 50
    assert net.external_grids[1].short_circuit_mva == 10_000  # its default
    assert [(switch.switch_id, switch.kind, switch.closed) for switch in net.switches] == [
        ("link-20", SwitchKind.BUS, True),
        ("link-21", SwitchKind.BUS, False),
        ("line-12-to", SwitchKind.LINE, False),
    ]
    by_id = {load.load_id: (load.p_w, load.q_var) for load in net.loads}
    assert by_id["sym-gen-60"] == (-12_000, -1_000)
    assert by_id["asym-load-70"] == (6_000, 600)
    assert net.unsupported == ("sym_voltage_sensor: 1", "transformer_tap_regulator: 1")


def test_both_forms_of_the_file_are_one_network() -> None:
    plain, compact = (load_network(f"pgm:{name}.json", FOLDER) for name in ("input", "compact"))
    assert plain.lines == compact.lines
    assert plain.transformers == compact.transformers
    assert plain.loads == compact.loads


@pytest.mark.parametrize(
    "edit",
    [
        change("transformer", 0, tap_pos=1),
        change("transformer", 0, tap_pos=2),
        change("transformer", 0, tap_pos=5),
        change("transformer", 0, tap_pos=3, tap_side=1, tap_size=8),
        change("transformer", 0, tap_min=1, tap_max=5, tap_pos=4),
        change("transformer", 0, tap_nom=0, tap_min=1, tap_max=5, tap_pos=3),
        drop("transformer", 0, "uk_min"),
        drop("transformer", 0, "tap_pos"),
        drop("transformer", 0, "tap_nom"),
        change("transformer", 0, from_status=0),
        change("transformer", 1, to_status=0),
        change("transformer", 0, i0=0.001, p0=900),
        change("line", 0, from_status=0, to_status=0),
        drop("line", 0, "i_n"),
        change("source", 0, sk=1e20),
        drop("source", 0, "rx_ratio"),
        change("source", 1, status=1),
        change("link", 1, from_status=0, to_status=0),
        change("shunt", 1, status=1),
    ],
)
def test_voltages_are_those_of_power_grid_model(tmp_path: Path, edit: Edit) -> None:
    folder = write(tmp_path, edit)
    native = PowerGridModel(json_deserialize((folder / "net.json").read_bytes()))
    theirs = native.calculate_power_flow()
    net = load_network("pgm:net.json", folder)
    flow = power_flow(net, *nominal_load(net))
    energized = theirs["node"]["energized"].astype(bool)
    assert flow.supplied.tolist() == energized.tolist()
    apart = np.abs(flow.vm_pu[0] - theirs["node"]["u_pu"])[energized]
    assert apart.max() < 1e-7  # its links have an impedance, ours have none
    lines = len(net.lines)
    for theirs_w, ours_mw in (
        (theirs["line"]["p_from"], flow.p_from_mw[0, :lines]),
        (theirs["transformer"]["p_to"], flow.p_to_mw[0, lines:]),
        (theirs["source"]["p"], flow.p_external_mw[0]),
    ):
        np.testing.assert_allclose(ours_mw * 1e6, theirs_w, atol=2)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (drop("node", 1, "u_rated"), "node 1: u_rated is missing"),
        (change("node", 1, id=0), "bus bus-0: occurs 2 times"),
        (change("line", 0, from_node=99), "line line-10: bus 'bus-99' does not exist"),
        (change("line", 0, r1=0, x1=0), "line line-10: has an impedance of 0 ohm"),
        (change("line", 0, r1=-1), "line 10: r1 = -1; allowed"),
        (change("line", 0, from_status="on"), "line 10: from_status = 'on'; allowed"),
        (drop("line", 0, "to_status"), "line 10: to_status is missing"),
        (change("line", 0, from_node=0), "joins bus bus-0 of 10 kV with bus bus-2 of 0.4 kV"),
        (change("transformer", 0, tap_pos=9), "tap_pos = 9; allowed: 5 to 1"),
        (change("transformer", 0, clock=13), "clock = 13; allowed: a whole number from -12"),
        (change("transformer", 0, to_node=0), "transformer transformer-30: has both windings"),
        (change("transformer", 0, pk=1e9), "vkr_percent"),
        (drop("transformer", 0, "tap_min"), "transformer 30: tap_min is missing"),
        (change("source", 0, status=0), "has no external grid in service"),
        (change("source", 0, u_ref=0), "source 40: u_ref = 0; allowed"),
        (change("sym_load", 0, p_specified=None), "sym_load 50: p_specified is missing"),
        (change("asym_load", 0, p_specified=[1, "x"]), "asym_load 70: p_specified = 'x'"),
        (add("generic_branch", id=900, from_status=1, to_status=1), "generic_branch 900: generic"),
        (add("three_winding_transformer", id=901, status_1=1), "replace it by transformers"),
        (add("voltage_regulator", id=902, status=1), "voltage_regulator is not supported"),
        (add("flux_gate", id=903), "flux_gate is not supported and in service"),
        (lambda file: file["data"].update(line=3), "line: is not a list of components"),
        (lambda file: file["data"]["line"].append(3), "line[5]: 3 is neither an object nor"),
        (lambda file: file.update(type="sym_output"), "type = 'sym_output': is not an input file"),
        (lambda file: file.update(is_batch=True), "is not an input file"),
        (lambda file: file.pop("data"), "is not an input file"),
    ],
)
def test_what_is_refused(tmp_path: Path, edit: Edit, words: str) -> None:
    complaints = found(tmp_path, edit)
    assert any(words in complaint for complaint in complaints), complaints


@pytest.mark.parametrize(
    ("edit", "listed"),
    [
        (add("fault", id=900, status=1), "fault: 1"),
        (add("asym_line", id=901, from_status=0, to_status=0), "asym_line: 1 out of service"),
        (change("sym_load", 0, type=1), "load: 1 depend on the voltage, taken as constant power"),
    ],
)
def test_what_is_left_out_is_listed(tmp_path: Path, edit: Edit, listed: str) -> None:
    assert listed in load_network("pgm:net.json", write(tmp_path, edit)).unsupported


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 100_000])
def test_other_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.json").write_text(text)
    (complaint,) = problems("pgm:net.json", tmp_path)
    assert complaint.startswith("pgm:net.json: ")
