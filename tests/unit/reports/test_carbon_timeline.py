"""Plots of carbon over time: what is drawn, what is left to the CSV, what a gap is."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from tests.unit.carbon.flows import solved, stacked
from tests.unit.carbon.test_series import parts_of
from tests.unit.carbon.test_storage import BATTERY, schedule

from gridpact.carbon.series import trace_series
from gridpact.reports import carbon_page
from gridpact.reports.carbon_page import CarbonRecord
from gridpact.reports.carbon_timeline import intensity_figure, mix_figure, store_figure
from gridpact.reports.palette import LIGHT

TIMES = ["2024-06-01 00:00:00", "2024-06-01 00:30:00", "2024-06-01 01:00:00"]


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def colours_of(specification: object) -> set[str]:
    text = json.dumps(specification)
    return {part.split('"')[0] for part in text.split('"@')[1:]}


def test_a_mix_is_stacked_in_the_order_of_its_names() -> None:
    values = np.array([[1.0, 0.0, 2.0], [1.5, 0.0, 0.0], [0.5, 0.0, 1.0]])
    figure = mix_figure(TIMES, ["grid", "off", "pv"], values)
    assert [each["name"] for each in figure.data] == ["grid", "pv"]
    assert figure.data[0]["y"] == [1.0, 1.5, 0.5]
    assert figure.data[0]["width"] == 1_800_000
    assert figure.layout["barmode"] == "stack"
    assert figure.layout["xaxis"]["range"] == [TIMES[0], "2024-06-01 01:30:00"]
    assert figure.layout["yaxis"]["title"]["text"] == "MW"
    rows = table(figure.csv)
    assert rows[2] == {"start": TIMES[0], "source": "pv", "p_mw": "2.0"}
    assert len(rows) == 9
    assert colours_of([figure.data, figure.layout]) <= set(LIGHT)


def test_many_sources_are_drawn_as_the_largest_and_the_rest() -> None:
    values = np.ones((3, 9)) * np.array([9, 1, 1, 8, 7, 6, 1, 5, 0.5])
    figure = mix_figure(TIMES, [f"s{i}" for i in range(9)], values, unit="Wh")
    assert [each["name"] for each in figure.data] == ["s0", "s3", "s4", "s5", "s7", "4 others"]
    assert figure.data[-1]["y"] == pytest.approx([0.0035] * 3)
    assert figure.data[-1]["marker"]["color"] == "@grid-light"
    assert figure.layout["yaxis"]["title"]["text"] == "kWh"
    assert table(figure.csv)[8]["energy_wh"] == "0.5"


def test_a_few_intensities_are_lines_with_gaps() -> None:
    values = np.array([[100.0, np.nan], [200.0, 50.0], [300.0, np.nan]])
    figure = intensity_figure(TIMES, ["a", "b"], values, colours=("trade", "load"))
    assert figure.data[0]["x"] == [*TIMES, "2024-06-01 01:30:00"]
    assert figure.data[0]["y"] == [100.0, 200.0, 300.0, 300.0]
    # A slot alone among gaps is drawn in its whole length.
    assert figure.data[1]["x"] == [TIMES[0], TIMES[1], TIMES[2], TIMES[2]]
    assert figure.data[1]["y"] == [None, 50.0, 50.0, None]
    assert [each["line"]["color"] for each in figure.data] == ["@trade", "@load"]
    assert table(figure.csv)[1] == {"start": TIMES[0], "name": "b", "g_per_kwh": ""}


def test_many_intensities_are_rows_of_colour() -> None:
    values = np.arange(21.0).reshape(3, 7)
    values[0, 3] = np.nan
    figure = intensity_figure(TIMES, [f"b{i}" for i in range(7)], values)
    (drawn,) = figure.data
    assert drawn["type"] == "heatmap"
    assert drawn["z"][3] == [None, 10.0, 17.0]
    assert drawn["x"][0] == "2024-06-01 00:15:00"
    assert drawn["zmax"] == 20.0


def test_stores_show_intensity_above_content() -> None:
    g = np.array([[np.nan], [250.0], [250.0]])
    figure = store_figure(TIMES, ["battery"], g, np.array([[0.0], [800.0], [400.0]]))
    above, below = figure.data
    assert above["y"][:3] == [None, 250.0, 250.0]
    assert below["yaxis"] == "y2"
    assert below["y"][:3] == [0.0, 0.8, 0.4]
    assert figure.layout["yaxis2"]["title"]["text"] == "kWh held"
    large = store_figure(TIMES, ["battery"], g, np.full((3, 1), 2e6))
    assert large.layout["yaxis2"]["title"]["text"] == "MWh held"
    assert large.data[1]["y"][0] == 2.0
    assert table(figure.csv)[0] == {
        "start": TIMES[0],
        "store": "battery",
        "g_per_kwh": "",
        "held_wh": "0.0",
    }


def test_a_single_time_is_an_hour() -> None:
    figure = mix_figure(TIMES[:1], ["grid"], np.array([[1.0]]), axis_title="Local time")
    assert figure.layout["xaxis"]["range"] == [TIMES[0], "2024-06-01 01:00:00"]
    assert figure.layout["xaxis"]["title"]["text"] == "Local time"


def recorded(snapshots: int, size: int) -> CarbonRecord:
    flow = schedule(*[(0.01, 0.0), (0.0, 0.005)] * (snapshots // 2))
    e = np.column_stack([np.linspace(0.2, 0.6, snapshots), np.zeros(snapshots)])
    record = CarbonRecord(flow.network, 1.0)
    for part in trace_series(flow.network, parts_of(flow, e, e, size), [BATTERY], 1.0):
        record.add(part)
    return record


def test_a_record_is_the_same_in_parts_of_any_size() -> None:
    whole, parts = recorded(48, 48), recorded(48, 5)
    assert parts.figures() == whole.figures()
    names = [figure.name for figure in whole.figures()]
    assert names == ["carbon-mix", "carbon-intensity", "carbon-stores"]
    assert whole.one is not None
    assert parts.one is not None
    assert parts.one.first == whole.one.first


def test_the_snapshot_that_is_drawn_differs_most() -> None:
    """The battery gives what is cleaner than the grid's power: more so the later it is."""
    record = recorded(10, 3)
    assert record.one is not None
    assert record.one.first == 9
    assert record.one.start_s is not None
    assert record.one.start_s.tolist() == [9 * 3600]


@pytest.mark.parametrize("size", [1, 4])
def test_of_snapshots_that_differ_alike_the_first_is_drawn(size: int) -> None:
    hour = solved([("a", "b", 2.0, -2.0)], [("g", "a", 2.0), ("h", "b", 1.0)], [("l", "b", 3.0)])
    flow = stacked([hour] * 4)
    e = np.tile([0.5, 0.1], (4, 1))
    record = CarbonRecord(flow.network, 1.0)
    for part in trace_series(flow.network, parts_of(flow, e, e, size)):
        record.add(part)
    assert record.one is not None
    assert record.one.first == 0
    assert record.snapshots == 4


def test_a_long_series_is_drawn_day_by_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carbon_page, "SLOTS_DRAWN_MAX", 47)
    record = recorded(48, 7)
    assert record.by_day
    mix, intensity, stores = record.figures()
    assert mix.layout["xaxis"]["range"] == ["1970-01-01 00:00:00", "1970-01-03 00:00:00"]
    assert mix.data[0]["y"] == pytest.approx([2.0, 2.0])
    assert mix.data[1]["y"] == pytest.approx([0.0025, 0.0025])
    hours = 1000 * np.linspace(0.2, 0.6, 48)
    assert intensity.data[0]["y"][:2] == pytest.approx([hours[:24].mean(), hours[24:].mean()])
    assert len(stores.data[0]["y"]) == 3


def test_a_day_without_any_value_has_no_mean() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, 5.0]])
    found = carbon_page._means(values, np.array([0, 0, 1]))
    np.testing.assert_array_equal(found, [[2.0, np.nan], [np.nan, 5.0]])


def test_large_networks_are_drawn_by_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carbon_page, "APART_MAX", 1)
    mix, intensity, _ = recorded(4, 2).figures()
    assert [each["name"] for each in mix.data] == ["Import", "Stores"]
    names = [each["name"] for each in intensity.data]
    assert names == ["Lowest bus", "Mean of all consumption", "Highest bus"]
    low, mean, high = (np.array(each["y"]) for each in intensity.data)
    assert (low <= mean).all()
    assert (mean <= high).all()
    assert (low < high).any()
