"""Goal: energies are those of the file, slot by slot, or every bad row is named with its line.

Method: small CSV files written beside a scenario; the grid that ships with the package.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridpact.errors import InputError, Problem
from gridpact.inputs import builtin_scenario, load_profiles, load_scenario, simbench
from gridpact.model import Profiles, Scenario
from gridpact.units import QUANTITY_MAX

Load = Callable[..., Profiles]
HOUR = 3600


def scenario_text(**changes: str) -> str:
    keys = {
        "time_zone": '"+01:00"',
        "first_day": "2020-05-02",
        "days": "1",
        "slot_length_s": "3600",
        "unit": '"kwh"',
        "file_zone": "",
        **changes,
    }
    zone = f"time_zone = {keys['file_zone']}\n" if keys["file_zone"] else ""
    return f"""
version = 1
name = "village"
currency = "EUR"
time_zone = {keys["time_zone"]}
first_day = {keys["first_day"]}
days = {keys["days"]}
slot_length_s = {keys["slot_length_s"]}
[tariff]
retail_micro_per_kwh = 300_000
feed_in_micro_per_kwh = 80_000
network_fee_micro_per_kwh = 50_000
[profiles]
source = "csv"
file = "meters.csv"
time_column = "start"
unit = {keys["unit"]}
{zone}
[agents]
season_days = 1
[[participant]]
id = "anna"
load = "load_a"
pv = "pv_a"
[[participant]]
id = "ben"
load = "load_b"
"""


def rows(first: str, count: int, step_s: int = HOUR) -> list[str]:
    """Lines of a file: row i has loads i and 2i and generation i/10, all in thousandths."""
    start = datetime.fromisoformat(first)
    return [
        f"{start + timedelta(seconds=step_s * i):%Y-%m-%d %H:%M},"
        f"{i / 1000:.3f},{i / 10000:.4f},{2 * i / 1000:.3f}"
        for i in range(count)
    ]


HEADER = "start,load_a,pv_a,load_b"
TWO_DAYS = rows("2020-05-01 00:00", 48)


def scenario(folder: Path, lines: list[str], **changes: str) -> Scenario:
    (folder / "meters.csv").write_bytes("\n".join([HEADER, *lines, ""]).encode())
    (folder / "village.toml").write_text(scenario_text(**changes))
    return load_scenario(folder / "village.toml")


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def run(lines: list[str], **changes: str) -> Profiles:
        return load_profiles(scenario(tmp_path, lines, **changes))

    return run


@pytest.fixture
def refusal(load: Load) -> Callable[..., list[str]]:
    def run(lines: list[str], **changes: str) -> list[str]:
        with pytest.raises(InputError) as caught:
            load(lines, **changes)
        return [str(problem) for problem in caught.value.problems]

    return run


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


# Good files


def test_rows_become_energies(load: Load) -> None:
    profiles = load(TWO_DAYS)
    assert profiles.history == 24
    assert len(profiles.slots) == 24
    assert profiles.slots[0].start_s == utc("2020-05-01T23:00")
    assert profiles.slots[-1].end_s == utc("2020-05-02T23:00")
    assert profiles.days == ((0, 24),)
    assert profiles.load_wh.tolist() == [list(range(48)), list(range(0, 96, 2))]
    assert profiles.load_wh.dtype == np.int64
    # halves to the even neighbour: 0.0005 kWh is 0 Wh, 0.0015 kWh is 2 Wh
    assert profiles.pv_wh[0, :26].tolist() == [0] * 6 + [1] * 9 + [2] * 11
    assert profiles.pv_wh[1].tolist() == [0] * 48


def test_only_the_days_and_their_history_are_kept(load: Load) -> None:
    profiles = load(rows("2020-04-20 07:00", 500), days="3")
    assert profiles.history == 24
    assert profiles.days == ((0, 24), (24, 48), (48, 72))
    assert profiles.load_wh.shape == (2, 96)
    first = (utc("2020-05-01T00:00") - utc("2020-04-20T07:00")) // HOUR
    assert profiles.load_wh[0].tolist() == list(range(first, first + 96))


def test_source_is_named_with_its_hash(load: Load, tmp_path: Path) -> None:
    profiles = load(TWO_DAYS)
    digest = hashlib.sha256((tmp_path / "meters.csv").read_bytes()).hexdigest()
    assert profiles.sources == (f"meters.csv {digest}",)


@pytest.mark.parametrize(
    ("unit", "slot_length_s", "expected"),
    [
        ('"wh"', "3600", [0, 2, 4]),
        ('"kwh"', "3600", [500, 1500, 4500]),
        ('"w"', "900", [0, 0, 1]),
        ('"kw"', "900", [125, 375, 1125]),  # 4.5 kW for a quarter of an hour
    ],
)
def test_units(load: Load, unit: str, slot_length_s: str, expected: list[int]) -> None:
    step = int(slot_length_s)
    lines = rows("2020-05-01 00:00", 2 * 86400 // step, step)
    for number, value in enumerate(["0.5", "1.5", "4.5"]):
        lines[number] = f"{lines[number].split(',')[0]},{value},0,0"
    profiles = load(lines, unit=unit, slot_length_s=slot_length_s)
    assert profiles.load_wh[0, :3].tolist() == expected


def test_every_spelling_of_a_time(load: Load) -> None:
    plain = load(TWO_DAYS)
    for spelled in (
        [line.replace(" ", "T", 1) for line in TWO_DAYS],
        [line.replace(",", ":00,", 1) for line in TWO_DAYS],
        [line.replace(",", "+01:00,", 1) for line in TWO_DAYS],
        [" " + line for line in TWO_DAYS],
        [line + "\r" for line in TWO_DAYS],
        ["2020-04-30 23:00Z" + TWO_DAYS[0][16:], *TWO_DAYS[1:]],
        [*TWO_DAYS, "", ""],
    ):
        assert load(spelled).load_wh.tolist() == plain.load_wh.tolist()


def test_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    good = scenario(tmp_path, TWO_DAYS)
    quoted = ['"' + line.replace(",", '","') + '"' for line in [HEADER, *TWO_DAYS]]
    (tmp_path / "meters.csv").write_text("\n".join(quoted), encoding="utf-8-sig")
    assert load_scenario(tmp_path / "village.toml") == good
    assert load_profiles(good).load_wh[0].tolist() == list(range(48))


def test_columns_that_nobody_names_are_not_read(tmp_path: Path) -> None:
    good = scenario(tmp_path, TWO_DAYS)
    text = "\n".join([f"{HEADER},remark", *(f"{line},n/a" for line in TWO_DAYS)])
    (tmp_path / "meters.csv").write_text(text)
    assert load_profiles(good).load_wh[0].tolist() == list(range(48))


# Days on which clocks change, Berlin 2016


def test_day_of_23_hours(load: Load) -> None:
    profiles = load(
        rows("2016-03-24 23:00", 96),
        time_zone='"Europe/Berlin"',
        first_day="2016-03-26",
        days="3",
        file_zone='"+00:00"',
    )
    assert profiles.days == ((0, 24), (24, 47), (47, 71))
    assert profiles.slots[24].start_s == utc("2016-03-26T23:00")
    assert profiles.slots[47].start_s == utc("2016-03-27T22:00")
    assert profiles.load_wh[0].tolist() == list(range(95))


def test_history_covers_24_hours_after_the_short_day(load: Load) -> None:
    """From Sunday to Monday there are 23 hours, so history begins an hour before Sunday."""
    profiles = load(
        rows("2016-03-26 22:00", 48),
        time_zone='"Europe/Berlin"',
        first_day="2016-03-28",
        file_zone='"+00:00"',
    )
    assert profiles.history == 24
    assert profiles.load_wh[0, 0] == 0


def test_day_of_25_hours(load: Load) -> None:
    profiles = load(
        rows("2016-10-28 22:00", 73),
        time_zone='"Europe/Berlin"',
        first_day="2016-10-30",
        file_zone='"+00:00"',
    )
    assert profiles.days == ((0, 25),)
    assert profiles.slots[-1].end_s == utc("2016-10-30T23:00")


def test_history_covers_the_long_day(load: Load) -> None:
    profiles = load(
        rows("2016-10-29 22:00", 49),
        time_zone='"Europe/Berlin"',
        first_day="2016-10-31",
        file_zone='"+00:00"',
    )
    assert profiles.history == 25


def berlin_clock(first_utc: str, count: int, step_s: int) -> list[str]:
    """Rows labelled by the wall clock, without offsets."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    lines = []
    for i in range(count):
        moment = datetime.fromtimestamp(utc(first_utc) + step_s * i, zone)
        lines.append(f"{moment:%Y-%m-%d %H:%M},{i},0,0")
    return lines


@pytest.mark.parametrize(
    ("first_utc", "day", "hours"),
    [("2016-03-25T23:00", "2016-03-27", 23), ("2016-10-28T22:00", "2016-10-30", 25)],
)
@pytest.mark.parametrize("step_s", [900, 3600])
def test_wall_clock_labels_are_told_apart(
    load: Load, first_utc: str, day: str, hours: int, step_s: int
) -> None:
    count = (24 + hours) * HOUR // step_s
    lines = berlin_clock(first_utc, count, step_s)
    profiles = load(
        lines, time_zone='"Europe/Berlin"', first_day=day, slot_length_s=str(step_s), unit='"wh"'
    )
    assert len(profiles.slots) == hours * HOUR // step_s
    assert profiles.load_wh[0].tolist() == list(range(count))


def test_a_time_that_clocks_skip_does_not_exist(refusal: Callable[..., list[str]]) -> None:
    lines = rows("2016-03-26 00:00", 48)
    found = refusal(lines, time_zone='"Europe/Berlin"', first_day="2016-03-27")
    assert found[0].startswith("meters.csv:28: 2016-03-27 02:00 does not exist in the time zone")
    assert "set profiles.time_zone to the fixed offset" in found[0]


# Bad rows

VALUE_CASES = [
    ("", "column load_a: has no value; fill it in, 0 is not assumed"),
    ("nan", "column load_a: 'nan' is not a number"),
    ("NULL", "column load_a: 'NULL' is not a number"),
    ("inf", "column load_a: 'inf' is not a number"),
    ("1_000", "column load_a: '1_000' is not a number"),
    ("0x10", "column load_a: '0x10' is not a number"),
    ("\u0661", "column load_a: '\u0661' is not a number"),
    ("1e999999999", "column load_a: '1e999999999' is not a number"),
    ("-0.25", "column load_a: -0.25 kWh is negative; load and generation are gross"),
    ("2147483.648", "column load_a: 2147483.648 kWh is absurd; allowed: 0 to 2147483647 Wh"),
    ("9e99", "column load_a: 9e99 kWh is absurd"),
]


@pytest.mark.parametrize(("text", "expected"), VALUE_CASES)
def test_bad_value(refusal: Callable[..., list[str]], text: str, expected: str) -> None:
    lines = list(TWO_DAYS)
    lines[5] = f"2020-05-01 05:00,{text},0,0"
    (found,) = refusal(lines)
    assert found.startswith(f"meters.csv:7: {expected}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("-0.0", 0), ("+.5", 500), ("5.", 5000), ("1e-3", 1), ("2147483.647", QUANTITY_MAX)],
)
def test_odd_but_good_value(load: Load, text: str, expected: int) -> None:
    lines = [f"2020-05-01 00:00,{text},0,0", *TWO_DAYS[1:]]
    assert load(lines).load_wh[0, 0] == expected


def cut(start: int, stop: int) -> list[str]:
    return TWO_DAYS[:start] + TWO_DAYS[stop:]


ROW_CASES = [
    (
        cut(5, 8),
        "meters.csv:7: 3 intervals are missing before 2020-05-01 08:00, from 2020-05-01 04:",
    ),
    (TWO_DAYS[:6] + TWO_DAYS[5:], "meters.csv:8: 2020-05-01 05:00 is the time of line 7 again"),
    (
        [*TWO_DAYS[:5], TWO_DAYS[6], TWO_DAYS[5], *TWO_DAYS[7:]],
        "meters.csv:8: 2020-05-01 05:00 is before line 7 (2020-05-01 06:00)",
    ),
    (
        [*TWO_DAYS[:5], TWO_DAYS[5].replace("05:00", "05:20"), *TWO_DAYS[6:]],
        "meters.csv:7: 2020-05-01 05:20 is 4800 s after line 6 (2020-05-01 04:00)",
    ),
    (
        [*TWO_DAYS[:5], "1.5.2020 05:00,0,0,0", *TWO_DAYS[6:]],
        "meters.csv:7: '1.5.2020 05:00' is not",
    ),
    (
        [*TWO_DAYS[:5], "2020-05-32 05:00,0,0,0", *TWO_DAYS[6:]],
        "meters.csv:7: '2020-05-32 05:00' is",
    ),
    (
        [*TWO_DAYS[:5], "0001-01-01 05:00,0,0,0", *TWO_DAYS[6:]],
        "meters.csv:7: '0001-01-01 05:00' is",
    ),
    (
        [*TWO_DAYS[:5], "2020-05-01 05:00,0,0", *TWO_DAYS[6:]],
        "meters.csv:7: has 3 fields, the header",
    ),
    ([*TWO_DAYS[:5], "", *TWO_DAYS[5:]], "meters.csv:7: is an empty line; remove it"),
    ([], "meters.csv:1: has no rows after the header"),
]


@pytest.mark.parametrize(("lines", "expected"), ROW_CASES)
def test_bad_row(refusal: Callable[..., list[str]], lines: list[str], expected: str) -> None:
    found = refusal(lines)
    assert any(problem.startswith(expected) for problem in found), found


@pytest.mark.parametrize("number", [3, 4, 5, 7, 8])
def test_a_bad_row_is_one_problem(refusal: Callable[..., list[str]], number: int) -> None:
    """A row whose time cannot be used does not also count as a gap."""
    lines, _ = ROW_CASES[number]
    if number == 3:
        assert len(refusal(lines)) == 2  # the step into the odd time, and the step out of it
    else:
        assert len(refusal(lines)) == 1


def test_a_gap_behind_a_repeated_row_is_found(refusal: Callable[..., list[str]]) -> None:
    found = refusal([*TWO_DAYS[:6], TWO_DAYS[5], *TWO_DAYS[7:]])
    assert [problem.split(": ")[0] for problem in found] == ["meters.csv:8", "meters.csv:9"]
    assert "1 intervals are missing" in found[1]


def test_all_bad_rows_come_at_once(refusal: Callable[..., list[str]]) -> None:
    lines = list(TWO_DAYS)
    lines[3] = "2020-05-01 03:00,-1,x,"
    lines[10] = "soon,1,1,1"
    lines[20] = lines[19]
    del lines[30:32]
    found = refusal(lines)
    assert [problem.split(": ")[0] for problem in found] == [
        "meters.csv:5", "meters.csv:5", "meters.csv:5", "meters.csv:12", "meters.csv:22",
        "meters.csv:23", "meters.csv:32",
    ]  # fmt: skip
    assert [problem.split(" ")[2] for problem in found[:3]] == ["load_a:", "pv_a:", "load_b:"]


def test_fifty_problems_are_enough(refusal: Callable[..., list[str]]) -> None:
    found = refusal([line.split(",")[0] + ",-1,-1,-1" for line in TWO_DAYS])
    assert len(found) == 51
    assert found[-1] == "meters.csv: and 94 more problems in this file"


def test_wrong_interval_is_one_problem(refusal: Callable[..., list[str]]) -> None:
    found = refusal(TWO_DAYS, slot_length_s="900")
    assert found == [
        (
            "meters.csv: its rows are 3600 s apart, but slot_length_s is 900; allowed: the same or "
            "shorter; set slot_length_s = 3600, give the file in intervals of 900 s, or have each "
            'interval divided evenly with profiles.split = "even"'
        )
    ]


def test_days_beyond_the_file(refusal: Callable[..., list[str]]) -> None:
    (found,) = refusal(TWO_DAYS, days="2")
    assert found == (
        "first_day: 2020-05-02 with days = 2 and 1 days of history needs 2020-04-30 23:00Z to "
        "2020-05-03 23:00Z; the profiles hold 2020-04-30 23:00Z to 2020-05-02 23:00Z; give longer "
        "profiles, fewer days, or a smaller agents.season_days"
    )
    (found,) = refusal(TWO_DAYS, first_day="2020-05-01")
    assert found.endswith("choose first_day from 2020-05-02 to 2020-05-02")


def test_bad_rows_and_bad_days_come_together(refusal: Callable[..., list[str]]) -> None:
    found = refusal([*TWO_DAYS[:-1], "2020-05-02 23:00,-1,0,0"], first_day="2020-05-01")
    assert [problem.split(": ")[0] for problem in found] == ["meters.csv:49", "first_day"]


def test_midnight_inside_an_interval(refusal: Callable[..., list[str]]) -> None:
    (found,) = refusal(rows("2020-05-01 00:00", 90), time_zone='"+05:30"', file_zone='"+01:00"')
    assert found.startswith(
        "time_zone: midnight of 2020-05-02 in +05:30 is 2020-05-01 18:30Z, inside"
    )


# Files that cannot be read


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "meters.csv:1: has no header"),
        (b"\n" + HEADER.encode(), "meters.csv:1: has no header"),
        (
            HEADER.encode() + b"\n2020-05-01 00:00,\xe4,0,0\n",
            "meters.csv:2: byte 0xe4 is not UTF-8",
        ),
        (HEADER.encode() + b'\n"' + b"x" * 200_000, "meters.csv:2: is not readable as CSV: field"),
        (
            HEADER.replace(",", ";").encode(),
            "meters.csv:1: 'start' is not a column of meters.csv; on",
        ),
        (
            b"start,load_a,pv_a\n",
            "meters.csv:1: 'load_b' is not a column of meters.csv; did you mean",
        ),
        (b"start,load_a,pv_a,load_b,load_b\n", "meters.csv:1: 'load_b' is the name of 2 columns"),
    ],
)
def test_file_that_is_no_table(tmp_path: Path, data: bytes, expected: str) -> None:
    good = scenario(tmp_path, TWO_DAYS)
    (tmp_path / "meters.csv").write_bytes(data)
    with pytest.raises(InputError) as caught:
        load_profiles(good)
    assert str(caught.value).startswith(expected)


def test_file_that_went_away(tmp_path: Path) -> None:
    good = scenario(tmp_path, TWO_DAYS)
    (tmp_path / "meters.csv").unlink()
    with pytest.raises(InputError, match=r"meters\.csv: cannot be read: .*; check the path"):
        load_profiles(good)


def outcome(scenario: Scenario) -> tuple[tuple[Problem, ...], Profiles | None]:
    """Problems, or the profiles."""
    try:
        return (), load_profiles(scenario)
    except InputError as error:
        return error.problems, None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(
    st.lists(
        st.tuples(st.integers(0, 49 * 30), st.integers(0, 40), st.text(max_size=5)), max_size=4
    ),
)
def test_damaged_file_is_refused_or_read(tmp_path: Path, edits: list[tuple[int, int, str]]) -> None:
    """Whatever is cut out or scribbled in: a result of the right shape, or an InputError."""
    good = scenario(tmp_path, TWO_DAYS)
    text = "\n".join([HEADER, *TWO_DAYS])
    for start, length, insert in edits:
        text = text[:start] + insert + text[start + length :]
    (tmp_path / "meters.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    found, profiles = outcome(good)
    assert all(problem.where and problem.message for problem in found)
    if profiles is not None:
        assert profiles.load_wh.shape == (2, 48)
        assert (profiles.load_wh >= 0).all()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.integers(0, 2), st.sets(st.integers(1, 46), max_size=6), st.sets(st.integers(0, 47)))
def test_exactly_the_planted_lines_are_named(
    tmp_path: Path, kind: int, gaps: set[int], bad_values: set[int]
) -> None:
    """Gaps that do not touch each other or a bad value, and bad values, in any mixture."""
    gaps = {i for i in gaps if i - 1 not in gaps and i + 1 not in gaps}
    bad_values -= gaps
    text = ["-1", "", "many"][kind]
    lines: list[str] = []
    expected: list[int] = []
    for i, line in enumerate(TWO_DAYS):
        if i in gaps:
            continue
        number = len(lines) + 2
        if i - 1 in gaps:
            expected.append(number)
        if i in bad_values:
            expected.append(number)
            lines.append(f"{line.split(',')[0]},{text},0,0")
        else:
            lines.append(line)
    found, _ = outcome(scenario(tmp_path, lines))
    assert [int(problem.where.split(":")[1]) for problem in found] == expected


# The grid that ships with the package


def test_built_in_day_by_hand() -> None:
    """h0-l-077 has 2 kW of H0-L and 22.6 kW of PV7; floor(nominal x ppm x 900 / 3.6e9)."""
    scenario = builtin_scenario()
    profiles = load_profiles(scenario)
    assert (profiles.history, len(profiles.slots), profiles.days) == (672, 96, ((0, 96),))
    assert profiles.slots[0].start_s == utc("2016-06-08T22:00")
    row = [member.participant_id for member in scenario.members].index("h0-l-077")
    shares, _ = simbench.read_profiles()
    first = (utc("2016-06-01T22:00") - utc("2015-12-31T23:00")) // 900
    at_noon = 672 + 48
    load_ppm, pv_ppm = (int(shares[name][first + at_noon]) for name in ("H0-L", "PV7"))
    assert profiles.load_wh[row, at_noon] == 2_000 * load_ppm * 900 // 3_600_000_000
    assert profiles.pv_wh[row, at_noon] == 22_600 * pv_ppm * 900 // 3_600_000_000
    assert profiles.sources[0].startswith("profiles.npz ")


def test_built_in_day_is_what_it_is() -> None:
    """Totals of the day in Wh, noted once: a change here changes every golden result."""
    profiles = load_profiles(builtin_scenario())
    traded = slice(profiles.history, None)
    assert int(profiles.load_wh[:, traded].sum()) == 656_051
    assert int(profiles.pv_wh[:, traded].sum()) == 548_442
    assert profiles.pv_wh[:, traded].any(axis=1).sum() == 8


def test_whole_year_has_every_slot_once() -> None:
    """366 local days less the week of history; two of them with 23 and 25 hours."""
    scenario = replace(builtin_scenario(), first_day=date(2016, 1, 8), days=359)
    profiles = load_profiles(scenario)
    lengths = [end - start for start, end in profiles.days]
    assert sorted(set(lengths)) == [92, 96, 100]
    assert lengths[(date(2016, 3, 27) - date(2016, 1, 8)).days] == 92
    assert lengths[(date(2016, 10, 30) - date(2016, 1, 8)).days] == 100
    assert sum(lengths) == len(profiles.slots) == 359 * 96
    assert profiles.load_wh.shape == (99, 366 * 96)


def test_profiles_are_shares_of_nominal() -> None:
    shares, digest = simbench.read_profiles()
    assert len(shares) == 16
    assert len(digest) == 64
    for name, values in shares.items():
        assert values.min() >= 0, name
        assert values.max() == 1_000_000 or name.startswith("PV"), name


def test_network_tables_refer_to_each_other() -> None:
    def table(name: str) -> list[dict[str, str]]:
        text = simbench.folder().joinpath(name).read_text(encoding="utf-8")
        return list(csv.DictReader(io.StringIO(text)))

    buses = {row["bus"] for row in table("buses.csv")}
    lines, transformers = table("lines.csv"), table("transformers.csv")
    elements = {row["line"] for row in lines} | {row["transformer"] for row in transformers}
    assert (len(buses), len(lines), len(transformers)) == (97, 95, 1)
    assert {row["element"] for row in table("switches.csv")} == elements
    for name, columns in (
        ("lines.csv", ("from_bus", "to_bus")),
        ("transformers.csv", ("hv_bus", "lv_bus")),
        ("external_grids.csv", ("bus",)),
        ("switches.csv", ("bus",)),
        ("loads.csv", ("bus",)),
        ("generators.csv", ("bus",)),
    ):
        assert {row[column] for row in table(name) for column in columns} <= buses, name
