"""The short table at the end of `gridpact run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gridpact.model import RunResult
from gridpact.reports.amounts import MINUS, NO_BREAK
from gridpact.reports.commands import checking_commands
from gridpact.reports.facts import DOT, facts_of, gains_rows, heading_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_ASCII = str.maketrans({MINUS: "-", NO_BREAK: " ", DOT: "-"})
"""For terminals that know nothing else."""
_UNICODE = str.maketrans({NO_BREAK: " "})


@dataclass(frozen=True, slots=True)
class RunTable:
    """What `run_table` gives to rich."""

    result: RunResult
    report_path: Path | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Heading, gains, facts, commands."""
        letters = _ASCII if options.ascii_only else _UNICODE
        result = self.result
        yield Text()
        yield Text(heading_of(result).translate(letters), style="bold")
        yield Text()
        yield _gains(result, letters)
        yield Text()
        yield _facts(result, letters)
        yield Text()
        for command in checking_commands(result):
            yield Text(command.purpose, style="dim")
            yield Text(command.broken(options.max_width), style="cyan", overflow="fold")
        if self.report_path is not None:
            yield Text("Open the report", style="dim")
            yield Text(str(self.report_path), style="cyan", overflow="fold")


def run_table(result: RunResult, report_path: Path | None = None) -> RunTable:
    """What a run came to, ready to print.

    Args:
        result: the run.
        report_path: the page to point to; None without one.
    Returns:
        Something that rich prints, at any width. Commands stay copyable: they break between words
        only, never inside a hash.
    """
    return RunTable(result, report_path)


def _gains(result: RunResult, letters: dict[int, str]) -> Table:
    """Sellers and buyers with the market, without it, and the difference."""
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column()
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    heading, *rows = gains_rows(result)
    table.add_row(*(Text(word, style="dim") for word in heading))
    for row in rows:
        shown = [Text(cell.translate(letters)) for cell in row]
        shown[-1].stylize("bold")
        table.add_row(*shown)
    return table


def _facts(result: RunResult, letters: dict[int, str]) -> RenderableType:
    """A label and a line each."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, fact in facts_of(result).items():
        table.add_row(label, Text(fact.translate(letters)))
    return table
