"""What must hold in every run of every Raft, checked at every step.

The watch sees records and decisions as hosts do them, and looks at the replicas from outside. Its
own picture of the logs holds only terms: that one (index, term) stands for one entry after one
predecessor is checked entry by entry, and the rest follows by induction.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Mapping, Sequence

import msgspec

from gridpact.consensus.raft import Membership, RaftReplica, Role
from gridpact.consensus.raft.records import Entries, RaftRecord, Snapshot, Vote
from gridpact.consensus.raft.replica import UNDECIDED_MAX
from gridpact.consensus.shape import Decide, Persist, Restore
from gridpact.sim.quorums import QuorumWatch
from gridpact.sim.world import Host, Violation

UNKNOWN = -1
_LEADER = Role.LEADER
_decoder = msgspec.msgpack.Decoder(RaftRecord)


class Watched:
    """What is remembered of one host."""

    __slots__ = ("commit", "durable", "led", "membership", "records", "terms", "vote")

    def __init__(self) -> None:
        self.terms: list[int] = []
        """Of the entries that its replica wants on the disk, from index 1."""
        self.durable: list[int] = []
        """Of those that are there."""
        self.vote = (0, "")
        """The durable one."""
        self.records: deque[list[RaftRecord]] = deque()
        """Wanted, not yet durable."""
        self.commit = 0
        self.led = 0
        """The term that it leads; 0 when it does not."""
        self.membership: Membership | None = None
        """As of the last step."""


class RaftWatch:
    """Always on: see `Watch`.

    Args:
        by_name: all hosts, by the name of their replica.
    """

    def __init__(self, by_name: Mapping[str, Sequence[Host]]) -> None:
        self._by_name = by_name
        self.leaders: dict[int, str] = {}
        """By term."""
        self.terms: list[int] = []
        """Of the decided entries, from index 1."""
        self.heights: list[int] = []
        """Of the decided payloads."""
        self.payloads: list[bytes] = []
        self.places: dict[bytes, int] = {}
        """Height by payload."""
        self.elections = self.decisions = self._latest = 0
        self._chain = [hashlib.blake2b(digest_size=16).digest()]
        self._entries: dict[int, tuple[int, bytes]] = {}
        """(term of the predecessor, payload) by index << 40 | term."""
        self._decided_in: dict[int, int] = {}
        """Highest index by the term whose leader decided it."""
        self._quorums = QuorumWatch(list(by_name))

    # Steps

    def began(self, host: Host) -> None:
        """See `Watch.began`. What was wanted and is not durable is forgotten."""
        replica = host.replica
        if host.watched is None:
            host.watched = Watched()
        seen = host.watched
        seen.records.clear()
        seen.terms = self._before(replica.log.snapshot)
        seen.terms += [entry.term for entry in replica.log.entries]
        seen.durable = list(seen.terms)
        seen.vote = (replica.term, replica.voted_for)
        seen.commit, seen.led = replica.commit, 0
        seen.membership = replica.membership

    def stepped(self, host: Host) -> None:
        """See `Watch.stepped`."""
        state = host.replica.state
        seen: Watched = host.watched
        if state.role is _LEADER:
            # until its own vote is durable, nothing that a leader does leaves the machine
            if seen.led != state.term and seen.vote[0] == state.term:
                self._elected(host, host.replica, seen)
            if state.commit != seen.commit:
                if seen.led != state.term:
                    raise Violation("votes are durable", f"{host.name} decides, vote {seen.vote}")
                self._committed(host, host.replica, seen)
        else:
            if state.commit != seen.commit:
                self._committed(host, host.replica, seen)
            seen.led = 0
        seen.membership = state.membership

    def _elected(self, host: Host, replica: RaftReplica, seen: Watched) -> None:
        term = replica.term
        self.elections += 1
        other = self.leaders.setdefault(term, host.name)
        if other != host.name or seen.led > term:
            raise Violation("one leader per term", f"term {term}: {other} and {host.name}")
        seen.led = term
        self._latest = max(self._latest, term)
        decided = max((top for by, top in self._decided_in.items() if by < term), default=0)
        if decided > replica.log.snapshot.index:
            held = replica.log.term_at(decided)
            if held != self.terms[decided - 1]:
                raise Violation(
                    "leader completeness",
                    f"{host.name} leads term {term} with term {held} at {decided}, "
                    f"where {self.terms[decided - 1]} is decided",
                )
        supporters = replica.supporters()
        for name in supporters:
            votes = [voter.watched.vote for voter in self._by_name[name] if voter.watched]
            if not any(vote[0] > term or vote == (term, host.name) for vote in votes):
                raise Violation(
                    "votes are durable", f"{name} for {host.name} in term {term}; disk: {votes}"
                )
        number = replica.membership.configuration.number
        self._quorums.elected(number, term, supporters)

    def _committed(self, host: Host, replica: RaftReplica, seen: Watched) -> None:
        first, seen.commit = seen.commit + 1, replica.commit
        log, commit = replica.log, replica.commit
        if commit < first:
            raise Violation("decisions stay", f"{host.name} goes back from {first - 1} to {commit}")
        for index in range(len(self.terms) + 1, commit + 1):
            self.terms.append(log.term_at(index))
        held = log.term_at(commit)
        if held != self.terms[commit - 1]:
            raise Violation(
                "state machine agreement",
                f"{host.name} decides term {held} at {commit}, others {self.terms[commit - 1]}",
            )
        if seen.led and seen.led == replica.term:
            self._counted(host, replica, seen)

    def _counted(self, host: Host, replica: RaftReplica, seen: Watched) -> None:
        """A leader has decided by counting: its quorum must be on the disks now."""
        commit, term = replica.commit, replica.term
        self.decisions += 1
        if replica.log.term_at(commit) != term:
            raise Violation(
                "own-term commits",
                f"{host.name} counts an entry of term {replica.log.term_at(commit)} in {term}",
            )
        if replica.log.last_index - commit > UNDECIDED_MAX + 2:
            raise Violation("bounded queues", f"{replica.log.last_index - commit} undecided")
        membership = seen.membership or replica.membership
        on_disk = {name for name in membership.members if self._is_durable(name, commit, term)}
        if not commits(membership, on_disk):
            raise Violation(
                "durable on a quorum",
                f"{host.name} decides {commit} in term {term}, on the disks of {sorted(on_disk)}",
            )
        self._decided_in[term] = max(commit, self._decided_in.get(term, 0))
        if term < self._latest:
            for later, leader in self.leaders.items():
                if later > term:
                    self._still_there(leader, later, commit, term)
        counted = replica.holders(commit) if replica.role is Role.LEADER else on_disk
        number = membership.configuration.number
        self._quorums.decided(number, term, counted)

    def _still_there(self, leader: str, later: int, index: int, term: int) -> None:
        """A decision of an old leader must be in the log of one elected meanwhile."""
        for host in self._by_name[leader]:
            seen = host.watched
            if host.alive and seen.led == later:
                held = host.replica.log.term_at(index)
                if held != term and index > host.replica.log.snapshot.index:
                    raise Violation(
                        "leader completeness",
                        f"{leader} leads term {later} without {index} of term {term}",
                    )

    def _is_durable(self, name: str, index: int, term: int) -> bool:
        for host in self._by_name.get(name, ()):
            durable = host.watched.durable if host.watched else ()
            if index <= len(durable) and durable[index - 1] in {term, UNKNOWN}:
                return True
        return False

    # Records

    def wrote(self, host: Host, persist: Persist) -> None:
        """See `Watch.wrote`."""
        seen: Watched = host.watched
        decoded = [_decoder.decode(record) for record in persist.records]
        seen.records.append(decoded)
        for record in decoded:
            if type(record) is Entries:
                self._log_grows(host, seen, record)
            elif type(record) is Snapshot:
                self._apply(seen.terms, record)

    def _log_grows(self, host: Host, seen: Watched, record: Entries) -> None:
        terms, first = seen.terms, record.first
        if first <= len(terms):
            self._truncates(host, terms, record)
            del terms[first - 1 :]
        elif first != len(terms) + 1:
            raise Violation("log matching", f"{host.name} leaves a gap before {first}")
        before = terms[-1] if terms else 0
        known = self._entries
        for index, entry in enumerate(record.entries, first):
            key = index << 40 | entry.term
            held = known.get(key)
            if held is None:
                known[key] = (before, entry.payload)
            elif held[1] != entry.payload or (held[0] != before and before != UNKNOWN):
                raise Violation(
                    "log matching", f"{host.name} has another entry at ({index}, {entry.term})"
                )
            before = entry.term
            terms.append(before)

    def _truncates(self, host: Host, terms: list[int], record: Entries) -> None:
        first = record.first
        if not record.entries or terms[first - 1] == record.entries[0].term:
            raise Violation("conflict-only truncation", f"{host.name} drops a matching {first}")
        decided = self.terms
        if first <= len(decided) and terms[first - 1] == decided[first - 1]:
            raise Violation("decided entries stay", f"{host.name} drops the decided {first}")

    def synced(self, host: Host) -> None:
        """See `Watch.synced`."""
        seen: Watched = host.watched
        for record in seen.records.popleft():
            if type(record) is Vote:
                seen.vote = (record.term, record.voted_for)
            else:
                self._apply(seen.durable, record)

    def _apply(self, terms: list[int], record: Entries | Snapshot | Vote) -> None:
        if type(record) is Entries:
            del terms[record.first - 1 :]
            terms.extend([entry.term for entry in record.entries])
        elif type(record) is Snapshot:
            before = self._before(record)
            if record.keeps_rest:
                terms[: record.index] = before
            else:
                terms[:] = before

    def _before(self, snapshot: Snapshot) -> list[int]:
        """Terms up to a snapshot's index, which are decided."""
        known = self.terms[: snapshot.index]
        return known + [UNKNOWN] * (snapshot.index - len(known))

    # Decisions

    def decided(self, host: Host, effect: Decide) -> None:
        """See `Watch.decided`."""
        count, height, payload = host.count, effect.height, effect.payload
        if count < len(self.heights):
            if self.heights[count] != height or self.payloads[count] != payload:
                raise Violation(
                    "state machine agreement",
                    f"{host.name} decides {payload[:24]!r} at {height}, others "
                    f"{self.payloads[count][:24]!r} at {self.heights[count]}",
                )
        else:
            if payload in self.places:
                raise Violation("decided once", f"{payload[:24]!r} at {height} again")
            self.heights.append(height)
            self.payloads.append(payload)
            self.places[payload] = height
            digest = hashlib.blake2b(self._chain[-1], digest_size=16)
            digest.update(b"%d:" % height + payload)
            self._chain.append(digest.digest())
        host.count, host.height = count + 1, height

    def snapshot(self, host: Host) -> bytes:
        """See `Watch.snapshot`: how many decisions, and the hash of all of them."""
        return host.count.to_bytes(8, "big") + self._chain[host.count]

    def restored(self, host: Host, effect: Restore) -> None:
        """See `Watch.restored`."""
        count = int.from_bytes(effect.data[:8], "big")
        if (
            count < host.count
            or count > len(self.heights)
            or effect.data[8:] != self._chain[count]
            or (count and self.heights[count - 1] > effect.height)
            or (count < len(self.heights) and self.heights[count] <= effect.height)
        ):
            raise Violation("prefix consistency", f"{host.name} restores {count} decisions")
        host.count = count
        host.height = self.heights[count - 1] if count else 0

    def state_hash(self) -> str:
        """The hash of everything decided, in hexadecimal."""
        return self._chain[-1].hex()


def commits(membership: Membership, holders: Collection[str]) -> bool:
    """Whether these hold enough to decide, counted again from the rule."""
    for side, total in membership.sides:
        held = [side[name] for name in holders if name in side]
        if not membership.rule.commits(sum(held), len(held), total, len(side)):
            return False
    return True
