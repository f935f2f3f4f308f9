"""One good transaction of each kind about traces that are handed out, for those who refuse them."""

from __future__ import annotations

from gridpact.codec import Wire
from gridpact.contracts.bodies import (
    JudgeResults,
    Kind,
    PublishRates,
    RequestTrace,
    SendPackage,
    SendResult,
)
from gridpact.model.trace_jobs import TraceMode, TraceRight, TraceSame, TraceTerms
from gridpact.studies.workload import MARKET, start_of

FAR = 1_000_000
"""A slot that no run reaches."""
_HASH = bytes(range(32))
_TERMS = TraceTerms(
    first_start_s=start_of(0),
    slots=1,
    substations=["north", "south"],
    providers=["cloud-1", "cloud-2"],
    mode=TraceMode.DOUBLE,
    fee_nano=1_000,
    centre_cost_nano=5_000,
    packages_by_s=start_of(FAR),
    results_by_s=start_of(FAR + 1),
)
TRACE_BODIES: dict[Kind, Wire] = {
    Kind.TRACE_REQUEST: RequestTrace(MARKET, _TERMS),
    Kind.TRACE_PACKAGE: SendPackage("dso", 1, _HASH),
    Kind.TRACE_RESULT: SendResult("dso", 1, _HASH, _HASH),
    Kind.TRACE_JUDGEMENT: JudgeResults(1, [TraceSame(0, 1, 1)], [TraceRight(0, 1)]),
    Kind.TRACE_RATES: PublishRates(1, _HASH, [_HASH, _HASH]),
}
