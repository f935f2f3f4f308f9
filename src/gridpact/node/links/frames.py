"""Frames: four bytes of length, one byte of channel, and bytes that only the channel's user reads.

The length counts the channel's byte. What comes is cut here whichever way it was split; an
oversized frame is refused by its first four bytes, before any of it is kept.
"""

from __future__ import annotations

from gridpact.node.links.refusals import LinkError, Reason

LENGTH_BYTES = 4
HEAD_BYTES = LENGTH_BYTES + 1


def frame(channel: int, data: bytes) -> bytes:
    """A frame's bytes."""
    return b"%b%c%b" % ((len(data) + 1).to_bytes(LENGTH_BYTES, "big"), channel, data)


class FrameReader:
    """Cuts a stream into frames.

    Args:
        bytes_max: largest length of a frame; may be changed between two frames.
    """

    __slots__ = ("_at", "_buffer", "bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._buffer = bytearray()
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self._at:
            del self._buffer[: self._at]
            self._at = 0
        self._buffer += data

    def next(self) -> tuple[int, bytes] | None:
        """Channel and data of the next whole frame; None when more bytes are needed.

        Raises:
            LinkError: a frame that is empty or too large.
        """
        have = len(self._buffer) - self._at
        if have < LENGTH_BYTES:
            return None
        start = self._at + HEAD_BYTES
        length = int.from_bytes(self._buffer[self._at : self._at + LENGTH_BYTES], "big")
        if not length:
            raise LinkError(Reason.MALFORMED, "a frame without a channel")
        if length > self.bytes_max:
            limit = self.bytes_max
            raise LinkError(
                Reason.OVERSIZED, f"a frame of {length} bytes; at most {limit} are taken"
            )
        if have < LENGTH_BYTES + length:
            return None
        end = start + length - 1
        with memoryview(self._buffer) as view:
            data = bytes(view[start:end])
        channel = self._buffer[start - 1]
        self._at = end
        return channel, data

    @property
    def begun(self) -> bool:
        """Whether part of a frame is here; meant for when `next` gave None."""
        return len(self._buffer) > self._at

    @property
    def kept_bytes(self) -> int:
        """How much is kept, read or not."""
        return len(self._buffer)
