"""The bench of the agents: its figures are there, and building a matrix once is worth it."""

from __future__ import annotations

import pytest

from gridpact.studies.bench_agents import bench_agents


@pytest.mark.slow
def test_figures_per_way_of_planning() -> None:
    figures = bench_agents(homes=4, history_days=21, forecast_days=2)
    assert list(figures) == ["self_consumption", "arbitrage", "optimised", "forecast"]
    for planning in ("self_consumption", "arbitrage", "optimised"):
        assert figures[planning]["homes"] == 4
        assert figures[planning]["day_s"] > 0
    assert figures["optimised"]["ratio"] == pytest.approx(
        figures["optimised"]["baseline_s"] / figures["optimised"]["ours_s"]
    )
    assert figures["forecast"]["members"] == 99
    assert figures["forecast"]["skill"] > 0
