"""Frames: a protocol's message on its way between two replicas, signed and bound to one chain.

What comes in is believed only as far as the frame shows: the right chain, a known sender who is
the peer on the other end of the link, its signature for this very receiver, and a body in the
protocol's grammar. Without the receiver, a vote given to one could be handed to another.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

import msgspec

from gridpact.consensus.shape import Reason, Signer, Suspect, Verifier

FRAME_VERSION = 1
CHAIN_BYTES = 8
"""Of the chain's name in a frame; the signature covers the whole name."""
FRAME_MAX = 1 << 20
"""Bytes of the largest frame."""
EVIDENCE_MAX = 256
"""Bytes of a bad frame that are kept."""
_TAG = b"gridpact/frame/v1"

Message = TypeVar("Message")


class Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What goes over a link."""

    version: int
    chain: bytes
    sender: str
    body: bytes
    signature: bytes


class Framing(Generic[Message]):
    """Writes and reads the frames of one replica.

    Args:
        chain: name of the chain, 32 bytes.
        name: of this replica.
        grammar: all messages of the protocol, as a tagged union.
        signer: of this replica.
        verifier: of everybody's frames.
    """

    def __init__(
        self, chain: bytes, name: str, grammar: object, signer: Signer, verifier: Verifier
    ) -> None:
        self._chain, self._mark, self._name = chain, chain[:CHAIN_BYTES], name
        self._signer, self._verifier = signer, verifier
        self._prefixes: dict[tuple[str, str], bytes] = {}
        """What a signature covers before the body, by sender and receiver."""
        self._encode = msgspec.msgpack.Encoder().encode
        self._open = msgspec.msgpack.Decoder(Frame).decode
        self._decode = msgspec.msgpack.Decoder(grammar).decode

    def seal(self, message: Message, peer: str) -> bytes:
        """The frame of a message for one peer; nobody else can be given it as their own."""
        body = self._encode(message)
        signature = self._signer.sign(self._signed(self._name, peer, body))
        return self._encode(Frame(FRAME_VERSION, self._mark, self._name, body, signature))

    def open(self, peer: str, data: bytes, known: Collection[str]) -> Message | Suspect:
        """The message in a frame, or why its peer is suspected.

        Args:
            peer: whose link it came over.
            data: the frame.
            known: who may send.
        """
        if len(data) > FRAME_MAX:
            return Suspect(peer, Reason.OVERSIZED, data[:EVIDENCE_MAX])
        try:
            frame = self._open(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Suspect(peer, Reason.MALFORMED, data[:EVIDENCE_MAX])
        # ours: MessagePack has longer forms of the same value; a damaged frame may be one
        if frame.version != FRAME_VERSION or self._encode(frame) != data:
            return Suspect(peer, Reason.MALFORMED, data[:EVIDENCE_MAX])
        if frame.chain != self._mark:
            return Suspect(peer, Reason.FOREIGN_CHAIN, data[:EVIDENCE_MAX])
        if frame.sender not in known:
            return Suspect(peer, Reason.UNKNOWN_SENDER, data[:EVIDENCE_MAX])
        signed = self._signed(frame.sender, self._name, frame.body)
        if frame.sender != peer or not self._verifier.verify(peer, signed, frame.signature):
            return Suspect(peer, Reason.FORGED, data[:EVIDENCE_MAX])
        try:
            message: Message = self._decode(frame.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Suspect(peer, Reason.MALFORMED, data[:EVIDENCE_MAX])
        return message

    def _signed(self, sender: str, receiver: str, body: bytes) -> bytes:
        """What a signature covers; names have no zero byte, so nothing is ambiguous."""
        prefix = self._prefixes.get((sender, receiver))
        if prefix is None:
            names = (sender.encode(), b"\x00", receiver.encode(), b"\x00")
            prefix = self._prefixes[sender, receiver] = b"".join((_TAG, self._chain, *names))
        return prefix + body
