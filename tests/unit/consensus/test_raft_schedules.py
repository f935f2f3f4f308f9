"""Random schedules with slow disks: what Raft promises holds after every single effect.

A seed chooses messages to deliver, double or lose, timers, crashes with torn disks, partitions,
snapshots, changes of weights and members, and leadership to hand over. Observed throughout: one
leader a term; nothing decided before its quorum has it on disk; nothing decided twice; no message
that honest replicas suspect each other for. Then everything heals and must go on.
"""

from __future__ import annotations

from random import Random

import pytest

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import (
    Profile,
    RaftReplica,
    Role,
    Rules,
    Timing,
    flexible_raft,
    raft,
    recover,
    weighted_raft,
)
from gridpact.consensus.raft.log import Log
from gridpact.consensus.raft.membership import Membership
from gridpact.consensus.raft.messages import AppendReply, Entry, VoteReply
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Effect,
    Propose,
    ReadReady,
    ReadRequest,
    Reconfigure,
    Restore,
    Send,
    Suspect,
    TimerFired,
    TransferLeadership,
)
from raft_bench import Group, message_in

LAN = Timing(one_way_ms=1)
NAMES = "abcdef"
KINDS = {
    "raft": raft(Profile.HARDENED, LAN),
    "weighted": weighted_raft(Profile.HARDENED, LAN),
    "flexible": flexible_raft(Profile.HARDENED, LAN, 2),
    "no trial votes": raft(Profile.PAPER, LAN),
}
ACTIONS = {
    "deliver": 200,
    "double": 4,
    "lose": 6,
    "timer": 8,
    "propose": 12,
    "save": 150,
    "crash": 1,
    "restart": 4,
    "part": 1,
    "heal": 3,
    "compact": 3,
    "change": 4,
    "transfer": 1,
    "read": 3,
    "clock": 1,
}
SEEDS = 25
STEPS = 1_500
KEPT = {"flexible": [1601]}
"""Seeds that failed once. 1601: a replica elected itself before its vote was durable, crashed, and
the term had another leader."""


class Watched(Group):
    """A group whose promises are checked at every effect that leaves a replica."""

    def __init__(self, rules: Rules, members: str, seed: int) -> None:
        self.decided: dict[int, Entry] = {}
        self.told: dict[int, bytes] = {}
        self.leads: dict[int, str] = {}
        self.votes: dict[tuple[str, int], str] = {}
        self.highest = 0
        self.reads: dict[int, int] = {}
        start = configuration_of(0, dict.fromkeys(members, 1))
        spares = {name: start for name in NAMES if name not in members}
        super().__init__(rules, start, seed=seed, spares=spares, watch=self.check)

    def stored(self, name: str) -> Log:
        return Log(recover(self.starts[name], self.hosts[name].disk))

    def check(self, name: str, effect: Effect) -> None:
        match effect:
            case Suspect():
                raise AssertionError(f"{name}: {effect}")
            case Send(peer, data):
                self.check_answer(name, peer, data)
            case Decide(height, payload):
                assert self.told.setdefault(height, payload) == payload
            case Restore(height):
                assert height <= self.highest
            case ReadReady(token, height):
                assert height >= self.reads[token]

    def check_answer(self, name: str, peer: str, data: bytes) -> None:
        """What an answer says is on the disk already."""
        message = message_in(data)
        if isinstance(message, VoteReply) and message.granted and not message.trial:
            stored = recover(self.starts[name], self.hosts[name].disk)
            assert stored.term > message.term or stored.voted_for == peer
            assert self.votes.setdefault((name, message.term), peer) == peer
        if isinstance(message, AppendReply) and message.accepted:
            stored = recover(self.starts[name], self.hosts[name].disk)
            assert stored.term >= message.term
            log = Log(stored)
            assert log.last_index >= message.index or stored.term > message.term

    def after_step(self, name: str) -> None:
        """Before any effect of the step is done: what it believes must be true already."""
        replica = self.hosts[name].replica
        if replica.role is Role.LEADER:
            assert self.leads.setdefault(replica.term, name) == name
        self.check_decided(name, replica)
        for height in [each for each in self.told if each in self.decided]:
            assert self.decided[height].payload == self.told.pop(height)

    def check_decided(self, name: str, replica: RaftReplica) -> None:
        """Whatever one calls decided agrees, and is durable on a quorum when it is new.

        A leader counts with the last configuration in its log, and may have added one since.
        """
        for index in range(replica.log.snapshot.index + 1, replica.commit + 1):
            entry = replica.log.entry(index)
            assert self.decided.setdefault(index, entry) == entry, f"{name}, height {index}"
        if replica.commit <= self.highest:
            return
        logs = {each: self.stored(each) for each in self.hosts}
        index, term = replica.commit, replica.log.term_at(replica.commit)
        has = {
            each: int(log.snapshot.index > index or log.term_at(index) == term)
            for each, log in logs.items()
        }
        held = [c for place, c in replica.log.configurations if place > index]
        held.insert(0, replica.log.configuration_at(index))
        counts = [Membership(each, self.rules.quorum).reached(has) for each in held]
        assert 1 in counts, f"{name} decided {index} too early: {has}, {held}"
        self.highest = index


class Run:
    """Actions by chance."""

    def __init__(self, kind: str, seed: int) -> None:
        self.random = Random(f"{kind}/{seed}")
        members = NAMES[: self.random.choice((1, 2, 3, 3, 4, 5))]
        self.group = Watched(KINDS[kind], members, seed)
        self.token = 0
        for host in self.group.hosts.values():
            host.held = True

    def act(self) -> None:
        action = self.random.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        getattr(self, action)(self.random.choice(list(self.group.hosts)))

    def next_token(self) -> int:
        self.token += 1
        return self.token

    def leader(self) -> str:
        return self.random.choice(self.group.leaders() or list(self.group.hosts))

    def deliver(self, name: str) -> None:
        if self.group.wires:
            last = min(len(self.group.wires) - 1, int(self.random.expovariate(0.5)))
            self.group.deliver(self.group.wires[last])
        else:
            self.timer(name)

    def double(self, name: str) -> None:
        if self.group.wires:
            self.group.wires.append(self.random.choice(self.group.wires))

    def lose(self, name: str) -> None:
        if self.group.wires:
            self.group.wires.remove(self.random.choice(self.group.wires))

    def timer(self, name: str) -> None:
        host = self.group.hosts[name]
        if host.up and host.timers:
            timer = min(host.timers, key=lambda each: host.timers[each])
            self.group.now_ms = max(self.group.now_ms, host.timers.pop(timer))
            self.group.step(name, TimerFired(timer))

    def propose(self, name: str) -> None:
        token = self.next_token()
        self.group.step(self.leader(), Propose(token, b"%d" % token))

    def save(self, name: str) -> None:
        self.group.save(name, self.random.randint(1, 3))

    def crash(self, name: str) -> None:
        if self.group.hosts[name].up:
            self.group.crash(name, torn=self.random.choice((0, 0, 1, 2)))

    def restart(self, name: str) -> None:
        if not self.group.hosts[name].up:
            self.group.restart(name)
            self.group.hosts[name].held = True

    def part(self, name: str) -> None:
        for one in self.group.hosts:
            for other in self.group.hosts:
                if self.random.random() < 0.3:
                    self.group.cut.add((one, other))

    def heal(self, name: str) -> None:
        self.group.cut.clear()

    def compact(self, name: str) -> None:
        commit = self.group[name].commit
        self.group.step(name, Compact(commit, b"%d" % commit))

    def change(self, name: str) -> None:
        members = self.random.sample(list(NAMES), self.random.randint(1, 5))
        held = self.group[self.leader()].membership.configuration.voters
        if self.random.random() < 0.5:
            members = [voter.name for voter in held]
        weights = {member: self.random.randint(1, 4) for member in sorted(members)}
        self.group.step(self.leader(), Reconfigure(self.next_token(), tuple(weights.items())))

    def transfer(self, name: str) -> None:
        self.group.step(self.leader(), TransferLeadership(name))

    def read(self, name: str) -> None:
        token = self.next_token()
        self.group.reads[token] = self.group.highest
        self.group.step(self.leader(), ReadRequest(token))

    def clock(self, name: str) -> None:
        self.group.now_ms = max(0, self.group.now_ms + self.random.randint(-500, 500))

    def settle(self) -> None:
        """Everything heals: soon a proposal is decided by all members."""
        group = self.group
        group.cut.clear()
        for name, host in group.hosts.items():
            if not host.up:
                group.restart(name)
            host.held = False
            group._drain(name)
        group.delay_ms = lambda _sender, _receiver: 1
        for _ in range(60):
            group.run(group.now_ms + 200)
            self.propose("")
            latest = max(group.hosts.values(), key=lambda host: host.replica.commit)
            members = latest.replica.membership.members
            commits = {group[name].commit for name in members}
            if not latest.replica.membership.configuration.is_joint and min(commits) > self.before:
                return
        raise AssertionError("nothing is decided after healing")

    def go(self, steps: int) -> None:
        for _ in range(steps):
            self.act()
        self.before = self.group.highest
        self.settle()


@pytest.mark.parametrize("kind", KINDS)
def test_promises_hold_under_random_schedules(kind: str) -> None:
    for seed in [*range(SEEDS), *KEPT.get(kind, [])]:
        try:
            Run(kind, seed).go(STEPS)
        except Exception as error:
            raise AssertionError(f"{kind}, seed {seed}") from error
