"""Loads of a network over time: parts of any size, and refusals by line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.unit.inputs.test_solved_flow import grid_folder

from gridpact.carbon import MeterPolicy
from gridpact.errors import InputError
from gridpact.inputs import injections
from gridpact.inputs.flow_series import Intensities
from gridpact.inputs.injections import read_injections
from gridpact.inputs.solved_flow_reference import Asked, load_flow_series
from gridpact.model.carbon import FlowToTrace

BUSES = ("a", "b", "b2", "far")
TEXT = """\
start,bus,load_mw,generated_mw
2024-06-01T12:00:00Z,b,0.005,
2024-06-01T12:00:00Z,b2,0.003,0.004
2024-06-01T15:00:00+02:00,b,0.006,0
2024-06-01T14:00:00Z,b2,0.001,0.002
"""


def file(folder: Path, text: str = TEXT) -> Path:
    path = folder / "loads.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_as_documented(tmp_path: Path) -> None:
    found = read_injections(file(tmp_path), BUSES)
    assert (found.snapshots, found.step_s) == (3, 3600)
    assert found.generates.tolist() == [False, False, True, False]
    (part,) = found.parts()
    assert np.diff(part.start_s).tolist() == [3600, 3600]
    assert part.load_mw.tolist() == [[0, 0.005, 0.003, 0], [0, 0.006, 0, 0], [0, 0, 0.001, 0]]
    assert part.generated_mw[:, 2].tolist() == [0.004, 0.0, 0.002]
    assert not part.load_mvar.any()


def test_parts_of_any_size_are_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_injections(file(tmp_path), BUSES)
    (whole,) = found.parts()
    monkeypatch.setattr(injections, "VALUES_AT_ONCE", 8)
    several = list(found.parts())
    assert [len(part.start_s) for part in several] == [2, 1]
    np.testing.assert_array_equal(np.concatenate([p.load_mw for p in several]), whole.load_mw)
    np.testing.assert_array_equal(np.concatenate([p.start_s for p in several]), whole.start_s)


def series(folder: Path, text: str = TEXT, policy: MeterPolicy = MeterPolicy.GROSS) -> FlowToTrace:
    grid = folder / "grid"
    grid.mkdir(exist_ok=True)
    asked = Asked(policy, injections=file(folder, text))
    factors = Intensities({"import": (0.4, 0.4), "generation": (0.0, 0.0)})
    found = load_flow_series(str(grid_folder(grid)), asked, factors)
    assert found.many
    assert found.hours == 1.0
    (part,) = found.parts
    return part


def test_solved_snapshot_by_snapshot_with_the_same_sources(tmp_path: Path) -> None:
    """A plant that rests in a part is a source of it all the same, so that parts have one
    network."""
    part = series(tmp_path)
    assert part.flow.network.source_ids == ("grid", "generation:b2")
    assert part.flow.p_source_mw[:, 1] == pytest.approx([0.004, 0.0, 0.002], rel=1e-12)
    from_grid = part.flow.p_source_mw[:, 0]
    # Loads less plants, the shunt of 100 W, and some losses.
    assert from_grid[:2] == pytest.approx([0.0041, 0.0061], rel=0.02)
    assert part.flow.p_load_mw[2, part.flow.network.load_ids.index("export:grid")] > 0.0008
    net = series(tmp_path, policy=MeterPolicy.NET)
    assert net.flow.p_source_mw[0, 1] == pytest.approx(0.001, rel=1e-9)


def test_reactive_load_moves_the_losses(tmp_path: Path) -> None:
    plain = "start,bus,load_mw,load_mvar\n2024-06-01T12:00:00Z,b,0.005,0\n"
    losses = [
        series(tmp_path, text).flow.p_from_mw[0, 0] + series(tmp_path, text).flow.p_to_mw[0, 0]
        for text in (plain, plain.replace(",0\n", ",0.005\n"))
    ]
    assert losses[1] == pytest.approx(2 * losses[0], rel=0.05)


def test_a_snapshot_without_a_solution_has_its_start(tmp_path: Path) -> None:
    text = TEXT.replace("b,0.006", "b,60")
    with pytest.raises(
        InputError, match=r"loads\.csv: snapshot 2024-06-01T13:00:00Z: the power fl"
    ):
        series(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("load_mw", "load_kw", r"loads\.csv:1: has no column load_mw"),
        ("12:00:00Z,b,", "12:00:00,b,", r"loads\.csv:2: start '2024-06-01T12:00:00' is no time"),
        (",b2,0.003", ",bx,0.003", r"loads\.csv:3: bus 'bx' is not in the network; did you mean"),
        (",b2,0.003", ",b,0.003", r"loads\.csv:3: bus b is there twice at 2024-06-01T12:00:00Z"),
        ("0.006", "-0.006", r"loads\.csv:4: load_mw '-0.006' of bus b is not allowed; .* 0 to 1e"),
        ("0.006", "six", r"loads\.csv:4: load_mw 'six' of bus b is not allowed"),
        ("0.006", "nan", r"loads\.csv:4: load_mw 'nan' of bus b is not allowed"),
        (",0.004", ",-1", r"loads\.csv:3: generated_mw '-1' of bus b2"),
        ("T14:00", "T14:30", r"loads\.csv:5: start 2024-06-01T14:30:00Z is 5400 s after"),
        ("T14:00", "T11:00", r"loads\.csv:5: start 2024-06-01T11:00:00Z is not after"),
        (TEXT[31:], "", r"loads\.csv: has no rows"),
    ],
)
def test_refused_by_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_injections(file(tmp_path, TEXT.replace(old, new)), BUSES)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_injections(tmp_path / "none.csv", BUSES)
    (tmp_path / "latin.csv").write_bytes(b"start,bus,load_mw\n\xff,b,1\n")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_injections(tmp_path / "latin.csv", BUSES)
