"""The simulated world: hosts, their clocks, disks and links, and one queue of events.

Time is whole microseconds, all chance comes from one seeded generator, and replicas meet each other
only as bytes: the same seed gives the same run. What a protocol must never do is not known here;
the `Watch` of the protocol looks on and raises.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from heapq import heappop, heappush
from itertools import islice
from random import Random
from typing import Any, Protocol

from gridpact.consensus.shape import (
    CancelTimer,
    Compact,
    Decide,
    Effect,
    Event,
    Persist,
    Persisted,
    ReadReady,
    Received,
    Refused,
    Replica,
    Restore,
    Send,
    SetTimer,
    TimerFired,
)
from gridpact.sim.disk import Disk
from gridpact.sim.network import Link, NetworkPlan

ARRIVES, TIMER, SYNCED, CALL = range(4)
EPOCH_US = 10**13
"""What clocks show at the start, so that one that jumps back stays positive."""
STEPS_MAX = 500_000
"""Events of a run, a hundred times as many as most need: beyond it messages breed messages."""
QUEUE_MAX = 50_000
"""Effects that may wait for one disk."""


class Violation(Exception):  # noqa: N818 - it is the finding, not a failure of the simulator
    """A property that a protocol must keep does not hold."""

    def __init__(self, rule: str, words: str) -> None:
        super().__init__(f"{rule}: {words}")
        self.rule, self.words = rule, words


class Host:
    """One machine: a replica, its disk, its clock, and effects that wait for the disk."""

    __slots__ = (
        "alive",
        "count",
        "disk",
        "effects",
        "height",
        "index",
        "links",
        "name",
        "offset_us",
        "paused_until_us",
        "pending",
        "ppm",
        "replica",
        "routes",
        "timers",
        "token",
        "trap",
        "watched",
    )

    def __init__(self, name: str, index: int, ppm: int) -> None:
        self.name, self.index = name, index
        self.replica: Any = None
        self.alive = False
        self.disk = Disk()
        self.effects: deque[Effect] = deque()
        """What waits for the write under way."""
        self.token = 0
        """Of the write under way, 0 for none."""
        self.timers: dict[str, int] = {}
        """Number of the one event that counts, by timer."""
        self.links: list[Link] = []
        """To every host, by its index."""
        self.routes: dict[str, list[tuple[Host, Link]]] = {}
        """To whoever has a name, itself left out."""
        self.ppm = ppm
        """How much faster its clock runs."""
        self.offset_us = EPOCH_US
        self.paused_until_us = 0
        self.count = self.height = 0
        """Decisions executed, and the height of the last."""
        self.pending: dict[bytes | int, Any] = {}
        """What its clients wait for, by payload or token."""
        self.trap = ""
        """Where it will crash next: see `World.trap`."""
        self.watched: Any = None
        """What the watch remembers of it."""


class Watch(Protocol):
    """Looks on, and raises `Violation`."""

    def began(self, host: Host) -> None:
        """A replica was made from what is durable."""

    def stepped(self, host: Host) -> None:
        """A replica took an event."""

    def wrote(self, host: Host, persist: Persist) -> None:
        """A replica wants records to be durable."""

    def synced(self, host: Host) -> None:
        """The oldest records that it wanted durable are."""

    def decided(self, host: Host, effect: Decide) -> None:
        """A host executes a decision."""

    def restored(self, host: Host, effect: Restore) -> None:
        """A host replaces its state."""

    def snapshot(self, host: Host) -> bytes:
        """The state of a host, as the data of a snapshot."""


class Clients(Protocol):
    """Who hears the answers."""

    def decided(self, host: Host, effect: Decide) -> None:
        """A host executed a decision."""

    def ready(self, host: Host, effect: ReadReady) -> None:
        """A host may serve a read."""

    def refused(self, host: Host, effect: Refused) -> None:
        """A host cannot serve a request."""


class World:
    """All hosts and everything that is going to happen.

    Args:
        names: of the hosts; a name that comes twice is one identity with twins.
        make: a replica from its name and durable records.
        network: what the links are like.
        random: all chance of this run.
    """

    def __init__(
        self,
        names: Sequence[str],
        make: Callable[[Host, Random], Replica],
        network: NetworkPlan,
        random: Random,
        *,
        disk_us: int = 500,
        ppm: Sequence[int] = (),
    ) -> None:
        self.now_us = 0
        self.random = random
        self.messages = self.steps = 0
        self.hosts = [
            Host(name, index, ppm[index] if ppm else 0) for index, name in enumerate(names)
        ]
        self.by_name = {
            name: [host for host in self.hosts if host.name == name]
            for name in dict.fromkeys(names)
        }
        for host in self.hosts:
            host.links = [
                Link(network.tables[host.index][other.index], ordered=network.ordered)
                for other in self.hosts
            ]
            for other, link in zip(self.hosts, host.links, strict=True):
                if other is not host:
                    host.routes.setdefault(other.name, []).append((other, link))
        self.watch: Watch | None = None
        self.clients: Clients | None = None
        self.sent: Callable[[int, str, str, bytes], None] | None = None
        """Told of every message: time in microseconds, sender, receiver, bytes."""
        self.compact_every = 0
        """Decisions between two snapshots of a host; 0 for none."""
        self._make = make
        self._disk_us = disk_us
        self._heap: list[tuple[int, int, int, Any, Any, Any]] = []
        self._sequence = 0

    # Time

    def run(self, until_us: int) -> None:
        """Let everything happen up to a moment."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            at_us, _, kind, host, first, second = heappop(heap)
            self.now_us = at_us
            if self.steps > STEPS_MAX:
                raise Violation("bounded messages", f"{self.messages} by {at_us // 1000} ms")
            if kind == CALL:
                host(first)
            elif not host.alive:
                continue
            elif host.paused_until_us > at_us:
                self._push(host.paused_until_us, kind, host, first, second)
            elif kind == ARRIVES:
                self.step(host, Received(first, second))
            elif kind == TIMER:
                if host.timers.get(first) == second:
                    del host.timers[first]
                    self.step(host, TimerFired(first))
            elif first is host.replica:
                self._synced(host)
        self.now_us = until_us

    def at(self, at_us: int, call: Callable[[Any], None], argument: object = None) -> None:
        """Call something at a moment."""
        at_us = max(at_us, self.now_us)
        self._sequence += 1
        heappush(self._heap, (at_us, self._sequence, CALL, call, argument, None))

    def _push(self, at_us: int, kind: int, host: object, first: object, second: object) -> None:
        self._sequence += 1
        heappush(self._heap, (at_us, self._sequence, kind, host, first, second))

    def clock_ms(self, host: Host) -> int:
        """What a host's clock shows."""
        now_us = self.now_us
        return (host.offset_us + now_us + now_us * host.ppm // 1_000_000) // 1000

    def leader(self) -> Host | None:
        """Who leads in the latest term, as far as hosts that are up know."""
        found = None
        for host in self.up():
            replica = host.replica
            if replica.leader == host.name and (not found or replica.term > found.replica.term):
                found = host
        return found

    def up(self) -> Iterator[Host]:
        """The hosts that are up, paused ones included."""
        return (host for host in self.hosts if host.alive)

    # Replicas

    def start(self, host: Host) -> None:
        """Start a host, the first time or again."""
        if host.alive:
            return
        host.alive = True
        host.count = host.height = 0
        host.replica = self._make(host, Random(self.random.getrandbits(64)))
        if self.watch:
            self.watch.began(host)
        self._take(host, host.replica.start(self.clock_ms(host)))

    def crash(self, host: Host, kept_permille: int = 0) -> None:
        """Power fails; of the write under way so much is on the disk."""
        host.alive = False
        host.trap = ""
        host.disk.crash(kept_permille)
        host.token = 0
        host.replica = None
        host.effects.clear()
        host.timers.clear()
        host.pending.clear()
        host.paused_until_us = 0

    def step(self, host: Host, event: Event) -> None:
        """Give a host that is up an event."""
        self.steps += 1
        now_us = self.now_us
        shown_us = host.offset_us + now_us
        if host.ppm:
            shown_us += now_us * host.ppm // 1_000_000
        effects = host.replica.step(event, shown_us // 1000)
        if self.watch:
            self.watch.stepped(host)
        if host.trap:
            self._spring(host, effects)
        if effects and host.alive:
            self._take(host, effects)

    def _take(self, host: Host, effects: list[Effect]) -> None:
        """Do effects in order; those behind a `Persist` wait, whatever step they are of."""
        if self.watch:
            for effect in effects:
                if type(effect) is Persist:
                    self.watch.wrote(host, effect)
        busy = host.token
        if busy:
            host.effects.extend(effects)
            if len(host.effects) > QUEUE_MAX:
                raise Violation("bounded queues", f"{host.name}: {len(host.effects)} effects wait")
            return
        for place, effect in enumerate(effects):
            if type(effect) is Send:  # most of all effects; a host stays up and its disk idle
                self._send(host, effect.peer, effect.data)
                continue
            self._do(host, effect)
            if host.token:
                host.effects.extend(islice(effects, place + 1, None))
                return
            if not host.alive:
                return

    def _synced(self, host: Host) -> None:
        """A write is done: go on with what waited for it, then tell the replica."""
        token = host.token
        if host.trap == "durable":
            self.crash(host, 1000)
            return
        host.disk.finish()
        host.token = 0
        if self.watch:
            self.watch.synced(host)
        effects = host.effects
        while effects and not host.token:
            effect = effects.popleft()
            if type(effect) is Send:
                self._send(host, effect.peer, effect.data)
            else:
                self._do(host, effect)
        if host.alive:
            self.step(host, Persisted(token))

    def _do(self, host: Host, effect: Effect) -> None:
        """Anything but a `Send`."""
        if isinstance(effect, Decide):
            self._decide(host, effect)
        elif isinstance(effect, Persist):
            self._persist(host, effect)
        elif isinstance(effect, SetTimer):
            self._set_timer(host, effect)
        elif isinstance(effect, CancelTimer):
            host.timers.pop(effect.timer, None)
        elif isinstance(effect, Restore):
            if self.watch:
                self.watch.restored(host, effect)
        elif self.clients and isinstance(effect, ReadReady):
            self.clients.ready(host, effect)
        elif self.clients and isinstance(effect, Refused):
            self.clients.refused(host, effect)

    def _set_timer(self, host: Host, effect: SetTimer) -> None:
        """A clock that runs fast lets timers fire early."""
        delay_us = effect.delay_ms * 1000
        if host.ppm:
            delay_us = delay_us * 1_000_000 // (1_000_000 + host.ppm)
        sequence = self._sequence + 1
        host.timers[effect.timer] = sequence
        self._push(self.now_us + delay_us, TIMER, host, effect.timer, sequence)

    def _persist(self, host: Host, effect: Persist) -> None:
        if host.trap == "write":
            self.crash(host, 0)
            return
        host.disk.writing = effect.records
        host.token = effect.token
        if host.trap == "torn":
            self.crash(host, self.random.randint(1, 999))
            return
        delay_us = int(self._disk_us * (0.5 + self.random.random())) * host.disk.slowdown
        self._push(self.now_us + delay_us, SYNCED, host, host.replica, None)

    def _decide(self, host: Host, effect: Decide) -> None:
        if self.watch:
            self.watch.decided(host, effect)
        else:
            host.count += 1
            host.height = effect.height
        if self.clients:
            self.clients.decided(host, effect)
        if self.compact_every and self.watch and host.count % self.compact_every == 0:
            self.at(self.now_us, self.compact, host)

    def compact(self, host: Host) -> None:
        """Let a host hand its replica a snapshot of what it has executed."""
        if host.alive and host.count and self.watch and host.paused_until_us <= self.now_us:
            self.step(host, Compact(host.height, self.watch.snapshot(host)))

    def _spring(self, host: Host, effects: list[Effect]) -> None:
        """Crash in the middle of a step, where the trap stands."""
        if host.trap == "elected":
            if host.replica.leader == host.name:
                self.crash(host)
            return
        traps: dict[str, type[Send | Decide]] = {"sent": Send, "decided": Decide}
        kind = traps.get(host.trap)
        for place, effect in enumerate(effects):
            if kind is not None and isinstance(effect, kind):
                self._take(host, effects[: place + (kind is Send)])
                if host.alive:
                    self.crash(host, self.random.randint(0, 1000))
                return

    # Links

    def _send(self, host: Host, peer: str, data: bytes) -> None:
        self.messages += 1
        if self.sent:
            self.sent(self.now_us, host.name, peer, data)
        for target, link in host.routes.get(peer, ()):
            if link.held is not None and not link.cut:
                link.held.append(data)
                continue
            for at_us in link.arrivals(self.now_us, self.random):
                self._sequence += 1
                heappush(self._heap, (at_us, self._sequence, ARRIVES, target, host.name, data))

    def release(self, sender: Host, receiver: Host) -> None:
        """Let everything that a clogged link held go on its way."""
        link = sender.links[receiver.index]
        held, link.held = link.held, None
        for data in held or ():
            at_us = link.arrival(self.now_us, self.random)
            self._push(at_us, ARRIVES, receiver, sender.name, data)
