"""What the pages of studies are made of: claims, figures, tables, one file that stands alone."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from gridpact.errors import StoreError
from gridpact.files import write_atomically

STYLE = """
:root{color-scheme:light dark}
body{margin:2rem auto;max-width:54rem;padding:0 1.25rem;font:16px/1.55 system-ui,sans-serif;
background:#fff;color:#191d22}
h1{font-weight:500;letter-spacing:-.02em;line-height:1.2}h2{margin:3rem 0 .5rem;font-size:1.2rem}
p{max-width:44em}figure{margin:2.5rem 0 0}figcaption{max-width:44em;color:#59626e}
figure svg{width:100%;height:auto}h3{margin:0 0 .5rem;font-size:1rem}
.scroll{overflow-x:auto}table{width:100%;border-collapse:collapse;font-size:.875rem}
th,td{padding:.4rem .75rem .4rem 0;text-align:left;vertical-align:top;border-top:1px solid #d9dde3}
thead th{border-top:0}td{font-variant-numeric:tabular-nums}
@media(prefers-color-scheme:dark){body{background:#14171b;color:#e7eaee}
figcaption{color:#a0a9b5}th,td{border-color:#343b45}}
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of a comparison."""

    name: str
    theirs: str
    """Of the paper; or, marked (N), of our own earlier reading of its formulas."""
    ours: str
    gap: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot and what it is about."""

    name: str
    """Stem of its file."""
    title: str
    caption: str
    svg: str


def percent(share: float) -> str:
    """A share as a percentage.

    >>> percent(-0.0763)
    '-7.6 %'
    """
    return f"{100 * share:.1f} %"


def finite(value: object) -> object:
    """The same as JSON has it: what is infinite becomes null, tuples become lists."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


def page(title: str, body: str) -> str:
    """Everything on one page that needs nothing from elsewhere."""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head><body>
{body}
</body></html>
"""


def claim_table(claims: Sequence[Claim]) -> str:
    """Theirs, ours, the gap."""
    rows = [(each.name, each.theirs, each.ours, each.gap) for each in claims]
    return table(("claim", "theirs", "ours", "gap"), rows)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table that scrolls in itself where the page is narrow."""

    def row(tag: str, cells: tuple[str, ...]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(row("td", cells) for cells in rows)
    return (
        f'<div class="scroll"><table><thead>{row("th", head)}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def figure_list(figures: Sequence[Figure]) -> str:
    """Plots, each with its title and what to see in it."""
    return "\n".join(
        f"<figure><h3>{escape(figure.title)}</h3>{figure.svg}"
        f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
        for figure in figures
    )


def write_folder(
    folder: Path, html: str, numbers_name: str, numbers: object, figures: Sequence[Figure]
) -> None:
    """Write `index.html`, the numbers as JSON and one SVG for each figure.

    Raises:
        StoreError: the disk refused.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot be made: {error.strerror}; name a folder that can"
        ) from error
    for figure in figures:
        write_atomically(folder / f"{figure.name}.svg", figure.svg.encode())
    text = json.dumps(numbers, indent=1, allow_nan=False)
    write_atomically(folder / numbers_name, f"{text}\n".encode())
    write_atomically(folder / "index.html", html.encode())
