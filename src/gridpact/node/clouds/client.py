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
from gridpact.node.clouds.protocol import DeclinedError, ProtocolError, read_result, task_of
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
class _Judge:
    problem: Problem
    clear: tuple[FloatArray, FloatArray]
    """Coal and carbon per energy: three products a unit, so they are simply worked out again."""

    def same(self, one: Answer, other: Answer) -> bool:
        return same_answer(one, other)

    def right(self, answer: Answer) -> bool:
        coal, carbon = self.clear
        return (
            difference(answer.coal_t_per_mwh, coal) <= SAME
            and difference(answer.t_per_mwh, carbon) <= SAME
            and is_right(self.problem, answer.x_mw, secrets.token_bytes)
        )


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
    curves, p_mw = [curve for curve, _ in units], np.array([p for _, p in units], dtype=np.float64)
    judge = _Judge(problem, price_clear(curves, p_mw))

    async def ask(name: str) -> Answered[Answer] | NotAnswered:
        if name == CENTRE:
            return Answered(name, Answer(solve_clear(problem), *judge.clear))
        answer = await _asked(problem, curves, p_mw, providers[name], terms)
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


async def _asked(
    problem: Problem,
    curves: Sequence[CoalCurve],
    p_mw: FloatArray,
    provider: Provider,
    terms: Terms,
) -> Answer | None:
    """What a provider answers, with the cover taken off; None when it did not answer.

    Of an answer that is no result of the right shape and of finite numbers nothing remains but
    NaN, which is the same as nothing: such a provider is wrong, also against itself.
    """
    mask = terms.draw(problem, secrets.token_bytes)
    masked_curves, curve_mask = mask_curves(curves, p_mw, secrets.token_bytes)
    task = task_of(secrets.randbits(32), mask_problem(problem, mask), masked_curves)
    data = await provider.ask(task, terms.timeout_s)
    if data is None:
        return None
    try:
        solution, coal, carbon = read_result(data, task)
        return Answer(unmask_solution(solution, mask), *unmask_curves(coal, carbon, curve_mask))
    except DeclinedError:
        return None
    except (ProtocolError, MaskError):
        nothing = np.full(1, np.nan)
        return Answer(nothing, nothing, nothing)
