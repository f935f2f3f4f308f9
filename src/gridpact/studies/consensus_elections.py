"""Who is elected, and how fast: real replicas, plain and weighted, on networks near and far.

Each election begins when a leader has just died: every other replica has heard from it last, and
nobody has stood yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from random import Random
from statistics import median

from gridpact.consensus.raft import Profile, Rules, Timing, raft, weighted_raft
from gridpact.studies.consensus_host import US_PER_MS, Host
from gridpact.studies.consensus_market import NAMES, Season
from gridpact.studies.consensus_rounds import by_endowment

ELECTIONS = 200
LAN_US = (200, 1_000)
"""One way in a local network."""
LAN = Timing(one_way_ms=1)
PATIENCE_MS = 10_000
"""An election without a leader after this long has none: about a hundred timeouts."""
SWEEP_MS = (1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 100)
"""One-way delays that the sweep goes through."""
SWEEP_SEEDS = 10
SWEEP_MEMBERS = 30
WAN_MS = (40, 100)
"""One-way delays between continents."""
PAPER_RANK, PAPER_RANDOM = "rank, 100 + 5n ms (paper)", "random, 150 to 300 ms"
HARDENED_RANK = "rank, fitted to the delay (hardened)"


@dataclass(frozen=True, slots=True)
class Election:
    """How one ended."""

    winner: str
    """Empty when nobody was elected in time."""
    after_ms: float
    messages: int


def elect(
    weights: Mapping[str, int], rules: Rules, seed: int, delay_us: tuple[int, int]
) -> Election:
    """One election among fresh replicas.

    Args:
        weights: of those that are up.
        rules: of all.
        seed: of timeouts and delays.
        delay_us: bounds of the even draw for each link; its messages then all take as long.
    """
    links = _links(weights, seed, delay_us)
    host = Host(weights, rules, seed=seed, delay_us=lambda *ends: links[ends])
    host.start()
    elected = host.run(PATIENCE_MS * US_PER_MS, lambda: bool(host.leaders()))
    winner = host.leaders()[0] if elected else ""
    return Election(winner, host.now_us / US_PER_MS, host.sent)


def _links(
    names: Iterable[str], seed: int, delay_us: tuple[int, int]
) -> dict[tuple[str, str], int]:
    """One-way delay of each link, the same in both directions."""
    chance = Random(f"{seed}/links")
    found = {}
    for one, other in combinations(names, 2):
        found[one, other] = found[other, one] = chance.randint(*delay_us)
    return found


def plain_elections(seed: int, elections: int = ELECTIONS) -> list[Election]:
    """Elections among 30 equal replicas with random timeouts."""
    weights = dict.fromkeys(NAMES, 1)
    rules = raft(Profile.PAPER, LAN)
    return [elect(weights, rules, seed * 1000 + k, LAN_US) for k in range(elections)]


def weighted_elections(season: Season, elections: int = ELECTIONS) -> list[Election]:
    """One election after each round, with the scores of that round as weights, gamma = 0.

    Source: [XIONG23], section 5.2.1.
    """
    rules = weighted_raft(Profile.PAPER, LAN)
    return [
        elect(by_endowment(board, {}, k), rules, season.seed * 1000 + k, LAN_US)
        for k, board in enumerate(season.boards[:elections])
    ]


def winners(elections: list[Election]) -> dict[str, int]:
    """How often each participant won."""
    counts = Counter(each.winner for each in elections)
    return {name: counts[name] for name in NAMES}


def median_ms(elections: list[Election]) -> float:
    """Median time to a leader; infinite when most elections had none."""
    return median(each.after_ms if each.winner else float("inf") for each in elections)


@dataclass(frozen=True, slots=True)
class SweepPoint:
    """What came of the elections with one range of delays, by kind of timeout."""

    one_way_ms: tuple[float, float]
    """Bounds of the even draw for each link."""
    members: int
    seeds: int
    elected: dict[str, int]
    """Of `seeds`."""
    median_ms: dict[str, float]
    """Infinite when most elected nobody."""


def sweep_point(
    one_way_ms: tuple[float, float], members: int = SWEEP_MEMBERS, seeds: int = SWEEP_SEEDS
) -> SweepPoint:
    """Elections with one range of delays: the paper's rank timeout, random ones, hardened ranks.

    Args:
        one_way_ms: bounds of the even draw for each link.
        members: how many stand, each with a weight of its own.
        seeds: elections.

    Source: [XIONG23], eq. (7). The random timeout is 150 to 300 ms, as often used.
    """
    low_us, high_us = (round(bound * US_PER_MS) for bound in one_way_ms)
    timing = Timing(one_way_ms=-(-high_us // US_PER_MS))
    weights = {name: 100 - place for place, name in enumerate(NAMES[:members])}
    kinds = {
        PAPER_RANK: weighted_raft(Profile.PAPER, timing),
        PAPER_RANDOM: raft(Profile.PAPER, timing),
        HARDENED_RANK: weighted_raft(Profile.HARDENED, timing),
    }
    held = {
        kind: [elect(weights, rules, seed, (low_us, high_us)) for seed in range(seeds)]
        for kind, rules in kinds.items()
    }
    return SweepPoint(
        one_way_ms,
        members,
        seeds,
        {kind: sum(bool(each.winner) for each in found) for kind, found in held.items()},
        {kind: median_ms(found) for kind, found in held.items()},
    )


def sweep(members: int, seeds: int = SWEEP_SEEDS) -> list[SweepPoint]:
    """Through `SWEEP_MS`, each link a quarter slower or faster than stated at most."""
    return [sweep_point((0.75 * ms, 1.25 * ms), members, seeds) for ms in SWEEP_MS]
