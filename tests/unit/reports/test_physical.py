"""Grid, homes, forecasts and corrections on the page: what is said, and what is not said.

Method: the full run of conftest.py, whose numbers are chosen, and variants of it with one thing
changed; the bare run has none of these parts.
"""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from tests.unit.reports.conftest import LINE, NAN, START_S, UNSOLVED
from tests.unit.reports.pages import figures_of, parsed, plain, saved, trace, words

from gridpact.model import ForecastErrors, Forecasting, RunResult
from gridpact.model.grid import CurtailmentRule
from gridpact.reports.html import report_page
from gridpact.reports.physics import forecast_sentence, grid_sentence

PHYSICAL = ("grid", "homes", "forecasts", "corrections")


def untroubled(run: RunResult) -> RunResult:
    """The full run without cuts, violations and failed power flows."""
    first = run.slots[0]
    assert first.grid is not None
    grid = dataclasses.replace(first.grid, cuts=(), violations=(), loading_max_percent=18.94)
    state = msgspec.structs.replace(first.state, curtailed_wh=0)
    slots = (
        dataclasses.replace(first, state=state, grid=grid),
        dataclasses.replace(run.slots[1], grid=grid),
    )
    return dataclasses.replace(run, slots=slots)


def test_bare_run_has_none_of_these_parts(trading_run: RunResult) -> None:
    page = parsed(trading_run)
    ids = {element.attributes.get("id") for element in page.all("section")}
    assert ids.isdisjoint(PHYSICAL)
    links = [link.attributes["href"] for link in page.all("a") if "download" not in link.attributes]
    assert links == [f"#{name}" for name in ("prices", "order-book", "energy")] + [
        f"#{name}" for name in ("bills", "ledger", "method")
    ]
    assert not page.all("p", **{"class": "lead grid"})


def test_every_part_is_linked_and_there(full_run: RunResult) -> None:
    page = parsed(full_run)
    parts = [section.attributes["id"] for section in page.all("section")]
    links = [link.attributes["href"] for link in page.all("a") if "download" not in link.attributes]
    assert [f"#{part}" for part in parts] == links
    assert set(PHYSICAL) < set(parts)


def test_nothing_from_a_file_becomes_markup(full_run: RunResult) -> None:
    text = report_page(full_run)
    for hostile in (LINE, "<meters>", "<profiles>", "car & co"):
        assert hostile not in text
    page = parsed(full_run)
    assert LINE in words(page, "grid")
    assert "car & co" in words(page, "homes")
    assert "4 gaps of <profiles> were filled" in words(page, "method")


def test_first_screen_says_what_the_grid_did(full_run: RunResult) -> None:
    (sentence,) = parsed(full_run).all("p", **{"class": "lead grid"})
    assert plain(sentence.text) == (
        f"The grid could not carry 1 trade in full: 0.120 kWh were curtailed, most at {LINE}. "
        "In 1 slot the power flow found no solution. "
        "In 1 slot a limit was broken that curtailing trades could not mend."
    )


def test_grid_that_carried_everything(full_run: RunResult) -> None:
    assert plain(grid_sentence(untroubled(full_run))) == (
        f"The lines carried every trade; the highest loading was 18.9 %, at {LINE}."
    )


def test_grid_without_ratings_says_so(full_run: RunResult) -> None:
    quiet = untroubled(full_run)
    slots = tuple(
        dataclasses.replace(each, grid=dataclasses.replace(each.grid, loading_max_percent=None))
        for each in quiet.slots
        if each.grid is not None
    )
    unrated = dataclasses.replace(quiet, slots=slots)
    assert "no rating of a line is known" in grid_sentence(unrated)
    assert trace(figures_of(parsed(unrated))["loading"], "Highest loading")["y"] == [None] * 4


def test_untraded_grid_claims_nothing_about_trades(full_run: RunResult) -> None:
    quiet = untroubled(full_run)
    idle = dataclasses.replace(quiet, slots=quiet.slots[1:])
    assert plain(grid_sentence(idle)) == f"The highest loading was 18.9 %, at {LINE}."


def test_no_power_flow_at_all(full_run: RunResult) -> None:
    slots = tuple(dataclasses.replace(each, grid=UNSOLVED) for each in full_run.slots)
    dark = dataclasses.replace(full_run, slots=slots)
    page = parsed(dark)
    assert "found no solution in any slot" in words(page, "grid")
    assert "solved in 0 of 2 slots" in words(page, "grid")
    assert {"voltage", "loading"}.isdisjoint(figures_of(page))


def test_voltages_and_loadings_are_drawn_with_their_limits(full_run: RunResult) -> None:
    figures = figures_of(parsed(full_run))
    assert trace(figures["voltage"], "Lowest voltage")["y"] == [0.9876, 0.9876, None, None]
    assert trace(figures["voltage"], "Highest voltage")["y"] == [1.0123, 1.0123, None, None]
    assert [shape["y0"] for shape in figures["voltage"]["layout"]["shapes"]] == [0.9, 1.1]
    low, high = figures["voltage"]["layout"]["yaxis"]["range"]
    assert low < 0.9
    assert high > 1.1
    assert trace(figures["loading"], "Highest loading")["y"] == [104.25, 104.25, None, None]
    assert trace(figures["loading"], "Curtailed")["y"] == [0.12, 0]
    assert figures["loading"]["layout"]["yaxis"]["range"][1] > 104.25


def test_a_loading_without_cuts_has_one_panel(full_run: RunResult) -> None:
    figure = figures_of(parsed(untroubled(full_run)))["loading"]
    assert [each["name"] for each in figure["data"]] == ["Highest loading"]
    assert "yaxis2" not in figure["layout"]


def test_grid_part_names_places_trades_and_what_was_left_out(full_run: RunResult) -> None:
    page = parsed(full_run)
    text = words(page, "grid")
    cells = [cell.text for cell in page.all("td")]
    branches = cells.index(LINE)
    assert plain(cells[branches + 1]) == "104.2 %"
    assert cells[branches + 2] == "cable"
    assert cells.index("bus-9") < cells.index("bus-1")
    assert "unrated" not in cells
    assert "dead" not in cells
    assert cells[(row := cells.index("2016-06-09 00:00")) : row + 6] == [
        "2016-06-09 00:00",
        "ann",
        "ben",
        "0.500",
        "0.120",
        LINE,
    ]
    assert f"{LINE} carries 104.2 %, above 100.0 %" in text
    assert "no solution: the grid cannot carry the load near bus-9" in text
    assert "each by the same share" in text
    assert "3 <meters> of the file" in text
    assert "island of bus dead" in text
    assert "solved in 1 of 2 slots" in text
    assert "Losses0.012 kWh" in text
    assert "From outside0.400 kWh, net" in text


def test_rule_of_curtailment_is_the_scenarios(full_run: RunResult) -> None:
    network = full_run.scenario.network
    assert network is not None
    last = dataclasses.replace(network, rule=CurtailmentRule.LAST_IN_FIRST_OUT)
    run = dataclasses.replace(
        full_run, scenario=dataclasses.replace(full_run.scenario, network=last)
    )
    assert "the one made last gives way first" in words(parsed(run), "grid")


def test_each_table_and_figure_can_be_saved(full_run: RunResult) -> None:
    page = parsed(full_run)
    files = saved(page, full_run.scenario.name)
    assert set(files) == {
        *("-prices.csv", "-order-book.csv", "-energy.csv", "-bills.csv"),
        *("-voltage.csv", "-loading.csv", "-cuts.csv", "-violations.csv"),
        *("-storage.csv", "-homes.csv", "-credit-notes.csv"),
    }
    assert files["-voltage.csv"].splitlines() == [
        "start_utc,start_local,vm_min_pu,vm_min_bus,vm_max_pu,vm_max_bus",
        "2016-06-08T22:00:00Z,2016-06-09T00:00:00+02:00,0.9876,bus-9,1.0123,bus-1",
        "2016-06-08T22:15:00Z,2016-06-09T00:15:00+02:00,,,,",
    ]
    assert f"local.{START_S}.0,ann,ben,500,120," in files["-cuts.csv"]
    for name in ("voltage", "loading", "storage"):
        for kind in ("png", "svg"):
            assert page.all("button", **{"data-save": kind, "data-plot": name})


def test_homes_show_what_is_used_and_name_what_was_short(full_run: RunResult) -> None:
    page = parsed(full_run)
    text = words(page, "homes")
    assert "2 members can store energy" in text
    headings = [heading.text for heading in page.all("th")]
    assert "Into batterykWh" in headings
    assert "Loads that bendkWh" not in headings
    cells = [cell.text for cell in page.all("td")]
    row = cells.index("optimised")
    assert cells[row - 1 : row + 9] == [
        *("ann", "optimised", "0", "5.00", "4.50", "0.41", "1.20", "7.00", "0.03", "2")
    ]
    due = cells.index("car & co")
    assert cells[due - 1 : due + 3] == ["ben", "car & co", "2016-06-09 00:15", "0.250"]
    assert trace(figures_of(page)["storage"], "Into batteries")["y"] == [0.3, 0]
    assert trace(figures_of(page)["storage"], "Out of batteries")["y"] == [0, -0.1]


def test_homes_without_shortfalls_say_so(full_run: RunResult) -> None:
    idle = tuple(dataclasses.replace(each, stored_wh=0) for each in full_run.slots)
    run = dataclasses.replace(full_run, homes=full_run.homes[:1], slots=idle)
    page = parsed(run)
    assert "Nothing that was due was missing." in words(page, "homes")
    assert "storage" not in figures_of(page)


@pytest.mark.parametrize(
    ("skill", "ending"),
    [
        (0.125, "by 84 Wh, 12.5 % less than by taking the same slot of an earlier day."),
        (-0.2, "by 84 Wh, 20.0 % more than by taking the same slot of an earlier day."),
        (0.0, "as much as by taking the same slot of an earlier day, which is how it was made."),
        (NAN, "by taking the same slot of an earlier day there would have been no miss."),
    ],
)
def test_forecast_in_one_line(full_run: RunResult, skill: float, ending: str) -> None:
    errors = dataclasses.replace(full_run.forecast, skill=skill)
    text = plain(forecast_sentence(dataclasses.replace(full_run, forecast=errors)))
    assert text.startswith("On average a member's forecast missed the energy of a slot ")
    assert text.endswith(ending)


def test_learned_forecast_is_not_called_naive(full_run: RunResult) -> None:
    scenario = dataclasses.replace(full_run.scenario, forecasting=Forecasting.LEARNED)
    errors = dataclasses.replace(full_run.forecast, skill=0.0)
    run = dataclasses.replace(full_run, scenario=scenario, forecast=errors)
    assert "how it was made" not in forecast_sentence(run)
    assert "boosted trees" in words(parsed(run), "forecasts")


def test_forecast_numbers(full_run: RunResult) -> None:
    text = words(parsed(full_run), "forecasts")
    for fact in ("84.0 Wh", "96.0 Wh", "+12.5 %", "120.5 Wh", "\N{MINUS SIGN}3.2 Wh", "75.0 %"):
        assert fact in text


def test_nothing_compared_is_no_part(full_run: RunResult) -> None:
    none = ForecastErrors(0, NAN, NAN, NAN, NAN, NAN, {}, {})
    run = dataclasses.replace(full_run, forecast=none)
    assert forecast_sentence(run) == ""
    assert not parsed(run).all("section", id="forecasts")


def test_corrections_lead_from_the_old_total_to_the_new(full_run: RunResult) -> None:
    page = parsed(full_run)
    cells = [cell.text for cell in page.all("td")]
    minus = "\N{MINUS SIGN}"
    row = cells.index("2016-06-09") + 3
    assert cells[row - 4 : row + 1] == [
        *("ben", "2016-06-09", f"{minus}0.1950", "+0.0150", f"{minus}0.1800")
    ]
    text = words(page, "corrections")
    assert "1 bill of 1 member was corrected after it was issued" in text
    assert "from the grid, taken back" in text
    assert "from the grid, corrected" in text
    assert "ben.meter/v2" in text


def test_bills_show_lost_deposits_only_where_one_was_lost(
    full_run: RunResult, trading_run: RunResult
) -> None:
    def headings(run: RunResult) -> list[str]:
        return [heading.text for heading in parsed(run).all("button", type="button")]

    assert "Lost deposits" in headings(full_run)
    assert "Lost deposits" not in headings(trading_run)
    notes = words(parsed(full_run), "bills")
    assert "The 0.120 kWh that the grid could not carry" in notes
    assert "Corrections are included" in notes
    assert "could not carry" not in words(parsed(trading_run), "bills")


def test_spilled_sun_and_storage_are_said(full_run: RunResult, trading_run: RunResult) -> None:
    text = words(parsed(full_run), "energy")
    assert "Batteries took in 0.200 kWh more than they gave back." in text
    assert "0.040 kWh of sun were not fed in" in text
    assert "Batteries" not in words(parsed(trading_run), "energy")


def test_bills_table_includes_corrections(full_run: RunResult, trading_run: RunResult) -> None:
    """The baseline is that of the last readings, so only the corrected bill compares with it."""
    assert "+0.0100" in [cell.text for cell in parsed(full_run).all("td", **{"class": "better"})]

    def row(run: RunResult) -> list[int]:
        cells = [cell for cell in parsed(run).all("td") if "data-value" in cell.attributes]
        start = [cell.text for cell in cells].index("ben")
        return [int(cell.attributes["data-value"]) for cell in cells[start + 1 :][:8]]

    *energies, fees, lost, total, baseline = row(full_run)
    assert energies == [500, 0, 250, 0]
    assert (fees, lost) == (-10_000_000, -1_000_000)
    assert (total, baseline) == (-180_000_000, -190_000_001)
    assert row(trading_run)[2] == 300
