"""`fuzz` and `kill`: trying to break the ledger and the replicas on purpose."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import EXIT_FAILED_CHECK, print_json, progress_bar
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.studies.fuzz import FuzzReport
    from gridpact.studies.fuzz_certificates import CertificateReport
    from gridpact.studies.fuzz_frames import FrameReport
    from gridpact.studies.kill import KillReport


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(fuzz)
    app.command()(kill)


def fuzz(
    count: Annotated[int, typer.Option(min=1, help="Broken ones to send.")] = 100_000,
    seed: Annotated[int, typer.Option(min=0, help="Root of all chance.")] = 1,
    frames: Annotated[
        bool, typer.Option("--frames", help="Frames between replicas instead of transactions.")
    ] = False,
    certificates: Annotated[
        bool, typer.Option("--certificates", help="Clearing certificates of microgrids instead.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Send broken transactions: each must be refused by name and change nothing.

    With --frames, broken frames to a replica in every role: suspected by name, nothing changed.
    With --certificates, tampered clearings: refused by name, or proved harmless.

    Example: `gridpact fuzz --count 5000`, `gridpact fuzz --frames --count 1000000`
    """
    if frames and certificates:
        fact = "and --frames break different things; allowed: one of them"
        raise InputError([Problem("--certificates", fact)])
    if certificates:
        from gridpact.studies.fuzz_certificates import fuzz_certificates

        with progress_bar("fuzzing", quiet=as_json) as progress:
            certificate_report = fuzz_certificates(count, seed, progress)
        _finish(certificate_report, as_json)
        return
    if frames:
        from gridpact.studies.fuzz_frames import fuzz_frames

        with progress_bar("fuzzing", quiet=as_json) as progress:
            frame_report = fuzz_frames(count, seed, progress)
        _finish(frame_report, as_json)
        return
    from gridpact.studies.fuzz import fuzz_transactions

    with (
        tempfile.TemporaryDirectory() as folder,
        progress_bar("fuzzing", quiet=as_json) as progress,
    ):
        report = fuzz_transactions(count, seed, Path(folder) / "ledger", progress)
    _finish(report, as_json)


def kill(
    rounds: Annotated[int, typer.Option(min=1, help="How often to kill.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Root of all chance.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Kill a writing process at random moments: nothing acknowledged may be lost.

    Example: `gridpact kill --rounds 20`
    """
    from gridpact.studies.kill import kill_rounds

    with (
        tempfile.TemporaryDirectory() as folder,
        progress_bar("killing", quiet=as_json) as progress,
    ):
        report = kill_rounds(rounds, seed, Path(folder), progress)
    _finish(report, as_json)


def _finish(
    report: FuzzReport | FrameReport | CertificateReport | KillReport, as_json: bool
) -> None:
    """Print a report of any kind; exit code 1 when it has violations."""
    import dataclasses

    facts = dataclasses.asdict(report)
    if as_json:
        print_json(facts)
    else:
        for key, value in facts.items():
            if isinstance(value, dict):
                typer.echo(f"{key}:")
                for name, number in sorted(value.items()):
                    typer.echo(f"  {name:<36} {number:>9}")
            elif isinstance(value, float):
                typer.echo(f"{key}: {value:.2f}")
            else:
                typer.echo(f"{key}: {value}")
    if report.violations:
        sys.exit(EXIT_FAILED_CHECK)
