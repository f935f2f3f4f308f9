"""Goal: faults of a file are refused by line, or mended as declared, marked, counted, never zero.

Method: a good file with faults planted in known places, for every policy.
"""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inputs.meter_files import HOUR, Village, instants, stamp, wide

from gridpact.inputs.mending import mend
from gridpact.model import Quality

DAYS = 10
HOURS = DAYS * 24
LABELS = [stamp(start) for start in instants("2020-05-01 00:00", HOURS, HOUR)]
VALUES = [100 + (37 * i) % 500 for i in range(HOURS)]
TRADED = 9 * 24
"""First hour of 10 May, which is traded; history is the day before."""


def village(folder: Path, **keys: str) -> Village:
    made = Village(folder, first_day="2020-05-10", members=[("load_a", "")])
    made.keys |= {key: f'"{value}"' for key, value in keys.items()}
    return made


def rows(*without: int, values: dict[int, object] | None = None) -> str:
    """The file without some hours, and with other values in some."""
    changed = [str((values or {}).get(i, VALUES[i])) for i in range(HOURS)]
    kept = [i for i in range(HOURS) if i not in without]
    return wide([LABELS[i] for i in kept], [changed[i] for i in kept], names="load_a")


def expected(changes: dict[int, int]) -> list[int]:
    """The two days, with the reading of another hour in some places."""
    energies = list(VALUES)
    for hour, source in sorted(changes.items()):
        energies[hour] = energies[source]
    return energies[TRADED - 24 :]


WEEK, DAY = 7 * 24, 24


# Gaps


def test_gaps_are_refused_by_line(tmp_path: Path) -> None:
    gaps = [TRADED + 3, TRADED + 4, TRADED + 9]
    found = village(tmp_path).refusal(rows(*gaps))
    remedy = 'add them, or set profiles.gaps = "substitute"'
    assert found == [
        f"meters.csv:{line}: {count} intervals are missing before 2020-05-10 {before}, from "
        f"2020-05-10 {since}Z; {remedy}"
        for line, count, before, since in (
            (TRADED + 5, 2, "05:00", "02:00"),
            (TRADED + 9, 1, "10:00", "08:00"),
        )
    ]


def test_gaps_take_the_week_before(tmp_path: Path) -> None:
    gaps = [TRADED + 3, TRADED + 4, TRADED - 2]
    profiles = village(tmp_path, gaps="substitute").load(rows(*gaps))
    assert profiles.load_wh[0].tolist() == expected({gap: gap - WEEK for gap in gaps})
    marked = np.flatnonzero(profiles.quality[0] == Quality.SUBSTITUTED) + TRADED - 24
    assert sorted(gaps) == marked.tolist()
    assert profiles.quality[0, 27] == Quality.SUBSTITUTED
    assert profiles.remarks == (
        "meters.csv: 3 missing intervals",
        "3 of 48 slot readings of members are substituted",
    )


def test_gaps_without_a_week_before_take_the_day_before(tmp_path: Path) -> None:
    gap = TRADED + 3
    profiles = village(tmp_path, gaps="substitute").load(rows(gap, gap - WEEK))
    assert profiles.load_wh[0].tolist() == expected({gap: gap - DAY})


def test_gaps_whose_sources_are_gaps_take_what_stands_in_for_them(tmp_path: Path) -> None:
    """The week before is missing and was itself filled from the day before that."""
    gap = TRADED + 3
    gaps = (gap, gap - DAY, gap - WEEK)
    profiles = village(tmp_path, gaps="substitute").load(rows(*gaps))
    week = gap - WEEK - DAY
    assert profiles.load_wh[0].tolist() == expected({gap - DAY: gap - DAY - WEEK, gap: week})


def test_values_left_empty_are_gaps(tmp_path: Path) -> None:
    gap = TRADED + 3
    text = rows(values={gap: "", gap + 1: "  "})
    found = village(tmp_path).refusal(text)
    assert found[0] == (
        f"meters.csv:{gap + 2}: column load_a: has no value; fill it in, 0 is not assumed; or set "
        'profiles.gaps = "substitute"'
    )
    assert len(found) == 2
    profiles = village(tmp_path, gaps="substitute").load()
    assert profiles.load_wh[0].tolist() == expected({g: g - WEEK for g in (gap, gap + 1)})
    assert profiles.remarks[0] == "meters.csv: 2 values without a number"


def test_one_missing_minute_substitutes_its_slot(tmp_path: Path) -> None:
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 3 * 24 * 60, 60)]
    values = [i // 60 for i in range(len(labels))]
    gone = 2 * 24 * 60 + 5 * 60 + 17
    text = wide(labels[:gone] + labels[gone + 1 :], values[:gone] + values[gone + 1 :],
                names="load_a")  # fmt: skip
    made = village(tmp_path, gaps="substitute")
    made.first_day = "2020-05-03"
    profiles = made.load(text)
    assert profiles.load_wh[0, 29] == 60 * 29
    assert profiles.load_wh[0, 30] == 60 * 54
    assert profiles.quality[0, 29] == Quality.SUBSTITUTED
    assert profiles.remarks[0] == "meters.csv: 1 missing intervals"


def test_gaps_that_nothing_can_fill_are_named(tmp_path: Path) -> None:
    made = village(tmp_path, gaps="substitute")
    made.first_day = "2020-05-02"
    found = made.refusal(rows(3, 4, 27))
    assert found == [
        (
            "meters.csv: column load_a: 3 slots from 2020-05-01 02:00Z to 2020-05-02 03:00Z have "
            "no reading; there is no week or day before to substitute them from: add them"
        )
    ]


def test_a_meter_that_ends_early(tmp_path: Path) -> None:
    lines = ["meter,start,energy_wh"]
    for name, hours in (("a", HOURS), ("b", HOURS - 5)):
        lines += [f"{name},{LABELS[i]},{VALUES[i]}" for i in range(hours)]
    made = village(tmp_path, source="csv", format="long")
    made.keys.pop("unit")
    made.members = [("a", ""), ("b", "")]
    assert made.refusal("\n".join(lines)) == [
        (
            "meters.csv: energy_wh of b: 5 slots from 2020-05-10 18:00Z to 2020-05-10 23:00Z have "
            'no reading; add them, or set profiles.gaps = "substitute"'
        )
    ]
    made.keys["absurd"] = '"substitute"'
    (found,) = made.refusal()
    assert "energy_wh of b: 5 slots" in found
    made.keys["gaps"] = '"substitute"'
    profiles = made.load()
    late = range(HOURS - 5, HOURS)
    assert profiles.load_wh[1].tolist() == expected({hour: hour - WEEK for hour in late})
    assert profiles.remarks == ("5 of 96 slot readings of members are substituted",)


# Repetitions


@pytest.mark.parametrize(
    ("policy", "values", "counted"),
    [("first", (7, 8, 9), 7), ("last", (7, 8, 9), 9)],
)
def test_repetitions(
    tmp_path: Path, policy: str, values: tuple[int, int, int], counted: int
) -> None:
    place = TRADED + 5
    order = [*range(place), place, place, place, *range(place + 1, HOURS)]
    energies = [VALUES[hour] for hour in order]
    energies[place : place + 3] = values
    text = wide([LABELS[hour] for hour in order], energies, names="load_a")
    found = village(tmp_path).refusal(text)
    assert [problem.split(";")[0] for problem in found] == [
        f"meters.csv:{place + 3}: 2020-05-10 05:00 is the time of line {place + 2} again",
        f"meters.csv:{place + 4}: 2020-05-10 05:00 is the time of line {place + 2} again",
    ]
    profiles = village(tmp_path, duplicates=policy).load()
    assert profiles.load_wh[0, 29] == counted
    assert np.delete(profiles.load_wh[0], 29).tolist() == np.delete(expected({}), 29).tolist()
    assert profiles.remarks == ("meters.csv: 2 readings given twice",)


def test_the_last_reading_counts_in_sums_and_across_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridpact.inputs.row_sources.CHUNK_CHARACTERS", 30)
    starts = instants("2020-05-01 00:00", 48 * 4, 900)
    lines = ["meter,start,energy_wh"]
    for start in starts:
        lines += [f"{name},{stamp(start)},{value}" for name in "ab" for value in (1, 2)]
    made = village(tmp_path, source="csv", format="long", duplicates="last")
    made.first_day = "2020-05-02"
    made.keys.pop("unit")
    made.members = [("a", ""), ("b", "")]
    profiles = made.load("\n".join(lines))
    assert profiles.load_wh.tolist() == [[8] * 48] * 2


# Absurd values


ABSURD = {TRADED + 1: "n/a", TRADED + 2: "-1", TRADED + 4: "9e99", TRADED + 6: "inf"}


def test_absurd_values_are_refused_by_line(tmp_path: Path) -> None:
    found = village(tmp_path).refusal(rows(values=dict(ABSURD)))
    assert [problem.split(":")[1] for problem in found] == [str(hour + 2) for hour in ABSURD]


def test_absurd_values_are_substituted_and_counted(tmp_path: Path) -> None:
    profiles = village(tmp_path, absurd="substitute").load(rows(values=dict(ABSURD)))
    assert profiles.load_wh[0].tolist() == expected({hour: hour - WEEK for hour in ABSURD})
    assert profiles.remarks == (
        "meters.csv: 4 absurd values",
        "4 of 48 slot readings of members are substituted",
    )


def test_the_scenario_says_what_is_too_high(tmp_path: Path) -> None:
    text = rows(values={TRADED: 3_000, TRADED + 1: "3000.0001", 5: 70_000})
    made = village(tmp_path)
    assert made.load(text).load_wh[0, 24:26].tolist() == [3000, 3000]
    made.keys["highest_w"] = "3000"
    found = made.refusal()
    assert found == [
        f"meters.csv:{line}: column load_a: {value} Wh is absurd; allowed: 0 to 3000 W on "
        "average, which is profiles.highest_w; correct the value or profiles.unit"
        for line, value in ((7, "70000"), (TRADED + 3, "3000.0001"))
    ]


def test_a_sum_that_no_reading_may_have(tmp_path: Path) -> None:
    starts = instants("2020-05-01 00:00", 48 * 4, 900)
    made = village(tmp_path)
    made.first_day = "2020-05-02"
    text = wide([stamp(start) for start in starts], [10**9] * 192, names="load_a")
    found = made.refusal(text)
    assert found[0] == (
        "meters.csv: column load_a: 4000000000 Wh from 2020-04-30 23:00Z on are absurd; allowed: 0 "
        "to 2147483647 Wh in one slot; correct the values or profiles.unit"
    )
    assert len(found) == 48


def test_policies_of_gaps_and_of_absurd_values_are_apart(tmp_path: Path) -> None:
    text = rows(TRADED + 9, values=dict(ABSURD))
    (found,) = village(tmp_path, absurd="substitute").refusal(text)
    assert "intervals are missing" in found
    assert len(village(tmp_path, gaps="substitute").refusal()) == 4
    profiles = village(tmp_path, gaps="substitute", absurd="substitute").load()
    assert profiles.remarks[0] == "meters.csv: 1 missing intervals, 4 absurd values"


def test_a_file_of_nothing_but_problems_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = rows(values=dict.fromkeys(range(HOURS), "x"))
    monkeypatch.setattr("gridpact.inputs.complaints.STOP_AFTER", 70)
    found = village(tmp_path).refusal(text)
    assert len(found) == 51
    assert found[-1] == "meters.csv: and at least 20 more problems; it was not read on"


# Everything at once


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_mended_files_against_a_dumb_reader(tmp_path: Path, seed: int, faults: int) -> None:
    """Random gaps and absurd values after the first eight days; a dictionary does the rest."""
    chance = random.Random(seed)
    hours = [chance.randrange(8 * 24, HOURS) for _ in range(faults)]
    values: dict[int, object] = {h: chance.choice(["", "x", "-3"]) for h in hours[::2]}
    gaps = {hour for hour in hours[1::2] if hour < HOURS - 1}
    bad = gaps | set(values)
    made = village(tmp_path, gaps="substitute", absurd="substitute")
    profiles = made.load(rows(*gaps, values=values))
    energies = list(VALUES)
    for hour in sorted(bad):
        week, day = hour - WEEK, hour - DAY
        energies[hour] = energies[day if week in bad and day not in bad else week]
    assert profiles.load_wh[0].tolist() == energies[TRADED - 24 :]
    marked = np.flatnonzero(profiles.quality[0] == Quality.SUBSTITUTED) + TRADED - 24
    assert marked.tolist() == sorted(hour for hour in bad if hour >= TRADED - 24)


def test_mending_never_looks_ahead() -> None:
    wh = np.arange(20, dtype=np.int64).reshape(1, 20, 1)
    quality = np.full((1, 20, 1), Quality.MEASURED, dtype=np.uint8)
    missing = np.zeros((1, 20, 1), dtype=np.bool_)
    missing[0, [0, 1, 5, 15], 0] = True
    left = mend(wh, quality, missing, slots_per_day=2)
    assert np.flatnonzero(left[0, :, 0]).tolist() == [0, 1]
    assert (wh[0, 5, 0], wh[0, 15, 0]) == (3, 13)
