"""A provider that misbehaves: `liar.py KIND`, on standard input and output."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import msgspec
import numpy as np

from gridpact.carbon.outsourcing import solve_masked
from gridpact.carbon.outsourcing.masks import MaskedProblem
from gridpact.node.clouds.protocol import LENGTH_BYTES, Refused, frame
from gridpact.node.clouds.worker import answer, serve


def number(task: MaskedProblem) -> np.ndarray:
    found = solve_masked(task)
    found[0, 0] += 1e-3 * np.abs(found).max()
    return found


def single(task: MaskedProblem) -> np.ndarray:
    return solve_masked(task).astype(np.float32).astype(np.float64)


def scaled(task: MaskedProblem) -> np.ndarray:
    return 1.1 * solve_masked(task)


def zeros(task: MaskedProblem) -> np.ndarray:
    return np.zeros_like(task.right)


def nan(task: MaskedProblem) -> np.ndarray:
    return np.full_like(task.right, np.nan)


def shape(task: MaskedProblem) -> np.ndarray:
    return solve_masked(task)[:-1]


def crash(task: MaskedProblem) -> np.ndarray:
    os._exit(3)


def silent(task: MaskedProblem) -> np.ndarray:
    signal.pause()
    return task.right


def once(task: MaskedProblem) -> np.ndarray:
    """Wrong at its first task, right afterwards; remembers in a file, as others restart it."""
    mark = Path(sys.argv[2])
    if mark.exists():
        return solve_masked(task)
    mark.touch()
    return zeros(task)


SOLVERS = {
    one.__name__: one for one in (number, single, scaled, zeros, nan, shape, crash, silent, once)
}


def wire(kind: str) -> None:
    """Lies about the protocol, not about the numbers."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while head := source.read(LENGTH_BYTES):
        data = source.read(int.from_bytes(head, "big"))
        good = answer(data, solve_masked)
        if kind == "number-of-another":
            sink.write(frame(msgspec.structs.replace(good, number=good.number + 1)))
        elif kind == "refuses":
            sink.write(frame(Refused(good.version, good.number, "too busy")))
        elif kind == "noise":
            sink.write((3).to_bytes(LENGTH_BYTES, "big") + b"\xff\x00\xff")
        elif kind == "huge":
            sink.write(b"\xff\xff\xff\xff")
        elif kind == "half":
            sink.write(frame(good)[:-5])
            sink.flush()
            return
        sink.flush()


if __name__ == "__main__":
    if sys.argv[1] in SOLVERS:
        serve(sys.stdin.buffer, sys.stdout.buffer, SOLVERS[sys.argv[1]])
    else:
        wire(sys.argv[1])
