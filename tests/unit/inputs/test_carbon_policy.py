"""Goal: [carbon] says what energy emits, once, for all traded slots, or what is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.inputs.meter_files import HOUR, Village, instants, stamp, wide

from gridpact.errors import InputError
from gridpact.inputs import load_scenario
from gridpact.inputs.carbon_policy import import_mg_per_kwh
from gridpact.model import CarbonPolicy, CarbonRules

CASES = Path(__file__).resolve().parents[3] / "cases" / "grid"
NETWORK = '[network]\nreference = "csv:feeders"\n'
FIRST_S, DAY_S = instants("2020-05-01T23:00", 1, HOUR)[0], 24 * HOUR
"""The traded day is 2 May 2020 at +01:00."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A meter file and a grid."""
    times = [stamp(start_s) for start_s in instants("2020-04-30T23:00", 49, HOUR)]
    (tmp_path / "meters.csv").write_text(wide(times, [1] * 49, [1] * 49, [1] * 49))
    shutil.copytree(CASES / "csv_feeders", tmp_path / "feeders")
    return tmp_path


def write(folder: Path, carbon: str, network: str = NETWORK) -> Path:
    """A scenario with these lines in its [carbon] table."""
    text = Village(folder).text()
    if network:
        for load in ("load_a", "load_b"):
            text = text.replace(f'load = "{load}"', f'load = "{load}"\nbus = "near"')
    path = folder / "village.toml"
    path.write_text(f"{text}{network}[carbon]\n{carbon}", encoding="utf-8")
    return path


def read(folder: Path, carbon: str) -> CarbonPolicy | None:
    return load_scenario(write(folder, carbon)).carbon


def problems(folder: Path, carbon: str, network: str = NETWORK) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_scenario(write(folder, carbon, network))
    return [str(problem).removeprefix("village.toml: ") for problem in caught.value.problems]


def file_of_imports(folder: Path, first: str, hours: int) -> None:
    """Each hour emits one more than the one before."""
    rows = [
        f"{stamp(start_s).replace(' ', 'T')}Z,{400_000 + hour}"
        for hour, start_s in enumerate(instants(first, hours, HOUR))
    ]
    text = "\n".join(["start,mg_per_kwh", *rows, ""])
    (folder / "grid.csv").write_text(text, encoding="utf-8")


def test_without_keys_there_is_none(folder: Path) -> None:
    assert read(folder, "") is None


def test_all_keys(folder: Path) -> None:
    keys = "import_mg_per_kwh = 420_000\ngeneration_mg_per_kwh = 41_000\nsupplier_mg_per_kwh = 0\n"
    policy = read(folder, keys)
    assert policy == CarbonPolicy(CarbonRules(41_000, 0), 420_000, None)
    assert import_mg_per_kwh(policy, [0, 900, 2**40]) == [420_000] * 3


def test_suns_emit_nothing_and_suppliers_what_imports_emit_unless_told(folder: Path) -> None:
    policy = read(folder, "import_mg_per_kwh = 420_000\n")
    assert policy == CarbonPolicy(CarbonRules(0, 420_000), 420_000, None)


def test_imports_over_time(folder: Path) -> None:
    """A file of just the traded day is enough; each slot takes the row that it lies in."""
    file_of_imports(folder, "2020-05-01T23:00", 24)
    policy = read(folder, 'imports = "grid.csv"\nsupplier_mg_per_kwh = 1\n')
    assert policy == CarbonPolicy(CarbonRules(0, 1), 0, folder / "grid.csv")
    starts = [FIRST_S, FIRST_S + 900, FIRST_S + HOUR, FIRST_S + DAY_S - 1]
    assert import_mg_per_kwh(policy, starts) == [400_000, 400_000, 400_001, 400_023]
    with pytest.raises(InputError, match="has nothing at 2020-05-02T23:00:00Z"):
        import_mg_per_kwh(policy, [FIRST_S + DAY_S])


@pytest.mark.parametrize(
    ("first", "hours", "gap"),
    [
        ("2020-05-02T00:00", 23, "has nothing at 2020-05-01T23:00:00Z"),
        ("2020-05-01T23:00", 23, "has nothing at 2020-05-02T22:59:59Z"),
        ("2020-06-01T00:00", 24, "has nothing at 2020-05-01T23:00:00Z"),
    ],
)
def test_a_file_that_does_not_cover_the_day(folder: Path, first: str, hours: int, gap: str) -> None:
    """Found before anything runs, whichever end is missing."""
    file_of_imports(folder, first, hours)
    (found,) = problems(folder, 'imports = "grid.csv"\nsupplier_mg_per_kwh = 1\n')
    assert found.startswith("carbon.imports: grid.csv: ")
    assert gap in found
    assert found.endswith("add the missing rows")


def test_a_file_that_is_not_there(folder: Path) -> None:
    (found,) = problems(folder, 'imports = "none.csv"\nsupplier_mg_per_kwh = 1\n')
    assert found.startswith("carbon.imports: ")
    assert "cannot be read: No such file or directory; check the path" in found


def test_a_file_with_faults_shows_each(folder: Path) -> None:
    rows = "start,mg_per_kwh\nnoon,1\n2020-05-01T23:00:00Z,-4\n"
    (folder / "grid.csv").write_text(rows, encoding="utf-8")
    found = problems(folder, 'imports = "grid.csv"\nsupplier_mg_per_kwh = 1\n')
    assert len(found) == 2
    assert all(text.startswith("carbon.imports: grid.csv:") for text in found)


MISSING = "is missing; allowed: a whole number from 0 to 3000000; add"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("generation_mg_per_kwh = 1\n", [f"carbon.import_mg_per_kwh: {MISSING} import_mg_per_kwh"]),
        ("supplier_mg_per_kwh = 1\n", [f"carbon.import_mg_per_kwh: {MISSING} import_mg_per_kwh"]),
        (
            "import_mg_per_kwh = 3_000_001\n",
            ["carbon.import_mg_per_kwh: 3000001 is not allowed; allowed: a whole number from 0 to"],
        ),
        ("import_mg_per_kwh = -1\n", ["carbon.import_mg_per_kwh: -1 is not allowed"]),
        ("import_mg_per_kwh = 0.4\n", ["carbon.import_mg_per_kwh: 0.4 is not allowed"]),
        ("import_mg_per_kwh = true\n", ["carbon.import_mg_per_kwh: "]),
        (
            "import_mg_per_kwh = 1\ngeneration_mg_per_kwh = -1\nsupplier_mg_per_kwh = 4_000_000\n",
            [
                "carbon.generation_mg_per_kwh: -1 is not allowed",
                "carbon.supplier_mg_per_kwh: 4000000 is not allowed",
            ],
        ),
        ("imports = 5\nsupplier_mg_per_kwh = 1\n", ["carbon.imports: 5 is not allowed"]),
        ("imports_mg_per_kwh = 5\n", ["carbon.imports_mg_per_kwh: is not a known key; did you"]),
        (
            "import_mg_per_kwh = 1\ngeneraton_mg_per_kwh = 5\n",
            ["carbon.generaton_mg_per_kwh: is not a known key; did you mean 'generation_"],
        ),
    ],
)
def test_keys_that_are_wrong(folder: Path, keys: str, said: list[str]) -> None:
    found = problems(folder, keys)
    assert len(found) == len(said), found
    for text, start in zip(found, said, strict=True):
        assert text.startswith(start), text


def test_numbers_out_of_range_say_which_unit(folder: Path) -> None:
    (found,) = problems(folder, "import_mg_per_kwh = 400_000_000\n")
    assert found.endswith("give mg/kWh: 400 g/kWh is 400000")


def test_imports_over_time_need_a_word_of_the_supplier(folder: Path) -> None:
    """What a supplier states is one number, and no mean of the file is taken for it."""
    file_of_imports(folder, "2020-05-01T23:00", 24)
    (found,) = problems(folder, 'imports = "grid.csv"\n')
    assert found.startswith(f"carbon.supplier_mg_per_kwh: {MISSING} supplier_mg_per_kwh")


def test_a_number_and_a_file_cannot_both_be_true(folder: Path) -> None:
    file_of_imports(folder, "2020-05-01T23:00", 24)
    keys = 'imports = "grid.csv"\nimport_mg_per_kwh = 1\nsupplier_mg_per_kwh = 1\n'
    assert problems(folder, keys) == [
        "carbon.import_mg_per_kwh: has no meaning here: imports says it over time; remove it"
    ]


def test_without_a_network_each_key_is_refused(folder: Path) -> None:
    keys = "import_mg_per_kwh = 1\ngeneration_mg_per_kwh = 1\n"
    why = "carbon follows the power flow, and the scenario has no network"
    assert problems(folder, keys, network="") == [
        f"carbon.{key}: has no meaning here: {why}; remove it"
        for key in ("import_mg_per_kwh", "generation_mg_per_kwh")
    ]
