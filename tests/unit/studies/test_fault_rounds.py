"""Which faults come, and clocks that can be set."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridpact.studies.fault_clock import clock_of, set_clock
from gridpact.studies.fault_kinds import FAULTS
from gridpact.studies.fault_rounds import drawn


def test_all_faults_come_before_one_comes_again() -> None:
    names = [drawn(FAULTS, 1, number).name for number in range(3 * len(FAULTS))]
    for turn in range(3):
        part = names[turn * len(FAULTS) : (turn + 1) * len(FAULTS)]
        assert sorted(part) == sorted(fault.name for fault in FAULTS)
    assert names[: len(FAULTS)] != names[len(FAULTS) : 2 * len(FAULTS)]


def test_a_round_repeats_by_seed_and_number() -> None:
    assert [drawn(FAULTS, 7, n) for n in range(50)] == [drawn(FAULTS, 7, n) for n in range(50)]
    assert [drawn(FAULTS, 7, n) for n in range(50)] != [drawn(FAULTS, 8, n) for n in range(50)]


def test_names_are_unique() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)


def test_a_clock_jumps(tmp_path: Path) -> None:
    set_clock(tmp_path, 100)
    now = clock_of(tmp_path, lambda: 1000.5)
    assert now() == 1100.5
    set_clock(tmp_path, -200)
    assert now() == 800.5


def test_a_clock_that_nobody_set_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        clock_of(tmp_path, lambda: 0.0)()
