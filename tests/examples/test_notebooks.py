"""The notebooks run from top to bottom, as a reader would run them.

Method: the code cells of each are executed in order in one namespace, which is what a kernel does,
so nothing of Jupyter is needed. Results of cells are then compared with what the text promises.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples"


def cells(path: Path) -> list[dict[str, Any]]:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert notebook["nbformat"] == 4
    found = notebook["cells"]
    assert isinstance(found, list)
    return found


def executed(path: Path) -> dict[str, Any]:
    """The namespace after the last cell."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells(path):
        if cell["cell_type"] == "code":
            code = compile("".join(cell["source"]), f"{path.name}:{cell['id']}", "exec")
            exec(code, namespace)  # noqa: S102 - our own notebook
    return namespace


def test_first_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = executed(FOLDER / "first-day.ipynb")
    assert names["prices"].height > 0
    between = names["prices"]
    mean = between["mean_price_micro_per_kwh"]
    assert (mean > between["feed_in_micro_per_kwh"]).all()
    assert (mean < between["retail_micro_per_kwh"]).all()
    assert names["bills"].height == 6
    assert names["proved"].bill.total_nano == sum(
        line.amount_nano for line in names["proved"].lines
    )
    assert "refused" in names["answer"]
    assert names["audit"].ok
    assert (tmp_path / "first-day.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebook_is_stored_without_outputs(path: Path) -> None:
    ids = []
    for cell in cells(path):
        ids.append(cell["id"])
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None
    assert len(set(ids)) == len(ids)
