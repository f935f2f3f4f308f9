"""How fast the auction clears, with the plain loop timed on the same books in the same run.

The ratio is what travels between machines; seconds are those of the machine at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from gridpact.errors import invariant
from gridpact.market.integer import AuctionResult, Orders, clear_auction, clear_auction_plain
from gridpact.model import TieRule

SIZES = (1_000, 10_000, 100_000, 500_000)
"""Orders per side."""

REPEAT_S = 0.5
"""About this long each way of clearing is repeated; the best time counts."""

FEED_IN_MICRO_PER_KWH = 450_000
RETAIL_MICRO_PER_KWH = 670_000
"""Quotes lie between the prices outside the market. Source: [WANG24], section 4.1."""


def random_book(orders_per_side: int, seed: int) -> tuple[Orders, Orders]:
    """Bids and offers with even quotes between the tariffs, limits a little beyond the quotes.

    Ranks are shuffled and times differ, so nothing arrives sorted.
    """
    chance = np.random.default_rng(seed)
    sides = []
    for towards_limit in (1, -1):
        price = chance.integers(FEED_IN_MICRO_PER_KWH, RETAIL_MICRO_PER_KWH, orders_per_side)
        sides.append(
            Orders(
                price_micro_per_kwh=price,
                energy_wh=chance.integers(1, 5_000, orders_per_side),
                limit_micro_per_kwh=price
                + towards_limit * chance.integers(30_000, size=len(price)),
                submitted_ms=chance.integers(900_000, size=orders_per_side),
                rank=chance.permutation(orders_per_side),
            )
        )
    bids, offers = sides
    return bids, offers


def bench_clearing(sizes: Sequence[int] = SIZES) -> dict[str, dict[str, float | int]]:
    """Time `clear_auction` against the plain loop, pro rata, and compare their results.

    Args:
        sizes: orders per side.
    Returns:
        per book `ours_s`, `baseline_s`, `ratio` (times faster), `orders` of both sides, `trades`;
        and under `first_call` the time `ours_s` of the first clearing in this process, which
        compiles the kernel or loads it from numba's cache. No other time includes that.
    """
    started = perf_counter()
    clear_auction(*random_book(1, seed=0), TieRule.PRO_RATA)
    figures: dict[str, dict[str, float | int]] = {
        "first_call": {"ours_s": perf_counter() - started}
    }
    for size in sizes:
        bids, offers = random_book(size, seed=size)
        ours_s, ours = _best(clear_auction, bids, offers)
        baseline_s, baseline = _best(clear_auction_plain, bids, offers)
        invariant(ours == baseline, f"compiled and plain clearing differ at {size} orders a side")
        figures[f"{size}+{size}"] = {
            "ours_s": ours_s,
            "baseline_s": baseline_s,
            "ratio": baseline_s / ours_s,
            "orders": 2 * size,
            "trades": len(ours.trades),
        }
    return figures


def _best(
    clear: Callable[[Orders, Orders, TieRule], AuctionResult], bids: Orders, offers: Orders
) -> tuple[float, AuctionResult]:
    """The least time of several clearings in seconds, and their result; slow ones run once."""
    best_s = spent_s = 0.0
    while True:
        started = perf_counter()
        result = clear(bids, offers, TieRule.PRO_RATA)
        seconds = perf_counter() - started
        best_s = min(best_s or seconds, seconds)
        spent_s += seconds
        if spent_s >= REPEAT_S:
            return best_s, result
