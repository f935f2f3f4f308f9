"""How far a signer has gone, in a file that a crash leaves at one position or the next.

Two slots, far enough apart that no write touches both, each with a checksum and a number. A write
goes to the older one and is durable before it counts. Whoever opens the file has it alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

from gridpact.errors import StoreError, invariant
from gridpact.node.signing.keyfile import write_privately

SLOT_BYTES = 4096
SLOTS = 2
PAYLOAD_MAX = 400
"""Bytes; with its head a slot stays within one sector of any disk."""
LOCK_POLL_S = 0.02
_TAG = b"gridpact/position/v1"
_HEAD = struct.Struct(">32sQH")
_BODY = struct.Struct(">QH")

Position = TypeVar("Position", bound=msgspec.Struct)
_log = structlog.get_logger(__name__)


def create_position(path: Path, first: msgspec.Struct) -> None:
    """Write the file of a signer that has signed nothing.

    Raises:
        StoreError: it is there, or the disk refused.
    """
    if path.exists():
        raise StoreError(f"{path}: is there; how far a signer has gone is never overwritten")
    payload = msgspec.msgpack.encode(first)
    slots = (_slot(number, payload).ljust(SLOT_BYTES, b"\x00") for number in range(SLOTS))
    write_privately(path, b"".join(slots))


def read_position(path: Path, position_type: type[Position]) -> Position:
    """The position as it is on the disk, without the right to move it.

    Raises:
        StoreError: gone, or both slots are damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}; {_NO_GUESS}") from error
    return _newest(path, data, position_type)[1]


class PositionFile(Generic[Position]):
    """The file, open and locked.

    Args:
        path: of a file that `create_position` made.
        position_type: what it holds.
        wait_s: how long another process may take to let go of it.
    Raises:
        StoreError: gone, damaged, or another signer has it.
    """

    def __init__(self, path: Path, position_type: type[Position], *, wait_s: float = 0.0) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDWR)
        except OSError as error:
            raise StoreError(f"{path}: cannot be opened: {error.strerror}; {_NO_GUESS}") from error
        try:
            self._lock(wait_s)
            data = os.pread(self._descriptor, SLOTS * SLOT_BYTES, 0)
            self._number, self._position = _newest(path, data, position_type)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._is_open = True

    @property
    def position(self) -> Position:
        """What is durable."""
        return self._position

    def write(self, position: Position) -> None:
        """Make a position durable; returns once it is.

        Raises:
            StoreError: the disk refused. Nobody knows what it holds now: the file is closed.
        """
        if not self._is_open:
            raise StoreError(f"{self._path}: is closed, nothing more is signed; start again")
        payload = msgspec.msgpack.encode(position)
        number = self._number + 1
        try:
            os.pwrite(self._descriptor, _slot(number, payload), number % SLOTS * SLOT_BYTES)
            os.fdatasync(self._descriptor)
        except OSError as error:
            self.close()
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._number, self._position = number, position

    def close(self) -> None:
        """Let go of the file."""
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)

    def _lock(self, wait_s: float) -> None:
        until_s = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= until_s:
                    text = f"{self._path}: another signer has it; two would sign twice"
                    raise StoreError(text) from error
                time.sleep(LOCK_POLL_S)
            else:
                return


_NO_GUESS = "without it nothing is signed; put back the signer's own file, no older copy"


def _slot(number: int, payload: bytes) -> bytes:
    invariant(len(payload) <= PAYLOAD_MAX, "a position fits its slot")
    body = _BODY.pack(number, len(payload)) + payload
    return hashlib.sha256(_TAG + body).digest() + body


def _newest(path: Path, data: bytes, position_type: type[Position]) -> tuple[int, Position]:
    """(number, position) of the newer slot that is whole."""
    found: list[tuple[int, bytes]] = []
    for at in range(0, SLOTS * SLOT_BYTES, SLOT_BYTES):
        slot = data[at : at + _HEAD.size + PAYLOAD_MAX]
        if len(slot) < _HEAD.size:
            continue
        digest, number, length = _HEAD.unpack_from(slot)
        body = slot[len(digest) : _HEAD.size + length]
        if hashlib.sha256(_TAG + body).digest() == digest and number % SLOTS == at // SLOT_BYTES:
            found.append((number, body[_BODY.size :]))
    if not found:
        raise StoreError(f"{path}: both slots are damaged; {_NO_GUESS}")
    if len(found) < SLOTS:
        _log.warning("one slot is damaged, the other is taken", file=str(path))
    number, payload = max(found)
    try:
        return number, msgspec.msgpack.decode(payload, type=position_type)
    except msgspec.MsgspecError as error:
        raise StoreError(f"{path}: not the position of this kind of signer: {error}") from error
