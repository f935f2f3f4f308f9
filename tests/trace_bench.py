"""A chain in memory with a grid company, substations and providers of traces.

An answer is a letter: the same when the letters are, right when it is R. Its hash on the chain is
that of the letter with the number of the run, so no two hashes are ever the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from gridpact.codec import sha256
from gridpact.contracts.bodies import (
    JudgeResults,
    Kind,
    PublishRates,
    RequestTrace,
    SendPackage,
    SendResult,
)
from gridpact.contracts.genesis import Genesis
from gridpact.contracts.keys import CLOCK, ended_job_key, open_job_key, provider_key
from gridpact.model import AccountMode, Clock, Phase, Role
from gridpact.model.trace_jobs import (
    ProviderStanding,
    TraceJob,
    TraceMode,
    TraceNeed,
    TraceRight,
    TraceSame,
    TraceTerms,
)
from gridpact.node import SimulatedKeys
from gridpact.settlement.arbitration import CENTRE
from ledger_bench import LENGTH_S, MARKET, SLOT, UNIT, Bench, Signed, genesis_with

DSO = "dso"
"""The grid company; a participant that pays later."""
STATIONS = ("north", "south")
PROVIDERS = ("cloud-1", "cloud-2", "cloud-3", "cloud-4", "cloud-5")
FEE, COST = 100, 501
HELD = 5 * FEE + COST
DAY_S = 86_400
RATES = sha256(b"rates")


class TraceBench(Bench):
    """Everybody is registered; market time is one slot before `SLOT`."""

    def __init__(
        self, genesis: Genesis | None = None, *, providers: Sequence[str] = PROVIDERS
    ) -> None:
        keys = SimulatedKeys(7)
        parties = [(name, Role.SUBSTATION) for name in STATIONS]
        super().__init__(genesis or genesis_with(keys, parties=parties), keys)
        self.time_s = SLOT - LENGTH_S
        """Start of the slot that the next barrier opens, and closes when time is to pass."""
        self.accept(self.register(DSO, AccountMode.POSTPAID), self.deposit(DSO, UNIT))
        self.accept(*(self.register(name) for name in providers))
        self.accept(self.grant(DSO, Role.GRID_COMPANY))
        self.accept(*(self.grant(name, Role.CLOUD_PROVIDER) for name in providers))
        self.pass_time()

    # Time

    def barrier(self) -> None:
        """Everything that waits is decided; no time passes."""
        self.accept(self.tariff(first_s=self.time_s))
        self.move(Phase.OPEN, first_s=self.time_s)
        self.time_s += LENGTH_S

    def pass_time(self, slots: int = 1) -> None:
        """Two barriers, the second of which closes the gate that many slots on."""
        self.time_s += (slots - 1) * LENGTH_S
        self.barrier()
        self.move(Phase.CLOSED, first_s=self.time_s - LENGTH_S)

    @property
    def closed_s(self) -> int:
        """Market time."""
        return self.value(CLOCK, Clock).closed_s[0]

    # Writing

    def terms(
        self,
        providers: Iterable[str] = PROVIDERS[:3],
        mode: TraceMode = TraceMode.DOUBLE,
        *,
        fee_nano: int = FEE,
        centre_cost_nano: int = COST,
        packages_in: int = 10,
        results_in: int = 20,
    ) -> TraceTerms:
        """Deadlines are that many slots away."""
        return TraceTerms(
            first_start_s=SLOT,
            slots=1,
            substations=list(STATIONS),
            providers=list(providers),
            mode=mode,
            fee_nano=fee_nano,
            centre_cost_nano=centre_cost_nano,
            packages_by_s=self.time_s + packages_in * LENGTH_S,
            results_by_s=self.time_s + results_in * LENGTH_S,
        )

    def request(self, terms: TraceTerms | None = None, sender: str = DSO) -> Signed:
        body = RequestTrace(MARKET, terms or self.terms())
        return self.write(sender, Kind.TRACE_REQUEST, body)

    def package(self, station: str, job: int, grid_company: str = DSO) -> Signed:
        body = SendPackage(grid_company, job, sha256(station.encode()))
        return self.write(station, Kind.TRACE_PACKAGE, body)

    def answer(self, provider: str, job: int, what: str = "R", grid_company: str = DSO) -> Signed:
        """The data centre is told by its name."""
        sender = grid_company if provider == CENTRE else provider
        result = sha256(f"{what}/{provider}/{self.application.phase}".encode())
        body = SendResult(grid_company, job, sha256(b"task"), result)
        return self.write(sender, Kind.TRACE_RESULT, body)

    def judgement(
        self,
        job: int,
        same: Mapping[tuple[int, int], bool] | None = None,
        right: Mapping[int, bool] | None = None,
        sender: str = DSO,
    ) -> Signed:
        body = JudgeResults(
            job,
            [TraceSame(one, other, int(found)) for (one, other), found in (same or {}).items()],
            [TraceRight(run, int(found)) for run, found in (right or {}).items()],
        )
        return self.write(sender, Kind.TRACE_JUDGEMENT, body)

    def rates(self, job: int, shares: int = len(STATIONS), sender: str = DSO) -> Signed:
        body = PublishRates(job, RATES, [sha256(bytes([i])) for i in range(shares)])
        return self.write(sender, Kind.TRACE_RATES, body)

    # Playing

    def requested(self, terms: TraceTerms | None = None) -> int:
        """A new job, seen by all; its nonce."""
        self.accept(self.request(terms))
        self.barrier()
        return self.party(DSO).nonce

    def packaged(self, terms: TraceTerms | None = None) -> int:
        """A job whose first providers are hired."""
        job = self.requested(terms)
        self.accept(*(self.package(station, job) for station in STATIONS))
        self.barrier()
        return job

    def play(
        self,
        script: Mapping[str, str],
        terms: TraceTerms | None = None,
        close: Iterable[set[str]] = (),
    ) -> TraceJob:
        """A job until a result stands or nothing more comes: each provider gives its letters one
        after the other, `-` is no answer. `close` names letters that are the same beyond that."""
        number = self.packaged(terms)
        left = {name: list(letters) for name, letters in script.items()}
        given: dict[int, str] = {}
        alike = [set(pair) for pair in close]
        while (job := self.job(number)).need in (TraceNeed.RESULTS, TraceNeed.JUDGEMENT):
            if job.need is TraceNeed.RESULTS:
                late = False
                for place, run in enumerate(job.runs):
                    if run.result or run.absent:
                        continue
                    letters = left.get(run.provider) or ["-"]
                    given[place] = letters.pop(0)
                    if given[place] == "-":
                        late = True
                    else:
                        self.accept(self.answer(run.provider, number, given[place]))
                if late:
                    self.pass_time((job.due_s - self.time_s) // LENGTH_S + 2)
                else:
                    self.barrier()
            else:
                done = [place for place, run in enumerate(job.runs) if run.result]
                pairs = [(one, other) for one in done for other in done if one < other]
                said = {(each.one, each.other) for each in job.same}
                judged = {each.run for each in job.right}
                same = {
                    (i, j): given[i] == given[j] or {given[i], given[j]} in alike
                    for i, j in pairs
                    if (i, j) not in said
                }
                right = {place: given[place] == "R" for place in done if place not in judged}
                self.accept(self.judgement(number, same, right))
                self.barrier()
        return job

    # Reading

    def job(self, number: int, grid_company: str = DSO) -> TraceJob:
        for key in (open_job_key(grid_company, number), ended_job_key(grid_company, number)):
            value = self.entry(key)
            if value is not None:
                assert isinstance(value.value, TraceJob)
                return value.value
        raise AssertionError(f"no job {number}")

    def standing(self, provider: str) -> tuple[int, int]:
        entry = self.entry(provider_key(provider))
        if entry is None:
            return 0, 0
        assert isinstance(entry.value, ProviderStanding)
        return entry.value.strikes, entry.value.back_in_cycle

    def gained(self, *names: str) -> dict[str, int]:
        """What accounts have gained since registration, escrow included; those of 0 left out."""
        start = {DSO: UNIT}
        found = {
            name: sum(self.account(name)) - start.get(name, 0) for name in names or everybody()
        }
        return {name: amount for name, amount in found.items() if amount}


def everybody() -> tuple[str, ...]:
    return (DSO, *PROVIDERS)
