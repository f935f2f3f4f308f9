"""Goal: generation follows sun and weather, on UTC instants, and bad weather data is named."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from gridpact.agents import pv_energy_wh, pv_simple
from gridpact.errors import InputError
from gridpact.model import Slot
from gridpact.model.assets import PvPlant

PLANT = PvPlant(
    latitude_deg=51.0, longitude_deg=10.0, tilt_deg=35.0, azimuth_deg=180.0, peak_kw=10.0
)
JUNE_S = 1_718_841_600  # 2024-06-20 00:00Z
DECEMBER_S = 1_734_652_800  # 2024-12-20 00:00Z


def day(start_s: int, length_s: int = 900) -> list[Slot]:
    return [Slot(start_s + i * length_s, length_s) for i in range(86_400 // length_s)]


def test_the_simple_model() -> None:
    """20 m2 at 18 % under 0.8 kW/m2 for half an hour: 1.44 kWh. Source: [CESDT23], eq. (1)."""
    assert pv_simple(20.0, 0.18, np.array([0.8]), 1800).tolist() == [1440]


def test_the_simple_model_names_everything_that_is_wrong() -> None:
    with pytest.raises(InputError) as caught:
        pv_simple(-1.0, 1.5, np.array([0.1, float("nan"), -3.0]), 900)
    assert [problem.where for problem in caught.value.problems] == [
        "area_m2",
        "efficiency",
        "irradiance_kw_per_m2[1]",
    ]
    assert "1 more like it" in str(caught.value)


def test_a_clear_day_in_june_and_december() -> None:
    """10 kW at 51 north yield some 58 and 18 kWh on a clear day, most of it around noon."""
    june, december = (pv_energy_wh(PLANT, day(start_s)) for start_s in (JUNE_S, DECEMBER_S))
    assert 50_000 < june.sum() < 65_000
    assert 12_000 < december.sum() < 25_000
    assert june[:12].sum() == june[84:].sum() == 0  # before 3 and after 21 UTC
    assert 42 <= int(june.argmax()) <= 48  # noon is at 11:20 UTC ten degrees east
    assert june.max() <= 2_500


def test_east_peaks_before_west() -> None:
    east, west = (
        pv_energy_wh(replace(PLANT, azimuth_deg=azimuth), day(JUNE_S)) for azimuth in (90.0, 270.0)
    )
    assert int(east.argmax()) + 12 < int(west.argmax())
    assert abs(int(east.sum()) - int(west.sum())) < 0.1 * east.sum()


def test_the_south_has_its_summer_in_december() -> None:
    sydney = replace(PLANT, latitude_deg=-33.9, longitude_deg=151.2, azimuth_deg=0.0)
    assert pv_energy_wh(sydney, day(DECEMBER_S)).sum() > pv_energy_wh(sydney, day(JUNE_S)).sum()


def test_slots_of_an_hour_hold_what_their_quarters_hold() -> None:
    quarters = pv_energy_wh(PLANT, day(JUNE_S)).reshape(24, 4).sum(axis=1)
    hours = pv_energy_wh(PLANT, day(JUNE_S, 3600))
    assert np.abs(quarters - hours).max() <= 2  # each quarter is rounded


def test_measured_radiation_scales_and_heat_costs() -> None:
    ghi = np.full(96, 0.0)
    ghi[30:60] = 500.0
    cool, hot = (
        pv_energy_wh(PLANT, day(JUNE_S), ghi_w_per_m2=ghi, air_celsius=np.full(96, celsius))
        for celsius in (0.0, 40.0)
    )
    assert cool[:30].sum() == cool[60:].sum() == 0
    assert 0.75 * cool.sum() < hot.sum() < 0.92 * cool.sum()
    half = pv_energy_wh(PLANT, day(JUNE_S), ghi_w_per_m2=ghi / 2)
    assert half.sum() < 0.65 * pv_energy_wh(PLANT, day(JUNE_S), ghi_w_per_m2=ghi).sum()


def test_days_of_23_and_25_hours_need_no_care() -> None:
    """Instants are instants: the slots of Berlin's short day are the middle of two UTC days."""
    start_s = 1_711_839_600  # 2024-03-31 00:00 in Berlin, 92 quarter hours long
    short = [Slot(start_s + i * 900, 900) for i in range(92)]
    around = [Slot(start_s - 3_600 + i * 900, 900) for i in range(100)]
    assert (pv_energy_wh(PLANT, short) == pv_energy_wh(PLANT, around)[4:96]).all()


def test_no_plant_and_no_slots() -> None:
    assert pv_energy_wh(replace(PLANT, peak_kw=0.0), day(JUNE_S)).sum() == 0
    assert pv_energy_wh(PLANT, []).tolist() == []


def test_bad_plant_and_weather_are_named_together() -> None:
    with pytest.raises(InputError) as caught:
        pv_energy_wh(
            replace(PLANT, latitude_deg=91.0),
            day(JUNE_S),
            ghi_w_per_m2=np.zeros(95),
            air_celsius=np.full(96, float("nan")),
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "latitude_deg: 91 is out of range; allowed: -90 to 90 degrees, + north",
        "ghi_w_per_m2: shape (95,); expected (96,), one value for each slot",
        "air_celsius[0]: nan is out of range; allowed: -90 to 60 degrees Celsius (95 more like it)",
    ]


def test_without_pvlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pvlib", None)
    with pytest.raises(InputError, match=r"gridpact\[agents\]"):
        pv_energy_wh(PLANT, day(JUNE_S))
