"""Tariffs: the table of a scenario file, and the prices that hold in one slot.

Windows follow the wall clock of the scenario's time zone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from gridpact.inputs.calendar import SECONDS_PER_MINUTE, parse_zone
from gridpact.inputs.daily import WEEKDAYS, check_span, read_days, read_minute
from gridpact.inputs.tables import shown
from gridpact.model import SlotPrices, Tariff, TariffWindow
from gridpact.model.assets import MINUTES_PER_DAY
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from gridpact.inputs.tables import TableReader
    from gridpact.model import Slot

PRICE_KEYS = ("feed_in_micro_per_kwh", "retail_micro_per_kwh")


def slot_prices(tariff: Tariff, time_zone: str, slot: Slot) -> SlotPrices:
    """Prices of a slot: those of the last window that holds at its start, else the base prices.

    A window from 02:00 to 03:00 does not occur on the day that skips this hour, and lasts two
    hours on the day that has it twice. A window that passes midnight belongs to the day on which
    it begins.

    Raises:
        ValueError: `time_zone` is unknown; scenarios from files have been checked.
    """
    start = datetime.fromtimestamp(slot.start_s, parse_zone(time_zone))
    minute = start.hour * 60 + start.minute
    prices: Tariff | TariffWindow = tariff
    for window in tariff.windows:
        if _holds(window, start.weekday(), minute):
            prices = window
    return SlotPrices(
        retail_micro_per_kwh=prices.retail_micro_per_kwh,
        feed_in_micro_per_kwh=prices.feed_in_micro_per_kwh,
        network_fee_micro_per_kwh=tariff.network_fee_micro_per_kwh,
    )


def _holds(window: TariffWindow, weekday: int, minute: int) -> bool:
    if window.from_minute < window.to_minute:
        return weekday in window.days and window.from_minute <= minute < window.to_minute
    return (weekday in window.days and minute >= window.from_minute) or (
        (weekday - 1) % len(WEEKDAYS) in window.days and minute < window.to_minute
    )


def read_tariff(table: TableReader, region: str, slot_length_s: int) -> Tariff:
    """The [tariff] table with its windows; problems are noted in the reader.

    Args:
        table: the table.
        region: where the network fee is booked.
        slot_length_s: windows must begin and end with a slot.
    """
    base = Tariff(
        region=region,
        retail_micro_per_kwh=_price(table, "retail_micro_per_kwh"),
        feed_in_micro_per_kwh=_price(table, "feed_in_micro_per_kwh"),
        network_fee_micro_per_kwh=_price(table, "network_fee_micro_per_kwh"),
        windows=(),
    )
    known = not table.faulty(*PRICE_KEYS, "network_fee_micro_per_kwh")
    if known:
        _check_room(table, base, base)
    windows = []
    for row in table.tables("window"):
        windows.append(_window(row, base, slot_length_s))
        if known and not row.faulty(*PRICE_KEYS):
            _check_room(row, base, windows[-1])
    table.finish()
    return replace(base, windows=tuple(windows))


def _price(table: TableReader, key: str, default: int | None = None) -> int:
    remedy = "give micro-currency per kWh: 0.32 per kWh is 320000"
    return table.integer(key, 0, QUANTITY_MAX, default=default, remedy=remedy)


def _check_room(table: TableReader, base: Tariff, prices: Tariff | TariffWindow) -> None:
    """A trade needs a price above feed-in that with the fee still costs less than retail."""
    retail, feed_in = prices.retail_micro_per_kwh, prices.feed_in_micro_per_kwh
    fee = base.network_fee_micro_per_kwh
    if feed_in >= retail - fee:
        table.problem(
            next((key for key in PRICE_KEYS if table.has(key)), PRICE_KEYS[0]),
            f"feed-in {feed_in} leaves no room for a market below retail {retail} less network "
            f"fee {fee} (micro-currency per kWh); allowed: feed-in below {retail - fee}; raise "
            "retail, or lower feed-in or the fee",
        )


def _window(row: TableReader, base: Tariff, slot_length_s: int) -> TariffWindow:
    if not any(row.has(key) for key in PRICE_KEYS):
        row.problem(PRICE_KEYS[1], f"is missing; give it, or {PRICE_KEYS[0]}, or both")
    window = TariffWindow(
        days=read_days(row),
        from_minute=_minute(row, "from", slot_length_s) % MINUTES_PER_DAY,
        to_minute=_minute(row, "to", slot_length_s) or MINUTES_PER_DAY,
        retail_micro_per_kwh=_price(row, "retail_micro_per_kwh", base.retail_micro_per_kwh),
        feed_in_micro_per_kwh=_price(row, "feed_in_micro_per_kwh", base.feed_in_micro_per_kwh),
    )
    check_span(row, window.from_minute, window.to_minute)
    row.finish()
    return window


def _minute(row: TableReader, key: str, slot_length_s: int) -> int:
    """Minute of the day, at the start of a slot."""
    minute = read_minute(row, key)
    if minute * SECONDS_PER_MINUTE % slot_length_s:
        row.problem(
            key,
            f"{shown(row.given(key))} is inside a slot; allowed: multiples of slot_length_s = "
            f"{slot_length_s}; move it to the start of a slot",
        )
    return minute
