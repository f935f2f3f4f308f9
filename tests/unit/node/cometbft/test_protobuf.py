"""The wire format: what we write reads back, what is broken is named, nothing else is raised."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft.protobuf import (
    Kind,
    Message,
    WireError,
    decode,
    encode,
    read_varint,
    varint,
)

VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.INT: st.integers(-(2**63), 2**63 - 1),
    Kind.UINT: st.integers(0, 2**64 - 1),
    Kind.BOOL: st.booleans(),
    Kind.TEXT: st.text(max_size=20),
    Kind.BYTES: st.binary(max_size=20),
}


def some(kind: type[Message]) -> st.SearchStrategy[Message]:
    """Any message of a type."""
    fields = {}
    for field in kind.FIELDS.values():
        values = VALUES[field.kind] if field.message is None else some(field.message)
        fields[field.name] = st.lists(values, max_size=3).map(tuple) if field.repeated else values
    return st.builds(kind, **fields)


@pytest.mark.parametrize("number", abci.REQUESTS)
@given(data=st.data())
def test_every_message_reads_back(number: int, data: st.DataObject) -> None:
    _, request_type, response_type = abci.REQUESTS[number]
    request = data.draw(some(request_type))
    assert abci.read_request(abci.write_request(number, request)) == (number, request)
    response = data.draw(some(response_type))
    found = abci.read_response(abci.write_response(number, response))
    assert found == (number + 1, response)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_wire_error(data: bytes) -> None:
    try:
        number, _ = abci.read_request(data)
    except WireError:
        return
    assert number in abci.REQUESTS


@given(number=st.sampled_from(sorted(abci.REQUESTS)), data=st.data())
def test_a_damaged_request_is_a_request_or_a_wire_error(number: int, data: st.DataObject) -> None:
    raw = bytearray(abci.write_request(number, data.draw(some(abci.REQUESTS[number][1]))))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=4)):
        raw[place] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    try:
        abci.read_request(bytes(raw))
    except WireError:
        return


# What the public format says, byte by byte


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (abci.Echo("hi"), "0a02" + b"hi".hex()),
        (abci.Timestamp(150, -1), "089601" + "10ffffffffffffffffff01"),
        (abci.ResponseInfo("", "", 2, 3, b"\x04"), "1802" + "2003" + "2a0104"),
        (abci.RequestQuery(b"", "", 0, prove=True), "2001"),
        (abci.ResponseCheckTx(), ""),
        (abci.ResponsePrepareProposal((b"", b"a")), "0a00" + "0a0161"),
        (abci.ValidatorUpdate(abci.PublicKey(b"k"), 7), "0a03" + "0a016b" + "1007"),
    ],
)
def test_known_bytes(message: Message, data: str) -> None:
    assert encode(message).hex() == data
    assert decode(type(message), bytes.fromhex(data)) == message


def test_unknown_fields_are_skipped_and_the_last_value_counts() -> None:
    data = bytes.fromhex("f80105" + "0a0161" + "fd0101020304" + "f9010102030405060708" + "0a0162")
    assert decode(abci.Echo, data) == abci.Echo("b")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("0a", "cut off"),
        ("0a05aa", "names 5 bytes where 1 are left"),
        ("0801", "wire type 0 for a string"),
        ("0d01020304", "wire type 5 for a string"),
        ("0aff", "cut off"),
        ("0a01ff", "not UTF-8"),
        ("0b", "wire type 3"),
        ("0201", "number 0"),
        ("0a" + "80" * 10 + "01", "longer than ten"),
        ("0a" + "ff" * 9 + "02", "64 bits"),
    ],
)
def test_what_is_wrong_is_named(data: str, words: str) -> None:
    with pytest.raises(WireError, match=words):
        decode(abci.Echo, bytes.fromhex(data))


def test_a_frame_holds_exactly_one_known_request() -> None:
    echo = abci.write_request(abci.ECHO, abci.Echo("a"))
    for wrong in (b"", echo + echo, abci.write_request(4, abci.Empty())):
        with pytest.raises(WireError):
            abci.read_request(wrong)


@given(st.integers(0, 2**64 - 1))
def test_numbers_read_back_wherever_they_begin(value: int) -> None:
    data = b"\xff" + varint(value)
    assert read_varint(data, 1) == (value, len(data))
    for cut in range(1, len(data)):
        assert read_varint(data[:cut], 1) is None


def test_tables_name_the_attributes() -> None:
    for _, request, response in abci.REQUESTS.values():
        for kind in (request, response):
            names = {field.name for field in kind.FIELDS.values()}
            assert names == set(inspect.signature(kind).parameters)
