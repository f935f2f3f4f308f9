"""One window of microgrids: what they gain by trade, and what a lie about costs would bring.

Every number is from a clearing with an accepted proof.

Source: [AEPS22], sections 2 and 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from gridpact.inputs.microgrids import MicrogridWindow
from gridpact.market.integer.microgrids import Solution, account_of, window_of
from gridpact.model import MicrogridBid
from gridpact.model.microgrids import Column, Row
from gridpact.studies.microgrid_rolling import Cleared, cleared

NANO = 1e9
PICO = 1e12
WH_PER_KWH = 1000


@dataclass(frozen=True, slots=True)
class Bargain:
    """A whole day cleared at once; lists by microgrid, currency."""

    alone: list[float]
    """Costs without trade: the disagreement point."""
    after: list[float]
    """Costs with trade and transfers."""
    gains: list[float]
    transfers: list[float]
    net_sales_kwh: list[float]
    """+ sold to the others over the day."""
    traded_kwh: float

    @property
    def surplus(self) -> float:
        """What trade saves all together."""
        return sum(self.gains)


def whole(window: MicrogridWindow) -> Cleared:
    """The clearing of a whole window from the true bids."""
    return cleared(window.terms, window.bids)


def bargain_of(found: Cleared) -> Bargain:
    """What a clearing brings whom."""
    proof, plan = found.certificate, found.plan
    alone = [nano / NANO for nano in proof.alone_cost_nano]
    transfers = [nano / NANO for nano in proof.transfer_nano]
    together = [nano / NANO for nano in proof.cost_nano]
    after = [cost - got for cost, got in zip(together, transfers, strict=True)]
    net_wh = plan[Column.SELL].sum(axis=1) - plan[Column.PURCHASE].sum(axis=1)
    return Bargain(
        alone=alone,
        after=after,
        gains=[before - now for before, now in zip(alone, after, strict=True)],
        transfers=transfers,
        net_sales_kwh=[wh / WH_PER_KWH for wh in net_wh.tolist()],
        traded_kwh=int(plan[Column.SELL].sum()) / WH_PER_KWH,
    )


def without_green(window: MicrogridWindow) -> MicrogridWindow:
    """The same window where nobody minds whether energy is green."""
    return _with_bids(
        window, [msgspec.structs.replace(bid, shortage_micro_per_kwh=0) for bid in window.bids]
    )


def with_feed_in(window: MicrogridWindow, micro_per_kwh: int) -> MicrogridWindow:
    """The same window at another feed-in price."""
    periods = len(window.terms.retail_micro_per_kwh)
    terms = msgspec.structs.replace(window.terms, feed_in_micro_per_kwh=[micro_per_kwh] * periods)
    return MicrogridWindow(window.ids, terms, window.bids)


@dataclass(frozen=True, slots=True)
class Lie:
    """What somebody gains by telling the market something else, in currency."""

    who: str
    told: str
    honest: float
    """Gain of the honest."""
    gain: float
    """Its true gain after the lie."""

    @property
    def change(self) -> float:
        """Relative to honesty."""
        return self.gain / self.honest - 1


def misreport(window: MicrogridWindow, number: int, permille: int) -> Lie:
    """One microgrid tells a share of its loss of green shortage; its gain by its true costs.

    Args:
        window: true bids.
        number: who lies.
        permille: told over true.
    """
    truth = window.bids[number]
    told = truth.shortage_micro_per_kwh * permille // 1000
    bids = list(window.bids)
    bids[number] = msgspec.structs.replace(truth, shortage_micro_per_kwh=told)
    honest = whole(window)
    lied = whole(_with_bids(window, bids))
    true_cost = _costs(window, lied)[number] - lied.certificate.transfer_nano[number] / NANO
    return Lie(
        who=window.ids[number],
        told=f"{permille / 1000:g} times its loss of green shortage",
        honest=bargain_of(honest).gains[number],
        gain=honest.certificate.alone_cost_nano[number] / NANO - true_cost,
    )


def _costs(window: MicrogridWindow, found: Cleared) -> list[float]:
    """What a plan costs by the costs of a window, in currency, before transfers."""
    checked = window_of(window.terms, window.bids)
    microgrids, periods = found.plan.shape[1:]
    duals = np.zeros((len(Row), microgrids, periods), np.int64)
    plan = Solution(found.plan, duals, np.zeros(periods, np.int64))
    return [pico / PICO for pico in account_of(checked, plan).costs]


def null_player(window: MicrogridWindow, number: int | None) -> float:
    """What a microgrid with no load, generation, turbine or storage gains.

    Args:
        window: of the others.
        number: whom it replaces; None joins it as one more.
    """
    idle = _scaled(window.bids[0], 0, 1)
    bids = list(window.bids)
    if number is None:
        bids.append(idle)
    else:
        bids[number] = idle
    gains = bargain_of(whole(_with_bids(window, bids))).gains
    return gains[-1 if number is None else number]


def split_in_two(window: MicrogridWindow, number: int) -> float:
    """What one microgrid gains when it appears as two halves."""
    half = _scaled(window.bids[number], 1, 2)
    bids = [*window.bids, half]
    bids[number] = half
    gains = bargain_of(whole(_with_bids(window, bids))).gains
    return gains[number] + gains[-1]


def _scaled(bid: MicrogridBid, top: int, bottom: int) -> MicrogridBid:
    """A microgrid of another size, with the same costs at the same shares of its limits."""

    def sized(values: Sequence[int]) -> list[int]:
        return [value * top // bottom for value in values]

    curve = bid.turbine.quadratic_pico_per_wh2
    store = bid.storage
    return msgspec.structs.replace(
        bid,
        load_wh=sized(bid.load_wh),
        green_demand_wh=sized(bid.green_demand_wh),
        renewable_wh=sized(bid.renewable_wh),
        turbine=msgspec.structs.replace(
            bid.turbine,
            quadratic_pico_per_wh2=curve * bottom // top if top else curve,
            energy_max_wh=bid.turbine.energy_max_wh * top // bottom,
        ),
        storage=msgspec.structs.replace(
            store,
            energy_max_wh=store.energy_max_wh * top // bottom,
            content_min_uwh=store.content_min_uwh * top // bottom,
            content_max_uwh=store.content_max_uwh * top // bottom,
            content_start_uwh=store.content_start_uwh * top // bottom,
            content_end_uwh=store.content_end_uwh * top // bottom,
        ),
    )


def _with_bids(window: MicrogridWindow, bids: Sequence[MicrogridBid]) -> MicrogridWindow:
    """The same terms; who is new has a number as name."""
    names = [*window.ids, *(f"new-{place}" for place in range(len(window.ids), len(bids)))]
    return MicrogridWindow(tuple(names), window.terms, tuple(bids))
