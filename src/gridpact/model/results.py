"""What a run came to: the numbers that tables, reports and other tools read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.model.allotments import CarbonLine, CarbonStatement, SlotCarbon
from gridpact.model.assets import Shortfall
from gridpact.model.grid import Violation
from gridpact.model.market import Bill, BillLine, CreditNote, Side, SlotState
from gridpact.model.scenario import Slot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gridpact.model.assets import Planning
    from gridpact.model.carbon import FloatArray, Trace
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
class TradeCut:
    """A trade that the grid could not carry in full."""

    trade: int
    """Its number in the clearing."""
    seller: str
    buyer: str
    energy_wh: int
    """As traded."""
    curtailed_wh: int
    bound_by: str
    """Branch or bus whose limit took it."""


@dataclass(frozen=True, slots=True)
class SlotGrid:
    """The network in one slot, with what was metered; numbers are None when nothing converged."""

    vm_min_pu: float | None
    vm_min_bus: str
    vm_max_pu: float | None
    vm_max_bus: str
    loading_max_percent: float | None
    loading_max_branch: str
    losses_wh: float | None
    from_outside_wh: float | None
    """Through the external grids, + = into the network."""
    cuts: tuple[TradeCut, ...]
    """What was curtailed after clearing, by trade."""
    violations: tuple[Violation, ...]
    """Limits that were broken all the same, worst first; `snapshot` is the slot's position."""


@dataclass(frozen=True, slots=True)
class BusBand:
    """Voltages of one bus over a run."""

    bus: str
    vm_min_pu: float | None
    vm_max_pu: float | None


@dataclass(frozen=True, slots=True)
class BranchPeak:
    """Highest loading of one branch over a run; None when its rating is not known."""

    branch: str
    loading_max_percent: float | None


@dataclass(frozen=True, slots=True)
class GridResult:
    """The network of a run."""

    reference: str
    buses: tuple[BusBand, ...]
    branches: tuple[BranchPeak, ...]
    unsupported: tuple[str, ...]
    """What its file also holds and was left out."""
    unsupplied: tuple[str, ...]
    """Islands without an external grid, in words."""


@dataclass(frozen=True, slots=True)
class HomeResult:
    """What one member's battery, loads and vehicles did over a run."""

    participant_id: str
    planning: Planning
    charged_wh: int
    discharged_wh: int
    conversion_loss_uwh: int
    self_discharge_uwh: int
    deferrable_wh: int
    flexible_wh: int
    vehicle_charged_wh: int
    vehicle_discharged_wh: int
    spilled_wh: int
    """Sun that nobody took."""
    fallback_plans: int
    """Plans for which the rule took over: it was cheaper, or the programme was not solved."""
    shortfalls: tuple[Shortfall, ...]


@dataclass(frozen=True, slots=True)
class ForecastErrors:
    """How far forecasts were from the meters."""

    values: int
    """How many were compared."""
    mae_wh: float
    """Mean absolute error."""
    rmse_wh: float
    bias_wh: float
    """Mean of forecast less metered."""
    naive_mae_wh: float
    """Of the seasonal naive forecast, on the same values."""
    skill: float
    """1 - MAE / MAE of the naive forecast: 1 is perfect, 0 no better, below 0 worse; NaN when the
    naive forecast is perfect."""
    pinball_wh: dict[float, float]
    """Mean pinball loss of each quantile."""
    below: dict[float, float]
    """Share of metered values at or below each quantile; near the quantile when it is right."""


@dataclass(frozen=True, slots=True)
class SlotResult:
    """One delivery slot from orders to settlement."""

    slot: Slot
    state: SlotState
    """As it stands on the ledger after settlement."""
    load_wh: int
    """Gross, all members, with loads that wait or bend and vehicles."""
    pv_wh: int
    """Gross, all members."""
    metered_net_wh: int
    """Sum over members, + = injection."""
    stored_wh: int
    """What went into batteries less what came out, all members."""
    spilled_wh: int
    """Sun that was not fed in because the lines could not carry it, or export was limited."""
    grid: SlotGrid | None
    """None without a network."""


@dataclass(frozen=True, slots=True)
class BillResult:
    """One participant's bill of one day."""

    participant_id: str
    day: str
    bill: Bill
    lines: Sequence[BillLine]
    baseline_nano: int
    """What the same meter readings would have come to with feed-in and retail alone; + in the
    participant's favour."""


@dataclass(frozen=True, slots=True)
class CreditResult:
    """What corrections changed about one participant's bill of one day."""

    participant_id: str
    day: str
    note: CreditNote
    lines: Sequence[BillLine]


@dataclass(frozen=True, slots=True)
class CarbonStatementResult:
    """One participant's carbon of one day."""

    participant_id: str
    day: str
    statement: CarbonStatement
    lines: Sequence[CarbonLine]


@dataclass(frozen=True, slots=True)
class CarbonMix:
    """Which part of what members used was from where: of the trace, not on the ledger."""

    import_share: FloatArray
    """Shape (members, slots), of external grids; NaN where nothing was traced."""
    storage_share: FloatArray
    """Shape (members, slots), of members' storages; the rest was generated by members."""
    mixed: tuple[int, Trace] | None
    """The slot in which members differ most, with its trace: homes are buses of their own."""


@dataclass(frozen=True, slots=True)
class CarbonResult:
    """Carbon of a run, as it stands on the ledger."""

    slots: tuple[SlotCarbon | None, ...]
    """As the run's slots; None where nothing could be traced."""
    statements: tuple[CarbonStatementResult, ...]
    """By day, then participant."""
    held_ug: dict[str, int]
    """In the storages at the end, by participant."""
    residual_ug: int
    """What does not add up over slots, statements and storages: 0."""
    untraced: tuple[str, ...]
    """Slots without carbon, and why."""
    mix: CarbonMix


@dataclass(frozen=True, slots=True)
class Book:
    """All orders of one slot."""

    slot: Slot
    orders: tuple[PlacedOrder, ...]
    """By participant."""


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
    credits: tuple[CreditResult, ...]
    """By day, then participant."""
    fullest_book: Book | None
    """Of the slot with the most trades; None when no order was placed. A run of a year does not
    keep the others."""
    grid: GridResult | None
    homes: tuple[HomeResult, ...]
    """Of members that own more than a meter, by participant."""
    forecast: ForecastErrors
    """Of the orders' energies against the meters, what batteries moved left out."""
    carbon: CarbonResult | None
    """None when none was asked for."""
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
    remarks: tuple[str, ...]
    """What was mended in the data and what the day left out, in words."""
