"""How fast a clearing certificate is checked, against what PIQP takes to solve the same window.

The ratio is what travels between machines; seconds are those of the machine at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from gridpact.codec import encode
from gridpact.errors import invariant
from gridpact.market.integer.microgrids import (
    GAP_PPB_DEFAULT,
    ClearingVerdict,
    verify,
)
from gridpact.market.solvers import programme_of
from gridpact.market.solvers.programme import alone
from gridpact.studies.microgrid_windows import Solved, piqp_seconds, random_bids, solved

SIZES = (4, 20, 100)
"""Microgrids."""
PERIODS = 24
REPEATS = 9
"""Check and solutions take turns so often, and the best time of each counts: who comes more often
would have more luck on a busy machine."""


def bench_verify(
    sizes: Sequence[int] = SIZES, periods: int = PERIODS
) -> dict[str, dict[str, float | int]]:
    """Time `verify`, from decoded bids and certificate to verdict, and PIQP's solve.

    A certificate holds the joint plan and every plan without trade, and all of it is checked; what
    PIQP takes for the plans without trade is stated apart and is not in the ratio.

    Args:
        sizes: microgrids.
        periods: of the window.
    Returns:
        per size `ours_s`, `baseline_s` of the joint problem alone, `ratio` (times faster),
        `alone_s` of PIQP, `certificate_bytes`.
    """
    figures: dict[str, dict[str, float | int]] = {}
    for size in sizes:
        terms, bids = random_bids(size, periods, seed=size)
        found = solved(terms, bids)
        programme = programme_of(terms, bids)
        separate = alone(programme)
        seconds = [
            (_checked(found), piqp_seconds(programme), piqp_seconds(separate))
            for _ in range(REPEATS)
        ]
        ours_s, baseline_s, alone_s = (min(column) for column in zip(*seconds, strict=True))
        figures[f"{size} x {periods}"] = {
            "ours_s": ours_s,
            "baseline_s": baseline_s,
            "ratio": baseline_s / ours_s,
            "alone_s": alone_s,
            "certificate_bytes": len(encode(found.certificate)),
        }
    return figures


def _checked(found: Solved) -> float:
    """Seconds of one check."""
    weights = [1] * len(found.bids)
    started = perf_counter()
    verdict = verify(found.terms, found.bids, weights, found.certificate, GAP_PPB_DEFAULT)
    seconds = perf_counter() - started
    invariant(verdict is ClearingVerdict.ACCEPTED, f"a good certificate: {verdict.name}")
    return seconds
