"""Who is right when providers differ, who is paid and who pays: a pure state machine.

`start` and `step` take what happened and give what is to be done, in order. Answers are opaque: a
`Judge` compares them. Whose last result stands is paid one fee for each of its results that is the
same; nobody else is paid.

Stages of the double check, [SUN23], section 4.3:

    FIRST   I and II answer. Same: it stands, both are paid.
    AGAIN   both once more, on fresh masks. Now the same: it stands; who contradicted itself is
            struck. Still different: the same, and then THIRD.
    THIRD   III answers. Same as one of the two: that stands; the other is struck and pays III.
    CENTRE  the grid's own data centre computes in the clear, and its result stands. Who differs
            from it is struck, and those split its cost and the fees of who was right.

Ours, where the paper says nothing: if III is the same as both, a residual check of each tells; who
does not answer is replaced by the next, not paid and not struck; once somebody did not answer, the
data centre's stage costs the grid alone; when too few are left the data centre computes; when that
does not answer, the job ends as TIMED_OUT and no money moves.

The mode RESIDUAL, which is ours, hires one provider at a time and puts each answer into the
equations, so it needs no second one. A wrong answer is struck at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from gridpact.errors import InputError, Problem, invariant
from gridpact.units import split_by_largest_remainder

if TYPE_CHECKING:
    from collections.abc import Sequence

GRID = "grid"
"""The account of the grid company, which orders and pays."""
CENTRE = "data-centre"
"""Its own data centre: an account, and a name in events that no provider may have."""

_RESULTS_MAX = {"double-check": 5, "residual": 1}
"""Most right results that the grid may have to pay: two of I, two of II, one of III."""

A = TypeVar("A")
A_contra = TypeVar("A_contra", contravariant=True)


class Judge(Protocol[A_contra]):
    """Compares answers."""

    def same(self, one: A_contra, other: A_contra) -> bool:
        """The double check; need not be transitive."""

    def right(self, answer: A_contra) -> bool:
        """The residual check."""


class Mode(StrEnum):
    """How answers are checked."""

    DOUBLE = "double-check"
    RESIDUAL = "residual"


class Stage(StrEnum):
    """Where a job stands."""

    FIRST = "first"
    AGAIN = "again"
    THIRD = "third"
    CENTRE = "centre"
    ACCEPTED = "accepted"
    TIMED_OUT = "timed-out"


@dataclass(frozen=True, slots=True)
class Answered(Generic[A]):
    """Event: a result is in."""

    provider: str
    answer: A


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """Event: nothing came in time, or the provider is gone."""

    provider: str


@dataclass(frozen=True, slots=True)
class Hire:
    """Effect: ask a provider, on fresh masks; `CENTRE` computes in the clear."""

    provider: str


@dataclass(frozen=True, slots=True)
class Pay:
    """Effect: money moves."""

    payer: str
    payee: str
    amount: int
    """> 0, in the unit of the fees."""


@dataclass(frozen=True, slots=True)
class Strike:
    """Effect: a wrong result; `Standings.struck` says whether it leads to the blacklist."""

    provider: str


Effect = Hire | Pay | Strike


@dataclass(frozen=True, slots=True)
class Job(Generic[A]):
    """One job, between two events."""

    mode: Mode
    fee: int
    """Of a right result."""
    centre_cost: int
    """Of the data centre."""
    reserve: tuple[str, ...]
    """Who may still be hired, in order."""
    stage: Stage = Stage.FIRST
    waiting: frozenset[str] = frozenset()
    """Whose answer is awaited."""
    results: Mapping[str, tuple[A, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Of each who answered, in order of its answers."""
    absent: frozenset[str] = frozenset()
    """Who did not answer when asked."""
    stands: A | None = None
    """The result, once the job is ACCEPTED."""


Step = tuple[Job[A], tuple[Effect, ...]]


def exposure(mode: Mode, fee: int, centre_cost: int) -> int:
    """Most that a job can cost the grid, its own data centre included; in the unit of the fees."""
    return _RESULTS_MAX[mode] * fee + centre_cost


def start(mode: Mode, providers: Sequence[str], fee: int, centre_cost: int) -> Step[A]:
    """A new job.

    Args:
        providers: who may be hired, the first ones first.
        fee: of a right result.
        centre_cost: of the grid's own data centre.
    Raises:
        InputError: a name twice, or of another account; an amount below 0.
    """
    problems = [
        Problem(name, f"{amount} is not allowed; allowed: 0 and above; correct it")
        for name, amount in (("fee", fee), ("centre_cost", centre_cost))
        if amount < 0
    ]
    if len(set(providers)) != len(providers) or {GRID, CENTRE} & set(providers):
        message = f"{', '.join(providers)}: names differ, and none is {GRID} or {CENTRE}; rename"
        problems.append(Problem("providers", message))
    if problems:
        raise InputError(problems)
    job: Job[A] = Job(mode, fee, centre_cost, tuple(providers))
    return _hire(job, 2 if mode is Mode.DOUBLE else 1)


def step(job: Job[A], event: Answered[A] | NotAnswered, judge: Judge[A]) -> Step[A]:
    """What comes of an event. One that nobody waits for, as it is late, changes nothing."""
    name = event.provider
    if name not in job.waiting:
        return job, ()
    job = replace(job, waiting=job.waiting - {name})
    if isinstance(event, NotAnswered):
        job = replace(job, absent=job.absent | {name})
    elif name == CENTRE:
        return _centre_answered(job, event.answer, judge)
    else:
        mine = (*job.results.get(name, ()), event.answer)
        job = replace(job, results=MappingProxyType({**job.results, name: mine}))
    if name == CENTRE:
        return replace(job, stage=Stage.TIMED_OUT), ()
    if job.mode is Mode.RESIDUAL:
        return _residual(job, name, judge)
    if job.stage is Stage.FIRST:
        return _first(job, judge)
    return _again(job, judge) if job.stage is Stage.AGAIN else _third(job, name, judge)


def _first(job: Job[A], judge: Judge[A]) -> Step[A]:
    missing = 2 - len(job.results) - len(job.waiting)
    if missing and job.reserve:
        return _hire(job, missing)
    if job.waiting:
        return job, ()
    if missing:
        return _to_centre(job)
    one, other = _pair(job)
    if judge.same(_last(job, one), _last(job, other)):
        return _accept(job, _last(job, one), (one, other), judge)
    asked = frozenset((one, other))
    return replace(job, stage=Stage.AGAIN, waiting=asked), (Hire(one), Hire(other))


def _again(job: Job[A], judge: Judge[A]) -> Step[A]:
    if job.waiting:
        return job, ()
    pair = one, other = _pair(job)
    strikes = tuple(
        Strike(name) for name in pair if not judge.same(job.results[name][0], _last(job, name))
    )
    if judge.same(_last(job, one), _last(job, other)):
        job, paid = _accept(job, _last(job, one), pair, judge)
        return job, (*strikes, *paid)
    job, hired = _hire(replace(job, stage=Stage.THIRD), 1)
    return job, (*strikes, *hired)


def _third(job: Job[A], name: str, judge: Judge[A]) -> Step[A]:
    if name not in job.results:
        return _hire(job, 1)
    pair, third = _pair(job), _last(job, name)
    right = tuple(one for one in pair if judge.same(_last(job, one), third))
    if len(right) == 2:  # ours: sameness has a tolerance, and III lies between the two
        right = tuple(one for one in pair if judge.right(_last(job, one)))
    if not right:
        return _to_centre(job)
    answer = _last(job, right[0])
    job, effects = _accept(job, answer, right, judge)
    wrong = [one for one in pair if one not in right]
    payer = wrong[0] if wrong else GRID
    strikes = tuple(Strike(one) for one in wrong)
    return job, (*effects, *_paid(payer, name, job.fee), *strikes)


def _residual(job: Job[A], name: str, judge: Judge[A]) -> Step[A]:
    if name not in job.results:
        return _hire(job, 1)
    if judge.right(_last(job, name)):
        return _accept(job, _last(job, name), (name,), judge)
    job, effects = _hire(job, 1)
    return job, (Strike(name), *effects)


def _centre_answered(job: Job[A], answer: A, judge: Judge[A]) -> Step[A]:
    double = job.mode is Mode.DOUBLE  # in the other, all who answered were found wrong and struck
    right = tuple(name for name in job.results if double and judge.same(_last(job, name), answer))
    wrong = tuple(name for name in job.results if name not in right)
    job, paid = _accept(job, answer, right, judge)
    due = (*paid, *_paid(GRID, CENTRE, job.centre_cost))
    if wrong and not job.absent:
        due = tuple(pay for owed in due for pay in _split(owed, wrong))
    return job, (*due, *(Strike(name) for name in wrong if double))


def _split(owed: Pay, payers: tuple[str, ...]) -> tuple[Pay, ...]:
    """A payment in equal parts; the first ones bear what is left over."""
    parts = split_by_largest_remainder(owed.amount, [1] * len(payers))
    return tuple(
        pay
        for name, part in zip(payers, parts, strict=True)
        for pay in _paid(name, owed.payee, part)
    )


def _hire(job: Job[A], count: int) -> Step[A]:
    """Ask the next ones; the data centre when there are too few."""
    chosen, reserve = job.reserve[:count], job.reserve[count:]
    if len(chosen) < count and not job.waiting | set(job.results):
        return _to_centre(job)
    if not chosen:
        return _to_centre(job)
    asked = replace(job, reserve=reserve, waiting=job.waiting | set(chosen))
    return asked, tuple(Hire(name) for name in chosen)


def _to_centre(job: Job[A]) -> Step[A]:
    return replace(job, stage=Stage.CENTRE, waiting=frozenset((CENTRE,))), (Hire(CENTRE),)


def _accept(
    job: Job[A], answer: A, right: tuple[str, ...], judge: Judge[A]
) -> tuple[Job[A], tuple[Pay, ...]]:
    """The answer stands, and the grid pays those whose last result it is."""
    invariant(not job.waiting, "nobody is asked in vain")
    fees = tuple(
        pay
        for name in right
        for pay in _paid(
            GRID, name, job.fee * sum(judge.same(one, answer) for one in job.results[name])
        )
    )
    return replace(job, stage=Stage.ACCEPTED, stands=answer), fees


def _paid(payer: str, payee: str, amount: int) -> tuple[Pay, ...]:
    return (Pay(payer, payee, amount),) if amount else ()


def _pair(job: Job[A]) -> tuple[str, str]:
    """The two that were compared first."""
    one, other = tuple(job.results)[:2]
    return one, other


def _last(job: Job[A], name: str) -> A:
    return job.results[name][-1]
