"""Files of pandapower: what is read, what is listed, what is refused. Numbers: test_power_flow."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.grid.small_grids import CASES, problems

from gridpact.grid import load_network, unsupplied
from gridpact.grid.pandapower_json import rows_of_frame
from gridpact.model.grid import BranchEnd, EquivalentCircuit, SwitchKind

TAP_NOTE = (
    "trafo 0: tap_pos = -2 has no effect, as tap_changer_type or tap_side does not say what it "
    "moves"
)
Edit = Callable[[dict[str, Any]], None]


def frame(columns: list[str], *rows: list[Any]) -> dict[str, Any]:
    """A table as pandapower writes it."""
    text = json.dumps({"columns": columns, "index": list(range(len(rows))), "data": list(rows)})
    return {
        "_module": "pandas.core.frame",
        "_class": "DataFrame",
        "_object": text,
        "orient": "split",
    }


def write(tmp_path: Path, edit: Edit, case: str = "pandapower_3") -> Path:
    """The stored file after `edit` of its tables."""
    file = json.loads((CASES / case / "net.json").read_text())
    edit(file["_object"])
    (tmp_path / "net.json").write_text(json.dumps(file))
    return tmp_path


def found(tmp_path: Path, edit: Edit, case: str = "pandapower_3") -> list[str]:
    return problems("pandapower:net.json", write(tmp_path, edit, case))


def set_cell(table: str, row: int, column: str, value: Any) -> Edit:
    """An edit of one value; a new column is empty elsewhere."""

    def edit(net: dict[str, Any]) -> None:
        content = json.loads(net[table]["_object"])
        if column not in content["columns"]:
            content["columns"].append(column)
            for cells in content["data"]:
                cells.append(None)
        content["data"][row][content["columns"].index(column)] = value
        net[table]["_object"] = json.dumps(content)

    return edit


def add_table(name: str, columns: list[str], *rows: list[Any]) -> Edit:
    def edit(net: dict[str, Any]) -> None:
        net[name] = frame(columns, *rows)

    return edit


@pytest.mark.parametrize("case", ["pandapower_2", "pandapower_3"])
def test_what_the_stored_files_hold(case: str) -> None:
    net = load_network("pandapower:net.json", CASES / case)
    sizes = [len(part) for part in (net.buses, net.lines, net.transformers, net.external_grids)]
    assert sizes == [14, 13, 2, 1]
    assert (net.buses[4].bus_id, net.buses[4].name) == ("bus-4", "A0")
    assert not net.buses[11].in_service
    first, second = net.transformers
    assert (first.tap_position, first.tap_step_percent, first.tap_end) == (-2, 2.5, BranchEnd.FROM)
    assert (second.tap_position, second.tap_neutral, second.tap_end) == (2, 1, BranchEnd.TO)
    assert (first.parallel, first.derating, first.circuit) == (2, 0.9, EquivalentCircuit.T)
    assert net.lines[3].max_i_a == pytest.approx(216)
    assert net.external_grids[0].short_circuit_mva == float("inf")
    kinds = [switch.kind for switch in net.switches]
    assert kinds == [SwitchKind.BUS] * 4 + [SwitchKind.LINE] * 3 + [SwitchKind.TRANSFORMER]
    assert net.shunts[0].susceptance_s == pytest.approx(2 * 0.008 / 0.41**2)
    by_id = {load.load_id: (load.bus, load.p_w, load.q_var) for load in net.loads}
    assert by_id["load-0"] == ("bus-4", 2000, 500)
    assert by_id["sgen-0"] == ("bus-7", -30_000, 2_000)
    assert by_id["storage-0"] == ("bus-10", 5_000, 1_000)
    assert by_id["asymmetric-load-0"] == ("bus-9", pytest.approx(6_000), pytest.approx(700))
    assert by_id["asymmetric-sgen-0"][1] == -1_500
    assert by_id["motor-0"][1] == pytest.approx(6_000 / 0.9 * 0.7)
    assert "load-9" not in by_id  # out of service
    assert net.unsupported == ("gen: 1 out of service", "measurement: 1", "poly_cost: 1")


def test_islands_of_the_stored_file_are_named() -> None:
    left_out = unsupplied(load_network("pandapower:net.json", CASES / "pandapower_3"))
    assert [problem.where.removeprefix("pandapower:net.json: ") for problem in left_out] == [
        "bus bus-11",
        "buses bus-12, bus-13",
    ]
    assert "no path to an external grid with load-8" in left_out[1].message


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (set_cell("gen", 0, "in_service", True), "gen 0: a generator that controls its voltage"),
        (
            add_table("trafo3w", ["hv_bus", "in_service"], [0, True]),
            "trafo3w 0: trafo3w is not supported and in service; replace it by transformers",
        ),
        (
            add_table("impedance", ["from_bus", "in_service"], [0, False], [0, True]),
            "impedance 1: impedance is not supported and in service",
        ),
        (add_table("ward", ["bus", "in_service"], [0, True]), "ward 0: ward is not supported"),
        (add_table("xward", ["bus", "in_service"], [0, True]), "replace it by a load and a shunt"),
        (add_table("dcline", ["in_service"], [True]), "replace it by a load and a static gen"),
        (add_table("flux_gate", ["in_service"], [True]), "flux_gate is not supported and in serv"),
        (set_cell("switch", 0, "z_ohm", 0.1), "switch 0: z_ohm = 0.1: closed switches with an"),
        (set_cell("trafo", 0, "tap_step_degree", 30.0), "shifts the phase"),
        (set_cell("trafo", 0, "tap_changer_type", "Ideal"), "tap_changer_type = Ideal"),
        (set_cell("trafo", 0, "tap_dependency_table", True), "tap_dependency_table is true"),
        (set_cell("trafo", 0, "tap2_pos", 1), "a second tap changer is not supported"),
        (set_cell("trafo", 0, "tap_pos", -3), "tap_pos = -3; allowed: -2 to 2"),
        (set_cell("shunt", 0, "step_dependency_table", True), "step_dependency_table is true"),
        (set_cell("bus", 3, "vn_kv", None), "bus 3: vn_kv is missing"),
        (set_cell("bus", 3, "vn_kv", "0.4 kV"), "bus 3: vn_kv = '0.4 kV' is not allowed"),
        (set_cell("bus", 3, "vn_kv", True), "bus 3: vn_kv = True is not allowed"),
        (set_cell("bus", 3, "in_service", "maybe"), "in_service = 'maybe'; allowed: true or fal"),
        (set_cell("line", 0, "from_bus", 99), "line line-0: bus 'bus-99' does not exist"),
        (set_cell("line", 0, "from_bus", 1.5), "line 0: from_bus = 1.5; allowed: a whole number"),
        (set_cell("line", 0, "from_bus", None), "line 0: from_bus is missing"),
        (set_cell("line", 0, "length_km", -1), "line 0: length_km = -1; allowed"),
        (set_cell("line", 0, "length_km", 0), "line line-0: has an impedance of 0 ohm"),
        (set_cell("line", 0, "parallel", 0), "line 0: parallel = 0; allowed"),
        (set_cell("line", 0, "to_bus", 0), "joins bus bus-1 of 0.4 kV with bus bus-0 of 10 kV"),
        (set_cell("trafo", 0, "vkr_percent", 9), "vkr_percent = 9 is the real part"),
        (set_cell("ext_grid", 0, "in_service", False), "has no external grid in service"),
        (set_cell("bus", 0, "in_service", False), "every external grid is at a bus out of servi"),
        (set_cell("switch", 4, "element", 77), "line 'line-77' does not exist"),
        (set_cell("switch", 4, "bus", 0), "bus bus-0 is no end of line line-7"),
        (set_cell("switch", 4, "et", "x"), "et = 'x'; allowed: b | l | t"),
        (set_cell("load", 0, "bus", 42), "load load-0: bus 'bus-42' does not exist"),
        (set_cell("load", 0, "p_mw", [1]), "load 0: p_mw = [1] is not allowed"),
        (lambda net: net.update(f_hz="fast"), "f_hz: 'fast' is no frequency"),
        (lambda net: net["line"].update(_object="{"), "line: is not a table of pandapower"),
        (lambda net: net["line"].update(_object="[]"), "columns, index and data must be lists"),
        (lambda net: net["line"].update(orient="table"), "orient is 'table'"),
        (lambda net: net.update(format_version="1.4.0"), "format_version is '1.4.0'; allowed: 2"),
        (lambda net: net.update(format_version=None), "format_version is 'None'; allowed: 2"),
        (lambda net: net.pop("bus"), "has no bus"),
    ],
)
def test_what_is_refused(tmp_path: Path, edit: Edit, words: str) -> None:
    complaints = found(tmp_path, edit)
    assert any(words in complaint for complaint in complaints), complaints


@pytest.mark.parametrize(
    ("edit", "listed"),
    [
        (add_table("trafo3w", ["in_service"], [False]), "trafo3w: 1 out of service"),
        (add_table("controller", ["in_service"], [True], [True]), "controller: 2"),
        (add_table("trafo_characteristic_table", ["step"], [1]), "trafo_characteristic_table: 1"),
        (
            set_cell("load", 1, "const_z_p_percent", 30.0),
            "load: 1 depend on the voltage, taken as constant power",
        ),
        (
            set_cell("trafo", 0, "tap_changer_type", None),
            TAP_NOTE,
        ),
    ],
)
def test_what_is_left_out_is_listed(tmp_path: Path, edit: Edit, listed: str) -> None:
    net = load_network("pandapower:net.json", write(tmp_path, edit))
    assert listed in net.unsupported


def test_a_tap_without_a_kind_moves_nothing(tmp_path: Path) -> None:
    """As in pandapower 3; in files of release 2 there is no kind, and the tap counts."""
    edited = write(tmp_path, set_cell("trafo", 0, "tap_changer_type", None))
    assert load_network("pandapower:net.json", edited).transformers[0].tap_step_percent == 0
    older = load_network("pandapower:net.json", CASES / "pandapower_2")
    assert older.transformers[0].tap_step_percent == 2.5


def test_a_transformer_out_of_service_may_have_any_tap(tmp_path: Path) -> None:
    def edit(net: dict[str, Any]) -> None:
        set_cell("trafo", 0, "in_service", False)(net)
        set_cell("trafo", 0, "tap_step_degree", 30.0)(net)
        set_cell("trafo", 0, "tap_dependency_table", True)(net)

    assert found(tmp_path, edit) == []


def test_a_slack_generator_is_an_external_grid(tmp_path: Path) -> None:
    def edit(net: dict[str, Any]) -> None:
        set_cell("gen", 0, "in_service", True)(net)
        set_cell("gen", 0, "slack", True)(net)

    net = load_network("pandapower:net.json", write(tmp_path, edit))
    assert [grid.external_grid_id for grid in net.external_grids] == ["external-grid-0", "gen-0"]
    assert net.external_grids[1].vm_pu == 1.02


def test_a_transformer_around_closed_switches(tmp_path: Path) -> None:
    def edit(net: dict[str, Any]) -> None:
        set_cell("trafo", 0, "hv_bus", 2)(net)
        set_cell("switch", 7, "bus", 2)(net)

    (complaint,) = found(tmp_path, edit)
    assert "transformer transformer-0: closed switches join both of its sides" in complaint


def test_two_external_grids_at_one_busbar_must_agree(tmp_path: Path) -> None:
    columns = ["bus", "vm_pu", "va_degree", "in_service"]
    table = add_table("ext_grid", columns, [1, 1.0, 0, True], [2, 1.01, 0, True])
    (complaint,) = found(tmp_path, table)
    assert "external grid external-grid-1: holds 1.01 pu" in complaint
    same = add_table("ext_grid", columns, [1, 1.0, 0, True], [2, 1.0, 0, True])
    assert found(tmp_path, same) == []


def test_switches_of_transformers_with_three_windings_go_with_them(tmp_path: Path) -> None:
    net = load_network("pandapower:net.json", write(tmp_path, set_cell("switch", 7, "et", "t3")))
    assert len(net.switches) == 7
    assert "switch: 1 of transformers with three windings" in net.unsupported


def test_all_problems_come_at_once(tmp_path: Path) -> None:
    def edit(net: dict[str, Any]) -> None:
        set_cell("gen", 0, "in_service", True)(net)
        set_cell("line", 0, "length_km", -1)(net)
        set_cell("line", 2, "to_bus", 50)(net)
        set_cell("bus", 3, "vn_kv", 0)(net)

    complaints = found(tmp_path, edit)
    assert [complaint.split(": ")[1] for complaint in complaints] == [
        "gen 0",
        "bus 3",
        "line 0",
        "line line-2",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("gAAAAABm", "without an encryption key"),
        ("[1]", "is not a network of pandapower 2 or 3"),
        ('{"bus": {"name": {"0": "a"}}}', "save it again with pandapower.to_json"),
        ('{"_class": "MultiNet", "_object": {}}', "is not a network of pandapower"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
    ],
)
def test_other_files(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "net.json").write_text(text)
    (complaint,) = problems("pandapower:net.json", tmp_path)
    assert words in complaint


def test_frames_by_index() -> None:
    """How tables with several index levels are written."""
    assert rows_of_frame({"3": {"bus": 1}}, "index") == [{"index": "3", "bus": 1}]
    for broken in ("[]", '{"3": 4}'):
        with pytest.raises(ValueError, match="an object of rows"):
            rows_of_frame(broken, "index")


@pytest.mark.parametrize(
    "frame",
    [
        '{"columns": [], "index": [1], "data": []}',
        '{"columns": ["a"], "index": [1], "data": [[1, 2]]}',
        '{"columns": ["a"], "index": [1], "data": [1]}',
        "null",
        "[" * 100_000,
    ],
)
def test_broken_frames(frame: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        rows_of_frame(frame)
