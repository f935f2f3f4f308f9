"""A window of microgrids from a JSON file: powers in kW, energies in kWh, money per kWh.

Numbers are read as decimal text and rounded once. Everything that is wrong is told at once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from gridpact.errors import InputError, Problem
from gridpact.model.microgrids import (
    PERIODS_MAX,
    MicrogridBid,
    MicrogridTerms,
    Storage,
    Turbine,
)
from gridpact.quantize import whole_from_decimal
from gridpact.units import MICRO_PER_CURRENCY, QUANTITY_MAX, WH_PER_KWH

UWH_PER_KWH = 10**9
PICO_PER_WH2 = 10**6
"""Pico-currency per Wh^2 in one currency per kWh^2."""
CONTENT_MAX_KWH = 2 * 10**9
END_MICRO_PER_KWH = MICRO_PER_CURRENCY
"""Of stored energy that is missing after the window, unless a file says otherwise."""
DIGITS_MAX = 40
"""Of a number's exponent: beyond, its exact value would fill the memory."""


@dataclass(frozen=True, slots=True)
class MicrogridWindow:
    """What a file holds: M bids for the same periods."""

    ids: tuple[str, ...]
    terms: MicrogridTerms
    bids: tuple[MicrogridBid, ...]


def load_microgrids(path: Path) -> MicrogridWindow:
    """Terms and bids of a file like `gridpact/data/microgrids/aeps22.json`.

    Green demand above the load counts as the load. Stored energy is stated inside the storage and
    counts at its output from here on.

    Raises:
        InputError: the file cannot be read, or all that is wrong in it.
    """
    try:
        document = json.loads(
            path.read_bytes(), parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal
        )
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        message = f"cannot be read: {error}; give a JSON file"
        raise InputError([Problem(f"{path}", message)]) from error
    reader = _Reader(path.name)
    window = reader.window(document)
    if reader.problems:
        raise InputError(reader.problems)
    return window


class _Reader:
    """Reads fields; notes what is wrong and goes on with 0."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []

    def note(self, where: str, message: str) -> None:
        self.problems.append(Problem(f"{self.file}: {where}", message))

    def window(self, document: object) -> MicrogridWindow:
        top = self.table("the file", document)
        retail = self.whole_list("retail_usd_per_kwh", top, MICRO_PER_CURRENCY, signed=True)
        periods = len(retail)
        feed_in = self.whole("feed_in_usd_per_kwh", top, MICRO_PER_CURRENCY, signed=True)
        step = self.number("step_h", top)
        if not 0 < step <= 24:
            self.note("step_h", f"{step} h is not a period; allowed: above 0, up to 24; correct it")
            step = Decimal(1)
        efficiency = self.table("storage_efficiency", top.get("storage_efficiency"))
        permille = [
            self.whole(f"storage_efficiency.{name}", efficiency, 1000, low=1, high=1000)
            for name in ("charge", "discharge")
        ]
        terms = MicrogridTerms(
            retail_micro_per_kwh=retail,
            feed_in_micro_per_kwh=[feed_in] * periods,
            fee_per_side_micro_per_kwh=self.whole(
                "network_fee_per_side_usd_per_kwh", top, MICRO_PER_CURRENCY
            ),
            end_micro_per_kwh=(
                self.whole("end_price_usd_per_kwh", top, MICRO_PER_CURRENCY)
                if "end_price_usd_per_kwh" in top
                else END_MICRO_PER_KWH
            ),
        )
        listed = top.get("microgrids")
        if not isinstance(listed, list) or not listed:
            self.note("microgrids", "is no list of microgrids; give one at least")
            listed = []
        ids, bids = [], []
        for number, one in enumerate(listed):
            where = f"microgrids[{number}]"
            table = self.table(where, one)
            ids.append(str(table.get("id", "")))
            if not ids[-1] or ids[-1] in ids[:-1]:
                self.note(f"{where}.id", f"{ids[-1]!r} is no name of its own; give each another")
            bids.append(self.bid(where, table, periods, step, permille))
        return MicrogridWindow(tuple(ids), terms, tuple(bids))

    def bid(
        self,
        where: str,
        table: dict[str, Any],
        periods: int,
        step: Decimal,
        permille: list[int],
    ) -> MicrogridBid:
        wh = step * WH_PER_KWH
        series = {}
        for name in ("load_kw", "green_demand_kw", "renewable_kw"):
            series[name] = self.whole_list(f"{where}.{name}", table, wh)
            if len(series[name]) != periods:
                message = f"has {len(series[name])} numbers for {periods} periods; give one each"
                self.note(f"{where}.{name}", message)
        turbine = self.table(f"{where}.turbine", table.get("turbine"))
        storage = self.table(f"{where}.storage", table.get("storage"))
        charge, discharge = permille
        output = UWH_PER_KWH * discharge / Decimal(1000)
        content = {
            name: self.whole(
                f"{where}.storage.{name}", storage, output, high=CONTENT_MAX_KWH * UWH_PER_KWH
            )
            for name in ("e_min_kwh", "e_max_kwh", "e_start_kwh", "e_end_min_kwh")
        }
        low, high = content["e_min_kwh"], content["e_max_kwh"]
        if not (low <= content["e_start_kwh"] <= high and content["e_end_min_kwh"] <= high):
            message = f"start and end are not within e_min_kwh..e_max_kwh, {low}..{high} uWh"
            self.note(f"{where}.storage", f"{message} at the output; correct one of the four")
        pairs = zip(series["green_demand_kw"], series["load_kw"], strict=False)
        return MicrogridBid(
            load_wh=series["load_kw"],
            green_demand_wh=[min(pair) for pair in pairs],
            renewable_wh=series["renewable_kw"],
            shortage_micro_per_kwh=self.whole(
                f"{where}.shortage_loss_usd_per_kwh", table, MICRO_PER_CURRENCY
            ),
            turbine=Turbine(
                quadratic_pico_per_wh2=self.whole(
                    f"{where}.turbine.a_usd_per_kw2h", turbine, PICO_PER_WH2 / step, high=2**20
                ),
                linear_micro_per_kwh=self.whole(
                    f"{where}.turbine.b_usd_per_kwh", turbine, MICRO_PER_CURRENCY
                ),
                energy_max_wh=self.whole(f"{where}.turbine.p_max_kw", turbine, wh),
            ),
            storage=Storage(
                energy_max_wh=self.whole(f"{where}.storage.p_max_kw", storage, wh),
                charge_permille=charge,
                discharge_permille=discharge,
                content_min_uwh=low,
                content_max_uwh=high,
                content_start_uwh=content["e_start_kwh"],
                content_end_uwh=content["e_end_min_kwh"],
            ),
        )

    def table(self, where: str, value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self.note(where, "is no object with named fields; write { ... }")
        return {}

    def whole_list(
        self, where: str, table: dict[str, Any], factor: Decimal | int, *, signed: bool = False
    ) -> list[int]:
        name = where.rpartition(".")[2]
        values = table.get(name)
        if not isinstance(values, list) or not 1 <= len(values) <= PERIODS_MAX:
            self.note(where, f"is no list of 1..{PERIODS_MAX} numbers; give one a period")
            return []
        low = -QUANTITY_MAX if signed else 0
        return [
            self.rounded(f"{where}[{place}]", value, factor, low, QUANTITY_MAX)
            for place, value in enumerate(values)
        ]

    def whole(
        self,
        where: str,
        table: dict[str, Any],
        factor: Decimal | int,
        *,
        low: int = 0,
        high: int = QUANTITY_MAX,
        signed: bool = False,
    ) -> int:
        value = table.get(where.rpartition(".")[2])
        return self.rounded(where, value, factor, -high if signed else low, high)

    def rounded(self, where: str, value: object, factor: Decimal | int, low: int, high: int) -> int:
        """The number x factor as an integer; the least allowed one after noting a problem."""
        if not isinstance(value, Decimal) or not _is_plain(value):
            self.note(where, f"{_shown(value)} is no number; give one")
            return max(low, 0)
        top, bottom = Decimal(factor).as_integer_ratio()
        whole = whole_from_decimal(value, top, bottom)
        if not low <= whole <= high:
            least, most = Decimal(low) / Decimal(factor), Decimal(high) / Decimal(factor)
            message = f"{value} is out of range; allowed: {least:g}..{most:g}; correct the unit"
            self.note(where, message)
            return max(low, 0)
        return whole

    def number(self, where: str, table: dict[str, Any]) -> Decimal:
        value = table.get(where)
        if isinstance(value, Decimal) and _is_plain(value):
            return value
        return Decimal(0)


def _is_plain(value: Decimal) -> bool:
    """Finite, and of a size that can be written out."""
    return value.is_finite() and abs(value.adjusted()) <= DIGITS_MAX


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(str(value)[:40])
