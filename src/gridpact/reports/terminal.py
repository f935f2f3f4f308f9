"""The short table at the end of `gridpact run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from gridpact.model import RunResult
from gridpact.reports.amounts import (
    MINUS,
    NO_BREAK,
    count_text,
    counted,
    kwh_text,
    mean_price_text,
    money_digits,
    money_text,
    percent_text,
    seconds_text,
)
from gridpact.reports.commands import checking_commands
from gridpact.reports.timeline import days_text
from gridpact.reports.totals import elapsed_s, range_text, refusals_text, totals_of

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

_DOT = "\N{MIDDLE DOT}"
_ASCII = str.maketrans({MINUS: "-", NO_BREAK: " ", _DOT: "-"})
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
        yield Text(_heading(result).translate(letters), style="bold")
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


def _heading(result: RunResult) -> str:
    scenario = result.scenario
    return f" {_DOT} ".join(
        (
            scenario.name,
            days_text(result),
            counted(len(scenario.members), "member"),
            counted(len(result.slots), "slot"),
            f"{result.engine} engine",
        )
    )


def _gains(result: RunResult, letters: dict[int, str]) -> Table:
    """Sellers and buyers with the market, without it, and the difference."""
    gains, currency = result.gains, result.scenario.currency
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column()
    for _ in range(4):
        table.add_column(justify="right", no_wrap=True)
    heading = (currency, "with the market", "feed-in, retail only", "difference", "")
    table.add_row(*(Text(word, style="dim") for word in heading))
    rows = (
        ("Sellers received", gains.seller_income_nano, gains.seller_baseline_nano),
        ("Buyers paid", gains.buyer_cost_nano, gains.buyer_baseline_nano),
    )
    digits = money_digits(nano for _, *amounts in rows for nano in amounts)
    for name, with_market, without in rows:
        cells = (
            name,
            money_text(with_market, digits),
            money_text(without, digits),
            money_text(with_market - without, digits, signed=True),
            percent_text(with_market - without, without, signed=True),
        )
        shown = [Text(cell.translate(letters)) for cell in cells]
        shown[-1].stylize("bold")
        table.add_row(*shown)
    return table


def _facts(result: RunResult, letters: dict[int, str]) -> RenderableType:
    """Volumes, price, ledger, residuals, time: a label and a line each."""
    totals, timings = totals_of(result), result.timings_s
    currency = result.scenario.currency
    compilation_s = timings.get("compilation", 0.0)
    facts = {
        "Traded": f"{kwh_text(totals.traded_wh)} kWh in {counted(totals.trades, 'trade')}, "
        f"{percent_text(totals.traded_wh, totals.load_wh)} of consumption",
        "Consumption": f"{kwh_text(totals.load_wh)} kWh; PV {kwh_text(totals.pv_wh)} kWh; "
        f"from grid {kwh_text(totals.grid_import_wh)} kWh, "
        f"to grid {kwh_text(totals.grid_export_wh)} kWh",
        "Mean price": f"{mean_price_text(totals.turnover_nano, totals.traded_wh, currency)}; "
        f"feed-in {range_text(totals.feed_in_micro_per_kwh)}, "
        f"retail {range_text(totals.retail_micro_per_kwh)}",
        "Ledger": f"{counted(result.ledger.height, 'block')}, "
        f"{counted(result.ledger.transactions, 'transaction')}; {refusals_text(result)}",
        "State root": result.ledger.state_root,
        "Residuals": f"energy {count_text(result.energy_residual_wh)} Wh, "
        f"money {count_text(result.money_residual_nano)} nano-{currency}",
        "Time": f"{seconds_text(elapsed_s(result) - compilation_s)}, of which clearing "
        f"{seconds_text(timings.get('clearing', 0.0))}; "
        f"and compilation {seconds_text(compilation_s)}",
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, fact in facts.items():
        table.add_row(label, Text(fact.translate(letters)))
    return table
