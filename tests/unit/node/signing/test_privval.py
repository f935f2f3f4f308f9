"""The signer of CometBFT. Goal: never two signatures for one place, never a step back.

Method: requests as CometBFT sends them, against the service without a socket; each refusal also
asserts that the position on the disk stays. What is signed is compared with bytes that CometBFT
v0.38.25 itself made of the same values.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from gridpact.errors import InputError
from gridpact.node.cometbft.messages import PublicKey, Timestamp
from gridpact.node.cometbft.protobuf import WireError, decode, encode, read_varint, varint
from gridpact.node.signature_worker import verify_signature
from gridpact.node.signing.cometbft_signer import CometbftPosition, CometbftSigner, Wanted
from gridpact.node.signing.folder import POSITION, Kind, allow, make_key, show
from gridpact.node.signing.keyfile import key_path, unlock
from gridpact.node.signing.position import PositionFile, read_position
from gridpact.node.signing.privval import MESSAGE_MAX, CometbftService
from gridpact.node.signing.privval_messages import (
    PRECOMMIT_TYPE,
    PREVOTE_TYPE,
    PROPOSAL_TYPE,
    BlockId,
    PartSetHeader,
    Ping,
    PrivvalMessage,
    Proposal,
    PubKeyRequest,
    PubKeyResponse,
    SignProposalRequest,
    SignVoteRequest,
    Vote,
    extension_bytes,
    proposal_bytes,
    vote_bytes,
)
from gridpact.node.signing.standing import Standing

CHAIN_ID = "chain-1"
HASHES = (b"\xab" * 32, b"\xcd" * 32)
BLOCK = BlockId(HASHES[0], PartSetHeader(300, HASHES[1]))
OTHER_BLOCK = BlockId(HASHES[1], PartSetHeader(300, HASHES[1]))
TIME, LATER = Timestamp(1_800_000_000, 123_456_789), Timestamp(1_800_000_007, 0)
WAIT_S = 30.0


def vote(height: int, round_: int = 0, type_: int = PREVOTE_TYPE, block: BlockId = BLOCK) -> Vote:
    return Vote(type_, height, round_, block, TIME, b"\x01" * 20, 2)


def proposal(height: int, round_: int = 0, block: BlockId = BLOCK) -> Proposal:
    return Proposal(PROPOSAL_TYPE, height, round_, -1, block, TIME)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "signer"
    make_key(
        folder,
        kind=Kind.COMETBFT,
        chain=bytes(32),
        name="a",
        passphrase=None,
        chain_id=CHAIN_ID,
    )
    return folder


class Asker:
    """CometBFT in the test's place."""

    def __init__(self, folder: Path, signer_type: type[CometbftSigner] = CometbftSigner) -> None:
        self.folder = folder
        self.file = PositionFile(folder / POSITION, CometbftPosition)
        key = unlock(key_path(folder, 1))
        self.public = key.public
        self.signer = signer_type(key, self.file, Standing(folder))
        self.service = CometbftService(folder / "nowhere", CHAIN_ID, self.signer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.service.close()
        self.file.close()

    def asks(self, wanted: Vote | Proposal, chain_id: str = CHAIN_ID) -> Vote | Proposal | str:
        """What is signed, or why it is not; over the encoded form, as on the wire."""
        if isinstance(wanted, Vote):
            request = PrivvalMessage(sign_vote_request=SignVoteRequest(wanted, chain_id))
        else:
            request = PrivvalMessage(sign_proposal_request=SignProposalRequest(wanted, chain_id))
        told = self.service.answer(decode(PrivvalMessage, encode(request)))
        told = decode(PrivvalMessage, encode(told))
        if told.signed_vote_response is not None:
            error, signed = told.signed_vote_response.error, told.signed_vote_response.vote
        else:
            assert told.signed_proposal_response is not None
            error = told.signed_proposal_response.error
            signed = told.signed_proposal_response.proposal
        if error is not None:
            assert error.code != 0
            assert signed == type(wanted)(), "nothing is handed out"
            return error.description
        return signed

    def gets(self, wanted: Vote | Proposal) -> Vote | Proposal:
        """A signature that holds, over what was asked for except for the time."""
        signed = self.asks(wanted)
        assert not isinstance(signed, str), signed
        covers = vote_bytes if isinstance(signed, Vote) else proposal_bytes
        assert verify_signature(self.public, covers(CHAIN_ID, signed), signed.signature)
        assert replace(signed, timestamp=wanted.timestamp, signature=b"") == replace(
            wanted,
            **(
                {"extension_signature": signed.extension_signature}
                if isinstance(signed, Vote)
                else {}
            ),
        )
        return signed

    def refused(self, wanted: Vote | Proposal, words: str, chain_id: str = CHAIN_ID) -> None:
        """Nothing is signed and the position stays."""
        before = read_position(self.folder / POSITION, CometbftPosition)
        told = self.asks(wanted, chain_id)
        assert isinstance(told, str)
        assert words in told
        assert read_position(self.folder / POSITION, CometbftPosition) == before


@pytest.fixture
def asker(folder: Path) -> Iterator[Asker]:
    with Asker(folder) as asker:
        yield asker


# What is signed


def test_votes_are_covered_as_cometbft_does() -> None:
    of = Vote(PRECOMMIT_TYPE, 7, 3, BLOCK, TIME, extension=b"more")
    assert vote_bytes(CHAIN_ID, of).hex() == (
        "75080211070000000000000019030000000000000022490a20" + "ab" * 32 + "122508ac021220"
        "" + "cd" * 32 + "2a0b0880a4a7da0610959aef3a3207636861696e2d31"
    )
    assert extension_bytes(CHAIN_ID, of).hex() == (
        "210a046d6f72651107000000000000001903000000000000002207636861696e2d31"
    )
    assert vote_bytes(CHAIN_ID, Vote(PREVOTE_TYPE, 7, timestamp=TIME)).hex() == (
        "2108011107000000000000002a0b0880a4a7da0610959aef3a3207636861696e2d31"
    )


def test_proposals_are_covered_as_cometbft_does() -> None:
    assert (
        proposal_bytes(CHAIN_ID, proposal(7, 3)).hex()
        == (
            "8001082011070000000000000019030000000000000020ffffffffffffffffff012a490a20" + "ab" * 32
        )
        + "122508ac021220"
        + "cd" * 32
        + "320b0880a4a7da0610959aef3a3a07636861696e2d31"
    )


def test_a_height_is_signed_step_by_step(asker: Asker) -> None:
    steps = [
        proposal(5),
        vote(5),
        vote(5, 0, PRECOMMIT_TYPE),
        vote(5, 1),
        vote(5, 1, PRECOMMIT_TYPE, BlockId()),
        vote(6),
    ]
    for wanted in steps:
        asker.gets(wanted)
    assert asker.signer.position.place == (6, 0, 2)


def test_an_extension_is_signed_beside(asker: Asker) -> None:
    extended = replace(vote(5, 0, PRECOMMIT_TYPE), extension=b"more")
    signed = asker.gets(extended)
    assert isinstance(signed, Vote)
    covered = extension_bytes(CHAIN_ID, extended)
    assert verify_signature(asker.public, covered, signed.extension_signature)
    for plain in (vote(6), vote(6, 0, PRECOMMIT_TYPE, BlockId())):
        told = asker.gets(plain)
        assert isinstance(told, Vote)
        assert told.extension_signature == b""
        asker.refused(replace(plain, height=7, extension=b"x"), "extension without")


# What is refused


@pytest.mark.parametrize(
    "back",
    [
        proposal(5, 1),
        vote(5, 1),
        vote(5, 0, PRECOMMIT_TYPE),
        vote(4, 9, PRECOMMIT_TYPE),
        proposal(4, 9),
    ],
)
def test_no_step_back(asker: Asker, back: Vote | Proposal) -> None:
    asker.gets(vote(5, 1, PRECOMMIT_TYPE))
    asker.refused(back, "comes before")
    asker.gets(vote(5, 2))


@pytest.mark.parametrize("first", [vote(5, 1), vote(5, 1, PRECOMMIT_TYPE), proposal(5, 1)])
def test_the_same_place_gets_the_same(asker: Asker, first: Vote | Proposal) -> None:
    signed = asker.gets(first)
    before = asker.signer.position
    assert asker.gets(first) == signed
    later = asker.gets(replace(first, timestamp=LATER))
    assert (later.timestamp, later.signature) == (TIME, signed.signature)
    for block in (OTHER_BLOCK, BlockId()):
        asker.refused(replace(first, block_id=block), "signed with something else")
        asker.refused(replace(first, block_id=block, timestamp=LATER), "signed with something else")
    assert asker.signer.position == before


def test_what_was_signed_outlives_the_process(folder: Path) -> None:
    with Asker(folder) as asker:
        signed = asker.gets(vote(5))
    with Asker(folder) as asker:
        assert asker.gets(replace(vote(5), timestamp=LATER)) == signed
        asker.refused(vote(5, 0, PREVOTE_TYPE, OTHER_BLOCK), "something else")
        asker.refused(proposal(5), "comes before")


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (vote(0), "no such place"),
        (vote(5, -1), "no such place"),
        (vote(-5), "no such place"),
        (vote(5, 0, PROPOSAL_TYPE), "no vote of type 32"),
        (vote(5, 0, 0), "no vote of type 0"),
        (replace(proposal(5), type=PREVOTE_TYPE), "no proposal of type 1"),
        (vote(5, block=BlockId(b"short")), "neither absent nor 32"),
        (proposal(5, block=BlockId(HASHES[0], PartSetHeader(1, b"x"))), "neither absent nor 32"),
    ],
)
def test_what_nobody_may_ask_is_refused(asker: Asker, wanted: Vote | Proposal, words: str) -> None:
    asker.refused(wanted, words)


def test_another_chain_is_refused(asker: Asker) -> None:
    for wanted in (vote(5), proposal(5)):
        asker.refused(wanted, "signs for the chain chain-1 only", "chain-2")
    told = asker.service.answer(PrivvalMessage(pub_key_request=PubKeyRequest("chain-2")))
    assert told.pub_key_response is not None
    assert told.pub_key_response.error is not None
    assert told.pub_key_response.pub_key == PublicKey()


def test_key_and_ping_are_answered(asker: Asker) -> None:
    told = asker.service.answer(PrivvalMessage(pub_key_request=PubKeyRequest(CHAIN_ID)))
    assert told == PrivvalMessage(pub_key_response=PubKeyResponse(PublicKey(asker.public)))
    told = asker.service.answer(PrivvalMessage(ping_request=Ping()))
    assert decode(PrivvalMessage, encode(told)) == PrivvalMessage(ping_response=Ping())
    with pytest.raises(WireError, match="not a request"):
        asker.service.answer(told)


# Restored validators


def test_one_height_behind_is_a_usual_crash(folder: Path) -> None:
    with Asker(folder) as asker:
        asker.gets(vote(9))
    with Asker(folder) as asker:
        asker.refused(vote(8), "comes before")
        assert show(folder).behind is None
        asker.gets(vote(10))


def test_a_restored_validator_is_silent_until_allowed(folder: Path) -> None:
    with Asker(folder) as asker:
        asker.gets(vote(9))
    with Asker(folder) as asker:
        asker.refused(vote(7), "an operator must allow it")
        asker.refused(vote(99), "an operator must allow it")
        asker.refused(proposal(99), "an operator must allow it")
    with Asker(folder) as asker:  # also after it has caught up and starts again
        asker.refused(vote(99), "an operator must allow it")
    before = show(folder).position
    assert allow(folder).reach == (9, 0)
    assert show(folder).position == before
    with Asker(folder) as asker:
        asker.refused(vote(8), "comes before")
        assert show(folder).allowed is not None
        asker.gets(vote(10))
        assert show(folder).allowed is None
    with pytest.raises(InputError, match="no start was refused"):
        allow(folder)


def test_an_even_older_one_is_not_what_was_allowed(folder: Path) -> None:
    with Asker(folder) as asker:
        asker.gets(vote(9))
    with Asker(folder) as asker:
        asker.refused(vote(7), "an operator must allow it")
    allow(folder)
    with Asker(folder) as asker:
        asker.refused(vote(7), "comes before")
        asker.signer.end()
        asker.refused(vote(6), "an operator must allow it")
        asker.refused(vote(99), "an operator must allow it")


def test_a_new_connection_is_looked_at_again(asker: Asker) -> None:
    asker.gets(vote(9))
    asker.refused(vote(2), "comes before")
    asker.signer.end()
    asker.refused(vote(2), "an operator must allow it")
    asker.refused(vote(10), "an operator must allow it")


# Over the socket


class Listener:
    """Where CometBFT would wait."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen()
        self.socket.settimeout(WAIT_S)

    def accept(self) -> socket.socket:
        connection, _ = self.socket.accept()
        connection.settimeout(WAIT_S)
        return connection


def told(connection: socket.socket) -> PrivvalMessage:
    data = b""
    while (found := read_varint(data, 0)) is None or len(data) < sum(found):
        got = connection.recv(4096)
        assert got
        data += got
    return decode(PrivvalMessage, data[found[1] :])


def test_it_dials_answers_and_dials_again(folder: Path, tmp_path: Path) -> None:
    file = PositionFile(folder / POSITION, CometbftPosition)
    key = unlock(key_path(folder, 1))
    path = tmp_path / "socket"
    service = CometbftService(path, CHAIN_ID, CometbftSigner(key, file, Standing(folder)))
    thread = threading.Thread(target=service.serve)
    thread.start()
    listener = Listener(path)
    ping = encode(PrivvalMessage(ping_request=Ping()))
    asked = encode(PrivvalMessage(sign_vote_request=SignVoteRequest(vote(9), CHAIN_ID)))
    with listener.accept() as first:
        first.sendall(varint(len(ping)) + ping + varint(len(asked)) + asked[:10])
        assert told(first).ping_response == Ping()
        first.sendall(asked[10:])
        answer = told(first).signed_vote_response
        assert answer is not None
        assert answer.error is None
    for rubbish in (b"\x02\xff\xff", varint(MESSAGE_MAX + 1), b"\xff" * 11):
        with listener.accept() as other:
            other.sendall(rubbish)
            assert other.recv(1) == b""
    with listener.accept() as last:
        late = encode(PrivvalMessage(sign_vote_request=SignVoteRequest(vote(2), CHAIN_ID)))
        last.sendall(varint(len(late)) + late)
        refusal = told(last).signed_vote_response
        assert refusal is not None
        assert refusal.error is not None
        assert "an operator must allow it" in refusal.error.description
    service.stop()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    service.close()
    listener.socket.close()
    assert file.position.height == 9
    file.close()


# Broken twin


class Forgetful(CometbftSigner):
    """Signs for whoever asks."""

    def sign(self, wanted: Wanted) -> tuple[bytes, tuple[int, int]]:
        return self._key.sign(wanted.covered(wanted.time)), wanted.time


def test_broken_twin_signs_twice(folder: Path) -> None:
    with Asker(folder, Forgetful) as asker:
        first, second = asker.gets(vote(5)), asker.gets(vote(5, block=OTHER_BLOCK))
        assert first.signature != second.signature
        with pytest.raises(AssertionError):
            asker.refused(vote(4), "comes before")
