"""Microgrids that bargain over green power: what each bids for a window, and what came of it.

Energies are Wh of one period, prices micro-currency per kWh, so that price x energy is nano; costs
are pico, which a squared energy needs. Stored energy counts at the output side of the storage, in
micro-Wh: what a charged Wh adds is then a whole number.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from gridpact.codec import Hash, Int64, Name, Natural, PositiveQuantity, Quantity, Wire

PERIODS_MAX = 192
"""Of one window: two days of quarter hours."""
MICROGRIDS_MAX = 512
"""In one clearing."""

Price = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
"""Micro-currency per kWh; grid prices may be negative."""
Permille = Annotated[int, Meta(ge=1, le=1000)]
Content = Annotated[int, Meta(ge=0, le=2**61)]
"""Micro-Wh at the output side of a storage."""


class Turbine(Wire, frozen=True):
    """Cost of a period with energy e: quadratic x e^2 + linear x e. Source: [AEPS22], eq. (3)."""

    quadratic_pico_per_wh2: Annotated[int, Meta(ge=0, le=2**20)]
    linear_micro_per_kwh: Quantity
    energy_max_wh: Quantity
    """Of one period."""


class Storage(Wire, frozen=True):
    """Holds green energy only. Source: [AEPS22], eqs. (8)-(11)."""

    energy_max_wh: Quantity
    """Charged or discharged in one period."""
    charge_permille: Permille
    discharge_permille: Permille
    content_min_uwh: Content
    content_max_uwh: Content
    content_start_uwh: Content
    content_end_uwh: Content
    """What should be left after the window; what is missing costs the market's price of it."""


class MicrogridBid(Wire, frozen=True):
    """What one microgrid tells the market for a window: its costs and limits.

    Source: [AEPS22], section 2.1 and eqs. (1)-(12).
    """

    load_wh: list[Quantity]
    green_demand_wh: list[Quantity]
    """Part of the load that should be green; at most the load."""
    renewable_wh: list[Quantity]
    """Forecast generation."""
    shortage_micro_per_kwh: Quantity
    """Loss for each kWh of green demand that is not met."""
    turbine: Turbine
    storage: Storage


class MicrogridTerms(Wire, frozen=True):
    """What is the same for all in a window."""

    retail_micro_per_kwh: list[Price]
    feed_in_micro_per_kwh: list[Price]
    fee_per_side_micro_per_kwh: Quantity
    """Network fee that seller and buyer each pay. Source: [AEPS22], eq. (5)."""
    end_micro_per_kwh: Quantity
    """Price of stored energy that is missing after the window."""

    def since(self, period: int) -> MicrogridTerms:
        """The same for the periods from one on."""
        return MicrogridTerms(
            self.retail_micro_per_kwh[period:],
            self.feed_in_micro_per_kwh[period:],
            self.fee_per_side_micro_per_kwh,
            self.end_micro_per_kwh,
        )


class SlotBid(Wire, frozen=True):
    """A microgrid's bid for the window that begins with a slot; its id is (microgrid, nonce)."""

    nonce: Natural
    bid: MicrogridBid
    escrow_nano: Natural
    """The most that the slot can cost it, held until the slot is cleared."""


Packed = Annotated[bytes, Meta(max_length=2**25)]


class Certificate(Wire, frozen=True):
    """Plan and duals of a window, of all together and of each alone, and what follows from them.

    Arrays are packed (`market.integer.microgrids`) in the order of `Column` and `Row`, microgrids
    outer, periods inner.
    """

    plan: Packed
    duals: Packed
    """pico per Wh; of STORED per Wh of content."""
    balance_duals: Packed
    alone_plan: Packed
    """All columns but SELL and PURCHASE."""
    alone_duals: Packed
    cost_nano: list[Int64]
    """Of each microgrid by the joint plan, before transfers, rounded down."""
    alone_cost_nano: list[Int64]
    """Of each without trade, its disagreement point, rounded down."""
    transfer_nano: list[Int64]
    """For the window; + receives."""
    first_transfer_nano: list[Int64]
    """For the first period alone, which is what a rolling market pays."""


class Flow(Wire, frozen=True):
    """Energy of a slot between two microgrids, as one of them holds it."""

    counterparty: Name
    energy_wh: PositiveQuantity
    compensation_micro_per_kwh: Natural
    """What the seller owes for each kWh that it does not deliver. Source: [AEPS22], eq. (19)."""


class Agreement(Wire, frozen=True):
    """What one microgrid has agreed to in a slot: the first period of a cleared window."""

    transfer_nano: Int64
    """+ receives; the payment for all its trade, whatever is delivered."""
    green_wh: Quantity
    """Green energy for its own load."""
    charge_wh: Quantity
    discharge_wh: Quantity
    turbine_wh: Quantity
    sales: list[Flow]
    purchases: list[Flow]
    escrow_nano: Natural
    """Held until the slot is settled."""


class Clearing(Wire, frozen=True):
    """The best clearing of a slot so far, as anybody may propose one that proves itself.

    Of two the one with fewer left out counts, then the one with smaller costs, then hash.
    """

    left_out: list[Name]
    """Microgrids that bid and are not part of it, sorted."""
    costs_nano: Int64
    """Of all in it over the window, with trade and without: who states worse plans for what
    somebody could do alone, to its own gain, loses to who does not."""
    certificate: Hash
    """Of body and certificate."""
    agreements: list[Agreement]
    """By microgrid that is part of it, in the order of their ids."""


class Column(IntEnum):
    """Quantities of one microgrid in one period: Wh >= 0, but `CONTENT` in micro-Wh."""

    BUY = 0
    """from the grid."""
    TURBINE = 1
    CHARGE = 2
    DISCHARGE = 3
    EXPORT = 4
    """green surplus to the grid."""
    CURTAIL = 5
    GREEN_DEMANDED = 6
    """green energy used by the demand for it; the rest of that demand is short."""
    GREEN_OTHER = 7
    """green energy used by the rest of the load."""
    CONTENT = 8
    """of the storage, at the end of the period."""
    SELL = 9
    """to other microgrids."""
    PURCHASE = 10
    """from other microgrids."""
    MISSING = 11
    """stored energy that is short after the window, as if it had come from outside; the last
    period only."""


class Row(IntEnum):
    """Equations of one microgrid in one period; beside them one a period: sales = purchases.

    GREEN: renewable + DISCHARGE - CHARGE - EXPORT - CURTAIL - SELL + PURCHASE
           - GREEN_DEMANDED - GREEN_OTHER = 0
    POWER: GREEN_DEMANDED + GREEN_OTHER + TURBINE + BUY = load
    STORED: CONTENT - CONTENT before - (charge x discharge permille) CHARGE
            + 10^6 DISCHARGE - 10^6 MISSING = 0

    Source: [AEPS22], eqs. (10), (12).
    """

    GREEN = 0
    POWER = 1
    STORED = 2
