"""The study of weighted Raft: claims of [XIONG23], theirs, ours, the gap; then what breaks.

One seeded run gives a page, its plots and the numbers behind them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from gridpact.studies.consensus_claims import (
    credit_curves,
    election_claims,
    failure_claims,
    saving_claims,
    score_claims,
    timeout_claims,
)
from gridpact.studies.consensus_elections import (
    SWEEP_MEMBERS,
    SWEEP_MS,
    WAN_MS,
    plain_elections,
    sweep_point,
    weighted_elections,
    winners,
)
from gridpact.studies.consensus_figures import (
    correlation_figure,
    crash_figure,
    credit_figure,
    part_figures,
    saving_figure,
    scenario_figures,
    timeout_figure,
    winners_figure,
)
from gridpact.studies.consensus_lies import Lie, play_lies
from gridpact.studies.consensus_rounds import NEAR_US, ROUNDS, draw_rtts_us
from gridpact.studies.consensus_savings import (
    BOUNDS_US,
    LEADER,
    SEEDS,
    correlation_point,
    crash,
    crash_savings,
    savings,
    scenarios,
    season_of,
)
from gridpact.studies.study_page import (
    Claim,
    Figure,
    claim_table,
    figure_list,
    finite,
    page,
    percent,
    table,
    write_folder,
)

WANTED = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0)
SEED = 0
"""Of what is shown for one draw only."""


@dataclass(frozen=True, slots=True)
class Study:
    """All results."""

    claims: list[Claim]
    lies: list[Lie]
    figures: list[Figure]
    times: list[tuple[str, str, str, str, str]]
    """(leader, rounds, plain, weighted, saved): the paper's tables 5 to 7, for one draw."""
    numbers: dict[str, object]
    """What the figures were drawn from."""


def run_study(seeds: int = SEEDS, progress: Callable[[int, int], None] = lambda *_: None) -> Study:
    """Run everything.

    Args:
        seeds: how many draws of links and markets averages are over.
        progress: (done, total) steps.
    """
    steps = len(BOUNDS_US) + len(WANTED) + len(SWEEP_MS) + 3
    done = iter(range(1, steps + 1))
    saved = {}
    for name, bounds_us in BOUNDS_US.items():
        saved[name] = savings(bounds_us, seeds)
        progress(next(done), steps)
    points = []
    for wanted in WANTED:
        points.append(correlation_point(wanted, seeds))
        progress(next(done), steps)
    sweep = []
    for ms in SWEEP_MS:
        sweep.append(sweep_point((0.75 * ms, 1.25 * ms)))
        progress(next(done), steps)
    wan = [sweep_point(WAN_MS, members) for members in (5, 7, SWEEP_MEMBERS)]
    progress(next(done), steps)
    crashed = crash_savings(seeds)
    progress(next(done), steps)
    won = winners(weighted_elections(season_of(SEED)))
    plain = winners(plain_elections(SEED))
    complying, defaulting = credit_curves(ROUNDS)
    three, one_crash = scenarios(SEED), crash(SEED)
    figures = [
        winners_figure(won, plain),
        *scenario_figures(three),
        saving_figure(saved),
        correlation_figure(points),
        crash_figure(one_crash),
        timeout_figure(sweep),
        credit_figure(complying, defaulting),
        *part_figures(season_of(SEED)),
    ]
    claims = score_claims() + election_claims(won, plain) + saving_claims(saved)
    claims += failure_claims(points[-1], crashed) + timeout_claims(sweep[0], wan[-1])
    lies = play_lies(draw_rtts_us(SEED, NEAR_US)[LEADER], LEADER)
    progress(next(done), steps)
    numbers: dict[str, object] = {
        "seeds": seeds,
        "winners_weighted": won,
        "winners_plain": plain,
        "scenarios": {each.leader: each.table() for each in three},
        "savings": {
            name: {kind: asdict(mean) for kind, mean in found.items()}
            for name, found in saved.items()
        },
        "correlation": [asdict(point) for point in points],
        "crash": {span: asdict(mean) for span, mean in crashed.items()},
        "timeouts": [asdict(point) for point in (*sweep, *wan)],
        "credit": {"complying": complying, "defaulting": defaulting},
    }
    times = [
        (
            str(int(each.leader[1:])),
            str(rounds),
            f"{plain_s:.2f} s",
            f"{ours_s:.2f} s",
            percent(cut),
        )
        for each in three
        for rounds, plain_s, ours_s, cut in each.table()
    ]
    return Study(claims, lies, figures, times, numbers)


def study_json(study: Study) -> dict[str, object]:
    """Claims, lies and numbers as JSON has them; what is infinite becomes null."""
    content = {
        "claims": [asdict(claim) for claim in study.claims],
        "lies": [asdict(lie) for lie in study.lies],
        "numbers": study.numbers,
    }
    plain = finite(content)
    return plain if isinstance(plain, dict) else {}


def write_study(study: Study, folder: Path) -> None:
    """Write `index.html`, `study.json` and one SVG for each figure.

    Raises:
        StoreError: the disk refused.
    """
    write_folder(folder, _page(study), "study.json", study_json(study), study.figures)


def _page(study: Study) -> str:
    """Everything on one page that needs nothing from elsewhere."""
    lies = table(
        ("lie", "what came of it", "harm"),
        [(each.lie, each.outcome, "yes" if each.harm else "no") for each in study.lies],
    )
    times = table(("leader", "rounds", "plain", "weighted", "saved"), study.times)
    body = f"""<h1>What weights do to Raft</h1>
<p>Claims of Xiong et al. (2023) about Raft with scores as voting weights, with 30 participants,
played again from the formulas. The paper gives no delays, volumes or tariffs, so shapes can match
and single numbers can not. Lines marked (N) are not printed in the paper: they are our own earlier
reading of its formulas. Averages are over {study.numbers["seeds"]} seeds, with standard error.</p>
<h2>Theirs, ours, the gap</h2>{claim_table(study.claims)}
<h2>Total time, three leaders, one draw of links U(10, 50) ms</h2>{times}
<h2>Figures</h2>{figure_list(study.figures)}
<h2>One liar</h2>
<p>Raft trusts its members. What one of them can do when it lies, played with real replicas:</p>
{lies}"""
    return page("Weighted Raft, studied", body)
