"""Goal: a battery's slot by hand, with every limit that can bind and every loss accounted for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gridpact.agents.storage import (
    Step,
    Storage,
    floors_uwh,
    missing_cell_wh,
    path,
    step,
    storage_of,
    storage_of_vehicle,
)
from gridpact.errors import InvariantError
from gridpact.model.assets import Battery, ElectricVehicle

WH = 10**6
BATTERY = Battery(
    capacity_wh=5_000,
    charge_w=2_000,
    discharge_w=3_000,
    charge_permille=900,
    discharge_permille=800,
    stored_initial_wh=1_000,
    stored_min_wh=500,
    stored_max_wh=4_500,
)
STORAGE = storage_of(BATTERY, 900)


def test_limits_by_hand() -> None:
    """2 kW and 3 kW for a quarter of an hour; 0.9 x 0.8 comes back; levels times 0.8."""
    assert Storage(500, 750, 720_000, 400 * WH, 3_600 * WH, 3_600 * WH, 3_600 * WH, 800_000) == (
        STORAGE
    )
    assert STORAGE.level_uwh(BATTERY.stored_initial_wh) == 800 * WH


def test_powers_round_down_to_whole_wh() -> None:
    odd = storage_of(replace(BATTERY, charge_w=1_003, discharge_w=3), 900)
    assert (odd.charge_max_wh, odd.discharge_max_wh) == (250, 0)


@pytest.mark.parametrize(
    ("wanted", "limits", "expected"),
    [
        # wanted, {limits}, charged, discharged, stored after, lost in conversion
        (100, {}, Step(100, 0, 872 * WH, 0, 28 * WH)),
        (-100, {}, Step(0, 100, 700 * WH, 0, 0)),
        (0, {}, Step(0, 0, 800 * WH, 0, 0)),
        (900, {}, Step(500, 0, 1_160 * WH, 0, 140 * WH)),  # power
        (900, {"charge_limit_wh": 40}, Step(40, 0, 828_800_000, 0, 11_200_000)),
        (-900, {}, Step(0, 400, 400 * WH, 0, 0)),  # the minimum, before the power of 750
        (-900, {"discharge_limit_wh": 5}, Step(0, 5, 795 * WH, 0, 0)),
        (-900, {"floor_uwh": 700 * WH + 1}, Step(0, 99, 701 * WH, 0, 0)),
        (0, {"floor_uwh": 801 * WH}, Step(2, 0, 801_440_000, 0, 560_000)),  # lifted to the floor
        (-50, {"floor_uwh": 801 * WH, "charge_limit_wh": 1}, Step(1, 0, 800_720_000, 0, 280_000)),
    ],
)
def test_a_slot_by_hand(wanted: int, limits: dict[str, int], expected: Step) -> None:
    assert step(STORAGE, 800 * WH, wanted, **limits) == expected


def test_a_full_battery_takes_whole_wh_only() -> None:
    nearly = STORAGE.max_uwh - 719_999
    assert step(STORAGE, nearly, 10).charged_wh == 0
    assert step(STORAGE, nearly - 1, 10).charged_wh == 1


def test_self_discharge_takes_from_above_the_minimum_and_rounds_against_the_battery() -> None:
    """1 % per hour, a quarter of an hour, on 400 Wh above the minimum: 1 Wh; half a uWh is lost."""
    leaky = storage_of(replace(BATTERY, self_discharge_ppm_per_hour=10_000), 900)
    taken = step(leaky, 800 * WH, 0)
    assert (taken.stored_uwh, taken.self_discharge_uwh) == (799 * WH, WH)
    assert step(leaky, 400 * WH + 1, 0) == Step(0, 0, 400 * WH, 1, 0)
    assert step(leaky, 400 * WH, 0).self_discharge_uwh == 0


def test_self_discharge_of_everything_in_one_slot_stops_at_the_minimum() -> None:
    sieve = storage_of(replace(BATTERY, self_discharge_ppm_per_hour=10**6), 86_400)
    assert step(sieve, 800 * WH, 0).stored_uwh == 400 * WH
    assert floors_uwh(sieve, [0, 0], [0, 500 * WH])[0] == sieve.max_uwh - sieve.gain_uwh + 1


@pytest.mark.parametrize("stored_uwh", [399 * WH, 3_601 * WH])
def test_a_state_outside_the_limits_is_a_bug(stored_uwh: int) -> None:
    with pytest.raises(InvariantError, match="outside"):
        step(STORAGE, stored_uwh, 0)


def test_a_path_is_a_row_of_steps() -> None:
    taken = path(STORAGE, 800 * WH, [100, -200, 0], charge_limit_wh=[50, 0, 0])
    assert taken.battery_wh == [50, -200, 0]
    assert taken.stored_uwh == [836 * WH, 636 * WH, 636 * WH]


def test_floors_by_hand() -> None:
    """Due 1,000 Wh after four slots that can charge 0, 100, 0, 500: 360 + 72 Wh come in time."""
    assert floors_uwh(STORAGE, [0, 100, 0, 900], [0, 0, 0, 1_000 * WH]) == [
        568 * WH,
        640 * WH,
        640 * WH,
        1_000 * WH,
    ]
    assert floors_uwh(STORAGE, [0, 0], [0, 0]) == [400 * WH, 400 * WH]


def test_floors_of_two_days() -> None:
    """What is due after the first day holds there, whatever the second day could still charge."""
    floors = floors_uwh(STORAGE, [500, 500, 500], [0, 900 * WH, 600 * WH])
    assert floors == [540 * WH, 900 * WH, 600 * WH]


def test_a_missing_part_of_a_wh_is_no_shortfall() -> None:
    """Steps of whole Wh cannot always meet the last part; from one charged Wh on it counts."""
    assert missing_cell_wh(STORAGE, 1_000 * WH - 719_999, 1_000 * WH) == 0
    assert missing_cell_wh(STORAGE, 1_000 * WH - 720_000, 1_000 * WH) == 1
    assert missing_cell_wh(STORAGE, 920 * WH, 1_000 * WH) == 100


def test_a_vehicle_is_a_battery_that_holds_what_it_has() -> None:
    car = ElectricVehicle(
        name="car", capacity_wh=50_000, charge_w=11_000, charge_permille=900, stays=()
    )
    storage = storage_of_vehicle(car, 900)
    assert step(storage, 0, 9_999) == Step(2_750, 0, 2_475 * WH, 0, 275 * WH)
    assert step(storage, 100 * WH, -50).discharged_wh == 0
    assert storage.max_uwh == 50_000 * WH
