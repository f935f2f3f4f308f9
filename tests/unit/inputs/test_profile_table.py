"""Goal: every key of [profiles] arrives, and what does not belong together is named.

Method: one file that suits each format; single keys changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.inputs.meter_files import Village

from gridpact.inputs import load_scenario
from gridpact.model import (
    DataPolicy,
    IntervalLabel,
    LongColumns,
    ProfileLayout,
    ProfileSource,
    ProfileUnit,
    Repeats,
)

WIDE = "start,load_a,pv_a,load_b\n"
LONG = "meter,start,energy_wh,import_wh,export_wh,how\n"


def source(folder: Path, content: str, **keys: str) -> ProfileSource:
    village = Village(folder, keys=keys)
    return load_scenario(village.write(content)).profiles


def problems(folder: Path, content: str, **keys: str) -> list[str]:
    found = Village(folder, keys=keys).refusal(content)
    return [problem.removeprefix("village.toml: profiles.") for problem in found]


def test_defaults_of_a_wide_file_are_those_of_the_documented_table(tmp_path: Path) -> None:
    found = source(tmp_path, WIDE, source='"csv"', time_column='"start"', unit='"kwh"')
    assert found == ProfileSource(
        file=tmp_path / "meters.csv",
        time_column="start",
        time_zone="+01:00",
        unit=ProfileUnit.KWH,
        parquet=False,
        layout=ProfileLayout.WIDE,
        long=None,
        label=IntervalLabel.START,
        delimiter=",",
        decimal=".",
        policy=DataPolicy(
            substitute_gaps=False,
            substitute_absurd=False,
            highest_w=None,
            repeats=Repeats.REFUSE,
            split_evenly=False,
        ),
    )


def test_defaults_of_a_long_file_are_those_of_the_documented_table(tmp_path: Path) -> None:
    found = source(tmp_path, LONG, source='"csv"', format='"long"')
    assert (found.time_column, found.unit) == ("start", ProfileUnit.WH)
    assert found.long == LongColumns("meter", (("", "energy_wh"),), "")
    both = source(tmp_path, LONG.replace("energy_wh", "x"), source='"csv"', format='"long"')
    assert both.long == LongColumns(
        "meter", (("/import", "import_wh"), ("/export", "export_wh")), ""
    )


def test_every_key_arrives(tmp_path: Path) -> None:
    found = source(
        tmp_path,
        LONG.replace(",", ";"),
        source='"csv"',
        format='"long"',
        time_column='"start"',
        meter_column='"meter"',
        import_column='"import_wh"',
        quality_column='"how"',
        time_zone='"Europe/Berlin"',
        unit='"kw"',
        label='"end"',
        delimiter='";"',
        decimal='","',
        split='"even"',
        gaps='"substitute"',
        duplicates='"last"',
        absurd='"substitute"',
        highest_w="17_000",
    )
    assert found == ProfileSource(
        file=tmp_path / "meters.csv",
        time_column="start",
        time_zone="Europe/Berlin",
        unit=ProfileUnit.KW,
        layout=ProfileLayout.LONG,
        long=LongColumns("meter", (("/import", "import_wh"),), "how"),
        label=IntervalLabel.END,
        delimiter=";",
        decimal=",",
        policy=DataPolicy(
            substitute_gaps=True,
            substitute_absurd=True,
            highest_w=17_000,
            repeats=Repeats.LAST,
            split_evenly=True,
        ),
    )


BASE = {"source": '"csv"', "time_column": '"start"', "unit": '"wh"'}
LONG_BASE = {"source": '"csv"', "format": '"long"'}

WIDE_CASES = [
    ({"format": '"tall"'}, 'format: \'tall\' is not allowed; allowed: "wide" | "long"'),
    ({"label": '"middle"'}, "label: 'middle' is not allowed"),
    ({"delimiter": '":"'}, "delimiter: ':' is not allowed"),
    ({"decimal": '","'}, "decimal: ',' separates fields too; allowed: two different signs"),
    ({"split": "true"}, 'split: true is not allowed; allowed: "refuse" | "even"'),
    ({"gaps": '"zero"'}, 'gaps: \'zero\' is not allowed; allowed: "refuse" | "substitute"'),
    ({"duplicates": '"sum"'}, "duplicates: 'sum' is not allowed"),
    ({"absurd": '"clip"'}, "absurd: 'clip' is not allowed"),
    ({"highest_w": "-1"}, "highest_w: -1 is not allowed; allowed: a whole number from 0"),
    ({"meter_column": '"m"'}, "meter_column: has no meaning here: it belongs to format"),
    ({"quality_column": '"q"'}, "quality_column: has no meaning here"),
]


@pytest.mark.parametrize(("keys", "expected"), WIDE_CASES)
def test_one_problem_with_a_wide_file(tmp_path: Path, keys: dict[str, str], expected: str) -> None:
    (found,) = problems(tmp_path, WIDE, **BASE, **keys)
    assert found.startswith(expected)


LONG_CASES = [
    ({"meter_column": '"metre"'}, "meter_column: 'metre' is not a column of meters.csv; did you"),
    ({"value_column": '"wh"'}, "value_column: 'wh' is not a column of meters.csv"),
    ({"import_column": '"in"'}, "import_column: 'in' is not a column of meters.csv"),
    ({"quality_column": '"q"'}, "quality_column: 'q' is not a column of meters.csv"),
    ({"time_column": '"when"'}, "time_column: 'when' is not a column of meters.csv"),
    (
        {"value_column": '"energy_wh"', "export_column": '"export_wh"'},
        "value_column: stands beside import_column or export_column",
    ),
]


@pytest.mark.parametrize(("keys", "expected"), LONG_CASES)
def test_one_problem_with_a_long_file(tmp_path: Path, keys: dict[str, str], expected: str) -> None:
    (found,) = problems(tmp_path, LONG, **LONG_BASE, **keys)
    assert found.startswith(expected)


def test_a_long_file_needs_values(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, "meter,start,kwh\n", **LONG_BASE)
    assert found == (
        "value_column: is missing, and meters.csv has neither energy_wh nor import_wh and "
        "export_wh; name the column with the values"
    )


def test_semicolons_are_recognised(tmp_path: Path) -> None:
    found = problems(tmp_path, WIDE.replace(",", ";"), **BASE)
    assert "set profiles.delimiter = ';'" in found[0]


def test_keys_of_files_mean_nothing_for_simbench(tmp_path: Path) -> None:
    village = Village(tmp_path, slot_s=900, first_day="2016-06-09", zone="Europe/Berlin")
    village.members = [("h0-l-077", "")]
    village.keys = {"source": '"simbench"', "gaps": '"substitute"', "decimal": '"."'}
    found = village.refusal()
    assert [problem.split(":")[1].strip() for problem in found] == [
        "profiles.file",
        "profiles.decimal",
        "profiles.gaps",
    ]


def test_parquet_has_neither_delimiter_nor_decimal(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.keys |= {"source": '"parquet"', "format": '"uci"', "decimal": '","'}
    found = "\n".join(village.refusal(b"PAR1"))
    assert 'profiles.format: \'uci\' is not allowed; allowed: "wide" | "long"' in found
    assert "profiles.decimal: has no meaning here: Parquet has neither" in found
