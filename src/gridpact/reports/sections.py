"""The parts of the page, top to bottom: each begins with what it shows, in a sentence."""

from __future__ import annotations

from gridpact import __version__
from gridpact.model import RunResult, TieRule
from gridpact.reports.amounts import (
    count_text,
    counted,
    energy_text,
    fixed,
    kwh_text,
    mean_price_text,
    money_exact,
    money_with_code,
    price_text,
    seconds_text,
)
from gridpact.reports.bills import bills_table
from gridpact.reports.commands import checking_commands
from gridpact.reports.elements import SECTIONS, Section, fact_list, pairs, plot, small_table
from gridpact.reports.headline import headline
from gridpact.reports.markup import Html, joined, tag
from gridpact.reports.orderbook import OrderBook
from gridpact.reports.physics import grid_sentence
from gridpact.reports.plots import Figure
from gridpact.reports.timeline import Timeline, days_text, duration_text, slot_text, zone_of
from gridpact.reports.totals import Totals, all_accounts, range_text, verdict_text

TIE_TEXTS = {
    TieRule.PRO_RATA: "shared in proportion to energy",
    TieRule.TIME: "the earlier order first",
}


def opening(result: RunResult, totals: Totals, parts: list[str]) -> Html:
    """What a reader sees first: who it is about, the three numbers, the amounts behind them.

    Args:
        result: the run.
        totals: its sums.
        parts: ids of the parts that follow.
    """
    scenario = result.scenario
    links = (tag("a", SECTIONS[name], href=f"#{name}") for name in parts)
    grid = grid_sentence(result)
    return tag(
        "header",
        tag(
            "div",
            tag("strong", "gridpact"),
            tag("span", f"{scenario.name} \N{MIDDLE DOT} {days_text(result)}"),
            class_="masthead",
        ),
        tag("h1", headline(result, totals)),
        tag(
            "p",
            "Compared with the feed-in and retail tariffs alone, for the same meter readings. "
            f"{counted(len(scenario.members), 'member')}, {counted(len(result.slots), 'slot')} "
            f"of {duration_text(scenario.slot_length_s)}, {counted(totals.orders, 'order')}, "
            f"{counted(totals.trades, 'trade')}.",
            class_="lead",
        ),
        tag("p", grid, class_="lead grid") if grid else Html(),
        _facts(result, totals),
        tag("nav", *links, aria_label="Parts of this page"),
    )


def _facts(result: RunResult, totals: Totals) -> Html:
    """Four amounts, each beside what it is to be compared with."""
    gains, currency = result.gains, result.scenario.currency
    everybody = all_accounts(result)
    fees = money_with_code(-everybody.fees_nano, currency)
    better = "better off, after" if everybody.difference_nano > 0 else "worse off, with"
    together = f"{better} {fees} of network fees" if everybody.difference_nano else "no difference"
    tariffs = (
        f"feed-in {range_text(totals.feed_in_micro_per_kwh)}, "
        f"retail {range_text(totals.retail_micro_per_kwh)}"
    )
    facts = (
        (
            "Sellers received",
            money_with_code(gains.seller_income_nano, currency),
            f"{money_with_code(gains.seller_baseline_nano, currency)} without the market",
        ),
        (
            "Buyers paid",
            money_with_code(gains.buyer_cost_nano, currency),
            f"{money_with_code(gains.buyer_baseline_nano, currency)} without the market",
        ),
        (
            "All members together",
            money_with_code(everybody.difference_nano, currency, signed=True),
            together,
        ),
        (
            "Mean trade price",
            mean_price_text(totals.turnover_nano, totals.traded_wh, currency),
            tariffs,
        ),
    )
    return fact_list(facts)


def price_section(result: RunResult, totals: Totals, timeline: Timeline, figure: Figure) -> Section:
    """Prices between the tariffs, and volumes, over time."""
    words = "Nothing was traded, so there is no trade price."
    if totals.trades:
        _, highest_fee = totals.network_fee_micro_per_kwh
        fees = f"{range_text(totals.network_fee_micro_per_kwh)} {result.scenario.currency}/kWh"
        words = (
            f"Members traded in {count_text(totals.trading_slots)} of "
            f"{counted(len(result.slots), 'slot')}. A trade is better for both sides than the "
            "grid as long as its price lies above the feed-in tariff and"
            + (f", with the network fee of {fees} that the buyer adds," if highest_fee else "")
            + " below the retail tariff."
        )
    if timeline.note:
        words += f" {timeline.note}"
    return _plotted("prices", words, figure, result)


def order_book_section(result: RunResult, book: OrderBook | None, figure: Figure | None) -> Section:
    """The fullest order book with its clearing."""
    if book is None or figure is None:
        return Section("order-book", tag("p", "Nobody placed an order."))
    state = book.slot.state
    when = slot_text(book.slot.slot, zone_of(result.scenario.time_zone))
    sides = f"{counted(len(book.demand), 'bid')} and {counted(len(book.supply), 'offer')}"
    if not state.trades:
        words = f"{when}: {sides} found no price in common."
        return _plotted("order-book", words, figure, result)
    rule = (
        "Bids queue from the highest price down, offers from the lowest up. They trade as long as "
        "the bid is at least the offer, each pair in the middle of its two prices: the shaded "
        "area is what both sides gain."
    )
    if state.second_stage_wh:
        rule += (
            f" In a second stage {kwh_text(state.second_stage_wh, 3)} kWh more were traded at "
            f"the reference price, {price_text(state.reference_price_micro_per_kwh)}."
        )
    else:
        rule += " The second stage, at the mean price, found nothing more."
    words = (
        f"{when}, the slot with the most trades: {sides} made "
        f"{counted(state.trades, 'trade')}. {rule}"
    )
    return _plotted("order-book", words, figure, result)


def energy_section(result: RunResult, totals: Totals, figure: Figure) -> Section:
    """Consumption, generation and the grid over time."""
    words = (
        f"Members consumed {kwh_text(totals.load_wh)} kWh; their PV gave "
        f"{kwh_text(totals.pv_wh)} kWh. Beyond their trades they took "
        f"{kwh_text(totals.grid_import_wh)} kWh from the grid and fed "
        f"{kwh_text(totals.grid_export_wh)} kWh into it; both occur in one slot, as each member "
        "settles by its own meter."
    )
    if totals.stored_wh:
        more = "took in" if totals.stored_wh > 0 else "gave back"
        words += f" Batteries {more} {energy_text(abs(totals.stored_wh))} more than they "
        words += "gave back." if totals.stored_wh > 0 else "took in."
    if totals.spilled_wh:
        words += (
            f" {energy_text(totals.spilled_wh)} of sun were not fed in: the lines could not carry "
            "them, or export was limited."
        )
    return _plotted("energy", words, figure, result)


def bills_section(result: RunResult) -> Section:
    """Who paid and got what."""
    return Section("bills", bills_table(result))


def ledger_section(result: RunResult) -> Section:
    """What is recorded, and how anybody can check it."""
    ledger, currency = result.ledger, result.scenario.currency
    facts = {
        "Blocks": count_text(ledger.height),
        "Transactions": count_text(ledger.transactions),
        "Record hash": tag("code", ledger.record_hash),
        "State root": tag("code", ledger.state_root),
        "Market state root": tag("code", ledger.market_state_root),
        "Energy residual": f"{count_text(result.energy_residual_wh)} Wh",
        "Money residual": f"{count_text(result.money_residual_nano)} nano-{currency}",
    }
    checks = (
        joined(tag("dt", each.purpose), tag("dd", tag("pre", each.line)))
        for each in checking_commands(result)
    )
    receipts = sorted(result.receipts.items())
    sizes = sorted(result.sizes.items())
    body = joined(
        tag(
            "p",
            "Every order, reading and payment is a signed transaction in a chain of blocks. "
            "Whoever has the record hash can check all of it and need not trust the operator.",
        ),
        pairs(facts),
        tag("h3", "Check it"),
        tag("dl", *checks, class_="commands"),
        tag(
            "div",
            small_table(
                "Transactions by verdict",
                ((verdict_text(name), count_text(count)) for name, count in receipts),
            ),
            small_table(
                f"System accounts, {currency}",
                ((name, money_exact(nano)) for name, nano in sorted(result.system_nano.items())),
            ),
            small_table("Size, MB", ((name, fixed(size, 1_000_000, 2)) for name, size in sizes)),
            class_="columns",
        ),
    )
    return Section("ledger", body)


def method_section(result: RunResult) -> Section:
    """What the numbers rest on, and what they mean."""
    scenario = result.scenario
    facts = {
        "Scenario": f"{scenario.name}, seed {scenario.seed}",
        "Days": f"{days_text(result)}, {scenario.time_zone}",
        "Slots": f"{count_text(len(result.slots))} of {duration_text(scenario.slot_length_s)}",
        "Market": f"{scenario.market_id}, two-stage double auction; at equal prices "
        f"{TIE_TEXTS[scenario.tie]}",
        "Currency": scenario.currency,
        "Network": scenario.network.reference if scenario.network else "none",
        "Engine": result.engine,
        "Sources": joined(*(tag("div", tag("code", source)) for source in result.sources)),
        "Software": f"gridpact {__version__}",
        "Time": ", ".join(
            f"{name} {seconds_text(seconds)}" for name, seconds in result.timings_s.items()
        ),
    }
    words = {
        "Seller, buyer": "A member is a seller in the slots in which its meter fed energy in, a "
        "buyer in all others.",
        "Without the market": "The same readings, all energy sold at the feed-in tariff and "
        "bought at the retail tariff.",
        "Traded": "Contracted among members before delivery. What a meter shows beyond or below "
        "that is settled with the grid.",
        "Residual": "What is left when everything that must cancel out is added up: metered "
        "energy against bills, and all accounts against each other.",
        "Amounts": "Whole nano-currency on the ledger, rounded on this page only; the CSV files "
        "are exact.",
    }
    remarks = [tag("li", remark) for remark in result.remarks]
    body = joined(
        pairs(facts),
        tag("h3", "Mended in the data, left out of the day") if remarks else Html(),
        tag("ul", *remarks, class_="remarks") if remarks else Html(),
        tag("h3", "What the words mean"),
        pairs(words),
    )
    return Section("method", body)


def _plotted(name: str, words: str, figure: Figure, result: RunResult) -> Section:
    """A sentence and its plot."""
    body = joined(tag("p", words), plot(figure, result.scenario.name))
    return Section(name, body, (figure,))
