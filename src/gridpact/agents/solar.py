"""Generation of a photovoltaic plant from the weather, in whole Wh per slot.

All times are UTC instants, so days of 23 and 25 hours need no care. pvlib and pandas are needed
for the sun's position and the plant, not for the simple model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.model.asset_checks import plant_problems, real_problems
from gridpact.quantize import wh_from_mean_kw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from gridpact.model import Slot
    from gridpact.model.assets import PvPlant
    from gridpact.quantize import FloatArray, IntArray

W_PER_KW = 1000.0
STEP_MAX_S = 900
"""Longer slots are summed over moments so far apart, as the sun moves within them."""
GAMMA_PER_DEGREE = -0.004
"""Loss of power per degree above 25 degrees of cell temperature; usual for crystalline cells."""
SYSTEM_LOSS_PERCENT = 14.0
"""Dirt, wiring, mismatch and the like; PVWatts' own figure."""
INVERTER_EFFICIENCY = 0.96
CLEAR_DAY_CELSIUS = 20.0
"""Air temperature where none is given."""
GHI_MAX_W_PER_M2 = 2000.0
"""No sky brings more; edges of clouds reach some 1,900 for moments."""
CELSIUS_MIN, CELSIUS_MAX = -90.0, 60.0


def pv_simple(
    area_m2: float, efficiency: float, irradiance_kw_per_m2: FloatArray, slot_length_s: int
) -> IntArray:
    """Energy of a panel from the radiation on it: area x efficiency x radiation.

    Args:
        area_m2: surface of the panel, >= 0.
        efficiency: share of the radiation that becomes electricity, 0..1.
        irradiance_kw_per_m2: mean over each slot, >= 0, any shape.
        slot_length_s: length of the slots.
    Returns:
        Wh per slot, the same shape.
    Raises:
        InputError: area, efficiency or radiation out of range.

    >>> pv_simple(10.0, 0.2, np.array([0.0, 0.5, 1.0]), 900).tolist()
    [0, 250, 500]

    Source: [CESDT23], eq. (1).
    """
    radiation = np.asarray(irradiance_kw_per_m2, dtype=np.float64)
    most = GHI_MAX_W_PER_M2 / W_PER_KW
    problems = real_problems("area_m2", area_m2, 0.0, 1e6, "m2")
    problems += real_problems("efficiency", efficiency, 0.0, 1.0, "as a share")
    problems += _first_outside("irradiance_kw_per_m2", radiation, 0.0, most, "kW/m2")
    if problems:
        raise InputError(problems)
    return wh_from_mean_kw(area_m2 * efficiency * radiation, slot_length_s)


def pv_energy_wh(
    plant: PvPlant,
    slots: Sequence[Slot],
    *,
    ghi_w_per_m2: FloatArray | None = None,
    air_celsius: FloatArray | None = None,
) -> IntArray:
    """Energy of a plant in each slot, from measured radiation or under a clear sky.

    The sun's position at the middle of each slot, or at several moments of slots longer than a
    quarter of an hour; radiation on a flat surface is split into direct and diffuse by Erbs'
    correlation and turned onto the panels by the Hay-Davies model; cells warm up by the
    Faiman model; PVWatts' figures for losses and inverter.

    Args:
        plant: where and how.
        slots: T slots of one length.
        ghi_w_per_m2: mean global horizontal radiation of each slot, shape (T,); the clear sky of
            the place (Ineichen, with the climate's turbidity) when None.
        air_celsius: mean air temperature of each slot, shape (T,); 20 degrees when None.
    Returns:
        shape (T,), Wh.
    Raises:
        InputError: everything that is wrong with plant and weather; or pvlib is not installed.

    Source: pvlib. Ours: the choice of models.
    """
    problems = plant_problems(plant)
    for name, values, low, high, unit in (
        ("ghi_w_per_m2", ghi_w_per_m2, 0.0, GHI_MAX_W_PER_M2, "W/m2"),
        ("air_celsius", air_celsius, CELSIUS_MIN, CELSIUS_MAX, "degrees Celsius"),
    ):
        if values is not None and values.shape != (len(slots),):
            message = f"shape {values.shape}; expected ({len(slots)},), one value for each slot"
            problems.append(Problem(name, message))
        elif values is not None:
            problems += _first_outside(name, values, low, high, unit)
    if problems:
        raise InputError(problems)
    if not slots:
        return np.zeros(0, dtype=np.int64)
    length_s = slots[0].length_s
    moments = -(-length_s // STEP_MAX_S)
    starts_s = np.asarray([slot.start_s for slot in slots], dtype=np.float64)
    offsets_s = (np.arange(moments) + 0.5) * length_s / moments
    power_kw = _power_kw(
        _pvlib(),
        plant,
        (starts_s[:, np.newaxis] + offsets_s).ravel(),
        None if ghi_w_per_m2 is None else np.repeat(ghi_w_per_m2, moments),
        None if air_celsius is None else np.repeat(air_celsius, moments),
    )
    return wh_from_mean_kw(power_kw.reshape(len(slots), moments).mean(axis=1), length_s)


def _power_kw(
    pvlib: ModuleType,
    plant: PvPlant,
    moments_s: FloatArray,
    ghi: FloatArray | None,
    air_celsius: FloatArray | None,
) -> FloatArray:
    """Power at each moment, kW."""
    import pandas as pd

    times = pd.to_datetime((moments_s * 1e9).astype(np.int64), utc=True)
    place = pvlib.location.Location(
        plant.latitude_deg, plant.longitude_deg, tz="UTC", altitude=plant.altitude_m
    )
    sun = place.get_solarposition(times)
    zenith = sun["apparent_zenith"].to_numpy()
    if ghi is None:
        sky = place.get_clearsky(times, model="ineichen", solar_position=sun)
        ghi, dni, dhi = (sky[name].to_numpy() for name in ("ghi", "dni", "dhi"))
    else:
        split = pvlib.irradiance.erbs(ghi, sun["zenith"].to_numpy(), times)
        dni, dhi = np.asarray(split["dni"]), np.asarray(split["dhi"])
    on_panel = pvlib.irradiance.get_total_irradiance(
        plant.tilt_deg,
        plant.azimuth_deg,
        zenith,
        sun["azimuth"].to_numpy(),
        dni,
        ghi,
        dhi,
        dni_extra=pvlib.irradiance.get_extra_radiation(times).to_numpy(),
        model="haydavies",
    )
    falling = np.maximum(np.nan_to_num(np.asarray(on_panel["poa_global"])), 0.0)
    air = np.full(len(falling), CLEAR_DAY_CELSIUS) if air_celsius is None else air_celsius
    cells = pvlib.temperature.faiman(falling, air)
    dc = pvlib.pvsystem.pvwatts_dc(falling, cells, plant.peak_kw, GAMMA_PER_DEGREE)
    dc = dc * (1 - SYSTEM_LOSS_PERCENT / 100)
    # An inverter as large as the panels, so that the rating is that of the plant.
    ac = pvlib.inverter.pvwatts(dc, max(plant.peak_kw, 1e-9) / INVERTER_EFFICIENCY)
    power: FloatArray = np.maximum(np.nan_to_num(np.asarray(ac)), 0.0)
    return power


def _pvlib() -> ModuleType:
    try:
        import pvlib
    except ImportError as error:
        message = (
            "generation from weather needs pvlib, which is not installed; install the extra: "
            "pip install 'gridpact[agents]', or give generation as a profile"
        )
        raise InputError([Problem("pv", message)]) from error
    module: ModuleType = pvlib
    return module


def _first_outside(
    name: str, values: FloatArray, low: float, high: float, unit: str
) -> list[Problem]:
    """The first value that is NaN or out of range, and how many more there are."""
    bad = np.flatnonzero(~((values >= low) & (values <= high)))
    if not bad.size:
        return []
    found = float(np.ravel(values)[bad[0]])
    more = f" ({bad.size - 1} more like it)" if bad.size > 1 else ""
    return real_problems(f"{name}[{bad[0]}]", found, low, high, unit + more)
