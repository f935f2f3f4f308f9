"""The part of the page about bills that were corrected after they had been issued."""

from __future__ import annotations

from gridpact.model import BillLine, CreditResult, LineKind, RunResult
from gridpact.reports.amounts import (
    kwh_text,
    money_digits,
    money_text,
    price_text,
)
from gridpact.reports.columns import CREDIT_NOTES
from gridpact.reports.elements import (
    Heading,
    Section,
    csv_link,
    rest_note,
    save_row,
    wide_table,
)
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.physics import credits_sentence
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import start_text, zone_of

NOTES_SHOWN = 100
OPENED_MAX = 5
"""Credit notes whose lines can be unfolded on the page."""
LINES_SHOWN = 40

KIND_TEXTS = {
    LineKind.PURCHASE: "purchase",
    LineKind.SALE: "sale",
    LineKind.NETWORK_FEE: "network fee",
    LineKind.GRID_IMPORT: "from the grid",
    LineKind.GRID_EXPORT: "to the grid",
    LineKind.UNDELIVERABLE: "not delivered",
    LineKind.LOST_DEPOSIT: "lost deposit",
}


def corrections_section(result: RunResult) -> Section | None:
    """Old total, change, new total of each corrected bill; None when none was."""
    if not result.credits:
        return None
    digits = money_digits(
        nano for each in result.credits for nano in (each.note.billed_nano, _change_nano(each))
    )
    rows = (
        (
            each.participant_id,
            each.day,
            money_text(each.note.billed_nano, digits),
            money_text(_change_nano(each), digits, signed=True),
            money_text(each.note.billed_nano + _change_nano(each), digits),
        )
        for each in result.credits[:NOTES_SHOWN]
    )
    currency = result.scenario.currency
    headings = (
        Heading("Member", holds="words"),
        Heading("Day", holds="time"),
        Heading("Bill as issued", currency),
        Heading("Change", currency),
        Heading("New total", currency),
    )
    csv = table_csv(result, CREDIT_NOTES)
    body = joined(
        tag(
            "p",
            f"{credits_sentence(result)}: later readings took the place of those that were used. "
            "The bill itself stays as it was; a credit note says what changes.",
        ),
        wide_table("Credit notes", headings, rows),
        rest_note(NOTES_SHOWN, len(result.credits)),
        save_row(csv_link(csv, f"{result.scenario.name}-credit-notes.csv")),
        *(_lines(each, result) for each in result.credits[:OPENED_MAX] if each.lines),
        rest_note(OPENED_MAX, len(result.credits), "tables/bill_lines.parquet has all lines"),
    )
    return Section("corrections", body)


def _change_nano(credit: CreditResult) -> int:
    return credit.note.change.total_nano


def _lines(credit: CreditResult, result: RunResult) -> Html:
    """What a credit note is made of, on demand."""
    currency = result.scenario.currency
    headings = (
        Heading("Slot", holds="time"),
        Heading("Line", holds="words"),
        Heading("From", holds="words"),
        Heading("Energy", "kWh"),
        Heading("Price", f"{currency}/kWh"),
        Heading("Amount", currency),
    )
    zone = zone_of(result.scenario.time_zone)
    rows = (
        (
            start_text(line.slot_start_s, zone),
            line_text(line),
            line.reference,
            kwh_text(line.energy_wh, 3),
            _price(line),
            money_text(line.amount_nano, 4, signed=True),
        )
        for line in credit.lines[:LINES_SHOWN]
    )
    label = f"Lines of {credit.participant_id}, {credit.day}"
    return tag(
        "details",
        tag("summary", label),
        wide_table(label, headings, rows),
        rest_note(LINES_SHOWN, len(credit.lines), "tables/bill_lines.parquet has all"),
    )


def line_text(line: BillLine) -> str:
    """What a line charges or credits, and whether it takes one back or replaces it."""
    name = KIND_TEXTS[line.kind]
    if line.correction == 0:
        return name
    return f"{name}, taken back" if line.correction < 0 else f"{name}, corrected"


def _price(line: BillLine) -> str:
    """Half the sum of the two quotes; energy that was not delivered has none."""
    if line.kind in (LineKind.UNDELIVERABLE, LineKind.LOST_DEPOSIT):
        return ""
    doubled = line.price_sum_micro_per_kwh
    return price_text(doubled // 2) + ("5" if doubled % 2 else "")
