"""What [XIONG23] claims, what comes out here, and the gap between the two."""

from __future__ import annotations

from gridpact.settlement.score_parts import POINT_MICRO, ScoreParts
from gridpact.settlement.scores import MeteredDeal, after_round, after_trades
from gridpact.studies.consensus_elections import (
    HARDENED_RANK,
    PAPER_RANDOM,
    PAPER_RANK,
    SweepPoint,
)
from gridpact.studies.consensus_savings import (
    EPOCH_FAULTS,
    FLEXIBLE,
    NO_PART,
    PAPER,
    CorrelationPoint,
    Mean,
    epoch_kind,
)
from gridpact.studies.study_page import Claim, percent

PAIRS = 15
STRONG = ("p01", "p02", "p05")


def credit_curves(rounds: int, shortfall_permille: int = 300) -> tuple[list[float], list[float]]:
    """Credit after each round, in points: from 0 always complying, from 100 always defaulting.

    Fifteen pairs trade equal volumes, so each share is 1/15.

    Source: [XIONG23], section 5.3.1, figure 8.
    """
    board = {
        f"{side}{pair:02}": ScoreParts(0, 0, 0, 0, 0, 0, 0)
        for side in "bs"
        for pair in range(PAIRS)
    }
    board["s01"] = ScoreParts(100 * POINT_MICRO, 0, 0, 0, 0, 0, 0)
    deals = [
        MeteredDeal(
            f"s{pair:02}",
            f"b{pair:02}",
            1000,
            1000 - shortfall_permille if pair == 1 else 1000,
            1000,
        )
        for pair in range(PAIRS)
    ]
    complying, defaulting = [], []
    for k in range(1, rounds + 1):
        traded = after_trades(board, deals, {})
        board = after_round(traded, round_number=k, leader="", acknowledged=())
        complying.append(traded["s00"].credit_micro / POINT_MICRO)
        defaulting.append(board["s01"].credit_micro / POINT_MICRO)
    return complying, defaulting


def score_claims() -> list[Claim]:
    """Numbers of the credit curves."""
    complying, defaulting = credit_curves(900)
    mild = credit_curves(60, 100)[1]
    after_first = complying[29] * 0.951229
    below = next(k for k, points in enumerate(defaulting, 1) if points < 1)
    mild_below = next(k for k, points in enumerate(mild, 1) if points < 1)
    rows = [
        ("credit from 0 after 10 rounds (N)", "49.8", f"{complying[9]:.1f}"),
        (
            "before and after the first decay (N)",
            "87.4, 83.1",
            f"{complying[29]:.1f}, {after_first:.1f}",
        ),
        ("credit after 200 rounds (N)", "98.6", f"{complying[199]:.1f}"),
        (
            "limit cycle (N)",
            "99.30, 94.46",
            f"{complying[899]:.2f}, {complying[899] * 0.951229:.2f}",
        ),
        ("30 % short each round: credit after 10 (N)", "2.8", f"{defaulting[9]:.1f}"),
        ("30 % short each round: below 1 after (N)", "13 rounds", f"{below} rounds"),
        ("10 % short each round: below 1 after (N)", "44 rounds", f"{mild_below} rounds"),
    ]
    return [
        Claim(name, theirs, ours, "none" if theirs == ours else "a different number")
        for name, theirs, ours in rows
    ]


def election_claims(won: dict[str, int], plain: dict[str, int]) -> list[Claim]:
    """The winners of 200 elections."""
    others = sum(won.values()) - sum(won[name] for name in STRONG)
    counts = sorted(plain.values())
    return [
        Claim(
            "weighted: elections won by 1 / 2 / 5",
            "146 / 24 / 30",
            " / ".join(str(won[name]) for name in STRONG),
            f"shape only; {others} won by others. The paper gives no volumes, ours are chosen",
        ),
        Claim(
            "plain: elections won by each of 30",
            "about equal",
            f"{counts[0]} to {counts[-1]}, mean {sum(counts) / len(counts):.1f}",
            "200 fair draws over 30 have a mean of 6.7, give or take 2.5",
        ),
    ]


def gap_to(theirs: float, found: Mean) -> str:
    """How far a mean lies from a stated share, in points of percent and in standard errors.

    >>> gap_to(0.136, Mean(0.138, 0.013))
    '+0.2 points, 0.2 standard errors'
    """
    apart = found.mean - theirs
    errors = f", {abs(apart) / found.error:.1f} standard errors" if found.error else ""
    return f"{100 * apart:+.1f} points{errors}"


def saving_claims(savings: dict[str, dict[str, Mean]]) -> list[Claim]:
    """Time saved over 200 rounds, by range of round trips."""

    def shown(bounds: str, kind: str) -> str:
        found = savings[bounds][kind]
        return f"{percent(found.mean)} \u00b1 {100 * found.error:.1f}"

    near, wide, equal = "U(16.5, 43.5) ms", "U(10, 50) ms", "equal 30 ms"
    claims = [
        Claim(
            "saved when all delays are equal (N)",
            "0 %",
            shown(equal, PAPER),
            gap_to(0, savings[equal][PAPER]),
        ),
        Claim(
            "total time saved after 200 rounds",
            "about 9 %",
            f"{shown(near, PAPER)} on {near}",
            f"{gap_to(0.09, savings[near][PAPER])}; the paper gives no delays",
        ),
        Claim(
            f"the same on {wide} (N)",
            "13.6 %",
            shown(wide, PAPER),
            gap_to(0.136, savings[wide][PAPER]),
        ),
        Claim(
            "13 replies of 30, no weights (N)",
            "10.9 %",
            f"{shown(near, FLEXIBLE)} near, {shown(wide, FLEXIBLE)} wide",
            "its delays are not given; drawn evenly, 3 places of 30 are 9.0 % and 13.3 %",
        ),
        Claim(
            "without the part for taking part",
            "not given",
            f"{shown(near, NO_PART)} near, {shown(wide, NO_PART)} wide",
            "most of the saving is that part",
        ),
    ]
    claims += [
        Claim(
            f"ours: weights {epoch_kind(faulty)}",
            "not given",
            f"{shown(near, epoch_kind(faulty))} near, {shown(wide, epoch_kind(faulty))} wide",
            "what bounded weights leave of it",
        )
        for faulty in EPOCH_FAULTS
    ]
    return claims


def failure_claims(far: CorrelationPoint, crash: dict[str, Mean]) -> list[Claim]:
    """Where weights cost time."""
    spans = [f"{percent(found.mean)} in the {span}" for span, found in crash.items()]
    return [
        Claim(
            "heavy members far away, without taking part (N)",
            "-11 %",
            f"{percent(far.without_part.mean)} \u00b1 {100 * far.without_part.error:.1f}",
            f"{gap_to(-0.11, far.without_part)}; the spread of scores decides, and is not given",
        ),
        Claim(
            "after the 8 heaviest followers crash (N)",
            "slower",
            "; ".join(spans),
            "slower at first; then who still answers gains weight",
        ),
    ]


def timeout_claims(lan: SweepPoint, wan: SweepPoint) -> list[Claim]:
    """The rank timeout near and far."""

    def elected(kind: str) -> str:
        return f"{wan.elected[kind]} of {wan.seeds}"

    return [
        Claim(
            "LAN: median time to a leader, rank and random (N)",
            "105 ms, 165 ms",
            f"{lan.median_ms[PAPER_RANK]:.0f} ms, {lan.median_ms[PAPER_RANDOM]:.0f} ms",
            f"{lan.members} members, 1 ms one way; more members draw a shorter least timeout",
        ),
        Claim(
            "40 to 100 ms one way: the paper's rank timeout elects (N)",
            "never",
            f"{elected(PAPER_RANK)} within 10 s",
            f"{wan.members} members; with 5 to 9 some draws have fast links and elect",
        ),
        Claim(
            "the same, hardened (N)",
            "elects",
            f"{elected(HARDENED_RANK)}, median {wan.median_ms[HARDENED_RANK] / 1000:.1f} s",
            "none"
            if wan.elected[HARDENED_RANK] == wan.seeds
            else "some elections without a leader",
        ),
    ]
