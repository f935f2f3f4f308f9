"""JSON and CSV of a run: exact integers, the keys that other tools rely on."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from tests.unit.reports.conftest import NAN, UNSOLVED

from gridpact import __version__
from gridpact.errors import StoreError
from gridpact.model import RunResult
from gridpact.reports import run_json, write_bills_csv, write_slots_csv


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_json_has_the_agreed_keys(trading_run: RunResult) -> None:
    summary = run_json(trading_run, Path("out/report.html"))
    assert json.loads(json.dumps(summary)) == {
        "version": __version__,
        "scenario": '<b>&"x',
        "seed": 7,
        "market": "auction",
        "engine": "embedded",
        "days": 1,
        "slots": 2,
        "participants": 2,
        "orders": 2,
        "trades": 1,
        "traded_wh": 500,
        "seller_gain_pct": pytest.approx(90),
        "buyer_saving_pct": pytest.approx(25),
        "energy_residual_wh": 0,
        "money_residual_nano": 0,
        "grid": None,
        "homes": None,
        "forecast": None,
        "credit_notes": {"count": 0, "change_nano": 0},
        "certificates": None,
        "carbon": None,
        "market_state_root": "ef" * 32,
        "ledger": {
            "path": str(Path("out/a b/ledger")),
            "height": 12,
            "transactions": 1234,
            "state_root": "cd" * 32,
            "record_hash": "ab" * 32,
        },
        "timings_s": {
            "inputs": 0.5,
            "compilation": 2.0,
            "clearing": 0.25,
            "grid": None,
            "ledger": 1.0,
            "report": None,
            "total": 6.0,
        },
        "receipts": {"ACCEPTED": 1232, "EXPIRED": 2},
        "bytes": {"envelopes": 1_000_000, "payloads": 500_000, "store": 2_000_000},
        "sources": [f"profiles.csv {'12' * 32}"],
        "remarks": [],
        "report": str(Path("out/report.html")),
    }


def test_json_takes_times_from_whoever_took_them(trading_run: RunResult) -> None:
    trading_run.timings_s.update(report=0.125, total=9.0)
    timings = run_json(trading_run, None)["timings_s"]
    assert isinstance(timings, dict)
    assert (timings["report"], timings["total"]) == (0.125, 9.0)


def test_json_of_an_empty_run_has_no_percentages(empty_run: RunResult) -> None:
    summary = run_json(empty_run, None)
    assert summary["seller_gain_pct"] is None
    assert summary["buyer_saving_pct"] is None
    assert summary["traded_wh"] == 0
    assert summary["report"] is None


def test_bills_csv_is_exact(trading_run: RunResult, tmp_path: Path) -> None:
    write_bills_csv(trading_run, tmp_path / "bills.csv")
    ann, ben = rows_of(tmp_path / "bills.csv")
    assert ann["participant"] == "ann"
    assert ann["billing_day"] == "2016-06-09"
    assert ann["sales_nano"] == "95000000"
    assert ann["total_nano"] == "5000000"
    assert ann["difference_nano"] == "15000000"
    assert ben["purchases_nano"] == "-95000000"
    assert ben["network_fees_nano"] == "-10000000"
    assert ben["grid_import_nano"] == "-90000000"
    assert ben["total_nano"] == "-195000000"
    assert ben["without_market_nano"] == "-190000001"
    assert ben["difference_nano"] == "-4999999"


def test_slots_csv_is_exact_and_local(trading_run: RunResult, tmp_path: Path) -> None:
    write_slots_csv(trading_run, tmp_path / "slots.csv")
    first, second = rows_of(tmp_path / "slots.csv")
    assert first["start_utc"] == "2016-06-08T22:00:00Z"
    assert first["start_local"] == "2016-06-09T00:00:00+02:00"
    assert first["traded_wh"] == "500"
    assert first["turnover_nano"] == "95000000"
    assert first["reference_price_micro_per_kwh"] == "190000"
    assert first["metered_net_wh"] == "-400"
    assert second["reference_price_micro_per_kwh"] == ""
    assert second["trades"] == "0"


def test_failed_write_leaves_the_old_file(
    trading_run: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bills.csv"
    path.write_text("old")

    def refuse(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match=r"bills\.csv: cannot be written: No space left"):
        write_bills_csv(trading_run, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_an_expected_error(trading_run: RunResult, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        write_slots_csv(trading_run, tmp_path / "none" / "slots.csv")
    assert list(tmp_path.iterdir()) == []


def test_json_of_the_grid_homes_forecast_and_corrections(full_run: RunResult) -> None:
    summary = json.loads(json.dumps(run_json(full_run, None), allow_nan=False))
    assert summary["grid"] == {
        "network": "pandapower:street.json",
        "converged_slots": 1,
        "vm_min_pu": 0.9876,
        "vm_max_pu": 1.0123,
        "loading_max_percent": 104.25,
        "losses_wh": 12.5,
        "from_outside_wh": 400.0,
        "curtailed_wh": 120,
        "cuts": 1,
        "violations": 2,
    }
    assert summary["homes"] == {
        "count": 2,
        "charged_wh": 10_000,
        "discharged_wh": 9_000,
        "shortfalls": 1,
    }
    assert summary["forecast"]["skill"] == 0.125
    assert summary["forecast"]["pinball_wh"] == {"0.1": 9.5, "0.9": 11.25}
    assert summary["credit_notes"] == {"count": 1, "change_nano": 15_000_000}
    assert summary["remarks"] == ["4 gaps of <profiles> were filled"]


def test_json_has_no_nan(full_run: RunResult) -> None:
    errors = dataclasses.replace(full_run.forecast, skill=NAN)
    slots = tuple(dataclasses.replace(each, grid=UNSOLVED) for each in full_run.slots)
    dark = dataclasses.replace(full_run, slots=slots, forecast=errors)
    summary = json.loads(json.dumps(run_json(dark, None), allow_nan=False))
    assert summary["forecast"]["skill"] is None
    assert summary["grid"]["converged_slots"] == 0
    assert summary["grid"]["vm_min_pu"] is None
    assert summary["grid"]["losses_wh"] is None


def test_json_takes_the_time_of_the_power_flow(full_run: RunResult) -> None:
    full_run.timings_s["grid"] = 0.75
    timings = run_json(full_run, None)["timings_s"]
    assert isinstance(timings, dict)
    assert timings["grid"] == 0.75
