"""How long trading days take, everything but the first compilation, and how much memory."""

from __future__ import annotations

import dataclasses
import resource
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path

from gridpact.inputs import builtin_scenario
from gridpact.model import (
    AccountMode,
    AccountPolicy,
    Member,
    MeteringPolicy,
    Reporting,
    Scenario,
    SlotResult,
)
from gridpact.pipeline import run_scenario
from gridpact.studies.verify_rate import verify_rate

HOUSEHOLDS = 40
FIRST_DAY = date(2016, 1, 2)
MIDSUMMER = date(2016, 7, 1)
"""The profiles are of 2016, and one day of them is history."""
DAYS_MAX = 365

Figures = dict[str, float | int]


def bench_day(days: int = 1) -> dict[str, Figures]:
    """Run trading days of the built-in village, power flow and batteries included.

    One day is the built-in one, with 40 households and with all members. Several days are of 40
    households around midsummer, a bill each day, readings in day batches as meter operators send
    them.

    Args:
        days: 1..365.
    Returns:
        per case the seconds of each stage and of a day, transactions and blocks, the peak memory
        of the process so far in MB after the first day and at the end, and as baseline the time in
        which one core only checks the signatures.
    """
    everyone = builtin_scenario()
    some = dataclasses.replace(everyone, members=_with_generation_first(everyone)[:HOUSEHOLDS])
    cases = (some, everyone) if days == 1 else (_through_the_year(some, days),)
    return {
        f"{len(scenario.members)} members x {scenario.days} days": _measured(scenario)
        for scenario in cases
    }


def _with_generation_first(scenario: Scenario) -> tuple[Member, ...]:
    """Members who own generation before those who do not, else in their order."""
    return tuple(sorted(scenario.members, key=lambda member: not member.pv_column))


def _through_the_year(scenario: Scenario, days: int) -> Scenario:
    account = AccountPolicy(AccountMode.POSTPAID, limit_micro=0, deposit_micro=0)
    members = tuple(
        dataclasses.replace(
            member, account=account, agent=dataclasses.replace(member.agent, season_days=1)
        )
        for member in scenario.members
    )
    return dataclasses.replace(
        scenario,
        members=members,
        days=days,
        first_day=max(FIRST_DAY, MIDSUMMER - timedelta(days=days // 2)),
        metering=MeteringPolicy(Reporting.METERING_OPERATOR, scenario.metering.late_permille),
    )


def _measured(scenario: Scenario) -> Figures:
    rate = verify_rate()
    per_day = 86_400 // scenario.slot_length_s
    after_a_day_mb = 0

    def watch(done: int, total: int, slot: SlotResult) -> None:
        nonlocal after_a_day_mb
        if done == per_day:
            after_a_day_mb = _peak_memory_mb()

    with tempfile.TemporaryDirectory() as folder:
        result = run_scenario(scenario, Path(folder) / "ledger", watch)
        store_mb = result.sizes["store"] // 2**20
    timings = result.timings_s
    ours_s = timings["inputs"] + timings["trading"] + timings["summary"]
    baseline_s = result.ledger.transactions / rate
    return {
        "slots": len(result.slots),
        "transactions": result.ledger.transactions,
        "blocks": result.ledger.height,
        "store_mb": store_mb,
        **{f"{stage}_s": seconds for stage, seconds in timings.items()},
        "per_day_s": ours_s / scenario.days,
        "peak_memory_after_a_day_mb": after_a_day_mb,
        "peak_memory_mb": _peak_memory_mb(),
        "baseline_s": baseline_s,
        "ours_s": ours_s,
        "ratio": baseline_s / ours_s,
    }


def _peak_memory_mb() -> int:
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes // (2**20 if sys.platform == "darwin" else 2**10)
