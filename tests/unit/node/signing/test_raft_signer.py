"""What a signer signs for a Raft replica. Goal: no promise is ever made against an earlier one.

Method: each refusal also asserts that the position on the disk and what is remembered stay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tests.unit.node.signing.rig import (
    CHAIN,
    NAME,
    NOW_MS,
    Opened,
    candidacy,
    confirmation,
    heartbeat,
    make,
    signed,
    vote,
)

from gridpact.consensus import frames
from gridpact.consensus.configuration import configuration_of
from gridpact.consensus.frames import Framing
from gridpact.consensus.raft.messages import (
    AppendReply,
    Entry,
    InstallSnapshot,
    RaftMessage,
    TimeoutNow,
    VoteReply,
    VoteRequest,
)
from gridpact.consensus.raft.records import Entries, Snapshot, Vote, record_bytes
from gridpact.errors import InputError
from gridpact.node.signing.client import Ed25519Verifier, is_withheld
from gridpact.node.signing.folder import POSITION, allow, show
from gridpact.node.signing.position import read_position
from gridpact.node.signing.raft_signer import (
    FRAME_TAG,
    WITHHELD,
    RaftPosition,
    RaftSigner,
    Status,
    passed,
)
from gridpact.node.signing.refusals import SignerRefusedError

SNAPSHOT = InstallSnapshot(5, 3, 1, configuration_of(1, {"a": 1, "b": 1}), b"", 0)
TRIAL = VoteRequest(6, 0, 0, trial=True, asked_to=False)
REFUSAL = AppendReply(5, accepted=False, index=3, question=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "signer")


def stored(folder: Path) -> RaftPosition:
    return read_position(folder / POSITION, RaftPosition)


def refuses(signer: RaftSigner, call: Callable[[], object], words: str) -> None:
    """A refusal that names its reason and changes nothing."""
    before = (signer.position, signer._term, signer._voted_for, signer._status)
    files = sorted(signer._standing._folder.iterdir())
    with pytest.raises(SignerRefusedError, match=words):
        call()
    assert (signer.position, signer._term, signer._voted_for, signer._status) == before
    assert sorted(signer._standing._folder.iterdir()) == files


# What is signed


def test_the_tag_is_that_of_frames() -> None:
    assert FRAME_TAG == frames._TAG


@pytest.mark.parametrize(
    "message",
    [vote(5), candidacy(5), confirmation(5, 9), REFUSAL, TRIAL, VoteReply(5, False, False)],
)
def test_what_a_replica_seals_others_open(folder: Path, message: RaftMessage) -> None:
    with (opened := Opened(folder)) as signer:
        signer.begin(4, "", 0)
        verifier = Ed25519Verifier({NAME: opened.public})
        frame = Framing[RaftMessage](CHAIN, NAME, RaftMessage, signer, verifier).seal(message, "b")
        there = Framing[RaftMessage](CHAIN, "b", RaftMessage, signer, verifier)
        assert there.open(NAME, frame, {NAME}) == message
        assert not is_withheld(frame)
        assert not verifier.verify("b", b"", bytes(64))
        assert not verifier.verify(NAME, b"", WITHHELD)


def test_nothing_is_signed_before_begin(folder: Path) -> None:
    with Opened(folder) as signer:
        refuses(signer, lambda: signer.sign(signed(vote(1))), "before begin")
        refuses(signer, lambda: signer.advance(1, "", 0), "before begin")
        signer.begin(0, "", 0)
        signer.end()
        refuses(signer, lambda: signer.sign(signed(vote(1))), "before begin")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a frame of a"),
        (signed(vote(5), chain=bytes(32)), "not a frame of a"),
        (signed(vote(5), sender="b"), "not a frame of a"),
        (signed(vote(5), sender="aa"), "not a frame of a"),
        (signed(vote(5))[:-1], "no message of Raft"),
        (signed(vote(5)) + b"\x00", "no message of Raft"),
        (signed(vote(5)).partition(b"a\x00b")[0] + b"a\x00\xff\x00" + b"\x94", "no message"),
    ],
)
def test_what_is_not_its_own_is_refused(folder: Path, data: bytes, words: str) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 0)
        refuses(signer, lambda: signer.sign(data), words)


# Votes


def test_one_vote_a_term(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 0)
        first = signer.sign(signed(vote(5), "b"))
        assert signer.sign(signed(vote(5), "b")) == first
        refuses(signer, lambda: signer.sign(signed(vote(5), "c")), "b has the vote")
        refuses(signer, lambda: signer.sign(signed(candidacy(5), "c")), "b has the vote, so not a")
        refuses(signer, lambda: signer.sign(signed(heartbeat(5))), "without its own vote")
        signer.sign(signed(vote(6), "c"))


def test_standing_is_a_vote_for_oneself(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 0)
        for peer in ("b", "c"):
            signer.sign(signed(candidacy(5), peer))
        refuses(signer, lambda: signer.sign(signed(vote(5), "b")), "a has the vote, so not b")
        signer.sign(signed(vote(5), NAME))


def test_only_who_stood_leads(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 0)
        for message in (heartbeat(5), SNAPSHOT, TimeoutNow(5)):
            data = signed(message)
            refuses(signer, lambda data=data: signer.sign(data), "without its own vote")
        signer.sign(signed(candidacy(5)))
        for message in (heartbeat(5), SNAPSHOT, TimeoutNow(5)):
            signer.sign(signed(message))


def test_trials_and_refusals_bind_nobody(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(5, "", 0)
        for message in (TRIAL, VoteReply(6, True, True), VoteReply(5, False, False)):
            signer.sign(signed(message, "b"))
        signer.sign(signed(vote(5), "c"))


def test_no_message_of_an_earlier_term(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 0)
        signer.sign(signed(confirmation(5, 1)))
        for message in (vote(4), candidacy(4), confirmation(4, 9), heartbeat(4)):
            data = signed(message)
            refuses(signer, lambda data=data: signer.sign(data), "term 4 after term 5")


def test_a_lower_index_is_signed_and_moves_nothing(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 9)
        signer.advance(5, "", 9)
        signer.sign(signed(confirmation(5, 3)))
        assert signer.position == RaftPosition(5, "", 9, 9)


# What becomes durable


def test_signing_moves_nothing_on_the_disk(folder: Path) -> None:
    """The replica's own records are not durable yet."""
    with Opened(folder) as signer:
        signer.begin(4, "", 0)
        signer.sign(signed(vote(5), "b"))
        signer.sign(signed(confirmation(5, 7)))
        assert stored(folder) == RaftPosition(4, "", 0, 0)
        signer.advance(5, "b", 7)
        assert stored(folder) == RaftPosition(5, "b", 7, 7)


def test_a_crash_before_the_records_were_durable_is_no_step_back(folder: Path) -> None:
    """The host has lost a vote that it never sent; the signer's memory makes it keep to it."""
    with Opened(folder) as signer:
        signer.begin(4, "", 3)
        signer.sign(signed(vote(5), "b"))
        signer.end()
        begun = signer.begin(4, "", 3)
        assert (begun.status, begun.term, begun.voted_for) == (Status.READY, 5, "b")
        refuses(signer, lambda: signer.sign(signed(vote(5), "c")), "b has the vote")
    with Opened(folder) as signer:  # both have crashed: nothing of it had been sent
        begun = signer.begin(4, "", 3)
        assert (begun.status, begun.term, begun.voted_for) == (Status.READY, 4, "")


def test_a_log_that_is_ahead_moves_the_signer(folder: Path) -> None:
    """The log was durable, and the host ended before it told the signer."""
    with Opened(folder) as signer:
        signer.begin(6, "c", 9, 8)
        assert stored(folder) == RaftPosition(6, "c", 8, 8)
        refuses(signer, lambda: signer.sign(signed(vote(6), "b")), "c has the vote")


def test_the_index_begins_again_with_a_term_and_the_highest_stays(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(4, "", 9)
        signer.advance(4, "b", 9)
        signer.advance(5, "", 0)
        signer.advance(5, "c", 6)
        signer.advance(5, "c", 4)
        assert stored(folder) == RaftPosition(5, "c", 6, 9)


def test_no_step_back_on_the_disk(folder: Path) -> None:
    with Opened(folder) as signer:
        signer.begin(5, "b", 9, 9)
        refuses(signer, lambda: signer.advance(4, "", 9), "term 4 after term 5")
        refuses(signer, lambda: signer.advance(5, "c", 9), "not the vote that was given")
        refuses(signer, lambda: signer.advance(5, "", 9), "not the vote that was given")
        signer.sign(signed(vote(7), "b"))
        refuses(signer, lambda: signer.advance(7, "c", 9), "not the vote that was given")
        signer.advance(6, "", 0)  # an earlier record than the vote's is durable now
        signer.advance(7, "", 0)
        signer.advance(7, "b", 0)


def test_where_records_lead() -> None:
    def entries(first: int, count: int) -> bytes:
        return record_bytes(Entries(first, [Entry(1, configuration=False, payload=b"x")] * count))

    configuration = configuration_of(1, {"a": 1})
    at = passed(RaftPosition(), [record_bytes(Vote(1, "b")), entries(1, 9)])
    assert at == RaftPosition(1, "b", 9, 9)
    at = passed(at, [record_bytes(Vote(2, ""))])
    assert at == RaftPosition(2, "", 0, 9)
    at = passed(at, [record_bytes(Vote(2, "c")), entries(5, 2)])
    assert at == RaftPosition(2, "c", 6, 9)
    snapshot = Snapshot(12, 2, configuration, b"", keeps_rest=False)
    assert passed(at, [record_bytes(snapshot)]) == RaftPosition(2, "c", 12, 12)


# Restored hosts


def held(folder: Path) -> Path:
    """A signer at term 5 with a vote for b, index 7, and 9 in an earlier term."""
    with Opened(folder) as signer:
        signer.begin(4, "", 9, 9)
        signer.advance(5, "b", 7)
    return folder


@pytest.mark.parametrize(
    ("term", "voted_for", "last_index"), [(4, "b", 9), (5, "", 9), (5, "c", 9), (5, "b", 6)]
)
def test_an_older_log_lies_behind(folder: Path, term: int, voted_for: str, last_index: int) -> None:
    with Opened(held(folder)) as signer:
        before = stored(folder)
        begun = signer.begin(term, voted_for, last_index)
        assert (begun.status, begun.term, begun.voted_for) == (Status.BEHIND, 5, "b")
        for message in (vote(9), confirmation(9, 99), TRIAL, REFUSAL):
            data = signed(message)
            refuses(signer, lambda data=data: signer.sign(data), "lies behind")
        refuses(signer, lambda: signer.advance(9, "", 0), "lies behind")
        assert stored(folder) == before == RaftPosition(5, "b", 7, 9)
        behind = show(folder).behind
        assert behind is not None
        assert (behind.noted_ms, behind.stated) == (NOW_MS, (term, last_index))


@pytest.mark.parametrize(
    ("term", "voted_for", "last_index"), [(5, "b", 7), (5, "b", 99), (6, "", 0), (6, "c", 3)]
)
def test_the_same_log_or_a_later_one_is_ready(
    folder: Path, term: int, voted_for: str, last_index: int
) -> None:
    with Opened(held(folder)) as signer:
        assert signer.begin(term, voted_for, last_index).status is Status.READY


def test_numbers_that_do_not_fit_are_refused(folder: Path) -> None:
    with Opened(held(folder)) as signer:
        for numbers in ((5, 3, 4), (5, -1, -1), (-1, 0, 0)):
            term, last_index, index = numbers
            refuses(
                signer,
                lambda t=term, n=last_index, i=index: signer.begin(t, "b", n, i),
                "of a log that ends",
            )


def allowed(folder: Path) -> Path:
    """The same signer, after an operator has allowed a log of term 3 with 4 entries."""
    with Opened(held(folder)) as signer:
        signer.begin(3, "", 4)
    before = stored(folder)
    word = allow(folder)
    assert (word.forgiven, word.reach) == ((3, 4), (5, 9))
    assert stored(folder) == before
    assert show(folder).behind is None
    return folder


def test_nothing_to_allow_is_told(folder: Path) -> None:
    with pytest.raises(InputError, match="no start was refused"):
        allow(folder)
    assert show(folder).allowed is None


def test_who_was_allowed_catches_up_without_a_vote(folder: Path) -> None:
    with Opened(allowed(folder)) as signer:
        begun = signer.begin(3, "", 4)
        assert begun == msgspec.structs.replace(
            begun, status=Status.CATCHING_UP, term=5, voted_for="b", reach=9
        )
        for message in (vote(5), vote(6), candidacy(6), TRIAL, heartbeat(6), SNAPSHOT):
            assert signer.sign(signed(message, "c")) == WITHHELD
        for message in (REFUSAL, confirmation(5, 8), VoteReply(6, False, False)):
            assert len(signer.sign(signed(message))) == 64
        refuses(signer, lambda: signer.sign(signed(confirmation(4, 99))), "after term 5")
        signer.advance(5, "b", 8)
        signer.advance(6, "", 0)
        assert signer.sign(signed(vote(6), "c")) == WITHHELD
        assert show(folder).allowed is not None


def test_who_has_caught_up_votes_again(folder: Path) -> None:
    with Opened(allowed(folder)) as signer:
        signer.begin(3, "", 4)
        signer.sign(signed(confirmation(6, 9)))
        assert len(signer.sign(signed(vote(7), "c"))) == 64
        assert show(folder).allowed is not None, "the entries are not durable yet"
        signer.advance(6, "", 9)
        assert show(folder).allowed is None
        signer.advance(7, "c", 9)
    with Opened(folder) as signer:
        assert signer.begin(7, "c", 9, 0).status is Status.READY


def test_a_crash_while_catching_up_goes_on_catching_up(folder: Path) -> None:
    """Also with a long log: that its entries are the right ones is for a leader to confirm."""
    with Opened(allowed(folder)) as signer:
        signer.begin(3, "", 4)
        signer.sign(signed(confirmation(6, 9)))
        signer.advance(6, "", 5)
    with Opened(folder) as signer:
        assert signer.begin(6, "", 99).status is Status.CATCHING_UP
        assert signer.sign(signed(vote(7), "c")) == WITHHELD
        signer.advance(6, "", 9)
        assert len(signer.sign(signed(vote(7), "c"))) == 64


def test_an_even_older_log_is_not_what_was_allowed(folder: Path) -> None:
    with Opened(allowed(folder)) as signer:
        assert signer.begin(3, "", 3).status is Status.BEHIND
        refuses(signer, lambda: signer.sign(signed(confirmation(9, 99))), "lies behind")
    assert allow(folder).reach == (5, 9)
    with Opened(folder) as signer:
        assert signer.begin(3, "", 3).status is Status.CATCHING_UP


# Broken twin


class Forgetful(RaftSigner):
    """Signs for whoever asks."""

    def _is_second_vote(self, term: int, voted_for: str) -> bool:
        return False

    def _lies_behind(self, term: int, voted_for: str, last_index: int) -> bool:
        return False


def test_broken_twin_signs_twice(folder: Path) -> None:
    """Without the two checks one key gives two votes in one term, and after a restore too."""
    with Opened(folder, Forgetful) as signer:
        signer.begin(4, "", 0)
        assert len(signer.sign(signed(vote(5), "b"))) == len(signer.sign(signed(vote(5), "c")))
    with Opened(held(folder), Forgetful) as signer:
        assert signer.begin(4, "", 0).status is Status.READY
        assert len(signer.sign(signed(vote(5), "c"))) == 64
