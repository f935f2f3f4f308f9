"""The report: one page that needs no network, for a reader who has never seen the program.

The page is a function of the run alone: no clock, no random ids. What a browser may run on it is
named by hash in its content security policy, and loading anything from elsewhere is refused.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import msgspec

from gridpact.files import write_atomically
from gridpact.model import RunResult
from gridpact.reports.book_figure import order_book_figure
from gridpact.reports.corrections import corrections_section
from gridpact.reports.elements import Section
from gridpact.reports.forecasts import forecasts_section
from gridpact.reports.grid_section import grid_section
from gridpact.reports.homes import homes_section
from gridpact.reports.market_figures import energy_figure, price_figure
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.orderbook import order_book
from gridpact.reports.palette import DARK, LIGHT, css_variables
from gridpact.reports.plots import Figure
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
    data = _page_data([figure for each in sections for figure in each.figures])
    return _document(f"{result.scenario.name}, {days_text(result)}", body, data)


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
        forecasts_section(result),
        bills_section(result),
        corrections_section(result),
        ledger_section(result),
        method_section(result),
    )
    return [section for section in found if section is not None]


def _document(title: str, body: Html, data: Html) -> str:
    """Head, body, then the scripts, so that the text stands before the plots are drawn."""
    scripts = [_plotly_script(), _asset("page.js")]
    allowed = " ".join(f"'sha256-{_sha256_base64(script)}'" for script in scripts)
    # Plotly styles what it draws, and pictures are made from data that the page itself holds.
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    head = joined(
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", Html("\n" + css_variables() + _asset("page.css"))),
    )
    end = Html("\n".join(f"<script>{script}</script>" for script in scripts))
    page = tag("html", tag("head", head), tag("body", body, data, end), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _page_data(figures: list[Figure]) -> Html:
    """Specifications and colours for the page's script; `<` cannot end the element early."""
    drawn = {figure.name: {"data": figure.data, "layout": figure.layout} for figure in figures}
    content = msgspec.json.encode({"figures": drawn, "colours": {"light": LIGHT, "dark": DARK}})
    text = content.decode().replace("<", "\\u003c")
    return tag("script", Html(text), type="application/json", id="page-data")


@lru_cache(maxsize=1)
def _plotly_script() -> str:
    """Plotly's own script, from the installed package."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


@lru_cache(maxsize=4)
def _asset(name: str) -> str:
    """A file that lies beside this module."""
    return (files("gridpact.reports") / name).read_text(encoding="utf-8")


def _sha256_base64(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
