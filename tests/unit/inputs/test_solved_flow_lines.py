"""Files of many solved flows: what they come to, in parts of any size, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.inputs.flow_lines import charged_and_given, header, lines, snapshot

from gridpact.errors import InputError
from gridpact.inputs import solved_flow_lines
from gridpact.inputs.solved_flow_lines import open_solved_flow_lines
from gridpact.model.carbon import FlowToTrace, LoadKind


def parts(path: Path) -> list[FlowToTrace]:
    return list(open_solved_flow_lines(path).parts())


def test_a_file_as_documented(tmp_path: Path) -> None:
    opened = open_solved_flow_lines(lines(tmp_path, charged_and_given()))
    (found,) = opened.parts()
    assert opened.slot_s == 1800
    (store,) = opened.elements.stores
    assert (store.store_id, store.energy_mwh, store.capacity_mwh) == ("battery", 1.0, 4.0)
    assert found.start_s is not None
    assert np.diff(found.start_s).tolist() == [1800] * 3
    assert found.flow.p_source_mw[:, 1:].tolist() == [[0, 0], [1, 0], [0, 1], [3, 0]]
    network = found.flow.network
    assert network.load_ids == ("a", "b", "grid", "battery")
    assert network.load_kind[2:].tolist() == [LoadKind.EXPORT, LoadKind.CHARGING]
    assert found.flow.p_load_mw[:, 3].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert found.flow.p_load_mw[:, 2] == pytest.approx([0, 0, 0, 0.99], rel=1e-14)
    assert np.isnan(found.low_t_per_mwh[:, 2]).all()


def test_parts_of_any_size_are_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path, [snapshot(i, 0.1 * i, 0.0) for i in range(7)])
    (whole,) = parts(path)
    monkeypatch.setattr(solved_flow_lines, "VALUES_AT_ONCE", 24)
    several = parts(path)
    assert [len(part.flow.p_source_mw) for part in several] == [3, 3, 1]
    for name in ("p_source_mw", "p_load_mw", "p_from_mw", "p_to_mw"):
        joined = np.concatenate([getattr(part.flow, name) for part in several])
        np.testing.assert_array_equal(joined, getattr(whole.flow, name))


def test_intensities_of_a_line_go_before_those_of_the_first(tmp_path: Path) -> None:
    rows = [snapshot(0, 0.5, 0.0), snapshot(1, 0.5, 0.0, t_per_mwh=[0.7, None, None])]
    (found,) = parts(lines(tmp_path, rows))
    assert found.low_t_per_mwh[:, 0].tolist() == [0.5, 0.7]
    assert found.high_t_per_mwh[:, 0].tolist() == [0.5, 0.7]
    assert found.low_t_per_mwh[:, 1].tolist() == [0.0, 0.0]


def test_curves_follow_the_power_and_meters_the_policy(tmp_path: Path) -> None:
    first = header()
    del first["sources"][1]["technology"]
    first["sources"][1] |= {"curve": {"a": 0.0, "b": 0.1, "c": 0.02}, "behind_meter": True}
    first["meter_policy"] = "net"
    rows = [snapshot(0, 0.5, 0.0), snapshot(1, 2.0, 0.0), snapshot(2, 0.0, 0.0)]
    (found,) = parts(lines(tmp_path, rows, first))
    expected = [44 / 12 * (0.1 + 0.04), 44 / 12 * (0.1 + 0.01), np.nan]
    assert found.low_t_per_mwh[:, 1] == pytest.approx(expected, rel=1e-14, nan_ok=True)
    assert found.flow.p_load_mw[:, 1].tolist() == [1.5, 0.0, 2.0]
    assert found.flow.p_source_mw[:, 1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": "noon"}, r"flows.jsonl:3: start: 'noon' is no time with a zone"),
        ({"start": "2024-06-01T12:30:00"}, r":3: start: '2024-06-01T12:30:00' is no time"),
        (
            {"start": "2024-06-01T13:00:00Z"},
            r":3: start: .* is not 1800 s after the snapshot before",
        ),
        (
            {"load_mw": [0.0]},
            r":3: snapshot 2024-06-01T12:30:00Z: load_mw: has 1 values; .* 2, one",
        ),
        ({"p_from_mw": []}, r":3: snapshot .*: p_from_mw: has 0 values; allowed: 1"),
        ({"t_per_mwh": [0.1]}, r":3: snapshot .*: t_per_mwh: has 1 values; allowed: 3"),
        ({"load_mw": [0.0, -2.0]}, r":3: snapshot .*: load_mw\[2\] of b: -2 is not allowed"),
        ({"p_mw": [2.0, -0.1, 0]}, r"p_mw\[2\] of pv: -0.1 is not allowed; allowed: >= 0, as only"),
        ({"p_mw": [2e9, 0.0, 0.0]}, r"p_mw\[1\] of grid: 2e\+09 is not allowed; allowed: up to"),
        ({"p_to_mw": ["x"]}, r":3: is no snapshot: Expected `float`, got `str` - at `\$.p_to_mw"),
        ({"p_to_mv": [0.0]}, r":3: is no snapshot: .*unknown field `p_to_mv`"),
        ({"t_per_mwh": [4.0, None, None]}, r"t_per_mwh\[1\] of grid: 4 is not allowed; .* 0 to 3"),
        ({"t_per_mwh": [None, None, 0.1]}, r"t_per_mwh\[3\] of battery: has no meaning"),
    ],
)
def test_lines_that_are_no_snapshot(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    rows = [snapshot(0, 0.5, 0.0), snapshot(1, 0.5, 0.0) | change]
    with pytest.raises(InputError, match=words):
        parts(lines(tmp_path, rows))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "gridpact-solved-flow-1"}, r"flows.jsonl:1: format: .* is not allowed"),
        ({"slot_s": 0}, r":1: slot_s: 0 is not allowed; .* an hour is 3600"),
        ({"buses": []}, ":1: buses: has no bus"),
        ({"meter_policy": "nett"}, ":1: meter_policy: 'nett'"),
        ({"loads": []}, ":1: loads: is not a known key"),
    ],
)
def test_first_lines_that_are_none(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        parts(lines(tmp_path, [snapshot(0, 0.5, 0.0)], header() | change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"carbon_t": None}, r"sources\[3\]\.store\.carbon_t: none is not allowed"),
        ({"charge_efficiency": 0.0}, r"store\.charge_efficiency: 0 is not allowed; .* above 0"),
        ({"energy_mwh": 5.0}, r"store\.energy_mwh: 5 is not allowed; allowed: 0 to capacity_mwh"),
        ({"capacity_mwh": 0.0, "energy_mwh": 0.0}, r"store\.capacity_mwh: 0 is not allowed"),
        ({"size": 1}, r"store\.size: is not a known key"),
    ],
)
def test_stores_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    first = header()
    first["sources"][2]["store"] |= change
    with pytest.raises(InputError, match=words):
        open_solved_flow_lines(lines(tmp_path, [], first))


def test_stores_have_no_other_intensity_and_no_other_kind(tmp_path: Path) -> None:
    first = header()
    first["sources"][2]["t_per_mwh"] = 0.1
    with pytest.raises(InputError, match=r"sources\[3\]\.t_per_mwh: has no meaning beside a store"):
        open_solved_flow_lines(lines(tmp_path, [], first))
    first = header()
    first["sources"][2]["kind"] = "import"
    with pytest.raises(InputError, match=r"sources\[3\]\.store: has no meaning here"):
        open_solved_flow_lines(lines(tmp_path, [], first))


def test_no_file_and_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"flows\.jsonl: has no snapshot"):
        parts(lines(tmp_path, []))
    with pytest.raises(InputError, match="cannot be read"):
        open_solved_flow_lines(tmp_path / "none.jsonl")
    for text in ("", "[1]\n", "{\n"):
        (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match=r"x\.jsonl:1: "):
            open_solved_flow_lines(tmp_path / "x.jsonl")
