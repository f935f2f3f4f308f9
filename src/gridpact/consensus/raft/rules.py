"""What a Raft of one kind is made of, and the words that its parts share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from gridpact.consensus.quorum import QuorumRule, WeightMajority
from gridpact.consensus.raft.membership import ChangeRule, JointChange
from gridpact.consensus.raft.timeouts import TimeoutRule

ELECTION = "election"
HEARTBEAT = "heartbeat"
"""The two timers of a replica; it runs one of them at a time."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What a Raft of one kind is made of."""

    timeouts: TimeoutRule
    heartbeat_ms: int
    quorum: QuorumRule = field(default_factory=WeightMajority)
    change: ChangeRule = field(default_factory=JointChange)
    trial_votes: bool = True
    """Ask whether one would be elected before standing, and keep to a leader that is alive.
    Source: [ONGARO14], sections 6.2 and 9.6."""


class Role(Enum):
    """What a replica is in its term."""

    FOLLOWER = "follower"
    TRIAL = "trial"
    """asks whether it would be elected."""
    CANDIDATE = "candidate"
    LEADER = "leader"


FOLLOWER: Final = Role.FOLLOWER
TRIAL: Final = Role.TRIAL
CANDIDATE: Final = Role.CANDIDATE
LEADER: Final = Role.LEADER
"""By names of their own: Python 3.11 takes longer to find a member than to compare it."""
