"""The command `gridpact`. Commands translate and call; nothing is decided here.

Heavy parts are imported inside the commands that need them, so that `--help` is instant and
`verify` runs with the base dependencies alone.
"""

from __future__ import annotations

import sys

import typer

from gridpact.cli import (
    faults,
    init,
    ledger,
    market,
    network,
    network_faults,
    outsource,
    personal,
    replay,
    run,
    simulate,
    speed,
    study,
    trace,
)
from gridpact.cli.output import configure_logging, explain_failure

__all__ = ["app", "main"]

app = typer.Typer(
    name="gridpact",
    help="A shared, tamper-evident market for distributed electricity that anyone can audit.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from gridpact import __version__

        typer.echo(f"gridpact {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what happens on stderr."),
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    configure_logging(verbose)


for module in (
    run,
    init,
    market,
    ledger,
    personal,
    network,
    speed,
    faults,
    network_faults,
    simulate,
    replay,
    study,
    trace,
    outsource,
):
    module.register(app)


def main() -> None:
    """Entry point: expected errors become one line each and an exit code, bugs keep their trace."""
    try:
        app()
    except Exception as error:  # noqa: BLE001 - what is not expected is raised again
        sys.exit(explain_failure(error))
