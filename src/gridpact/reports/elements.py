"""Building blocks of the page that several parts use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from gridpact.reports.amounts import count_text
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.plots import Figure

SECTIONS = {
    "prices": "Prices and volumes",
    "order-book": "One order book",
    "energy": "Energy",
    "grid": "Grid",
    "homes": "Homes",
    "carbon": "Carbon",
    "microgrids": "Microgrids",
    "trade": "Who sold, who bought",
    "storage": "Storage",
    "costs": "Costs",
    "penalties": "Penalties",
    "forecasts": "Forecasts",
    "bills": "Bills",
    "corrections": "Corrections",
    "ledger": "Ledger",
    "method": "How it was computed",
}
"""Id and title of each part, in their order on the page; a page has those it has data for."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the page."""

    name: str
    """One of SECTIONS."""
    body: Html
    figures: tuple[Figure, ...] = ()

    @property
    def html(self) -> Html:
        """Title and body."""
        return tag("section", tag("h2", SECTIONS[self.name]), self.body, id=self.name)


@dataclass(frozen=True, slots=True)
class Heading:
    """Head of a table's column."""

    title: str
    unit: str = ""
    holds: str = ""
    """`words`, `time`, or nothing for numbers."""


def pairs(facts: Mapping[str, str]) -> Html:
    """Names with their values, in two columns where there is room."""
    items = (joined(tag("dt", name), tag("dd", value)) for name, value in facts.items())
    return tag("dl", *items, class_="pairs")


def fact_list(facts: Iterable[tuple[str, str, str]]) -> Html:
    """A few amounts in a row: name, value, what it is to be compared with."""
    items = (
        tag(
            "div",
            tag("dt", name),
            tag("dd", value, class_="value"),
            tag("dd", beside, class_="beside"),
        )
        for name, value, beside in facts
    )
    return tag("dl", *items, class_="facts")


def small_table(title: str, rows: Iterable[tuple[str, str]]) -> Html:
    """A few numbers with their names, under a title."""
    body = (tag("tr", tag("td", name), tag("td", number)) for name, number in rows)
    return tag("div", tag("h3", title), tag("table", tag("tbody", *body)))


def wide_table(label: str, headings: Sequence[Heading], rows: Iterable[Sequence[str]]) -> Html:
    """A table that scrolls in itself where the page is narrow."""
    head = (
        tag(
            "th",
            each.title,
            tag("small", each.unit),
            scope="col",
            class_=each.holds or False,
        )
        for each in headings
    )
    body = (
        tag(
            "tr",
            *(
                tag("td", cell, class_=each.holds or False)
                for each, cell in zip(headings, row, strict=True)
            ),
        )
        for row in rows
    )
    return tag(
        "div",
        tag("table", tag("thead", tag("tr", *head)), tag("tbody", *body), class_="wide"),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=label,
    )


def rest_note(shown: int, whole: int, where: str = "the CSV has all") -> Html:
    """That a table is only the top of a longer one."""
    if whole <= shown:
        return Html()
    text = f"{count_text(shown)} of {count_text(whole)} are shown; {where}."
    return tag("p", text, class_="note")


def plot(figure: Figure, stem: str) -> Html:
    """Where a plot is drawn, and what it can be saved as.

    Args:
        figure: what the page's script draws into it.
        stem: first part of the names of saved files.
    """
    saves = (
        tag(
            "button",
            kind.upper(),
            type="button",
            data_save=kind,
            data_plot=figure.name,
            data_file=f"{stem}-{figure.name}.{kind}",
        )
        for kind in ("png", "svg")
    )
    return tag(
        "figure",
        tag(
            "div",
            tag("noscript", "Plots need JavaScript; their numbers are in the CSV."),
            id=f"plot-{figure.name}",
            class_=f"plot {figure.name}",
            role="img",
            aria_label=figure.label,
        ),
        save_row(*saves, csv_link(figure.csv, f"{stem}-{figure.name}.csv")),
    )


def save_row(*links: Html) -> Html:
    """Ways to take something away, under it."""
    return tag("div", tag("span", "Save as"), *links, class_="saves")


def csv_link(text: str, name: str) -> Html:
    """A link that holds the whole file."""
    address = "data:text/csv;charset=utf-8," + quote(text, safe=",:+-._")
    return tag("a", "CSV", href=address, download=name)
