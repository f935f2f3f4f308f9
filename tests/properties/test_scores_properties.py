"""What holds for scores whatever happened, and the formulas against exact fractions.

Method: boards, deals and rounds are drawn at random; a dumb twin evaluates [XIONG23], eq. (14)-(18)
in fractions, and the integers must lie less than one unit below it.
"""

from __future__ import annotations

from fractions import Fraction
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gridpact.codec import encode
from gridpact.settlement.score_parts import (
    CONSUMER_FACTORS,
    GENERATOR_FACTORS,
    SCORE_MAX_MICRO,
    ScoreParts,
    score_micro,
)
from gridpact.settlement.scores import (
    CarbonPosition,
    MeteredDeal,
    after_certificates,
    after_cycle,
    after_round,
    after_trades,
)

Board = dict[str, ScoreParts]
NAMES = ("a", "b", "c", "d", "e")
part = st.integers(0, SCORE_MAX_MICRO)
energy = st.one_of(st.integers(0, 5), st.integers(0, 10**7))


@st.composite
def boards(draw: st.DrawFn) -> Board:
    board = {}
    for name in NAMES:
        sent = draw(st.integers(0, 9))
        carbon = draw(st.one_of(st.none(), part))
        faults = draw(st.integers(0, sent))
        board[name] = ScoreParts(*(draw(part) for _ in range(4)), carbon, sent, faults)
    return board


@st.composite
def deals(draw: st.DrawFn) -> list[MeteredDeal]:
    pairs = draw(st.lists(st.permutations(NAMES), max_size=8))
    return [MeteredDeal(p[0], p[1], draw(energy), draw(energy), draw(energy)) for p in pairs]


counts = st.dictionaries(st.sampled_from([*NAMES, "stranger"]), st.integers(0, 10**6))
positions = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(CarbonPosition, *(st.integers(0, 10**9) for _ in range(4))),
)


def in_range(board: Board) -> bool:
    for parts in board.values():
        msgspec.convert(msgspec.to_builtins(parts), ScoreParts)  # every part is in its range
        for factors in (GENERATOR_FACTORS, CONSUMER_FACTORS):
            if not 0 <= score_micro(parts, factors) <= SCORE_MAX_MICRO:
                return False
    return True


@given(boards(), deals(), counts, positions, st.integers(1, 400), st.sets(st.sampled_from(NAMES)))
def test_scores_stay_between_0_and_100(
    board: Board,
    traded: list[MeteredDeal],
    held: dict[str, int],
    cycle: dict[str, CarbonPosition],
    k: int,
    acknowledged: set[str],
) -> None:
    board = after_trades(board, traded, held)
    board = after_round(board, round_number=k, leader="a", acknowledged=acknowledged)
    board = after_cycle(after_certificates(board, held), cycle)
    assert in_range(board)


def shortfalls(traded: list[MeteredDeal]) -> dict[str, int]:
    short: dict[str, int] = {}
    for deal in traded:
        for name, metered in ((deal.seller, deal.injected_wh), (deal.buyer, deal.consumed_wh)):
            short[name] = short.get(name, 0) + max(0, deal.contracted_wh - metered)
    return short


@given(boards(), deals())
def test_complying_never_lowers_and_defaulting_never_raises_credit(
    board: Board, traded: list[MeteredDeal]
) -> None:
    after = after_trades(board, traded, {})
    for name, short in shortfalls(traded).items():
        moved = after[name].credit_micro - board[name].credit_micro
        assert moved <= 0 if short else moved >= 0


@given(boards(), deals(), st.integers(1, 1000))
def test_scaling_all_volumes_changes_nothing(
    board: Board, traded: list[MeteredDeal], factor: int
) -> None:
    scaled = [
        MeteredDeal(
            deal.seller,
            deal.buyer,
            factor * deal.contracted_wh,
            factor * deal.injected_wh,
            factor * deal.consumed_wh,
        )
        for deal in traded
    ]
    assert after_trades(board, traded, {}) == after_trades(board, scaled, {})


@given(boards(), counts)
def test_certificate_shares_sum_to_100_or_to_nothing(board: Board, held: dict[str, int]) -> None:
    after = after_certificates(board, held)
    total = sum(parts.certificates_micro for parts in after.values())
    if any(held.get(name) for name in NAMES):
        assert SCORE_MAX_MICRO - len(NAMES) < total <= SCORE_MAX_MICRO
    else:
        assert total == 0


@given(boards(), deals(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(
    board: Board, traded: list[MeteredDeal], random: Random
) -> None:
    shuffled, names = list(traded), list(board)
    random.shuffle(shuffled)
    random.shuffle(names)
    one = after_trades(board, traded, {})
    other = after_trades({name: board[name] for name in names}, shuffled, {})
    assert [(name, encode(parts)) for name, parts in one.items()] == [
        (name, encode(parts)) for name, parts in other.items()
    ]


@given(boards(), deals())
def test_credit_and_volume_are_the_formulas_rounded_down(
    board: Board, traded: list[MeteredDeal]
) -> None:
    """The twin reads eq. (14)-(18) word for word, in fractions."""
    after = after_trades(board, traded, {})
    total = sum(deal.contracted_wh for deal in traded)
    contracted = dict.fromkeys(NAMES, 0)
    delivered = dict.fromkeys(NAMES, 0)
    for deal in traded:
        for name, metered in ((deal.seller, deal.injected_wh), (deal.buyer, deal.consumed_wh)):
            contracted[name] += deal.contracted_wh
            delivered[name] += min(metered, deal.contracted_wh)
    traders = [name for name in NAMES if contracted[name]]
    for name in traders:
        held = Fraction(board[name].credit_micro)
        share = Fraction(contracted[name], total)
        if short := contracted[name] - delivered[name]:
            exact = held - held * Fraction(short, contracted[name])
        else:
            exact = held + (SCORE_MAX_MICRO - held) * share
        assert 0 <= exact - after[name].credit_micro < 1
        off = Fraction(min(delivered[each] for each in traders), 2)
        span = max(contracted[each] for each in traders) - off
        assert 0 <= SCORE_MAX_MICRO * (delivered[name] - off) / span - after[name].volume_micro < 1
