"""What weights save, when they do not, and what saves as much without them.

Every comparison has the same leader, the same links and the same number of rounds on both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import accumulate
from statistics import fmean, stdev

import numpy as np

from gridpact.consensus.quorum import CountedQuorum, WeightMajority
from gridpact.settlement.score_parts import ScoreParts
from gridpact.studies.consensus_market import NAMES, Season, play_season
from gridpact.studies.consensus_rounds import (
    FLEXIBLE_ACKNOWLEDGEMENTS,
    NEAR_US,
    ROUNDS,
    WIDE_US,
    ByEpoch,
    Round,
    Weigh,
    by_endowment,
    by_score,
    draw_rtts_us,
    flexible_rounds,
    heaviest,
    plain_rounds,
    saved,
    total_us,
    weighted_rounds,
)

LEADER = "p01"
SCENARIOS = ("p01", "p02", "p05")
"""Leaders of the paper's scenarios 1 to 3. Source: [XIONG23], section 5.2.2."""
SEEDS = 40
EQUAL_US = (30_000, 30_000)
BOUNDS_US = {
    "equal 30 ms": EQUAL_US,
    "U(16.5, 43.5) ms": NEAR_US,
    "U(10, 50) ms": WIDE_US,
}
CRASH_ROUND = 101
CRASHED = 8
EPOCH_FAULTS = (9, 13)
"""Crashes that the bounded weights tolerate; equal weights tolerate 14 of 30."""

PAPER, NO_PART, FLEXIBLE = (
    "scores as weights (paper)",
    "without taking part",
    "13 replies, 18 votes",
)


def epoch_kind(faulty: int) -> str:
    """Name of the bounded weights for so many crashes."""
    return f"by epoch, {faulty} may crash"


@cache
def season_of(seed: int) -> Season:
    """The market of a seed, played once."""
    return play_season(seed, ROUNDS)


@dataclass(frozen=True, slots=True)
class Mean:
    """Over seeds."""

    mean: float
    error: float
    """Standard error of the mean."""


def mean_of(values: Sequence[float]) -> Mean:
    """Mean and its standard error."""
    spread = stdev(values) if len(values) > 1 else 0.0
    return Mean(fmean(values), float(spread / len(values) ** 0.5))


def savings(bounds_us: tuple[int, int], seeds: int = SEEDS) -> dict[str, Mean]:
    """Share of plain Raft's time that each kind of weights saves over 200 rounds.

    Args:
        bounds_us: of the even draw of round trips.
        seeds: 0 up to this many; each draws its own links and its own market.
    """
    kinds: dict[str, Callable[[], Weigh]] = {
        PAPER: lambda: by_score,
        NO_PART: lambda: by_endowment,
        **{epoch_kind(faulty): partial(ByEpoch, faulty) for faulty in EPOCH_FAULTS},
    }
    found: dict[str, list[float]] = {kind: [] for kind in (*kinds, FLEXIBLE)}
    for seed in range(seeds):
        rtts_us = draw_rtts_us(seed, bounds_us)[LEADER]
        plain = plain_rounds(rtts_us, LEADER, ROUNDS)
        for kind, weigh in kinds.items():
            rounds = weighted_rounds(season_of(seed), rtts_us, LEADER, weigh())
            found[kind].append(saved(rounds, plain))
        found[FLEXIBLE].append(saved(flexible_rounds(rtts_us, LEADER, ROUNDS), plain))
    return {kind: mean_of(values) for kind, values in found.items()}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One leader over 200 rounds. Source: [XIONG23], sections 5.2.2 and 5.2.3."""

    leader: str
    weighted: list[Round]
    plain: list[Round]
    replies: list[int]
    """How many replies each weighted decision waited for; plain ones wait for 15."""

    def saved_until(self) -> list[float]:
        """Share of the plain time saved so far, by round."""
        ours = accumulate(each.time_us for each in self.weighted)
        theirs = accumulate(each.time_us for each in self.plain)
        return [1 - mine / other for mine, other in zip(ours, theirs, strict=True)]

    def table(self) -> list[tuple[int, float, float, float]]:
        """(rounds, plain s, weighted s, saved) as in the paper's tables 5 to 7."""
        rows = []
        for rounds in range(50, ROUNDS + 1, 50):
            plain_s = total_us(self.plain[:rounds]) / 1e6
            weighted_s = total_us(self.weighted[:rounds]) / 1e6
            rows.append((rounds, plain_s, weighted_s, 1 - weighted_s / plain_s))
        return rows


def scenarios(seed: int, bounds_us: tuple[int, int] = WIDE_US) -> list[Scenario]:
    """The paper's three, on one draw of links."""
    rtts_us = draw_rtts_us(seed, bounds_us)
    found = []
    for leader in SCENARIOS:
        rounds = weighted_rounds(season_of(seed), rtts_us[leader], leader, by_score)
        plain = plain_rounds(rtts_us[leader], leader, ROUNDS)
        found.append(Scenario(leader, rounds, plain, [len(each.credited) for each in rounds]))
    return found


@dataclass(frozen=True, slots=True)
class CorrelationPoint:
    """Savings when weight and delay go together as much as this."""

    wanted: float
    correlation: float
    """Spearman's, of endowment score and round trip; +1: the heaviest are farthest."""
    with_part: Mean
    without_part: Mean


def correlation_point(
    wanted: float,
    seeds: int = SEEDS,
    bounds_us: tuple[int, int] = WIDE_US,
    leader: str = LEADER,
) -> CorrelationPoint:
    """Savings when who is heavy is near (-1), anywhere (0), or far (+1).

    Args:
        wanted: how strongly the links' order follows the scores' order, -1..1.
        seeds: 0 up to this many.
        bounds_us: of the even draw of round trips.
        leader: of all rounds; its own weight counts at once.
    """
    correlations, with_part, without_part = [], [], []
    for seed in range(seeds):
        season = season_of(seed)
        followers = [name for name in NAMES if name != leader]
        scores = [by_endowment(board, {}, 1) for board in season.boards]
        mean_scores = np.array([fmean(each[name] for each in scores) for name in followers])
        chance = np.random.default_rng([seed, 3])
        place = _ranks(mean_scores) / len(followers) - 0.5
        noise = chance.uniform(-0.5, 0.5, len(followers))
        order = np.argsort(wanted * place + (1 - abs(wanted)) * noise, kind="stable")
        delays = sorted(draw_rtts_us(seed, bounds_us)[leader].values())
        rtts_us = {followers[who]: delays[rank] for rank, who in enumerate(order)}
        far = _ranks(np.array([rtts_us[name] for name in followers]))
        correlations.append(float(np.corrcoef(_ranks(mean_scores), far)[0, 1]))
        plain = plain_rounds(rtts_us, leader, ROUNDS)
        with_part.append(saved(weighted_rounds(season, rtts_us, leader, by_score), plain))
        without_part.append(saved(weighted_rounds(season, rtts_us, leader, by_endowment), plain))
    return CorrelationPoint(wanted, fmean(correlations), mean_of(with_part), mean_of(without_part))


def _ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable")


@dataclass(frozen=True, slots=True)
class Crash:
    """One season in which the eight heaviest followers crash half-way."""

    weighted_us: list[int]
    plain_us: list[int]
    flexible_us: list[int]


def crash(seed: int, bounds_us: tuple[int, int] = WIDE_US) -> Crash:
    """Round times before and after; the same followers crash for everybody."""
    season = season_of(seed)
    rtts_us = draw_rtts_us(seed, bounds_us)[LEADER]
    at_crash: dict[str, int] = {}

    def weigh(board: Mapping[str, ScoreParts], taken: dict[str, int], k: int) -> dict[str, int]:
        weights = by_score(board, taken, k)
        if k == CRASH_ROUND:
            at_crash.update(weights)
        return weights

    weighted = weighted_rounds(season, rtts_us, LEADER, weigh, (CRASH_ROUND, CRASHED))
    down = heaviest(at_crash, LEADER, CRASHED)
    times = [[each.time_us for each in weighted]]
    for rule in (WeightMajority(), CountedQuorum(FLEXIBLE_ACKNOWLEDGEMENTS)):
        before = plain_rounds(rtts_us, LEADER, CRASH_ROUND - 1, rule)
        after = plain_rounds(rtts_us, LEADER, ROUNDS - CRASH_ROUND + 1, rule, down)
        times.append([each.time_us for each in (*before, *after)])
    return Crash(*times)


def crash_savings(seeds: int = SEEDS) -> dict[str, Mean]:
    """Share of plain time that weights save before the crash, right after it, and later."""
    spans = {
        "100 rounds before": (CRASH_ROUND - 101, CRASH_ROUND - 1),
        "10 rounds after": (CRASH_ROUND - 1, CRASH_ROUND + 9),
        "100 rounds after": (CRASH_ROUND - 1, ROUNDS),
    }
    found: dict[str, list[float]] = {span: [] for span in spans}
    for seed in range(seeds):
        one = crash(seed)
        for span, (first, last) in spans.items():
            found[span].append(1 - sum(one.weighted_us[first:last]) / sum(one.plain_us[first:last]))
    return {span: mean_of(values) for span, values in found.items()}
