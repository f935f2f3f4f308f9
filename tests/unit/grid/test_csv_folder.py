"""CSV folders: the grid of the package, optional columns, and every slip named with its line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.grid.small_grids import CASES, problems

from gridpact.errors import InputError
from gridpact.grid import load_network
from gridpact.grid.csv_folder import load_csv_folder
from gridpact.model.grid import BranchEnd, EquivalentCircuit, LimitKind, SwitchKind

BUILT_IN = "simbench:1-LV-rural2--0-sw"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the feeders, to be spoiled."""
    return Path(shutil.copytree(CASES / "csv_feeders", tmp_path / "feeders"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    path = folder / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def spoiled(folder: Path, file: str, old: str, new: str) -> list[str]:
    edit(folder, file, old, new)
    return problems("csv:feeders", folder.parent)


def test_the_grid_of_the_package() -> None:
    net = load_network(BUILT_IN, Path())
    sizes = [len(part) for part in (net.buses, net.lines, net.transformers, net.switches)]
    assert sizes == [97, 95, 1, 192]
    assert len(net.loads) == 99 + 8
    assert net.unsupported == ()
    (unit,) = net.transformers
    assert (unit.sn_mva, unit.shift_degree, unit.circuit) == (0.25, 150, EquivalentCircuit.T)
    (grid,) = net.external_grids
    assert (grid.vm_pu, grid.short_circuit_mva) == (1.025, float("inf"))
    line = net.lines[0]
    assert (line.line_id, line.max_i_a, line.parallel) == ("line-1", 270.0, 1)
    assert sum(load.p_w for load in net.loads if load.p_w < 0) == -145_400


def test_a_folder_as_documented(folder: Path) -> None:
    net = load_network("csv:feeders", folder.parent)
    assert net.reference == "csv:feeders"
    assert [line.line_id for line in net.lines] == ["trunk", "branch", "feeder-2"]
    assert net.lines[0].max_i_a == 100
    assert [switch.kind for switch in net.switches] == [SwitchKind.BUS, SwitchKind.LINE]
    assert [load.p_w for load in net.loads] == [9000, 12000, -15000]
    assert net.unsupported == ()


def test_all_optional_columns(folder: Path) -> None:
    (folder / "lines.csv").write_text(
        "line,from_bus,to_bus,length_km,r_ohm_per_km,x_ohm_per_km,g_us_per_km,max_i_ka,df,"
        "parallel,in_service\n"
        "trunk,station,near,0.1,0.2,0.08,1.5,0.1,0.9,2,true\n"
        "branch,near,far,0.1,0.2,0.08,,,,,1\n"
        "feeder-2,station,other,0.1,0.2,0.08,,,,,False\n"
    )
    (folder / "transformers.csv").write_text(
        "transformer,hv_bus,lv_bus,sn_mva,vn_hv_kv,vn_lv_kv,vk_percent,vkr_percent,tap_side,"
        "tap_pos,tap_neutral,tap_min,tap_max,tap_step_percent,parallel,df\n"
        "substation,station-mv,station,0.4,10,0.4,6,1.2,lv,2,0,-2,2,2.5,2,0.8\n"
    )
    (folder / "external_grids.csv").write_text(
        "external_grid,bus,vm_pu,va_degree,short_circuit_mva,rx_ratio,frequency_hz,in_service\n"
        "grid,station-mv,1.02,30,100,0.3,60,true\n"
    )
    (folder / "shunts.csv").write_text("shunt,bus,p_w,q_var\ncapacitor,near,160,-16000\n")
    net = load_network("csv:feeders", folder.parent)
    trunk, branch, feeder = net.lines
    assert (trunk.g_us_per_km, trunk.max_i_a, trunk.parallel) == (1.5, 90, 2)
    assert (branch.max_i_a, branch.parallel, branch.in_service) == (float("inf"), 1, True)
    assert not feeder.in_service
    (unit,) = net.transformers
    assert (unit.tap_end, unit.tap_position, unit.tap_step_percent) == (BranchEnd.TO, 2, 2.5)
    assert (unit.parallel, unit.derating) == (2, 0.8)
    (grid,) = net.external_grids
    assert (grid.va_degree, grid.short_circuit_mva, grid.rx_ratio) == (30, 100, 0.3)
    assert net.frequency_hz == 60
    (shunt,) = net.shunts
    assert shunt.conductance_s == pytest.approx(0.001)
    assert shunt.susceptance_s == pytest.approx(0.1)


def test_what_is_not_read_is_listed(folder: Path) -> None:
    (folder / "trafo3w.csv").write_text("x\n")
    (folder / "notes.txt").write_text("not a table")
    edit(folder, "loads.csv", "load,bus,p_w,q_var", "load,bus,p_w,owner")
    net = load_network("csv:feeders", folder.parent)
    assert set(net.unsupported) == {"loads.csv: column 'owner'", "file trafo3w.csv"}


def test_byte_order_mark_and_windows_lines(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert len(load_network("csv:feeders", folder.parent).lines) == 3


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("buses.csv", "near,0.4", "near,0", "buses.csv:4: vn_kv = 0; allowed: a number from 1e-09"),
        ("buses.csv", "near,0.4", "near,", "buses.csv:4: vn_kv is missing"),
        ("buses.csv", "near,0.4", '"near","0,4"', "vn_kv = '0,4' is not allowed"),
        ("buses.csv", "near,0.4", "near,0,4", "buses.csv:4: 3 values in 2 columns; use commas"),
        ("buses.csv", "far,0.4", "near,0.4", "bus near: occurs 2 times"),
        ("buses.csv", "far,0.4", '"far,0.4', "buses.csv:6: is not CSV"),
        ("lines.csv", "0.1,0.2067", "-0.1,0.2067", "lines.csv:2: length_km = -0.1; allowed"),
        ("lines.csv", "0.1,0.2067", "0,0.2067", "line trunk: has an impedance of 0 ohm"),
        ("lines.csv", "0.2067,0.0804", "0,0", "replace it by a closed switch"),
        ("lines.csv", "0.2067", "nan", "r_ohm_per_km = 'nan' is not allowed"),
        ("lines.csv", "0.2067", "1e400", "r_ohm_per_km = '1e400' is not allowed"),
        ("lines.csv", "0.2067", "1e30", "r_ohm_per_km = 1e+30; allowed"),
        ("lines.csv", "830,0.1", "830,0", "lines.csv:2: max_i_ka = 0; allowed"),
        ("lines.csv", "trunk,station", "trunk,statoin", "bus 'statoin' does not exist; did you"),
        ("lines.csv", "near,far", "far,far", "line branch: begins and ends at bus far"),
        ("lines.csv", "near,far", "station-mv,far", "joins bus station-mv of 10 kV with bus far"),
        ("lines.csv", "feeder-2,", "substation,", "branch substation: occurs 2 times"),
        ("lines.csv", "length_km", "lenght_km", "did you mean 'length_km'"),
        ("lines.csv", "x_ohm_per_km", "r_ohm_per_km", "column 'r_ohm_per_km' occurs twice"),
        ("transformers.csv", "0.4,6,1.2", "0.4,6,7", "vkr_percent = 7 is the real part"),
        ("transformers.csv", "0.4,6,1.2", "0.4,0,0", "vk_percent = 0; allowed"),
        ("transformers.csv", "station-mv,station", "station,station", "both windings at bus"),
        ("external_grids.csv", "station-mv", "nowhere", "external grid grid: bus 'nowhere'"),
        ("external_grids.csv", "1.0", "-1", "external_grids.csv:2: vm_pu = -1"),
        ("external_grids.csv", "grid,station-mv,1.0\n", "", "has no external grid in service"),
        ("switches.csv", "far,bus,other", "far,bus,station-mv", ""),
        ("switches.csv", "far,bus,other,open", "far,bus,station-mv,closed", "only a transformer"),
        ("switches.csv", "far,bus,other", "far,bus,far", "joins bus far with itself"),
        ("switches.csv", "line,trunk", "line,stem", "line 'stem' does not exist"),
        ("switches.csv", "line,trunk", "line,branch", "bus station is no end of line branch"),
        ("switches.csv", "line,trunk", "transformer,trunk", "transformer 'trunk' does not exist"),
        ("switches.csv", "line,trunk", "cable,trunk", "element_kind = 'cable'; allowed: bus | "),
        ("switches.csv", "trunk,closed", "trunk,shut", "state = 'shut'; allowed: open | closed"),
        ("switches.csv", "breaker,", "tie,", "switch tie: occurs 2 times"),
        ("loads.csv", "bakery,far", "bakery,fra", "load bakery: bus 'fra' does not exist"),
        ("loads.csv", "9000", "many", "loads.csv:2: p_w = 'many' is not allowed"),
        ("generators.csv", "roof,", "farm,", "load or generator farm: occurs 2 times"),
    ],
)
def test_each_slip_is_named(folder: Path, file: str, old: str, new: str, words: str) -> None:
    found = spoiled(folder, file, old, new)
    if not words:
        assert found == []
        return
    assert any(words in problem for problem in found), found
    assert len(found) <= 4


def test_all_problems_come_at_once(folder: Path) -> None:
    edit(folder, "buses.csv", "far,0.4", "far,zero")
    edit(folder, "lines.csv", "0.1,0.2067", "-1,0.2067")
    edit(folder, "loads.csv", "bakery,far", "bakery,hell")
    (folder / "external_grids.csv").unlink()
    found = problems("csv:feeders", folder.parent)
    assert [problem.split(" ")[0] for problem in found] == [
        "external_grids.csv:",
        "buses.csv:5:",
        "lines.csv:2:",
        "csv:feeders:",
        "csv:feeders:",
    ]


@pytest.mark.parametrize("file", ["buses.csv", "lines.csv", "external_grids.csv"])
def test_a_missing_table(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert any(p.startswith(f"{file}: is missing") for p in problems("csv:feeders", folder.parent))


def test_tables_that_may_be_missing(folder: Path) -> None:
    for file in ("switches.csv", "loads.csv", "generators.csv"):
        (folder / file).unlink()
    assert problems("csv:feeders", folder.parent) == []


def test_a_file_that_is_not_utf8(folder: Path) -> None:
    (folder / "loads.csv").write_bytes(b"load,bus,p_w,q_var\nb\xe4cker,far,1,1\n")
    (found,) = problems("csv:feeders", folder.parent)
    assert found == "loads.csv:2: byte 0xe4 is not UTF-8; save the file as UTF-8"


def test_blank_lines_are_none(folder: Path) -> None:
    edit(folder, "loads.csv", "bakery", "\n\nbakery")
    assert len(load_network("csv:feeders", folder.parent).loads) == 3


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_csv_folder(tmp_path / "nowhere", "csv:nowhere")
    assert "cannot be listed: No such file" in str(caught.value)


def test_empty_tables(folder: Path) -> None:
    (folder / "buses.csv").write_text("")
    (folder / "lines.csv").write_text("line\n")
    assert any("has no bus" in problem for problem in problems("csv:feeders", folder.parent))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("3,-2,2,0,2.5,0", "tap_pos = 3; allowed: -2 to 2"),
        ("1,-2,2,0,2.5,30", "tap_step_degree = 30 at tap_pos = 1: taps that shift the phase"),
        ("0,-2,2,0,2.5,30", ""),
        ("2,-2,2,0,-50,0", "tap position 2 at -50 % a step leaves no voltage"),
        ("0.5,-2,2,0,2.5,0", "tap_pos = 0.5; allowed: a whole number"),
    ],
)
def test_taps(folder: Path, values: str, words: str) -> None:
    header, row = (folder / "transformers.csv").read_text().splitlines()
    taps = "tap_pos,tap_min,tap_max,tap_neutral,tap_step_percent,tap_step_degree"
    (folder / "transformers.csv").write_text(f"{header},{taps}\n{row},{values}\n")
    found = problems("csv:feeders", folder.parent)
    assert (words in "".join(found)) if words else (found == [])


def test_two_frequencies(folder: Path) -> None:
    (folder / "external_grids.csv").write_text(
        "external_grid,bus,frequency_hz\na,station-mv,50\nb,station-mv,60\n"
    )
    assert "frequency_hz differs" in problems("csv:feeders", folder.parent)[0]


def test_limit_kinds_have_fixed_numbers() -> None:
    """They order equally severe violations, so they are part of the rule."""
    assert [kind.value for kind in LimitKind] == [1, 2, 3, 4]
