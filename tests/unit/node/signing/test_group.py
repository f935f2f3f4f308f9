"""Signers under replicas that keep to the protocol. Goal: the rules never get in their way.

Method: three Raft replicas with a signer each, on a network that loses and delays, with disks that
take their time, and crashes of host and signer, together or one by one; seeds are the parameters.
A refused signature or a start that is refused without a restore fails the test. Then one host is
restored from an older copy, which must be noticed, and comes back without ever signing twice.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random

import msgspec
import pytest
from tests.unit.node.signing.rig import CHAIN

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Frame, Framing
from gridpact.consensus.raft import Profile, RaftMessage, RaftReplica, Role, Timing, raft, recover
from gridpact.consensus.raft.messages import VoteReply, VoteRequest
from gridpact.consensus.raft.records import RaftRecord, Vote, record_bytes
from gridpact.consensus.shape import (
    CancelTimer,
    Compact,
    Decide,
    Effect,
    Event,
    Persist,
    Persisted,
    Propose,
    Received,
    Restore,
    Send,
    SetTimer,
    Suspect,
    TimerFired,
)
from gridpact.node.signing.client import Ed25519Verifier, is_withheld
from gridpact.node.signing.folder import POSITION, Kind, allow, make_key, show
from gridpact.node.signing.keyfile import key_path, unlock
from gridpact.node.signing.position import PositionFile
from gridpact.node.signing.raft_signer import Begun, RaftPosition, RaftSigner, Status, passed
from gridpact.node.signing.standing import Standing

NAMES = ("a", "b", "c")
RULES = raft(Profile.HARDENED, Timing(one_way_ms=10))
MEMBERS = configuration_of(1, dict.fromkeys(NAMES, 1))
LOSS = 0.03
SYNC_MS = (1, 15)
DELAY_MS = (1, 12)
_message = msgspec.msgpack.Decoder(RaftMessage).decode
_record = msgspec.msgpack.Decoder(RaftRecord).decode


class Host:
    """One replica, its log on a slow disk, and its signer."""

    def __init__(self, group: Group, name: str, folder: Path) -> None:
        self.group, self.name, self.folder = group, name, folder
        make_key(folder, kind=Kind.RAFT, chain=CHAIN, name=name, passphrase=None)
        self.records: list[bytes] = []
        """What is durable."""
        self.decided: dict[int, bytes] = {}
        self.life = 0
        self.file: PositionFile[RaftPosition] | None = None

    def open_signer(self) -> None:
        self.file = PositionFile(self.folder / POSITION, RaftPosition)
        key = unlock(key_path(self.folder, 1))
        self.group.keys[self.name] = key.public
        standing = Standing(self.folder)
        self.signer = self.group.signer_type(key, CHAIN, self.name, self.file, standing)

    def close_signer(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None

    def begin(self) -> Status:
        """Start from the disk, as a node's host must."""
        if self.file is None:
            self.open_signer()
        stored = recover(MEMBERS, self.records)
        self.position = passed(RaftPosition(), self.records)
        last = stored.snapshot.index + len(stored.entries)
        begun = self.signer.begin(stored.term, stored.voted_for, last, self.position.index)
        if begun.status is Status.BEHIND:
            return begun.status
        if (begun.term, begun.voted_for) != (stored.term, stored.voted_for):
            self.write((record_bytes(Vote(begun.term, begun.voted_for)),))
            stored = recover(MEMBERS, self.records)
        self.waiting: deque[Effect] = deque()
        self.timers: dict[str, int] = {}
        group = self.group
        framing = Framing[RaftMessage](CHAIN, self.name, RaftMessage, self.signer, group.verifier)
        self.replica = RaftReplica(self.name, stored, RULES, Random(group.random.random()), framing)
        self.life += 1
        self.is_up = True
        self.take(self.replica.start(group.now_ms))
        return begun.status

    def write(self, records: tuple[bytes, ...]) -> None:
        self.records += records
        self.position = passed(self.position, records)
        self.signer.advance(self.position.term, self.position.voted_for, self.position.index)

    def crash(self, *, with_signer: bool) -> None:
        self.is_up = False
        self.life += 1
        self.signer.end()
        if with_signer:
            self.close_signer()

    def step(self, event: Event) -> None:
        self.take(self.replica.step(event, self.group.now_ms))

    def take(self, effects: list[Effect]) -> None:
        was_waiting = bool(self.waiting)
        self.waiting.extend(effects)
        if not was_waiting:
            self.pump()

    def pump(self) -> None:
        """Do effects in order, up to what the disk has not done."""
        while self.waiting:
            effect = self.waiting[0]
            if isinstance(effect, Persist):
                self.group.later(self.group.random.randint(*SYNC_MS), self.alive(self.synced))
                return
            self.waiting.popleft()
            self.do(effect)

    def synced(self) -> None:
        effect = self.waiting.popleft()
        assert isinstance(effect, Persist)
        self.write(effect.records)
        self.waiting.extend(self.replica.step(Persisted(effect.token), self.group.now_ms))
        self.pump()

    def do(self, effect: Effect) -> None:
        match effect:
            case Send(peer, data):
                if not is_withheld(data):
                    self.group.send(self.name, peer, data)
            case SetTimer(timer, delay_ms):
                self.timers[timer] = due = next(self.group.numbers)
                self.group.later(delay_ms, self.alive(lambda: self.fire(timer, due)))
            case CancelTimer(timer):
                self.timers.pop(timer, None)
            case Decide(height, payload):
                self.decided[height] = payload
                assert self.group.decided.setdefault(height, payload) == payload
                if height % 20 == 0:
                    self.group.later(5, self.alive(lambda: self.step(Compact(height, b""))))
            case Suspect():
                raise AssertionError(effect)
            case Restore(height):
                assert height <= max(self.group.decided, default=0) + 50

    def fire(self, timer: str, due: int) -> None:
        if self.timers.get(timer) == due:
            self.step(TimerFired(timer))

    def alive(self, call: Callable[[], None]) -> Callable[[], None]:
        """The call, unless the host has crashed in between."""
        life = self.life
        return lambda: call() if self.life == life and self.is_up else None


class Group:
    """Three hosts, a network and a clock."""

    def __init__(self, folder: Path, seed: int, signer_type: type[RaftSigner] = RaftSigner) -> None:
        self.signer_type = signer_type
        self.random = Random(seed)
        self.now_ms = self.era = 0
        """Messages of an earlier era never arrive."""
        self.numbers = count()
        self.queue: list[tuple[int, int, Callable[[], None]]] = []
        self.keys: dict[str, bytes] = {}
        self.verifier = Ed25519Verifier(self.keys)
        self.decided: dict[int, bytes] = {}
        self.votes: dict[tuple[str, int], str] = {}
        """(member, term) -> for whom a vote has left its host."""
        self.hosts = {name: Host(self, name, folder / name) for name in NAMES}
        for host in self.hosts.values():
            host.open_signer()
        for host in self.hosts.values():
            assert host.begin() is Status.READY

    def later(self, delay_ms: int, call: Callable[[], None]) -> None:
        heapq.heappush(self.queue, (self.now_ms + delay_ms, next(self.numbers), call))

    def send(self, sender: str, peer: str, data: bytes) -> None:
        self.note_vote(sender, peer, data)
        if self.random.random() >= LOSS:
            delay_ms = self.random.randint(*DELAY_MS)
            era = self.era
            self.later(delay_ms, lambda: self.deliver(sender, peer, data, era))

    def note_vote(self, sender: str, peer: str, data: bytes) -> None:
        message = _message(msgspec.msgpack.decode(data, type=Frame).body)
        if isinstance(message, VoteReply) and message.granted and not message.trial:
            given = peer
        elif isinstance(message, VoteRequest) and not message.trial:
            given = sender
        else:
            return
        assert self.votes.setdefault((sender, message.term), given) == given, "two votes"

    def deliver(self, sender: str, peer: str, data: bytes, era: int) -> None:
        if self.hosts[peer].is_up and era == self.era:
            self.hosts[peer].step(Received(sender, data))

    def run(self, until_ms: int) -> None:
        while self.queue and self.queue[0][0] <= until_ms:
            self.now_ms, _, call = heapq.heappop(self.queue)
            call()
        self.now_ms = until_ms

    def propose(self) -> None:
        """A client tries everybody."""
        number = next(self.numbers)
        for host in self.hosts.values():
            if host.is_up:
                host.step(Propose(number, b"%d" % number))

    def close(self) -> None:
        for host in self.hosts.values():
            host.close_signer()


def ask(group: Group, rounds: int) -> None:
    for _ in range(rounds):
        group.propose()
        group.run(group.now_ms + group.random.randint(5, 60))


def trade(group: Group, rounds: int, *, crashes: bool) -> None:
    for _ in range(rounds):
        ask(group, 1)
        for host in group.hosts.values():
            if not host.is_up and group.random.random() < 0.3:
                assert host.begin() is not Status.BEHIND, "nothing was restored"
            elif crashes and host.is_up and group.random.random() < 0.03:
                host.crash(with_signer=group.random.random() < 0.5)


@pytest.mark.parametrize("seed", range(8))
def test_signers_do_not_hinder_who_keeps_to_the_protocol(tmp_path: Path, seed: int) -> None:
    group = Group(tmp_path, seed)
    trade(group, 250, crashes=True)
    trade(group, 50, crashes=False)
    assert len(group.decided) > 50
    assert len({term for _, term in group.votes}) > 3
    group.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_restored_host_comes_back_without_signing_twice(tmp_path: Path, seed: int) -> None:
    group = Group(tmp_path, seed)
    trade(group, 60, crashes=False)
    restored = group.hosts[group.random.choice(NAMES)]
    copy = list(restored.records)
    trade(group, 120, crashes=True)
    trade(group, 30, crashes=False)
    held = passed(RaftPosition(), restored.records)
    if restored.is_up:
        restored.crash(with_signer=True)
    restored.close_signer()
    assert len(copy) < len(restored.records)

    restored.records = copy
    assert restored.begin() is Status.BEHIND
    restored.close_signer()
    assert show(restored.folder).position == msgspec.structs.replace(
        held, highest=show(restored.folder).position.highest
    )
    allow(restored.folder)
    assert restored.begin() is Status.CATCHING_UP
    trade(group, 60, crashes=True)
    trade(group, 60, crashes=False)
    assert show(restored.folder).allowed is None, "it has caught up"
    assert max(restored.decided) > max(group.decided) - 10
    group.close()


class Forgetful(RaftSigner):
    """Believes whatever a host states: the broken twin."""

    def begin(self, term: int, voted_for: str, last_index: int, index: int = 0) -> Begun:
        self._status, self._term, self._voted_for = Status.READY, term, voted_for
        return Begun(self._status, term, voted_for, 0)

    def advance(self, term: int, voted_for: str, index: int) -> None:
        self._pledge(term, voted_for)


def is_vote_from(data: bytes, term: int) -> bool:
    record = _record(data)
    return isinstance(record, Vote) and record.term >= term


def second_election(
    folder: Path, signer_type: type[RaftSigner]
) -> tuple[Group, Host, Host, Status]:
    """One gives its vote, is restored to before that, and meets who would like to have it too.

    Returns:
        The group, who was restored, who got the first vote and is down, and what the signer said.
    """
    group = Group(folder, 1, signer_type)
    trade(group, 20, crashes=False)
    leader = next(host for host in group.hosts.values() if host.replica.role is Role.LEADER)
    others = [host for host in group.hosts.values() if host is not leader]
    leader.crash(with_signer=False)
    while not any(host.replica.role is Role.LEADER for host in others):
        group.run(group.now_ms + 10)
    winner, voter = sorted(others, key=lambda host: host.replica.role is not Role.LEADER)
    assert group.votes[voter.name, winner.replica.term] == winner.name
    winner.crash(with_signer=False)
    voter.crash(with_signer=True)
    voter.close_signer()
    term = winner.replica.term
    cut = [is_vote_from(record, term) for record in voter.records].index(True)
    del voter.records[cut:]
    group.era += 1
    assert leader.begin() is Status.READY
    return group, voter, winner, voter.begin()


def test_a_restored_voter_is_silent_until_the_others_are_back(tmp_path: Path) -> None:
    group, voter, winner, status = second_election(tmp_path, RaftSigner)
    assert status is Status.BEHIND
    voter.close_signer()
    allow(voter.folder)
    assert voter.begin() is Status.CATCHING_UP
    before = len(group.decided)
    ask(group, 60)
    assert len(group.decided) == before, "one vote of three"
    assert winner.begin() is Status.READY
    ask(group, 60)
    assert len(group.decided) > before
    group.close()


def test_broken_twin_votes_twice(tmp_path: Path) -> None:
    group, _, _, status = second_election(tmp_path, Forgetful)
    assert status is Status.READY
    with pytest.raises(AssertionError, match="two votes"):
        ask(group, 60)
    group.close()
