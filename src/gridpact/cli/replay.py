"""`replay`: what validators recorded, played again in the simulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import EXIT_FAILED_CHECK, print_json

if TYPE_CHECKING:
    from gridpact.sim.replay import Played, Replay


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(replay)


def replay(
    traces: Annotated[
        list[Path],
        typer.Argument(metavar="HOME_OR_TRACE", help="Folders of validators, or traces."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Play traces of Raft validators again: the same events must lead to the same state.

    Validators of `gridpact devnet --trace` write them. With those of a whole network, everything is
    checked that the simulator checks.

    Example: `gridpact replay out/devnet`
    """
    from gridpact.sim.replay import replay as play_again
    from gridpact.sim.replay import trace_files

    result = play_again([file for path in traces for file in trace_files(path)])
    if as_json:
        print_json(_facts(result))
    else:
        _print(result)
    if not result.is_good:
        sys.exit(EXIT_FAILED_CHECK)


def _facts(result: Replay) -> dict[str, object]:
    return {
        "traces": [
            {
                "trace": played.where,
                "name": played.name,
                "events": played.events,
                "decisions": played.decisions,
                "last_height": played.height,
                "state_hash": played.state.hex(),
                "ending": played.ending,
                "same": not played.difference,
                "difference": played.difference,
            }
            for played in result.traces
        ],
        "decisions": len(result.decided),
        "violation": result.violation,
        "unwatched": result.unwatched,
    }


def _print(result: Replay) -> None:
    for played in result.traces:
        typer.echo(
            f"{played.where}: {played.events:,} events, {played.decisions:,} decisions up to "
            f"height {played.height:,}, state {played.state.hex()[:16]}, {_words(played)}"
        )
    if result.violation:
        typer.echo(f"violation: {result.violation}")
    else:
        typer.echo(f"all agree on {len(result.decided):,} decisions")
    if result.unwatched:
        typer.echo(f"other properties were not checked to the end: {result.unwatched}")
    elif not result.violation:
        typer.echo("every property that the simulator checks held at every step")


def _words(played: Played) -> str:
    verdict = f"differs: {played.difference}" if played.difference else "same as recorded"
    return verdict if played.ending == "closed" else f"{verdict} ({played.ending})"
