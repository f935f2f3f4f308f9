"""The write-ahead log of a Raft replica: one file of appends, each with place, length, checksum.

What `append` has returned from is on the disk. A crash may tear the last append, which nobody has
been told of; it is cut off at the next start. Damage anywhere else is no crash: such a file is
refused, and so is that of another replica or chain.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from gridpact.codec import tagged_hash
from gridpact.consensus.configuration import Configuration
from gridpact.consensus.raft import recover
from gridpact.consensus.raft.records import Entries, Vote, record_bytes
from gridpact.errors import StoreError
from gridpact.files import sync_folder, write_durably
from gridpact.node.signing.raft_signer import RaftPosition, passed

REWRITE_BYTES = 32 * 2**20
"""A longer file is written anew without what snapshots have made superfluous."""
_TAG = b"gridpact/wal/v1"
_HEADER_BYTES = 32
_HEAD = struct.Struct("<QII")
"""Where in the file it stands, length, checksum of what follows."""
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[bytes])


class WriteAheadLog:
    """The records of one replica."""

    def __init__(self, path: Path, header: bytes, descriptor: int, size: int) -> None:
        self.path = path
        self._header, self._file, self.size = header, descriptor, size
        """`size` in bytes."""
        self._rewritten = size

    @classmethod
    def open(cls, path: Path, chain: bytes, name: str) -> tuple[WriteAheadLog, list[bytes]]:
        """Open a log or begin one.

        Args:
            path: of the file.
            chain: genesis hash.
            name: of the replica.
        Returns:
            The log, and all its records in order.
        Raises:
            StoreError: the file is of another replica, or damaged, or cannot be written.
        """
        header = tagged_hash(_TAG, chain + name.encode())
        try:
            if not path.exists():
                aside = path.with_suffix(".new")
                aside.unlink(missing_ok=True)
                write_durably(aside, header)
                aside.rename(path)
                sync_folder(path.parent)
            data = path.read_bytes()
            records, size = _read(path, data, header)
            descriptor = os.open(path, os.O_WRONLY)
            if size < len(data):
                os.ftruncate(descriptor, size)
                os.fsync(descriptor)
        except OSError as error:
            raise _refused(path, error) from error
        return cls(path, header, descriptor, size), records

    def append(self, records: tuple[bytes, ...]) -> None:
        """Make records durable.

        Raises:
            StoreError: the disk refused; nothing that depends on the records may happen.
        """
        data = _append(self.size, records)
        try:
            written = os.pwrite(self._file, data, self.size)
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self.size + written)
            os.fdatasync(self._file)
        except OSError as error:
            raise _refused(self.path, error) from error
        self.size += len(data)

    def shorten(self, configuration: Configuration) -> None:
        """Write the file anew when it has grown long since the last time.

        Args:
            configuration: of the chain's start.
        Raises:
            StoreError: the disk refused, or the file is damaged.
        """
        if self.size < self._rewritten + REWRITE_BYTES:
            return
        aside = self.path.with_suffix(".new")
        try:
            held, _ = _read(self.path, self.path.read_bytes(), self._header)
            data = self._header + _append(_HEADER_BYTES, shortened(configuration, held))
            aside.unlink(missing_ok=True)
            write_durably(aside, data)
            aside.rename(self.path)
            sync_folder(self.path.parent)
            descriptor = os.open(self.path, os.O_WRONLY)
        except OSError as error:
            raise _refused(self.path, error) from error
        os.close(self._file)
        self._file, self.size, self._rewritten = descriptor, len(data), len(data)

    def close(self) -> None:
        """Give the file free."""
        os.close(self._file)


def shortened(configuration: Configuration, records: Sequence[bytes]) -> list[bytes]:
    """As few records as say the same to a replica, and promise no more to its signer.

    Entries that stand after a vote are taken as confirmed in its term (`passed`). Of an earlier
    term's entries, which a leader may still remove, nobody must say so.

    Args:
        configuration: of the chain's start.
        records: a whole log, in order.
    """
    stored = recover(configuration, records)
    last = stored.snapshot.index + len(stored.entries)
    vote = record_bytes(Vote(stored.term, stored.voted_for))
    entries = record_bytes(Entries(stored.snapshot.index + 1, stored.entries))
    confirmed = passed(RaftPosition(), records).index == last
    return [record_bytes(stored.snapshot), *((vote, entries) if confirmed else (entries, vote))]


def _append(place: int, records: Iterable[bytes]) -> bytes:
    """The bytes of one append at a place of the file."""
    body = _encoder.encode(list(records))
    return _HEAD.pack(place, len(body), zlib.crc32(body)) + body


def _body(data: bytes, place: int) -> bytes | None:
    """What was appended at a place, if it is whole."""
    if place + _HEAD.size > len(data):
        return None
    named, size, checksum = _HEAD.unpack_from(data, place)
    if named != place:  # nearly always, where it is looked for at every byte: copy nothing
        return None
    body = data[place + _HEAD.size : place + _HEAD.size + size]
    return body if len(body) == size and zlib.crc32(body) == checksum else None


def _read(path: Path, data: bytes, header: bytes) -> tuple[list[bytes], int]:
    """All whole records, and where they end.

    Each append began after the one before was durable: where one follows a damaged one, the damage
    came later than the write.
    """
    if data[:_HEADER_BYTES] != header:
        raise StoreError(f"{path}: is the log of another replica or chain; name the right folder")
    records: list[bytes] = []
    place = _HEADER_BYTES
    while (body := _body(data, place)) is not None:
        records.extend(_decoder.decode(body))
        place += _HEAD.size + len(body)
    if any(_body(data, later) is not None for later in range(place + 1, len(data))):
        raise StoreError(
            f"{path}: damaged at byte {place}, and what follows is not; this is no crash: move the "
            "folder away and let the validator begin anew from the others"
        )
    return records, place


def _refused(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path}: the log cannot be written: {error.strerror}; make room or give permission, "
        "then start the validator again"
    )
