"""Goal: Parquet files say the same as text, with rows instead of lines in messages."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.inputs.meter_files import HOUR, Village, instants, stamp

from gridpact.errors import InputError
from gridpact.inputs import load_profiles, load_scenario

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

NAIVE = [datetime(2020, 5, 1) + timedelta(hours=i) for i in range(48)]  # noqa: DTZ001
WH = [(37 * i) % 1000 for i in range(48)]


def village(folder: Path, **keys: str) -> Village:
    made = Village(folder, file="meters.parquet", members=[("load_a", "")])
    made.keys = {"source": '"parquet"', "time_column": '"start"', "unit": '"wh"', **keys}
    return made


def write(folder: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), folder / "meters.parquet", row_group_size=7)


@pytest.mark.parametrize(
    "start",
    [
        NAIVE,
        [moment.replace(tzinfo=UTC) - timedelta(hours=1) for moment in NAIVE],
        [f"{moment:%Y-%m-%d %H:%M}" for moment in NAIVE],
    ],
    ids=["local timestamps", "timestamps in UTC", "text"],
)
def test_wide(tmp_path: Path, start: list[Any]) -> None:
    write(tmp_path, other=WH, load_a=WH, start=start)
    assert village(tmp_path).load().load_wh.tolist() == [WH]


def test_timestamps_in_a_zone(tmp_path: Path) -> None:
    moments = [moment.replace(tzinfo=UTC) - timedelta(hours=1) for moment in NAIVE]
    for unit in ("s", "ms", "us", "ns"):
        start = pa.array(moments).cast(pa.timestamp(unit, "Asia/Kathmandu"))
        write(tmp_path, start=start, load_a=WH)
        assert village(tmp_path).load().load_wh.tolist() == [WH]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(WH, pa.int16()),
        pa.array([f"{wh}" for wh in WH]),
        pa.array([f"{wh}" for wh in WH]).dictionary_encode(),
        pa.array([float(wh) for wh in WH], pa.float32()),
        pa.array([Decimal(wh) for wh in WH], pa.decimal128(12, 3)),
    ],
    ids=["integers", "text", "dictionary", "single precision", "decimals"],
)
def test_types_of_values(tmp_path: Path, values: Any) -> None:
    write(tmp_path, start=NAIVE, load_a=values)
    assert village(tmp_path).load().load_wh.tolist() == [WH]


def test_binary_numbers_mean_their_shortest_decimal(tmp_path: Path) -> None:
    """As a double 0.5015 is below 501.5 Wh, but nobody measured that."""
    write(tmp_path, start=NAIVE, load_a=[0.5015, 0.5025, 1e-5, *[1.0] * 45])
    profiles = village(tmp_path, unit='"kwh"').load()
    assert profiles.load_wh[0, :4].tolist() == [502, 502, 0, 1000]


def test_long(tmp_path: Path) -> None:
    write(
        tmp_path,
        meter=["b"] * 48 + ["a"] * 48,
        start=NAIVE * 2,
        import_wh=WH * 2,
        export_wh=[2 * wh for wh in WH * 2],
    )
    made = village(tmp_path, format='"long"')
    made.members = [("a/import", "a/export"), ("b/import", "")]
    profiles = made.load()
    assert profiles.load_wh.tolist() == [WH, WH]
    assert profiles.pv_wh[0].tolist() == [2 * wh for wh in WH]


def test_problems_name_rows(tmp_path: Path) -> None:
    values: list[float | None] = [float(wh) for wh in WH]
    values[4], values[9], values[11] = None, float("nan"), -1.0
    start = [*NAIVE[:20], *NAIVE[21:], NAIVE[46]]
    write(tmp_path, start=start, load_a=values)
    found = village(tmp_path).refusal()
    assert [problem.split(": ")[0] for problem in found] == [
        f"meters.parquet row {row}" for row in (5, 10, 12, 21, 48)
    ]
    assert "is before row 47 (2020-05-02 23:00:00.000000)" in found[-1]


def test_problems_of_the_file(tmp_path: Path) -> None:
    write(tmp_path, start=NAIVE, load=WH)
    (found,) = village(tmp_path).refusal()
    assert "participant[1].load: 'load_a' is not a column of meters.parquet" in found
    write(tmp_path, start=NAIVE, load_a=[[wh] for wh in WH])
    (found,) = village(tmp_path).refusal()
    assert found.startswith("meters.parquet: column load_a holds list<")
    (tmp_path / "meters.parquet").write_bytes(b"PAR1 and more")
    (found,) = village(tmp_path).refusal()
    assert "meters.parquet: is not readable as Parquet" in found


def test_without_pyarrow_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, start=NAIVE, load_a=WH)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (found,) = village(tmp_path).refusal()
    assert "pip install 'gridpact[parquet]'" in found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=6),
       st.integers(0, 4))  # fmt: skip
def test_damaged_bytes_are_refused_or_read(
    tmp_path: Path, edits: list[tuple[float, int]], cut: int
) -> None:
    labels = [stamp(start) for start in instants("2020-05-01 00:00", 48, HOUR)]
    write(tmp_path, start=labels, load_a=WH)
    file = tmp_path / "meters.parquet"
    data = bytearray(file.read_bytes())
    for place, value in edits:
        data[int(place * (len(data) - 1))] = value
    file.write_bytes(data[: len(data) - cut])
    with suppress(InputError):
        load_profiles(load_scenario(village(tmp_path).write()))
