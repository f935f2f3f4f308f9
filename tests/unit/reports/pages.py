"""Pages as a browser reads them, with the standard library's parser."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

from gridpact.model import RunResult
from gridpact.reports.html import report_page


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    text: str = ""
    parents: tuple[str, ...] = ()


@dataclass
class Page(HTMLParser):
    """Elements in the order of their tags, each with the text inside it."""

    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        element.parents = tuple(parent.name for parent in self.open)
        self.elements.append(element)
        if tag != "meta":
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].name == tag
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, name: str, **attributes: str) -> list[Element]:
        return [
            element
            for element in self.elements
            if element.name == name
            and all(element.attributes.get(key) == value for key, value in attributes.items())
        ]


def parsed(result: RunResult) -> Page:
    page = Page()
    page.feed(report_page(result))
    page.close()
    assert page.open == []
    return page


def figures_of(page: Page) -> dict[str, Any]:
    (data,) = page.all("script", id="page-data")
    figures = json.loads(data.text)["figures"]
    assert isinstance(figures, dict)
    return figures


def trace(figure: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in figure["data"] if each["name"] == name)
    assert isinstance(found, dict)
    return found


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def saved(page: Page, name: str) -> dict[str, str]:
    """The files that the page holds, by what follows the scenario's name."""
    return {
        link.attributes["download"].removeprefix(name): unquote(
            link.attributes["href"].partition(",")[2]
        )
        for link in page.all("a")
        if "download" in link.attributes
    }


def words(page: Page, section: str) -> str:
    """All text of one part of the page."""
    (found,) = page.all("section", id=section)
    return plain(found.text)
