"""Goal: wall-clock windows become the right instants, and every fault of a home is named at once.

Each broken twin differs from the sound home in one thing; its message says what is allowed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from gridpact.model import Slot
from gridpact.model.asset_checks import home_problems, plant_problems
from gridpact.model.assets import (
    Battery,
    DailyWindow,
    DeferrableLoad,
    ElectricVehicle,
    FlexibleLoad,
    Home,
    PvPlant,
    Shortfall,
    Stay,
    Window,
    room_wh,
    whole_slots,
)

BERLIN = ZoneInfo("Europe/Berlin")
ALL_DAYS = frozenset(range(7))
SLOT = Slot(1_465_423_200, 900)
T0 = SLOT.start_s


# Windows


@pytest.mark.parametrize(
    ("day", "window", "expected"),
    [
        # an ordinary day in summer time
        (date(2024, 6, 5), (8 * 60, 20 * 60), "2024-06-05 06:00Z to 2024-06-05 18:00Z"),
        # over midnight, and to the end of the day
        (date(2024, 6, 5), (22 * 60, 6 * 60), "2024-06-05 20:00Z to 2024-06-06 04:00Z"),
        (date(2024, 6, 5), (18 * 60, 24 * 60), "2024-06-05 16:00Z to 2024-06-05 22:00Z"),
        (date(2024, 6, 5), (0, 0), "2024-06-04 22:00Z to 2024-06-05 22:00Z"),
        # the night of 23 hours: an hour less, and what begins in the gap begins at the jump
        (date(2024, 3, 31), (0, 6 * 60), "2024-03-30 23:00Z to 2024-03-31 04:00Z"),
        (date(2024, 3, 31), (2 * 60 + 30, 4 * 60), "2024-03-31 01:00Z to 2024-03-31 02:00Z"),
        # the night of 25 hours: an hour more; of a time that comes twice the first counts
        (date(2024, 10, 27), (0, 6 * 60), "2024-10-26 22:00Z to 2024-10-27 05:00Z"),
        (date(2024, 10, 27), (2 * 60, 4 * 60), "2024-10-27 00:00Z to 2024-10-27 03:00Z"),
    ],
)
def test_windows_follow_the_wall_clock(day: date, window: tuple[int, int], expected: str) -> None:
    (found,) = DailyWindow(ALL_DAYS, *window).windows(day, 1, BERLIN)
    assert str(found) == expected


def test_a_skipped_window_is_absent() -> None:
    assert DailyWindow(ALL_DAYS, 120, 180).windows(date(2024, 3, 31), 1, BERLIN) == ()
    # Samoa left out 30 December 2011 altogether
    whole_day = DailyWindow(ALL_DAYS, 0, 1440).windows(
        date(2011, 12, 29), 3, ZoneInfo("Pacific/Apia")
    )
    assert [(one.end_s - one.start_s) // 3600 for one in whole_day] == [24, 24]


def test_weekdays_are_those_on_which_a_window_begins() -> None:
    friday_night = DailyWindow(frozenset({4}), 22 * 60, 2 * 60)
    found = friday_night.windows(date(2024, 6, 3), 14, BERLIN)
    assert [datetime.fromtimestamp(one.start_s, UTC).day for one in found] == [7, 14]


def test_room_counts_slot_by_slot() -> None:
    assert room_wh(Window(T0, T0 + 1800), 1_000, SLOT) == 500
    assert room_wh(Window(T0 + 100, T0 + 200), 3_600, SLOT) == 100
    assert room_wh(Window(T0 - 450, T0 + 450), 1_001, SLOT) == 125 + 125
    assert room_wh(Window(T0 + 900, T0 + 900), 1_000, SLOT) == 0
    assert whole_slots(Window(T0 - 450, T0 + 2_000), SLOT) == 2
    assert whole_slots(Window(T0 + 100, T0 + 800), SLOT) == 0


# What is wrong with a home

BATTERY = Battery(
    capacity_wh=5_000,
    charge_w=2_500,
    discharge_w=2_500,
    charge_permille=950,
    discharge_permille=950,
    stored_initial_wh=1_000,
    stored_min_wh=500,
    stored_max_wh=5_000,
    stored_final_wh=1_000,
)
WASH = DeferrableLoad("wash", 1_200, 2_000, False, (Window(T0, T0 + 7_200),))
PUMP = FlexibleLoad("pump", 100, 300, 500, 200_000)
CAR = ElectricVehicle(
    name="car",
    capacity_wh=50_000,
    charge_w=11_000,
    charge_permille=900,
    stays=(Stay(T0, T0 + 36_000, 20_000, 40_000),),
)
HOME = Home(
    participant_id="anna", battery=BATTERY, deferrable=(WASH,), flexible=(PUMP,), vehicles=(CAR,)
)


def test_a_sound_home_has_no_problems() -> None:
    assert home_problems(HOME, SLOT) == []


@pytest.mark.parametrize(
    ("home", "where", "words"),
    [
        (
            replace(HOME, battery=replace(BATTERY, stored_initial_wh=499)),
            "anna: battery.stored_initial_wh",
            "499 Wh is out of range; allowed: 500 to 5000",
        ),
        (
            replace(HOME, battery=replace(BATTERY, stored_initial_wh=5_001)),
            "anna: battery.stored_initial_wh",
            "allowed: 500 to 5000",
        ),
        (
            replace(HOME, battery=replace(BATTERY, stored_final_wh=-1)),
            "anna: battery.stored_final_wh",
            "allowed: 0 to 5000",
        ),
        (
            replace(HOME, battery=replace(BATTERY, stored_max_wh=5_001)),
            "anna: battery.stored_max_wh",
            "allowed: 0 to 5000",
        ),
        (
            replace(HOME, battery=replace(BATTERY, charge_permille=0)),
            "anna: battery.charge_permille",
            "allowed: 1 to 1000",
        ),
        (
            replace(HOME, battery=replace(BATTERY, discharge_w=-5)),
            "anna: battery.discharge_w",
            "-5 W is out of range",
        ),
        (replace(HOME, export_max_w=-1), "anna.export_max_w", "-1 W"),
        (
            replace(
                HOME,
                deferrable=(
                    replace(WASH, energy_wh=3_600, windows=(Window(T0 + 60, T0 + 7_260),)),
                ),
            ),
            "anna: wash.windows",
            "2016-06-08 22:01Z to 2016-06-09 00:01Z is too short for 3600 Wh at 2000 W, in 8 whole",
        ),
        (
            replace(HOME, deferrable=(replace(WASH, energy_wh=4_001, interruptible=True),)),
            "anna: wash.windows",
            "too short for 4001 Wh at 2000 W; widen the window",
        ),
        (
            replace(HOME, deferrable=(replace(WASH, power_w=3),)),
            "anna: wash.windows",
            "too short",
        ),
        (
            replace(HOME, deferrable=(replace(WASH, windows=(Window(T0 + 9, T0), *WASH.windows)),)),
            "anna: wash.windows[0]",
            "not after its start",
        ),
        (
            replace(HOME, deferrable=(replace(WASH, windows=WASH.windows * 2),)),
            "anna: wash.windows[1]",
            "put them in order",
        ),
        (
            replace(HOME, flexible=(replace(PUMP, power_nominal_w=600),)),
            "anna: pump.power_nominal_w",
            "allowed: 100 to 500",
        ),
        (
            replace(HOME, flexible=(replace(PUMP, disutility_micro_per_kw2h=0),)),
            "anna: pump.disutility_micro_per_kw2h",
            "allowed: 1 to",
        ),
        (
            replace(HOME, vehicles=(replace(CAR, stays=(Stay(T0, T0 - 60, 0, 0),)),)),
            "anna: car.stays[0]",
            "a departure comes after the arrival",
        ),
        (
            replace(HOME, vehicles=(replace(CAR, stays=(Stay(T0, T0 + 60, 0, 50_001),)),)),
            "anna: car.stays[0].needed_wh",
            "50001 Wh is out of range; allowed: 0 to 50000",
        ),
        (
            replace(HOME, vehicles=(replace(CAR, stays=(Stay(T0, T0 + 3_600, 20_000, 40_000),)),)),
            "anna: car.stays",
            "too short to charge 22223 Wh at 11000 W, from 20000 to 40000 Wh at 900 permille",
        ),
        (
            replace(HOME, flexible=(replace(PUMP, name="wash"),)),
            "anna: wash",
            "is the name of something else too",
        ),
        (
            replace(HOME, flexible=(replace(PUMP, name="battery"),)),
            "anna: battery",
            "rename it",
        ),
    ],
)
def test_a_broken_twin_is_named(home: Home, where: str, words: str) -> None:
    (problem,) = home_problems(home, SLOT)
    assert problem.where == where
    assert words in problem.message


def test_all_problems_at_once() -> None:
    home = replace(
        HOME,
        battery=replace(BATTERY, charge_w=-1, wear_micro_per_kwh=-1, stored_final_wh=9_999),
        flexible=(replace(PUMP, power_max_w=-1),),
        vehicles=(replace(CAR, charge_w=0),),
    )
    assert len(home_problems(home, SLOT)) == 5


def test_many_short_windows_are_one_problem() -> None:
    short = tuple(Window(T0 + day * 86_400, T0 + day * 86_400 + 900) for day in range(30))
    (problem,) = home_problems(replace(HOME, deferrable=(replace(WASH, windows=short),)), SLOT)
    assert "(and 29 more like it)" in problem.message


def test_a_plant_that_cannot_be() -> None:
    plant = PvPlant(latitude_deg=51, longitude_deg=10, tilt_deg=35, azimuth_deg=180, peak_kw=5)
    assert plant_problems(plant) == []
    broken = replace(plant, latitude_deg=float("nan"), tilt_deg=91, peak_kw=-1)
    assert [problem.where for problem in plant_problems(broken)] == [
        "latitude_deg",
        "tilt_deg",
        "peak_kw",
    ]


def test_a_shortfall_speaks() -> None:
    assert str(Shortfall("anna", "car", T0, 12)) == "anna: car is 12 Wh short at 2016-06-08 22:00Z"
