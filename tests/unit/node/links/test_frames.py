"""Frames come out as they went in, however the stream is cut."""

from __future__ import annotations

import pytest

from gridpact.node.links import LinkError, Reason
from gridpact.node.links.frames import FrameReader, frame

FRAMES = [(1, b""), (255, b"x"), (2, b"\x00" * 300), (3, bytes(range(256)))]
STREAM = b"".join(frame(channel, data) for channel, data in FRAMES)


def read_all(reader: FrameReader) -> list[tuple[int, bytes]]:
    found = []
    while (one := reader.next()) is not None:
        found.append(one)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 301, len(STREAM)])
def test_pieces_of_any_size(size: int) -> None:
    reader, found = FrameReader(1000), []
    for at in range(0, len(STREAM), size):
        reader.feed(STREAM[at : at + size])
        found += read_all(reader)
    assert found == FRAMES
    assert not reader.begun


def test_one_cut_at_every_byte() -> None:
    for at in range(len(STREAM) + 1):
        reader = FrameReader(1000)
        reader.feed(STREAM[:at])
        found = read_all(reader)
        complete = sum(at >= sum(len(frame(*f)) for f in FRAMES[: n + 1]) for n in range(4))
        assert len(found) == complete
        reader.feed(STREAM[at:])
        assert found + read_all(reader) == FRAMES


def test_a_frame_of_the_largest_size_and_one_byte_more() -> None:
    reader = FrameReader(10)
    reader.feed(frame(1, bytes(9)))
    assert reader.next() == (1, bytes(9))
    reader.feed(frame(1, bytes(10))[:4])
    with pytest.raises(LinkError, match="a frame of 11 bytes; at most 10") as caught:
        reader.next()
    assert caught.value.reason == Reason.OVERSIZED


def test_an_empty_frame_is_malformed() -> None:
    reader = FrameReader(10)
    reader.feed(bytes(4))
    with pytest.raises(LinkError) as caught:
        reader.next()
    assert caught.value.reason == Reason.MALFORMED


def test_what_was_read_is_not_kept() -> None:
    reader = FrameReader(2000)
    for _ in range(100):
        reader.feed(frame(1, bytes(1000)) + b"\x00")
        assert reader.next() == (1, bytes(1000))
        assert reader.begun
        reader.feed(frame(1, bytes(1000))[1:])
        assert reader.next() == (1, bytes(1000))
        assert reader.kept_bytes < 3000
