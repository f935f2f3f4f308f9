"""Broken frames at a replica's door: each is suspected by name and changes nothing.

One replica in every role it can have is sent what damaged links, strangers, other chains and lying
members may send. What is broken must end in one `Suspect` with an expected reason, every field of
the replica as before; what a member may say well-formed ("wild", "replay") may be answered, but
never raises, takes a term or a decision back, or makes more than stated limits allow. The same seed
and count send the same bytes, so a mutant's number finds it again.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from time import perf_counter

import msgspec

from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import EVIDENCE_MAX, FRAME_MAX, Frame, Framing
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
    ENTRIES_MAX,
    PAYLOAD_MAX,
    Append,
    AppendReply,
    Entry,
    InstallSnapshot,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from gridpact.consensus.shape import (
    Compact,
    Decide,
    Effect,
    Persist,
    Persisted,
    Propose,
    Reason,
    Received,
    Reconfigure,
    Send,
    Suspect,
    TimerFired,
)
from gridpact.errors import InvariantError

Progress = Callable[[int, int], None]
"""Told (mutants sent, mutants in all)."""
MEMBERS = ("a", "b", "c", "d", "e")
VIOLATIONS_MAX = 50
"""A run that has found this many stops."""
EFFECTS_MAX = 1_000
"""One message makes no more than these."""
FRESH_EVERY = 200
"""Well-formed messages that one replica takes before another takes its place."""
NOW_MS = 100_000
"""The host's clock, which stands still."""
SEEN_FROM = 3_000
"""A run of this many mutants meets every reason."""
_CHAIN = bytes(range(32))
_encode = msgspec.msgpack.encode
_read_frame = msgspec.msgpack.Decoder(Frame).decode


@dataclass(slots=True)
class FrameReport:
    """What a run sent and what was wrong."""

    sent: int = 0
    by_reason: dict[str, int] = field(default_factory=dict)
    """How often the replica gave each reason; "answered" where it suspected nobody."""
    by_mutation: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    """Each with the seed and the number of the mutant that reproduces it."""
    seconds: float = 0.0
    per_second: float = 0.0


class _KeyedHash:
    """Signs as one, verifies all: unforgeable here, since mutants do not ask for keys."""

    def __init__(self, name: str) -> None:
        self._name = name

    def sign(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._name.encode(), digest_size=16).digest()

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        return _KeyedHash(sender).sign(data) == signature


class _Verbatim:
    """Signs as a member who may send any bytes at all as a body."""

    def __init__(self, name: str, body: bytes) -> None:
        self._signer, self._body = _KeyedHash(name), body

    def sign(self, data: bytes) -> bytes:
        return self._signer.sign(data.removesuffix(_encode(None)) + self._body)

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        return False


def _framing(name: str, chain: bytes = _CHAIN) -> Framing[RaftMessage]:
    return Framing(chain, name, RaftMessage, _KeyedHash(name), _KeyedHash(name))


def _seal_body(sender: str, body: bytes) -> bytes:
    """A frame to `a` with a good signature over any body."""
    framing: Framing[None] = Framing(
        _CHAIN, sender, None, _Verbatim(sender, body), _KeyedHash(sender)
    )
    frame = _read_frame(framing.seal(None, "a"))
    return _encode(msgspec.structs.replace(frame, body=body))


# The replica under fire


def _told(replica: RaftReplica, peer: str, message: RaftMessage) -> None:
    _do(replica, replica.step(Received(peer, _framing(peer).seal(message, "a")), 0))


def _do(replica: RaftReplica, effects: list[Effect]) -> None:
    """A disk that is never slow; links that lead nowhere."""
    for effect in effects:
        if isinstance(effect, Persist):
            _do(replica, replica.step(Persisted(effect.token), 0))


def _replica(role: str) -> RaftReplica:
    """`a` of five in this role, its clock where it stays."""
    replica = _in_role(role)
    replica.step(TimerFired("none"), NOW_MS)
    return replica


def _in_role(role: str) -> RaftReplica:
    """`a` in term 3, with two decided entries and one that is not."""
    profile = Profile.HARDENED if role == "trial" else Profile.PAPER
    stored = first_start(configuration_of(0, dict.fromkeys(MEMBERS, 1)))
    framing = _framing("a")
    replica = RaftReplica("a", stored, raft(profile, Timing(1)), Random(1), framing)
    replica.start(0)
    entries = [Entry(term, configuration=False, payload=b"x") for term in (1, 2, 2)]
    _told(replica, "b", Append(2, 0, 0, entries, 2, 0))
    if role == "snapshot":
        _do(replica, replica.step(Compact(2, b"state"), 0))
    if role in ("follower", "snapshot"):
        _told(replica, "b", Append(3, 3, 2, [], 2, 0))
        return replica
    _do(replica, replica.step(TimerFired("election"), NOW_MS))
    if role in ("leader", "joint"):
        for peer in ("c", "d"):
            _told(replica, peer, VoteReply(3, granted=True, trial=False))
        for peer in ("c", "d"):
            _told(replica, peer, AppendReply(3, accepted=True, index=4, question=0))
        _do(replica, replica.step(Propose(1, b"y"), 0))
    if role == "joint":
        weights = tuple((name, 1) for name in ("a", "x", "y", "z"))
        _do(replica, replica.step(Reconfigure(2, weights), 0))
    return replica


ROLES = {
    "follower": Role.FOLLOWER,
    "snapshot": Role.FOLLOWER,
    "trial": Role.TRIAL,
    "candidate": Role.CANDIDATE,
    "leader": Role.LEADER,
    "joint": Role.LEADER,
}


def describe(value: object) -> object:
    """Everything that an object holds, to compare; chance and code aside."""
    return _described(value, set())


def _described(value: object, seen: set[int]) -> object:
    """The same; what the parts of a replica share is looked at once."""
    if isinstance(value, str | bytes | int | frozenset | None | msgspec.Struct):
        return value
    if isinstance(value, dict):
        return {key: _described(held, seen) for key, held in value.items() if not callable(held)}
    if isinstance(value, list | tuple):
        return [_described(held, seen) for held in value]
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, Random | Framing) or id(value) in seen:
        return None
    seen.add(id(value))
    if hasattr(value, "__dict__"):
        return _described(vars(value), seen)
    names = getattr(type(value), "__slots__", ())
    return [_described(getattr(value, name), seen) for name in names]


# Mutants


@dataclass(frozen=True, slots=True)
class FrameMutant:
    """Bytes over the link of a peer, and the reasons that they may be given; none: any answer."""

    mutation: str
    peer: str
    data: bytes
    reasons: frozenset[Reason] = frozenset()


class _Forge:
    """Makes mutants, by chance."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._makers: dict[str, tuple[int, Callable[[], FrameMutant]]] = {
            "blind": (10, self._blind),
            "damaged": (22, self._damaged),
            "forged": (10, self._forged),
            "foreign": (6, self._foreign),
            "stranger": (5, self._stranger),
            "body": (14, self._body),
            "future": (6, self._future),
            "contradiction": (8, self._contradiction),
            "oversized": (1, self._oversized),
            "replay": (6, self._replay),
            "wild": (12, self._wild),
        }
        self._shares = [share for share, _ in self._makers.values()]

    def mutant(self) -> FrameMutant:
        """The next one."""
        (name,) = self._random.choices(list(self._makers), self._shares)
        return self._makers[name][1]()

    def _peer(self) -> str:
        return self._random.choice(MEMBERS[1:])

    def _number(self) -> int:
        return self._random.choice((0, 1, 2, 3, 4, 5, self._random.randint(0, 100)))

    def _message(self) -> RaftMessage:
        """Any message of the grammar, its numbers small enough to matter."""
        chance, number = self._random, self._number
        term = chance.randint(0, 6)
        match chance.randint(0, 5):
            case 0:
                entries = [self._entry(term) for _ in range(chance.choice((0, 0, 1, 2, 5)))]
                return Append(term, number(), number(), entries, number(), number())
            case 1:
                return AppendReply(term, chance.random() < 0.6, number(), number())
            case 2:
                trial, asked = chance.random() < 0.4, chance.random() < 0.2
                return VoteRequest(term, number(), number(), trial, asked)
            case 3:
                return VoteReply(term, chance.random() < 0.6, chance.random() < 0.4)
            case 4:
                weights = {name: 1 for name in MEMBERS if chance.random() < 0.7}
                configuration = configuration_of(number(), weights)
                data = chance.randbytes(chance.randint(0, 40))
                return InstallSnapshot(term, number(), number(), configuration, data, number())
            case _:
                return TimeoutNow(term)

    def _entry(self, term: int) -> Entry:
        chance = self._random
        if chance.random() < 0.3:
            weights = {name: chance.randint(1, 9) for name in MEMBERS if chance.random() < 0.7}
            payload = _encode(configuration_of(self._number(), weights))
            return Entry(chance.randint(0, max(1, term)), configuration=True, payload=payload)
        payload = chance.randbytes(chance.randint(0, 20))
        return Entry(chance.randint(0, max(1, term)), configuration=False, payload=payload)

    def _good(self, peer: str, receiver: str = "a") -> bytes:
        return _framing(peer).seal(self._message(), receiver)

    def _blind(self) -> FrameMutant:
        chance = self._random
        size = chance.choice((0, 1, 2, 10, 300))
        data = chance.choice((chance.randbytes(size), b"\x95" + chance.randbytes(size)))
        reasons = frozenset({Reason.MALFORMED, Reason.FOREIGN_CHAIN})
        return FrameMutant("blind", self._peer(), data, reasons)

    def _damaged(self) -> FrameMutant:
        """What a bad link makes of a good frame; bits of it may say another chain or sender."""
        chance, peer = self._random, self._peer()
        data = good = bytearray(self._good(peer))
        while data == good:
            data = bytearray(good)
            place = chance.randrange(len(data))
            match chance.randint(0, 4):
                case 0:
                    data[place] ^= 1 << chance.randint(0, 7)
                case 1:
                    del data[place:]
                case 2:
                    del data[place : place + chance.randint(1, 4)]
                case 3:
                    data[place:place] = chance.randbytes(chance.randint(1, 4))
                case _:
                    data += chance.randbytes(chance.randint(1, 4))
        reasons = {Reason.MALFORMED, Reason.FORGED, Reason.FOREIGN_CHAIN, Reason.UNKNOWN_SENDER}
        return FrameMutant("damaged", peer, bytes(data), frozenset(reasons))

    def _forged(self) -> FrameMutant:
        """In another's name, or meant for another: votes are given to one candidate."""
        one, other = self._random.sample(MEMBERS[1:], 2)
        frame = _read_frame(self._good(one))
        data = self._random.choice(
            (
                self._good(other),
                _encode(msgspec.structs.replace(frame, sender=other)),
                _encode(msgspec.structs.replace(frame, signature=self._random.randbytes(16))),
                _encode(msgspec.structs.replace(frame, signature=b"")),
                self._good(one, receiver=other),
                _framing(one, _CHAIN[:8] + bytes(24)).seal(self._message(), "a"),
            )
        )
        return FrameMutant("forged", one, data, frozenset({Reason.FORGED}))

    def _foreign(self) -> FrameMutant:
        peer = self._peer()
        data = _framing(peer, self._random.randbytes(32)).seal(self._message(), "a")
        return FrameMutant("foreign", peer, data, frozenset({Reason.FOREIGN_CHAIN}))

    def _stranger(self) -> FrameMutant:
        name = self._random.choice(("stranger", "", "b\x00", "A", "b" * 60))
        frame = _read_frame(self._good("b"))
        data = _encode(msgspec.structs.replace(frame, sender=name))
        return FrameMutant("stranger", name, data, frozenset({Reason.UNKNOWN_SENDER}))

    def _body(self) -> FrameMutant:
        """A member's good signature over what the grammar does not have."""
        chance, peer = self._random, self._peer()
        odd: list[object] = [None, -1, 2**63, 1.5, "x", b"x", [], {}, [[[]]], "\ud7ff", True]
        fields = msgspec.to_builtins(self._message(), builtin_types=(bytes,))
        if not isinstance(fields, list):
            raise InvariantError("messages are arrays")
        match chance.randint(0, 4):
            case 0:
                body = chance.randbytes(chance.randint(0, 40)) + b"\xc1"
            case 1:
                body = _encode([*fields, chance.choice(odd)])
            case 2:
                body = _encode(fields[: chance.randrange(len(fields))])
            case 3:
                fields[0] = chance.choice([0, 7, 99, -1, "x", None, [1]])
                body = _encode(fields)
            case _:
                fields[1] = chance.choice([value for value in odd if value is not True])
                body = _encode(fields)
        data = _seal_body(peer, body)
        return FrameMutant("body", peer, data, frozenset({Reason.MALFORMED}))

    def _future(self) -> FrameMutant:
        term = self._random.choice((200_000, 2**40, 2**62))
        message = msgspec.structs.replace(self._message(), term=term)
        peer = self._peer()
        data = _framing(peer).seal(message, "a")
        return FrameMutant("future", peer, data, frozenset({Reason.FUTURE_TERM}))

    def _contradiction(self) -> FrameMutant:
        entry = Entry(4, configuration=False, payload=b"x")
        empty = Entry(4, configuration=True, payload=_encode(configuration_of(0, {})))
        early = Entry(3, configuration=False, payload=b"x")
        configuration = configuration_of(0, {"a": 1})
        message = self._random.choice(
            (
                Append(4, 2, 5, [], 0, 0),
                Append(4, 0, 2, [], 0, 0),
                Append(4, 2, 0, [], 0, 0),
                Append(4, 2, 1, [], 0, 0),
                Append(4, 1, 1, [entry], 0, 0),
                Append(4, 3, 2, [entry, early], 0, 0),
                Append(4, 3, 2, [empty], 0, 0),
                Append(4, 3, 2, [msgspec.structs.replace(empty, payload=b"\xc1")], 0, 0),
                VoteRequest(4, 3, 4, trial=False, asked_to=False),
                VoteRequest(4, 0, 1, trial=True, asked_to=False),
                VoteRequest(4, 3, 2, trial=True, asked_to=True),
                InstallSnapshot(4, 9, 5, configuration, b"", 0),
                InstallSnapshot(4, 0, 0, configuration, b"", 0),
                InstallSnapshot(4, 2, 1, configuration, b"", 0),
                InstallSnapshot(4, 9, 4, configuration_of(0, {}), b"", 0),
                TimeoutNow(0),
            )
        )
        peer = self._peer()
        data = _framing(peer).seal(message, "a")
        return FrameMutant("contradiction", peer, data, frozenset({Reason.CONTRADICTION}))

    def _oversized(self) -> FrameMutant:
        peer = self._peer()
        entry = Entry(3, configuration=False, payload=b"x")
        match self._random.randint(0, 2):
            case 0:
                data, reason = bytes(FRAME_MAX + 1), Reason.OVERSIZED
            case 1:
                many = Append(3, 3, 2, [entry] * (ENTRIES_MAX + 1), 0, 0)
                data, reason = _framing(peer).seal(many, "a"), Reason.MALFORMED
            case _:
                large = msgspec.structs.replace(entry, payload=bytes(PAYLOAD_MAX + 1))
                data = _framing(peer).seal(Append(3, 3, 2, [large], 0, 0), "a")
                reason = Reason.MALFORMED
        return FrameMutant("oversized", peer, data, frozenset({reason}))

    def _replay(self) -> FrameMutant:
        """What was good once, from an earlier term or doubled."""
        message = msgspec.structs.replace(self._message(), term=self._random.randint(0, 3))
        peer = self._peer()
        return FrameMutant("replay", peer, _framing(peer).seal(message, "a"))

    def _wild(self) -> FrameMutant:
        peer = self._peer()
        return FrameMutant("wild", peer, self._good(peer))


# The run


def fuzz_frames(count: int, seed: int, progress: Progress | None = None) -> FrameReport:
    """Send broken frames to a replica of Raft in every role.

    Args:
        count: mutants to send.
        seed: of all chance.
        progress: told (mutants sent, mutants in all).
    Returns:
        A report without violations when nothing raised, and every mutant met a reason that it may
        meet and changed nothing, or was answered within bounds.
    """
    started = perf_counter()
    report, forge = FrameReport(), _Forge(Random(seed))
    reasons: Counter[str] = Counter()
    mutations: Counter[str] = Counter()
    quiet = {role: _replica(role) for role in ROLES}
    before = {role: describe(replica) for role, replica in quiet.items()}
    loud = {role: _replica(role) for role in ROLES}
    while report.sent < count and len(report.violations) < VIOLATIONS_MAX:
        role = list(ROLES)[report.sent % len(ROLES)]
        mutant = forge.mutant()
        report.sent += 1
        mutations[mutant.mutation] += 1
        if mutant.reasons:
            said, wrong = _send_broken(quiet[role], mutant, before[role])
        else:
            if mutations[mutant.mutation] % FRESH_EVERY == 0:
                loud[role] = _replica(role)
            said, wrong = _send_well_formed(loud[role], mutant)
        reasons[said] += 1
        if wrong:
            where = f"seed {seed}, mutant {report.sent} ({mutant.mutation}, to a {role})"
            report.violations.append(f"{where}: {wrong}")
            quiet[role], loud[role] = _replica(role), _replica(role)
        if progress is not None and report.sent % 1_000 == 0:
            progress(report.sent, count)
    if report.sent >= SEEN_FROM and len(report.violations) < VIOLATIONS_MAX:
        missing = sorted({reason.value for reason in Reason} - set(reasons))
        report.violations += [f"seed {seed}: no mutant was called {name}" for name in missing]
    report.by_reason, report.by_mutation = dict(reasons), dict(mutations)
    report.seconds = perf_counter() - started
    report.per_second = report.sent / report.seconds
    return report


def _send_broken(replica: RaftReplica, mutant: FrameMutant, before: object) -> tuple[str, str]:
    """(reason, what is wrong): one suspicion of the peer, and nothing else."""
    try:
        effects = replica.step(Received(mutant.peer, mutant.data), NOW_MS)
    except Exception as error:  # noqa: BLE001 - that nothing escapes is what is being tested
        return "raised", f"raised {error!r}"
    suspect = effects[0] if len(effects) == 1 else None
    if not isinstance(suspect, Suspect):
        return "answered", f"answered with {repr(effects)[:200]}"
    reason = suspect.reason
    if reason not in mutant.reasons:
        return reason.value, f"called {reason.value}"
    if suspect.peer != mutant.peer or suspect.evidence != mutant.data[:EVIDENCE_MAX]:
        return reason.value, "the evidence is not what was sent"
    if describe(replica) != before:
        return reason.value, "changed the replica"
    return reason.value, ""


def _send_well_formed(replica: RaftReplica, mutant: FrameMutant) -> tuple[str, str]:
    """(reason or "answered", what is wrong): neither a term nor a decision goes back."""
    term, commit, decided = replica.term, replica.commit, replica.log.snapshot.index
    vote = replica.voted_for
    try:
        effects = replica.step(Received(mutant.peer, mutant.data), NOW_MS)
        _do(replica, effects)
    except Exception as error:  # noqa: BLE001 - that nothing escapes is what is being tested
        return "raised", f"raised {error!r}"
    said = next((each.reason.value for each in effects if isinstance(each, Suspect)), "answered")
    if replica.term < term or replica.commit < commit or replica.log.snapshot.index < decided:
        return said, "took a term or a decision back"
    if vote and replica.term == term and replica.voted_for != vote:
        return said, "voted twice in a term"
    if len(effects) > EFFECTS_MAX:
        return said, f"made {len(effects)} effects"
    heights = [each.height for each in effects if isinstance(each, Decide)]
    if any(not commit < height <= replica.commit for height in heights):
        return said, "decided a height twice"
    if any(isinstance(each, Send) and len(each.data) > FRAME_MAX for each in effects):
        return said, "sends a frame that nobody takes"
    return said, ""
