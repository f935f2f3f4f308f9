"""The report: one page that needs no network, for a reader who has never seen the program."""

from __future__ import annotations

from pathlib import Path

from gridpact.files import write_atomically
from gridpact.model import RunResult
from gridpact.reports.book_figure import order_book_figure
from gridpact.reports.carbon_section import carbon_section
from gridpact.reports.corrections import corrections_section
from gridpact.reports.document import document
from gridpact.reports.elements import Section
from gridpact.reports.forecasts import forecasts_section
from gridpact.reports.grid_section import grid_section
from gridpact.reports.homes import homes_section
from gridpact.reports.market_figures import energy_figure, price_figure
from gridpact.reports.markup import joined, tag
from gridpact.reports.orderbook import order_book
from gridpact.reports.sections import (
    bills_section,
    energy_section,
    ledger_section,
    method_section,
    opening,
    order_book_section,
    price_section,
)
from gridpact.reports.timeline import days_text, timeline_of
from gridpact.reports.totals import totals_of


def write_report(result: RunResult, path: Path) -> None:
    """Write the page of a run.

    Raises:
        StoreError: the disk refused; what was at `path` before is still there.
    """
    write_atomically(path, report_page(result).encode(errors="replace"))


def report_page(result: RunResult) -> str:
    """The page as text."""
    sections = _sections(result)
    body = joined(
        opening(result, totals_of(result), [each.name for each in sections]),
        tag("main", *(each.html for each in sections)),
    )
    figures = [figure for each in sections for figure in each.figures]
    return document(f"{result.scenario.name}, {days_text(result)}", body, figures)


def _sections(result: RunResult) -> list[Section]:
    """The parts that there is something to say about."""
    totals, timeline = totals_of(result), timeline_of(result)
    book = order_book(result)
    curves = None if book is None else order_book_figure(book, result.scenario.currency)
    found = (
        price_section(result, totals, timeline, price_figure(result, timeline)),
        order_book_section(result, book, curves),
        energy_section(result, totals, energy_figure(result, timeline)),
        grid_section(result, timeline),
        homes_section(result, timeline),
        carbon_section(result, timeline),
        forecasts_section(result),
        bills_section(result),
        corrections_section(result),
        ledger_section(result),
        method_section(result),
    )
    return [section for section in found if section is not None]
