"""What CometBFT 0.38 and its remote signer say to each other (package `tendermint.privval`).

Numbers are those of the public interface definition. What is signed has fields of fixed length,
which nothing else of ours uses: it is written by hand, below.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from gridpact.node.cometbft.messages import PublicKey, Timestamp
from gridpact.node.cometbft.protobuf import Field, Kind, Message, encode, tagged, varint

Fields = dict[int, Field]
PREVOTE_TYPE, PRECOMMIT_TYPE, PROPOSAL_TYPE = 1, 2, 32
"""Types of what is signed."""
_FIXED64 = 1
_NO_TIME, _NO_KEY = Timestamp(), PublicKey()


def _message(name: str, message: type[Message]) -> Field:
    return Field(name, Kind.MESSAGE, message)


@dataclass(frozen=True, slots=True)
class PartSetHeader(Message):
    """In how many parts a block is sent, and the hash over them."""

    total: int = 0
    hash: bytes = b""
    FIELDS: ClassVar[Fields] = {1: Field("total", Kind.UINT), 2: Field("hash", Kind.BYTES)}


@dataclass(frozen=True, slots=True)
class BlockId(Message):
    """A block; empty: none."""

    hash: bytes = b""
    parts: PartSetHeader = PartSetHeader()
    FIELDS: ClassVar[Fields] = {
        1: Field("hash", Kind.BYTES),
        2: _message("parts", PartSetHeader),
    }


@dataclass(frozen=True, slots=True)
class Vote(Message):
    """A prevote or a precommit."""

    type: int = 0
    height: int = 0
    round: int = 0
    block_id: BlockId = BlockId()
    timestamp: Timestamp = _NO_TIME
    validator_address: bytes = b""
    validator_index: int = 0
    signature: bytes = b""
    extension: bytes = b""
    extension_signature: bytes = b""
    FIELDS: ClassVar[Fields] = {
        1: Field("type", Kind.INT),
        2: Field("height", Kind.INT),
        3: Field("round", Kind.INT),
        4: _message("block_id", BlockId),
        5: _message("timestamp", Timestamp),
        6: Field("validator_address", Kind.BYTES),
        7: Field("validator_index", Kind.INT),
        8: Field("signature", Kind.BYTES),
        9: Field("extension", Kind.BYTES),
        10: Field("extension_signature", Kind.BYTES),
    }


@dataclass(frozen=True, slots=True)
class Proposal(Message):
    """A block that a proposer offers."""

    type: int = 0
    height: int = 0
    round: int = 0
    pol_round: int = 0
    """Round in which it had enough prevotes; -1: none."""
    block_id: BlockId = BlockId()
    timestamp: Timestamp = _NO_TIME
    signature: bytes = b""
    FIELDS: ClassVar[Fields] = {
        1: Field("type", Kind.INT),
        2: Field("height", Kind.INT),
        3: Field("round", Kind.INT),
        4: Field("pol_round", Kind.INT),
        5: _message("block_id", BlockId),
        6: _message("timestamp", Timestamp),
        7: Field("signature", Kind.BYTES),
    }


@dataclass(frozen=True, slots=True)
class SignerError(Message):
    """Why the signer refuses; CometBFT does not ask again."""

    code: int = 0
    description: str = ""
    FIELDS: ClassVar[Fields] = {1: Field("code", Kind.INT), 2: Field("description", Kind.TEXT)}


@dataclass(frozen=True, slots=True)
class PubKeyRequest(Message):
    """Which key?"""

    chain_id: str = ""
    FIELDS: ClassVar[Fields] = {1: Field("chain_id", Kind.TEXT)}


@dataclass(frozen=True, slots=True)
class PubKeyResponse(Message):
    """This one."""

    pub_key: PublicKey = _NO_KEY
    error: SignerError | None = None
    FIELDS: ClassVar[Fields] = {
        1: _message("pub_key", PublicKey),
        2: _message("error", SignerError),
    }


@dataclass(frozen=True, slots=True)
class SignVoteRequest(Message):
    """Sign this vote."""

    vote: Vote = Vote()
    chain_id: str = ""
    FIELDS: ClassVar[Fields] = {1: _message("vote", Vote), 2: Field("chain_id", Kind.TEXT)}


@dataclass(frozen=True, slots=True)
class SignedVoteResponse(Message):
    """The vote with its signature."""

    vote: Vote = Vote()
    error: SignerError | None = None
    FIELDS: ClassVar[Fields] = {1: _message("vote", Vote), 2: _message("error", SignerError)}


@dataclass(frozen=True, slots=True)
class SignProposalRequest(Message):
    """Sign this proposal."""

    proposal: Proposal = Proposal()
    chain_id: str = ""
    FIELDS: ClassVar[Fields] = {
        1: _message("proposal", Proposal),
        2: Field("chain_id", Kind.TEXT),
    }


@dataclass(frozen=True, slots=True)
class SignedProposalResponse(Message):
    """The proposal with its signature."""

    proposal: Proposal = Proposal()
    error: SignerError | None = None
    FIELDS: ClassVar[Fields] = {
        1: _message("proposal", Proposal),
        2: _message("error", SignerError),
    }


@dataclass(frozen=True, slots=True)
class Ping(Message):
    """Still there? Request and response."""


@dataclass(frozen=True, slots=True)
class PrivvalMessage(Message):
    """Exactly one of these."""

    pub_key_request: PubKeyRequest | None = None
    pub_key_response: PubKeyResponse | None = None
    sign_vote_request: SignVoteRequest | None = None
    signed_vote_response: SignedVoteResponse | None = None
    sign_proposal_request: SignProposalRequest | None = None
    signed_proposal_response: SignedProposalResponse | None = None
    ping_request: Ping | None = None
    ping_response: Ping | None = None
    FIELDS: ClassVar[Fields] = {
        1: _message("pub_key_request", PubKeyRequest),
        2: _message("pub_key_response", PubKeyResponse),
        3: _message("sign_vote_request", SignVoteRequest),
        4: _message("signed_vote_response", SignedVoteResponse),
        5: _message("sign_proposal_request", SignProposalRequest),
        6: _message("signed_proposal_response", SignedProposalResponse),
        7: _message("ping_request", Ping),
        8: _message("ping_response", Ping),
    }


# What is signed


def vote_bytes(chain_id: str, vote: Vote) -> bytes:
    """What the signature of a vote covers, its length first."""
    return _delimited(
        _number(1, vote.type)
        + _fixed(2, vote.height)
        + _fixed(3, vote.round)
        + _block(4, vote.block_id)
        + tagged(5, encode(vote.timestamp))
        + _text(6, chain_id)
    )


def extension_bytes(chain_id: str, vote: Vote) -> bytes:
    """What the signature of a vote's extension covers, its length first."""
    extension = tagged(1, vote.extension) if vote.extension else b""
    return _delimited(
        extension + _fixed(2, vote.height) + _fixed(3, vote.round) + _text(4, chain_id)
    )


def proposal_bytes(chain_id: str, proposal: Proposal) -> bytes:
    """What the signature of a proposal covers, its length first."""
    return _delimited(
        _number(1, PROPOSAL_TYPE)
        + _fixed(2, proposal.height)
        + _fixed(3, proposal.round)
        + _number(4, proposal.pol_round)
        + _block(5, proposal.block_id)
        + tagged(6, encode(proposal.timestamp))
        + _text(7, chain_id)
    )


def is_nil(block_id: BlockId) -> bool:
    """Whether it names no block."""
    return block_id == BlockId()


def _delimited(data: bytes) -> bytes:
    return varint(len(data)) + data


def _number(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value % 2**64) if value else b""


def _fixed(number: int, value: int) -> bytes:
    return varint(number << 3 | _FIXED64) + struct.pack("<q", value) if value else b""


def _text(number: int, value: str) -> bytes:
    return tagged(number, value.encode()) if value else b""


def _block(number: int, block_id: BlockId) -> bytes:
    return b"" if is_nil(block_id) else tagged(number, encode(block_id))
