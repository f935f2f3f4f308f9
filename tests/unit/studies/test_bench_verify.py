"""The bench of certificate checks: its figures are there, and its windows are certified."""

from __future__ import annotations

import pytest

from gridpact.studies.bench_verify import bench_verify
from gridpact.studies.microgrid_windows import random_bids


def test_figures_per_size() -> None:
    figures = bench_verify(sizes=(2, 6), periods=12)
    assert list(figures) == ["2 x 12", "6 x 12"]
    for case in figures.values():
        assert case["ratio"] == pytest.approx(case["baseline_s"] / case["ours_s"])
        assert case["certificate_bytes"] > 500


def test_the_same_seed_makes_the_same_window() -> None:
    assert random_bids(3, 24, 1) == random_bids(3, 24, 1)
    assert random_bids(3, 24, 1) != random_bids(3, 24, 2)
