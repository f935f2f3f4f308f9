"""A seeded market of 30 participants over 200 rounds, as scores see it.

The set-up of [XIONG23], section 5: 15 generators and 15 consumers trade once a day, participants 17
and 29 default, 1 and 3 sell green certificates, 16 and 25 buy them, and 1, 2 and 5 "have more
transactions and fewer defaults". Volumes, positions and chances are ours: the paper prints none.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from gridpact.settlement.score_parts import (
    CONSUMER_FACTORS,
    GENERATOR_FACTORS,
    Factors,
    ScoreParts,
    first_parts,
    score_micro,
)
from gridpact.settlement.scores import (
    CarbonPosition,
    MeteredDeal,
    after_certificates,
    after_cycle,
    after_round,
    after_trades,
)
from gridpact.units import WH_PER_KWH

SIDE = 15
NAMES = tuple(f"p{number:02}" for number in range(1, 2 * SIDE + 1))
GENERATORS, CONSUMERS = NAMES[:SIDE], NAMES[SIDE:]
RENEWABLE = GENERATORS[:10]
STRONG_KWH = {"p01": 1000, "p02": 880, "p05": 890}
"""Mean daily volume of those that the paper names; the others draw from `WEAK_KWH`.

Chosen so that 1 is the heaviest on most days, as in the paper's table of winners."""
STRONG_LEFT = {"p01": 100, "p02": 96, "p05": 97}
"""Tonnes of allowances that were left to them in the last carbon cycle."""
WEAK_KWH = (250, 700)
DAILY = (850, 1150)
"""A day's volume in thousandths of its mean."""
DEFAULTERS = ("p17", "p29")
DEFAULT_PERMILLE = 700
"""What they take of what they bought."""
SLIP_PERMILLE = {True: 5, False: 20}
"""How often others fall short, for who is strong and who is not."""
FAULT_PERMILLE = 10
"""How often a generator's line fails on a day."""
SELLERS, BUYERS = ("p01", "p03"), ("p16", "p25")
SALE_EVERY = 20
"""Rounds after which half of the sellers' certificates go to the next buyer."""


@dataclass(frozen=True, slots=True)
class Season:
    """Scores without the part that depends on the network."""

    seed: int
    boards: list[dict[str, ScoreParts]]
    """After the trades of each round, before its decay; `participation_micro` is 0."""


def factors_of(name: str) -> Factors:
    """Of a generator or a consumer."""
    return GENERATOR_FACTORS if name in GENERATORS else CONSUMER_FACTORS


def scores_of(
    board: dict[str, ScoreParts], participation_micro: dict[str, int], factors: dict[str, Factors]
) -> dict[str, int]:
    """Scores in millionths of a point, with what the network adds."""
    return {
        name: score_micro(
            msgspec.structs.replace(parts, participation_micro=participation_micro.get(name, 0)),
            factors[name],
        )
        for name, parts in board.items()
    }


def play_season(seed: int, rounds: int) -> Season:
    """Trade for so many rounds.

    Args:
        seed: of all volumes, defaults, faults and positions.
        rounds: settlement rounds, a day each.
    """
    chance = np.random.default_rng([seed, 1])
    means = {name: STRONG_KWH.get(name, int(chance.integers(*WEAK_KWH))) for name in NAMES}
    board = after_cycle({name: first_parts(has_quota=True) for name in NAMES}, _positions(chance))
    generated_wh = dict.fromkeys(RENEWABLE, 0)
    moved = dict.fromkeys(NAMES, 0)
    boards = []
    for k in range(1, rounds + 1):
        deals = _deals(chance, means)
        faults = {name: 1 for name in GENERATORS if chance.integers(1000) < FAULT_PERMILLE}
        board = after_trades(board, deals, faults)
        for deal in deals:
            if deal.seller in generated_wh:
                generated_wh[deal.seller] += deal.injected_wh
        held = {name: generated_wh.get(name, 0) // (1000 * WH_PER_KWH) for name in NAMES}
        if k % SALE_EVERY == 0:
            buyer = BUYERS[k // SALE_EVERY % len(BUYERS)]
            for seller in SELLERS:
                sold = (held[seller] + moved[seller]) // 2
                moved[seller] -= sold
                moved[buyer] += sold
        board = after_certificates(board, {name: held[name] + moved[name] for name in NAMES})
        boards.append(board)
        board = after_round(board, round_number=k, leader="", acknowledged=())
    return Season(seed, boards)


def _positions(chance: np.random.Generator) -> dict[str, CarbonPosition]:
    """Renewables have allowances left, the other generators miss some, consumers vary."""
    positions = {}
    for name in NAMES:
        low, high = (-20, 70) if name in CONSUMERS else (20, 60) if name in RENEWABLE else (-100, 0)
        left = STRONG_LEFT.get(name, int(chance.integers(low, high)))
        positions[name] = CarbonPosition(quota=200 + left, bought=0, sold=0, emitted=200)
    return positions


def _deals(chance: np.random.Generator, means: dict[str, int]) -> list[MeteredDeal]:
    """Today's volumes, sellers and buyers in order, each filling up the next."""
    wh = {name: means[name] * int(chance.integers(*DAILY)) for name in NAMES}
    supply = sum(wh[name] for name in GENERATORS)
    demand = sum(wh[name] for name in CONSUMERS)
    left = {name: wh[name] * supply // demand for name in CONSUMERS}
    left[CONSUMERS[-1]] += supply - sum(left.values())
    kept = {name: _kept_permille(chance, name) for name in NAMES}
    buyers = iter(CONSUMERS)
    buyer = next(buyers)
    deals = []
    for seller in GENERATORS:
        offered = wh[seller]
        while offered:
            while not left[buyer]:
                buyer = next(buyers)
            energy_wh = min(offered, left[buyer])
            offered -= energy_wh
            left[buyer] -= energy_wh
            metered = [energy_wh * kept[name] // 1000 for name in (seller, buyer)]
            deals.append(MeteredDeal(seller, buyer, energy_wh, *metered))
    return deals


def _kept_permille(chance: np.random.Generator, name: str) -> int:
    """How much of a contract somebody keeps today."""
    if name in DEFAULTERS:
        return DEFAULT_PERMILLE
    slips = chance.integers(1000) < SLIP_PERMILLE[name in STRONG_KWH]
    return int(chance.integers(700, 950)) if slips else 1000
