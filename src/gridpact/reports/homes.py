"""The part of the page about batteries, loads that wait or bend, and vehicles."""

from __future__ import annotations

from collections.abc import Callable

from gridpact.model import HomeResult, RunResult
from gridpact.model.assets import Planning
from gridpact.reports.amounts import counted, fixed, kwh_text
from gridpact.reports.columns import HOMES
from gridpact.reports.elements import (
    Heading,
    Section,
    csv_link,
    plot,
    rest_note,
    save_row,
    wide_table,
)
from gridpact.reports.grid_figures import storage_figure
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import Timeline, start_text, zone_of
from gridpact.units import WH_PER_KWH

SHORTFALLS_SHOWN = 50
UWH_PER_KWH = 10**6 * WH_PER_KWH

PLANNING_TEXTS = {
    Planning.SELF_CONSUMPTION: "self-consumption",
    Planning.ARBITRAGE: "arbitrage",
    Planning.OPTIMISED: "optimised",
}

COLUMNS: tuple[tuple[Heading, Callable[[HomeResult], int], int], ...] = (
    (Heading("Shortfalls"), lambda home: len(home.shortfalls), 1),
    (Heading("Into battery", "kWh"), lambda home: home.charged_wh, WH_PER_KWH),
    (Heading("Out of battery", "kWh"), lambda home: home.discharged_wh, WH_PER_KWH),
    (
        Heading("Battery losses", "kWh"),
        lambda home: home.conversion_loss_uwh + home.self_discharge_uwh,
        UWH_PER_KWH,
    ),
    (Heading("Loads that wait", "kWh"), lambda home: home.deferrable_wh, WH_PER_KWH),
    (Heading("Loads that bend", "kWh"), lambda home: home.flexible_wh, WH_PER_KWH),
    (Heading("Into vehicles", "kWh"), lambda home: home.vehicle_charged_wh, WH_PER_KWH),
    (Heading("Out of vehicles", "kWh"), lambda home: home.vehicle_discharged_wh, WH_PER_KWH),
    (Heading("Spilled", "kWh"), lambda home: home.spilled_wh, WH_PER_KWH),
    (Heading("Plans by rule"), lambda home: home.fallback_plans, 1),
)
"""Heading, amount, and how many of its unit make one of the heading's."""


def homes_section(result: RunResult, timeline: Timeline) -> Section | None:
    """What members' own equipment did; None where nobody has any."""
    if not result.homes:
        return None
    moved = any(slot.stored_wh for slot in result.slots)
    figures = (storage_figure(result, timeline),) if moved else ()
    words = f"{counted(len(result.homes), 'member')} can store energy or move when it is used."
    body = joined(
        tag("p", words),
        *(plot(figure, result.scenario.name) for figure in figures),
        _table(result),
        save_row(csv_link(table_csv(result, HOMES), f"{result.scenario.name}-homes.csv")),
        _shortfalls(result),
    )
    return Section("homes", body, figures)


def _table(result: RunResult) -> Html:
    """One row per member; columns in which nobody has anything are left out."""
    used = [column for column in COLUMNS if any(column[1](home) for home in result.homes)]
    headings = [Heading("Member", holds="words"), Heading("Planning", holds="words")]
    rows = (
        (
            home.participant_id,
            PLANNING_TEXTS[home.planning],
            *(fixed(read(home), unit, 0 if unit == 1 else 2) for _, read, unit in used),
        )
        for home in result.homes
    )
    return wide_table("Homes", headings + [heading for heading, _, _ in used], rows)


def _shortfalls(result: RunResult) -> Html:
    """Everything that was due and was not there, by name."""
    found = [each for home in result.homes for each in home.shortfalls]
    if not found:
        return tag("p", "Nothing that was due was missing.")
    zone = zone_of(result.scenario.time_zone)
    rows = (
        (
            each.participant_id,
            each.asset,
            start_text(each.due_s, zone),
            kwh_text(each.missing_wh, 3),
        )
        for each in found[:SHORTFALLS_SHOWN]
    )
    headings = (
        Heading("Member", holds="words"),
        Heading("What", holds="words"),
        Heading("Due", holds="time"),
        Heading("Missing", "kWh"),
    )
    return joined(
        tag("h3", "Energy that was due and was not there"),
        wide_table("Shortfalls", headings, rows),
        rest_note(SHORTFALLS_SHOWN, len(found), "tables/shortfalls.parquet has all"),
    )
