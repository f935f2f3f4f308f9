"""Many seeds on all cores, and what to type to see a finding again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from time import perf_counter

from gridpact.consensus.raft import Profile, RaftReplica
from gridpact.sim.liars import run_with_twins
from gridpact.sim.schedule import Plan, plan_of
from gridpact.sim.trial import LIVENESS, MakeReplica, Outcome, run_plan

CHUNK = 10
"""Seeds that a process takes at a time."""
TRIALS_MAX = 60
"""Runs spent on making one schedule shorter."""
SHRUNK_MAX = 5
"""Findings whose schedules are made shorter; the others are only listed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to simulate."""

    protocol: str
    profile: Profile
    kinds: tuple[str, ...] | None = None
    """Kinds of faults that may happen; all when None."""
    keep: tuple[int, ...] | None = None
    """Numbers of the actions that do; all when None."""
    stop_ms: int | None = None
    """End of the faulty part, in milliseconds of world time."""
    twins: bool = False
    """One voter runs twice with one key."""

    def plan(self, seed: int) -> Plan:
        """The run of a seed."""
        return plan_of(self.protocol, self.profile, seed, self.kinds)

    def run(self, seed: int, replica: MakeReplica = RaftReplica) -> Outcome:
        """Run a seed."""
        if self.twins:
            return run_with_twins(self.plan(seed), self.keep, self.stop_ms)
        return run_plan(self.plan(seed), self.keep, self.stop_ms, replica)

    def replay(
        self, seed: int, keep: Collection[int] | None = None, stop_ms: int | None = None
    ) -> str:
        """The command that shows a run again."""
        words = ["gridpact simulate", self.protocol, "--profile", self.profile.value]
        words += ["--seeds", f"{seed}:{seed + 1}"]
        if self.kinds is not None:
            words += ["--faults", ",".join(self.kinds)]
        if self.twins:
            words.append("--twins")
        keep = self.keep if keep is None else keep
        if keep is not None:
            words += ["--keep", ",".join(map(str, keep)) or "none"]
        stop_ms = self.stop_ms if stop_ms is None else stop_ms
        if stop_ms is not None:
            words += ["--stop-ms", str(stop_ms)]
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Finding:
    """A property that does not hold, and how to see it."""

    seed: int
    property: str
    words: str
    replay: str
    shrunk: str
    """The command with the shortest schedule found; empty when it was not tried."""
    schedule: tuple[str, ...]
    """What goes wrong in it."""


@dataclass(slots=True)
class Report:
    """What all seeds together have shown."""

    request: Request
    first: int
    end: int
    """First seed not run."""
    messages: int = 0
    seconds: float = 0.0
    elections: int = 0
    decided: int = 0
    acknowledged: int = 0
    violations: list[Finding] = field(default_factory=list)
    liveness_failures: list[Finding] = field(default_factory=list)
    outside_model: list[Finding] = field(default_factory=list)
    """What liars did to a protocol that tolerates none."""
    healed_units_max: float = 0.0
    """Longest time from healing until all was well, in shortest election timeouts."""


def shrink(request: Request, seed: int, rule: str, replica: MakeReplica = RaftReplica) -> Request:
    """The same finding with fewer actions and a shorter run, as far as some tries lead.

    Args:
        request: what found it.
        seed: where.
        rule: the property that must still be found broken.
        replica: how a replica is made.
    """
    plan = request.plan(seed)
    tries = 0

    def still(candidate: Request) -> bool:
        nonlocal tries
        tries += 1
        return tries <= TRIALS_MAX and candidate.run(seed, replica).rule == rule

    kept = list(range(len(plan.actions)) if request.keep is None else request.keep)
    size = max(1, len(kept) // 2)
    while size:
        place = 0
        while place < len(kept):
            fewer = kept[:place] + kept[place + size :]
            if still(_with(request, tuple(fewer), request.stop_ms)):
                kept = fewer
            else:
                place += size
        size //= 2
    shortest = _with(request, tuple(kept), request.stop_ms)
    stop_ms = plan.active_us // 1000
    while stop_ms > 1 and still(shorter := _with(request, tuple(kept), stop_ms // 2)):
        shortest, stop_ms = shorter, stop_ms // 2
    return shortest


def _with(request: Request, keep: tuple[int, ...], stop_ms: int | None) -> Request:
    return Request(request.protocol, request.profile, request.kinds, keep, stop_ms, request.twins)


def _run_chunk(request: Request, seeds: Sequence[int]) -> list[Outcome]:
    """What a process of the pool does."""
    return [request.run(seed) for seed in seeds]


def _say_nothing(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def simulate(
    request: Request,
    first: int,
    end: int,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] = _say_nothing,
) -> Report:
    """Run all seeds from `first` up to but without `end`; none is left out.

    Args:
        request: what to simulate.
        first: the first seed.
        end: the first one not run.
        workers: processes; as many as there are cores when None, none besides this one when 0.
        progress: told (seeds run, seeds in all).
    """
    started = perf_counter()
    report = Report(request, first, end)
    chunks = [range(at, min(at + CHUNK, end)) for at in range(first, end, CHUNK)]
    outcomes: list[Outcome] = []
    if workers == 0 or len(chunks) == 1:
        for chunk in chunks:
            outcomes += _run_chunk(request, chunk)
            progress(len(outcomes), end - first)
    else:
        with ProcessPoolExecutor(workers) as pool:
            for task in as_completed([pool.submit(_run_chunk, request, c) for c in chunks]):
                outcomes += task.result()
                progress(len(outcomes), end - first)
    for outcome in sorted(outcomes, key=lambda outcome: outcome.seed):
        report.messages += outcome.messages
        report.elections += outcome.elections
        report.decided += outcome.decided
        report.acknowledged += outcome.acknowledged
        report.healed_units_max = max(report.healed_units_max, outcome.healed_units)
        if outcome.rule:
            _file(report, outcome)
    report.seconds = perf_counter() - started
    return report


def _file(report: Report, outcome: Outcome) -> None:
    request = report.request
    if request.twins:
        found = report.outside_model
    elif outcome.rule == LIVENESS:
        found = report.liveness_failures
    else:
        found = report.violations
    shrunk, schedule = "", tuple[str, ...]()
    if len(found) < SHRUNK_MAX and request.keep is None:
        shorter = shrink(request, outcome.seed, outcome.rule)
        plan = request.plan(outcome.seed)
        shrunk = shorter.replay(outcome.seed)
        schedule = tuple(str(plan.actions[number]) for number in shorter.keep or ())
    found.append(
        Finding(
            outcome.seed,
            outcome.rule,
            outcome.words,
            request.replay(outcome.seed),
            shrunk,
            schedule,
        )
    )
