"""Claims of [XIONG23], section 5.3.1: how credit moves over 200 rounds.

The paper shows curves without numbers. These are the numbers that its formulas give when 15 pairs
trade equal volumes every round, so that each participant's share is 1/15.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest

from gridpact.settlement.score_parts import POINT_MICRO, ScoreParts
from gridpact.settlement.scores import PAPER_RULES, MeteredDeal, after_round, after_trades

PAIRS = 15
ENERGY_WH = 1000


def credit_curve(first_points: int, delivered_wh: int, rounds: int) -> list[tuple[int, int]]:
    """(before decay, after decay) of the first seller's credit in each round, from round 1 on."""
    board = {f"{side}{pair:02}": at(0) for side in "bs" for pair in range(PAIRS)}
    board["s00"] = at(first_points)
    deals = [
        MeteredDeal(
            f"s{pair:02}", f"b{pair:02}", ENERGY_WH, ENERGY_WH if pair else delivered_wh, ENERGY_WH
        )
        for pair in range(PAIRS)
    ]
    curve = []
    for k in range(1, rounds + 1):
        traded = after_trades(board, deals, {})
        board = after_round(traded, round_number=k, leader="", acknowledged=[])
        curve.append((traded["s00"].credit_micro, board["s00"].credit_micro))
    return curve


def at(points: int) -> ScoreParts:
    return ScoreParts(points * POINT_MICRO, 0, 0, 0, 0, 0, 0)


def points(micro: int) -> float:
    return round(micro / POINT_MICRO, 1)


def test_credit_of_who_always_complies_climbs_to_a_saw_tooth() -> None:
    """Figure 8, participant A: from 0, slower and slower, with a dent at each decay.

    Source: section 5.3.1, eq. (14), (15), (24).
    """
    curve = credit_curve(0, ENERGY_WH, 200)
    assert points(curve[9][0]) == 49.8
    assert (points(curve[29][0]), points(curve[29][1])) == (87.4, 83.1)
    assert points(curve[199][0]) == 98.6
    assert all(before > earlier[1] for earlier, (before, _) in pairwise(curve))


def test_the_saw_tooth_has_a_limit_cycle() -> None:
    """99.30 before a decay, 94.46 after it. Source: section 5.3.1, "eventually stabilizes"."""
    before, after = credit_curve(0, ENERGY_WH, 900)[899]
    assert (round(before / POINT_MICRO, 2), round(after / POINT_MICRO, 2)) == (99.30, 94.46)


@pytest.mark.parametrize(
    ("delivered_wh", "round_number", "expected"),
    [(700, 10, 2.8), (700, 13, 1.0), (900, 44, 1.0)],
)
def test_credit_of_who_always_defaults_tends_to_zero(
    delivered_wh: int, round_number: int, expected: float
) -> None:
    """Figure 8, participant B: from 100; 2.8 at k = 10, below 1 at k = 13 with 30 % shortfall,
    at k = 44 with 10 %.

    Source: section 5.3.1, eq. (16), (17).
    """
    curve = credit_curve(100, delivered_wh, round_number)
    if expected == 1.0:
        assert curve[-1][1] < POINT_MICRO <= curve[-2][1]
    else:
        assert points(curve[-1][1]) == expected


def test_decay_is_the_exponential_to_the_last_digit() -> None:
    """951,229 millionths is exp(-0.05), rounded. Source: eq. (24), (25), section 5.2."""
    assert PAPER_RULES.decay_micro == round(math.exp(-0.05) * POINT_MICRO)
