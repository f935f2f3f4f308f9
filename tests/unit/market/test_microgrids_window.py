"""What is refused before a window is cleared, and the limits that every bid implies."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.microgrid_cases import NO_STORAGE, NO_TURBINE, two_hours

from gridpact.errors import InputError
from gridpact.market.integer.microgrids import (
    ClearingVerdict,
    Solution,
    account_of,
    repair,
    window_of,
    without_trade,
)
from gridpact.market.integer.microgrids.bound import dual_limit
from gridpact.market.integer.microgrids.plain import bound_plain, cost_parts_plain
from gridpact.market.integer.microgrids.plan import fault
from gridpact.market.integer.microgrids.window import TERM_MAX, UWH_PER_WH, check
from gridpact.model.microgrids import (
    MICROGRIDS_MAX,
    PERIODS_MAX,
    Column,
    MicrogridBid,
    MicrogridTerms,
    Row,
    Storage,
    Turbine,
)
from gridpact.units import QUANTITY_MAX

KWH = 10**9
TERMS = MicrogridTerms([100_000, 120_000], [45_000, -5_000], 5_000, 400_000)
STORE = Storage(40, 950, 950, 1 * KWH, 9 * KWH, 5 * KWH, 4 * KWH)
BID = MicrogridBid([100, 50], [60, 50], [30, 0], 60_000, Turbine(15, 85_000, 70), STORE)


def complaints(terms: MicrogridTerms = TERMS, **changes: Any) -> list[str]:
    return [str(found) for found in check(terms, [BID, msgspec.structs.replace(BID, **changes)])]


def stored(**changes: int) -> list[str]:
    return complaints(storage=msgspec.structs.replace(STORE, **changes))


def test_limits_follow_from_the_bid() -> None:
    window = window_of(TERMS, [BID])
    expected = {
        Column.BUY: [100, 50],
        Column.TURBINE: [70, 50],
        Column.CHARGE: [40, 40],
        Column.DISCHARGE: [40, 40],
        Column.EXPORT: [70, 40],
        Column.CURTAIL: [30, 0],
        Column.GREEN_DEMANDED: [60, 50],
        Column.GREEN_OTHER: [40, 0],
        Column.CONTENT: [9 * KWH, 9 * KWH],
        Column.SELL: [70, 40],
        Column.PURCHASE: [140, 90],
        Column.MISSING: [0, 3000],
    }
    assert {column: window.upper[column, 0].tolist() for column in Column} == expected
    assert window.lower[Column.CONTENT, 0].tolist() == [1 * KWH, 4 * KWH]
    others = [column for column in Column if column != Column.CONTENT]
    assert not window.lower[others].any()
    assert not without_trade(window).upper[[Column.SELL, Column.PURCHASE]].any()
    assert window.upper[Column.SELL].any()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"green_demand_wh": [60, 51]}, "bids[1].green_demand_wh[1]: 51 Wh is above the load"),
        ({"load_wh": [100]}, "bids[1].load_wh: has 1 periods, the window has 2"),
        ({"renewable_wh": [1, 2, 3]}, "bids[1].renewable_wh: has 3 periods"),
        ({"load_wh": [100, 2.5]}, "bids[1]: Expected `int`, got `float`"),
        ({"load_wh": [100, 2**31]}, "bids[1]: Expected `int` <= 2147483647"),
        ({"load_wh": [100, -1]}, "bids[1]: Expected `int` >= 0"),
        ({"load_wh": None}, "bids[1]: Expected `array`, got `null`"),
    ],
)
def test_bids_that_do_not_fit(changes: dict[str, Any], words: str) -> None:
    found = complaints(**changes)
    assert len(found) == 1
    assert found[0].startswith(words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"content_min_uwh": 10 * KWH}, "content_min_uwh: 10000000000 is above content_max_uwh"),
        ({"content_start_uwh": KWH - 1}, "content_start_uwh: 999999999 is not in"),
        ({"content_start_uwh": 9 * KWH + 1}, "content_start_uwh: 9000000001 is not in"),
        ({"content_end_uwh": 9 * KWH - UWH_PER_WH + 2}, "content_end_uwh: 8999000002 is not more"),
        ({"charge_permille": 0}, "bids[1]: Expected `int` >= 1"),
    ],
)
def test_storages_that_do_not_fit(changes: dict[str, int], words: str) -> None:
    found = stored(**changes)
    assert len(found) == 1
    assert words in found[0]


def test_storages_that_just_fit() -> None:
    assert stored(content_start_uwh=9 * KWH) == []
    assert stored(content_end_uwh=9 * KWH - UWH_PER_WH + 1) == []
    # What the least content covers anyway can never be missing.
    assert stored(content_end_uwh=0) == []
    full = Storage(0, 1, 1, 7, 7, 7, 7)
    assert complaints(storage=full) == []


def test_all_problems_of_all_bids_at_once() -> None:
    terms = MicrogridTerms([1, 2], [1], 0, 0)
    with pytest.raises(InputError) as caught:
        window_of(terms, [BID, msgspec.structs.replace(BID, load_wh=[1])])
    assert [problem.where for problem in caught.value.problems] == [
        "terms.feed_in_micro_per_kwh",
        "bids[1].load_wh",
    ]


def test_too_many() -> None:
    assert check(TERMS, [])[0].message.startswith("0 bids; allowed: 1..512")
    assert check(TERMS, [BID] * (MICROGRIDS_MAX + 1))[0].where == "bids"
    long = PERIODS_MAX + 1
    found = check(MicrogridTerms([1] * long, [1] * long, 0, 0), [BID])
    assert found[0].message.startswith("193 periods; allowed: 1..192")
    empty = MicrogridBid([], [], [], 0, NO_TURBINE, NO_STORAGE)
    assert check(MicrogridTerms([], [], 0, 0), [empty])[0].message.startswith("0 periods")


def test_numbers_that_64_bits_could_not_hold() -> None:
    found = complaints(shortage_micro_per_kwh=2**31 - 1, load_wh=[100, 2**30])
    assert len(found) == 1
    assert f"allowed: 0..{TERM_MAX}; state money in a larger unit" in found[0]
    # The turbine's last Wh counts like a price.
    steep = Turbine(2**20, 0, 2**28)
    assert (
        "dearest price 562949953421312 pico/Wh"
        in complaints(turbine=steep, load_wh=[100, 2**28])[0]
    )


def at_the_edge(most: int) -> tuple[MicrogridTerms, list[MicrogridBid]]:
    """Price x energy is all that is allowed, with 2 x `most` Wh as the largest energy."""
    price = min(QUANTITY_MAX, TERM_MAX // (2 * most) // 1000)
    store = Storage(most, 1000, 1000, 0, 2 * most * UWH_PER_WH, most * UWH_PER_WH, 0)
    steep = Turbine(min(2**20, TERM_MAX // (2 * most) // (2 * most)), 0, most)
    bid = MicrogridBid([most] * 3, [most] * 3, [most] * 3, price, steep, store)
    terms = MicrogridTerms([price, -price, price], [-price, price, price], price, price)
    assert check(terms, [bid] * 2) == []
    if price < QUANTITY_MAX:
        dearer = msgspec.structs.replace(terms, end_micro_per_kwh=price + 1)
        assert check(dearer, [bid] * 2) != []
    return terms, [bid] * 2


@pytest.mark.parametrize("most", [1, 2**18, 2**29])
@pytest.mark.parametrize("signs", list(product((-1, 1), repeat=4)))
def test_nothing_wraps_at_the_edge(signs: tuple[int, ...], most: int) -> None:
    terms, bids = at_the_edge(most)
    window = window_of(terms, bids)
    limit = dual_limit(window)
    duals = np.array(signs[:3])[:, np.newaxis, np.newaxis] * np.full((len(Row), 2, 3), limit)
    duals[Row.STORED, 1, 1] *= -1
    balance = np.full(3, signs[3] * limit)
    for plan in (window.upper, window.lower):
        account = account_of(window, Solution(plan, duals, balance))
        for number, bid in enumerate(bids):
            parts = [cost_parts_plain(terms, bid, plan.tolist(), number, t) for t in range(3)]
            assert account.costs[number] == sum(map(sum, parts))
            own = duals[:, number].tolist()
            bound = bound_plain(terms, bid, own, balance.tolist(), trade=True)
            assert account.bounds[number] == bound


def test_an_idle_plan_is_always_there() -> None:
    """Whatever the rough plan says, even one that empties all storages."""
    case = two_hours()
    separate = without_trade(case.window)
    for rough in (separate.lower, separate.upper, case.together.plan):
        plan = repair(separate, rough)
        assert plan is not None
        assert fault(separate, plan) is ClearingVerdict.ACCEPTED


def test_what_cannot_be_had_is_missing_at_a_price() -> None:
    """A storage that starts empty, must end with 1.5 Wh, and has nothing to charge."""
    store = Storage(10, 950, 950, 0, 10 * UWH_PER_WH, 0, 1_500_000)
    bid = MicrogridBid([5], [0], [0], 0, NO_TURBINE, store)
    window = window_of(MicrogridTerms([100_000], [45_000], 0, 400_000), [bid])
    plan = repair(window, window.lower)
    assert plan is not None
    assert plan[Column.MISSING].tolist() == [[2]]
    account = account_of(window, Solution(plan, np.zeros((3, 1, 1), np.int64), np.zeros(1, int)))
    assert account.costs == [(5 * 100_000 + 2 * 400_000) * 1000]
