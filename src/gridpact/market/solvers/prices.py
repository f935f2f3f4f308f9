"""Who sells how much to whom, and at which price: a reading of transfers that pairs understand.

Only what each receives in all is determined. Of the prices that pay it, these are the nearest to
a middle price; where none do, the rest is paid on the side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gridpact.quantize import FloatArray


def proportional_flows(net_sales_kwh: FloatArray) -> FloatArray:
    """Each seller serves each buyer in proportion to both: shape (M, M), kWh from row to column.

    The same whatever the names and the order, and every trader is connected with every other.

    Args:
        net_sales_kwh: shape (M,), + sold, - purchased; its sum is 0 but for rounding.
    """
    sold, bought = np.maximum(net_sales_kwh, 0.0), np.maximum(-net_sales_kwh, 0.0)
    total = max(sold.sum(), bought.sum())
    if total == 0.0:
        return np.zeros((len(sold), len(sold)))
    flows: FloatArray = np.outer(sold, bought) / total
    return flows


def pair_prices(
    flows_kwh: FloatArray, transfers: FloatArray, middle: float
) -> tuple[FloatArray, FloatArray]:
    """Prices, shape (M, M), in currency per kWh, NaN where nothing flows; side payments, (M,).

    Of all prices that pay the transfers those with the least sum of flow x (price - middle)^2:
    middle + theta of the seller - theta of the buyer, where the Laplacian of the flows times theta
    is what the middle price leaves unpaid. A group of traders whose transfers do not sum to 0
    has no such prices; then prices pay as near as they can, and who does not trade at all is paid
    on the side. Side payment = transfer less what the prices bring.

    Args:
        flows_kwh: shape (M, M), >= 0, from row to column; nobody both sells and purchases.
        transfers: shape (M,), currency, + received.
        middle: currency per kWh.

    Ours: [AEPS22] does not say which of its many prices (18) means.
    """
    both = flows_kwh + flows_kwh.T
    trades = np.flatnonzero(both.sum(axis=1) > 0.0)
    net = flows_kwh.sum(axis=1) - flows_kwh.sum(axis=0)
    theta = np.zeros(len(net))
    if trades.size:
        part = both[np.ix_(trades, trades)]
        laplacian = np.diag(part.sum(axis=1)) - part
        unpaid = transfers[trades] - middle * net[trades]
        theta[trades] = np.linalg.lstsq(laplacian, unpaid, rcond=None)[0]
    prices = middle + theta[:, None] - theta[None, :]
    payments = np.where(flows_kwh > 0.0, flows_kwh * prices, 0.0)
    side = transfers - payments.sum(axis=1) + payments.sum(axis=0)
    return np.where(flows_kwh > 0.0, prices, np.nan), side
