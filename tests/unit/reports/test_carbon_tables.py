"""Tables of series as files that grow: whole or not at all, the same in parts of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.unit.carbon.flows import solved, stacked
from tests.unit.carbon.test_series import INTENSITY, parts_of, series

from gridpact.carbon.series import TracedPart, trace_series
from gridpact.errors import StoreError
from gridpact.reports.carbon_summary import CarbonSummary, summary_lines
from gridpact.reports.carbon_tables import carbon_files, frames_of, snapshot_sums


def write(folder: Path, parts: list[TracedPart]) -> dict[str, str]:
    with carbon_files(folder, stores=True) as files:
        for part in parts:
            files.add(part)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_parts_of_any_size_make_the_same_files(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", series(5))
    assert write(tmp_path / "parts", series(2)) == whole
    assert sorted(whole) == [
        *("branches.csv", "buses.csv", "loads.csv", "snapshots.csv", "sources.csv", "stores.csv")
    ]
    buses = pl.read_csv(tmp_path / "whole" / "buses.csv")
    assert buses.columns == ["snapshot", "start_utc", "bus", "t_per_mwh", "t_per_mwh_max"]
    assert buses["start_utc"][2] == "1970-01-01T01:00:00Z"
    assert buses.height == 10
    (part,) = series(5)
    np.testing.assert_array_equal(buses["t_per_mwh"], part.low.bus_t_per_mwh.ravel())


def test_a_series_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    before = write(tmp_path, series(5))

    def fail_half_way() -> None:
        with carbon_files(tmp_path, stores=True) as files:
            files.add(series(2)[0])
            raise InterruptedError

    with pytest.raises(StoreError):
        fail_half_way()
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(StoreError, match="cannot be written"),
        carbon_files(tmp_path / "file", stores=False),
    ):
        pass


def test_sums_balance_in_every_snapshot() -> None:
    """What comes in is consumed, lost, stored and exported: power and carbon."""
    (part,) = series(5)
    sums = snapshot_sums(part)
    for unit in ("mw", "t_per_h", "t_per_h_max"):
        came = sums[f"generated_{unit}"] + sums[f"imported_{unit}"]
        went = sum(sums[f"{name}_{unit}"] for name in ("consumed", "exported", "lost", "stored"))
        np.testing.assert_allclose(came, went, rtol=1e-13)
    assert sums["stored_mw"].tolist() == [1.0, 1.0, -1.0, -0.5, -0.2]


def test_a_summary_is_the_same_in_parts_of_any_size() -> None:
    found = []
    for size in (1, 2, 5):
        parts = series(size)
        summary = CarbonSummary(parts[0].low.flow.network, 1.0)
        for part in parts:
            summary.add(part)
        found.append(summary.json("x.jsonl"))
    assert found[0] == found[1] == found[2]
    assert found[0]["snapshots"] == 5
    assert (found[0]["start"], found[0]["end"]) == ("1970-01-01T00:00:00Z", "1970-01-01T05:00:00Z")
    assert found[0]["totals"]["imported_mwh"] == 10.0
    assert found[0]["totals"]["imported_t"] == pytest.approx(2 * INTENSITY[:, 0].sum())
    assert "imported_t_max" not in found[0]["totals"]
    (store,) = found[0]["stores"]
    assert store["energy_mwh"] == pytest.approx(2 + 1.9 - 1.7 / 0.95, rel=1e-14)
    assert len(summary_lines(found[0])) == 1 + 7 + 6 + 2 + 1


@pytest.mark.parametrize("size", [1, 3])
def test_gaining_branches_are_counted_over_all_parts(size: int) -> None:
    flow = stacked(
        [
            solved([("a", "b", 10.0, -to)], [("g", "a", 10.0)], [("l", "b", to)])
            for to in (10.5, 9.9, 10.2)
        ]
    )
    summary = CarbonSummary(flow.network, 1.0)
    e = np.full((3, 1), 0.4)
    for part in trace_series(flow.network, parts_of(flow, e, e, size)):
        summary.add(part)
    found = summary.json("x.jsonl")
    (gaining,) = found["gaining_branches"]
    assert gaining == {"branch": "a-b-0", "snapshots": 2, "most_mw": pytest.approx(0.5)}
    assert found["by_snapshot"]["gaining_branches"] == [1, 0, 1]
    assert "1 branch gains power, kept as a negative loss: a-b-0 (0.5 MW)" in summary_lines(found)


def test_bounds_are_shown_where_they_differ() -> None:
    high = INTENSITY.copy()
    high[0, 0] = 0.9
    parts = series(2, high)
    summary = CarbonSummary(parts[0].low.flow.network, 1.0)
    for part in parts:
        summary.add(part)
    found = summary.json("x.jsonl")
    assert found["totals"]["imported_t_max"] == pytest.approx(2 * high[:, 0].sum())
    assert found["stores"][0]["carbon_t_max"] > found["stores"][0]["carbon_t"]
    assert any(".." in line for line in summary_lines(found))
    assert frames_of(parts[0])["stores"]["carbon_t_max"][0] == pytest.approx(0.9)
