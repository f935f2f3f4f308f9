"""`run` and `validate`: trading days, and what is wrong with a scenario."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json, progress_bar, trading_display
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.model import Scenario

DEFAULT_VALIDATORS = {"embedded": 1, "raft": 3, "weighted-raft": 3, "cometbft": 4}
ENGINES = tuple(DEFAULT_VALIDATORS)
AUCTION, MICROGRID = "auction", "microgrid"
MARKETS = (AUCTION, MICROGRID)
FIRST_SEED = 1
VALIDATORS_MAX = 16
"""Processes of one machine."""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(run)
    app.command()(validate)


def run(
    scenario: Annotated[
        Path | None,
        typer.Argument(
            help="A scenario (TOML), or a day of microgrids (JSON, aeps22, rural-quarters); "
            "the built-in day when left out."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for ledger and report; out/NAME, numbered, when left out."),
    ] = None,
    days: Annotated[int | None, typer.Option(help="Trade this many days.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the scenario's.")] = None,
    engine: Annotated[
        str, typer.Option(help=f"What orders transactions: {', '.join(ENGINES)}.")
    ] = "embedded",
    validators: Annotated[
        int | None,
        typer.Option(help="Processes that decide together; 3 for a Raft, 4 for cometbft."),
    ] = None,
    market: Annotated[
        str, typer.Option(help=f"The market mechanism: {', '.join(MARKETS)}.")
    ] = AUCTION,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an earlier run in --out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Trade whole days on real profiles: orders, clearing, ledger, settlement, report.

    Example: `gridpact run --out out/first` or `gridpact run --market microgrid --engine raft`
    """
    started = time.perf_counter()
    problems = [*_wrong_engine(engine, validators), *_wrong_market(market, days)]
    if market == MICROGRID:
        _run_microgrids(scenario, out, seed, engine, validators, problems, replace, as_json)
        return
    chosen = _chosen_scenario(scenario, days, seed, problems)
    count = DEFAULT_VALIDATORS[engine] if validators is None else validators
    target = _target(out, chosen.name, replace)
    from gridpact.api import run_into_folder

    with trading_display(chosen, quiet=as_json) as progress:
        result, summary = run_into_folder(
            chosen, target, progress, started=started, engine=engine, validators=count
        )
    if as_json:
        print_json(summary)
        return
    from rich.console import Console

    from gridpact.reports import run_table

    Console().print(run_table(result, target / "report.html"))


def _wrong_engine(engine: str, validators: int | None) -> list[Problem]:
    if engine not in ENGINES:
        return [Problem("--engine", f"{engine!r} is not one of: {', '.join(ENGINES)}")]
    if validators is None:
        return []
    most = 1 if engine == "embedded" else VALIDATORS_MAX
    if not 1 <= validators <= most:
        return [Problem("--validators", f"{validators} is not in 1..{most} for {engine}")]
    return []


def _wrong_market(market: str, days: int | None) -> list[Problem]:
    if market not in MARKETS:
        return [Problem("--market", f"{market!r} is not one of: {', '.join(MARKETS)}")]
    if market == MICROGRID and days is not None:
        return [Problem("--days", "a day of microgrids is one day; leave it out")]
    return []


def _run_microgrids(
    source: Path | None,
    out: Path | None,
    seed: int | None,
    engine: str,
    validators: int | None,
    problems: list[Problem],
    replace: bool,
    as_json: bool,
) -> None:
    from gridpact.api.microgrid_folder import run_microgrids_into_folder
    from gridpact.inputs.microgrid_days import microgrid_day

    if problems:
        raise InputError(problems)
    day = microgrid_day(source)
    target = _target(out, day.name, replace)
    with progress_bar("trading", quiet=as_json) as progress:
        found, summary = run_microgrids_into_folder(
            day,
            target,
            progress,
            seed=FIRST_SEED if seed is None else seed,
            engine=engine,
            validators=DEFAULT_VALIDATORS[engine] if validators is None else validators,
        )
    if as_json:
        print_json(summary)
        return
    from rich.console import Console

    from gridpact.reports import microgrid_table

    Console().print(microgrid_table(found.day, found.slots, found.ledger))


def _chosen_scenario(
    path: Path | None, days: int | None, seed: int | None, problems: list[Problem]
) -> Scenario:
    """The scenario with what the command line changes in it; all problems at once."""
    from gridpact.api import choose_scenario

    return choose_scenario(path, days=days, seed=seed, prefix="--", problems=problems)


def _target(out: Path | None, name: str, replace: bool) -> Path:
    """Where the run goes: a new folder, an empty one, or one of an earlier run to replace."""
    from gridpact.api.folder import MANIFEST

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
