"""What microgrids expect and what their storages do.

Method: errors are read back out of forecasts of a flat day, then held against the law they state;
statistics are over fixed seeds, so they give the same numbers everywhere.
"""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from gridpact.agents.microgrids import (
    PERFECT,
    STAND_IN,
    UWH_PER_WH,
    ForecastError,
    MicrogridSites,
)
from gridpact.errors import InvariantError
from gridpact.model import Agreement, MicrogridBid
from gridpact.model.microgrids import Storage, Turbine

PERIODS = 12
FLAT_WH = 10**8
STORE = Storage(10**6, 950, 950, 10**11, 10**12, 5 * 10**11, 5 * 10**11)


def flat(load_wh: int = FLAT_WH, demand_wh: int = FLAT_WH // 2) -> MicrogridBid:
    return MicrogridBid(
        load_wh=[load_wh] * PERIODS,
        green_demand_wh=[demand_wh] * PERIODS,
        renewable_wh=[FLAT_WH] * PERIODS,
        shortage_micro_per_kwh=60_000,
        turbine=Turbine(0, 0, 0),
        storage=STORE,
    )


def agreed(charge_wh: int = 0, discharge_wh: int = 0) -> Agreement:
    return Agreement(0, 0, charge_wh, discharge_wh, 0, [], [], 0)


def paths(error: ForecastError, seed: int, field: str = "renewable_wh") -> np.ndarray:
    """Relative errors (issue, period), NaN for what is past."""
    sites = MicrogridSites([flat()], error, seed)
    found = np.full((PERIODS, PERIODS), np.nan)
    for issue in range(PERIODS):
        found[issue, issue:] = np.array(getattr(sites.bids(issue)[0], field)) / FLAT_WH - 1
    return found


def test_perfect_forecasts_are_the_truth() -> None:
    truth = [flat(), flat(2 * FLAT_WH)]
    sites = MicrogridSites(truth, PERFECT, 3)
    assert sites.bids(0) == truth
    (first, second) = sites.bids(PERIODS - 1)
    assert first.renewable_wh == [FLAT_WH]
    assert second.load_wh == [2 * FLAT_WH]


def test_errors_have_the_stated_spread_at_each_lead() -> None:
    error = ForecastError(0.05, 0.02)
    found = np.array([paths(error, seed) for seed in range(300)])
    for lead in (1, 4, 9):
        issues = np.arange(PERIODS - lead + 1)
        at = found[:, issues, issues + lead - 1]
        spread = np.sqrt(0.05**2 + (lead - 1) * 0.02**2)
        assert at.std() == pytest.approx(spread, rel=0.05)
        assert abs(at.mean()) < 0.05 * spread * 3


def test_forecasts_of_one_period_walk_to_its_last_one() -> None:
    """News has the stated size, and says nothing about what is still unknown."""
    found = np.array([paths(ForecastError(0.05, 0.02), seed) for seed in range(300)])
    news = found[:, 2, 9:] - found[:, 3, 9:]
    left = found[:, 3, 9:]
    assert news.std() == pytest.approx(0.02, rel=0.1)
    assert abs(np.corrcoef(news.ravel(), left.ravel())[0, 1]) < 0.1


def test_without_growth_each_forecast_repeats_the_one_before() -> None:
    found = paths(ForecastError(0.05, 0.0), 5)
    for period in range(PERIODS):
        seen = found[: period + 1, period]
        assert np.ptp(seen) < 1e-7
    assert np.std(np.diag(found)) > 0.02


def test_loads_are_half_as_wrong_and_green_demand_stays_part_of_them() -> None:
    error = ForecastError(0.05, 0.02)
    found = np.array([paths(error, seed, "load_wh") for seed in range(300)])
    last = np.diagonal(found, axis1=1, axis2=2)
    assert last.std() == pytest.approx(0.025, rel=0.05)
    sites = MicrogridSites([flat(demand_wh=FLAT_WH)], error, 1)
    for issue in range(PERIODS):
        bid = sites.bids(issue)[0]
        assert all(
            demand <= load for demand, load in zip(bid.green_demand_wh, bid.load_wh, strict=True)
        )


def test_no_forecast_is_below_zero() -> None:
    sites = MicrogridSites([flat()], ForecastError(3.0, 1.0), 2)
    wh = [value for issue in range(PERIODS) for value in sites.bids(issue)[0].renewable_wh]
    assert min(wh) == 0


def test_chance_is_the_seed_and_the_place_alone() -> None:
    one = MicrogridSites([flat(), flat()], STAND_IN, 7)
    other = MicrogridSites([flat(), flat(), flat()], STAND_IN, 7)
    other.follow(0, agreed(discharge_wh=1000), 0)
    later = [other.bids(4)[0].renewable_wh, other.bids(4)[1].renewable_wh]
    assert later == [one.bids(4)[0].renewable_wh, one.bids(4)[1].renewable_wh]
    assert later[0] != later[1]
    assert MicrogridSites([flat()], STAND_IN, 8).bids(4)[0].renewable_wh != later[0]


def test_a_storage_keeps_what_is_charged_less_its_losses() -> None:
    sites = MicrogridSites([flat(), flat()], PERFECT, 0)
    sites.follow(1, agreed(charge_wh=2000, discharge_wh=100), 1500)
    gained = 1500 * 950 * 950 - 100 * UWH_PER_WH
    assert sites.content_uwh == [STORE.content_start_uwh, STORE.content_start_uwh + gained]
    assert [bid.storage.content_start_uwh for bid in sites.bids(1)] == sites.content_uwh
    assert sites.bids(0)[1].storage == msgspec.structs.replace(
        STORE, content_start_uwh=STORE.content_start_uwh + gained
    )


def test_a_storage_that_would_run_dry_or_over_is_a_defect_and_does_not_move() -> None:
    sites = MicrogridSites([flat()], PERFECT, 0)
    for agreement, charged_wh in ((agreed(discharge_wh=400_001), 0), (agreed(), 554_017)):
        with pytest.raises(InvariantError, match="storage 0 would hold"):
            sites.follow(0, agreement, charged_wh)
        assert sites.content_uwh == [STORE.content_start_uwh]
    sites.follow(0, agreed(discharge_wh=400_000), 0)
    assert sites.content_uwh == [STORE.content_min_uwh]
