"""Faults on validators in processes of their own, and twins that do not stand them."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from gridpact.node.engines import RAFT, WEIGHTED_RAFT
from gridpact.studies.fault_rounds import FaultReport, FaultRequest, fault_rounds

pytestmark = [pytest.mark.service, pytest.mark.slow]

TWIN_ROUNDS_MAX = 10
"""Within so many a twin must be caught; mostly the first is enough, a slow machine needs more."""
HERE = Path(__file__).parent


def run(folder: Path, request: FaultRequest) -> FaultReport:
    return asyncio.run(fault_rounds(request, folder))


@pytest.mark.parametrize(
    ("engine", "faults"),
    [
        (RAFT, ("kill-leader", "partition-leader", "full-disk")),
        (WEIGHTED_RAFT, ("kill-all", "one-way-partition")),
    ],
)
def test_nothing_is_lost_or_wrong(tmp_path: Path, engine: str, faults: tuple[str, ...]) -> None:
    report = run(tmp_path, FaultRequest(engine, 3, rounds=len(faults), seed=5, only=faults))
    assert report.violations == []
    assert set(report.faults) == set(faults)
    assert report.acknowledged > 0
    assert report.reads > 0
    assert report.audits_ok == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("twin", "words"),
    [("stale_validator.py", "linearizability"), ("rash_validator.py", "lost: ")],
)
def test_a_broken_twin_is_caught(tmp_path: Path, twin: str, words: str) -> None:
    """Its folder stays, with what was done and seen."""
    program = (sys.executable, str(HERE / twin))
    for seed in range(5, 5 + TWIN_ROUNDS_MAX):
        request = FaultRequest(RAFT, 3, 1, seed=seed, only=("partition-leader",), program=program)
        report = run(tmp_path, request)
        if report.violations:
            break
    assert any(words in text for text in report.violations)
    assert all(text.startswith(f"seed {seed}, round ") for text in report.violations)
    kept = Path(report.kept[0])
    assert "partition-leader" in (kept / "actions.txt").read_text()
    assert (kept / "seen.jsonl").stat().st_size > 0
