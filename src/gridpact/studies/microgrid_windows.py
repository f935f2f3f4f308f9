"""Windows of made-up microgrids, solved and certified: material for bench and study."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

import numpy as np

from gridpact.errors import invariant
from gridpact.market.integer.microgrids import Window, window_of
from gridpact.market.solvers import Programme
from gridpact.market.solvers.proposal import propose
from gridpact.market.solvers.sparse import Piqp, form_of
from gridpact.model import (
    Certificate,
    MicrogridBid,
    MicrogridTerms,
    Storage,
    Turbine,
)

ENERGY_WH = 1_000_000
"""What the sizes of microgrids are multiples of, by default."""
UWH_PER_WH = 10**6


@dataclass(frozen=True, slots=True)
class Solved:
    """A window with its certificate."""

    terms: MicrogridTerms
    bids: list[MicrogridBid]
    window: Window
    certificate: Certificate


def random_bids(
    microgrids: int, periods: int, seed: int, energy_wh: int = ENERGY_WH
) -> tuple[MicrogridTerms, list[MicrogridBid]]:
    """Terms and bids like those of [AEPS22]: hourly loads with two peaks, sun and wind, a storage.

    Loads are 2..9 times `energy_wh` in an hour, generation up to 14 times.
    """
    chance = np.random.default_rng(seed)
    hour = np.arange(periods) % 24
    peak = np.isin(hour, (8, 9, 10, 18, 19, 20))
    retail = np.where(hour < 7, 60_000, np.where(peak, 168_000, 115_000))
    shape = 0.55 + 0.25 * np.exp(-(((hour - 11) / 3.5) ** 2))
    shape += 0.35 * np.exp(-(((hour - 19.5) / 2.5) ** 2))
    sun = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) ** 1.3
    capacity = int(3.8 * energy_wh) * UWH_PER_WH
    bids = []
    for _ in range(microgrids):
        load = shape * chance.uniform(4, 9) * chance.uniform(0.9, 1.1, periods) * energy_wh
        wind = chance.uniform(0.2, 0.8, periods)
        renewable = (0.65 * sun + 0.35 * wind) * chance.uniform(3, 14) * energy_wh
        bids.append(
            MicrogridBid(
                load_wh=load.astype(int).tolist(),
                green_demand_wh=(load * chance.uniform(0.4, 0.9)).astype(int).tolist(),
                renewable_wh=renewable.astype(int).tolist(),
                shortage_micro_per_kwh=int(chance.integers(30_000, 70_000)),
                turbine=Turbine(
                    quadratic_pico_per_wh2=min(2**20, 15 * ENERGY_WH // energy_wh),
                    linear_micro_per_kwh=85_000,
                    energy_max_wh=3 * energy_wh // 2,
                ),
                storage=Storage(
                    energy_max_wh=energy_wh,
                    charge_permille=950,
                    discharge_permille=950,
                    content_min_uwh=capacity // 10,
                    content_max_uwh=capacity // 10 * 9,
                    content_start_uwh=capacity // 2,
                    content_end_uwh=capacity // 2,
                ),
            )
        )
    terms = MicrogridTerms(
        retail_micro_per_kwh=retail.tolist(),
        feed_in_micro_per_kwh=[45_000] * periods,
        fee_per_side_micro_per_kwh=5_000,
        end_micro_per_kwh=400_000,
    )
    return terms, bids


def solved(terms: MicrogridTerms, bids: list[MicrogridBid]) -> Solved:
    """The window solved with and without trade, in whole numbers, with its proof."""
    certificate = propose(terms, bids, [1] * len(bids)).certificate
    return Solved(terms, bids, window_of(terms, bids), certificate)


def piqp_seconds(programme: Programme) -> float:
    """What PIQP takes to set up and solve a programme."""
    form = form_of(programme)
    started = perf_counter()
    point = Piqp().solve(form)
    seconds = perf_counter() - started
    invariant(bool(point.status), "PIQP has ended")
    return seconds
