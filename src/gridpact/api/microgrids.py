"""Microgrids that bargain: a window read from a file, and its clearing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.inputs.microgrids import MicrogridWindow
    from gridpact.market.solvers import MicrogridClearing
    from gridpact.model.microgrids import MicrogridBid, MicrogridTerms


def load_microgrids(path: str | Path) -> MicrogridWindow:
    """Terms and bids of a JSON file; `docs/microgrids.md` shows one.

    Raises:
        InputError: everything that is wrong in the file.
    """
    from gridpact.inputs.microgrids import load_microgrids as load

    return load(Path(path))


def clear_microgrids(
    terms: MicrogridTerms,
    bids: Sequence[MicrogridBid],
    weights: Sequence[float] | None = None,
) -> MicrogridClearing:
    """Plan of least cost of all microgrids together, and the transfers that share what it saves.

    Args:
        terms: prices and fee of the window.
        bids: costs and limits of each microgrid.
        weights: bargaining power of each; equal when left out.

    Raises:
        InputError: everything that is wrong with them, or the solvers are not installed.
        SolveError: no solver reaches the tolerances.

    Source: [AEPS22], eqs. (1)-(18).
    """
    try:
        from gridpact.market.solvers import clear_microgrids as clear
    except ImportError as error:
        message = (
            f"needs {error.name}, which is not installed; install the extras: "
            "pip install 'gridpact[run,microgrid]'"
        )
        raise InputError([Problem("clear_microgrids", message)]) from error
    return clear(terms, bids, weights)
