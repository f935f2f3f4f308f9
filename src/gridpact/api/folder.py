"""The folder of a run: ledger, pages, tables. It is there whole or not at all."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gridpact.errors import StoreError
from gridpact.files import write_atomically
from gridpact.model import RunResult, Scenario, SlotResult
from gridpact.node.engines import EMBEDDED
from gridpact.pipeline import moved_to, run_scenario
from gridpact.reports import (
    run_json,
    write_bills_csv,
    write_markdown,
    write_parquet,
    write_report,
    write_slots_csv,
)

MANIFEST = "run.json"
"""Marks a folder as the output of a run; only such a folder is ever replaced."""
LEDGER = "ledger"
REPORT = "report.html"

Progress = Callable[[int, int, SlotResult], None]
"""Told (slots done, slots in all, the slot that was just settled)."""


def run_into_folder(
    scenario: Scenario,
    target: Path,
    progress: Progress | None = None,
    *,
    started: float | None = None,
    engine: str = EMBEDDED,
    validators: int = 1,
) -> tuple[RunResult, dict[str, object]]:
    """Run a scenario and write everything it came to into a folder.

    Args:
        scenario: what to run.
        target: absent, empty, or the folder of an earlier run, which is replaced at the end.
        progress: what to tell while trading.
        engine: what orders the transactions.
        validators: how many decide.
        started: `time.perf_counter()` of the beginning, when that was before this call.
    Returns:
        The run, its ledger at its final place, and the object of `run.json`.
    Raises:
        InputError: the scenario's data are wrong.
        StoreError: the disk refused; what was at `target` before is still there.
    """
    began = time.perf_counter() if started is None else started
    with written_aside(target) as aside:
        result = run_scenario(
            scenario, aside / LEDGER, progress, engine=engine, validators=validators
        )
        at_target = dataclasses.replace(result.ledger, path=target / LEDGER)
        described = dataclasses.replace(result, ledger=at_target)
        summary = _write(described, aside, target, began)
    return moved_to(described, target / LEDGER), summary


@contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """A new folder beside `target`, which takes its place when the block ends well.

    Raises:
        StoreError: the folder cannot be made; nothing was written.
    """
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{aside.parent}: {error.strerror}; nothing was written") from error
    try:
        yield aside
        _move_into_place(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write(result: RunResult, folder: Path, target: Path, began: float) -> dict[str, object]:
    """All files but the ledger, described as they will lie in `target`."""
    writing = time.perf_counter()
    write_bills_csv(result, folder / "bills.csv")
    write_slots_csv(result, folder / "slots.csv")
    write_parquet(result, folder / "tables")
    _take_times(result, writing, began)
    write_markdown(result, folder / "report.md")
    write_report(result, folder / REPORT)
    _take_times(result, writing, began)
    summary = run_json(result, target / REPORT)
    write_atomically(folder / MANIFEST, json.dumps(summary, indent=2).encode() + b"\n")
    return summary


def _take_times(result: RunResult, writing: float, began: float) -> None:
    """How long writing and the whole run took so far."""
    ended = time.perf_counter()
    result.timings_s["report"] = ended - writing
    result.timings_s["total"] = ended - began


def _move_into_place(aside: Path, target: Path) -> None:
    """Rename the finished folder; an earlier run goes only when the new one is whole."""
    if not target.exists():
        aside.rename(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    aside.rename(target)
    shutil.rmtree(old)
