"""Certified clearing of microgrids that bargain, in integers: check, repair, prove, share.

Knows neither how a plan was found nor who is behind a microgrid.
"""

from gridpact.market.integer.microgrids.account import Solution, account_of
from gridpact.market.integer.microgrids.bargain import bargain_of, flows_wh
from gridpact.market.integer.microgrids.certificate import (
    GAP_PPB_DEFAULT,
    certificate_of,
    plan_of,
    verify,
)
from gridpact.market.integer.microgrids.exposure import bid_fits, exposure_nano
from gridpact.market.integer.microgrids.rounding import repair
from gridpact.market.integer.microgrids.verdicts import ClearingVerdict
from gridpact.market.integer.microgrids.window import Window, window_of, without_trade

__all__ = [
    "GAP_PPB_DEFAULT",
    "ClearingVerdict",
    "Solution",
    "Window",
    "account_of",
    "bargain_of",
    "bid_fits",
    "certificate_of",
    "exposure_nano",
    "flows_wh",
    "plan_of",
    "repair",
    "verify",
    "window_of",
    "without_trade",
]
