"""A day of microgrids without a ledger: cleared anew every slot, or once and never again.

The same forecasts, the same proofs, the same settlement as on the ledger; only signatures, blocks
and deposits are left out. So two ways to clear can be played over many seeds.

Source: [AEPS22], sections 2 and 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from gridpact.agents.microgrids import UWH_PER_WH, ForecastError, MicrogridSites
from gridpact.contracts import agreements_of
from gridpact.errors import InvariantError
from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.market.integer.microgrids import GAP_PPB_DEFAULT, plan_of, verify
from gridpact.market.solvers.proposal import propose
from gridpact.model import (
    Agreement,
    Certificate,
    LineKind,
    MicrogridBid,
    MicrogridTerms,
    SlotTariff,
)
from gridpact.settlement import NO_AGREEMENT, Metered, bargain_lines, deliver, realised_cost_nano
from gridpact.units import money_nano

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

MARKET = "microgrids"
UWH_PER_KWH = 10**9


@dataclass(frozen=True, slots=True)
class Cleared:
    """A window with its proof, and the plan in it."""

    certificate: Certificate
    surplus_nano: int
    first_surplus_nano: int
    plan: IntArray
    """(columns, M, periods)"""


@dataclass(frozen=True, slots=True)
class Slot:
    """What a slot came to; lists by microgrid, money in nano-currency."""

    agreements: list[Agreement]
    sent_wh: list[list[int]]
    """By microgrid and sale."""
    content_uwh: list[int]
    """Of each storage after the slot."""
    penalty_nano: list[int]
    cost_nano: list[int]


@dataclass(frozen=True, slots=True)
class Day:
    """All slots of a day, and what each was cleared from."""

    slots: list[Slot]
    windows: list[Cleared | None]
    """One for each slot, or a single one for all; None where no clearing was accepted, so that
    nobody trades."""
    end_nano: list[int]
    """By microgrid: price of stored energy that is missing after the day."""

    @property
    def penalties_nano(self) -> list[int]:
        """By microgrid, of the day."""
        return [sum(each) for each in zip(*(slot.penalty_nano for slot in self.slots), strict=True)]

    @property
    def costs_nano(self) -> list[int]:
        """By microgrid, of the day with what is missing in the storage after it."""
        slots = zip(*(slot.cost_nano for slot in self.slots), strict=True)
        return [sum(each) + end for each, end in zip(slots, self.end_nano, strict=True)]


def clear(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> Cleared | None:
    """Propose a clearing of a window and check its proof, as every replica does.

    Returns:
        None where the proof is not as tight as markets demand: then nobody trades.
    """
    weights = [1] * len(bids)
    found = propose(terms, bids, weights)
    if verify(terms, bids, weights, found.certificate, GAP_PPB_DEFAULT):
        return None
    plan = plan_of(found.certificate, len(bids), len(terms.retail_micro_per_kwh))
    return Cleared(found.certificate, found.surplus_nano, found.first_surplus_nano, plan)


def cleared(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> Cleared:
    """The clearing of a whole day, which is always proved tightly enough."""
    found = clear(terms, bids)
    if found is None:
        raise InvariantError("no clearing of the window is accepted")
    return found


def rolling_day(window: MicrogridWindow, error: ForecastError, seed: int) -> Day:
    """Every slot clears the rest of the day, from the newest forecasts and the real storages.

    Args:
        window: what will really happen.
        error: of forecasts.
        seed: of all chance.
    """
    sites = MicrogridSites(window.bids, error, seed)
    windows, slots = [], []
    for period in range(sites.periods):
        terms, bids = window.terms.since(period), sites.bids(period)
        found = clear(terms, bids)
        agreements = [NO_AGREEMENT] * len(bids)
        if found is not None:
            agreements = agreements_of(
                terms,
                dict(zip(window.ids, bids, strict=True)),
                found.plan[:, :, 0].tolist(),
                found.certificate.first_transfer_nano,
            )
        slots.append(settle(window, sites, period, agreements))
        windows.append(found)
    return Day(slots, windows, _end_nano(window, sites))


def unified_day(window: MicrogridWindow, error: ForecastError, seed: int) -> Day:
    """The first slot's forecasts clear the whole day; transfers are all paid in it.

    A storage that could not charge as planned gives later what it has, and takes what fits.
    """
    sites = MicrogridSites(window.bids, error, seed)
    bids = sites.bids(0)
    found = cleared(window.terms, bids)
    offered = dict(zip(window.ids, bids, strict=True))
    slots = []
    for period in range(sites.periods):
        transfers = found.certificate.transfer_nano if period == 0 else [0] * len(bids)
        agreements = agreements_of(
            window.terms.since(period),
            offered,
            found.plan[:, :, period].tolist(),
            transfers,
        )
        possible = [_possible(sites, number, one) for number, one in enumerate(agreements)]
        slots.append(settle(window, sites, period, possible))
    return Day(slots, [found], _end_nano(window, sites))


def settle(
    window: MicrogridWindow, sites: MicrogridSites, period: int, agreements: list[Agreement]
) -> Slot:
    """Deliver, meter and settle a slot; storages move on."""
    terms = window.terms
    metered = {
        name: Metered(bid.renewable_wh[period], bid.load_wh[period], "")
        for name, bid in zip(window.ids, window.bids, strict=True)
    }
    tariff = SlotTariff(
        terms.retail_micro_per_kwh[period],
        terms.feed_in_micro_per_kwh[period],
        terms.fee_per_side_micro_per_kwh,
        "region",
        "day",
    )
    lines = bargain_lines(
        market=MARKET,
        slot_start_s=period,
        tariff=tariff,
        agreements=dict(zip(window.ids, agreements, strict=True)),
        metered=metered,
    )
    deliveries = [
        deliver(agreement, metered[name])
        for name, agreement in zip(window.ids, agreements, strict=True)
    ]
    received_wh = dict.fromkeys(window.ids, 0)
    for agreement, delivery in zip(agreements, deliveries, strict=True):
        for flow, wh in zip(agreement.sales, delivery.sent_wh, strict=True):
            received_wh[flow.counterparty] += wh
    costs, penalties = [], []
    for number, name in enumerate(window.ids):
        delivery, agreement = deliveries[number], agreements[number]
        sites.follow(number, agreement, delivery.charged_wh)
        owed = [line.amount_nano for line in lines[name] if line.kind == LineKind.COMPENSATION]
        penalties.append(-sum(nano for nano in owed if nano < 0))
        costs.append(
            realised_cost_nano(
                window.bids[number],
                period,
                agreement,
                metered[name],
                delivery,
                received_wh[name],
                lines[name],
            )
        )
    return Slot(
        agreements,
        [delivery.sent_wh for delivery in deliveries],
        list(sites.content_uwh),
        penalties,
        costs,
    )


def _possible(sites: MicrogridSites, number: int, agreement: Agreement) -> Agreement:
    """The agreement with no more discharge than the storage holds, no more charge than it takes."""
    store, held_uwh = sites.truth[number].storage, sites.content_uwh[number]
    held_wh = (held_uwh - store.content_min_uwh) // UWH_PER_WH
    discharge_wh = min(agreement.discharge_wh, held_wh)
    room_uwh = store.content_max_uwh - held_uwh + UWH_PER_WH * discharge_wh
    room_wh = room_uwh // (store.charge_permille * store.discharge_permille)
    return msgspec.structs.replace(
        agreement, discharge_wh=discharge_wh, charge_wh=min(agreement.charge_wh, room_wh)
    )


def _end_nano(window: MicrogridWindow, sites: MicrogridSites) -> list[int]:
    missing_uwh = [
        max(0, bid.storage.content_end_uwh - content)
        for bid, content in zip(window.bids, sites.content_uwh, strict=True)
    ]
    return [money_nano(window.terms.end_micro_per_kwh, uwh // UWH_PER_WH) for uwh in missing_uwh]
