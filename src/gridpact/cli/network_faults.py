"""`chaos`: a network of validators under faults."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import EXIT_FAILED_CHECK, print_json, progress_bar
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.studies.fault_rounds import FaultReport

LEAST_VALIDATORS = 2
COLUMNS = "{:<20}{:>7}{:>14}{:>9}{:>10}{:>6}{:>12}"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(chaos)


def chaos(
    engine: Annotated[str, typer.Option(help="raft, weighted-raft or cometbft.")] = "raft",
    validators: Annotated[int, typer.Option(min=LEAST_VALIDATORS, help="Processes.")] = 3,
    rounds: Annotated[int, typer.Option(min=1, help="One fault each.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Root of all chance.")] = 1,
    first: Annotated[
        int, typer.Option(min=0, help="Number of the first round, to repeat a later one.")
    ] = 0,
    faults: Annotated[str | None, typer.Option(help="Only these, by comma.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Kill, stop and cut off real validators while clients work: nothing may be lost or wrong.

    Exit code 1 when something was; then the folder with ledgers, logs and what clients saw stays.

    Example: `gridpact chaos --engine raft --validators 3 --rounds 20`
    """
    import asyncio

    from gridpact.studies.fault_rounds import FaultRequest, fault_rounds

    request = FaultRequest(engine, validators, rounds, seed, first, _known(faults))
    folder = Path(tempfile.mkdtemp(prefix="gridpact-chaos-"))
    try:
        with _shown(quiet=as_json) as progress:
            report = asyncio.run(fault_rounds(request, folder, progress))
    finally:
        with suppress(OSError):  # it is not empty: something is kept
            folder.rmdir()
    if as_json:
        import dataclasses

        print_json(dataclasses.asdict(report))
    else:
        _print(report)
    if report.violations:
        sys.exit(EXIT_FAILED_CHECK)


def _known(faults: str | None) -> tuple[str, ...]:
    """The names of faults in an option.

    Raises:
        InputError: there is no such fault.
    """
    from gridpact.studies.fault_kinds import FAULTS

    names = tuple(faults.split(",")) if faults else ()
    known = [fault.name for fault in FAULTS]
    unknown = [name for name in names if name not in known]
    if unknown:
        text = f"no such fault: {', '.join(unknown)}; there are {', '.join(known)}"
        raise InputError([Problem("--faults", text)])
    return names


@contextmanager
def _shown(*, quiet: bool) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on a terminal, else a line for each round; both on stderr."""
    lines = not quiet and not sys.stderr.isatty()
    with progress_bar("rounds", quiet=quiet) as bar:

        def show(done: int, total: int, what: str) -> None:
            bar(done, total)
            if lines:
                typer.echo(f"{done}/{total} {what}", err=True)

        yield show


def _print(report: FaultReport) -> None:
    typer.echo(
        COLUMNS.format(
            "fault", "rounds", "acknowledged", "leaders", "longest s", "lost", "violations"
        )
    )
    for name, tally in sorted(report.faults.items()):
        typer.echo(
            COLUMNS.format(
                name,
                tally.rounds,
                tally.acknowledged,
                tally.leader_changes,
                f"{tally.longest_gap_s:.2f}",
                tally.lost,
                tally.violations,
            )
        )
    for name, reason in report.left_out.items():
        typer.echo(f"{name:<20}left out: {reason}")
    typer.echo(
        f"{report.engine}, {report.validators} validators, seed {report.seed}: "
        f"{report.rounds} rounds, {report.acknowledged} acknowledged, {report.refused} refused, "
        f"{report.reads} reads, {report.lost} lost, {report.audits_ok} audits agree, "
        f"{len(report.violations)} violations, {report.seconds:.0f} s"
    )
    for text in report.violations:
        typer.echo(f"violation: {text}")
    for kept in report.kept:
        typer.echo(f"kept: {kept}")
    if report.violations:
        typer.echo(
            f"again: gridpact chaos --engine {report.engine} --validators {report.validators} "
            f"--seed {report.seed} --first ROUND --rounds 1, and --faults as they were"
        )
