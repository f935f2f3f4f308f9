"""Traces of replicas that a test drives by hand, with keyed hashes for signatures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.raft_bench import CHAIN, KeyedHash

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import RaftReplica, first_start
from gridpact.consensus.raft.trace import Origin, replica_of
from gridpact.consensus.shape import Effect, Event, Persist, Persisted, Propose, TimerFired
from gridpact.node.raft.trace import Recorder

STEP_MS = 500
"""Longer than any election timeout."""


class Alone:
    """A replica that is the only voter, and its trace; its disk is always done at once."""

    def __init__(
        self,
        folder: Path,
        name: str = "a",
        *,
        contacts: Sequence[str] = (),
        chain: bytes = CHAIN,
        make: type[RaftReplica] = RaftReplica,
    ) -> None:
        folder.mkdir(exist_ok=True)
        stored = first_start(configuration_of(0, {name: 1}))
        self.origin = Origin("raft", chain, name, 1, list(contacts or name), 7, stored)
        self.recorder = Recorder(folder, self.origin, KeyedHash(name), KeyedHash())
        self.replica = replica_of(self.origin, self.recorder, self.recorder)
        self.replica.__class__ = make
        self.now_ms = 1_000_000

    def give(self, event: Event | None) -> list[Effect]:
        """One step, and what follows when its records are durable."""
        self.recorder.given(self.now_ms, event)
        replica, now_ms = self.replica, self.now_ms
        effects = replica.start(now_ms) if event is None else replica.step(event, now_ms)
        self.recorder.did(effects)
        for effect in tuple(effects):
            if isinstance(effect, Persist):
                effects += self.give(Persisted(effect.token))
        return effects

    def decide(self, *payloads: bytes) -> None:
        """Start, lead, decide."""
        self.give(None)
        self.now_ms += STEP_MS
        self.give(TimerFired("election"))
        for token, payload in enumerate(payloads, 1):
            self.give(Propose(token, payload))

    def close(self) -> Path:
        self.recorder.close(self.replica)
        return self.recorder.path
