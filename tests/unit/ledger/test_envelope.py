"""Goal: a signature covers the chain and every field of an envelope but itself.

Method: the signed bytes are put together again from the fields, without the slice of the code.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from nacl.bindings import crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from gridpact.codec import CodecError, Natural, Wire, decode, encode
from gridpact.ledger.envelope import (
    ENVELOPE_VERSION,
    Envelope,
    open_payload,
    sealed_payload,
    sign_envelope,
    signing_digest,
)


class Unsigned(Wire, frozen=True):
    """The seven fields of an envelope that its signature covers."""

    version: int
    kind: int
    sender: str
    nonce: int
    expiry_s: int
    public: bytes
    payload_hash: Annotated[bytes, Meta(max_length=32)]


class Body(Wire, frozen=True):
    number: Natural


class Payload(Wire, frozen=True):
    amount: Natural


CHAIN, OTHER_CHAIN = b"c" * 32, b"d" * 32
PUBLIC_KEY, SIGNING_KEY = crypto_sign_seed_keypair(b"k" * 32)
SEALED = sealed_payload(b"s" * 32, Payload(5))


def signed(chain: bytes = CHAIN, nonce: int = 1, sealed: bytes = SEALED) -> bytes:
    return sign_envelope(
        genesis_hash=chain,
        signing_key=SIGNING_KEY,
        sender="ann",
        nonce=nonce,
        kind=21,
        expiry_s=900,
        body=Body(7),
        sealed=sealed,
    )


def unsigned(envelope: Envelope) -> Unsigned:
    return Unsigned(*(getattr(envelope, name) for name in Unsigned.__struct_fields__))


def signature_is_good(raw: bytes, chain: bytes) -> bool:
    signature = decode(Envelope, raw).signature
    try:
        crypto_sign_open(signature + signing_digest(chain, raw), PUBLIC_KEY)
    except BadSignatureError:
        return False
    return True


def test_an_envelope_says_who_what_when_and_names_its_payload() -> None:
    envelope = decode(Envelope, signed())
    assert unsigned(envelope) == Unsigned(
        ENVELOPE_VERSION, 21, "ann", 1, 900, encode(Body(7)), sha256(SEALED).digest()
    )
    assert decode(Envelope, signed(sealed=b"")).payload_hash == b""


def test_the_signature_is_the_last_field_behind_a_header_of_two_bytes() -> None:
    raw = signed()
    envelope = decode(Envelope, raw)
    assert Envelope.__struct_fields__ == (*Unsigned.__struct_fields__, "signature")
    assert raw[0] == 0x98  # an array of eight
    assert raw[-66:] == b"\xc4\x40" + envelope.signature
    assert raw[1:-66] == encode(unsigned(envelope))[1:]


@given(
    st.builds(
        Envelope,
        st.integers(0, 2**63 - 1),
        st.integers(0, 2**63 - 1),
        st.text("abz09._-", min_size=1, max_size=48),
        st.integers(1, 2**62),
        st.integers(0, 2**63 - 1),
        st.binary(max_size=70_000),
        st.sampled_from([b"", bytes(32), b"\xff" * 32]),
        st.binary(min_size=64, max_size=64),
    ),
    st.binary(min_size=32, max_size=32),
)
def test_the_digest_is_over_the_chain_and_the_seven_fields(
    envelope: Envelope, chain: bytes
) -> None:
    message = b"gridpact/tx/v1" + chain + encode(unsigned(envelope))
    assert signing_digest(chain, encode(envelope)) == sha256(message).digest()


def test_a_signature_holds_on_its_own_chain_only() -> None:
    raw = signed()
    assert signature_is_good(raw, CHAIN)
    assert not signature_is_good(raw, OTHER_CHAIN)
    assert signature_is_good(signed(OTHER_CHAIN), OTHER_CHAIN)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("kind", 22),
        ("sender", "anna"),
        ("nonce", 2),
        ("expiry_s", 1800),
        ("public", encode(Body(8))),
        ("payload_hash", b""),
        ("payload_hash", bytes(32)),
    ],
)
def test_no_field_can_be_changed_under_a_signature(field: str, value: object) -> None:
    raw = signed()
    forged = encode(msgspec.structs.replace(decode(Envelope, raw), **{field: value}))
    assert signing_digest(CHAIN, forged) != signing_digest(CHAIN, raw)
    assert not signature_is_good(forged, CHAIN)


def test_no_byte_of_a_signature_can_be_changed() -> None:
    raw = signed()
    for place in range(len(raw) - 64, len(raw)):
        forged = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert signing_digest(CHAIN, forged) == signing_digest(CHAIN, raw)
        assert not signature_is_good(forged, CHAIN)


def test_signing_is_repeatable() -> None:
    assert signed() == signed()
    assert signed(nonce=2) != signed()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("nonce", 0),
        ("nonce", 2**62 + 1),
        ("version", -1),
        ("kind", -1),
        ("expiry_s", -1),
        ("sender", ""),
        ("sender", "Ann"),
        ("sender", "ann/b"),
        ("payload_hash", bytes(33)),
        ("signature", bytes(63)),
        ("signature", bytes(65)),
    ],
)
def test_fields_have_bounds(field: str, value: object) -> None:
    envelope = msgspec.structs.replace(decode(Envelope, signed()), **{field: value})
    with pytest.raises(CodecError):
        decode(Envelope, encode(envelope))


def test_a_payload_is_opened_with_its_salt_in_front() -> None:
    assert sealed_payload(b"s" * 32, Payload(5)) == b"s" * 32 + encode(Payload(5))
    assert open_payload(Payload, SEALED) == Payload(5)


@pytest.mark.parametrize("sealed", [b"", b"s" * 31, b"s" * 32])
def test_a_salt_alone_is_no_payload(sealed: bytes) -> None:
    with pytest.raises(CodecError, match="longer than 32 bytes"):
        open_payload(Payload, sealed)


@pytest.mark.parametrize(
    "sealed",
    [
        b"s" * 32 + b"\x91",
        b"s" * 32 + b"\x91\xcc\x05",  # 5 in a longer form
        b"s" * 32 + b"\x91\x05\x00",
        b"s" * 33 + b"\x91\x05",
    ],
)
def test_what_is_no_payload(sealed: bytes) -> None:
    with pytest.raises(CodecError):
        open_payload(Payload, sealed)


def test_the_same_payload_has_another_hash_under_another_salt() -> None:
    other = sealed_payload(b"t" * 32, Payload(5))
    hashes = {decode(Envelope, signed(sealed=sealed)).payload_hash for sealed in (SEALED, other)}
    assert len(hashes) == 2
