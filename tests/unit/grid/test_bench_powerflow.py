"""The bench of the power flow: its figures are there, and a batch is worth its while."""

from __future__ import annotations

import pytest

from gridpact.studies.bench_powerflow import bench_powerflow


def test_figures_per_case() -> None:
    figures = bench_powerflow(days=2, pandapower_snapshots=0)
    assert list(figures) == ["built-in day", "96 snapshots", "192 snapshots"]
    batch = figures["192 snapshots"]
    assert batch["snapshots"] == batch["baseline_snapshots_timed"] == 192
    assert batch["flows_per_s"] == pytest.approx(192 / batch["ours_s"])
    assert batch["ratio"] == pytest.approx(batch["baseline_s"] / batch["ours_s"])
    assert batch["ratio"] > 2  # measured: about 10
    assert "pandapower_s" not in batch


def test_what_the_built_in_grid_goes_through() -> None:
    """The figures of docs/grid.md."""
    day = bench_powerflow(days=1, pandapower_snapshots=0)["built-in day"]
    assert day["snapshots"] == 96
    assert day["vm_min_pu"] == pytest.approx(1.0131, abs=1e-4)
    assert day["vm_max_pu"] == pytest.approx(1.0306, abs=1e-4)
    assert day["loading_max_percent transformer-1"] == pytest.approx(18.9, abs=0.1)
    assert day["losses_kwh"] == pytest.approx(24.7, abs=0.1)
    assert day["import_max_kw"] == pytest.approx(37.9, abs=0.1)
    assert day["export_max_kw"] == pytest.approx(45.9, abs=0.1)
    assert day["violations"] == 0
