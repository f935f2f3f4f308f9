"""One clearing of the two-stage double auction, on arrays or data frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gridpact.errors import InputError, Problem
from gridpact.market.integer import Orders
from gridpact.market.integer import clear_auction as clear_book
from gridpact.model import TieRule

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]

Book: TypeAlias = "pl.DataFrame | Mapping[str, Any]"
"""One side: columns by name, each a numpy array, a polars series or a list of whole numbers."""

REQUIRED = ("price_micro_per_kwh", "energy_wh")
OPTIONAL = ("limit_micro_per_kwh", "submitted_ms", "order_id")
TIES = {"pro_rata": TieRule.PRO_RATA, "time": TieRule.TIME}


@dataclass(frozen=True, slots=True, eq=False)
class Clearing:
    """What one clearing decided."""

    trades: pl.DataFrame
    """In the order in which they were made: `stage`, `offer` and `bid` (row numbers in the books),
    `energy_wh`, `price_sum_micro_per_kwh` (twice the price), `payment_nano` (what the buyer pays),
    `income_nano` (what the seller gets, at most one less)."""
    reference_price_micro_per_kwh: int | None
    """Mean trade price of the first stage; None without a trade."""
    remaining_bid_wh: IntArray
    """Energy left of each bid, in the rows of the bids."""
    remaining_offer_wh: IntArray
    """Energy left of each offer, in the rows of the offers."""


def clear_auction(
    bids: Book, offers: Book, *, tie: Literal["pro_rata", "time"] = "pro_rata"
) -> Clearing:
    """The two-stage double auction of one delivery slot.

    Each side needs the columns `price_micro_per_kwh` and `energy_wh`; it may have
    `limit_micro_per_kwh` (private limit of the second stage; the price when left out),
    `submitted_ms` (used by `tie="time"`) and `order_id` (decides among equals; the order of the
    rows when left out).

    Args:
        bids: orders to buy.
        offers: orders to sell.
        tie: who is served first among equal prices.
    Raises:
        InputError: everything that is wrong with either side, by column and row.

    >>> import gridpact
    >>> clearing = gridpact.clear_auction(
    ...     bids={"price_micro_per_kwh": [300_000, 250_000], "energy_wh": [400, 600]},
    ...     offers={"price_micro_per_kwh": [100_000], "energy_wh": [700]},
    ... )
    >>> clearing.trades["energy_wh"].to_list(), clearing.remaining_bid_wh.tolist()
    ([400, 300], [0, 300])
    >>> clearing.trades["payment_nano"].sum(), clearing.reference_price_micro_per_kwh
    (132500000, 187500)

    Source: [WANG24], section 3.2.2; `gridpact.market.integer` says what is ours.
    """
    import polars as pl

    problems: list[Problem] = []
    if tie not in TIES:
        problems.append(Problem("tie", f"{tie!r} is not one of: {', '.join(TIES)}"))
    sides = [_orders(side, book, problems) for side, book in (("bids", bids), ("offers", offers))]
    demand, supply = sides
    if problems or demand is None or supply is None:
        raise InputError(problems)
    cleared = clear_book(demand, supply, TIES[tie])
    trades = cleared.trades
    # A price sum is below 2^32 and an energy below 2^31, so their product fits 63 bits.
    doubled = trades.price_sum_micro_per_kwh * trades.energy_wh
    return Clearing(
        trades=pl.DataFrame(
            {
                "stage": trades.stage,
                "offer": trades.offer,
                "bid": trades.bid,
                "energy_wh": trades.energy_wh,
                "price_sum_micro_per_kwh": trades.price_sum_micro_per_kwh,
                "payment_nano": doubled // 2 + doubled % 2,
                "income_nano": doubled // 2,
            }
        ),
        reference_price_micro_per_kwh=cleared.reference_price_micro_per_kwh,
        remaining_bid_wh=cleared.remaining_bid_wh,
        remaining_offer_wh=cleared.remaining_offer_wh,
    )


def _orders(side: str, book: Book, problems: list[Problem]) -> Orders | None:
    """One side as the market takes it, or None after noting what keeps it from that."""
    names = [str(name) for name in (book if isinstance(book, Mapping) else book.columns)]
    before = len(problems)
    allowed = (*REQUIRED, *OPTIONAL)
    problems += [
        Problem(f"{side}.{name}", f"is not a column of a book; allowed: {', '.join(allowed)}")
        for name in names
        if name not in allowed
    ]
    problems += [
        Problem(f"{side}.{name}", "is missing; give one value per order")
        for name in REQUIRED
        if name not in names
    ]
    columns = {
        name: _whole(f"{side}.{name}", book[name], problems)
        for name in names
        if name in allowed and name != "order_id"
    }
    if len(problems) > before:
        return None
    price = columns["price_micro_per_kwh"]
    count = len(price)
    ranks = _ranks(side, book["order_id"], problems) if "order_id" in names else np.arange(count)
    return Orders(
        price_micro_per_kwh=price,
        energy_wh=columns["energy_wh"],
        limit_micro_per_kwh=columns.get("limit_micro_per_kwh", price),
        submitted_ms=columns.get("submitted_ms", np.zeros(count, np.int64)),
        rank=ranks,
    )


def _whole(where: str, values: Any, problems: list[Problem]) -> IntArray:
    """A column as int64; floats are refused, because rounding is the caller's to decide."""
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        fact = f"has type {array.dtype} and {array.ndim} dimensions"
        problems.append(Problem(where, f"{fact}; give one list of whole numbers, round floats"))
        return np.zeros(0, np.int64)
    if not np.can_cast(array.dtype, np.int64) and array.max() > np.iinfo(np.int64).max:
        problems.append(Problem(where, "has numbers beyond 64 bits with a sign"))
        return np.zeros(0, np.int64)
    return array.astype(np.int64)


def _ranks(side: str, ids: Any, problems: list[Problem]) -> IntArray:
    """Position of each id among all of its side, as text or as numbers."""
    array = np.asarray(ids)
    if array.dtype.kind == "O":
        array = array.astype(str)
    distinct, ranks = np.unique(array, return_inverse=True)
    if len(distinct) != len(array):
        problems.append(Problem(f"{side}.order_id", "has an id twice; give every order its own"))
    return ranks.astype(np.int64)
