"""The page: it loads nothing, escapes everything, and its numbers are those of the run.

Method: pages of small runs are parsed with the standard library's parser, as a browser would
read them, and compared with numbers worked out by hand.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import hashlib
import re
from pathlib import Path

import msgspec
import pytest
from tests.unit.reports.pages import figures_of, parsed, plain, saved, trace

from gridpact.model import RunResult
from gridpact.reports import write_report
from gridpact.reports.columns import BILLS
from gridpact.reports.html import report_page
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import SLOTS_DRAWN_MAX, timeline_of

MINUS = "\N{MINUS SIGN}"


def test_page_loads_nothing(trading_run: RunResult) -> None:
    page = parsed(trading_run)
    for element in page.elements:
        assert element.name not in {"link", "iframe", "object", "embed", "img", "base"}
        for name, value in element.attributes.items():
            assert name != "src"
            assert not name.startswith("on")
            if name == "href":
                assert value.startswith(("#", "data:text/csv"))
    (style,) = page.all("style")
    assert "url(" not in style.text
    assert "@import" not in style.text


def test_policy_names_exactly_the_scripts_of_the_page(trading_run: RunResult) -> None:
    page = parsed(trading_run)
    (policy,) = (meta for meta in page.all("meta") if "http-equiv" in meta.attributes)
    allowed = re.findall(r"'sha256-([^']+)'", policy.attributes["content"])
    scripts = [script for script in page.all("script") if "type" not in script.attributes]
    hashes = [hashlib.sha256(script.text.encode()).digest() for script in scripts]
    assert [base64.b64encode(digest).decode() for digest in hashes] == allowed
    assert policy.attributes["content"].startswith("default-src 'none';")


def test_name_is_escaped_everywhere(trading_run: RunResult) -> None:
    name = trading_run.scenario.name
    assert name not in report_page(trading_run)
    page = parsed(trading_run)
    assert page.all("title")[0].text.startswith(name)
    assert f"{name}-bills.csv" in {link.attributes.get("download") for link in page.all("a")}
    assert any(name in each.text for each in page.all("div", **{"class": "masthead"}))


def test_headline_has_the_three_numbers(trading_run: RunResult) -> None:
    (headline,) = parsed(trading_run).all("h1")
    assert plain(headline.text) == (
        "Sellers earned 90.0 % more, buyers paid 25.0 % less, "
        "and 0.5 kWh were traded locally: 25.0 % of consumption."
    )


def test_bills_add_up_to_the_totals_row(trading_run: RunResult) -> None:
    cells = [cell for cell in parsed(trading_run).all("td") if "data-value" in cell.attributes]
    width = 9
    rows = [cells[start : start + width] for start in range(0, len(cells), width)]
    assert [row[0].text for row in rows] == ["ann", "ben", "All members"]
    for column in range(1, width):
        ann, ben, both = (int(row[column].attributes["data-value"]) for row in rows)
        assert ann + ben == both
    assert rows[2][0].parents[-2:] == ("tfoot", "tr")
    assert [cell.text for cell in rows[1]] == [
        "ben",
        *("0.50", "0.00", "0.30", "0.00"),
        *(f"{MINUS}0.0100", f"{MINUS}0.1950", f"{MINUS}0.1900", f"{MINUS}0.0050"),
    ]
    assert rows[0][8].text == "+0.0150"
    assert rows[1][8].attributes["title"] == f"{MINUS}0.004999999"


def test_difference_says_its_sign_without_colour(trading_run: RunResult) -> None:
    page = parsed(trading_run)
    assert all(cell.text[0] == "+" for cell in page.all("td", **{"class": "better"}))
    assert all(cell.text[0] == MINUS for cell in page.all("td", **{"class": "worse"}))


def test_plots_show_the_run(trading_run: RunResult) -> None:
    figures = figures_of(parsed(trading_run))
    assert list(figures) == ["prices", "order-book", "energy"]
    prices = figures["prices"]
    # Lines go one step beyond both ends of the axis.
    assert trace(prices, "Mean trade price")["y"] == [0.19, 0.19, None, None]
    assert trace(prices, "Retail tariff")["y"] == [0.3] * 4
    assert trace(prices, "Traded energy")["y"] == [0.5, 0]
    assert trace(prices, "Traded energy")["x"] == ["2016-06-09 00:00:00", "2016-06-09 00:15:00"]
    assert trace(figures["energy"], "From the grid")["y"] == [0.4, 1]
    book = figures["order-book"]
    assert trace(book, "Bids, highest first")["x"] == [0, 1]
    assert trace(book, "Offers, lowest first")["y"] == [0.1, 0.1]
    assert trace(book, "Clearing point")["x"] == [0.5]
    assert trace(book, "Clearing point")["y"] == [0.19]


def test_second_stage_is_drawn_where_it_traded(second_stage_run: RunResult) -> None:
    page = parsed(second_stage_run)
    book = figures_of(page)["order-book"]
    assert trace(book, "Clearing point")["x"] == [0.3]
    stage = trace(book, "Second stage, at the reference price")
    assert (stage["x"], stage["y"]) == ([0.3, 0.5], [0.19, 0.19])
    text = " ".join(paragraph.text for paragraph in page.all("p"))
    assert "In a second stage 0.200 kWh more were traded at the reference price, 0.19." in text


def test_links_hold_exact_csv(trading_run: RunResult) -> None:
    links = saved(parsed(trading_run), trading_run.scenario.name)
    assert set(links) == {"-prices.csv", "-order-book.csv", "-energy.csv", "-bills.csv"}
    assert links["-bills.csv"] == table_csv(trading_run, BILLS)
    assert links["-prices.csv"].splitlines()[1].endswith(",300000,100000,20000,2,1,500,0,95000000")
    assert links["-order-book.csv"] == (
        "side,price_micro_per_kwh,energy_wh,added_up_wh\n"
        "bid,280000,1000,1000\noffer,100000,800,800\n"
    )


def test_ledger_part_says_how_to_check(trading_run: RunResult) -> None:
    commands = [element.text for element in parsed(trading_run).all("pre")]
    root = trading_run.ledger.record_hash
    assert commands == [
        f"gridpact audit 'out/a b/ledger' --root {root}",
        "gridpact prove 'out/a b/ledger' --bill ann -o ann.proof",
        f"gridpact verify ann.proof --root {root}",
    ]


def test_same_run_gives_the_same_bytes(trading_run: RunResult) -> None:
    assert report_page(trading_run) == report_page(copy.deepcopy(trading_run))


def test_empty_run_has_a_page(empty_run: RunResult) -> None:
    page = parsed(empty_run)
    assert "nothing was traded locally" in page.all("h1")[0].text
    assert "n/a" in [value.text for value in page.all("dd", **{"class": "value"})]
    assert list(figures_of(page)) == ["prices", "energy"]
    assert trace(figures_of(page)["prices"], "Mean trade price")["y"] == [None] * 4
    text = " ".join(paragraph.text for paragraph in page.all("p"))
    assert "Nobody placed an order." in text
    assert "There are no bills." in text


def test_orders_without_trades_have_a_book(trading_run: RunResult) -> None:
    first = trading_run.slots[0]
    state = msgspec.structs.replace(first.state, trades=0, traded_wh=0, turnover_nano=0)
    untraded = dataclasses.replace(first, state=state)
    assert trading_run.fullest_book is not None
    book = dataclasses.replace(trading_run.fullest_book, orders=trading_run.fullest_book.orders[:1])
    run = dataclasses.replace(trading_run, slots=(untraded,), fullest_book=book)
    page = parsed(run)
    names = [each["name"] for each in figures_of(page)["order-book"]["data"]]
    assert names == ["Bids, highest first", "Offers, lowest first"]
    text = " ".join(paragraph.text for paragraph in page.all("p"))
    assert "0 bids and 1 offer found no price in common" in text


def test_long_run_is_drawn_by_day(trading_run: RunResult) -> None:
    count = SLOTS_DRAWN_MAX + 96
    first = trading_run.slots[0]
    slots = []
    for index in range(count):
        tariff = msgspec.structs.replace(first.state.tariff, billing_day=f"day {index // 96:02}")
        state = msgspec.structs.replace(first.state, tariff=tariff)
        slots.append(dataclasses.replace(first, state=state))
    timeline = timeline_of(dataclasses.replace(trading_run, slots=tuple(slots)))
    assert timeline.by_day
    assert len(timeline.spans) == count // 96
    assert timeline.spans[0].traded_wh == 96 * 500
    assert timeline.spans[0].mean_price == pytest.approx(0.19)
    assert timeline.spans[0].retail == pytest.approx(0.3)


def test_clock_change_keeps_the_axis_even(trading_run: RunResult) -> None:
    """Three hours around 2016-03-27 01:00 UTC, when clocks in Berlin jump from 02:00 to 03:00."""
    first = trading_run.slots[0]
    hours = tuple(
        dataclasses.replace(
            first, slot=dataclasses.replace(first.slot, start_s=start_s, length_s=3600)
        )
        for start_s in range(1_459_036_800, 1_459_036_800 + 3 * 3600, 3600)
    )
    scenario = dataclasses.replace(trading_run.scenario, slot_length_s=3600)
    timeline = timeline_of(dataclasses.replace(trading_run, slots=hours, scenario=scenario))
    assert [span.at[11:16] for span in timeline.spans] == ["01:00", "02:00", "03:00"]
    assert timeline.axis_title == "Time in UTC+01:00"
    assert "Clocks in Europe/Berlin change" in timeline.note


def test_zone_may_be_an_offset(trading_run: RunResult) -> None:
    scenario = dataclasses.replace(trading_run.scenario, time_zone="-03:30")
    timeline = timeline_of(dataclasses.replace(trading_run, scenario=scenario))
    assert timeline.spans[0].at == "2016-06-08 18:30:00"


def test_report_is_one_file(trading_run: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(trading_run, path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == report_page(trading_run).encode()
