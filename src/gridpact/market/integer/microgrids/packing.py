"""Arrays of whole numbers as few bytes, in exactly one way.

A column is its least value (8 bytes, little-endian, signed), a width w of 0..8 bytes, and for each
number what it has above the least, in w bytes, little-endian. The width is the least that holds
all. Fixed widths are read by whole columns, which varints are not.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.errors import invariant

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

HEAD = 9
"""Bytes of a column before its numbers."""
SIZE_MAX = 2**62
"""Above every number packed, so that differences fit 64 bits."""


def pack(columns: IntArray) -> bytes:
    """Each row of the first axis as one column; every number below 2^62 in size."""
    return b"".join(map(_packed, columns))


def _packed(column: IntArray) -> bytes:
    least, most = int(column.min()), int(column.max())
    invariant(least > -SIZE_MAX and most < SIZE_MAX, f"{least}..{most} cannot be packed")
    width = -(-(most - least).bit_length() // 8)
    above = np.ascontiguousarray(column.reshape(-1) - least).astype("<i8").view(np.uint8)
    digits = above.reshape(-1, 8)[:, :width]
    return least.to_bytes(8, "little", signed=True) + bytes([width]) + digits.tobytes()


def unpack(data: bytes, shape: tuple[int, ...]) -> IntArray | None:
    """The array of this shape that `data` packs; None when `pack` would not give these bytes."""
    count = prod(shape[1:])
    digits = np.zeros((shape[0], count, 8), np.uint8)
    heads: list[tuple[int, int]] = []
    start = 0
    for column in digits:
        head = data[start : start + HEAD]
        start += HEAD
        if len(head) < HEAD or head[8] > 8 or len(data) < start + head[8] * count:
            return None
        width = head[8]
        heads.append((int.from_bytes(head[:8], "little", signed=True), width))
        if width:
            read = np.frombuffer(data, np.uint8, width * count, start)
            column[:, :width] = read.reshape(count, width)
        start += width * count
    above = digits.view("<i8").reshape(shape[0], count)
    if start != len(data) or not _canonical(above, heads):
        return None
    least = np.array([head[0] for head in heads], np.int64)
    return (above + least[:, np.newaxis]).reshape(shape)


def _canonical(above: IntArray, heads: list[tuple[int, int]]) -> bool:
    """Whether one number of each column is its least, and the widest needs the whole width.

    A number of 64 bits that is negative as such is below the least and shows there.
    """
    lows, highs = above.min(axis=1).tolist(), above.max(axis=1).tolist()
    return all(
        low == 0
        and -(-high.bit_length() // 8) == width
        and abs(least) < SIZE_MAX
        and least + high < SIZE_MAX
        for low, high, (least, width) in zip(lows, highs, heads, strict=True)
    )
