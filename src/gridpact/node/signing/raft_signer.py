"""What may be signed for a Raft replica: no promise against an earlier one.

A replica seals a message before its records are durable, and the host sends it afterwards. So what
is signed is remembered here at once, and becomes durable with `advance`, which the host calls once
its own log is durable and before it counts its own word or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

import msgspec

from gridpact.consensus.raft.messages import (
    Append,
    AppendReply,
    InstallSnapshot,
    RaftMessage,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from gridpact.consensus.raft.records import Entries, RaftRecord, Vote
from gridpact.node.signing.keyfile import SigningKey
from gridpact.node.signing.position import PositionFile
from gridpact.node.signing.refusals import SignerRefusedError
from gridpact.node.signing.standing import Standing

FRAME_TAG = b"gridpact/frame/v1"
"""With which everything begins that a replica's signature covers."""
WITHHELD = b""
"""In place of a signature that a replica which catches up does not get; nobody accepts it."""


class RaftPosition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How far a replica has bound itself."""

    term: int = 0
    voted_for: str = ""
    """In this term; empty: nobody yet."""
    index: int = 0
    """Up to here the replica confirmed the log in this term."""
    highest: int = 0
    """The largest such index of any term."""


class Status(Enum):
    """What a signer does after `begin`."""

    READY = "ready"
    CATCHING_UP = "catching up"
    """Allowed after a restore: confirms entries, but neither votes nor stands nor leads."""
    BEHIND = "behind"
    """The host's log was restored from an older copy: nothing is signed."""


class Begun(msgspec.Struct, frozen=True, array_like=True):
    """The answer to `begin`: with this term and vote the replica must start.

    Where they differ from the log's, the host first writes them there as a record.
    """

    status: Status
    term: int
    voted_for: str
    reach: int
    """Catching up, or behind: the index that must be confirmed again."""


def passed(position: RaftPosition, records: Iterable[bytes]) -> RaftPosition:
    """Where a replica is once these records are durable: what the host gives to `advance`.

    Entries that are written in a term come from its leader, so that the log of this term never
    becomes shorter than their end.

    Args:
        position: before them; `RaftPosition()` before the first record of a log.
        records: of one `Persist` or of a whole log, in order.
    """
    term, voted_for, index, highest = (
        position.term,
        position.voted_for,
        position.index,
        position.highest,
    )
    for data in records:
        record = _open_record(data)
        if isinstance(record, Vote):
            index = index if record.term == term else 0
            term, voted_for = record.term, record.voted_for
        elif isinstance(record, Entries):
            index = record.first + len(record.entries) - 1
        else:
            index = max(index, record.index)
        highest = max(highest, index)
    return RaftPosition(term, voted_for, index, highest)


class RaftSigner:
    """Signs the frames of one replica.

    Args:
        key: of the replica.
        chain: name of the chain, 32 bytes.
        name: of the replica.
        file: how far it has bound itself.
        standing: what is known of a restored host.
    """

    def __init__(
        self,
        key: SigningKey,
        chain: bytes,
        name: str,
        file: PositionFile[RaftPosition],
        standing: Standing,
    ) -> None:
        self._key, self._name, self._file, self._standing = key, name, file, standing
        self._prefix = FRAME_TAG + chain + name.encode() + b"\x00"
        self._decode = msgspec.msgpack.Decoder(RaftMessage).decode
        self._status: Status | None = None
        self._term, self._voted_for = file.position.term, file.position.voted_for
        """What was signed for, durable or not."""

    @property
    def position(self) -> RaftPosition:
        """What is durable."""
        return self._file.position

    def end(self) -> None:
        """The host has gone; the next one begins anew. What was signed is not forgotten."""
        self._status = None

    def begin(self, term: int, voted_for: str, last_index: int, index: int = 0) -> Begun:
        """Compare a host's log with what was signed; nothing is signed before.

        Args:
            term: that the log holds.
            voted_for: in this term; empty: nobody.
            last_index: of the log.
            index: see `passed`; 0 when the host does not know.
        Raises:
            SignerRefusedError: the numbers do not fit each other.
            StoreError: the disk refused.
        """
        if not 0 <= index <= last_index or term < 0:
            raise SignerRefusedError(
                f"index {index} of a log that ends at {last_index}, term {term}"
            )
        held, allowed = self.position, self._standing.allowed
        reach = max(held.highest, allowed.reach[1] if allowed else 0)
        if self._lies_behind(term, voted_for, last_index):
            if allowed is None or (term, last_index) < allowed.forgiven:
                self._status = Status.BEHIND
                self._standing.note_behind((term, last_index), (held.term, reach))
                return Begun(self._status, held.term, held.voted_for, reach)
        else:
            self._standing.not_behind()
            self._move(term, voted_for, index)
        self._pledge(self.position.term, self.position.voted_for)
        self._status = Status.READY if allowed is None else Status.CATCHING_UP
        return Begun(self._status, self._term, self._voted_for, reach if allowed else 0)

    def advance(self, term: int, voted_for: str, index: int) -> None:
        """Make durable how far the host's own log is; what depends on it may then be sent.

        Args:
            term: of the log.
            voted_for: in this term.
            index: confirmed in this term, or of the last own entry: see `passed`.
        Raises:
            SignerRefusedError: it goes back, or against a vote; nothing has moved.
            StoreError: the disk refused.
        """
        self._must_have_begun()
        held = self.position
        if term < held.term:
            raise SignerRefusedError(f"term {term} after term {held.term}")
        forgets = term == held.term and held.voted_for not in ("", voted_for)
        if forgets or self._is_second_vote(term, voted_for):
            raise SignerRefusedError(f"term {term}: not the vote that was given, but {voted_for!r}")
        self._move(term, voted_for, index)
        self._pledge(term, voted_for)
        allowed = self._standing.allowed
        if allowed is not None and index >= allowed.reach[1]:
            self._standing.reached()
            self._status = Status.READY

    def sign(self, data: bytes) -> bytes:
        """Signature over what `Framing` signs; `WITHHELD` for a vote while catching up.

        Raises:
            SignerRefusedError: not this replica's, or against what was signed; nothing has moved.
        """
        status = self._must_have_begun()
        message, receiver = self._read(data)
        if message.term < self._term:
            raise SignerRefusedError(f"a message of term {message.term} after term {self._term}")
        if status is Status.CATCHING_UP and _leads_to_power(message):
            return WITHHELD
        if isinstance(message, AppendReply):
            self._pledge(message.term, "")
            allowed = self._standing.allowed
            if allowed is not None and message.accepted and message.index >= allowed.reach[1]:
                # the log is the leader's so far; what follows is persisted after these entries
                self._status = Status.READY
        elif isinstance(message, VoteReply | VoteRequest):
            if not message.trial and (isinstance(message, VoteRequest) or message.granted):
                to = self._name if isinstance(message, VoteRequest) else receiver
                if self._is_second_vote(message.term, to):
                    text = f"term {message.term}: {self._voted_for} has the vote, so not {to}"
                    raise SignerRefusedError(text)
                self._pledge(message.term, to)
        elif (message.term, self._name) != (self._term, self._voted_for):
            raise SignerRefusedError(f"leads term {message.term} without its own vote")
        return self._key.sign(data)

    def _read(self, data: bytes) -> tuple[RaftMessage, str]:
        """(message, receiver) of what is to be signed."""
        if not data.startswith(self._prefix):
            raise SignerRefusedError(f"not a frame of {self._name} on this chain")
        receiver, _, body = data[len(self._prefix) :].partition(b"\x00")
        try:
            message: RaftMessage = self._decode(body)
            return message, receiver.decode()
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise SignerRefusedError(f"no message of Raft: {error}") from error

    def _lies_behind(self, term: int, voted_for: str, last_index: int) -> bool:
        held = self.position
        if self._is_second_vote(term, voted_for):
            return True
        if term != held.term:
            return term < held.term
        return held.voted_for not in ("", voted_for) or last_index < held.index

    def _must_have_begun(self) -> Status:
        if self._status is None:
            raise SignerRefusedError("nothing is signed before begin")
        if self._status is Status.BEHIND:
            raise SignerRefusedError(
                "the log lies behind what was signed; an operator must allow it"
            )
        return self._status

    def _is_second_vote(self, term: int, voted_for: str) -> bool:
        return term == self._term and "" != self._voted_for != voted_for != ""

    def _pledge(self, term: int, voted_for: str) -> None:
        if term > self._term:
            self._term, self._voted_for = term, voted_for
        elif term == self._term:
            self._voted_for = self._voted_for or voted_for

    def _move(self, term: int, voted_for: str, index: int) -> None:
        held = self.position
        if term == held.term:
            voted_for, index = held.voted_for or voted_for, max(held.index, index)
        moved = RaftPosition(term, voted_for, index, max(held.highest, index))
        if moved != held:
            self._file.write(moved)


def _leads_to_power(message: RaftMessage) -> bool:
    """Whether somebody might be elected or a decision be made by it.

    Refusals and confirmations are what a leader needs to bring a log up to date.
    """
    match message:
        case VoteReply(granted=granted):
            return granted
        case VoteRequest() | Append() | InstallSnapshot() | TimeoutNow():
            return True
    return False


_open_record = msgspec.msgpack.Decoder(RaftRecord).decode
