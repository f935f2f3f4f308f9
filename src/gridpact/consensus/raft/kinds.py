"""The Rafts there are, each a composition of quorum rule, timeouts and change rule.

`paper` keeps to the text with its flaws, `hardened` is what to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gridpact.consensus.quorum import CountedQuorum
from gridpact.consensus.raft.membership import ChangeAtApply
from gridpact.consensus.raft.rules import Rules
from gridpact.consensus.raft.timeouts import PaperRankTimeout, RandomTimeout, RankTimeout

PAPER_HEARTBEAT_MS = 50
LEAST_MS = 50
"""Timeouts are no shorter, however fast the network is: disks and schedulers take time too."""


class Profile(Enum):
    """How close to the text a protocol is."""

    PAPER = "paper"
    HARDENED = "hardened"


@dataclass(frozen=True, slots=True)
class Timing:
    """What is known about the network."""

    one_way_ms: int
    """99th percentile of the delay from one replica to another."""

    @property
    def least_ms(self) -> int:
        """Ten round trips."""
        return max(LEAST_MS, 20 * self.one_way_ms)

    @property
    def step_ms(self) -> int:
        """What keeps two ranks apart."""
        return max(1, self.one_way_ms)

    @property
    def heartbeat_ms(self) -> int:
        """Four heartbeats may be lost within the shortest timeout."""
        return self.least_ms // 5


def raft(profile: Profile, timing: Timing) -> Rules:
    """Plain Raft: every replica counts alike. Source: [ONGARO14]."""
    if profile is Profile.PAPER:
        return Rules(RandomTimeout(150, 300), PAPER_HEARTBEAT_MS, trial_votes=False)
    timeouts = RandomTimeout(timing.least_ms, 2 * timing.least_ms)
    return Rules(timeouts, timing.heartbeat_ms)


def weighted_raft(profile: Profile, timing: Timing) -> Rules:
    """Weighted Raft: weights decide who is waited for and who stands first.

    Source: [XIONG23], section 4.1. Ours in `hardened`: timeouts that fit the network, weights that
    count from the log on, joint changes.
    """
    if profile is Profile.PAPER:
        return Rules(
            PaperRankTimeout(), PAPER_HEARTBEAT_MS, change=ChangeAtApply(), trial_votes=False
        )
    timeouts = RankTimeout(timing.least_ms, timing.step_ms, 2 * timing.step_ms)
    return Rules(timeouts, timing.heartbeat_ms)


def flexible_raft(profile: Profile, timing: Timing, acknowledgements: int) -> Rules:
    """Raft that commits with fewer and elects with more, without weights: a baseline."""
    plain = raft(profile, timing)
    return Rules(
        plain.timeouts,
        plain.heartbeat_ms,
        quorum=CountedQuorum(acknowledgements),
        trial_votes=plain.trial_votes,
    )
