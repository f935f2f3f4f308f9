"""How a rolling market can pay: by slot or by what is left of the day; for contracts or delivery.

Source: [AEPS22], eqs. (18), (19). Ours: the second of each, and all prices of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gridpact.agents.microgrids import PERFECT, MicrogridSites
from gridpact.errors import invariant
from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.market.integer.microgrids.bargain import savings_pico, transfers_nano
from gridpact.market.solvers import pair_prices, programme_of, solve_alone
from gridpact.model import MicrogridBid
from gridpact.studies.microgrid_rolling import Day, Slot, settle
from gridpact.units import MICRO_PER_CURRENCY, NANO_PER_CURRENCY, WH_PER_KWH

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray

PICO_PER_NANO = 1000
TILT = 1e-5
"""Relative; moves no plan that costs more than that over the window."""
DELIVERED_PERCENT = tuple(range(0, 101, 10))


def day_transfers_nano(day: Day) -> list[list[int]]:
    """By slot and microgrid: the savings still to come in one window less those in the next.

    They depend on least costs alone, which are unique, and add up to the whole day's bargain where
    forecasts are perfect. A slot without a clearing pays nothing.
    """
    return [transfers_nano(savings, [1] * len(savings)) for savings in _slot_savings_pico(day)]


def day_surpluses_nano(day: Day) -> list[int]:
    """By slot: the surplus that `day_transfers_nano` shares."""
    return [sum(savings) // PICO_PER_NANO for savings in _slot_savings_pico(day)]


def _slot_savings_pico(day: Day) -> list[list[int]]:
    left = [0] * len(day.end_nano)
    found = []
    for window in reversed(day.windows):
        now = left
        if window is not None:
            proof = window.certificate
            saved = savings_pico(proof.alone_cost_nano, proof.cost_nano)
            now = [nano * PICO_PER_NANO for nano in saved]
        found.append(savings_pico(now, left))
        left = now
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Pairs:
    """Prices of a slot that pay its transfers, in currency per kWh."""

    prices: FloatArray
    """(M, M), seller by buyer, NaN where nothing is sold."""
    side: FloatArray
    """(M,): what no price per kWh can carry, in currency."""


def pairs_of(window: MicrogridWindow, slot: Slot, period: int) -> Pairs:
    """The nearest prices to the middle of feed-in and retail; a report, as many others do too."""
    count = len(window.ids)
    flows = np.zeros((count, count))
    for seller, agreement in enumerate(slot.agreements):
        for flow in agreement.sales:
            flows[seller, window.ids.index(flow.counterparty)] = flow.energy_wh / WH_PER_KWH
    terms = window.terms
    tariffs = terms.retail_micro_per_kwh[period] + terms.feed_in_micro_per_kwh[period]
    transfers = np.array([one.transfer_nano / NANO_PER_CURRENCY for one in slot.agreements])
    return Pairs(*pair_prices(flows, transfers, tariffs / 2 / MICRO_PER_CURRENCY))


def outside_tariffs(window: MicrogridWindow, day: Day) -> tuple[int, int]:
    """Pair prices below feed-in or above what the buyer loses without the energy, and how many."""
    lost = np.array([bid.shortage_micro_per_kwh for bid in window.bids])
    outside = every = 0
    for period, slot in enumerate(day.slots):
        prices = pairs_of(window, slot, period).prices
        low = window.terms.feed_in_micro_per_kwh[period] / MICRO_PER_CURRENCY
        high = (window.terms.retail_micro_per_kwh[period] + lost) / MICRO_PER_CURRENCY
        every += int(np.isfinite(prices).sum())
        outside += int(((prices < low) | (prices > high)).sum())
    return outside, every


@dataclass(frozen=True, slots=True)
class Compensated:
    """What one buyer got for what did not come, in currency."""

    who: str
    missing_kwh: float
    compensation: float
    """Its green loss and the price of replacing: it is exactly whole."""
    over: float
    """More than that, were it to pay for delivered energy alone."""


def compensated(window: MicrogridWindow, day: Day) -> list[Compensated]:
    """By microgrid, of a day."""
    count = len(window.ids)
    missing, paid, over = (np.zeros(count) for _ in range(3))
    for period, slot in enumerate(day.slots):
        prices = pairs_of(window, slot, period).prices
        for seller, agreement in enumerate(slot.agreements):
            for flow, sent_wh in zip(agreement.sales, slot.sent_wh[seller], strict=True):
                buyer = window.ids.index(flow.counterparty)
                kwh = (flow.energy_wh - sent_wh) / WH_PER_KWH
                missing[buyer] += kwh
                paid[buyer] += kwh * flow.compensation_micro_per_kwh / MICRO_PER_CURRENCY
                over[buyer] += kwh * prices[seller, buyer] if kwh else 0.0
    rows = zip(window.ids, missing.tolist(), paid.tolist(), over.tolist(), strict=True)
    return [Compensated(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class DeliveryCost:
    """What a slot costs a buyer when sellers generate only a part of what they should."""

    generated_percent: int
    delivered_share: float
    """Of what it bought."""
    paid_by_contract: float
    """Currency: pays for contracts, gets compensation."""
    paid_by_delivery: float
    """Currency: pays for deliveries, gets the same compensation."""


def delivery_costs(
    window: MicrogridWindow, day: Day, period: int, buyer: int
) -> list[DeliveryCost]:
    """The cost of one buyer in one slot, by how much its sellers generate.

    Args:
        window: what really happens when all goes well.
        day: with the agreements of the slot, made from perfect forecasts.
        period: the slot.
        buyer: who has bought in it.
    """
    slot = day.slots[period]
    bought_wh = sum(flow.energy_wh for flow in slot.agreements[buyer].purchases)
    invariant(bought_wh > 0, f"microgrid {buyer} buys nothing in period {period}")
    prices = pairs_of(window, slot, period).prices
    found = []
    for percent in DELIVERED_PERCENT:
        real = MicrogridWindow(window.ids, window.terms, _generating(window, slot, period, percent))
        sites = MicrogridSites(real.bids, PERFECT, 0)
        if period:
            sites.content_uwh = list(day.slots[period - 1].content_uwh)
        came = settle(real, sites, period, slot.agreements)
        missing_kwh = [
            sum(
                (flow.energy_wh - sent) / WH_PER_KWH
                for flow, sent in zip(one.sales, sent_wh, strict=True)
                if flow.counterparty == window.ids[buyer]
            )
            for one, sent_wh in zip(slot.agreements, came.sent_wh, strict=True)
        ]
        over = sum(kwh * prices[seller, buyer] for seller, kwh in enumerate(missing_kwh) if kwh)
        cost = came.cost_nano[buyer] / NANO_PER_CURRENCY
        share = 1 - sum(missing_kwh) * WH_PER_KWH / bought_wh
        found.append(DeliveryCost(percent, share, cost, cost - over))
    return found


def _generating(
    window: MicrogridWindow, slot: Slot, period: int, percent: int
) -> tuple[MicrogridBid, ...]:
    """The bids with a part of the generation of all who sell in a slot."""
    bids = []
    for bid, agreement in zip(window.bids, slot.agreements, strict=True):
        if not agreement.sales:
            bids.append(bid)
            continue
        renewable = list(bid.renewable_wh)
        renewable[period] = renewable[period] * percent // 100
        bids.append(msgspec.structs.replace(bid, renewable_wh=renewable))
    return tuple(bids)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a proposer may pick: least-cost plans differ in what the first slot costs."""

    period: int
    who: str
    least: float
    """Cost alone in that slot, in currency."""
    most: float


def widest_choice(window: MicrogridWindow, day: Day, number: int) -> Choice:
    """The slot in which the first-period rule leaves the most open for one microgrid.

    Plans without trade that cost the same over the window put different costs into its first slot.
    Found by making that slot a little dearer or cheaper and counting at true prices.

    Args:
        window: what really happens.
        day: rolling, from perfect forecasts; windows begin with its storages.
        number: the microgrid.
    """
    sites = MicrogridSites(window.bids, PERFECT, 0)
    found = []
    for period, slot in enumerate(day.slots):
        programme = programme_of(window.terms.since(period), sites.bids(period))
        first = []
        for factor in (1 + TILT, 1 - TILT):
            cost, curvature = programme.cost.copy(), programme.curvature.copy()
            cost[:, 0] *= factor
            curvature[:, 0] *= factor
            tilted = replace(programme, cost=cost, curvature=curvature)
            first.append(float(programme.costs(solve_alone(tilted).plan_kwh)[number, 0]))
        found.append(Choice(period, window.ids[number], *first))
        sites.content_uwh = list(slot.content_uwh)
    return max(found, key=lambda one: one.most - one.least)


def totals(rows: Sequence[Sequence[int]]) -> list[float]:
    """Sums over slots by microgrid, nano in, currency out."""
    return [sum(each) / NANO_PER_CURRENCY for each in zip(*rows, strict=True)]
