"""Traces that are handed out, on a chain: every path of the tree, every end, every refusal.

The pure machine of `settlement.arbitration` plays the same scripts; what the chain pays, strikes
and accepts must be what it says. A fee is 100, the data centre costs 501.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from tests.unit.settlement.test_arbitration import Letters, play

from gridpact.codec import sha256
from gridpact.contracts.bodies import CloseAccount, Kind, RequestTrace, SendResult
from gridpact.model import AccountMode, Role, Verdict
from gridpact.model.trace_jobs import TraceMode, TraceNeed, TraceRun, TraceState, TraceTerms
from gridpact.settlement.arbitration import CENTRE, GRID, Mode, Stage
from ledger_bench import AUDITOR, LENGTH_S, MARKET, OPERATOR, SLOT, UNIT
from trace_bench import COST, DAY_S, DSO, FEE, HELD, PROVIDERS, RATES, STATIONS, TraceBench

ONE, TWO, THREE, FOUR, FIVE = PROVIDERS
MODES = {TraceMode.DOUBLE: Mode.DOUBLE, TraceMode.RESIDUAL: Mode.RESIDUAL}


@pytest.fixture
def bench() -> TraceBench:
    return TraceBench()


def chain_name(name: str) -> str:
    """The grid company owns the data centre, so both are one account."""
    return DSO if name in (GRID, CENTRE) else name


def assert_as_the_machine(
    bench: TraceBench,
    script: dict[str, str],
    mode: TraceMode = TraceMode.DOUBLE,
    close: tuple[str, ...] = (),
) -> None:
    """The chain's end, money and strikes are those of the pure machine."""
    providers = tuple(name for name in script if name != CENTRE)
    pure, money, strikes, hired = play(script, MODES[mode], providers, Letters(*close))
    job = bench.play(script, bench.terms(providers, mode), [set(pair) for pair in close])
    gained: dict[str, int] = {}
    for name, amount in money.items():
        gained[chain_name(name)] = gained.get(chain_name(name), 0) + amount
    assert bench.gained() == {name: amount for name, amount in gained.items() if amount}
    assert list(job.strikes) == strikes
    assert [run.provider for run in job.runs] == hired
    ended = {Stage.ACCEPTED: TraceState.ACCEPTED, Stage.TIMED_OUT: TraceState.NO_RESULT}
    assert job.state == ended[pure.stage]
    assert (job.stands >= 0) == (pure.stands is not None)
    assert bench.account(DSO)[1] == job.escrow_nano == 0


# Every path


@pytest.mark.parametrize(
    "script",
    [
        {ONE: "R", TWO: "R"},
        {ONE: "RR", TWO: "WR"},
        {ONE: "VR", TWO: "WR"},
        {ONE: "RR", TWO: "WW", THREE: "R"},
        {ONE: "WW", TWO: "RR", THREE: "R"},
        {ONE: "RR", TWO: "WV", THREE: "R"},
        {ONE: "VR", TWO: "WW", THREE: "R"},
        {ONE: "RR", TWO: "WW", THREE: "V", CENTRE: "R"},
        {ONE: "VV", TWO: "WW", THREE: "R", CENTRE: "R"},
        {ONE: "UU", TWO: "VV", THREE: "W", CENTRE: "R"},
        {ONE: "UU", TWO: "VV", THREE: "W", CENTRE: "-"},
        {ONE: "-", TWO: "R", THREE: "R"},
        {ONE: "R", TWO: "-", CENTRE: "R"},
        {ONE: "W", TWO: "-", CENTRE: "R"},
        {ONE: "R-", TWO: "WW", THREE: "R"},
        {ONE: "RR", TWO: "WW", THREE: "-", FOUR: "R"},
        {ONE: "RR", TWO: "WW", THREE: "-", CENTRE: "R"},
        {ONE: "RR", TWO: "WW", CENTRE: "R"},
        {ONE: "R", CENTRE: "R"},
        {ONE: "-", TWO: "-", THREE: "-", CENTRE: "-"},
    ],
    ids=lambda script: " ".join(script.values()),
)
def test_double_check(bench: TraceBench, script: dict[str, str]) -> None:
    assert_as_the_machine(bench, script)


@pytest.mark.parametrize(
    "script",
    [
        {ONE: "R"},
        {ONE: "W", TWO: "R"},
        {ONE: "-", TWO: "R"},
        {ONE: "W", TWO: "W", THREE: "V", CENTRE: "R"},
        {ONE: "W", TWO: "-", THREE: "W", CENTRE: "R"},
    ],
    ids=lambda script: " ".join(script.values()),
)
def test_residual_check(bench: TraceBench, script: dict[str, str]) -> None:
    assert_as_the_machine(bench, script, TraceMode.RESIDUAL)


@pytest.mark.parametrize("close", [("RM", "WM"), ("UM", "VM"), ("UM", "VM", "MR")])
def test_a_third_between_the_two(bench: TraceBench, close: tuple[str, ...]) -> None:
    one, other = (pair[0] for pair in close[:2])
    script = {ONE: one * 2, TWO: other * 2, THREE: "M", CENTRE: "R"}
    assert_as_the_machine(bench, script, close=close)


def test_the_third_is_paid_by_who_was_wrong(bench: TraceBench) -> None:
    """By hand: I twice right; II wrong, pays III; a prepaid account goes below zero for it."""
    bench.play({ONE: "RR", TWO: "WW", THREE: "R"})
    assert bench.account(DSO) == (UNIT - 2 * FEE, 0)
    assert [bench.account(name) for name in PROVIDERS[:3]] == [(200, 0), (-100, 0), (100, 0)]
    assert bench.standing(TWO) == (1, 0)


def test_three_wrong_ones_pay_the_data_centre(bench: TraceBench) -> None:
    bench.play({ONE: "UU", TWO: "VV", THREE: "W", CENTRE: "R"})
    assert bench.gained() == {DSO: COST, ONE: -167, TWO: -167, THREE: -167}


# States


def test_a_job_walks_its_states(bench: TraceBench) -> None:
    number = bench.requested()
    job = bench.job(number)
    assert (job.state, job.need) == (TraceState.REQUESTED, TraceNeed.PACKAGES)
    assert (job.escrow_nano, bench.account(DSO)) == (HELD, (UNIT - HELD, HELD))

    bench.accept(bench.package("north", number))
    bench.barrier()
    assert bench.job(number).state is TraceState.REQUESTED
    bench.accept(bench.package("south", number))
    assert bench.job(number).state is TraceState.REQUESTED
    bench.barrier()
    job = bench.job(number)
    assert (job.state, job.need) == (TraceState.FIRST, TraceNeed.RESULTS)
    assert job.packaged_phase == bench.application.phase
    assert job.runs == [TraceRun(ONE, b"", b"", 0), TraceRun(TWO, b"", b"", 0)]

    bench.accept(bench.answer(ONE, number))
    bench.barrier()
    assert bench.job(number).need is TraceNeed.RESULTS
    bench.accept(bench.answer(TWO, number, "W"))
    bench.barrier()
    job = bench.job(number)
    assert (job.state, job.need) == (TraceState.FIRST, TraceNeed.JUDGEMENT)
    bench.accept(bench.judgement(number, {(0, 1): True}))
    assert bench.job(number).need is TraceNeed.JUDGEMENT
    bench.barrier()
    job = bench.job(number)
    assert (job.state, job.need, job.stands) == (TraceState.ACCEPTED, TraceNeed.RATES, 0)
    assert bench.gained() == {DSO: -200, ONE: 100, TWO: 100}

    bench.accept(bench.rates(number))
    bench.barrier()
    job = bench.job(number)
    assert (job.state, job.need) == (TraceState.DONE, TraceNeed.NOTHING)
    assert (job.rates, len(job.shares)) == (RATES, len(STATIONS))
    assert job.ended_phase == bench.application.phase
    assert "tracing" not in bench.groups()


def test_each_later_stage_has_as_long_as_the_first_results(bench: TraceBench) -> None:
    terms = bench.terms(packages_in=10, results_in=14)
    number = bench.packaged(terms)
    assert bench.job(number).due_s == terms.results_by_s
    bench.pass_time(11)
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number, "W"))
    bench.barrier()
    assert bench.job(number).need is TraceNeed.JUDGEMENT
    assert terms.results_by_s < bench.job(number).due_s == bench.closed_s + 4 * LENGTH_S


def test_a_deadline_passes_when_a_later_gate_has_closed(bench: TraceBench) -> None:
    """At the gate of the slot itself there is still time, and what is there by then counts."""
    number = bench.requested(bench.terms(packages_in=3, results_in=4))
    bench.pass_time(3)
    job = bench.job(number)
    assert job.due_s == bench.closed_s
    assert job.state is TraceState.REQUESTED
    bench.accept(*(bench.package(station, number) for station in STATIONS))
    bench.pass_time(5)
    job = bench.job(number)
    assert job.state is TraceState.FIRST


# Ends that nobody wanted


def test_no_packages_in_time(bench: TraceBench) -> None:
    number = bench.requested()
    bench.accept(bench.package("north", number))
    bench.pass_time(12)
    assert bench.job(number).state is TraceState.NO_PACKAGES
    assert bench.account(DSO) == (UNIT, 0)
    bench.refuse(bench.package("south", number), Verdict.UNKNOWN_TRACE_JOB)


def test_who_does_not_judge_pays_everybody_who_answered(bench: TraceBench) -> None:
    """I has two results, II was struck for contradicting itself; III is not judged."""
    number = bench.packaged()
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number))
    bench.barrier()
    bench.accept(bench.judgement(number, {(0, 1): False}))
    bench.barrier()
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number))
    bench.barrier()
    bench.accept(bench.judgement(number, {(0, 2): True, (1, 3): False, (2, 3): False}))
    bench.barrier()
    bench.accept(bench.answer(THREE, number))
    bench.barrier()
    assert bench.job(number).state is TraceState.THIRD
    bench.pass_time(40)
    assert bench.job(number).state is TraceState.NOT_JUDGED
    assert bench.gained() == {DSO: -300, ONE: 200, THREE: 100}
    assert bench.account(DSO)[1] == 0
    assert bench.standing(TWO) == (1, 0)


def test_rates_that_do_not_come_change_no_money(bench: TraceBench) -> None:
    bench.play({ONE: "R", TWO: "R"})
    number = bench.party(DSO).nonce - 1
    bench.pass_time(60)
    assert bench.job(number).state is TraceState.NOT_PUBLISHED
    assert bench.gained() == {DSO: -200, ONE: 100, TWO: 100}


def test_who_has_left_the_role_counts_as_silent(bench: TraceBench) -> None:
    number = bench.packaged()
    bench.accept(bench.grant(ONE, Role.CLOUD_PROVIDER, granted=0), bench.answer(TWO, number))
    bench.barrier()
    bench.refuse(bench.answer(ONE, number), Verdict.ROLE_MISSING)
    bench.pass_time(30)
    job = bench.job(number)
    assert [run.absent for run in job.runs] == [1, 0, 0]
    assert job.runs[2].provider == THREE


# Strikes


def test_two_strikes_and_three_cycles_out(bench: TraceBench) -> None:
    bench.play({ONE: "RR", TWO: "WV", THREE: "R"})
    cycle = bench.closed_s // DAY_S
    assert bench.standing(TWO) == (0, cycle + 4)
    bench.refuse(bench.request(), Verdict.PROVIDER_BLACKLISTED)
    bench.accept(bench.request(bench.terms([ONE, THREE])))
    first_back_s = (cycle + 4) * DAY_S
    bench.pass_time((first_back_s - bench.time_s) // LENGTH_S)
    bench.refuse(bench.request(), Verdict.PROVIDER_BLACKLISTED)
    bench.pass_time(2)
    bench.accept(bench.request())


def test_strikes_count_from_job_to_job(bench: TraceBench) -> None:
    bench.play({ONE: "RR", TWO: "WW", THREE: "R"})
    assert bench.standing(TWO) == (1, 0)
    bench.play({ONE: "RR", TWO: "WW", THREE: "R"})
    strikes, back = bench.standing(TWO)
    assert strikes == 0 < back


def test_who_is_blacklisted_meanwhile_is_passed_over(bench: TraceBench) -> None:
    """Named before its second strike: when its turn comes the next one is hired at once."""
    number = bench.requested(bench.terms([ONE, TWO, THREE, FOUR]))
    bench.play({TWO: "WV", FOUR: "RR", FIVE: "R"}, bench.terms([TWO, FOUR, FIVE]))
    bench.accept(*(bench.package(station, number) for station in STATIONS))
    bench.barrier()
    job = bench.job(number)
    assert [(run.provider, run.absent) for run in job.runs] == [(ONE, 0), (TWO, 1)]
    bench.accept(bench.answer(ONE, number))
    bench.barrier()
    assert bench.job(number).runs[2].provider == THREE


# Refusals


def named(**changed: object) -> Callable[[TraceBench], TraceTerms]:
    return lambda bench: msgspec.structs.replace(bench.terms(), **changed)


@pytest.mark.parametrize(
    ("terms", "verdict"),
    [
        (named(providers=[ONE, "nobody"]), Verdict.UNKNOWN_PARTY),
        (named(providers=[ONE, OPERATOR]), Verdict.UNKNOWN_PARTY),
        (named(substations=["north", "nowhere"]), Verdict.UNKNOWN_PARTY),
        (named(first_start_s=SLOT + 1), Verdict.RANGE_WRONG),
        (named(slots=4097), Verdict.RANGE_WRONG),
        (named(providers=[ONE, ONE]), Verdict.TRACE_TERMS_WRONG),
        (named(providers=[ONE, DSO]), Verdict.TRACE_TERMS_WRONG),
        (named(substations=["north", "north"]), Verdict.TRACE_TERMS_WRONG),
        (named(packages_by_s=SLOT - LENGTH_S), Verdict.TRACE_TERMS_WRONG),
        (named(packages_by_s=SLOT + 10 * LENGTH_S + 1), Verdict.TRACE_TERMS_WRONG),
        (named(results_by_s=SLOT + 9 * LENGTH_S), Verdict.TRACE_TERMS_WRONG),
        (named(results_by_s=SLOT + 20 * LENGTH_S + 1), Verdict.TRACE_TERMS_WRONG),
        (named(substations=["north", AUDITOR]), Verdict.TRACE_ROLE_MISSING),
        (named(providers=[ONE, "poor"]), Verdict.TRACE_ROLE_MISSING),
    ],
)
def test_requests_that_are_refused(
    bench: TraceBench, terms: Callable[[TraceBench], TraceTerms], verdict: Verdict
) -> None:
    bench.accept(bench.register("poor"))
    bench.barrier()
    bench.refuse(bench.request(terms(bench)), verdict)


def test_the_worst_case_must_be_there(bench: TraceBench) -> None:
    bench.accept(bench.register("poor"), bench.deposit("poor", HELD - 1))
    bench.accept(bench.grant("poor", Role.GRID_COMPANY))
    bench.barrier()
    bench.refuse(bench.request(sender="poor"), Verdict.INSUFFICIENT_FUNDS)
    bench.accept(bench.deposit("poor", 1))
    bench.barrier()
    bench.accept(bench.request(sender="poor"))
    assert bench.account("poor") == (0, HELD)


def test_a_market_that_is_not_there(bench: TraceBench) -> None:
    body = RequestTrace("nowhere", bench.terms())
    bench.refuse(bench.write(DSO, Kind.TRACE_REQUEST, body), Verdict.UNKNOWN_MARKET)


def test_a_job_is_seen_from_the_next_barrier_on(bench: TraceBench) -> None:
    bench.accept(bench.request())
    number = bench.party(DSO).nonce
    bench.refuse(bench.package("north", number), Verdict.UNKNOWN_TRACE_JOB)
    bench.barrier()
    bench.accept(bench.package("north", number))
    bench.refuse(bench.package("north", number), Verdict.ALREADY_SENT)


def test_packages_that_are_refused(bench: TraceBench) -> None:
    number = bench.requested(bench.terms())
    other = bench.requested(msgspec.structs.replace(bench.terms(), substations=["north"]))
    bench.refuse(bench.package("north", 99), Verdict.UNKNOWN_TRACE_JOB)
    bench.refuse(bench.package("north", number, grid_company=ONE), Verdict.UNKNOWN_TRACE_JOB)
    bench.refuse(bench.package("south", other), Verdict.NOT_ASKED)
    bench.accept(*(bench.package(station, number) for station in STATIONS))
    bench.barrier()
    bench.refuse(bench.package("north", number), Verdict.TRACE_STATE_WRONG)


def test_results_that_are_refused(bench: TraceBench) -> None:
    number = bench.requested()
    bench.refuse(bench.answer(ONE, 99), Verdict.UNKNOWN_TRACE_JOB)
    bench.refuse(bench.answer(ONE, number), Verdict.TRACE_STATE_WRONG)
    bench.accept(*(bench.package(station, number) for station in STATIONS))
    bench.barrier()
    bench.refuse(bench.answer(THREE, number), Verdict.NOT_ASKED)
    bench.refuse(bench.answer(CENTRE, number), Verdict.NOT_ASKED)
    bench.accept(bench.answer(ONE, number))
    bench.refuse(bench.answer(ONE, number, "W"), Verdict.ALREADY_SENT)
    bench.accept(bench.answer(TWO, number))
    bench.barrier()
    bench.refuse(bench.answer(TWO, number), Verdict.TRACE_STATE_WRONG)


def test_nobody_answers_for_the_data_centre_but_its_owner(bench: TraceBench) -> None:
    bench.accept(bench.grant(ONE, Role.GRID_COMPANY))
    number = bench.packaged(bench.terms([ONE]))
    assert bench.job(number).state is TraceState.CENTRE
    bench.refuse(bench.answer(ONE, number), Verdict.NOT_ASKED)
    bench.accept(bench.answer(CENTRE, number))
    bench.barrier()
    assert bench.job(number).state is TraceState.ACCEPTED


def test_judgements_that_are_refused(bench: TraceBench) -> None:
    number = bench.packaged()
    bench.refuse(bench.judgement(99), Verdict.UNKNOWN_TRACE_JOB)
    bench.refuse(bench.judgement(number, {(0, 1): True}), Verdict.TRACE_STATE_WRONG)
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number))
    bench.refuse(bench.judgement(number, {(0, 1): True}), Verdict.TRACE_STATE_WRONG)
    bench.barrier()
    bench.refuse(bench.judgement(number, {(1, 0): True}), Verdict.JUDGEMENT_WRONG)
    bench.refuse(bench.judgement(number, {(0, 2): True}), Verdict.JUDGEMENT_WRONG)
    bench.refuse(bench.judgement(number, {(0, 1): True}, {2: True}), Verdict.JUDGEMENT_WRONG)
    bench.refuse(bench.judgement(number), Verdict.JUDGEMENT_SHORT)
    bench.refuse(bench.judgement(number, {}, {0: True, 1: True}), Verdict.JUDGEMENT_SHORT)
    bench.accept(bench.judgement(number, {(0, 1): False}))
    bench.refuse(bench.judgement(number, {(0, 1): True}), Verdict.ALREADY_SENT)
    bench.barrier()
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number))
    bench.barrier()
    again = {(0, 2): True, (1, 3): True, (2, 3): True, (0, 1): True}
    bench.refuse(bench.judgement(number, again), Verdict.JUDGEMENT_WRONG)


def test_rates_that_are_refused(bench: TraceBench) -> None:
    bench.refuse(bench.rates(99), Verdict.UNKNOWN_TRACE_JOB)
    number = bench.packaged()
    bench.refuse(bench.rates(number), Verdict.TRACE_STATE_WRONG)
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number))
    bench.barrier()
    bench.accept(bench.judgement(number, {(0, 1): True}))
    bench.barrier()
    bench.refuse(bench.rates(number, shares=1), Verdict.SHARES_WRONG)
    bench.accept(bench.rates(number))
    bench.refuse(bench.rates(number), Verdict.ALREADY_SENT)


# Accounts


def test_no_account_closes_under_an_open_job(bench: TraceBench) -> None:
    """Neither the grid company's nor that of a provider who may yet be paid or charged."""
    number = bench.requested()
    for member in (DSO, THREE):
        bench.accept(bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, CloseAccount(member, 0)))
    bench.barrier()
    closing = [bench.events[f"claim/{OPERATOR}/{bench.party(OPERATOR).nonce - i}"] for i in (2, 1)]
    assert closing == [Verdict.ACCOUNT_IN_USE] * 2
    bench.pass_time(12)
    assert bench.job(number).state is TraceState.NO_PACKAGES
    bench.accept(bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, CloseAccount(THREE, 0)))
    bench.barrier()
    assert bench.party(THREE).roles == 0


def test_an_account_that_is_full_stops_no_phase(bench: TraceBench) -> None:
    """The job waits at the barrier, whole, until its money has room."""
    number = bench.packaged(bench.terms(fee_nano=2**50))
    bench.accept(bench.answer(ONE, number), bench.answer(TWO, number))
    bench.accept(bench.deposit(ONE, 2**62), bench.deposit(ONE, 2**62 - 1 - UNIT))
    bench.barrier()
    bench.accept(bench.judgement(number, {(0, 1): True}))
    bench.barrier()
    assert bench.job(number).need is TraceNeed.JUDGEMENT
    assert bench.account(TWO) == (0, 0)
    bench.accept(bench.withdraw(ONE, 2**62))
    bench.barrier()
    bench.barrier()
    assert bench.job(number).state is TraceState.ACCEPTED
    assert bench.account(TWO) == (2**50, 0)


def test_a_job_may_be_free(bench: TraceBench) -> None:
    bench.accept(bench.register("free"), bench.grant("free", Role.GRID_COMPANY))
    bench.barrier()
    terms = bench.terms(fee_nano=0, centre_cost_nano=0)
    bench.accept(bench.request(terms, sender="free"))
    bench.pass_time(12)
    assert bench.account("free") == (0, 0)


def test_two_jobs_of_two_companies_do_not_mix(bench: TraceBench) -> None:
    bench.accept(bench.register("other", AccountMode.POSTPAID))
    bench.accept(bench.grant("other", Role.GRID_COMPANY))
    bench.barrier()
    bench.accept(bench.request(), bench.request(sender="other"))
    mine, theirs = bench.party(DSO).nonce, bench.party("other").nonce
    bench.barrier()
    bench.accept(*(bench.package(station, theirs, "other") for station in STATIONS))
    bench.barrier()
    body = SendResult("other", theirs, sha256(b"task"), sha256(b"R"))
    bench.accept(bench.write(ONE, Kind.TRACE_RESULT, body))
    assert bench.job(mine).state is TraceState.REQUESTED
    assert bench.job(theirs, "other").runs[0].result == sha256(b"R")
    assert bench.entry(f"tracing/{DSO}/{mine}") is not None
    assert bench.job(mine).market == MARKET
