"""`trace` from the terminal: every form of file, JSON, the page, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call
from tests.unit.inputs.flow_lines import charged_and_given, lines, snapshot
from tests.unit.inputs.test_injections import TEXT
from tests.unit.inputs.test_solved_flow import FLOW, IMPORTS, changed, grid_folder, written


def test_a_solved_flow(tmp_path: Path) -> None:
    done = call("trace", written(tmp_path, FLOW), "--json", "--hours", "0.25")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    rho = 0.4 * 2.0 / 2.52
    assert found["buses"][1] == {"bus": "b", "t_per_mwh": pytest.approx(rho, rel=1e-12)}
    assert found["loads"][1]["t_per_h"] == pytest.approx(2 * rho, rel=1e-12)
    assert found["branches"][0]["loss_t_per_h"] == pytest.approx(0.04, rel=1e-9)
    assert found["allocation"]["imported_ug"] == 210_000_000_000
    assert found["allocation"]["residual_ug"] == 0
    words = call("trace", written(tmp_path, FLOW))
    assert words.code == 0
    assert f"{rho:.6f}" in words.out
    assert "residual_ug" in words.out


def test_an_interval_gives_intervals(tmp_path: Path) -> None:
    flow = changed("sources.0.t_per_mwh", [0.3, 0.5])
    done = call("trace", written(tmp_path, flow), "--json")
    bus = json.loads(done.out)["buses"][0]
    assert (bus["t_per_mwh"], bus["t_per_mwh_max"]) == (0.3, 0.5)
    assert "allocation" not in json.loads(done.out)
    assert "0.300000..0.500000" in call("trace", written(tmp_path, flow)).out


def test_a_folder_with_imports_over_time_and_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    folder.mkdir()
    imports = tmp_path / "imports.csv"
    imports.write_text(IMPORTS, encoding="utf-8")
    done = call(
        "trace",
        grid_folder(folder),
        *("--imports", imports, "--at", "2024-03-31T00:30:00Z"),
        *("--factor", "generation=pv-rooftop", "--plot", tmp_path / "page", "--json"),
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["buses"][0]["t_per_mwh"] == pytest.approx(0.35, rel=1e-12)
    assert found["buses"][2] == {"bus": "far", "t_per_mwh": None}
    page = (tmp_path / "page" / "carbon.html").read_text(encoding="utf-8")
    data = page.split('id="page-data">')[1].split("</script>")[0]
    figures = json.loads(data)["figures"]
    drawn, dead = figures["carbon-map"]["data"][1:]
    assert drawn["text"] == ["a", "b"]
    assert dead["text"] == ["far"]
    link = figures["carbon-flows"]["data"][0]["link"]
    sources = sum(each["p_mw"] for each in found["sources"])
    assert sum(link["value"]) == pytest.approx(sources, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--meters", "both"), "--meters: 'both' is not allowed; allowed: gross | net"),
        (("--imports", "IMPORTS"), "--imports: needs --at, the start of the snapshot"),
        (("--at", "noon"), "--at: 'noon' is no time with a zone; write 2024-"),
        (("--injections", "x.csv"), "--injections: is for networks, and "),
        (("--factor", "import"), "--factor import: allowed: ID=VALUE"),
        (("--hours", "0"), "--hours: 0 is not allowed"),
    ],
)
def test_refusals(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    imports = tmp_path / "imports.csv"
    imports.write_text(IMPORTS, encoding="utf-8")
    given = [str(imports) if each == "IMPORTS" else each for each in arguments]
    done = call("trace", written(tmp_path, FLOW), *given)
    assert done.code == 2
    assert words in done.err
    assert done.out == ""


def test_a_bus_that_does_not_balance(tmp_path: Path) -> None:
    done = call("trace", written(tmp_path, changed("buses.1.load_mw", 2.3)))
    assert done.code == 2
    assert "flow.json: bus b: inflow less outflow is -0.3 MW" in done.err


def test_a_series_with_a_store(tmp_path: Path) -> None:
    """1 MW for two half hours at 0.5 and at the mix with the sun, then half an hour of giving."""
    out = tmp_path / "out"
    path = lines(tmp_path, charged_and_given())
    done = call("trace", path, "--json", "--out", out, "--plot", tmp_path / "page")
    assert done.code == 0, done.err
    found = done.json
    assert (found["snapshots"], found["slot_s"]) == (4, 1800)
    assert (found["start"], found["end"]) == ("2024-06-01T12:00:00Z", "2024-06-01T14:00:00Z")
    first = 0.5  # of the grid alone
    second = 0.5 * 2 / 3  # with a third of sun
    carbon = 0.2 + 0.5 * first + 0.5 * second
    e = carbon / (0.8 * (1 + 0.9))
    (store,) = found["stores"]
    assert store["store"] == "battery"
    assert store["carbon_t"] == pytest.approx(carbon - 0.5 * e, rel=1e-12)
    assert store["t_per_mwh"] == pytest.approx(e, rel=1e-12)
    assert found["totals"]["stored_mwh"] == pytest.approx(0.5, rel=1e-12)
    assert found["by_snapshot"]["consumed_t_per_h"][2] == pytest.approx(0.5 + e, rel=1e-9)
    assert abs(found["residual_t_per_h"]) < 1e-12
    rows = (out / "stores.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 5
    page = (tmp_path / "page" / "carbon.html").read_text(encoding="utf-8")
    assert page.count("</section>") == 5
    words = call("trace", path)
    assert words.code == 0
    assert "4 snapshots of 1800 s, 2024-06-01T12:00:00Z to 2024-06-01T14:00:00Z" in words.out
    assert f"{e:.6f}" in words.out


def test_a_long_series_is_summed_up(tmp_path: Path) -> None:
    rows = []
    for day in range(1, 5):
        for place in range(20):
            row = snapshot(place % 20, 0.1 * place, 0.0)
            row["start"] = f"2024-06-{day:02d}T{place:02d}:00:00Z"
            rows.append(row)
    path = lines(tmp_path, rows)
    done = call("trace", path)
    assert done.code == 2
    assert "is not 1800 s after the snapshot before" in done.err
    for number, row in enumerate(rows):
        day, half = divmod(number, 48)
        row["start"] = f"2024-06-{day + 1:02d}T{half // 2:02d}:{30 * (half % 2):02d}:00Z"
    done = call("trace", lines(tmp_path, rows))
    assert done.code == 0, done.err
    assert "--out and --json have all 80 snapshots" in done.out
    assert len(done.out.splitlines()) < 20


def test_a_network_over_time(tmp_path: Path) -> None:
    folder = tmp_path / "grid"
    folder.mkdir()
    loads, imports = tmp_path / "loads.csv", tmp_path / "imports.csv"
    loads.write_text(TEXT, encoding="utf-8")
    imports.write_text(
        "start,mg_per_kwh\n2024-06-01T12:00:00Z,400000\n2024-06-01T14:00:00Z,200000\n",
        encoding="utf-8",
    )
    given = "trace", grid_folder(folder), "--injections", loads, "--factor", "generation=0"
    done = call(*given, "--imports", imports, "--json")
    assert done.code == 0, done.err
    columns = done.json["by_snapshot"]
    imported = zip(columns["imported_t_per_h"], columns["imported_mw"], strict=True)
    rho = [t_per_h / mw for t_per_h, mw in imported if mw]
    assert rho == pytest.approx([0.4, 0.4], rel=1e-12)
    assert columns["start"][0] == "2024-06-01T12:00:00Z"
    refused = call(*given, "--imports", imports, "--at", "2024-06-01T12:00:00Z")
    assert refused.code == 2
    assert "--at: has no meaning here: loads.csv has the starts of all snapshots" in refused.err
    short = call(*given, "--factor", "import=0.4")
    assert short.code == 0
    assert "3 snapshots of 3600 s" in short.out


def test_branches_that_gain_power_are_named(tmp_path: Path) -> None:
    flow = changed("branches.1.p_to_mw", 0.48)
    flow["buses"][1]["load_mw"] = 2.04
    done = call("trace", written(tmp_path, flow), "--json")
    assert done.code == 0, done.err
    assert [each["gains_power"] for each in done.json["branches"]] == [False, True]
    (gaining,) = done.json["gaining_branches"]
    assert gaining == {"branch": "cb", "snapshots": 1, "most_mw": pytest.approx(0.02)}
    words = call("trace", written(tmp_path, flow)).out
    assert "1 branch gains power, kept as a negative loss: cb (0.02 MW)" in words


def test_a_store_without_energy_is_named_with_its_snapshot(tmp_path: Path) -> None:
    rows = [snapshot(0, 0.0, 1.0), snapshot(1, 0.0, 1.0), snapshot(2, 0.0, 1.0)]
    done = call("trace", lines(tmp_path, rows), "--out", tmp_path / "out")
    assert done.code == 2
    assert "snapshot 1 (2024-06-01T12:30:00Z): store battery: gives 1 MW, but what it" in done.err
    assert list((tmp_path / "out").iterdir()) == []
