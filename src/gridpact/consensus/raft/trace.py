"""Traces: what a replica began with, what it was given, and what it did, so that it does it again.

A trace begins with a mark and an `Origin`; then comes a `Step` for each event, in order, and an
`End` when the host was closed. Each of them is a frame with its length and checksums, so that a
crash leaves a whole trace but for the last frame. A step holds what the signer and the verifier
answered: playing it needs no key. Here are bytes only; who writes has the file and the clock.

`replica_of` is how validators make their replicas too: what is played is what ran.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

from gridpact.consensus.frames import Framing
from gridpact.consensus.raft.kinds import Profile, Timing, raft, weighted_raft
from gridpact.consensus.raft.messages import RaftMessage
from gridpact.consensus.raft.records import Stored
from gridpact.consensus.raft.replica import RaftReplica
from gridpact.consensus.shape import Effect, Event, Signer, Verifier
from gridpact.errors import InputError, Problem

TRACE = "trace"
"""Name of the first trace in a validator's folder; each start makes one more, `trace-1` and on."""
DIGEST_BYTES = 8
"""Enough to see a difference; nobody gains by a collision."""
KINDS = {"raft": raft, "weighted-raft": weighted_raft}
_MARK = b"gridpact trace 1\n"
_SIZES = struct.Struct("<II")
"""Length of a frame's body and its checksum."""
_CHECK = struct.Struct("<I")
"""Checksum of those two: what is cut off is told from what is damaged."""


class Origin(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Everything that a replica begins with."""

    kind: str
    """One of `KINDS`."""
    chain: bytes
    name: str
    one_way_ms: Annotated[int, Meta(ge=0)]
    """See `Timing`."""
    contacts: list[str]
    """Who may be or become a member."""
    seed: int
    """Of its chance."""
    stored: Stored
    """What it has made durable before."""


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """One event and what came of it."""

    now_ms: int
    event: Event | None
    """None: the replica was started."""
    signatures: list[bytes]
    """That the signer gave, in order."""
    verdicts: list[bool]
    """Of the verifier, in order."""
    digests: list[bytes] | None
    """Of each effect, in order; None: the step raised something."""


class End(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The host was closed."""

    state: bytes
    """See `state_hash`."""


_encode = msgspec.msgpack.Encoder().encode
_origin = msgspec.msgpack.Decoder(Origin).decode
_frame = msgspec.msgpack.Decoder(Step | End).decode


def replica_of(origin: Origin, signer: Signer, verifier: Verifier) -> RaftReplica:
    """The replica that begins so."""
    rules = KINDS[origin.kind](Profile.HARDENED, Timing(origin.one_way_ms))
    framing: Framing[RaftMessage] = Framing(
        origin.chain, origin.name, RaftMessage, signer, verifier
    )
    chance = Random(origin.seed)
    return RaftReplica(origin.name, origin.stored, rules, chance, framing, origin.contacts)


def digest(effect: Effect) -> bytes:
    """Tells one effect from another."""
    return hashlib.sha256(_encode(effect)).digest()[:DIGEST_BYTES]


def state_hash(replica: RaftReplica) -> bytes:
    """The hash of a replica's term, vote, decisions and log."""
    log = replica.log
    whole = hashlib.sha256(_encode((replica.term, replica.voted_for, replica.commit, log.snapshot)))
    for entry in log.entries:
        whole.update(_encode(entry))
    return whole.digest()


def begin_bytes(origin: Origin) -> bytes:
    """How a trace begins."""
    return _MARK + frame_bytes(origin)


def frame_bytes(frame: Origin | Step | End) -> bytes:
    """What a trace goes on with."""
    body = _encode(frame)
    sizes = _SIZES.pack(len(body), zlib.crc32(body))
    return b"".join((sizes, _CHECK.pack(zlib.crc32(sizes)), body))


def read_trace(data: bytes | memoryview, where: str) -> tuple[Origin, Iterator[Step | End]]:
    """What is in a trace; a last frame that was cut is not.

    Args:
        data: the whole trace.
        where: its name, for messages.
    Raises:
        InputError: no trace, or a damaged one; the latter also while the frames are read.
    """
    view = memoryview(data)
    if view[: len(_MARK)] != _MARK:
        text = (
            "is no trace that this release reads; name a file `trace` of a Raft validator, and "
            "remove it when it is empty"
        )
        raise InputError([Problem(where, text)])
    bodies = _bodies(view, where)
    place, body = next(bodies, (len(_MARK), memoryview(b"")))
    try:
        origin = _origin(body)
        if origin.kind not in KINDS:
            raise _damaged(where, place, f"{origin.kind!r} is not one of: {', '.join(KINDS)}")
    except msgspec.MsgspecError as error:
        raise _damaged(where, place, str(error)) from error
    return origin, _frames(bodies, where)


def _frames(bodies: Iterator[tuple[int, memoryview]], where: str) -> Iterator[Step | End]:
    for place, body in bodies:
        try:
            yield _frame(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _damaged(where, place, str(error)) from error


def _bodies(data: memoryview, where: str) -> Iterator[tuple[int, memoryview]]:
    """(place, body) of every whole frame."""
    place = len(_MARK)
    while (first := place + _SIZES.size + _CHECK.size) <= len(data):
        size, checksum = _SIZES.unpack_from(data, place)
        (check,) = _CHECK.unpack_from(data, place + _SIZES.size)
        if zlib.crc32(data[place : place + _SIZES.size]) != check:
            raise _damaged(where, place, "wrong checksum")
        body = data[first : first + size]
        if len(body) < size:
            return
        if zlib.crc32(body) != checksum:
            raise _damaged(where, first, "wrong checksum")
        yield place, body
        place = first + size


def _damaged(where: str, place: int, why: str) -> InputError:
    text = f"damaged at byte {place}: {why}; copy it again from its validator, or leave it out"
    return InputError([Problem(where, text)])
