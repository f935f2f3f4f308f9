"""A run for other tools: one JSON object, and CSV files of exact integers.

Column names end in their unit. Amounts are in nano-currency, + when the participant gets them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from gridpact.files import write_atomically
from gridpact.model import BillResult, RunResult, SlotResult
from gridpact.reports.timeline import zone_of
from gridpact.reports.totals import elapsed_s, totals_of

MECHANISM = "auction"

BILL_COLUMNS: dict[str, Callable[[BillResult], int | str]] = {
    "billing_day": lambda each: each.day,
    "participant": lambda each: each.participant_id,
    "bought_wh": lambda each: each.bill.bought_wh,
    "sold_wh": lambda each: each.bill.sold_wh,
    "grid_import_wh": lambda each: each.bill.grid_import_wh,
    "grid_export_wh": lambda each: each.bill.grid_export_wh,
    "purchases_nano": lambda each: each.bill.purchases_nano,
    "sales_nano": lambda each: each.bill.sales_nano,
    "network_fees_nano": lambda each: each.bill.fees_nano,
    "grid_import_nano": lambda each: each.bill.grid_import_nano,
    "grid_export_nano": lambda each: each.bill.grid_export_nano,
    "total_nano": lambda each: each.bill.total_nano,
    "without_market_nano": lambda each: each.baseline_nano,
    "difference_nano": lambda each: each.bill.total_nano - each.baseline_nano,
    "lines": lambda each: each.bill.lines,
}
"""Columns of the bills, one row per day and participant."""

SLOT_COLUMNS: dict[str, Callable[[SlotResult], int | str]] = {
    "length_s": lambda each: each.slot.length_s,
    "billing_day": lambda each: each.state.tariff.billing_day,
    "retail_micro_per_kwh": lambda each: each.state.tariff.retail_micro_per_kwh,
    "feed_in_micro_per_kwh": lambda each: each.state.tariff.feed_in_micro_per_kwh,
    "network_fee_micro_per_kwh": lambda each: each.state.tariff.network_fee_micro_per_kwh,
    "orders": lambda each: each.state.orders,
    "trades": lambda each: each.state.trades,
    "traded_wh": lambda each: each.state.traded_wh,
    "second_stage_wh": lambda each: each.state.second_stage_wh,
    "turnover_nano": lambda each: each.state.turnover_nano,
    "reference_price_micro_per_kwh": lambda each: (
        price if (price := each.state.reference_price_micro_per_kwh) >= 0 else ""
    ),
    "load_wh": lambda each: each.load_wh,
    "pv_wh": lambda each: each.pv_wh,
    "metered_net_wh": lambda each: each.metered_net_wh,
    "grid_import_wh": lambda each: each.state.grid_import_wh,
    "grid_export_wh": lambda each: each.state.grid_export_wh,
}
"""Columns of the slots, after `start_utc` and `start_local`; one row per slot.

The mean trade price is turnover_nano / traded_wh, in micro-currency per kWh."""


def run_json(result: RunResult, report_path: Path | None) -> dict[str, object]:
    """The object of `run --json`; parts that were not computed are None.

    Args:
        result: the run.
        report_path: where the page lies; None without one.
    """
    totals = totals_of(result)
    timings = result.timings_s
    return {
        "scenario": result.scenario.name,
        "market": MECHANISM,
        "engine": result.engine,
        "days": result.scenario.days,
        "slots": len(result.slots),
        "participants": len(result.scenario.members),
        "orders": totals.orders,
        "trades": totals.trades,
        "traded_wh": totals.traded_wh,
        "seller_gain_pct": result.gains.seller_gain_pct,
        "buyer_saving_pct": result.gains.buyer_saving_pct,
        "energy_residual_wh": result.energy_residual_wh,
        "money_residual_nano": result.money_residual_nano,
        "certificates": None,
        "carbon": None,
        "market_state_root": result.ledger.market_state_root,
        "ledger": {
            "path": str(result.ledger.path),
            "height": result.ledger.height,
            "transactions": result.ledger.transactions,
            "state_root": result.ledger.state_root,
            "record_hash": result.ledger.record_hash,
        },
        "timings_s": {
            "inputs": timings.get("inputs"),
            "compilation": timings.get("compilation"),
            "clearing": timings.get("clearing"),
            "grid": None,
            "ledger": timings.get("ledger"),
            "report": timings.get("report"),
            "total": elapsed_s(result),
        },
        "receipts": dict(result.receipts),
        "bytes": {name: result.sizes.get(name) for name in ("envelopes", "payloads", "store")},
        "report": None if report_path is None else str(report_path),
    }


def write_bills_csv(result: RunResult, path: Path) -> None:
    """One row per day and participant.

    Raises:
        StoreError: the disk refused.
    """
    write_atomically(path, bills_csv(result).encode(errors="replace"))


def write_slots_csv(result: RunResult, path: Path) -> None:
    """One row per slot, in time order.

    Raises:
        StoreError: the disk refused.
    """
    write_atomically(path, slots_csv(result).encode(errors="replace"))


def bills_csv(result: RunResult) -> str:
    """The bills as CSV."""
    rows = ([read(bill) for read in BILL_COLUMNS.values()] for bill in result.bills)
    return csv_text(list(BILL_COLUMNS), rows)


def slots_csv(result: RunResult, columns: Iterable[str] = tuple(SLOT_COLUMNS)) -> str:
    """The slots as CSV, with the columns asked for."""
    chosen = list(columns)
    zone = zone_of(result.scenario.time_zone)
    rows = (
        [
            f"{datetime.fromtimestamp(each.slot.start_s, UTC):%Y-%m-%dT%H:%M:%SZ}",
            datetime.fromtimestamp(each.slot.start_s, zone).isoformat(),
            *(SLOT_COLUMNS[name](each) for name in chosen),
        ]
        for each in result.slots
    )
    return csv_text(["start_utc", "start_local", *chosen], rows)


def csv_text(header: list[str], rows: Iterable[list[int | str]]) -> str:
    """Rows as CSV with one header line."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
