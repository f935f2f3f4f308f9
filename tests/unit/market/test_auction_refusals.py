"""What the auction refuses, and how it says so: every problem at once, and nothing changed.

The compiled version checks in one pass and looks for words only when that fails; the plain version
looks for words always. Both must refuse the same books with the same words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from gridpact.errors import InputError
from gridpact.market.integer import (
    ENERGY_TOTAL_MAX,
    ORDERS_MAX,
    AuctionResult,
    Orders,
    clear_auction,
    clear_auction_plain,
)
from gridpact.model import TieRule
from gridpact.units import QUANTITY_MAX

Clear = Callable[[Orders, Orders, TieRule], AuctionResult]

BOOK = (
    Orders.of(price_micro_per_kwh=[60, 55, 40], energy_wh=[5, 7, 9], rank=[4, 0, 2]),
    Orders.of(price_micro_per_kwh=[30, 50, 55], energy_wh=[6, 6, 6], rank=[5, 3, 1]),
)
"""18 Wh are offered, and all cross."""


def mapped(orders: Orders, change: Callable[[np.ndarray], np.ndarray]) -> Orders:
    return Orders(*(change(getattr(orders, field.name)) for field in fields(orders)))


def refusal(clear: Clear, bids: Orders, offers: Orders) -> list[str]:
    before = [mapped(orders, np.copy) for orders in (bids, offers)]
    with pytest.raises(InputError) as caught:
        clear(bids, offers, TieRule.PRO_RATA)
    for old, new in zip(before, (bids, offers), strict=True):
        for field in fields(Orders):
            assert np.array_equal(getattr(old, field.name), getattr(new, field.name))
    return [str(problem) for problem in caught.value.problems]


both = pytest.mark.parametrize("clear", [clear_auction, clear_auction_plain])


@both
def test_all_problems_are_listed_at_once(clear: Clear) -> None:
    bids = Orders.of(
        price_micro_per_kwh=[-1, 50, 50],
        energy_wh=[5, 0, 2**31],
        limit_micro_per_kwh=[0, 49, 2**31],
        submitted_ms=[0, -5, 0],
        rank=[7, 7, -1],
    )
    offers = Orders.of(price_micro_per_kwh=[40], energy_wh=[1], limit_micro_per_kwh=[41])
    told = refusal(clear, bids, offers)
    assert [line.split(";")[0] for line in told] == [
        "bids.price_micro_per_kwh[0]: -1 is not in 0..2147483647",
        "bids.energy_wh[1]: 0 is not in 1..2147483647",
        "bids.energy_wh[2]: 2147483648 is not in 1..2147483647",
        "bids.limit_micro_per_kwh[2]: 2147483648 is not in 0..2147483647",
        "bids.submitted_ms[1]: -5 is not in 0..9223372036854775807",
        "bids.rank[2]: -1 is not in 0..2147483647",
        "bids.limit_micro_per_kwh[1]: 49 is below the bid's price, but is the most it may pay",
        "bids.rank[1]: 7 is the rank of another order of this side",
        "offers.limit_micro_per_kwh[0]: 41 is above the offer's price, but is the least it takes",
    ]
    assert all("; " in line for line in told)  # what to do about it


@both
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("price_micro_per_kwh", -1),
        ("price_micro_per_kwh", 2**31),
        ("price_micro_per_kwh", -(2**63)),
        ("price_micro_per_kwh", 2**63 - 1),
        ("energy_wh", 0),
        ("energy_wh", -1),
        ("energy_wh", 2**31),
        ("energy_wh", -(2**63)),
        ("limit_micro_per_kwh", -1),
        ("limit_micro_per_kwh", 2**31),
        ("limit_micro_per_kwh", -(2**63)),
        ("submitted_ms", -1),
        ("submitted_ms", -(2**63)),
        ("rank", -1),
        ("rank", 2**31),
    ],
)
def test_each_bound_of_each_side(clear: Clear, side: int, field: str, value: int) -> None:
    book = [mapped(orders, np.copy) for orders in BOOK]
    getattr(book[side], field)[1] = value
    told = refusal(clear, *book)
    assert any(f"{('bids', 'offers')[side]}.{field}[1]: {value} is not in" in line for line in told)


@both
def test_a_limit_on_the_wrong_side_of_the_quote(clear: Clear) -> None:
    bids, offers = BOOK
    poor = replace(bids, limit_micro_per_kwh=bids.price_micro_per_kwh - 1)
    assert len(refusal(clear, poor, offers)) == 3
    dear = replace(offers, limit_micro_per_kwh=offers.price_micro_per_kwh + 1)
    assert len(refusal(clear, bids, dear)) == 3


@both
@pytest.mark.parametrize("rank", [[3, 9, 3], [2**30, 0, 2**30], [0, 0, 1]])
def test_a_rank_that_occurs_twice(clear: Clear, rank: list[int]) -> None:
    bids, offers = BOOK
    for book in (
        (replace(bids, rank=np.array(rank)), offers),
        (bids, replace(offers, rank=np.array(rank))),
    ):
        told = refusal(clear, *book)
        assert len(told) == 1
        assert "is the rank of another order of this side" in told[0]


@both
@pytest.mark.parametrize(
    ("column", "fact"),
    [
        ([1, 2, 3], "is not a one-dimensional numpy array"),
        (np.ones((3, 1), np.int64), "is not a one-dimensional numpy array"),
        (np.ones(3), "has type float64"),
        (np.ones(3, np.bool_), "has type bool"),
        (np.ones(3, np.uint64), "has type uint64"),
        (np.ones(2, np.int64), "has 2 rows, price_micro_per_kwh has 3"),
    ],
)
def test_columns_of_another_type_or_length(clear: Clear, column: object, fact: str) -> None:
    bids, offers = BOOK
    with pytest.raises(InputError) as caught:
        clear(replace(bids, energy_wh=column), offers, TieRule.PRO_RATA)
    assert [problem.where for problem in caught.value.problems] == ["bids.energy_wh"]
    assert fact in str(caught.value)


@both
def test_a_long_list_of_rows_is_counted(clear: Clear) -> None:
    many = np.arange(250)
    bids = Orders(many, many * 0, many, many, many)
    told = refusal(clear, bids, BOOK[1])
    assert len(told) == 101
    assert told[-1] == "bids.energy_wh: the same in 150 further rows"


def test_too_much_energy_on_one_side() -> None:
    count = 2**21
    full = np.full(count, QUANTITY_MAX)
    rank = np.arange(count)
    assert int(full.sum()) <= ENERGY_TOTAL_MAX  # 2^21 of the largest orders just fit
    largest = Orders(full, full, full, rank, rank)
    result = clear_auction(largest, BOOK[1], TieRule.PRO_RATA)
    assert result.trades.energy_wh.sum() == 18
    one_more = mapped(largest, lambda column: np.append(column, column[-1] - 1))
    one_more.rank[-1] = count
    assert one_more.energy_wh.sum() > ENERGY_TOTAL_MAX
    one_more.limit_micro_per_kwh[-1] = QUANTITY_MAX
    told = refusal(clear_auction, one_more, BOOK[1])
    # 2^21 x (2^31 - 1) + 2^31 - 2
    assert told == [
        (
            "bids.energy_wh: 4503601772756990 Wh altogether; at most 4503599627370495 Wh fit one "
            "clearing: split the book"
        )
    ]


@both
def test_too_many_orders(clear: Clear) -> None:
    one = np.zeros(1, np.int64)
    column = np.lib.stride_tricks.as_strided(one, (ORDERS_MAX + 1,), (0,))
    with pytest.raises(InputError, match="16777217 orders; at most 16777216 fit one clearing"):
        clear(Orders(column[:1], one, one, one, one), Orders(*[column] * 5), TieRule.PRO_RATA)


def test_orders_of_python_numbers_are_checked() -> None:
    with pytest.raises(InputError) as caught:
        Orders.of(price_micro_per_kwh=[2**63, 1], energy_wh=[1, 0.5])
    assert [problem.where for problem in caught.value.problems] == [
        "price_micro_per_kwh[0]",
        "energy_wh[1]",
        "limit_micro_per_kwh[0]",
    ]
