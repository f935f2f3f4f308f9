"""`audit`, `prove`, `verify` as a member and an auditor call them."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.small_run import Run, call


@pytest.fixture(scope="module")
def root(finished_run: Run) -> str:
    audit = call("audit", finished_run.folder, "--json").json
    assert audit["ok"]
    return str(audit["record_hash"])


@pytest.fixture(scope="module")
def bill(finished_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("proof") / "bill.proof"
    assert call("prove", finished_run.folder, "--bill", "home-1", "-o", path).code == 0
    return path


def test_audit_replays_everything(finished_run: Run, root: str) -> None:
    done = call("audit", finished_run.folder, "--root", root, "--json")
    assert done.code == 0
    assert set(done.json) >= {"ok", "height", "transactions", "state_root", "violations"}
    assert done.json["transactions"] == finished_run.summary["ledger"]["transactions"]
    assert done.json["market_state_root"] == finished_run.summary["market_state_root"]


def test_audit_against_another_root_fails(finished_run: Run, root: str) -> None:
    other = root[:-1] + ("0" if root[-1] != "0" else "1")
    done = call("audit", finished_run.folder, "--root", other, "--json")
    assert (done.code, done.json["ok"]) == (1, False)


def test_audit_finds_a_changed_bill(finished_run: Run, tmp_path: Path) -> None:
    copy = tmp_path / "ledger"
    shutil.copytree(finished_run.folder / "ledger", copy)
    with sqlite3.connect(copy / "ledger.sqlite") as db:
        db.execute(
            "UPDATE private_state SET value = zeroblob(length(value)) "
            "WHERE key LIKE 'bill/home-1/%'"
        )
    done = call("audit", copy)
    assert done.code == 1
    assert "bill/home-1" in done.err


def test_audit_of_a_folder_without_ledger_is_bad_input(tmp_path: Path) -> None:
    done = call("audit", tmp_path)
    assert done.code == 2
    assert "no ledger" in done.err


def test_a_bill_verifies_offline_without_the_ledger(bill: Path, root: str) -> None:
    done = call("verify", bill, "--root", root, "--json")
    assert done.code == 0
    assert done.json["key"] == "bill/home-1/2024-03-09"
    value, lines = done.json["value"], done.json["lines"]
    assert value["lines"] == len(lines) > 24
    assert sum(line["amount_nano"] for line in lines) == value["total_nano"]
    for line in lines:
        price = line["price_sum_micro_per_kwh"] * line["energy_wh"]
        assert abs(2 * abs(line["amount_nano"]) - price) <= 1, "half a nano at most"
        assert line["reference"].startswith(("local.", "home-1.meter/v"))


def _flipped(proof: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """The proof with one byte changed in the base64 field at `path`."""
    changed = json.loads(json.dumps(proof))
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    data = bytearray(base64.b64decode(place[path[-1]]))
    data[len(data) // 2] ^= 1
    place[path[-1]] = base64.b64encode(bytes(data)).decode()
    return changed


@pytest.mark.parametrize(
    "path",
    [
        ("record",),
        ("state", "salt"),
        ("state", "value"),
        ("state", "path"),
        ("state", "documents", 0, "data"),
        ("state", "documents", 3, "salt"),
    ],
)
def test_a_flipped_byte_anywhere_in_a_proof_is_refused(
    bill: Path, root: str, tmp_path: Path, path: tuple[str | int, ...]
) -> None:
    forged = tmp_path / "forged.proof"
    forged.write_text(json.dumps(_flipped(json.loads(bill.read_text()), path)))
    done = call("verify", forged, "--root", root)
    assert done.code == 1
    assert "REFUSED" in done.err


def test_a_bill_with_a_line_left_out_is_refused(bill: Path, root: str, tmp_path: Path) -> None:
    proof = json.loads(bill.read_text())
    proof["state"]["documents"].pop(5)
    forged = tmp_path / "forged.proof"
    forged.write_text(json.dumps(proof))
    assert call("verify", forged, "--root", root).code == 1


def test_absence_is_proved_and_presence_not_denied(
    finished_run: Run, root: str, tmp_path: Path
) -> None:
    path = tmp_path / "absent.proof"
    call("prove", finished_run.folder, "--state", "bill/nobody/2024-03-09", "-o", path)
    done = call("verify", path, "--root", root, "--json")
    assert (done.code, done.json["value"]) == (0, None)
    lie = json.loads(path.read_text())
    lie["state"]["key"] = "bill/home-1/2024-03-09"
    path.write_text(json.dumps(lie))
    assert call("verify", path, "--root", root).code == 1


def test_a_transaction_is_proved_with_its_verdict(finished_run: Run, tmp_path: Path) -> None:
    with sqlite3.connect(finished_run.folder / "ledger" / "ledger.sqlite") as db:
        (transaction,) = db.execute("SELECT id FROM transactions WHERE seq = 40").fetchone()
    path = tmp_path / "tx.proof"
    done = call("prove", finished_run.folder, "--tx", transaction.hex(), "-o", path)
    root = done.out.split("--root ")[1].split()[0]
    facts = call("verify", path, "--root", root, "--json").json
    assert (facts["transaction"], facts["verdict"]) == (transaction.hex(), "ACCEPTED")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--bill", "nobody"),
        ("--bill", "home-1", "--day", "1999-01-01"),
        ("--tx", "12"),
        ("--tx", "00" * 32),
        (),
        ("--bill", "home-1", "--state", "clock"),
    ],
)
def test_what_cannot_be_proved_is_bad_input_and_writes_nothing(
    finished_run: Run, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    done = call("prove", finished_run.folder, *arguments, "-o", tmp_path / "p")
    assert done.code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[1]", b'{"format": 1}'])
def test_what_is_no_proof_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    assert call("verify", path, "--root", "00" * 32).code == 1
    assert call("verify", path, "--root", "xyz").code == 2
    assert call("verify", tmp_path / "absent", "--root", "00" * 32).code == 2


def test_verify_needs_the_base_dependencies_only(bill: Path, root: str) -> None:
    script = (
        "import sys\n"
        "for name in ('numpy', 'numba', 'polars', 'plotly', 'sqlite3'):\n"
        "    sys.modules[name] = None\n"
        "from gridpact.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "verify", str(bill), "--root", root],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "proof ok" in done.stdout
