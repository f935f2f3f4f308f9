"""A small run, made once."""

from __future__ import annotations

import pytest
from tests.unit.cli.small_run import Run, call, write_scenario


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The small scenario, run once."""
    folder = tmp_path_factory.mktemp("run")
    scenario = write_scenario(folder)
    done = call("run", scenario, "--out", folder / "out", "--json")
    assert done.code == 0, done.err
    return Run(scenario, folder / "out", done.json)
