"""What a follower does: compare its log with the leader's, copy, confirm."""

from __future__ import annotations

from gridpact.consensus.raft.elections import Elections
from gridpact.consensus.raft.messages import Append, AppendReply, Entry, InstallSnapshot
from gridpact.consensus.raft.records import Entries, Snapshot
from gridpact.consensus.raft.rules import FOLLOWER
from gridpact.consensus.raft.state import BecomeFollower, State
from gridpact.consensus.shape import Restore
from gridpact.errors import invariant


class Following:
    """One replica under all its leaders.

    Args:
        state: of the replica.
        elections: hear when a leader is alive.
        become_follower: of who leads the term.
    """

    def __init__(self, state: State, elections: Elections, become_follower: BecomeFollower) -> None:
        self._state, self._elections = state, elections
        self._become_follower = become_follower

    def on_append(self, peer: str, message: Append) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 2: copy, then confirm."""
        state = self._state
        if message.term < state.term:
            self._refuse(peer, 0, message.question)
            return
        self._follow(peer)
        log, previous = state.log, message.previous_index
        if previous < log.snapshot.index:
            # what lies before the snapshot is decided: begin to compare behind it
            skipped = log.snapshot.index - previous
            if skipped > len(message.entries):
                self._confirm(peer, log.snapshot.index, message.question)
                return
            entries, previous = message.entries[skipped:], log.snapshot.index
        elif log.term_at(previous) != message.previous_term:
            self._refuse(peer, log.next_try(previous, state.commit), message.question)
            return
        else:
            entries = message.entries
        for index, entry in enumerate(entries, start=previous + 1):
            if log.term_at(index) != entry.term:
                self._copy(index, entries[index - previous - 1 :])
                break
        agreed = previous + len(entries)
        self._confirm(peer, agreed, message.question)
        decided = min(message.commit, agreed)
        if decided > state.commit:
            state.advance(decided)

    def on_install_snapshot(self, peer: str, message: InstallSnapshot) -> None:
        """Source: [ONGARO14], section 5.3. Ours: in one message, up to the size of a frame."""
        state = self._state
        if message.term < state.term:
            self._refuse(peer, 0, message.question)
            return
        self._follow(peer)
        if message.index > state.commit:
            keeps = state.log.term_at(message.index) == message.index_term
            snapshot = Snapshot(
                message.index, message.index_term, message.configuration, message.data, keeps
            )
            state.take_snapshot(snapshot)
            state.commit = message.index
            state.effects.append(Restore(message.index, message.data))
        self._confirm(peer, max(message.index, state.commit), message.question)

    def _follow(self, peer: str) -> None:
        """Recognise the sender as the leader of this term."""
        state = self._state
        if state.role is not FOLLOWER or state.leader != peer:
            self._become_follower(state.term, peer)
        self._elections.heard_leader()

    def _copy(self, index: int, entries: list[Entry]) -> None:
        """Take the leader's entries in place of whatever stands there: conflicts alone truncate."""
        state = self._state
        invariant(index > state.commit, "what is decided is never replaced")
        state.log.replace_from(index, entries)
        state.durable = min(state.durable, index - 1)
        state.unsaved.append(Entries(index, entries))
        state.recount()

    def _confirm(self, peer: str, index: int, question: int) -> None:
        self._state.send(peer, AppendReply(self._state.term, True, index, question))

    def _refuse(self, peer: str, index: int, question: int) -> None:
        self._state.send(peer, AppendReply(self._state.term, False, index, question))
