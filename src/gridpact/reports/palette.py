"""One colour per meaning, the same in every plot and table, on light and on dark ground.

The hues are those that people of all colour visions tell apart (Okabe and Ito), darkened or
lightened until they stand out from their ground. Plots name a colour as `@bid`; the page puts the
value in when it draws, so that it can follow the reader's setting.
"""

from __future__ import annotations

LIGHT = {
    "paper": "#ffffff",
    "wash": "#f5f6f8",
    "line": "#d9dde3",
    "ink": "#191d22",
    "muted": "#59626e",
    "bid": "#0068a8",
    "offer": "#c8500a",
    "trade": "#007a5a",
    "pv": "#d99400",
    "grid": "#6b7480",
    "grid-light": "#b4bbc5",
    "load": "#191d22",
    "pv-fill": "rgba(230,159,0,0.30)",
    "trade-fill": "rgba(0,122,90,0.14)",
    "band-fill": "rgba(115,124,136,0.08)",
    "better": "#00694d",
    "worse": "#a83c00",
}
DARK = {
    "paper": "#14171b",
    "wash": "#1c2026",
    "line": "#343b45",
    "ink": "#e7eaee",
    "muted": "#a0a9b5",
    "bid": "#5ab4ea",
    "offer": "#f59a62",
    "trade": "#45cba0",
    "pv": "#f2c14e",
    "grid": "#98a2af",
    "grid-light": "#59636f",
    "load": "#e7eaee",
    "pv-fill": "rgba(242,193,78,0.28)",
    "trade-fill": "rgba(69,203,160,0.16)",
    "band-fill": "rgba(146,156,169,0.12)",
    "better": "#45cba0",
    "worse": "#f59a62",
}


def css_variables() -> str:
    """The palette as custom properties: light by default and on paper, dark where asked for."""
    light, dark = (
        "".join(f"--{name}:{value};" for name, value in colours.items())
        for colours in (LIGHT, DARK)
    )
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n"
    )
