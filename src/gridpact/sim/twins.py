"""Broken twins: protocols with one thing wrong, each of which the checkers must catch.

A checker that no twin has ever set off proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import msgspec

from gridpact.consensus.configuration import Configuration, configuration_of
from gridpact.consensus.quorum import CountedQuorum, QuorumRule, WeightMajority
from gridpact.consensus.raft import ChangeAtApply, JointChange, Profile, RaftReplica, Role, Rules
from gridpact.consensus.raft.messages import Append, VoteRequest
from gridpact.consensus.raft.records import Entries, RaftRecord, Vote, record_bytes
from gridpact.consensus.raft.replica import Elections, Following, Leading
from gridpact.consensus.shape import Effect, Event, Persist, ReadReady, Send
from gridpact.sim.faults import Action
from gridpact.sim.schedule import Plan, plan_of
from gridpact.sim.trial import MakeReplica

_read_record = msgspec.msgpack.Decoder(RaftRecord).decode


class ForgetfulVoter(RaftReplica):
    """The vote is not durable."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Persist has the term, and nobody's name."""
        return _saving(super().step(event, now_ms), _without_name)


class Amnesiac(RaftReplica):
    """Nothing is made durable but entries: a restart goes back to an old term."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Persist keeps its place and loses its votes."""
        return _saving(super().step(event, now_ms), _nothing)


def _saving(effects: list[Effect], instead: Callable[[Vote], Iterable[Vote]]) -> list[Effect]:
    """The effects, with other votes in what is saved."""
    found: list[Effect] = []
    for effect in effects:
        if isinstance(effect, Persist):
            records = []
            for data in effect.records:
                record = _read_record(data)
                votes = instead(record) if isinstance(record, Vote) else None
                records += [data] if votes is None else [record_bytes(vote) for vote in votes]
            found.append(Persist(tuple(records), effect.token))
        else:
            found.append(effect)
    return found


def _without_name(vote: Vote) -> Iterable[Vote]:
    return (Vote(vote.term, ""),)


def _nothing(_vote: Vote) -> Iterable[Vote]:
    return ()


class HastyReplica(RaftReplica):
    """Messages leave before what they promise is durable."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Sends first, then the rest."""
        effects = super().step(event, now_ms)
        return sorted(effects, key=lambda effect: not isinstance(effect, Send))


class OldTermCounting(Leading):
    """Entries of earlier terms are decided by counting. Source: Ongaro 2014, figure 3.7."""

    def decide(self) -> None:
        """See `Leading.decide`."""
        matched = {peer: progress.matched for peer, progress in self.progress.items()}
        matched[self._state.name] = min(self._state.durable, self._state.log.last_index)
        reached = self._state.membership.reached(matched)
        if reached > self._state.commit:
            self._advance(reached)


class BoastfulCounting(Leading):
    """A leader counts its own entries before they are durable."""

    def decide(self) -> None:
        """See `Leading.decide`."""
        self._state.durable = self._state.log.last_index
        super().decide()


class HastyReading(Leading):
    """Never asks whether it still leads: reads are served at once, until another is heard of.

    Raft without sections 6.2 and 6.4 of Ongaro 2014.
    """

    def on_read(self, token: int) -> None:
        """See `Leading.on_read`."""
        if self._state.role is Role.LEADER:
            self._state.effects.append(ReadReady(token, self._state.commit))
        else:
            self._refuse(token)

    def _is_heard(self) -> bool:
        return True


class EagerTruncating(Following):
    """What stands behind the place of an append goes, whether it conflicts or not."""

    def on_append(self, peer: str, message: Append) -> None:
        """See `Following.on_append`."""
        state = self._state
        first = message.previous_index + 1
        known = state.log.term_at(message.previous_index) == message.previous_term
        if message.term == state.term and message.entries and known and first > state.commit:
            state.log.replace_from(first, [])
            state.unsaved.append(Entries(first, []))
        super().on_append(peer, message)


class TrustfulVoting(Elections):
    """Votes for whoever asks first, up to date or not."""

    def on_vote_request(self, peer: str, request: VoteRequest) -> None:
        """See `Elections.on_vote_request`."""
        super().on_vote_request(peer, msgspec.structs.replace(request, last_term=2**62))


class OldTermCounter(RaftReplica):
    """A replica with `OldTermCounting`."""

    leading_kind = OldTermCounting


class BoastfulLeader(RaftReplica):
    """A replica with `BoastfulCounting`."""

    leading_kind = BoastfulCounting


class HastyReader(RaftReplica):
    """A replica with `HastyReading`."""

    leading_kind = HastyReading


class EagerTruncater(RaftReplica):
    """A replica with `EagerTruncating`."""

    following_kind = EagerTruncating


class TrustfulVoter(RaftReplica):
    """A replica with `TrustfulVoting`."""

    elections_kind = TrustfulVoting


class OneStepChange(JointChange):
    """New weights count from the log on, but without a joint configuration between."""

    def next_step(
        self, held: Configuration, weights: Mapping[str, int], rule: QuorumRule
    ) -> Configuration:
        """See `ChangeRule.next_step`."""
        return configuration_of(held.number + 1, weights)


@dataclass(frozen=True, slots=True)
class HalfQuorum(WeightMajority):
    """Half of the weight is enough."""

    def elects(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.elects`."""
        return 2 * weight >= total

    def commits(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.commits`."""
        return 2 * weight >= total


@dataclass(frozen=True, slots=True)
class CarelessFlexibleQuorum(CountedQuorum):
    """Few acknowledgements commit, and yet a majority elects."""

    def elects(self, weight: int, count: int, total: int, members: int) -> bool:
        """See `QuorumRule.elects`."""
        return 2 * count > members


def _same(rules: Rules) -> Rules:
    return rules


@dataclass(frozen=True, slots=True)
class BrokenTwin:
    """A protocol with one thing wrong."""

    protocol: str
    """What it would be without."""
    rule: frozenset[str]
    """The properties of which one must be found broken."""
    seeds: int
    """Within so many seeds from 0 on it must be caught."""
    replica: type[RaftReplica] = RaftReplica
    change: JointChange | ChangeAtApply | None = None
    quorum: QuorumRule | None = None
    profile: Profile = Profile.HARDENED
    """What else it is like."""
    cuts: tuple[tuple[int, int], ...] = ()
    """When the leader of the moment is cut off besides all that a seed brings: from and until, in
    shortest election timeouts."""

    def plan(self, seed: int) -> Plan:
        """The run of a seed."""
        plan = plan_of(self.protocol, self.profile, seed)
        unit_us = plan.unit_us
        cuts = [Action(at * unit_us, to * unit_us, "partition", (0,)) for at, to in self.cuts]
        return replace(plan, actions=(*plan.actions, *cuts))

    def make(self) -> MakeReplica:
        """How its replicas are made."""

        def make(name, stored, rules, *rest):  # type: ignore[no-untyped-def]
            if self.change:
                rules = replace(rules, change=self.change)
            if self.quorum:
                rules = replace(rules, quorum=self.quorum)
            return self.replica(name, stored, rules, *rest)

        return make


BROKEN = {
    "vote not persisted": BrokenTwin(
        "raft", frozenset({"votes are durable", "one leader per term"}), 3, ForgetfulVoter
    ),
    "nothing but entries persisted": BrokenTwin(
        "raft", frozenset({"votes are durable"}), 3, Amnesiac
    ),
    "old-term entries counted": BrokenTwin(
        "raft", frozenset({"own-term commits", "leader completeness"}), 40, OldTermCounter
    ),
    "matching entries truncated": BrokenTwin(
        "raft", frozenset({"conflict-only truncation"}), 5, EagerTruncater
    ),
    "sent before durable": BrokenTwin(
        "raft", frozenset({"votes are durable", "durable on a quorum"}), 10, HastyReplica
    ),
    "votes for whoever asks": BrokenTwin(
        "raft", frozenset({"leader completeness"}), 40, TrustfulVoter
    ),
    "own entries counted too early": BrokenTwin(
        "raft", frozenset({"durable on a quorum"}), 15, BoastfulLeader
    ),
    "reads without asking": BrokenTwin(
        "raft", frozenset({"linearizability"}), 5, HastyReader, cuts=((4, 12), (14, 22))
    ),
    "weights count when applied": BrokenTwin(
        "weighted-raft",
        frozenset({"quorums meet", "leader completeness"}),
        15,
        change=ChangeAtApply(),
    ),
    "weights change in one step": BrokenTwin(
        "weighted-raft",
        frozenset({"quorums meet", "leader completeness"}),
        15,
        change=OneStepChange(),
    ),
    "half is enough": BrokenTwin(
        "raft",
        frozenset({"quorums meet", "leader completeness", "one leader per term"}),
        20,
        quorum=HalfQuorum(),
    ),
    "few commit and a majority elects": BrokenTwin(
        "flexible-raft",
        frozenset({"quorums meet", "leader completeness"}),
        15,
        quorum=CarelessFlexibleQuorum(1),
    ),
}
"""Each with the properties of which one must be found broken, and the seeds that suffice."""
