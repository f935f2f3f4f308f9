"""Plots and page of a day of microgrids: their numbers are those of the slots.

Method: two slots of two microgrids, written by hand; pages are parsed as a browser reads them.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.unit.reports.pages import Page, figures_of, plain, saved, trace, words

from gridpact.model import Agreement, Flow, MicrogridBid, MicrogridTerms, SlotState, SlotTariff
from gridpact.model.market import Phase
from gridpact.model.microgrid_day import MicrogridDay, MicrogridSlot
from gridpact.model.microgrids import Storage, Turbine
from gridpact.reports import write_microgrid_report
from gridpact.reports.microgrid_figures import (
    DRAWN_MAX,
    cost_figure,
    drawn,
    penalty_figure,
    position_figure,
    storage_figure,
)
from gridpact.reports.microgrid_report import report_page

MINUS = "\N{MINUS SIGN}"
START_S = 1_717_200_000
TARIFF = SlotTariff(300_000, 80_000, 5_000, "region", "day")
BID = MicrogridBid(
    load_wh=[5000, 6000],
    green_demand_wh=[0, 0],
    renewable_wh=[9000, 0],
    shortage_micro_per_kwh=0,
    turbine=Turbine(0, 0, 0),
    storage=Storage(0, 900, 900, 0, 0, 0, 0),
)
DAY = MicrogridDay(
    name="two <farms>",
    currency="EUR",
    ids=("east", "west"),
    terms=MicrogridTerms([300_000] * 2, [80_000] * 2, 5_000, 0),
    truth=(BID, BID),
    start_s=START_S,
    slot_length_s=3600,
)


def state(traded_wh: int) -> SlotState:
    return SlotState(
        phase=Phase.FINAL,
        opened_phase=1,
        tariff=TARIFF,
        orders=2,
        trades=1,
        traded_wh=traded_wh,
        curtailed_wh=0,
        second_stage_wh=0,
        turnover_nano=0,
        reference_price_micro_per_kwh=-1,
        grid_import_wh=0,
        grid_export_wh=0,
        archive=b"",
    )


def agreement(transfer_nano: int, sold_wh: int, bought_wh: int) -> Agreement:
    sales = [Flow("west", sold_wh, 300_000)] if sold_wh else []
    purchases = [Flow("east", bought_wh, 300_000)] if bought_wh else []
    return Agreement(transfer_nano, 0, 0, 0, 0, sales, purchases, 0)


TRADED = MicrogridSlot(
    start_s=START_S,
    state=state(4000),
    refused="",
    agreements=(agreement(700_000_000, 4000, 0), agreement(-700_000_000, 0, 4000)),
    window_surplus_nano=900_000_000,
    first_surplus_nano=400_000_000,
    content_uwh=(2 * 10**9, 3 * 10**9),
    sent_wh=(3000, 0),
    received_wh=(0, 3000),
    missing_wh=(1000, 0),
    penalty_nano=(300_000_000, 0),
    cost_nano=(-400_000_000, 900_000_000),
    alone_cost_nano=(-200_000_000, 1_100_000_000),
)
IDLE = MicrogridSlot(
    start_s=START_S + 3600,
    state=state(0),
    refused="ALONE_GAP_TOO_WIDE",
    agreements=(),
    window_surplus_nano=0,
    first_surplus_nano=0,
    content_uwh=(10**9, 10**9),
    sent_wh=(0, 0),
    received_wh=(0, 0),
    missing_wh=(0, 0),
    penalty_nano=(0, 0),
    cost_nano=(1_000_000_000, 2_000_000_000),
    alone_cost_nano=(1_000_000_000, 2_000_000_000),
)
SLOTS = (TRADED, IDLE)


def page_of(day: MicrogridDay = DAY, slots: tuple[MicrogridSlot, ...] = SLOTS) -> Page:
    page = Page()
    page.feed(report_page(day, slots, {"Blocks": "17", "Audit": "<sound>"}))
    page.close()
    assert page.open == []
    return page


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_positions_are_sold_less_bought() -> None:
    figure = position_figure(DAY, SLOTS)
    assert [each["name"] for each in figure.data] == ["east", "west"]
    # One more step beyond each end keeps the first and the last from being halves.
    assert figure.data[0]["y"] == [4.0, 4.0, 0.0, 0.0]
    assert figure.data[1]["y"] == [-4.0, -4.0, 0.0, 0.0]
    assert figure.data[0]["x"][1:3] == ["2024-06-01 00:00:00", "2024-06-01 01:00:00"]
    assert [row["sold_wh"] for row in rows(figure.csv)] == ["4000", "-4000", "0", "0"]


def test_storages_are_stacked_in_kwh_at_their_output() -> None:
    figure = storage_figure(DAY, SLOTS)
    assert [each["y"][1:3] for each in figure.data] == [[2.0, 1.0], [3.0, 1.0]]
    assert {each["stackgroup"] for each in figure.data} == {"all"}
    assert rows(figure.csv)[0] == {
        "slot_start": "2024-06-01T00:00:00Z",
        "microgrid": "east",
        "content_uwh": "2000000000",
    }


def test_costs_are_those_of_two_days() -> None:
    before, after = cost_figure(DAY, SLOTS).data
    assert before["y"][1:3] == [pytest.approx(0.9), 3.0]
    assert after["y"][1:3] == [0.5, 3.0]


def test_penalties_stack_by_slot() -> None:
    figure = penalty_figure(DAY, SLOTS)
    assert figure.layout["barmode"] == "stack"
    assert [each["y"] for each in figure.data] == [[0.3, 0.0], [0.0, 0.0]]


def test_plots_of_many_show_those_that_trade_the_most() -> None:
    count = DRAWN_MAX + 2
    day = replace(DAY, ids=tuple(f"m{i}" for i in range(count)), truth=(BID,) * count)
    traded = [5, 0, 9, 1, 7, 3, 8, 2]
    slot = replace(
        IDLE,
        sent_wh=tuple(traded),
        received_wh=(0,) * count,
        content_uwh=(0,) * count,
        cost_nano=(0,) * count,
        alone_cost_nano=(0,) * count,
        penalty_nano=(1,) * count,
        missing_wh=(0,) * count,
    )
    assert drawn(day, [slot]) == [0, 2, 4, 5, 6, 7]
    figure = storage_figure(day, [slot])
    assert len(figure.data) == DRAWN_MAX
    assert len(rows(figure.csv)) == count
    assert "6 of 8 are shown" in words(page_of(day, (slot,)), "storage")
    assert "are shown" not in words(page_of(day, (slot,)), "costs")


def test_page_has_the_sums_of_the_day() -> None:
    text = words(page_of(), "microgrids")
    east = "east3.00.01.00.30+0.700.60"
    west = f"west0.03.00.00.00{MINUS}0.702.90"
    assert east in text
    assert west in text


def test_page_begins_with_what_was_traded_and_saved() -> None:
    (title,) = page_of().all("h1")
    assert plain(title.text) == "Microgrids sold each other 4.0 kWh, which saved 0.40 EUR."
    (later,) = page_of(slots=(IDLE, TRADED)).all("h1")
    assert later.text == title.text
    (quiet,) = page_of(slots=(IDLE,)).all("h1")
    assert plain(quiet.text) == "Microgrids sold each other nothing."


def test_page_says_what_was_not_delivered_and_what_was_not_cleared() -> None:
    page = page_of()
    assert "1.0 kWh were sold and did not come" in words(page, "penalties")
    assert "01:00: ALONE_GAP_TOO_WIDE" in words(page, "method")
    facts = plain(page.all("dl", **{"class": "facts"})[0].text)
    assert "Cost of all together3.50 EUR0.40 EUR less than without trade" in facts
    assert "Delivered75.0 %3.0 of 4.0 kWh sold" in facts
    assert "Slots cleared1 of 2" in facts
    whole = replace(TRADED, sent_wh=(4000, 0), missing_wh=(0, 0), penalty_nano=(0, 0))
    complete = page_of(slots=(whole,))
    assert "Everything that was sold was delivered." in words(complete, "penalties")
    assert "penalties" not in figures_of(complete)
    assert "without a clearing" not in words(complete, "method")


def test_slots_with_a_loss_to_share_are_counted() -> None:
    lost = replace(TRADED, first_surplus_nano=-100_000_000)
    assert "1 slot with a loss to share" in plain(page_of(slots=(lost, IDLE)).elements[0].text)


def test_page_has_what_the_ledger_says_and_escapes_it() -> None:
    text = report_page(DAY, SLOTS, {"Audit": "<sound>"})
    assert "<sound>" not in text
    assert "two <farms>" not in text
    page = page_of()
    assert "Blocks17" in words(page, "ledger")
    assert "<sound>" in words(page, "ledger")


def test_page_loads_nothing_and_draws_what_it_has_places_for() -> None:
    page = page_of()
    for element in page.elements:
        assert "src" not in element.attributes
        assert element.name not in {"link", "img", "iframe"}
    figures = figures_of(page)
    assert set(figures) == {"positions", "costs", "penalties", "storage"}
    for name in figures:
        assert page.all("div", id=f"plot-{name}")
    assert trace(figures["costs"], "With trade")["y"][1] == 0.5
    files = saved(page, DAY.name)
    assert rows(files["-penalties.csv"])[0]["penalty_nano"] == "300000000"


def test_page_is_written_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_microgrid_report(DAY, SLOTS, {}, path)
    assert path.read_text() == report_page(DAY, SLOTS, {})


def test_page_is_a_function_of_the_day_alone() -> None:
    again = msgspec.structs.replace(BID)
    assert report_page(DAY, SLOTS, {}) == report_page(replace(DAY, truth=(again, again)), SLOTS, {})
