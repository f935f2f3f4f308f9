"""Scores into voting weights: bounded, kept when too uneven, equal when nothing else is safe."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest

from gridpact.consensus.configuration import Faults, tolerates
from gridpact.settlement.score_parts import POINT_MICRO, SCORE_MAX_MICRO, ScoreParts
from gridpact.studies.consensus_epochs import epoch_weights
from gridpact.studies.consensus_market import NAMES
from gridpact.studies.consensus_rounds import EQUAL, WIDE_US, ByEpoch, draw_rtts_us, weighted_rounds
from gridpact.studies.consensus_savings import season_of

UNEVEN = {name: SCORE_MAX_MICRO if place < 9 else 0 for place, name in enumerate(NAMES)}


@pytest.mark.parametrize(("faulty", "heaviest"), [(9, 40), (13, 26), (14, 22)])
def test_more_crashes_to_survive_leave_less_room_for_weights(faulty: int, heaviest: int) -> None:
    weights = epoch_weights(EQUAL, UNEVEN, faulty, Faults.CRASH)
    assert (max(weights.values()), min(weights.values())) == (heaviest, 20)
    assert tolerates(weights, faulty, Faults.CRASH)


def test_weights_that_would_not_tolerate_the_faults_leave_the_old_ones() -> None:
    """Fifteen of thirty can never crash harmlessly: whatever is proposed, the old weights stay."""
    assert epoch_weights(EQUAL, UNEVEN, 15, Faults.CRASH) == EQUAL


def test_four_members_among_whom_one_may_lie_differ_little() -> None:
    scores = dict(zip("abcd", (SCORE_MAX_MICRO, 50 * POINT_MICRO, 0, 0), strict=True))
    weights = epoch_weights(dict.fromkeys("abcd", 1), scores, 1, Faults.BYZANTINE)
    assert weights == {"a": 29, "b": 24, "c": 20, "d": 20}


def test_weights_stay_the_same_within_an_epoch() -> None:
    season, rtts_us = season_of(0), draw_rtts_us(0, WIDE_US)["p01"]
    by_epoch, seen = ByEpoch(9), []

    def weigh(board: Mapping[str, ScoreParts], taken: dict[str, int], k: int) -> dict[str, int]:
        seen.append(dict(by_epoch(board, taken, k)))
        return seen[-1]

    weighted_rounds(season, rtts_us, "p01", weigh)
    changed = [k for k, (held, after) in enumerate(pairwise(seen), 1) if held != after]
    assert seen[0] == EQUAL
    assert changed == [30, 60, 90, 120, 150, 180]
