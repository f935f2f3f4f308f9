"""Every path of the tree of [SUN23], section 4.3, and what holds on all of them.

An answer is a letter and a number: the same when the letters are; right when it is R.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridpact.errors import InputError
from gridpact.settlement.arbitration import (
    CENTRE,
    GRID,
    Answered,
    Hire,
    Job,
    Mode,
    NotAnswered,
    Pay,
    Stage,
    Strike,
    exposure,
    start,
    step,
)

FEE, COST = 100, 501
FIVE = ("I", "II", "III", "IV", "V")


class Letters:
    """Same letter, same answer. `close` names letters that are the same beyond that."""

    def __init__(self, *close: str) -> None:
        self.close = [set(pair) for pair in close]

    def same(self, one: str, other: str) -> bool:
        return one == other or {one, other} in self.close

    def right(self, answer: str) -> bool:
        return answer == "R"


def play(
    script: Mapping[str, str],
    mode: Mode = Mode.DOUBLE,
    providers: tuple[str, ...] = FIVE,
    judge: Letters | None = None,
) -> tuple[Job[str], dict[str, int], list[str], list[str]]:
    """A job in which each provider gives its letters one after the other; `-` is no answer.

    Returns:
        the ended job, what each account has gained, who was struck, who was hired.
    """
    left = {name: list(letters) for name, letters in script.items()}
    gained: dict[str, int] = {}
    struck, hired = [], []
    job: Job[str]
    job, effects = start(mode, providers, FEE, COST)
    queue = list(effects)
    while queue:
        effect = queue.pop(0)
        if isinstance(effect, Pay):
            assert effect.amount > 0
            gained[effect.payer] = gained.get(effect.payer, 0) - effect.amount
            gained[effect.payee] = gained.get(effect.payee, 0) + effect.amount
        elif isinstance(effect, Strike):
            struck.append(effect.provider)
        else:
            assert isinstance(effect, Hire)
            name = effect.provider
            hired.append(name)
            letter = left[name].pop(0)
            event = NotAnswered(name) if letter == "-" else Answered(name, letter)
            job, more = step(job, event, judge or Letters())
            queue += more
    assert job.stage in {Stage.ACCEPTED, Stage.TIMED_OUT}
    assert not job.waiting
    assert sum(gained.values()) == 0
    return job, {name: money for name, money in gained.items() if money}, struck, hired


@pytest.mark.parametrize(
    ("script", "stands", "gained", "struck"),
    [
        # S0: the same at once.
        ({"I": "R", "II": "R"}, "R", {GRID: -200, "I": 100, "II": 100}, []),
        # S1a: II changed, and is paid for its second result only.
        ({"I": "RR", "II": "WR"}, "R", {GRID: -300, "I": 200, "II": 100}, ["II"]),
        # S1a: both changed, to the same.
        ({"I": "VR", "II": "WR"}, "R", {GRID: -200, "I": 100, "II": 100}, ["I", "II"]),
        # S1b, S2: II is wrong twice the same way, and pays III.
        (
            {"I": "RR", "II": "WW", "III": "R"},
            "R",
            {GRID: -200, "I": 200, "II": -100, "III": 100},
            ["II"],
        ),
        # S1b, S2 the other way round.
        (
            {"I": "WW", "II": "RR", "III": "R"},
            "R",
            {GRID: -200, "I": -100, "II": 200, "III": 100},
            ["I"],
        ),
        # S1c: II contradicts itself and stays wrong: two wrong results.
        (
            {"I": "RR", "II": "WV", "III": "R"},
            "R",
            {GRID: -200, "I": 200, "II": -100, "III": 100},
            ["II", "II"],
        ),
        # S1c: I contradicts itself, and its last result stands.
        (
            {"I": "VR", "II": "WW", "III": "R"},
            "R",
            {GRID: -100, "I": 100, "II": -100, "III": 100},
            ["I", "II"],
        ),
        # S3: the data centre finds I right; 501 + 200 in two parts, the first bears the rest.
        (
            {"I": "RR", "II": "WW", "III": "V", CENTRE: "R"},
            "R",
            {"I": 200, "II": -351, "III": -350, CENTRE: 501},
            ["II", "III"],
        ),
        # S3: III is right, and has one result.
        (
            {"I": "VV", "II": "WW", "III": "R", CENTRE: "R"},
            "R",
            {"I": -301, "II": -300, "III": 100, CENTRE: 501},
            ["I", "II"],
        ),
        # S3: none is right, and the three pay the data centre.
        (
            {"I": "UU", "II": "VV", "III": "W", CENTRE: "R"},
            "R",
            {"I": -167, "II": -167, "III": -167, CENTRE: 501},
            ["I", "II", "III"],
        ),
    ],
)
def test_paths_of_the_paper(
    script: dict[str, str], stands: str, gained: dict[str, int], struck: list[str]
) -> None:
    job, money, strikes, _ = play(script)
    assert (job.stage, job.stands) == (Stage.ACCEPTED, stands)
    assert money == gained
    assert strikes == struck


@pytest.mark.parametrize(
    ("script", "providers", "gained", "struck", "asked"),
    [
        # Who does not answer first is replaced, and neither paid nor struck.
        (
            {"I": "-", "II": "R", "III": "R"},
            FIVE,
            {GRID: -200, "II": 100, "III": 100},
            [],
            "I II III",
        ),
        # Nobody is left: the data centre decides, at the cost of the grid.
        (
            {"I": "R", "II": "-", CENTRE: "R"},
            ("I", "II"),
            {GRID: -601, "I": 100, CENTRE: 501},
            [],
            "I II data-centre",
        ),
        (
            {"I": "W", "II": "-", CENTRE: "R"},
            ("I", "II"),
            {GRID: -501, CENTRE: 501},
            ["I"],
            "I II data-centre",
        ),
        # I does not answer again: its first result is its last.
        (
            {"I": "R-", "II": "WW", "III": "R"},
            FIVE,
            {GRID: -100, "I": 100, "II": -100, "III": 100},
            ["II"],
            "I II I II III",
        ),
        # III does not answer: IV is asked, and II pays what it would have paid.
        (
            {"I": "RR", "II": "WW", "III": "-", "IV": "R"},
            FIVE,
            {GRID: -200, "I": 200, "II": -100, "IV": 100},
            ["II"],
            "I II I II III IV",
        ),
        # Nobody answers third: the data centre's stage costs the grid, as II only answered.
        (
            {"I": "RR", "II": "WW", "III": "-", CENTRE: "R"},
            FIVE[:3],
            {GRID: -701, "I": 200, CENTRE: 501},
            ["II"],
            "I II I II III data-centre",
        ),
        # There is no third: as S3 with two.
        (
            {"I": "RR", "II": "WW", CENTRE: "R"},
            FIVE[:2],
            {"I": 200, "II": -701, CENTRE: 501},
            ["II"],
            "I II I II data-centre",
        ),
        # One provider alone cannot be checked, and is not asked.
        ({CENTRE: "R"}, FIVE[:1], {GRID: -501, CENTRE: 501}, [], "data-centre"),
    ],
)
def test_who_does_not_answer(
    script: dict[str, str],
    providers: tuple[str, ...],
    gained: dict[str, int],
    struck: list[str],
    asked: str,
) -> None:
    job, money, strikes, hired = play(script, providers=providers)
    assert (job.stage, job.stands) == (Stage.ACCEPTED, "R")
    assert money == gained
    assert strikes == struck
    assert hired == asked.split()


def test_a_data_centre_that_does_not_answer_moves_no_money() -> None:
    script = {"I": "UU", "II": "VV", "III": "W", CENTRE: "-"}
    job, money, strikes, _ = play(script)
    assert (job.stage, job.stands) == (Stage.TIMED_OUT, None)
    assert (money, strikes) == ({}, [])


@pytest.mark.parametrize(
    ("letters", "gained", "struck", "stage_of_centre"),
    [
        ("RW", {GRID: -200, "I": 200, "II": -100, "III": 100}, ["II"], False),
        ("UV", {"I": -251, "II": -250, CENTRE: 501}, ["I", "II"], True),
    ],
)
def test_a_third_between_the_two(
    letters: str, gained: dict[str, int], struck: list[str], stage_of_centre: bool
) -> None:
    """III is the same as both: the residual tells; when it finds none right, the data centre."""
    one, other = letters
    judge = Letters(f"{one}M", f"{other}M")
    script = {"I": one * 2, "II": other * 2, "III": "M", CENTRE: "R"}
    if stage_of_centre:
        judge = Letters(f"{one}M", f"{other}M", "MR")
        gained = gained | {"I": -301, "II": -300, "III": 100}
    job, money, strikes, hired = play(script, judge=judge)
    assert job.stands == "R"
    assert money == gained
    assert strikes == struck
    assert (CENTRE in hired) == stage_of_centre


@pytest.mark.parametrize(
    ("script", "gained", "struck", "asked"),
    [
        ({"I": "R"}, {GRID: -100, "I": 100}, [], "I"),
        ({"I": "W", "II": "R"}, {GRID: -100, "II": 100}, ["I"], "I II"),
        ({"I": "-", "II": "R"}, {GRID: -100, "II": 100}, [], "I II"),
        (
            {"I": "W", "II": "W", "III": "V", CENTRE: "R"},
            {"I": -167, "II": -167, "III": -167, CENTRE: 501},
            ["I", "II", "III"],
            "I II III data-centre",
        ),
        (
            {"I": "W", "II": "-", "III": "W", CENTRE: "R"},
            {GRID: -501, CENTRE: 501},
            ["I", "III"],
            "I II III data-centre",
        ),
    ],
)
def test_residual_mode(
    script: dict[str, str], gained: dict[str, int], struck: list[str], asked: str
) -> None:
    job, money, strikes, hired = play(script, Mode.RESIDUAL, FIVE[:3])
    assert job.stands == "R"
    assert (money, strikes, hired) == (gained, struck, asked.split())


def test_colluders_win_the_double_check_and_lose_the_residual_one() -> None:
    script = {"I": "W", "II": "W", "III": "R"}
    assert play(script)[0].stands == "W"
    assert play(script, Mode.RESIDUAL)[0].stands == "R"


def test_the_exposure_is_met_and_not_passed() -> None:
    """The data centre's result lies between all three, which differ: all are right. That it is not
    passed is part of the property below."""
    script = {"I": "UU", "II": "VV", "III": "W", CENTRE: "R"}
    _, money, _, _ = play(script, providers=FIVE[:3], judge=Letters("UR", "VR", "WR"))
    assert -money[GRID] == exposure(Mode.DOUBLE, FEE, COST)
    _, money, _, _ = play({CENTRE: "R"}, Mode.RESIDUAL, ())
    assert -money[GRID] == exposure(Mode.RESIDUAL, 0, COST)


def test_a_late_answer_changes_nothing() -> None:
    job, _ = start(Mode.DOUBLE, FIVE, FEE, COST)
    job, effects = step(job, NotAnswered("I"), Letters())
    assert effects == (Hire("III"),)
    for late in ("I", "IV", CENTRE, "nobody"):
        assert step(job, Answered(late, "W"), Letters()) == (job, ())


@pytest.mark.parametrize(
    ("providers", "fee", "cost", "where"),
    [
        (("I", "I"), 1, 1, "providers"),
        (("I", GRID), 1, 1, "providers"),
        (("I", CENTRE), 1, 1, "providers"),
        (("I", "II"), -1, 1, "fee"),
        (("I", "II"), 1, -1, "centre_cost"),
    ],
)
def test_refusals(providers: tuple[str, ...], fee: int, cost: int, where: str) -> None:
    with pytest.raises(InputError) as error:
        start(Mode.DOUBLE, providers, fee, cost)
    assert [problem.where for problem in error.value.problems] == [where]


@given(
    st.lists(st.text("RRUVW-", min_size=2, max_size=2), min_size=0, max_size=5),
    st.sampled_from("RRR-"),
    st.sampled_from(Mode),
    st.lists(st.sampled_from(["UR", "VR", "WR", "UV", "VW"]), max_size=3),
)
def test_money_is_kept_and_who_answered_right_pays_nothing(
    answers: list[str], centre: str, mode: Mode, close: list[str]
) -> None:
    """With any answers, close ones among them: the grid pays no more than its exposure. When none
    are close: sums are zero (in `play`); who was always right neither pays nor is struck,
    as long as the others do not agree on what is wrong; who never answered neither gains nor pays;
    and where somebody did not answer, nobody pays more than the fee of a third."""
    script = dict(zip(FIVE, answers, strict=False)) | {CENTRE: centre}
    _, money, _, _ = play(script, mode, FIVE[: len(answers)], Letters(*close))
    assert -money.get(GRID, 0) <= exposure(mode, FEE, COST)
    job, money, struck, hired = play(script, mode, FIVE[: len(answers)])
    for name in hired:
        given_letters = script[name][: hired.count(name)]
        if not given_letters.strip("-"):
            assert money.get(name, 0) == 0 or name in {CENTRE, GRID}
            assert name not in struck
        if job.stands == "R" and set(given_letters) <= {"R", "-"} and name != CENTRE:
            assert money.get(name, 0) >= 0
            assert name not in struck
    if job.absent:
        assert all(money.get(name, 0) >= -FEE for name in FIVE)
    if job.stage is Stage.TIMED_OUT:
        assert not money
    else:
        assert job.stands is not None
