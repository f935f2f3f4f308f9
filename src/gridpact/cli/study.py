"""`study`: claims of the papers, played again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gridpact.cli.output import print_json, progress_bar
from gridpact.errors import InputError, Problem

STUDIES = ("consensus",)
SEEDS_MAX = 1000


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(study)


def study(
    name: Annotated[str, typer.Argument(help=f"One of {', '.join(STUDIES)}.")],
    out: Annotated[
        Path | None, typer.Option(help="Write a page, its plots and the numbers here.")
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=2, max=SEEDS_MAX, help="Draws that averages are over.")
    ] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Play a paper's claims again: theirs, ours, the gap.

    Example: `gridpact study consensus --out out/consensus`
    """
    if name not in STUDIES:
        raise InputError([Problem("study", f"{name!r} is not one of: {', '.join(STUDIES)}")])
    from gridpact.studies.consensus_study import run_study, study_json, write_study

    with progress_bar("studying", quiet=as_json) as progress:
        found = run_study(seeds, progress)
    if out is not None:
        write_study(found, out)
    if as_json:
        print_json(study_json(found))
        return
    for claim in found.claims:
        typer.echo(claim.name)
        typer.echo(f"  theirs  {claim.theirs}\n  ours    {claim.ours}\n  gap     {claim.gap}")
    typer.echo("\nOne liar in weighted Raft")
    for lie in found.lies:
        typer.echo(f"  {lie.lie}\n    {lie.outcome}")
    if out is not None:
        typer.echo(f"\nPage: {out / 'index.html'}")
