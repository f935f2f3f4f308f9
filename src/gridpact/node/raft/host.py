"""The host of a replica: its clock, its timers, its log and its links, in a thread of its own.

Effects are done in list order, and what follows a `Persist` happens only when its records are on
the disk and the signer has noted what they promise. Executing a block takes as long as it takes,
elsewhere: here heartbeats go on. Whatever the disk or the signer refuses ends the host; a replica
that goes on without them would promise what it cannot keep.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from gridpact.consensus.raft import RaftReplica, Role
from gridpact.consensus.raft.rules import HEARTBEAT
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
from gridpact.node.raft.wal import WriteAheadLog
from gridpact.node.signing.raft_signer import RaftPosition, passed

ANNOUNCE = "announce"
ANNOUNCE_S = 0.001
"""After this long without anything new to send, a leader tells what it has decided: whoever asked
at another validator waits for it, and the next heartbeat is far."""
SUSPECTS_LOGGED = 20
"""Lines about peers that break the protocol; the others are only counted."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """What a replica knows about who leads."""

    term: int
    leader: str
    """Empty: nobody known."""
    ready: bool
    """It leads itself, and everything in its log is decided."""
    weights: tuple[tuple[str, int], ...] = ()
    """Of those who vote, by name."""


Told = Decide | Restore | ReadReady | Refused | Standing


class Link(Protocol):
    """Carries frames to the other replicas."""

    def send(self, peer: str, data: bytes) -> None:
        """On its way, or lost."""


class Guard(Protocol):
    """Keeps what this replica has promised, outside of its own log."""

    def advance(self, term: int, voted_for: str, index: int) -> None:
        """The own log is durable up to here; what depends on it will be sent."""


class Recorder(Protocol):
    """Writes down what a replica is given and does."""

    def given(self, now_ms: int, event: Event | None) -> None:
        """It is given an event, or started."""

    def did(self, effects: list[Effect]) -> None:
        """This is its answer; nothing of it has been done yet."""


class Host:
    """Drives one replica on the event loop that it is used from."""

    def __init__(
        self,
        replica: RaftReplica,
        wal: WriteAheadLog,
        link: Link,
        guard: Guard,
        position: RaftPosition,
        tell: Callable[[Told], None],
    ) -> None:
        """Take charge of a replica that has not started.

        Args:
            replica: made from what the log holds.
            wal: its log.
            link: to the others.
            guard: the signer.
            position: what the log promises.
            tell: hears decisions, answers, and who leads.
        """
        self.replica = replica
        self.suspected = 0
        """Messages that broke the protocol."""
        self.recorder: Recorder | None = None
        """Told of every step before anything of it is done, to replay them."""
        self._wal, self._link, self._guard, self._tell = wal, link, guard, tell
        self._position = position
        self._first = replica.log.snapshot.configuration
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._standing = Standing(0, "", ready=False, weights=_weights(replica))
        self._announced = replica.commit
        """Up to here the others have been told what is decided."""
        self._ended = False

    def start(self) -> None:
        """Begin from what is durable."""
        self._do(self._step(None))

    def stop(self) -> None:
        """Nothing is taken, sent or told any more, whatever still comes."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def received(self, peer: str, data: bytes) -> None:
        """A frame came over the link of a peer."""
        self.feed(Received(peer, data))

    def feed(self, event: Event) -> None:
        """Give the replica an event and do what it says.

        Raises:
            StoreError: the disk or the signer refused; the host has stopped. What the replica has
                in memory is not durable, and it would confirm that when it is next asked.
        """
        if self._ended:
            return
        try:
            self._do(self._step(event))
        except BaseException:
            self.stop()
            raise

    def _step(self, event: Event | None) -> list[Effect]:
        """What the replica says to an event, or says first."""
        now_ms = _now_ms()
        if self.recorder is not None:
            self.recorder.given(now_ms, event)
        replica = self.replica
        effects = replica.start(now_ms) if event is None else replica.step(event, now_ms)
        if self.recorder is not None:
            self.recorder.did(effects)
        return effects

    def _do(self, effects: list[Effect]) -> None:
        todo = deque(effects)
        while todo:
            effect = todo.popleft()
            if isinstance(effect, Send):
                self._link.send(effect.peer, effect.data)
            elif isinstance(effect, Persist):
                self._persist(effect)
                todo.extend(self._step(Persisted(effect.token)))
            elif isinstance(effect, SetTimer):
                self._set_timer(effect)
            elif isinstance(effect, CancelTimer):
                timer = self._timers.pop(effect.timer, None)
                if timer is not None:
                    timer.cancel()
            elif isinstance(effect, Suspect):
                self._suspect(effect)
            else:
                self._tell(effect)
        self._notice()

    def _persist(self, effect: Persist) -> None:
        self._wal.append(effect.records)
        self._position = passed(self._position, effect.records)
        held = self._position
        self._guard.advance(held.term, held.voted_for, held.index)
        self._wal.shorten(self._first)

    def _set_timer(self, effect: SetTimer) -> None:
        running = self._timers.get(effect.timer)
        if running is not None:
            running.cancel()
        loop = asyncio.get_running_loop()
        delay_s = effect.delay_ms / 1000
        self._timers[effect.timer] = loop.call_later(delay_s, self._fired, effect.timer)

    def _fired(self, timer: str) -> None:
        del self._timers[timer]
        self.feed(TimerFired(timer))

    def _suspect(self, effect: Suspect) -> None:
        self.suspected += 1
        if self.suspected <= SUSPECTS_LOGGED:
            _log.warning("message dropped", peer=effect.peer, reason=effect.reason.value)

    def _notice(self) -> None:
        """Tell who leads when that has changed."""
        replica = self.replica
        leads = replica.role is Role.LEADER
        ready = (
            leads
            and replica.commit == replica.log.last_index
            and replica.log.last_term == replica.term
        )
        if ready and replica.commit > self._announced and ANNOUNCE not in self._timers:
            later = asyncio.get_running_loop().call_later(ANNOUNCE_S, self._announce)
            self._timers[ANNOUNCE] = later
        standing = Standing(replica.term, replica.leader, ready, _weights(replica))
        if standing != self._standing:
            self._standing = standing
            self._tell(standing)

    def _announce(self) -> None:
        """Let the heartbeat come early, unless something new will say as much."""
        del self._timers[ANNOUNCE]
        replica = self.replica
        if replica.role is Role.LEADER and replica.commit == replica.log.last_index:
            self._announced = replica.commit
            self.feed(TimerFired(HEARTBEAT))


def _weights(replica: RaftReplica) -> tuple[tuple[str, int], ...]:
    voters = replica.membership.configuration.voters
    return tuple((voter.name, voter.weight) for voter in voters)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
