"""Scores of participants: what they earn by keeping contracts, trading, taking part, being green.

Pure functions from the parts of all participants to new parts, in the order of the paper's moments:
after a trade is metered, after a settlement round, every so many rounds, after a carbon cycle.
A score ranks and shares money; it is no voting weight, and nothing here knows who votes.

Everybody is visited in the order of ids, all divisions are floors: the same bits on every replica.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gridpact.errors import invariant
from gridpact.settlement.score_parts import (
    PERMILLE,
    POINT_MICRO,
    SCORE_MAX_MICRO,
    ScoreParts,
)
from gridpact.units import floor_divide

Board = Mapping[str, ScoreParts]
"""The parts of every participant, by id."""


@dataclass(frozen=True, slots=True)
class ScoreRules:
    """Numbers of the formulas. Source: [XIONG23], section 5.2."""

    smallest_permille: int = 500
    """phi in 0..999: how much of the smallest volume is taken off before volumes are compared."""
    step_micro: int = POINT_MICRO
    """omega, in millionths of a point: what an acknowledgement earns in the long run."""
    decay_every: int = 30
    """l, in settlement rounds."""
    decay_micro: int = 951_229
    """exp(-delta) in millionths, for delta = 0.05."""
    tolerance_permille: int = 0
    """tau: a shortfall up to this share of what was contracted is no default. Ours."""

    def __post_init__(self) -> None:
        """Whether the formulas stay within their range."""
        invariant(0 <= self.smallest_permille < PERMILLE, "phi is in 0..999 thousandths")
        invariant(0 <= self.step_micro <= SCORE_MAX_MICRO, "omega is in 0..100 points")
        invariant(self.decay_every >= 1, "decay comes every l >= 1 rounds")
        invariant(0 <= self.decay_micro <= POINT_MICRO, "decay keeps 0..1 of a part")
        invariant(0 <= self.tolerance_permille <= PERMILLE, "tau is in 0..1000 thousandths")


PAPER_RULES = ScoreRules()


@dataclass(frozen=True, slots=True)
class MeteredDeal:
    """A contract after delivery, with what the meters gave it. Source: [XIONG23], section 2.2."""

    seller: str
    buyer: str
    contracted_wh: int
    injected_wh: int
    """E_a of the seller for this deal, Wh."""
    consumed_wh: int
    """E_a of the buyer for this deal, Wh."""


@dataclass(frozen=True, slots=True)
class CarbonPosition:
    """A participant's allowances and emissions in a closed cycle, all in one unit of mass."""

    quota: int
    bought: int
    sold: int
    emitted: int
    """Verified."""

    @property
    def left(self) -> int:
        """A_ce, negative when emissions were not covered.

        Source: [XIONG23], eq. (22). Ours: what was sold is subtracted.
        """
        return self.quota + self.bought - self.sold - self.emitted


@dataclass(slots=True)
class _Volume:
    """One participant's deals of a round."""

    contracted_wh: int = 0
    delivered_wh: int = 0
    """Sum of min(E_a, E_c): over-delivery in one deal makes up for nothing in another."""

    def add(self, contracted_wh: int, metered_wh: int) -> None:
        self.contracted_wh += contracted_wh
        self.delivered_wh += min(contracted_wh, metered_wh)


def after_trades(
    board: Board,
    deals: Sequence[MeteredDeal],
    line_faults: Mapping[str, int],
    rules: ScoreRules = PAPER_RULES,
) -> dict[str, ScoreParts]:
    """The board once all deals of a settlement round are metered: W_a, W_d and W_b.

    Args:
        board: before; must hold every party of the deals.
        deals: of the whole round, in any order. Those over 0 Wh are skipped.
        line_faults: by generator, how many of its deliveries failed with their line this round.
        rules: numbers of the formulas.

    Source: [XIONG23], eq. (14)-(18), (23). Ours: who has several deals is scored once, on their
    sums, and E_c,tot counts each deal once, so that the shares of all sellers, and of all buyers,
    sum to 1; who did not trade keeps its credit and has no volume.
    """
    volumes: dict[str, _Volume] = {}
    counts: dict[str, int] = {}
    for deal in deals:
        metered = (deal.injected_wh, deal.consumed_wh)
        invariant(min(deal.contracted_wh, *metered) >= 0, f"energy below 0 in {deal}")
        invariant(deal.seller in board and deal.buyer in board, f"no score for a party of {deal}")
        invariant(deal.seller != deal.buyer, f"one party on both sides of {deal}")
        if deal.contracted_wh == 0:
            continue
        counts[deal.seller] = counts.get(deal.seller, 0) + 1
        for name, metered_wh in zip((deal.seller, deal.buyer), metered, strict=True):
            volumes.setdefault(name, _Volume()).add(deal.contracted_wh, metered_wh)
    total_wh = sum(deal.contracted_wh for deal in deals)
    largest_wh = max((volume.contracted_wh for volume in volumes.values()), default=0)
    smallest_wh = min((volume.delivered_wh for volume in volumes.values()), default=0)
    after = {}
    for name in sorted(board):
        parts, volume = board[name], volumes.get(name, _Volume())
        sent = counts.get(name, 0)
        failed = min(sent, _natural(line_faults.get(name, 0), name))
        after[name] = msgspec.structs.replace(
            parts,
            credit_micro=_credit_micro(parts.credit_micro, volume, total_wh, rules),
            volume_micro=_volume_micro(volume, largest_wh, smallest_wh, rules),
            transmissions=parts.transmissions + sent,
            line_faults=parts.line_faults + failed,
        )
    return after


def _credit_micro(held_micro: int, volume: _Volume, total_wh: int, rules: ScoreRules) -> int:
    """W_a after a round.

    Source: [XIONG23], eq. (14)-(17). Ours: the upper limit is 100, section 5.2 misprints it as
    zero; more than contracted is no default.
    """
    contracted_wh = volume.contracted_wh
    if contracted_wh == 0:
        return held_micro
    shortfall_wh = contracted_wh - volume.delivered_wh
    if PERMILLE * shortfall_wh <= rules.tolerance_permille * contracted_wh:
        room_micro = SCORE_MAX_MICRO - held_micro
        return held_micro + floor_divide(room_micro * contracted_wh, total_wh)
    return floor_divide(held_micro * volume.delivered_wh, contracted_wh)


def _volume_micro(volume: _Volume, largest_wh: int, smallest_wh: int, rules: ScoreRules) -> int:
    """W_d of a round.

    Source: [XIONG23], eq. (18). Ours: 0 for who did not trade, and for all when nothing was.
    """
    off = rules.smallest_permille * smallest_wh
    span = PERMILLE * largest_wh - off
    if volume.contracted_wh == 0 or span == 0:
        return 0
    return floor_divide(SCORE_MAX_MICRO * (PERMILLE * volume.delivered_wh - off), span)


def after_round(
    board: Board,
    *,
    round_number: int,
    leader: str,
    acknowledged: Collection[str],
    rules: ScoreRules = PAPER_RULES,
) -> dict[str, ScoreParts]:
    """The board after a settlement round: W_g of those that the decision waited for, then decay.

    Args:
        board: before.
        round_number: k >= 1, of settlement rounds, never of blocks.
        leader: of the round; it is not credited.
        acknowledged: whose acknowledgements completed the quorum or came before; on the ledger
            they arrive as a transaction that carries them signed. Who has no score is ignored.
        rules: numbers of the formulas.

    Source: [XIONG23], eq. (19), (24), (25). Ours: the increment omega (k + 1) / k, where the
    source prints "wk+1k"; decay stands after the increment of the same round.
    """
    invariant(round_number >= 1, f"settlement rounds count from 1, not {round_number}")
    step_micro = floor_divide(rules.step_micro * (round_number + 1), round_number)
    due = round_number % rules.decay_every == 0
    kept_micro = rules.decay_micro if due else POINT_MICRO
    credited = set(acknowledged) - {leader}
    after = {}
    for name in sorted(board):
        parts = board[name]
        gained_micro = step_micro if name in credited else 0
        participation_micro = min(SCORE_MAX_MICRO, parts.participation_micro + gained_micro)
        after[name] = msgspec.structs.replace(
            parts,
            credit_micro=floor_divide(parts.credit_micro * kept_micro, POINT_MICRO),
            participation_micro=floor_divide(participation_micro * kept_micro, POINT_MICRO),
        )
    return after


def after_certificates(board: Board, held: Mapping[str, int]) -> dict[str, ScoreParts]:
    """The board after green certificates were issued, traded or retired: W_gc.

    Args:
        board: before.
        held: by owner, certificates active or retired for its own use, within their validity and
            never expired. What was sold counts for the buyer alone.

    Source: [XIONG23], eq. (20). Ours: 0 for all when there are none; shares are floors, so they
    sum to 100 points less than one millionth for each participant.
    """
    total = sum(_natural(held[name], name) for name in held if name in board)
    after = {}
    for name in sorted(board):
        share_micro = floor_divide(SCORE_MAX_MICRO * held.get(name, 0), total) if total else 0
        after[name] = msgspec.structs.replace(board[name], certificates_micro=share_micro)
    return after


def after_cycle(board: Board, positions: Mapping[str, CarbonPosition]) -> dict[str, ScoreParts]:
    """The board after a carbon cycle has closed: W_ce.

    Args:
        board: before.
        positions: of everybody with a quota.

    Source: [XIONG23], eq. (21), (22). Ours: 0 for all when all positions are equal; who has no
    quota has no such part, and its factor goes to the others (`score_micro`).
    """
    left = {name: positions[name].left for name in sorted(board) if name in positions}
    least, span = _range(left.values())
    after = {}
    for name in sorted(board):
        carbon_micro = None
        if name in left:
            above = left[name] - least
            carbon_micro = floor_divide(SCORE_MAX_MICRO * above, span) if span else 0
        after[name] = msgspec.structs.replace(board[name], carbon_micro=carbon_micro)
    return after


def _range(values: Iterable[int]) -> tuple[int, int]:
    """The least, and how far the largest lies above it."""
    known = sorted(values)
    return (known[0], known[-1] - known[0]) if known else (0, 0)


def _natural(count: int, name: str) -> int:
    invariant(count >= 0, f"a count of {count} for {name}")
    return count
