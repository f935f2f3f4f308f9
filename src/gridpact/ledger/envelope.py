"""Transactions: a public envelope on the chain, a private payload beside it.

The envelope names the payload by `sha256(salt || payload)`. Whoever must execute it holds both;
after retention the payload can go, and the envelope still proves what was agreed to.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta
from nacl.bindings import crypto_sign, crypto_sign_BYTES

from gridpact.codec import CodecError, Name, Natural, Wire, WireType, decode, encode, sha256

ENVELOPE_VERSION = 1
SALT_BYTES = 32
_SIGN_TAG = b"gridpact/tx/v1"
_SIGNATURE_FIELD = b"\xc4\x40"
"""MessagePack header of a 64-byte string: the signature is the envelope's last field."""


class Envelope(Wire, frozen=True):
    """The public part of a transaction."""

    version: Natural
    kind: Natural
    sender: Name
    nonce: Annotated[int, Meta(ge=1, le=2**62)]
    """Exactly one above the sender's last."""
    expiry_s: Natural
    """Start of the last slot, in seconds UTC, in which the transaction is still wanted."""
    public: bytes
    """Canonical bytes of the kind's public body."""
    payload_hash: Annotated[bytes, Meta(max_length=32)]
    """sha256(salt || payload), or empty for kinds without payload."""
    signature: Annotated[bytes, Meta(min_length=64, max_length=64)]
    """Ed25519 over `signing_digest`."""


class Transaction(msgspec.Struct, frozen=True, gc=False):
    """A decoded envelope with the bytes it came from."""

    raw: bytes
    """Canonical bytes of the envelope; what blocks contain."""
    envelope: Envelope
    id: bytes
    """sha256 of `raw`."""
    body: Wire
    """The public body, decoded for its kind."""
    digest: bytes
    """What the signature is over."""


def signing_digest(genesis_hash: bytes, raw: bytes) -> bytes:
    """The 32 bytes that the sender signs: the chain and all of the envelope but the signature.

    Args:
        genesis_hash: 32 bytes, so that no other length can be confused with it.
        raw: canonical bytes of an envelope. Its seven unsigned fields are the bytes between the
            array header and the signature field, so they need not be encoded again.
    """
    return sha256(_SIGN_TAG + genesis_hash + b"\x97" + raw[1 : -crypto_sign_BYTES - 2])


def sealed_payload(salt: bytes, payload: Wire) -> bytes:
    """The bytes that lie beside the chain: salt || canonical payload."""
    return salt + encode(payload)


def open_payload(kind: type[WireType], sealed: bytes) -> WireType:
    """The payload inside sealed bytes.

    Raises:
        CodecError: too short for a salt, or not canonical.
    """
    if len(sealed) <= SALT_BYTES:
        raise CodecError(f"a sealed payload is longer than {SALT_BYTES} bytes")
    return decode(kind, sealed[SALT_BYTES:])


def sign_envelope(
    *,
    genesis_hash: bytes,
    signing_key: bytes,
    sender: str,
    nonce: int,
    kind: int,
    expiry_s: int,
    body: Wire,
    sealed: bytes,
) -> bytes:
    """Canonical bytes of a signed envelope.

    Args:
        signing_key: the 64-byte Ed25519 secret key as libsodium keeps it (seed || public key).
        sealed: `sealed_payload(...)`, or empty for a kind without payload.
    """
    raw = encode(
        Envelope(
            ENVELOPE_VERSION,
            kind,
            sender,
            nonce,
            expiry_s,
            encode(body),
            sha256(sealed) if sealed else b"",
            bytes(crypto_sign_BYTES),
        )
    )
    digest = signing_digest(genesis_hash, raw)
    signature = crypto_sign(digest, signing_key)[:crypto_sign_BYTES]
    return raw[:-crypto_sign_BYTES] + signature
