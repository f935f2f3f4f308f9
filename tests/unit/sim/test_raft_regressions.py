"""What the simulator found in Raft, and what reading beside it found, each alone."""

from __future__ import annotations

from random import Random

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Framing
from gridpact.consensus.raft import (
    Profile,
    RaftMessage,
    RaftReplica,
    Role,
    Timing,
    first_start,
    raft,
)
from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    VoteReply,
)
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Effect,
    Persist,
    Persisted,
    Propose,
    Received,
    Reconfigure,
    Refused,
    Send,
    Suspect,
    TimerFired,
    TransferLeadership,
)
from gridpact.sim.keys import Keyring

NAMES = ("a", "b", "c")
CONFIGURATION = configuration_of(0, dict.fromkeys(NAMES, 1))


class One:
    """The replica `a`, and everybody else's pen."""

    def __init__(self) -> None:
        self.keys = Keyring(b"secret")
        rules = raft(Profile.HARDENED, Timing(5))
        self.framings = {name: self.framing(name) for name in (*NAMES, "d")}
        self.replica = RaftReplica(
            "a", first_start(CONFIGURATION), rules, Random(1), self.framings["a"], (*NAMES, "d")
        )
        self.now_ms = 10_000
        self.done(self.replica.start(self.now_ms))

    def framing(self, name: str) -> Framing[RaftMessage]:
        return Framing(b"c" * 32, name, RaftMessage, self.keys.signer(name), self.keys)

    def done(self, effects: list[Effect]) -> list[Effect]:
        """Effects, each `Persist` finished."""
        found = list(effects)
        for effect in effects:
            if isinstance(effect, Persist):
                found += self.done(self.replica.step(Persisted(effect.token), self.now_ms))
        return found

    def step(self, event: object) -> list[Effect]:
        return self.done(self.replica.step(event, self.now_ms))  # type: ignore[arg-type]

    def hear(self, peer: str, message: RaftMessage) -> list[Effect]:
        return self.step(Received(peer, self.framings[peer].seal(message, "a")))

    def said(self, effects: list[Effect], peer: str) -> list[RaftMessage]:
        opened = [
            self.framings[peer].open("a", effect.data, NAMES)
            for effect in effects
            if isinstance(effect, Send) and effect.peer == peer
        ]
        assert not any(isinstance(message, Suspect) for message in opened)
        return opened  # type: ignore[return-value]

    def lead(self) -> One:
        self.now_ms += 10_000
        self.step(TimerFired("election"))
        self.hear("b", VoteReply(1, granted=True, trial=True))
        self.hear("b", VoteReply(1, granted=True, trial=False))
        assert self.replica.role is Role.LEADER
        return self


def test_the_reply_of_a_member_that_leaves_is_the_last() -> None:
    one = One().lead()
    one.hear("b", AppendReply(1, True, 1, 0))
    one.step(Reconfigure(1, (("a", 1), ("d", 1))))
    assert one.replica.membership.configuration.is_joint
    one.hear("d", AppendReply(1, True, 2, 0))
    one.hear("b", AppendReply(1, True, 2, 0))
    assert one.replica.membership.members == {"a", "d"}


def test_a_heartbeat_to_who_lacks_what_is_gone_brings_the_snapshot() -> None:
    one = One().lead()
    for name in "bc":
        one.hear(name, AppendReply(1, True, 1, 0))
    for number in range(2, 80):
        one.step(Propose(number, b"%d" % number))
        one.hear("b", AppendReply(1, True, number, 0))
    one.step(Compact(79, b"state"))
    one.replica.step(TimerFired("heartbeat"), one.now_ms)
    one.hear("b", AppendReply(1, True, 79, 0))
    messages = one.said(one.step(TimerFired("heartbeat")), "c")
    assert [type(message) for message in messages] == [InstallSnapshot]


def test_copies_of_a_refusal_breed_no_appends() -> None:
    one = One().lead()
    for number in range(2, 10):
        one.step(Propose(number, b"%d" % number))
        one.hear("b", AppendReply(1, True, number, 0))
    refusal = AppendReply(1, False, 1, 0)
    one.replica.leading.progress["c"].next_index = 9
    one.replica.leading.progress["c"].probing = False
    assert len(one.said(one.hear("c", refusal), "c")) == 1
    for _ in range(5):
        assert one.said(one.hear("c", refusal), "c") == []


def test_a_leader_that_is_no_known_member_is_heard() -> None:
    one = One()
    entries = [Entry(4, configuration=False, payload=b"x")]
    effects = one.hear("d", Append(4, 0, 0, entries, 0, 0))
    assert one.replica.leader == "d"
    assert not any(isinstance(effect, Suspect) for effect in effects)


def test_a_snapshot_in_place_of_the_log_leaves_nothing_durable_behind_it() -> None:
    """Else a later leader would count entries as its own disk's that are not yet on it."""
    one = One()
    entries = [Entry(1, configuration=False, payload=b"%d" % n) for n in range(9)]
    one.hear("b", Append(1, 0, 0, entries, 0, 0))
    assert one.replica.state.durable == 9
    one.hear("c", InstallSnapshot(2, 5, 2, CONFIGURATION, b"state", 0))
    assert one.replica.log.last_index == one.replica.state.durable == 5


def test_a_clock_that_goes_back_does_not_stop_a_leader_from_taking_proposals() -> None:
    one = One().lead()
    for name in "bc":
        one.hear(name, AppendReply(1, True, 1, 0))
    one.step(TransferLeadership("c"))
    assert any(isinstance(effect, Refused) for effect in one.step(Propose(1, b"early")))
    one.now_ms -= 3_600_000
    one.step(TimerFired("heartbeat"))
    one.now_ms += one.replica.rules.timeouts.least_ms
    one.hear("b", AppendReply(1, True, 1, 0))
    one.step(TimerFired("heartbeat"))
    effects = one.step(Propose(2, b"late"))
    assert not any(isinstance(effect, Refused) for effect in effects)
    effects = one.hear("b", AppendReply(1, True, 2, 0))
    assert any(isinstance(effect, Decide) for effect in effects)
