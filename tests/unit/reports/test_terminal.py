"""The terminal table: its numbers, and that it survives narrow and simple terminals."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console
from tests.unit.reports.conftest import LINE

from gridpact.cli.output import trading_display
from gridpact.model import RunResult
from gridpact.reports import run_table, slot_line


def printed(result: RunResult, width: int, encoding: str = "utf-8") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=out, width=width, color_system=None, legacy_windows=False)
    console.print(run_table(result, Path("out/report.html")))
    out.flush()
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 100, 200])
def test_fits_and_keeps_hashes_whole(trading_run: RunResult, width: int) -> None:
    text = printed(trading_run, width)
    assert max(map(len, text.splitlines())) <= width
    assert f"--root {trading_run.ledger.record_hash}" in text
    assert trading_run.ledger.state_root in text


def test_says_what_the_market_brought(trading_run: RunResult) -> None:
    text = printed(trading_run, 100)
    assert "Sellers received" in text
    assert "+90.0 %" in text
    assert "\N{MINUS SIGN}25.0 %" in text
    assert "0.5 kWh in 1 trade, 25.0 % of consumption" in text
    assert "0.1900 EUR/kWh; feed-in 0.10, retail 0.30" in text
    assert "12 blocks, 1,234 transactions; 1,232 accepted, 2 refused (expired 2)" in text
    assert "energy 0 Wh, money 0 nano-EUR" in text
    assert "4.0 s, of which clearing 250 ms; and compilation 2.0 s" in text


def test_commands_can_be_typed(trading_run: RunResult) -> None:
    text = printed(trading_run, 200)
    root = trading_run.ledger.record_hash
    assert f"gridpact audit 'out/a b/ledger' --root {root}\n" in text
    assert "gridpact prove 'out/a b/ledger' --bill ann -o ann.proof\n" in text
    assert f"gridpact verify ann.proof --root {root}\n" in text
    assert "out/report.html" in text


def test_broken_commands_continue(trading_run: RunResult) -> None:
    root = trading_run.ledger.record_hash
    assert f"gridpact verify ann.proof \\\n  --root {root}\n" in printed(trading_run, 80)


def test_plain_terminal_gets_plain_characters(trading_run: RunResult) -> None:
    text = printed(trading_run, 80, "ascii")
    assert "-25.0 %" in text
    assert "?" not in text


def test_name_is_not_markup(trading_run: RunResult) -> None:
    assert trading_run.scenario.name in printed(trading_run, 80)


def test_empty_run_has_no_percentages(empty_run: RunResult) -> None:
    text = printed(empty_run, 80)
    assert text.count("n/a") == 3
    assert "gridpact audit" in text
    assert "gridpact prove" not in text


def test_grid_curtailment_and_corrections_have_their_lines(full_run: RunResult) -> None:
    full_run.timings_s["grid"] = 0.75
    text = printed(full_run, 200)
    for fact in (
        "0.988 to 1.012 pu, loading up to 104.2 %, losses 0.012 kWh; solved in 1 slot",
        f"0.120 kWh of 1 trade, most at {LINE}; 2 limits broken all the same",
        "2 members with batteries, loads or vehicles; batteries took 10.0 kWh, gave 9.0 kWh",
        "1 shortfall",
        "84.0 Wh off in a mean slot, 96.0 Wh naive; skill +12.5 %",
        "1 bill of 1 member was corrected after it was issued, by +0.0150 EUR together",
        "power flow 750 ms",
    ):
        assert fact in text


def test_a_run_without_them_has_no_such_lines(trading_run: RunResult) -> None:
    text = printed(trading_run, 100)
    for label in ("Grid", "Curtailed", "Homes", "Forecast", "Corrections", "power flow"):
        assert label not in text


def test_slot_line_has_time_price_and_energies(full_run: RunResult) -> None:
    first, second = full_run.slots
    assert slot_line(first, "Europe/Berlin", "EUR") == (
        "2016-06-09 00:00  0.1900 EUR/kWh  0.50 kWh traded  0.12 kWh curtailed"
    )
    assert slot_line(dataclasses.replace(second, grid=None), "+00:00", "EUR") == (
        "2016-06-08 22:15  0.00 kWh traded"
    )


def test_display_follows_the_slots_on_a_terminal(full_run: RunResult) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with trading_display(full_run.scenario, quiet=False, console=console) as show:
        show(1, 2, full_run.slots[0])
    assert "1/2" in out.getvalue()
    assert "0.50 kWh traded  0.12 kWh curtailed" in out.getvalue()


@pytest.mark.parametrize("quiet", [True, False])
def test_display_is_silent_without_a_terminal(
    full_run: RunResult, quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with trading_display(full_run.scenario, quiet=quiet) as show:
        show(1, 2, full_run.slots[0])
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
