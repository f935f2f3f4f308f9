"""The short table at the end of `gridpact run --market microgrid`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import ConsoleRenderable, Group
from rich.table import Table
from rich.text import Text

from gridpact.model import LedgerResult
from gridpact.model.microgrid_day import MicrogridDay, MicrogridSlot

WH_PER_KWH = 1000
NANO = 10**9
HEADINGS = ("", "sold kWh", "bought kWh", "missing kWh", "penalty", "transfer", "alone", "cost")


def microgrid_table(
    day: MicrogridDay,
    slots: Sequence[MicrogridSlot],
    ledger: LedgerResult,
) -> Group:
    """What a day came to, ready to print: a row for each microgrid, the ledger, how to check it.

    Args:
        day: that was run.
        slots: of it, settled.
        ledger: where it is.
    """
    table = Table.grid(padding=(0, 2))
    for number in range(len(HEADINGS)):
        table.add_column(justify="right" if number else "left", no_wrap=True)
    table.add_row(*(Text(word, style="dim") for word in HEADINGS))
    for i, name in enumerate(day.ids):
        energies = (
            sum(slot.sent_wh[i] for slot in slots),
            sum(slot.received_wh[i] for slot in slots),
            sum(slot.missing_wh[i] for slot in slots),
        )
        amounts = (
            sum(slot.penalty_nano[i] for slot in slots),
            sum(slot.agreements[i].transfer_nano for slot in slots if slot.agreements),
            sum(slot.alone_cost_nano[i] for slot in slots),
            sum(slot.cost_nano[i] for slot in slots),
        )
        cells = [f"{energy / WH_PER_KWH:,.1f}" for energy in energies]
        cells += [f"{amount / NANO:,.2f}" for amount in amounts]
        table.add_row(name, *cells[:-1], Text(cells[-1], style="bold"))
    cleared = sum(not slot.refused for slot in slots)
    negative = sum(slot.first_surplus_nano < 0 for slot in slots)
    heading = (
        f"{day.name}: {len(day.ids)} microgrids, {cleared} of {len(slots)} slots cleared with "
        f"proof, money in {day.currency}"
    )
    facts: list[ConsoleRenderable] = [Text(heading, style="bold"), Text(), table, Text()]
    facts += [
        Text(f"slot {slot.start_s}: nobody traded, {slot.refused}", style="red")
        for slot in slots
        if slot.refused
    ]
    if negative:
        facts.append(
            Text(f"In {negative} slots the gain lies in later ones: all lose alike in these.")
        )
    facts += [
        Text(
            f"Ledger: {ledger.transactions} transactions in {ledger.height} blocks, "
            f"market root {ledger.market_state_root[:16]}"
        ),
        Text("Replay it", style="dim"),
        Text(f"gridpact audit {ledger.path}", style="cyan", overflow="fold"),
    ]
    return Group(*facts)
