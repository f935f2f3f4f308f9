"""Whose word counts now: one or two sets of voters, and the quorum rule over each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from gridpact.consensus.configuration import (
    Configuration,
    configuration_of,
    ranks,
    voters_of,
    weights_of,
)
from gridpact.consensus.quorum import QuorumRule

if TYPE_CHECKING:
    from collections.abc import Collection

    from gridpact.consensus.raft.log import Log


class Membership:
    """A configuration made ready to count with."""

    __slots__ = ("configuration", "members", "rank", "rule", "sides")

    def __init__(self, configuration: Configuration, rule: QuorumRule) -> None:
        self.configuration, self.rule = configuration, rule
        both = [configuration.voters, *([configuration.before] if configuration.is_joint else [])]
        weights = [weights_of(voters) for voters in both]
        self.sides = [(side, sum(side.values())) for side in weights]
        """(weight by name, total) of each set that must agree."""
        self.members = frozenset(name for side in weights for name in side)
        self.rank = ranks(weights[0])

    def elects(self, voters: Collection[str]) -> bool:
        """Whether these votes make a leader."""
        for side, total in self.sides:
            yes = [side[name] for name in voters if name in side]
            if not self.rule.elects(sum(yes), len(yes), total, len(side)):
                return False
        return True

    def reached(self, values: Mapping[str, int]) -> int:
        """The highest value that a committing quorum of each side has reached; 0 without one.

        Args:
            values: by member, such as the last durable index; who is not in it has reached 0.
        """
        lowest = -1
        for side, total in self.sides:
            found = held = 0
            by_value = [(values.get(name, 0), weight) for name, weight in side.items()]
            by_value.sort(reverse=True)
            for count, (value, weight) in enumerate(by_value, start=1):
                held += weight
                if self.rule.commits(held, count, total, len(side)):
                    found = value
                    break
            lowest = found if lowest < 0 else min(lowest, found)
        return lowest


class ChangeRule(Protocol):
    """When a new configuration begins to count, and what leads to it."""

    def in_force(self, log: Log, commit: int) -> Configuration:
        """The configuration to count with."""

    def next_step(
        self, held: Configuration, weights: Mapping[str, int], rule: QuorumRule
    ) -> Configuration:
        """What follows `held` on the way to these weights."""


class JointChange:
    """A configuration counts from the moment it is in the log, and leaves with its entry.

    Between two that might decide without each other stands a joint one, under which both must
    agree. Source: [ONGARO14], section 4.3. Ours: the exact check that allows to skip it.
    """

    def in_force(self, log: Log, commit: int) -> Configuration:
        """See `ChangeRule.in_force`."""
        return log.configurations[-1][1]

    def next_step(
        self, held: Configuration, weights: Mapping[str, int], rule: QuorumRule
    ) -> Configuration:
        """See `ChangeRule.next_step`."""
        after = configuration_of(held.number + 1, weights)
        before = weights_of(held.voters)
        if rule.meets(before, weights):
            return after
        return Configuration(held.number + 1, after.voters, voters_of(before))


class ChangeAtApply:
    """The paper's weights: they count as soon as the entry that brings them is applied.

    UNSAFE: two replicas may count with different weights at the same time, and each find a
    majority without the other. Kept to show it.

    Source: [XIONG23], section 4.1, weights updated when a trade is metered.
    """

    def in_force(self, log: Log, commit: int) -> Configuration:
        """See `ChangeRule.in_force`."""
        return log.configuration_at(commit)

    def next_step(
        self, held: Configuration, weights: Mapping[str, int], rule: QuorumRule
    ) -> Configuration:
        """See `ChangeRule.next_step`."""
        return configuration_of(held.number + 1, weights)
