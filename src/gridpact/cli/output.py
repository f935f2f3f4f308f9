"""What commands print: one JSON object on stdout for machines, words on stderr for people."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from gridpact.errors import GridpactError, InputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from gridpact.model import Scenario, SlotResult

EXIT_FAILED_CHECK = 1
EXIT_BAD_INPUT = 2
PROBLEMS_SHOWN = 50


def configure_logging(verbose: bool) -> None:
    """Structured log on stderr: warnings, or everything worth knowing with `--verbose`."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.INFO if verbose else logging.WARNING
        ),
        logger_factory=_to_stderr,
    )


def _to_stderr(*_: object) -> structlog.PrintLogger:
    """A logger on standard error as it is now: whoever calls us may put another in its place."""
    return structlog.PrintLogger(sys.stderr)


def print_json(value: Mapping[str, object]) -> None:
    """The one object that a machine reads."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def explain_failure(error: BaseException) -> int:
    """Print an expected error and give its exit code; an unexpected one goes on as it is.

    Codes: 2 for bad input, 1 for a failed check or a disk that refused.
    """
    if isinstance(error, InputError):
        for problem in error.problems[:PROBLEMS_SHOWN]:
            sys.stderr.write(f"error: {problem}\n")
        if len(error.problems) > PROBLEMS_SHOWN:
            sys.stderr.write(f"error: and {len(error.problems) - PROBLEMS_SHOWN} more problems\n")
        return EXIT_BAD_INPUT
    if isinstance(error, GridpactError):
        sys.stderr.write(f"error: {error}\n")
        return EXIT_FAILED_CHECK
    if isinstance(error, ModuleNotFoundError) and _is_extra(error.name):
        extras = "run,outsourcing" if str(error.name).startswith("scipy") else "run"
        remedy = f"install it with pip install 'gridpact[{extras}]'"
        sys.stderr.write(f"error: this command needs {error.name}: {remedy}\n")
        return EXIT_BAD_INPUT
    if isinstance(error, BrokenPipeError):
        # Whoever read our output has enough; keep Python from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED_CHECK
    raise error


def _is_extra(name: str | None) -> bool:
    root = (name or "").partition(".")[0]
    return root in {"numba", "numpy", "plotly", "polars", "power_grid_model", "scipy", "tzdata"}


def _say_nothing(done: int, total: int) -> None:
    """Progress that nobody looks at."""


def _show_nothing(done: int, total: int, slot: SlotResult) -> None:
    """Trading that nobody watches."""


@contextmanager
def progress_bar(label: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr while a terminal looks; silent otherwise."""
    if quiet or not sys.stderr.isatty():
        yield _say_nothing
        return
    from rich.console import Console

    bar = _bar(Console(stderr=True))
    with bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def trading_display(
    scenario: Scenario, *, quiet: bool, console: Console | None = None
) -> Iterator[Callable[[int, int, SlotResult], None]]:
    """A bar on stderr and, below it, the slot that was just settled; silent without a terminal.

    Args:
        scenario: what is run.
        quiet: whether to be silent in any case.
        console: where to draw; stderr when left out.
    Yields:
        What the pipeline calls with (slots done, slots in all, the slot just settled).
    """
    if quiet or (console is None and not sys.stderr.isatty()):
        yield _show_nothing
        return
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    from gridpact.reports import slot_line

    shown = Console(stderr=True) if console is None else console
    bar, below = _bar(shown), Text(style="dim", overflow="ellipsis", no_wrap=True)
    task = bar.add_task("trading", total=None)

    def show(done: int, total: int, slot: SlotResult) -> None:
        bar.update(task, completed=done, total=total)
        below.plain = slot_line(slot, scenario.time_zone, scenario.currency)

    with Live(Group(bar, below), console=shown, transient=True):
        yield show


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    return Progress(
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
