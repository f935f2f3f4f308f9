"""The messages between grid company and provider, and what either refuses."""

from __future__ import annotations

import io
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.papers.test_sun23_tracing import CURVES
from tests.unit.carbon.flows import random_flow

from gridpact.carbon.outsourcing import (
    mask_curves,
    mask_problem,
    problem_of,
    solve_masked,
    sparse_mask,
)
from gridpact.node.clouds.protocol import (
    FRAME_BYTES_MAX,
    LENGTH_BYTES,
    DeclinedError,
    ProtocolError,
    Refused,
    Result,
    Task,
    frame,
    frame_length,
    read_result,
    read_task,
    task_of,
)
from gridpact.node.clouds.worker import serve

bits = Random(1).randbytes
PROBLEM = problem_of(random_flow(4, 6, 4, acyclic=True))
MASKED = mask_problem(PROBLEM, sparse_mask(PROBLEM, bits))
PRICED = mask_curves(CURVES, np.array([400.0, 100.0]), bits)[0]
TASK = task_of(7, MASKED, PRICED)
REPLACE = msgspec.structs.replace


def encoded(message: Task | Result | Refused) -> bytes:
    return frame(message)[LENGTH_BYTES:]


def answers(data: bytes) -> list[bytes]:
    """Frames that a provider writes."""
    sink = io.BytesIO()
    serve(io.BytesIO(data), sink)
    out, found = sink.getvalue(), []
    while out:
        length = int.from_bytes(out[:LENGTH_BYTES], "big")
        found.append(out[LENGTH_BYTES : LENGTH_BYTES + length])
        out = out[LENGTH_BYTES + length :]
    return found


def test_a_task_and_its_result_to_the_bit() -> None:
    task, problem, curves = read_task(encoded(TASK))
    assert task == TASK
    assert (problem.matrix != MASKED.matrix).nnz == 0
    np.testing.assert_array_equal(problem.right, MASKED.right)
    np.testing.assert_array_equal(curves.powers, PRICED.powers)
    first, second = answers(frame(TASK) + frame(REPLACE(TASK, number=8)))
    np.testing.assert_array_equal(read_result(first, TASK)[0], solve_masked(MASKED))
    with pytest.raises(ProtocolError, match="task 8; asked was version 1, task 7"):
        read_result(second, TASK)


def shifted(data: bytes, at: int, value: int) -> bytes:
    numbers = np.frombuffer(data, dtype="<i4").copy()
    numbers[at] = value
    return numbers.tobytes()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 2}, "version 2 is not spoken"),
        ({"nodes": -1}, "nodes -1"),
        ({"nodes": 10**9}, "nodes 1000000000"),
        ({"sources": 10**9}, "sources 1000000000"),
        ({"units": 10**9}, "units 1000000000"),
        ({"units": 3}, "curves has"),
        ({"right": b""}, "right has 0 bytes"),
        ({"value": TASK.value[:-1]}, "row has"),
        ({"start": TASK.start[:-4]}, "start has"),
        ({"start": shifted(TASK.start, 0, 1)}, "columns of the matrix"),
        ({"start": shifted(TASK.start, 1, 10**6)}, "columns of the matrix"),
        ({"row": shifted(TASK.row, 0, -1)}, "columns of the matrix"),
        ({"row": shifted(TASK.row, 0, TASK.nodes)}, "columns of the matrix"),
        ({"row": np.zeros(len(TASK.row) // 4, dtype="<i4").tobytes()}, "do not ascend"),
    ],
)
def test_tasks_that_are_refused(change: dict[str, Any], words: str) -> None:
    """The refusal finds its way back by its number, and the provider goes on."""
    bad = REPLACE(TASK, **change)
    with pytest.raises(ProtocolError, match=words):
        read_task(encoded(bad))
    refused, good = answers(frame(bad) + frame(TASK))
    with pytest.raises(DeclinedError, match=words):
        read_result(refused, TASK)
    read_result(good, TASK)


def test_a_singular_task_is_refused() -> None:
    zero = REPLACE(TASK, value=bytes(len(TASK.value)))
    with pytest.raises(DeclinedError, match="singular"):
        read_result(answers(frame(zero))[0], TASK)


@pytest.mark.parametrize("length", [0, FRAME_BYTES_MAX + 1])
def test_lengths_are_refused_before_anything_is_read(length: int) -> None:
    with pytest.raises(ProtocolError, match="allowed: 1 to"):
        frame_length(length)
    (refused,) = answers(length.to_bytes(LENGTH_BYTES, "big") + frame(TASK))
    with pytest.raises(ProtocolError, match="task 0; asked"):
        read_result(refused, TASK)


def test_a_cut_stream_ends_quietly() -> None:
    assert answers(frame(TASK)[:-1]) == []
    assert answers(b"\x00\x00") == []


@given(st.integers(0, len(encoded(TASK)) - 1), st.integers(1, 255))
def test_a_changed_byte_breaks_nothing(at: int, by: int) -> None:
    """It is another task, or is refused; nothing else happens."""
    data = bytearray(encoded(TASK))
    data[at] ^= by
    try:
        task, problem, _ = read_task(bytes(data))
    except ProtocolError:
        return
    assert problem.right.shape == (task.nodes, task.sources)


@given(st.binary(max_size=200))
def test_noise_is_no_result(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_result(data, TASK)
