"""Weights and members that change, with a joint configuration and without one."""

from __future__ import annotations

import pytest

from gridpact.codec import encode
from gridpact.consensus.configuration import configuration_of, weights_of
from gridpact.consensus.quorum import WeightMajority
from gridpact.consensus.raft import ChangeAtApply, Profile, Role, Timing, raft, weighted_raft
from gridpact.consensus.raft.log import Log
from gridpact.consensus.raft.membership import JointChange, Membership
from gridpact.consensus.raft.messages import Entry
from gridpact.consensus.raft.records import first_start
from gridpact.consensus.shape import (
    Compact,
    Propose,
    ReadReady,
    ReadRequest,
    Reconfigure,
    Refused,
    TransferLeadership,
)
from raft_bench import Group

HARD = raft(Profile.HARDENED, Timing(1))
THREE = {"a": 1, "b": 1, "c": 1}
START = configuration_of(0, THREE)
OLD = {"a": 10, "b": 10, "c": 30, "d": 30, "e": 20}
NEW = {"a": 40, "b": 20, "c": 15, "d": 15, "e": 10}


def change(group: Group, leader: str, weights: dict[str, int], token: int = 99) -> None:
    group.step(leader, Reconfigure(token, tuple(weights.items())))


def beat(group: Group, leader: str, times: int = 1) -> None:
    for _ in range(times):
        group.fire(leader, "heartbeat")
        group.deliver_all()


def led(weights: dict[str, int] = THREE, spares: str = "", leader: str = "a") -> Group:
    start = configuration_of(0, weights)
    group = Group(HARD, start, spares=dict.fromkeys(spares, start))
    group.elect(leader)
    beat(group, leader)
    return group


def until_led(group: Group, name: str) -> None:
    """The others keep to the leader before for a while."""
    for _ in range(4):
        group.fire(name)
        group.deliver_all()
        if group.leaders():
            break
    assert group.leaders() == [name]


def numbers(group: Group, name: str) -> list[int]:
    return [configuration.number for _, configuration in group[name].log.configurations]


def refused(group: Group, name: str) -> list[int]:
    return [each.token for each in group.hosts[name].told if isinstance(each, Refused)]


def test_a_joint_configuration_needs_both_sides() -> None:
    joint = JointChange().next_step(configuration_of(0, OLD), NEW, WeightMajority())
    membership = Membership(joint, WeightMajority())
    assert joint.is_joint
    assert not membership.elects({"c", "d", "e"})  # 80 and 40
    assert not membership.elects({"a", "b"})  # 20 and 60
    assert membership.elects({"a", "c", "d"})  # 70 and 70
    assert membership.reached({"c": 9, "d": 9, "e": 9, "a": 4, "b": 3}) == 4
    assert membership.reached({"c": 9, "d": 9, "e": 9}) == 0
    assert membership.rank == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}


def test_a_change_goes_by_a_joint_configuration_or_at_once_when_all_quorums_meet() -> None:
    group = led(OLD, leader="c")
    change(group, "c", NEW)
    assert group["c"].membership.configuration.is_joint
    group.deliver_all()
    beat(group, "c")
    assert numbers(group, "e") == [0, 1, 2]
    assert weights_of(group["e"].membership.configuration.voters) == NEW
    change(group, "c", NEW | {"e": 11})
    assert not group["c"].membership.configuration.is_joint
    group.deliver_all()
    assert numbers(group, "c") == [0, 1, 2, 3]


def test_one_change_at_a_time_after_an_own_decision_and_of_weights_that_can_be_read() -> None:
    group = Group(HARD, THREE)
    group.fire("a")
    group.deliver_all(lambda _wire: group["a"].role is not Role.LEADER)
    change(group, "a", {"a": 2, "b": 1, "c": 1}, 1)  # nothing of the own term is decided
    group.deliver_all()
    change(group, "b", {"a": 2, "b": 1, "c": 1}, 2)  # no leader
    for token, weights in enumerate(({}, {"a": 0, "b": 1}, {"A": 1}, {"a": 2**40}), start=3):
        change(group, "a", weights, token)
    change(group, "a", THREE, 7)  # no change
    assert group["a"].log.last_index == 1
    change(group, "a", {"a": 2, "b": 1, "c": 1}, 8)
    change(group, "a", {"a": 3, "b": 1, "c": 1}, 9)  # one is under way
    group.deliver_all()
    group.step("a", TransferLeadership("b"))
    change(group, "a", {"a": 3, "b": 1, "c": 1}, 10)
    assert refused(group, "a") == [1, 3, 4, 5, 6, 9, 10]
    assert refused(group, "b") == [2]


def test_the_last_answer_of_a_member_may_let_it_go() -> None:
    """c's answer decides the joint configuration; the next one is without c."""
    group = led(THREE, spares="de")
    change(group, "a", {"a": 1, "d": 1, "e": 1})
    group.deliver_all(lambda wire: "b" not in (wire.sender, wire.receiver) and wire.sender != "c")
    assert group["a"].membership.configuration.is_joint
    group.deliver_all(lambda wire: wire.sender == "c")
    assert "c" not in group["a"].leading.progress
    group.deliver_all()
    assert group["a"].commit == group["a"].log.last_index


def test_who_is_going_is_not_asked_to_take_over() -> None:
    group = led(THREE, spares="de")
    change(group, "a", {"a": 1, "d": 1, "e": 1})
    group.step("a", TransferLeadership("c"))
    group.deliver_all()
    assert group.leaders() == ["a"]


def test_a_leader_that_goes_leads_until_the_change_is_decided_without_it() -> None:
    group = led(THREE, spares="d")
    change(group, "a", {"b": 1, "c": 1, "d": 1})
    group.deliver_all(lambda wire: "b" in (wire.sender, wire.receiver))
    assert group["a"].membership.configuration.is_joint  # b is two of three, and one of three
    group.deliver_all(lambda wire: {wire.sender, wire.receiver} == {"a", "c"})
    assert group["a"].membership.members == {"b", "c", "d"}
    assert (group.leaders(), group["a"].commit) == (["a"], 2)  # c has the last, one of three
    group.deliver_all()
    assert (group.leaders(), group["a"].commit) == ([], 3)
    assert group["b"].commit == 3
    group.elect("b")
    assert group["b"].membership.members == {"b", "c", "d"}


def test_who_goes_still_stands_while_its_log_may_be_needed() -> None:
    """a alone has the entry that lets it go; b may not be elected without a, and a not without
    standing. Source: [ONGARO14], section 4.2.2."""
    alone = led({"a": 1, "b": 1})
    alone.part("a", "b")
    change(alone, "a", {"b": 1})
    assert alone["a"].membership.members == {"b"}
    alone.crash("a")
    alone.wires.clear()
    alone.restart("a")
    alone.cut.clear()
    alone.fire("b")
    alone.deliver_all()
    assert alone.leaders() == []  # a's log is longer
    alone.fire("a")
    alone.deliver_all()
    assert alone["b"].membership.members == {"b"}
    assert alone["a"].role is Role.FOLLOWER
    alone.fire("b")
    assert alone.leaders() == ["b"]


def test_who_has_gone_stands_no_more() -> None:
    group = led(THREE)
    change(group, "a", {"a": 1, "b": 1})
    group.deliver_all()
    beat(group, "a")
    gone = Group(HARD, {"b": 1, "c": 1}, spares={"a": configuration_of(0, {"b": 1, "c": 1})})
    gone.fire("a")
    assert gone["a"].role is Role.FOLLOWER
    group.fire("c")
    group.deliver_all()
    assert group.leaders() == ["a"]


def test_a_member_that_others_do_not_know_yet_may_lead_them() -> None:
    """d has the longest log; c has not heard that d is a member, and its vote is needed."""
    group = led(THREE, spares="d")
    change(group, "a", {**THREE, "d": 1})
    group.step("a", Propose(1, b"x"))
    group.deliver_all(lambda wire: {wire.sender, wire.receiver} == {"a", "d"})
    group.deliver_all(lambda wire: wire.receiver == "b" and wire.message.previous_index < 2)
    group.crash("a")
    group.wires.clear()
    assert [group[name].log.last_index for name in "bcd"] == [2, 1, 3]
    until_led(group, "d")
    assert group["c"].membership.members == set("abcd")


def test_a_truncated_configuration_takes_its_weights_with_it() -> None:
    group = led(OLD)
    group.part("a b", "c d e")
    change(group, "a", NEW)
    group.deliver_all()
    assert group["b"].membership.configuration.number == 1
    group.elect("c")
    group.cut.clear()
    beat(group, "c", 2)
    assert group["b"].membership.configuration.number == 0
    assert weights_of(group["a"].membership.configuration.voters) == OLD


def test_a_snapshot_carries_a_joint_configuration_and_its_end_still_comes() -> None:
    """The joint entry is decided and compacted before its end is; who restarts from there leads
    on and ends it."""
    group = led(THREE, spares="de")
    change(group, "a", {"a": 1, "d": 1, "e": 1})
    group.deliver_all(lambda wire: wire.sender != "a" or len(group["a"].log.configurations) < 3)
    assert group["a"].commit == 2
    group.step("a", Compact(2, b"state"))
    assert group["a"].log.snapshot.configuration.is_joint
    group.crash("a")
    group.wires.clear()
    disk = group.hosts["a"].disk
    group.restart("a")
    assert disk
    until_led(group, "a")
    beat(group, "a", 2)
    assert group["a"].membership.members == {"a", "d", "e"}
    assert not group["d"].membership.configuration.is_joint
    assert group["d"].log.last_index == group["a"].log.last_index


def test_a_leader_ends_a_joint_configuration_that_another_has_begun() -> None:
    group = led(THREE, spares="d")
    change(group, "a", {**THREE, "d": 5})
    group.deliver_all(lambda wire: wire.sender == "a")
    assert group["b"].membership.configuration.is_joint
    group.crash("a")
    group.wires.clear()
    until_led(group, "b")
    beat(group, "b", 2)
    assert not group["d"].membership.configuration.is_joint
    assert weights_of(group["c"].membership.configuration.voters)["d"] == 5


def test_a_read_in_a_joint_configuration_asks_both_sides() -> None:
    group = led(THREE, spares="de")
    change(group, "a", {"a": 1, "d": 1, "e": 1})
    group.wires.clear()
    group.step("a", ReadRequest(5))
    group.deliver_all(lambda wire: not {wire.sender, wire.receiver} & {"d", "e"})
    assert not [each for each in group.hosts["a"].told if isinstance(each, ReadReady)]
    group.deliver_all()
    assert [each for each in group.hosts["a"].told if isinstance(each, ReadReady)]


def test_one_by_one_a_group_becomes_another() -> None:
    group = led(THREE, spares="def")
    members, leader = dict(THREE), "a"
    for gone, come in (("b", "d"), ("c", "e"), ("a", "f")):
        members[come] = 1
        change(group, leader, members)
        group.deliver_all()
        del members[gone]
        change(group, leader, members)
        group.deliver_all()
        if gone == leader:
            leader = "d"
            group.elect(leader)
        beat(group, leader, 2)
    group.step(leader, Propose(1, b"x"))
    group.deliver_all()
    assert group[leader].membership.members == set("def")
    assert group.hosts[leader].decided[-1][1] == b"x"


def test_weights_at_apply_count_from_the_decision() -> None:
    rule = ChangeAtApply()
    log = Log(first_start(configuration_of(0, OLD)))
    step = rule.next_step(configuration_of(0, OLD), NEW, WeightMajority())
    assert step == configuration_of(1, NEW)
    log.replace_from(1, [Entry(1, configuration=True, payload=encode(step))])
    assert rule.in_force(log, 0).number == 0
    assert rule.in_force(log, 1).number == 1
    assert JointChange().in_force(log, 0).number == 1


@pytest.mark.parametrize("profile", list(Profile))
def test_compositions_differ_in_what_they_are_made_of_alone(profile: Profile) -> None:
    timing = Timing(5)
    plain, weighted = raft(profile, timing), weighted_raft(profile, timing)
    assert plain.quorum == weighted.quorum == WeightMajority()
    assert plain.trial_votes == weighted.trial_votes == (profile is Profile.HARDENED)
    at_apply = isinstance(weighted.change, ChangeAtApply)
    assert at_apply == (profile is Profile.PAPER)
