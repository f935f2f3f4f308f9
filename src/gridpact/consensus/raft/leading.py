"""What a leader does: send its log to everybody, decide, answer reads, change who votes.

All of it is forgotten when the leader steps down; what stays is in `State`.
"""

from __future__ import annotations

from gridpact.codec import encode
from gridpact.consensus.configuration import are_usable, configuration_of, weights_of
from gridpact.consensus.raft.messages import (
    PAYLOAD_MAX,
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    TimeoutNow,
)
from gridpact.consensus.raft.progress import Progress
from gridpact.consensus.raft.records import Entries
from gridpact.consensus.raft.rules import HEARTBEAT, LEADER
from gridpact.consensus.raft.state import BecomeFollower, State
from gridpact.consensus.shape import CancelTimer, ReadReady, Refused, Send, SetTimer

UNDECIDED_MAX = 10_000
"""Entries that a leader takes in beyond what is decided."""
READS_MAX = 10_000
"""Reads that wait for a quorum's answer."""


class Leading:
    """One replica in all terms that it leads.

    Args:
        state: of the replica.
        become_follower: to step down.
    """

    def __init__(self, state: State, become_follower: BecomeFollower) -> None:
        self._state, self._become_follower = state, become_follower
        self.progress: dict[str, Progress] = {}
        """Of each other member."""
        self._question = 0
        self._reads: list[tuple[int, int, int]] = []
        """(question, token, height) of reads that wait for a quorum's answer."""
        self._transferee = ""
        self._transfer_until_ms = 0

    def begin(self) -> None:
        """Lead from now on."""
        state = self._state
        self.progress, self._reads = {}, []
        self._know_peers()
        state.effects.append(SetTimer(HEARTBEAT, state.rules.heartbeat_ms))
        # ours: an entry of the own term, without which nothing older could be decided
        self._append(Entry(state.term, configuration=False, payload=b""))

    def end(self) -> None:
        """Lead no longer."""
        effects = self._state.effects
        effects.append(CancelTimer(HEARTBEAT))
        effects.extend([Refused(token, "") for _, token, _ in self._reads])
        self._reads, self.progress, self._transferee = [], {}, ""

    def _know_peers(self) -> None:
        """One `Progress` for each other member, and none for anybody else."""
        state = self._state
        for peer in state.peers:
            if peer not in self.progress:
                self.progress[peer] = Progress(state.log.last_index + 1, heard_ms=state.now_ms)
        for gone in self.progress.keys() - state.membership.members:
            del self.progress[gone]

    # Sending

    def on_propose(self, token: int, payload: bytes) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 1: the leader packs and sends."""
        state = self._state
        undecided = state.log.last_index - state.commit
        if (
            state.role is not LEADER
            or self._transferee
            or undecided >= UNDECIDED_MAX
            or not 0 < len(payload) <= PAYLOAD_MAX
        ):
            self._refuse(token)
            return
        self._append(Entry(state.term, configuration=False, payload=payload))

    def _refuse(self, token: int) -> None:
        state = self._state
        leader = "" if state.role is LEADER else state.leader
        state.effects.append(Refused(token, leader))

    def _append(self, entry: Entry) -> None:
        """Add an entry. The sends stand before the own `Persist`: both go on at the same time."""
        state = self._state
        state.save()
        first = state.log.last_index + 1
        state.log.replace_from(first, [entry])
        if entry.configuration:
            state.recount()
            self._know_peers()
        for peer in state.peers:
            self._send_entries(peer, self.progress[peer])
        state.unsaved.append(Entries(first, [entry]))

    def _send_entries(self, peer: str, progress: Progress) -> None:
        """Whatever the follower can take now; nothing while an answer is needed first."""
        log = self._state.log
        while progress.next_index <= log.last_index or progress.probing:
            if not progress.may_send:
                return
            if progress.next_index <= log.snapshot.index:
                self._send_snapshot(peer, progress)
                return
            entries = log.batch(progress.next_index)
            self._send_append(peer, progress, entries)
            progress.sent(len(entries))

    def _send_append(self, peer: str, progress: Progress, entries: list[Entry]) -> None:
        """Nothing in it waits for the disk: the own word counts from `Persisted` on."""
        state = self._state
        previous = progress.next_index - 1
        term = state.log.term_at(previous)
        message = Append(state.term, previous, term, entries, state.commit, self._question)
        state.effects.append(Send(peer, state.framing.seal(message, peer)))

    def _send_snapshot(self, peer: str, progress: Progress) -> None:
        state, snapshot = self._state, self._state.log.snapshot
        progress.waiting = True
        state.send(
            peer,
            InstallSnapshot(
                state.term,
                snapshot.index,
                snapshot.term,
                snapshot.configuration,
                snapshot.data,
                self._question,
            ),
        )

    # Heartbeats

    def on_timer(self) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 3: heartbeats keep the others followers.

        Ours: as in [ONGARO14], section 6.2, who is not heard by a quorum leads no longer.
        """
        state = self._state
        if state.role is not LEADER:
            return
        if self._transferee and state.now_ms >= self._transfer_until_ms:
            self._transferee = ""  # ours: who did not take over in time never will
        if state.rules.trial_votes and not self._is_heard():
            self._become_follower(state.term, "")
            return
        state.effects.append(SetTimer(HEARTBEAT, state.rules.heartbeat_ms))
        self._heartbeat()

    def _heartbeat(self) -> None:
        state = self._state
        for peer in state.peers:
            progress = self.progress[peer]
            progress.waiting = False
            if progress.next_index <= state.log.snapshot.index:
                # ours: the entry that a heartbeat would name is gone
                progress.probe()
                self._send_entries(peer, progress)
            else:
                self._send_append(peer, progress, [])

    def _is_heard(self) -> bool:
        """Whether a quorum has answered within a timeout. Source: [ONGARO14], section 6.2."""
        state = self._state
        since_ms = state.now_ms - state.rules.timeouts.least_ms
        alive = {
            peer: 1 for peer, progress in self.progress.items() if progress.heard_ms >= since_ms
        }
        alive[state.name] = 1
        return state.membership.reached(alive) == 1

    # Deciding

    def on_append_reply(self, peer: str, reply: AppendReply) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 4: it goes on until all have the log.

        Ours: how far back the logs agree is asked for, and so much at a time is sent.
        """
        state = self._state
        progress = self.progress.get(peer)
        if state.role is not LEADER or reply.term != state.term or progress is None:
            return
        progress.heard(state.now_ms, min(reply.question, self._question))
        if not reply.accepted:
            more = progress.refused(min(reply.index, state.log.last_index + 1))
        elif reply.index > state.log.last_index:
            more = False  # ours: an index that the leader does not have confirms nothing
        else:
            more = True
            if progress.accepted(reply.index) and reply.index > state.commit:
                self.decide()
        # a decision may have let the peer go, or this leader
        if more and peer in self.progress:
            self._send_entries(peer, progress)
        if self._reads:
            self._answer_reads()
        if self._transferee == peer:
            self._hand_over(peer)

    def decide(self) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 3: more than half of the weight.

        Ours: as in Raft, only entries of the own term by counting; older ones follow from them.
        """
        state = self._state
        matched = {peer: progress.matched for peer, progress in self.progress.items()}
        matched[state.name] = min(state.durable, state.log.last_index)
        reached = state.membership.reached(matched)
        if reached > state.commit and state.log.term_at(reached) == state.term:
            self._advance(reached)

    def _advance(self, commit: int) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 3: the leader's log comes first."""
        membership = self._state.membership
        self._state.advance(commit)
        if self._state.membership is not membership:
            self._know_peers()
        self._finish_change()

    # Reading

    def on_read(self, token: int) -> None:
        """Linearizable reads without log entries. Source: [ONGARO14], section 6.4."""
        state = self._state
        if (
            state.role is not LEADER
            or state.log.term_at(state.commit) != state.term
            or len(self._reads) >= READS_MAX
        ):
            self._refuse(token)
            return
        self._question += 1
        self._reads.append((self._question, token, state.commit))
        self._heartbeat()
        self._answer_reads()

    def _answer_reads(self) -> None:
        state = self._state
        answered = {peer: progress.answered for peer, progress in self.progress.items()}
        answered[state.name] = self._question
        reached = state.membership.reached(answered)
        while self._reads and self._reads[0][0] <= reached:
            _, token, height = self._reads.pop(0)
            state.effects.append(ReadReady(token, height))

    # Membership

    def on_reconfigure(self, token: int, weights: dict[str, int]) -> None:
        """Source: [ONGARO14], section 4.3. One change at a time, after an own decision."""
        state = self._state
        held = state.membership.configuration
        ready = (
            state.role is LEADER
            and not self._transferee
            and not held.is_joint
            and state.log.configurations[-1][0] <= state.commit
            and state.log.term_at(state.commit) == state.term
        )
        if not ready or not are_usable(weights):
            self._refuse(token)
        elif weights != weights_of(held.voters):
            after = state.rules.change.next_step(held, weights, state.rules.quorum)
            self._append(Entry(state.term, configuration=True, payload=encode(after)))

    def _finish_change(self) -> None:
        """Leave a joint configuration once it is decided; step down when no longer in it."""
        state = self._state
        index, last = state.log.configurations[-1]
        if index > state.commit:
            return
        if last.is_joint:
            after = configuration_of(last.number + 1, weights_of(last.voters))
            self._append(Entry(state.term, configuration=True, payload=encode(after)))
        elif state.name not in state.membership.members:
            self._heartbeat()
            self._become_follower(state.term, "")

    # Leadership transfer

    def on_transfer(self, target: str) -> None:
        """Source: [ONGARO14], section 3.10."""
        state = self._state
        heirs = state.membership.rank.keys() - {state.name}  # ours: nobody who is going
        if state.role is not LEADER or target not in heirs or self._transferee:
            return
        self._transferee = target
        self._transfer_until_ms = state.now_ms + state.rules.timeouts.least_ms
        self._send_entries(target, self.progress[target])
        self._hand_over(target)

    def _hand_over(self, peer: str) -> None:
        """Let it take over once it has everything."""
        state = self._state
        progress = self.progress.get(peer)
        if progress is not None and progress.matched == state.log.last_index:
            state.send(peer, TimeoutNow(state.term))
