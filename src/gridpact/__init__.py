"""gridpact: a shared, tamper-evident market for distributed electricity.

What is listed here loads when it is first used, so that `import gridpact` is instant and needs
nothing but the base dependencies. `docs/python.md` shows how to use it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gridpact.api import (
        CarbonTrace,
        Clearing,
        Manifest,
        ProvedBill,
        ProvedCarbon,
        Result,
        clear_auction,
        clear_microgrids,
        load_microgrids,
        run,
        trace,
        verify_bill,
        verify_carbon,
    )

__version__ = "0.1.0"

__all__ = [
    "CarbonTrace",
    "Clearing",
    "Manifest",
    "ProvedBill",
    "ProvedCarbon",
    "Result",
    "__version__",
    "clear_auction",
    "clear_microgrids",
    "load_microgrids",
    "run",
    "trace",
    "verify_bill",
    "verify_carbon",
]


def __getattr__(name: str) -> object:
    """Load the Python interface when one of its names is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gridpact import api

    value: object = getattr(api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What there is, loaded or not."""
    return sorted({*globals(), *__all__})
