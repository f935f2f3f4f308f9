"""How fast homes plan, carry out and forecast, on the built-in village.

Every home gets the same battery. Plans by linear programme are timed beside the naive way, which
builds the programme's matrix anew for each home; seconds are those of the machine at hand.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from statistics import median
from time import perf_counter
from zoneinfo import ZoneInfo

import numpy as np

from gridpact.agents import (
    HomePlanner,
    LearnedForecast,
    LinearSolver,
    expected_prices,
    forecast_errors,
    seasonal_path,
)
from gridpact.inputs import builtin_scenario, load_profiles, slot_prices
from gridpact.model import Profiles, Scenario
from gridpact.model.assets import Battery, Home, Planning, PlanPrices

HOMES = 40
REFERENCE_MICRO_PER_KWH = 150_000
"""Trade price that homes expect, with a little more in every later slot so that hours differ."""
BATTERY = Battery(
    capacity_wh=10_000,
    charge_w=5_000,
    discharge_w=5_000,
    charge_permille=950,
    discharge_permille=950,
    stored_initial_wh=3_000,
    stored_min_wh=500,
    stored_max_wh=10_000,
    stored_final_wh=3_000,
    self_discharge_ppm_per_hour=40,
)
TRAINING_FIRST_DAY = date(2016, 12, 1)
"""Forecasts are measured on the days from here, learned from the eleven months before."""
SEASON_DAYS = 7


def bench_agents(
    homes: int = HOMES, history_days: int = 330, forecast_days: int = 7
) -> dict[str, dict[str, float | int]]:
    """Time plans and slots of one day, and the learning of a forecast.

    Args:
        homes: how many, at most 99.
        history_days: to learn from, at least 14.
        forecast_days: how many days are forecast.
    Returns:
        per way of planning `plan_ms` (median of a home and day), `day_s` for plans and all slots
        of all homes; for the linear programme also `ours_s`, `baseline_s` and `ratio` of its plans
        against building each anew; under `forecast` `train_s` (with the first day), `day_s` and
        the errors in Wh.
    """
    scenario = builtin_scenario()
    past = load_profiles(scenario)
    figures = {
        planning.name.lower(): _day(planning, scenario, past, homes) for planning in Planning
    }
    figures["forecast"] = _forecast(scenario, history_days, forecast_days)
    return figures


def _planners(planning: Planning, past: Profiles, homes: int) -> list[HomePlanner]:
    solver = LinearSolver()
    return [
        HomePlanner(
            Home(participant_id=f"home-{row}", planning=planning, battery=BATTERY),
            past.slots[0],
            solver,
        )
        for row in range(homes)
    ]


def _plan_seconds(
    planners: list[HomePlanner], past: Profiles, net_wh: list[list[int]], prices: PlanPrices
) -> list[float]:
    slots, start_s = len(past.slots), past.slots[0].start_s
    seconds = []
    for planner, net in zip(planners, net_wh, strict=True):
        started = perf_counter()
        planner.plan(start_s, slots, net, prices, (slots,))
        seconds.append(perf_counter() - started)
    return seconds


def _day(
    planning: Planning, scenario: Scenario, past: Profiles, homes: int
) -> dict[str, float | int]:
    """Plans and slots of one day, each home with a part of the village's sun."""
    tariffs = [slot_prices(scenario.tariff, scenario.time_zone, slot) for slot in past.slots]
    slots = len(past.slots)
    reference = [REFERENCE_MICRO_PER_KWH + 100 * number for number in range(slots)]
    prices = expected_prices(tariffs, reference)
    load = past.load_wh[:homes, past.history :].tolist()
    sun = (past.pv_wh[:, past.history :].sum(axis=0) // 10).tolist()
    net_wh = [[one - other for one, other in zip(sun, row, strict=True)] for row in load]
    planners = _planners(planning, past, homes)
    seconds = _plan_seconds(planners, past, net_wh, prices)
    started = perf_counter()
    for planner, row in zip(planners, load, strict=True):
        for slot, used, made in zip(past.slots, row, sun, strict=True):
            planner.expected_net_wh(slot.start_s)
            planner.deliver(slot.start_s, used, made)
    figures: dict[str, float | int] = {
        "homes": homes,
        "slots": slots,
        "plan_ms": 1000 * median(seconds),
        "day_s": sum(seconds) + perf_counter() - started,
    }
    if planning is Planning.OPTIMISED:
        anew = [_planners(planning, past, 1)[0] for _ in range(homes)]
        baseline_s = sum(_plan_seconds(anew, past, net_wh, prices))
        figures |= {
            "ours_s": sum(seconds),
            "baseline_s": baseline_s,
            "ratio": baseline_s / sum(seconds),
        }
    return figures


def _forecast(scenario: Scenario, history_days: int, days: int) -> dict[str, float | int]:
    """Learn the village's habits and forecast some days."""
    longer = replace(
        scenario,
        first_day=TRAINING_FIRST_DAY,
        days=days,
        members=tuple(
            replace(member, agent=replace(member.agent, season_days=history_days))
            for member in scenario.members
        ),
    )
    past = load_profiles(longer)
    members, per_day = len(past.load_wh), 86_400 // scenario.slot_length_s
    seconds, metered, naive = [], [], []
    learned: dict[float, list[np.ndarray[tuple[int, ...], np.dtype[np.int64]]]] = {}
    forecast = LearnedForecast(past, ZoneInfo(scenario.time_zone), scenario.seed)
    for first, end in past.days:
        started = perf_counter()
        band = forecast.path(first, end - first)
        seconds.append(perf_counter() - started)
        columns = slice(past.history + first, past.history + end)
        metered.append(past.pv_wh[:, columns] - past.load_wh[:, columns])
        naive.append(seasonal_path(past, per_day, [SEASON_DAYS] * members, first, end - first))
        for share, values in band.quantiles().items():
            learned.setdefault(share, []).append(values)
    quantiles = {share: np.concatenate(rows, axis=1) for share, rows in learned.items()}
    errors = forecast_errors(
        np.concatenate(metered, axis=1), quantiles[0.5], np.concatenate(naive, axis=1), quantiles
    )
    return {
        "members": members,
        "history_days": history_days,
        "train_s": seconds[0],
        "day_s": median(seconds[1:] or seconds),
        "mae_wh": errors.mae_wh,
        "naive_mae_wh": errors.naive_mae_wh,
        "rmse_wh": errors.rmse_wh,
        "skill": errors.skill,
        **{f"below_{share}": value for share, value in errors.below.items()},
    }
