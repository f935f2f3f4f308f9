"""What commands print, and where."""

from __future__ import annotations

import io
import sys

import pytest
import structlog

from gridpact.cli.output import configure_logging


def test_the_log_follows_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller that has put back its own standard error still gets the next line."""
    before, after = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", before)
    configure_logging(verbose=False)
    log = structlog.get_logger("test")
    log.warning("first")
    before.close()
    monkeypatch.setattr(sys, "stderr", after)
    log.warning("second")
    assert '"event": "second"' in after.getvalue()
    assert "first" not in after.getvalue()
