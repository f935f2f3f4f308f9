"""Goal: however a meter file writes the same readings, they become the same Wh.

Method: one table of exact readings, written in every layout, unit, label and interval, and read
back.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inputs.meter_files import HOUR, Village, instants, stamp, wide

from gridpact.inputs.assembly import divide_evenly
from gridpact.model import Profiles, Quality
from gridpact.units import split_by_largest_remainder

START = "2020-04-30 23:00"
NAMES = ("load_a", "pv_a", "load_b")


def readings(count: int, seed: int = 1) -> dict[str, list[int]]:
    """Wh of each interval; night for the plant."""
    chance = random.Random(seed)
    return {
        name: [chance.randrange(3000) if "load" in name or i % 24 > 6 else 0 for i in range(count)]
        for name in NAMES
    }


def check(profiles: Profiles, expected: dict[str, list[int]]) -> None:
    assert profiles.load_wh.tolist() == [expected["load_a"], expected["load_b"]]
    assert profiles.pv_wh.tolist() == [expected["pv_a"], [0] * len(expected["pv_a"])]


def kilo(wh: int) -> str:
    return f"{wh // 1000}.{wh % 1000:03d}"


def power(wh: int, interval_s: int, unit: int) -> str:
    """Mean power with all its decimals, for intervals in which it has an end."""
    value = Fraction(wh * 3600, interval_s * unit)
    return f"{value.numerator * 10**9 // value.denominator / 10**9:.9f}"


# Text


@pytest.mark.parametrize("slot_s", [900, HOUR])
@pytest.mark.parametrize("label", ["start", "end"])
@pytest.mark.parametrize("unit", ["wh", "kwh", "w", "kw"])
def test_wide(tmp_path: Path, unit: str, label: str, slot_s: int) -> None:
    count = 48 * HOUR // slot_s
    table = readings(count)
    write: dict[str, Callable[[int], str]] = {
        "wh": str,
        "kwh": kilo,
        "w": lambda wh: power(wh, slot_s, 1),
        "kw": lambda wh: power(wh, slot_s, 1000),
    }
    starts = instants(START, count, slot_s)
    labels = [stamp(s + (slot_s if label == "end" else 0)) + "Z" for s in starts]
    village = Village(tmp_path, slot_s=slot_s)
    village.keys |= {"unit": f'"{unit}"', "label": f'"{label}"'}
    columns = [[write[unit](wh) for wh in table[name]] for name in NAMES]
    check(village.load(wide(labels, *columns)), table)


def test_decimal_comma(tmp_path: Path) -> None:
    table = readings(48)
    columns = [[kilo(wh).replace(".", ",") for wh in table[name]] for name in NAMES]
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    rows = [";".join(row) for row in zip(labels, *columns, strict=True)]
    village = Village(tmp_path)
    village.keys |= {"unit": '"kwh"', "delimiter": '";"', "decimal": '","'}
    text = "\n".join(["start;load_a;pv_a;load_b", *rows, ""])
    check(village.load(text), table)
    check(village.load(text.replace("\n", "\r\n")), table)
    quoted = "\n".join(
        ";".join(f'"{field}"' for field in line.split(";")) for line in text.splitlines()
    )
    check(village.load(quoted), table)


@pytest.mark.parametrize(("word", "sign"), [("tab", "\t"), ("|", "|")])
def test_other_delimiters(tmp_path: Path, word: str, sign: str) -> None:
    table = readings(48)
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    village = Village(tmp_path)
    village.keys |= {"delimiter": f'"{word}"'}
    text = wide(labels, *(table[name] for name in NAMES)).replace(",", sign)
    check(village.load(text), table)


def long(table: dict[str, list[int]], by: str) -> list[str]:
    """Rows of a long file, sorted by meter or by time."""
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    rows = [
        (name, label, wh) for name in NAMES for label, wh in zip(labels, table[name], strict=True)
    ]
    if by == "time":
        rows.sort(key=lambda row: row[1])
    return [f"{name},{label},{wh}" for name, label, wh in rows]


@pytest.mark.parametrize("by", ["meter", "time"])
def test_long(tmp_path: Path, by: str) -> None:
    table = readings(48)
    village = Village(tmp_path, keys={"source": '"csv"', "format": '"long"'})
    rows = long(table, by)
    text = "\n".join(["meter,start,energy_wh", *rows, ""])
    check(village.load(text), table)
    others = [row.replace("load_a", "other") for row in rows if row.startswith("load_a")]
    mixed = "\n".join(["meter,start,energy_wh", *others, *rows])
    check(village.load(mixed), table)


def test_long_with_import_and_export(tmp_path: Path) -> None:
    table = readings(48)
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    lines = ["when,id,in,out"]
    for number, label in enumerate(labels):
        lines.append(f"{label},m1,{kilo(table['load_a'][number])},{kilo(table['pv_a'][number])}")
        lines.append(f"{label},m2,{kilo(table['load_b'][number])},0")
    village = Village(tmp_path, members=[("m1/import", "m1/export"), ("m2/import", "")])
    village.keys = {
        "source": '"csv"',
        "format": '"long"',
        "unit": '"kwh"',
        "time_column": '"when"',
        "meter_column": '"id"',
        "import_column": '"in"',
        "export_column": '"out"',
    }
    check(village.load("\n".join(lines)), table)


def test_long_tells_quality(tmp_path: Path) -> None:
    words = {3: "estimated", 30: "substituted", 31: "Measured "}
    lines = ["meter,start,energy_wh,how"]
    for name in ("load_a", "load_b"):
        for number, start in enumerate(instants("2020-05-01 00:00", 48, HOUR)):
            word = words.get(number, "measured") if name == "load_a" else "measured"
            lines.append(f"{name},{stamp(start)},{number},{word}")
    village = Village(tmp_path, members=[("load_a", ""), ("load_b", "")])
    village.keys = {"source": '"csv"', "format": '"long"', "quality_column": '"how"'}
    profiles = village.load("\n".join(lines))
    assert profiles.quality[0, 3] == Quality.ESTIMATED
    assert profiles.quality[0, 30] == Quality.SUBSTITUTED
    assert int((profiles.quality != Quality.MEASURED).sum()) == 2
    village.members = [("load_b", "load_a")]
    assert village.load().quality[0, 3] == Quality.ESTIMATED
    lines[5] = lines[5].replace("measured", "guessed")
    (found,) = village.refusal("\n".join(lines))
    assert found.startswith("meters.csv:6: column how: 'guessed' is no quality; allowed: measured")


# Intervals that are not slots


@pytest.mark.parametrize("interval_s", [60, 300, 900, 1800])
@pytest.mark.parametrize("label", ["start", "end"])
def test_finer_readings_are_summed_and_rounded_once(
    tmp_path: Path, interval_s: int, label: str
) -> None:
    parts = HOUR // interval_s
    chance = random.Random(interval_s)
    fine = [chance.randrange(10**6) for _ in range(48 * parts)]  # mW
    starts = instants(START, len(fine), interval_s)
    labels = [stamp(s + (interval_s if label == "end" else 0)) + "Z" for s in starts]
    text = wide(labels, [f"0.{value:06d}" for value in fine], names="load_a")
    village = Village(tmp_path, members=[("load_a", "")])
    village.keys |= {"unit": '"kw"', "label": f'"{label}"'}
    profiles = village.load(text)
    hours = np.array(fine, dtype=object).reshape(48, parts).sum(axis=1)
    expected = [round(Fraction(int(total), 1000 * parts)) for total in hours]
    assert profiles.load_wh[0].tolist() == expected
    assert profiles.remarks == ()


def test_a_file_may_begin_inside_a_slot_that_nobody_needs(tmp_path: Path) -> None:
    starts = instants("2020-04-30 22:37", 49 * 60, 60)
    village = Village(tmp_path, members=[("load_a", "")])
    profiles = village.load(wide([stamp(s) + "Z" for s in starts], [1] * len(starts),
                                 names="load_a"))  # fmt: skip
    assert profiles.load_wh.tolist() == [[60] * 48]


def test_coarser_readings_are_divided_only_when_declared(tmp_path: Path) -> None:
    table = readings(48)
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    text = wide(labels, *(table[name] for name in NAMES))
    village = Village(tmp_path, slot_s=900)
    (found,) = village.refusal(text)
    assert found == (
        "meters.csv: its rows are 3600 s apart, but slot_length_s is 900; allowed: the same or "
        "shorter; set slot_length_s = 3600, give the file in intervals of 900 s, or have each "
        'interval divided evenly with profiles.split = "even"'
    )
    village.keys |= {"split": '"even"'}
    profiles = village.load()
    parts = [split_by_largest_remainder(wh, [1] * 4) for wh in table["load_a"]]
    assert profiles.load_wh[0].tolist() == [part for four in parts for part in four]
    assert (profiles.quality == Quality.ESTIMATED).all()
    assert profiles.remarks == ("384 of 384 slot readings of members are estimated",)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.integers(1, 60))
def test_division_is_the_split_of_the_ledger(energies: list[int], parts: int) -> None:
    found = divide_evenly(np.array(energies).reshape(1, -1, 1), parts)
    split = [part for wh in energies for part in split_by_largest_remainder(wh, [1] * parts)]
    assert found.ravel().tolist() == split


@pytest.mark.parametrize(
    ("interval_s", "slot_s", "expected"),
    [
        (30, HOUR, "allowed: the same, or 60 to 3600 s"),
        (7200, HOUR, "allowed: the same, or 60 to 3600 s"),
        (2400, HOUR, "allowed: lengths of which one divides the other"),
        (1200, 900, "allowed: lengths of which one divides the other"),
    ],
)
def test_intervals_that_fit_no_slot(
    tmp_path: Path, interval_s: int, slot_s: int, expected: str
) -> None:
    starts = instants("2020-04-30 23:00", 48 * HOUR // interval_s, interval_s)
    labels = [stamp(s)[:-2] + f"{s // 60 % 60:02d}:{s % 60:02d}Z" for s in starts]
    village = Village(tmp_path, slot_s=slot_s, members=[("load_a", "")])
    village.keys |= {"split": '"even"'}
    (found,) = village.refusal(wide(labels, [1] * len(labels), names="load_a"))
    assert found.startswith(f"meters.csv: its rows are {interval_s} s apart, but slot_length_s is")
    assert expected in found


def test_slots_inside_intervals_of_an_odd_phase(tmp_path: Path) -> None:
    """Half-hours that begin at a quarter past, in quarter-hour slots."""
    starts = instants("2020-04-30 22:45", 98, 1800)
    village = Village(tmp_path, slot_s=900, members=[("load_a", "")])
    village.keys |= {"split": '"even"'}
    text = wide([stamp(s) + "Z" for s in starts], range(0, 196, 2), names="load_a")
    profiles = village.load(text)
    expected = [i // 2 for i in range(196)]
    assert profiles.load_wh[0].tolist() == expected[1:193]


def test_a_slot_that_a_day_does_not_begin_with(tmp_path: Path) -> None:
    starts = instants("2020-04-30 22:00", 120, 1800)
    village = Village(tmp_path, zone="+05:45", members=[("load_a", "")])
    (found,) = village.refusal(wide([stamp(s) + "Z" for s in starts], [1] * 120, names="load_a"))
    assert found.startswith("time_zone: midnight of 2020-05-02 in +05:45 is 2020-05-01 18:15Z, ins")


# Chunks


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    characters=st.integers(20, 4000),
    quoted=st.booleans(),
    by=st.sampled_from(["meter", "time"]),
    repeats=st.sampled_from(["refuse", "last"]),
)
def test_where_a_chunk_ends_makes_no_difference(
    tmp_path: Path, characters: int, quoted: bool, by: str, repeats: str
) -> None:
    """Files are read in pieces; here the pieces are a few rows long."""
    table = readings(48)
    lines = ["meter,start,energy_wh", *long(table, by)]
    if quoted:
        lines[60] = '"' + lines[60].replace(",", '","') + '"'
    village = Village(tmp_path, keys={"source": '"csv"', "format": '"long"'})
    village.keys |= {"duplicates": f'"{repeats}"'}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gridpact.inputs.row_sources.CHUNK_CHARACTERS", characters)
        patch.setattr("gridpact.inputs.row_sources.CHUNK_CELLS", 1)
        patch.setattr("gridpact.inputs.row_sources.CHUNK_ROWS_MIN", 1 + characters // 30)
        check(village.load("\n".join(lines)), table)


def test_a_line_break_in_a_field_counts_as_a_line(tmp_path: Path) -> None:
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    remarks = ['"two\nlines"' if i == 3 else "-" for i in range(48)]
    values: list[object] = list(range(48))
    values[10] = "x"
    village = Village(tmp_path, members=[("load_a", "")])
    (found,) = village.refusal(wide(labels, values, remarks, names="load_a,remark"))
    assert found.startswith("meters.csv:13: column load_a: 'x' is not a number")


# Names


def test_a_meter_that_is_not_there(tmp_path: Path) -> None:
    village = Village(tmp_path, keys={"source": '"csv"', "format": '"long"'})
    rows = [row.replace("load_b", "load_c") for row in long(readings(48), "meter")]
    (found,) = village.refusal("\n".join(["meter,start,energy_wh", *rows]))
    assert found == (
        "meters.csv: 'load_b' is not one of its meters; did you mean 'load_c'?; it has: "
        "'load_a, load_c, pv_a'"
    )


def test_import_and_export_have_to_be_told_apart(tmp_path: Path) -> None:
    village = Village(tmp_path, members=[("m1", "")], keys={"source": '"csv"', "format": '"long"'})
    (found,) = village.refusal("meter,start,import_wh,export_wh\nm1,2020-05-01 00:00,1,2\n")
    assert found == (
        "meters.csv: 'm1' does not name a value of a meter; allowed: 'NAME/import' or 'NAME/export'"
    )
