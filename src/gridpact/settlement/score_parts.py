"""What a participant's score is made of, and the factors that weigh it.

Integers in millionths of a point, 0..100 points; no replica ever rounds differently.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from gridpact.codec import Natural, Wire
from gridpact.errors import invariant
from gridpact.units import floor_divide

POINT_MICRO = 1_000_000
"""Millionths in a point."""
SCORE_MAX_MICRO = 100 * POINT_MICRO
PERMILLE = 1000

PartMicro = Annotated[int, Meta(ge=0, le=SCORE_MAX_MICRO)]
"""A part of a score, in millionths of a point."""
Permille = Annotated[int, Meta(ge=0, le=PERMILLE)]


class ScoreParts(Wire, frozen=True):
    """All that is remembered of one participant for its score.

    Source: [XIONG23], eq. (2), (8)-(13); the symbols in the fields' descriptions.
    """

    credit_micro: PartMicro
    """W_a: how well contracts were kept."""
    volume_micro: PartMicro
    """W_d: traded volume of the last round."""
    participation_micro: PartMicro
    """W_g: acknowledgements that decisions waited for."""
    certificates_micro: PartMicro
    """W_gc: share of all green certificates."""
    carbon_micro: PartMicro | None
    """W_ce: allowances left in the last closed cycle; None for who has no quota."""
    transmissions: Natural
    """C_t: deliveries of a generator so far."""
    line_faults: Natural
    """C_b: how many of them failed with their line."""

    @property
    def lines_micro(self) -> int:
        """W_b = 100 (C_t - C_b) / C_t. Source: [XIONG23], eq. (23). Ours: 0 when C_t = 0."""
        if not self.transmissions:
            return 0
        sound = self.transmissions - self.line_faults
        return floor_divide(SCORE_MAX_MICRO * sound, self.transmissions)


def first_parts(*, has_quota: bool) -> ScoreParts:
    """Of a participant that has just registered.

    Args:
        has_quota: whether it takes part in emissions trading.
    """
    return ScoreParts(0, 0, 0, 0, 0 if has_quota else None, 0, 0)


class Factors(Wire, frozen=True):
    """How much each part counts, in thousandths; together at most 1."""

    credit_permille: Permille
    """alpha"""
    volume_permille: Permille
    """beta"""
    participation_permille: Permille
    """gamma"""
    certificates_permille: Permille
    """eta"""
    carbon_permille: Permille
    """mu"""
    lines_permille: Permille
    """lambda; 0 for consumers"""

    @property
    def sum_permille(self) -> int:
        """Of all six."""
        return sum(msgspec.structs.astuple(self))


GENERATOR_FACTORS = Factors(200, 200, 300, 100, 100, 100)
CONSUMER_FACTORS = Factors(200, 200, 300, 100, 200, 0)
"""Source: [XIONG23], section 5.2, with gamma = 0.3 as in its timing study; both sum to 1."""


def without_participation(factors: Factors) -> Factors:
    """The same with gamma = 0. Source: [XIONG23], section 5.2.1.

    Also what runs that compare engines use: only some engines have acknowledgements to report.
    """
    return msgspec.structs.replace(factors, participation_permille=0)


def score_micro(parts: ScoreParts, factors: Factors) -> int:
    """The score W in millionths of a point, 0..100 points.

    Without a quota the other factors grow in proportion until they sum to what all summed to.

    >>> full = ScoreParts(*[SCORE_MAX_MICRO] * 4, None, 1, 0)
    >>> score_micro(full, GENERATOR_FACTORS)
    100000000

    Source: [XIONG23], eq. (8)-(13). Ours: who has no quota, which the paper does not consider.
    """
    whole = factors.sum_permille
    invariant(whole <= PERMILLE, f"factors sum to {whole} thousandths; at most {PERMILLE}")
    counted = whole - (factors.carbon_permille if parts.carbon_micro is None else 0)
    if counted == 0:
        return 0
    weighed = (
        factors.credit_permille * parts.credit_micro
        + factors.volume_permille * parts.volume_micro
        + factors.participation_permille * parts.participation_micro
        + factors.certificates_permille * parts.certificates_micro
        + factors.carbon_permille * (parts.carbon_micro or 0)
        + factors.lines_permille * parts.lines_micro
    )
    return floor_divide(weighed * whole, counted * PERMILLE)
