"""Money after metering: what each contract and each imbalance comes to, in exact integers.

Scores of participants and carbon statements have doors of their own, `settlement.scores` and
`settlement.carbon`; so have the fees of traces that are handed out, `settlement.arbitration`, and
the providers' strikes, `settlement.standings`.
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
from gridpact.settlement.microgrid_costs import realised_cost_nano
from gridpact.settlement.microgrids import (
    NO_AGREEMENT,
    Metered,
    bargain_lines,
    charged_wh,
    deliver,
)

__all__ = [
    "NO_AGREEMENT",
    "NO_BILL",
    "Metered",
    "add_lines",
    "bargain_lines",
    "charged_wh",
    "choose_readings",
    "contracted_net_wh",
    "deliver",
    "imbalance_line",
    "metered_net_wh",
    "reading_reference",
    "realised_cost_nano",
    "trade_id",
    "trade_lines",
]
