"""Packed columns byte by byte, and every other way to write the same numbers refused."""

from __future__ import annotations

import numpy as np
import pytest

from gridpact.errors import InvariantError
from gridpact.market.integer.microgrids.packing import SIZE_MAX, pack, unpack


def column(least: int, width: int, *digits: int) -> bytes:
    head = least.to_bytes(8, "little", signed=True) + bytes([width])
    return head + b"".join(digit.to_bytes(width, "little") for digit in digits)


@pytest.mark.parametrize(
    ("numbers", "packed"),
    [
        ([0, 0, 0], column(0, 0)),
        ([-7, -7, -7], column(-7, 0)),
        ([-1, 254, 0], column(-1, 1, 0, 255, 1)),
        ([0, 256, 1], column(0, 2, 0, 256, 1)),
        ([5, 5 + 2**24, 6], column(5, 4, 0, 2**24, 1)),
        ([1 - SIZE_MAX, SIZE_MAX - 1, 0], column(1 - SIZE_MAX, 8, 0, 2**63 - 2, 2**62 - 1)),
    ],
)
def test_one_column(numbers: list[int], packed: bytes) -> None:
    columns = np.array([numbers], np.int64)
    assert pack(columns) == packed
    found = unpack(packed, (1, 3))
    assert found is not None
    assert found.tolist() == [numbers]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        column(0, 0)[:-1],
        column(0, 0) + b"\0",
        column(0, 1, 0, 0, 0),  # no width is enough
        column(0, 2, 0, 255, 1),  # one byte is enough
        column(0, 8, 0, 2**55, 1),  # seven are
        column(0, 1, 1, 2, 3),  # the least is 1
        column(0, 9, 0, 1, 2),
        column(0, 8, 0, 2**63, 1),
        column(0, 1, 0, 1),
        column(SIZE_MAX, 0),
        column(-SIZE_MAX, 0),
        column(SIZE_MAX - 1, 1, 0, 1, 1),
    ],
)
def test_other_bytes_are_refused(data: bytes) -> None:
    assert unpack(data, (1, 3)) is None


def test_columns_follow_each_other() -> None:
    columns = np.array([[[1, 2], [3, 4]], [[0, 0], [0, 9]]], np.int64)
    assert pack(columns) == column(1, 1, 0, 1, 2, 3) + column(0, 1, 0, 0, 0, 9)
    assert unpack(pack(columns), (2, 4)) is not None
    assert unpack(pack(columns), (3, 2, 2)) is None


def test_numbers_that_do_not_fit_are_our_mistake() -> None:
    for number in (SIZE_MAX, -SIZE_MAX):
        with pytest.raises(InvariantError, match="cannot be packed"):
            pack(np.array([[0, number]], np.int64))
