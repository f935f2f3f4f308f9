"""Forecasts of net energy. A forecast sees only what was metered before the slot.

Here is the baseline, what was metered some days before, and the measure of any forecast's errors.
`gridpact.agents.learning` learns from the past.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem, invariant
from gridpact.model import ForecastErrors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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
    invariant(0 <= index < len(profiles.slots), f"slot {index} of {len(profiles.slots)}")
    return seasonal_path(profiles, slots_per_day, season_days, index, 1)[:, 0]


def seasonal_path(
    profiles: Profiles,
    slots_per_day: int,
    season_days: Sequence[int],
    first: int,
    slots: int,
) -> IntArray:
    """Net energy that each member expects for a row of slots, from what is known before the first.

    Where a look-back of `season_days` would fall into the row itself, as in the last hour of a
    day of 25 hours, it looks back twice as far, and so on.

    Args:
        profiles: gross energies of M members, with history.
        slots_per_day: slots in 24 hours.
        season_days: for each member how many days it looks back, at least 1.
        first: the first slot, 0..N-1.
        slots: T, how many; they may reach beyond the traded ones.

    Returns:
        shape (M, T), Wh, + = surplus of generation over load.
    """
    look_back = np.asarray(season_days, dtype=np.int64)[:, np.newaxis] * slots_per_day
    invariant(bool((look_back > 0).all()), "a forecast looks back")
    ahead = np.arange(slots, dtype=np.int64)
    seasons = ahead // look_back + 1
    columns = profiles.history + first + ahead - seasons * look_back
    invariant(bool((columns >= 0).all()), "a forecast looks back, and not beyond the history")
    members = np.arange(len(look_back))[:, np.newaxis]
    net_wh: IntArray = profiles.pv_wh[members, columns] - profiles.load_wh[members, columns]
    return net_wh


def forecast_errors(
    metered_wh: IntArray,
    forecast_wh: IntArray,
    naive_wh: IntArray,
    quantiles: Mapping[float, IntArray] | None = None,
) -> ForecastErrors:
    """Errors of a forecast, beside those of the seasonal naive one.

    Args:
        metered_wh: any shape, net energy, + = surplus.
        forecast_wh: the same shape.
        naive_wh: the same shape.
        quantiles: forecasts of quantiles, by the share that should lie below.
    Raises:
        InputError: a shape that differs, named with expected and found, or nothing to compare.

    >>> import numpy as np
    >>> errors = forecast_errors(np.array([1, 3]), np.array([2, 3]), np.array([3, 3]))
    >>> errors.mae_wh, errors.skill
    (0.5, 0.5)
    """
    named = {"forecast_wh": forecast_wh, "naive_wh": naive_wh}
    named |= {f"quantiles[{share}]": values for share, values in (quantiles or {}).items()}
    problems = [
        Problem(name, f"shape {values.shape}; expected {metered_wh.shape}, that of the readings")
        for name, values in named.items()
        if values.shape != metered_wh.shape
    ]
    if not metered_wh.size:
        problems.append(Problem("metered_wh", "is empty; give at least one value"))
    if problems:
        raise InputError(problems)
    off = (forecast_wh - metered_wh).astype(np.float64)
    mae_wh = float(np.abs(off).mean())
    naive_mae_wh = float(np.abs(naive_wh - metered_wh).mean())
    pinball, below = {}, {}
    for share, values in (quantiles or {}).items():
        above = (metered_wh - values).astype(np.float64)
        pinball[share] = float(np.maximum(share * above, (share - 1) * above).mean())
        below[share] = float((above <= 0).mean())
    return ForecastErrors(
        values=metered_wh.size,
        mae_wh=mae_wh,
        rmse_wh=float(np.sqrt((off * off).mean())),
        bias_wh=float(off.mean()),
        naive_mae_wh=naive_mae_wh,
        skill=1 - mae_wh / naive_mae_wh if naive_mae_wh else float("nan"),
        pinball_wh=pinball,
        below=below,
    )
