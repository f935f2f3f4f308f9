"""Forecasts of net energy. A forecast sees only what was metered before the slot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import invariant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model import Profiles
    from gridpact.quantize import IntArray


def seasonal_naive(
    profiles: Profiles, slots_per_day: int, season_days: Sequence[int], index: int
) -> IntArray:
    """Net energy that each member expects for one slot: what it had the same time some days ago.

    "The same time" counts spans of 24 hours, so in the days after clocks change the pattern that
    is repeated lies an hour off by the wall clock.

    Args:
        profiles: gross energies of M members, with history.
        slots_per_day: slots in 24 hours.
        season_days: for each member how many days it looks back, at least 1.
        index: which traded slot, 0..N-1.

    Returns:
        shape (M,), Wh, + = surplus of generation over load.
    """
    look_back = np.asarray(season_days, dtype=np.int64) * slots_per_day
    columns = profiles.history + index - look_back
    invariant(0 <= index < len(profiles.slots), f"slot {index} of {len(profiles.slots)}")
    invariant(
        bool((look_back > 0).all() and (columns >= 0).all()),
        "a forecast looks back, and not beyond the history",
    )
    members = np.arange(len(columns))
    net_wh: IntArray = profiles.pv_wh[members, columns] - profiles.load_wh[members, columns]
    return net_wh
