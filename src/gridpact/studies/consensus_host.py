"""A small deterministic host for studies: real replicas, a queue, a delay for each link.

It loses nothing and breaks nothing by itself; what it is asked to break is the study's subject. A
replica may run in two copies under one name, which is how a liar shows two faces.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Mapping
from random import Random

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Framing
from gridpact.consensus.raft import RaftMessage, RaftReplica, Role, Rules
from gridpact.consensus.raft.records import first_start
from gridpact.consensus.shape import (
    CancelTimer,
    Decide,
    Effect,
    Event,
    Persist,
    Persisted,
    Propose,
    Received,
    Send,
    SetTimer,
    TimerFired,
)

CHAIN = hashlib.sha256(b"study").digest()
US_PER_MS = 1000

DelayUs = Callable[[str, str], int]
"""(from, to) -> microseconds on the way."""


class KeyedHash:
    """Signs for one name and checks everybody: nobody forges what it does not know.

    Stands in for Ed25519, which would cost a study most of its time.
    """

    def __init__(self, name: str) -> None:
        self._key = name.encode()

    def sign(self, data: bytes) -> bytes:
        """See `Signer.sign`."""
        return hashlib.blake2b(data, key=self._key, digest_size=16).digest()

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """See `Verifier.verify`."""
        return KeyedHash(sender).sign(data) == signature


class Host:
    """Replicas, their messages and their timers.

    Args:
        weights: voting weights by name.
        rules: of all replicas.
        seed: of the replicas' own chance.
        delay_us: of each link, both ends by place.
        doubled: place -> name of second copies, besides the one whose place is its name.
    """

    def __init__(
        self,
        weights: Mapping[str, int],
        rules: Rules,
        *,
        seed: int,
        delay_us: DelayUs,
        doubled: Mapping[str, str] | None = None,
    ) -> None:
        self.now_us = 0
        self.sent = 0
        self.decided: dict[str, list[tuple[int, int, bytes]]] = {}
        """(height, time in us, payload) of each place, in order."""
        self._delay_us = delay_us
        self._queue: list[tuple[int, int, str, Event]] = []
        self._count = 0
        self._timers: dict[tuple[str, str], int] = {}
        self.cut: set[tuple[str, str]] = set()
        """(from, to) of links that carry nothing."""
        self.down: set[str] = set()
        self.names = {name: name for name in weights} | dict(doubled or {})
        """The replica's name at each place."""
        configuration = configuration_of(0, weights)
        self.replicas = {
            place: RaftReplica(
                name,
                first_start(configuration),
                rules,
                Random(f"{seed}/{place}"),
                Framing(CHAIN, name, RaftMessage, KeyedHash(name), KeyedHash(name)),
            )
            for place, name in self.names.items()
        }

    def start(self) -> None:
        """Start all replicas at once."""
        for place, replica in self.replicas.items():
            self.decided[place] = []
            self.do(place, replica.start(self.now_us // US_PER_MS))

    def part(self, *sides: tuple[str, ...]) -> None:
        """Cut every link between places that share no side."""
        self.cut = {
            (one, other)
            for one in self.replicas
            for other in self.replicas
            if not any(one in side and other in side for side in sides)
        }

    def step(self, place: str, event: Event) -> None:
        """Give one replica an event now, and do what it answers."""
        self.do(place, self.replicas[place].step(event, self.now_us // US_PER_MS))

    def propose(self, place: str, payload: bytes) -> None:
        """Ask for a decision."""
        self.step(place, Propose(0, payload))

    def do(self, place: str, effects: list[Effect]) -> None:
        """Do effects in order; a disk answers at once."""
        for effect in effects:
            match effect:
                case Send(peer, data):
                    self._carry(place, peer, data)
                case Persist(_, token):
                    self._push(0, place, Persisted(token))
                case SetTimer(timer, delay_ms):
                    self._timers[place, timer] = self._count + 1
                    self._push(delay_ms * US_PER_MS, place, TimerFired(timer))
                case CancelTimer(timer):
                    self._timers.pop((place, timer), None)
                case Decide(height, payload, _):
                    self.decided[place].append((height, self.now_us, payload))

    def _carry(self, place: str, peer: str, data: bytes) -> None:
        self.sent += 1
        for other, name in self.names.items():
            if name == peer and (place, other) not in self.cut:
                self._push(self._delay_us(place, other), other, Received(self.names[place], data))

    def _push(self, after_us: int, place: str, event: Event) -> None:
        self._count += 1
        heapq.heappush(self._queue, (self.now_us + after_us, self._count, place, event))

    def run(self, until_us: int, done: Callable[[], object] = lambda: None) -> bool:
        """Go on until something is done or the time is over; whether it is done."""
        while not done():
            if not self._queue or self._queue[0][0] > until_us:
                self.now_us = until_us
                return bool(done())
            self.now_us, count, place, event = heapq.heappop(self._queue)
            if place in self.down:
                continue
            if isinstance(event, TimerFired) and self._timers.get((place, event.timer)) != count:
                continue
            self.step(place, event)
        return True

    def leaders(self) -> list[str]:
        """Places that lead now, the latest term first."""
        leading = [
            place
            for place, replica in self.replicas.items()
            if replica.role is Role.LEADER and place not in self.down
        ]
        return sorted(leading, key=lambda place: (-self.replicas[place].term, place))
