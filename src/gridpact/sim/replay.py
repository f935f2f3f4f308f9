"""Playing traces of real validators again: the same replicas, given the same, must do the same.

The traces of one chain are played together, each message after it was sent and otherwise in the
order of the clocks, under the watch that looks on when protocols are simulated: what must hold in
every simulated run is checked in the one that really happened.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path

from gridpact.consensus.raft import RaftReplica, first_start
from gridpact.consensus.raft.trace import (
    TRACE,
    End,
    Origin,
    Step,
    digest,
    read_trace,
    replica_of,
    state_hash,
)
from gridpact.consensus.shape import (
    Decide,
    Effect,
    Event,
    Persist,
    Persisted,
    Received,
    Restore,
    Send,
    Signer,
    TimerFired,
    Verifier,
)
from gridpact.errors import InputError, Problem
from gridpact.sim.raft_watch import RaftWatch
from gridpact.sim.world import Host, Violation

Make = Callable[[Origin, Signer, Verifier], RaftReplica]
_NAME = re.compile(rf"{TRACE}(?:-([0-9]+))?")


@dataclass(slots=True)
class Played:
    """One trace, as far as it was played."""

    where: str
    name: str = ""
    """Of its replica."""
    events: int = 0
    decisions: int = 0
    height: int = 0
    """Of the last decision."""
    state: bytes = b""
    """See `state_hash`."""
    ending: str = "not closed"
    """`closed`, `not closed`, or what its last step raised."""
    difference: str = ""
    """The first one from what was recorded, and where; empty: there is none."""


@dataclass(slots=True)
class Replay:
    """All of them."""

    traces: list[Played] = field(default_factory=list)
    decided: dict[int, bytes] = field(default_factory=dict)
    """Hash of the decided payload by height."""
    violation: str = ""
    """What must not have happened; empty: nothing."""
    unwatched: str = ""
    """Why more than decisions could not be checked; empty: all properties were."""

    @property
    def is_good(self) -> bool:
        """Whether everything went as recorded and as it must."""
        return not self.violation and not any(played.difference for played in self.traces)


def trace_files(path: Path) -> list[Path]:
    """The traces in a validator's folder, or in those of a network; or the one file.

    Raises:
        InputError: there is none.
    """
    if path.is_file():
        return [path]
    found = [
        (file.parent, int(name[1] or 0), file)
        for file in (*path.glob(f"{TRACE}*"), *path.glob(f"*/{TRACE}*"))
        if (name := _NAME.fullmatch(file.name)) and file.is_file()
    ]
    if not found:
        text = "holds no trace; validators write one when node.json says `trace: true`"
        raise InputError([Problem(str(path), text)])
    return [file for _, _, file in sorted(found)]


def replay(files: Iterable[Path], make: Make = replica_of) -> Replay:
    """Play traces of one chain together.

    Args:
        files: of one validator in the order in which they were written.
        make: what makes the replicas.
    Raises:
        InputError: a file is no trace, is damaged, or of another chain.
    """
    return _Stage([_Trace(file, make) for file in files]).play()


class _Trace:
    """One trace and the replica that plays it, whose signer and verifier it is."""

    def __init__(self, file: Path, make: Make) -> None:
        self.played = Played(str(file))
        self.origin, self._frames = read_trace(_bytes_of(file), str(file))
        self.replica = make(self.origin, self, self)
        self.played.name = self.origin.name
        self._signatures: Iterator[bytes] = iter(())
        self._verdicts: Iterator[bool] = iter(())
        self.head = self._next()
        """What comes next."""
        self._first_ms = self.head.now_ms if self.head else 0

    def sign(self, data: bytes) -> bytes:
        """See `Signer.sign`: what the signer answered when this was recorded."""
        return next(self._signatures, b"")

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """See `Verifier.verify`: what the verifier answered."""
        return next(self._verdicts, False)

    def play(self, step: Step) -> list[Effect] | None:
        """Play the head; None where it was not finished or differs, and then it was the last."""
        played, replica = self.played, self.replica
        played.events += 1
        self._signatures, self._verdicts = iter(step.signatures), iter(step.verdicts)
        effects: list[Effect] = []
        raised = ""
        try:
            if step.event is None:
                effects = replica.start(step.now_ms)
            else:
                effects = replica.step(step.event, step.now_ms)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what the step did
            raised = f"{type(error).__name__}: {error}"
        found = "" if step.digests is None else _difference(effects, raised, step.digests)
        if step.digests is None:
            played.ending = raised or "its host could not finish the last step"
        elif found:
            at_ms = step.now_ms - self._first_ms
            played.difference = (
                f"event {played.events}, {_event(step.event)}, {at_ms} ms after the first: {found}"
            )
        self.head = self._next()
        return None if found or step.digests is None else effects

    def _next(self) -> Step | None:
        """The next step; at the end compare the states."""
        played = self.played
        frame = None if played.difference else next(self._frames, None)
        if isinstance(frame, Step):
            return frame
        played.state = state_hash(self.replica)
        if isinstance(frame, End):
            played.ending = "closed"
            if frame.state != played.state:
                played.difference = f"at the end: the recorded state is {frame.state.hex()}"
        return None


class _Actor:
    """One validator: its traces, one after the other, and effects that wait for its disk."""

    def __init__(self, name: str, index: int) -> None:
        self.host = Host(name, index, 0)
        self.traces: deque[_Trace] = deque()

    @property
    def head(self) -> Step | None:
        """What comes next in the first trace that is not at its end."""
        while self.traces and self.traces[0].head is None:
            self.traces.popleft()
            self.host.alive = False
        return self.traces[0].head if self.traces else None


class _Stage:
    """Where traces are played together."""

    def __init__(self, traces: Sequence[_Trace]) -> None:
        self._replay = Replay([trace.played for trace in traces])
        self._actors: dict[str, _Actor] = {}
        self._sent: Counter[tuple[str, str, bytes]] = Counter()
        """Messages on their way, as (sender, receiver, frame)."""
        for trace in traces:
            name = trace.origin.name
            if trace.origin.chain != traces[0].origin.chain:
                text = f"is of another chain than {traces[0].played.where}; replay them apart"
                raise InputError([Problem(trace.played.where, text)])
            actor = self._actors.setdefault(name, _Actor(name, len(self._actors)))
            actor.traces.append(trace)
        self._watch: _Watch | None = None
        self._replay.unwatched = self._missing()
        if not self._replay.unwatched:
            self._watch = _Watch({name: [actor.host] for name, actor in self._actors.items()})

    def _missing(self) -> str:
        """Why not all properties can be checked; empty when they can."""
        for actor in self._actors.values():
            origin = actor.traces[0].origin
            absent = set(origin.contacts) - set(self._actors)
            if absent:
                return f"no trace of {', '.join(sorted(absent))}"
            if origin.stored != first_start(origin.stored.snapshot.configuration):
                return f"the first trace of {origin.name} does not begin with an empty log"
        return ""

    def play(self) -> Replay:
        """Everything, to the end."""
        while actor := self._next():
            trace = actor.traces[0]
            if trace.head is not None:
                self._step(actor.host, trace, trace.head)
        return self._replay

    def _next(self) -> _Actor | None:
        """Whose turn it is: the earliest of those that wait for no message."""
        waiting = [
            (step.now_ms, name, step.event)
            for name, actor in self._actors.items()
            if (step := actor.head) is not None
        ]
        ready = [one for one in waiting if self._is_there(one[1], one[2])]
        if waiting and not ready:
            _, name, event = min(waiting, key=_when)
            self._unwatch(f"{name} was given {_event(event)}, which no trace has sent")
        first = min(ready or waiting, key=_when, default=None)
        return None if first is None else self._actors[first[1]]

    def _is_there(self, name: str, event: Event | None) -> bool:
        """Whether what is received has been sent, as far as that can be known."""
        if not isinstance(event, Received) or event.peer not in self._actors:
            return True
        return (event.peer, name, event.data) in self._sent

    def _step(self, host: Host, trace: _Trace, step: Step) -> None:
        """As a host does it: what stands behind a `Persist` waits until its records are durable."""
        event = step.event
        if host.replica is not trace.replica:
            host.replica, host.alive = trace.replica, True
            host.count = host.height = 0
            host.effects.clear()
            self._show(_Watch.began, host)
        if isinstance(event, Received):
            key = (event.peer, host.name, event.data)
            left = self._sent.pop(key, 0) - 1
            if left > 0:
                self._sent[key] = left
        elif isinstance(event, Persisted) and host.effects:
            host.effects.popleft()
            self._show(_Watch.synced, host)
        effects = trace.play(step)
        if effects is None:
            if trace.played.difference:
                self._unwatch(f"{host.name} did not do what was recorded")
            return
        self._show(_Watch.stepped, host)
        for effect in effects:
            if isinstance(effect, Persist):
                self._show(_Watch.wrote, host, effect)
        host.effects.extend(effects)
        while host.effects and not isinstance(host.effects[0], Persist):
            self._do(host, trace.played, host.effects.popleft())

    def _do(self, host: Host, played: Played, effect: Effect) -> None:
        if isinstance(effect, Send):
            self._sent[host.name, effect.peer, effect.data] += 1
        elif isinstance(effect, Decide):
            played.decisions, played.height = played.decisions + 1, effect.height
            payload = hashlib.sha256(effect.payload).digest()
            if self._replay.decided.setdefault(effect.height, payload) != payload:
                self._violated(f"{host.name} decides at {effect.height} what others do not")
            self._show(_Watch.decided, host, effect)
        elif isinstance(effect, Restore):
            self._show(_Watch.restored, host, effect)

    # The watch

    def _show(self, look: Callable[..., None], *seen: object) -> None:
        """Let the watch look at something, until it has found what must not be."""
        if self._watch is not None:
            try:
                look(self._watch, *seen)
            except Violation as violation:
                self._violated(str(violation))

    def _violated(self, words: str) -> None:
        self._replay.violation = self._replay.violation or words
        self._unwatch("it ends with the first violation")

    def _unwatch(self, why: str) -> None:
        self._watch = None
        self._replay.unwatched = self._replay.unwatched or why


class _Watch(RaftWatch):
    """Of validators: their snapshots are places in their ledgers, and some blocks come twice."""

    def decided(self, host: Host, effect: Decide) -> None:
        """See `Watch.decided`. A block that was passed over may be offered and decided again."""
        self.places.clear()
        super().decided(host, effect)

    def restored(self, host: Host, effect: Restore) -> None:
        """See `Watch.restored`."""
        host.count = bisect_right(self.heights, effect.height)
        host.height = effect.height


def _when(waiting: tuple[int, str, Event | None]) -> tuple[int, str]:
    return waiting[:2]


def _bytes_of(file: Path) -> memoryview:
    """What is in a file, read when it is looked at."""
    try:
        with file.open("rb") as opened:
            return memoryview(mmap(opened.fileno(), 0, access=ACCESS_READ))
    except OSError as error:
        raise InputError([Problem(str(file), f"cannot be read: {error.strerror}")]) from error
    except ValueError:  # nothing to map in an empty file
        return memoryview(b"")


def _difference(effects: Sequence[Effect], raised: str, recorded: Sequence[bytes]) -> str:
    """The first effect that is not the recorded one; empty when there is none."""
    if raised:
        return f"raises {raised}"
    for place, (effect, known) in enumerate(zip(effects, recorded, strict=False), 1):
        if digest(effect) != known:
            return f"effect {place} of {len(recorded)} was another, now it is {_effect(effect)}"
    if len(effects) > len(recorded):
        more = _effect(effects[len(recorded)])
        return (
            f"has {len(effects)} effects, recorded were {len(recorded)}; the first more is {more}"
        )
    if len(effects) < len(recorded):
        return f"has {len(effects)} effects, recorded were {len(recorded)}"
    return ""


def _event(event: Event | None) -> str:
    match event:
        case None:
            return "the start"
        case Received(peer, data):
            return f"{len(data)} bytes from {peer}"
        case TimerFired(timer):
            return f"the timer {timer}"
        case _:
            return f"a {type(event).__name__}"


def _effect(effect: Effect) -> str:
    match effect:
        case Send(peer, data):
            return f"a Send of {len(data)} bytes to {peer}"
        case Persist(records):
            return f"a Persist of {len(records)} records"
        case Decide(height):
            return f"a Decide at {height}"
        case _:
            return f"a {type(effect).__name__}"
