"""One run from beginning to end: faults, healing, and what has been found."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from random import Random

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Framing
from gridpact.consensus.raft import RaftMessage, RaftReplica, recover
from gridpact.consensus.shape import Propose
from gridpact.sim.clients import ClosedClients
from gridpact.sim.faults import Action, arrange, heal
from gridpact.sim.keys import Keyring
from gridpact.sim.raft_watch import RaftWatch
from gridpact.sim.schedule import LIVE_UNITS, Plan
from gridpact.sim.world import Host, Violation, World

CHAIN = b"gridpact simulator".ljust(32, b"\x00")
PROBE_TOKENS = 1 << 60
PROBES_A_UNIT = 4
"""How often after healing it is looked whether all is well, per shortest election timeout."""
LIVENESS = "liveness"

MakeReplica = Callable[..., RaftReplica]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run has shown."""

    seed: int
    rule: str
    """The property that does not hold; empty when all do."""
    words: str
    messages: int
    steps: int
    """Events that replicas took."""
    elections: int
    decided: int
    """Payloads."""
    acknowledged: int
    """Requests that clients got an answer to."""
    healed_units: float
    """Shortest election timeouts from the end of the faults until all was well."""
    state_hash: str
    """Of everything decided."""


class Trial:
    """A world made from a plan.

    Args:
        plan: what happens.
        actions: in place of the plan's, when a part of them is to be tried.
        replica: how a replica is made; broken twins and liars come in here.
    """

    def __init__(
        self,
        plan: Plan,
        actions: Collection[Action] | None = None,
        replica: MakeReplica = RaftReplica,
    ) -> None:
        self.plan = plan
        self._replica = replica
        random = Random(f"{plan.protocol}/{plan.profile.value}/{plan.seed}/world")
        self._keys = Keyring(random.randbytes(32))
        self._first = configuration_of(0, plan.weights)
        for name in plan.names:
            self._keys.signer(name)
        self.world = World(
            plan.names, self._make, plan.network, random, disk_us=plan.disk_us, ppm=plan.ppm
        )
        self.watch = RaftWatch(self.world.by_name)
        self.world.watch = self.watch
        self.world.compact_every = plan.compact_every
        self.clients = ClosedClients(
            self.world,
            self.watch,
            count=plan.clients,
            think_us=plan.think_us,
            patience_us=3 * plan.unit_us // 2,
            reads=plan.reads,
            payload_bytes=plan.payload_bytes,
        )
        self.world.clients = self.clients
        for host in self.world.hosts:
            for link in host.links:
                link.lost, link.duplicated = plan.network.lost, plan.network.duplicated
        arrange(self.world, plan.actions if actions is None else actions)
        self._healed_us = 0

    def _make(self, host: Host, random: Random) -> RaftReplica:
        stored = recover(self._first, host.disk.records)
        framing = Framing[RaftMessage](
            CHAIN, host.name, RaftMessage, self._keys.signer(host.name), self._keys
        )
        return self._replica(host.name, stored, self.plan.rules, random, framing, self.plan.names)

    def run(self) -> Outcome:
        """Everything, and what was found first."""
        rule = words = ""
        try:
            self._run()
        except Violation as violation:
            rule, words = violation.rule, violation.words
        except Exception as error:  # noqa: BLE001 - whatever a replica raises is a finding
            rule, words = "never raises", f"{type(error).__name__}: {error}"
        world, watch = self.world, self.watch
        return Outcome(
            self.plan.seed,
            rule,
            words,
            world.messages,
            world.steps,
            watch.elections,
            len(watch.heights),
            self.clients.acknowledged,
            self._healed_us / self.plan.unit_us,
            watch.state_hash(),
        )

    def _run(self) -> None:
        world = self.world
        for host in world.hosts:
            world.start(host)
        world.run(self.plan.active_us)
        self.clients.stopped = True
        heal(world)
        self._wait_until_well()
        self.clients.check()

    def _wait_until_well(self) -> None:
        """A leader, a new decision, and no member that lacks any, within the stated time."""
        world, watch = self.world, self.watch
        healed_us = world.now_us
        step_us = self.plan.unit_us // PROBES_A_UNIT
        for number in range(1, LIVE_UNITS * PROBES_A_UNIT + 1):
            world.run(healed_us + number * step_us)
            leader = world.leader()
            probed = b"probe 1" in watch.places or any(
                b"probe %d" % earlier in watch.places for earlier in range(2, number)
            )
            if leader and probed and self._all_caught_up(leader):
                self._healed_us = world.now_us - healed_us
                return
            if leader and not probed:
                payload = b"probe %d" % number
                world.step(leader, Propose(PROBE_TOKENS + number, payload))
        leader = world.leader()
        counts = {host.name: host.count for host in world.hosts}
        raise Violation(
            LIVENESS,
            f"{LIVE_UNITS} shortest timeouts after healing: leader "
            f"{leader.name if leader else 'none'}, {len(watch.heights)} decided, by host {counts}",
        )

    def _all_caught_up(self, leader: Host) -> bool:
        world = self.world
        members = leader.replica.membership.members
        total = len(self.watch.heights)
        return all(host.count == total for name in members for host in world.by_name[name])


def run_plan(
    plan: Plan,
    keep: Collection[int] | None = None,
    stop_ms: int | None = None,
    replica: MakeReplica = RaftReplica,
) -> Outcome:
    """Run a plan.

    Args:
        plan: what happens.
        keep: numbers of the actions that do, all when None.
        stop_ms: end of the faulty part, in milliseconds of world time; the plan's when None.
        replica: how a replica is made.
    """
    actions = [
        action for number, action in enumerate(plan.actions) if keep is None or number in keep
    ]
    if stop_ms is not None:
        plan = replace(plan, active_us=min(plan.active_us, stop_ms * 1000))
    fitting = [action for action in actions if action.at_us < plan.active_us]
    cut = [replace(each, until_us=min(each.until_us, plan.active_us)) for each in fitting]
    return Trial(plan, cut, replica).run()
