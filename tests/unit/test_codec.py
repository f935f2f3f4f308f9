"""Goal: one value, one encoding; whatever else a MessagePack reader would accept is refused.

Method: a table of single faults, then every struct that is written on a ledger, with values that
hypothesis makes from the struct's own field types, and the same values in longer forms.
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
import re
import struct
from collections.abc import Callable
from functools import cache
from random import Random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from gridpact import contracts, ledger, model, settlement
from gridpact.codec import (
    CodecError,
    Hash,
    Int64,
    Name,
    Natural,
    PositiveQuantity,
    PublicKey,
    Quantity,
    Text,
    Wire,
    decode,
    encode,
    sha256,
    tagged_hash,
)
from gridpact.model import Phase, SlotTariff
from gridpact.units import INT64_MAX, INT64_MIN, QUANTITY_MAX


class Pair(Wire, frozen=True):
    number: Int64
    name: Name


class Amount(Wire, frozen=True):
    number: Int64


class Count(Wire, frozen=True):
    number: Natural


class Load(Wire, frozen=True):
    number: Quantity


class Size(Wire, frozen=True):
    number: PositiveQuantity


class Label(Wire, frozen=True):
    name: Name


class Remark(Wire, frozen=True):
    text: Text


class Digest(Wire, frozen=True):
    digest: Hash


class Verifier(Wire, frozen=True):
    key: PublicKey


class Step(Wire, frozen=True):
    phase: Phase


class Many(Wire, frozen=True):
    numbers: list[Natural]


PAIR = bytes.fromhex("9205a161")
"""[5, "a"] in its canonical form."""


def test_a_struct_is_an_array_of_its_fields() -> None:
    assert encode(Pair(5, "a")) == PAIR
    assert decode(Pair, PAIR) == Pair(5, "a")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ("92cc05a161", "one byte for a number that fits a nibble"),
        ("92cd0005a161", "two bytes"),
        ("92ce00000005a161", "four bytes"),
        ("92cf0000000000000005a161", "eight bytes"),
        ("92d005a161", "a signed byte"),
        ("92d10005a161", "two signed bytes"),
        ("92d200000005a161", "four signed bytes"),
        ("92d30000000000000005a161", "eight signed bytes"),
        ("92ca40a00000a161", "a float of 32 bits"),
        ("92cb4014000000000000a161", "a float of 64 bits"),
        ("92c3a161", "a bool"),
        ("92c0a161", "nil"),
        ("92a135a161", "a number as text"),
        ("9205c0", "nil for a text"),
        ("9205d90161", "a longer header of a text"),
        ("9205c40161", "bytes for a text"),
        ("92050a", "a number for a text"),
        ("9205a1ff", "a text that is not UTF-8"),
        ("dc000205a161", "a longer header of an array"),
        ("dd0000000205a161", "the longest header of an array"),
        ("82a66e756d62657205a46e616d65a161", "a map"),
        ("81a66e756d62657205", "a map without one of the fields"),
        ("80", "an empty map"),
        ("9305a16100", "a surplus field"),
        ("9305a161c0", "a surplus nil"),
        ("9105", "a missing field"),
        ("90", "no field"),
        ("05", "no array"),
        ("", "no bytes"),
        ("9205a16100", "a byte behind the end"),
        ("9205a1619205a161", "twice"),
        ("9205a1", "a text cut off"),
        ("9205", "an array cut off"),
        ("92d4000aa161", "an extension type"),
        ("c1", "a byte that MessagePack does not use"),
        ("92" * 5000 + "05", "an array in an array in an array"),
    ],
)
def test_bytes_that_are_not_the_canonical_form_are_refused(data: str, why: str) -> None:
    with pytest.raises(CodecError, match="Pair"):
        decode(Pair, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("wire_type", "lowest", "highest"),
    [
        (Amount, INT64_MIN, INT64_MAX),
        (Count, 0, INT64_MAX),
        (Load, 0, QUANTITY_MAX),
        (Size, 1, QUANTITY_MAX),
    ],
)
def test_numbers_end_at_their_bounds(
    wire_type: Callable[[int], Wire], lowest: int, highest: int
) -> None:
    for number in (lowest, highest):
        assert decode(wire_type, encode(wire_type(number))) == wire_type(number)
    for number in (lowest - 1, highest + 1):
        with pytest.raises(CodecError):
            decode(wire_type, array_of_one(number))


def array_of_one(number: int) -> bytes:
    """[number]; beyond what an integer of MessagePack can say, as the float nearest to it."""
    return msgspec.msgpack.encode([number if number > INT64_MIN else float(number)])


@pytest.mark.parametrize("number", [INT64_MAX + 1, 2**64 - 1, 2**64, INT64_MIN - 1, -(2**70)])
def test_a_number_beyond_64_bits_is_not_written(number: int) -> None:
    """What could not be read again must not be written, or a stored state is lost."""
    with pytest.raises(CodecError, match="Amount has a number beyond 64 bits"):
        encode(Amount(number))


def test_numbers_are_looked_at_wherever_they_stand_and_bytes_that_look_like_one_are_not() -> None:
    with pytest.raises(CodecError, match="Many has a number beyond 64 bits"):
        encode(Many([1, INT64_MAX, INT64_MAX + 1, 1]))
    assert decode(Many, encode(Many([INT64_MAX] * 3))) == Many([INT64_MAX] * 3)
    lookalike = Digest(b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff" * 3 + bytes(5))
    assert decode(Digest, encode(lookalike)) == lookalike


@pytest.mark.parametrize("name", ["a", "0", "ann.meter", "lv-1_2", "9" * 48])
def test_names(name: str) -> None:
    assert decode(Label, encode(Label(name))) == Label(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ann",
        "ann/b",
        "ann\n",
        "\nann",
        "an\nn",
        "ann ",
        ".ann",
        "-ann",
        "_ann",
        "a" * 49,
        "zo\u00eb",
        "\u0430nn",  # a Cyrillic letter that looks like an a
        "\uff11",  # a digit, but a wide one
        "a\x00",
    ],
)
def test_no_names(name: str) -> None:
    with pytest.raises(CodecError):
        decode(Label, msgspec.msgpack.encode([name]))


def test_texts_are_printable_ascii_up_to_200_characters() -> None:
    for text in ("", " ", "~", "Bank transfer #7 (first)", "x" * 200):
        assert decode(Remark, encode(Remark(text))) == Remark(text)
    for text in ("x" * 201, "two\nlines", "line\n", "tab\t", "\x7f", "caf\u00e9", "\x00"):
        with pytest.raises(CodecError):
            decode(Remark, msgspec.msgpack.encode([text]))


@pytest.mark.parametrize("wire_type", [Digest, Verifier])
def test_a_digest_and_a_key_have_32_bytes(wire_type: Callable[[bytes], Wire]) -> None:
    assert decode(wire_type, encode(wire_type(bytes(32)))) == wire_type(bytes(32))
    for digest in (b"", bytes(31), bytes(33)):
        with pytest.raises(CodecError):
            decode(wire_type, msgspec.msgpack.encode([digest]))
    with pytest.raises(CodecError):
        decode(wire_type, msgspec.msgpack.encode(["x" * 32]))


def test_bytes_with_a_longer_header_are_refused() -> None:
    for header in (b"\xc5\x00\x20", b"\xc6\x00\x00\x00\x20"):
        with pytest.raises(CodecError):
            decode(Digest, b"\x91" + header + bytes(32))


def test_a_number_that_no_name_stands_for_is_refused() -> None:
    assert decode(Step, b"\x91\x01") == Step(Phase.OPEN)
    for number in (0, 9, 128):
        with pytest.raises(CodecError):
            decode(Step, bytes([0x91, number]))


def test_a_struct_of_another_type_is_refused_by_its_bounds() -> None:
    with pytest.raises(CodecError):
        decode(Size, encode(Amount(0)))
    assert decode(Amount, encode(Size(1))) == Amount(1)  # bytes name no type: tags and keys do


def test_no_struct_of_the_ledger_has_a_default_value() -> None:
    for wire_type in wire_types():
        assert not any(field.default is not msgspec.NODEFAULT for field in fields_of(wire_type))
        assert not any(
            field.default_factory is not msgspec.NODEFAULT for field in fields_of(wire_type)
        )


def test_every_struct_of_the_ledger_is_frozen_and_written_as_an_array() -> None:
    for wire_type in wire_types():
        config = wire_type.__struct_config__
        assert config.frozen, wire_type
        assert config.array_like, wire_type
        assert config.forbid_unknown_fields, wire_type


def test_digests() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256(b"").hex() == empty
    assert tagged_hash(b"ab", b"c") == hashlib.sha256(b"\x02abc").digest()
    assert tagged_hash(b"ab", b"c") != tagged_hash(b"a", b"bc")
    with pytest.raises(OverflowError):
        tagged_hash(b"t" * 256, b"")


# All structs


ROOMS = (contracts, ledger, model, settlement)


def wire_types() -> list[type[Wire]]:
    """Every struct that the rooms of the ledger encode, by module and name."""
    for room in ROOMS:
        for module in pkgutil.iter_modules(room.__path__, room.__name__ + "."):
            importlib.import_module(module.name)
    inside = tuple(room.__name__ + "." for room in ROOMS)
    found = [kind for kind in Wire.__subclasses__() if kind.__module__.startswith(inside)]
    return sorted(found, key=lambda kind: (kind.__module__, kind.__name__))


def fields_of(wire_type: type[Wire]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(wire_type)


@cache
def values(wire_type: type[Wire]) -> st.SearchStrategy[Wire]:
    return values_of(inspect.type_info(wire_type))


LETTERS = "az09 .-_~/A"
"""Enough to meet and to break every pattern of the package."""


def values_of(info: inspect.Type) -> st.SearchStrategy:
    """Values of one field type, its bounds included."""
    match info:
        case inspect.IntType(ge=low, le=high):
            least = INT64_MIN if low is None else low
            most = INT64_MAX if high is None else high
            return st.one_of(st.sampled_from([least, most]), st.integers(least, most))
        case inspect.StrType(pattern=str() as pattern, min_length=low):
            fits = re.compile(pattern).fullmatch
            made = st.text(LETTERS, min_size=low or 0, max_size=40)
            texts = made.map(lambda text: text if fits(text) else "a")
            return texts if fits("a") else st.from_regex(pattern)
        case inspect.StrType():
            return st.text(max_size=40)
        case inspect.BytesType(min_length=low, max_length=high):
            return st.binary(min_size=low or 0, max_size=40 if high is None else high)
        case inspect.EnumType(cls=cls):
            return st.sampled_from(list(cls))
        case inspect.LiteralType(values=allowed):
            return st.sampled_from(allowed)
        case inspect.ListType(item_type=item, min_length=low, max_length=high):
            most = 3 if high is None else high
            return st.lists(values_of(item), min_size=low or 0, max_size=most)
        case inspect.VarTupleType(item_type=item):
            return st.lists(values_of(item), max_size=3).map(tuple)
        case inspect.TupleType(item_types=items):
            return st.tuples(*map(values_of, items))
        case inspect.UnionType(types=types):
            return st.one_of(*map(values_of, types))
        case inspect.NoneType():
            return st.none()
        case inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, *(values_of(field.type) for field in fields))
    raise TypeError(f"{info} is not a type that ledgers know")


def long_forms(value: object, longer: Callable[[], bool]) -> bytes:
    """A MessagePack encoding of plain data that takes the longest header where asked to."""
    match value:
        case int() if longer():
            return b"\xd3" + struct.pack(">q", value)
        case str() as text if longer():
            return b"\xdb" + struct.pack(">I", len(text.encode())) + text.encode()
        case bytes() if longer():
            return b"\xc6" + struct.pack(">I", len(value)) + value
        case list():
            shortest = msgspec.msgpack.encode([None] * len(value))[: -len(value) or None]
            header = b"\xdd" + struct.pack(">I", len(value)) if longer() else shortest
            return header + b"".join(long_forms(item, longer) for item in value)
    return msgspec.msgpack.encode(value)


def test_the_list_of_structs_is_complete() -> None:
    names = {kind.__name__ for kind in wire_types()}
    assert {"Account", "Bill", "Claim", "Envelope", "Genesis", "MapProof", "Record"} <= names


@pytest.mark.parametrize("wire_type", wire_types(), ids=lambda kind: kind.__name__)
@settings(max_examples=20)
@given(data=st.data(), choices=st.randoms(use_true_random=False))
def test_every_struct_has_one_encoding_and_comes_back_as_it_was(
    wire_type: type[Wire], data: st.DataObject, choices: Random
) -> None:
    value = data.draw(values(wire_type))
    canonical = encode(value)
    assert decode(wire_type, canonical) == value
    plain = msgspec.msgpack.decode(canonical)
    assert long_forms(plain, lambda: False) == canonical
    longer = long_forms(plain, lambda: choices.random() < 0.3)
    if longer != canonical:
        assert msgspec.msgpack.decode(longer) == plain  # another reader sees the same value
        with pytest.raises(CodecError):
            decode(wire_type, longer)


@given(data=st.data())
def test_changed_bytes_are_another_value_or_none(data: st.DataObject) -> None:
    """Whatever is done to the bytes, no two strings stand for one value."""
    value = data.draw(values(SlotTariff))
    raw = bytearray(encode(value))
    place = data.draw(st.integers(0, len(raw) - 1))
    match data.draw(st.sampled_from(["set", "insert", "remove"])):
        case "set":
            raw[place] = data.draw(st.integers(0, 255))
        case "insert":
            raw.insert(place, data.draw(st.integers(0, 255)))
        case _:
            del raw[place]
    try:
        read = decode(SlotTariff, bytes(raw))
    except CodecError:
        return
    assert encode(read) == bytes(raw)
    assert (read == value) == (bytes(raw) == encode(value))


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_a_value_or_a_named_error(data: bytes) -> None:
    for wire_type in (Pair, Many, SlotTariff):
        try:
            value = decode(wire_type, data)
        except CodecError:
            continue
        assert encode(value) == data
