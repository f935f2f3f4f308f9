"""`report.md`: what the terminal says and the top of the tables, readable on a forge."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import unescape
from pathlib import Path

from gridpact.files import write_atomically
from gridpact.model import RunResult
from gridpact.reports.amounts import NO_BREAK, kwh_text, money_digits, money_text, real_text
from gridpact.reports.columns import slot_cuts
from gridpact.reports.commands import checking_commands
from gridpact.reports.elements import Heading
from gridpact.reports.facts import facts_of, gains_rows, heading_of
from gridpact.reports.headline import headline
from gridpact.reports.physics import (
    farthest_buses,
    forecast_sentence,
    fullest_branches,
    grid_sentence,
)
from gridpact.reports.timeline import start_text, zone_of
from gridpact.reports.totals import accounts_of, totals_of

ROWS_SHOWN = 10
"""Of each table; the whole ones are in files of their own."""
_ELSEWHERE = (
    "Plots and everything else are in `report.html`, all rows in `tables/*.parquet`, "
    "`bills.csv` and `slots.csv`."
)
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~$&])")
_TAG = re.compile(r"<[^>]*>")


def write_markdown(result: RunResult, path: Path) -> None:
    """Write `report.md` of a run.

    Raises:
        StoreError: the disk refused; what was at `path` before is still there.
    """
    write_atomically(path, report_markdown(result).encode(errors="replace"))


def report_markdown(result: RunResult) -> str:
    """The text; what comes from the scenario cannot become markup."""
    heading, *rows = gains_rows(result)
    facts = ((name, fact) for name, fact in facts_of(result).items())
    sentences = (
        unescape(_TAG.sub("", headline(result, totals_of(result)))),
        grid_sentence(result),
        forecast_sentence(result),
    )
    parts = [
        f"# {escaped(heading_of(result))}",
        *(escaped(sentence) for sentence in sentences if sentence),
        _table([Heading(heading[0], holds="words"), *map(Heading, heading[1:-1]), _SHARE], rows),
        _table([Heading("What", holds="words"), Heading("How much", holds="words")], facts),
        *_grid(result),
        *_bills(result),
        *_credits(result),
        *_remarks(result),
        "## Check it",
        *(f"{each.purpose}:\n\n    {each.line}" for each in checking_commands(result)),
        _ELSEWHERE,
    ]
    return "\n\n".join(parts).replace(NO_BREAK, " ") + "\n"


def escaped(text: str) -> str:
    r"""Text that markdown shows as it is, on one line.

    >>> print(escaped("a|b <i>"), escaped("line-7"))
    a\|b \<i\> line-7
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


_SHARE = Heading("share")


def _table(headings: Sequence[Heading], rows: Iterable[Sequence[str]]) -> str:
    titles = (f"{each.title}, {each.unit}" if each.unit else each.title for each in headings)
    lines = [titles, *rows]
    shown = ["| " + " | ".join(escaped(cell) for cell in line) + " |" for line in lines]
    shown.insert(1, "|" + "|".join("---" if each.holds else "---:" for each in headings) + "|")
    return "\n".join(shown)


def _top(title: str, headings: Sequence[Heading], rows: list[Sequence[str]]) -> list[str]:
    """A titled table with its first rows, and how many there are; nothing without rows."""
    if not rows:
        return []
    named = title if len(rows) <= ROWS_SHOWN else f"{title}: {ROWS_SHOWN} of {len(rows):,}"
    return [f"## {named}", _table(headings, rows[:ROWS_SHOWN])]


def _grid(result: RunResult) -> list[str]:
    branches: list[Sequence[str]] = [
        (each.branch, real_text(each.loading_max_percent, 1))
        for each in fullest_branches(result, ROWS_SHOWN)
    ]
    buses: list[Sequence[str]] = [
        (each.bus, real_text(each.vm_min_pu, 4), real_text(each.vm_max_pu, 4))
        for each in farthest_buses(result, ROWS_SHOWN)
    ]
    zone = zone_of(result.scenario.time_zone)
    cuts: list[Sequence[str]] = [
        (
            start_text(each.slot.slot.start_s, zone),
            each.cut.seller,
            each.cut.buyer,
            kwh_text(each.cut.energy_wh, 3),
            kwh_text(each.cut.curtailed_wh, 3),
            each.cut.bound_by,
        )
        for each in sorted(slot_cuts(result), key=lambda each: -each.cut.curtailed_wh)
    ]
    return [
        *_top(
            "Branches loaded most",
            [Heading("Branch", holds="words"), Heading("Highest loading", "%")],
            branches,
        ),
        *_top(
            "Buses furthest from 1 pu",
            [Heading("Bus", holds="words"), Heading("Lowest", "pu"), Heading("Highest", "pu")],
            buses,
        ),
        *_top(
            "Curtailed trades",
            [
                Heading("Slot", holds="time"),
                Heading("Seller", holds="words"),
                Heading("Buyer", holds="words"),
                Heading("Traded", "kWh"),
                Heading("Curtailed", "kWh"),
                Heading("Bound by", holds="words"),
            ],
            cuts,
        ),
    ]


def _bills(result: RunResult) -> list[str]:
    """The members whom the market brought most, and those it cost."""
    accounts = sorted(accounts_of(result), key=lambda each: -each.difference_nano)
    digits = money_digits(each.total_nano for each in accounts)
    title = "Bills, best difference first"
    if len(accounts) > ROWS_SHOWN:
        half = ROWS_SHOWN // 2
        title += f": the first and the last {half} of {len(accounts):,}"
        accounts = [*accounts[:half], *accounts[-half:]]
    currency = result.scenario.currency
    rows: list[Sequence[str]] = [
        (
            each.participant_id,
            money_text(each.total_nano, digits),
            money_text(each.baseline_nano, digits),
            money_text(each.difference_nano, digits, signed=True),
        )
        for each in accounts
    ]
    headings = [Heading("Member", holds="words"), Heading("Bill", currency)]
    headings += [Heading("Without market", currency), Heading("Difference", currency)]
    return _top(title, headings, rows)


def _credits(result: RunResult) -> list[str]:
    """Bills that were corrected after they had been issued."""
    totals = [(each.note.billed_nano, each.note.change.total_nano) for each in result.credits]
    digits = money_digits(nano for pair in totals for nano in pair)
    currency = result.scenario.currency
    rows: list[Sequence[str]] = [
        (
            each.participant_id,
            each.day,
            money_text(billed, digits),
            money_text(change, digits, signed=True),
            money_text(billed + change, digits),
        )
        for each, (billed, change) in zip(result.credits, totals, strict=True)
    ]
    headings = [Heading("Member", holds="words"), Heading("Day", holds="time")]
    names = ("Bill as issued", "Change", "New total")
    return _top("Corrections", headings + [Heading(name, currency) for name in names], rows)


def _remarks(result: RunResult) -> list[str]:
    if not result.remarks:
        return []
    listed = "\n".join(f"- {escaped(remark)}" for remark in result.remarks)
    return ["## Mended in the data, left out of the day", listed]
