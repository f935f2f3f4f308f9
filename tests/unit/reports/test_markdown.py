"""`report.md`: the terminal's facts, top tables, and nothing that a name could turn into markup."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tests.unit.reports.conftest import LINE

from gridpact.model import RunResult
from gridpact.reports import write_markdown
from gridpact.reports.facts import facts_of
from gridpact.reports.markdown import escaped, report_markdown


def test_same_facts_as_at_the_terminal(full_run: RunResult) -> None:
    text = report_markdown(full_run)
    for name, fact in facts_of(full_run).items():
        assert f"| {name} | {escaped(fact)} |".replace("\N{NO-BREAK SPACE}", " ") in text


def test_tables_are_even(full_run: RunResult) -> None:
    """Every row of a table has as many cells as its heading, whatever the names hold."""
    width = 0
    for line in report_markdown(full_run).splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.replace("\\|", "").count("|")
        width = width or cells
        assert cells == width


def test_names_stay_text(full_run: RunResult) -> None:
    text = report_markdown(full_run)
    assert LINE not in text
    assert full_run.scenario.name not in text
    assert escaped(LINE) == '\\<i\\>\\|"line'
    assert escaped(LINE) in text
    assert "- 4 gaps of \\<profiles\\> were filled" in text


def test_a_name_cannot_start_a_line(full_run: RunResult) -> None:
    scenario = dataclasses.replace(full_run.scenario, name="a\n# b")
    text = report_markdown(dataclasses.replace(full_run, scenario=scenario))
    assert "\n# b" not in text


def test_only_what_there_is(trading_run: RunResult, empty_run: RunResult) -> None:
    for run in (trading_run, empty_run):
        text = report_markdown(run)
        for title in ("Branches", "Curtailed", "Corrections", "Mended", "Homes", "Forecast"):
            assert title not in text
    assert "| ann | 0.0050 |" in report_markdown(trading_run)
    assert "gridpact prove" not in report_markdown(empty_run)


def test_long_tables_show_their_top(trading_run: RunResult) -> None:
    (first, _) = trading_run.bills
    bills = tuple(
        dataclasses.replace(first, participant_id=f"m{number:02}", baseline_nano=number * 10**7)
        for number in range(25)
    )
    text = report_markdown(dataclasses.replace(trading_run, bills=bills))
    shown = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| m")]
    assert shown == ["m00", "m01", "m02", "m03", "m04", "m20", "m21", "m22", "m23", "m24"]
    assert "the first and the last 5 of 25" in text


def test_file_is_written(full_run: RunResult, tmp_path: Path) -> None:
    write_markdown(full_run, tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == report_markdown(full_run)
