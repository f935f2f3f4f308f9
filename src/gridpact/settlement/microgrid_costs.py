"""What a slot really cost a microgrid, with what no ledger sees: its turbine and its green loss."""

from __future__ import annotations

from gridpact.model import Agreement, BillLine, MicrogridBid
from gridpact.settlement.microgrids import Delivery, Metered
from gridpact.units import floor_divide, money_nano

PICO_PER_NANO = 1000


def realised_cost_nano(
    truth: MicrogridBid,
    period: int,
    agreement: Agreement,
    metered: Metered,
    delivery: Delivery,
    received_wh: int,
    lines: list[BillLine],
) -> int:
    """Costs of a slot after everything, + = paid.

    Args:
        truth: costs and real demand of the microgrid.
        period: which slot of it.
        agreement: what it had agreed to.
        metered: what its meters saw.
        delivery: what it did with its green energy.
        received_wh: from others.
        lines: its bill lines of the slot.

    Source: [AEPS22], eq. (1).
    """
    green_wh = metered.generated_wh + agreement.discharge_wh - delivery.charged_wh
    kept_wh = green_wh - sum(delivery.sent_wh) + received_wh
    used_wh = max(0, min(kept_wh, metered.consumed_wh))
    short_wh = max(0, truth.green_demand_wh[period] - used_wh)
    turbine = truth.turbine
    turbine_pico = turbine.quadratic_pico_per_wh2 * agreement.turbine_wh**2
    linear = money_nano(turbine.linear_micro_per_kwh, agreement.turbine_wh)
    billed = sum(line.amount_nano for line in lines)
    loss = money_nano(truth.shortage_micro_per_kwh, short_wh)
    return loss + linear + floor_divide(turbine_pico, PICO_PER_NANO) - billed
