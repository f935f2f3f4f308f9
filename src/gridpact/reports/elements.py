"""Building blocks of the page that several parts use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import quote

from gridpact.reports.figures import Figure
from gridpact.reports.markup import Html, joined, tag


def pairs(facts: Mapping[str, str]) -> Html:
    """Names with their values, in two columns where there is room."""
    items = (joined(tag("dt", name), tag("dd", value)) for name, value in facts.items())
    return tag("dl", *items, class_="pairs")


def small_table(title: str, rows: Iterable[tuple[str, str]]) -> Html:
    """A few numbers with their names, under a title."""
    body = (tag("tr", tag("td", name), tag("td", number)) for name, number in rows)
    return tag("div", tag("h3", title), tag("table", tag("tbody", *body)))


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
