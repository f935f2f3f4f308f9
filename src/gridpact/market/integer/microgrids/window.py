"""The bids of a window as arrays: what is refused at the door, and the limits of every column.

Shapes are (microgrids, periods), with a column or a row of the equations first where there are
several. Prices are pico per Wh here: 1000 times micro per kWh, so that price x Wh is pico. All
numbers stay within bounds that this module proves at the door, so no later sum in 64 bits wraps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import gt
from typing import TYPE_CHECKING, TypeAlias

import msgspec
import numpy as np

from gridpact.codec import Wire
from gridpact.errors import InputError, Problem
from gridpact.model.microgrids import (
    MICROGRIDS_MAX,
    PERIODS_MAX,
    Column,
    MicrogridBid,
    MicrogridTerms,
    Storage,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

PICO_PER_NANO = 1000
UWH_PER_WH = 10**6
TERM_MAX = 2**59
"""Largest price x energy in pico, hence of one term of a cost: 576,000 currency units."""
DUAL_TERM_MAX = 2**61
"""Largest dual x energy in pico: four times the room that prices have. A price and two duals, times
an energy, stay below 2^63."""
DUAL_MAX = 2**41
"""Pico per Wh; 10^6 times the sum of two of them stays below 2^63."""
SERIES = ("load_wh", "green_demand_wh", "renewable_wh")
"""Fields of a bid with one number for each period."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Terms and bids of M microgrids and T periods; made by `window_of` only."""

    load_wh: IntArray
    """(M, T)"""
    green_demand_wh: IntArray
    renewable_wh: IntArray
    retail_pico: IntArray
    """(T,), per Wh"""
    feed_in_pico: IntArray
    shortage_pico: IntArray
    """(M, 1)"""
    turbine_linear_pico: IntArray
    turbine_quadratic_pico: IntArray
    """(M, 1), per Wh^2"""
    efficiency_ppm: IntArray
    """(M, 1): micro-Wh of content for each Wh charged."""
    content_start_uwh: IntArray
    """(M,)"""
    lower: IntArray
    """(columns, M, T), 0 but for CONTENT."""
    upper: IntArray
    fee_pico: int
    end_pico: int
    energy_max_wh: int
    """Largest Wh of any limit, content included."""

    @property
    def microgrids(self) -> int:
        """How many, M."""
        return int(self.load_wh.shape[0])

    @property
    def periods(self) -> int:
        """How many, T."""
        return int(self.load_wh.shape[1])


def check(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> list[Problem]:
    """Everything that is wrong with a window; nothing when it can be cleared.

    Every window that passes has an exactly feasible plan without trade.
    """
    problems: list[Problem] = []
    if not 1 <= len(bids) <= MICROGRIDS_MAX:
        fact = f"{len(bids)} bids; allowed: 1..{MICROGRIDS_MAX}"
        problems.append(Problem("bids", f"{fact}; split the market"))
    _check_ranges("terms", terms, problems)
    for number, bid in enumerate(bids):
        _check_ranges(f"bids[{number}]", bid, problems)
    if problems:
        return problems
    periods = len(terms.retail_micro_per_kwh)
    if not 1 <= periods <= PERIODS_MAX:
        fact = f"{periods} periods; allowed: 1..{PERIODS_MAX}"
        problems.append(Problem("terms.retail_micro_per_kwh", f"{fact}; change the window"))
    _check_lengths("terms", terms, ("feed_in_micro_per_kwh",), periods, problems)
    for number, bid in enumerate(bids):
        _check_lengths(f"bids[{number}]", bid, SERIES, periods, problems)
    if not problems:
        for number, bid in enumerate(bids):
            _check_demand(f"bids[{number}]", bid, problems)
            _check_storage(f"bids[{number}].storage", bid.storage, problems)
    if not problems:
        _check_magnitude(terms, bids, problems)
    return problems


def _check_ranges(where: str, value: Wire, problems: list[Problem]) -> None:
    """Types and ranges of the single fields, as the wire has them."""
    try:
        msgspec.convert(msgspec.to_builtins(value), type(value), strict=True)
    except (msgspec.ValidationError, TypeError) as error:
        problems.append(Problem(where, f"{error}; give whole numbers in the unit of the field"))


def _check_lengths(
    where: str, value: Wire, series: Sequence[str], periods: int, problems: list[Problem]
) -> None:
    for name in series:
        count = len(getattr(value, name))
        if count != periods:
            fact = f"has {count} periods, the window has {periods}"
            problems.append(Problem(f"{where}.{name}", f"{fact}; give one number for each"))


def _check_demand(where: str, bid: MicrogridBid, problems: list[Problem]) -> None:
    if not any(map(gt, bid.green_demand_wh, bid.load_wh)):
        return
    for period, (demand, load) in enumerate(zip(bid.green_demand_wh, bid.load_wh, strict=True)):
        if demand > load:
            fact = f"{demand} Wh is above the load of {load} Wh; lower it to the load"
            problems.append(Problem(f"{where}.green_demand_wh[{period}]", fact))


def _check_storage(where: str, store: Storage, problems: list[Problem]) -> None:
    """Whether the contents fit together, and what is missing at the end fits in."""
    low, high = store.content_min_uwh, store.content_max_uwh
    start, end = store.content_start_uwh, store.content_end_uwh
    if low > high:
        fact = f"{low} is above content_max_uwh {high}; swap or widen them"
        problems.append(Problem(f"{where}.content_min_uwh", fact))
    elif not low <= start <= high:
        fact = f"{start} is not in {low}..{high}; keep it within the storage"
        problems.append(Problem(f"{where}.content_start_uwh", fact))
    elif end > low and high - end < UWH_PER_WH - 1:
        # What is missing counts in whole Wh, and must fit below the maximum.
        fact = f"{end} is not more than a Wh below content_max_uwh {high}"
        remedy = f"lower it to {max(low, high - UWH_PER_WH + 1)}"
        problems.append(Problem(f"{where}.content_end_uwh", f"{fact}; {remedy}"))


def _check_magnitude(
    terms: MicrogridTerms, bids: Sequence[MicrogridBid], problems: list[Problem]
) -> None:
    """The dearest Wh times the most Wh, over all bids: what every 64-bit sum rests on."""
    energy = max(map(_most_wh, bids))
    price = PICO_PER_NANO * max(
        *map(abs, terms.retail_micro_per_kwh),
        *map(abs, terms.feed_in_micro_per_kwh),
        terms.fee_per_side_micro_per_kwh,
        terms.end_micro_per_kwh,
        *(bid.shortage_micro_per_kwh for bid in bids),
    )
    price = max(price, *map(_turbine_pico, bids))
    if price * energy > TERM_MAX:
        fact = f"dearest price {price} pico/Wh times most energy {energy} Wh is {price * energy}"
        remedy = f"allowed: 0..{TERM_MAX}; state money in a larger unit or split a microgrid"
        problems.append(Problem("bids", f"{fact}; {remedy}"))


def _most_wh(bid: MicrogridBid) -> int:
    """No less than the upper limit of any column of a bid, in Wh, and at least 1."""
    store = bid.storage
    most = max(*bid.load_wh, *bid.renewable_wh)
    return max(1, most + store.energy_max_wh, -(-store.content_max_uwh // UWH_PER_WH))


def _turbine_pico(bid: MicrogridBid) -> int:
    """No less than the turbine's cost per Wh and its marginal cost, at full use."""
    most = min(bid.turbine.energy_max_wh, max(bid.load_wh))
    slope = 2 * bid.turbine.quadratic_pico_per_wh2 * most
    return PICO_PER_NANO * bid.turbine.linear_micro_per_kwh + slope


def window_of(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> Window:
    """Terms and bids as arrays with the limits of all columns.

    Raises:
        InputError: everything that `check` finds.
    """
    if problems := check(terms, bids):
        raise InputError(problems)
    load = _array([bid.load_wh for bid in bids])
    demand = _array([bid.green_demand_wh for bid in bids])
    renewable = _array([bid.renewable_wh for bid in bids])
    lower, upper = _limits(bids, load, demand, renewable)
    stores = [bid.storage for bid in bids]
    return Window(
        load_wh=load,
        green_demand_wh=demand,
        renewable_wh=renewable,
        retail_pico=_array(terms.retail_micro_per_kwh) * PICO_PER_NANO,
        feed_in_pico=_array(terms.feed_in_micro_per_kwh) * PICO_PER_NANO,
        shortage_pico=_array([[bid.shortage_micro_per_kwh] for bid in bids]) * PICO_PER_NANO,
        turbine_linear_pico=_array([[bid.turbine.linear_micro_per_kwh] for bid in bids])
        * PICO_PER_NANO,
        turbine_quadratic_pico=_array([[bid.turbine.quadratic_pico_per_wh2] for bid in bids]),
        efficiency_ppm=_array([[s.charge_permille * s.discharge_permille] for s in stores]),
        content_start_uwh=_array([store.content_start_uwh for store in stores]),
        lower=lower,
        upper=upper,
        fee_pico=terms.fee_per_side_micro_per_kwh * PICO_PER_NANO,
        end_pico=terms.end_micro_per_kwh * PICO_PER_NANO,
        energy_max_wh=max(map(_most_wh, bids)),
    )


def _limits(
    bids: Sequence[MicrogridBid], load: IntArray, demand: IntArray, renewable: IntArray
) -> tuple[IntArray, IntArray]:
    """Least and most of every column, all finite and from the bid alone.

    Nobody buys or makes more than the load, uses more green energy than its two demands, curtails
    more than it generates, gives away more than it generates and discharges, or takes more than
    it uses and charges. MISSING ends at what the storage could lack, in whole Wh.
    """
    stores = [bid.storage for bid in bids]
    lower = np.zeros((len(Column), *load.shape), np.int64)
    upper = np.zeros((len(Column), *load.shape), np.int64)
    most = _array([[store.energy_max_wh] for store in stores])
    upper[Column.BUY] = load
    upper[Column.TURBINE] = np.minimum(load, [[bid.turbine.energy_max_wh] for bid in bids])
    upper[Column.CHARGE] = upper[Column.DISCHARGE] = most
    upper[Column.EXPORT] = upper[Column.SELL] = renewable + most
    upper[Column.CURTAIL] = renewable
    upper[Column.GREEN_DEMANDED] = demand
    upper[Column.GREEN_OTHER] = load - demand
    upper[Column.PURCHASE] = load + most
    upper[Column.CONTENT] = _array([[store.content_max_uwh] for store in stores])
    lower[Column.CONTENT] = _array([[store.content_min_uwh] for store in stores])
    for number, store in enumerate(stores):
        lacking = max(0, store.content_end_uwh - store.content_min_uwh)
        upper[Column.MISSING, number, -1] = -(-lacking // UWH_PER_WH)
        lower[Column.CONTENT, number, -1] = max(store.content_min_uwh, store.content_end_uwh)
    return lower, upper


def _array(values: Sequence[object]) -> IntArray:
    return np.array(values, np.int64)


def without_trade(window: Window) -> Window:
    """The same microgrids, each on its own: nothing to sell, nothing to purchase."""
    upper = window.upper.copy()
    upper[[Column.SELL, Column.PURCHASE]] = 0
    fields = {name: getattr(window, name) for name in Window.__slots__}
    return Window(**{**fields, "upper": upper})
