"""What a run came to: the numbers that tables, reports and other tools read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.model.market import Bill, BillLine, Side, SlotState
from gridpact.model.scenario import Slot

if TYPE_CHECKING:
    from pathlib import Path

    from gridpact.model.scenario import Scenario


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as its sender wrote it."""

    participant_id: str
    side: Side
    price_micro_per_kwh: int
    energy_wh: int
    limit_micro_per_kwh: int


@dataclass(frozen=True, slots=True)
class SlotResult:
    """One delivery slot from orders to settlement."""

    slot: Slot
    state: SlotState
    """As it stands on the ledger after settlement."""
    orders: tuple[PlacedOrder, ...]
    """Accepted orders, by participant."""
    load_wh: int
    """Gross, all members."""
    pv_wh: int
    """Gross, all members."""
    metered_net_wh: int
    """Sum over members, + = injection."""


@dataclass(frozen=True, slots=True)
class BillResult:
    """One participant's bill of one day."""

    participant_id: str
    day: str
    bill: Bill
    lines: tuple[BillLine, ...]
    baseline_nano: int
    """What the same meter readings would have come to with feed-in and retail alone; + in the
    participant's favour."""


@dataclass(frozen=True, slots=True)
class Gains:
    """What the market brought against feed-in and retail alone.

    A participant counts as a seller in the slots in which its meter injected, as a buyer in the
    others.

    Source: [WANG24], section 4.1: seller income and buyer cost against "surplus power grid".
    """

    seller_income_nano: int
    seller_baseline_nano: int
    buyer_cost_nano: int
    buyer_baseline_nano: int

    @property
    def seller_gain_pct(self) -> float | None:
        """Rise of the sellers' income, percent; None when nothing was injected."""
        if self.seller_baseline_nano == 0:
            return None
        return 100 * (self.seller_income_nano / self.seller_baseline_nano - 1)

    @property
    def buyer_saving_pct(self) -> float | None:
        """Fall of the buyers' cost, percent; None when nothing was consumed."""
        if self.buyer_baseline_nano == 0:
            return None
        return 100 * (1 - self.buyer_cost_nano / self.buyer_baseline_nano)


@dataclass(frozen=True, slots=True)
class LedgerResult:
    """Where the ledger is and how far it got."""

    path: Path
    height: int
    transactions: int
    record_hash: str
    """What `verify --root` takes."""
    state_root: str
    market_state_root: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run."""

    scenario: Scenario
    engine: str
    slots: tuple[SlotResult, ...]
    bills: tuple[BillResult, ...]
    """By day, then participant."""
    gains: Gains
    energy_residual_wh: int
    money_residual_nano: int
    system_nano: dict[str, int]
    """Balance of each system account at the end."""
    ledger: LedgerResult
    receipts: dict[str, int]
    """Transactions by verdict."""
    sizes: dict[str, int]
    """Bytes of envelopes, payloads, store."""
    timings_s: dict[str, float]
    sources: tuple[str, ...]
    """Name and SHA-256 of each file read."""
