"""From a plan that is off by a few Wh to one that keeps every rule exactly.

Of the rough plan, contents of storages and net trades are followed and brought to whole Wh that
fit; everything else then follows at least cost (`dispatch`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.market.integer.microgrids.dispatch import places
from gridpact.market.integer.microgrids.plan import fault
from gridpact.market.integer.microgrids.trade import Trade
from gridpact.market.integer.microgrids.verdicts import ClearingVerdict
from gridpact.market.integer.microgrids.window import UWH_PER_WH, Window
from gridpact.model.microgrids import Column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]


def repair(window: Window, rough: IntArray) -> IntArray | None:
    """An exactly feasible plan near `rough`, (columns, M, T); None where this finds none.

    Contents and trades follow `rough` to about a Wh, so it costs little more than `rough` does; how
    much more the certificate tells. Without trade there always is a result, with trade whenever the
    rough trades nearly match. The same arguments give the same plan on every machine.
    """
    rough = rough.clip(window.lower, window.upper)
    plan = np.zeros_like(rough)
    for microgrid in range(window.microgrids):
        _follow_content(window, rough, plan, microgrid)
    for period in range(window.periods):
        if not _settle_trade(window, rough, plan, period):
            return None
    return plan if fault(window, plan) is ClearingVerdict.ACCEPTED else None


def _follow_content(window: Window, rough: IntArray, plan: IntArray, microgrid: int) -> None:
    """Charge, discharge and content of one storage, in whole Wh of charge and discharge.

    The content stays as it is while it is less than a Wh from the rough one. Otherwise it goes to
    the rough one or up to a Wh above, so that what is needed at the end is not missed by a
    fraction; nothing is charged and discharged in one period.
    """
    efficiency = int(window.efficiency_ppm[microgrid, 0])
    content = int(window.content_start_uwh[microgrid])
    lows = window.lower[Column.CONTENT, microgrid].tolist()
    highs = window.upper[Column.CONTENT, microgrid].tolist()
    targets = rough[Column.CONTENT, microgrid].tolist()
    charge_max = np.minimum(
        window.upper[Column.CHARGE, microgrid],
        window.renewable_wh[microgrid] + rough[Column.PURCHASE, microgrid],
    ).tolist()
    discharge_max = window.upper[Column.DISCHARGE, microgrid].tolist()
    missing_rough = rough[Column.MISSING, microgrid].tolist()
    for period, (low, high, target) in enumerate(zip(lows, highs, targets, strict=True)):
        missing = missing_rough[period]
        need = target - content - UWH_PER_WH * missing
        charge = discharge = 0
        if need >= UWH_PER_WH or content + UWH_PER_WH * missing < low:
            charge = min(-(-need // efficiency), charge_max[period], (high - content) // efficiency)
        elif need <= -UWH_PER_WH:
            discharge = min(-need // UWH_PER_WH, discharge_max[period])
        content += efficiency * charge - UWH_PER_WH * discharge
        # Just as many whole Wh as keep the end, when the rough plan has some or charging fails.
        missing = max(0, -(-(low - content) // UWH_PER_WH))
        content += UWH_PER_WH * missing
        plan[Column.CHARGE, microgrid, period] = charge
        plan[Column.DISCHARGE, microgrid, period] = discharge
        plan[Column.MISSING, microgrid, period] = missing
        plan[Column.CONTENT, microgrid, period] = content


def _settle_trade(window: Window, rough: IntArray, plan: IntArray, period: int) -> bool:
    """Trades of one period that sum to zero, and with them all uses; whether there are any."""
    at = places(window, period)
    now = (slice(None), period)
    green = window.renewable_wh[now] + plan[Column.DISCHARGE][now] - plan[Column.CHARGE][now]
    most = np.array([place.most for place in at], np.int64)
    lows = np.maximum(-window.upper[Column.PURCHASE][now], green - most)
    highs = np.minimum(window.upper[Column.SELL][now], green)
    if (lows > highs).any():
        return False
    # Who trades does so with what its rough uses leave, so that rounding moves the trade and not
    # a use that is at its limit; who does not trade stays out.
    traded = rough[Column.SELL][now] - rough[Column.PURCHASE][now]
    wanted = np.where(traded != 0, green - _uses(rough)[now], 0)
    trade = Trade(at, green.tolist(), wanted.clip(lows, highs).tolist(), window.fee_pico)
    if not trade.balance(lows.tolist(), highs.tolist()):
        return False
    for microgrid, (place, have, sold) in enumerate(zip(at, trade.green, trade.sold, strict=True)):
        use = place.use(have - sold)
        column = plan[:, microgrid, period]
        column[Column.SELL], column[Column.PURCHASE] = max(sold, 0), max(-sold, 0)
        column[Column.BUY], column[Column.TURBINE] = use.buy, use.turbine
        column[Column.EXPORT], column[Column.CURTAIL] = use.export, use.curtail
        column[Column.GREEN_DEMANDED] = use.green_demanded
        column[Column.GREEN_OTHER] = use.green_other
    return True


def _uses(rough: IntArray) -> IntArray:
    """(M, T): green energy that stays with each microgrid."""
    own: IntArray = rough[Column.GREEN_DEMANDED] + rough[Column.GREEN_OTHER]
    own += rough[Column.EXPORT] + rough[Column.CURTAIL]
    return own
