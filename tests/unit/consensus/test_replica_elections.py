"""Who may vote, stand, lead and step down; what is durable before it is said."""

from __future__ import annotations

from random import Random

import pytest

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.raft import (
    Profile,
    RaftMessage,
    RaftReplica,
    Role,
    Rules,
    Timing,
    first_start,
    raft,
    recover,
    weighted_raft,
)
from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    Entry,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from gridpact.consensus.raft.records import Entries, Vote, record_bytes
from gridpact.consensus.raft.replica import TERMS_AHEAD_MAX
from gridpact.consensus.raft.timeouts import PaperRankTimeout, RandomTimeout, RankTimeout
from gridpact.consensus.shape import (
    Effect,
    Persist,
    Persisted,
    Propose,
    Reason,
    Received,
    Send,
    SetTimer,
    Suspect,
    TimerFired,
    TransferLeadership,
)
from raft_bench import Group, framing, message_in

THREE = {"a": 1, "b": 1, "c": 1}
FIVE = dict.fromkeys("abcde", 1)
HARD = raft(Profile.HARDENED, Timing(1))
PLAIN = raft(Profile.PAPER, Timing(1))


def replica(
    rules: Rules = HARD, *, term: int = 0, voted_for: str = "", terms: tuple[int, ...] = ()
) -> RaftReplica:
    """`a` of three, with a log of entries of these terms."""
    entries = [Entry(each, configuration=False, payload=b"x") for each in terms]
    records = [record_bytes(Entries(1, entries)), record_bytes(Vote(term, voted_for))]
    stored = recover(configuration_of(0, THREE), records[0 if entries else 1 :])
    made = RaftReplica("a", stored, rules, Random(0), framing("a"))
    made.start(0)
    return made


def told(one: RaftReplica, peer: str, message: RaftMessage, now_ms: int = 0) -> list[Effect]:
    return one.step(Received(peer, framing(peer).seal(message, "a")), now_ms)


def said(effects: list[Effect]) -> list[tuple[str, RaftMessage]]:
    return [(each.peer, message_in(each.data)) for each in effects if isinstance(each, Send)]


def only(effects: list[Effect]) -> RaftMessage:
    ((_, message),) = said(effects)
    return message


def ask(term: int, index: int = 0, index_term: int = 0, **sort: bool) -> VoteRequest:
    asked = {"trial": False, "asked_to": False} | sort
    return VoteRequest(term, index, index_term, **asked)


# Votes


def test_a_vote_is_on_the_disk_before_it_is_given() -> None:
    effects = told(replica(), "b", ask(1))
    kinds = [type(each) for each in effects]
    assert kinds.index(Persist) < kinds.index(Send)
    ((records),) = [each.records for each in effects if isinstance(each, Persist)]
    assert recover(configuration_of(0, THREE), records).voted_for == "b"
    assert only(effects) == VoteReply(1, granted=True, trial=False)


def test_one_vote_a_term_and_the_same_again() -> None:
    one = replica()
    told(one, "b", ask(1))
    assert only(told(one, "c", ask(1))) == VoteReply(1, granted=False, trial=False)
    assert only(told(one, "b", ask(1))) == VoteReply(1, granted=True, trial=False)
    assert only(told(one, "c", ask(2))) == VoteReply(2, granted=True, trial=False)


def test_the_vote_survives_a_restart() -> None:
    one = replica(term=1, voted_for="b")
    assert only(told(one, "c", ask(1))) == VoteReply(1, granted=False, trial=False)


@pytest.mark.parametrize(
    ("index", "index_term", "granted"),
    [(2, 2, True), (3, 2, True), (1, 3, True), (1, 2, False), (9, 1, False), (0, 0, False)],
)
@pytest.mark.parametrize("trial", [True, False])
def test_votes_go_only_to_logs_that_are_up_to_date(
    index: int, index_term: int, granted: bool, trial: bool
) -> None:
    one = replica(term=3, terms=(1, 2))
    reply = only(told(one, "b", ask(4, index, index_term, trial=trial)))
    assert isinstance(reply, VoteReply)
    assert reply.granted is granted
    assert one.term == (3 if trial else 4)


def test_an_earlier_term_is_refused_with_the_later_one() -> None:
    one = replica(term=5)
    assert only(told(one, "b", ask(4))) == VoteReply(5, granted=False, trial=False)
    assert only(told(one, "b", ask(4, trial=True))) == VoteReply(5, granted=False, trial=True)
    assert only(told(one, "b", Append(4, 0, 0, [], 0, 7))) == AppendReply(5, False, 0, 7)
    assert one.leader == ""


def test_a_trial_changes_nothing() -> None:
    one = replica()
    effects = told(one, "b", ask(1, trial=True))
    assert [type(each) for each in effects] == [Send]
    assert (one.term, one.voted_for) == (0, "")
    assert only(told(one, "b", ask(1))) == VoteReply(1, granted=True, trial=False)


def test_a_trial_in_a_term_that_is_over_tells_which_is_now() -> None:
    one = replica(term=5)
    assert only(told(one, "b", ask(5, trial=True))) == VoteReply(5, granted=False, trial=True)
    asking = replica(term=4)
    fire(asking)
    told(asking, "b", VoteReply(5, granted=False, trial=True))
    assert (asking.role, asking.term) == (Role.FOLLOWER, 5)


def fire(one: RaftReplica, now_ms: int = 100_000) -> list[Effect]:
    """The effects; a disk that is never slow."""
    effects = one.step(TimerFired("election"), now_ms)
    return effects + saved(one, effects, now_ms)


def saved(one: RaftReplica, effects: list[Effect], now_ms: int) -> list[Effect]:
    more = [one.step(Persisted(e.token), now_ms) for e in effects if isinstance(e, Persist)]
    return [each for effects in more for each in effects]


# Standing


def test_standing_for_election_saves_the_vote_before_asking() -> None:
    one = replica(PLAIN, term=3, terms=(1, 2))
    effects = fire(one)
    kinds = [type(each) for each in effects]
    assert kinds == [SetTimer, Persist, Send, Send]
    assert said(effects) == [("b", ask(4, 2, 2)), ("c", ask(4, 2, 2))]
    assert (one.role, one.term, one.voted_for) == (Role.CANDIDATE, 4, "a")


def test_a_majority_of_trial_votes_comes_before_a_term() -> None:
    one = replica()
    effects = fire(one)
    assert said(effects) == [(peer, ask(1, trial=True)) for peer in "bc"]
    assert not [each for each in effects if isinstance(each, Persist)]
    told(one, "b", VoteReply(0, granted=False, trial=True))
    assert one.role is Role.TRIAL
    saved(one, told(one, "c", VoteReply(1, granted=True, trial=True)), 100_000)
    assert (one.role, one.term) == (Role.CANDIDATE, 1)
    told(one, "b", VoteReply(1, granted=True, trial=False))
    assert one.role is Role.LEADER


def test_votes_count_by_weight() -> None:
    """Source: [XIONG23], section 4.1.1, election, step 2: more than half, not half."""
    stored = first_start(configuration_of(0, {"a": 3, "b": 1, "c": 2}))
    one = RaftReplica("a", stored, PLAIN, Random(0), framing("a"))
    one.start(0)
    fire(one)
    assert one.role is Role.CANDIDATE  # 3 of 6
    told(one, "b", VoteReply(1, granted=True, trial=False))
    assert one.role is Role.LEADER


def test_refusals_of_earlier_terms_do_not_hide_a_vote() -> None:
    one = replica(PLAIN, term=4)
    fire(one)
    told(one, "b", VoteReply(4, granted=False, trial=False))
    told(one, "b", VoteReply(4, granted=True, trial=False))
    assert one.role is Role.CANDIDATE
    told(one, "b", VoteReply(5, granted=True, trial=False))
    assert one.role is Role.LEADER


def test_answers_of_the_other_sort_elect_nobody() -> None:
    one = replica(PLAIN)
    fire(one)
    told(one, "b", VoteReply(1, granted=True, trial=True))
    told(one, "b", VoteReply(2, granted=True, trial=True))
    assert one.role is Role.CANDIDATE
    trying = replica()
    fire(trying)
    told(trying, "b", VoteReply(0, granted=True, trial=False))
    assert trying.role is Role.TRIAL


def test_one_voter_twice_is_one_vote() -> None:
    stored = first_start(configuration_of(0, FIVE))
    one = RaftReplica("a", stored, PLAIN, Random(0), framing("a"))
    one.start(0)
    fire(one)
    for _ in range(3):
        told(one, "b", VoteReply(1, granted=True, trial=False))
    assert one.role is Role.CANDIDATE


def test_who_is_alone_leads_at_once() -> None:
    group = Group(HARD, {"a": 1})
    group.fire("a")
    group.step("a", Propose(1, b"x"))
    assert group.hosts["a"].decided == [(2, b"x")]


def test_a_leader_of_the_term_ends_a_candidacy() -> None:
    one = replica(PLAIN)
    fire(one)
    told(one, "b", Append(1, 0, 0, [], 0, 0))
    assert (one.role, one.leader, one.term) == (Role.FOLLOWER, "b", 1)


def test_who_is_no_member_does_not_stand() -> None:
    stored = first_start(configuration_of(0, {"b": 1, "c": 1}))
    one = RaftReplica("a", stored, PLAIN, Random(0), framing("a"))
    one.start(0)
    assert [type(each) for each in fire(one)] == [SetTimer]
    assert one.term == 0


# Keeping to a leader


def test_who_has_heard_of_a_leader_elects_no_other_for_the_shortest_timeout() -> None:
    least_ms = HARD.timeouts.least_ms
    one = replica()
    told(one, "b", Append(1, 0, 0, [], 0, 0), 1_000)
    assert told(one, "c", ask(2), 1_000 + least_ms - 1) == []
    assert one.term == 1
    trial = told(one, "c", ask(2, trial=True), 1_000 + least_ms - 1)
    assert only(trial) == VoteReply(1, granted=False, trial=True)
    told_to = told(one, "c", ask(2, asked_to=True), 1_000 + least_ms - 1)
    assert only(told_to) == VoteReply(2, granted=True, trial=False)
    later = replica()
    told(later, "b", Append(1, 0, 0, [], 0, 0), 1_000)
    assert only(told(later, "c", ask(2), 1_000 + least_ms)) == VoteReply(2, True, False)


def test_without_trial_votes_anybody_may_end_a_leader() -> None:
    group = Group(PLAIN, THREE)
    group.elect("a")
    group.fire("b")
    group.deliver_all()
    assert group["a"].role is Role.FOLLOWER


def test_a_disruptive_replica_does_not_end_a_leader_and_comes_back() -> None:
    """b hears nothing for long (one way), then everything again."""
    group = Group(HARD, THREE, delay_ms=lambda _sender, _receiver: 1)
    group.run(2_000, stop=lambda: len(group.leaders()) == 1)
    (leader,) = group.leaders()
    deaf = next(name for name in "abc" if name != leader)
    group.cut = {(leader, deaf)}
    term = group[leader].term
    group.run(group.now_ms + 5_000)
    assert (group.leaders(), group[leader].term) == ([leader], term)
    group.cut.clear()
    group.run(group.now_ms + 500)
    assert {group[name].term for name in "abc"} == {term}
    assert group[deaf].leader == leader


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_leader_that_is_cut_off_one_way_is_followed_by_another(way: str) -> None:
    group = Group(HARD, THREE, delay_ms=lambda _sender, _receiver: 1)
    group.run(2_000, stop=lambda: len(group.leaders()) == 1)
    (old,) = group.leaders()
    others = [name for name in "abc" if name != old]
    group.cut = {(old, name) if way == "out" else (name, old) for name in others}
    group.run(group.now_ms + 1_000)
    assert old not in group.leaders()
    assert len(group.leaders()) == 1


def test_a_leader_that_no_quorum_answers_steps_down() -> None:
    group = Group(HARD, FIVE)
    group.elect("a")
    group.part("a b", "c d e")
    for _ in range(7):
        if group["a"].role is Role.LEADER:
            group.fire("a", "heartbeat")
            group.deliver_all()
    assert (group["a"].role, group["a"].leader) == (Role.FOLLOWER, "")
    assert "heartbeat" not in group.hosts["a"].timers
    assert "election" in group.hosts["a"].timers


def test_a_higher_term_in_any_answer_ends_a_leader() -> None:
    group = Group(HARD, THREE)
    group.elect("a")
    one = group["a"]
    told(one, "b", AppendReply(9, False, 0, 0), group.now_ms)
    assert (one.role, one.term) == (Role.FOLLOWER, 9)


# Clocks


def test_a_clock_that_goes_back_keeps_nobody_waiting() -> None:
    """Neither the election timeout, nor a deposed leader, nor a transfer grow by the step."""
    one = replica()
    told(one, "b", Append(1, 0, 0, [], 0, 0), 1_000_000)
    (again,) = one.step(TimerFired("election"), 1_000)
    assert isinstance(again, SetTimer)
    assert 0 < again.delay_ms <= one.elections.timeout_ms
    fire(one, 1_000 + again.delay_ms)
    assert one.role is Role.TRIAL


def test_a_leader_whose_clock_went_back_still_steps_down() -> None:
    group = Group(HARD, THREE)
    group.now_ms = 1_000_000
    group.elect("a")
    group.part("a", "b c")
    group.now_ms = 0
    for step in range(1, 8):
        group.now_ms = step * HARD.heartbeat_ms
        group.step("a", TimerFired("heartbeat"))
    assert group["a"].role is Role.FOLLOWER


def test_a_transfer_ends_though_the_clock_went_back() -> None:
    group = Group(HARD, THREE)
    group.now_ms = 1_000_000
    group.elect("a")
    group.crash("b")
    group.step("a", TransferLeadership("b"))
    group.now_ms = 0
    for step in range(1, 8):
        group.now_ms = step * HARD.heartbeat_ms
        group.step("a", TimerFired("heartbeat"))
        group.deliver_all()
    group.step("a", Propose(1, b"x"))
    group.deliver_all()
    assert group.hosts["a"].decided == [(2, b"x")]


# Contradictions


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (ask(TERMS_AHEAD_MAX + 4), Reason.FUTURE_TERM),
        (ask(4, 1, 4), Reason.CONTRADICTION),
        (ask(4, 0, 1), Reason.CONTRADICTION),
        (ask(4, 1, 0), Reason.CONTRADICTION),
        (ask(4, trial=True, asked_to=True), Reason.CONTRADICTION),
        (Append(4, 2, 5, [], 0, 0), Reason.CONTRADICTION),
        (Append(4, 0, 1, [], 0, 0), Reason.CONTRADICTION),
        (Append(4, 2, 2, [Entry(1, False, b"")], 0, 0), Reason.CONTRADICTION),
        (Append(4, 2, 2, [Entry(5, False, b"")], 0, 0), Reason.CONTRADICTION),
        (Append(4, 2, 2, [Entry(4, True, b"\x93")], 0, 0), Reason.CONTRADICTION),
        (Append(4, 2, 2, [Entry(4, True, b"\x93\x00\x90\x90")], 0, 0), Reason.CONTRADICTION),
        (Append(4, 0, 0, [Entry(4, False, b"")], 0, 0), Reason.CONTRADICTION),
        (Append(4, 1, 4, [], 0, 0), Reason.CONTRADICTION),
        (Append(3, 0, 0, [], 0, 0), Reason.CONTRADICTION),
        (TimeoutNow(0), Reason.CONTRADICTION),
    ],
)
def test_what_contradicts_itself_or_a_decision_changes_nothing(
    message: RaftMessage, reason: Reason
) -> None:
    """`a` follows `b` in term 3 and has decided its first entry, of term 1."""
    one = replica(term=3, terms=(1, 2))
    told(one, "b", Append(3, 2, 2, [], 1, 0))
    assert (one.commit, one.leader) == (1, "b")
    before = (
        one.term,
        one.voted_for,
        one.role,
        one.leader,
        one.log.last_index,
        one.elections.deadline_ms,
    )
    (effect,) = told(one, "c", message)
    assert isinstance(effect, Suspect)
    assert (effect.peer, effect.reason) == ("c", reason)
    after = (
        one.term,
        one.voted_for,
        one.role,
        one.leader,
        one.log.last_index,
        one.elections.deadline_ms,
    )
    assert after == before


def test_old_messages_of_deposed_leaders_are_no_contradiction() -> None:
    one = replica(term=3, terms=(1, 2))
    told(one, "b", Append(3, 2, 2, [], 2, 0))
    stale = Append(2, 0, 0, [Entry(2, configuration=False, payload=b"y")], 0, 0)
    assert only(told(one, "c", stale)) == AppendReply(3, False, 0, 0)
    assert one.log.term_at(1) == 1


# Handing over


def test_only_the_leader_of_the_term_may_tell_to_take_over() -> None:
    one = replica()
    told(one, "b", Append(1, 0, 0, [], 0, 0))
    assert told(one, "c", TimeoutNow(1)) == []
    told(one, "b", TimeoutNow(0))
    assert one.role is Role.FOLLOWER
    effects = told(one, "b", TimeoutNow(1))
    assert said(effects) == [(peer, ask(2, asked_to=True)) for peer in "bc"]


def test_a_leader_hands_over_to_members_once_they_have_all() -> None:
    group = Group(HARD, THREE)
    group.elect("a")
    for nobody in ("a", "z"):
        group.step("a", TransferLeadership(nobody))
    group.step("a", Propose(1, b"x"))
    group.step("a", TransferLeadership("b"))
    assert not [w for w in group.wires if isinstance(w.message, TimeoutNow)]
    group.step("a", TransferLeadership("c"))
    group.step("a", Propose(2, b"y"))
    group.deliver_all()
    assert group.leaders() == ["b"]
    assert group["b"].log.last_index == 3


# Timeouts


def test_timeouts_as_stated() -> None:
    """Source: [XIONG23], eq. (7): 105, 110, ... Ours: least + rank steps + jitter."""
    random = Random(1)
    assert [PaperRankTimeout().election_ms(rank, random) for rank in (1, 2, 9)] == [105, 110, 145]
    assert PaperRankTimeout().least_ms == 100
    drawn = [RandomTimeout(150, 300).election_ms(3, random) for _ in range(2_000)]
    assert (min(drawn), max(drawn)) == (150, 300)
    drawn = [RankTimeout(200, 10, 20).election_ms(3, random) for _ in range(500)]
    assert (min(drawn), max(drawn)) == (230, 250)
    timing = Timing(one_way_ms=40)
    assert (timing.least_ms, timing.step_ms, timing.heartbeat_ms) == (800, 40, 160)
    assert (Timing(1).least_ms, Timing(0).step_ms) == (50, 1)
    hardened = weighted_raft(Profile.HARDENED, timing).timeouts
    assert hardened == RankTimeout(800, 40, 80)


def test_the_heaviest_waits_least_and_who_leaves_waits_longest() -> None:
    rules = weighted_raft(Profile.PAPER, Timing(1))
    group = Group(rules, {"a": 1, "b": 3, "c": 2}, spares={"d": configuration_of(0, THREE)})
    assert {name: group.hosts[name].timers["election"] for name in "abcd"} == {
        "a": 115,
        "b": 105,
        "c": 110,
        "d": 120,
    }


def test_equal_weights_are_plain_raft_message_for_message() -> None:
    """Weights 1 and weights 7 with the same draws send the same bytes at the same time."""
    traces = []
    for weight in (1, 7):
        trace: list[tuple[int, str, str]] = []
        rules = Rules(RandomTimeout(150, 300), 50)
        group = Group(rules, dict.fromkeys(FIVE, weight), delay_ms=lambda _s, _r: 3)
        group.watch = lambda name, effect, group=group, trace=trace: trace.append(
            (group.now_ms, name, repr(effect))
        )
        for turn in range(40):
            group.run(group.now_ms + 100)
            for leader in group.leaders():
                group.step(leader, Propose(turn, b"x"))
                if turn == 20:
                    group.crash(leader)
        traces.append(trace)
    assert traces[0] == traces[1]
    assert len(traces[0]) > 1_000
