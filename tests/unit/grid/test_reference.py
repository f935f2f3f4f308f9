"""References of networks: the four forms, and what is wrong with others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.grid.small_grids import CASES, problems

from gridpact.grid import load_network


def test_paths_start_at_the_base_folder(tmp_path: Path) -> None:
    for base, prefix in ((CASES, ""), (tmp_path, f"{CASES}/")):
        assert len(load_network(f"csv:{prefix}csv_feeders", base).lines) == 3
        assert len(load_network(f"pandapower:{prefix}pandapower_3/net.json", base).lines) == 13
        assert len(load_network(f"pgm:{prefix}power_grid_model/compact.json", base).lines) == 5


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("", "names no network; allowed: simbench:CODE, pandapower:FILE, pgm:FILE, csv:FOLDER"),
        ("net.json", "names no network"),
        ("pandapower:", "names no network"),
        ("panda:net.json", "did you mean 'pandapower'?"),
        ("csv: ", "names no network"),
        ("csv:nowhere", "is not a folder"),
        ("csv:csv_feeders/buses.csv", "is not a folder"),
        ("csv:a\0b", "is not a folder"),
        ("pgm:nowhere.json", "cannot be read: No such file"),
        ("pandapower:csv_feeders", "cannot be read"),
        ("pandapower:a\0b", "is not a path"),
        ("pgm:README.md", "is not JSON"),
    ],
)
def test_bad_references(reference: str, words: str) -> None:
    (complaint,) = problems(reference, CASES)
    assert words in complaint


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_bytes(b"\x80")
    (complaint,) = problems("pgm:net.json", tmp_path)
    assert "byte 0 is not UTF-8" in complaint


def test_other_simbench_grids_name_the_extra_when_it_is_missing() -> None:
    """In a process in which the package cannot be imported, installed or not."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.modules['simbench'] = None\n"
        "from gridpact.errors import InputError\n"
        "from gridpact.grid import load_network\n"
        "try: load_network('simbench:1-LV-rural1--0-sw', Path())\n"
        "except InputError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'gridpact[simbench]'" in result.stdout


def test_reading_needs_no_solver_and_solving_names_the_extra() -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "sys.modules['power_grid_model'] = None\n"
        "from gridpact.errors import InputError\n"
        "from gridpact.grid import GridModel, load_network, supplied_buses\n"
        "net = load_network('simbench:1-LV-rural2--0-sw', Path())\n"
        "print(len(supplied_buses(net)))\n"
        "try: GridModel(net)\n"
        "except InputError as error: print(error)\n"
        "print('pandas' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines() == [
        "97",
        "power-grid-model: a power flow needs power-grid-model: pip install 'gridpact[grid]'",
        "False",
    ]
