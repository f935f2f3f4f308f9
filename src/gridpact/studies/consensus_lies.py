"""What one lying replica can do to weighted Raft, played with real replicas.

Raft trusts its members; [XIONG23], section 6, leaves malicious ones to later work. Each function
plays one lie and says what came of it. A liar with two faces runs as two copies with one key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Framing
from gridpact.consensus.quorum import WeightMajority
from gridpact.consensus.raft import (
    Profile,
    RaftMessage,
    RaftReplica,
    Rules,
    Timing,
    first_start,
    weighted_raft,
)
from gridpact.consensus.raft.messages import VoteRequest
from gridpact.consensus.shape import Received
from gridpact.settlement.score_parts import POINT_MICRO, ScoreParts
from gridpact.settlement.scores import after_round
from gridpact.studies.consensus_host import CHAIN, US_PER_MS, Host, KeyedHash
from gridpact.studies.consensus_market import NAMES
from gridpact.studies.consensus_rounds import EQUAL, ROUNDS, decide_round

TIMING = Timing(one_way_ms=5)
HARDENED = weighted_raft(Profile.HARDENED, TIMING)
PAPER = weighted_raft(Profile.PAPER, TIMING)
SECOND_US = 1000 * US_PER_MS
REQUESTS = 100
"""Of the clients, one every 100 ms."""


@dataclass(frozen=True, slots=True)
class Lie:
    """What one liar did, and what came of it."""

    lie: str
    outcome: str
    harm: bool
    """Whether safety or liveness was lost, or a score was farmed."""


def host_of(
    weights: Mapping[str, int],
    rules: Rules,
    seed: int,
    doubled: Mapping[str, str] | None = None,
) -> Host:
    """Replicas on a network of 1 to 5 ms."""
    chance = Random(f"{seed}/links")
    return Host(
        weights,
        rules,
        seed=seed,
        delay_us=lambda *_: chance.randint(US_PER_MS, 5 * US_PER_MS),
        doubled=doubled,
    )


def forks(weights: Mapping[str, int], liar: str, left: str, right: str, seed: int = 0) -> bool:
    """Whether a liar with two faces gets two payloads decided at one height.

    The liar shows one face to each side of a partition. As leader it tells two stories in one term;
    as voter it votes twice in one term and acknowledges both logs.

    Args:
        weights: of members with names of one letter.
        liar: who has two faces.
        left: honest members on one side.
        right: those on the other.
        seed: of timeouts and delays.
    """
    host = host_of(weights, HARDENED, seed, {f"{liar}'": liar})
    host.part((liar, *left), (f"{liar}'", *right))
    host.start()
    for payload, side in ((b"pay Ann", (liar, *left)), (b"pay Bob", (f"{liar}'", *right))):
        if host.run(host.now_us + 5 * SECOND_US, partial(_leader, host, side)):
            host.propose(_leader(host, side), payload)
            host.run(host.now_us + SECOND_US)
    return _contradict(host, left, right)


def _leader(host: Host, side: tuple[str, ...]) -> str:
    return next((place for place in host.leaders() if place in side), "")


def _contradict(host: Host, *sides: str) -> bool:
    """Whether honest replicas of two sides decided differently at one height."""
    first, second = (
        {height: payload for place in side for height, _, payload in host.decided[place]}
        for side in sides
    )
    return any(first[height] != second[height] for height in first.keys() & second.keys())


def forgetful_voter(seed: int = 0) -> bool:
    """Whether a decision is contradicted when one voter acknowledges what it does not keep.

    A decides with B and C while D and E are away; then A and B are away, and C knows nothing.
    """
    weights = {"a": 30, "b": 20, "c": 20, "d": 20, "e": 20}
    host = host_of(weights, HARDENED, seed)
    host.part(("a", "b", "c"), ("d", "e"))
    host.start()
    host.run(5 * SECOND_US, lambda: bool(_leader(host, ("a", "b", "c"))))
    host.propose(_leader(host, ("a", "b", "c")), b"pay Ann")
    host.run(host.now_us + SECOND_US)
    host.replicas["c"] = RaftReplica(
        "c",
        first_start(configuration_of(0, weights)),
        HARDENED,
        Random(seed),
        Framing(CHAIN, "c", RaftMessage, KeyedHash("c"), KeyedHash("c")),
    )
    host.part(("a", "b"), ("c", "d", "e"))
    host.do("c", host.replicas["c"].start(host.now_us // US_PER_MS))
    host.run(host.now_us + 5 * SECOND_US, lambda: bool(_leader(host, ("c", "d", "e"))))
    host.propose(_leader(host, ("c", "d", "e")), b"pay Bob")
    host.run(host.now_us + SECOND_US)
    return _contradict(host, "ab", "de")


def silent_leader(seed: int = 0) -> tuple[int, int]:
    """(decided requests, changes of leader) in ten seconds under a leader that ignores clients."""
    host = host_of(dict.fromkeys("abcde", 1), HARDENED, seed)
    host.start()
    host.run(5 * SECOND_US, lambda: bool(host.leaders()))
    term = host.replicas[host.leaders()[0]].term
    host.run(host.now_us + 10 * SECOND_US)
    decided = max(len(found) for found in host.decided.values())
    return decided, host.replicas[host.leaders()[0]].term - term


def restless_voter(rules: Rules, *, asked_to: bool, seed: int = 0) -> tuple[int, int]:
    """(decided of `REQUESTS`, terms passed) while one voter asks for votes every 20 ms.

    It begins once a leader has led for a second.

    Args:
        rules: of the honest ones.
        asked_to: whether it also claims that the leader had asked it to take over.
        seed: of timeouts and delays.
    """
    weights = dict.fromkeys("abcde", 1)
    host = host_of(weights, rules, seed)
    host.start()
    host.run(5 * SECOND_US, lambda: bool(host.leaders()))
    host.run(host.now_us + SECOND_US)
    first = host.replicas["a"].term
    host.down.add("e")
    framing: Framing[RaftMessage] = Framing(CHAIN, "e", RaftMessage, KeyedHash("e"), KeyedHash("e"))
    for round_ in range(5 * REQUESTS):
        term = max(host.replicas[place].term for place in "abcd") + 1
        request = VoteRequest(term, 0, 0, trial=False, asked_to=asked_to)
        for place in "abcd":
            host.step(place, Received("e", framing.seal(request, place)))
        if round_ % 5 == 0 and host.leaders():
            host.propose(host.leaders()[0], b"%d" % round_)
        host.run(host.now_us + 20 * US_PER_MS)
    decided = max(len({payload for _, _, payload in host.decided[place]}) for place in "abcd")
    return decided, max(host.replicas[place].term for place in "abcd") - first


def favouring_leader(rtts_us: Mapping[str, int], leader: str) -> tuple[float, float]:
    """Points that the slowest quorum gains by 200 rounds, honest and when the leader prefers it.

    The leader waits for whom it likes and reports their acknowledgements as the first: they are
    signed and real, only their order is not.

    Returns:
        mean participation of the 15 slowest followers, in points: honest, favoured.
    """
    order = sorted(rtts_us, key=rtts_us.__getitem__)
    slow = tuple(order[-15:])
    honest = decide_round(rtts_us, EQUAL, leader, WeightMajority())
    found = []
    for credited in (honest.credited if honest else (), slow):
        board = {name: ScoreParts(0, 0, 0, 0, 0, 0, 0) for name in NAMES}
        for k in range(1, ROUNDS + 1):
            board = after_round(board, round_number=k, leader=leader, acknowledged=credited)
        mean_micro = sum(board[name].participation_micro for name in slow) / len(slow)
        found.append(mean_micro / POINT_MICRO)
    return found[0], found[1]


def play_lies(rtts_us: Mapping[str, int], leader: str) -> list[Lie]:
    """All of them, each with its outcome in words."""
    four, heavy = dict.fromkeys("abcd", 20), {"a": 40, "b": 20, "c": 20, "d": 20}
    five = dict.fromkeys("abcde", 20)
    leading = {"a": 40, "b": 20, "c": 20, "d": 20, "e": 20}
    played: list[tuple[str, Callable[[], bool]]] = [
        (
            "leader tells two stories in one term, 5 members",
            lambda: forks(leading, "a", "bc", "de"),
        ),
        ("voter votes twice, 5 equal members", lambda: forks(five, "e", "ab", "cd")),
        ("voter votes twice, 4 equal members", lambda: forks(four, "a", "b", "cd")),
        ("the same with twice the weight of others", lambda: forks(heavy, "a", "b", "cd")),
        ("voter acknowledges what it does not keep", forgetful_voter),
    ]
    lies = []
    for lie, play in played:
        harm = play()
        outcome = "two payloads decided at one height" if harm else "no second decision"
        lies.append(Lie(lie, outcome, harm))
    decided, changes = silent_leader()
    lies.append(
        Lie(
            "leader sends heartbeats and ignores clients",
            f"{decided} requests decided in 10 s, {changes} changes of leader",
            harm=decided == 0,
        )
    )
    for kind, rules, asked_to in (
        ("paper", PAPER, False),
        ("hardened", HARDENED, False),
        ("hardened, claiming to be asked to", HARDENED, True),
    ):
        decided, terms = restless_voter(rules, asked_to=asked_to)
        lies.append(
            Lie(
                f"voter asks for votes all the time ({kind})",
                f"{decided} of {REQUESTS} requests decided, {terms} terms passed",
                harm=decided < REQUESTS,
            )
        )
    honest, favoured = favouring_leader(rtts_us, leader)
    lies.append(
        Lie(
            "leader reports its friends' acknowledgements as the first",
            f"participation of the 15 slowest after {ROUNDS} rounds: {favoured:.1f} points "
            f"instead of {honest:.1f}",
            harm=True,
        )
    )
    lies.append(
        Lie(
            "voter states a larger weight than it has",
            "nothing: a reply carries no weight, it is read from the configuration",
            harm=False,
        )
    )
    return lies
