"""A clearing with its proof: made by whoever solved it, checked by everybody else.

Nobody solves anything again: a plan is feasible or not, its cost is a sum, and duals prove how far
from the best it can be at most. The same holds for what each microgrid could do without trade,
which decides how the surplus is shared; a leader can cheat with neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.errors import InputError, InvariantError, invariant
from gridpact.market.integer.microgrids.account import PPB, Account, Solution, account_of
from gridpact.market.integer.microgrids.bargain import bargain_of
from gridpact.market.integer.microgrids.bound import dual_limit, lower_bounds_pico
from gridpact.market.integer.microgrids.packing import pack, unpack
from gridpact.market.integer.microgrids.plan import fault
from gridpact.market.integer.microgrids.verdicts import ALONE, ClearingVerdict
from gridpact.market.integer.microgrids.window import (
    PICO_PER_NANO,
    Window,
    window_of,
    without_trade,
)
from gridpact.model.microgrids import Certificate, Column, MicrogridBid, MicrogridTerms, Row
from gridpact.units import INT64_MAX, INT64_MIN, QUANTITY_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

GAP_PPB_DEFAULT = 1000
"""Cost above the proved bound that a market accepts, in 1e-9 of gross turnover.

What whole Wh cost is accepted in any case: see `rounding_pico`. Above half a MWh in an hour this
is the wider of the two."""
GAP_PPB_MAX = PPB
COLUMNS_ALONE = tuple(column for column in Column if column not in {Column.SELL, Column.PURCHASE})


def certificate_of(
    window: Window, together: Solution, alone: Solution, weights: Sequence[int]
) -> Certificate:
    """The certificate of a joint plan and the plans without trade, both feasible.

    When trade saves nothing, nobody trades: the plans without it are then the joint plan too.
    Duals beyond what 64 bits can check are cut off, which is harmless: any duals give a bound.
    """
    separate = without_trade(window)
    alone = _idle_at_zero(separate, within_limit(window, alone))
    together = within_limit(window, together)
    alone_account, account = account_of(separate, alone), account_of(window, together)
    if sum(alone_account.costs) <= sum(account.costs):
        together = Solution(alone.plan, together.duals, together.balance)
        account = account_of(window, together)
    bargain = bargain_of(alone_account, account, weights)
    return Certificate(
        plan=pack(together.plan),
        duals=pack(together.duals),
        balance_duals=pack(together.balance[np.newaxis]),
        alone_plan=pack(alone.plan[list(COLUMNS_ALONE)]),
        alone_duals=pack(alone.duals),
        cost_nano=_nano(account.costs),
        alone_cost_nano=_nano(alone_account.costs),
        transfer_nano=bargain.transfer_nano,
        first_transfer_nano=bargain.first_transfer_nano,
    )


def within_limit(window: Window, solution: Solution) -> Solution:
    """The same plan with its duals cut off where 64 bits could no longer check them."""
    most = dual_limit(window)
    duals, balance = solution.duals.clip(-most, most), solution.balance.clip(-most, most)
    return Solution(solution.plan, duals, balance)


def _idle_at_zero(window: Window, solution: Solution) -> Solution:
    """Duals of zero for microgrids whose bound they make better.

    Who has neither load nor generation costs nothing, and a gap relative to nothing must be
    nothing: the dust that solvers leave in duals is too much there.
    """
    found = lower_bounds_pico(window, solution.duals, solution.balance)
    zero = np.zeros_like(solution.duals)
    idle = lower_bounds_pico(window, zero, solution.balance)
    better = np.array([with_zero > now for with_zero, now in zip(idle, found, strict=True)])
    duals = np.where(better[np.newaxis, :, np.newaxis], zero, solution.duals)
    return Solution(solution.plan, duals, solution.balance)


def verify(
    terms: MicrogridTerms,
    bids: Sequence[MicrogridBid],
    weights: Sequence[int],
    certificate: Certificate,
    gap_ppb: int,
) -> ClearingVerdict:
    """Whether a certificate proves its clearing, or the first thing that is wrong with it.

    Args:
        terms: of the window.
        bids: of its M microgrids.
        weights: of each in the bargain, 0..2^31-1, not all 0.
        certificate: decoded, otherwise unchecked.
        gap_ppb: what the market allows, 0..10^9.
    """
    if not _rules_hold(len(bids), weights, gap_ppb):
        return ClearingVerdict.BIDS_WRONG
    try:
        window = window_of(terms, bids)
    except InputError:
        return ClearingVerdict.BIDS_WRONG
    solutions = _unpacked(window, certificate)
    if solutions is None:
        return ClearingVerdict.SHAPE_WRONG
    together, alone = solutions
    most = dual_limit(window)
    duals = (together.duals, together.balance, alone.duals)
    if any(int(part.min()) < -most or int(part.max()) > most for part in duals):
        return ClearingVerdict.OVERFLOW
    if found := fault(window, together.plan):
        return found
    account = account_of(window, together)
    if certificate.cost_nano != _nano(account.costs):
        return ClearingVerdict.COST_WRONG
    rounding = rounding_pico(window)
    joint = (sum(account.costs), sum(account.bounds), sum(account.turnovers))
    if not _within(gap_ppb, *joint, window.microgrids * rounding):
        return ClearingVerdict.GAP_TOO_WIDE
    separate = without_trade(window)
    if found := fault(separate, alone.plan):
        return ALONE[found]
    alone_account = account_of(separate, alone)
    if certificate.alone_cost_nano != _nano(alone_account.costs):
        return ClearingVerdict.ALONE_COST_WRONG
    parts = zip(alone_account.costs, alone_account.bounds, alone_account.turnovers, strict=True)
    if not all(_within(gap_ppb, *part, rounding) for part in parts):
        return ClearingVerdict.ALONE_GAP_TOO_WIDE
    trades = bool(together.plan[Column.SELL].any())
    return _bargain_fault(account, alone_account, weights, certificate, trades=trades)


def plan_of(certificate: Certificate, microgrids: int, periods: int) -> IntArray:
    """The plan of a certificate that passes `verify`: (columns, M, T)."""
    plan = unpack(certificate.plan, (len(Column), microgrids, periods))
    if plan is None:
        raise InvariantError("a plan that was verified cannot be read")
    return plan


def _rules_hold(count: int, weights: Sequence[int], gap_ppb: int) -> bool:
    """Whether weights and gap are what a market may publish."""
    in_range = all(0 <= weight <= QUANTITY_MAX for weight in weights)
    return len(weights) == count and in_range and sum(weights) > 0 and 0 <= gap_ppb <= GAP_PPB_MAX


def _unpacked(window: Window, certificate: Certificate) -> tuple[Solution, Solution] | None:
    """The arrays of a certificate, None when counts or bytes are not as they must be."""
    shape = (window.microgrids, window.periods)
    plan = unpack(certificate.plan, (len(Column), *shape))
    duals = unpack(certificate.duals, (len(Row), *shape))
    balance = unpack(certificate.balance_duals, (1, window.periods))
    packed = unpack(certificate.alone_plan, (len(COLUMNS_ALONE), *shape))
    alone_duals = unpack(certificate.alone_duals, (len(Row), *shape))
    if plan is None or duals is None or balance is None or packed is None or alone_duals is None:
        return None
    lists = (
        certificate.cost_nano,
        certificate.alone_cost_nano,
        certificate.transfer_nano,
        certificate.first_transfer_nano,
    )
    if any(len(numbers) != window.microgrids for numbers in lists):
        return None
    alone_plan = np.zeros_like(plan)
    alone_plan[list(COLUMNS_ALONE)] = packed
    alone = Solution(alone_plan, alone_duals, np.zeros(window.periods, np.int64))
    return Solution(plan, duals, balance[0]), alone


def rounding_pico(window: Window) -> int:
    """What a microgrid's plan in whole Wh may cost more than one in parts of them.

    A Wh in each period, at the dearest that one can cost: bought, not green, and traded; and one
    that is missing at the end.
    """
    dearest = max(0, int(window.retail_pico.max())) + int(window.shortage_pico.max())
    return window.periods * (dearest + 2 * window.fee_pico) + window.end_pico


def _within(gap_ppb: int, cost: int, bound: int, turnover: int, rounding: int) -> bool:
    return (cost - bound) * PPB <= max(gap_ppb * turnover, PPB * rounding)


def _bargain_fault(
    account: Account,
    alone: Account,
    weights: Sequence[int],
    certificate: Certificate,
    *,
    trades: bool,
) -> ClearingVerdict:
    """What is wrong with surplus and transfers."""
    bargain = bargain_of(alone, account, weights)
    if bargain.surplus_pico < 0:
        return ClearingVerdict.SURPLUS_NEGATIVE
    if bargain.surplus_pico == 0 and trades:
        return ClearingVerdict.TRADE_WITHOUT_SURPLUS
    if certificate.transfer_nano != bargain.transfer_nano:
        return ClearingVerdict.TRANSFERS_WRONG
    if certificate.first_transfer_nano != bargain.first_transfer_nano:
        return ClearingVerdict.FIRST_TRANSFERS_WRONG
    return ClearingVerdict.ACCEPTED


def _nano(costs: Sequence[int]) -> list[int]:
    nano = [cost // PICO_PER_NANO for cost in costs]
    invariant(all(INT64_MIN <= cost <= INT64_MAX for cost in nano), "costs are within their terms")
    return nano
