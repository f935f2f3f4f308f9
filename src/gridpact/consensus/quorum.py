"""How much weight is enough: integers only, compared by cross-multiplication.

Everything else asks here; no other file compares weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

STEPS_MAX = 1_000_000
"""Of one exact check; a leader must not fall silent over it."""


def majority(weight: int, total: int) -> bool:
    """More than half of the total: any two such sets share a member.

    >>> majority(2, 3), majority(2, 4)
    (True, False)
    """
    return 2 * weight > total


def byzantine_quorum(weight: int, total: int, faulty: int) -> bool:
    """Any two such sets share more than `faulty` weight, so an honest member.

    >>> byzantine_quorum(3, 4, 1), byzantine_quorum(2, 4, 1)
    (True, False)

    Source: [CASTRO99], quorums of 2f+1 of 3f+1, for weights.
    """
    return 2 * weight > total + faulty


class QuorumRule(Protocol):
    """When the replicas that said yes are enough."""

    def elects(self, weight: int, count: int, total: int, members: int) -> bool:
        """Whether votes of this weight, from this many of the members, make a leader."""

    def commits(self, weight: int, count: int, total: int, members: int) -> bool:
        """Whether an entry that replicas of this weight hold durably is decided."""

    def meets(self, old: Mapping[str, int], new: Mapping[str, int]) -> bool:
        """Whether every set that decides under one of two weightings meets those of the other."""


@dataclass(frozen=True, slots=True)
class WeightMajority:
    """More than half of the weight, for both. With equal weights this is plain Raft's rule.

    Source: [XIONG23], section 4.1.1.
    """

    def elects(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.elects`."""
        return majority(weight, total)

    def commits(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.commits`."""
        return majority(weight, total)

    def meets(self, old: Mapping[str, int], new: Mapping[str, int]) -> bool:
        """See `QuorumRule.meets`."""
        return always_meet(old, new)


@dataclass(frozen=True, slots=True)
class CountedQuorum:
    """So many acknowledgements commit, whatever they weigh; the rest and one more elect.

    So every election meets every commit. A baseline without weights: commits wait for fewer,
    elections for more.

    Source: [HOWARD16], flexible quorums.
    """

    acknowledgements: int
    """The leader's included, 1..members."""

    def elects(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.elects`; at least a majority, so that a term has one leader."""
        return count + self._needed(members) > members and majority(count, members)

    def commits(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.commits`."""
        return count >= self._needed(members)

    def meets(self, old: Mapping[str, int], new: Mapping[str, int]) -> bool:
        """See `QuorumRule.meets`: weights do not count, members do."""
        return old.keys() == new.keys()

    def _needed(self, members: int) -> int:
        return min(self.acknowledgements, members)


def always_meet(old: Mapping[str, int], new: Mapping[str, int]) -> bool:
    """Whether every majority of weight under `old` shares a member with every one under `new`.

    Exact: the lightest set under `new` among those that are a majority under `old` is found by
    dynamic programming over the old weight; the two meet always iff what remains is no majority.
    False, which is the safe answer, where that would take more than `STEPS_MAX` steps.

    >>> always_meet({"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 1, "c": 1})
    True
    >>> always_meet({"a": 10, "b": 10, "c": 30}, {"a": 40, "b": 20, "c": 15})
    False
    """
    needed = sum(old.values()) // 2 + 1
    if needed * len(old) > STEPS_MAX:
        return False
    total_new = sum(new.values())
    beyond = total_new + 1
    lightest = [0] + [beyond] * needed
    """By old weight, capped at `needed`: least new weight of a set that has it."""
    for name, weight in old.items():
        cost = new.get(name, 0)
        for reached in range(needed - 1, -1, -1):
            if lightest[reached] < beyond:
                target = min(needed, reached + weight)
                lightest[target] = min(lightest[target], lightest[reached] + cost)
    return not majority(total_new - lightest[needed], total_new)
