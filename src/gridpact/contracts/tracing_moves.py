"""Where traces that are handed out go on: at barriers, by market time.

Transactions only note something in a place of their sender's own: a package, a result, a
judgement. What follows from it is decided here, so it does not matter who was first in a phase.

`settlement.arbitration` decides; what stands on the ledger is what it was told. At each barrier it
is told again from the start, in the order of hiring, and only what it says beyond the last time is
carried out. Nothing that is noted ever changes, so it says the same until there.

Source: [SUN23], section 4.3. Ours: the deadlines; whoever is on the blacklist by the time of its
turn counts as absent; a grid company that does not judge pays everybody who answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec.structs import replace

from gridpact.contracts.call import Rules
from gridpact.contracts.keys import CLOCK, ended_job_key, provider_key
from gridpact.ledger import AmountOverflowError, Draft, Leg, account_key
from gridpact.model import Clock
from gridpact.model.trace_jobs import (
    ProviderStanding,
    TraceJob,
    TraceMode,
    TraceNeed,
    TracePayment,
    TraceRun,
    TraceState,
    TraceTerms,
)
from gridpact.settlement.arbitration import (
    CENTRE,
    GRID,
    Answered,
    Effect,
    Hire,
    Job,
    Mode,
    NotAnswered,
    Pay,
    Stage,
    Strike,
    exposure,
    start,
    step,
)
from gridpact.settlement.standings import Standings
from gridpact.units import INT64_MAX

CYCLE_S = 86_400
"""A cycle of the blacklist is a day of market time, in UTC."""
_MODES = {TraceMode.DOUBLE: Mode.DOUBLE, TraceMode.RESIDUAL: Mode.RESIDUAL}
_STATES = {
    Stage.FIRST: TraceState.FIRST,
    Stage.AGAIN: TraceState.AGAIN,
    Stage.THIRD: TraceState.THIRD,
    Stage.CENTRE: TraceState.CENTRE,
    Stage.ACCEPTED: TraceState.ACCEPTED,
    Stage.TIMED_OUT: TraceState.NO_RESULT,
}


class Now(NamedTuple):
    """What a barrier knows."""

    closed_s: int
    """Market time: start of the latest slot of the job's market whose gate has closed."""
    phase: int
    """Number of the barrier."""
    standings: Standings
    """Of the job's providers."""
    cycle: int


class Replayed(NamedTuple):
    """How far the arbitration comes with what is noted."""

    job: Job[int]
    effects: tuple[Effect, ...]
    judged: bool
    """False when it wants to know something that nobody has said."""


def escrow_nano(terms: TraceTerms) -> int:
    """Most that a job can cost the grid company."""
    return exposure(_MODES[terms.mode], terms.fee_nano, terms.centre_cost_nano)


def cycle_of(clock: Clock) -> int:
    """The cycle that strikes and the blacklist are counted in: the latest of all markets."""
    return max(clock.closed_s) // CYCLE_S


def standings_of(draft: Draft, providers: Sequence[str]) -> Standings:
    """What the ledger holds against some providers."""
    found = {
        name: held
        for name in providers
        if (held := draft.get(provider_key(name), ProviderStanding)) is not None
    }
    return Standings(
        {name: held.strikes for name, held in found.items() if held.strikes},
        {name: held.back_in_cycle for name, held in found.items() if held.back_in_cycle},
    )


def move_jobs(draft: Draft, rules: Rules) -> None:
    """Let every open job go as far as it can, in the order of their ids.

    A job whose money would leave 64 bits stays where it is until the next barrier: no account can
    stop a phase.
    """
    clock = draft.require(CLOCK, Clock)
    cycle = cycle_of(clock)
    for key in draft.group("tracing"):
        job = draft.require(key, TraceJob)
        standings = standings_of(draft, job.terms.providers)
        closed_s = clock.closed_s[rules.places[job.market]]
        moved = advance(job, Now(closed_s, draft.phase, standings, cycle))
        if moved == job:
            continue
        _, grid_company, nonce = key.split("/")
        try:
            draft.post(*_legs(grid_company, job, moved))
        except AmountOverflowError:
            continue
        for name in moved.strikes[len(job.strikes) :]:
            standings = standings.struck(name, cycle)
            held = ProviderStanding(
                standings.strikes.get(name, 0), standings.back_in_cycle.get(name, 0)
            )
            draft.put(provider_key(name), held)
        if moved.need is TraceNeed.NOTHING:
            draft.delete(key)
            draft.put(ended_job_key(grid_company, int(nonce)), moved)
        else:
            draft.put(key, moved)


def advance(job: TraceJob, now: Now) -> TraceJob:
    """The job after a barrier. Pure: money and strikes are what its lists have grown by."""
    late = now.closed_s > job.due_s
    match job.need:
        case TraceNeed.PACKAGES if all(job.packages):
            return _arbitrated(replace(job, packaged_phase=now.phase), now)
        case TraceNeed.PACKAGES if late:
            return _ended(job, TraceState.NO_PACKAGES, now)
        case TraceNeed.RESULTS if late or not any(map(_is_open, job.runs)):
            gone = [replace(run, absent=1) if _is_open(run) else run for run in job.runs]
            return _arbitrated(replace(job, runs=gone), now)
        case TraceNeed.JUDGEMENT if replayed(job).judged:
            return _arbitrated(job, now)
        case TraceNeed.JUDGEMENT if late:
            return _ended(_paid_unjudged(job), TraceState.NOT_JUDGED, now)
        case TraceNeed.RATES if job.rates:
            return _ended(job, TraceState.DONE, now)
        case TraceNeed.RATES if late:
            return _ended(job, TraceState.NOT_PUBLISHED, now)
    return job


def replayed(job: TraceJob) -> Replayed:
    """What the arbitration says of all runs that are over."""
    terms, judge = job.terms, _Anchored(job)
    machine: Job[int]
    machine, effects = start(
        _MODES[terms.mode], terms.providers, terms.fee_nano, terms.centre_cost_nano
    )
    for place, run in enumerate(job.runs):
        if _is_open(run):
            break
        name = run.provider
        event = NotAnswered(name) if run.absent else Answered(name, place)
        try:
            machine, more = step(machine, event, judge)
        except _UnjudgedError:
            return Replayed(machine, effects, judged=False)
        effects += more
    return Replayed(machine, effects, judged=True)


class _UnjudgedError(Exception):
    """The arbitration wants to know what no judgement says."""


class _Anchored:
    """Answers from the judgements that the grid company has sent."""

    def __init__(self, job: TraceJob) -> None:
        self._same = {(each.one, each.other): bool(each.same) for each in job.same}
        self._right = {each.run: bool(each.right) for each in job.right}

    def same(self, one: int, other: int) -> bool:
        if one == other:
            return True
        return self._said(self._same.get((min(one, other), max(one, other))))

    def right(self, answer: int) -> bool:
        return self._said(self._right.get(answer))

    def _said(self, found: bool | None) -> bool:
        if found is None:
            raise _UnjudgedError
        return found


def _arbitrated(job: TraceJob, now: Now) -> TraceJob:
    """Carry out what the arbitration says now: hires, payments, strikes, or the end."""
    while True:
        said = replayed(job)
        job = _carried_out(job, said.effects[job.steps :], now)
        if not said.judged:
            return replace(job, need=TraceNeed.JUDGEMENT, due_s=_later(job, now))
        state = _STATES[said.job.stage]
        job = replace(job, state=state)
        if state is TraceState.NO_RESULT:
            return _ended(job, state, now)
        if state is TraceState.ACCEPTED:
            stands = -1 if said.job.stands is None else said.job.stands
            accepted = replace(job, need=TraceNeed.RATES, due_s=_later(job, now), stands=stands)
            return replace(accepted, escrow_nano=0)
        if any(map(_is_open, job.runs)):
            return replace(job, need=TraceNeed.RESULTS, due_s=_later(job, now))


def _carried_out(job: TraceJob, effects: Sequence[Effect], now: Now) -> TraceJob:
    runs, payments, strikes = list(job.runs), list(job.payments), list(job.strikes)
    for effect in effects:
        match effect:
            case Hire(name):
                gone = not now.standings.may_hire(name, now.cycle)
                runs.append(TraceRun(name, b"", b"", int(gone)))
            case Pay(payer, payee, amount):
                payments.append(TracePayment(payer, payee, amount))
            case Strike(name):
                strikes.append(name)
    done = job.steps + len(effects)
    return replace(job, runs=runs, payments=payments, strikes=strikes, steps=done)


def _paid_unjudged(job: TraceJob) -> TraceJob:
    """One fee for each result of a provider that has not been struck."""
    fee = job.terms.fee_nano
    owed = [
        TracePayment(GRID, run.provider, fee)
        for run in job.runs
        if run.result and run.provider not in (CENTRE, *job.strikes) and fee
    ]
    return replace(job, payments=[*job.payments, *owed])


def _ended(job: TraceJob, state: TraceState, now: Now) -> TraceJob:
    need = TraceNeed.NOTHING
    return replace(job, state=state, need=need, ended_phase=now.phase, escrow_nano=0)


def _later(job: TraceJob, now: Now) -> int:
    """Until when the next step has time: as long as the first results had, and not less."""
    length_s = job.terms.results_by_s - job.terms.packages_by_s
    return min(max(job.terms.results_by_s, now.closed_s + length_s), INT64_MAX)


def _is_open(run: TraceRun) -> bool:
    return not run.result and not run.absent


def _legs(grid_company: str, before: TraceJob, after: TraceJob) -> list[Leg]:
    """The money of one move: what was paid, and what is no longer held.

    The grid company pays from what is held; a provider from its account, which may go below zero.
    The data centre is the grid company's own, so what it is paid goes to the same account.
    """
    own = account_key(grid_company)
    legs, freed = [], before.escrow_nano - after.escrow_nano
    for paid in after.payments[len(before.payments) :]:
        amount = paid.amount_nano
        if paid.payer == GRID:
            freed -= amount
            legs.append(Leg(own, 0, -amount))
        else:
            legs.append(Leg(account_key(paid.payer), -amount, 0))
        legs.append(Leg(own if paid.payee == CENTRE else account_key(paid.payee), amount, 0))
    if freed:
        legs.append(Leg(own, freed, -freed))
    return legs
