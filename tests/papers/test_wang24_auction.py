"""Claims of [WANG24] about the two-stage auction, section 4.1: what sellers and buyers gain.

The paper publishes one day's averages, +16.7 % for sellers and -7.6 % for buyers, and no data. Both
follow from three numbers that it does not print: the mean price p, the share of generation that is
traded, Q/S, and the share of load, Q/B. Here the identity is checked, and one day that has the
published gains is cleared. That is a statement about the chosen day, not evidence for the size of
the gains on another.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from gridpact.market.integer import AuctionResult, Orders, clear_auction
from gridpact.model import TieRule
from gridpact.units import money_nano, split_half_unit

FEED_IN, RETAIL = 450_000, 670_000
"""0.45 and 0.67 yuan per kWh, in micro."""
MIDPOINT = 560_000
TENTH_OF_PERCENT = Fraction(1, 1000)
"""The published gains have one decimal, so they are met within half of this."""

GENERATION_WH = (120_000, 93_000, 140_000, 110_000)
"""Four sellers at noon, 463 kWh."""
NOON_LOAD_WH = (100_000, 96_229, 120_000)
"""Three buyers at noon, 316.229 kWh = 0.683 x 463 kWh."""
EVENING_LOAD_WH = (121_000, 119_771, 126_000)
"""The same buyers without sun, 366.771 kWh: 683 kWh in all, of which 0.463 at noon."""


def side(price: int, energy_wh: tuple[int, ...]) -> Orders:
    return Orders.of(price_micro_per_kwh=[price] * len(energy_wh), energy_wh=energy_wh)


def seller_gain(price: Fraction, traded_share: Fraction) -> Fraction:
    return (price - FEED_IN) * traded_share / FEED_IN


def buyer_gain(price: Fraction, traded_share: Fraction) -> Fraction:
    return (RETAIL - price) * traded_share / RETAIL


def test_published_gains_follow_from_price_and_traded_shares() -> None:
    """+16.7 % and -7.6 % at p = 0.56, Q/S = 0.683, Q/B = 0.463. Source: section 4.1."""
    sellers = seller_gain(Fraction(MIDPOINT), Fraction(683, 1000))
    buyers = buyer_gain(Fraction(MIDPOINT), Fraction(463, 1000))
    assert sellers == Fraction(11, 45) * Fraction(683, 1000)  # 0.16696
    assert buyers == Fraction(11, 67) * Fraction(463, 1000)  # 0.07601
    assert abs(sellers - Fraction(167, 1000)) < TENTH_OF_PERCENT / 2
    assert abs(buyers - Fraction(76, 1000)) < TENTH_OF_PERCENT / 2


def test_gains_fix_the_ratio_of_generation_to_load() -> None:
    """With p in the middle both gains hold only where generation is 0.68 of load.

    Source: section 4.1; the paper prints neither p nor the ratio.
    """
    traded_of_generation = Fraction(167, 1000) / seller_gain(Fraction(MIDPOINT), Fraction(1))
    traded_of_load = Fraction(76, 1000) / buyer_gain(Fraction(MIDPOINT), Fraction(1))
    ratio = traded_of_load / traded_of_generation
    assert Fraction(67, 100) < ratio < Fraction(69, 100)


@pytest.fixture(params=TieRule)
def day(request: pytest.FixtureRequest) -> tuple[AuctionResult, AuctionResult]:
    """Noon and evening of three buyers and four sellers that quote the prices outside."""
    nobody = side(FEED_IN, ())
    return (
        clear_auction(side(RETAIL, NOON_LOAD_WH), side(FEED_IN, GENERATION_WH), request.param),
        clear_auction(side(RETAIL, EVENING_LOAD_WH), nobody, request.param),
    )


def test_a_day_with_the_published_gains(day: tuple[AuctionResult, AuctionResult]) -> None:
    """Sellers +16.7 %, buyers -7.6 % against selling to and buying from the grid.

    Three buyers, four sellers, 0.45 and 0.67 yuan per kWh. Source: section 4.1.
    """
    earned = paid = traded_wh = 0
    for result in day:
        trades = result.trades
        for price_sum, energy in zip(
            trades.price_sum_micro_per_kwh.tolist(), trades.energy_wh.tolist(), strict=True
        ):
            buyer_pays, seller_gets, _ = split_half_unit(price_sum, energy)
            paid += buyer_pays
            earned += seller_gets
            traded_wh += energy
        earned += money_nano(FEED_IN, sum(result.remaining_offer_wh.tolist()))
        paid += money_nano(RETAIL, sum(result.remaining_bid_wh.tolist()))
    generation, load = sum(GENERATION_WH), sum(NOON_LOAD_WH + EVENING_LOAD_WH)
    assert (traded_wh, generation, load) == (316_229, 463_000, 683_000)
    grid_earned, grid_paid = money_nano(FEED_IN, generation), money_nano(RETAIL, load)
    more, less = Fraction(earned, grid_earned) - 1, 1 - Fraction(paid, grid_paid)
    assert more == seller_gain(Fraction(MIDPOINT), Fraction(traded_wh, generation))
    assert less == buyer_gain(Fraction(MIDPOINT), Fraction(traded_wh, load))
    assert abs(more - Fraction(167, 1000)) < TENTH_OF_PERCENT / 2
    assert abs(less - Fraction(76, 1000)) < TENTH_OF_PERCENT / 2


def test_each_pair_trades_at_the_midpoint(day: tuple[AuctionResult, AuctionResult]) -> None:
    """The price is (Ps + Pb) / 2, and Pa is the mean of all prices. Source: section 3.2.2, 2)."""
    noon, evening = day
    assert set(noon.trades.price_sum_micro_per_kwh.tolist()) == {FEED_IN + RETAIL}
    assert noon.reference_price_micro_per_kwh == MIDPOINT
    assert len(evening.trades) == 0
    assert evening.reference_price_micro_per_kwh is None


def test_volume_is_the_smaller_of_both_heads_and_the_rest_goes_on() -> None:
    """ "Vmin between Vs and Vb", then the satisfied leaves. Source: section 3.2.2, 2)."""
    result = clear_auction(
        Orders.of(price_micro_per_kwh=[600_000, 650_000], energy_wh=[30, 20]),
        Orders.of(price_micro_per_kwh=[500_000, 470_000], energy_wh=[40, 15]),
        TieRule.TIME,
    )
    trades = result.trades
    assert list(
        zip(trades.offer.tolist(), trades.bid.tolist(), trades.energy_wh.tolist(), strict=True)
    ) == [
        (1, 1, 15),  # the lowest offer, 15 Wh, meets the highest bid, 20 Wh
        (0, 1, 5),  # what is left of that bid
        (0, 0, 30),
    ]
    assert result.remaining_offer_wh.tolist() == [5, 0]
