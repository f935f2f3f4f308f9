"""Traces that are handed out keep money, strikes and order, whatever anybody does.

Method: two grid companies, two substations and four providers do sensible, senseless and forbidden
things at random; the bench draws the auditor's sums after every block. The same transactions are
then merged in other orders inside each phase, cut into other blocks, and must come to the same
state. In scripted jobs what the chain pays is held against the pure machine. Broken twins show that
the properties would notice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.contracts.test_tracing_jobs import assert_as_the_machine

from gridpact.codec import decode, sha256
from gridpact.contracts import Application, Candidate, tracing_jobs, tracing_moves
from gridpact.contracts.bodies import CloseAccount, Kind
from gridpact.contracts.call import Call
from gridpact.contracts.kinds import KINDS
from gridpact.ledger import Entry
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal
from gridpact.ledger.envelope import Envelope, Transaction
from gridpact.model import AccountMode, Phase, Role, Verdict
from gridpact.model.trace_jobs import TraceJob, TraceMode, TraceNeed, TraceState
from gridpact.settlement.arbitration import CENTRE, GRID
from ledger_bench import LENGTH_S, OPERATOR, UNIT, Signed, engine_of, verify_once
from trace_bench import DSO, PROVIDERS, STATIONS, TraceBench

OTHER = "other-dso"
COMPANIES = (DSO, OTHER)
CLOUDS = PROVIDERS[:4]
PHASES, QUIET = 50, 10
"""Phases of a life, and how many of them at the end see nothing but time go by."""
SEEDS = range(4)

Wish = tuple[str, Callable[[], Signed]]
"""(sender, what it then signs)"""
Outcome = tuple[bytes, dict[bytes, Verdict]]
"""Market root, and what each transaction was told."""


class Life:
    """Phases of a random life; what it draws depends on the seed alone."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)
        self.bench = bench = TraceBench(providers=CLOUDS)
        bench.accept(bench.register(OTHER, AccountMode.POSTPAID))
        bench.accept(bench.grant(OTHER, Role.GRID_COMPANY))
        bench.accept(bench.tariff(first_s=bench.time_s, slots=4_000))
        bench.move(Phase.OPEN, first_s=bench.time_s)
        self.start: dict[str, Entry] = dict(bench.application.state.entries)
        self.segments: list[list[Signed]] = []
        self.told: dict[bytes, Verdict] = {}
        for number in range(PHASES):
            self.play(
                self.wishes() if number < PHASES - QUIET else [], last=number >= PHASES - QUIET
            )

    def play(self, wishes: list[Wish], *, last: bool) -> None:
        """One phase in one block: wishes, and what ends it."""
        bench, chance = self.bench, self.chance
        chance.shuffle(wishes)
        segment = [write() for _, write in wishes]
        if len(self.segments) % 2:
            bench.time_s += LENGTH_S * (60 if last else chance.choice([1, 1, 1, 2, 5]))
            segment.append(bench.phase(Phase.OPEN, first_s=bench.time_s))
        else:
            segment.append(bench.phase(Phase.CLOSED, first_s=bench.time_s))
        result = bench.decide(*segment)
        assert result.receipts[-1].verdict == Verdict.ACCEPTED
        self.segments.append(segment)
        self.told |= {each.transaction: Verdict(each.verdict) for each in result.receipts}

    def jobs(self) -> list[tuple[str, int, TraceJob]]:
        """All jobs there ever were, with company and nonce."""
        found = []
        for key, entry in self.bench.application.state.entries.items():
            if isinstance(entry.value, TraceJob):
                _, company, nonce = key.split("/")
                found.append((company, int(nonce), entry.value))
        return found

    def wishes(self) -> list[Wish]:
        bench, chance = self.bench, self.chance
        wishes = [wish for job in self.jobs() for wish in self.about(*job)]
        for company in COMPANIES:
            if chance.random() < 0.3:
                terms = bench.terms(
                    chance.choices(CLOUDS, k=chance.randrange(1, 4))
                    if chance.random() < 0.2
                    else chance.sample(CLOUDS, chance.randrange(1, 5)),
                    chance.choice([TraceMode.DOUBLE, TraceMode.DOUBLE, TraceMode.RESIDUAL]),
                    fee_nano=chance.choice([0, 100, 2**50]),
                    centre_cost_nano=chance.choice([0, 501]),
                    packages_in=chance.choice([0, 4, 6]),
                    results_in=8,
                )
                wishes.append((company, lambda c=company, t=terms: bench.request(t, c)))
                number = bench.party(company).nonce + 1
                wishes += [  # at best in the phase of its request
                    (who, lambda w=who, n=number, c=company: bench.package(w, n, c))
                    for who in STATIONS
                ]
        cloud = chance.choice(CLOUDS)
        others = [
            (cloud, lambda: bench.withdraw(cloud, chance.choice([1, 100]))),
            (OPERATOR, lambda: bench.deposit(cloud, 100)),
            (OPERATOR, lambda: bench.grant(cloud, Role.CLOUD_PROVIDER, granted=0)),
            *((OPERATOR, lambda c=c: bench.grant(c, Role.CLOUD_PROVIDER)) for c in CLOUDS),
            (
                OPERATOR,
                lambda: bench.write(OPERATOR, Kind.CLOSE_ACCOUNT, CloseAccount(CLOUDS[3], 0)),
            ),
        ]
        return [*wishes, *(wish for wish in others if chance.random() < 0.3)]

    def about(self, company: str, number: int, job: TraceJob) -> list[Wish]:
        """What everybody might send about one job, whether it is wanted or not."""
        bench, chance = self.bench, self.chance
        if job.need is TraceNeed.NOTHING and chance.random() < 0.9:
            return []
        wishes: list[Wish] = [
            (who, lambda w=who: bench.package(w, number, company)) for who in STATIONS
        ]
        for who in (*CLOUDS, CENTRE):
            what = chance.choice("RRW")
            wishes.append((who, lambda w=who, a=what: bench.answer(w, number, a, company)))
        done = [place for place, run in enumerate(job.runs) if run.result]
        said = {(each.one, each.other) for each in job.same}
        judged = {each.run for each in job.right}
        same = {pair: chance.random() < 0.5 for pair in combinations(done, 2) if pair not in said}
        right = {place: chance.random() < 0.5 for place in done if place not in judged}
        if chance.random() < 0.1:
            same |= {(0, 9): True}
        if company == DSO or chance.random() < 0.2:
            wishes.append((company, lambda: bench.judgement(number, same, right, company)))
        wishes.append((company, lambda: bench.rates(number, sender=company)))
        return [wish for wish in wishes if chance.random() < 0.6]


@cache
def life(seed: int) -> Life:
    return Life(seed)


def replayed(seed: int, chance: Random | None) -> Outcome:
    """The life once more, each phase's transactions merged at random, or as they were."""
    lived = life(seed)
    bench = lived.bench
    application = Application(bench.genesis, engine_of(bench.genesis), verify_once)
    application.restore(lived.start.items(), 1, sha256(b"start"))
    told = {}
    for segment in lived.segments:
        row = segment if chance is None else merged(segment, chance)
        for block in blocks(row, chance):
            candidates = []
            for raw, sealed in block:
                transaction = application.readable(raw)
                assert isinstance(transaction, Transaction)
                candidates.append(Candidate(transaction, sealed, b"", False))
            proposal = Proposal(
                FORMAT_VERSION,
                application.height + 1,
                0,
                application.last_hash,
                [raw for raw, _ in block],
            )
            result = application.finalize_block(proposal, candidates)
            application.commit(result)
            told |= {each.transaction: Verdict(each.verdict) for each in result.receipts}
    return application.state_map.root, told


def blocks(row: list[Signed], chance: Random | None) -> list[list[Signed]]:
    """The row cut at random into blocks; in one piece without chance."""
    if chance is None or not row:
        return [row]
    cuts = sorted(chance.choices(range(len(row) + 1), k=chance.randrange(4)))
    ends = [0, *cuts, len(row)]
    return [row[first:last] for first, last in pairwise(ends)]


def merged(segment: list[Signed], chance: Random) -> list[Signed]:
    """Another order that keeps each sender's own; what ends the phase stays last."""
    *within, ending = segment
    queues = defaultdict(list)
    for signed in within:
        queues[decode(Envelope, signed[0]).sender].append(signed)
    tickets = [sender for sender, queue in queues.items() for _ in queue]
    chance.shuffle(tickets)
    rows = {sender: iter(queue) for sender, queue in queues.items()}
    return [*(next(rows[sender]) for sender in tickets), ending]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_nano_is_accounted_for(seed: int) -> None:
    """The bench has drawn the sums after every block. Here: nothing is held once all have ended,
    and each account has what payments of its jobs say, with deposits and withdrawals."""
    lived = life(seed)
    bench = lived.bench
    expected = dict.fromkeys((*COMPANIES, *CLOUDS), 0)
    for company, _, job in lived.jobs():
        assert job.need is TraceNeed.NOTHING
        assert job.escrow_nano == 0
        own = {GRID: company, CENTRE: company}
        for paid in job.payments:
            expected[own.get(paid.payer, paid.payer)] -= paid.amount_nano
            expected[own.get(paid.payee, paid.payee)] += paid.amount_nano
    assert sum(expected.values()) == 0
    bank = bench.system("bank")
    held = {name: bench.account(name) for name in expected if bench.entry(f"account/{name}")}
    assert all(escrow == 0 for _, escrow in held.values())
    assert sum(available for available, _ in held.values()) == -bank
    for company in COMPANIES:
        start = UNIT if company == DSO else 0
        assert held[company][0] - start == expected[company]


def test_lives_are_worth_it() -> None:
    """All ends, refusals of all sorts, strikes and money."""
    jobs = [job for seed in SEEDS for _, _, job in life(seed).jobs()]
    told = {verdict for seed in SEEDS for verdict in life(seed).told.values()}
    assert {job.state for job in jobs} >= {
        TraceState.DONE,
        TraceState.NO_PACKAGES,
        TraceState.NO_RESULT,
        TraceState.NOT_JUDGED,
        TraceState.NOT_PUBLISHED,
    }
    assert told >= {
        Verdict.ACCEPTED,
        Verdict.TRACE_TERMS_WRONG,
        Verdict.PROVIDER_BLACKLISTED,
        Verdict.UNKNOWN_TRACE_JOB,
        Verdict.TRACE_STATE_WRONG,
        Verdict.NOT_ASKED,
        Verdict.ALREADY_SENT,
        Verdict.JUDGEMENT_WRONG,
        Verdict.ROLE_MISSING,
    }
    assert any(job.strikes for job in jobs)
    assert any(paid.payer in CLOUDS for job in jobs for paid in job.payments)


@pytest.mark.parametrize("seed", SEEDS)
def test_senders_commute_inside_a_phase(seed: int) -> None:
    expected = life(seed).bench.market_root, life(seed).told
    assert replayed(seed, None) == expected
    chance = Random(seed)
    for _ in range(3):
        assert replayed(seed, chance) == expected


letters = st.text("RRUVW-", min_size=2, max_size=2)


@settings(max_examples=100)
@given(
    st.lists(letters, min_size=1, max_size=5),
    st.sampled_from("RRR-"),
    st.sampled_from(TraceMode),
    st.lists(st.sampled_from(["UR", "VR", "WR", "UV", "VW"]), max_size=3),
)
def test_the_chain_does_what_the_machine_says(
    answers: list[str], centre: str, mode: TraceMode, close: list[str]
) -> None:
    script = dict(zip(PROVIDERS, answers, strict=False)) | {CENTRE: centre}
    assert_as_the_machine(TraceBench(), script, mode, tuple(close))


# Broken twins

Patch = pytest.MonkeyPatch


def hired_at_once(patch: Patch) -> None:
    """The last package moves the job, and not the barrier."""
    rule = KINDS[Kind.TRACE_PACKAGE]

    def handler(call: Call) -> Verdict:
        verdict = rule.handler(call)
        tracing_moves.move_jobs(call.draft, call.rules)
        return verdict

    patch.setitem(KINDS, Kind.TRACE_PACKAGE, replace(rule, handler=handler))


def seen_at_once(patch: Patch) -> None:
    """A job can be answered in the phase of its request."""
    honest = tracing_jobs._open_job

    def open_job(draft: object, company: str, nonce: int) -> TraceJob | None:
        draft.phase += 1
        try:
            return honest(draft, company, nonce)
        finally:
            draft.phase -= 1

    patch.setattr(tracing_jobs, "_open_job", open_job)


@pytest.mark.parametrize("twin", [hired_at_once, seen_at_once])
def test_a_broken_twin_is_caught(twin: Callable[[Patch], None], monkeypatch: Patch) -> None:
    for seed in SEEDS:
        life(seed)
    twin(monkeypatch)
    chance = Random(1)
    assert any(replayed(seed, None) != replayed(seed, chance) for seed in SEEDS)


def test_money_that_is_not_posted_is_noticed(monkeypatch: Patch) -> None:
    """A job that says that it holds nothing, while the account still does."""
    monkeypatch.setattr(tracing_moves, "_legs", lambda *_: [])
    with pytest.raises(AssertionError, match="escrow"):
        TraceBench().play({PROVIDERS[0]: "R", PROVIDERS[1]: "R"})
