"""Goal: days of 23 and 25 hours hold every reading once, whatever a file writes beside it.

Method: readings on the UTC axis, labelled by the wall clock in each way that is in use, read back.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inputs.meter_files import HOUR, Village, instants, shifted_stamp, stamp, wide

from gridpact.inputs.labels import NOT_A_TIME, Clock, wall_instants
from gridpact.model import IntervalLabel, Quality

BERLIN = "Europe/Berlin"
SPRING = ("2016-03-25T23:00", "2016-03-27", 23)
AUTUMN = ("2016-10-28T22:00", "2016-10-30", 25)


def village(folder: Path, day: str, slot_s: int = HOUR, **keys: str) -> Village:
    made = Village(folder, zone=BERLIN, first_day=day, slot_s=slot_s, members=[("load_a", "")])
    made.keys |= keys
    return made


def label(kind: str, start_s: int, step_s: int) -> str:
    """How a file may write an interval."""
    if kind == "start":
        return stamp(start_s, BERLIN)
    if kind == "end":
        return stamp(start_s + step_s, BERLIN)
    return shifted_stamp(start_s, BERLIN, step_s)  # 02:00, where the clock shows 03:00


@pytest.mark.parametrize("kind", ["start", "end", "start plus interval"])
@pytest.mark.parametrize("step_s", [60, 900, 1800, HOUR])
@pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_every_way_to_write_the_two_days(
    tmp_path: Path, change: tuple[str, str, int], step_s: int, kind: str
) -> None:
    first, day, hours = change
    starts = instants(first, (24 + hours) * HOUR // step_s, step_s)
    labels = [label(kind, start, step_s) for start in starts]
    made = village(tmp_path, day, label='"start"' if kind == "start" else '"end"')
    profiles = made.load(wide(labels, [i % 60 for i in range(len(starts))], names="load_a"))
    assert len(profiles.slots) == hours
    parts = HOUR // step_s
    expected = [sum((i * parts + j) % 60 for j in range(parts)) for i in range(24 + hours)]
    assert profiles.load_wh[0].tolist() == expected
    assert profiles.remarks == ()


@pytest.mark.parametrize("kind", ["start", "end", "start plus interval"])
@pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_long_files_tell_the_hours_apart_meter_by_meter(
    tmp_path: Path, change: tuple[str, str, int], kind: str
) -> None:
    first, day, hours = change
    starts = instants(first, (24 + hours) * 4, 900)
    rows = [
        f"{meter},{label(kind, start, 900)},{i + 1000 * number}"
        for i, start in enumerate(starts)
        for number, meter in enumerate("ab")
    ]
    for order in (rows, sorted(rows, key=lambda row: row[0])):
        made = village(tmp_path, day, 900, format='"long"', unit='"wh"')
        made.keys["label"] = '"start"' if kind == "start" else '"end"'
        made.members = [("a", ""), ("b", "")]
        profiles = made.load("\n".join(["meter,start,energy_wh", *order]))
        expected = list(range(len(starts)))
        assert profiles.load_wh.tolist() == [expected, [1000 + i for i in expected]]


@pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])
def test_hours_divided_into_quarters(tmp_path: Path, change: tuple[str, str, int]) -> None:
    first, day, hours = change
    starts = instants(first, 24 + hours, HOUR)
    made = village(tmp_path, day, 900, split='"even"')
    labels = [stamp(start, BERLIN) for start in starts]
    profiles = made.load(wide(labels, [4 * i + 1 for i in range(len(labels))], names="load_a"))
    assert profiles.days == ((0, 4 * hours),)
    assert profiles.load_wh[0].reshape(-1, 4).tolist() == [
        [i + 1, i, i, i] for i in range(24 + hours)
    ]


def test_a_file_may_end_inside_the_hour_that_comes_twice(tmp_path: Path) -> None:
    starts = instants("2016-10-27T22:00", (48 + 3) * 4 + 2, 900)
    made = village(tmp_path, "2016-10-29", 900)
    labels = [stamp(start, BERLIN) for start in starts]
    assert labels[-1] == "2016-10-30 02:15"
    assert len(made.load(wide(labels, [1] * len(starts), names="load_a")).slots) == 96


# Files that do not follow the clocks


@pytest.mark.parametrize(
    ("step_s", "kind", "line"),
    [
        (HOUR, "start", "28: 2016-03-27 02:00"),
        (900, "start", "106: 2016-03-27 02:00"),
        (HOUR, "end", "27: 2016-03-27 02:00"),
        (900, "end", "105: 2016-03-27 02:00"),
    ],
)
def test_standard_time_declared_as_a_zone_names_the_hour(
    tmp_path: Path, step_s: int, kind: str, line: str
) -> None:
    moved = step_s if kind == "end" else 0
    starts = instants("2016-03-26 00:00", 48 * HOUR // step_s, step_s)
    labels = [stamp(start + moved) for start in starts]
    made = village(tmp_path, "2016-03-27", step_s, label=f'"{kind}"')
    found = made.refusal(wide(labels, [1] * len(labels), names="load_a"))
    assert found[0].startswith(f"meters.csv:{line} does not exist in the time zone Europe/Berlin")
    assert "set profiles.time_zone to the fixed offset" in found[0]
    assert len(found) == (1 if step_s == HOUR else 4)


def test_a_year_of_californian_standard_time(tmp_path: Path) -> None:
    """Hours from 2016-07-31 23:00 in UTC-8, declared as the zone they are in."""
    starts = instants("2016-07-31 23:00", 8760, HOUR)
    text = wide([stamp(start) for start in starts], [1] * 8760, names="load_a")
    made = Village(tmp_path, zone="-08:00", first_day="2016-08-03", members=[("load_a", "")])
    made.keys |= {"time_zone": '"America/Los_Angeles"'}
    autumn, spring = made.refusal(text)
    assert spring.startswith(
        "meters.csv:5357: 2017-03-12 02:00 does not exist in the time zone America/Los_Angeles"
    )
    assert autumn.startswith("meters.csv:2333: 1 intervals are missing before 2016-11-06 02:00")
    assert "clocks are set back here" in autumn
    made.keys |= {"gaps": '"substitute"'}
    assert made.refusal() == [spring]
    made.keys |= {"time_zone": '"-08:00"'}
    assert made.load().load_wh.sum() == 48


def test_clocks_that_go_back_inside_a_file(tmp_path: Path) -> None:
    """An hour is written twice on a day on which it was not lived twice."""
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    labels[30:30] = labels[28:30]
    made = Village(tmp_path, members=[("load_a", "")])
    found = made.refusal(wide(labels, [1] * 50, names="load_a"))
    assert found[0].startswith(
        "meters.csv:32: 2020-05-02 04:00 is before line 31 (2020-05-02 05:00); times must increase"
    )
    assert [problem.split(":")[1] for problem in found] == ["32", "33"]


def test_a_gap_on_an_ordinary_day_says_nothing_of_clocks(tmp_path: Path) -> None:
    labels = [stamp(start, BERLIN) for start in instants(SPRING[0], 47, HOUR)]
    del labels[40]
    made = village(tmp_path, SPRING[1])
    (found,) = made.refusal(wide(labels, [1] * 46, names="load_a"))
    assert "1 intervals are missing" in found
    assert "set back" not in found


# Labels


@pytest.mark.parametrize(
    ("text", "label", "expected"),
    [
        ("1971-01-01 00:00Z", "start", 365 * 86400),
        ("2020-05-01T00:00:00.000+14:00", "start", 1588240800),
        ("2020-05-01 00:00-03:30", "start", 1588303800),
        ("2020-05-01 24:00", "end", 1588377600),
        ("2020-05-01 24:00", "start", NOT_A_TIME),
        ("2020-05-01 24:15", "end", NOT_A_TIME),
        ("2020-05-01 23:60", "start", NOT_A_TIME),
        ("2020-05-01 23:59:60", "start", NOT_A_TIME),
        ("2020-05-01 00:00+15:00", "start", NOT_A_TIME),
        ("2020-05-01 00:00:00.5", "start", NOT_A_TIME),
        ("2021-02-29 00:00", "start", NOT_A_TIME),
        ("1970-12-31 00:00", "start", NOT_A_TIME),
        ("2200-01-01 00:00", "start", NOT_A_TIME),
        ("2020-05-01", "start", NOT_A_TIME),
        ("\u0662020-05-01 00:00", "start", NOT_A_TIME),
        ("", "start", NOT_A_TIME),
    ],
)
def test_labels(text: str, label: str, expected: int) -> None:
    clock = Clock(UTC, IntervalLabel[label.upper()], HOUR)
    assert clock.times([text, text]).tolist() == [expected, expected]


ZONES = ["Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kathmandu", "UTC"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(ZONES),
    st.sampled_from(list(IntervalLabel)),
    st.datetimes(datetime(1971, 6, 1), datetime(2030, 1, 1)),  # noqa: DTZ001
    st.sampled_from([60, 900, HOUR]),
)
def test_the_true_instant_is_always_a_candidate(
    name: str, label: IntervalLabel, moment: datetime, interval_s: int
) -> None:
    zone = ZoneInfo(name)
    instant = int(moment.replace(tzinfo=UTC).timestamp()) // 60 * 60
    clock = Clock(zone, label, HOUR)
    (time,) = clock.times([stamp(instant, name)]).tolist()
    found = [time] if time >= 0 else clock.candidates(time, interval_s)[0]
    assert instant in found
    assert found == sorted(set(found))
    wall = datetime.fromtimestamp(instant, zone).replace(tzinfo=UTC)
    assert instant in wall_instants(int(wall.timestamp()), zone)


def test_fixed_offsets_never_jump() -> None:
    clock = Clock(timezone(timedelta(hours=1)), IntervalLabel.END, HOUR)
    hours = [f"2016-03-27 {hour:02d}:00" for hour in range(24)]
    assert (clock.times(hours) >= 0).all()


def test_quality_of_a_plain_file_is_measured(tmp_path: Path) -> None:
    labels = [stamp(start, BERLIN) for start in instants(SPRING[0], 47, HOUR)]
    profiles = village(tmp_path, SPRING[1]).load(wide(labels, [1] * 47, names="load_a"))
    assert profiles.quality.shape == profiles.load_wh.shape
    assert (profiles.quality == Quality.MEASURED).all()
