"""Raft as a pure state machine. `PROTOCOL.md` has the transition table.

What the papers leave open and safety needs is here for every composition: term, vote and log are
durable before an answer depends on them, votes go only to logs that are up to date, conflicts alone
truncate, and only entries of the leader's own term are decided by counting.

A replica is a `State` and three parts that act on it: `Elections`, `Following` and `Leading`. This
module hands events to them, looks at what peers send before anybody else does, and makes the role
changes that concern more than one part.

Sources: [ONGARO14] (Raft), [XIONG23], section 4.1 (weights). Lines that neither has: `# ours:`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any, ClassVar

from gridpact.consensus.frames import EVIDENCE_MAX, Framing
from gridpact.consensus.raft.elections import Elections
from gridpact.consensus.raft.following import Following
from gridpact.consensus.raft.leading import READS_MAX, UNDECIDED_MAX, Leading
from gridpact.consensus.raft.log import Log
from gridpact.consensus.raft.membership import Membership
from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    RaftMessage,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    is_sound,
)
from gridpact.consensus.raft.records import Snapshot, Stored
from gridpact.consensus.raft.rules import ELECTION, FOLLOWER, HEARTBEAT, LEADER, Role, Rules
from gridpact.consensus.raft.state import State
from gridpact.consensus.shape import (
    CancelTimer,
    Compact,
    Effect,
    Event,
    Persisted,
    Propose,
    ReadRequest,
    Reason,
    Received,
    Reconfigure,
    Restore,
    Suspect,
    TimerFired,
    TransferLeadership,
)

__all__ = [
    "READS_MAX",
    "TERMS_AHEAD_MAX",
    "UNDECIDED_MAX",
    "Elections",
    "Following",
    "Leading",
    "RaftReplica",
]

TERMS_AHEAD_MAX = 100_000
"""A term further ahead than this is nothing that elections have led to."""
_OF_LEADERS = (Append, InstallSnapshot)


class RaftReplica:
    """One member of a Raft group."""

    elections_kind: ClassVar[type[Elections]] = Elections
    following_kind: ClassVar[type[Following]] = Following
    leading_kind: ClassVar[type[Leading]] = Leading
    """What the parts are made of; broken twins have others."""

    def __init__(
        self,
        name: str,
        stored: Stored,
        rules: Rules,
        random: Random,
        framing: Framing[RaftMessage],
        contacts: Collection[str] = (),
    ) -> None:
        """Begin as a follower.

        Args:
            name: of this replica.
            stored: what it has made durable before.
            rules: what kind of Raft this is.
            random: of this replica alone.
            framing: writes and reads its frames.
            contacts: who may become a member one day. Replicas learn of a new member at different
                times, and those that have not yet must listen to it, as Raft does.
        """
        self.state = State(name, stored, rules, framing)
        self.elections = self.elections_kind(
            self.state, random, self._become_follower, self._become_leader
        )
        self.leading = self.leading_kind(self.state, self._become_follower)
        following = self.following_kind(self.state, self.elections, self._become_follower)
        self._contacts = frozenset(contacts)
        self._speakers = (self.membership, self._contacts | self.membership.members)
        self._receivers: dict[type, Callable[[str, Any], None]] = {
            Append: following.on_append,
            AppendReply: self.leading.on_append_reply,
            VoteRequest: self.elections.on_vote_request,
            VoteReply: self.elections.on_vote_reply,
            InstallSnapshot: following.on_install_snapshot,
            TimeoutNow: self._on_timeout_now,
        }

    # Events

    def start(self, now_ms: int) -> list[Effect]:
        """See `Replica.start`. What the snapshot holds comes first."""
        state = self.state
        state.begin(now_ms)
        snapshot = state.log.snapshot
        if snapshot.index:
            state.effects.append(Restore(snapshot.index, snapshot.data))
        self.elections.wait_for_leader()
        return state.finish()

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """See `Replica.step`."""
        state = self.state
        state.look_at(now_ms)
        if type(event) is Received:  # most of all events
            self._receive(event.peer, event.data)
        elif type(event) is Persisted:
            self._on_persisted(event.token)
        else:
            self._take(event)
        return state.finish()

    def _take(self, event: Event) -> None:
        """What the host wants, and what its clock says."""
        match event:
            case TimerFired(timer):
                if timer == ELECTION:
                    self.elections.on_timer()
                elif timer == HEARTBEAT:
                    self.leading.on_timer()
            case Propose(token, payload):
                self.leading.on_propose(token, payload)
            case ReadRequest(token):
                self.leading.on_read(token)
            case Reconfigure(token, weights):
                self.leading.on_reconfigure(token, dict(weights))
            case TransferLeadership(target):
                self.leading.on_transfer(target)
            case Compact(height, data):
                self._on_compact(height, data)

    def _on_persisted(self, token: int) -> None:
        """Ours: the own word counts once it is durable, like everybody else's."""
        self.elections.on_persisted(token)
        if self.state.saved(token) and self.state.role is LEADER:
            self.leading.decide()

    def _on_compact(self, height: int, data: bytes) -> None:
        """Drop entries that the host has a snapshot of. Source: [ONGARO14], section 5.1."""
        state = self.state
        if state.log.snapshot.index < height <= state.commit:
            configuration = state.log.configuration_at(height)
            term = state.log.term_at(height)
            state.take_snapshot(Snapshot(height, term, configuration, data, keeps_rest=True))

    # What peers send

    def _receive(self, peer: str, data: bytes) -> None:
        state = self.state
        message = state.framing.open(peer, data, self._known())
        if isinstance(message, Suspect):
            state.effects.append(message)
            return
        ahead = message.term - state.term
        if ahead > TERMS_AHEAD_MAX:
            state.effects.append(Suspect(peer, Reason.FUTURE_TERM, data[:EVIDENCE_MAX]))
            return
        if not is_sound(message) or self._denies(message, peer):
            state.effects.append(Suspect(peer, Reason.CONTRADICTION, data[:EVIDENCE_MAX]))
            return
        if ahead > 0:
            trial = isinstance(message, VoteRequest | VoteReply) and message.trial
            if not trial and not self.elections.keeps_to_leader(message):
                self._become_follower(message.term, "")
        self._receivers[type(message)](peer, message)

    def _known(self) -> frozenset[str]:
        """Who may speak: the members, and those of configurations that may still come back."""
        membership, configurations = self.state.membership, self.state.log.configurations
        if len(configurations) == 1:
            if self._speakers[0] is not membership:
                self._speakers = (membership, self._contacts | membership.members)
            return self._speakers[1]
        held = (configuration for _, configuration in configurations)
        both = (voter.name for one in held for voter in (*one.voters, *one.before))
        return self._contacts.union(membership.members, both)

    def _denies(self, message: RaftMessage, peer: str) -> bool:
        """Whether a leader's message goes against a decision, or against who leads the term.

        A leader of an earlier term may do both without fault: its messages are not looked at.
        """
        state = self.state
        if not isinstance(message, _OF_LEADERS) or message.term < state.term:
            return False
        if message.term == state.term and state.leader not in ("", peer):
            return True
        return state.log.denies(message, state.commit)

    def _on_timeout_now(self, peer: str, message: TimeoutNow) -> None:
        """Source: [ONGARO14], section 3.10."""
        state = self.state
        asked = message.term == state.term and peer == state.leader
        if asked and self.elections.may_stand():
            self.elections.become_candidate(asked_to=True)

    # Roles; `Elections` has those of an election

    def _become_follower(self, term: int, leader: str) -> None:
        """Step into a later term, or recognise who leads this one.

        Source: [XIONG23], section 4.1.1, election, step 3: all others become followers. Ours: as in
        Raft, any later term makes one a follower.
        """
        state = self.state
        was_leader = state.role is LEADER
        if term > state.term:
            state.term, state.voted_for = term, ""
            state.note_vote()
            self.elections.begin_term()
        state.role, state.leader = FOLLOWER, leader
        self.elections.votes = set()
        if was_leader:
            self.leading.end()
            self.elections.wait_for_leader()

    def _become_leader(self) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 3: heartbeats end the election."""
        state = self.state
        state.role, state.leader = LEADER, state.name
        state.effects.append(CancelTimer(ELECTION))
        self.leading.begin()

    # What observers may ask

    @property
    def name(self) -> str:
        """Of this replica."""
        return self.state.name

    @property
    def rules(self) -> Rules:
        """What kind of Raft this is."""
        return self.state.rules

    @property
    def role(self) -> Role:
        """What it is in its term."""
        return self.state.role

    @property
    def term(self) -> int:
        """The latest that it knows of."""
        return self.state.term

    @property
    def voted_for(self) -> str:
        """Who has its vote in this term; empty: nobody yet."""
        return self.state.voted_for

    @property
    def leader(self) -> str:
        """Who leads the term; empty when it does not know."""
        return self.state.leader

    @property
    def log(self) -> Log:
        """All its entries."""
        return self.state.log

    @property
    def commit(self) -> int:
        """Up to here its log is decided."""
        return self.state.commit

    @property
    def membership(self) -> Membership:
        """Whose word counts now."""
        return self.state.membership

    def supporters(self) -> list[str]:
        """Who voted for it in its term, as far as it knows."""
        return sorted(self.elections.votes)

    def holders(self, index: int) -> list[str]:
        """Whose durable log is known to a leader to agree with its own up to an index."""
        progress = self.leading.progress
        found = [peer for peer, known in progress.items() if known.matched >= index]
        return [*found, self.name] if self.state.durable >= index else found
