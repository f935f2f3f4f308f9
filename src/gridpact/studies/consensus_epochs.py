"""Scores into voting weights, at the end of an epoch.

This joins settlement, which makes scores, with consensus, which makes weights; the two lie in one
layer and may not know each other, so it lives above both. The ledger's handler of an epoch's end
belongs to `contracts`, the lowest room that may import both.
"""

from __future__ import annotations

from collections.abc import Mapping

from gridpact.consensus.configuration import Faults, next_weights, voting_weights
from gridpact.settlement.score_parts import POINT_MICRO

EPOCH_ROUNDS = 30
"""Settlement rounds in an epoch: as long as between two decays."""


def epoch_weights(
    held: Mapping[str, int], scores_micro: Mapping[str, int], faulty: int, faults: Faults
) -> dict[str, int]:
    """Voting weights of the next epoch.

    Args:
        held: weights of the epoch that ends; they stay when the new ones would not tolerate
            `faulty` failures.
        scores_micro: by member, in millionths of a point, once the epoch's last trades are metered.
        faulty: how many members may fail.
        faults: what those may do.

    >>> epoch_weights({"a": 1, "b": 1, "c": 1}, {"a": 90_000_000, "b": 0, "c": 0}, 1, Faults.CRASH)
    {'a': 37, 'b': 20, 'c': 20}

    Source: [XIONG23], section 4.1.1. Ours: weights are bounded, change between epochs only and
    count once a configuration with them is decided.
    """
    proposed = voting_weights(scores_micro, score_unit=POINT_MICRO, faulty=faulty, faults=faults)
    return next_weights(held, proposed, faulty, faults)
