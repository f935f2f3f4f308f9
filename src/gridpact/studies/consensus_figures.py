"""The figures of the consensus study, each with a title and what to see in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gridpact.settlement.score_parts import POINT_MICRO
from gridpact.studies.consensus_elections import (
    HARDENED_RANK,
    PAPER_RANDOM,
    PAPER_RANK,
    SweepPoint,
)
from gridpact.studies.consensus_market import NAMES, Season, factors_of, scores_of
from gridpact.studies.consensus_savings import (
    CRASH_ROUND,
    EPOCH_FAULTS,
    FLEXIBLE,
    NO_PART,
    PAPER,
    CorrelationPoint,
    Crash,
    Mean,
    Scenario,
    epoch_kind,
)
from gridpact.studies.consensus_svg import Axes, Bars, Line, draw_bars, draw_lines
from gridpact.studies.study_page import Figure

SHOWN = (("p01", "a"), ("p11", "b"), ("p17", "c"), ("p27", "d"))
"""Participants of the paper's figures 7 and 10."""
TRADED = (("p01", "a"), ("p03", "b"), ("p16", "c"), ("p25", "d"))
"""Participants of its figure 9."""
COLOURS = ("a", "b", "c")


def credit_figure(complying: Sequence[float], defaulting: Sequence[float]) -> Figure:
    """The paper's figure 8."""
    rounds = range(1, len(complying) + 1)
    lines = [
        Line("always complies, from 0", rounds, complying, "a"),
        Line("30 % short each round, from 100", rounds, defaulting, "b"),
    ]
    title = "Credit of who keeps contracts, and of who does not"
    axes = Axes("settlement round", "credit (points)", 0, 100)
    caption = (
        "It climbs ever slower to a saw-tooth: every 30 rounds decay takes 5 %, and the next 30 "
        "bring it back. Defaults bring it below 1 in 13 rounds."
    )
    return Figure("credit", title, caption, draw_lines(title, axes, lines))


def part_figures(season: Season) -> list[Figure]:
    """The paper's figures 9 and 10: certificates, and total scores without participation."""
    rounds = range(1, len(season.boards) + 1)
    certificates = [
        Line(
            f"participant {int(name[1:])}",
            rounds,
            [board[name].certificates_micro / POINT_MICRO for board in season.boards],
            colour,
        )
        for name, colour in TRADED
    ]
    factors = {name: factors_of(name) for name in NAMES}
    scores = [scores_of(board, {}, factors) for board in season.boards]
    totals = [
        Line(
            f"participant {int(name[1:])}",
            rounds,
            [score[name] / POINT_MICRO for score in scores],
            colour,
        )
        for name, colour in SHOWN
    ]
    first = "Share of green certificates"
    second = "Total score, before what taking part in consensus adds"
    return [
        Figure(
            "certificates",
            first,
            "Whoever has the only certificate has 100 points for a day, beyond this axis. Then: "
            "1 and 3 generate and sell every 20 rounds, 16 and 25 buy: who sold has a smaller "
            "part, who bought a larger one that then thins out as others are issued more.",
            draw_lines(first, Axes("settlement round", "part (points)", 0, 25), certificates),
        ),
        Figure(
            "scores",
            second,
            "Each grows to a level and then moves within a band. 17 defaults every day.",
            draw_lines(second, Axes("settlement round", "score (points)", 0, 70), totals),
        ),
    ]


def winners_figure(won: Mapping[str, int], plain: Mapping[str, int]) -> Figure:
    """The paper's tables 3 and 4."""
    title = "Who wins 200 elections"
    bars = [
        Bars("weighted, rank timeout", [won[name] for name in NAMES], "a"),
        Bars("plain, random timeout", [plain[name] for name in NAMES], "grid"),
    ]
    axes = Axes("participant", "elections won", 0, 150)
    labels = [str(int(name[1:])) for name in NAMES]
    caption = (
        "With ranks the heaviest replica of the day always wins, so three share all elections; "
        "with random timeouts everybody leads at times."
    )
    return Figure("elections", title, caption, draw_bars(title, axes, labels, bars))


def scenario_figures(found: Sequence[Scenario]) -> list[Figure]:
    """The paper's figures 1 to 6 for its three leaders."""
    times, replies, saved = [], [], []
    for scenario, colour in zip(found, COLOURS, strict=True):
        rounds = range(1, len(scenario.weighted) + 1)
        leader = f"leader {int(scenario.leader[1:])}"
        weighted_ms = [each.time_us / 1000 for each in scenario.weighted]
        plain_ms = [each.time_us / 1000 for each in scenario.plain]
        times.append(Line(f"{leader}, weighted", rounds, weighted_ms, colour, steps=True))
        times.append(Line(f"{leader}, plain", rounds, plain_ms, colour, dashed=True))
        replies.append(Line(leader, rounds, scenario.replies, colour, steps=True))
        saved.append(Line(leader, rounds, [100 * s for s in scenario.saved_until()], colour))
    replies.append(Line("plain", [1, len(found[0].plain)], [15, 15], "grid", dashed=True))
    titles = (
        "Time of each round, three leaders",
        "How many replies a decision waits for",
        "Time saved so far, three leaders",
    )
    low = min(min(line.ys) for line in times)
    high = max(max(line.ys) for line in times)
    axes = (
        Axes("settlement round", "ms", int(low) - 1, int(high) + 2),
        Axes("settlement round", "place of the intermediate node by delay", 9, 17),
        Axes("settlement round", "% of plain Raft's time", -5, 25),
    )
    captions = (
        (
            "Plain rounds always wait for the same reply. Weights change which reply completes the "
            "quorum, so the time moves, and falls as those who answer first gain weight."
        ),
        (
            "The paper's intermediate node is the slowest acknowledgement that completes the "
            "quorum. Plain Raft of 30 needs 15 replies; weights bring it to 11, because 30 points "
            "for taking part make near replicas about 1.7 times as heavy as far ones."
        ),
        (
            "One draw of links, U(10, 50) ms. How much is saved depends on the leader's links far "
            "more than on anything the scores measure."
        ),
    )
    names = ("round-time", "intermediate-node", "time-saved")
    return [
        Figure(name, title, caption, draw_lines(title, axis, lines))
        for name, title, caption, axis, lines in zip(
            names, titles, captions, axes, (times, replies, saved), strict=True
        )
    ]


def saving_figure(savings: Mapping[str, Mapping[str, Mean]]) -> Figure:
    """Kinds of weights and the counted quorum beside each other."""
    kinds = [PAPER, FLEXIBLE, *(epoch_kind(faulty) for faulty in EPOCH_FAULTS), NO_PART]
    labels = ["scores", "13 replies", "epochs, f = 9", "epochs, f = 13", "without part"]
    shown = [(bounds, found) for bounds, found in savings.items() if bounds.startswith("U")]
    bars = [
        Bars(
            f"round trips {bounds}",
            [100 * found[kind].mean for kind in kinds],
            colour,
            [100 * found[kind].error for kind in kinds],
        )
        for (bounds, found), colour in zip(shown, COLOURS, strict=False)
    ]
    title = "Time saved over 200 rounds, by what is counted"
    caption = (
        "Raw scores save about 9 % and 14 %. Counting 13 replies of 30, with no weights at all, "
        "saves nearly as much and asks elections for 18 votes instead. Weights bounded so that 9 "
        "or 13 may crash save less. Whiskers: standard error over seeds."
    )
    axes = Axes("", "% of plain Raft's time", 0, 16)
    return Figure("savings", title, caption, draw_bars(title, axes, labels, bars))


def correlation_figure(points: Sequence[CorrelationPoint]) -> Figure:
    """Savings over how far away heavy members are."""
    xs = [point.correlation for point in points]
    lines = [
        Line("scores", xs, [100 * p.with_part.mean for p in points], "a", marks=True),
        Line(
            "scores without the part for taking part",
            xs,
            [100 * p.without_part.mean for p in points],
            "b",
            marks=True,
        ),
    ]
    title = "Weights save time when who is heavy is near, and cost time when not"
    notes = ((-0.7, -9, "heavy members near"), (0.7, -9, "heavy members far"))
    axes = Axes("rank correlation of score and delay", "% of time saved", -10, 25, notes=notes)
    caption = (
        "Nothing makes a good trader a near neighbour. The part for taking part follows the links "
        "by itself, which is where the saving comes from: it measures distance, not merit."
    )
    return Figure("correlation", title, caption, draw_lines(title, axes, lines))


def crash_figure(one: Crash) -> Figure:
    """Round times around the crash."""
    rounds = range(1, len(one.plain_us) + 1)
    lines = [
        Line("weighted", rounds, [us / 1000 for us in one.weighted_us], "a", steps=True),
        Line("plain", rounds, [us / 1000 for us in one.plain_us], "grid", steps=True),
        Line(
            "13 replies",
            rounds,
            [us / 1000 for us in one.flexible_us],
            "b",
            dashed=True,
            steps=True,
        ),
    ]
    title = f"The 8 heaviest followers crash in round {CRASH_ROUND}"
    high = max(one.weighted_us) // 1000 + 5
    caption = (
        "The crashed keep their weight, so the others must bring together more than before: "
        "weighted rounds are slower than plain ones until those that answer have gained weight."
    )
    axes = Axes("settlement round", "ms", 0, high)
    return Figure("crash", title, caption, draw_lines(title, axes, lines))


def timeout_figure(points: Sequence[SweepPoint]) -> Figure:
    """Median time to a leader over the delay."""
    xs = [(point.one_way_ms[0] + point.one_way_ms[1]) / 2 for point in points]
    kinds = ((PAPER_RANK, "b"), (PAPER_RANDOM, "grid"), (HARDENED_RANK, "a"))
    lines = [
        Line(kind, xs, [point.median_ms[kind] for point in points], colour, marks=True)
        for kind, colour in kinds
    ]
    failed = [x for x, point in zip(xs, points, strict=True) if not point.elected[PAPER_RANK]]
    notes = ((80, 6600, f"paper: nobody from {failed[0]:g} ms on"),) if failed else ()
    title = f"How long {points[0].members} replicas take to elect a leader"
    axes = Axes("one-way delay (ms)", "ms", 50, 10_000, log_y=True, notes=notes)
    caption = (
        "The paper's timeouts elect while votes come back within its shortest, 105 ms: up to about "
        "50 ms one way. Further out everybody stands again before the votes for them arrive. Ranks "
        "fitted to the delay elect everywhere; they wait ten round trips before they suspect a "
        "leader, so they are slow on slow links."
    )
    return Figure("timeouts", title, caption, draw_lines(title, axes, lines))
