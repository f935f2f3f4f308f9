"""The part of the page about the lines: whether they carried the trades, and what it took."""

from __future__ import annotations

from gridpact.model import GridResult, RunResult
from gridpact.model.grid import CurtailmentRule
from gridpact.reports.amounts import NO_BREAK, count_text, energy_text, kwh_text, real_text
from gridpact.reports.columns import CUTS, VIOLATIONS, slot_cuts, slot_violations
from gridpact.reports.elements import (
    Heading,
    Section,
    csv_link,
    pairs,
    plot,
    rest_note,
    save_row,
    small_table,
    wide_table,
)
from gridpact.reports.grid_figures import limits_of, loading_figure, voltage_figure
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.physics import (
    GridTotals,
    farthest_buses,
    fullest_branches,
    grid_sentence,
    grid_totals,
    violation_text,
)
from gridpact.reports.tables import table_csv
from gridpact.reports.timeline import Timeline, start_text, zone_of

PLACES_SHOWN = 10
"""Branches and buses that are named."""
ROWS_SHOWN = 20
"""Curtailed trades and broken limits that are named."""

RULE_TEXTS = {
    CurtailmentRule.PRO_RATA: "all trades that load the binding place give way, each by the same "
    "share",
    CurtailmentRule.LAST_IN_FIRST_OUT: "of the trades that load the binding place, the one made "
    "last gives way first",
}


def grid_section(result: RunResult, timeline: Timeline) -> Section | None:
    """Voltages, loadings, curtailment, losses; None without a network."""
    totals = grid_totals(result)
    if result.grid is None or totals is None:
        return None
    words = grid_sentence(result)
    if totals.converged_slots:
        words += (
            " One per unit (pu) is the nominal voltage; a loading of 100 % is the current that a "
            "branch may carry for long."
        )
    if not totals.converged_slots:
        body = joined(tag("p", words), _cuts(result), _violations(result))
        return Section("grid", joined(body, pairs(_facts(result, result.grid, totals))))
    figures = (voltage_figure(result, timeline), loading_figure(result, timeline))
    body = joined(
        tag("p", words),
        *(plot(figure, result.scenario.name) for figure in figures),
        tag("div", _branches(result), _buses(result), class_="columns"),
        _cuts(result),
        _violations(result),
        tag("h3", "The network"),
        pairs(_facts(result, result.grid, totals)),
    )
    return Section("grid", body, figures)


def _branches(result: RunResult) -> Html:
    rows = [
        (each.branch, f"{real_text(each.loading_max_percent, 1)}{NO_BREAK}%")
        for each in fullest_branches(result, PLACES_SHOWN)
    ]
    if not rows:
        return tag("div", tag("h3", "Branches loaded most"), tag("p", "No rating is known."))
    return small_table("Branches loaded most", rows)


def _buses(result: RunResult) -> Html:
    rows = (
        (each.bus, f"{real_text(each.vm_min_pu, 4)} to {real_text(each.vm_max_pu, 4)}")
        for each in farthest_buses(result, PLACES_SHOWN)
    )
    return small_table("Buses furthest from 1 pu", rows)


def _cuts(result: RunResult) -> Html:
    """The largest cuts, with who traded, where the limit was, and by which rule."""
    cuts = sorted(slot_cuts(result), key=lambda each: -each.cut.curtailed_wh)
    if not cuts:
        return Html()
    zone = zone_of(result.scenario.time_zone)
    network = result.scenario.network
    rule = f": {RULE_TEXTS[network.rule]}" if network else ""
    rows = (
        (
            start_text(each.slot.slot.start_s, zone),
            each.cut.seller,
            each.cut.buyer,
            kwh_text(each.cut.energy_wh, 3),
            kwh_text(each.cut.curtailed_wh, 3),
            each.cut.bound_by,
        )
        for each in cuts[:ROWS_SHOWN]
    )
    headings = (
        Heading("Slot", holds="time"),
        Heading("Seller", holds="words"),
        Heading("Buyer", holds="words"),
        Heading("Traded", "kWh"),
        Heading("Curtailed", "kWh"),
        Heading("Bound by", holds="words"),
    )
    return joined(
        tag("h3", "Curtailed trades"),
        tag(
            "p",
            f"What the grid cannot carry is neither delivered nor paid{rule}. Largest first.",
        ),
        wide_table("Curtailed trades", headings, rows),
        rest_note(ROWS_SHOWN, len(cuts)),
        save_row(csv_link(table_csv(result, CUTS), f"{result.scenario.name}-cuts.csv")),
    )


def _violations(result: RunResult) -> Html:
    """Limits that no curtailment of trades could keep."""
    found = sorted(slot_violations(result), key=lambda each: -each.violation.severity)
    if not found:
        return Html()
    zone = zone_of(result.scenario.time_zone)
    rows = (
        (start_text(each.slot.slot.start_s, zone), violation_text(each.violation))
        for each in found[:ROWS_SHOWN]
    )
    headings = (Heading("Slot", holds="time"), Heading("Limit", holds="words"))
    name = f"{result.scenario.name}-violations.csv"
    return joined(
        tag("h3", "Limits broken all the same"),
        tag(
            "p",
            "With what the meters showed. Curtailing trades could not mend these: they come from "
            "consumption and generation beyond the trades. Worst first.",
        ),
        wide_table("Limits broken all the same", headings, rows),
        rest_note(ROWS_SHOWN, len(found)),
        save_row(csv_link(table_csv(result, VIOLATIONS), name)),
    )


def _facts(result: RunResult, grid: GridResult, totals: GridTotals) -> dict[str, str]:
    limits = limits_of(result)
    network = result.scenario.network
    facts = {
        "Network": grid.reference,
        "Size": f"{count_text(len(grid.buses))} buses, {count_text(len(grid.branches))} branches",
        "Power flow": f"solved in {count_text(totals.converged_slots)} of "
        f"{count_text(totals.slots)} slots",
        "Limits": f"{real_text(limits.vm_min_pu, 2)} to {real_text(limits.vm_max_pu, 2)} pu, "
        f"loading {real_text(limits.loading_max_percent, 0)}{NO_BREAK}%",
        "Losses": energy_text(totals.losses_wh),
        "From outside": f"{energy_text(totals.from_outside_wh)}, net",
    }
    if network is not None:
        facts["Curtailment"] = RULE_TEXTS[network.rule]
    if grid.unsupported:
        facts["Left out"] = _each_on_its_line(grid.unsupported)
    if grid.unsupplied:
        facts["Without supply"] = _each_on_its_line(grid.unsupplied)
    return facts


def _each_on_its_line(texts: tuple[str, ...]) -> Html:
    return joined(*(tag("div", text) for text in texts))
