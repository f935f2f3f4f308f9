"""A market that clears its rest of the day before every period and executes the first of it.

With perfect forecasts the executed plan costs what one clearing of the whole day does. What is paid
for a period is read in two ways: by the first periods of both plans, as the paper has it, and by
what trade is still worth before and after; only the second adds up to the day's shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gridpact.market.solvers.bargain import MicrogridClearing, clear_microgrids
from gridpact.market.solvers.programme import UWH_PER_KWH
from gridpact.model.microgrids import Column, MicrogridBid, MicrogridTerms
from gridpact.quantize import round_half_even

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray

FLOAT_EXACT_MAX = 2**53


@dataclass(frozen=True, slots=True, eq=False)
class RollingDay:
    """What was executed, M microgrids and T periods; money in currency."""

    costs: FloatArray
    """Shape (M, T): of the executed periods, before transfers."""
    transfers: FloatArray
    """Shape (M, T): by the first period of each clearing. Source: [AEPS22], after eq. (18)."""
    worth_transfers: FloatArray
    """Shape (M, T): by what trade was worth before and after each period; with forecasts that come
    true they leave each with the net cost that one clearing of the day does. Ours."""
    surpluses: FloatArray
    """Shape (T,): of the first period of each clearing; negative where trade stores for later."""
    net_sales_kwh: FloatArray
    """Shape (M, T)."""


def roll(
    terms: MicrogridTerms, bids: Sequence[MicrogridBid], weights: Sequence[float] | None = None
) -> RollingDay:
    """Clear a window period by period, each time from where the storages really are.

    Raises:
        InputError: as `clear_microgrids`.
        SolveError: the same.

    Source: [AEPS22], section 1.2: the window shrinks from 24 h to 1 h.
    """
    now = list(bids)
    cleared: list[MicrogridClearing] = []
    for period in range(len(terms.retail_micro_per_kwh)):
        clearing = clear_microgrids(terms.since(period), now, weights)
        contents = clearing.together.plan_kwh[:, 0, Column.CONTENT] * UWH_PER_KWH
        whole = round_half_even(contents, name="content", low=0, high=FLOAT_EXACT_MAX).tolist()
        now = [_later(bid, content) for bid, content in zip(now, whole, strict=True)]
        cleared.append(clearing)
    costs = np.array([one.together.costs[:, 0] for one in cleared]).T
    alone = np.array([one.disagreement_costs for one in cleared]).T
    ahead = np.append(alone[:, 1:], np.zeros((len(now), 1)), axis=1)
    saved = alone - ahead - costs
    shares = cleared[0].weights
    return RollingDay(
        costs=costs,
        transfers=np.array([one.transfers[:, 0] for one in cleared]).T,
        worth_transfers=shares[:, None] * saved.sum(axis=0) - saved,
        surpluses=np.array([one.period_surpluses[0] for one in cleared]),
        net_sales_kwh=np.array([one.together.net_sales_kwh[:, 0] for one in cleared]).T,
    )


def _later(bid: MicrogridBid, content_uwh: int) -> MicrogridBid:
    """The bid for the rest of the window, from a content within the storage's limits."""
    store = bid.storage
    content = min(max(content_uwh, store.content_min_uwh), store.content_max_uwh)
    return msgspec.structs.replace(
        bid,
        load_wh=bid.load_wh[1:],
        green_demand_wh=bid.green_demand_wh[1:],
        renewable_wh=bid.renewable_wh[1:],
        storage=msgspec.structs.replace(store, content_start_uwh=content),
    )
