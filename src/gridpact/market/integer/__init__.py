"""Clearing in integers: every replica computes it again and gets the same bytes.

Importing this room loads numpy only; the compiled kernels load at the first clearing.
"""

from gridpact.market.integer.auction import (
    ENERGY_TOTAL_MAX,
    ORDERS_MAX,
    AuctionResult,
    Orders,
    Trades,
    clear_auction,
)
from gridpact.market.integer.plain import clear_auction_plain

__all__ = [
    "ENERGY_TOTAL_MAX",
    "ORDERS_MAX",
    "AuctionResult",
    "Orders",
    "Trades",
    "clear_auction",
    "clear_auction_plain",
]
