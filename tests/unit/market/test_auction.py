"""The auction on books that can be cleared by hand.

Method: a book is a table with one order a line, `id side price wh [limit] [ms]`, prices in
thousandths of a currency unit per kWh; the expected trades are a table too, `stage seller buyer wh
sum`, and beside each line stands the arithmetic. Ranks follow the ids, rows stand as written. Every
book is cleared by the compiled and by the plain version.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest

from gridpact.market.integer import (
    AuctionResult,
    Orders,
    clear_auction,
    clear_auction_plain,
)
from gridpact.model import TieRule
from gridpact.units import QUANTITY_MAX

Clear = Callable[[Orders, Orders, TieRule], AuctionResult]
Change = Callable[[np.ndarray], np.ndarray]
PRO_RATA, TIME = TieRule.PRO_RATA, TieRule.TIME
MILLI = 1_000
"""micro per thousandth"""


def read_side(table: str, side: str) -> tuple[list[str], Orders]:
    rows = [line.split("#")[0].split() for line in table.strip().splitlines()]
    rows = [row for row in rows if row[1] == side]
    ids = [row[0] for row in rows]
    price = [int(row[2]) * MILLI for row in rows]
    limit = [
        int(row[4]) * MILLI if row[4:] and row[4] != "-" else int(row[2]) * MILLI for row in rows
    ]
    return ids, Orders.of(
        price_micro_per_kwh=price,
        energy_wh=[int(row[3]) for row in rows],
        limit_micro_per_kwh=limit,
        submitted_ms=[int(row[5]) if row[5:] else 0 for row in rows],
        rank=[sorted(ids).index(order_id) for order_id in ids],
    )


def cleared(table: str, tie: TieRule) -> tuple[str, int | None, dict[str, int]]:
    """Trades as a table, Pa in micro per kWh, and the orders that have something left."""
    bid_ids, bids = read_side(table, "bid")
    offer_ids, offers = read_side(table, "offer")
    result = clear_auction(bids, offers, tie)
    assert result == clear_auction_plain(bids, offers, tie)
    trades = result.trades
    lines = [
        f"{trades.stage[k]} {offer_ids[trades.offer[k]]} {bid_ids[trades.bid[k]]} "
        f"{trades.energy_wh[k]} {trades.price_sum_micro_per_kwh[k] // MILLI}"
        for k in range(len(trades))
    ]
    left = dict(zip(offer_ids, result.remaining_offer_wh.tolist(), strict=True))
    left |= dict(zip(bid_ids, result.remaining_bid_wh.tolist(), strict=True))
    return (
        "\n".join(lines),
        result.reference_price_micro_per_kwh,
        {order_id: energy for order_id, energy in left.items() if energy},
    )


def expected(table: str) -> str:
    lines = [line.split("#")[0].split() for line in table.strip().splitlines()]
    return "\n".join(" ".join(line) for line in lines)


# Stage 1


@pytest.mark.parametrize("tie", TieRule)
def test_one_pair_trades_at_the_midpoint(tie: TieRule) -> None:
    trades, reference, left = cleared(
        """
        s1 offer 500 10
        b1 bid   600 10
        """,
        tie,
    )
    assert trades == "1 s1 b1 10 1100"  # 500 + 600
    assert reference == 550_000  # 1100 / 2
    assert left == {}


@pytest.mark.parametrize("tie", TieRule)
def test_heads_trade_until_the_offer_asks_more_than_the_bid_pays(tie: TieRule) -> None:
    trades, reference, left = cleared(
        """
        s2 offer 500 10
        b3 bid   450  3
        s1 offer 400  5
        b1 bid   600  8
        b2 bid   520  4
        """,
        tie,
    )
    assert trades == expected(
        """
        1 s1 b1 5 1000  # 400 + 600; b1 has 3 left
        1 s2 b1 3 1100  # 500 + 600; s2 has 7 left
        1 s2 b2 4 1020  # 500 + 520; s2 has 3 left, b3 pays 450 < 500
        """
    )
    assert reference == 520_000  # (1000 + 1100 + 1020) / (2 x 3) = 520
    assert left == {"s2": 3, "b3": 3}


@pytest.mark.parametrize("tie", TieRule)
def test_an_offer_at_the_price_of_the_bid_trades(tie: TieRule) -> None:
    trades, _, left = cleared(
        """
        s1 offer 500 3
        b1 bid   500 2
        """,
        tie,
    )
    assert trades == "1 s1 b1 2 1000"
    assert left == {"s1": 1}


@pytest.mark.parametrize("tie", TieRule)
def test_nothing_crosses(tie: TieRule) -> None:
    trades, reference, left = cleared(
        """
        s1 offer 501 3 400
        b1 bid   500 2 600
        """,
        tie,
    )
    assert trades == ""
    assert reference is None  # no trade, no mean, and so no stage 2 although the limits cross
    assert left == {"s1": 3, "b1": 2}


@pytest.mark.parametrize("tie", TieRule)
@pytest.mark.parametrize("table", ["s1 offer 500 3", "b1 bid 500 3"])
def test_one_side_is_empty(table: str, tie: TieRule) -> None:
    trades, reference, left = cleared(table, tie)
    assert (trades, reference) == ("", None)
    assert list(left.values()) == [3]


@pytest.mark.parametrize("tie", TieRule)
def test_both_sides_are_empty(tie: TieRule) -> None:
    nothing = Orders.of(price_micro_per_kwh=[], energy_wh=[])
    result = clear_auction(nothing, nothing, tie)
    assert result == clear_auction_plain(nothing, nothing, tie)
    assert len(result.trades) == 0
    assert result.remaining_bid_wh.shape == result.remaining_offer_wh.shape == (0,)


@pytest.mark.parametrize("tie", TieRule)
def test_price_and_energy_of_zero_and_of_the_maximum(tie: TieRule) -> None:
    bids = Orders.of(price_micro_per_kwh=[QUANTITY_MAX] * 2, energy_wh=[QUANTITY_MAX] * 2)
    offers = Orders.of(price_micro_per_kwh=[QUANTITY_MAX, 0], energy_wh=[QUANTITY_MAX, 1])
    result = clear_auction(bids, offers, tie)
    assert result == clear_auction_plain(bids, offers, tie)
    assert result.trades.price_sum_micro_per_kwh[0] == QUANTITY_MAX  # 0 + max
    assert result.trades.price_sum_micro_per_kwh[-1] == 2 * QUANTITY_MAX
    assert result.trades.energy_wh.sum() == QUANTITY_MAX + 1


# Ties


SCARCE = """
    s3 offer 500 30 - 1
    s2 offer 500 20 - 2
    s1 offer 500 10 - 2
    b1 bid   600 20
"""


def test_pro_rata_splits_the_marginal_level_by_largest_remainder() -> None:
    trades, _, left = cleared(SCARCE, PRO_RATA)
    # 20 of 60: s1 10/3 = 3 rest 1/3, s2 20/3 = 6 rest 2/3, s3 10; the last Wh to s2
    assert trades == expected(
        """
        1 s1 b1  3 1100
        1 s2 b1  7 1100
        1 s3 b1 10 1100
        """
    )
    assert left == {"s1": 7, "s2": 13, "s3": 20}


def test_time_serves_the_earliest_and_then_the_smaller_id() -> None:
    trades, _, left = cleared(SCARCE.replace("b1 bid   600 20", "b1 bid 600 35"), TIME)
    assert trades == expected(
        """
        1 s3 b1 30 1100  # at 1 ms
        1 s1 b1  5 1100  # at 2 ms like s2, but the smaller id
        """
    )
    assert left == {"s1": 5, "s2": 20}


def test_pro_rata_does_not_look_at_the_time() -> None:
    late = SCARCE.replace("- 1", "- 99").replace("- 2", "- 0")
    assert cleared(late, PRO_RATA) == cleared(SCARCE, PRO_RATA)


def test_equal_remainders_go_by_rank_and_may_leave_an_order_with_nothing() -> None:
    trades, _, left = cleared(
        """
        b1 bid   500 1
        b2 bid   500 1
        b3 bid   500 1
        s1 offer 400 2
        """,
        PRO_RATA,
    )
    # 2 of 3: each 2/3, floors 0, two Wh left, equal remainders: b1 and b2
    assert trades == expected(
        """
        1 s1 b1 1 900
        1 s1 b2 1 900
        """
    )
    assert left == {"b3": 1}


def test_only_the_marginal_level_is_split() -> None:
    trades, _, left = cleared(
        """
        b1 bid   600  5
        b2 bid   550 10
        b3 bid   550 10
        b4 bid   500 50
        s1 offer 400 14
        s2 offer 540  4
        """,
        PRO_RATA,
    )
    # 18 Wh cross: b1 5 whole, 13 of 20 at 550: 6.5 each, the half to b2
    assert trades == expected(
        """
        1 s1 b1 5 1000
        1 s1 b2 7  950
        1 s1 b3 2  950  # s1 had 14
        1 s2 b3 4 1090
        """
    )
    assert left == {"b2": 3, "b3": 4, "b4": 50}


def test_queue_of_equal_prices_is_by_id_under_pro_rata_and_by_time_under_time() -> None:
    table = """
        s1 offer 500 5 - 9
        s2 offer 500 5 - 1
        b1 bid   600 5 - 9
        b2 bid   600 5 - 8
        """
    by_id, _, _ = cleared(table, PRO_RATA)
    assert by_id == expected("1 s1 b1 5 1100\n1 s2 b2 5 1100")
    by_time, _, _ = cleared(table, TIME)
    assert by_time == expected("1 s2 b2 5 1100\n1 s1 b1 5 1100")


@pytest.mark.parametrize("tie", TieRule)
def test_everything_equal(tie: TieRule) -> None:
    table = """
        s1 offer 500 4
        s2 offer 500 4
        b1 bid   500 4
        b2 bid   500 4
        """
    trades, reference, left = cleared(table, tie)
    assert trades == expected("1 s1 b1 4 1000\n1 s2 b2 4 1000")
    assert reference == 500_000
    assert left == {}


@pytest.mark.parametrize("tie", TieRule)
def test_all_prices_equal_and_one_side_long(tie: TieRule) -> None:
    trades, _, left = cleared(
        """
        s1 offer 500 3
        s2 offer 500 9
        b1 bid   500 8
        """,
        tie,
    )
    if tie == PRO_RATA:  # 8 of 12: 2 and 6
        assert trades == expected("1 s1 b1 2 1000\n1 s2 b1 6 1000")
        assert left == {"s1": 1, "s2": 3}
    else:
        assert trades == expected("1 s1 b1 3 1000\n1 s2 b1 5 1000")
        assert left == {"s2": 4}


# Stage 2


SHADED = """
    s1 offer 500 10
    b1 bid   600 10
    s2 offer 580  6 450
    b2 bid   520  4 650
"""


@pytest.mark.parametrize("tie", TieRule)
def test_stage_2_trades_what_shaded_quotes_withheld(tie: TieRule) -> None:
    trades, reference, left = cleared(SHADED, tie)
    assert trades == expected(
        """
        1 s1 b1 10 1100
        2 s2 b2  4 1100  # Pa = 550: s2 takes 450 or more, b2 pays up to 650
        """
    )
    assert reference == 550_000
    assert left == {"s2": 2}


@pytest.mark.parametrize("tie", TieRule)
@pytest.mark.parametrize(
    ("order", "changed", "joins"),
    [
        ("s2 offer 580  6 450", "s2 offer 580  6 550", True),
        ("s2 offer 580  6 450", "s2 offer 580  6 551", False),
        ("b2 bid   520  4 650", "b2 bid   520  4 550", True),
        ("b2 bid   520  4 650", "b2 bid   520  4 549", False),
    ],
)
def test_stage_2_is_joined_up_to_the_limit(
    order: str, changed: str, joins: bool, tie: TieRule
) -> None:
    trades, _, _ = cleared(SHADED.replace(order, changed), tie)
    assert ("2 s2 b2 4 1100" in trades) == joins  # Pa = 550


@pytest.mark.parametrize("tie", TieRule)
def test_the_rest_of_a_partly_filled_order_joins_stage_2(tie: TieRule) -> None:
    trades, reference, left = cleared(
        """
        s1 offer 500 10 500
        b1 bid   600  4
        b2 bid   499  5 700
        """,
        tie,
    )
    assert trades == expected(
        """
        1 s1 b1 4 1100
        2 s1 b2 5 1100  # s1 has 6 left
        """
    )
    assert (reference, left) == (550_000, {"s1": 1})


def test_the_long_side_of_stage_2_is_split_like_any_level() -> None:
    table = """
        s1 offer 500 10
        b1 bid   600 10
        s2 offer 590 10 400 7
        s3 offer 580 20 400 5
        s4 offer 570 30 400 5
        b2 bid   500 20 900
        """
    trades, _, _ = cleared(table, PRO_RATA)
    # 20 of 60 at Pa = 550: 3 1/3, 6 2/3, 10; queue by id, not by the old quotes
    assert trades == expected(
        """
        1 s1 b1 10 1100
        2 s2 b2  3 1100
        2 s3 b2  7 1100
        2 s4 b2 10 1100
        """
    )
    trades, _, _ = cleared(table, TIME)
    # s3 and s4 came at 5 ms, s3 has the smaller id
    assert trades == expected(
        """
        1 s1 b1 10 1100
        2 s3 b2 20 1100
        """
    )


@pytest.mark.parametrize("tie", TieRule)
def test_reference_price_is_the_floor_of_the_mean_over_trades(tie: TieRule) -> None:
    bids = Orders.of(price_micro_per_kwh=[10, 9, 8], energy_wh=[1, 1, 100])
    offers = Orders.of(price_micro_per_kwh=[1, 2, 4], energy_wh=[1, 1, 100])
    result = clear_auction(bids, offers, tie)
    assert result == clear_auction_plain(bids, offers, tie)
    # sums 11, 11, 12 with 1, 1 and 100 Wh: 34 / 6 = 5.67, floor 5; by energy it would be 5.99
    assert result.trades.price_sum_micro_per_kwh.tolist() == [11, 11, 12]
    assert result.reference_price_micro_per_kwh == 5


@pytest.mark.parametrize("tie", TieRule)
def test_nothing_left_on_one_side_leaves_stage_2_empty(tie: TieRule) -> None:
    trades, reference, left = cleared(
        """
        s1 offer 500 10
        b1 bid   600 10
        b2 bid   590 10 900
        """,
        tie,
    )
    assert trades == "1 s1 b1 10 1100"
    assert (reference, left) == (550_000, {"b2": 10})


# Arrays


BOOK = (
    Orders.of(price_micro_per_kwh=[60, 55, 40], energy_wh=[5, 7, 9], rank=[4, 0, 2]),
    Orders.of(price_micro_per_kwh=[30, 50, 55], energy_wh=[6, 6, 6], rank=[5, 3, 1]),
)


def mapped(orders: Orders, change: Change) -> Orders:
    return Orders(*(change(getattr(orders, field.name)) for field in fields(orders)))


def spread(column: np.ndarray) -> np.ndarray:
    wide = np.zeros(2 * len(column), column.dtype)
    wide[::2] = column
    return wide[::2]


def frozen(column: np.ndarray) -> np.ndarray:
    column = column.copy()
    column.flags.writeable = False
    return column


@pytest.mark.parametrize("change", [frozen, spread, lambda column: column.astype(np.int32)])
@pytest.mark.parametrize("clear", [clear_auction, clear_auction_plain])
def test_arrays_may_be_read_only_strided_or_narrow(clear: Clear, change: Change) -> None:
    bids, offers = BOOK
    for ours, theirs in (
        ((mapped(bids, change), mapped(offers, change)), BOOK),
        ((mapped(bids, change), offers), BOOK),
    ):
        assert clear(*ours, PRO_RATA) == clear(*theirs, PRO_RATA)


@pytest.mark.parametrize("tie", TieRule)
def test_the_book_stays_as_it_was(tie: TieRule) -> None:
    bids, offers = (mapped(orders, np.copy) for orders in BOOK)
    clear_auction(bids, offers, tie)
    for before, after in zip(BOOK, (bids, offers), strict=True):
        for field in fields(Orders):
            assert np.array_equal(getattr(before, field.name), getattr(after, field.name))


def test_results_are_int64_and_of_one_length() -> None:
    result = clear_auction(*BOOK, PRO_RATA)
    columns = [getattr(result.trades, field.name) for field in fields(result.trades)]
    assert {column.dtype for column in columns} == {np.dtype(np.int64)}
    assert {len(column) for column in columns} == {len(result.trades)}
    assert type(result.reference_price_micro_per_kwh) is int


def test_results_compare_by_content() -> None:
    result = clear_auction(*BOOK, PRO_RATA)
    assert result == clear_auction(*BOOK, PRO_RATA)
    assert result != replace(result, reference_price_micro_per_kwh=1)
    assert result != replace(result, remaining_bid_wh=result.remaining_bid_wh + 1)
    assert result != replace(result, remaining_offer_wh=result.remaining_offer_wh + 1)
    for field in fields(result.trades):
        changed = replace(result.trades, **{field.name: getattr(result.trades, field.name) + 1})
        assert result != replace(result, trades=changed)
    assert result != "something else"
    assert result.trades != "something else"


def test_importing_the_room_does_not_load_the_compiler() -> None:
    code = "import sys, gridpact.market.integer; print('numba' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert answer.stdout == "False\n"


@pytest.mark.parametrize("tie", TieRule)
def test_submission_times_years_apart(tie: TieRule) -> None:
    """Times that differ in more than 31 bits need a second round of the sort."""
    submitted = [2**62, 0, 1_700_000_000_000, 2**62 - 1, 2**40, 5]
    offers = Orders.of(price_micro_per_kwh=[50] * 6, energy_wh=[2] * 6, submitted_ms=submitted)
    bids = Orders.of(price_micro_per_kwh=[60], energy_wh=[9])
    result: AuctionResult = clear_auction(bids, offers, tie)
    assert result == clear_auction_plain(bids, offers, tie)
    if tie == TIME:
        assert result.trades.offer.tolist() == [1, 5, 4, 2, 3]
