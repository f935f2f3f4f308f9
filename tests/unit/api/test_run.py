"""`gridpact.run` on the six homes that ship with the package: tables, files, proofs, notebooks."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import gridpact
from gridpact.errors import InputError
from gridpact.inputs import load_scenario

VILLAGE = Path(gridpact.__file__).parent / "data" / "templates" / "village" / "scenario.toml"


@pytest.fixture(scope="module")
def result() -> Iterator[gridpact.Result]:
    with gridpact.run(VILLAGE) as finished:
        yield finished


def test_tables_are_frames_that_agree(result: gridpact.Result) -> None:
    assert result.slots.height == 24
    assert result.bills.height == 6
    lines = result.bill_lines.filter(pl.col("document") == "bill")
    sums = lines.group_by("participant").agg(pl.col("amount_nano").sum()).sort("participant")
    totals = result.bills.sort("participant")
    assert sums["amount_nano"].to_list() == totals["total_nano"].to_list()
    assert 1 < result.orders.height <= 6
    for name in ("credit_notes", "grid", "branches", "buses", "homes", "cuts"):
        assert isinstance(getattr(result, name), pl.DataFrame)
    assert result.slots is result.slots


def test_manifest_names_what_a_repetition_needs(result: gridpact.Result) -> None:
    manifest = result.manifest
    assert manifest.version == gridpact.__version__
    assert (manifest.scenario, manifest.seed) == ("village", 1)
    ((name, digest),) = manifest.sources
    assert name == "homes.csv"
    assert len(bytes.fromhex(digest)) == 32
    assert manifest.record_hash == result.result.ledger.record_hash
    assert "village" in repr(result)


def test_audit_and_proof(result: gridpact.Result) -> None:
    assert result.audit().ok
    proof = result.prove_bill("ada")
    proved = gridpact.verify_bill(proof, result.manifest.record_hash)
    row = result.bills.row(by_predicate=pl.col("participant") == "ada", named=True)
    assert proved.bill.total_nano == row["total_nano"]
    assert proved.key == f"bill/ada/{row['billing_day']}"
    assert len(proved.lines) == row["lines"]
    with pytest.raises(InputError, match="has no bill"):
        result.prove_bill("nobody")


def test_proofs_that_prove_nothing_are_refused(result: gridpact.Result) -> None:
    proof = result.prove_bill("ada")
    root = result.manifest.record_hash
    for broken, wanted in ((proof[:-2], root), (proof, "00" * 32), (b"", root)):
        with pytest.raises(InputError, match="proof: refused"):
            gridpact.verify_bill(broken, wanted)
    with pytest.raises(InputError, match="64 hexadecimal digits"):
        gridpact.verify_bill(proof, "abc")


def test_report_is_written(result: gridpact.Result, tmp_path: Path) -> None:
    path = result.report(tmp_path / "page.html")
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_temporary_ledger_goes_with_the_result() -> None:
    finished = gridpact.run(VILLAGE)
    folder = finished.ledger.parent
    assert (folder / "ledger").is_dir()
    del finished
    gc.collect()
    assert not folder.exists()


def test_out_has_all_files_and_stays(tmp_path: Path) -> None:
    with gridpact.run(load_scenario(VILLAGE), out=tmp_path / "run", seed=5) as finished:
        assert finished.manifest.seed == 5
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        *("ledger", "tables", "report.html", "report.md", "bills.csv", "slots.csv", "run.json")
    }
    summary = json.loads((tmp_path / "run" / "run.json").read_text())
    assert summary["ledger"]["record_hash"] == finished.manifest.record_hash
    assert finished.audit().ok
    with pytest.raises(InputError, match="is not an empty folder"):
        gridpact.run(VILLAGE, out=tmp_path / "run")


def test_all_problems_at_once_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "bad.toml").write_text("version = 1\n")
    with pytest.raises(InputError) as caught:
        gridpact.run(tmp_path / "bad.toml", days=0, seed=-1)
    where = [problem.where for problem in caught.value.problems]
    assert where[:2] == ["days", "seed"]
    assert len(where) > 2
    text = VILLAGE.read_text(encoding="utf-8")
    (tmp_path / "no-data.toml").write_text(text.replace("homes.csv", "gone.csv"))
    with pytest.raises(InputError, match=r"gone\.csv"):
        gridpact.run(tmp_path / "no-data.toml")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.toml", "no-data.toml"]


def test_runs_where_an_event_loop_is_running_already() -> None:
    """As in a notebook, whose cells run inside the kernel's loop."""

    async def cell() -> int:
        with gridpact.run(VILLAGE) as finished:
            return finished.slots.height

    assert asyncio.run(cell()) == 24


def test_a_run_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    gridpact.run(VILLAGE).close()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
