"""What holds for all tests of links."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict


@pytest.fixture(autouse=True)
def logged(tmp_path: Path) -> Iterator[list[EventDict]]:
    """What was logged; no test's log may hold any part of a private key."""
    with capture_logs() as found:
        yield found
    said = repr(found)
    assert "PRIVATE" not in said
    for path in tmp_path.rglob("*.pem"):
        secret = path.read_text().splitlines()[1]
        assert secret not in said
