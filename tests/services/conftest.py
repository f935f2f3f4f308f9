"""What tests with real processes share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gridpact.errors import InputError
from gridpact.node.cometbft import find_program


@pytest.fixture
def cometbft() -> None:
    """The real program is there: `make cometbft` builds it."""
    try:
        find_program()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="gp-") as name:
        yield Path(name)
