"""The page of a day of microgrids that bargain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gridpact import __version__
from gridpact.files import write_atomically
from gridpact.model.microgrid_day import MicrogridDay, MicrogridSlot
from gridpact.reports.amounts import (
    NO_BREAK,
    count_text,
    counted,
    kwh_text,
    money_text,
    money_with_code,
    percent_text,
)
from gridpact.reports.document import document
from gridpact.reports.elements import (
    SECTIONS,
    Heading,
    Section,
    fact_list,
    pairs,
    plot,
    rest_note,
    wide_table,
)
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.microgrid_figures import (
    DRAWN_MAX,
    cost_figure,
    penalty_figure,
    position_figure,
    storage_figure,
)
from gridpact.reports.plots import Figure
from gridpact.reports.timeline import date_text, duration_text


def write_microgrid_report(
    day: MicrogridDay, slots: Sequence[MicrogridSlot], ledger: Mapping[str, str], path: Path
) -> None:
    """Write the page of a day; arguments as those of `report_page`.

    Raises:
        StoreError: the disk refused; what was at `path` before is still there.
    """
    write_atomically(path, report_page(day, slots, ledger).encode(errors="replace"))


def report_page(
    day: MicrogridDay, slots: Sequence[MicrogridSlot], ledger: Mapping[str, str]
) -> str:
    """The page as text.

    Args:
        day: what was given.
        slots: what each slot of it came to, all of them, one at least.
        ledger: name and value of what there is to say about the ledger.
    """
    sections = [
        _microgrids(day, slots),
        _trade(day, slots),
        _costs(day, slots),
        _penalties(day, slots),
        _storage(day, slots),
        Section("ledger", pairs(ledger)),
        _method(day, slots),
    ]
    body = joined(
        _opening(day, slots, [each.name for each in sections]),
        tag("main", *(each.html for each in sections)),
    )
    figures = [figure for each in sections for figure in each.figures]
    return document(f"{day.name}, {_when(day)}", body, figures)


def _when(day: MicrogridDay) -> str:
    return date_text(datetime.fromtimestamp(day.start_s, UTC))


def _opening(day: MicrogridDay, slots: Sequence[MicrogridSlot], parts: list[str]) -> Html:
    """What a reader sees first: the headline and the amounts behind it."""
    traded_wh = sum(slot.state.traded_wh for slot in slots)
    saved = _saved_nano(slots)
    energy = tag("b", f"{kwh_text(traded_wh)}{NO_BREAK}kWh")
    if traded_wh:
        amount = tag("b", money_with_code(saved, day.currency))
        headline = joined("Microgrids sold each other ", energy, ", which saved ", amount, ".")
    else:
        headline = joined("Microgrids sold each other ", tag("b", "nothing"), ".")
    links = (tag("a", SECTIONS[name], href=f"#{name}") for name in parts)
    lead = (
        f"{counted(len(day.ids), 'microgrid')}, {counted(len(slots), 'slot')} of "
        f"{duration_text(day.slot_length_s)}. Every slot clears the rest of the day from newer "
        "forecasts; only its own part counts. What it saved is against the same day without trade, "
        "from the same forecasts."
    )
    return tag(
        "header",
        tag(
            "div",
            tag("strong", "gridpact"),
            tag("span", f"{day.name} \N{MIDDLE DOT} {_when(day)}"),
            class_="masthead",
        ),
        tag("h1", headline),
        tag("p", lead, class_="lead"),
        _facts(day, slots),
        tag("nav", *links, aria_label="Parts of this page"),
    )


def _saved_nano(slots: Sequence[MicrogridSlot]) -> int:
    """What the day cost less than one without trade."""
    return sum(sum(slot.alone_cost_nano) - sum(slot.cost_nano) for slot in slots)


def _facts(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Html:
    """Four amounts, each beside what it is to be compared with."""
    cost = sum(sum(slot.cost_nano) for slot in slots)
    sold_wh = sum(slot.state.traded_wh for slot in slots)
    sent_wh = sum(sum(slot.sent_wh) for slot in slots)
    penalties = sum(sum(slot.penalty_nano) for slot in slots)
    negative = sum(slot.first_surplus_nano < 0 for slot in slots)
    uncleared = sum(bool(slot.refused) for slot in slots)
    facts = (
        (
            "Cost of all together",
            money_with_code(cost, day.currency),
            f"{money_with_code(_saved_nano(slots), day.currency)} less than without trade",
        ),
        (
            "Delivered",
            percent_text(sent_wh, sold_wh),
            f"{kwh_text(sent_wh)} of {kwh_text(sold_wh)} kWh sold",
        ),
        (
            "Compensation",
            money_with_code(penalties, day.currency),
            "paid for what did not come",
        ),
        (
            "Slots cleared",
            f"{count_text(len(slots) - uncleared)} of {count_text(len(slots))}",
            f"{counted(negative, 'slot')} with a loss to share",
        ),
    )
    return fact_list(facts)


def _microgrids(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Section:
    """Sums of the day for each."""
    headings = (
        Heading("Microgrid", holds="words"),
        Heading("Sold", "kWh"),
        Heading("Bought", "kWh"),
        Heading("Not delivered", "kWh"),
        Heading("Penalties", day.currency),
        Heading("Transfers", f"{day.currency}, + received"),
        Heading("Cost", day.currency),
    )
    rows = [_row(day, slots, number) for number in range(len(day.ids))]
    words = (
        "Sold and bought is what arrived. A transfer pays for all trade of a slot, whatever comes; "
        "penalties compensate buyers for what did not. Cost is after everything: grid, turbine, "
        "fees, green demand that was not met, transfers, penalties."
    )
    table = wide_table("Sums of the day by microgrid", headings, rows)
    return Section("microgrids", joined(tag("p", words), table))


def _row(day: MicrogridDay, slots: Sequence[MicrogridSlot], number: int) -> list[str]:
    transfers = sum(slot.agreements[number].transfer_nano for slot in slots if slot.agreements)
    return [
        day.ids[number],
        kwh_text(sum(slot.sent_wh[number] for slot in slots)),
        kwh_text(sum(slot.received_wh[number] for slot in slots)),
        kwh_text(sum(slot.missing_wh[number] for slot in slots)),
        money_text(sum(slot.penalty_nano[number] for slot in slots)),
        money_text(transfers, signed=True),
        money_text(sum(slot.cost_nano[number] for slot in slots)),
    ]


def _trade(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Section:
    words = (
        "Above zero a microgrid sells to the others, below it buys, as agreed. Who serves whom and "
        "at which price is not determined: only what each receives for the slot is."
    )
    return _plotted("trade", words, position_figure(day, slots), day)


def _costs(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Section:
    words = (
        "All microgrids together, on this day and on the same day without trade. Storage moves "
        "gains between slots: one may cost more with trade than without."
    )
    return _plotted("costs", words, cost_figure(day, slots), day)


def _penalties(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Section:
    missing_wh = sum(sum(slot.missing_wh) for slot in slots)
    if not missing_wh:
        return Section("penalties", tag("p", "Everything that was sold was delivered."))
    words = (
        f"{kwh_text(missing_wh)} kWh were sold and did not come. The seller pays the retail price "
        "and the buyer's loss of green energy for each kWh."
    )
    return _plotted("penalties", words, penalty_figure(day, slots), day)


def _storage(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Section:
    words = (
        "What the storages hold after each slot, one on top of the other, counted at their output; "
        "green energy only."
    )
    return _plotted("storage", words, storage_figure(day, slots), day)


def _method(day: MicrogridDay, slots: Sequence[MicrogridSlot]) -> Section:
    """What the numbers rest on."""
    facts = {
        "Market": "rolling Nash bargaining: least cost of all together, equal gains",
        "Proof": "every clearing carries duals that bound its cost; replicas check integers and "
        "solve nothing",
        "Slots": f"{count_text(len(slots))} of {duration_text(day.slot_length_s)}, times in UTC",
        "Currency": day.currency,
        "Software": f"gridpact {__version__}",
    }
    refused = [
        tag("li", f"{datetime.fromtimestamp(slot.start_s, UTC):%H:%M}: {slot.refused}")
        for slot in slots
        if slot.refused
    ]
    listed = joined(
        tag("h3", "Slots without a clearing, in which nobody traded"),
        tag("ul", *refused, class_="remarks"),
    )
    return Section("method", joined(pairs(facts), listed if refused else Html()))


def _plotted(name: str, words: str, figure: Figure, day: MicrogridDay) -> Section:
    """A sentence and its plot."""
    note = rest_note(len(figure.data), len(day.ids)) if len(day.ids) > DRAWN_MAX else Html()
    shown = Html() if name == "costs" else note
    return Section(name, joined(tag("p", words), plot(figure, day.name), shown), (figure,))
