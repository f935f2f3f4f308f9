"""A provider: reads tasks, solves them, writes results, until its input ends.

It knows nothing of what is behind the masks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from gridpact.carbon.outsourcing import price_masked, solve_masked
from gridpact.errors import GridpactError
from gridpact.node.clouds.protocol import (
    LENGTH_BYTES,
    REASON_CHARACTERS_MAX,
    VERSION,
    ProtocolError,
    Refused,
    Result,
    frame,
    frame_length,
    read_task,
    result_of,
)

if TYPE_CHECKING:
    from gridpact.carbon.outsourcing.masks import MaskedProblem
    from gridpact.model.carbon import FloatArray


def serve(
    source: BinaryIO,
    sink: BinaryIO,
    solve: Callable[[MaskedProblem], FloatArray] = solve_masked,
) -> None:
    """Answer frames until the input ends, or is no longer a stream of frames."""
    while len(head := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        try:
            length = frame_length(int.from_bytes(head, "big"))
        except ProtocolError as error:
            sink.write(frame(_refusal(0, error)))
            sink.flush()
            return
        data = source.read(length)
        if len(data) != length:
            return
        sink.write(frame(answer(data, solve)))
        sink.flush()


def answer(data: bytes, solve: Callable[[MaskedProblem], FloatArray]) -> Result | Refused:
    """The answer to one task."""
    try:
        task, problem, curves = read_task(data)
    except ProtocolError as error:
        return _refusal(_number(data), error)
    try:
        return result_of(task.number, solve(problem), *price_masked(curves))
    except GridpactError as error:
        return _refusal(task.number, error)


def _refusal(number: int, error: GridpactError) -> Refused:
    return Refused(VERSION, number, str(error)[:REASON_CHARACTERS_MAX])


def _number(data: bytes) -> int:
    """Of a task that cannot be read otherwise, so that the refusal finds its way; else 0."""
    try:
        fields = msgspec.msgpack.decode(data, type=list[msgspec.Raw])
        return msgspec.msgpack.decode(fields[2], type=int)
    except (msgspec.DecodeError, IndexError):
        return 0
