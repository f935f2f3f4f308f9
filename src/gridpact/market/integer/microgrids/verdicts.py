"""What the check of a clearing says: accepted, or the first thing that is wrong."""

from __future__ import annotations

from enum import IntEnum


class ClearingVerdict(IntEnum):
    """The outcome of one check, in the order in which faults are looked for."""

    ACCEPTED = 0
    BIDS_WRONG = 1
    """Terms, bids, weights or gap do not pass their own checks; the certificate was not read."""
    SHAPE_WRONG = 2
    """Counts differ from those of the bids, or packed numbers are not canonical."""
    OVERFLOW = 3
    """A dual is so large that 64 bits could not hold its products."""
    LIMIT_BROKEN = 4
    """A quantity of the plan is below its least or above its most."""
    GREEN_UNBALANCED = 5
    """Green energy used, stored and given away is not what was generated and taken."""
    POWER_UNBALANCED = 6
    """The load is not met exactly."""
    STORAGE_WRONG = 7
    """A content does not follow from the one before."""
    TRADE_UNBALANCED = 8
    """Sales and purchases of a period differ."""
    COST_WRONG = 9
    """A cost claimed is not that of the plan."""
    GAP_TOO_WIDE = 10
    """The duals do not prove that the plan is within the published gap of the best."""
    ALONE_LIMIT_BROKEN = 11
    """As above, in the plan of a microgrid without trade."""
    ALONE_GREEN_UNBALANCED = 12
    ALONE_POWER_UNBALANCED = 13
    ALONE_STORAGE_WRONG = 14
    ALONE_COST_WRONG = 15
    ALONE_GAP_TOO_WIDE = 16
    """The disagreement point of a microgrid is not proved to be its best without trade."""
    SURPLUS_NEGATIVE = 17
    """Together costs more than alone; the plans without trade are the better ones."""
    TRADE_WITHOUT_SURPLUS = 18
    """Energy changes hands though nobody gains."""
    TRANSFERS_WRONG = 19
    """Transfers of the window are not those of the rule."""
    FIRST_TRANSFERS_WRONG = 20
    """Transfers of the first period are not those of the rule."""


ALONE = {
    ClearingVerdict.LIMIT_BROKEN: ClearingVerdict.ALONE_LIMIT_BROKEN,
    ClearingVerdict.GREEN_UNBALANCED: ClearingVerdict.ALONE_GREEN_UNBALANCED,
    ClearingVerdict.POWER_UNBALANCED: ClearingVerdict.ALONE_POWER_UNBALANCED,
    ClearingVerdict.STORAGE_WRONG: ClearingVerdict.ALONE_STORAGE_WRONG,
    ClearingVerdict.COST_WRONG: ClearingVerdict.ALONE_COST_WRONG,
    ClearingVerdict.GAP_TOO_WIDE: ClearingVerdict.ALONE_GAP_TOO_WIDE,
}
"""The same fault in a plan without trade."""
