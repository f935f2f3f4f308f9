"""Traces that are handed out, with every fault that they can have, for the table of verdicts.

Gridco pays later, Lean has nothing; Cloud-x has given two wrong results. No gate closes, so no
deadline passes.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from tests.ledger_bench import LENGTH_S, MARKET, SLOT, Bench, Signed

from gridpact.contracts.bodies import (
    JudgeResults,
    Kind,
    PublishRates,
    RequestTrace,
    SendPackage,
    SendResult,
)
from gridpact.model import AccountMode, Role
from gridpact.model.trace_jobs import TraceMode, TraceRight, TraceSame, TraceTerms

GRIDCO, LEAN = "gridco", "lean"
CLOUDS = ("cloud-a", "cloud-b", "cloud-c", "cloud-x")
STATIONS = ("north", "south", "east")
FAR_S = SLOT + 10_000 * LENGTH_S
HASH = b"\x77" * 32
TERMS = TraceTerms(
    SLOT,
    1,
    ["north", "south"],
    ["cloud-a", "cloud-b"],
    TraceMode.DOUBLE,
    100,
    501,
    FAR_S,
    FAR_S + LENGTH_S,
)
ROLES = {
    **dict.fromkeys(CLOUDS, Role.CLOUD_PROVIDER),
    **dict.fromkeys(STATIONS, Role.SUBSTATION),
    **dict.fromkeys((GRIDCO, LEAN), Role.GRID_COMPANY),
}
TRACE_BODIES = {
    Kind.TRACE_REQUEST: RequestTrace(MARKET, TERMS),
    Kind.TRACE_PACKAGE: SendPackage(GRIDCO, 1, HASH),
    Kind.TRACE_RESULT: SendResult(GRIDCO, 1, HASH, HASH),
    Kind.TRACE_JUDGEMENT: JudgeResults(1, [], []),
    Kind.TRACE_RATES: PublishRates(1, HASH, [HASH]),
}
"""One of each kind."""
PACKAGING, WORKING, UNJUDGED, JUDGED, ACCEPTED, PUBLISHED = range(1, 7)
"""Nonces of Gridco's jobs by what they wait for: packages, of which one is there; results, of which
one is there; a judgement; a barrier; rates; a barrier."""
WRONG = (7, 8)
"""Of those in which Cloud-x gave its wrong results."""


def open_traces(bench: Bench, barrier: Callable[[Bench], None]) -> None:
    """All that the rows are about."""
    for name, role in ROLES.items():
        mode = AccountMode.POSTPAID if name == GRIDCO else AccountMode.PREPAID
        bench.accept(bench.register(name, mode), bench.grant(name, role))
    barrier(bench)

    def send(sender: str, kind: Kind, body: msgspec.Struct) -> Signed:
        return bench.write(sender, kind, body)

    doubtful = msgspec.structs.replace(TERMS, providers=["cloud-x"], mode=TraceMode.RESIDUAL)
    for job in range(PACKAGING, WRONG[-1] + 1):
        terms = doubtful if job in WRONG else TERMS
        bench.accept(send(GRIDCO, Kind.TRACE_REQUEST, RequestTrace(MARKET, terms)))
    barrier(bench)
    for job in range(WORKING, WRONG[-1] + 1):
        for station in TERMS.substations:
            bench.accept(send(station, Kind.TRACE_PACKAGE, SendPackage(GRIDCO, job, HASH)))
    barrier(bench)
    for job in range(WORKING, WRONG[-1] + 1):
        answering = ["cloud-x"] if job in WRONG else TERMS.providers[: 1 if job == WORKING else 2]
        for cloud in answering:
            bench.accept(send(cloud, Kind.TRACE_RESULT, SendResult(GRIDCO, job, HASH, HASH)))
    barrier(bench)
    wrong, same = [TraceRight(0, 0)], [TraceSame(0, 1, 1)]
    for job in (ACCEPTED, PUBLISHED):
        bench.accept(send(GRIDCO, Kind.TRACE_JUDGEMENT, JudgeResults(job, same, [])))
    for job in WRONG:
        bench.accept(send(GRIDCO, Kind.TRACE_JUDGEMENT, JudgeResults(job, [], wrong)))
    barrier(bench)
    bench.accept(
        send("north", Kind.TRACE_PACKAGE, SendPackage(GRIDCO, PACKAGING, HASH)),
        send(GRIDCO, Kind.TRACE_JUDGEMENT, JudgeResults(JUDGED, same, [])),
        send(GRIDCO, Kind.TRACE_RATES, PublishRates(PUBLISHED, HASH, [HASH] * 2)),
    )


Make = Callable[..., object]


def requests(make: Make, auditor: str) -> list[object]:
    """Rows of requests."""

    def body(market: str = MARKET, **changed: object) -> RequestTrace:
        return RequestTrace(market, msgspec.structs.replace(TERMS, **changed))

    nobody, off = {"providers": ["nobody", "nobody"]}, {"first_start_s": SLOT + 1}
    twice, early = {"providers": ["cloud-x", "cloud-x"]}, {"packages_by_s": 0}
    roleless, listed = {"substations": ["cloud-a"]}, {"providers": ["cloud-x"]}
    return [
        make("expired, no role, no market", auditor, body("lv9", **nobody), None, 0),
        make("no role, no market", auditor, body("lv9", **nobody)),
        make("no market, unknown provider", LEAN, body("lv9", **nobody)),
        make("unknown provider twice, misaligned", LEAN, body(**nobody, **off)),
        make("misaligned, no funds, on the blacklist twice", LEAN, body(**off, **twice)),
        make("no funds, on the blacklist twice", LEAN, body(**twice)),
        make("on the blacklist twice, a provider as station", GRIDCO, body(**twice, **roleless)),
        make("packages by a slot that is closed", GRIDCO, body(**early)),
        make(
            "a provider as station, on the blacklist",
            GRIDCO,
            body(**listed, **roleless),
        ),
        make("on the blacklist", GRIDCO, body(providers=["cloud-a", "cloud-x"])),
        make("", GRIDCO, body()),
    ]


def packages(make: Make, auditor: str) -> list[object]:
    """Rows of packages."""
    none = SendPackage(GRIDCO, 99, HASH)
    return [
        make("expired, no role, no job", auditor, none, None, 0),
        make("no role, no job", auditor, none),
        make("no job", "east", none),
        make("all packages are there, not named", "east", SendPackage(GRIDCO, WORKING, HASH)),
        make("not named", "east", SendPackage(GRIDCO, PACKAGING, HASH)),
        make("sent already", "north", SendPackage(GRIDCO, PACKAGING, HASH)),
        make("", "south", SendPackage(GRIDCO, PACKAGING, HASH)),
    ]


def results(make: Make, auditor: str) -> list[object]:
    """Rows of results."""

    def body(job: int) -> SendResult:
        return SendResult(GRIDCO, job, HASH, HASH)

    return [
        make("expired, no role, no job", auditor, body(99), None, 0),
        make("no role, no job", auditor, body(99)),
        make("no job", "cloud-c", body(99)),
        make("packages are missing, not hired", "cloud-c", body(PACKAGING)),
        make("not hired", "cloud-c", body(WORKING)),
        make("the data centre is not hired", GRIDCO, body(WORKING)),
        make("sent already", "cloud-a", body(WORKING)),
        make("", "cloud-b", body(WORKING)),
        make("the data centre is hired", GRIDCO, body(WRONG[0])),
    ]


def judgements(make: Make, auditor: str) -> list[object]:
    """Rows of judgements."""

    def body(job: int, *same: tuple[int, int]) -> JudgeResults:
        return JudgeResults(job, [TraceSame(*pair, 1) for pair in same], [])

    return [
        make("expired, no role, no job", auditor, body(99), None, 0),
        make("no role, no job", auditor, body(99)),
        make("a job of gridco", LEAN, body(UNJUDGED)),
        make("results are missing, of no run", GRIDCO, body(WORKING, (8, 9))),
        make("judged already, of no run", GRIDCO, body(JUDGED, (8, 9))),
        make("of no run, nothing else", GRIDCO, body(UNJUDGED, (8, 9))),
        make("one pair twice", GRIDCO, body(UNJUDGED, (0, 1), (0, 1))),
        make("the wrong way round", GRIDCO, body(UNJUDGED, (1, 0))),
        make("nothing", GRIDCO, body(UNJUDGED)),
        make("", GRIDCO, body(UNJUDGED, (0, 1))),
    ]


def rates(make: Make, auditor: str) -> list[object]:
    """Rows of rates."""

    def body(job: int, shares: int = 2) -> PublishRates:
        return PublishRates(job, HASH, [HASH] * shares)

    return [
        make("expired, no role, no job", auditor, body(99), None, 0),
        make("no role, no job", auditor, body(99)),
        make("a job of gridco", LEAN, body(ACCEPTED)),
        make("no result stands, a share too many", GRIDCO, body(WORKING, 3)),
        make("published already, a share too many", GRIDCO, body(PUBLISHED, 3)),
        make("a share too many", GRIDCO, body(ACCEPTED, 3)),
        make("", GRIDCO, body(ACCEPTED)),
    ]
