"""`outsource` from the terminal, and the audit of what it leaves."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.small_run import call
from tests.unit.inputs.flow_lines import lines, snapshot
from tests.unit.inputs.test_solved_flow import FLOW, changed, written


def test_a_job_and_its_audit(tmp_path: Path) -> None:
    out = tmp_path / "traced"
    done = call("outsource", written(tmp_path, FLOW), "--out", out)
    assert done.code == 0, done.err
    assert "sum of all accounts 0 nano" in done.out
    assert "done       nothing" in done.out
    audit = call("audit", out)
    assert audit.code == 0
    assert "audit ok" in audit.out
    proof = tmp_path / "job.proof"
    proved = call("prove", out, "--state", "traced/grid-company/1", "-o", proof)
    root = proved.out.split("--root ")[1].split()[0]
    verified = call("verify", proof, "--root", root, "--json")
    assert verified.json["value"]["payments"] == [
        {"payer": "grid", "payee": f"cloud-{i}", "amount_nano": 10**9} for i in (1, 2)
    ]
    again = call("outsource", written(tmp_path, FLOW), "--out", out)
    assert again.code == 2
    assert "is not empty" in again.err


def test_json(tmp_path: Path) -> None:
    out = tmp_path / "traced"
    flow = written(tmp_path, FLOW)
    options = ("--providers", "zeros,honest", "--mode", "residual", "--substations", "1")
    done = call("outsource", flow, *options, "--out", out, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert [run["right"] for run in found["runs"]] == [False, True]
    assert found["payments"] == [{"payer": "grid", "payee": "cloud-2", "amount_nano": 10**9}]
    assert [each["strikes"] for each in found["accounts"]] == [0, 1, 0]
    assert found["sum_of_accounts_nano"] == 0


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    flow = written(tmp_path, FLOW)
    options = ("--providers", "honest,lazy", "--mode", "triple", "--fee", "-1", "--timeout", "0")
    done = call("outsource", flow, *options)
    assert done.code == 2
    assert [line.split(":")[1] for line in done.err.splitlines()] == [
        *(" --providers", " --mode", " --fee", " --timeout")
    ]


def test_more_substations_than_buses(tmp_path: Path) -> None:
    out = tmp_path / "traced"
    done = call("outsource", written(tmp_path, FLOW), "--substations", "4", "--out", out)
    assert (done.code, out.exists()) == (2, False)
    assert "allowed: 1 to 3" in done.err


def test_an_interval_is_no_intensity(tmp_path: Path) -> None:
    flow = changed("sources.0.t_per_mwh", [0.3, 0.5])
    done = call("outsource", written(tmp_path, flow), "--out", tmp_path / "traced")
    assert done.code == 2
    assert "source grid" in done.err


def test_of_several_snapshots_none_is_chosen(tmp_path: Path) -> None:
    series = lines(tmp_path, [snapshot(0, 0.5, 0.0), snapshot(1, 0.5, 0.0)])
    done = call("outsource", series, "--out", tmp_path / "traced")
    assert done.code == 2
    assert "has several snapshots, and one is handed out" in done.err
    assert not (tmp_path / "traced").exists()
