"""Substitutes for readings that are missing: the same slot of the week or the day before.

Nothing is ever filled with zeros, and what is filled is marked as substituted.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gridpact.inputs.calendar import SECONDS_PER_DAY
from gridpact.model import Quality

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gridpact.inputs.batches import ByteArray
    from gridpact.quantize import IntArray

LOOK_BACK_S = 7 * SECONDS_PER_DAY
"""How much of a file before the wanted slots is kept for substitutes."""


def mend(
    wh: IntArray, quality: ByteArray, missing: NDArray[np.bool_], slots_per_day: int
) -> NDArray[np.bool_]:
    """Fill what is missing in place and mark it as substituted.

    The substitute is the reading seven times 24 hours before; where that is missing too, the one
    24 hours before; where both are, what stands in for the one or the other. Around a change of
    clocks it lies an hour off by the wall clock, as the forecast that looks back does.

    Args:
        wh: shape (M, T, V), energies of T slots in a row.
        quality: the same shape.
        missing: the same shape.
        slots_per_day: slots in 24 hours.
    Returns:
        the same shape: what no earlier slot could fill.
    """
    left = missing.copy()
    slots = wh.shape[1]
    for start in range(0, slots, slots_per_day):
        block = slice(start, min(start + slots_per_day, slots))
        for measured, days in product((True, False), (7, 1)):
            if not left[:, block].any():
                break
            if start < days * slots_per_day:
                continue
            source = slice(block.start - days * slots_per_day, block.stop - days * slots_per_day)
            usable = ~(missing if measured else left)[:, source] & left[:, block]
            wh[:, block][usable] = wh[:, source][usable]
            quality[:, block][usable] = Quality.SUBSTITUTED
            left[:, block][usable] = False
    return left
