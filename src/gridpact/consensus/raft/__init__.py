"""Raft, plain and weighted: one replica, composed of a quorum rule, timeouts and a change rule."""

from gridpact.consensus.raft.kinds import (
    Profile,
    Timing,
    flexible_raft,
    raft,
    weighted_raft,
)
from gridpact.consensus.raft.membership import ChangeAtApply, JointChange, Membership
from gridpact.consensus.raft.messages import RaftMessage
from gridpact.consensus.raft.records import Stored, first_start, recover
from gridpact.consensus.raft.replica import RaftReplica
from gridpact.consensus.raft.rules import Role, Rules

__all__ = [
    "ChangeAtApply",
    "JointChange",
    "Membership",
    "Profile",
    "RaftMessage",
    "RaftReplica",
    "Role",
    "Rules",
    "Stored",
    "Timing",
    "first_start",
    "flexible_raft",
    "raft",
    "recover",
    "weighted_raft",
]
