"""`run` and `validate` as a user calls them: results, refusals, nothing half-done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.cli.small_run import SCENARIO, Run, call, write_scenario

KEYS = {
    *("scenario", "market", "engine", "days", "slots", "participants", "orders", "trades"),
    *("traded_wh", "seller_gain_pct", "buyer_saving_pct", "energy_residual_wh"),
    *("money_residual_nano", "certificates", "carbon", "market_state_root", "ledger"),
    *("timings_s", "receipts", "bytes", "report"),
    *("grid", "homes", "forecast", "credit_notes", "sources", "remarks", "version", "seed"),
}


def test_summary_has_the_keys_that_other_tools_rely_on(finished_run: Run) -> None:
    summary = finished_run.summary
    assert set(summary) >= KEYS
    assert set(summary["ledger"]) >= {"path", "height", "transactions", "state_root"}
    assert (summary["slots"], summary["participants"], summary["days"]) == (24, 4, 1)
    assert summary["trades"] > 0
    assert summary["traded_wh"] > 0


def test_residuals_are_zero(finished_run: Run) -> None:
    assert finished_run.summary["energy_residual_wh"] == 0
    assert finished_run.summary["money_residual_nano"] == 0


def test_the_folder_is_complete_and_describes_itself(finished_run: Run) -> None:
    names = {path.name for path in finished_run.folder.iterdir()}
    assert names == {
        *("ledger", "tables", "report.html", "report.md", "bills.csv", "slots.csv", "run.json")
    }
    assert json.loads((finished_run.folder / "run.json").read_text()) == finished_run.summary
    assert Path(finished_run.summary["report"]).is_file()


def test_same_scenario_and_seed_give_the_same_roots(finished_run: Run, tmp_path: Path) -> None:
    again = call("run", finished_run.scenario, "--out", tmp_path / "again", "--json").json
    for key in ("market_state_root", "receipts", "traded_wh", "seller_gain_pct"):
        assert again[key] == finished_run.summary[key]
    assert again["ledger"]["state_root"] == finished_run.summary["ledger"]["state_root"]


def test_another_seed_gives_another_root(finished_run: Run, tmp_path: Path) -> None:
    other = call("run", finished_run.scenario, "--seed", 8, "--out", tmp_path / "o", "--json").json
    assert other["market_state_root"] != finished_run.summary["market_state_root"]


def test_all_problems_come_at_once_and_nothing_is_written(tmp_path: Path) -> None:
    broken = (
        SCENARIO.replace('"EUR"', '"euro"')
        .replace("300_000", "90_000")
        .replace('unit = "wh"', 'unit = "wh"\nspeling = 1')
    )
    scenario = write_scenario(tmp_path, broken)
    before = sorted(tmp_path.rglob("*"))
    done = call("run", scenario, "--out", tmp_path / "out", "--days", 0, "--engine", "paxos")
    assert done.code == 2
    for word in ("currency", "retail", "speling", "--days", "--engine"):
        assert word in done.err
    assert done.out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (("2024-03-02 05:00", "2024-03-02 06:00"), "homes.csv"),
        (("2024-03-04 11:00,", "2024-03-04 11:00,-"), "homes.csv"),
        (("2024-03-05 03:00,", "2024-03-05 03:00,nan"), "homes.csv"),
    ],
)
def test_validate_names_the_line(tmp_path: Path, damage: tuple[str, str], found: str) -> None:
    scenario = write_scenario(tmp_path)
    data = tmp_path / "homes.csv"
    text = data.read_text()
    line = text[: text.index(damage[0])].count("\n") + 1
    data.write_text(text.replace(*damage))
    done = call("validate", scenario, "--json")
    assert done.code == 2
    problems = done.json["problems"]
    assert any(f"{found}:{line}" in problem["where"] for problem in problems)


def test_validate_says_that_all_is_well(finished_run: Run) -> None:
    assert call("validate", finished_run.scenario, "--json").json == {"ok": True, "problems": []}


def test_an_earlier_run_is_replaced_only_when_asked(finished_run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert call("run", finished_run.scenario, "--out", out).code == 0
    first = (out / "run.json").read_bytes()
    refused = call("run", finished_run.scenario, "--out", out)
    assert refused.code == 2
    assert "--replace" in refused.err
    assert (out / "run.json").read_bytes() == first
    assert call("run", finished_run.scenario, "--out", out, "--seed", 9, "--replace").code == 0
    assert (
        json.loads((out / "run.json").read_text())["market_state_root"]
        != (finished_run.summary["market_state_root"])
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_is_no_run_is_never_replaced(finished_run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    refused = call("run", finished_run.scenario, "--out", tmp_path, "--replace")
    assert refused.code == 2
    assert (tmp_path / "mine.txt").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_out_each_run_gets_a_folder_of_its_own(finished_run: Run, tmp_path: Path) -> None:
    for number in (1, 2):
        done = call("run", finished_run.scenario, "--json", cwd=tmp_path)
        assert Path(done.json["ledger"]["path"]) == Path("out") / f"small-{number}" / "ledger"
        assert (tmp_path / "out" / f"small-{number}" / "report.html").is_file()


def test_a_file_in_the_way_is_named(finished_run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = call("run", finished_run.scenario, "--out", tmp_path / "file" / "out")
    assert done.code in (1, 2)
    assert "file" in done.err
    assert "Traceback" not in done.err


def test_the_summary_table_names_the_next_commands(finished_run: Run, tmp_path: Path) -> None:
    done = call("run", finished_run.scenario, "--out", "out", cwd=tmp_path)
    assert done.code == 0
    for word in ("gridpact audit", "gridpact prove", "gridpact verify", "report.html"):
        assert word in done.out
