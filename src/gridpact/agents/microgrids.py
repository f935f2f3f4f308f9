"""What operators of microgrids know and do: forecasts that get better, storage as it really is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gridpact.errors import invariant
from gridpact.model import Agreement, MicrogridBid
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray

UWH_PER_WH = 10**6


@dataclass(frozen=True, slots=True)
class ForecastError:
    """Relative errors of generation, of one period as seen from k periods before its end.

    e_1 ~ N(0, first^2), e_k = e_(k-1) + N(0, growth^2); another period has another path. So all
    that is said about one period hangs together: each forecast is the one before plus news, which
    nobody could have guessed from the one before, and the last news is `first`. Loads are half as
    wrong.

    Ours: [AEPS22] prints no formula. Were each forecast drawn anew, averaging old ones would beat
    the newest; were k to run over the periods of one forecast, a whole day would be wrong to one
    side, and one seed would say nothing about the next.
    """

    first: float
    """Standard deviation of the last forecast."""
    growth: float
    """Standard deviation of the news that one period brings."""


PERFECT = ForecastError(0.0, 0.0)
STAND_IN = ForecastError(0.05, 0.009)


class MicrogridSites:
    """All microgrids of a day: what will really happen, what they expect, what they have stored.

    Args:
        truth: a bid of each with the real load, demand and generation of all T periods.
        error: of their forecasts.
        seed: of all chance. Forecasts depend on it and on the microgrid's place alone, so that two
            markets with one seed see the same.
    """

    def __init__(self, truth: Sequence[MicrogridBid], error: ForecastError, seed: int) -> None:
        self.truth = list(truth)
        self.error, self.seed = error, seed
        self.content_uwh = [bid.storage.content_start_uwh for bid in truth]
        self.periods = len(self.truth[0].load_wh)

    def bids(self, period: int) -> list[MicrogridBid]:
        """What each tells the market for the periods from one on to the end of the day."""
        return [self._bid(number, period) for number in range(len(self.truth))]

    def _bid(self, number: int, period: int) -> MicrogridBid:
        truth = self.truth[number]
        generation, use = self._errors(number, period)
        load = _scaled(truth.load_wh[period:], use)
        demand = _scaled(truth.green_demand_wh[period:], use)
        storage = msgspec.structs.replace(truth.storage, content_start_uwh=self.content_uwh[number])
        return msgspec.structs.replace(
            truth,
            load_wh=load,
            green_demand_wh=[min(pair) for pair in zip(demand, load, strict=True)],
            renewable_wh=_scaled(truth.renewable_wh[period:], generation),
            storage=storage,
        )

    def _errors(self, number: int, period: int) -> tuple[FloatArray, FloatArray]:
        """Relative errors of generation and of load from one period on."""
        periods = self.periods
        chance = np.random.default_rng([self.seed, number])
        steps = chance.standard_normal((2, periods, periods))
        sizes = np.r_[self.error.first, np.full(periods - 1, self.error.growth)]
        paths = np.cumsum(steps * sizes, axis=2)
        ahead = np.arange(period, periods)
        generation, use = paths[:, ahead, ahead - period]
        return generation, use / 2

    def follow(self, number: int, agreement: Agreement, charged_wh: int) -> None:
        """The storage has done what was agreed, as far as there was green energy to charge."""
        store = self.truth[number].storage
        gained = store.charge_permille * store.discharge_permille * charged_wh
        content = self.content_uwh[number] + gained - UWH_PER_WH * agreement.discharge_wh
        inside = store.content_min_uwh <= content <= store.content_max_uwh
        invariant(inside, f"storage {number} would hold {content} micro-Wh")
        self.content_uwh[number] = content


def _scaled(energies_wh: Sequence[int], wrong: FloatArray) -> list[int]:
    scaled = np.array(energies_wh, np.float64) * np.maximum(0.0, 1.0 + wrong)
    return [int(energy) for energy in np.rint(scaled).clip(0, QUANTITY_MAX)]
