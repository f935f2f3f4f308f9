"""What holds for the auction on every book.

Method: hypothesis makes books with few price levels, so that ties are everywhere, and some with
numbers at the ends of their range. The compiled version must equal the plain one; the properties
are checked on the compiled result against definitions written down here. Twins that are wrong in
one place must fall through those checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.market.integer import AuctionResult, Orders, clear_auction, clear_auction_plain
from gridpact.model import TieRule
from gridpact.units import QUANTITY_MAX

Clear = Callable[[Orders, Orders, TieRule], AuctionResult]
Book = tuple[Orders, Orders]
ties = st.sampled_from(list(TieRule))


@dataclass(frozen=True)
class Numbers:
    """From what a book is made."""

    price: st.SearchStrategy[int]
    energy: st.SearchStrategy[int]
    slack: st.SearchStrategy[int]
    """Between quote and limit."""


TIED = Numbers(st.integers(40, 46), st.integers(1, 9), st.integers(0, 6))
WIDE = Numbers(st.integers(0, 10_000), st.integers(1, 10_000), st.integers(0, 4_000))
ENDS = Numbers(
    st.sampled_from([0, 1, 2**16, QUANTITY_MAX - 1, QUANTITY_MAX]),
    st.sampled_from([1, 2, 2**11, 2**22 + 1, QUANTITY_MAX - 1, QUANTITY_MAX]),
    st.sampled_from([0, 1, QUANTITY_MAX]),
)


@st.composite
def books(draw: st.DrawFn, *kinds: Numbers, truthful: bool = False) -> Book:
    """Bids and offers; ranks are unique over both sides and stand in any order."""
    numbers = draw(st.sampled_from(kinds or (TIED, TIED, WIDE, ENDS)))
    sizes = draw(st.integers(0, 12)), draw(st.integers(0, 12))
    stretch = draw(st.sampled_from([1, 1, 50, 10**7]))
    ranks = draw(st.permutations(range(sum(sizes))))
    sides = []
    for sign, size in zip((1, -1), sizes, strict=True):
        rows = [
            (draw(numbers.price), draw(numbers.energy), draw(numbers.slack)) for _ in range(size)
        ]
        sides.append(
            Orders.of(
                price_micro_per_kwh=[price for price, _, _ in rows],
                energy_wh=[energy for _, energy, _ in rows],
                limit_micro_per_kwh=[
                    price if truthful else min(max(price + sign * slack, 0), QUANTITY_MAX)
                    for price, _, slack in rows
                ],
                submitted_ms=draw(
                    st.lists(st.sampled_from([0, 1, 2, 2**40]), min_size=size, max_size=size)
                ),
                rank=[ranks.pop() * stretch for _ in rows],
            )
        )
    return sides[0], sides[1]


def filled(book: Book, result: AuctionResult, stage: int | None = None) -> tuple[list[int], ...]:
    """Traded energy of each bid and of each offer, in one stage or in both."""
    trades = result.trades
    bids, offers = ([0] * len(orders) for orders in book)
    for k in range(len(trades)):
        if stage in {None, int(trades.stage[k])}:
            bids[trades.bid[k]] += int(trades.energy_wh[k])
            offers[trades.offer[k]] += int(trades.energy_wh[k])
    return bids, offers


# The checks: from a book and its result to complaints


def check_volumes(book: Book, result: AuctionResult, tie: TieRule) -> list[str]:
    """What is traded and what is left make up what was submitted, on both sides."""
    found = ["a trade of nothing"] if (result.trades.energy_wh < 1).any() else []
    left = result.remaining_bid_wh, result.remaining_offer_wh
    for orders, traded, rest in zip(book, filled(book, result), left, strict=True):
        if (rest < 0).any():
            found.append("traded more than submitted")
        if (orders.energy_wh != np.array(traded, np.int64) + rest).any():
            found.append("traded and left is not submitted")
    return found


def check_no_crossing_pair(book: Book, result: AuctionResult, tie: TieRule) -> list[str]:
    """After stage 1 no offer that has something left asks what a bid with something left pays."""
    sides = zip(book, filled(book, result, stage=1), strict=True)
    bids, offers = (
        orders.price_micro_per_kwh[orders.energy_wh > np.array(traded, np.int64)]
        for orders, traded in sides
    )
    if len(bids) and len(offers) and offers.min() <= bids.max():
        return ["a crossing pair is left"]
    return []


def intersection_wh(book: Book) -> int:
    """Largest energy that both curves reach at one price: by definition, price by price."""
    bids, offers = book
    prices = [*bids.price_micro_per_kwh.tolist(), *offers.price_micro_per_kwh.tolist()]
    return max(
        (
            min(
                sum(offers.energy_wh[offers.price_micro_per_kwh <= price].tolist()),
                sum(bids.energy_wh[bids.price_micro_per_kwh >= price].tolist()),
            )
            for price in prices
        ),
        default=0,
    )


def check_intersection(book: Book, result: AuctionResult, tie: TieRule) -> list[str]:
    bought, sold = filled(book, result, stage=1)
    if sum(bought) == sum(sold) == intersection_wh(book):
        return []
    return ["the volume of stage 1 is not where the curves meet"]


def check_prices(book: Book, result: AuctionResult, tie: TieRule) -> list[str]:
    """Nobody trades beyond its quote in stage 1 or beyond its limit in stage 2."""
    bids, offers = book
    trades, reference = result.trades, result.reference_price_micro_per_kwh
    found = []
    for stage, bid, offer, price_sum in zip(
        trades.stage, trades.bid, trades.offer, trades.price_sum_micro_per_kwh, strict=True
    ):
        least, most = offers.price_micro_per_kwh[offer], bids.price_micro_per_kwh[bid]
        wanted = least + most
        if stage == 2:
            least, most = offers.limit_micro_per_kwh[offer], bids.limit_micro_per_kwh[bid]
            wanted = 2 * reference if reference is not None else -1
        if price_sum != wanted:
            found.append(f"a price sum of {price_sum} in stage {stage}, not {wanted}")
        if not 2 * least <= price_sum <= 2 * most:
            found.append(f"a trade at {price_sum} / 2 outside {least}..{most}")
    return found


def check_reference(book: Book, result: AuctionResult, tie: TieRule) -> list[str]:
    """Pa is the floor of the mean stage-1 price, and lies between the least and the largest."""
    sums = result.trades.price_sum_micro_per_kwh[result.trades.stage == 1].tolist()
    reference = result.reference_price_micro_per_kwh
    if not sums:
        stray = reference is not None or len(result.trades)
        return ["stage 2 without a trade in stage 1"] if stray else []
    if reference is None:
        return ["trades, and no reference price"]
    exact = 2 * len(sums) * reference <= sum(sums) < 2 * len(sums) * (reference + 1)
    between = min(sums) // 2 <= reference and 2 * reference <= max(sums)
    return [] if exact and between else ["the reference price is not the floor of the mean"]


def check_ties(book: Book, result: AuctionResult, tie: TieRule) -> list[str]:
    """Better prices are served first; within a price, the rule says who."""
    found = []
    for orders, traded, sign in zip(book, filled(book, result, stage=1), (-1, 1), strict=True):
        levels: dict[int, list[int]] = {}
        for row in range(len(orders)):
            levels.setdefault(sign * int(orders.price_micro_per_kwh[row]), []).append(row)
        short = False
        for _, rows in sorted(levels.items()):
            energy = {row: int(orders.energy_wh[row]) for row in rows}
            total, got = sum(energy.values()), sum(traded[row] for row in rows)
            if short and got:
                found.append("served behind a better price that was not filled")
            short = short or got < total
            if tie == TieRule.TIME:
                queue = sorted(rows, key=lambda row: (orders.submitted_ms[row], orders.rank[row]))
                full = [row for row in queue if traded[row] == energy[row]]
                after = queue[len(full) + 1 :]
                if full != queue[: len(full)] or any(traded[row] for row in after):
                    found.append("served behind an earlier order that was not filled")
            elif any(abs(traded[row] * total - got * energy[row]) >= total for row in rows):
                found.append("a share a whole Wh away from the exact one")
    return found


CHECKS = (
    check_volumes,
    check_no_crossing_pair,
    check_intersection,
    check_prices,
    check_reference,
    check_ties,
)


@given(books(), ties)
def test_compiled_equals_plain(book: Book, tie: TieRule) -> None:
    assert clear_auction(*book, tie) == clear_auction_plain(*book, tie)


@pytest.mark.parametrize("check", CHECKS)
@given(books(), ties)
def test_every_book(
    check: Callable[[Book, AuctionResult, TieRule], list[str]], book: Book, tie: TieRule
) -> None:
    assert check(book, clear_auction(*book, tie), tie) == []


@pytest.mark.parametrize("tie", TieRule)
@pytest.mark.parametrize(
    ("levels", "energy_max"), [(1, 9), (1, QUANTITY_MAX), (3, 5_000), (2_000, 5_000)]
)
def test_large_books(levels: int, energy_max: int, tie: TieRule) -> None:
    """Sizes at which sorting and selecting need several digits and passes."""
    chance = np.random.default_rng(levels)
    sides = []
    for sign in (1, -1):
        price = 1_000_000_000 + chance.integers(levels, size=2_000) * 100_000
        slack = sign * chance.integers(300_000, size=2_000)
        sides.append(
            Orders(
                price,
                chance.integers(1, energy_max, 2_000, endpoint=True),
                price + slack,
                chance.integers(0, 2**50, 2_000),
                chance.permutation(2_000) * chance.choice([1, 1_000]),
            )
        )
    result = clear_auction(sides[0], sides[1], tie)
    assert result == clear_auction_plain(sides[0], sides[1], tie)
    assert check_ties((sides[0], sides[1]), result, tie) == []


# What a change of the book may change


def reordered(orders: Orders, rows: list[int]) -> Orders:
    index = np.array(rows, np.int64)
    return Orders(
        orders.price_micro_per_kwh[index],
        orders.energy_wh[index],
        orders.limit_micro_per_kwh[index],
        orders.submitted_ms[index],
        orders.rank[index],
    )


@given(books(), ties, st.randoms(use_true_random=False))
def test_rows_in_another_order_give_the_same_trades(
    book: Book, tie: TieRule, random: Random
) -> None:
    bids, offers = book
    new_bids, new_offers = list(range(len(bids))), list(range(len(offers)))
    random.shuffle(new_bids)
    random.shuffle(new_offers)
    before = clear_auction(bids, offers, tie)
    after = clear_auction(reordered(bids, new_bids), reordered(offers, new_offers), tie)
    trades = after.trades
    assert before.trades == replace(
        trades,
        bid=np.array(new_bids, np.int64)[trades.bid],
        offer=np.array(new_offers, np.int64)[trades.offer],
    )
    assert before.reference_price_micro_per_kwh == after.reference_price_micro_per_kwh
    assert before.remaining_bid_wh[new_bids].tolist() == after.remaining_bid_wh.tolist()
    assert before.remaining_offer_wh[new_offers].tolist() == after.remaining_offer_wh.tolist()


@given(books(TIED, WIDE), ties, st.data())
def test_splitting_an_order_off_the_margin_changes_nobody_else(
    book: Book, tie: TieRule, data: st.DataObject
) -> None:
    """Of an order whose price level is filled whole or not at all, two halves get what it got."""
    side = data.draw(st.sampled_from([0, 1]), label="side")
    orders = book[side]
    before = filled(book, clear_auction(*book, tie), stage=1)
    same_price = [orders.price_micro_per_kwh == price for price in orders.price_micro_per_kwh]
    level_filled = [np.array(before[side], np.int64)[level].sum() for level in same_price]
    level_total = [orders.energy_wh[level].sum() for level in same_price]
    candidates = [
        row
        for row in range(len(orders))
        if orders.energy_wh[row] > 1 and level_filled[row] in {0, level_total[row]}
    ]
    if not candidates:
        return
    row = data.draw(st.sampled_from(candidates), label="row")
    energy = int(orders.energy_wh[row])
    part = data.draw(st.integers(1, energy - 1), label="part")
    halves = reordered(orders, [*range(len(orders)), row])
    halves.energy_wh[row], halves.energy_wh[-1] = energy - part, part
    halves.rank[-1] = 2**30  # a new id
    split_book = (halves, book[1]) if side == 0 else (book[0], halves)
    after = filled(split_book, clear_auction(*split_book, tie), stage=1)
    after[side][row] += after[side].pop()
    assert after == before


@given(books(TIED, WIDE), ties, st.data())
def test_a_higher_bid_never_gets_less_in_stage_1(
    book: Book, tie: TieRule, data: st.DataObject
) -> None:
    bids, offers = book
    if not len(bids):
        return
    row = data.draw(st.integers(0, len(bids) - 1), label="row")
    raised = reordered(bids, list(range(len(bids))))
    raised.price_micro_per_kwh[row] += data.draw(st.integers(1, 5), label="raise")
    raised.limit_micro_per_kwh[row] = QUANTITY_MAX
    before = filled(book, clear_auction(bids, offers, tie), stage=1)[0][row]
    after = filled((raised, offers), clear_auction(raised, offers, tie), stage=1)[0][row]
    assert after >= before


@given(books(TIED, WIDE), ties, st.data())
def test_a_lower_offer_never_gets_less_in_stage_1(
    book: Book, tie: TieRule, data: st.DataObject
) -> None:
    bids, offers = book
    if not len(offers):
        return
    row = data.draw(st.integers(0, len(offers) - 1), label="row")
    lower = reordered(offers, list(range(len(offers))))
    cut = data.draw(st.integers(1, 5), label="cut")
    lower.price_micro_per_kwh[row] = max(int(lower.price_micro_per_kwh[row]) - cut, 0)
    lower.limit_micro_per_kwh[row] = 0
    before = filled(book, clear_auction(bids, offers, tie), stage=1)[1][row]
    after = filled((bids, lower), clear_auction(bids, lower, tie), stage=1)[1][row]
    assert after >= before


@given(books(truthful=True), ties)
def test_with_truthful_quotes_stage_2_is_empty(book: Book, tie: TieRule) -> None:
    assert not (clear_auction(*book, tie).trades.stage == 2).any()


@given(books(TIED, WIDE), ties)
def test_stage_2_leaves_nobody_who_would_trade_at_the_reference_price(
    book: Book, tie: TieRule
) -> None:
    bids, offers = book
    result = clear_auction(bids, offers, tie)
    reference = result.reference_price_micro_per_kwh
    if reference is None:
        return
    willing_bids = (result.remaining_bid_wh > 0) & (bids.limit_micro_per_kwh >= reference)
    willing_offers = (result.remaining_offer_wh > 0) & (offers.limit_micro_per_kwh <= reference)
    assert not (willing_bids.any() and willing_offers.any())


@given(st.integers(1, 30), st.integers(1, 9), st.integers(1, 200), st.randoms())
def test_equal_orders_at_the_margin_differ_by_one_wh(
    count: int, energy: int, wanted: int, random: Random
) -> None:
    """Under pro rata nobody is favoured, whatever its rank or time."""
    ranks = list(range(count))
    random.shuffle(ranks)
    offers = Orders.of(
        price_micro_per_kwh=[50] * count,
        energy_wh=[energy] * count,
        submitted_ms=[random.randrange(100) for _ in ranks],
        rank=ranks,
    )
    bids = Orders.of(price_micro_per_kwh=[60], energy_wh=[wanted])
    _, sold = filled((bids, offers), clear_auction(bids, offers, TieRule.PRO_RATA))
    assert sum(sold) == min(wanted, count * energy)
    assert max(sold) - min(sold) <= 1


# Broken twins: each is wrong in one place, and the checks see it


def strictly_below(bids: Orders, offers: Orders, tie: TieRule) -> AuctionResult:
    """Trades while the offer asks less than the bid pays, instead of no more."""
    dearer = replace(offers, price_micro_per_kwh=offers.price_micro_per_kwh + 1)
    result = clear_auction(bids, dearer, tie)
    first = result.trades.stage == 1
    sums = np.where(first, result.trades.price_sum_micro_per_kwh - 1, 0)
    return replace(result, trades=replace(result.trades, price_sum_micro_per_kwh=sums))


def first_come(bids: Orders, offers: Orders, tie: TieRule) -> AuctionResult:
    """Serves the queue of a price from the front where it should split."""
    return clear_auction(bids, offers, TieRule.TIME)


def always_pro_rata(bids: Orders, offers: Orders, tie: TieRule) -> AuctionResult:
    return clear_auction(bids, offers, TieRule.PRO_RATA)


def quote_decides(bids: Orders, offers: Orders, tie: TieRule) -> AuctionResult:
    """Lets everybody into stage 2."""
    return clear_auction(
        replace(bids, limit_micro_per_kwh=np.full(len(bids), QUANTITY_MAX)),
        replace(offers, limit_micro_per_kwh=np.zeros(len(offers), np.int64)),
        tie,
    )


TWINS = {
    strictly_below: (TieRule.PRO_RATA, {check_intersection, check_no_crossing_pair}),
    first_come: (TieRule.PRO_RATA, {check_ties}),
    always_pro_rata: (TieRule.TIME, {check_ties}),
    quote_decides: (TieRule.TIME, {check_prices}),
}


@pytest.mark.parametrize("twin", TWINS)
def test_broken_twin_is_seen(twin: Clear) -> None:
    tie, wanted = TWINS[twin]
    random = Random(7)
    caught = set()
    for _ in range(50):
        bids, offers = (
            Orders.of(
                price_micro_per_kwh=[random.randint(40, 46) for _ in range(8)],
                energy_wh=[random.randint(1, 9) for _ in range(8)],
            )
            for _ in range(2)
        )
        assert not any(
            check((bids, offers), clear_auction(bids, offers, tie), tie) for check in CHECKS
        )
        result = twin(bids, offers, tie)
        caught |= {check for check in CHECKS if check((bids, offers), result, tie)}
    assert wanted <= caught
