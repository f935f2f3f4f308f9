"""What every test may use: golden files, and the rule that CI skips nothing.

With `GRIDPACT_REQUIRE_SERVICES=1` a skipped test or module counts as failed: on a machine where
everything is meant to be there, a skip would hide that something is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import settings

# The first call of compiled code takes seconds, so single examples have no deadline. A test run is
# the same for everybody; `make explore` draws other examples each time.
settings.register_profile("gridpact", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None)
settings.load_profile("gridpact")

SKIPS_FAIL = os.environ.get("GRIDPACT_REQUIRE_SERVICES") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="rewrite the golden files instead of comparing with them; read the diff afterwards",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Whether golden files are to be rewritten in this run."""
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def golden(request: pytest.FixtureRequest, update_golden: bool) -> Callable[[str, str], None]:
    """`golden(name, text)`: `text` equals the file `name` beside the test, to the byte."""
    folder = request.path.parent

    def compare(name: str, text: str) -> None:
        path: Path = folder / name
        if update_golden:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        if not path.exists():
            pytest.fail(f"{path} is missing; `make golden` writes it, then read what it wrote")
        assert text == path.read_bytes().decode(), f"{name} differs; if it should: `make golden`"

    return compare


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """A skip becomes a failure that keeps its reason; an expected failure stays one."""
    if SKIPS_FAIL and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"skipped although GRIDPACT_REQUIRE_SERVICES=1: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(report)
    return report
