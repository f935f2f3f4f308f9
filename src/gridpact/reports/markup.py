"""HTML that is escaped by construction: text becomes markup in one place only."""

from __future__ import annotations

from html import escape


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str | bool) -> Html:
    """An element. Children that are not `Html` are escaped, and so is every attribute.

    Attribute names are written with underscores: `data_nano`, and `class_` for the reserved word.
    True gives a bare attribute, False none.

    >>> tag("b", "1 < 2", tag("i", "x"), title='"', class_="a", hidden=True, open=False)
    '<b title="&quot;" class="a" hidden>1 &lt; 2<i>x</i></b>'
    """
    opening = name
    for key, value in attributes.items():
        attribute = key.removesuffix("_").replace("_", "-")
        if value is True:
            opening += f" {attribute}"
        elif value is not False:
            opening += f' {attribute}="{escape(value)}"'
    return Html(f"<{opening}>{joined(*children)}</{name}>")


def joined(*children: str) -> Html:
    """Children side by side, escaped where they are plain text."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))
