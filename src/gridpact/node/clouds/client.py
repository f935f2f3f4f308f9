"""The grid company: masks a snapshot, asks providers, checks, arbitrates, takes the cover off."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.outsourcing import (
    Answer,
    MaskError,
    is_right,
    mask_curves,
    mask_problem,
    same_answer,
    sparse_mask,
    unmask_curves,
    unmask_solution,
)
from gridpact.carbon.outsourcing.checks import SAME, difference
from gridpact.carbon.outsourcing.cloud import price_clear, solve_clear
from gridpact.codec import sha256
from gridpact.node.clouds.protocol import (
    DeclinedError,
    ProtocolError,
    Task,
    frame,
    read_result,
    task_of,
)
from gridpact.settlement.arbitration import (
    CENTRE,
    Answered,
    Effect,
    Hire,
    Job,
    Mode,
    NotAnswered,
    Pay,
    Strike,
    start,
    step,
)

if TYPE_CHECKING:
    from gridpact.carbon import CoalCurve
    from gridpact.carbon.outsourcing.curves import CurveMask
    from gridpact.carbon.outsourcing.masks import Bits, Mask
    from gridpact.carbon.outsourcing.problem import Problem
    from gridpact.model.carbon import FloatArray
    from gridpact.node.clouds.provider import Provider
    from gridpact.settlement.standings import Standings

TIMEOUT_S = 60.0
FEE = 1_000
"""Of a right result, in whatever unit the accounts have."""
CENTRE_COST = 5_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job is done under."""

    mode: Mode = Mode.DOUBLE
    fee: int = FEE
    centre_cost: int = CENTRE_COST
    timeout_s: float = TIMEOUT_S
    draw: Callable[[Problem, Bits], Mask] = sparse_mask
    """The family of masks."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job."""

    job: Job[Answer]
    payments: tuple[Pay, ...]
    strikes: tuple[str, ...]
    standings: Standings
    """After the job."""


@dataclass(frozen=True, slots=True)
class AnswerJudge:
    """The grid company's own checks."""

    problem: Problem
    clear: tuple[FloatArray, FloatArray]
    """Coal and carbon per energy: three products a unit, so they are simply worked out again."""

    def same(self, one: Answer, other: Answer) -> bool:
        """The double check."""
        return same_answer(one, other)

    def right(self, answer: Answer) -> bool:
        """The residual check, and the curves once more."""
        coal, carbon = self.clear
        return (
            difference(answer.coal_t_per_mwh, coal) <= SAME
            and difference(answer.t_per_mwh, carbon) <= SAME
            and is_right(self.problem, answer.x_mw, secrets.token_bytes)
        )


def judge_of(problem: Problem, units: Sequence[tuple[CoalCurve, float]]) -> AnswerJudge:
    """The checks of one snapshot's answers; curves are checked by working them out again."""
    return AnswerJudge(problem, price_clear(*_parted(units)))


async def outsource(
    problem: Problem,
    units: Sequence[tuple[CoalCurve, float]],
    providers: Mapping[str, Provider],
    standings: Standings,
    cycle: int,
    terms: Terms | None = None,
) -> Outcome:
    """Have a snapshot traced by providers who are not trusted.

    Args:
        units: running units with a coal curve, and their MW.
        providers: by name, the first ones asked first.
        standings: who is on the blacklist.
        cycle: the settlement period.
        terms: by default those of `Terms`.
    Raises:
        InputError: names, amounts or powers that are not allowed.
    """
    terms = terms or Terms()
    judge = judge_of(problem, units)

    async def ask(name: str) -> Answered[Answer] | NotAnswered:
        if name == CENTRE:
            return Answered(name, computed(problem, units))
        reply = await hire(problem, units, providers[name], terms)
        answer = None if reply is None else reply.opened()
        return NotAnswered(name) if answer is None else Answered(name, answer)

    able = [name for name in providers if standings.may_hire(name, cycle)]
    job: Job[Answer]
    job, effects = start(terms.mode, able, terms.fee, terms.centre_cost)
    done: list[Effect] = []
    while effects:
        done += effects
        hired = [effect.provider for effect in effects if isinstance(effect, Hire)]
        effects = ()
        for event in await asyncio.gather(*map(ask, hired)):
            job, more = step(job, event, judge)
            effects += more
    payments = tuple(effect for effect in done if isinstance(effect, Pay))
    strikes = tuple(effect.provider for effect in done if isinstance(effect, Strike))
    for name in strikes:
        standings = standings.struck(name, cycle)
    return Outcome(job, payments, strikes, standings)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from a provider, still under its cover."""

    task: Task
    data: bytes
    mask: Mask
    curve_mask: CurveMask

    @property
    def hashes(self) -> tuple[bytes, bytes]:
        """SHA-256 of the task as it was sent and of what came back: what a ledger anchors."""
        return sha256(frame(self.task)), sha256(self.data)

    @property
    def declined(self) -> bool:
        """Whether the provider says that it does not do the task: as good as no answer."""
        try:
            read_result(self.data, self.task)
        except DeclinedError:
            return True
        except ProtocolError:
            return False
        return False

    def opened(self) -> Answer | None:
        """The answer with its cover taken off; None when the provider declined.

        Of an answer that is no result of the right shape and of finite numbers nothing remains but
        NaN, which is the same as nothing: such a provider is wrong, also against itself.
        """
        try:
            solution, coal, carbon = read_result(self.data, self.task)
            costs = unmask_curves(coal, carbon, self.curve_mask)
            return Answer(unmask_solution(solution, self.mask), *costs)
        except DeclinedError:
            return None
        except (ProtocolError, MaskError):
            nothing = np.full(1, np.nan)
            return Answer(nothing, nothing, nothing)


async def hire(
    problem: Problem,
    units: Sequence[tuple[CoalCurve, float]],
    provider: Provider,
    terms: Terms,
) -> Reply | None:
    """Have a provider work on fresh masks; None when nothing came in time."""
    curves, p_mw = _parted(units)
    mask = terms.draw(problem, secrets.token_bytes)
    masked_curves, curve_mask = mask_curves(curves, p_mw, secrets.token_bytes)
    task = task_of(secrets.randbits(32), mask_problem(problem, mask), masked_curves)
    data = await provider.ask(task, terms.timeout_s)
    return None if data is None else Reply(task, data, mask, curve_mask)


def computed(problem: Problem, units: Sequence[tuple[CoalCurve, float]]) -> Answer:
    """What the grid company's own data centre computes in the clear."""
    return Answer(solve_clear(problem), *price_clear(*_parted(units)))


def _parted(units: Sequence[tuple[CoalCurve, float]]) -> tuple[list[CoalCurve], FloatArray]:
    return [curve for curve, _ in units], np.array([p for _, p in units], dtype=np.float64)
