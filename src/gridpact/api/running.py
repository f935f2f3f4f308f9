"""`gridpact.run`: a scenario in, a finished run out."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import structlog

from gridpact.api.folder import LEDGER, run_into_folder
from gridpact.api.results import Result
from gridpact.errors import InputError, Problem
from gridpact.inputs import builtin_scenario, load_scenario
from gridpact.model import Scenario
from gridpact.node.engines import EMBEDDED
from gridpact.pipeline import run_scenario

DAYS_MAX = 366
SEED_MAX = 2**63 - 1

Answer = TypeVar("Answer")


def run(
    scenario: str | Path | Scenario | None = None,
    *,
    out: str | Path | None = None,
    days: int | None = None,
    seed: int | None = None,
    engine: str = EMBEDDED,
    validators: int = 1,
) -> Result:
    """Trade the days of a scenario: orders, clearing, ledger, grid, settlement, bills.

    Args:
        scenario: a TOML file, a scenario object, or nothing for the built-in day.
        out: folder for ledger, report and tables, which must be new or empty; without one the
            ledger lies in a temporary folder that goes with the result.
        days: trade this many days instead of the scenario's.
        seed: another seed than the scenario's.
        engine: what orders the transactions: `embedded`, `raft`, `weighted-raft`, `cometbft`; all
            but the first start a process for each validator.
        validators: how many decide.
    Raises:
        InputError: everything that is wrong with scenario, data and arguments.
        StoreError: the disk refused.
    """
    _log_warnings_only()
    chosen = choose_scenario(scenario, days=days, seed=seed)
    if out is not None:
        target = Path(out)
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise InputError([Problem("out", f"{target} is not an empty folder; name another")])
        return Result(
            _outside_loops(
                lambda: run_into_folder(chosen, target, engine=engine, validators=validators)[0]
            )
        )
    temporary = Path(tempfile.mkdtemp(prefix="gridpact-"))
    try:
        finished = _outside_loops(
            lambda: run_scenario(chosen, temporary / LEDGER, engine=engine, validators=validators)
        )
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Result(finished, temporary)


def choose_scenario(
    scenario: str | Path | Scenario | None,
    *,
    days: int | None,
    seed: int | None,
    prefix: str = "",
    problems: Sequence[Problem] = (),
) -> Scenario:
    """A scenario with what the caller changes in it.

    Args:
        scenario: a TOML file, a scenario object, or None for the built-in day.
        days: trade this many days instead of the scenario's.
        seed: another seed than the scenario's.
        prefix: what the caller writes before the names of its arguments.
        problems: what the caller found already, to be said together with the rest.
    Raises:
        InputError: all problems at once.
    """
    found = list(problems)
    if days is not None and not 1 <= days <= DAYS_MAX:
        found.append(Problem(f"{prefix}days", f"{days} is not in 1..{DAYS_MAX}"))
    if seed is not None and not 0 <= seed <= SEED_MAX:
        found.append(Problem(f"{prefix}seed", f"{seed} is not in 0..{SEED_MAX}"))
    try:
        chosen = _read(scenario)
    except InputError as error:
        raise InputError([*found, *error.problems]) from error
    if found:
        raise InputError(found)
    return dataclasses.replace(
        chosen,
        days=chosen.days if days is None else days,
        seed=chosen.seed if seed is None else seed,
    )


def _read(scenario: str | Path | Scenario | None) -> Scenario:
    if scenario is None:
        return builtin_scenario()
    return scenario if isinstance(scenario, Scenario) else load_scenario(scenario)


def _log_warnings_only() -> None:
    """Keep the log out of notebooks, unless the caller set one up."""
    if not structlog.is_configured():
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def _outside_loops(work: Callable[[], Answer]) -> Answer:
    """Do something that starts an event loop, also where one is running, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return work()
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(work).result()
