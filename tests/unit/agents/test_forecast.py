"""Goal: the baseline repeats what was known, and errors are what their definitions say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.agents import forecast_errors, seasonal_naive, seasonal_path
from gridpact.errors import InputError, InvariantError
from gridpact.model import Profiles, Slot


def counted(history: int, slots: int) -> Profiles:
    """Two members; column c has load c and 2c, and no generation."""
    columns = np.arange(history + slots, dtype=np.int64)
    return Profiles(
        slots=tuple(Slot(i * 3600, 3600) for i in range(slots)),
        days=((0, slots),),
        history=history,
        load_wh=np.stack([columns, 2 * columns]),
        pv_wh=np.zeros((2, history + slots), dtype=np.int64),
        sources=(),
    )


def test_a_path_repeats_what_is_known_before_its_first_slot() -> None:
    """From slot 5 on (column 53) with 24 slots a day: the 25th looks back two days, not one."""
    path = seasonal_path(counted(48, 24), 24, [1, 2], 5, 30)
    assert (-path[0, :24]).tolist() == list(range(29, 53))
    assert (-path[0, 24:]).tolist() == list(range(29, 35))
    assert (-path[1]).tolist() == [2 * column for column in range(5, 35)]


@given(st.integers(0, 23), st.integers(1, 48), st.sampled_from([[1, 1], [2, 1]]))
def test_a_path_sees_nothing_from_its_first_slot_on(
    first: int, slots: int, season_days: list[int]
) -> None:
    past = counted(72, 24)
    hidden = replace(past, load_wh=past.load_wh.copy(), pv_wh=past.pv_wh.copy())
    hidden.load_wh[:, 72 + first :] = 10**9
    hidden.pv_wh[:, 72 + first :] = 10**9
    expected = seasonal_path(past, 24, season_days, first, slots)
    assert (seasonal_path(hidden, 24, season_days, first, slots) == expected).all()
    assert (expected[:, 0] == seasonal_naive(past, 24, season_days, first)).all()


def test_a_path_from_beyond_the_history_is_a_bug() -> None:
    with pytest.raises(InvariantError):
        seasonal_path(counted(24, 24), 24, [2, 1], 0, 1)
    with pytest.raises(InvariantError):
        seasonal_path(counted(24, 24), 24, [0, 1], 0, 1)


def test_errors_by_hand() -> None:
    """Off by +10, -20, 0, 0; naive off by 20, 20, 0, 0."""
    metered = np.array([[100, 100], [-50, 0]])
    errors = forecast_errors(
        metered,
        np.array([[110, 80], [-50, 0]]),
        np.array([[120, 80], [-50, 0]]),
        {0.1: np.array([[90, 110], [-50, -10]])},
    )
    assert errors.values == 4
    assert (errors.mae_wh, errors.naive_mae_wh, errors.skill) == (7.5, 10.0, 0.25)
    assert errors.bias_wh == -2.5
    assert errors.rmse_wh == pytest.approx((500 / 4) ** 0.5)
    # 10 above costs 0.1 x 10, 10 below 0.9 x 10, then 0 and 0.1 x 10
    assert errors.pinball_wh[0.1] == pytest.approx((1 + 9 + 0 + 1) / 4)
    assert errors.below[0.1] == 0.5


def test_skill_against_a_perfect_baseline_is_no_number() -> None:
    metered = np.array([1, 2])
    assert np.isnan(forecast_errors(metered, metered + 1, metered).skill)


def test_shapes_that_differ_are_named_with_expected_and_found() -> None:
    with pytest.raises(InputError) as caught:
        forecast_errors(
            np.zeros((2, 3), np.int64),
            np.zeros((2, 2), np.int64),
            np.zeros(6, np.int64),
            {0.9: np.zeros((3, 2), np.int64)},
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "forecast_wh: shape (2, 2); expected (2, 3), that of the readings",
        "naive_wh: shape (6,); expected (2, 3), that of the readings",
        "quantiles[0.9]: shape (3, 2); expected (2, 3), that of the readings",
    ]
    with pytest.raises(InputError, match="empty"):
        forecast_errors(*(np.zeros(0, np.int64),) * 3)
