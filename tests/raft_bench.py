"""Raft replicas on a bench: every message, timer and disk in the hands of the test.

A `Group` does effects in list order, one host after another, as the real host must: what stands
after a `Persist` waits until its records are on that host's disk, while later events are stepped
already. Signatures are keyed hashes. `run` adds delays and lets time pass.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random

import msgspec

from gridpact.consensus.configuration import Configuration, configuration_of
from gridpact.consensus.frames import Frame, Framing
from gridpact.consensus.raft import RaftMessage, RaftReplica, Role, Rules, recover
from gridpact.consensus.raft.records import first_start
from gridpact.consensus.shape import (
    CancelTimer,
    Decide,
    Effect,
    Event,
    Persist,
    Persisted,
    ReadReady,
    Received,
    Refused,
    Restore,
    Send,
    SetTimer,
    Suspect,
    TimerFired,
)

CHAIN = b"c" * 32
_read_frame = msgspec.msgpack.Decoder(Frame).decode
_read_message = msgspec.msgpack.Decoder(RaftMessage).decode


class KeyedHash:
    """Signer of one name and verifier of all: unforgeable as long as nobody asks for a key."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def sign(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self.name.encode(), digest_size=16).digest()

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        return KeyedHash(sender).sign(data) == signature


def framing(name: str, chain: bytes = CHAIN) -> Framing[RaftMessage]:
    return Framing(chain, name, RaftMessage, KeyedHash(name), KeyedHash())


def message_in(data: bytes) -> RaftMessage:
    """What a frame says, whoever signed it."""
    return _read_message(_read_frame(data).body)


@dataclass(frozen=True, slots=True)
class Wire:
    """A message on its way."""

    due_ms: int
    sender: str
    receiver: str
    data: bytes

    @property
    def message(self) -> RaftMessage:
        return message_in(self.data)


@dataclass(slots=True)
class Host:
    """One replica with its disk, its timers and what it was told."""

    name: str
    replica: RaftReplica
    disk: list[bytes] = field(default_factory=list)
    held: bool = False
    """Whether the disk is slow: records wait until they are saved by hand."""
    up: bool = True
    queue: deque[Effect] = field(default_factory=deque)
    timers: dict[str, int] = field(default_factory=dict)
    told: list[Effect] = field(default_factory=list)
    """`Decide`, `Restore`, `ReadReady`, `Refused`, `Suspect`, in order."""

    @property
    def decided(self) -> list[tuple[int, bytes]]:
        return [(one.height, one.payload) for one in self.told if isinstance(one, Decide)]

    @property
    def suspects(self) -> list[Suspect]:
        return [one for one in self.told if isinstance(one, Suspect)]


class Group:
    """Replicas, the links between them, and a clock."""

    def __init__(
        self,
        rules: Rules,
        configuration: Configuration | Mapping[str, int],
        *,
        seed: int = 0,
        spares: Mapping[str, Configuration] | None = None,
        delay_ms: Callable[[str, str], int] = lambda _sender, _receiver: 0,
        watch: Callable[[str, Effect], None] = lambda _name, _effect: None,
    ) -> None:
        if not isinstance(configuration, Configuration):
            configuration = configuration_of(0, configuration)
        self.rules, self.seed, self.delay_ms, self.watch = rules, seed, delay_ms, watch
        self.now_ms = 0
        self.wires: list[Wire] = []
        self.cut: set[tuple[str, str]] = set()
        self.starts = {voter.name: configuration for voter in configuration.voters}
        self.starts.update(spares or {})
        self.hosts: dict[str, Host] = {}
        for name in sorted(self.starts):
            self.hosts[name] = Host(name, self._replica(name, []))
        for name in self.hosts:
            self._begin(name)

    def __getitem__(self, name: str) -> RaftReplica:
        return self.hosts[name].replica

    def _replica(self, name: str, disk: list[bytes]) -> RaftReplica:
        start = self.starts[name]
        stored = recover(start, disk) if disk else first_start(start)
        random = Random(f"{self.seed}/{name}")
        return RaftReplica(name, stored, self.rules, random, framing(name), self.starts)

    def _begin(self, name: str) -> None:
        host = self.hosts[name]
        host.queue.extend(host.replica.start(self.now_ms))
        self._drain(name)

    # Events

    def step(self, name: str, event: Event) -> None:
        """One event for one replica, and whatever effects may be done now."""
        host = self.hosts[name]
        if host.up:
            host.queue.extend(host.replica.step(event, self.now_ms))
            self.after_step(name)
            self._drain(name)

    def after_step(self, name: str) -> None:
        """For those that look at a replica before its effects are done."""

    def _drain(self, name: str) -> None:
        host = self.hosts[name]
        while host.queue and not (host.held and isinstance(host.queue[0], Persist)):
            self._do(host, host.queue.popleft())

    def _do(self, host: Host, effect: Effect) -> None:
        self.watch(host.name, effect)
        match effect:
            case Persist(records, token):
                host.disk.extend(records)
                host.queue.extend(host.replica.step(Persisted(token), self.now_ms))
                self.after_step(host.name)
            case Send(peer, data):
                if (host.name, peer) not in self.cut:
                    due_ms = self.now_ms + self.delay_ms(host.name, peer)
                    self.wires.append(Wire(due_ms, host.name, peer, data))
            case SetTimer(timer, delay_ms):
                host.timers[timer] = self.now_ms + delay_ms
            case CancelTimer(timer):
                host.timers.pop(timer, None)
            case Decide() | Restore() | ReadReady() | Refused() | Suspect():
                host.told.append(effect)

    def save(self, name: str, count: int = 1) -> None:
        """Let a slow disk finish so many `Persist`s."""
        host = self.hosts[name]
        for _ in range(count):
            if host.queue:
                self._do(host, host.queue.popleft())
                self._drain(name)

    def crash(self, name: str, torn: int = 0) -> None:
        """Lose everything but the disk, and so many of its first waiting records are on it too."""
        host = self.hosts[name]
        waiting = [
            record for one in host.queue if isinstance(one, Persist) for record in one.records
        ]
        host.disk.extend(waiting[:torn])
        host.up = host.held = False
        host.queue.clear()
        host.timers.clear()

    def restart(self, name: str) -> None:
        host = self.hosts[name]
        host.up, host.replica = True, self._replica(name, host.disk)
        self._begin(name)

    # Links

    def deliver(self, wire: Wire) -> None:
        self.wires.remove(wire)
        if (wire.sender, wire.receiver) not in self.cut:
            self.step(wire.receiver, Received(wire.sender, wire.data))

    def deliver_all(self, keep: Callable[[Wire], bool] = lambda _wire: True) -> None:
        """Deliver in order until nothing is on its way, what is sent meanwhile too."""
        for _ in range(10_000):
            found = next((wire for wire in self.wires if keep(wire)), None)
            if found is None:
                return
            self.deliver(found)
        raise AssertionError("messages without end")

    def part(self, *sides: str) -> None:
        """Cut all links between sides, each a string of names."""
        groups = [side.split() for side in sides]
        self.cut = {
            (one, other)
            for side in groups
            for one in side
            for far in groups
            if far is not side
            for other in far
        }

    # Time

    def fire(self, name: str, timer: str = "election") -> None:
        """Let time pass until a timer of one replica has really run out."""
        host = self.hosts[name]
        for _ in range(3):
            self.now_ms = max(self.now_ms, host.timers[timer])
            waits = timer == "election" and host.replica.elections.deadline_ms > self.now_ms
            self.step(name, TimerFired(timer))
            if not waits:
                return
        raise AssertionError("a timer that never runs out")

    def elect(self, name: str) -> None:
        """Make one replica the leader of all that it can reach."""
        self.fire(name)
        self.deliver_all()
        assert self[name].role is Role.LEADER

    def run(self, until_ms: int, stop: Callable[[], bool] = lambda: False) -> None:
        """Let messages arrive and timers run out in order of time."""
        while not stop():
            wire = min(self.wires, key=lambda one: one.due_ms, default=None)
            timer_ms, name, timer = min(
                (
                    (due_ms, name, timer)
                    for name, host in self.hosts.items()
                    if host.up
                    for timer, due_ms in host.timers.items()
                ),
                default=(until_ms + 1, "", ""),
            )
            due_ms = timer_ms if wire is None else min(timer_ms, wire.due_ms)
            if due_ms > until_ms:
                break
            self.now_ms = max(self.now_ms, due_ms)
            if wire is not None and wire.due_ms <= timer_ms:
                self.deliver(wire)
            else:
                del self.hosts[name].timers[timer]
                self.step(name, TimerFired(timer))
        self.now_ms = max(self.now_ms, until_ms) if not stop() else self.now_ms

    def leaders(self) -> list[str]:
        return [n for n, h in self.hosts.items() if h.up and h.replica.role is Role.LEADER]
