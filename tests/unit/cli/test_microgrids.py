"""`run --market microgrid` and `clear microgrid`, as a user calls them."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call


@pytest.fixture
def two_slots(tmp_path: Path) -> Path:
    """The stand-in day, cut to its first two hours."""
    text = resources.files("gridpact").joinpath("data/microgrids/aeps22.json").read_text()
    day = json.loads(text)
    day["retail_usd_per_kwh"] = day["retail_usd_per_kwh"][:2]
    for microgrid in day["microgrids"]:
        for name in ("load_kw", "green_demand_kw", "renewable_kw"):
            microgrid[name] = microgrid[name][:2]
    del day["expected"]
    path = tmp_path / "two.json"
    path.write_text(json.dumps(day))
    return path


def test_a_day_is_traded_settled_and_audited(two_slots: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = call("run", two_slots, "--market", "microgrid", "--out", out, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert (found["market"], found["slots"], found["cleared"]) == ("microgrid", 2, 2)
    assert found["refused"] == {}
    assert found["money_residual_nano"] == 0
    assert set(found["receipts"]) == {"ACCEPTED"}
    transfers = [row["transfer_nano"] for row in found["microgrids"].values()]
    assert sum(transfers) == 0
    assert transfers[0] < 0 < transfers[1], "MG1 buys, MG2 sells"
    audit = call("audit", out / "ledger")
    assert audit.code == 0, audit.out + audit.err
    assert found["market_state_root"] in audit.out
    page = (out / "report.html").read_text()
    assert "mg1" in page
    assert found["ledger"]["record_hash"] in page
    again = call("run", two_slots, "--market", "microgrid", "--out", tmp_path / "2", "--json")
    assert again.json["market_state_root"] == found["market_state_root"]
    other = call(
        "run", two_slots, "--market", "microgrid", "--out", tmp_path / "3", "--seed", 2, "--json"
    )
    assert other.json["market_state_root"] != found["market_state_root"]
    assert call("run", two_slots, "--market", "microgrid", "--out", out).code == 2


def test_the_table_names_every_microgrid_and_how_to_check(two_slots: Path, tmp_path: Path) -> None:
    done = call("run", two_slots, "--market", "microgrid", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    for word in ("mg1", "mg4", "2 of 2 slots cleared", f"gridpact audit {tmp_path}"):
        assert word in done.out.replace("\n", "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--market", "barter"), "--market: 'barter' is not one of: auction, microgrid"),
        (("--market", "microgrid", "--days", "2"), "--days: a day of microgrids is one day"),
        (("--market", "microgrid", "--engine", "poker"), "--engine: 'poker' is not one of"),
        (("nowhere.json", "--market", "microgrid"), "nowhere.json: cannot be read"),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_written(
    arguments: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = call("run", *arguments, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.code == 2
    assert words in done.err
    assert not list(tmp_path.iterdir())


def test_one_window_with_its_proof(tmp_path: Path) -> None:
    place = tmp_path / "proof"
    done = call("clear", "microgrid", "-o", place, "--json")
    assert done.code == 0, done.err
    assert done.json["surplus"] == pytest.approx(9102.1261, abs=0.01)
    assert done.json["certificate"]["verdict"] == "ACCEPTED"
    assert place.stat().st_size == done.json["certificate"]["bytes"]
    gains = [row["gain"] for row in done.json["microgrids"].values()]
    assert gains == pytest.approx([2275.5315] * 4, abs=0.01)
    shown = call("clear", "microgrid", "rural-quarters")
    assert "surplus 28.59 EUR" in shown.out
    assert "ACCEPTED" in shown.out
