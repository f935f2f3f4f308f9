"""Every row of the scores' rules with its edge cases, on boards of a few participants."""

from __future__ import annotations

import pytest

from gridpact.codec import decode, encode
from gridpact.errors import InvariantError
from gridpact.settlement.score_parts import (
    CONSUMER_FACTORS,
    GENERATOR_FACTORS,
    POINT_MICRO,
    SCORE_MAX_MICRO,
    Factors,
    ScoreParts,
    first_parts,
    score_micro,
    without_participation,
)
from gridpact.settlement.scores import (
    CarbonPosition,
    MeteredDeal,
    ScoreRules,
    after_certificates,
    after_cycle,
    after_round,
    after_trades,
)

NEW = first_parts(has_quota=True)


def board(*names: str, credit: int = 0) -> dict[str, ScoreParts]:
    return {name: ScoreParts(credit * POINT_MICRO, 0, 0, 0, 0, 0, 0) for name in names}


def deal(seller: str, buyer: str, contracted: int, injected: int, consumed: int) -> MeteredDeal:
    return MeteredDeal(seller, buyer, contracted, injected, consumed)


def kept(seller: str, buyer: str, energy: int) -> MeteredDeal:
    return deal(seller, buyer, energy, energy, energy)


# Credit: equations 14 to 17


def test_complying_earns_the_share_of_what_is_missing() -> None:
    """Each deal counts once: two deals of 30 and 10 give shares 3/4 and 1/4 on both sides."""
    after = after_trades(board(*"abcd"), [kept("a", "b", 30), kept("c", "d", 10)], {})
    by_name = {name: parts.credit_micro for name, parts in after.items()}
    assert by_name == {"a": 75_000_000, "b": 75_000_000, "c": 25_000_000, "d": 25_000_000}


def test_default_keeps_the_delivered_share() -> None:
    after = after_trades(board("a", "b", credit=100), [deal("a", "b", 100, 70, 100)], {})
    assert after["a"].credit_micro == 70_000_000
    assert after["b"].credit_micro == SCORE_MAX_MICRO


def test_over_delivery_is_no_default() -> None:
    after = after_trades(board("a", "b"), [deal("a", "b", 100, 150, 100)], {})
    assert after["a"].credit_micro == SCORE_MAX_MICRO
    assert after["a"].volume_micro == SCORE_MAX_MICRO


def test_over_delivery_in_one_deal_makes_up_for_nothing_in_another() -> None:
    deals = [deal("a", "b", 100, 150, 100), deal("a", "c", 100, 50, 100)]
    after = after_trades(board(*"abc", credit=100), deals, {})
    assert after["a"].credit_micro == 75_000_000


def test_who_does_not_trade_keeps_credit_and_has_no_volume() -> None:
    before = board(*"abc", credit=40)
    before["c"] = ScoreParts(40 * POINT_MICRO, 9, 0, 0, 0, 0, 0)
    after = after_trades(before, [kept("a", "b", 10)], {})
    assert (after["c"].credit_micro, after["c"].volume_micro) == (40 * POINT_MICRO, 0)


def test_a_deal_over_nothing_is_skipped() -> None:
    after = after_trades(board("a", "b", credit=40), [deal("a", "b", 0, 5, 0)], {})
    assert after == board("a", "b", credit=40)


@pytest.mark.parametrize(("tolerance", "credit"), [(0, 95), (49, 95), (50, 100)])
def test_a_shortfall_within_the_tolerance_is_no_default(tolerance: int, credit: int) -> None:
    rules = ScoreRules(tolerance_permille=tolerance)
    after = after_trades(board("a", "b", credit=100), [deal("a", "b", 100, 95, 100)], {}, rules)
    assert after["a"].credit_micro == credit * POINT_MICRO


def test_nothing_left_of_credit_when_nothing_was_delivered() -> None:
    after = after_trades(board("a", "b", credit=100), [deal("a", "b", 100, 0, 100)], {})
    assert after["a"].credit_micro == 0


# Volume: equation 18


def test_volume_is_measured_between_half_the_smallest_and_the_largest() -> None:
    """(min(E_a, E_c) - 10) / (40 - 10) with phi = 0.5 and a smallest volume of 20."""
    deals = [kept("a", "b", 40), deal("c", "d", 40, 25, 40), kept("e", "f", 20)]
    after = after_trades(board(*"abcdef"), deals, {})
    assert after["a"].volume_micro == SCORE_MAX_MICRO
    assert after["c"].volume_micro == 50_000_000
    assert after["e"].volume_micro == SCORE_MAX_MICRO // 3


def test_volume_is_zero_for_all_when_nothing_was_traded() -> None:
    after = after_trades(board("a", "b"), [deal("a", "b", 0, 0, 0)], {})
    assert [parts.volume_micro for parts in after.values()] == [0, 0]


# Taking part: equation 19, and decay: equations 24 and 25


def test_an_acknowledgement_in_the_quorum_earns_less_each_round_down_to_omega() -> None:
    """omega (k + 1) / k is 2 at k = 1, 1.5 at k = 2, 1.005 at k = 200."""
    for round_number, gained in ((1, 2_000_000), (2, 1_500_000), (200, 1_005_000)):
        after = after_round(
            board("a", "b"), round_number=round_number, leader="a", acknowledged=["b", "zz"]
        )
        assert after["b"].participation_micro == gained
        assert after["a"].participation_micro == 0


def test_the_leader_is_not_credited_even_when_it_is_named() -> None:
    after = after_round(board("a"), round_number=1, leader="a", acknowledged=["a"])
    assert after == board("a")


def test_taking_part_is_capped() -> None:
    full = {"a": ScoreParts(0, 0, SCORE_MAX_MICRO - 5, 0, 0, 0, 0)}
    after = after_round(full, round_number=1, leader="", acknowledged=["a"])
    assert after["a"].participation_micro == SCORE_MAX_MICRO


def test_decay_takes_credit_and_taking_part_every_thirty_rounds_only() -> None:
    full = {"a": ScoreParts(*[SCORE_MAX_MICRO] * 5, 3, 1)}
    for round_number in (29, 31, 59):
        assert after_round(full, round_number=round_number, leader="", acknowledged=[]) == full
    after = after_round(full, round_number=60, leader="", acknowledged=[])["a"]
    assert (after.credit_micro, after.participation_micro) == (95_122_900, 95_122_900)
    assert after.volume_micro == after.certificates_micro == after.carbon_micro == SCORE_MAX_MICRO


# Certificates: equation 20


def test_certificates_count_for_who_holds_them() -> None:
    after = after_certificates(board(*"abc"), {"a": 1, "b": 2, "gone": 7})
    shares = [parts.certificates_micro for parts in after.values()]
    assert shares == [33_333_333, 66_666_666, 0]


def test_no_certificates_give_nobody_a_share() -> None:
    before = after_certificates(board("a", "b"), {"a": 1})
    after = after_certificates(before, {})
    assert [parts.certificates_micro for parts in after.values()] == [0, 0]


# Carbon: equations 21 and 22


def test_carbon_lies_between_the_worst_and_the_best_position() -> None:
    positions = {
        "a": CarbonPosition(quota=100, bought=0, sold=0, emitted=140),
        "b": CarbonPosition(quota=100, bought=20, sold=10, emitted=100),
        "c": CarbonPosition(quota=100, bought=0, sold=0, emitted=40),
    }
    after = after_cycle(board(*"abcd"), positions)
    shares = [after[name].carbon_micro for name in "abcd"]
    assert shares == [0, 50_000_000, SCORE_MAX_MICRO, None]


def test_equal_positions_give_nobody_a_part() -> None:
    positions = dict.fromkeys("ab", CarbonPosition(1, 0, 0, 0))
    after = after_cycle(board("a", "b"), positions)
    assert [parts.carbon_micro for parts in after.values()] == [0, 0]


def test_a_cycle_without_quotas_changes_no_score_but_drops_the_part() -> None:
    assert after_cycle(board("a"), {})["a"].carbon_micro is None


# Lines: equation 23


def test_line_faults_count_against_the_generator_only() -> None:
    deals = [kept("a", "b", 10), kept("a", "c", 10)]
    after = after_trades(board(*"abc"), deals, {"a": 1, "b": 1})
    assert after["a"].lines_micro == 50_000_000
    assert after["b"].lines_micro == 0
    assert (after["b"].transmissions, after["b"].line_faults) == (0, 0)


def test_no_more_faults_than_deliveries() -> None:
    after = after_trades(board("a", "b"), [kept("a", "b", 10)], {"a": 7})
    assert (after["a"].transmissions, after["a"].line_faults) == (1, 1)


def test_lines_of_who_never_delivered_are_worth_nothing() -> None:
    assert NEW.lines_micro == 0


# The whole: equations 8 to 13


@pytest.mark.parametrize("factors", [GENERATOR_FACTORS, CONSUMER_FACTORS])
def test_factors_of_the_paper_sum_to_one(factors: Factors) -> None:
    assert factors.sum_permille == 1000
    assert without_participation(factors).sum_permille == 700


def test_each_part_counts_by_its_factor() -> None:
    parts = ScoreParts(*(points * POINT_MICRO for points in (10, 20, 30, 40, 50)), 10, 1)
    assert score_micro(parts, GENERATOR_FACTORS) == 33_000_000
    assert score_micro(parts, CONSUMER_FACTORS) == 29_000_000


def test_without_a_quota_the_factor_goes_to_the_others() -> None:
    parts = ScoreParts(*(points * POINT_MICRO for points in (10, 20, 30, 40)), None, 10, 1)
    assert score_micro(parts, GENERATOR_FACTORS) == 28_000_000 * 10 // 9
    assert score_micro(parts, CONSUMER_FACTORS) == 19_000_000 * 10 // 8


def test_only_carbon_counts_and_there_is_no_quota() -> None:
    assert score_micro(first_parts(has_quota=False), Factors(0, 0, 0, 0, 1000, 0)) == 0


def test_the_order_of_ids_is_kept_and_the_input_is_untouched() -> None:
    before = board("b", "a")
    after = after_trades(before, [kept("a", "b", 10)], {})
    assert list(after) == ["a", "b"]
    assert before == board("b", "a")


def test_parts_have_canonical_bytes() -> None:
    for parts in (NEW, first_parts(has_quota=False), ScoreParts(1, 2, 3, 4, 5, 6, 6)):
        assert decode(ScoreParts, encode(parts)) == parts


# What callers must not do


@pytest.mark.parametrize(
    "wrong",
    [
        [deal("a", "b", -1, 0, 0)],
        [deal("a", "b", 1, -1, 0)],
        [deal("a", "nobody", 1, 1, 1)],
        [deal("a", "a", 1, 1, 1)],
    ],
)
def test_impossible_deals_stop_the_replica(wrong: list[MeteredDeal]) -> None:
    with pytest.raises(InvariantError):
        after_trades(board("a", "b"), wrong, {})


def test_impossible_counts_and_rounds_stop_the_replica() -> None:
    with pytest.raises(InvariantError, match="-1"):
        after_certificates(board("a"), {"a": -1})
    with pytest.raises(InvariantError, match="-2"):
        after_trades(board("a", "b"), [kept("a", "b", 1)], {"a": -2})
    with pytest.raises(InvariantError, match="count from 1"):
        after_round(board("a"), round_number=0, leader="", acknowledged=[])
    with pytest.raises(InvariantError, match="thousandths"):
        score_micro(NEW, Factors(1000, 1, 0, 0, 0, 0))


@pytest.mark.parametrize(
    "field",
    [
        {"smallest_permille": 1000},
        {"step_micro": -1},
        {"decay_every": 0},
        {"decay_micro": 1_000_001},
        {"tolerance_permille": 1001},
    ],
)
def test_rules_out_of_range_are_refused(field: dict[str, int]) -> None:
    with pytest.raises(InvariantError):
        ScoreRules(**field)
