"""Goal: whatever happened to a meter file, it is read or refused with a place and a reason.

Method: files of every layout and policy, cut and scribbled over at random.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inputs.meter_files import Village, instants, stamp, wide

from gridpact.errors import InputError, Problem
from gridpact.inputs import load_profiles, load_scenario, validate_scenario
from gridpact.model import Profiles, Quality

BERLIN = "Europe/Berlin"
LENIENT = {
    "gaps": '"substitute"',
    "absurd": '"substitute"',
    "duplicates": '"last"',
    "split": '"even"',
}


def long_file() -> str:
    starts = instants("2016-10-28 22:00", 73 * 4, 900)
    rows = [f"{name};{stamp(s, BERLIN)};0,{i:03d};measured" for i, s in enumerate(starts)
            for name in ("load_a", "pv_a", "load_b")]  # fmt: skip
    return "\n".join(["meter;start;kwh;how", *rows])


def wide_file(first: str, step_s: int, count: int) -> str:
    labels = [stamp(start, BERLIN) for start in instants(first, count, step_s)]
    return wide(labels, *[[f"{i % 7}.{i % 10}" for i in range(count)]] * 3)


WIDE = {"source": '"csv"', "time_column": '"start"', "unit": '"wh"'}
LONG = {
    "source": '"csv"',
    "format": '"long"',
    "unit": '"kwh"',
    "value_column": '"kwh"',
    "quality_column": '"how"',
    "delimiter": '";"',
    "decimal": '","',
}
FILES = {
    "hours": (wide_file("2016-03-24 23:00", 3600, 71), WIDE, 3600, "2016-03-27"),
    "minutes": (wide_file("2016-10-28 22:00", 300, 73 * 12), WIDE, 3600, "2016-10-30"),
    "divided": (wide_file("2016-10-28 22:00", 3600, 73), WIDE, 900, "2016-10-30"),
    "long": (long_file(), LONG, 1800, "2016-10-30"),
}

pieces = st.one_of(
    st.text(max_size=4),
    st.sampled_from(["\n", '"', ",", ";", "\r", "\x00", "9" * 30, "1e99", "NaN", "-", "+02:00"]),
    st.sampled_from(["2016-10-30 02:00", "2016-03-27 02:30", "2199-12-31 23:59", "1971-01-01 00"]),
)


def outcome(village: Village) -> tuple[tuple[Problem, ...], Profiles | None]:
    """Problems, or the profiles."""
    try:
        return (), load_profiles(load_scenario(village.folder / "village.toml"))
    except InputError as error:
        return error.problems, None


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("policy", [{}, LENIENT], ids=["strict", "lenient"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(edits=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), pieces), max_size=5))
def test_damaged_files_are_refused_or_read(
    tmp_path: Path, kind: str, policy: dict[str, str], edits: list[tuple[float, int, str]]
) -> None:
    text, keys, slot_s, day = FILES[kind]
    village = Village(tmp_path, zone=BERLIN, slot_s=slot_s, first_day=day)
    village.keys = {"split": '"even"', **keys, **policy}
    for place, length, insert in edits:
        at = int(place * len(text))
        text = text[:at] + insert + text[at + length :]
    village.write(text.encode("utf-8", "surrogatepass"))
    problems, profiles = outcome(village)
    assert all(problem.where and problem.message for problem in problems)
    assert all(len(str(problem)) < 1000 for problem in problems)
    if profiles is not None:
        assert profiles.load_wh.shape == profiles.pv_wh.shape
        assert (profiles.load_wh >= 0).all()
        assert set(profiles.quality.ravel().tolist()) <= set(Quality)
    assert bool(validate_scenario(village.folder / "village.toml")) == bool(problems)


@pytest.mark.parametrize("kind", FILES)
def test_undamaged_files_are_read(tmp_path: Path, kind: str) -> None:
    text, keys, slot_s, day = FILES[kind]
    village = Village(tmp_path, zone=BERLIN, slot_s=slot_s, first_day=day)
    village.keys = {"split": '"even"', **keys}
    strict = village.load(text)
    village.keys |= LENIENT
    lenient = village.load(text)
    assert (strict.load_wh == lenient.load_wh).all()
    assert strict.load_wh.any()
    assert strict.remarks == lenient.remarks
