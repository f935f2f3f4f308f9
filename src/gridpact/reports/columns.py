"""The tables of a run: name, type and meaning of every column, and how it is read.

Column names end in their unit. Amounts are in nano-currency, + when the participant gets them.
CSV, Parquet and data frames are all made from here, and `docs/results.md` repeats it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gridpact.model import (
    BillLine,
    BillResult,
    BranchPeak,
    BusBand,
    CreditResult,
    HomeResult,
    PlacedOrder,
    RunResult,
    SlotGrid,
    SlotResult,
    TradeCut,
)
from gridpact.model.assets import Shortfall
from gridpact.model.grid import Violation
from gridpact.reports.carbon_columns import (
    CARBON_LINES,
    CARBON_MIX,
    CARBON_SLOTS,
    CARBON_STATEMENTS,
)
from gridpact.reports.table_shapes import Table, real, text, time, whole

SLOTS: Table[SlotResult] = Table(
    "slots",
    "one row per delivery slot, in time order",
    lambda result: result.slots,
    (
        time("start_utc", lambda each: each.slot.start_s, "start of the slot"),
        whole("length_s", lambda each: each.slot.length_s, "length of the slot"),
        text("billing_day", lambda each: each.state.tariff.billing_day, "bill it is part of"),
        whole(
            "retail_micro_per_kwh",
            lambda each: each.state.tariff.retail_micro_per_kwh,
            "retail tariff",
        ),
        whole(
            "feed_in_micro_per_kwh",
            lambda each: each.state.tariff.feed_in_micro_per_kwh,
            "feed-in tariff",
        ),
        whole(
            "network_fee_micro_per_kwh",
            lambda each: each.state.tariff.network_fee_micro_per_kwh,
            "network fee, paid by the buyer",
        ),
        whole("orders", lambda each: each.state.orders, "orders placed"),
        whole("trades", lambda each: each.state.trades, "trades made"),
        whole("traded_wh", lambda each: each.state.traded_wh, "energy traded, both stages"),
        whole(
            "curtailed_wh",
            lambda each: each.state.curtailed_wh,
            "part of it that the grid could not carry",
        ),
        whole(
            "second_stage_wh",
            lambda each: each.state.second_stage_wh,
            "part of `traded_wh` that was traded in the second stage",
        ),
        whole(
            "turnover_nano",
            lambda each: each.state.turnover_nano,
            "what buyers pay for traded energy; over `traded_wh` it is the mean trade price in "
            "micro-currency per kWh",
        ),
        whole(
            "reference_price_micro_per_kwh",
            lambda each: (
                price if (price := each.state.reference_price_micro_per_kwh) >= 0 else None
            ),
            "mean trade price of the first stage; empty without a trade",
        ),
        whole("load_wh", lambda each: each.load_wh, "consumption of all members, gross"),
        whole("pv_wh", lambda each: each.pv_wh, "generation of all members, gross"),
        whole(
            "stored_wh", lambda each: each.stored_wh, "into batteries less out of them, all members"
        ),
        whole(
            "spilled_wh",
            lambda each: each.spilled_wh,
            "sun that was not fed in: the lines could not carry it, or export was limited",
        ),
        whole(
            "metered_net_wh",
            lambda each: each.metered_net_wh,
            "sum of all readings, + = injection",
        ),
        whole(
            "grid_import_wh",
            lambda each: each.state.grid_import_wh,
            "bought from the grid in settlement",
        ),
        whole(
            "grid_export_wh",
            lambda each: each.state.grid_export_wh,
            "sold to the grid in settlement",
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class IssuedBill:
    """A bill with what corrections changed after it was issued."""

    result: BillResult
    change_nano: int


def _issued_bills(result: RunResult) -> Iterator[IssuedBill]:
    changes = {
        (each.day, each.participant_id): each.note.change.total_nano for each in result.credits
    }
    for bill in result.bills:
        yield IssuedBill(bill, changes.get((bill.day, bill.participant_id), 0))


BILLS: Table[IssuedBill] = Table(
    "bills",
    "one row per billing day and participant, by day, then participant",
    _issued_bills,
    (
        text("billing_day", lambda each: each.result.day, "day in the scenario's time zone"),
        text("participant", lambda each: each.result.participant_id, "whose bill it is"),
        whole("bought_wh", lambda each: each.result.bill.bought_wh, "bought from other members"),
        whole("sold_wh", lambda each: each.result.bill.sold_wh, "sold to other members"),
        whole(
            "grid_import_wh",
            lambda each: each.result.bill.grid_import_wh,
            "taken beyond its trades, at the retail tariff",
        ),
        whole(
            "grid_export_wh",
            lambda each: each.result.bill.grid_export_wh,
            "fed in beyond its trades, at the feed-in tariff",
        ),
        whole("purchases_nano", lambda each: each.result.bill.purchases_nano, "for `bought_wh`"),
        whole("sales_nano", lambda each: each.result.bill.sales_nano, "for `sold_wh`"),
        whole("network_fees_nano", lambda each: each.result.bill.fees_nano, "network fees"),
        whole(
            "grid_import_nano",
            lambda each: each.result.bill.grid_import_nano,
            "for `grid_import_wh`",
        ),
        whole(
            "grid_export_nano",
            lambda each: each.result.bill.grid_export_nano,
            "for `grid_export_wh`",
        ),
        whole(
            "lost_deposits_nano",
            lambda each: each.result.bill.lost_deposits_nano,
            "deposits of sealed orders that were not revealed",
        ),
        whole(
            "total_nano",
            lambda each: each.result.bill.total_nano,
            "the bill as issued: sum of all lines",
        ),
        whole("corrections_nano", lambda each: each.change_nano, "what a credit note changes"),
        whole(
            "without_market_nano",
            lambda each: each.result.baseline_nano,
            "the last readings with feed-in and retail tariff alone",
        ),
        whole(
            "difference_nano",
            lambda each: each.result.bill.total_nano + each.change_nano - each.result.baseline_nano,
            "what the market brought: bill and corrections less `without_market_nano`",
        ),
        whole("lines", lambda each: each.result.bill.lines, "number of lines"),
    ),
)


@dataclass(frozen=True, slots=True)
class BilledLine:
    """A line with the document that it stands on."""

    document: str
    day: str
    participant_id: str
    number: int
    line: BillLine


def _billed_lines(result: RunResult) -> Iterator[BilledLine]:
    documents: tuple[tuple[str, tuple[BillResult, ...] | tuple[CreditResult, ...]], ...] = (
        ("bill", result.bills),
        ("credit_note", result.credits),
    )
    for document, each in documents:
        for paper in each:
            for number, line in enumerate(paper.lines):
                yield BilledLine(document, paper.day, paper.participant_id, number, line)


BILL_LINES: Table[BilledLine] = Table(
    "bill_lines",
    "one row per line of a bill, then of a credit note, in the order of those and of their lines",
    _billed_lines,
    (
        text("document", lambda each: each.document, "`bill` or `credit_note`"),
        text("billing_day", lambda each: each.day, "day of the bill"),
        text("participant", lambda each: each.participant_id, "whose bill it is"),
        whole("line", lambda each: each.number, "place of the line, from 0"),
        time("start_utc", lambda each: each.line.slot_start_s, "start of the slot"),
        text(
            "kind",
            lambda each: each.line.kind.name.lower(),
            "`purchase`, `sale`, `network_fee`, `grid_import`, `grid_export`, `undeliverable` "
            "(what the grid could not carry: no money) or `lost_deposit`",
        ),
        whole(
            "correction",
            lambda each: each.line.correction,
            "0 in the first settlement; in correction n, -n takes a line back and +n replaces it",
        ),
        text(
            "reference",
            lambda each: each.line.reference,
            "trade id, `<meter>/v<version>` of a reading, `<trade id>@<branch or bus>` of what the "
            "grid could not carry, or `order/<nonce>`",
        ),
        whole("energy_wh", lambda each: each.line.energy_wh, "energy"),
        whole(
            "price_sum_micro_per_kwh",
            lambda each: each.line.price_sum_micro_per_kwh,
            "twice the price, so that the midpoint of two quotes loses nothing",
        ),
        whole("amount_nano", lambda each: each.line.amount_nano, "amount"),
    ),
)

CREDIT_NOTES: Table[CreditResult] = Table(
    "credit_notes",
    "one row per billing day and participant whose bill corrections changed after it was issued",
    lambda result: result.credits,
    (
        text("billing_day", lambda each: each.day, "day of the bill"),
        text("participant", lambda each: each.participant_id, "whose bill it is"),
        whole("billed_nano", lambda each: each.note.billed_nano, "total of the bill as issued"),
        whole("change_nano", lambda each: each.note.change.total_nano, "what corrections change"),
        whole(
            "corrected_nano",
            lambda each: each.note.billed_nano + each.note.change.total_nano,
            "total that holds",
        ),
        whole("lines", lambda each: each.note.change.lines, "number of lines of the credit note"),
    ),
)


@dataclass(frozen=True, slots=True)
class SolvedSlot:
    """A slot with the network in it."""

    slot: SlotResult
    grid: SlotGrid


def _solved_slots(result: RunResult) -> Iterator[SolvedSlot]:
    return (SolvedSlot(each, each.grid) for each in result.slots if each.grid is not None)


GRID_SLOTS: Table[SolvedSlot] = Table(
    "grid_slots",
    "one row per delivery slot, in time order; numbers are empty when the power flow found no "
    "solution; no row without a network",
    _solved_slots,
    (
        time("start_utc", lambda each: each.slot.slot.start_s, "start of the slot"),
        real("vm_min_pu", lambda each: each.grid.vm_min_pu, "lowest voltage"),
        text("vm_min_bus", lambda each: each.grid.vm_min_bus, "bus that has it"),
        real("vm_max_pu", lambda each: each.grid.vm_max_pu, "highest voltage"),
        text("vm_max_bus", lambda each: each.grid.vm_max_bus, "bus that has it"),
        real(
            "loading_max_percent",
            lambda each: each.grid.loading_max_percent,
            "highest loading, of the current a branch may carry",
        ),
        text("loading_max_branch", lambda each: each.grid.loading_max_branch, "branch with it"),
        real("losses_wh", lambda each: each.grid.losses_wh, "losses of all branches and shunts"),
        real(
            "from_outside_wh",
            lambda each: each.grid.from_outside_wh,
            "through the external grids, + = into the network",
        ),
        whole(
            "curtailed_wh",
            lambda each: each.slot.state.curtailed_wh,
            "traded energy that the grid could not carry",
        ),
        whole("cuts", lambda each: len(each.grid.cuts), "trades that were curtailed"),
        whole(
            "violations",
            lambda each: len(each.grid.violations),
            "limits that were broken all the same",
        ),
    ),
)

BRANCHES: Table[BranchPeak] = Table(
    "branches",
    "one row per branch, in the order of the network",
    lambda result: result.grid.branches if result.grid else (),
    (
        text("branch", lambda each: each.branch, "line or transformer"),
        real(
            "loading_max_percent",
            lambda each: each.loading_max_percent,
            "highest loading of the run; empty when its rating is not known",
        ),
    ),
)

BUSES: Table[BusBand] = Table(
    "buses",
    "one row per bus, in the order of the network",
    lambda result: result.grid.buses if result.grid else (),
    (
        text("bus", lambda each: each.bus, "bus"),
        real("vm_min_pu", lambda each: each.vm_min_pu, "lowest voltage of the run"),
        real("vm_max_pu", lambda each: each.vm_max_pu, "highest voltage of the run"),
    ),
)


@dataclass(frozen=True, slots=True)
class SlotCut:
    """A curtailed trade with its slot."""

    market_id: str
    slot: SlotResult
    cut: TradeCut


def slot_cuts(result: RunResult) -> Iterator[SlotCut]:
    """All curtailed trades, in time order."""
    for solved in _solved_slots(result):
        for cut in solved.grid.cuts:
            yield SlotCut(result.scenario.market_id, solved.slot, cut)


CUTS: Table[SlotCut] = Table(
    "cuts",
    "one row per trade that the grid could not carry in full, in time order",
    slot_cuts,
    (
        time("start_utc", lambda each: each.slot.slot.start_s, "start of the slot"),
        text(
            "trade",
            lambda each: f"{each.market_id}.{each.slot.slot.start_s}.{each.cut.trade}",
            "trade id, as in `reference` of the bill lines",
        ),
        text("seller", lambda each: each.cut.seller, "participant that sold"),
        text("buyer", lambda each: each.cut.buyer, "participant that bought"),
        whole("energy_wh", lambda each: each.cut.energy_wh, "as traded"),
        whole("curtailed_wh", lambda each: each.cut.curtailed_wh, "not delivered and not paid"),
        text("bound_by", lambda each: each.cut.bound_by, "branch or bus whose limit took it"),
    ),
)


@dataclass(frozen=True, slots=True)
class SlotViolation:
    """A broken limit with its slot."""

    slot: SlotResult
    violation: Violation


def slot_violations(result: RunResult) -> Iterator[SlotViolation]:
    """All limits that were broken all the same, in time order."""
    for solved in _solved_slots(result):
        for violation in solved.grid.violations:
            yield SlotViolation(solved.slot, violation)


VIOLATIONS: Table[SlotViolation] = Table(
    "violations",
    "one row per limit that was broken in a slot after all curtailment, in time order",
    slot_violations,
    (
        time("start_utc", lambda each: each.slot.slot.start_s, "start of the slot"),
        text(
            "kind",
            lambda each: each.violation.kind.name.lower(),
            "`loading`, `undervoltage`, `overvoltage` or `collapse` (no solution)",
        ),
        text("element", lambda each: each.violation.element, "branch or bus; may be empty"),
        real(
            "value",
            lambda each: each.violation.value,
            "percent of a loading, per unit of a voltage; empty for a collapse",
        ),
        real("limit", lambda each: each.violation.limit, "in the unit of `value`"),
    ),
)

HOMES: Table[HomeResult] = Table(
    "homes",
    "one row per member that owns more than a meter, by participant",
    lambda result: result.homes,
    (
        text("participant", lambda each: each.participant_id, "member"),
        text(
            "planning",
            lambda each: each.planning.name.lower(),
            "`self_consumption`, `arbitrage` or `optimised`",
        ),
        whole("charged_wh", lambda each: each.charged_wh, "into the battery"),
        whole("discharged_wh", lambda each: each.discharged_wh, "out of the battery"),
        whole(
            "conversion_loss_uwh",
            lambda each: each.conversion_loss_uwh,
            "lost in charging and discharging, in millionths of a Wh",
        ),
        whole(
            "self_discharge_uwh",
            lambda each: each.self_discharge_uwh,
            "lost while stored, in millionths of a Wh",
        ),
        whole("deferrable_wh", lambda each: each.deferrable_wh, "used by loads that can wait"),
        whole("flexible_wh", lambda each: each.flexible_wh, "used by loads that bend"),
        whole("vehicle_charged_wh", lambda each: each.vehicle_charged_wh, "into vehicles"),
        whole(
            "vehicle_discharged_wh",
            lambda each: each.vehicle_discharged_wh,
            "out of vehicles, used in the home",
        ),
        whole("spilled_wh", lambda each: each.spilled_wh, "sun that nobody took"),
        whole(
            "fallback_plans",
            lambda each: each.fallback_plans,
            "plans for which the rule took over",
        ),
        whole("shortfalls", lambda each: len(each.shortfalls), "times that energy was missing"),
        whole(
            "missing_wh",
            lambda each: sum(shortfall.missing_wh for shortfall in each.shortfalls),
            "energy that was due and was not there",
        ),
    ),
)

SHORTFALLS: Table[Shortfall] = Table(
    "shortfalls",
    "one row each time that energy was due in a home and was not there, by participant",
    lambda result: (shortfall for home in result.homes for shortfall in home.shortfalls),
    (
        text("participant", lambda each: each.participant_id, "member"),
        text("asset", lambda each: each.asset, "load, vehicle, or `battery`"),
        time("due_utc", lambda each: each.due_s, "when it was due"),
        whole("missing_wh", lambda each: each.missing_wh, "what was missing"),
    ),
)

ORDERS: Table[PlacedOrder] = Table(
    "orders",
    "one row per order of the slot with the most trades, by participant",
    lambda result: result.fullest_book.orders if result.fullest_book else (),
    (
        text("participant", lambda each: each.participant_id, "who sent it"),
        text("side", lambda each: each.side.name.lower(), "`bid` or `offer`"),
        whole("price_micro_per_kwh", lambda each: each.price_micro_per_kwh, "the quote"),
        whole("energy_wh", lambda each: each.energy_wh, "energy"),
        whole(
            "limit_micro_per_kwh",
            lambda each: each.limit_micro_per_kwh,
            "private limit: worst price of the second stage",
        ),
    ),
)

TABLES: tuple[Table[Any], ...] = (
    *(SLOTS, BILLS, BILL_LINES, CREDIT_NOTES),
    *(GRID_SLOTS, BRANCHES, BUSES, CUTS, VIOLATIONS),
    *(HOMES, SHORTFALLS),
    *(CARBON_SLOTS, CARBON_STATEMENTS, CARBON_LINES, CARBON_MIX),
)
"""What a run writes. The orders stay out: they are their senders' own."""


def table(name: str) -> Table[Any]:
    """The table of a name."""
    (found,) = (each for each in TABLES if each.name == name)
    return found
