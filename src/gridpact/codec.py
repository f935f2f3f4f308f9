"""Canonical bytes: one value, one encoding; one encoding, one hash.

MessagePack arrays of signed 64-bit integers, bytes and ASCII text. Decoders of MessagePack also
accept longer forms of the same number and drop surplus fields, so `decode` encodes again and
compares: two different byte strings never stand for one value. Floats, maps and defaults do not
occur in what is hashed.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta

from gridpact.errors import GridpactError
from gridpact.units import INT64_MAX, INT64_MIN, QUANTITY_MAX

Int64 = Annotated[int, Meta(ge=INT64_MIN, le=INT64_MAX)]
"""Any number on the wire."""
Natural = Annotated[int, Meta(ge=0, le=INT64_MAX)]
"""A count, a time, an amount that is never negative."""
Quantity = Annotated[int, Meta(ge=0, le=QUANTITY_MAX)]
"""A price or an energy of one order, reading or tariff: below 2^31."""
PositiveQuantity = Annotated[int, Meta(ge=1, le=QUANTITY_MAX)]
Hash = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""A SHA-256 digest."""
PublicKey = Annotated[bytes, Meta(min_length=32, max_length=32)]
"""An Ed25519 verify key."""
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}\Z")]
"""Identifier of a party, meter, market or region: lower case ASCII, at most 48 characters."""
Text = Annotated[str, Meta(max_length=200, pattern=r"^[ -~]*\Z")]
"""Printable ASCII for people, at most 200 characters."""


class Wire(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Base of everything that is encoded canonically. Subclasses have no default values."""


WireType = TypeVar("WireType", bound=Wire)


class CodecError(GridpactError):
    """Bytes that are not the canonical encoding of the expected type."""


_BEYOND_64 = re.compile(rb"\xcf[\x80-\xff]")
"""How MessagePack writes a number from 2^63 on. Other data can look like it, so what contains it
is looked at again."""
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}


def encode(value: Wire) -> bytes:
    """The canonical bytes of `value`.

    Raises:
        CodecError: a number is outside signed 64 bits.
    """
    try:
        data = _encoder.encode(value)
    except OverflowError as error:
        raise CodecError(f"{type(value).__name__} has a number beyond 64 bits") from error
    if _BEYOND_64.search(data) and _largest(msgspec.msgpack.decode(data)) > INT64_MAX:
        raise CodecError(f"{type(value).__name__} has a number beyond 64 bits")
    return data


def _largest(value: object) -> int:
    """The largest number in nested lists, 0 at least."""
    if isinstance(value, list):
        return max(map(_largest, value), default=0)
    return value if isinstance(value, int) else 0


def decode(wire_type: type[WireType], data: bytes) -> WireType:
    """The value that `data` canonically encodes.

    Raises:
        CodecError: wrong shape, a value out of range, surplus bytes or fields, or a longer form
            than `encode` would give.
    """
    decoder = _decoders.get(wire_type)
    if decoder is None:
        decoder = msgspec.msgpack.Decoder(wire_type)
        _decoders[wire_type] = decoder
    try:
        value = decoder.decode(data)
        again = _encoder.encode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError) as error:
        raise CodecError(f"not a {wire_type.__name__}: {error}") from error
    if again != data:
        raise CodecError(f"not the canonical encoding of a {wire_type.__name__}")
    return cast(WireType, value)


def sha256(data: bytes) -> bytes:
    """The digest used everywhere."""
    return hashlib.sha256(data).digest()


def tagged_hash(tag: bytes, data: bytes) -> bytes:
    """SHA-256 of `data` under a purpose, so that one purpose's digest never serves another.

    The tag is hashed with its length, so tag and data cannot be shifted into one another.
    """
    return hashlib.sha256(len(tag).to_bytes(1, "big") + tag + data).digest()
