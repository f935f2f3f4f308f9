"""Goal: a learned forecast is better than repeating last week, and never sees what comes.

The made-up members have habits: load by hour and weekday, sun by the day's weather, which lasts.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from gridpact.agents import LearnedForecast, forecast_errors, seasonal_path
from gridpact.errors import InputError, InvariantError
from gridpact.model import Profiles, Slot

BERLIN = ZoneInfo("Europe/Berlin")
START_S = 1_711_839_600  # 2024-03-31 00:00 in Berlin
PER_DAY = 24


def habits(members: int = 6, history_days: int = 28, days: int = 10, seed: int = 5) -> Profiles:
    chance = np.random.default_rng(seed)
    columns = (history_days + days) * PER_DAY
    hour = np.arange(columns) % 24
    day = np.arange(columns) // 24
    weekend = (day % 7 >= 5)[np.newaxis]
    size = chance.uniform(200, 900, (members, 1))
    load = size * (0.4 + 0.6 * np.exp(-(((hour - 19) / 3) ** 2))) * np.where(weekend, 1.4, 1.0)
    load = load * chance.lognormal(0, 0.3, (members, columns))
    weather = chance.uniform(0.2, 1.0, day[-1] + 1)[day]
    sun = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * weather
    pv = size * chance.choice([0.0, 3.0], (members, 1)) * sun
    return Profiles(
        slots=tuple(Slot(START_S + i * 3600, 3600) for i in range(days * PER_DAY)),
        days=tuple((first, first + PER_DAY) for first in range(0, days * PER_DAY, PER_DAY)),
        history=history_days * PER_DAY,
        load_wh=load.astype(np.int64),
        pv_wh=pv.astype(np.int64),
        sources=(),
    )


def learned(past: Profiles, seed: int = 1) -> LearnedForecast:
    """Little to learn from and few trees: quick, and enough where only sameness counts."""
    return LearnedForecast(past, BERLIN, seed, rows_max=2_000, rounds=8)


def same(one: LearnedForecast, two: LearnedForecast, first: int, slots: int) -> bool:
    a, b = one.path(first, slots), two.path(first, slots)
    return all((a.quantiles()[q] == b.quantiles()[q]).all() for q in a.quantiles())


def test_it_is_better_than_last_week_and_knows_its_spread() -> None:
    past = habits()
    forecast = LearnedForecast(past, BERLIN, seed=1)
    found = {"metered": [], "naive": [], 0.1: [], 0.5: [], 0.9: []}
    for first, end in past.days:
        band = forecast.path(first, end - first)
        assert band.learned
        columns = slice(past.history + first, past.history + end)
        found["metered"].append(past.pv_wh[:, columns] - past.load_wh[:, columns])
        found["naive"].append(seasonal_path(past, PER_DAY, [7] * 6, first, end - first))
        for share, values in band.quantiles().items():
            found[share].append(values)
    metered, naive, low, middle, high = (np.concatenate(rows, axis=1) for rows in found.values())
    errors = forecast_errors(metered, middle, naive, {0.1: low, 0.5: middle, 0.9: high})
    assert errors.skill > 0.15  # measured: 0.28
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert errors.below[0.1] < 0.3
    assert errors.below[0.9] > 0.7
    assert errors.pinball_wh[0.5] == pytest.approx(errors.mae_wh / 2)


def test_nothing_from_the_first_slot_on_is_seen() -> None:
    """All that comes is replaced, to the largest numbers there are: no forecast moves."""
    past = habits()
    for first in (0, 3 * PER_DAY, 3 * PER_DAY + 7):
        hidden = replace(past, load_wh=past.load_wh.copy(), pv_wh=past.pv_wh.copy())
        hidden.load_wh[:, past.history + first :] = 10**9
        hidden.pv_wh[:, past.history + first :] = 0
        assert same(learned(past), learned(hidden), first, 30)


def test_what_lies_before_is_seen() -> None:
    past = habits()
    other = replace(past, load_wh=past.load_wh.copy())
    other.load_wh[:, past.history - PER_DAY : past.history] += 500
    assert not same(learned(past), learned(other), 0, PER_DAY)


def test_what_was_asked_before_makes_no_difference() -> None:
    """Above all a model that has seen later days must not answer for an earlier one."""
    past = habits()
    asked = learned(past)
    for first in (8 * PER_DAY, 0, 5 * PER_DAY):
        asked.path(first, PER_DAY)
    for first in (PER_DAY, 3 * PER_DAY, 6 * PER_DAY):
        assert same(asked, learned(past), first, PER_DAY)


def test_the_seed_decides() -> None:
    past = habits()
    assert same(learned(past, seed=2**63 - 1), learned(past, seed=2**63 - 1), 0, PER_DAY)
    assert not same(learned(past, seed=1), learned(past, seed=2), 0, PER_DAY)


def test_a_day_is_forecast_once() -> None:
    forecast = learned(habits())
    assert forecast.path(0, PER_DAY) is forecast.path(0, PER_DAY)


@pytest.mark.parametrize("slots", [23, 24, 25, 72])
def test_days_of_23_and_25_hours_and_beyond_the_end(slots: int) -> None:
    past = habits()
    band = learned(past).path(9 * PER_DAY, slots)
    assert band.middle_wh.shape == (6, slots)


def test_a_short_history_is_repeated_and_said_so() -> None:
    for history_days, back in ((1, 1), (7, 7), (13, 7)):
        past = habits(history_days=history_days, days=3)
        band = learned(past).path(0, 25)
        assert not band.learned
        assert (band.middle_wh == seasonal_path(past, PER_DAY, [back] * 6, 0, 25)).all()
        assert band.low_wh is band.high_wh


def test_learning_begins_when_there_is_enough() -> None:
    forecast = learned(habits(history_days=7, days=16))
    assert [forecast.path(day * PER_DAY, PER_DAY).learned for day in (0, 6, 7, 13, 14)] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_a_horizon_that_cannot_be_is_a_bug() -> None:
    forecast = learned(habits())
    for first, slots in ((-1, 24), (240, 24), (0, 0), (0, 73)):
        with pytest.raises(InvariantError):
            forecast.path(first, slots)


def test_without_scikit_learn_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(InputError, match=r"gridpact\[agents\]"):
        learned(habits())


@pytest.mark.slow
def test_a_year_of_100_members_is_learned_quickly() -> None:
    """Floor 20 s of processor time for a year of quarter hours; measured 4 s."""
    chance = np.random.default_rng(3)
    columns = 366 * 96
    past = Profiles(
        slots=tuple(Slot(START_S + i * 900, 900) for i in range(96)),
        days=((0, 96),),
        history=columns - 96,
        load_wh=chance.integers(0, 500, (100, columns)),
        pv_wh=chance.integers(0, 300, (100, columns)),
        sources=(),
    )
    begin = time.process_time()
    forecast = LearnedForecast(past, BERLIN, seed=1)
    assert forecast.path(0, 96).learned
    assert time.process_time() - begin < 20
