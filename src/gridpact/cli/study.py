"""`study`: claims of the papers, played again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json, progress_bar
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.studies.study_page import Claim

STUDIES = ("consensus", "microgrids")
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
        int | None,
        typer.Option(min=2, max=SEEDS_MAX, help="Draws that averages are over: 40, microgrids 10."),
    ] = None,
    day: Annotated[
        Path | None,
        typer.Option(help="Of microgrids (JSON): what really happens; the stand-in if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Play a paper's claims again: theirs, ours, the gap.

    Example: `gridpact study consensus --out out/consensus`
    """
    if name == "consensus":
        _consensus(out, seeds, as_json=as_json)
    elif name == "microgrids":
        _microgrids(out, seeds, day, as_json=as_json)
    else:
        raise InputError([Problem("study", f"{name!r} is not one of: {', '.join(STUDIES)}")])


def _consensus(out: Path | None, seeds: int | None, *, as_json: bool) -> None:
    from gridpact.studies.consensus_savings import SEEDS
    from gridpact.studies.consensus_study import run_study, study_json, write_study

    with progress_bar("studying", quiet=as_json) as progress:
        found = run_study(seeds or SEEDS, progress)
    if out is not None:
        write_study(found, out)
    if as_json:
        print_json(study_json(found))
        return
    _print_claims(found.claims)
    typer.echo("\nOne liar in weighted Raft")
    for lie in found.lies:
        typer.echo(f"  {lie.lie}\n    {lie.outcome}")
    _print_place(out)


def _microgrids(out: Path | None, seeds: int | None, day: Path | None, *, as_json: bool) -> None:
    from gridpact.inputs.microgrid_days import standin_window
    from gridpact.inputs.microgrids import load_microgrids
    from gridpact.studies.microgrid_study import SEEDS, run_study, study_json, write_study

    window = standin_window() if day is None else load_microgrids(day)
    with progress_bar("studying", quiet=as_json) as progress:
        found = run_study(window, seeds or SEEDS, progress)
    if out is not None:
        write_study(found, out)
    if as_json:
        print_json(study_json(found))
        return
    _print_claims(found.claims)
    typer.echo("\nWhat the bargain does not protect against: honest gain, gain, change")
    for what, honest, gain, change in found.unprotected:
        typer.echo(f"  {what}\n    {honest}, {gain} USD, {change}")
    _print_place(out)


def _print_claims(claims: Sequence[Claim]) -> None:
    for claim in claims:
        typer.echo(claim.name)
        typer.echo(f"  theirs  {claim.theirs}\n  ours    {claim.ours}\n  gap     {claim.gap}")


def _print_place(out: Path | None) -> None:
    if out is not None:
        typer.echo(f"\nPage: {out / 'index.html'}")
