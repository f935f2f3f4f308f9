"""The same judgements number by number in Python's whole numbers: slow, and hard to get wrong.

Written from the equations and not from `plan` and `bound`, so that a mistake there shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from gridpact.market.integer.microgrids.packing import unpack
from gridpact.model.microgrids import Certificate, Column, MicrogridBid, MicrogridTerms, Row

Table = Sequence[Sequence[Sequence[int]]]
"""Numbers by column or row, microgrid, period."""

UWH = 10**6
"""Micro-Wh in a Wh."""


def limits_plain(bid: MicrogridBid, period: int, *, trade: bool) -> dict[Column, tuple[int, int]]:
    """Least and most of every column of one microgrid in one period."""
    load, demand = bid.load_wh[period], bid.green_demand_wh[period]
    renewable, store = bid.renewable_wh[period], bid.storage
    last = period == len(bid.load_wh) - 1
    missing = -(-(store.content_end_uwh - store.content_min_uwh) // UWH)
    floor = max(store.content_min_uwh, store.content_end_uwh) if last else store.content_min_uwh
    return {
        Column.BUY: (0, load),
        Column.TURBINE: (0, min(bid.turbine.energy_max_wh, load)),
        Column.CHARGE: (0, store.energy_max_wh),
        Column.DISCHARGE: (0, store.energy_max_wh),
        Column.EXPORT: (0, renewable + store.energy_max_wh),
        Column.CURTAIL: (0, renewable),
        Column.GREEN_DEMANDED: (0, demand),
        Column.GREEN_OTHER: (0, load - demand),
        Column.CONTENT: (floor, store.content_max_uwh),
        Column.SELL: (0, renewable + store.energy_max_wh if trade else 0),
        Column.PURCHASE: (0, load + store.energy_max_wh if trade else 0),
        Column.MISSING: (0, max(0, missing) if last else 0),
    }


def feasible_plain(bids: Sequence[MicrogridBid], plan: Table, *, trade: bool) -> bool:
    """Whether a plan keeps every limit and every equation."""
    for number, bid in enumerate(bids):
        before = bid.storage.content_start_uwh
        efficiency = bid.storage.charge_permille * bid.storage.discharge_permille
        for period, load in enumerate(bid.load_wh):
            at = {column: plan[column][number][period] for column in Column}
            limits = limits_plain(bid, period, trade=trade)
            if any(not low <= at[column] <= high for column, (low, high) in limits.items()):
                return False
            green = at[Column.GREEN_DEMANDED] + at[Column.GREEN_OTHER]
            out = at[Column.EXPORT] + at[Column.CURTAIL] + at[Column.SELL] + at[Column.CHARGE]
            into = bid.renewable_wh[period] + at[Column.DISCHARGE] + at[Column.PURCHASE]
            content = before + efficiency * at[Column.CHARGE]
            content += UWH * (at[Column.MISSING] - at[Column.DISCHARGE])
            if green + out != into or green + at[Column.TURBINE] + at[Column.BUY] != load:
                return False
            if content != at[Column.CONTENT]:
                return False
            before = content
    sold = [sum(column) for column in zip(*plan[Column.SELL], strict=True)]
    return sold == [sum(column) for column in zip(*plan[Column.PURCHASE], strict=True)]


def cost_parts_plain(
    terms: MicrogridTerms, bid: MicrogridBid, plan: Table, number: int, period: int
) -> list[int]:
    """The parts of a microgrid's cost in a period, in pico."""
    at = {column: plan[column][number][period] for column in Column}
    fee = terms.fee_per_side_micro_per_kwh
    turbine, quadratic = at[Column.TURBINE], bid.turbine.quadratic_pico_per_wh2
    short = bid.green_demand_wh[period] - at[Column.GREEN_DEMANDED]
    return [
        1000 * bid.shortage_micro_per_kwh * short,
        1000 * bid.turbine.linear_micro_per_kwh * turbine + quadratic * turbine**2,
        1000 * terms.retail_micro_per_kwh[period] * at[Column.BUY],
        -1000 * terms.feed_in_micro_per_kwh[period] * at[Column.EXPORT],
        1000 * fee * at[Column.SELL],
        1000 * fee * at[Column.PURCHASE],
        1000 * terms.end_micro_per_kwh * at[Column.MISSING],
    ]


def bound_plain(
    terms: MicrogridTerms,
    bid: MicrogridBid,
    duals: Sequence[Sequence[int]],
    balance: Sequence[int],
    *,
    trade: bool,
) -> int:
    """One microgrid's part of g(y) in pico; `duals` by row and period."""
    total = duals[Row.STORED][0] * bid.storage.content_start_uwh // UWH
    for period, load in enumerate(bid.load_wh):
        total += bid.renewable_wh[period] * duals[Row.GREEN][period]
        total += load * duals[Row.POWER][period]
        total += 1000 * bid.shortage_micro_per_kwh * bid.green_demand_wh[period]
        limits = limits_plain(bid, period, trade=trade)
        for column, slope in _slopes(terms, bid, duals, balance, period).items():
            low, high = limits[column]
            if column == Column.TURBINE:
                total += _parabola_minimum(bid.turbine.quadratic_pico_per_wh2, slope, high)
            else:
                total += min(slope * low, slope * high) // UWH
    return total


def _slopes(
    terms: MicrogridTerms,
    bid: MicrogridBid,
    duals: Sequence[Sequence[int]],
    balance: Sequence[int],
    period: int,
) -> dict[Column, int]:
    """Slopes c - A'y of every column in 10^-6 pico per unit of the column; of TURBINE in pico."""
    green, power, stored = (duals[row][period] for row in Row)
    later = duals[Row.STORED][period + 1] if period + 1 < len(bid.load_wh) else 0
    efficiency = bid.storage.charge_permille * bid.storage.discharge_permille
    fee = 1000 * terms.fee_per_side_micro_per_kwh
    short = 1000 * bid.shortage_micro_per_kwh
    whole = {
        Column.BUY: 1000 * terms.retail_micro_per_kwh[period] - power,
        Column.DISCHARGE: green - stored,
        Column.EXPORT: -1000 * terms.feed_in_micro_per_kwh[period] - green,
        Column.CURTAIL: -green,
        Column.GREEN_DEMANDED: -short - green - power,
        Column.GREEN_OTHER: -green - power,
        Column.SELL: fee - green - balance[period],
        Column.PURCHASE: fee + green + balance[period],
        Column.MISSING: 1000 * terms.end_micro_per_kwh + stored,
    }
    slopes = {column: UWH * slope for column, slope in whole.items()}
    slopes[Column.TURBINE] = 1000 * bid.turbine.linear_micro_per_kwh - power
    slopes[Column.CHARGE] = efficiency * stored - UWH * green
    slopes[Column.CONTENT] = later - stored
    return slopes


def _parabola_minimum(quadratic: int, slope: int, most: int) -> int:
    """Floor of the least quadratic x^2 + slope x with real x in 0..most."""
    if slope >= 0:
        return 0
    if -slope >= 2 * quadratic * most:
        return quadratic * most**2 + slope * most
    return -(slope**2) // (4 * quadratic)


def accepted_plain(
    terms: MicrogridTerms,
    bids: Sequence[MicrogridBid],
    weights: Sequence[int],
    certificate: Certificate,
    gap_ppb: int,
) -> bool:
    """Whether a certificate proves its clearing: `verify` once more, without its reasons.

    Terms, bids, weights and gap are taken to be in order.
    """
    shape = len(bids), len(terms.retail_micro_per_kwh)
    plan = unpack(certificate.plan, (len(Column), *shape))
    duals = unpack(certificate.duals, (len(Row), *shape))
    balance = unpack(certificate.balance_duals, (1, shape[1]))
    kept = [column for column in Column if column not in {Column.SELL, Column.PURCHASE}]
    packed = unpack(certificate.alone_plan, (len(kept), *shape))
    alone_duals = unpack(certificate.alone_duals, (len(Row), *shape))
    if plan is None or duals is None or balance is None or packed is None or alone_duals is None:
        return False
    alone: list[list[list[int]]] = [[[0] * shape[1] for _ in bids] for _ in Column]
    for column, numbers in zip(kept, packed.tolist(), strict=True):
        alone[column] = numbers
    together = _costs_plain(terms, bids, plan.tolist(), duals.tolist(), balance[0].tolist())
    apart = _costs_plain(terms, bids, alone, alone_duals.tolist(), None)
    if together is None or apart is None:
        return False
    joint = [sum(column) for column in zip(*together, strict=True)]
    dearest = max(0, *terms.retail_micro_per_kwh) + max(bid.shortage_micro_per_kwh for bid in bids)
    each = dearest + 2 * terms.fee_per_side_micro_per_kwh
    rounding = 1000 * (shape[1] * each + terms.end_micro_per_kwh)
    gaps = [(joint, len(bids)), *((row, 1) for row in apart)]
    if any(
        (row[0] - row[3]) * 10**9 > max(gap_ppb * row[2], 10**9 * count * rounding)
        for row, count in gaps
    ):
        return False
    savings = [before[0] - after[0] for before, after in zip(apart, together, strict=True)]
    first = [before[1] - after[1] for before, after in zip(apart, together, strict=True)]
    trades = bool(plan[Column.SELL].any())
    return (
        (sum(savings) > 0 or (sum(savings) == 0 and not trades))
        and certificate.cost_nano == [row[0] // 1000 for row in together]
        and certificate.alone_cost_nano == [row[0] // 1000 for row in apart]
        and certificate.transfer_nano == _transfers_plain(savings, weights)
        and certificate.first_transfer_nano == _transfers_plain(first, weights)
    )


def _costs_plain(
    terms: MicrogridTerms,
    bids: Sequence[MicrogridBid],
    plan: Table,
    duals: Table,
    balance: Sequence[int] | None,
) -> list[tuple[int, int, int, int]] | None:
    """Cost, first cost, turnover and bound of each microgrid; None for a plan that cannot be.

    Without duals of the balances there is no trade.
    """
    trade = balance is not None
    if not feasible_plain(bids, plan, trade=trade):
        return None
    rows = []
    for number, bid in enumerate(bids):
        periods = range(len(bid.load_wh))
        parts = [cost_parts_plain(terms, bid, plan, number, period) for period in periods]
        own = [duals[row][number] for row in Row]
        bound = bound_plain(terms, bid, own, balance or [0] * len(periods), trade=trade)
        turnover = sum(abs(part) for row in parts for part in row)
        rows.append((sum(map(sum, parts)), sum(parts[0]), turnover, bound))
    return rows


def _transfers_plain(savings: Sequence[int], weights: Sequence[int]) -> list[int]:
    """Shares of the surplus less savings in nano, rounded so that they sum to zero."""
    surplus, whole = sum(savings), sum(weights)
    exact = [
        Fraction(weight * surplus, 1000 * whole) - Fraction(saving, 1000)
        for weight, saving in zip(weights, savings, strict=True)
    ]
    down = [amount.__floor__() for amount in exact]
    by_rest = sorted(range(len(exact)), key=lambda i: (down[i] - exact[i], i))
    ups = by_rest[: -sum(down)]
    return [amount + (number in ups) for number, amount in enumerate(down)]
