"""The bench of the auction: its figures are there, and the compiled version is worth its weight."""

from __future__ import annotations

import pytest

from gridpact.studies.bench_clearing import bench_clearing, random_book


def test_figures_per_size() -> None:
    figures = bench_clearing(sizes=(10, 1_000))
    assert list(figures) == ["first_call", "10+10", "1000+1000"]
    large = figures["1000+1000"]
    assert large["orders"] == 2_000
    assert large["trades"] > 1_000
    assert large["ratio"] == pytest.approx(large["baseline_s"] / large["ours_s"])
    assert large["ratio"] > 20  # measured: about 200


def test_the_same_seed_makes_the_same_book() -> None:
    first, again, other = (random_book(50, seed) for seed in (1, 1, 2))
    assert first[0].price_micro_per_kwh.tolist() == again[0].price_micro_per_kwh.tolist()
    assert first[0].price_micro_per_kwh.tolist() != other[0].price_micro_per_kwh.tolist()
