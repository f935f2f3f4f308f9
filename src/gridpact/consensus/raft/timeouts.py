"""How long a follower waits for its leader before it stands itself."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Protocol


class TimeoutRule(Protocol):
    """Draws election timeouts."""

    def election_ms(self, rank: int, random: Random) -> int:
        """How long to wait this time.

        Args:
            rank: place by weight, the heaviest 1; 0 for who has no vote.
            random: the replica's own.
        """

    @property
    def least_ms(self) -> int:
        """No timeout is shorter: who has heard of a leader this recently elects no other."""


@dataclass(frozen=True, slots=True)
class RandomTimeout:
    """Uniform between two bounds. Source: [ONGARO14], section 3.4."""

    low_ms: int
    high_ms: int

    def election_ms(self, rank: int, random: Random) -> int:
        """See `TimeoutRule.election_ms`."""
        return random.randint(self.low_ms, self.high_ms)

    @property
    def least_ms(self) -> int:
        """See `TimeoutRule.least_ms`."""
        return self.low_ms


@dataclass(frozen=True, slots=True)
class PaperRankTimeout:
    """100 + 5 n_i ms, n_i the rank. Source: [XIONG23], eq. (7).

    Elects nobody once messages take longer than the 5 ms between ranks by much: everybody stands
    before the first one's request has come.
    """

    def election_ms(self, rank: int, random: Random) -> int:
        """See `TimeoutRule.election_ms`."""
        return self.least_ms + 5 * rank

    @property
    def least_ms(self) -> int:
        """See `TimeoutRule.least_ms`."""
        return 100


@dataclass(frozen=True, slots=True)
class RankTimeout:
    """least + rank x step + U(0, jitter): heavier first, and apart by more than a message takes.

    Ours: `least_ms` at least ten round trips, `step_ms` at least one way, `jitter_ms` at least two
    steps, each at the 99th percentile of the network, so that who stands twice at the same time
    stands apart the next time.
    """

    least_ms: int
    step_ms: int
    jitter_ms: int

    def election_ms(self, rank: int, random: Random) -> int:
        """See `TimeoutRule.election_ms`."""
        return self.least_ms + rank * self.step_ms + random.randint(0, self.jitter_ms)
