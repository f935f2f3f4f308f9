"""Logs that come to agree: appending, deciding, reading, snapshots, flow, and lost disks."""

from __future__ import annotations

from random import Random

import pytest

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import (
    Profile,
    RaftMessage,
    RaftReplica,
    Role,
    Timing,
    flexible_raft,
    raft,
    recover,
)
from gridpact.consensus.raft.messages import (
    PAYLOAD_MAX,
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    VoteReply,
)
from gridpact.consensus.raft.progress import INFLIGHT_MAX, Progress
from gridpact.consensus.raft.records import Entries, Vote, record_bytes
from gridpact.consensus.raft.replica import READS_MAX, UNDECIDED_MAX
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Effect,
    Persist,
    Persisted,
    Propose,
    ReadReady,
    ReadRequest,
    Received,
    Refused,
    Restore,
    Send,
    Suspect,
    TimerFired,
)
from raft_bench import Group, Host, framing, message_in

THREE = {"a": 1, "b": 1, "c": 1}
START = configuration_of(0, THREE)
HARD = raft(Profile.HARDENED, Timing(1))
PLAIN = raft(Profile.PAPER, Timing(1))


def plain(*terms: int) -> list[Entry]:
    return [Entry(each, configuration=False, payload=b"t%d" % each) for each in terms]


def follower(term: int, *terms: int) -> RaftReplica:
    records = [record_bytes(Vote(term, ""))]
    if terms:
        records.append(record_bytes(Entries(1, plain(*terms))))
    made = RaftReplica("a", recover(START, records), PLAIN, Random(0), framing("a"))
    made.start(0)
    return made


def leader(*terms: int) -> RaftReplica:
    """`a` leads the term after its log's last, its own empty entry on the disk."""
    made = follower(terms[-1] if terms else 0, *terms)
    saved(made, made.step(TimerFired("election"), 100_000))
    effects = told(made, "b", VoteReply(made.term, granted=True, trial=False))
    assert made.role is Role.LEADER
    made.step(Persisted(tokens(effects)[-1]), 0)
    return made


def told(one: RaftReplica, peer: str, message: RaftMessage, now_ms: int = 0) -> list[Effect]:
    return one.step(Received(peer, framing(peer).seal(message, "a")), now_ms)


def saved(one: RaftReplica, effects: list[Effect]) -> list[Effect]:
    """What follows once all of it is on the disk."""
    return [each for token in tokens(effects) for each in one.step(Persisted(token), 0)]


def said(effects: list[Effect]) -> list[tuple[str, RaftMessage]]:
    return [(each.peer, message_in(each.data)) for each in effects if isinstance(each, Send)]


def only(effects: list[Effect]) -> RaftMessage:
    ((_, message),) = said(effects)
    return message


def tokens(effects: list[Effect]) -> list[int]:
    return [each.token for each in effects if isinstance(each, Persist)]


def has(index: int, term: int, question: int = 0) -> AppendReply:
    return AppendReply(term, accepted=True, index=index, question=question)


def heights(effects: list[Effect]) -> list[int]:
    return [each.height for each in effects if isinstance(each, Decide)]


# Following


def test_entries_are_on_the_disk_before_they_are_confirmed_and_decided_after() -> None:
    one = follower(1)
    effects = told(one, "b", Append(1, 0, 0, plain(1, 1), 2, 4))
    assert [type(each) for each in effects] == [Persist, Send, Decide, Decide]
    assert only(effects) == has(2, 1, 4)


def test_what_is_there_already_is_neither_written_nor_truncated() -> None:
    """A late message with fewer entries leaves those that follow."""
    one = follower(1, 1, 1, 1)
    effects = told(one, "b", Append(1, 0, 0, plain(1), 0, 0))
    assert [type(each) for each in effects] == [Send]
    assert only(effects) == has(1, 1)
    assert one.log.last_index == 3


def test_a_conflict_truncates_from_where_it_is() -> None:
    one = follower(3, 1, 1, 2, 2)
    effects = told(one, "b", Append(3, 1, 1, plain(1, 3), 0, 0))
    assert [entry.term for entry in one.log.entries] == [1, 1, 3]
    assert only(effects) == has(3, 3)
    (persist,) = [each for each in effects if isinstance(each, Persist)]
    assert persist.records == (record_bytes(Entries(3, plain(3))),)


@pytest.mark.parametrize(
    ("previous", "previous_term", "hint"), [(6, 4, 5), (4, 4, 3), (2, 3, 1), (4, 1, 3)]
)
def test_a_gap_or_a_conflict_before_is_refused_with_where_to_try(
    previous: int, previous_term: int, hint: int
) -> None:
    one = follower(4, 1, 1, 2, 2)
    effects = told(one, "b", Append(4, previous, previous_term, plain(4), 0, 0))
    assert only(effects) == AppendReply(4, accepted=False, index=hint, question=0)
    assert one.log.last_index == 4


def test_only_what_the_message_reaches_is_decided() -> None:
    """Beyond it the own log may still be another leader's."""
    one = follower(3, 1, 1, 2, 2)
    assert heights(told(one, "b", Append(3, 1, 1, plain(1), 9, 0))) == [1, 2]
    assert one.commit == 2
    assert heights(told(one, "b", Append(3, 2, 1, [], 1, 0))) == []


def test_what_lies_before_the_snapshot_is_skipped() -> None:
    one = follower(2, 1, 1, 1, 2)
    told(one, "b", Append(2, 4, 2, [], 3, 0))
    one.step(Compact(3, b""), 0)
    assert only(told(one, "b", Append(2, 0, 0, plain(1), 3, 0))) == has(3, 2)
    assert only(told(one, "b", Append(2, 1, 1, plain(1, 1), 3, 0))) == has(3, 2)
    assert only(told(one, "b", Append(2, 1, 1, plain(1, 1, 2, 2), 3, 0))) == has(5, 2)
    assert [entry.term for entry in one.log.entries] == [2, 2]


# Deciding


def test_an_entry_of_an_earlier_term_is_not_decided_by_counting() -> None:
    """Figure 8 of the Raft paper: it lies on a majority, and may still be replaced."""
    one = leader(1, 2)
    assert heights(told(one, "b", has(2, 3))) == []
    assert heights(told(one, "c", has(2, 3))) == []
    assert one.commit == 0
    assert heights(told(one, "c", has(3, 3))) == [1, 2]
    assert one.commit == 3


def test_the_own_word_counts_once_it_is_durable() -> None:
    one = leader()
    told(one, "b", has(1, 1))
    (token,) = tokens(one.step(Propose(1, b"x"), 0))
    assert heights(told(one, "b", has(2, 1))) == []
    assert heights(one.step(Persisted(token), 0)) == [2]


def test_others_decide_without_the_own_disk() -> None:
    one = leader()
    one.step(Propose(1, b"x"), 0)
    assert heights(told(one, "b", has(2, 1))) == []
    assert heights(told(one, "c", has(2, 1))) == [2]


def test_entries_go_out_before_the_own_disk_has_them() -> None:
    one = leader()
    told(one, "b", has(1, 1))
    told(one, "c", has(1, 1))
    kinds = [type(each) for each in one.step(Propose(1, b"x"), 0)]
    assert kinds == [Send, Send, Persist]


def test_two_messages_for_each_follower_and_entry() -> None:
    """2 (n - 1), without batching. Source: `consensus.md`, section 11."""
    for members in (3, 5, 7):
        group = Group(HARD, {f"n{number}": 1 for number in range(members)})
        group.elect("n0")
        sent: list[str] = []
        group.watch = lambda name, effect, sent=sent: (
            sent.append(name) if isinstance(effect, Send) else None
        )
        for number in range(10):
            group.step("n0", Propose(number, b"x"))
            group.deliver_all()
        assert len(sent) == 10 * 2 * (members - 1)


def test_flexible_raft_decides_with_fewer() -> None:
    rules = flexible_raft(Profile.HARDENED, Timing(1), 2)
    group = Group(rules, {f"n{number}": 1 for number in range(5)})
    group.elect("n0")
    group.step("n0", Propose(1, b"x"))
    for wire in [each for each in group.wires if each.receiver == "n1"]:
        group.deliver(wire)
    group.deliver_all(lambda wire: wire.sender == "n1")
    assert group.hosts["n0"].decided == [(2, b"x")]


def test_what_a_follower_cannot_have_confirms_nothing() -> None:
    one = leader()
    assert said(told(one, "b", has(9, 1))) == []
    assert one.commit == 0
    assert one.leading.progress["b"].matched == 0


@pytest.mark.parametrize("payload", [b"", bytes(PAYLOAD_MAX + 1)])
def test_empty_and_oversized_payloads_are_refused(payload: bytes) -> None:
    one = leader()
    assert one.step(Propose(7, payload), 0) == [Refused(7, "")]
    assert one.log.last_index == 1


def test_more_than_can_wait_is_refused() -> None:
    one = leader()
    for number in range(UNDECIDED_MAX - 1):
        one.step(Propose(number, b"x"), 0)
    assert one.step(Propose(7, b"x"), 0) == [Refused(7, "")]
    assert one.log.last_index == UNDECIDED_MAX


# Reading


def test_a_read_waits_for_an_own_decision_and_for_a_quorum_that_was_asked_after_it() -> None:
    one = leader()
    assert one.step(ReadRequest(1), 0) == [Refused(1, "")]
    told(one, "b", has(1, 1))
    effects = one.step(ReadRequest(2), 0)
    assert [message.question for _, message in said(effects) if isinstance(message, Append)] == [
        1,
        1,
    ]
    assert not [each for each in told(one, "b", has(1, 1, 0)) if isinstance(each, ReadReady)]
    one.step(ReadRequest(3), 0)
    assert told(one, "c", has(1, 1, 1)) == [ReadReady(2, 1)]
    refusal = told(one, "b", AppendReply(1, accepted=False, index=9, question=2))
    assert refusal == [ReadReady(3, 1)]


def test_an_answer_to_a_round_that_was_never_asked_is_none() -> None:
    one = leader()
    told(one, "b", has(1, 1, 99))
    effects = one.step(ReadRequest(1), 0)
    assert not [each for each in effects if isinstance(each, ReadReady)]


def test_reads_are_refused_when_leadership_ends_and_when_too_many_wait() -> None:
    one = leader()
    told(one, "b", has(1, 1))
    for token in range(READS_MAX):
        one.step(ReadRequest(token), 0)
    assert one.step(ReadRequest(READS_MAX), 0) == [Refused(READS_MAX, "")]
    effects = told(one, "c", Append(2, 0, 0, [], 0, 0))
    assert len([each for each in effects if isinstance(each, Refused)]) == READS_MAX
    assert one.step(ReadRequest(1), 0) == [Refused(1, "c")]


# Snapshots


def snapshot(index: int, index_term: int, term: int = 3) -> InstallSnapshot:
    return InstallSnapshot(term, index, index_term, START, b"state", 5)


def test_a_snapshot_is_on_the_disk_before_it_is_restored_and_confirmed() -> None:
    one = follower(3, 1, 1)
    effects = told(one, "b", snapshot(9, 2))
    assert [type(each) for each in effects] == [Persist, Restore, Send]
    assert only(effects) == has(9, 3, 5)
    assert (one.commit, one.log.last_index, one.log.last_term) == (9, 9, 2)


def test_a_snapshot_keeps_what_agrees_and_follows() -> None:
    one = follower(3, 1, 2, 3)
    told(one, "b", snapshot(2, 2))
    assert (one.log.last_index, one.log.entries) == (3, plain(3))
    other = follower(3, 1, 1, 3)
    told(other, "b", snapshot(2, 2))
    assert (other.log.last_index, other.log.entries) == (2, [])


def test_an_old_snapshot_changes_nothing() -> None:
    one = follower(3, 1, 2, 3)
    told(one, "b", Append(3, 3, 3, [], 3, 0))
    assert told(one, "b", snapshot(2, 2)) == told(one, "b", snapshot(2, 2))
    assert only(told(one, "b", snapshot(2, 2))) == has(3, 3, 5)
    assert only(told(one, "b", snapshot(2, 2, term=2))) == AppendReply(3, False, 0, 5)


@pytest.mark.parametrize(
    "message", [snapshot(9, 4), snapshot(9, 0), snapshot(0, 1), snapshot(1, 2)]
)
def test_snapshots_that_no_leader_can_have(message: InstallSnapshot) -> None:
    one = follower(3, 1, 2, 3)
    told(one, "b", Append(3, 3, 3, [], 3, 0))
    (effect,) = told(one, "b", message)
    assert isinstance(effect, Suspect)


def test_only_what_is_decided_becomes_a_snapshot_and_once() -> None:
    one = follower(1, 1, 1, 1)
    told(one, "b", Append(1, 3, 1, [], 2, 0))
    assert one.step(Compact(3, b""), 0) == []
    assert one.step(Compact(0, b""), 0) == []
    assert len(one.step(Compact(2, b""), 0)) == 1
    assert one.step(Compact(2, b""), 0) == []
    assert (one.log.snapshot.index, one.log.snapshot.term, one.log.last_index) == (2, 1, 3)


def test_a_restart_hands_the_snapshot_out_first() -> None:
    one = follower(3, 1)
    records = [
        r for e in told(one, "b", snapshot(9, 2)) if isinstance(e, Persist) for r in e.records
    ]
    again = RaftReplica("a", recover(START, records), PLAIN, Random(0), framing("a"))
    assert again.start(0)[0] == Restore(9, b"state")
    assert again.commit == 9


def caught_up(group: Group, name: str) -> bool:
    return group[name].log.last_index == group["a"].log.last_index


def test_a_follower_behind_the_snapshot_gets_it_however_far_it_was_taken_to_be() -> None:
    """It agreed once, so the leader had run ahead of it; the entry that a heartbeat would name is
    gone, and so many messages were lost that none might follow."""
    group = Group(HARD, THREE)
    group.elect("a")
    group.part("a b", "c")
    for number in range(INFLIGHT_MAX + 10):
        group.step("a", Propose(number, b"x"))
        group.deliver_all()
    group.step("a", Compact(group["a"].commit, b"state"))
    group.cut.clear()
    group.fire("a", "heartbeat")
    group.deliver_all()
    assert caught_up(group, "c")
    assert not [effect for host in group.hosts.values() for effect in host.suspects]


def test_a_lost_snapshot_is_sent_again() -> None:
    group = Group(HARD, THREE)
    group.elect("a")
    group.part("a b", "c")
    group.step("a", Propose(1, b"x"))
    group.deliver_all()
    group.step("a", Compact(group["a"].commit, b"state"))
    group.cut.clear()
    for _ in range(3):
        group.fire("a", "heartbeat")
        group.wires.clear()
    group.fire("a", "heartbeat")
    group.deliver_all()
    assert caught_up(group, "c")


# Flow


def test_a_probe_goes_alone_and_then_many() -> None:
    one = Progress(next_index=10)
    assert one.may_send
    one.sent(5)
    assert (one.next_index, one.may_send) == (10, False)
    one.heard(7, 0)
    assert one.accepted(14)
    for _ in range(INFLIGHT_MAX):
        assert one.may_send
        one.sent(1)
    assert not one.may_send
    assert one.next_index == 15 + INFLIGHT_MAX


def test_refusals_move_back_and_never_behind_what_agreed() -> None:
    one = Progress(next_index=10)
    assert one.refused(4)
    assert one.next_index == 4
    assert not one.refused(9)
    assert one.refused(3)
    assert not one.refused(3)  # a copy of the answer
    assert one.next_index == 3
    one.accepted(6)
    one.sent(5)
    assert not one.refused(12)  # it answers what was sent before
    assert not one.probing
    assert one.refused(2)
    assert (one.probing, one.next_index, one.inflight) == (True, 7, 0)


def test_answers_out_of_order_take_nothing_back() -> None:
    one = Progress(next_index=1)
    assert one.accepted(5)
    assert not one.accepted(3)
    assert (one.matched, one.next_index) == (5, 6)
    one.heard(1, 4)
    one.heard(2, 3)
    assert (one.answered, one.heard_ms) == (4, 2)


def test_lost_answers_do_not_hold_a_follower_back() -> None:
    """All answers to a full window are lost; the next heartbeat opens it again."""
    group = Group(HARD, THREE)
    group.elect("a")
    group.part("a c", "b")
    group.cut = {("b", "a")}
    for number in range(INFLIGHT_MAX + 10):
        group.step("a", Propose(number, b"x"))
    group.deliver_all()
    assert not group["a"].leading.progress["b"].may_send
    group.cut.clear()
    group.fire("a", "heartbeat")
    group.deliver_all()
    assert caught_up(group, "b")
    assert group["a"].leading.progress["b"].inflight == 0


@pytest.mark.parametrize("seed", range(8))
def test_lost_doubled_and_late_messages_end_in_equal_logs(seed: int) -> None:
    random = Random(seed)
    group = Group(PLAIN, THREE)
    group.elect("a")
    for number in range(60):
        group.step("a", Propose(number, b"%d" % number))
        for _ in range(random.randint(0, 6)):
            if group.wires:
                wire = random.choice(group.wires)
                match random.randint(0, 5):
                    case 0:
                        group.wires.remove(wire)
                    case 1:
                        group.wires.append(wire)
                    case _:
                        group.deliver(wire)
    for _ in range(3):
        group.fire("a", "heartbeat")
        group.deliver_all()
    decided = [group.hosts[name].decided for name in "abc"]
    assert decided[0] == decided[1] == decided[2]
    assert [payload for _, payload in decided[0]] == [b"%d" % number for number in range(60)]


# Slow disks


def held_leader() -> tuple[Group, Host]:
    group = Group(PLAIN, THREE)
    group.elect("a")
    host = group.hosts["a"]
    host.held = True
    return group, host


def test_a_deposed_leader_does_not_count_what_it_lost() -> None:
    """It writes index 2 in term 1, is deposed, truncates, leads again, and only then the disk has
    what it wrote first: that is no word for the new entry at the same index."""
    group, host = held_leader()
    group.step("a", Propose(1, b"lost"))
    group.wires.clear()
    group.fire("b")
    group.deliver_all(lambda wire: wire.receiver != "a")
    assert group.leaders() == ["a", "b"]
    group.fire("b", "heartbeat")
    group.deliver_all()
    assert [entry.term for entry in host.replica.log.entries] == [1, 2]
    assert host.replica.state.durable == 1
    group.save("a")
    assert host.replica.state.durable == 1
    group.save("a", 3)
    assert host.replica.state.durable == 2


def test_what_a_snapshot_removed_does_not_count_as_durable() -> None:
    """Five entries of an old term, then a snapshot that goes against them: the next own entry has
    an index that was durable once, with another entry."""
    one = follower(3, 1, 1, 1, 1, 1)
    effects = told(one, "b", snapshot(2, 2))
    one.step(Persisted(tokens(effects)[-1]), 0)
    saved(one, one.step(TimerFired("election"), 100_000))
    effects = told(one, "b", VoteReply(4, granted=True, trial=False))
    assert one.log.last_index == 3
    assert heights(told(one, "c", has(3, 4))) == []
    assert one.commit == 2
    one.step(Persisted(tokens(effects)[-1]), 0)
    assert one.commit == 3


def test_what_a_leader_made_one_truncate_does_not_count_as_durable() -> None:
    """The same without a snapshot: five entries, the third replaced, then the own fourth."""
    one = follower(2, 1, 1, 1, 1, 1)
    effects = told(one, "b", Append(2, 2, 1, plain(2), 0, 0))
    assert one.log.last_index == 3
    one.step(Persisted(tokens(effects)[-1]), 0)
    saved(one, one.step(TimerFired("election"), 100_000))
    effects = told(one, "b", VoteReply(3, granted=True, trial=False))
    assert heights(told(one, "c", has(4, 3))) == []
    assert one.commit == 0
    one.step(Persisted(tokens(effects)[-1]), 0)
    assert one.commit == 4


def test_records_of_a_new_term_are_saved_before_the_first_entry_goes_out() -> None:
    """Who may elect itself leads only when its vote is durable: a crash before that would leave
    nothing of it, and the term could have another leader."""
    for members in ({"a": 1}, {"a": 9, "b": 1}):
        records = configuration_of(0, members)
        one = RaftReplica("a", recover(records, []), PLAIN, Random(0), framing("a"))
        one.start(0)
        effects = one.step(TimerFired("election"), 100_000)
        assert one.role is Role.CANDIDATE
        kinds = [type(each) for each in effects if isinstance(each, Persist | Send)]
        assert kinds == [Persist, Send][: len(members)]
        saved(one, effects)
        assert one.role is Role.LEADER
