"""The few lines that say what a run came to: the same at the terminal and in `report.md`."""

from __future__ import annotations

from gridpact.model import RunResult
from gridpact.reports.amounts import (
    NO_BREAK,
    count_text,
    counted,
    energy_text,
    kwh_text,
    mean_price_text,
    money_digits,
    money_text,
    money_with_code,
    percent_text,
    real_text,
    seconds_text,
)
from gridpact.reports.carbon_totals import carbon_sentence, carbon_totals
from gridpact.reports.physics import credits_sentence, grid_totals, shortfalls_text
from gridpact.reports.timeline import days_text
from gridpact.reports.totals import elapsed_s, range_text, refusals_text, totals_of

DOT = "\N{MIDDLE DOT}"


def heading_of(result: RunResult) -> str:
    """Scenario, days, members, slots, engine."""
    scenario = result.scenario
    return f" {DOT} ".join(
        (
            scenario.name,
            days_text(result),
            counted(len(scenario.members), "member"),
            counted(len(result.slots), "slot"),
            f"{result.engine} engine",
        )
    )


def gains_rows(result: RunResult) -> list[tuple[str, ...]]:
    """Heading, then sellers and buyers: with the market, without it, difference, share."""
    gains = result.gains
    rows = (
        ("Sellers received", gains.seller_income_nano, gains.seller_baseline_nano),
        ("Buyers paid", gains.buyer_cost_nano, gains.buyer_baseline_nano),
    )
    digits = money_digits(nano for _, *amounts in rows for nano in amounts)
    heading = ("with the market", "feed-in, retail only", "difference", "")
    return [
        (result.scenario.currency, *heading),
        *(
            (
                name,
                money_text(with_market, digits),
                money_text(without, digits),
                money_text(with_market - without, digits, signed=True),
                percent_text(with_market - without, without, signed=True),
            )
            for name, with_market, without in rows
        ),
    ]


def facts_of(result: RunResult) -> dict[str, str]:
    """Volumes, price, grid, homes, corrections, ledger, residuals, time; only what there is."""
    totals = totals_of(result)
    currency = result.scenario.currency
    facts = {
        "Traded": f"{kwh_text(totals.traded_wh)} kWh in {counted(totals.trades, 'trade')}, "
        f"{percent_text(totals.traded_wh, totals.load_wh)} of consumption",
        "Consumption": f"{kwh_text(totals.load_wh)} kWh; PV {kwh_text(totals.pv_wh)} kWh; "
        f"from grid {kwh_text(totals.grid_import_wh)} kWh, "
        f"to grid {kwh_text(totals.grid_export_wh)} kWh",
        "Mean price": f"{mean_price_text(totals.turnover_nano, totals.traded_wh, currency)}; "
        f"feed-in {range_text(totals.feed_in_micro_per_kwh)}, "
        f"retail {range_text(totals.retail_micro_per_kwh)}",
    }
    return facts | _physical_facts(result) | _recorded_facts(result)


def _physical_facts(result: RunResult) -> dict[str, str]:
    facts = {}
    grid = grid_totals(result)
    if grid is not None:
        solved = (
            ""
            if grid.converged_slots == grid.slots
            else f"; solved in {counted(grid.converged_slots, 'slot')}"
        )
        facts["Grid"] = (
            f"{real_text(grid.vm_min_pu, 3)} to {real_text(grid.vm_max_pu, 3)} pu, "
            f"loading up to {real_text(grid.loading_max_percent, 1)}{NO_BREAK}%, "
            f"losses {energy_text(grid.losses_wh)}{solved}"
        )
        cut = "nothing"
        if grid.cuts or grid.curtailed_wh:
            at = f", most at {grid.most_cut_at}" if grid.most_cut_at else ""
            cut = f"{energy_text(grid.curtailed_wh)} of {counted(grid.cuts, 'trade')}{at}"
        broken = counted(grid.violations, "limit") + " broken all the same"
        facts["Curtailed"] = f"{cut}; {broken}" if grid.violations else cut
    if result.homes:
        into_wh = sum(home.charged_wh for home in result.homes)
        out_wh = sum(home.discharged_wh for home in result.homes)
        facts["Homes"] = (
            f"{counted(len(result.homes), 'member')} with batteries, loads or vehicles; batteries "
            f"took {energy_text(into_wh)}, gave {energy_text(out_wh)}; {shortfalls_text(result)}"
        )
    carbon = carbon_totals(result)
    if carbon is not None:
        facts["Carbon"] = carbon_sentence(carbon)
    errors = result.forecast
    if errors.values:
        skill = real_text(100 * errors.skill, 1, signed=True)
        facts["Forecast"] = (
            f"{real_text(errors.mae_wh, 1)} Wh off in a mean slot, "
            f"{real_text(errors.naive_mae_wh, 1)} Wh naive; skill {skill}{NO_BREAK}%"
        )
    if result.credits:
        change = sum(each.note.change.total_nano for each in result.credits)
        facts["Corrections"] = (
            f"{credits_sentence(result)}, by "
            f"{money_with_code(change, result.scenario.currency, signed=True)} together"
        )
    return facts


def _carbon_residual(result: RunResult) -> str:
    if result.carbon is None:
        return ""
    return f", carbon {count_text(result.carbon.residual_ug)} \N{MICRO SIGN}g"


def _recorded_facts(result: RunResult) -> dict[str, str]:
    timings = result.timings_s
    currency = result.scenario.currency
    compilation_s = timings.get("compilation", 0.0)
    grid = f", power flow {seconds_text(timings['grid'])}" if "grid" in timings else ""
    return {
        "Ledger": f"{counted(result.ledger.height, 'block')}, "
        f"{counted(result.ledger.transactions, 'transaction')}; {refusals_text(result)}",
        "State root": result.ledger.state_root,
        "Residuals": f"energy {count_text(result.energy_residual_wh)} Wh, "
        f"money {count_text(result.money_residual_nano)} nano-{currency}"
        f"{_carbon_residual(result)}",
        "Time": f"{seconds_text(elapsed_s(result) - compilation_s)}, of which clearing "
        f"{seconds_text(timings.get('clearing', 0.0))}{grid}; "
        f"and compilation {seconds_text(compilation_s)}",
    }
