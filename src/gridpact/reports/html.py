"""The report: one page that needs no network, for a reader who has never seen the program.

The page is a function of the run alone, apart from timings: no clock, no random ids. What a browser may run on it is
named by hash in its content security policy, and nothing may be loaded.
"""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import msgspec

from gridpact.model import RunResult
from gridpact.reports.figures import (
    Figure,
    energy_figure,
    order_book_figure,
    price_figure,
)
from gridpact.reports.files import write_atomically
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.orderbook import fullest_book
from gridpact.reports.palette import DARK, LIGHT, css_variables
from gridpact.reports.sections import (
    bills_section,
    energy_section,
    footer,
    ledger_section,
    masthead,
    method_section,
    opening,
    order_book_section,
    price_section,
)
from gridpact.reports.timeline import timeline_of


def write_report(result: RunResult, path: Path) -> None:
    """Write the page of a run.

    Raises:
        StoreError: the disk refused; what was at `path` before is still there.
    """
    write_atomically(path, report_page(result))


def report_page(result: RunResult) -> str:
    """The page as text."""
    timeline = timeline_of(result)
    book = fullest_book(result)
    prices = price_figure(result, timeline)
    energy = energy_figure(result, timeline)
    drawn = [prices, energy]
    if book is not None:
        drawn.append(order_book_figure(book, result.scenario.currency))
