"""Quorums: that what must share a member does, counted out for small groups."""

from __future__ import annotations

from itertools import chain, combinations, pairwise, product
from random import Random

import pytest

from gridpact.consensus.configuration import (
    Configuration,
    Faults,
    configuration_of,
    levels_for,
    next_weights,
    tolerates,
    voters_of,
    voting_weights,
)
from gridpact.consensus.quorum import (
    STEPS_MAX,
    CountedQuorum,
    QuorumRule,
    WeightMajority,
    always_meet,
    byzantine_quorum,
    majority,
)
from gridpact.consensus.raft.membership import JointChange, Membership

NAMES = "abcdef"
Weights = dict[str, int]


def subsets(names: str | list[str]) -> list[frozenset[str]]:
    sizes = range(len(names) + 1)
    return [frozenset(found) for found in chain(*(combinations(names, size) for size in sizes))]


def weigh(members: frozenset[str], weights: Weights) -> int:
    return sum(weights.get(name, 0) for name in members)


def meet_by_trying(old: Weights, new: Weights) -> bool:
    """Every pair of sets, one a majority before, one after, shares a member."""
    everybody = sorted(old.keys() | new.keys())
    before = [s for s in subsets(everybody) if 2 * weigh(s, old) > sum(old.values())]
    after = [s for s in subsets(everybody) if 2 * weigh(s, new) > sum(new.values())]
    return all(one & other for one in before for other in after)


def test_a_majority_is_more_than_half_and_a_byzantine_quorum_more_than_half_and_the_liars() -> None:
    for total in range(1, 30):
        for weight in range(total + 1):
            assert majority(weight, total) == (weight > total / 2)
            for faulty in range(total):
                assert byzantine_quorum(weight, total, faulty) == (weight > (total + faulty) / 2)
    needed = [
        min(w for w in range(n + 1) if byzantine_quorum(w, n, (n - 1) // 3)) for n in (4, 7, 10)
    ]
    assert needed == [3, 5, 7]


def test_always_meet_is_exact_for_all_weights_up_to_three_of_three() -> None:
    found = {True: 0, False: 0}
    for old in product(range(1, 4), repeat=3):
        for new in product(range(4), repeat=3):
            one = dict(zip("abc", old, strict=True))
            other = {name: weight for name, weight in zip("abc", new, strict=True) if weight}
            if other:
                assert always_meet(one, other) == meet_by_trying(one, other), (one, other)
                found[always_meet(one, other)] += 1
    assert min(found.values()) > 100


def test_always_meet_is_exact_where_members_come_and_go() -> None:
    random = Random(1)
    for _ in range(1_500):
        one = {name: random.randint(1, 9) for name in NAMES if random.random() < 0.7}
        other = {name: random.randint(1, 9) for name in NAMES if random.random() < 0.7}
        if one and other:
            assert always_meet(one, other) == meet_by_trying(one, other), (one, other)
            assert always_meet(one, other) == always_meet(other, one)


def test_one_validator_by_one_always_meets() -> None:
    for weights in product(range(1, 5), repeat=4):
        old = dict(zip("abcd", weights, strict=True))
        for step in (-1, 1):
            if old["a"] + step > 0:
                assert always_meet(old, old | {"a": old["a"] + step})


def test_a_check_that_would_take_too_long_says_no() -> None:
    heavy = {"a": STEPS_MAX, "b": STEPS_MAX}
    assert not always_meet(heavy, heavy)
    assert WeightMajority().meets({"a": 2, "b": 1}, {"a": 3, "b": 1})


@pytest.mark.parametrize(
    ("members", "share"),
    [(5, (5, 12)), (7, (25, 42)), (9, (72, 88)), (11, (94, 100))],
)
def test_drift_of_five_percent_parts_majorities(members: int, share: tuple[int, int]) -> None:
    """8, 33, 80, 99.8 % at 5, 7, 9, 11: weights of 100 that each drift by up to 5.

    Source: `consensus.md`, section 3, and the reason for the joint configuration.
    """
    random = Random(members)
    names = [f"n{number}" for number in range(members)]
    parted = 0
    for _ in range(200):
        old = {name: random.randint(60, 140) for name in names}
        new = {name: weight * random.randint(950, 1050) for name, weight in old.items()}
        parted += not meets_scaled(old, new)
    low, high = share
    assert low <= parted / 2 <= high


def meets_scaled(old: Weights, new: Weights) -> bool:
    """By trying subsets: old and new have different units here."""
    names = sorted(old)
    total_old, total_new = sum(old.values()), sum(new.values())
    for mask in range(1 << len(names)):
        chosen = [name for place, name in enumerate(names) if mask >> place & 1]
        before = sum(old[name] for name in chosen)
        after = total_new - sum(new[name] for name in chosen)
        if 2 * before > total_old and 2 * after > total_new:
            return False
    return True


def sets_of(rule: QuorumRule, configuration: Configuration) -> tuple[list[frozenset[str]], ...]:
    """(those that elect, those that decide) under one configuration."""
    membership = Membership(configuration, rule)
    names = sorted(membership.members)
    elect = [chosen for chosen in subsets(names) if membership.elects(chosen)]
    decide = [c for c in subsets(names) if membership.reached(dict.fromkeys(c, 1)) == 1]
    return elect, decide


@pytest.mark.parametrize("rule", [WeightMajority(), CountedQuorum(1), CountedQuorum(2)])
def test_elections_meet_elections_and_decisions_through_every_step_of_a_change(
    rule: QuorumRule,
) -> None:
    """Old, joint, new: sets that elect or decide under neighbours share a member."""
    random = Random(3)
    for _ in range(60):
        old = {name: random.randint(1, 4) for name in random.sample("abcde", random.randint(1, 4))}
        new = {name: random.randint(1, 4) for name in random.sample("abcde", random.randint(1, 4))}
        first = configuration_of(0, old)
        step = JointChange().next_step(first, new, rule)
        steps = [first, step] + ([configuration_of(2, new)] if step.is_joint else [])
        assert steps[-1].voters == voters_of(new)
        assert not steps[-1].is_joint
        for one, other in [*pairwise(steps), *((s, s) for s in steps)]:
            elect, decide = sets_of(rule, one)
            elect_next, decide_next = sets_of(rule, other)
            assert elect
            assert decide
            for chosen in elect:
                assert all(chosen & each for each in (*elect_next, *decide_next))
            for chosen in elect_next:
                assert all(chosen & each for each in decide)


def test_flexible_quorum_of_thirteen_elects_with_eighteen_of_thirty() -> None:
    rule = CountedQuorum(13)
    assert next(count for count in range(31) if rule.commits(0, count, 0, 30)) == 13
    assert next(count for count in range(31) if rule.elects(0, count, 0, 30)) == 18
    assert next(count for count in range(31) if CountedQuorum(25).elects(0, count, 0, 30)) == 16
    assert next(count for count in range(4) if CountedQuorum(25).commits(0, count, 0, 3)) == 3


def test_levels_are_the_largest_that_the_inequality_allows() -> None:
    """(20 + L) / 20 < n/f - 1, half of that for lies. Source: `consensus.md`, section 2."""
    for members in range(1, 40):
        for faulty in range(1, members + 1):
            for faults, share in ((Faults.CRASH, 1), (Faults.BYZANTINE, 2)):
                fitting = [
                    levels
                    for levels in range(21)
                    if (20 + levels) * faulty * share < 20 * (members - faulty)
                ]
                assert levels_for(members, faulty, faults) == max(fitting, default=0)
    assert levels_for(9, 0, Faults.CRASH) == 20


def test_weights_of_any_scores_tolerate_the_faults_they_are_made_for() -> None:
    random = Random(7)
    for _ in range(400):
        members = random.randint(3, 30)
        faults = random.choice(list(Faults))
        most = (members - 1) // (3 if faults is Faults.BYZANTINE else 2)
        faulty = random.randint(0, most)
        scores = {f"n{number}": random.choice((0, 1, 50, 99, 100)) for number in range(members)}
        weights = voting_weights(scores, score_unit=1, faulty=faulty, faults=faults)
        assert tolerates(weights, faulty, faults), (weights, faulty, faults)
        assert min(weights.values()) >= 1
        assert max(weights.values()) <= 40
    assert voting_weights(
        {"a": 0, "b": 999, "c": 1000}, score_unit=10, faulty=0, faults=faults
    ) == {
        "a": 20,
        "b": 39,
        "c": 40,
    }


def test_heavy_weights_that_would_stop_or_fool_the_others_are_not_taken() -> None:
    held = {"a": 1, "b": 1, "c": 1, "d": 1}
    assert not tolerates({"a": 2, "b": 1, "c": 1}, 1, Faults.CRASH)  # exactly half
    assert tolerates({"a": 2, "b": 2, "c": 1}, 1, Faults.CRASH)
    assert not tolerates({"a": 1, "b": 1, "c": 1}, 1, Faults.BYZANTINE)  # exactly a third
    assert tolerates(held, 1, Faults.BYZANTINE)
    heavy = {"a": 3, "b": 1, "c": 1, "d": 1}
    assert next_weights(held, heavy, 1, Faults.CRASH) == held
    light = {"a": 2, "b": 1, "c": 1, "d": 1}
    assert next_weights(held, light, 1, Faults.CRASH) == light
    assert next_weights(held, light, 1, Faults.BYZANTINE) == held
