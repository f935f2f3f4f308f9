"""Goal: slots walk one step at a time, all that waits takes effect first, and nothing moves early.

Validators count as operators only together, late, and for exactly the same request.
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from gridpact.codec import encode
from gridpact.contracts.bodies import CancelOrder, Endorsement, MovePhase, Withdraw
from gridpact.contracts.call import latest_closed_s
from gridpact.contracts.genesis import DEFAULT_LIMITS, FallbackRule
from gridpact.contracts.keys import CLOCK, endorsement_key
from gridpact.model import OPEN_PHASES, SEALED_PHASES, Clock, Phase, Role, SlotState, Verdict
from gridpact.node import SimulatedKeys
from gridpact.units import INT64_MAX
from ledger_bench import (
    AUDITOR,
    DELAY_S,
    LENGTH_S,
    MARKET,
    OPERATOR,
    OTHER_MARKET,
    SLOT,
    TARIFF,
    UNIT,
    VALIDATORS,
    WAY,
    Bench,
    Signed,
    genesis_with,
)

LIMIT = DEFAULT_LIMITS.slots_per_phase
NEXT = SLOT + LENGTH_S
MARKETS = (MARKET, OTHER_MARKET, "unknown")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def clock(bench: Bench) -> Clock:
    return bench.value(CLOCK, Clock)


# One step at a time


def test_a_slot_opens_empty(bench: Bench) -> None:
    bench.open()
    assert bench.slot() == SlotState(
        phase=Phase.OPEN,
        opened_phase=1,
        tariff=TARIFF,
        orders=0,
        trades=0,
        traded_wh=0,
        curtailed_wh=0,
        second_stage_wh=0,
        turnover_nano=0,
        reference_price_micro_per_kwh=-1,
        grid_import_wh=0,
        grid_export_wh=0,
        archive=b"",
    )
    assert clock(bench) == Clock(1, [0, 0])


def test_phases_are_numbered_and_only_a_gate_moves_the_time_of_expiry(bench: Bench) -> None:
    bench.open(slots=2)
    seen = []
    for phase in WAY:
        bench.move(phase)
        assert bench.slot().phase == phase
        assert bench.slot(NEXT).phase == Phase.OPEN
        seen.append(clock(bench))
    assert [time.phase for time in seen] == [2, 3, 4, 5, 6, 7]
    assert [time.closed_s for time in seen] == [[SLOT, 0]] * 6


def test_the_latest_closed_gate_stays_the_latest(bench: Bench) -> None:
    bench.open(slots=3)
    bench.move(Phase.CLOSED, first_s=NEXT, slots=2)
    assert clock(bench).closed_s == [NEXT + LENGTH_S, 0]
    bench.move(Phase.CLOSED)
    assert clock(bench).closed_s == [NEXT + LENGTH_S, 0]


def test_each_market_has_its_own_latest_gate(bench: Bench) -> None:
    """A slow market's orders must not expire because a fast one is hours ahead."""
    later_s = SLOT + 9_000
    bench.accept(bench.tariff(), bench.tariff(first_s=later_s, market=OTHER_MARKET))
    bench.move(Phase.OPEN)
    for phase in (Phase.OPEN, Phase.CLOSED):
        bench.accept(bench.phase(phase, first_s=later_s, market=OTHER_MARKET))
    assert clock(bench).closed_s == [0, later_s]
    rules, time = bench.application.rules, clock(bench)
    seen = [latest_closed_s(rules, time, CancelOrder(name, SLOT, 1)) for name in MARKETS]
    assert seen == [0, later_s, later_s]
    assert latest_closed_s(rules, time, Withdraw(0)) == later_s


@pytest.mark.parametrize("here", [None, Phase.OPEN, *WAY])
def test_no_step_is_skipped_repeated_or_taken_back(bench: Bench, here: Phase | None) -> None:
    bench.accept(bench.tariff(slots=2))
    if here is not None:
        bench.move(Phase.OPEN)
        bench.walk(here)
    after = dict(zip((None, *OPEN_PHASES), OPEN_PHASES, strict=False)).get(here)
    for phase in Phase:
        if phase != after and not here == phase == Phase.FINAL:
            bench.refuse(bench.phase(phase), Verdict.PHASE_STEP_WRONG)
    if after is not None:
        bench.move(after)


@pytest.mark.parametrize("here", SEALED_PHASES)
def test_with_sealed_orders_the_way_has_one_step_more(here: Phase) -> None:
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, sealed_deposit_nano=1), keys)
    bench.open()
    bench.walk(here)
    after = dict(pairwise(SEALED_PHASES)).get(here)
    for phase in Phase:
        if phase != after and not here == phase == Phase.FINAL:
            bench.refuse(bench.phase(phase), Verdict.PHASE_STEP_WRONG)
    if after is not None:
        bench.move(after)


def test_final_slots_that_become_final_move_nothing_and_are_a_barrier(bench: Bench) -> None:
    """Without it nothing could take effect on a ledger whose slots are all final."""
    bench.open(slots=2)
    bench.walk(Phase.FINAL)
    bench.refuse(bench.phase(Phase.FINAL, slots=2), Verdict.PHASE_STEP_WRONG)  # one is open
    slot, before = bench.slot(), clock(bench)
    bench.accept(bench.register("ann"))
    bench.move(Phase.FINAL)
    assert bench.slot() is slot
    assert clock(bench) == Clock(before.phase + 1, before.closed_s)
    assert bench.application.party("ann") is not None
    assert bench.result is not None
    assert set(bench.result.documents) == set()


def test_a_range_moves_together_or_not_at_all(bench: Bench) -> None:
    bench.open(slots=3)
    bench.move(Phase.CLOSED, first_s=NEXT)
    for first_s, slots in ((SLOT, 2), (NEXT, 2), (SLOT, 3), (NEXT + LENGTH_S, 2)):
        refused = bench.phase(Phase.CLOSED, first_s=first_s, slots=slots)
        bench.refuse(refused, Verdict.PHASE_STEP_WRONG)
    bench.move(Phase.CLOSED)
    bench.move(Phase.CLOSED, first_s=NEXT + LENGTH_S)
    bench.move(Phase.CLEARED, slots=3)
    assert {bench.slot(SLOT + i * LENGTH_S).phase for i in range(3)} == {Phase.CLEARED}


@pytest.mark.parametrize("number", [0, 1, 3, 4, INT64_MAX])
def test_numbers_have_no_gaps(bench: Bench, number: int) -> None:
    bench.open()
    bench.refuse(bench.phase(Phase.CLOSED, number=number), Verdict.PHASE_NUMBER_WRONG)
    bench.accept(bench.phase(Phase.CLOSED, number=2))


def test_one_row_of_numbers_for_all_markets(bench: Bench) -> None:
    bench.open()
    prices = bench.tariff(market=OTHER_MARKET)
    bench.accept(prices)
    again = bench.phase(Phase.OPEN, number=1, market=OTHER_MARKET)
    bench.refuse(again, Verdict.PHASE_NUMBER_WRONG)
    bench.accept(bench.phase(Phase.OPEN, number=2, market=OTHER_MARKET))
    assert bench.slot(SLOT, OTHER_MARKET).opened_phase == 2
    assert bench.slot().phase == Phase.OPEN


def test_a_barrier_of_one_market_is_one_for_all(bench: Bench) -> None:
    bench.join("ann", deposit_nano=UNIT)
    bench.accept(bench.tariff(market=OTHER_MARKET))
    bench.accept(bench.phase(Phase.OPEN, market=OTHER_MARKET))
    assert bench.account("ann") == (UNIT, 0)


def test_slots_of_two_markets_do_not_mix(bench: Bench) -> None:
    bench.open(slots=2)
    bench.accept(bench.tariff(market=OTHER_MARKET))
    bench.accept(bench.phase(Phase.OPEN, market=OTHER_MARKET))
    bench.accept(bench.phase(Phase.CLOSED, market=OTHER_MARKET))
    assert bench.slot().phase == bench.slot(NEXT).phase == Phase.OPEN
    assert bench.slot(SLOT, OTHER_MARKET).phase == Phase.CLOSED


def test_unknown_market(bench: Bench) -> None:
    bench.refuse(bench.phase(Phase.OPEN, market="lv9"), Verdict.UNKNOWN_MARKET)


@pytest.mark.parametrize(
    ("market", "first_s", "slots"),
    [
        (MARKET, SLOT + 1, 1),
        (OTHER_MARKET, SLOT + LENGTH_S, 1),
        (MARKET, SLOT, LIMIT + 1),
    ],
)
def test_a_range_is_aligned_and_not_too_long(
    bench: Bench, market: str, first_s: int, slots: int
) -> None:
    """`open` is the step of a slot that is not there yet, so only the range is at fault."""
    refused = bench.phase(Phase.OPEN, market=market, first_s=first_s, slots=slots)
    bench.refuse(refused, Verdict.RANGE_WRONG)


def test_the_longest_range(bench: Bench) -> None:
    bench.open(slots=LIMIT)
    assert bench.slot(SLOT + (LIMIT - 1) * LENGTH_S).phase == Phase.OPEN


@pytest.mark.parametrize("slots", [1, 2])
def test_a_range_ends_where_times_end(bench: Bench, slots: int) -> None:
    last_s = INT64_MAX - INT64_MAX % LENGTH_S
    refused = bench.phase(Phase.OPEN, first_s=last_s, slots=slots)
    bench.refuse(refused, Verdict.RANGE_WRONG)


@pytest.mark.parametrize(
    ("first_s", "slots"), [(SLOT, LIMIT + 1), (SLOT + 1, 1), (SLOT + 1, LIMIT + 1)]
)
def test_of_a_wrong_range_and_a_wrong_step_the_smaller_number_is_told(
    bench: Bench, first_s: int, slots: int
) -> None:
    bench.open()
    refused = bench.phase(Phase.CLEARED, first_s=first_s, slots=slots)
    bench.refuse(refused, Verdict.RANGE_WRONG)
    assert Verdict.RANGE_WRONG < Verdict.PHASE_STEP_WRONG


def test_a_slot_without_prices_does_not_open(bench: Bench) -> None:
    bench.refuse(bench.phase(Phase.OPEN), Verdict.TARIFF_MISSING)
    bench.accept(bench.tariff(slots=2))
    bench.refuse(bench.phase(Phase.OPEN, slots=3), Verdict.TARIFF_MISSING)
    other = bench.phase(Phase.OPEN, market=OTHER_MARKET)
    bench.refuse(other, Verdict.TARIFF_MISSING)
    bench.move(Phase.OPEN, slots=2)


def test_what_waited_still_waits_after_a_refused_phase(bench: Bench) -> None:
    """The barrier is part of the phase: refused with it."""
    bench.join("ann", deposit_nano=UNIT)
    bench.refuse(bench.phase(Phase.OPEN), Verdict.TARIFF_MISSING)
    assert bench.application.party("ann") is None
    assert bench.events == {}
    bench.open()
    assert bench.account("ann") == (UNIT, 0)


# Every meter reports


@pytest.fixture
def delivered(bench: Bench) -> Bench:
    """Ann has two meters and Bob one, delivered in `SLOT`; Eve joined after it opened."""
    bench.join("ann", "bob", deposit_nano=UNIT)
    bench.accept(bench.meter("ann", "ann.roof", reporter="metering"))
    bench.open()
    bench.join("eve")
    bench.accept(bench.meter("bob", "bob.late"))
    bench.walk(Phase.DELIVERED)
    return bench


def test_metered_needs_a_reading_of_every_meter(delivered: Bench) -> None:
    bench = delivered
    bench.refuse(bench.phase(Phase.METERED), Verdict.READINGS_MISSING)
    bench.accept(bench.reading("ann"), bench.reading("bob"))
    bench.refuse(bench.phase(Phase.METERED), Verdict.READINGS_MISSING)
    bench.accept(bench.reading("ann", meter="ann.roof", sender="metering"))
    bench.move(Phase.METERED)


def test_two_reports_of_one_meter_do_not_stand_for_another(delivered: Bench) -> None:
    bench = delivered
    bench.accept(
        bench.reading("ann", meter="ann.roof"),
        bench.reading("ann", meter="ann.roof", sender="metering"),
        bench.reading("bob"),
    )
    bench.refuse(bench.phase(Phase.METERED), Verdict.READINGS_MISSING)


def test_meters_that_came_later_owe_nothing_for_earlier_slots(delivered: Bench) -> None:
    """Neither Eve's meter nor Bob's second one; both owe for the next slot."""
    bench = delivered
    bench.accept(bench.reading("ann"), bench.reading("ann", meter="ann.roof"), bench.reading("bob"))
    bench.walk(Phase.FINAL)
    assert bench.entry(f"bill/eve/{TARIFF.billing_day}") is None
    bench.open(first_s=NEXT)
    bench.walk(Phase.DELIVERED, first_s=NEXT)
    for meter in ("ann.meter", "ann.roof", "bob.meter", "bob.late"):
        bench.accept(bench.reading(meter.partition(".")[0], meter=meter, slot_s=NEXT))
    bench.refuse(bench.phase(Phase.METERED, first_s=NEXT), Verdict.READINGS_MISSING)
    bench.accept(bench.reading("eve", slot_s=NEXT))
    bench.move(Phase.METERED, first_s=NEXT)


def test_one_slot_without_readings_holds_its_range(delivered: Bench) -> None:
    bench = delivered
    bench.open(first_s=NEXT)
    bench.walk(Phase.DELIVERED, first_s=NEXT)
    for meter in ("ann.meter", "ann.roof", "bob.meter"):
        bench.accept(bench.reading(meter.partition(".")[0], meter=meter))
    bench.refuse(bench.phase(Phase.METERED, slots=2), Verdict.READINGS_MISSING)
    bench.move(Phase.METERED)


def test_a_market_without_meters_is_metered_at_once(bench: Bench) -> None:
    bench.open()
    bench.walk(Phase.FINAL)
    assert bench.slot().phase == Phase.FINAL


# Validators, when the operator is silent

LATE_S = SLOT + LENGTH_S + DELAY_S
"""From here on validators may move the first slot."""


def late(bench: Bench, validator: str, phase: Phase = Phase.CLOSED, **more: int) -> Signed:
    return bench.phase(phase, sender=validator, **{"not_before_s": LATE_S, **more})


def endorsements(bench: Bench, number: int) -> list[list[bytes]]:
    return bench.value(endorsement_key(number), Endorsement).bodies


def test_the_quorum_moves_the_phase(bench: Bench) -> None:
    bench.join("ann", deposit_nano=UNIT)
    bench.open()
    bench.accept(bench.deposit("ann", UNIT))
    body = encode(MovePhase(MARKET, 2, Phase.CLOSED, SLOT, 1, LATE_S))
    bench.accept(late(bench, VALIDATORS[1]), time_s=LATE_S)
    assert bench.slot().phase == Phase.OPEN
    assert clock(bench).phase == 1
    assert endorsements(bench, 2) == [[b"val-2", body]]
    bench.accept(late(bench, VALIDATORS[0]), time_s=LATE_S)
    assert bench.slot().phase == Phase.CLOSED
    assert clock(bench) == Clock(2, [SLOT, 0])
    assert bench.entry(endorsement_key(2)) is None
    assert bench.account("ann") == (2 * UNIT, 0)  # it is a barrier like the operator's


def test_endorsements_are_listed_by_validator() -> None:
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, fallback=FallbackRule(quorum=4, delay_s=DELAY_S)), keys)
    bench.open()
    for validator in (VALIDATORS[2], VALIDATORS[0], VALIDATORS[1]):
        bench.accept(late(bench, validator), time_s=LATE_S)
    assert [validator for validator, _ in endorsements(bench, 2)] == [b"val-1", b"val-2", b"val-3"]


def test_a_quorum_of_one_moves_at_once() -> None:
    keys = SimulatedKeys(7)
    bench = Bench(genesis_with(keys, fallback=FallbackRule(quorum=1, delay_s=0)), keys)
    bench.open()
    end_s = SLOT + LENGTH_S
    early = late(bench, VALIDATORS[0], not_before_s=end_s - 1)
    bench.refuse(early, Verdict.TOO_EARLY, time_s=end_s)
    bench.accept(late(bench, VALIDATORS[0], not_before_s=end_s), time_s=end_s)
    assert bench.slot().phase == Phase.CLOSED


def test_validators_wait_for_the_delay_after_the_last_slot(bench: Bench) -> None:
    bench.open(slots=2)
    refused = late(bench, VALIDATORS[0], not_before_s=LATE_S - 1)
    bench.refuse(refused, Verdict.TOO_EARLY, time_s=LATE_S)
    refused = late(bench, VALIDATORS[0], not_before_s=0)
    bench.refuse(refused, Verdict.TOO_EARLY, time_s=LATE_S)
    refused = late(bench, VALIDATORS[0], slots=2)
    bench.refuse(refused, Verdict.TOO_EARLY, time_s=LATE_S)
    bench.accept(late(bench, VALIDATORS[0]), time_s=LATE_S)
    later = late(bench, VALIDATORS[1], not_before_s=LATE_S + LENGTH_S, slots=2)
    bench.accept(later, time_s=LATE_S + LENGTH_S)


def test_a_validator_says_the_same_once_and_may_change_its_mind(bench: Bench) -> None:
    """Else two that ask for different things would block the number for good."""
    bench.open(slots=2)
    bench.accept(late(bench, VALIDATORS[0]), time_s=LATE_S)
    bench.refuse(late(bench, VALIDATORS[0]), Verdict.ALREADY_ENDORSED, time_s=LATE_S)
    other = late(bench, VALIDATORS[0], not_before_s=LATE_S + 1)
    bench.accept(other, time_s=LATE_S + 1)
    held = bench.entry(endorsement_key(2))
    assert held is not None
    assert isinstance(held.value, Endorsement)
    assert [asked[0] for asked in held.value.bodies] == [VALIDATORS[0].encode()]
    bench.refuse(
        late(bench, VALIDATORS[0], not_before_s=LATE_S + 1),
        Verdict.ALREADY_ENDORSED,
        time_s=LATE_S + 1,
    )
    early = late(bench, VALIDATORS[0], not_before_s=0)
    bench.refuse(early, Verdict.TOO_EARLY, time_s=LATE_S)


def test_requests_that_differ_do_not_add_up(bench: Bench) -> None:
    bench.open()
    bench.accept(late(bench, VALIDATORS[0]), time_s=LATE_S)
    bench.accept(late(bench, VALIDATORS[1], not_before_s=LATE_S + 1), time_s=LATE_S + 1)
    assert bench.slot().phase == Phase.OPEN
    bench.accept(late(bench, VALIDATORS[2], not_before_s=LATE_S + 1), time_s=LATE_S + 1)
    assert bench.slot().phase == Phase.CLOSED


def test_what_the_operator_moves_needs_no_endorsements_any_more(bench: Bench) -> None:
    bench.open()
    bench.accept(late(bench, VALIDATORS[0]), time_s=LATE_S)
    bench.move(Phase.CLOSED)
    assert bench.entry(endorsement_key(2)) is None
    bench.refuse(late(bench, VALIDATORS[1], number=2), Verdict.PHASE_NUMBER_WRONG, time_s=LATE_S)
    bench.accept(late(bench, VALIDATORS[1], Phase.CLEARED), time_s=LATE_S)
    assert bench.slot().phase == Phase.CLOSED


def test_a_quorum_cannot_do_what_the_operator_could_not(bench: Bench) -> None:
    """Missing readings, steps and ranges are asked for before the votes are counted."""
    bench.join("ann")
    bench.open()
    bench.walk(Phase.DELIVERED)
    for phase, verdict in (
        (Phase.METERED, Verdict.READINGS_MISSING),
        (Phase.SETTLED, Verdict.PHASE_STEP_WRONG),
    ):
        for validator in VALIDATORS[:2]:
            bench.refuse(late(bench, validator, phase), verdict, time_s=LATE_S)


def test_a_quorum_cannot_open_a_slot_without_prices(bench: Bench) -> None:
    """The vote that would complete it is refused and does not count either."""
    bench.accept(late(bench, VALIDATORS[0], Phase.OPEN), time_s=LATE_S)
    for validator in VALIDATORS[1:]:
        refused = late(bench, validator, Phase.OPEN)
        bench.refuse(refused, Verdict.TARIFF_MISSING, time_s=LATE_S)
    bench.accept(bench.tariff())
    bench.accept(late(bench, VALIDATORS[1], Phase.OPEN), time_s=LATE_S)
    assert bench.slot().phase == Phase.OPEN


def test_of_missing_prices_and_an_early_vote_the_smaller_number_is_told(bench: Bench) -> None:
    early = late(bench, VALIDATORS[0], Phase.OPEN, not_before_s=0)
    bench.refuse(early, Verdict.TOO_EARLY, time_s=LATE_S)
    assert Verdict.TOO_EARLY < Verdict.TARIFF_MISSING


def test_an_operator_that_validates_too_needs_no_quorum(bench: Bench) -> None:
    bench.accept(bench.grant(OPERATOR, Role.VALIDATOR))
    bench.open()
    bench.move(Phase.CLOSED)
    assert bench.entry(endorsement_key(2)) is None


def test_nobody_else_moves_phases(bench: Bench) -> None:
    bench.join("ann")
    bench.open()
    for party in (AUDITOR, "ann", "ann.meter", "prices", "metering"):
        refused = late(bench, party)
        bench.refuse(refused, Verdict.ROLE_MISSING, time_s=LATE_S)


def test_the_first_reason_wins(bench: Bench) -> None:
    """Each request has the faults of all that follow it, as far as they can come together."""
    bench.join("ann")
    bench.open()
    bench.walk(Phase.DELIVERED)
    early = {"sender": VALIDATORS[0], "not_before_s": 0}
    wrong = {"phase": Phase.FINAL, "first_s": SLOT + 1, **early}
    bench.refuse(bench.phase(**wrong, number=9, market="lv9"), Verdict.UNKNOWN_MARKET)
    bench.refuse(bench.phase(**wrong, number=9), Verdict.PHASE_NUMBER_WRONG)
    bench.refuse(bench.phase(**wrong), Verdict.RANGE_WRONG)
    bench.refuse(bench.phase(Phase.FINAL, **early), Verdict.PHASE_STEP_WRONG)
    bench.refuse(bench.phase(Phase.METERED, **early), Verdict.TOO_EARLY)
    missing = late(bench, VALIDATORS[0], Phase.METERED)
    bench.refuse(missing, Verdict.READINGS_MISSING, time_s=LATE_S)
    bench.accept(bench.reading("ann"))
    bench.accept(late(bench, VALIDATORS[0], Phase.METERED), time_s=LATE_S)
    bench.refuse(bench.phase(Phase.METERED, **early), Verdict.TOO_EARLY)
    again = late(bench, VALIDATORS[0], Phase.METERED)
    bench.refuse(again, Verdict.ALREADY_ENDORSED, time_s=LATE_S)


def test_a_vote_repeated_for_slots_without_prices_is_told_the_smaller_number(
    bench: Bench,
) -> None:
    bench.accept(late(bench, VALIDATORS[0], Phase.OPEN), time_s=LATE_S)
    again = late(bench, VALIDATORS[0], Phase.OPEN)
    bench.refuse(again, Verdict.ALREADY_ENDORSED, time_s=LATE_S)
    assert Verdict.ALREADY_ENDORSED < Verdict.TARIFF_MISSING
