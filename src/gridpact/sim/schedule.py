"""From a seed to a run: group, network, workload and the list of everything that goes wrong.

Swarm style: each seed switches a part of the kinds of faults on, so that some runs are all about
few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gridpact.consensus.raft import (
    Profile,
    Rules,
    Timing,
    flexible_raft,
    raft,
    weighted_raft,
)
from gridpact.sim.faults import KINDS, Action, Draw
from gridpact.sim.network import LATENCIES, NetworkPlan, delays, slowest_us

PROTOCOLS = ("raft", "weighted-raft", "flexible-raft")
GROUPS = (1, 2, 3, 3, 3, 4, 5, 5, 5, 6, 7)
WEIGHT_MAX = 40
ACTIONS_MAX = 12
ACTIVE_UNITS = 24
"""Length of the faulty part of a run, in shortest election timeouts."""
LIVE_UNITS = 40
"""So many shortest election timeouts after all faults are over there must be a leader, a new
decision, and no member that lacks any."""
MEANINGLESS = {"raft": ("weights",), "flexible-raft": ("weights",), "weighted-raft": ()}
"""Kinds that mean nothing for a protocol."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A run, to the last detail."""

    protocol: str
    profile: Profile
    seed: int
    weights: dict[str, int]
    """Of the voters at the start."""
    spare: int
    """Hosts that may become members."""
    rules: Rules
    timing: Timing
    network: NetworkPlan
    disk_us: int
    """Mean time of a write."""
    ppm: tuple[int, ...]
    """By how many millionths each clock runs fast."""
    clients: int
    reads: float
    """Share of requests that read."""
    payload_bytes: int
    think_us: int
    """Mean pause of a client between two requests."""
    compact_every: int
    """Decisions between two snapshots of a host; 0 for none."""
    actions: tuple[Action, ...]
    active_us: int
    """Length of the faulty part."""
    twin: bool = False
    """Whether there is one more host, with the name and key of the first."""

    @property
    def names(self) -> list[str]:
        """Of all hosts: voters first, the twin last."""
        names = [f"n{place}" for place in range(len(self.weights) + self.spare)]
        return [*names, names[0]] if self.twin else names

    @property
    def unit_us(self) -> int:
        """The shortest election timeout."""
        return self.rules.timeouts.least_ms * 1000


def rules_of(protocol: str, profile: Profile, timing: Timing, acknowledgements: int) -> Rules:
    """The rules of a protocol by its name."""
    if protocol == "weighted-raft":
        return weighted_raft(profile, timing)
    if protocol == "flexible-raft":
        return flexible_raft(profile, timing, acknowledgements)
    return raft(profile, timing)


def plan_of(protocol: str, profile: Profile, seed: int, kinds: Sequence[str] | None = None) -> Plan:
    """The run of a seed.

    Args:
        protocol: one of `PROTOCOLS`.
        profile: of the protocol.
        seed: any natural number.
        kinds: of faults that may happen, of `KINDS`; all when None.
    """
    random = Random(f"{protocol}/{seed}")
    on = _switched_on(random, protocol)
    voters = random.choice(GROUPS)
    spare = random.randint(0, 2) if "members" in on and random.random() < 0.6 else 0
    heaviest = WEIGHT_MAX if protocol == "weighted-raft" else 1
    weights = {f"n{place}": random.randint(1, heaviest) for place in range(voters)}
    model = random.choice(LATENCIES)
    middle_us = int(300 * 100 ** random.random())
    disk_us = int(100 * 30 ** random.random())
    tables = delays(model, middle_us, voters + spare, random)
    one_way_ms = -(-(slowest_us(tables) + 3 * disk_us) // 1000)
    timing = Timing(one_way_ms)
    rules = rules_of(protocol, profile, timing, random.randint(1, voters // 2 + 1))
    unit_us = rules.timeouts.least_ms * 1000
    active_us = ACTIVE_UNITS * unit_us
    draw = Draw(random, voters=voters, hosts=voters + spare, weight_max=heaviest, unit_us=unit_us)
    actions = [
        draw.action(random.choice(on), active_us) for _ in range(random.randint(2, ACTIONS_MAX))
    ]
    if kinds is not None:
        actions = [action for action in actions if action.kind in kinds]
    skewed = random.random() < 0.4
    noisy = random.random() < 0.3
    return Plan(
        protocol,
        profile,
        seed,
        weights,
        spare,
        rules,
        timing,
        NetworkPlan(
            model,
            tables,
            ordered=random.random() < 0.3,
            lost=random.random() * 0.1 if noisy and (kinds is None or "loss" in kinds) else 0.0,
            duplicated=(
                random.random() * 0.2 if noisy and (kinds is None or "duplicates" in kinds) else 0.0
            ),
        ),
        disk_us,
        tuple(random.randint(-20_000, 20_000) if skewed else 0 for _ in range(voters + spare)),
        clients=random.randint(2, 6),
        reads=random.random() * 0.6,
        payload_bytes=random.choice((16, 16, 100, 2000)),
        think_us=unit_us // random.choice((2, 5, 10, 20)),
        compact_every=random.choice((0, 0, 3, 10, 40)),
        actions=tuple(sorted(actions, key=lambda action: (action.at_us, action.kind))),
        active_us=active_us,
    )


def _switched_on(random: Random, protocol: str) -> list[str]:
    """Half of the kinds on average, at least one."""
    possible = [kind for kind in KINDS if kind not in MEANINGLESS[protocol]]
    on = [kind for kind in possible if random.random() < 0.5]
    return on or [random.choice(possible)]
