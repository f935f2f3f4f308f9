"""The part of the page about carbon: by the power flow, by contract, and never both at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gridpact.reports.amounts import counted, kwh_text, percent_text
from gridpact.reports.carbon_columns import CARBON_STATEMENTS
from gridpact.reports.carbon_figures import map_figure, sankey_figure
from gridpact.reports.carbon_over_time import member_figure, mix_figure, store_figure, use_of
from gridpact.reports.carbon_totals import CarbonTotals, carbon_totals, intensity_text, mass_text
from gridpact.reports.elements import (
    Heading,
    Section,
    csv_link,
    plot,
    rest_note,
    save_row,
    small_table,
    wide_table,
)
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import Timeline, slot_text, zone_of

if TYPE_CHECKING:
    from gridpact.model import RunResult
    from gridpact.reports.plots import Figure

MEMBERS_SHOWN = 20
PHYSICAL = (
    "By power flow: what leaves a bus has the mix of all that enters it, and each home is a bus of "
    "its own. Who lives near the sun uses it, whoever bought it."
)
CONTRACTUAL = (
    "By contract: what was bought of members has the factor of members' plants, what was bought "
    "from outside that which its supplier states. Own sun was not bought and is not in it."
)


def carbon_section(result: RunResult, timeline: Timeline) -> Section | None:
    """Totals, mix and intensity over time, where members differ most; None without carbon."""
    totals = carbon_totals(result)
    if totals is None or result.carbon is None:
        return None
    if not totals.slots:
        return Section("carbon", tag("p", "No power flowed in any slot, so nothing was traced."))
    use = use_of(result, timeline)
    over_time = [mix_figure(result, timeline, use), member_figure(result, timeline, use)]
    stores = store_figure(result, timeline)
    if stores is not None:
        over_time.append(stores)
    moment, words = _mixed(result)
    body = joined(
        tag("p", _words(result, totals)),
        tag("div", _physical(totals), _contractual(totals), class_="columns"),
        tag("p", PHYSICAL),
        tag("p", CONTRACTUAL),
        *(plot(figure, result.scenario.name) for figure in over_time),
        tag("h3", "Where members differ most") if moment else Html(),
        tag("p", words) if moment else Html(),
        *(plot(figure, result.scenario.name) for figure in moment),
        _members(result),
    )
    return Section("carbon", body, (*over_time, *moment))


def _words(result: RunResult, totals: CarbonTotals) -> str:
    missing = len(result.slots) - totals.slots
    words = (
        f"What members used caused {mass_text(totals.load_ug)} of CO2, "
        f"{intensity_text(totals.load_ug, totals.load_wh)} on average; energy from outside had "
        f"{intensity_text(totals.imported_ug, totals.imported_wh)}. In and out differ by "
        f"{totals.residual_ug} \N{MICRO SIGN}g."
    )
    if missing:
        words += f" {counted(missing, 'slot')} could not be traced and have no carbon."
    return words


def _physical(totals: CarbonTotals) -> Html:
    rows = [
        ("Imported", mass_text(totals.imported_ug)),
        ("Emitted by members", mass_text(totals.generated_ug)),
        ("Used", mass_text(totals.load_ug)),
        ("Lost in the network", mass_text(totals.lost_ug)),
        ("Stored", mass_text(totals.stored_ug)),
        ("Exported", mass_text(totals.exported_ug)),
    ]
    return small_table("By power flow", rows)


def _contractual(totals: CarbonTotals) -> Html:
    bought, supplied = totals.contractual_bought_wh, totals.contractual_supplied_wh
    rows = [
        (f"Bought of members, {kwh_text(bought)} kWh", mass_text(totals.contractual_bought_ug)),
        (f"From outside, {kwh_text(supplied)} kWh", mass_text(totals.contractual_supplied_ug)),
    ]
    return small_table("By contract", rows)


def _mixed(result: RunResult) -> tuple[tuple[Figure, ...], str]:
    """Map and flows of the slot in which members differ most, with what they show."""
    carbon = result.carbon
    if carbon is None or carbon.mix.mixed is None:
        return (), ""
    place, trace = carbon.mix.mixed
    when = slot_text(result.slots[place].slot, zone_of(result.scenario.time_zone))
    words = (
        f"{when}, the slot in which members' intensities differ most. Each bus and each home has "
        "the colour of its intensity; below, power from the largest sources to the largest loads "
        "and to losses."
    )
    return (map_figure(trace), sankey_figure(trace)), words


def _members(result: RunResult) -> Html:
    """Who caused most, by power flow, with what its contracts say beside it."""
    statements = result.carbon.statements if result.carbon is not None else ()
    most = sorted(statements, key=lambda each: -each.statement.load_ug)
    several = len({each.day for each in statements}) > 1
    rows = (
        (
            each.participant_id + (f", {each.day}" if several else ""),
            kwh_text(each.statement.load_wh, 2),
            mass_text(each.statement.load_ug),
            intensity_text(each.statement.load_ug, each.statement.load_wh),
            percent_text(each.statement.supplied_wh, each.statement.load_wh),
            mass_text(each.statement.bought_ug + each.statement.supplied_ug),
        )
        for each in most[:MEMBERS_SHOWN]
    )
    headings = (
        Heading("Member", holds="words"),
        Heading("Used", "kWh"),
        Heading("Carbon", "by power flow"),
        Heading("Intensity", "by power flow"),
        Heading("From outside", "by contract, of use"),
        Heading("Carbon", "by contract"),
    )
    name = f"{result.scenario.name}-carbon-statements.csv"
    return joined(
        tag("h3", "Whose use caused most"),
        wide_table("Carbon statements", headings, rows),
        rest_note(MEMBERS_SHOWN, len(statements)),
        save_row(csv_link(table_csv(result, CARBON_STATEMENTS), name)),
    )
