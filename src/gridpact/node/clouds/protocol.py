"""What goes between the grid company and a provider: frames and messages, version 1.

A frame is four bytes of length, big-endian, and a MessagePack array. The grid company writes one
`Task` at a time and reads one `Result` or `Refused` with the same number. Arrays are bytes:
float64 and int32, little-endian, by rows. Matrices are sparse by column.

What comes is not trusted: lengths are refused before anything is read, counts before anything is
made of them. Arrays are the receiver's own copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy.sparse import csc_array

from gridpact.carbon.outsourcing.curves import MaskedCurves
from gridpact.carbon.outsourcing.masks import MaskedProblem
from gridpact.errors import GridpactError

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray

VERSION = 1
LENGTH_BYTES = 4
FRAME_BYTES_MAX = 256 * 2**20
"""A dense mask of 2,000 nodes with 1,000 sources has 64 MB."""
NODES_MAX = 200_000
SOURCES_MAX = 20_000
REASON_CHARACTERS_MAX = 200


class ProtocolError(GridpactError):
    """The other side sent what this protocol does not allow."""


class DeclinedError(ProtocolError):
    """The provider does not do the task, and says so: as good as no answer."""


class _Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    version: int
    number: int
    """Of the task, chosen by the grid company."""


class Task(_Message, frozen=True, tag=1):
    """Solve A' X' = B', and work out k units' coal and carbon."""

    nodes: int
    sources: int
    start: bytes
    """int32, nodes + 1: where each column of A' starts."""
    row: bytes
    """int32, ascending in each column."""
    value: bytes
    """float64."""
    right: bytes
    """float64, (nodes, sources)."""
    units: int
    curves: bytes
    """float64, (units, 3)."""
    powers: bytes
    """float64, (units, 3)."""
    zeta: bytes
    """float64, (units,)."""
    theta: bytes
    """float64, (units,)."""


class Result(_Message, frozen=True, tag=2):
    """X', w' and e'."""

    solution: bytes
    """float64, (nodes, sources)."""
    coal: bytes
    """float64, (units,)."""
    carbon: bytes
    """float64, (units,)."""


class Refused(_Message, frozen=True, tag=3):
    """The provider does not do this task."""

    reason: str


_encoder = msgspec.msgpack.Encoder()
_tasks = msgspec.msgpack.Decoder(Task)
_results = msgspec.msgpack.Decoder(Result | Refused)


def frame(message: Task | Result | Refused) -> bytes:
    """A message with its length.

    Raises:
        ProtocolError: larger than a frame may be.
    """
    data = _encoder.encode(message)
    return frame_length(len(data)).to_bytes(LENGTH_BYTES, "big") + data


def frame_length(length: int) -> int:
    """A length that is allowed.

    Raises:
        ProtocolError: it is not.
    """
    if not 0 < length <= FRAME_BYTES_MAX:
        raise ProtocolError(f"a frame of {length} bytes; allowed: 1 to {FRAME_BYTES_MAX}")
    return length


def task_of(number: int, problem: MaskedProblem, curves: MaskedCurves) -> Task:
    """A task as it is sent."""
    matrix = problem.matrix
    nodes, sources = problem.right.shape
    return Task(
        VERSION,
        number,
        nodes,
        sources,
        matrix.indptr.astype("<i4").tobytes(),
        matrix.indices.astype("<i4").tobytes(),
        matrix.data.astype("<f8").tobytes(),
        np.ascontiguousarray(problem.right, dtype="<f8").tobytes(),
        len(curves.zeta),
        *(
            np.ascontiguousarray(part, dtype="<f8").tobytes()
            for part in (curves.curves, curves.powers, curves.zeta, curves.theta)
        ),
    )


def read_task(data: bytes) -> tuple[Task, MaskedProblem, MaskedCurves]:
    """A task as a provider takes it.

    Raises:
        ProtocolError: not a task, of another version, or arrays that do not fit each other.
    """
    try:
        task = _tasks.decode(data)
    except msgspec.DecodeError as error:
        raise ProtocolError(f"not a task: {error}") from None
    if task.version != VERSION:
        raise ProtocolError(f"version {task.version} is not spoken; allowed: {VERSION}")
    nodes, sources, units = task.nodes, task.sources, task.units
    for name, count, most in (
        ("nodes", nodes, NODES_MAX),
        ("sources", sources, SOURCES_MAX),
        ("units", units, SOURCES_MAX),
    ):
        if not 0 <= count <= most:
            raise ProtocolError(f"{name} {count} is not allowed; allowed: 0 to {most}")
    start = _whole("start", task.start, nodes + 1)
    row = _whole("row", task.row, len(task.value) // 8)
    value = _numbers("value", task.value, (len(row),))
    rising = start[0] == 0 and start[-1] == len(row) and (np.diff(start) >= 0).all()
    if not rising or not ((row >= 0) & (row < nodes)).all():
        raise ProtocolError("columns of the matrix do not start and end where they should")
    matrix = csc_array((value, row, start), shape=(nodes, nodes))
    if not matrix.has_canonical_format:
        raise ProtocolError("rows of a column of the matrix do not ascend")
    problem = MaskedProblem(matrix, _numbers("right", task.right, (nodes, sources)))
    curves = MaskedCurves(
        _numbers("curves", task.curves, (units, 3)),
        _numbers("powers", task.powers, (units, 3)),
        _numbers("zeta", task.zeta, (units,)),
        _numbers("theta", task.theta, (units,)),
    )
    return task, problem, curves


def result_of(number: int, solution: FloatArray, coal: FloatArray, carbon: FloatArray) -> Result:
    """A result as it is sent."""
    parts = (np.ascontiguousarray(part, dtype="<f8").tobytes() for part in (solution, coal, carbon))
    return Result(VERSION, number, *parts)


def read_result(data: bytes, task: Task) -> tuple[FloatArray, FloatArray, FloatArray]:
    """X', w' and e' of a task that was sent; their values may still be anything.

    Raises:
        DeclinedError: the provider refuses.
        ProtocolError: not a result, of another task or version, or of another shape.
    """
    try:
        result = _results.decode(data)
    except msgspec.DecodeError as error:
        raise ProtocolError(f"not a result: {error}") from None
    if (result.version, result.number) != (VERSION, task.number):
        found = f"version {result.version}, task {result.number}"
        raise ProtocolError(f"{found}; asked was version {VERSION}, task {task.number}")
    if isinstance(result, Refused):
        raise DeclinedError(f"the provider refuses: {result.reason[:REASON_CHARACTERS_MAX]!r}")
    return (
        _numbers("solution", result.solution, (task.nodes, task.sources)),
        _numbers("coal", result.coal, (task.units,)),
        _numbers("carbon", result.carbon, (task.units,)),
    )


def _numbers(name: str, data: bytes, shape: tuple[int, ...]) -> FloatArray:
    expected = 8 * int(np.prod(shape, dtype=np.int64))
    if len(data) != expected:
        raise ProtocolError(f"{name} has {len(data)} bytes; allowed: {expected}")
    return np.frombuffer(data, dtype="<f8").reshape(shape).astype(np.float64)


def _whole(name: str, data: bytes, count: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    if len(data) != 4 * count:
        raise ProtocolError(f"{name} has {len(data)} bytes; allowed: {4 * count}")
    return np.frombuffer(data, dtype="<i4").astype(np.int32)
