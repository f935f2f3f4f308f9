"""Providers that misbehave, for demonstrations: `python -m gridpact.studies.lying_clouds KIND`.

They speak the protocol of `node.clouds` on standard input and output. Nothing that serves anybody
starts them but by the name of what they do.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.outsourcing import solve_masked
from gridpact.node.clouds import HONEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from gridpact.carbon.outsourcing.masks import MaskedProblem
    from gridpact.model.carbon import FloatArray


def zeros(task: MaskedProblem) -> FloatArray:
    """Does no work: all zeros."""
    return np.zeros_like(task.right)


def scaled(task: MaskedProblem) -> FloatArray:
    """A tenth too much of everything."""
    return 1.1 * solve_masked(task)


def single(task: MaskedProblem) -> FloatArray:
    """Cheaper arithmetic, of 32 bits."""
    return solve_masked(task).astype(np.float32).astype(np.float64)


def silent(task: MaskedProblem) -> FloatArray:
    """Takes the task and never answers."""
    signal.pause()
    return task.right


KINDS: dict[str, Callable[[MaskedProblem], FloatArray]] = {
    one.__name__: one for one in (zeros, scaled, single, silent)
}


def command_of(behaviour: str) -> tuple[str, ...]:
    """What starts a provider: an honest one, or one of `KINDS`."""
    if behaviour == "honest":
        return HONEST
    return (sys.executable, "-m", "gridpact.studies.lying_clouds", behaviour)


if __name__ == "__main__":
    from gridpact.node.clouds.worker import serve

    serve(sys.stdin.buffer, sys.stdout.buffer, KINDS[sys.argv[1]])
