"""Voting weights for CometBFT: only what changes is told, and never what would stop all nodes."""

from __future__ import annotations

from collections.abc import Mapping

from gridpact.errors import InvariantError
from gridpact.node.cometbft.messages import PublicKey, ValidatorUpdate

TOTAL_WEIGHT_MAX = (2**63 - 1) // 8
"""CometBFT's own limit for the sum of voting weights."""


def weight_changes(
    current: Mapping[bytes, int], wanted: Mapping[bytes, int]
) -> list[ValidatorUpdate]:
    """What turns one validator set into another: each key once, by key, 0 for who leaves.

    CometBFT halts every node when a key is there twice, when an absent one is removed and when the
    set becomes empty; each of these is refused here or cannot come about.

    Args:
        current: weight by Ed25519 key, as CometBFT has it.
        wanted: the same, as it should be.
    Raises:
        InvariantError: nobody would be left, a weight is below 1 or the sum is above the limit.
    """
    if not wanted:
        raise InvariantError("the last validator cannot leave")
    if min(wanted.values()) < 1 or sum(wanted.values()) > TOTAL_WEIGHT_MAX:
        raise InvariantError(f"weights {sorted(wanted.values())} are not of 1 or more in all")
    return [
        ValidatorUpdate(PublicKey(key), wanted.get(key, 0))
        for key in sorted(current.keys() | wanted.keys())
        if current.get(key) != wanted.get(key)
    ]
