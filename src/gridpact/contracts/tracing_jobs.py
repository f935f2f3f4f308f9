"""Traces that are handed out: who asks, packages, answers, judges and publishes.

Everything is noted at once in a place that only its sender writes, and decided at the next barrier
(`tracing_moves`). A job can be answered from the barrier after its request on.

The grid company is trusted with its judgements: replicas cannot solve or compare what they only
have hashes of. They hold it to what it has said once.

Source: [SUN23], sections 3.1 and 4.3.
"""

from __future__ import annotations

from itertools import chain

from msgspec.structs import replace

from gridpact.contracts.bodies import (
    JudgeResults,
    PublishRates,
    RequestTrace,
    SendPackage,
    SendResult,
)
from gridpact.contracts.call import Call, slots_of_range
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import CLOCK, open_job_key, party_key
from gridpact.contracts.tracing_moves import cycle_of, escrow_nano, replayed, standings_of
from gridpact.ledger import Account, Draft, Leg, account_key
from gridpact.model import Clock, Party, Role, Verdict
from gridpact.model.trace_jobs import (
    TraceJob,
    TraceNeed,
    TraceRun,
    TraceState,
    TraceTerms,
)
from gridpact.settlement.arbitration import CENTRE, GRID


def request_trace(call: Call, body: RequestTrace, _: None) -> Verdict:
    """Opens a job and holds the most that it can cost the sender.

    Refusals: UNKNOWN_MARKET, UNKNOWN_PARTY, RANGE_WRONG, INSUFFICIENT_FUNDS, TRACE_TERMS_WRONG,
    TRACE_ROLE_MISSING, PROVIDER_BLACKLISTED.
    """
    draft, terms = call.draft, body.terms
    market = call.rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    account = draft.get(account_key(call.sender), Account)
    if account is None or not _are_known(draft, terms):
        return Verdict.UNKNOWN_PARTY
    if slots_of_range(call.rules, market, terms.first_start_s, terms.slots) is None:
        return Verdict.RANGE_WRONG
    held = escrow_nano(terms)
    if not account.can_hold(held):
        return Verdict.INSUFFICIENT_FUNDS
    clock = draft.require(CLOCK, Clock)
    closed_s = clock.closed_s[call.rules.places[body.market]]
    if not _are_sound(terms, market, call.sender, closed_s):
        return Verdict.TRACE_TERMS_WRONG
    if not _have_roles(draft, terms):
        return Verdict.TRACE_ROLE_MISSING
    standings, cycle = standings_of(draft, terms.providers), cycle_of(clock)
    if not all(standings.may_hire(name, cycle) for name in terms.providers):
        return Verdict.PROVIDER_BLACKLISTED
    if held:
        draft.post(Leg(account_key(call.sender), -held, held))
    draft.put(
        open_job_key(call.sender, call.envelope.nonce),
        TraceJob(
            market=body.market,
            terms=terms,
            requested_phase=draft.phase,
            packaged_phase=0,
            ended_phase=0,
            state=TraceState.REQUESTED,
            need=TraceNeed.PACKAGES,
            due_s=terms.packages_by_s,
            escrow_nano=held,
            packages=[b""] * len(terms.substations),
            runs=[],
            same=[],
            right=[],
            steps=0,
            payments=[],
            strikes=[],
            stands=-1,
            rates=b"",
            shares=[],
        ),
    )
    return Verdict.ACCEPTED


def send_package(call: Call, body: SendPackage, _: None) -> Verdict:
    """Notes a substation's package.

    Refusals: UNKNOWN_TRACE_JOB, TRACE_STATE_WRONG, NOT_ASKED, ALREADY_SENT.
    """
    job = _open_job(call.draft, body.grid_company, body.job)
    if job is None:
        return Verdict.UNKNOWN_TRACE_JOB
    if job.need is not TraceNeed.PACKAGES:
        return Verdict.TRACE_STATE_WRONG
    if call.sender not in job.terms.substations:
        return Verdict.NOT_ASKED
    place = job.terms.substations.index(call.sender)
    if job.packages[place]:
        return Verdict.ALREADY_SENT
    packages = [*job.packages[:place], body.package, *job.packages[place + 1 :]]
    key = open_job_key(body.grid_company, body.job)
    call.draft.put(key, replace(job, packages=packages))
    return Verdict.ACCEPTED


def send_result(call: Call, body: SendResult, _: None) -> Verdict:
    """Notes the result of whoever is hired; the grid company answers for its data centre.

    Refusals: UNKNOWN_TRACE_JOB, TRACE_STATE_WRONG, NOT_ASKED, ALREADY_SENT.
    """
    job = _open_job(call.draft, body.grid_company, body.job)
    if job is None:
        return Verdict.UNKNOWN_TRACE_JOB
    if job.need is not TraceNeed.RESULTS:
        return Verdict.TRACE_STATE_WRONG
    name = CENTRE if call.sender == body.grid_company else call.sender
    # Of several runs of one provider only the last can be of this stage.
    place = max((i for i, run in enumerate(job.runs) if run.provider == name), default=-1)
    if place < 0 or job.runs[place].absent:
        return Verdict.NOT_ASKED
    if job.runs[place].result:
        return Verdict.ALREADY_SENT
    run = TraceRun(name, body.task, body.result, 0)
    runs = [*job.runs[:place], run, *job.runs[place + 1 :]]
    call.draft.put(open_job_key(body.grid_company, body.job), replace(job, runs=runs))
    return Verdict.ACCEPTED


def judge_results(call: Call, body: JudgeResults, _: None) -> Verdict:
    """Notes what the sender's checks found, once for each run or pair.

    Refusals: UNKNOWN_TRACE_JOB, TRACE_STATE_WRONG, ALREADY_SENT, JUDGEMENT_WRONG, JUDGEMENT_SHORT.
    """
    job = _open_job(call.draft, call.sender, body.job)
    if job is None:
        return Verdict.UNKNOWN_TRACE_JOB
    if job.need is not TraceNeed.JUDGEMENT:
        return Verdict.TRACE_STATE_WRONG
    if replayed(job).judged:
        return Verdict.ALREADY_SENT
    same, right = [*job.same, *body.same], [*job.right, *body.right]
    named = {*chain.from_iterable((each.one, each.other) for each in same)}
    named |= {each.run for each in right}
    answered = {place for place, run in enumerate(job.runs) if run.result}
    if (
        not named <= answered
        or any(each.one >= each.other for each in same)
        or len({(each.one, each.other) for each in same}) < len(same)
        or len({each.run for each in right}) < len(right)
    ):
        return Verdict.JUDGEMENT_WRONG
    judged = replace(job, same=same, right=right)
    if not replayed(judged).judged:
        return Verdict.JUDGEMENT_SHORT
    call.draft.put(open_job_key(call.sender, body.job), judged)
    return Verdict.ACCEPTED


def publish_rates(call: Call, body: PublishRates, _: None) -> Verdict:
    """Notes the hashes of what came of a job, one share for each substation.

    Refusals: UNKNOWN_TRACE_JOB, TRACE_STATE_WRONG, ALREADY_SENT, SHARES_WRONG.
    """
    job = _open_job(call.draft, call.sender, body.job)
    if job is None:
        return Verdict.UNKNOWN_TRACE_JOB
    if job.need is not TraceNeed.RATES:
        return Verdict.TRACE_STATE_WRONG
    if job.rates:
        return Verdict.ALREADY_SENT
    if len(body.shares) != len(job.terms.substations):
        return Verdict.SHARES_WRONG
    published = replace(job, rates=body.rates, shares=body.shares)
    call.draft.put(open_job_key(call.sender, body.job), published)
    return Verdict.ACCEPTED


def _open_job(draft: Draft, grid_company: str, nonce: int) -> TraceJob | None:
    """A job that others have been able to see since the last barrier."""
    job = draft.get(open_job_key(grid_company, nonce), TraceJob)
    return job if job is not None and job.requested_phase < draft.phase else None


def _are_known(draft: Draft, terms: TraceTerms) -> bool:
    """Whether substations are parties, and providers participants, who have accounts."""
    return all(draft.entry(party_key(name)) is not None for name in terms.substations) and all(
        draft.entry(account_key(name)) is not None for name in terms.providers
    )


def _are_sound(terms: TraceTerms, market: Market, grid_company: str, closed_s: int) -> bool:
    """Whether names and deadlines make sense together."""
    names = {GRID, CENTRE, grid_company, *terms.providers}
    return (
        len(names) == 3 + len(terms.providers)
        and len(set(terms.substations)) == len(terms.substations)
        and closed_s < terms.packages_by_s < terms.results_by_s
        and terms.packages_by_s % market.slot_length_s == 0
        and terms.results_by_s % market.slot_length_s == 0
    )


def _have_roles(draft: Draft, terms: TraceTerms) -> bool:
    return all(
        role & draft.require(party_key(name), Party).roles
        for names, role in (
            (terms.substations, Role.SUBSTATION),
            (terms.providers, Role.CLOUD_PROVIDER),
        )
        for name in names
    )
