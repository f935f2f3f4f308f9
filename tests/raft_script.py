"""Reads and runs the scripts of `tests/golden/consensus`: commands, each with what follows from it.

A script is text. Lines that begin with `> ` are commands, those with `#` explain, empty ones part;
all others are what happened, and are written by the run. One line per effect, in order:

    a  candidate, term 1           role, or term, or leader changed
    a  saves vote t1 a; 1/t1 ""    records, durable from here on
    a->b  append t1 after 0/t0: 1/t1 "", commit 0
    a  decides 2 "x"

Entries are `index/term`. Commands:

    group KIND PROFILE a=2 b=1     replicas; KIND is raft, weighted-raft or flexible-raft=2
    spare d a=2 b=1 d=1            a replica that is no member, and what it takes the members to be
    fire a [heartbeat]             time passes until this timer runs out
    wait 100                       time passes, messages stay on their way, timers run out
    deliver [a->b | to a | from a] in order, until nothing (of that kind) is on its way
    round                          deliver what is on its way now, not what is sent meanwhile
    drop [a->b | to a | from a]    lose what is on its way
    part a b | c d e, heal         cut the links between two sides; mend them
    propose a x, read a, transfer a b, weights a b=3 c=1, compact a
    crash a, restart a, hold a, save a [2], let a     a slow disk keeps its records back until saved
    show                           role, term, decided, snapshot and log of everybody
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gridpact.codec import decode
from gridpact.consensus.configuration import Configuration, Voter, configuration_of
from gridpact.consensus.raft import Profile, Rules, Timing, flexible_raft, raft, weighted_raft
from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from gridpact.consensus.raft.records import Entries, RaftRecord, Snapshot, Vote
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Effect,
    Persist,
    Propose,
    ReadReady,
    ReadRequest,
    Reconfigure,
    Refused,
    Restore,
    Send,
    Suspect,
    TimerFired,
    TransferLeadership,
)
from raft_bench import Group, Wire, message_in

TIMING = Timing(one_way_ms=10)
_record = msgspec.msgpack.Decoder(RaftRecord).decode


def run_script(text: str) -> str:
    """The script with what happens after each command."""
    runner = Script()
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("> "):
            lines += [line, *runner.run(line[2:])]
        elif not line or line.startswith("#"):
            lines.append(line)
    return "\n".join(lines) + "\n"


def weights_in(words: list[str]) -> dict[str, int]:
    return {name: int(weight) for name, weight in (word.split("=") for word in words)}


def voters_text(voters: list[Voter]) -> str:
    return " ".join(f"{voter.name}={voter.weight}" for voter in voters)


def configuration_text(configuration: Configuration) -> str:
    joint = f" and {voters_text(configuration.before)}" if configuration.is_joint else ""
    return f"[{configuration.number}: {voters_text(configuration.voters)}{joint}]"


def entry_text(entry: Entry) -> str:
    if entry.configuration:
        return configuration_text(decode(Configuration, entry.payload))
    return f'"{entry.payload.decode()}"'


def entries_text(first: int, entries: list[Entry]) -> str:
    return ", ".join(
        f"{index}/t{entry.term} {entry_text(entry)}" for index, entry in enumerate(entries, first)
    )


def record_text(data: bytes) -> str:
    match _record(data):
        case Vote(term, voted_for):
            return f"vote t{term} {voted_for or 'nobody'}"
        case Entries(first, entries):
            return entries_text(first, entries)
        case Snapshot(index, term, configuration, _, keeps_rest):
            rest = "" if keeps_rest else ", nothing after it"
            return f"snapshot {index}/t{term} {configuration_text(configuration)}{rest}"


def message_text(data: bytes) -> str:
    match message_in(data):
        case Append(term, index, index_term, entries, commit, question):
            said = f": {entries_text(index + 1, entries)}" if entries else ""
            asked = f", question {question}" if question else ""
            return f"append t{term} after {index}/t{index_term}{said}, commit {commit}{asked}"
        case AppendReply(term, accepted, index, question):
            asked = f", question {question}" if question else ""
            return f"{'has' if accepted else 'lacks, try'} {index}, t{term}{asked}"
        case VoteRequest(term, index, index_term, trial, asked_to):
            sort = "trial vote" if trial else "vote"
            told = ", told to" if asked_to else ""
            return f"{sort}? t{term}, log {index}/t{index_term}{told}"
        case VoteReply(term, granted, trial):
            return f"{'trial ' if trial else ''}vote {'yes' if granted else 'no'}, t{term}"
        case InstallSnapshot(term, index, index_term, configuration):
            return f"snapshot t{term} {index}/t{index_term} {configuration_text(configuration)}"
        case TimeoutNow(term):
            return f"take over, t{term}"


class Script:
    """One group and what it does."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.token = 0
        self.group: Group | None = None
        self.state: dict[str, str] = {}
        self.spares: dict[str, Configuration] = {}

    def run(self, command: str) -> list[str]:
        word, *rest = command.split()
        self.out = []
        getattr(self, f"do_{word}")(rest)
        self._note_roles()
        return self.out

    def _note_roles(self, first: str = "") -> None:
        """Who has changed, the acting replica before the effects of its step."""
        if self.group is None:
            return
        for name, host in self.group.hosts.items():
            replica = host.replica
            led = f" of {replica.leader}" if replica.leader not in ("", name) else ""
            text = f"{replica.role.value}{led}, term {replica.term}" if host.up else "down"
            if self.state.get(name, "follower, term 0") != text and first in ("", name):
                self.state[name] = text
                self.out.append(f"{name}  {text}")

    def _watch(self, name: str, effect: Effect) -> None:
        if self.group is not None:
            self._note_roles(name)
        match effect:
            case Persist(records):
                self.out.append(f"{name}  saves {'; '.join(map(record_text, records))}")
            case Send(peer, data):
                lost = self.group is not None and (name, peer) in self.group.cut
                self.out.append(
                    f"{name}->{peer}  {message_text(data)}{'   (lost)' if lost else ''}"
                )
            case Decide(height, payload):
                self.out.append(f'{name}  decides {height} "{payload.decode()}"')
            case Restore(height):
                self.out.append(f"{name}  restores the state of {height}")
            case ReadReady(token, height):
                self.out.append(f"{name}  may read {height} for request {token}")
            case Refused(token, leader):
                self.out.append(f"{name}  refuses request {token}, leader {leader or 'unknown'}")
            case Suspect(peer, reason):
                self.out.append(f"{name}  suspects {peer}: {reason.value}")

    @property
    def _on(self) -> Group:
        assert self.group is not None, "the first command is `group`"
        return self.group

    # Commands

    def do_group(self, words: list[str]) -> None:
        kind, profile, *members = words
        self.group = Group(
            rules_of(kind, Profile(profile)),
            weights_in(members),
            spares=self.spares,
            watch=self._watch,
        )

    def do_spare(self, words: list[str]) -> None:
        """Before `group`."""
        self.spares[words[0]] = configuration_of(0, weights_in(words[1:]))

    def do_fire(self, words: list[str]) -> None:
        self._on.fire(words[0], words[1] if len(words) > 1 else "election")

    def do_wait(self, words: list[str]) -> None:
        """Timers in order; messages stay on their way."""
        group, kept = self._on, list(self._on.wires)
        end_ms = group.now_ms + int(words[0])
        while True:
            timers = [
                (due_ms, name, timer)
                for name, host in group.hosts.items()
                for timer, due_ms in host.timers.items()
                if due_ms <= end_ms
            ]
            if not timers:
                break
            due_ms, name, timer = min(timers)
            group.now_ms = max(group.now_ms, due_ms)
            del group.hosts[name].timers[timer]
            group.step(name, TimerFired(timer))
        group.now_ms = end_ms
        assert group.wires[: len(kept)] == kept

    def do_deliver(self, words: list[str]) -> None:
        self._on.deliver_all(wanted(words))

    def do_round(self, words: list[str]) -> None:
        for wire in list(self._on.wires):
            self._on.deliver(wire)

    def do_drop(self, words: list[str]) -> None:
        lost = wanted(words)
        self._on.wires = [wire for wire in self._on.wires if not lost(wire)]

    def do_part(self, words: list[str]) -> None:
        self._on.part(*" ".join(words).split("|"))

    def do_heal(self, words: list[str]) -> None:
        self._on.cut.clear()

    def _next_token(self) -> int:
        self.token += 1
        return self.token

    def do_propose(self, words: list[str]) -> None:
        self._on.step(words[0], Propose(self._next_token(), words[1].encode()))

    def do_read(self, words: list[str]) -> None:
        self._on.step(words[0], ReadRequest(self._next_token()))

    def do_weights(self, words: list[str]) -> None:
        weights = tuple(weights_in(words[1:]).items())
        self._on.step(words[0], Reconfigure(self._next_token(), weights))

    def do_transfer(self, words: list[str]) -> None:
        self._on.step(words[0], TransferLeadership(words[1]))

    def do_compact(self, words: list[str]) -> None:
        height = self._on[words[0]].commit
        self._on.step(words[0], Compact(height, b"state of %d" % height))

    def do_crash(self, words: list[str]) -> None:
        self._on.crash(words[0])

    def do_restart(self, words: list[str]) -> None:
        self._on.restart(words[0])

    def do_hold(self, words: list[str]) -> None:
        self._on.hosts[words[0]].held = True

    def do_save(self, words: list[str]) -> None:
        self._on.save(words[0], int(words[1]) if len(words) > 1 else 1)

    def do_let(self, words: list[str]) -> None:
        self._on.hosts[words[0]].held = False
        self._on._drain(words[0])

    def do_show(self, words: list[str]) -> None:
        for name, host in self._on.hosts.items():
            replica, log = host.replica, host.replica.log
            snapshot = f"snapshot {log.snapshot.index}, " if log.snapshot.index else ""
            entries = entries_text(log.snapshot.index + 1, log.entries)
            state = f"{replica.role.value}, term {replica.term}" if host.up else "down"
            self.out.append(f"{name}  {state}, decided {replica.commit}, {snapshot}{entries}")


def wanted(words: list[str]) -> Callable[[Wire], bool]:
    """Which messages a command means."""
    if not words:
        return lambda _wire: True
    if words[0] in ("to", "from"):
        names = set(words[1:])
        end = "receiver" if words[0] == "to" else "sender"
        return lambda wire: getattr(wire, end) in names
    pairs = {tuple(word.split("->")) for word in words}
    return lambda wire: (wire.sender, wire.receiver) in pairs


def rules_of(kind: str, profile: Profile) -> Rules:
    name, _, number = kind.partition("=")
    match name:
        case "raft":
            return raft(profile, TIMING)
        case "weighted-raft":
            return weighted_raft(profile, TIMING)
        case _:
            return flexible_raft(profile, TIMING, int(number))
