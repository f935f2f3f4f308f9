"""What all parts of a replica share: its term, its log, and what it does, in order.

The rule "durable before it is said" has its one place here: `send` saves first.
"""

from __future__ import annotations

from collections.abc import Callable

from gridpact.consensus.configuration import Configuration
from gridpact.consensus.frames import Framing
from gridpact.consensus.raft.log import Log
from gridpact.consensus.raft.membership import Membership
from gridpact.consensus.raft.messages import RaftMessage
from gridpact.consensus.raft.records import RaftRecord, Snapshot, Stored, Vote, record_bytes
from gridpact.consensus.raft.rules import FOLLOWER, Role, Rules
from gridpact.consensus.shape import Decide, Effect, Finality, Persist, Send

_CRASH = Finality.CRASH
BecomeFollower = Callable[[int, str], None]
"""Told (term, leader): one role change that every part may ask for."""


class State:
    """Begins as a follower with what was stored.

    Args:
        name: of this replica.
        stored: what it has made durable before.
        rules: what kind of Raft this is.
        framing: writes and reads its frames.
    """

    def __init__(
        self, name: str, stored: Stored, rules: Rules, framing: Framing[RaftMessage]
    ) -> None:
        self.name, self.rules, self.framing = name, rules, framing
        self.role: Role = FOLLOWER
        self.term, self.voted_for = stored.term, stored.voted_for
        self.leader = ""
        self.log = Log(stored)
        self.commit = stored.snapshot.index
        self._count_with(self._configuration())
        self.now_ms = 0
        self._host_ms = 0
        """The host's clock; `now_ms` is the same without its steps back."""
        self.effects: list[Effect] = []
        """Of the step under way."""
        self.unsaved: list[RaftRecord] = []
        """Records of it that no `Persist` has yet."""
        self.token = 0
        """Of the last `Persist`."""
        self._saving: dict[int, tuple[int, int]] = {}
        """Last (index, term) of the own entries in each `Persist` that is not durable yet."""
        self.durable = self.log.last_index

    # A step

    def begin(self, now_ms: int) -> None:
        """The first moment."""
        self._host_ms = self.now_ms = now_ms

    def look_at(self, now_ms: int) -> None:
        """Ours: a clock that goes back stands still, so that no wait grows by the step."""
        if now_ms > self._host_ms:
            self.now_ms += now_ms - self._host_ms
        self._host_ms = now_ms

    def finish(self) -> list[Effect]:
        """What the step does, in order."""
        if self.unsaved:
            self.save()
        effects, self.effects = self.effects, []
        return effects

    # What is durable

    def save(self) -> None:
        """Make what changed durable before anything that comes after."""
        if self.unsaved:
            self.token += 1
            records = tuple([record_bytes(record) for record in self.unsaved])
            self.unsaved.clear()
            self._saving[self.token] = (self.log.last_index, self.log.last_term)
            self.effects.append(Persist(records, self.token))

    def saved(self, token: int) -> bool:
        """A `Persist` is done; whether the log still has the last entry that it covers."""
        index, term = self._saving.pop(token, (0, -1))
        if self.log.term_at(index) != term:
            return False
        self.durable = max(self.durable, index)
        return True

    def send(self, peer: str, message: RaftMessage) -> None:
        """Answer or ask: everything that this depends on is durable first."""
        if self.unsaved:
            self.save()
        self.effects.append(Send(peer, self.framing.seal(message, peer)))

    def note_vote(self) -> None:
        """The term or the vote has changed."""
        self.unsaved.append(Vote(self.term, self.voted_for))

    # The log

    def advance(self, commit: int) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 3: the log is applied, in order."""
        first, self.commit = self.commit + 1, commit
        for index in range(first, commit + 1):
            entry = self.log.entry(index)
            if entry.configuration:
                self.recount()
            elif entry.payload:
                self.effects.append(Decide(index, entry.payload, _CRASH))

    def take_snapshot(self, snapshot: Snapshot) -> None:
        """Let a snapshot take the place of what lies before it, here and on the disk."""
        self.log.compact(snapshot)
        # what a snapshot has removed is no longer durable, should the same indices fill again
        self.durable = min(self.durable, self.log.last_index)
        self.unsaved.append(snapshot)
        self.recount()
        self.save()

    # Who counts

    def recount(self) -> None:
        """Count with the configuration that is in force now."""
        configuration = self._configuration()
        if configuration is not self.membership.configuration:
            self._count_with(configuration)

    def _configuration(self) -> Configuration:
        return self.rules.change.in_force(self.log, self.commit)

    def _count_with(self, configuration: Configuration) -> None:
        self.membership = Membership(configuration, self.rules.quorum)
        self.peers = sorted(self.membership.members - {self.name})
        """All other members."""
