"""Protocol buffers, as much of them as ABCI needs: messages described by tables of fields.

Strict about what is wrong (wire types of known fields, lengths, numbers out of range, text that is
no UTF-8) and silent about what is new: unknown fields are skipped, as the format demands.
Every refusal is a `WireError`; nothing that a peer sends raises anything else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, TypeVar, cast

from gridpact.errors import GridpactError

VARINT_BYTES_MAX = 10
_UINT64 = 2**64
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(GridpactError):
    """Bytes that are not the message they should be."""


class Kind(Enum):
    """What a field holds."""

    INT = "int64, int32 or enum"
    UINT = "uint64 or uint32"
    BOOL = "bool"
    TEXT = "string"
    BYTES = "bytes"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a message."""

    name: str
    """Of the attribute that holds it."""
    kind: Kind
    message: type[Message] | None = None
    """What a field of kind MESSAGE holds."""
    repeated: bool = False
    """The attribute is a tuple."""


class Message:
    """Base of all messages: frozen dataclasses whose defaults are those of the format."""

    FIELDS: ClassVar[Mapping[int, Field]] = {}


MessageType = TypeVar("MessageType", bound=Message)


def varint(value: int) -> bytes:
    """A number below 2^64 in groups of seven bits, the lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def read_varint(data: bytes | bytearray, at: int) -> tuple[int, int] | None:
    """(number, where it ends), or None when the bytes end before it does.

    Raises:
        WireError: longer than ten bytes, or not below 2^64.
    """
    value = 0
    for i, byte in enumerate(data[at : at + VARINT_BYTES_MAX]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            if value >= _UINT64:
                raise WireError(f"the number {value} does not fit 64 bits")
            return value, at + i + 1
    if len(data) - at >= VARINT_BYTES_MAX:
        raise WireError("a number is longer than ten bytes")
    return None


def encode(message: Message) -> bytes:
    """The bytes of a message, in the order of its table; what has its default value is left out."""
    out = bytearray()
    for number, field in message.FIELDS.items():
        value = getattr(message, field.name)
        if field.repeated and field.kind in {Kind.INT, Kind.UINT, Kind.BOOL}:
            packed = b"".join(varint(int(item) % _UINT64) for item in value)
            if packed:
                out += varint(number << 3 | _BYTES) + varint(len(packed)) + packed
        elif field.repeated:
            for item in value:
                out += _one(number, field, item)
        elif value is not None and (field.kind is Kind.MESSAGE or value):
            out += _one(number, field, value)
    return bytes(out)


def _one(number: int, field: Field, value: Any) -> bytes:
    if field.kind in {Kind.INT, Kind.UINT, Kind.BOOL}:
        return varint(number << 3 | _VARINT) + varint(int(value) % _UINT64)
    if field.kind is Kind.MESSAGE:
        data = encode(value)
    else:
        data = value.encode() if field.kind is Kind.TEXT else value
    return tagged(number, data)


def tagged(number: int, data: bytes) -> bytes:
    """A field that holds bytes."""
    return varint(number << 3 | _BYTES) + varint(len(data)) + data


def decode(message_type: type[MessageType], data: bytes) -> MessageType:
    """The message that these bytes are.

    Raises:
        WireError: cut off, of a wrong wire type, or a value out of range.
    """
    values: dict[str, Any] = {}
    for number, wire_type, raw in fields_of(data):
        field = message_type.FIELDS.get(number)
        if field is None:
            continue
        where = f"{message_type.__name__}.{field.name}"
        if field.repeated:
            values.setdefault(field.name, []).extend(_items(field, wire_type, raw, where))
        else:
            values[field.name] = _value(field, wire_type, raw, where)
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return cast(MessageType, cast(Any, message_type)(**values))


def _items(field: Field, wire_type: int, raw: int | bytes, where: str) -> list[Any]:
    """What one occurrence of a repeated field adds: one item, or many numbers packed together."""
    is_number = field.kind in {Kind.INT, Kind.UINT, Kind.BOOL}
    if not is_number or not isinstance(raw, bytes):
        return [_value(field, wire_type, raw, where)]
    items, at = [], 0
    while at < len(raw):
        found = read_varint(raw, at)
        if found is None:
            raise WireError(f"{where}: its packed numbers are cut off")
        items.append(_value(field, _VARINT, found[0], where))
        at = found[1]
    return items


def _value(field: Field, wire_type: int, raw: int | bytes, where: str) -> Any:
    """A field's value from what the wire has."""
    if isinstance(raw, int):
        if wire_type != _VARINT or field.kind not in {Kind.INT, Kind.UINT, Kind.BOOL}:
            raise WireError(f"{where}: wire type {wire_type} for a {field.kind.value}")
        if field.kind is Kind.BOOL:
            return raw != 0
        return raw - _UINT64 if field.kind is Kind.INT and raw >= _UINT64 // 2 else raw
    if field.kind is Kind.BYTES:
        return raw
    if field.kind is Kind.TEXT:
        try:
            return raw.decode()
        except UnicodeDecodeError as error:
            raise WireError(f"{where}: not UTF-8") from error
    if field.message is None:
        raise WireError(f"{where}: wire type {wire_type} for a {field.kind.value}")
    return decode(field.message, raw)


def fields_of(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """(number, wire type, value) of each field; fixed numbers are of no field that we know.

    Raises:
        WireError: cut off, or of a wire type that does not exist any more.
    """
    at, end = 0, len(data)
    while at < end:
        key = _whole(data, at)
        number, wire_type, at = key[0] >> 3, key[0] & 7, key[1]
        if number == 0:
            raise WireError("a field has the number 0")
        if wire_type == _VARINT:
            value, at = _whole(data, at)
            yield number, wire_type, value
            continue
        if wire_type == _BYTES:
            length, at = _whole(data, at)
        elif wire_type in {_FIXED32, _FIXED64}:
            length = 4 if wire_type == _FIXED32 else 8
        else:
            raise WireError(f"field {number} has the wire type {wire_type}")
        if length > end - at:
            raise WireError(f"field {number} names {length} bytes where {end - at} are left")
        raw = data[at : at + length]
        at += length
        yield number, wire_type, raw if wire_type == _BYTES else int.from_bytes(raw, "little")


def _whole(data: bytes, at: int) -> tuple[int, int]:
    found = read_varint(data, at)
    if found is None:
        raise WireError("cut off inside a number")
    return found
