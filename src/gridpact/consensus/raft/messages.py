"""What Raft replicas say to each other, and what they keep.

Numbers are unsigned; sizes are bounded, so that nobody can make a replica hold more than it says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from gridpact.codec import CodecError, decode
from gridpact.consensus.configuration import Configuration, is_usable

Number = Annotated[int, Meta(ge=0, le=2**62)]
ENTRIES_MAX = 64
"""Entries in one message."""
PAYLOAD_MAX = 1 << 18
"""Bytes of one entry."""
BATCH_BYTES = 1 << 19
"""Of payloads in one message, unless the first entry alone is larger."""


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One place of the log."""

    term: Number
    configuration: bool
    """Whether the payload is a `Configuration`; else it is the client's, or empty for the entry
    with which a term begins."""
    payload: Annotated[bytes, Meta(max_length=PAYLOAD_MAX)]


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    term: Number


class Append(_Message, frozen=True, tag=1):
    """The leader's entries; without any it is a heartbeat."""

    previous_index: Number
    previous_term: Number
    entries: Annotated[list[Entry], Meta(max_length=ENTRIES_MAX)]
    commit: Number
    question: Number
    """Comes back in the reply, so that the leader knows that it still led when it asked."""


class AppendReply(_Message, frozen=True, tag=2):
    """How far the follower's durable log agrees."""

    accepted: bool
    index: Number
    """Accepted: up to here it is the leader's. Refused: where to try next; 0: an earlier term's."""
    question: Number


class VoteRequest(_Message, frozen=True, tag=3):
    """Asks for a vote in `term`."""

    last_index: Number
    last_term: Number
    trial: bool
    """Only whether the vote would be given: nothing changes. Source: [ONGARO14], section 9.6."""
    asked_to: bool
    """The leader itself wants the sender to lead."""


class VoteReply(_Message, frozen=True, tag=4):
    """The answer. A trial that is granted repeats the term asked for."""

    granted: bool
    trial: bool


class InstallSnapshot(_Message, frozen=True, tag=5):
    """Everything decided up to an index, for who lacks entries that the leader has dropped."""

    index: Number
    index_term: Number
    configuration: Configuration
    data: bytes
    question: Number


class TimeoutNow(_Message, frozen=True, tag=6):
    """The leader asks the receiver to take over at once."""


RaftMessage = Append | AppendReply | VoteRequest | VoteReply | InstallSnapshot | TimeoutNow


def _begins(index: int, term: int) -> bool:
    """Only the place before the first entry has no term."""
    return (index == 0) == (term == 0)


def _fit(message: Append) -> bool:
    """Whether terms rise up to the leader's, and all configurations can be used."""
    if not _begins(message.previous_index, message.previous_term):
        return False
    term = message.previous_term
    for entry in message.entries:
        if not max(1, term) <= entry.term:
            return False
        term = entry.term
        if entry.configuration:
            try:
                configuration = decode(Configuration, entry.payload)
            except CodecError:
                return False
            if not is_usable(configuration):
                return False
    return max(1, term) <= message.term


def _is_request(message: VoteRequest) -> bool:
    both = message.trial and message.asked_to
    known = _begins(message.last_index, message.last_term)
    return known and message.last_term < message.term and not both


def _is_snapshot(message: InstallSnapshot) -> bool:
    begun = 1 <= message.index_term <= message.term and message.index >= 1
    return begun and is_usable(message.configuration)


_SOUND: dict[type, Callable[[Any], bool]] = {
    Append: _fit,
    VoteRequest: _is_request,
    InstallSnapshot: _is_snapshot,
    TimeoutNow: lambda message: message.term >= 1,
}


def is_sound(message: RaftMessage) -> bool:
    """Whether some replica that follows the protocol can have sent this, whatever else is true."""
    check = _SOUND.get(type(message))
    return check is None or check(message)
