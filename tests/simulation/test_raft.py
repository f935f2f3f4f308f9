"""Every Raft against everything that can go wrong, and every checker against a broken twin.

A seed that ever failed stays here by number, with what it found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gridpact.consensus.quorum import CountedQuorum
from gridpact.consensus.raft import Profile, Rules
from gridpact.consensus.raft.timeouts import RandomTimeout
from gridpact.consensus.shape import Propose
from gridpact.sim import KINDS, PROTOCOLS, Outcome, Plan, Request, Trial, plan_of, run_plan, shrink
from gridpact.sim.faults import Action
from gridpact.sim.network import NetworkPlan
from gridpact.sim.twins import BROKEN, BrokenTwin

HARDENED = Profile.HARDENED
SEEDS = 100
FOUND = [
    ("raft", 115, "a KeyError on the reply with which a member left"),
    ("weighted-raft", 5, "the same"),
    ("raft", 85, "a heartbeat below the snapshot, with a term of -1, for ever"),
    ("weighted-raft", 34, "the same"),
    ("flexible-raft", 10, "the same"),
    ("weighted-raft", 5017, "a snapshot again for every copy of an older answer"),
    ("weighted-raft", 5937, "an answer to an earlier term read as a log without entries"),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_breaks_and_all_comes_back(protocol: str) -> None:
    outcomes = [run_plan(plan_of(protocol, HARDENED, seed)) for seed in range(SEEDS)]
    assert [(found.seed, found.rule, found.words) for found in outcomes if found.rule] == []
    assert sum(outcome.acknowledged for outcome in outcomes) > 100 * SEEDS
    assert sum(outcome.elections for outcome in outcomes) > SEEDS


@pytest.mark.parametrize(("protocol", "seed", "what"), FOUND)
def test_a_seed_that_found_something_stays(protocol: str, seed: int, what: str) -> None:
    outcome = run_plan(plan_of(protocol, HARDENED, seed))
    assert outcome.rule == "", f"{what}: {outcome.words}"


def found_by(twin: BrokenTwin) -> Iterator[Outcome]:
    for seed in range(twin.seeds):
        outcome = run_plan(twin.plan(seed), replica=twin.make())
        if outcome.rule:
            yield outcome


@pytest.mark.parametrize("name", BROKEN)
def test_broken_twin_is_caught(name: str) -> None:
    first = next(found_by(BROKEN[name]), None)
    assert first, f"not within {BROKEN[name].seeds} seeds"
    assert first.rule in BROKEN[name].rule, first.words


def test_what_a_hasty_leader_serves_is_a_stale_read() -> None:
    twin = BROKEN["reads without asking"]
    found = list(found_by(twin))
    assert len(found) > 1
    for outcome in found:
        assert re.fullmatch(r"(write|read) of .* before read of .*", outcome.words)
        assert run_plan(twin.plan(outcome.seed)).rule == "", "who asks is cut off just the same"


def test_paper_weights_show_their_flaw() -> None:
    rules = {run_plan(plan_of("weighted-raft", Profile.PAPER, seed)).rule for seed in range(12)}
    assert "quorums meet" in rules


def test_the_same_seed_gives_the_same_run() -> None:
    for protocol in PROTOCOLS:
        plan = plan_of(protocol, HARDENED, 5)
        assert run_plan(plan) == run_plan(plan_of(protocol, HARDENED, 5))


def test_a_finding_is_shrunk_and_still_one() -> None:
    request = Request("weighted-raft", Profile.PAPER)
    rule = request.run(8).rule
    assert rule == "quorums meet"
    shorter = shrink(request, 8, rule)
    assert shorter.keep is not None
    assert len(shorter.keep) < len(request.plan(8).actions)
    assert shorter.run(8).rule == rule
    assert shorter.replay(8).startswith(
        "gridpact simulate weighted-raft --profile paper --seeds 8:9 --keep "
    )


def test_every_kind_of_fault_occurs() -> None:
    seen = {
        action.kind
        for protocol in PROTOCOLS
        for seed in range(60)
        for action in plan_of(protocol, HARDENED, seed).actions
    }
    assert seen == set(KINDS)


# Plain Raft as a special case


def quiet(protocol: str, members: int, rules: Rules, actions: tuple[Action, ...] = ()) -> Plan:
    """A run on links of a millisecond without clients."""
    plan = plan_of(protocol, HARDENED, 1, kinds=())
    tables = [[[1000]] * members] * members
    return replace(
        plan,
        weights={f"n{place}": 1 for place in range(members)},
        spare=0,
        rules=rules,
        network=NetworkPlan("constant", tables, ordered=True, lost=0.0, duplicated=0.0),
        ppm=(0,) * members,
        clients=0,
        compact_every=0,
        actions=actions,
    )


def trace(protocol: str, seed: int) -> list[tuple[int, str, str, bytes]]:
    """All messages of a run with faults, on equal weights and equal timers."""
    rules = plan_of("raft", HARDENED, seed).rules
    shape = plan_of(protocol, HARDENED, seed, kinds=()).rules
    assert type(shape.change) is type(rules.change)
    plan = replace(plan_of("raft", HARDENED, seed), rules=replace(shape, timeouts=rules.timeouts,
                   heartbeat_ms=rules.heartbeat_ms))  # fmt: skip
    trial = Trial(plan)
    sent: list[tuple[int, str, str, bytes]] = []
    trial.world.sent = lambda *message: sent.append(message)
    assert trial.run().rule == ""
    return sent


@pytest.mark.parametrize("seed", range(4))
def test_equal_weights_and_timers_are_plain_raft_message_for_message(seed: int) -> None:
    plain = trace("raft", seed)
    assert len(plain) > 100
    assert trace("weighted-raft", seed) == plain


@pytest.mark.parametrize("members", [2, 3, 5, 7])
def test_an_entry_costs_two_messages_a_follower(members: int) -> None:
    """Apart from heartbeats, which come as often without it."""
    rules = replace(plan_of("raft", HARDENED, 1).rules, timeouts=RandomTimeout(5000, 9000),
                    heartbeat_ms=4000)  # fmt: skip
    trial = Trial(quiet("raft", members, rules))
    world = trial.world
    for host in world.hosts:
        world.start(host)
    while world.leader() is None:
        world.run(world.now_us + 1000)
    world.run(world.now_us + 500_000)
    before, leader = world.messages, world.leader()
    assert leader
    for number in range(1, 4):
        world.step(leader, Propose(number, b"entry %d" % number))
        world.run(world.now_us + 500_000)
    assert len(trial.watch.heights) == 3
    assert world.messages - before == 3 * 2 * (members - 1)


def test_flexible_quorum_of_a_majority_is_plain_raft() -> None:
    rules = plan_of("raft", HARDENED, 2).rules
    plan = plan_of("raft", HARDENED, 2, kinds=())
    counted = replace(rules, quorum=CountedQuorum(len(plan.weights) // 2 + 1))
    sent: list[list[bytes]] = []
    for each in (rules, counted):
        trial = Trial(replace(plan, rules=each))
        messages: list[bytes] = []
        trial.world.sent = lambda *message, to=messages: to.append(message[3])
        assert trial.run().rule == ""
        sent.append(messages)
    assert sent[0] == sent[1]
