"""`init`: a folder with a scenario that runs, to begin from."""

from __future__ import annotations

import os
import shutil
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem, StoreError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

TEMPLATE = "village"
SCENARIO = "scenario.toml"


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(init)


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or an empty folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Write a commented scenario with example data that runs as it is.

    Example: `gridpact init village && gridpact run village/scenario.toml`
    """
    template = resources.files("gridpact").joinpath("data", "templates", TEMPLATE)
    # The scenario comes last: where it lies, the rest is complete.
    files = sorted(template.iterdir(), key=lambda file: (file.name == SCENARIO, file.name))
    names = [file.name for file in files]
    _check(folder)
    try:
        if folder.exists():
            _write_into(folder, files)
        else:
            _write_new(folder, files)
    except OSError as error:
        raise StoreError(f"{folder}: {error.strerror}; nothing was written") from error
    scenario = folder / SCENARIO
    if as_json:
        print_json({"folder": str(folder), "files": sorted(names), "scenario": str(scenario)})
        return
    typer.echo(f"{folder}: {', '.join(sorted(names))}\nnext: gridpact run {scenario}")


def _check(folder: Path) -> None:
    """Refuse a folder in which something would be mixed up with the example."""
    try:
        if not os.path.lexists(folder):
            return
        if not folder.is_dir():
            raise InputError([Problem("DIR", f"{folder} is not a folder; name another")])
        if any(folder.iterdir()):
            message = f"{folder} is not empty; name a new folder, or empty it"
            raise InputError([Problem("DIR", message)])
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}; name another"
        raise InputError([Problem("DIR", message)]) from error
    except ValueError as error:  # a path with a NUL character
        raise InputError([Problem("DIR", f"{str(folder)!r} is not a path: {error}")]) from error


def _write_new(folder: Path, files: list[Traversable]) -> None:
    """Write a folder aside and rename it."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        aside.mkdir(parents=True)
        for file in files:
            (aside / file.name).write_bytes(file.read_bytes())
        aside.rename(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def _write_into(folder: Path, files: list[Traversable]) -> None:
    """Fill an empty folder, which may be the current one and so has to stay the same folder."""
    aside = folder / f".{os.getpid()}.partial"
    try:
        aside.mkdir()
        for file in files:
            (aside / file.name).write_bytes(file.read_bytes())
        for file in files:
            (aside / file.name).rename(folder / file.name)
        aside.rmdir()
    except BaseException:
        for file in files:
            (folder / file.name).unlink(missing_ok=True)
        shutil.rmtree(aside, ignore_errors=True)
        raise
