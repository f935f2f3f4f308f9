"""The parts of the simulator, one by one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from random import Random

import pytest

from gridpact.consensus.frames import Framing
from gridpact.consensus.raft import Profile, RaftMessage, RaftReplica
from gridpact.consensus.raft.messages import VoteReply
from gridpact.consensus.shape import Reason, Send, Suspect
from gridpact.sim import Trial, Violation, plan_of, run_plan
from gridpact.sim.disk import Disk, framed, read_back
from gridpact.sim.faults import Action
from gridpact.sim.histories import Operation, check_linearizable
from gridpact.sim.keys import Keyring
from gridpact.sim.liars import (
    Liar,
    equivocate,
    every_vote,
    only_to,
    other_payloads,
    run_with_twins,
    tampered,
    withhold,
)
from gridpact.sim.network import LATENCIES, Link, NetworkPlan, delays, slowest_us
from gridpact.sim.quorums import QuorumWatch

HARDENED = Profile.HARDENED


# Disk and keys


def test_a_cut_anywhere_leaves_a_prefix_of_the_records() -> None:
    records = [b"one", b"", b"three" * 40]
    data = framed(records)
    for cut in range(len(data) + 1):
        kept = read_back(data[:cut])
        assert kept == records[: len(kept)]
    assert read_back(data) == records


def test_a_torn_record_is_dropped() -> None:
    data = bytearray(framed([b"one", b"two"]))
    data[-1] ^= 1
    assert read_back(bytes(data)) == [b"one"]


@pytest.mark.parametrize(("kept", "left"), [(0, []), (1000, [b"a", b"b"]), (600, [b"a"])])
def test_a_crash_keeps_what_reached_the_disk(kept: int, left: list[bytes]) -> None:
    disk = Disk()
    disk.writing = (b"a", b"b")
    disk.crash(kept)
    assert disk.records == left
    assert disk.writing == ()


def test_nobody_signs_for_another() -> None:
    keys = Keyring(b"secret")
    signature = keys.signer("a").sign(b"data")
    keys.signer("b")
    assert keys.verify("a", b"data", signature)
    assert not keys.verify("b", b"data", signature)
    assert not keys.verify("a", b"other", signature)
    assert not keys.verify("c", b"data", signature)
    assert not Keyring(b"other secret").verify("a", b"data", signature)


# Links


@pytest.mark.parametrize("model", LATENCIES)
def test_delays_are_positive_and_seeded(model: str) -> None:
    tables = delays(model, 1000, 4, Random(1))
    assert tables == delays(model, 1000, 4, Random(1))
    assert min(min(table) for row in tables for table in row) >= 1
    assert slowest_us(tables) >= 1000 // 2


def test_links_lose_double_and_keep_order() -> None:
    random = Random(1)
    link = Link([10, 500], ordered=True)
    times = [at for moment in range(100) for at in link.arrivals(moment, random)]
    assert times == sorted(times)
    assert len(times) == 100
    link.duplicated = 1.0
    assert len(link.arrivals(0, random)) == 2
    link.lost = 1.0
    assert link.arrivals(0, random) == ()
    link.lost, link.cut = 0.0, 1
    assert link.arrivals(0, random) == ()


# Histories and quorums


def operation(began: int, ended: float, height: int, payload: bytes = b"") -> Operation:
    made = Operation(0, began, payload)
    made.ended_us, made.height = ended, height
    return made


@pytest.mark.parametrize(
    "history",
    [
        [operation(0, 5, 3, b"w"), operation(6, 7, 3)],
        [operation(0, 9, 3, b"w"), operation(2, 3, 0), operation(4, 5, 3)],
        [operation(0, float("inf"), 3, b"w"), operation(4, 5, 3), operation(6, 7, -1, b"x")],
    ],
)
def test_histories_that_could_be(history: list[Operation]) -> None:
    check_linearizable(history)


@pytest.mark.parametrize(
    "history",
    [
        [operation(0, 5, 3, b"w"), operation(6, 7, 2)],
        [operation(0, 5, 3, b"w"), operation(6, 7, 2, b"x")],
        [operation(0, 5, 3), operation(6, 7, 3, b"w")],
        [operation(0, 5, 3), operation(6, 7, 2), operation(1, 9, 3, b"w")],
    ],
)
def test_histories_that_could_not(history: list[Operation]) -> None:
    with pytest.raises(Violation, match="linearizability"):
        check_linearizable(history)


def test_quorums_of_neighbours_must_meet() -> None:
    watch = QuorumWatch("abcde")
    watch.decided(1, 4, "ab")
    watch.elected(1, 3, "cde")  # earlier than the decision
    watch.elected(3, 9, "cde")  # two configurations later
    watch.elected(2, 9, "bcd")
    with pytest.raises(Violation, match="quorums meet"):
        watch.elected(2, 9, "cde")
    with pytest.raises(Violation, match="quorums meet"):
        watch.decided(3, 8, "ab")


# Runs


def test_a_run_does_not_depend_on_the_order_of_hashes() -> None:
    code = (
        "from gridpact.sim import plan_of, run_plan;"
        "from gridpact.consensus.raft import Profile;"
        "print(run_plan(plan_of('weighted-raft', Profile.HARDENED, 3)))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(printed) == 1
    assert b"rule=''" in next(iter(printed))


def test_a_schedule_without_faults_is_quiet() -> None:
    for seed in range(8):
        plan = plan_of("raft", HARDENED, seed, kinds=())
        assert plan.actions == ()
        outcome = run_plan(plan)
        assert outcome.rule == ""
        assert outcome.elections == 1


def small(actions: tuple[Action, ...], members: int, spare: int) -> Trial:
    plan = plan_of("raft", HARDENED, 1, kinds=())
    hosts = members + spare
    tables = [[[1000]] * hosts] * hosts
    return Trial(
        replace(
            plan,
            weights={f"n{place}": 1 for place in range(members)},
            spare=spare,
            network=NetworkPlan("constant", tables, ordered=True, lost=0.0, duplicated=0.0),
            ppm=(0,) * hosts,
            actions=actions,
        )
    )


def test_a_leader_that_joined_meanwhile_is_heard() -> None:
    """Its entries tell that it is a member, and only it has them to give."""
    unit_us = small((), 3, 1).plan.unit_us
    trial = small(
        (
            Action(3 * unit_us, 23 * unit_us, "deaf", (0b0010,)),
            Action(5 * unit_us, 5 * unit_us, "members", (1, 1, 1, 1)),
            Action(8 * unit_us, 8 * unit_us, "transfer", (3,)),
        ),
        3,
        1,
    )
    outcome = trial.run()
    assert outcome.rule == "", outcome.words
    assert "n3" in trial.watch.leaders.values()


# Liars: outside what Raft tolerates


def lying_run(name: str, make: object, profile: Profile = HARDENED) -> set[str]:
    """Properties broken in some runs in which one replica lies."""

    def replica(own: str, stored, rules, random, framing, contacts):  # type: ignore[no-untyped-def]
        honest = RaftReplica(own, stored, rules, random, framing, contacts)
        return make(honest, framing) if own == name else honest  # type: ignore[operator]

    found = set()
    for seed in (1, 5, 8, 11, 46, 49):
        plan = plan_of("raft", profile, seed)
        found.add(run_plan(plan, replica=replica).rule)
    return found


def test_a_leader_that_equivocates_breaks_raft() -> None:
    def make(honest: RaftReplica, framing: Framing[RaftMessage]) -> Liar:
        peers = ("n1", "n3", "n5")
        return Liar(honest, equivocate(framing, honest.name, peers, other_payloads))

    assert lying_run("n0", make) & {"log matching", "state machine agreement"}


def test_a_voter_that_grants_every_vote_breaks_raft() -> None:
    def make(honest: RaftReplica, framing: Framing[RaftMessage]) -> Liar:
        return Liar(
            honest, equivocate(framing, honest.name, ("n1", "n2", "n3", "n4", "n5"), every_vote)
        )

    found = lying_run("n0", make, Profile.PAPER)  # without trial votes elections are contested
    assert {"one leader per term", "leader completeness"} <= found


def test_who_is_silent_or_garbles_does_no_harm_to_safety() -> None:
    def silent(honest: RaftReplica, framing: Framing[RaftMessage]) -> Liar:
        return Liar(honest, withhold(Random(1), 0.5))

    def choosy(honest: RaftReplica, framing: Framing[RaftMessage]) -> Liar:
        return Liar(honest, only_to(("n1",)))

    def garbles(honest: RaftReplica, framing: Framing[RaftMessage]) -> Liar:
        return Liar(honest, tampered(Random(1)))

    for make in (silent, choosy, garbles):
        assert lying_run("n0", make) <= {"", "liveness"}


def test_twins_with_one_key_break_raft() -> None:
    found = {run_with_twins(plan_of("raft", HARDENED, seed)).rule for seed in (0, 15, 18, 49)}
    assert {"leader completeness", "log matching"} <= found


def test_a_tampered_frame_is_suspected() -> None:
    keys = Keyring(b"secret")
    framing = {
        name: Framing[RaftMessage](b"c" * 32, name, RaftMessage, keys.signer(name), keys)
        for name in "ab"
    }
    sent = Send("b", framing["a"].seal(VoteReply(1, granted=True, trial=False), "b"))
    for place in range(20):
        (bad,) = tampered(Random(place))(sent)
        opened = framing["b"].open("a", bad.data, ("a", "b"))
        assert isinstance(opened, Suspect)
        assert opened.reason in set(Reason)
