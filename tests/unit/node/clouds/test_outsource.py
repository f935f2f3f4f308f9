"""Jobs with providers that are processes: honest ones and every kind of liar."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.papers.test_sun23_tracing import CURVES, wang
from tests.unit.carbon.flows import random_flow

from gridpact.carbon.outsourcing import problem_of
from gridpact.carbon.outsourcing.checks import SAME, difference
from gridpact.carbon.outsourcing.cloud import solve_clear
from gridpact.carbon.outsourcing.problem import Problem
from gridpact.node.clouds import Outcome, Provider, Terms, outsource
from gridpact.settlement.arbitration import CENTRE, GRID, Mode, Stage
from gridpact.settlement.standings import Standings

LIAR = str(Path(__file__).with_name("liar.py"))


def slow(*kinds: str) -> list[object]:
    """Each takes processes of two seconds; the quick run has the others."""
    return [pytest.param(kind, marks=pytest.mark.slow) for kind in kinds]


WRONG = ["single", "nan", *slow("number", "scaled", "zeros", "shape", "number-of-another", "noise")]
ABSENT = ["crash", *slow("silent", "refuses", "huge", "half")]


def liar(name: str, *arguments: str) -> Provider:
    return Provider(name, (sys.executable, LIAR, *arguments))


def problem() -> Problem:
    return problem_of(random_flow(4, 12, 8, acyclic=True))


def run(*providers: Provider, terms: Terms | None = None, standings: Standings | None = None):
    """A job, and the money that each account gained."""

    async def job() -> Outcome:
        try:
            by_name = {provider.name: provider for provider in providers}
            given = standings or Standings()
            units = [(CURVES[0], 400.0), (CURVES[1], 100.0)]
            return await outsource(problem(), units, by_name, given, 0, terms)
        finally:
            await asyncio.gather(*(provider.close() for provider in providers))

    outcome = asyncio.run(job())
    gained: dict[str, int] = {}
    for pay in outcome.payments:
        gained[pay.payer] = gained.get(pay.payer, 0) - pay.amount
        gained[pay.payee] = gained.get(pay.payee, 0) + pay.amount
    return outcome, gained


def assert_right(outcome: Outcome) -> None:
    assert outcome.job.stage is Stage.ACCEPTED
    answer = outcome.job.stands
    assert answer is not None
    assert difference(answer.x_mw, solve_clear(problem())) < SAME
    carbon = [float(c.t_per_mwh(np.float64(p))) for c, p in zip(CURVES, (400, 100), strict=True)]
    assert answer.t_per_mwh == pytest.approx(carbon, rel=SAME)


def test_two_honest_ones() -> None:
    outcome, gained = run(Provider("I"), Provider("II"))
    assert_right(outcome)
    assert gained == {GRID: -2000, "I": 1000, "II": 1000}
    assert outcome.strikes == ()


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_one_is_found_and_pays_the_third(kind: str) -> None:
    """Lies on fresh masks are not even the same as themselves, so these are two wrong results."""
    outcome, gained = run(Provider("I"), liar("II", kind), Provider("III"))
    assert_right(outcome)
    assert gained == {GRID: -2000, "I": 2000, "II": -1000, "III": 1000}
    assert outcome.strikes == ("II", "II")
    assert [outcome.standings.may_hire("II", cycle) for cycle in (0, 3, 4)] == [False, False, True]
    assert outcome.standings.may_hire("I", 0)


@pytest.mark.parametrize("kind", ABSENT)
def test_who_does_not_answer_is_replaced(kind: str) -> None:
    terms = Terms(timeout_s=10.0 if kind == "silent" else 60.0)
    outcome, gained = run(Provider("I"), liar("II", kind), Provider("III"), terms=terms)
    assert_right(outcome)
    assert gained == {GRID: -2000, "I": 1000, "III": 1000}
    assert outcome.strikes == ()
    assert outcome.job.absent == {"II"}


def test_one_that_is_wrong_once(tmp_path: Path) -> None:
    outcome, gained = run(Provider("I"), liar("II", "once", str(tmp_path / "mark")))
    assert_right(outcome)
    assert gained == {GRID: -3000, "I": 2000, "II": 1000}
    assert outcome.strikes == ("II",)
    assert outcome.standings.may_hire("II", 0)


def test_the_data_centre_decides_between_liars() -> None:
    outcome, gained = run(liar("I", "zeros"), liar("II", "scaled"), liar("III", "number"))
    assert_right(outcome)
    assert gained == {"I": -1667, "II": -1667, "III": -1666, CENTRE: 5000}


def test_residual_mode_needs_one() -> None:
    outcome, gained = run(liar("I", "single"), Provider("II"), terms=Terms(mode=Mode.RESIDUAL))
    assert_right(outcome)
    assert gained == {GRID: -1000, "II": 1000}
    assert outcome.strikes == ("I",)


def test_the_blacklist_is_not_asked() -> None:
    standings = Standings().struck("I", 0).struck("I", 0)
    outcome, gained = run(liar("I", "zeros"), Provider("II"), standings=standings)
    assert_right(outcome)
    assert gained == {GRID: -5000, CENTRE: 5000}
    assert "I" not in outcome.job.results


def test_four_nodes_of_the_paper() -> None:
    """The 4-node system, with its thermal units, through two processes."""
    flow = wang()

    async def job() -> Outcome:
        providers = {name: Provider(name) for name in ("I", "II")}
        units = list(zip(CURVES, flow.p_source_mw[0], strict=True))
        try:
            return await outsource(problem_of(flow), units, providers, Standings(), 0)
        finally:
            await asyncio.gather(*(provider.close() for provider in providers.values()))

    answer = asyncio.run(job()).job.stands
    assert answer is not None
    assert answer.coal_t_per_mwh == pytest.approx([0.293370, 0.289088], abs=0.6e-6)
    rho = answer.x_mw @ answer.t_per_mwh / problem_of(flow).through_mw
    assert rho[:4] == pytest.approx([0.168668, 0.737127, 0.432151, 0.236020], abs=0.6e-6)
