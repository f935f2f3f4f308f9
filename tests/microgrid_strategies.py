"""Random windows, plans and duals of microgrids, from nothing at all to the edge of 64 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from gridpact.market.integer.microgrids import Window
from gridpact.market.integer.microgrids.bound import dual_limit
from gridpact.market.integer.microgrids.window import TERM_MAX
from gridpact.model.microgrids import (
    MicrogridBid,
    MicrogridTerms,
    Row,
    Storage,
    Turbine,
)

UWH = 10**6


@st.composite
def storages(draw: st.DrawFn, most: int) -> Storage:
    low, span = draw(st.integers(0, most)) * UWH, draw(st.integers(0, most * UWH))
    room = max(0, span - UWH + 1)
    return Storage(
        energy_max_wh=draw(st.integers(0, most)),
        charge_permille=draw(st.integers(1, 1000)),
        discharge_permille=draw(st.integers(1, 1000)),
        content_min_uwh=low,
        content_max_uwh=low + span,
        content_start_uwh=low + draw(st.integers(0, span)),
        content_end_uwh=draw(st.integers(0, low + room)),
    )


@st.composite
def windows(
    draw: st.DrawFn, microgrids: int = 4, periods: int = 4
) -> tuple[MicrogridTerms, list[MicrogridBid]]:
    """Energies up to 2^30 Wh and prices that together stay just within what `check` allows."""
    count, length = draw(st.integers(1, microgrids)), draw(st.integers(1, periods))
    most = 2 ** draw(st.integers(0, 28))
    # Content and load + charge are at most three times `most` here.
    price = min(2**31 - 1, TERM_MAX // (3 * most) // 1000 // 2)
    quadratic = min(2**20, TERM_MAX // (3 * most) // (4 * most))
    energies = st.lists(st.integers(0, most), min_size=length, max_size=length)
    prices = st.lists(st.integers(-price, price), min_size=length, max_size=length)
    bids = []
    for _ in range(count):
        load = draw(energies)
        bids.append(
            MicrogridBid(
                load_wh=load,
                green_demand_wh=[draw(st.integers(0, wh)) for wh in load],
                renewable_wh=draw(energies),
                shortage_micro_per_kwh=draw(st.integers(0, price)),
                turbine=Turbine(
                    draw(st.integers(0, quadratic)),
                    draw(st.integers(0, price)),
                    draw(st.integers(0, most)),
                ),
                storage=draw(storages(most)),
            )
        )
    fee, end = draw(st.integers(0, price)), draw(st.integers(0, price))
    return MicrogridTerms(draw(prices), draw(prices), fee, end), bids


@st.composite
def duals(draw: st.DrawFn, window: Window) -> Any:
    """Duals of rows and balances, often at the very limit."""
    most = dual_limit(window)
    size = len(Row) * window.microgrids * window.periods
    number = st.one_of(st.integers(-most, most), st.sampled_from((-most, 0, most)))
    rows = draw(st.lists(number, min_size=size, max_size=size))
    balance = draw(st.lists(number, min_size=window.periods, max_size=window.periods))
    shape = len(Row), window.microgrids, window.periods
    return np.array(rows, np.int64).reshape(shape), np.array(balance, np.int64)


@st.composite
def rough_plans(draw: st.DrawFn, window: Window) -> Any:
    """Any numbers within the limits of each column."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = chance.choice((0, 1, 2, 3, 4), window.upper.shape)
    plan = window.lower + (window.upper - window.lower) // 4 * share
    return np.minimum(plan, window.upper)
