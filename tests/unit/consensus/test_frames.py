"""Frames: each reason to refuse one, and that a signature is for one sender, receiver and chain."""

from __future__ import annotations

import msgspec
import pytest
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from gridpact.consensus.frames import EVIDENCE_MAX, FRAME_MAX, Frame, Framing
from gridpact.consensus.raft import RaftMessage
from gridpact.consensus.raft.messages import VoteReply
from gridpact.consensus.shape import Reason, Suspect
from raft_bench import CHAIN, KeyedHash, framing

VOTE = VoteReply(5, granted=True, trial=False)
GOOD = framing("b").seal(VOTE, "a")
_encode = msgspec.msgpack.encode


def frame_with(**changes: object) -> bytes:
    """The good frame with other fields, signed as what it says where nothing else is asked for."""
    frame = msgspec.structs.replace(msgspec.msgpack.decode(GOOD, type=Frame), **changes)
    return _encode(frame)


def signed(body: bytes) -> bytes:
    opened = framing("b")
    return frame_with(body=body, signature=KeyedHash("b").sign(opened._signed("b", "a", body)))


def test_a_good_frame_opens() -> None:
    assert framing("a").open("b", GOOD, {"a", "b"}) == VOTE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"x" * (FRAME_MAX + 1), Reason.OVERSIZED),
        (b"", Reason.MALFORMED),
        (GOOD[:-1], Reason.MALFORMED),
        (GOOD + b"\x00", Reason.MALFORMED),
        (b"\x91" * 5_000, Reason.MALFORMED),
        (b"\x95\x01\xc4\x00\xa1\xff\xc4\x00\xc4\x00", Reason.MALFORMED),
        (frame_with(version=2), Reason.MALFORMED),
        (b"\x95\xcc" + GOOD[1:], Reason.MALFORMED),  # the same, its version in a longer form
        (frame_with(chain=b"other ch"), Reason.FOREIGN_CHAIN),
        (framing("b", b"d" * 32).seal(VOTE, "a"), Reason.FOREIGN_CHAIN),
        (framing("b", CHAIN[:8] + b"d" * 24).seal(VOTE, "a"), Reason.FORGED),
        (frame_with(sender="z"), Reason.UNKNOWN_SENDER),
        (frame_with(sender="c"), Reason.FORGED),
        (framing("c").seal(VOTE, "a"), Reason.FORGED),
        (frame_with(body=b"\x95"), Reason.FORGED),
        (frame_with(signature=b""), Reason.FORGED),
        (framing("b").seal(VOTE, "c"), Reason.FORGED),
        (signed(b"\x95"), Reason.MALFORMED),
        (signed(_encode([99, 1])), Reason.MALFORMED),
        (signed(_encode([4, -1, True, False])), Reason.MALFORMED),
        (signed(_encode([4, 2**63, True, False])), Reason.MALFORMED),
        (signed(_encode([4, 1, 1, False])), Reason.MALFORMED),
        (signed(_encode([4, 1, True, False, 0])), Reason.MALFORMED),
        (signed(_encode([1, 1, 0, 0, [[1, False, b""]] * 65, 0, 0])), Reason.MALFORMED),
        (signed(_encode([1, 1, 0, 0, [[1, False, bytes(2**18 + 1)]], 0, 0])), Reason.MALFORMED),
        (signed(_encode([5, 1, 1, 1, [0, [["a", 0]], []], b"", 0])), Reason.MALFORMED),
    ],
)
def test_each_reason_to_refuse(data: bytes, reason: Reason) -> None:
    found = framing("a").open("b", data, {"a", "b", "c"})
    assert found == Suspect("b", reason, data[:EVIDENCE_MAX])


def test_a_vote_for_one_is_none_for_another() -> None:
    found = framing("c").open("b", GOOD, {"a", "b", "c"})
    assert isinstance(found, Suspect)
    assert found.reason is Reason.FORGED


def test_real_signatures_do_the_same() -> None:
    """The one test of this protocol with Ed25519."""
    key = SigningKey(bytes(range(32)))

    class Signer:
        def sign(self, data: bytes) -> bytes:
            return key.sign(data).signature

    class Verifier:
        def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
            try:
                VerifyKey(bytes(key.verify_key)).verify(data, signature)
            except (BadSignatureError, ValueError):
                return False
            return True

    sender: Framing[RaftMessage] = Framing(CHAIN, "b", RaftMessage, Signer(), Verifier())
    receiver: Framing[RaftMessage] = Framing(CHAIN, "a", RaftMessage, Signer(), Verifier())
    data = sender.seal(VOTE, "a")
    assert receiver.open("b", data, {"b"}) == VOTE
    broken = data[:-1] + bytes([data[-1] ^ 1])
    assert isinstance(receiver.open("b", broken, {"b"}), Suspect)
