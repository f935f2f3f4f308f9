"""How long a trading day takes, everything but the first compilation, and how much memory."""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
from pathlib import Path

from gridpact.inputs import builtin_scenario
from gridpact.model import Member, Scenario
from gridpact.pipeline import run_scenario
from gridpact.studies.verify_rate import verify_rate

HOUSEHOLDS = 40


def bench_day() -> dict[str, dict[str, float | int]]:
    """Run the built-in day with 40 households and with all members.

    Returns:
        per case the seconds of each stage, transactions and blocks, the peak memory of the
        process so far in MB, and as baseline the time in which one core only checks the day's
        signatures.
    """
    everyone = builtin_scenario()
    some = dataclasses.replace(everyone, members=_with_generation_first(everyone)[:HOUSEHOLDS])
    return {
        f"{len(scenario.members)} members x {scenario.days} day": _measured(scenario)
        for scenario in (some, everyone)
    }


def _with_generation_first(scenario: Scenario) -> tuple[Member, ...]:
    """Members who own generation before those who do not, else in their order."""
    return tuple(sorted(scenario.members, key=lambda member: not member.pv_column))


def _measured(scenario: Scenario) -> dict[str, float | int]:
    rate = verify_rate()
    with tempfile.TemporaryDirectory() as folder:
        result = run_scenario(scenario, Path(folder) / "ledger")
    timings = result.timings_s
    ours_s = timings["inputs"] + timings["trading"] + timings["summary"]
    baseline_s = result.ledger.transactions / rate
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if sys.platform == "darwin":
        kilobytes //= 1024
    return {
        "slots": len(result.slots),
        "transactions": result.ledger.transactions,
        "blocks": result.ledger.height,
        **{f"{stage}_s": seconds for stage, seconds in timings.items()},
        "peak_memory_mb": kilobytes // 1024,
        "baseline_s": baseline_s,
        "ours_s": ours_s,
        "ratio": baseline_s / ours_s,
    }
