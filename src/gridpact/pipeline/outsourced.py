"""A trace handed out with everything on a ledger: request, packages, results, judgements, rates.

All parties sit in this process and sign with simulated keys; providers are processes of their own.
What the ledger has hashes of lies beside it: `packages`, `shares` and `rates.json`.

Source: [SUN23], sections 3.1 and 4.3, on one chain.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from gridpact.carbon.outsourcing import Answer, carbon_rates, problem_of
from gridpact.codec import sha256
from gridpact.contracts.bodies import (
    JudgeResults,
    Kind,
    PublishRates,
    RequestTrace,
    SendPackage,
    SendResult,
)
from gridpact.contracts.keys import ended_job_key, open_job_key, provider_key
from gridpact.errors import InvariantError, invariant
from gridpact.files import write_atomically
from gridpact.ledger import Account, account_key, system_key
from gridpact.model.trace_jobs import (
    ProviderStanding,
    TraceJob,
    TraceMode,
    TraceNeed,
    TraceRight,
    TraceSame,
    TraceState,
    TraceTerms,
)
from gridpact.node import EmbeddedEngine, SimulatedKeys, Wallet
from gridpact.node.clouds import Provider, Terms
from gridpact.node.clouds.client import AnswerJudge, Reply, computed, hire, judge_of
from gridpact.pipeline.packages import (
    Package,
    joined,
    opened_package,
    packages_of,
    parts_of,
    sealed_to,
)
from gridpact.pipeline.tracing_desk import GRID_COMPANY, SLOT_S, TracingDesk, genesis_of_trace
from gridpact.settlement.arbitration import CENTRE, Mode, exposure

if TYPE_CHECKING:
    from gridpact.carbon.outsourcing.problem import Problem as Equations
    from gridpact.carbon.outsourcing.problem import Rates
    from gridpact.model.carbon import SolvedFlow

LEDGER, PACKAGES, SHARES, RATES = "ledger", "packages", "shares", "rates.json"
"""What a run's folder holds."""
STAGE_SLOTS = 4
"""What each stage has, in slots of market time."""
UNITS = ()
"""No source has its coal curve worked out by providers: their intensities are given."""


@dataclass(frozen=True, slots=True)
class JobTerms:
    """What the grid company offers."""

    mode: TraceMode
    fee_nano: int
    centre_cost_nano: int
    timeout_s: float
    """How long a process may work, in seconds of this machine's clock."""


class RatesFile(msgspec.Struct, frozen=True):
    """Carbon rates, t/h; a share has those of one substation."""

    salt: str
    """64 random hexadecimal digits, so that the hash tells nobody anything."""
    loads: list[tuple[str, float]]
    """By bus."""
    branches: list[tuple[str, float, float]]
    """(id, entering, lost)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A job after a barrier that changed it."""

    phase: int
    state: TraceState
    need: TraceNeed


@dataclass(frozen=True, slots=True)
class OutsourcedRun:
    """What a job came to."""

    key: str
    """Of the job in the state, for proofs."""
    job: TraceJob
    steps: tuple[Seen, ...]
    right: tuple[bool | None, ...]
    """By run of the job: what the residual check says of it; None without a result."""
    gained_nano: Mapping[str, int]
    """By account, from registration on."""
    standings: Mapping[str, ProviderStanding]
    """Of providers with wrong results."""
    residual_nano: int
    """Sum of all accounts, escrow included; 0 when nothing appeared or vanished."""
    load_t_per_h: float
    loss_t_per_h: float
    folder: Path


def outsource_on_ledger(
    flow: SolvedFlow,
    t_per_mwh: Sequence[float],
    commands: Sequence[Sequence[str]],
    substations: int,
    folder: Path,
    terms: JobTerms,
    seed: int,
) -> OutsourcedRun:
    """Have the first snapshot of a flow traced, on a new ledger.

    Args:
        flow: solved; no single party has all of it until packages are put together.
        t_per_mwh: intensity of each source; any number for what is off.
        commands: what starts each provider.
        substations: how many parts package the flow.
        folder: of the run, empty or absent.
        terms: of the job.
        seed: of all simulated keys.
    Raises:
        InputError: more substations than buses, or a ledger in the folder.
        TracingError: power goes in a ring that no source feeds.
    """
    clouds = {f"cloud-{i + 1}": command for i, command in enumerate(commands)}
    stations = [f"substation-{i + 1}" for i in range(substations)]
    packages = packages_of(flow, t_per_mwh, stations, parts_of(flow.network, substations))
    problem_of(flow)  # what cannot be traced is refused before anybody is hired

    async def play() -> OutsourcedRun:
        keys = SimulatedKeys(seed)
        engine = await EmbeddedEngine.create(folder / LEDGER, genesis_of_trace(keys))
        providers = {name: Provider(name, command) for name, command in clouds.items()}
        try:
            desk = TracingDesk(engine, Wallet(keys, engine.genesis_hash))
            return await _Play(desk, providers, packages, folder, terms).run()
        finally:
            await asyncio.gather(*(provider.close() for provider in providers.values()))
            await engine.close()

    return asyncio.run(play())


@dataclass
class _Play:
    """All parties of one job."""

    desk: TracingDesk
    providers: Mapping[str, Provider]
    packages: Sequence[Package]
    folder: Path
    terms: JobTerms
    number: int = 0
    """Nonce of the request."""
    answers: dict[int, Answer] = field(default_factory=dict)
    """What the grid company has opened, by run."""
    replies: dict[int, Reply] = field(default_factory=dict)
    steps: list[Seen] = field(default_factory=list)
    result: Rates | None = None

    async def run(self) -> OutsourcedRun:
        desk, terms = self.desk, self.terms
        mode = Mode.DOUBLE if terms.mode is TraceMode.DOUBLE else Mode.RESIDUAL
        held = exposure(mode, terms.fee_nano, terms.centre_cost_nano)
        await desk.open([p.substation for p in self.packages], list(self.providers), held)
        self.number = desk.wallet.next_nonce(GRID_COMPANY)
        await desk.send([(GRID_COMPANY, Kind.TRACE_REQUEST, self._request())])
        await desk.barrier()
        job = await self._job()
        await self._package()
        await desk.barrier()
        problem, judge, flow, factors = self._put_together()
        while (job := await self._job()).need is not TraceNeed.NOTHING:
            match job.need:
                case TraceNeed.RESULTS if await self._work(job, problem):
                    await desk.barrier()
                case TraceNeed.JUDGEMENT:
                    await desk.send(
                        [(GRID_COMPANY, Kind.TRACE_JUDGEMENT, self._judged(job, judge))]
                    )
                    await desk.barrier()
                case TraceNeed.RATES:
                    await self._publish(job, problem, flow, factors)
                    await desk.barrier()
                case _:
                    await desk.pass_by(job.due_s)
        return await self._found(job, judge)

    def _request(self) -> RequestTrace:
        now_s = self.desk.now_s
        return RequestTrace(
            self.desk.market,
            TraceTerms(
                first_start_s=now_s,
                slots=1,
                substations=[package.substation for package in self.packages],
                providers=list(self.providers),
                mode=self.terms.mode,
                fee_nano=self.terms.fee_nano,
                centre_cost_nano=self.terms.centre_cost_nano,
                packages_by_s=now_s + STAGE_SLOTS * SLOT_S,
                results_by_s=now_s + 2 * STAGE_SLOTS * SLOT_S,
            ),
        )

    async def _job(self) -> TraceJob:
        keys = [key(GRID_COMPANY, self.number) for key in (open_job_key, ended_job_key)]
        found = [job for job in await self.desk.values(keys) if isinstance(job, TraceJob)]
        invariant(len(found) == 1, "a job is open or has ended")
        seen = Seen(self.desk.phase, found[0].state, found[0].need)
        if not self.steps or (self.steps[-1].state, self.steps[-1].need) != (seen.state, seen.need):
            self.steps.append(seen)
        return found[0]

    async def _package(self) -> None:
        """Every substation encrypts what it knows to the grid company, and anchors its hash."""
        to_key, sent = self.desk.wallet.keys.pair(GRID_COMPANY)[0], []
        for package in self.packages:
            box = sealed_to(to_key, package)
            self._write(PACKAGES, f"{package.substation}.box", box)
            body = SendPackage(GRID_COMPANY, self.number, sha256(box))
            sent.append((package.substation, Kind.TRACE_PACKAGE, body))
        await self.desk.send(sent)

    def _put_together(self) -> tuple[Equations, AnswerJudge, SolvedFlow, list[float]]:
        """What the grid company makes of the packages."""
        keys = self.desk.wallet.keys.pair(GRID_COMPANY)
        boxes = [
            (self.folder / PACKAGES / f"{package.substation}.box").read_bytes()
            for package in self.packages
        ]
        flow, factors = joined([opened_package(box, *keys) for box in boxes])
        problem = problem_of(flow)
        return problem, judge_of(problem, UNITS), flow, factors

    async def _work(self, job: TraceJob, problem: Equations) -> bool:
        """Let everybody work whose result is awaited; whether all gave one."""
        terms = Terms(timeout_s=self.terms.timeout_s)
        waiting = [
            (place, run.provider)
            for place, run in enumerate(job.runs)
            if not run.result and not run.absent
        ]

        async def one(place: int, name: str) -> tuple[str, bytes, bytes] | None:
            if name == CENTRE:
                answer = self.answers[place] = computed(problem, UNITS)
                return GRID_COMPANY, sha256(b"in the clear"), sha256(answer.x_mw.tobytes())
            reply = await hire(problem, UNITS, self.providers[name], terms)
            if reply is None or reply.declined:
                return None
            self.replies[place] = reply
            return name, *reply.hashes

        given = await asyncio.gather(*(one(*each) for each in waiting))
        sent = [
            (who, Kind.TRACE_RESULT, SendResult(GRID_COMPANY, self.number, task, result))
            for who, task, result in filter(None, given)
        ]
        await self.desk.send(sent)
        return all(given)

    def _judged(self, job: TraceJob, judge: AnswerJudge) -> JudgeResults:
        """What the checks say of everything that is anchored and was not judged before."""
        for place, reply in self.replies.items():
            if place not in self.answers:
                answer = reply.opened()
                if answer is None:
                    raise InvariantError("who declines has anchored something")
                self.answers[place] = answer
        answers = self.answers
        known = {(each.one, each.other) for each in job.same}
        tried = {each.run for each in job.right}
        same, right = [], []
        if job.terms.mode is TraceMode.DOUBLE:
            same = [
                TraceSame(one, other, int(judge.same(answers[one], answers[other])))
                for one, other in combinations(sorted(answers), 2)
                if (one, other) not in known
            ]
        if job.terms.mode is TraceMode.RESIDUAL or job.state is TraceState.THIRD:
            right = [
                TraceRight(place, int(judge.right(answers[place])))
                for place in sorted(answers)
                if place not in tried
            ]
        return JudgeResults(self.number, same, right)

    async def _publish(
        self, job: TraceJob, problem: Equations, flow: SolvedFlow, factors: Sequence[float]
    ) -> None:
        """Rates for the grid company, and to each substation its own share and no other."""
        network = flow.network
        x_mw = self.answers[job.stands].x_mw
        rates = self.result = carbon_rates(problem, x_mw, np.array(factors))
        loads = dict(zip(network.bus_ids, rates.load.tolist(), strict=True))
        branches = {
            name: (name, *both)
            for name, *both in zip(
                network.branch_ids, rates.branch.tolist(), rates.loss.tolist(), strict=True
            )
        }
        whole = RatesFile(secrets.token_hex(32), list(loads.items()), list(branches.values()))
        data, shares = msgspec.json.encode(whole), []
        self._write("", RATES, data)
        for package in self.packages:
            share = RatesFile(
                secrets.token_hex(32),
                [(bus.bus, loads[bus.bus]) for bus in package.buses],
                [branches[branch[0]] for bus in package.buses for branch in bus.branches],
            )
            box = sealed_to(self.desk.wallet.keys.pair(package.substation)[0], share)
            self._write(SHARES, f"{package.substation}.box", box)
            shares.append(sha256(box))
        body = PublishRates(self.number, sha256(data), shares)
        await self.desk.send([(GRID_COMPANY, Kind.TRACE_RATES, body)])

    def _write(self, where: str, name: str, data: bytes) -> None:
        (self.folder / where).mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / where / name, data)

    async def _found(self, job: TraceJob, judge: AnswerJudge) -> OutsourcedRun:
        people = [GRID_COMPANY, *self.providers]
        accounts = await self.desk.values([account_key(name) for name in people])
        systems = await self.desk.values([system_key(name) for name in ("bank", "fund", "grid")])
        sums = [
            each.available_nano + each.escrow_nano
            for each in (*accounts, *systems)
            if isinstance(each, Account)
        ]
        gained = dict(zip(people, sums, strict=False))
        gained[GRID_COMPANY] -= self.desk.deposited_nano
        held = await self.desk.values([provider_key(name) for name in self.providers])
        standings = {
            name: each
            for name, each in zip(self.providers, held, strict=True)
            if isinstance(each, ProviderStanding)
        }
        answers = [self.answers.get(place) for place in range(len(job.runs))]
        return OutsourcedRun(
            key=ended_job_key(GRID_COMPANY, self.number),
            job=job,
            steps=tuple(self.steps),
            right=tuple(None if one is None else judge.right(one) for one in answers),
            gained_nano=gained,
            standings=standings,
            residual_nano=sum(sums),
            load_t_per_h=float(self.result.load.sum()) if self.result is not None else 0.0,
            loss_t_per_h=float(self.result.loss.sum()) if self.result is not None else 0.0,
            folder=self.folder,
        )
