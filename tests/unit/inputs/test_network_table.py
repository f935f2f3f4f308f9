"""Goal: a scenario names a network in any form, and nobody is connected where nothing flows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from tests.unit.inputs.meter_files import Village, instants, stamp, wide

from gridpact.errors import InputError
from gridpact.inputs import load_scenario
from gridpact.model import Scenario
from gridpact.model.grid import CurtailmentRule, GridLimits

CASES = Path(__file__).resolve().parents[3] / "cases" / "grid"
GRID = """\
version = 1
name = "village"
currency = "EUR"
time_zone = "Europe/Berlin"
first_day = 2016-06-09
[tariff]
retail_micro_per_kwh = 300_000
feed_in_micro_per_kwh = 80_000
network_fee_micro_per_kwh = 50_000
[profiles]
source = "simbench"
"""
CABLES = '[network]\nreference = "csv:feeders"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A meter file, and a grid of four buses whose last one an open switch cuts off."""
    times = [stamp(start_s) for start_s in instants("2020-04-30T23:00", 49, 3600)]
    (tmp_path / "meters.csv").write_text(wide(times, [1] * 49, [1] * 49, [1] * 49))
    shutil.copytree(CASES / "csv_feeders", tmp_path / "feeders")
    (tmp_path / "feeders" / "switches.csv").write_text(
        "switch,bus,element_kind,element,state\nbreaker,near,line,branch,open\n"
    )
    return tmp_path


def write(folder: Path, network: str, *buses: str) -> Path:
    """A scenario whose members are at `buses`; nothing is written for an empty one."""
    text = Village(folder).text()
    for member, bus in zip(("load_a", "load_b"), buses, strict=False):
        if bus:
            text = text.replace(f'load = "{member}"', f'load = "{member}"\nbus = "{bus}"')
    path = folder / "village.toml"
    path.write_text(text + network)
    return path


def read(folder: Path, network: str, *buses: str) -> Scenario:
    return load_scenario(write(folder, network, *buses))


def refused(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_scenario(path)
    return [str(problem).removeprefix("village.toml: ") for problem in caught.value.problems]


def problems(folder: Path, network: str, *buses: str) -> list[str]:
    return refused(write(folder, network, *buses))


@pytest.mark.parametrize(
    ("reference", "bus"),
    [
        ("csv:feeders", "near"),
        (f"pandapower:{CASES}/pandapower_2/net.json", "bus-1"),
        (f"pandapower:{CASES}/pandapower_3/net.json", "bus-1"),
        (f"pgm:{CASES}/power_grid_model/input.json", "bus-0"),
        ("simbench:1-LV-rural2--0-sw", "bus-1"),
    ],
)
def test_every_form(folder: Path, reference: str, bus: str) -> None:
    scenario = read(folder, f'[network]\nreference = "{reference}"\n', bus, bus)
    assert scenario.network is not None
    assert (scenario.network.reference, scenario.network.folder) == (reference, folder)
    assert [member.bus for member in scenario.members] == [bus, bus]


def test_every_key_arrives(folder: Path) -> None:
    rules = """curtailment = "last_in_first_out"
vm_min_pu = 0.95
vm_max_pu = 1.05
loading_max_percent = 80
power_factor_permille = 1000
region = "south"
"""
    network = read(folder, CABLES + rules, "near", "near").network
    assert network is not None
    assert network.rule is CurtailmentRule.LAST_IN_FIRST_OUT
    assert network.limits == GridLimits(0.95, 1.05, 80.0)
    assert isinstance(network.limits.loading_max_percent, float)
    assert network.power_factor_permille == 1000


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "curtailment",
            '"prorata"',
            '\'prorata\' is not allowed; allowed: "pro_rata" | "last_in_first_out"; did you mean',
        ),
        (
            "vm_min_pu",
            "1.0",
            "1.0 is not allowed; allowed: a number from 0.5 to 0.99; give a number in this range",
        ),
        ("vm_min_pu", "nan", "nan is not allowed; allowed: a number from 0.5 to 0.99"),
        ("vm_max_pu", "1", "1 is not allowed; allowed: a number from 1.01 to 1.5"),
        ("vm_max_pu", "true", "true is not allowed"),
        ("loading_max_percent", "0.9", "0.9 is not allowed; allowed: a number from 1 to 1000"),
        ("loading_max_percent", '"80"', "'80' is not allowed"),
        ("loading_max_percent", "inf", "inf is not allowed"),
        (
            "power_factor_permille",
            "499",
            "499 is not allowed; allowed: a whole number from 500 to 1000",
        ),
        ("power_factor_permille", "0.93", "0.93 is not allowed"),
        ("curtailmnt", '"pro_rata"', "is not a known key; did you mean 'curtailment'?"),
    ],
)
def test_one_key_is_wrong(folder: Path, key: str, value: str, expected: str) -> None:
    (found,) = problems(folder, f"{CABLES}{key} = {value}\n", "near", "near")
    assert found.startswith(f"network.{key}: {expected}")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ('"feeders"', "'feeders' names no network; allowed: simbench:CODE, pandapower:FILE, pgm:"),
        ('"cvs:feeders"', "'cvs:feeders' names no network; allowed"),
        ('"csv:feeder"', "csv:feeder: "),
        ('"pgm:absent.json"', "pgm:absent.json: "),
        ('"pgm:meters.csv"', "pgm:meters.csv"),
        ("3", "3 is not allowed; allowed: simbench:CODE | pandapower:FILE | pgm:FILE | csv:FOLDER"),
    ],
)
def test_a_bad_reference_accuses_no_bus(folder: Path, reference: str, expected: str) -> None:
    (found,) = problems(folder, f"[network]\nreference = {reference}\n", "anywhere", "")
    assert found.startswith(f"network.reference: {expected}")


def test_problems_of_the_network_are_passed_on_with_file_and_line(folder: Path) -> None:
    lines = folder / "feeders" / "lines.csv"
    lines.write_text(lines.read_text().replace("0.2067", "-1", 1).replace("near,far", "near,fra"))
    found = problems(folder, CABLES + "vm_min_pu = 2\n", "near", "near")
    assert [problem.split(":")[0] for problem in found] == ["network.vm_min_pu"] + [
        "network.reference"
    ] * (len(found) - 1)
    assert len(found) >= 3
    assert "lines.csv:" in found[1]
    assert "bus 'fra' does not exist; did you mean 'far'?" in found[-1]


def test_other_simbench_grids_name_their_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "simbench", None)
    (found,) = problems(folder, '[network]\nreference = "simbench:1-LV-rural1--0-sw"\n')
    assert found.startswith("network.reference: simbench:1-LV-rural1--0-sw: only 1-LV-rural2--0-sw")
    assert "pip install 'gridpact[simbench]'" in found


def test_a_bus_is_needed_and_must_be_there(folder: Path) -> None:
    assert problems(folder, CABLES, "", "naer") == [
        (
            "participant[1].bus: is missing; allowed: a bus of csv:feeders, such as 'far'; add bus "
            "= ..."
        ),
        (
            "participant[2].bus: 'naer' is not known; allowed: a bus of csv:feeders, such as "
            "'far'; did you mean 'near'?"
        ),
    ]


def test_a_bus_without_supply_is_named_with_what_to_do(folder: Path) -> None:
    assert problems(folder, CABLES, "near", "far") == [
        (
            "participant[2].bus: far has no path to an external grid of csv:feeders; allowed: the "
            "4 buses with supply, such as 'near'; connect the member to one of them, or close a "
            "switch, add a line or an external grid"
        )
    ]


def test_rules_without_a_network_have_no_meaning(folder: Path) -> None:
    (found,) = problems(folder, "[network]\nvm_min_pu = 0.9\n")
    assert found == (
        "network.vm_min_pu: has no meaning here: the scenario has no network.reference; remove it"
    )
    assert read(folder, '[network]\nregion = "south"\n').network is None


def test_ids_must_fit_the_ledger(folder: Path) -> None:
    lines = folder / "feeders" / "lines.csv"
    lines.write_text(lines.read_text().replace("feeder-2", "stra\u00dfe-2"), encoding="utf-8")
    (found,) = problems(folder, CABLES, "near", "near")
    assert found == (
        "network.reference: csv:feeders: 'stra\u00dfe-2' and 0 more ids cannot be named in the "
        "ledger; allowed: 1 to 100 printable ASCII characters; rename them"
    )


# SimBench profiles in another network


@pytest.fixture
def village_grid(folder: Path) -> Path:
    """The built-in grid as somebody's own folder."""
    source = Path(str(sys.modules["gridpact"].__file__)).parent / "data" / "lv_rural2"
    shutil.copytree(source, folder / "mine")
    return folder


def grid_scenario(folder: Path, text: str) -> Path:
    path = folder / "village.toml"
    path.write_text(GRID + text)
    return path


def test_the_villages_own_grid_may_be_changed(village_grid: Path) -> None:
    path = grid_scenario(village_grid, '[network]\nreference = "csv:mine"\n')
    mine, built_in = load_scenario(path), load_scenario(grid_scenario(village_grid, ""))
    assert [member.bus for member in mine.members] == [member.bus for member in built_in.members]


def test_members_may_move_in_a_grid_of_ones_own(folder: Path) -> None:
    anna = '[[participant]]\nid = "anna"\nload = "h0-l-077"\n'
    path = grid_scenario(folder, f'{CABLES}{anna}bus = "near"\n')
    assert load_scenario(path).members[0].bus == "near"
    (found,) = refused(grid_scenario(folder, CABLES + anna))
    assert found == (
        "participant[1].bus: 'bus-40', where the load is in SimBench's grid, is not known; "
        "allowed: a bus of csv:feeders, such as 'far'; correct it"
    )


def test_all_of_the_village_needs_its_buses(folder: Path) -> None:
    (found,) = refused(grid_scenario(folder, CABLES))
    assert found.startswith("network.reference: csv:feeders has no bus-")
    assert found.endswith("correct it, or list each [[participant]] with its bus")


def test_all_of_the_village_needs_supply(village_grid: Path) -> None:
    table = village_grid / "mine" / "lines.csv"
    header, *lines = table.read_text().splitlines()
    rows = [f"{line},{str(not line.startswith('line-2,')).lower()}" for line in lines]
    table.write_text("\n".join([f"{header},in_service", *rows, ""]))
    found = refused(grid_scenario(village_grid, '[network]\nreference = "csv:mine"\n'))
    assert found
    assert all("has no path to an external grid of csv:mine" in problem for problem in found), found
