"""Goal: every slot gets the prices that a customer would read off clock and calendar."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.inputs import slot_prices
from gridpact.model import Slot, Tariff, TariffWindow

ALL_DAYS = frozenset(range(7))
WORKING_DAYS = frozenset(range(5))
BASE = 300_000


def tariff(*windows: TariffWindow) -> Tariff:
    return Tariff(
        region="local",
        retail_micro_per_kwh=BASE,
        feed_in_micro_per_kwh=80_000,
        network_fee_micro_per_kwh=50_000,
        windows=windows,
    )


def window(days: frozenset[int], begin: str, end: str, retail: int) -> TariffWindow:
    def minute(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    return TariffWindow(days, minute(begin), minute(end), retail, 90_000)


def slot(utc: str) -> Slot:
    return Slot(int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()), 900)


def retail(tariff: Tariff, utc: str, zone: str = "Europe/Berlin") -> int:
    return slot_prices(tariff, zone, slot(utc)).retail_micro_per_kwh


def retail_of_day(tariff: Tariff, start_utc: str, hours: int, zone: str) -> list[int]:
    """Retail price of each hour of a local day, in thousands."""
    start_s = slot(start_utc).start_s
    prices = [slot_prices(tariff, zone, Slot(start_s + h * 3600, 3600)) for h in range(hours)]
    return [price.retail_micro_per_kwh // 1000 for price in prices]


EVENING = window(WORKING_DAYS, "17:00", "20:00", 400_000)


@pytest.mark.parametrize(
    ("utc", "expected"),
    [
        ("2016-06-09T14:45", BASE),  # 16:45 on a Thursday
        ("2016-06-09T15:00", 400_000),  # 17:00
        ("2016-06-09T17:45", 400_000),  # 19:45
        ("2016-06-09T18:00", BASE),  # 20:00
        ("2016-06-11T15:00", BASE),  # 17:00 on a Saturday
        ("2016-01-07T16:00", 400_000),  # 17:00 in winter
    ],
)
def test_window_holds_by_local_time(utc: str, expected: int) -> None:
    assert retail(tariff(EVENING), utc) == expected


def test_window_sets_all_but_the_fee() -> None:
    prices = slot_prices(tariff(EVENING), "Europe/Berlin", slot("2016-06-09T15:00"))
    assert prices.feed_in_micro_per_kwh == 90_000
    assert prices.network_fee_micro_per_kwh == 50_000


def test_last_window_wins() -> None:
    peak = window(ALL_DAYS, "18:00", "19:00", 500_000)
    assert retail(tariff(EVENING, peak), "2016-06-09T16:00") == 500_000
    assert retail(tariff(peak, EVENING), "2016-06-09T16:00") == 400_000


def test_window_past_midnight_belongs_to_the_day_it_begins() -> None:
    friday_night = window(frozenset({4}), "22:00", "06:00", 200_000)
    zone = "+01:00"
    assert retail(tariff(friday_night), "2016-06-10T20:45", zone) == BASE
    assert retail(tariff(friday_night), "2016-06-10T21:00", zone) == 200_000  # Friday 22:00
    assert retail(tariff(friday_night), "2016-06-11T04:45", zone) == 200_000  # Saturday 05:45
    assert retail(tariff(friday_night), "2016-06-11T05:00", zone) == BASE
    assert retail(tariff(friday_night), "2016-06-10T04:45", zone) == BASE  # Friday 05:45
    assert retail(tariff(friday_night), "2016-06-11T21:00", zone) == BASE  # Saturday 22:00


def test_sunday_night_reaches_into_monday() -> None:
    sunday_night = window(frozenset({6}), "22:00", "06:00", 200_000)
    assert retail(tariff(sunday_night), "2016-06-13T04:45", "+01:00") == 200_000


def test_days_on_which_clocks_change() -> None:
    """Berlin 2016: 27 March has no 02:00-03:00, 30 October has it twice."""
    night = tariff(window(ALL_DAYS, "02:00", "03:00", 200_000))
    morning = tariff(window(ALL_DAYS, "03:00", "05:00", 200_000))
    spring, autumn = (
        ("2016-03-26T23:00", 23, "Europe/Berlin"),
        (
            "2016-10-29T22:00",
            25,
            "Europe/Berlin",
        ),
    )
    assert retail_of_day(night, *spring) == [300] * 23
    assert retail_of_day(night, *autumn) == [300] * 2 + [200] * 2 + [300] * 21
    assert retail_of_day(morning, *spring) == [300] * 2 + [200] * 2 + [300] * 19
    assert retail_of_day(morning, *autumn) == [300] * 4 + [200] * 2 + [300] * 19


@given(
    st.lists(
        st.builds(
            TariffWindow,
            st.frozensets(st.integers(0, 6), min_size=1),
            st.integers(0, 1439),
            st.integers(1, 1440),
            st.integers(200_000, 400_000),
            st.just(80_000),
        ),
        max_size=4,
    ),
    st.integers(0, 7 * 1440 - 1),
)
def test_agrees_with_marking_every_minute_of_a_week(windows: list[TariffWindow], at: int) -> None:
    """The dumb way: paint each window minute by minute onto a week that repeats."""
    week = [BASE] * (7 * 1440)
    for one in windows:
        length = (one.to_minute - one.from_minute - 1) % 1440 + 1
        for day in one.days:
            for minute in range(length):
                week[(day * 1440 + one.from_minute + minute) % len(week)] = one.retail_micro_per_kwh
    monday = datetime(2016, 6, 6, tzinfo=UTC)
    prices = slot_prices(tariff(*windows), "+00:00", Slot(int(monday.timestamp()) + at * 60, 60))
    assert prices.retail_micro_per_kwh == week[at]
