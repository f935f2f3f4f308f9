from __future__ import annotations

import pytest

from gridpact.studies.bench_outsourcing import bench_outsourcing


@pytest.mark.slow
def test_figures_of_a_small_network() -> None:
    """Entries and message sizes are facts; times only have to be there."""
    results = bench_outsourcing((40,))
    assert list(results) == [
        "40 buses, oneself",
        "40 buses, diagonal masks",
        "40 buses, sparse masks",
        "40 buses, dense masks",
        "40 buses, double check by two processes",
    ]
    alone = results["40 buses, oneself"]
    assert (alone["nodes"], alone["sources"]) == (79, 9)
    entries = [
        results[f"40 buses, {name} masks"]["entries_ratio"] for name in ("diagonal", "dense")
    ]
    assert entries[0] == 1.0
    assert entries[1] > 20.0
    for figures in results.values():
        assert all(value >= 0.0 for value in figures.values())
        assert figures.get("difference", 0.0) < 1e-10
    diagonal = results["40 buses, diagonal masks"]
    assert diagonal["result_kb"] == pytest.approx(79 * 9 * 8 / 1000, rel=0.02)
