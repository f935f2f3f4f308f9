"""The remote signer of CometBFT 0.38: CometBFT listens, we dial, it asks and we answer.

Messages are protocol buffers, each with its length first.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import structlog

from gridpact.node.cometbft.messages import PublicKey, Timestamp
from gridpact.node.cometbft.protobuf import WireError, decode, encode, read_varint, varint
from gridpact.node.signing.cometbft_signer import (
    PRECOMMIT,
    PREVOTE,
    PROPOSE,
    CometbftSigner,
    Time,
    Wanted,
)
from gridpact.node.signing.privval_messages import (
    PRECOMMIT_TYPE,
    PREVOTE_TYPE,
    PROPOSAL_TYPE,
    BlockId,
    Ping,
    PrivvalMessage,
    Proposal,
    PubKeyRequest,
    PubKeyResponse,
    SignedProposalResponse,
    SignedVoteResponse,
    SignerError,
    SignProposalRequest,
    SignVoteRequest,
    Vote,
    extension_bytes,
    is_nil,
    proposal_bytes,
    vote_bytes,
)
from gridpact.node.signing.refusals import SignerRefusedError

MESSAGE_MAX = 10 * 1024
"""Bytes; CometBFT's own limit."""
DIAL_EVERY_S = 0.1
ANSWER_WAITS_S = 5.0
_STEPS = {PREVOTE_TYPE: PREVOTE, PRECOMMIT_TYPE: PRECOMMIT}

_Signable = TypeVar("_Signable", Vote, Proposal)
_log = structlog.get_logger(__name__)


class CometbftService:
    """Answers one CometBFT, and dials again whenever it has gone.

    Args:
        path: of the Unix socket where CometBFT waits.
        chain_id: what it calls the chain.
        signer: keeps the rules.
    """

    def __init__(self, path: Path, chain_id: str, signer: CometbftSigner) -> None:
        self._path, self._chain_id, self._signer = path, chain_id, signer
        self._connection: socket.socket | None = None
        self._rest = b""
        self._waker, self._woken = socket.socketpair()

    def stop(self) -> None:
        """Make `serve` return; may be called from a signal's handler."""
        self._waker.send(b"\x00")

    def serve(self, parent: int | None = None) -> None:
        """Answer until told to stop, or until the pipe of the starting process closes.

        Args:
            parent: descriptor of that pipe.
        Raises:
            StoreError: the position cannot be kept any more.
        """
        with selectors.DefaultSelector() as selector:
            for ends in (self._woken, parent):
                if ends is not None:
                    selector.register(ends, selectors.EVENT_READ, self._woken)
            while True:
                if self._connection is None:
                    self._connection = self._dial()
                    if self._connection is not None:
                        selector.register(self._connection, selectors.EVENT_READ, None)
                waits_s = DIAL_EVERY_S if self._connection is None else None
                ready = [key.data for key, _ in selector.select(waits_s)]
                if self._woken in ready:
                    return
                if ready and self._connection is not None and not self._answer(self._connection):
                    selector.unregister(self._connection)
                    self._drop()

    def close(self) -> None:
        """Let CometBFT go."""
        self._drop()
        self._waker.close()
        self._woken.close()

    def answer(self, request: PrivvalMessage) -> PrivvalMessage:
        """What CometBFT is told; refusals are among the answers.

        Raises:
            WireError: nothing that a remote signer is asked.
            StoreError: the position cannot be kept.
        """
        if request.ping_request is not None:
            return PrivvalMessage(ping_response=Ping())
        if request.pub_key_request is not None:
            return PrivvalMessage(pub_key_response=self._tell_key(request.pub_key_request))
        if request.sign_vote_request is not None:
            return PrivvalMessage(signed_vote_response=self._sign_vote(request.sign_vote_request))
        if request.sign_proposal_request is not None:
            told = self._sign_proposal(request.sign_proposal_request)
            return PrivvalMessage(signed_proposal_response=told)
        raise WireError("not a request to a remote signer")

    def _tell_key(self, request: PubKeyRequest) -> PubKeyResponse:
        try:
            self._must_be_ours(request.chain_id)
        except SignerRefusedError as refusal:
            return PubKeyResponse(error=_error(refusal))
        return PubKeyResponse(PublicKey(self._signer.public))

    def _sign_vote(self, request: SignVoteRequest) -> SignedVoteResponse:
        vote, chain_id = request.vote, request.chain_id
        try:
            self._must_be_ours(chain_id)
            _must_be_whole(vote.block_id)
            if vote.type not in _STEPS:
                raise SignerRefusedError(f"no vote of type {vote.type}")
            is_extended = vote.type == PRECOMMIT_TYPE and not is_nil(vote.block_id)
            if vote.extension and not is_extended:
                raise SignerRefusedError("an extension without a precommit for a block")
            wanted = _wanted(
                vote, _STEPS[vote.type], lambda at: vote_bytes(chain_id, _at(vote, at))
            )
            signature, time = self._signer.sign(wanted)
        except SignerRefusedError as refusal:
            return SignedVoteResponse(error=_error(refusal))
        beside = b""
        if is_extended:
            beside = self._signer.sign_beside(extension_bytes(chain_id, vote))
        signed = replace(_at(vote, time), signature=signature, extension_signature=beside)
        return SignedVoteResponse(signed)

    def _sign_proposal(self, request: SignProposalRequest) -> SignedProposalResponse:
        proposal, chain_id = request.proposal, request.chain_id
        try:
            self._must_be_ours(chain_id)
            _must_be_whole(proposal.block_id)
            if proposal.type != PROPOSAL_TYPE:
                raise SignerRefusedError(f"no proposal of type {proposal.type}")
            wanted = _wanted(
                proposal, PROPOSE, lambda at: proposal_bytes(chain_id, _at(proposal, at))
            )
            signature, time = self._signer.sign(wanted)
        except SignerRefusedError as refusal:
            return SignedProposalResponse(error=_error(refusal))
        return SignedProposalResponse(replace(_at(proposal, time), signature=signature))

    def _must_be_ours(self, chain_id: str) -> None:
        if chain_id != self._chain_id:
            raise SignerRefusedError(f"signs for the chain {self._chain_id} only")

    def _dial(self) -> socket.socket | None:
        """A connection, or None while CometBFT does not listen."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(ANSWER_WAITS_S)
        try:
            connection.connect(str(self._path))
        except OSError:
            connection.close()
            return None
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection, self._rest = None, b""
            self._signer.end()

    def _answer(self, connection: socket.socket) -> bool:
        """Answer what has come; whether CometBFT is still there."""
        try:
            data = connection.recv(MESSAGE_MAX)
            self._rest += data
            while (request := self._next()) is not None:
                told = encode(self.answer(decode(PrivvalMessage, request)))
                connection.sendall(varint(len(told)) + told)
        except (OSError, WireError) as error:
            _log.warning("connection to CometBFT ends", reason=str(error))
            return False
        return bool(data)

    def _next(self) -> bytes | None:
        """The next message that is here whole."""
        found = read_varint(self._rest, 0)
        if found is None:
            return None
        length, at = found
        if length > MESSAGE_MAX:
            raise WireError(f"a message of {length} bytes; at most {MESSAGE_MAX}")
        if len(self._rest) < at + length:
            return None
        message, self._rest = self._rest[at : at + length], self._rest[at + length :]
        return message


def _wanted(of: Vote | Proposal, step: int, covered: Callable[[Time], bytes]) -> Wanted:
    time = (of.timestamp.seconds, of.timestamp.nanos)
    return Wanted(of.height, of.round, step, time, covered)


def _at(of: _Signable, time: Time) -> _Signable:
    """The same at another time."""
    return replace(of, timestamp=Timestamp(*time))


def _must_be_whole(block_id: BlockId) -> None:
    """Hashes are absent or 32 bytes long, as CometBFT itself demands."""
    if {len(block_id.hash), len(block_id.parts.hash)} - {0, 32}:
        raise SignerRefusedError("a hash that is neither absent nor 32 bytes long")


def _error(refusal: SignerRefusedError) -> SignerError:
    _log.warning("refused", reason=str(refusal))
    return SignerError(1, str(refusal))
