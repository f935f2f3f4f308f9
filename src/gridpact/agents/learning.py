"""Forecasts that learn: gradient boosting on lags and the calendar, with quantiles.

One model serves all members: their energies are divided by what they use on average, so that
small and large homes teach each other. A forecast is made from a cut of the readings that ends
before its first slot; nothing after it can be seen, because nothing after it is passed on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from math import tau
from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.agents.forecast import seasonal_path
from gridpact.errors import InputError, Problem, invariant
from gridpact.model.assets import MINUTES_PER_DAY
from gridpact.quantize import round_half_even
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from gridpact.model import Profiles
    from gridpact.quantize import FloatArray, IntArray

QUANTILES = (0.1, 0.5, 0.9)
LAG_DAYS = 7
"""A row of training looks back so many days."""
TRAINING_DAYS_MIN = 7
"""Fewer days of rows than that teach less than the seasonal naive forecast knows."""
TRAINING_DAYS_MAX = 366
HORIZON_DAYS_MAX = 3
ROWS_MAX = 60_000
"""Rows of one training, drawn at random when there are more."""
EARLY_TRAININGS = (0, 1, 3, 7, 14)
TRAINING_EVERY_DAYS = 28
"""A model is trained before the days numbered by the first, then at multiples of the second."""
SECONDS_PER_DAY = 86_400
DAYS_PER_YEAR = 365.25
ROUNDS = 60
"""Trees of one training and quantile."""
BOOSTING = {
    "learning_rate": 0.1,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 100,
    "early_stopping": False,
}


@dataclass(frozen=True, slots=True)
class ForecastBand:
    """A forecast with its spread; + = surplus of generation over load."""

    low_wh: IntArray
    """Shape (M, T): one reading in ten should lie below."""
    middle_wh: IntArray
    """Shape (M, T): the median."""
    high_wh: IntArray
    """Shape (M, T): one reading in ten should lie above; never below the others."""
    learned: bool
    """False where the history was too short, and all three are the seasonal naive forecast."""

    def quantiles(self) -> dict[float, IntArray]:
        """By the share that should lie below."""
        return dict(zip(QUANTILES, (self.low_wh, self.middle_wh, self.high_wh), strict=True))


@dataclass(frozen=True, slots=True)
class _Model:
    """What one training left."""

    boosted: tuple[Any, ...]
    """A regressor per quantile."""
    scale_wh: FloatArray
    """Shape (M,), > 0: mean size of the net energy."""
    tilt: FloatArray
    """Shape (M,), -1..1: mean net energy over the mean size; 1 only gives, -1 only takes."""


class LearnedForecast:
    """Forecasts for the traded days of some profiles, each from what lies before it.

    Args:
        profiles: gross energies of M members, with history.
        zone: of the calendar that people live by.
        seed: the scenario's.
        rows_max: rows of one training.
        rounds: trees of one training and quantile.
    Raises:
        InputError: scikit-learn is not installed.
    """

    def __init__(
        self,
        profiles: Profiles,
        zone: tzinfo,
        seed: int,
        *,
        rows_max: int = ROWS_MAX,
        rounds: int = ROUNDS,
    ) -> None:
        try:
            from sklearn.ensemble import HistGradientBoostingRegressor
            from threadpoolctl import threadpool_limits
        except ImportError as error:
            message = (
                "learned forecasts need scikit-learn, which is not installed; install the extra: "
                "pip install 'gridpact[agents]', or choose the seasonal naive forecast"
            )
            raise InputError([Problem("forecast", message)]) from error
        self._regressor = partial(
            HistGradientBoostingRegressor,
            loss="quantile",
            max_iter=rounds,
            random_state=seed % 2**32,
            **BOOSTING,
        )
        self._one_thread = partial(threadpool_limits, limits=1)
        self._profiles, self._seed, self._rows_max = profiles, seed, rows_max
        self._length_s = profiles.slots[0].length_s
        self._per_day = SECONDS_PER_DAY // self._length_s
        start_s = profiles.slots[0].start_s - profiles.history * self._length_s
        columns = profiles.load_wh.shape[1] + HORIZON_DAYS_MAX * self._per_day
        starts_s = range(start_s, start_s + columns * self._length_s, self._length_s)
        self._calendar = _calendar(starts_s, zone)
        self._models: dict[int, _Model | None] = {}
        self._bands: dict[tuple[int, int], ForecastBand] = {}

    def path(self, first: int, slots: int) -> ForecastBand:
        """The forecast for a row of slots, from what is known before the first.

        It depends on the profiles before the first slot, the seed and the calendar alone, not on
        what was asked before. The last one asked for is kept.

        Args:
            first: the first slot, 0..N-1; that of a day, to train once for many.
            slots: T, at most three days; they may reach beyond the traded ones.
        """
        invariant(0 <= first < len(self._profiles.slots), f"slot {first} is not traded")
        invariant(0 < slots <= HORIZON_DAYS_MAX * self._per_day, f"a horizon of {slots} slots")
        if (first, slots) not in self._bands:
            self._bands = {(first, slots): self._band(first, slots)}
        return self._bands[first, slots]

    def _band(self, first: int, slots: int) -> ForecastBand:
        model = self._model(first)
        if model is None:
            season_days = LAG_DAYS if self._known(first) >= LAG_DAYS * self._per_day else 1
            members = len(self._profiles.load_wh)
            net_wh = seasonal_path(
                self._profiles, self._per_day, [season_days] * members, first, slots
            )
            return ForecastBand(net_wh, net_wh, net_wh, learned=False)
        known = self._known(first)
        oldest = known - (LAG_DAYS + 1) * self._per_day
        net_wh = self._net_wh(first, oldest)
        members = len(net_wh)
        rows = np.repeat(np.arange(members), slots)
        columns = np.tile(np.arange(known - oldest, known - oldest + slots), members)
        seen = self._features(net_wh, rows, columns, known - oldest, model)
        seen = np.concatenate([seen, self._calendar[columns + oldest]], axis=1)
        with self._one_thread():
            answers = np.stack([regressor.predict(seen) for regressor in model.boosted])
        # Quantiles are learned apart and may cross where they lie close together.
        answers = np.sort(answers, axis=0) * model.scale_wh[rows]
        whole = round_half_even(
            answers, name="forecast_wh", low=-QUANTITY_MAX, high=QUANTITY_MAX
        ).reshape(len(QUANTILES), members, slots)
        return ForecastBand(whole[0], whole[1], whole[2], learned=True)

    def _known(self, first: int) -> int:
        """Columns of the profiles that lie before a traded slot."""
        return self._profiles.history + first

    def _net_wh(self, first: int, oldest: int = 0) -> IntArray:
        """What may be known before a traded slot, from a column on, shape (M, columns)."""
        known = slice(oldest, self._known(first))
        net_wh: IntArray = self._profiles.pv_wh[:, known] - self._profiles.load_wh[:, known]
        return net_wh

    def _model(self, first: int) -> _Model | None:
        """The model in force for a slot; None while there is too little to learn from."""
        day = first // self._per_day
        trained = max(early for early in EARLY_TRAININGS if early <= day)
        trained = max(trained, day - day % TRAINING_EVERY_DAYS)
        if trained not in self._models:
            self._models[trained] = self._train(trained * self._per_day)
        return self._models[trained]

    def _train(self, first: int) -> _Model | None:
        """Learn from everything before a traded slot, or from a random part of it."""
        net_wh = self._net_wh(first)
        members, known = net_wh.shape
        oldest = max(LAG_DAYS * self._per_day, known - TRAINING_DAYS_MAX * self._per_day)
        if known - oldest < TRAINING_DAYS_MIN * self._per_day:
            return None
        size = np.abs(net_wh).mean(axis=1)
        scale_wh = np.maximum(size, 1.0)
        model = _Model((), scale_wh, net_wh.mean(axis=1) / scale_wh)
        candidates = members * (known - oldest)
        chosen = np.arange(candidates)
        if candidates > self._rows_max:
            chance = np.random.default_rng([self._seed, first])
            chosen = np.sort(chance.choice(candidates, self._rows_max, replace=False))
        rows, columns = chosen // (known - oldest), oldest + chosen % (known - oldest)
        seen = self._features(net_wh, rows, columns, None, model)
        seen = np.concatenate([seen, self._calendar[columns]], axis=1)
        wanted = net_wh[rows, columns] / scale_wh[rows]
        regressors = [self._regressor(quantile=share) for share in QUANTILES]
        # Where cores are shared, threads that wait for each other cost far more than they bring.
        with self._one_thread():
            boosted = tuple(regressor.fit(seen, wanted) for regressor in regressors)
        return _Model(boosted, model.scale_wh, model.tilt)

    def _features(
        self,
        net_wh: IntArray,
        rows: IntArray,
        columns: IntArray,
        known: int | None,
        model: _Model,
    ) -> FloatArray:
        """What is known about each (member, slot) before the forecast is made.

        Args:
            net_wh: shape (M, C), columns that are known.
            rows: R members.
            columns: R slots, counted like the columns; those of forecasts lie behind them.
            known: C for forecasts; None for training, where each row stands for a forecast made
                within the day before it.
            model: scales of the members.
        Returns:
            shape (R, 6): energies one, two and seven days before, their mean over the week and
            over the last whole day, and tilt.
        """
        per_day = self._per_day
        nearest = np.ones_like(columns) if known is None else (columns - known) // per_day + 1
        latest = columns - nearest * per_day
        week = np.zeros(len(rows))
        for back in range(1, LAG_DAYS + 1):
            column = np.minimum(latest, columns - back * per_day)
            week += net_wh[rows, column]
        summed = np.concatenate(
            [np.zeros((len(net_wh), 1), dtype=np.int64), np.cumsum(net_wh, axis=1)], axis=1
        )
        last_day = summed[rows, latest + 1] - summed[rows, latest + 1 - per_day]
        second = np.minimum(latest, columns - 2 * per_day)
        energies = np.stack(
            [
                net_wh[rows, latest],
                net_wh[rows, second],
                net_wh[rows, columns - LAG_DAYS * per_day],
                week / LAG_DAYS,
                last_day / per_day,
            ],
            axis=1,
        )
        scaled = energies / model.scale_wh[rows, np.newaxis]
        return np.concatenate([scaled, model.tilt[rows, np.newaxis]], axis=1)


def _calendar(starts_s: Sequence[int], zone: tzinfo) -> FloatArray:
    """Time of day and of year on a circle, and the weekday, by the wall clock.

    Returns:
        shape (slots, 5).
    """
    clock, year, weekday = [], [], []
    for start_s in starts_s:
        local = datetime.fromtimestamp(start_s, zone)
        clock.append(local.hour * 60 + local.minute)
        year.append(local.timetuple().tm_yday)
        weekday.append(local.weekday())
    of_day = np.asarray(clock) * (tau / MINUTES_PER_DAY)
    of_year = np.asarray(year) * (tau / DAYS_PER_YEAR)
    columns = (np.sin(of_day), np.cos(of_day), weekday, np.sin(of_year), np.cos(of_year))
    return np.stack(columns, axis=1)
