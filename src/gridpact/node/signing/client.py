"""The node's side of the signer's Unix socket, and checking what others have signed."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from gridpact.consensus.frames import Frame
from gridpact.errors import GridpactError
from gridpact.node.signature_worker import verify_signature
from gridpact.node.signing.folder import socket_path
from gridpact.node.signing.raft_signer import WITHHELD, Begun
from gridpact.node.signing.refusals import SignerGoneError, SignerRefusedError
from gridpact.node.signing.wire import (
    VERSION,
    Advance,
    Advanced,
    Answer,
    Begin,
    Channel,
    Compared,
    Hello,
    Known,
    No,
    Request,
    Sign,
    Signed,
)

_Expected = TypeVar("_Expected", Known, Compared, Advanced, Signed)


class SignerClient:
    """The node's side: each call is one blocking round trip.

    Implements the consensus `Signer`, so that a replica signs in the middle of a step.

    Args:
        folder: of the signer.
        chain: name of the chain, 32 bytes.
        name: of the replica.
        timeout_s: how long the signer's disk may take.
    Raises:
        SignerGoneError: nobody listens.
        SignerRefusedError: another chain or name, or another process uses the signer.
    """

    def __init__(self, folder: Path, chain: bytes, name: str, *, timeout_s: float = 30.0) -> None:
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.settimeout(timeout_s)
        self._channel = Channel[Answer](self._connection, Answer)
        try:
            self._connection.connect(str(socket_path(folder)))
            known = self._ask(Hello(VERSION, chain, name), Known)
        except OSError as error:
            self._connection.close()
            raise self._gone(error) from error
        except GridpactError:
            self._connection.close()
            raise
        self.public = known.public
        """Key in use."""

    def sign(self, data: bytes) -> bytes:
        """See `RaftSigner.sign`; whatever it raises, the node stops."""
        return self._ask(Sign(data), Signed).signature

    def begin(self, term: int, voted_for: str, last_index: int, index: int = 0) -> Begun:
        """See `RaftSigner.begin`."""
        return self._ask(Begin(term, voted_for, last_index, index), Compared).begun

    def advance(self, term: int, voted_for: str, index: int) -> None:
        """See `RaftSigner.advance`; returns once it is durable."""
        self._ask(Advance(term, voted_for, index), Advanced)

    def close(self) -> None:
        """Let the signer serve another process."""
        self._connection.close()

    def _ask(self, request: Request, expected: type[_Expected]) -> _Expected:
        try:
            self._channel.send(request)
            answer = self._channel.receive()
        except (OSError, msgspec.MsgspecError) as error:
            self._connection.close()
            raise self._gone(error) from error
        if isinstance(answer, No):
            raise SignerRefusedError(answer.reason)
        if not isinstance(answer, expected):
            raise self._gone(f"answered {type(answer).__name__}")
        return answer

    def _gone(self, why: object) -> SignerGoneError:
        return SignerGoneError(f"the signer is gone: {why}; nothing is sent without it")


class Ed25519Verifier:
    """Implements the consensus `Verifier`.

    Args:
        keys: public key of each member by name, 32 bytes; what changes in it counts at once.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = keys

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """Whether the signature is the sender's over the data; an unknown sender has none."""
        key = self._keys.get(sender)
        return key is not None and len(signature) == 64 and verify_signature(key, data, signature)


def is_withheld(frame: bytes) -> bool:
    """Whether a frame has no signature, since its replica catches up: the host drops it."""
    return msgspec.msgpack.decode(frame, type=Frame).signature == WITHHELD
