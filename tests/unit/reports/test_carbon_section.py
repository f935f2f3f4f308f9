"""The carbon part of the page, of the terminal and of the tables."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from tests.unit.pipeline.small_day import IMPORT, run, traced

from gridpact.model import RunResult
from gridpact.reports import carbon_over_time, frame_of, table
from gridpact.reports.carbon_over_time import member_figure, mix_figure, store_figure, use_of
from gridpact.reports.carbon_section import carbon_section
from gridpact.reports.carbon_totals import carbon_totals, intensity_text, mass_text
from gridpact.reports.facts import facts_of
from gridpact.reports.html import report_page
from gridpact.reports.plots import Figure
from gridpact.reports.timeline import timeline_of


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """A small day with carbon, batteries and a network."""
    folder = tmp_path_factory.mktemp("traced")
    return run(traced(folder), folder).result


def part(result: RunResult) -> str:
    section = carbon_section(result, timeline_of(result))
    assert section is not None
    return str(section.html)


def mix_of(result: RunResult) -> Figure:
    timeline = timeline_of(result)
    return mix_figure(result, timeline, use_of(result, timeline))


def test_both_ways_of_counting_stand_apart(result: RunResult) -> None:
    totals = carbon_totals(result)
    assert totals is not None
    page = part(result)
    assert "By power flow" in page
    assert "By contract" in page
    assert mass_text(totals.load_ug) in page
    assert mass_text(totals.contractual_supplied_ug) in page
    both = totals.load_ug + totals.contractual_bought_ug + totals.contractual_supplied_ug
    assert mass_text(both) not in page
    assert "In and out differ by 0 \N{MICRO SIGN}g." in page


def test_members_come_by_what_they_caused(result: RunResult) -> None:
    page = part(result)
    assert result.carbon is not None
    rows = sorted(result.carbon.statements, key=lambda each: -each.statement.load_ug)
    places = [page.index(f">{each.participant_id}<") for each in rows]
    assert places == sorted(places)


def test_the_page_links_the_part_and_draws_it(result: RunResult) -> None:
    page = report_page(result)
    assert 'href="#carbon"' in page
    for name in ("mix", "intensity", "storage", "map", "flows"):
        assert f'id="plot-carbon-{name}"' in page


def test_the_terminal_has_one_line_of_it(result: RunResult) -> None:
    facts = facts_of(result)
    assert facts["Carbon"].startswith("by power flow ")
    assert "; by contract " in facts["Carbon"]
    assert facts["Residuals"].endswith(", carbon 0 \N{MICRO SIGN}g")


def test_without_carbon_nothing_is_said(result: RunResult) -> None:
    bare = replace(result, carbon=None)
    assert carbon_section(bare, timeline_of(bare)) is None
    assert "Carbon" not in facts_of(bare)
    assert "carbon" not in facts_of(bare)["Residuals"]
    for name in ("carbon_slots", "carbon_statements", "carbon_lines", "carbon_mix"):
        assert len(frame_of(bare, table(name))) == 0


def test_without_any_flow_the_part_says_so(result: RunResult) -> None:
    assert result.carbon is not None
    none = replace(result.carbon, slots=(None,) * len(result.slots), statements=())
    assert "No power flowed in any slot" in part(replace(result, carbon=none))


def test_bars_sum_to_what_was_used(result: RunResult) -> None:
    assert result.carbon is not None
    figure = mix_of(result)
    bars = [trace["y"] for trace in figure.data if trace["type"] == "bar"]
    slots = [slot for slot in result.carbon.slots if slot is not None]
    assert np.sum(bars, axis=0) == pytest.approx([slot.load_wh / 1000 for slot in slots], abs=1e-6)
    (used,) = (trace for trace in figure.data if trace["name"] == "Used")
    expected = [slot.load_ug / slot.load_wh / 1000 for slot in slots]
    assert used["y"][1:-1] == pytest.approx(expected, abs=1e-3)
    (outside,) = (trace for trace in figure.data if trace["name"] == "From outside")
    assert {value for value in outside["y"] if value is not None} == {IMPORT / 1000}


def test_a_reader_can_choose_a_member(result: RunResult, monkeypatch: pytest.MonkeyPatch) -> None:
    assert result.carbon is not None
    (menu,) = mix_of(result).layout["updatemenus"]
    everybody, *members = menu["buttons"]
    assert everybody["label"] == "All members"
    assert [each["label"] for each in members] == [
        member.participant_id for member in result.scenario.members
    ]
    figure = mix_of(result)
    (all_values, places) = everybody["args"]
    assert [figure.data[place]["y"] for place in places] == all_values["y"]
    statements = {each.participant_id: each for each in result.carbon.statements}
    for button in members:
        (values, _) = button["args"]
        intensity, *origins = values["y"]
        lines = statements[button["label"]].lines
        used = [line.physical.load_wh / 1000 for line in lines]
        assert np.sum(origins, axis=0) == pytest.approx(used, abs=1e-5)
        for shown, line in zip(intensity[1:-1], lines, strict=True):
            part = line.physical
            expected = part.load_ug / part.load_wh / 1000 if part.load_wh else None
            assert shown == (None if expected is None else pytest.approx(expected, abs=1e-3))
    monkeypatch.setattr(carbon_over_time, "CHOICE_VALUES_MAX", 10)
    assert "updatemenus" not in mix_of(result).layout


def test_intensities_are_those_of_the_statements(result: RunResult) -> None:
    assert result.carbon is not None
    timeline = timeline_of(result)
    rows = list(
        csv.DictReader(io.StringIO(member_figure(result, timeline, use_of(result, timeline)).csv))
    )
    shown = {(row["name"], row["start"]): row["g_per_kwh"] for row in rows}
    starts = [span.at for span in timeline_of(result).spans]
    for each in result.carbon.statements:
        for start, line in zip(starts, each.lines, strict=True):
            used = line.physical
            value = shown[each.participant_id, start]
            if used.load_wh:
                assert float(value) == pytest.approx(used.load_ug / used.load_wh / 1000)
            else:
                assert value == ""


def test_storages_hold_what_they_took_less_what_they_gave(result: RunResult) -> None:
    assert result.carbon is not None
    figure = store_figure(result, timeline_of(result))
    assert figure is not None
    (held,) = (trace for trace in figure.data if trace["name"] == "Held by storages")
    assert held["y"][-1] == pytest.approx(sum(result.carbon.held_ug.values()) / 1e9)
    slots = [
        slot and msgspec.structs.replace(slot, charged_ug=0, discharged_ug=0)
        for slot in result.carbon.slots
    ]
    dry = replace(result, carbon=replace(result.carbon, slots=tuple(slots)))
    assert store_figure(dry, timeline_of(dry)) is None


def test_a_long_run_is_drawn_by_days(monkeypatch: pytest.MonkeyPatch, result: RunResult) -> None:
    from gridpact.reports import timeline

    monkeypatch.setattr(timeline, "SLOTS_DRAWN_MAX", 12)
    by_day = timeline_of(result)
    assert by_day.by_day
    figure = mix_figure(result, by_day, use_of(result, by_day))
    totals = carbon_totals(result)
    assert totals is not None
    (used,) = (trace for trace in figure.data if trace["name"] == "Used")
    assert used["y"][1] == pytest.approx(totals.load_ug / totals.load_wh / 1000, abs=1e-3)


@pytest.mark.parametrize(
    ("carbon_ug", "energy_wh", "mass", "intensity"),
    [
        (0, 0, "0.00\N{NO-BREAK SPACE}g", "-"),
        (5_400_000, 10, "5.40\N{NO-BREAK SPACE}g", "540 g/kWh"),
        (1_499_999_999, 3_000, "1.50\N{NO-BREAK SPACE}kg", "500 g/kWh"),
    ],
)
def test_amounts_are_readable(carbon_ug: int, energy_wh: int, mass: str, intensity: str) -> None:
    assert mass_text(carbon_ug) == mass
    assert intensity_text(carbon_ug, energy_wh) == intensity
