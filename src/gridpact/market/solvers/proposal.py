"""From a solver's floats to a certificate that every replica accepts: the door of this room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import GridpactError
from gridpact.market.integer.microgrids import (
    Solution,
    Window,
    account_of,
    certificate_of,
    repair,
    window_of,
    without_trade,
)
from gridpact.market.solvers.programme import programme_of
from gridpact.market.solvers.solution import Solution as Solved
from gridpact.market.solvers.solve import solve_alone, solve_together
from gridpact.model import Agreement, Certificate, MicrogridBid, MicrogridTerms
from gridpact.model.microgrids import Column
from gridpact.quantize import round_half_even

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray, IntArray

WH_PER_KWH = 1000.0
UWH_PER_KWH = 1e9
PICO_PER_WH = 1e9
"""Pico per Wh in one unit of currency per kWh."""
PICO_PER_NANO = 1000
LARGEST = 2**53


@dataclass(frozen=True, slots=True)
class Proposal:
    """A certificate, with what a report says of it."""

    certificate: Certificate
    surplus_nano: int
    """What trade saves all together over the window."""
    first_surplus_nano: int
    """The first period's part; negative when storage moves the gain to later periods."""


class RepairError(GridpactError):
    """A solver's plan has no exactly feasible one beside it."""


def propose(
    terms: MicrogridTerms, bids: Sequence[MicrogridBid], weights: Sequence[int]
) -> Proposal:
    """Solve a window with and without trade, and prove the result in integers.

    Raises:
        InputError: everything that is wrong with terms and bids.
        SolveError: no solver reaches the tolerances.
        RepairError: whole units do not fit the plan found.
    """
    window = window_of(terms, bids)
    programme = programme_of(terms, bids)
    together = _whole(window, solve_together(programme))
    alone = _whole(without_trade(window), solve_alone(programme))
    certificate = certificate_of(window, together, alone, weights)
    surplus = sum(certificate.alone_cost_nano) - sum(certificate.cost_nano)
    if surplus <= 0:
        return Proposal(certificate, 0, 0)
    first = account_of(window, together).first_costs
    first_alone = account_of(without_trade(window), alone).first_costs
    return Proposal(certificate, surplus, (sum(first_alone) - sum(first)) // PICO_PER_NANO)


def plan_alone(terms: MicrogridTerms, bids: Sequence[MicrogridBid]) -> list[Agreement]:
    """What each microgrid does in the first period when nobody trades.

    Raises:
        InputError, SolveError, RepairError: as `propose`.
    """
    window = without_trade(window_of(terms, bids))
    plan = _whole(window, solve_alone(programme_of(terms, bids))).plan[:, :, 0].tolist()
    return [
        Agreement(
            transfer_nano=0,
            green_wh=plan[Column.GREEN_DEMANDED][i] + plan[Column.GREEN_OTHER][i],
            charge_wh=plan[Column.CHARGE][i],
            discharge_wh=plan[Column.DISCHARGE][i],
            turbine_wh=plan[Column.TURBINE][i],
            sales=[],
            purchases=[],
            escrow_nano=0,
        )
        for i in range(len(bids))
    ]


def _whole(window: Window, solved: Solved) -> Solution:
    plan = np.moveaxis(solved.plan_kwh, -1, 0) * WH_PER_KWH
    plan[Column.CONTENT] *= UWH_PER_KWH / WH_PER_KWH
    repaired = repair(window, _rounded(plan, "plan"))
    if repaired is None:
        raise RepairError("the plan found cannot be brought to whole Wh; nobody trades")
    duals = np.moveaxis(solved.duals, -1, 0) * PICO_PER_WH
    balance = solved.balance_duals * PICO_PER_WH
    return Solution(repaired, _rounded(duals, "duals"), _rounded(balance, "balance_duals"))


def _rounded(values: FloatArray, name: str) -> IntArray:
    return round_half_even(values, name=name, low=-LARGEST, high=LARGEST)
