"""`clear_auction`: any kind of columns gives the same trades, and what is wrong is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

import gridpact
from gridpact.errors import InputError

BIDS: dict[str, Any] = {"price_micro_per_kwh": [300_000, 250_001], "energy_wh": [400, 601]}
OFFERS: dict[str, Any] = {"price_micro_per_kwh": [100_000], "energy_wh": [701]}


def problems(bids: Any, offers: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        gridpact.clear_auction(bids, offers, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "form",
    [
        dict,
        pl.DataFrame,
        lambda book: {name: np.array(values, np.int32) for name, values in book.items()},
        lambda book: {name: np.array(values, np.uint64) for name, values in book.items()},
        lambda book: {name: pl.Series(values) for name, values in book.items()},
    ],
)
def test_lists_arrays_series_and_frames_are_one(form: Any) -> None:
    clearing = gridpact.clear_auction(form(BIDS), form(OFFERS))
    assert clearing.trades.to_dicts() == [
        {
            "stage": 1,
            "offer": 0,
            "bid": 0,
            "energy_wh": 400,
            "price_sum_micro_per_kwh": 400_000,
            "payment_nano": 80_000_000,
            "income_nano": 80_000_000,
        },
        {
            "stage": 1,
            "offer": 0,
            "bid": 1,
            "energy_wh": 301,
            "price_sum_micro_per_kwh": 350_001,
            "payment_nano": 52_675_151,
            "income_nano": 52_675_150,
        },
    ]
    assert clearing.reference_price_micro_per_kwh == 187_500
    assert clearing.remaining_bid_wh.tolist() == [0, 300]
    assert clearing.remaining_offer_wh.tolist() == [0]


def test_empty_books_trade_nothing() -> None:
    nothing: dict[str, list[int]] = {"price_micro_per_kwh": [], "energy_wh": []}
    clearing = gridpact.clear_auction(nothing, nothing)
    assert clearing.trades.height == 0
    assert clearing.reference_price_micro_per_kwh is None


def test_largest_trade_is_exact() -> None:
    most = 2**31 - 1
    book = {"price_micro_per_kwh": [most], "energy_wh": [most]}
    assert gridpact.clear_auction(book, book).trades["payment_nano"][0] == most * most


def test_ids_decide_among_equals() -> None:
    equal = {"price_micro_per_kwh": [300_000] * 2, "energy_wh": [1, 1]}
    offer = {"price_micro_per_kwh": [100_000], "energy_wh": [1]}
    for ids, first in ((["b", "a"], 1), (["a", "b"], 0), ([7, 30], 0), ([30, 7], 1)):
        clearing = gridpact.clear_auction(equal | {"order_id": ids}, offer)
        assert clearing.trades["bid"].to_list() == [first]


def test_the_earlier_order_goes_first_when_asked() -> None:
    bids = {"price_micro_per_kwh": [300_000] * 2, "energy_wh": [5, 5], "submitted_ms": [9, 8]}
    offer = {"price_micro_per_kwh": [100_000], "energy_wh": [5]}
    assert gridpact.clear_auction(bids, offer, tie="time").trades["bid"].to_list() == [1]
    assert gridpact.clear_auction(bids, offer).trades.height == 2


def test_everything_wrong_is_said_at_once() -> None:
    found = problems(
        {"price_micro_per_kwh": [0.3], "side": ["bid"]},
        {"price_micro_per_kwh": [1, 2], "energy_wh": [[1], [2]], "order_id": [1, 1]},
        tie="first",
    )
    for words in (
        "tie: 'first' is not one of: pro_rata, time",
        "bids.side: is not a column of a book",
        "bids.energy_wh: is missing",
        "bids.price_micro_per_kwh: has type float64",
        "offers.energy_wh: has type int64 and 2 dimensions",
    ):
        assert words in found


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"order_id": ["a", "a"]}, "bids.order_id: has an id twice"),
        ({"energy_wh": [1]}, "bids.energy_wh: has 1 rows, price_micro_per_kwh has 2"),
        ({"energy_wh": [0, 1]}, "bids.energy_wh[0]: 0 is not in"),
        ({"limit_micro_per_kwh": [1, 300_000]}, "bids.limit_micro_per_kwh[0]: 1 is below"),
        ({"energy_wh": np.array([1, 2**64 - 1], np.uint64)}, "beyond 64 bits"),
        ({"energy_wh": [True, False]}, "has type bool"),
    ],
)
def test_bad_columns_are_refused(change: dict[str, Any], words: str) -> None:
    assert words in problems(BIDS | change, OFFERS)
