"""A page of one traced snapshot: the network by intensity, and where power goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gridpact.files import write_atomically
from gridpact.reports.carbon_figures import map_figure, sankey_figure
from gridpact.reports.document import document
from gridpact.reports.elements import plot
from gridpact.reports.markup import joined, tag

if TYPE_CHECKING:
    from gridpact.model.carbon import Trace

PAGE = "carbon.html"


def write_carbon_page(folder: Path, trace: Trace) -> Path:
    """Write the page into a folder, which is made when it is not there.

    Args:
        folder: where to.
        trace: its first snapshot is drawn.

    Raises:
        StoreError: the disk refused.
    """
    figures = [map_figure(trace), sankey_figure(trace)]
    body = joined(
        tag("header", tag("h1", "Carbon in the network")),
        tag(
            "main",
            tag(
                "section",
                tag("h2", "Intensity by bus"),
                tag("p", "All that leaves a bus has the mix of all that enters it."),
                plot(figures[0], "trace"),
            ),
            tag(
                "section",
                tag("h2", "From sources to loads"),
                tag("p", "Power in MW; the same shares of each source's carbon go along."),
                plot(figures[1], "trace"),
            ),
        ),
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / PAGE
    write_atomically(path, document("Carbon in the network", body, figures).encode())
    return path
