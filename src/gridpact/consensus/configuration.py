"""Who votes with which weight, and how the application's scores become weights.

A score may change with every entry; a voting weight changes only through a configuration, which is
a decision like any other. Weights are equal unless a policy of the scenario says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from gridpact.codec import CodecError, Name, Natural, PositiveQuantity, Wire, decode, encode
from gridpact.consensus.quorum import majority

BASE_WEIGHT = 20
LEVELS_MAX = 20
SCORE_MAX = 100
VOTERS_MAX = 1000


class Voter(Wire, frozen=True):
    """A replica with its voting weight."""

    name: Name
    weight: PositiveQuantity


class Configuration(Wire, frozen=True):
    """The voting members, by name; joint while `before` is not empty."""

    number: Natural
    """One above that of the configuration it follows."""
    voters: list[Voter]
    before: list[Voter]
    """The members it takes over from: while there are any, both must agree to everything."""

    @property
    def is_joint(self) -> bool:
        """Whether two memberships share the vote."""
        return bool(self.before)


class Faults(Enum):
    """What the members that fail may do."""

    CRASH = "crash"
    BYZANTINE = "byzantine"


def configuration_of(number: int, weights: Mapping[str, int]) -> Configuration:
    """A configuration that is not joint, its voters by name."""
    return Configuration(number, voters_of(weights), [])


def is_usable(configuration: Configuration) -> bool:
    """Whether there are voters, each once and by name, and not too many to count."""
    for voters in (configuration.voters, configuration.before):
        names = [voter.name for voter in voters]
        if names != sorted(set(names)) or len(names) > VOTERS_MAX:
            return False
    return bool(configuration.voters)


def are_usable(weights: Mapping[str, int]) -> bool:
    """Whether a configuration can be made of these weights and be read again."""
    configuration = configuration_of(0, weights)
    try:
        return is_usable(decode(Configuration, encode(configuration)))
    except CodecError:
        return False


def voters_of(weights: Mapping[str, int]) -> list[Voter]:
    """Voters by name."""
    return [Voter(name, weights[name]) for name in sorted(weights)]


def weights_of(voters: Iterable[Voter]) -> dict[str, int]:
    """Weight by name."""
    return {voter.name: voter.weight for voter in voters}


def levels_for(members: int, faulty: int, faults: Faults) -> int:
    """How many weights above the base keep `faulty` of the members harmless, whoever they are.

    The largest L <= 20 with (20 + L) / 20 < n/f - 1 for crashes, half of that for lies.

    >>> levels_for(5, 1, Faults.CRASH), levels_for(5, 2, Faults.CRASH)
    (20, 9)
    >>> levels_for(4, 1, Faults.BYZANTINE)
    9

    Source: `consensus.md`, section 2: f < n / (1 + r), or n / (1 + 2r), for a ratio r of weights.
    """
    if faulty == 0:
        return LEVELS_MAX
    share = 2 if faults is Faults.BYZANTINE else 1
    room = BASE_WEIGHT * (members - faulty) - BASE_WEIGHT * faulty * share
    return max(0, min(LEVELS_MAX, (room - 1) // (faulty * share)))


def voting_weights(
    scores: Mapping[str, int], *, score_unit: int, faulty: int, faults: Faults
) -> dict[str, int]:
    """Voting weights of an epoch: base + floor(score x levels / 100).

    Args:
        scores: by member, 0..100 in units of 1 / `score_unit`.
        score_unit: how many make one point.
        faulty: how many members may fail.
        faults: what those may do.
    Returns:
        integers >= 1; all equal when no ratio of weights would keep `faulty` harmless.
    """
    levels = levels_for(len(scores), faulty, faults)
    if levels == 0:
        return dict.fromkeys(scores, 1)
    return {
        name: BASE_WEIGHT + score * levels // (SCORE_MAX * score_unit)
        for name, score in scores.items()
    }


def tolerates(weights: Mapping[str, int], faulty: int, faults: Faults) -> bool:
    """Whether the heaviest `faulty` members together can neither stop nor fool the others.

    They hold less than half of the total for crashes, less than a third for lies.

    >>> tolerates({"a": 2, "b": 1, "c": 1}, 1, Faults.CRASH)
    False
    """
    total = sum(weights.values())
    heaviest = sum(sorted(weights.values(), reverse=True)[:faulty])
    if faults is Faults.BYZANTINE:
        return 3 * heaviest < total
    return majority(total - heaviest, total)


def next_weights(
    held: Mapping[str, int], proposed: Mapping[str, int], faulty: int, faults: Faults
) -> dict[str, int]:
    """The proposed weights, or those held when the proposed ones would not tolerate the faults."""
    return dict(proposed if tolerates(proposed, faulty, faults) else held)


def ranks(weights: Mapping[str, int]) -> dict[str, int]:
    """Place of each member by weight, the heaviest 1; unique, equal weights by name.

    Source: [XIONG23], eq. (7), n_i. Ours: ties by name.
    """
    order = sorted(weights, key=lambda name: (-weights[name], name))
    return {name: place for place, name in enumerate(order, start=1)}
