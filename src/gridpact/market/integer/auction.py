"""The two-stage double auction of one delivery slot: its books, its result, its front door.

Orders come in as parallel integer arrays and trades go out the same way. What an order is worth
to anybody, who sent it and what happens to the trade afterwards is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gridpact.errors import InputError, InvariantError, Problem
from gridpact.model import TieRule
from gridpact.units import INT64_MAX, QUANTITY_MAX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray: TypeAlias = NDArray[np.int64]
    BoolArray: TypeAlias = NDArray[np.bool_]
    Columns: TypeAlias = tuple[IntArray, IntArray, IntArray, IntArray, IntArray]

ORDERS_MAX = 2**24
"""Most orders of one side in one clearing. Keeps sums of prices and of numbers below 2^63."""

ENERGY_TOTAL_MAX = 2**52 - 1
"""Most energy of one side in one clearing, in Wh. Keeps the pro rata division exact in 64 bits."""

LISTED_MAX = 100
"""Most rows that one refusal lists by number; further ones are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """One side of the book of one slot: parallel int64 arrays, one row per order."""

    price_micro_per_kwh: IntArray
    """The quote, 0..2^31-1."""
    energy_wh: IntArray
    """1..2^31-1."""
    limit_micro_per_kwh: IntArray
    """Private limit, 0..2^31-1: a seller's least price, at most its quote; a buyer's highest, at
    least its quote. Used in the second stage only."""
    submitted_ms: IntArray
    """Signed time of submission, milliseconds since 1970-01-01 UTC, >= 0."""
    rank: IntArray
    """Position of the order's id among all ids: unique in a side, the smaller id first."""

    @classmethod
    def of(
        cls,
        *,
        price_micro_per_kwh: Sequence[int],
        energy_wh: Sequence[int],
        limit_micro_per_kwh: Sequence[int] | None = None,
        submitted_ms: Sequence[int] | None = None,
        rank: Sequence[int] | None = None,
    ) -> Orders:
        """Orders from Python numbers.

        Without limits each quote is its own limit, without times all came at once, without ranks
        the ids are in the order given.

        >>> Orders.of(price_micro_per_kwh=[450_000], energy_wh=[1_000]).limit_micro_per_kwh
        array([450000])

        Raises:
            InputError: a number is beyond 64 bits or not a whole number.
        """
        count = len(price_micro_per_kwh)
        columns = {
            "price_micro_per_kwh": price_micro_per_kwh,
            "energy_wh": energy_wh,
            "limit_micro_per_kwh": (
                price_micro_per_kwh if limit_micro_per_kwh is None else limit_micro_per_kwh
            ),
            "submitted_ms": [0] * count if submitted_ms is None else submitted_ms,
            "rank": range(count) if rank is None else rank,
        }
        problems = [
            Problem(
                f"{name}[{row}]",
                f"{value!r} is not a whole number of 64 bits; give an int from 0 to {INT64_MAX}",
            )
            for name, values in columns.items()
            for row, value in enumerate(values)
            if not _is_int64(value)
        ]
        if problems:
            raise InputError(problems)
        return cls(**{name: np.array(values, np.int64) for name, values in columns.items()})

    def __len__(self) -> int:
        return len(self.price_micro_per_kwh)


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """Matched pairs in the order in which they were made: parallel int64 arrays."""

    stage: IntArray
    """1 or 2."""
    offer: IntArray
    """Row of the seller's order in the offers."""
    bid: IntArray
    """Row of the buyer's order in the bids."""
    energy_wh: IntArray
    """Traded energy, >= 1."""
    price_sum_micro_per_kwh: IntArray
    """Twice the price: the seller's quote plus the buyer's, so that the midpoint is exact."""

    def __len__(self) -> int:
        return len(self.stage)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trades):
            return NotImplemented
        return all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change


@dataclass(frozen=True, slots=True, eq=False)
class AuctionResult:
    """What one clearing decided."""

    trades: Trades
    reference_price_micro_per_kwh: int | None
    """Pa, the price at which the second stage trades; None when the first stage had no trade."""
    remaining_offer_wh: IntArray
    """Energy left of each offer, in the rows of the offers."""
    remaining_bid_wh: IntArray
    """Energy left of each bid, in the rows of the bids."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AuctionResult):
            return NotImplemented
        return (
            self.trades == other.trades
            and self.reference_price_micro_per_kwh == other.reference_price_micro_per_kwh
            and np.array_equal(self.remaining_offer_wh, other.remaining_offer_wh)
            and np.array_equal(self.remaining_bid_wh, other.remaining_bid_wh)
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can change


def clear_auction(bids: Orders, offers: Orders, tie: TieRule) -> AuctionResult:
    """The two-stage double auction of one slot.

    Stage 1: offers queue by ascending price, bids by descending price, and the heads trade as
    long as the offer asks no more than the bid pays, at the midpoint of the two. Stage 2: who is
    left over and finds the mean price of stage 1 within its limit quotes exactly that price, and
    those quotes are matched the same way.

    `tie` orders a queue within one price: `PRO_RATA` by rank, `TIME` by submission and then rank.
    Where a price level is not filled whole, `TIME` serves its queue from the front and `PRO_RATA`
    splits what there is in proportion to energy, by largest remainder, equal remainders by rank.

    Args:
        bids: orders to buy; every limit is at least the order's price.
        offers: orders to sell; every limit is at most the order's price.
        tie: who is served first among equal prices.
    Returns:
        trades in queue order, the reference price, and what is left of every order. The result
        depends on nothing but the arguments, and rows that come in another order give the same
        trades under other row numbers.
    Raises:
        InputError: all rows that break the rules of `Orders`, or a side with too much energy.

    >>> bids = Orders.of(price_micro_per_kwh=[600_000], energy_wh=[2_000])
    >>> offers = Orders.of(price_micro_per_kwh=[500_000], energy_wh=[1_500])
    >>> result = clear_auction(bids, offers, TieRule.PRO_RATA)
    >>> result.trades.energy_wh, result.trades.price_sum_micro_per_kwh, result.remaining_bid_wh
    (array([1500]), array([1100000]), array([500]))

    Source: [WANG24], section 3.2.2. Ours: ties; the private limit that decides about stage 2
    (the paper says only that the rest "refer to Pa"); Pa is the floor of the arithmetic mean of
    the stage-1 prices, each trade counted once whatever its energy; it is reported even when one
    side has nothing left, and then has no use.
    """
    # Loading the compiled code takes a while; whoever only imports this room need not wait.
    from gridpact.market.integer import kernels

    bid_columns, offer_columns = _both_columns(bids, offers)
    bid_left = np.empty(len(bids), np.int64)
    offer_left = np.empty(len(offers), np.int64)
    table = np.empty((5, 2 * (len(bids) + len(offers))), np.int64)
    count, reference = kernels.clear(
        bid_columns,
        offer_columns,
        tie == TieRule.PRO_RATA,
        table,
        bid_left,
        offer_left,
        np.empty(kernels.WORK_FACTOR * max(len(bids), len(offers)), np.int64),
    )
    if count == kernels.REFUSED:
        checked_books(bids, offers)
        raise InvariantError("the kernel refused a book that keeps all rules")
    return AuctionResult(
        trades=Trades(*table[:, :count]),
        reference_price_micro_per_kwh=None if reference == kernels.NO_PRICE else int(reference),
        remaining_offer_wh=offer_left,
        remaining_bid_wh=bid_left,
    )


def _is_int64(value: object) -> bool:
    """Whether this is a whole number that an int64 array holds."""
    return isinstance(value, int | np.integer) and abs(int(value)) <= INT64_MAX


_BOUNDS = (
    ("price_micro_per_kwh", 0, QUANTITY_MAX, "give micro-currency per kWh"),
    ("energy_wh", 1, QUANTITY_MAX, "leave out an order of nothing, split one that is larger"),
    ("limit_micro_per_kwh", 0, QUANTITY_MAX, "give micro-currency per kWh"),
    ("submitted_ms", 0, INT64_MAX, "give milliseconds since 1970-01-01 UTC"),
    ("rank", 0, QUANTITY_MAX, "number the orders by their sorted ids, from 0"),
)
"""Column, least and largest value, what to do about another one."""


def checked_books(bids: Orders, offers: Orders) -> tuple[Columns, Columns]:
    """The columns of both sides: int64, contiguous, and keeping all rules of `Orders`.

    The kernel asks the same in one pass (`kernels.within_bounds`, `kernels.sort_by_rank`) and
    comes here only for the words.

    Raises:
        InputError: every rule that either side breaks, at once.
    """
    bid_columns, offer_columns = _both_columns(bids, offers)
    problems: list[Problem] = []
    _check_values("bids", bid_columns, problems)
    _check_values("offers", offer_columns, problems)
    if problems:
        raise InputError(problems)
    return bid_columns, offer_columns


def _both_columns(bids: Orders, offers: Orders) -> tuple[Columns, Columns]:
    """The columns of both sides as contiguous int64, their values unchecked.

    Raises:
        InputError: columns of another type or shape.
    """
    problems: list[Problem] = []
    bid_columns = _columns("bids", bids, problems)
    offer_columns = _columns("offers", offers, problems)
    if bid_columns is None or offer_columns is None:
        raise InputError(problems)
    return bid_columns, offer_columns


def _columns(side: str, orders: Orders, problems: list[Problem]) -> Columns | None:
    """The five columns as contiguous int64, or None after noting what keeps them from it."""
    count = np.size(orders.price_micro_per_kwh)
    if count > ORDERS_MAX:
        fact = f"{count} orders; at most {ORDERS_MAX} fit one clearing"
        problems.append(Problem(side, f"{fact}: split the book"))
        return None
    columns: list[IntArray] = []
    for name, _, _, _ in _BOUNDS:
        column = getattr(orders, name)
        where = f"{side}.{name}"
        if not isinstance(column, np.ndarray) or column.ndim != 1:
            problems.append(Problem(where, "is not a one-dimensional numpy array; use Orders.of"))
        elif column.dtype.kind not in "iu" or not np.can_cast(column.dtype, np.int64):
            problems.append(Problem(where, f"has type {column.dtype}; convert it to int64"))
        elif len(column) != count:
            fact = f"has {len(column)} rows, price_micro_per_kwh has {count}"
            problems.append(Problem(where, f"{fact}; give every order one row in every column"))
        else:
            columns.append(np.ascontiguousarray(column, np.int64))
    if problems:
        return None
    price, energy, limit, submitted, rank = columns
    return price, energy, limit, submitted, rank


def _check_values(side: str, columns: Columns, problems: list[Problem]) -> None:
    """Note every row of one side that breaks a rule, and too much energy altogether."""
    price, energy, limit, _, rank = columns
    for (name, low, high, remedy), values in zip(_BOUNDS, columns, strict=True):
        why = f"is not in {low}..{high}; {remedy}"
        _list_rows(f"{side}.{name}", values, (values < low) | (values > high), why, problems)
    if side == "bids":
        worse = limit < price
        why = "is below the bid's price, but is the most it may pay; raise it or lower the price"
    else:
        worse = limit > price
        why = "is above the offer's price, but is the least it takes; lower it or raise the price"
    _list_rows(f"{side}.limit_micro_per_kwh", limit, worse, why, problems)
    in_order = np.argsort(rank, kind="stable")
    repeated = np.zeros(len(rank), np.bool_)
    repeated[in_order[1:]] = rank[in_order[1:]] == rank[in_order[:-1]]
    why = "is the rank of another order of this side; give every order its own"
    _list_rows(f"{side}.rank", rank, repeated, why, problems)
    total = sum(energy.tolist())
    if total > ENERGY_TOTAL_MAX:
        fact = f"{total} Wh altogether; at most {ENERGY_TOTAL_MAX} Wh fit one clearing"
        problems.append(Problem(f"{side}.energy_wh", f"{fact}: split the book"))


def _list_rows(
    where: str, values: IntArray, wrong: BoolArray, why: str, problems: list[Problem]
) -> None:
    """Note every wrong row of one column, the first `LISTED_MAX` of them by number."""
    rows = np.flatnonzero(wrong)
    problems.extend(Problem(f"{where}[{row}]", f"{values[row]} {why}") for row in rows[:LISTED_MAX])
    if len(rows) > LISTED_MAX:
        problems.append(Problem(where, f"the same in {len(rows) - LISTED_MAX} further rows"))
