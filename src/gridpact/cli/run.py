"""`run` and `validate`: trading days, and what is wrong with a scenario."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json, progress_bar
from gridpact.errors import InputError, Problem, StoreError
from gridpact.files import write_atomically

if TYPE_CHECKING:
    from gridpact.model import RunResult, Scenario

DAYS_MAX = 366
SEED_MAX = 2**63 - 1
MANIFEST = "run.json"
"""Marks a folder as the output of a run; only such a folder is ever replaced."""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)
    app.command()(validate)


def run(
    scenario: Annotated[
        Path | None, typer.Argument(help="A scenario (TOML); the built-in day when left out.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for ledger and report; out/NAME, numbered, when left out."),
    ] = None,
    days: Annotated[int | None, typer.Option(help="Trade this many days.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    engine: Annotated[str, typer.Option(help="What orders transactions: embedded.")] = "embedded",
    market: Annotated[str, typer.Option(help="The market mechanism: auction.")] = "auction",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an earlier run in --out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Trade whole days on real profiles: orders, clearing, ledger, settlement, report.

    Example: `gridpact run --out out/first`
    """
    started = time.perf_counter()
    chosen = _chosen_scenario(scenario, days, seed, engine, market)
    target = _target(out, chosen.name, replace)
    aside = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        aside.mkdir(parents=True)
    except OSError as error:
        raise StoreError(f"{aside.parent}: {error.strerror}; nothing was written") from error
    try:
        result, summary = _run_into(aside, target, chosen, started, quiet=as_json)
        _move_into_place(aside, target)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    if as_json:
        print_json(summary)
        return
    from rich.console import Console

    from gridpact.reports import run_table

    Console().print(run_table(result, target / "report.html"))


def _chosen_scenario(
    path: Path | None, days: int | None, seed: int | None, engine: str, market: str
) -> Scenario:
    """The scenario with what the command line changes in it; all problems at once."""
    import dataclasses

    from gridpact.inputs import builtin_scenario, load_scenario

    problems = []
    if engine != "embedded":
        problems.append(Problem("--engine", f"{engine!r} is not one of: embedded"))
    if market != "auction":
        problems.append(Problem("--market", f"{market!r} is not one of: auction"))
    if days is not None and not 1 <= days <= DAYS_MAX:
        problems.append(Problem("--days", f"{days} is not in 1..{DAYS_MAX}"))
    if seed is not None and not 0 <= seed <= SEED_MAX:
        problems.append(Problem("--seed", f"{seed} is not in 0..{SEED_MAX}"))
    try:
        scenario = builtin_scenario() if path is None else load_scenario(path)
    except InputError as error:
        raise InputError([*problems, *error.problems]) from error
    if problems:
        raise InputError(problems)
    return dataclasses.replace(
        scenario,
        days=scenario.days if days is None else days,
        seed=scenario.seed if seed is None else seed,
    )


def _target(out: Path | None, name: str, replace: bool) -> Path:
    """Where the run goes: a new folder, an empty one, or one of an earlier run to replace."""
    if out is None:
        number = 1
        while (target := Path("out") / f"{name}-{number}").exists():
            number += 1
        return target
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return out
    if replace and (out / MANIFEST).is_file():
        return out
    remedy = "name another, or add --replace" if (out / MANIFEST).is_file() else "name another"
    raise InputError([Problem("--out", f"{out} is not empty; {remedy}")])


def _run_into(
    folder: Path, target: Path, scenario: Scenario, started: float, *, quiet: bool
) -> tuple[RunResult, dict[str, object]]:
    """The run with all its files in `folder`, described as they will lie in `target`."""
    import dataclasses
    import json

    from gridpact.pipeline import run_scenario
    from gridpact.reports import run_json, write_bills_csv, write_report, write_slots_csv

    with progress_bar("trading", quiet=quiet) as progress:
        result = run_scenario(scenario, folder / "ledger", progress)
    at_target = dataclasses.replace(result.ledger, path=target / "ledger")
    result = dataclasses.replace(result, ledger=at_target)
    writing = time.perf_counter()
    write_bills_csv(result, folder / "bills.csv")
    write_slots_csv(result, folder / "slots.csv")
    result.timings_s["report"] = time.perf_counter() - writing
    result.timings_s["total"] = time.perf_counter() - started
    write_report(result, folder / "report.html")
    result.timings_s["report"] = time.perf_counter() - writing
    result.timings_s["total"] = time.perf_counter() - started
    summary = run_json(result, target / "report.html")
    write_atomically(folder / MANIFEST, json.dumps(summary, indent=2).encode() + b"\n")
    return result, summary


def _move_into_place(aside: Path, target: Path) -> None:
    """Rename the finished folder; an earlier run goes only when the new one is whole."""
    if not target.exists():
        aside.rename(target)
        return
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    target.rename(old)
    aside.rename(target)
    shutil.rmtree(old)


def validate(
    scenario: Annotated[Path, typer.Argument(help="A scenario (TOML).")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """List all problems of a scenario and its data at once; exit code 2 when there are any.

    Example: `gridpact validate village.toml`
    """
    from gridpact.inputs import validate_scenario

    problems = validate_scenario(scenario)
    if as_json:
        shown = [{"where": problem.where, "message": problem.message} for problem in problems]
        print_json({"ok": not problems, "problems": shown})
        sys.exit(2 if problems else 0)
    if problems:
        raise InputError(list(problems))
    typer.echo(f"{scenario}: no problems")
