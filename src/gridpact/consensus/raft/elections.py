"""Who leads next: waiting for a leader, standing, asking for votes and giving them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gridpact.consensus.raft.messages import RaftMessage, VoteReply, VoteRequest
from gridpact.consensus.raft.rules import CANDIDATE, ELECTION, LEADER, TRIAL
from gridpact.consensus.raft.state import BecomeFollower, State
from gridpact.consensus.shape import SetTimer


class Elections:
    """One replica's part in all elections.

    Args:
        state: of the replica.
        random: draws its timeouts.
        become_follower: of a later term.
        become_leader: once it is elected.
    """

    def __init__(
        self,
        state: State,
        random: Random,
        become_follower: BecomeFollower,
        become_leader: Callable[[], None],
    ) -> None:
        self._state, self._random = state, random
        self._become_follower, self._become_leader = become_follower, become_leader
        self.votes: set[str] = set()
        """Who has given its vote, or would give it."""
        self._vote_token = 0
        """Of the `Persist` with the vote for oneself."""
        self.timeout_ms = 0
        self.deadline_ms = 0
        self._heard_leader_ms: int | None = None

    # Waiting

    def wait_for_leader(self) -> None:
        """Start the election timeout from now."""
        state = self._state
        rank = state.membership.rank.get(state.name, len(state.membership.rank) + 1)
        self.timeout_ms = state.rules.timeouts.election_ms(rank, self._random)
        self.deadline_ms = state.now_ms + self.timeout_ms
        state.effects.append(SetTimer(ELECTION, self.timeout_ms))

    def heard_leader(self) -> None:
        """Move the deadline; the timer that runs is set again when it comes."""
        self._heard_leader_ms = self._state.now_ms
        self.deadline_ms = self._state.now_ms + self.timeout_ms

    def begin_term(self) -> None:
        """Nobody has led it yet."""
        self._heard_leader_ms = None

    def keeps_to_leader(self, message: RaftMessage) -> bool:
        """Whether a request is ignored because the leader is alive. [ONGARO14], section 6.2."""
        state = self._state
        if not state.rules.trial_votes or not isinstance(message, VoteRequest) or message.asked_to:
            return False
        if state.role is LEADER:
            return True
        heard = self._heard_leader_ms
        return heard is not None and state.now_ms - heard < state.rules.timeouts.least_ms

    # Standing

    def on_timer(self) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 1: no heartbeat for a set time."""
        state = self._state
        if state.role is LEADER:
            return
        left_ms = self.deadline_ms - state.now_ms
        if left_ms > 0:
            state.effects.append(SetTimer(ELECTION, left_ms))
        elif not self.may_stand():
            self.wait_for_leader()
        elif state.rules.trial_votes:
            self._become_trial()
        else:
            self.become_candidate(asked_to=False)

    def may_stand(self) -> bool:
        """Whether it is a member, or one that is going whose log may be needed to let it go.

        Source: [ONGARO14], section 4.2.2: it stands until the change is decided.
        """
        state = self._state
        if state.name in state.membership.members:
            return True
        index, _ = state.log.configurations[-1]
        left = state.log.configuration_at(index - 1)
        voters = (*left.voters, *left.before)
        return index > state.commit and any(voter.name == state.name for voter in voters)

    def _become_trial(self) -> None:
        """Ask whether an election would be won. Source: [ONGARO14], section 9.6."""
        state = self._state
        state.role, state.leader = TRIAL, ""
        self.votes = {state.name}
        self.wait_for_leader()
        self._ask_for_votes(state.term + 1, trial=True, asked_to=False)

    def become_candidate(self, *, asked_to: bool) -> None:
        """Stand for election in the next term.

        Source: [XIONG23], section 4.1.1, election, step 1: follower times out, term + 1.
        """
        state = self._state
        state.role, state.leader = CANDIDATE, ""
        state.term += 1
        state.voted_for = state.name
        state.note_vote()
        self.votes = set()
        self.wait_for_leader()
        self._ask_for_votes(state.term, trial=False, asked_to=asked_to)
        state.save()
        self._vote_token = state.token  # ours: the own vote counts once it is durable

    def _ask_for_votes(self, term: int, *, trial: bool, asked_to: bool) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 2: requests go out in parallel."""
        state = self._state
        request = VoteRequest(term, state.log.last_index, state.log.last_term, trial, asked_to)
        for peer in state.peers:
            state.send(peer, request)
        self._count_votes()

    # Votes

    def on_vote_request(self, peer: str, request: VoteRequest) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 2: who receives the request replies.

        Ours: as in Raft, one vote a term and only for a log that is up to date; a weight that the
        reply states would be ignored, so it states none.
        """
        state = self._state
        if request.term < state.term:
            state.send(peer, VoteReply(state.term, granted=False, trial=request.trial))
            return
        if self.keeps_to_leader(request):
            if request.trial:
                state.send(peer, VoteReply(state.term, granted=False, trial=True))
            return
        up_to_date = (request.last_term, request.last_index) >= (
            state.log.last_term,
            state.log.last_index,
        )
        if request.trial:
            granted = up_to_date and request.term > state.term
            term = request.term if granted else state.term
            state.send(peer, VoteReply(term, granted, trial=True))
            return
        granted = up_to_date and state.voted_for in ("", peer)
        if granted:
            if not state.voted_for:
                state.voted_for = peer
                state.note_vote()
            self.wait_for_leader()
        state.send(peer, VoteReply(state.term, granted, trial=False))

    def on_vote_reply(self, peer: str, reply: VoteReply) -> None:
        """Source: [XIONG23], section 4.1.1, election, step 2: more than half of the weight.

        Ours: refusals are not counted; the timeout ends an election that is not won.
        """
        state = self._state
        if reply.trial:
            expected, role = state.term + 1, TRIAL
            if not reply.granted and reply.term > state.term:
                self._become_follower(reply.term, "")
                return
        else:
            expected, role = state.term, CANDIDATE
        if state.role is role and reply.granted and reply.term == expected:
            self.votes.add(peer)
            self._count_votes()

    def on_persisted(self, token: int) -> None:
        """Ours: the own vote counts once it is durable, like everybody else's."""
        if self._state.role is CANDIDATE and token >= self._vote_token:
            self.votes.add(self._state.name)
            self._count_votes()

    def _count_votes(self) -> None:
        state = self._state
        if not state.membership.elects(self.votes):
            return
        if state.role is TRIAL:
            self.become_candidate(asked_to=False)
        elif state.role is CANDIDATE:
            self._become_leader()
