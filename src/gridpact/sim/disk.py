"""A replica's disk: records in frames, of which a crash may leave any prefix of the last write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

_HEAD = struct.Struct("<II")


def framed(records: Iterable[bytes]) -> bytes:
    """Records as they lie on the disk: length, checksum, record."""
    return b"".join(
        part for record in records for part in (_HEAD.pack(len(record), zlib.crc32(record)), record)
    )


def read_back(data: bytes) -> list[bytes]:
    """The whole records at the start of `data`; a torn one and what follows it are dropped."""
    records, place = [], 0
    while place + _HEAD.size <= len(data):
        size, checksum = _HEAD.unpack_from(data, place)
        record = data[place + _HEAD.size : place + _HEAD.size + size]
        if len(record) < size or zlib.crc32(record) != checksum:
            break
        records.append(record)
        place += _HEAD.size + size
    return records


class Disk:
    """What is durable, and the one write that is under way."""

    __slots__ = ("records", "slowdown", "writing")

    def __init__(self) -> None:
        self.records: list[bytes] = []
        """Durable, in the order of writing."""
        self.writing: tuple[bytes, ...] = ()
        self.slowdown = 1
        """How many times as long a write takes."""

    def finish(self) -> None:
        """The write under way is durable."""
        self.records.extend(self.writing)
        self.writing = ()

    def crash(self, kept_permille: int) -> None:
        """Power fails in the middle of the write.

        Args:
            kept_permille: share of its bytes that reached the disk.
        """
        if self.writing:
            data = framed(self.writing)
            self.records.extend(read_back(data[: len(data) * kept_permille // 1000]))
            self.writing = ()
