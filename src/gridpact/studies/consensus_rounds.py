"""How long a round takes when replies are weighed: the event model of [XIONG23], section 5.2.

A round trip per link stays as drawn. The leader's entry is decided when the replies that are in
weigh enough; the last of them comes from the "intermediate node" of the paper. Times are whole
microseconds, so that a run is the same everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gridpact.consensus.configuration import Faults
from gridpact.consensus.quorum import CountedQuorum, QuorumRule, WeightMajority
from gridpact.settlement.score_parts import ScoreParts
from gridpact.settlement.scores import after_round
from gridpact.studies.consensus_epochs import EPOCH_ROUNDS, epoch_weights
from gridpact.studies.consensus_market import NAMES, Season, factors_of, scores_of

ROUNDS = 200
NEAR_US = (16_500, 43_500)
WIDE_US = (10_000, 50_000)
"""Round trips are drawn evenly between two bounds; both have a mean of 30 ms."""
FLEXIBLE_ACKNOWLEDGEMENTS = 13
"""Of 30, the leader's included; elections then need 18."""
EQUAL = dict.fromkeys(NAMES, 1)

Weigh = Callable[[Mapping[str, ScoreParts], dict[str, int], int], dict[str, int]]
"""(board, participation, round) -> weights that count in this round."""


@dataclass(frozen=True, slots=True)
class Round:
    """One decided entry."""

    time_us: int
    slowest: str
    """Whose acknowledgement completed the quorum: the paper's intermediate node."""
    credited: tuple[str, ...]
    """All whose acknowledgements the decision waited for, the slowest last."""


def draw_rtts_us(seed: int, bounds_us: tuple[int, int]) -> dict[str, dict[str, int]]:
    """A round trip for each pair, the same in both directions.

    Args:
        seed: of the draw.
        bounds_us: least and most, both included.
    """
    chance = np.random.default_rng([seed, 2])
    found: dict[str, dict[str, int]] = {name: {} for name in NAMES}
    for place, one in enumerate(NAMES):
        for other in NAMES[place + 1 :]:
            found[one][other] = found[other][one] = int(
                chance.integers(bounds_us[0], bounds_us[1] + 1)
            )
    return found


def decide_round(
    rtts_us: Mapping[str, int],
    weights: Mapping[str, int],
    leader: str,
    rule: QuorumRule,
    down: frozenset[str] = frozenset(),
) -> Round | None:
    """Count acknowledgements in the order in which they arrive; None when too few are up.

    Args:
        rtts_us: from the leader, by follower.
        weights: of all members, also of those that are down.
        leader: counts at once.
        rule: when it is enough.
        down: who never answers.

    Source: [XIONG23], section 4.1.1, consensus, step 3, and section 5.2.2.
    """
    total = sum(weights.values())
    weight, credited = weights[leader], []
    for name in sorted((name for name in rtts_us if name not in down), key=rtts_us.__getitem__):
        weight += weights[name]
        credited.append(name)
        if rule.commits(weight, len(credited) + 1, total, len(weights)):
            return Round(rtts_us[name], name, tuple(credited))
    return None


def by_score(board: Mapping[str, ScoreParts], taken: dict[str, int], k: int) -> dict[str, int]:
    """The paper's weights: scores as they are in this round, at least 1."""
    factors = {name: factors_of(name) for name in board}
    return {name: max(1, score) for name, score in scores_of(dict(board), taken, factors).items()}


def by_endowment(board: Mapping[str, ScoreParts], taken: dict[str, int], k: int) -> dict[str, int]:
    """Scores without the part for taking part in consensus (gamma = 0)."""
    return by_score(board, {}, k)


class ByEpoch:
    """Ours: voting weights that change at the end of an epoch only, for so many crashes.

    Scores are read when the last trades of the epoch are metered.
    """

    def __init__(self, faulty: int) -> None:
        self._faulty = faulty
        self._next = dict(EQUAL)

    def __call__(
        self, board: Mapping[str, ScoreParts], taken: dict[str, int], k: int
    ) -> dict[str, int]:
        """See `Weigh`."""
        held = self._next
        if k % EPOCH_ROUNDS == 0:
            factors = {name: factors_of(name) for name in board}
            scores = scores_of(dict(board), taken, factors)
            self._next = epoch_weights(held, scores, self._faulty, Faults.CRASH)
        return held


def weighted_rounds(
    season: Season,
    rtts_us: Mapping[str, int],
    leader: str,
    weigh: Weigh,
    down_from: tuple[int, int] = (0, 0),
) -> list[Round]:
    """All rounds of a season under weights that its scores and its acknowledgements move.

    Args:
        season: the market.
        rtts_us: from the leader, by follower.
        leader: of all rounds.
        weigh: which weights count.
        down_from: (round, how many of the heaviest followers are down from then on).
    """
    seats = {name: ScoreParts(0, 0, 0, 0, 0, 0, 0) for name in NAMES}
    rounds = []
    down: frozenset[str] = frozenset()
    for k, board in enumerate(season.boards, start=1):
        taken = {name: parts.participation_micro for name, parts in seats.items()}
        weights = weigh(board, taken, k)
        if k == down_from[0]:
            down = heaviest(weights, leader, down_from[1])
        decided = decide_round(rtts_us, weights, leader, WeightMajority(), down)
        if decided is None:
            break
        rounds.append(decided)
        seats = after_round(seats, round_number=k, leader=leader, acknowledged=decided.credited)
    return rounds


def heaviest(weights: Mapping[str, int], leader: str, count: int) -> frozenset[str]:
    """The heaviest followers."""
    order = sorted(weights.keys() - {leader}, key=lambda name: (-weights[name], name))
    return frozenset(order[:count])


def plain_rounds(
    rtts_us: Mapping[str, int],
    leader: str,
    rounds: int,
    rule: QuorumRule = WeightMajority(),  # noqa: B008 - holds nothing
    down: frozenset[str] = frozenset(),
) -> list[Round]:
    """Rounds with equal weights, which all take equally long."""
    decided = decide_round(rtts_us, EQUAL, leader, rule, down)
    return [decided] * rounds if decided else []


def flexible_rounds(rtts_us: Mapping[str, int], leader: str, rounds: int) -> list[Round]:
    """Rounds that wait for a fixed count of acknowledgements, below a majority."""
    return plain_rounds(rtts_us, leader, rounds, CountedQuorum(FLEXIBLE_ACKNOWLEDGEMENTS))


def total_us(rounds: Sequence[Round]) -> int:
    """Time of all rounds."""
    return sum(each.time_us for each in rounds)


def saved(weighted: Sequence[Round], plain: Sequence[Round]) -> float:
    """Share of the plain time that is saved; negative when the weighted rounds take longer."""
    return 1 - total_us(weighted) / total_us(plain)
