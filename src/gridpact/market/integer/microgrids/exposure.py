"""What one bid may be, and the most that it can cost, whoever it bargains with."""

from __future__ import annotations

import msgspec

from gridpact.market.integer.microgrids.window import check
from gridpact.model.microgrids import MicrogridBid, MicrogridTerms
from gridpact.units import QUANTITY_MAX, ceil_divide, money_nano

PICO_PER_NANO = 1000
UWH_PER_WH = 10**6


def bid_fits(terms: MicrogridTerms, bid: MicrogridBid, price_max_micro_per_kwh: int) -> bool:
    """Whether a bid can be cleared together with any others that fit.

    Its prices are at most the market's, what it could sell or purchase in a period is one quantity
    of the wire, and its energies pass the bounds of `check` even where another bid states the
    dearest loss.
    """
    traded_wh = max([*bid.load_wh, *bid.renewable_wh], default=0) + bid.storage.energy_max_wh
    if traded_wh > QUANTITY_MAX:
        return False
    turbine = bid.turbine
    most_wh = min(turbine.energy_max_wh, max(bid.load_wh, default=0))
    slope_pico = 2 * turbine.quadratic_pico_per_wh2 * most_wh
    marginal_pico = PICO_PER_NANO * turbine.linear_micro_per_kwh + slope_pico
    if max(PICO_PER_NANO * bid.shortage_micro_per_kwh, marginal_pico) > (
        PICO_PER_NANO * price_max_micro_per_kwh
    ):
        return False
    dearest = msgspec.structs.replace(bid, shortage_micro_per_kwh=price_max_micro_per_kwh)
    return not check(terms, [dearest])


def exposure_nano(terms: MicrogridTerms, bid: MicrogridBid, price_max_micro_per_kwh: int) -> int:
    """What a microgrid deposits with its bid, nano.

    It never transfers more than what its cost of the slot can fall by, unless all together lose in
    the slot; it pays fees for all that it may trade; and it compensates whatever it sells and does
    not deliver, at the dearest loss that a bid may state and the retail price.

    Args:
        terms: of the window.
        bid: of the same length.
        price_max_micro_per_kwh: most that the market lets a bid state as a loss.
    """
    load, store = bid.load_wh[0], bid.storage.energy_max_wh
    given, taken = bid.renewable_wh[0] + store, load + store
    retail, feed_in = terms.retail_micro_per_kwh[0], terms.feed_in_micro_per_kwh[0]
    turbine = min(load, bid.turbine.energy_max_wh)
    turbine_pico = bid.turbine.quadratic_pico_per_wh2 * turbine * turbine
    dearest = (
        money_nano(bid.shortage_micro_per_kwh, bid.green_demand_wh[0])
        + money_nano(max(0, retail), load)
        + money_nano(bid.turbine.linear_micro_per_kwh, turbine)
        + ceil_divide(turbine_pico, PICO_PER_NANO)
        + money_nano(max(0, -feed_in), given)
        + money_nano(terms.fee_per_side_micro_per_kwh, given + taken)
    )
    if len(bid.load_wh) == 1:
        lacking = max(0, bid.storage.content_end_uwh - bid.storage.content_min_uwh)
        dearest += money_nano(terms.end_micro_per_kwh, ceil_divide(lacking, UWH_PER_WH))
    cheapest = -money_nano(max(0, feed_in), given) - money_nano(max(0, -retail), load)
    undelivered = money_nano(price_max_micro_per_kwh + max(0, retail), given)
    return dearest - cheapest + undelivered
