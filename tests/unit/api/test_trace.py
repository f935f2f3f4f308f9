"""`gridpact.trace`: files, networks and arrays give the same tables; refusals name arguments."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from tests.unit.carbon.flows import solved, stacked
from tests.unit.carbon.test_storage import BATTERY, schedule
from tests.unit.inputs.flow_lines import charged_and_given, lines
from tests.unit.inputs.test_injections import TEXT
from tests.unit.inputs.test_solved_flow import FLOW, IMPORTS, grid_folder, written

import gridpact
from gridpact.carbon import trace, trace_with_stores
from gridpact.carbon.tracing import Tracer
from gridpact.errors import InputError
from gridpact.inputs import injections, solved_flow_lines
from gridpact.model.carbon import SolvedFlow


def two_snapshots() -> SolvedFlow:
    """The second gains power in its branch."""
    first = solved([("a", "b", 10.0, -9.9)], [("g", "a", 10.0)], [("l", "b", 9.9)])
    second = solved([("a", "b", 10.0, -10.5)], [("g", "a", 10.0)], [("l", "b", 10.5)])
    return stacked([first, second])


def test_arrays_and_tables_agree() -> None:
    flow = two_snapshots()
    found = gridpact.trace(flow, [0.4], at="2024-06-01T12:00:00Z", hours=0.25)
    plain = trace(flow, np.array([0.4]))
    np.testing.assert_array_equal(found.low.bus_t_per_mwh, plain.bus_t_per_mwh)
    assert found.high is found.low
    assert found.buses.columns == ["snapshot", "start_utc", "bus", "t_per_mwh", "t_per_mwh_max"]
    assert found.buses["t_per_mwh"].to_list() == plain.bus_t_per_mwh.ravel().tolist()
    assert found.buses["snapshot"].to_list() == [0, 0, 1, 1]
    starts = [datetime(2024, 6, 1, 12, minute, tzinfo=UTC) for minute in (0, 15)]
    assert found.snapshots["start_utc"].to_list() == starts
    assert found.loads["t_per_h"].to_list() == plain.load_t_per_h.ravel().tolist()
    assert found.sources["kind"].to_list() == ["generation"] * 2
    assert found.branches["gains_power"].to_list() == [False, True]
    assert found.gains_power.tolist() == [[False], [True]]
    assert found.snapshots["gaining_branches"].to_list() == [0, 1]
    lost = found.snapshots["lost_t_per_h"].to_list()
    assert lost == pytest.approx([0.04, -0.2], rel=1e-9)
    assert found.stores.height == 0
    assert found.buses is found.buses
    assert repr(found) == "<CarbonTrace, 2 snapshots, 2 buses, 1 sources>"


def test_null_where_nothing_flows() -> None:
    flow = solved([("a", "b", 0.0, 0.0)], [("g", "a", 1.0)], [("l", "a", 1.0)])
    found = gridpact.trace(flow, [0.4])
    assert found.buses["t_per_mwh"].to_list() == [0.4, None]
    assert found.branches["t_per_mwh"].to_list() == [None]
    assert found.buses["start_utc"].to_list() == [None, None]
    assert found.start_s is None


def test_sources_by_name_kind_and_technology(tmp_path: Path) -> None:
    path = written(tmp_path, FLOW)
    found = gridpact.trace(path, {"import": (0.3, 0.5), "pv": "wind-onshore"})
    assert found.sources["t_per_h"].to_list() == pytest.approx([0.63, 0.0, 0.0], rel=1e-14)
    assert found.sources["t_per_h_max"].to_list() == pytest.approx([1.05, 0.0, 0.0], rel=1e-14)
    assert found.high is not found.low
    flow = two_snapshots()
    named = gridpact.trace(flow, {"g": 0.4})
    np.testing.assert_array_equal(named.low.bus_t_per_mwh, np.full((2, 2), 0.4))


def test_a_network_over_time(tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    folder.mkdir()
    (tmp_path / "loads.csv").write_text(TEXT, encoding="utf-8")
    imports = "start,mg_per_kwh\n" + "".join(
        f"2024-06-01T{hour}:00:00Z,{value}\n" for hour, value in ((12, 1), (13, 2), (14, 3))
    )
    (tmp_path / "imports.csv").write_text(imports, encoding="utf-8")
    found = gridpact.trace(
        grid_folder(folder),
        {"generation": 0.0},
        imports=tmp_path / "imports.csv",
        injections=tmp_path / "loads.csv",
    )
    grid = found.sources.filter(pl.col("source") == "grid")
    rho = (grid["t_per_h"] / grid["p_mw"]).to_list()
    assert rho[:2] == pytest.approx([1e-6, 2e-6], rel=1e-12)
    assert found.hours == 1.0
    assert np.abs(found.low.residual_t_per_h).max() < 1e-12


def test_a_plant_that_rests_is_a_source_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every part, so that all parts are of one network; and all power and carbon is found."""
    folder = tmp_path / "grid"
    folder.mkdir()
    loads = tmp_path / "loads.csv"
    loads.write_text(TEXT, encoding="utf-8")
    given = grid_folder(folder), {"import": 0.4, "generation": 0.1}
    whole = gridpact.trace(*given, injections=loads)
    monkeypatch.setattr(injections, "VALUES_AT_ONCE", 4)
    parts = gridpact.trace(*given, injections=loads)
    assert parts.sources.select("source", "p_mw").equals(whole.sources.select("source", "p_mw"))
    sums = parts.snapshots
    for unit in ("mw", "t_per_h"):
        came = sums[f"generated_{unit}"] + sums[f"imported_{unit}"]
        went = sums[f"consumed_{unit}"] + sums[f"exported_{unit}"] + sums[f"lost_{unit}"]
        np.testing.assert_allclose(came, went, rtol=1e-9)
    assert sums["lost_mw"].min() > 0.00009  # the shunt of 100 W


def examples(page: str, holding: str) -> list[str]:
    """Blocks of a page of the documentation that hold some text."""
    text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
    blocks = text.split("```")[1::2]
    return [block.partition("\n")[2] for block in blocks if holding in block]


def test_the_documented_file(tmp_path: Path) -> None:
    (text,) = examples("carbon.md", "gridpact-solved-flows-1")
    path = tmp_path / "flows.jsonl"
    path.write_text(text, encoding="utf-8")
    found = gridpact.trace(path)
    assert found.loads.filter(pl.col("load") == "a")["t_per_h"].to_list() == [0.4, 1.2 * 0.35]


def test_the_documented_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "grid").mkdir()
    grid_folder(tmp_path / "grid")
    (tmp_path / "loads.csv").write_text(TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (code,) = examples("python.md", "gridpact.trace(")
    names: dict[str, Any] = {"gridpact": gridpact, "pl": pl}
    exec(code, names)  # noqa: S102 - what readers would do
    assert names["found"].snapshots.height == 3


def test_parts_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lines(tmp_path, charged_and_given())
    whole = gridpact.trace(path)
    monkeypatch.setattr(solved_flow_lines, "VALUES_AT_ONCE", 16)
    several = gridpact.trace(path)
    for name in ("snapshots", "buses", "sources", "loads", "branches", "stores"):
        assert getattr(several, name).equals(getattr(whole, name)), name
    assert whole.stores["energy_mwh"].to_list() == pytest.approx(
        [1.45, 1.9, 1.9 - 0.5 / 0.8, 1.9 - 0.5 / 0.8], rel=1e-14
    )
    assert whole.stores["t_per_mwh"][0] == pytest.approx((0.2 + 0.25) / (0.8 * 1.45), rel=1e-14)
    bounds = {"grid": (0.4, 0.6)}
    assert gridpact.trace(path, bounds).stores["carbon_t_max"][0] == pytest.approx(0.5, rel=1e-14)


def test_stores_in_memory() -> None:
    flow = schedule((1.0, 0.0), (0.0, 1.0))
    e = np.array([[0.5, 0], [0.4, 0]])
    expected = trace_with_stores(Tracer(flow.network), flow, e, [BATTERY], 1.0)
    found = gridpact.trace(flow, e, stores=[BATTERY])
    np.testing.assert_array_equal(found.low.bus_t_per_mwh, expected.trace.bus_t_per_mwh)
    assert found.store_states is not None
    np.testing.assert_array_equal(found.store_states.low_carbon_t, expected.carbon_t)


def test_a_page(tmp_path: Path) -> None:
    found = gridpact.trace(two_snapshots(), [0.4], at=datetime(2024, 6, 1, tzinfo=UTC))
    page = found.report(tmp_path / "new" / "folder")
    data = page.read_text(encoding="utf-8").split('id="page-data">')[1].split("</script>")[0]
    assert list(json.loads(data)["figures"]) == [
        *("carbon-mix", "carbon-intensity", "carbon-map", "carbon-flows")
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"meters": "both"}, "meters: 'both' is not one of: gross, net"),
        ({"at": "noon"}, "at: 'noon' is no time with a zone"),
        ({"at": datetime(2024, 6, 1)}, "at: '2024-06-01 00:00:00' is no time"),  # noqa: DTZ001
        ({"hours": -1.0}, "hours: -1 is not allowed; allowed: above 0"),
        ({"injections": "x.csv"}, "injections: is for networks"),
        ({"t_per_mwh": [0.4, 0.5]}, r"t_per_mwh: has shape \(2,\); allowed: \(1,\) or \(2, 1\)"),
        ({"t_per_mwh": {"g": "sun"}}, r"t_per_mwh\['g'\]: 'sun' is no number and no technology"),
        ({"t_per_mwh": {"g": 400}}, r"t_per_mwh\['g'\]: 400..400 is not allowed"),
        ({"t_per_mwh": {"g": (0.5, 0.4)}}, r"t_per_mwh\['g'\]: 0.5..0.4 is not allowed"),
        ({"t_per_mwh": {"h": 0.4}}, "factor h: names no source here"),
        ({"t_per_mwh": None}, "source g: has no intensity"),
    ],
)
def test_refusals(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        gridpact.trace(two_snapshots(), **{"t_per_mwh": [0.4], **arguments})


def test_what_files_do_not_take(tmp_path: Path) -> None:
    path = written(tmp_path, FLOW)
    with pytest.raises(InputError, match="t_per_mwh: an array is for flows in memory"):
        gridpact.trace(path, [0.4])
    with pytest.raises(InputError, match="stores: are for flows in memory"):
        gridpact.trace(path, stores=[BATTERY])
    (tmp_path / "imports.csv").write_text(IMPORTS, encoding="utf-8")
    with pytest.raises(InputError, match=r"^imports: needs --at"):
        gridpact.trace(path, imports=tmp_path / "imports.csv")
    many = lines(tmp_path, charged_and_given())
    with pytest.raises(InputError, match=r"at: has no meaning here.*\nhours: has no meaning here"):
        gridpact.trace(many, at="2024-06-01T12:00:00Z", hours=1.0)
    with pytest.raises(InputError, match="factor battery: names a store"):
        gridpact.trace(many, {"battery": 0.1})


def test_an_interval_of_a_store_that_is_not_followed(tmp_path: Path) -> None:
    """A store without a state of its own is a source like others, and needs an intensity."""
    flow = json.loads(json.dumps(FLOW))
    flow["sources"][2]["p_mw"] = 0.1
    flow["buses"][2]["load_mw"] = 0.6
    with pytest.raises(InputError, match=r"sources\[3\]\.t_per_mwh: 0 of t_per_mwh, technology"):
        gridpact.trace(written(tmp_path, flow))
    flow["sources"][2]["t_per_mwh"] = 0.2
    assert gridpact.trace(written(tmp_path, flow)).store_states is None
    del flow["sources"][2]["t_per_mwh"]
    flow["sources"][2]["store"] = {
        "capacity_mwh": 2.0,
        "energy_mwh": 1.0,
        "carbon_t": 0.3,
        "charge_efficiency": 1.0,
        "discharge_efficiency": 1.0,
    }
    found = gridpact.trace(written(tmp_path, flow))
    assert found.sources["t_per_h"][2] == pytest.approx(0.03, rel=1e-14)
    assert found.stores["energy_mwh"].to_list() == pytest.approx([0.9], rel=1e-14)
