"""Raft as a pure state machine. `PROTOCOL.md` has the transition table.

What the papers leave open and safety needs is here for every composition: term, vote and log are
durable before an answer depends on them, votes go only to logs that are up to date, conflicts alone
truncate, and only entries of the leader's own term are decided by counting.

Sources: [ONGARO14] (Raft), [XIONG23], section 4.1 (weights). Lines that neither has: `# ours:`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Any

from gridpact.codec import encode
from gridpact.consensus.configuration import (
    Configuration,
    are_usable,
    configuration_of,
    weights_of,
)
from gridpact.consensus.frames import EVIDENCE_MAX, Framing
from gridpact.consensus.quorum import QuorumRule, WeightMajority
from gridpact.consensus.raft.log import Log
from gridpact.consensus.raft.membership import ChangeRule, JointChange, Membership
from gridpact.consensus.raft.messages import (
    PAYLOAD_MAX,
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    RaftMessage,
    TimeoutNow,
    VoteReply,
    VoteRequest,
    is_sound,
)
from gridpact.consensus.raft.progress import Progress
from gridpact.consensus.raft.records import (
    Entries,
    RaftRecord,
    Snapshot,
    Stored,
    Vote,
    record_bytes,
)
from gridpact.consensus.raft.timeouts import TimeoutRule
from gridpact.consensus.shape import (
    CancelTimer,
    Compact,
    Decide,
    Effect,
    Event,
    Finality,
    Persist,
    Persisted,
    Propose,
    ReadReady,
    ReadRequest,
    Reason,
    Received,
    Reconfigure,
    Refused,
    Restore,
    Send,
    SetTimer,
    Suspect,
    TimerFired,
    TransferLeadership,
)
from gridpact.errors import invariant

ELECTION = "election"
HEARTBEAT = "heartbeat"
TERMS_AHEAD_MAX = 100_000
"""A term further ahead than this is nothing that elections have led to."""
UNDECIDED_MAX = 10_000
"""Entries that a leader takes in beyond what is decided."""
READS_MAX = 10_000
"""Reads that wait for a quorum's answer."""


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


class RaftReplica:
    """One member of a Raft group."""

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
        self.name, self.rules = name, rules
        self._contacts = frozenset(contacts)
        self.role = Role.FOLLOWER
        self.term, self.voted_for = stored.term, stored.voted_for
        self.leader = ""
        self.log = Log(stored)
        self.commit = stored.snapshot.index
        self.membership = Membership(self._configuration(), rules.quorum)
        self._speakers = (self.membership, self._contacts | self.membership.members)
        self._random, self._framing = random, framing
        self._effects: list[Effect] = []
        self._unsaved: list[RaftRecord] = []
        self._token = 0
        self._saving: dict[int, tuple[int, int]] = {}
        """Last (index, term) of the own entries in each `Persist` that is not durable yet."""
        self._durable = self.log.last_index
        self._host_ms = self._now_ms = 0
        """The host's clock, and the same without its steps back."""
        self._deadline_ms = 0
        self._heard_leader_ms: int | None = None
        self._timeout_ms = 0
        self._votes: set[str] = set()
        """Who has given its vote, or would give it."""
        self._vote_token = 0
        """Of the `Persist` with the vote for oneself."""
        self._progress: dict[str, Progress] = {}
        self._question = 0
        self._reads: list[tuple[int, int, int]] = []
        """(question, token, height) of reads that wait for a quorum's answer."""
        self._transferee = ""
        self._transfer_until_ms = 0
        self._receivers: dict[type, Callable[[str, Any], None]] = {
            Append: self._on_append,
            AppendReply: self._on_append_reply,
            VoteRequest: self._on_vote_request,
            VoteReply: self._on_vote_reply,
            InstallSnapshot: self._on_install_snapshot,
            TimeoutNow: self._on_timeout_now,
        }

    # Events

    def start(self, now_ms: int) -> list[Effect]:
        """See `Replica.start`. What the snapshot holds comes first."""
        self._host_ms = self._now_ms = now_ms
        snapshot = self.log.snapshot
        if snapshot.index:
            self._effects.append(Restore(snapshot.index, snapshot.data))
        self._wait_for_leader()
        return self._finish()

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """See `Replica.step`."""
        # ours: a clock that goes back stands still, so that no wait grows by the step
        if now_ms > self._host_ms:
            self._now_ms += now_ms - self._host_ms
        self._host_ms = now_ms
        if type(event) is Received:  # most of all events
            self._receive(event.peer, event.data)
            return self._finish()
        match event:
            case TimerFired(timer):
                if timer == ELECTION:
                    self._on_election_timer()
                elif timer == HEARTBEAT and self.role is Role.LEADER:
                    self._on_heartbeat_timer()
            case Persisted(token):
                self._on_persisted(token)
            case Propose(token, payload):
                self._on_propose(token, payload)
            case ReadRequest(token):
                self._on_read(token)
            case Reconfigure(token, weights):
                self._on_reconfigure(token, dict(weights))
            case TransferLeadership(target):
                self._on_transfer(target)
            case Compact(height, data):
                self._on_compact(height, data)
        return self._finish()

    # What observers may ask

    def supporters(self) -> list[str]:
        """Who voted for it in its term, as far as it knows."""
        return sorted(self._votes)

    def holders(self, index: int) -> list[str]:
        """Whose durable log is known to a leader to agree with its own up to an index."""
        found = [peer for peer, progress in self._progress.items() if progress.matched >= index]
        return [*found, self.name] if self._durable >= index else found

    def _finish(self) -> list[Effect]:
        self._save()
        effects, self._effects = self._effects, []
        return effects

    def _save(self) -> None:
        """Make what changed durable before anything that comes after."""
        if self._unsaved:
            self._token += 1
            records = tuple(record_bytes(record) for record in self._unsaved)
            self._unsaved.clear()
            self._saving[self._token] = (self.log.last_index, self.log.last_term)
            self._effects.append(Persist(records, self._token))

    def _send(self, peer: str, message: RaftMessage) -> None:
        """Answer or ask: everything that this depends on is durable first."""
        self._save()
        self._effects.append(Send(peer, self._framing.seal(message, peer)))

    def _receive(self, peer: str, data: bytes) -> None:
        message = self._framing.open(peer, data, self._known())
        if isinstance(message, Suspect):
            self._effects.append(message)
            return
        ahead = message.term - self.term
        if ahead > TERMS_AHEAD_MAX:
            self._effects.append(Suspect(peer, Reason.FUTURE_TERM, data[:EVIDENCE_MAX]))
            return
        if not is_sound(message) or self._denies(message, peer):
            self._effects.append(Suspect(peer, Reason.CONTRADICTION, data[:EVIDENCE_MAX]))
            return
        if ahead > 0:
            trial = isinstance(message, VoteRequest | VoteReply) and message.trial
            if not trial and not self._keeps_to_leader(message):
                self._become_follower(message.term, "")
        self._receivers[type(message)](peer, message)

    def _known(self) -> frozenset[str]:
        """Who may speak: the members, and those of configurations that may still come back."""
        if len(self.log.configurations) == 1:
            if self._speakers[0] is not self.membership:
                self._speakers = (self.membership, self._contacts | self.membership.members)
            return self._speakers[1]
        held = (configuration for _, configuration in self.log.configurations)
        both = (voter.name for one in held for voter in (*one.voters, *one.before))
        return self._contacts.union(self.membership.members, both)

    def _denies(self, message: RaftMessage, peer: str) -> bool:
        """Whether a leader's message goes against a decision, or against who leads the term.

        A leader of an earlier term may do both without fault: its messages are not looked at.
        """
        if not isinstance(message, Append | InstallSnapshot) or message.term < self.term:
            return False
        if message.term == self.term and self.leader not in ("", peer):
            return True
        return self.log.denies(message, self.commit)

    # Roles

    def _become_follower(self, term: int, leader: str) -> None:
        """Step into a later term, or recognise who leads this one.

        Source: [XIONG23], section 4.1.1, election, step 3: all others become followers. Ours: as in
        Raft, any later term makes one a follower.
        """
        was_leader = self.role is Role.LEADER
        if term > self.term:
            self.term, self.voted_for = term, ""
            self._note_vote()
            self._heard_leader_ms = None
        self.role, self.leader = Role.FOLLOWER, leader
        self._votes = set()
        if was_leader:
            self._stop_leading()

    def _stop_leading(self) -> None:
        self._effects.append(CancelTimer(HEARTBEAT))
        self._effects.extend(Refused(token, "") for _, token, _ in self._reads)
        self._reads, self._progress, self._transferee = [], {}, ""
        self._wait_for_leader()

    def _become_trial(self) -> None:
        """Ask whether an election would be won. Source: [ONGARO14], section 9.6."""
        self.role, self.leader = Role.TRIAL, ""
        self._votes = {self.name}
        self._wait_for_leader()
        self._ask_for_votes(self.term + 1, trial=True, asked_to=False)

    def _become_candidate(self, *, asked_to: bool) -> None:
        """Stand for election in the next term.

        Source: [XIONG23], section 4.1.1, election, step 1: follower times out, term + 1.
        """
        self.role, self.leader = Role.CANDIDATE, ""
        self.term += 1
        self.voted_for = self.name
        self._note_vote()
        self._votes = set()
        self._wait_for_leader()
        self._ask_for_votes(self.term, trial=False, asked_to=asked_to)
        self._save()
        self._vote_token = self._token  # ours: the own vote counts once it is durable

    def _ask_for_votes(self, term: int, *, trial: bool, asked_to: bool) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 2: requests go out in parallel."""
        request = VoteRequest(term, self.log.last_index, self.log.last_term, trial, asked_to)
        for peer in self._peers():
            self._send(peer, request)
        self._count_votes()

    def _become_leader(self) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 3: heartbeats end the election."""
        self.role, self.leader = Role.LEADER, self.name
        self._progress = {}
        self._know_peers()
        self._reads = []
        self._effects.append(CancelTimer(ELECTION))
        self._effects.append(SetTimer(HEARTBEAT, self.rules.heartbeat_ms))
        # ours: an entry of the own term, without which nothing older could be decided
        self._append_own(Entry(self.term, configuration=False, payload=b""))

    # Elections

    def _wait_for_leader(self) -> None:
        """Start the election timeout from now."""
        rank = self.membership.rank.get(self.name, len(self.membership.rank) + 1)
        self._timeout_ms = self.rules.timeouts.election_ms(rank, self._random)
        self._deadline_ms = self._now_ms + self._timeout_ms
        self._effects.append(SetTimer(ELECTION, self._timeout_ms))

    def _heard_leader(self) -> None:
        """Move the deadline; the timer that runs is set again when it comes."""
        self._heard_leader_ms = self._now_ms
        self._deadline_ms = self._now_ms + self._timeout_ms

    def _on_election_timer(self) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 1: no heartbeat for a set time."""
        if self.role is Role.LEADER:
            return
        left_ms = self._deadline_ms - self._now_ms
        if left_ms > 0:
            self._effects.append(SetTimer(ELECTION, left_ms))
        elif not self._may_stand():
            self._wait_for_leader()
        elif self.rules.trial_votes:
            self._become_trial()
        else:
            self._become_candidate(asked_to=False)

    def _may_stand(self) -> bool:
        """Whether it is a member, or one that is going whose log may be needed to let it go.

        Source: [ONGARO14], section 4.2.2: it stands until the change is decided.
        """
        if self.name in self.membership.members:
            return True
        index, _ = self.log.configurations[-1]
        left = self.log.configuration_at(index - 1)
        voters = (*left.voters, *left.before)
        return index > self.commit and any(voter.name == self.name for voter in voters)

    def _keeps_to_leader(self, message: RaftMessage) -> bool:
        """Whether a request is ignored because the leader is alive. [ONGARO14], section 6.2."""
        if not self.rules.trial_votes or not isinstance(message, VoteRequest) or message.asked_to:
            return False
        if self.role is Role.LEADER:
            return True
        heard = self._heard_leader_ms
        return heard is not None and self._now_ms - heard < self.rules.timeouts.least_ms

    def _on_vote_request(self, peer: str, request: VoteRequest) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 2: who receives the request replies.

        Ours: as in Raft, one vote a term and only for a log that is up to date; a weight that the
        reply states would be ignored, so it states none.
        """
        if request.term < self.term:
            self._send(peer, VoteReply(self.term, granted=False, trial=request.trial))
            return
        if self._keeps_to_leader(request):
            if request.trial:
                self._send(peer, VoteReply(self.term, granted=False, trial=True))
            return
        up_to_date = (request.last_term, request.last_index) >= (
            self.log.last_term,
            self.log.last_index,
        )
        if request.trial:
            granted = up_to_date and request.term > self.term
            term = request.term if granted else self.term
            self._send(peer, VoteReply(term, granted, trial=True))
            return
        granted = up_to_date and self.voted_for in ("", peer)
        if granted:
            if not self.voted_for:
                self.voted_for = peer
                self._note_vote()
            self._wait_for_leader()
        self._send(peer, VoteReply(self.term, granted, trial=False))

    def _note_vote(self) -> None:
        self._unsaved.append(Vote(self.term, self.voted_for))

    def _on_vote_reply(self, peer: str, reply: VoteReply) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 2: more than half of the weight.

        Ours: refusals are not counted; the timeout ends an election that is not won.
        """
        if reply.trial:
            expected, role = self.term + 1, Role.TRIAL
            if not reply.granted and reply.term > self.term:
                self._become_follower(reply.term, "")
                return
        else:
            expected, role = self.term, Role.CANDIDATE
        if self.role is role and reply.granted and reply.term == expected:
            self._votes.add(peer)
            self._count_votes()

    def _count_votes(self) -> None:
        if not self.membership.elects(self._votes):
            return
        if self.role is Role.TRIAL:
            self._become_candidate(asked_to=False)
        elif self.role is Role.CANDIDATE:
            self._become_leader()

    def _on_timeout_now(self, peer: str, message: TimeoutNow) -> None:
        """Source: [ONGARO14], section 3.10."""
        if message.term == self.term and peer == self.leader and self._may_stand():
            self._become_candidate(asked_to=True)

    # Leading

    def _on_propose(self, token: int, payload: bytes) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 1: the leader packs and sends."""
        undecided = self.log.last_index - self.commit
        if (
            self.role is not Role.LEADER
            or self._transferee
            or undecided >= UNDECIDED_MAX
            or not 0 < len(payload) <= PAYLOAD_MAX
        ):
            self._refuse(token)
            return
        self._append_own(Entry(self.term, configuration=False, payload=payload))

    def _refuse(self, token: int) -> None:
        leader = "" if self.role is Role.LEADER else self.leader
        self._effects.append(Refused(token, leader))

    def _append_own(self, entry: Entry) -> None:
        """Add an entry. The sends stand before the own `Persist`: both go on at the same time."""
        self._save()
        first = self.log.last_index + 1
        self.log.replace_from(first, [entry])
        if entry.configuration:
            self._recount()
        for peer in self._peers():
            self._send_entries(peer)
        self._unsaved.append(Entries(first, [entry]))

    def _know_peers(self) -> None:
        """One `Progress` for each other member."""
        for peer in self._peers():
            if peer not in self._progress:
                self._progress[peer] = Progress(self.log.last_index + 1, heard_ms=self._now_ms)

    def _send_entries(self, peer: str) -> None:
        """Whatever the follower can take now; nothing while an answer is needed first."""
        progress = self._progress[peer]
        while progress.may_send:
            if progress.next_index <= self.log.snapshot.index:
                self._send_snapshot(peer, progress)
                return
            if progress.next_index > self.log.last_index and not progress.probing:
                return
            entries = self.log.batch(progress.next_index)
            self._send_append(peer, progress, entries)
            progress.sent(len(entries))

    def _send_append(self, peer: str, progress: Progress, entries: list[Entry]) -> None:
        previous = progress.next_index - 1
        self._effects.append(
            Send(
                peer,
                self._framing.seal(
                    Append(
                        self.term,
                        previous,
                        self.log.term_at(previous),
                        entries,
                        self.commit,
                        self._question,
                    ),
                    peer,
                ),
            )
        )

    def _send_snapshot(self, peer: str, progress: Progress) -> None:
        snapshot = self.log.snapshot
        progress.waiting = True
        self._send(
            peer,
            InstallSnapshot(
                self.term,
                snapshot.index,
                snapshot.term,
                snapshot.configuration,
                snapshot.data,
                self._question,
            ),
        )

    def _on_heartbeat_timer(self) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 3: heartbeats keep the others followers.

        Ours: as in [ONGARO14], section 6.2, who is not heard by a quorum leads no longer.
        """
        if self._transferee and self._now_ms >= self._transfer_until_ms:
            self._transferee = ""  # ours: who did not take over in time never will
        if self.rules.trial_votes and not self._is_heard():
            self._become_follower(self.term, "")
            return
        self._effects.append(SetTimer(HEARTBEAT, self.rules.heartbeat_ms))
        self._heartbeat()

    def _heartbeat(self) -> None:
        for peer in self._peers():
            progress = self._progress[peer]
            progress.waiting = False
            if progress.next_index <= self.log.snapshot.index:
                # ours: the entry that a heartbeat would name is gone
                progress.probe()
                self._send_entries(peer)
            else:
                self._send_append(peer, progress, [])

    def _is_heard(self) -> bool:
        """Whether a quorum has answered within a timeout. Source: [ONGARO14], section 6.2."""
        since_ms = self._now_ms - self.rules.timeouts.least_ms
        alive = {
            peer: 1 for peer, progress in self._progress.items() if progress.heard_ms >= since_ms
        }
        alive[self.name] = 1
        return self.membership.reached(alive) == 1

    def _on_append_reply(self, peer: str, reply: AppendReply) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 4: it goes on until all have the log.

        Ours: how far back the logs agree is asked for, and so much at a time is sent.
        """
        progress = self._progress.get(peer)
        if self.role is not Role.LEADER or reply.term != self.term or progress is None:
            return
        progress.heard(self._now_ms, min(reply.question, self._question))
        if not reply.accepted:
            more = progress.refused(min(reply.index, self.log.last_index + 1))
        elif reply.index > self.log.last_index:
            more = False  # ours: an index that the leader does not have confirms nothing
        else:
            more = True
            if progress.accepted(reply.index):
                self._decide()
        # a decision may have let the peer go, or this leader
        if more and peer in self._progress:
            self._send_entries(peer)
        self._answer_reads()
        self._hand_over(peer)

    def _on_persisted(self, token: int) -> None:
        """Ours: the own word counts once it is durable, like everybody else's."""
        if self.role is Role.CANDIDATE and token >= self._vote_token:
            self._votes.add(self.name)
            self._count_votes()
        index, term = self._saving.pop(token, (0, -1))
        if self.log.term_at(index) == term:
            self._durable = max(self._durable, index)
            if self.role is Role.LEADER:
                self._decide()

    def _decide(self) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 3: more than half of the weight.

        Ours: as in Raft, only entries of the own term by counting; older ones follow from them.
        """
        matched = {peer: progress.matched for peer, progress in self._progress.items()}
        matched[self.name] = min(self._durable, self.log.last_index)
        reached = self.membership.reached(matched)
        if reached > self.commit and self.log.term_at(reached) == self.term:
            self._advance(reached)

    def _advance(self, commit: int) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 3: the log is applied, in order."""
        first, self.commit = self.commit + 1, commit
        for index in range(first, commit + 1):
            entry = self.log.entry(index)
            if entry.configuration:
                self._recount()
            elif entry.payload:
                self._effects.append(Decide(index, entry.payload, Finality.CRASH))
        if self.role is Role.LEADER:
            self._finish_change()

    # Reading

    def _on_read(self, token: int) -> None:
        """Linearizable reads without log entries. Source: [ONGARO14], section 6.4."""
        if (
            self.role is not Role.LEADER
            or self.log.term_at(self.commit) != self.term
            or len(self._reads) >= READS_MAX
        ):
            self._refuse(token)
            return
        self._question += 1
        self._reads.append((self._question, token, self.commit))
        self._heartbeat()
        self._answer_reads()

    def _answer_reads(self) -> None:
        if not self._reads or self.role is not Role.LEADER:
            return
        answered = {peer: progress.answered for peer, progress in self._progress.items()}
        answered[self.name] = self._question
        reached = self.membership.reached(answered)
        while self._reads and self._reads[0][0] <= reached:
            _, token, height = self._reads.pop(0)
            self._effects.append(ReadReady(token, height))

    # Membership

    def _configuration(self) -> Configuration:
        return self.rules.change.in_force(self.log, self.commit)

    def _recount(self) -> None:
        """Count with the configuration that is in force now."""
        configuration = self._configuration()
        if configuration is self.membership.configuration:
            return
        self.membership = Membership(configuration, self.rules.quorum)
        if self.role is Role.LEADER:
            self._know_peers()
            for gone in self._progress.keys() - self.membership.members:
                del self._progress[gone]

    def _on_reconfigure(self, token: int, weights: dict[str, int]) -> None:
        """Source: [ONGARO14], section 4.3. One change at a time, after an own decision."""
        held = self.membership.configuration
        ready = (
            self.role is Role.LEADER
            and not self._transferee
            and not held.is_joint
            and self.log.configurations[-1][0] <= self.commit
            and self.log.term_at(self.commit) == self.term
        )
        if not ready or not are_usable(weights):
            self._refuse(token)
        elif weights != weights_of(held.voters):
            after = self.rules.change.next_step(held, weights, self.rules.quorum)
            self._append_own(Entry(self.term, configuration=True, payload=encode(after)))

    def _finish_change(self) -> None:
        """Leave a joint configuration once it is decided; step down when no longer in it."""
        index, last = self.log.configurations[-1]
        if index > self.commit:
            return
        if last.is_joint:
            after = configuration_of(last.number + 1, weights_of(last.voters))
            self._append_own(Entry(self.term, configuration=True, payload=encode(after)))
        elif self.name not in self.membership.members:
            self._heartbeat()
            self._become_follower(self.term, "")

    def _peers(self) -> list[str]:
        return sorted(self.membership.members - {self.name})

    # Leadership transfer

    def _on_transfer(self, target: str) -> None:
        """Source: [ONGARO14], section 3.10."""
        heirs = self.membership.rank.keys() - {self.name}  # ours: nobody who is going
        if self.role is not Role.LEADER or target not in heirs or self._transferee:
            return
        self._transferee = target
        self._transfer_until_ms = self._now_ms + self.rules.timeouts.least_ms
        self._send_entries(target)
        self._hand_over(target)

    def _hand_over(self, peer: str) -> None:
        progress = self._progress.get(peer)
        if progress is None or peer != self._transferee:
            return
        if progress.matched == self.log.last_index:
            self._send(peer, TimeoutNow(self.term))

    # Following

    def _on_append(self, peer: str, message: Append) -> None:
        """Source: [XIONG23], section 4.1.1, consensus, step 2: copy, then confirm."""
        if message.term < self.term:
            self._send(peer, AppendReply(self.term, False, 0, message.question))
            return
        self._follow(peer)
        previous = message.previous_index
        if previous < self.log.snapshot.index:
            # what lies before the snapshot is decided: begin to compare behind it
            skipped = self.log.snapshot.index - previous
            if skipped > len(message.entries):
                self._confirm(peer, self.log.snapshot.index, message.question)
                return
            entries, previous = message.entries[skipped:], self.log.snapshot.index
        elif self.log.term_at(previous) != message.previous_term:
            index = self.log.next_try(previous, self.commit)
            self._send(peer, AppendReply(self.term, False, index, message.question))
            return
        else:
            entries = message.entries
        for offset, entry in enumerate(entries):
            index = previous + 1 + offset
            if self.log.term_at(index) == entry.term:
                continue
            invariant(index > self.commit, "what is decided is never replaced")
            self.log.replace_from(index, entries[offset:])
            self._durable = min(self._durable, index - 1)
            self._unsaved.append(Entries(index, entries[offset:]))
            self._recount()
            break
        agreed = previous + len(entries)
        self._confirm(peer, agreed, message.question)
        if min(message.commit, agreed) > self.commit:
            self._advance(min(message.commit, agreed))

    def _follow(self, peer: str) -> None:
        """Recognise the sender as the leader of this term."""
        if self.role is not Role.FOLLOWER or self.leader != peer:
            self._become_follower(self.term, peer)
        self._heard_leader()

    def _confirm(self, peer: str, index: int, question: int) -> None:
        self._send(peer, AppendReply(self.term, True, index, question))

    def _on_install_snapshot(self, peer: str, message: InstallSnapshot) -> None:
        """Source: [ONGARO14], section 5.3. Ours: in one message, up to the size of a frame."""
        if message.term < self.term:
            self._send(peer, AppendReply(self.term, False, 0, message.question))
            return
        self._follow(peer)
        if message.index > self.commit:
            keeps = self.log.term_at(message.index) == message.index_term
            snapshot = Snapshot(
                message.index, message.index_term, message.configuration, message.data, keeps
            )
            self._take_snapshot(snapshot)
            self.commit = message.index
            self._effects.append(Restore(message.index, message.data))
        self._confirm(peer, max(message.index, self.commit), message.question)

    def _take_snapshot(self, snapshot: Snapshot) -> None:
        self.log.compact(snapshot)
        # what a snapshot has removed is no longer durable, should the same indices fill again
        self._durable = min(self._durable, self.log.last_index)
        self._unsaved.append(snapshot)
        self._recount()
        self._save()

    def _on_compact(self, height: int, data: bytes) -> None:
        """Drop entries that the host has a snapshot of. Source: [ONGARO14], section 5.1."""
        if self.log.snapshot.index < height <= self.commit:
            configuration = self.log.configuration_at(height)
            term = self.log.term_at(height)
            self._take_snapshot(Snapshot(height, term, configuration, data, keeps_rest=True))
