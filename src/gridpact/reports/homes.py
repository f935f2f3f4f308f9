"""The part of the page about batteries, loads that wait or bend, and vehicles."""

from __future__ import annotations

from datetime import datetime

from gridpact.model import HomeResult, RunResult
from gridpact.model.assets import Planning
from gridpact.reports.amounts import count_text, counted, fixed, kwh_text
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
from gridpact.reports.physics import moved_by_batteries
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import Timeline, date_text, zone_of

SHORTFALLS_SHOWN = 50
UWH_PER_KWH = 10**9

PLANNING_TEXTS = {
    Planning.SELF_CONSUMPTION: "self-consumption",
    Planning.ARBITRAGE: "arbitrage",
    Planning.OPTIMISED: "optimised",
}

HEADINGS = (
    Heading("Member", words=True),
    Heading("Planning", words=True),
    Heading("Into battery", "kWh"),
    Heading("Out of battery", "kWh"),
    Heading("Battery losses", "kWh"),
    Heading("Loads that wait", "kWh"),
    Heading("Loads that bend", "kWh"),
    Heading("Into vehicles", "kWh"),
    Heading("Out of vehicles", "kWh"),
    Heading("Spilled", "kWh"),
    Heading("Plans by rule"),
    Heading("Shortfalls"),
)


def homes_section(result: RunResult, timeline: Timeline) -> Section | None:
    """What members' own equipment did; None where nobody has any."""
    if not result.homes:
        return None
    into_wh, out_wh = moved_by_batteries(result.slots)
    figures = (storage_figure(result, timeline),) if into_wh or out_wh else ()
    words = f"{counted(len(result.homes), 'member')} can store energy or move when it is used."
    body = joined(
        tag("p", words),
        *(plot(figure, result.scenario.name) for figure in figures),
        wide_table("Homes", HEADINGS, (_row(home) for home in result.homes)),
        save_row(csv_link(table_csv(result, HOMES), f"{result.scenario.name}-homes.csv")),
        _shortfalls(result),
    )
    return Section("homes", body, figures)


def _row(home: HomeResult) -> tuple[str, ...]:
    energies = (
        home.deferrable_wh,
        home.flexible_wh,
        home.vehicle_charged_wh,
        home.vehicle_discharged_wh,
        home.spilled_wh,
    )
    return (
        home.participant_id,
        PLANNING_TEXTS[home.planning],
        kwh_text(home.charged_wh, 2),
        kwh_text(home.discharged_wh, 2),
        fixed(home.conversion_loss_uwh + home.self_discharge_uwh, UWH_PER_KWH, 2),
        *(kwh_text(energy_wh, 2) for energy_wh in energies),
        count_text(home.fallback_plans),
        count_text(len(home.shortfalls)),
    )


def _shortfalls(result: RunResult) -> Html:
    """Everything that was due and was not there, by name."""
    found = [each for home in result.homes for each in home.shortfalls]
    if not found:
        return tag("p", "Every load ran and every vehicle left with what it needed.")
    zone = zone_of(result.scenario.time_zone)
    rows = (
        (
            each.participant_id,
            each.asset,
            f"{date_text(due := datetime.fromtimestamp(each.due_s, zone))}, {due:%H:%M}",
            kwh_text(each.missing_wh, 3),
        )
        for each in found[:SHORTFALLS_SHOWN]
    )
    headings = (
        Heading("Member", words=True),
        Heading("What", words=True),
        Heading("Due", words=True),
        Heading("Missing", "kWh"),
    )
    return joined(
        tag("h3", "Energy that was due and was not there"),
        wide_table("Shortfalls", headings, rows),
        rest_note(SHORTFALLS_SHOWN, len(found), "tables/shortfalls.parquet has all"),
    )
