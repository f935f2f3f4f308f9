"""The table of bills: one row per member, what the market made of it, and the sum of all."""

from __future__ import annotations

from gridpact.model import RunResult
from gridpact.reports.amounts import (
    count_text,
    counted,
    energy_text,
    kwh_text,
    money_digits,
    money_exact,
    money_text,
    money_with_code,
)
from gridpact.reports.columns import BILLS
from gridpact.reports.elements import csv_link, save_row
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.tables import table_csv
from gridpact.reports.totals import Account, accounts_of, all_accounts, totals_of

MEMBER = "Member"
ENERGIES = ("Bought", "Sold", "From grid", "To grid")
"""In kWh."""
FEES, LOST, REST = "Network fees", "Lost deposits", ("Bill", "Without market", "Difference")
"""In the scenario's currency; deposits only where one was lost."""


def bills_table(result: RunResult) -> Html:
    """The words before it, the table, and its CSV."""
    currency = result.scenario.currency
    accounts, everybody = accounts_of(result), all_accounts(result)
    lost = everybody.lost_deposits_nano != 0
    digits = money_digits(each.total_nano for each in (*accounts, everybody))
    if not accounts:
        return tag("p", "There are no bills.")
    better = [each.difference_nano for each in accounts if each.difference_nano > 0]
    worse = [each.difference_nano for each in accounts if each.difference_nano < 0]
    words = f"{count_text(len(better))} of {counted(len(accounts), 'member')} gained by the market"
    if better:
        words += f", up to {money_with_code(max(better), currency)}"
    if worse:
        words += (
            f"; {count_text(len(worse))} lost, up to {money_with_code(-min(worse), currency)}, "
            "because they traded on forecasts that their meters did not confirm and settled the "
            "rest with the grid"
        )
    return joined(
        tag("p", f"{words}."),
        tag("p", _notes(result), class_="note"),
        tag(
            "div",
            tag(
                "table",
                tag("thead", tag("tr", *_headings(currency, lost=lost))),
                tag("tbody", *(_row(account, digits, lost=lost) for account in accounts)),
                tag("tfoot", _row(everybody, digits, lost=lost)),
                class_="bills",
            ),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label="Bills by member",
        ),
        save_row(csv_link(table_csv(result, BILLS), f"{result.scenario.name}-bills.csv")),
    )


def _notes(result: RunResult) -> str:
    """What a reader has to know to read the amounts."""
    notes = "Minus: the member pays. Plus: the member is paid."
    curtailed_wh = totals_of(result).curtailed_wh
    if curtailed_wh:
        notes += (
            f" The {energy_text(curtailed_wh)} that the grid could not carry stand on the "
            "bills of seller and buyer as not delivered, without an amount."
        )
    if result.credits:
        notes += " Corrections are included; the bills as issued follow below."
    return notes


def _headings(currency: str, *, lost: bool) -> list[Html]:
    amounts = (FEES, *([LOST] if lost else []), *REST)
    return [
        _heading(MEMBER, ""),
        *(_heading(name, "kWh") for name in ENERGIES),
        *(_heading(name, currency) for name in amounts),
    ]


def _heading(title: str, unit: str) -> Html:
    return tag(
        "th",
        tag("button", title, type="button"),
        tag("small", unit),
        scope="col",
        data_order="number" if unit else "text",
    )


def _row(account: Account, digits: int, *, lost: bool) -> Html:
    energies = (
        account.bought_wh,
        account.sold_wh,
        account.grid_import_wh,
        account.grid_export_wh,
    )
    deposits = [account.lost_deposits_nano] if lost else []
    amounts = (account.fees_nano, *deposits, account.total_nano, account.baseline_nano)
    return tag(
        "tr",
        tag("td", account.participant_id or "All members", data_value=account.participant_id),
        *(tag("td", kwh_text(energy, 2), data_value=str(energy)) for energy in energies),
        *(_amount(nano, digits) for nano in amounts),
        _amount(account.difference_nano, digits, signed=True),
    )


def _amount(nano: int, digits: int, *, signed: bool = False) -> Html:
    """A rounded amount that shows its last digit on demand; a difference says which way."""
    colour = ""
    if signed and nano:
        colour = "better" if nano > 0 else "worse"
    return tag(
        "td",
        money_text(nano, digits, signed=signed),
        data_value=str(nano),
        title=money_exact(nano),
        class_=colour or False,
    )
