"""`export`, `forget`, `snapshot`, `restore` as a user calls them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.unit.cli.small_run import call
from tests.unit.node.written_ledger import SEED, written_day


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run: a ledger, its manifest, and files that people read."""
    home = tmp_path_factory.mktemp("finished")
    written_day(home / "ledger").store.close()
    (home / "run.json").write_text("{}\n")
    (home / "bills.csv").write_text("participant,total\nann,1\nbob,2\n")
    (home / "slots.csv").write_text("slot,planned\n1,2\n")
    (home / "report.html").write_text("<td>ann</td>")
    return home


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def test_help_shows_an_example() -> None:
    for command in ("export", "forget", "snapshot", "restore"):
        done = call(command, "--help")
        assert done.code == 0
        assert f"Example: gridpact {command}" in " ".join(done.out.split()).replace("`", "")


def test_export_then_forget_then_forget_again(home: Path) -> None:
    file = home / "ann.json"
    assert call("export", "ann", home, "-o", file).code == 0
    value = json.loads(file.read_bytes())
    assert (value["participant"], value["account"]["key"]) == ("ann", "account/ann")
    done = call("forget", "ann", home, "--seed", SEED)
    assert (done.code, done.err) == (0, "")
    assert "removed  9 payloads" in done.out
    assert "kept     2023: purchase -" in done.out
    named = {path.name for path in home.iterdir() if f"still names it: {path}" in done.out}
    assert named == {"ann.json", "bills.csv", "report.html"}
    audit = call("audit", home, "--json").json
    assert (audit["ok"], audit["pruned_payloads"]) == (True, 9)
    assert audit["base_height"] == audit["height"]
    assert "9 payloads were removed" in call("audit", home).out
    again = call("forget", "ann", home, "--seed", SEED, "--delete-copies")
    assert "was forgotten already" in again.out
    assert {path.name for path in home.iterdir()} == {"ledger", "run.json", "slots.csv"}
    assert call("export", "bob", home, "-o", file).code == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("forget", "eve", "--seed", SEED), "there are: ann, bob, cyd"),
        (("forget", "ann", "--seed", SEED + 1), "gives no operator"),
        (("export", "eve", "-o", "x.json"), "there are: ann, bob, cyd"),
    ],
)
def test_bad_input_changes_nothing(home: Path, arguments: tuple[object, ...], text: str) -> None:
    command, participant, *options = arguments
    before = call("audit", home).out
    done = call(command, participant, home, *options, cwd=home)
    assert done.code == 2
    assert text in done.err
    assert not (home / "x.json").exists()
    assert call("audit", home).out == before


def test_files_outside_a_run_are_left_alone(home: Path, tmp_path: Path) -> None:
    ledger = shutil.copytree(home / "ledger", tmp_path / "mine" / "ledger")
    note = tmp_path / "mine" / "note.md"
    note.write_text("ann owes me a coffee")
    done = call("forget", "ann", ledger, "--seed", SEED, "--delete-copies")
    assert done.code == 0
    assert note.exists()


def test_snapshot_and_restore(home: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "day.snapshot", tmp_path / "again"
    taken = call("snapshot", home, "-o", file)
    assert taken.code == 0
    root = call("audit", home, "--json").json["record_hash"]
    assert f"--root {root}" in taken.out
    genesis = home / "ledger" / "genesis.json"
    done = call("restore", file, folder, "--root", root, "--genesis", genesis)
    assert done.code == 0
    assert root in done.out
    assert call("audit", folder, "--root", root).code == 0
    assert "from the snapshot of block" in call("audit", folder).out
    refused = call("restore", file, folder)
    assert refused.code == 2
    assert "not empty" in refused.err
    file.write_bytes(file.read_bytes()[:-1])
    refused = call("restore", file, tmp_path / "third")
    assert refused.code == 2
    assert "cut off" in refused.err
    assert not (tmp_path / "third").exists()
    assert call("restore", tmp_path / "nothing", tmp_path / "third").code == 2
