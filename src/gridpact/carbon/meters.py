"""Load and generation behind one meter: two flows of the bus, or one."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray


class MeterPolicy(IntEnum):
    """What is traced where a meter sees load and generation at once."""

    GROSS = 1
    """Both as they are: what is generated mixes with all that enters the bus, and the load takes
    from that mix."""
    NET = 2
    """The difference alone: what is generated serves its own load first and never meets the bus."""


def metered(
    load_mw: FloatArray, generated_mw: FloatArray, policy: MeterPolicy
) -> tuple[FloatArray, FloatArray]:
    """Load and source of a meter as they are traced.

    Args:
        load_mw: any shape, >= 0, behind the meter.
        generated_mw: the same shape, >= 0, behind the same meter.
        policy: which of the two readings holds; nothing is netted unless it says so.
    Returns:
        load and source, of the same shape; their difference is the same under both policies.

    >>> load, source = metered(np.array([2.0, 1.0]), np.array([0.5, 3.0]), MeterPolicy.NET)
    >>> load.tolist(), source.tolist()
    ([1.5, 0.0], [0.0, 2.0])
    """
    if policy == MeterPolicy.GROSS:
        return load_mw, generated_mw
    own = np.minimum(load_mw, generated_mw)
    return load_mw - own, generated_mw - own
