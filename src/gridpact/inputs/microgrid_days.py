"""Days of microgrids: those that ship with the package, and the user's own files."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.inputs.microgrids import MicrogridWindow, load_microgrids
from gridpact.inputs.profiles import load_profiles
from gridpact.inputs.scenario import builtin_scenario
from gridpact.inputs.tariffs import slot_prices
from gridpact.model import MicrogridBid, MicrogridTerms, Storage, Turbine
from gridpact.model.microgrid_day import MicrogridDay

if TYPE_CHECKING:
    from gridpact.quantize import IntArray

BUILTIN_DAYS = ("aeps22", "rural-quarters")
START_S = 1_717_200_000
"""2024-06-01 00:00 UTC: files of windows name no date."""
HOUR_S = 3600
QUARTERS = 4
NAMES = ("north", "east", "south", "west")
UWH_PER_WH = 10**6


def microgrid_day(source: Path | None) -> MicrogridDay:
    """A day to run.

    Args:
        source: the name of a built-in day, a JSON file like that of `aeps22`, or None for `aeps22`.
    Raises:
        InputError: the file cannot be read, or all that is wrong in it.
    """
    if source is None or str(source) == "aeps22":
        return _of_window(standin_window(), "aeps22")
    if str(source) == "rural-quarters":
        return rural_quarters()
    return _of_window(load_microgrids(source), source.stem.lower())


def standin_window() -> MicrogridWindow:
    """The four microgrids that stand in for those of [AEPS22], whose data are not printed."""
    file = resources.files("gridpact").joinpath("data", "microgrids", "aeps22.json")
    with resources.as_file(file) as path:
        return load_microgrids(path)


def _of_window(window: MicrogridWindow, name: str) -> MicrogridDay:
    names = tuple(each.lower() for each in window.ids)
    if len(set(names)) != len(names):
        message = "ids differ by capital letters only; give each another"
        raise InputError([Problem(f"{name}: microgrids", message)])
    return MicrogridDay(name, "USD", names, window.terms, window.bids, START_S, HOUR_S)


def rural_quarters() -> MicrogridDay:
    """The homes of the built-in day as four microgrids, a quarter of the list each.

    Loads and generation are those of SimBench; storage, turbine and green demand are ours: half the
    load should be green, a storage holds two hours of the mean load, and there is no turbine.
    """
    scenario = builtin_scenario()
    profiles = load_profiles(scenario)
    first, end = profiles.days[0]
    hours = slice(profiles.history + first, profiles.history + end)
    per_hour = HOUR_S // scenario.slot_length_s
    load, sun = (_hourly(wh[:, hours], per_hour) for wh in (profiles.load_wh, profiles.pv_wh))
    groups = np.array_split(np.arange(len(load)), QUARTERS)
    prices = [
        slot_prices(scenario.tariff, scenario.time_zone, slot)
        for slot in profiles.slots[first:end:per_hour]
    ]
    terms = MicrogridTerms(
        retail_micro_per_kwh=[price.retail_micro_per_kwh for price in prices],
        feed_in_micro_per_kwh=[price.feed_in_micro_per_kwh for price in prices],
        fee_per_side_micro_per_kwh=prices[0].network_fee_micro_per_kwh,
        end_micro_per_kwh=1_000_000,
    )
    bids = tuple(_bid(load[group].sum(axis=0), sun[group].sum(axis=0)) for group in groups)
    start_s = profiles.slots[first].start_s
    return MicrogridDay("rural-quarters", scenario.currency, NAMES, terms, bids, start_s, HOUR_S)


def _hourly(energy_wh: IntArray, per_hour: int) -> IntArray:
    members, slots = energy_wh.shape
    hourly: IntArray = energy_wh.reshape(members, slots // per_hour, per_hour).sum(axis=2)
    return hourly


def _bid(load_wh: IntArray, sun_wh: IntArray) -> MicrogridBid:
    mean_wh = int(load_wh.mean())
    capacity = 2 * mean_wh * UWH_PER_WH
    return MicrogridBid(
        load_wh=load_wh.tolist(),
        green_demand_wh=(load_wh // 2).tolist(),
        renewable_wh=sun_wh.tolist(),
        shortage_micro_per_kwh=50_000,
        turbine=Turbine(0, 0, 0),
        storage=Storage(mean_wh // 2, 950, 950, 0, capacity, capacity // 2, capacity // 2),
    )
