"""Money after metering: what each contract and each imbalance comes to, in exact integers.

Scores of participants have a door of their own, `settlement.scores`.
"""

from gridpact.settlement.bills import NO_BILL, add_lines
from gridpact.settlement.imbalance import (
    choose_readings,
    contracted_net_wh,
    imbalance_line,
    metered_net_wh,
    reading_reference,
    trade_id,
    trade_lines,
)

__all__ = [
    "NO_BILL",
    "add_lines",
    "choose_readings",
    "contracted_net_wh",
    "imbalance_line",
    "metered_net_wh",
    "reading_reference",
    "trade_id",
    "trade_lines",
]
