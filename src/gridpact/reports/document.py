"""A page as one file: what its script draws is data in it.

The page is a function of the run alone: no clock, no random ids. What a browser may run on it is
named by hash in its content security policy, and loading anything from elsewhere is refused.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files

import msgspec

from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.palette import DARK, LIGHT, css_variables
from gridpact.reports.plots import Figure


def document(title: str, body: Html, figures: Sequence[Figure]) -> str:
    """Head, body, then the scripts, so that the text stands before the plots are drawn.

    Args:
        title: of the window.
        body: with a place for each figure.
        figures: what the page's script draws.
    """
    data = _page_data(figures)
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


def _page_data(figures: Sequence[Figure]) -> Html:
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
