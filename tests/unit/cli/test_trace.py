"""`trace` from the terminal: every form of file, JSON, the page, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call
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
