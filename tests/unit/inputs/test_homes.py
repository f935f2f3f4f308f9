"""Goal: times by the wall clock become the instants that a customer would mean.

Method: a scenario of the village in December and on the two days on which clocks change.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from tests.unit.inputs.meter_files import utc

from gridpact.agents import HomePlanner
from gridpact.inputs import builtin_scenario, homes_of, load_profiles
from gridpact.model import DeferrablePattern, HomePattern, Profiles, Scenario, VehiclePattern
from gridpact.model.assets import DailyWindow, Planning, Window, utc_text

EVERY_DAY = frozenset(range(7))
NIGHT = DailyWindow(EVERY_DAY, 22 * 60, 6 * 60)
CAR = VehiclePattern(
    name="car",
    capacity_wh=50_000,
    charge_w=11_000,
    charge_permille=950,
    discharge_w=0,
    discharge_permille=1000,
    at_home=NIGHT,
    arrival_wh=20_000,
    needed_wh=30_000,
)
WASH = DeferrablePattern(
    name="wash", energy_wh=2_000, power_w=2_000, interruptible=False, window=NIGHT
)


def village(first_day: date, days: int, pattern: HomePattern | None) -> tuple[Scenario, Profiles]:
    """One member of the built-in village, owning what the pattern says."""
    scenario = builtin_scenario()
    (member, *_) = scenario.members
    scenario = replace(
        scenario, first_day=first_day, days=days, members=(replace(member, home=pattern),)
    )
    return scenario, load_profiles(scenario)


def owning(*, wash: DailyWindow | None = None, car: DailyWindow | None = None) -> HomePattern:
    return HomePattern(
        planning=Planning.SELF_CONSUMPTION,
        deferrable=() if wash is None else (replace(WASH, window=wash),),
        vehicles=() if car is None else (replace(CAR, at_home=car),),
    )


def stays(first_day: date, days: int, at_home: DailyWindow) -> list[tuple[str, str]]:
    scenario, profiles = village(first_day, days, owning(car=at_home))
    (home,) = homes_of(scenario, profiles).values()
    HomePlanner(home, profiles.slots[0])
    (car,) = home.vehicles
    return [(utc_text(stay.arrival_s), utc_text(stay.departure_s)) for stay in car.stays]


def windows(first_day: date, days: int, window: DailyWindow) -> tuple[Window, ...]:
    scenario, profiles = village(first_day, days, owning(wash=window))
    (home,) = homes_of(scenario, profiles).values()
    HomePlanner(home, profiles.slots[0])
    return home.deferrable[0].windows


def test_members_without_a_home_are_left_out() -> None:
    assert homes_of(*village(date(2016, 6, 9), 1, None)) == {}


def test_the_built_in_village_can_be_planned() -> None:
    scenario = builtin_scenario()
    profiles = load_profiles(scenario)
    homes = homes_of(scenario, profiles)
    assert set(homes) == {m.participant_id for m in scenario.members if m.pv_column}
    for name, home in homes.items():
        assert home.participant_id == name
        assert HomePlanner(home, profiles.slots[0]).stored_uwh == 5_000 * 950_000


def test_everything_is_carried_over() -> None:
    built_in = builtin_scenario()
    battery = next(m.home.battery for m in built_in.members if m.home is not None)
    pattern = replace(
        owning(wash=NIGHT, car=NIGHT),
        planning=Planning.ARBITRAGE,
        battery=battery,
        export_max_w=5_000,
    )
    scenario, profiles = village(date(2016, 6, 9), 1, pattern)
    ((name, home),) = homes_of(scenario, profiles).items()
    assert name == home.participant_id == scenario.members[0].participant_id
    assert (home.planning, home.battery, home.export_max_w) == (
        Planning.ARBITRAGE,
        battery,
        5_000,
    )
    (wash,), (car,) = home.deferrable, home.vehicles
    assert (wash.name, wash.energy_wh, wash.power_w, wash.interruptible) == (
        "wash",
        2_000,
        2_000,
        False,
    )
    assert (car.capacity_wh, car.charge_w, car.charge_permille) == (50_000, 11_000, 950)
    assert (car.discharge_w, car.discharge_permille) == (0, 1000)
    assert {(stay.arrival_wh, stay.needed_wh) for stay in car.stays} == {(20_000, 30_000)}


def test_a_stay_that_is_running_at_the_first_slot_counts() -> None:
    assert stays(date(2016, 12, 6), 2, NIGHT) == [
        ("2016-12-05 21:00Z", "2016-12-06 05:00Z"),
        ("2016-12-06 21:00Z", "2016-12-07 05:00Z"),
        ("2016-12-07 21:00Z", "2016-12-08 05:00Z"),
    ]


def test_what_is_over_before_the_first_slot_does_not_count() -> None:
    noon = DailyWindow(EVERY_DAY, 12 * 60, 14 * 60)
    assert stays(date(2016, 12, 6), 1, noon) == [("2016-12-06 11:00Z", "2016-12-06 13:00Z")]
    until_midnight = DailyWindow(EVERY_DAY, 22 * 60, 0)
    assert stays(date(2016, 12, 6), 1, until_midnight) == [
        ("2016-12-06 21:00Z", "2016-12-06 23:00Z")
    ]


def test_days_on_which_it_begins() -> None:
    mondays = DailyWindow(frozenset({0}), 22 * 60, 6 * 60)
    assert stays(date(2016, 12, 6), 7, mondays) == [
        ("2016-12-05 21:00Z", "2016-12-06 05:00Z"),
        ("2016-12-12 21:00Z", "2016-12-13 05:00Z"),
    ]
    assert stays(date(2016, 12, 7), 1, mondays) == []


@pytest.mark.parametrize(
    ("day", "night_hours", "early_hours"),
    [(date(2016, 3, 26), 7, None), (date(2016, 10, 29), 9, 2), (date(2016, 6, 9), 8, 1)],
    ids=["23 hours", "25 hours", "24 hours"],
)
def test_nights_on_which_the_clocks_change(
    day: date, night_hours: int, early_hours: int | None
) -> None:
    """From 22 to 06 an hour less or more; from 02 to 03 not at all, or two hours."""
    night = windows(day, 2, NIGHT)
    assert [(window.end_s - window.start_s) // 3600 for window in night[1:2]] == [night_hours]
    early = windows(day, 2, DailyWindow(EVERY_DAY, 2 * 60, 3 * 60))
    hours = [(window.end_s - window.start_s) // 3600 for window in early]
    assert hours == [1] if early_hours is None else [1, early_hours]


def test_the_run_may_begin_on_the_day_after_the_change() -> None:
    """The night before is the short one, and it is still running at midnight."""
    assert windows(date(2016, 3, 27), 1, NIGHT)[0] == Window(
        utc("2016-03-26T21:00"), utc("2016-03-27T04:00")
    )
    assert windows(date(2016, 10, 30), 1, NIGHT)[0] == Window(
        utc("2016-10-29T20:00"), utc("2016-10-30T05:00")
    )


@pytest.mark.parametrize(("to_minute", "counts"), [(60, True), (45, False)])
def test_a_load_that_no_longer_fits_was_done_the_evening_before(
    to_minute: int, counts: bool
) -> None:
    """One hour of washing: of the window that is open at midnight, one hour or less is left."""
    found = windows(date(2016, 12, 6), 1, DailyWindow(EVERY_DAY, 22 * 60, to_minute))
    assert [window.start_s < utc("2016-12-05T23:00") for window in found] == (
        [True, False] if counts else [False]
    )
