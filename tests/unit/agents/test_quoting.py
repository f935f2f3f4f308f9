"""Goal: random quotes fill the band, adaptive ones learn from their own results alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.agents import adapted_shade, first_shade, next_shade, quotes
from gridpact.errors import InvariantError
from gridpact.model import (
    AccountMode,
    AccountPolicy,
    AgentPolicy,
    Member,
    Quoting,
    Slot,
    SlotPrices,
)

PRICES = SlotPrices(
    retail_micro_per_kwh=320_000, feed_in_micro_per_kwh=80_000, network_fee_micro_per_kwh=50_000
)
SELLER, BUYER = 80_000, 270_000
SLOT = Slot(1_465_423_200, 900)


def member(name: str, quoting: Quoting, shade: int = 0) -> Member:
    return Member(
        participant_id=name,
        bus="",
        load_column="load",
        pv_column="",
        load_nominal_w=0,
        pv_nominal_w=0,
        account=AccountPolicy(AccountMode.PREPAID, 0, 0),
        agent=AgentPolicy(7, quoting, shade),
    )


def test_random_quotes_fill_the_band_evenly() -> None:
    """Mean of 4,000 uniform prices: the middle of the band, +-2 % is 4.4 sigma."""
    members = [member(f"m{i}", Quoting.RANDOM) for i in range(4000)]
    prices = [one.price_micro_per_kwh for one in quotes(members, [1] * 4000, PRICES, SLOT, seed=3)]
    assert min(prices) < SELLER + 500
    assert max(prices) > BUYER - 500
    assert all(SELLER <= price <= BUYER for price in prices)
    mean = sum(prices) / len(prices)
    assert abs((mean - SELLER) / (BUYER - SELLER) - 0.5) < 0.02


def test_random_quotes_keep_the_limit_private() -> None:
    (offer,) = quotes([member("a", Quoting.RANDOM)], [5], PRICES, SLOT, seed=1)
    (bid,) = quotes([member("a", Quoting.RANDOM)], [-5], PRICES, SLOT, seed=1)
    assert offer.limit_micro_per_kwh == SELLER
    assert bid.limit_micro_per_kwh == BUYER
    # one draw: the same distance from either limit
    assert offer.price_micro_per_kwh - SELLER == BUYER - bid.price_micro_per_kwh


def test_an_adaptive_quote_is_its_shade() -> None:
    adaptive = member("a", Quoting.ADAPTIVE, shade=60)
    (offer,) = quotes([adaptive], [5], PRICES, SLOT, seed=1, shades={"a": 100_000})
    assert offer.price_micro_per_kwh == SELLER + 19_000
    (bid,) = quotes([adaptive], [-5], PRICES, SLOT, seed=9, shades={"a": 100_000})
    assert bid.price_micro_per_kwh == BUYER - 19_000
    (new,) = quotes([adaptive], [5], PRICES, SLOT, seed=1)
    assert new.price_micro_per_kwh == SELLER + 57_000  # 30 % of 190,000


def test_shades_of_others_do_not_matter() -> None:
    both = [member("a", Quoting.ADAPTIVE, 60), member("b", Quoting.TRUTHFUL)]
    found = quotes(both, [5, 5], PRICES, SLOT, seed=1, shades={"b": 900_000})
    assert [one.price_micro_per_kwh for one in found] == [SELLER + 57_000, SELLER]


def test_success_dares_more_and_failure_less() -> None:
    assert first_shade(25) == 125_000
    assert next_shade(125_000, 25, 80, 80) == 145_000
    assert next_shade(125_000, 25, 80, 0) == 105_000
    assert next_shade(125_000, 25, 80, 40) == 125_000
    assert next_shade(125_000, 25, 80, 60) == 135_000
    assert next_shade(125_000, 25, 0, 0) == 125_000


def test_a_shade_stays_between_nothing_and_its_most() -> None:
    assert adapted_shade(25, [(1, 1)] * 50) == 250_000
    assert adapted_shade(25, [(1, 0)] * 50) == 0
    assert adapted_shade(0, [(1, 1)] * 5) == 0


def test_more_traded_than_ordered_is_a_bug() -> None:
    with pytest.raises(InvariantError, match="9 of 8 Wh"):
        next_shade(0, 25, 8, 9)


RESULTS = st.lists(
    st.integers(0, 5_000).flatmap(lambda wh: st.tuples(st.just(wh), st.integers(0, wh))),
    max_size=30,
)


@given(st.integers(0, 100), RESULTS)
def test_the_shade_is_a_function_of_its_own_past(most: int, results: list[tuple[int, int]]) -> None:
    shade = first_shade(most)
    for ordered, traded in results:
        before = shade
        shade = next_shade(shade, most, ordered, traded)
        assert 0 <= shade <= most * 10_000
        assert abs(shade - before) <= 20_000
        assert shade >= before or 2 * traded < ordered or shade == most * 10_000
    assert adapted_shade(most, results) == shade
    # what is scaled is the same result
    assert adapted_shade(most, [(3 * a, 3 * b) for a, b in results]) == shade
