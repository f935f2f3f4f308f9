"""`import gridpact` is instant; its names load when they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import gridpact
from gridpact import api

HEAVY = ("numba", "numpy", "plotly", "polars", "gridpact.api", "gridpact.pipeline")


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, gridpact\nprint(sorted({HEAVY!r} & sys.modules.keys()))".replace(
        repr(HEAVY), f"set({HEAVY!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", sorted(set(gridpact.__all__) - {"__version__"}))
def test_names_are_those_of_the_room(name: str) -> None:
    assert getattr(gridpact, name) is getattr(api, name)
    assert name in dir(gridpact)


def test_unknown_names_are_told_as_usual() -> None:
    with pytest.raises(AttributeError, match="module 'gridpact' has no attribute 'walk'"):
        gridpact.walk  # type: ignore[attr-defined]  # noqa: B018
