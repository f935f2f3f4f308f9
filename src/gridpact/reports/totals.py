"""Sums over a run: the few numbers that headline, table and totals row are made of."""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.model import Bill, RunResult, Verdict
from gridpact.reports.amounts import count_text, price_text


@dataclass(frozen=True, slots=True)
class Totals:
    """A run in a dozen integers."""

    load_wh: int
    """Gross, all members."""
    pv_wh: int
    """Gross, all members."""
    traded_wh: int
    """Contracted among members, both stages."""
    second_stage_wh: int
    curtailed_wh: int
    """What the grid could not carry of it."""
    stored_wh: int
    """Into batteries less out of them."""
    spilled_wh: int
    """Sun that was not fed in."""
    grid_import_wh: int
    """What members took beyond their trades."""
    grid_export_wh: int
    """What members fed in beyond their trades."""
    orders: int
    trades: int
    trading_slots: int
    """Slots with at least one trade."""
    turnover_nano: int
    """What buyers paid for traded energy, without fees."""
    retail_micro_per_kwh: tuple[int, int]
    """Lowest and highest."""
    feed_in_micro_per_kwh: tuple[int, int]
    """Lowest and highest."""
    network_fee_micro_per_kwh: tuple[int, int]
    """Lowest and highest."""


def totals_of(result: RunResult) -> Totals:
    """Sums over all slots."""
    states = [slot.state for slot in result.slots]
    retail = [state.tariff.retail_micro_per_kwh for state in states]
    feed_in = [state.tariff.feed_in_micro_per_kwh for state in states]
    fees = [state.tariff.network_fee_micro_per_kwh for state in states]
    return Totals(
        load_wh=sum(slot.load_wh for slot in result.slots),
        pv_wh=sum(slot.pv_wh for slot in result.slots),
        traded_wh=sum(state.traded_wh for state in states),
        second_stage_wh=sum(state.second_stage_wh for state in states),
        curtailed_wh=sum(state.curtailed_wh for state in states),
        stored_wh=sum(slot.stored_wh for slot in result.slots),
        spilled_wh=sum(slot.spilled_wh for slot in result.slots),
        grid_import_wh=sum(state.grid_import_wh for state in states),
        grid_export_wh=sum(state.grid_export_wh for state in states),
        orders=sum(state.orders for state in states),
        trades=sum(state.trades for state in states),
        trading_slots=sum(1 for state in states if state.trades),
        turnover_nano=sum(state.turnover_nano for state in states),
        retail_micro_per_kwh=(min(retail), max(retail)),
        feed_in_micro_per_kwh=(min(feed_in), max(feed_in)),
        network_fee_micro_per_kwh=(min(fees), max(fees)),
    )


@dataclass(frozen=True, slots=True)
class Account:
    """One participant's bills of all days, added up, with what corrections changed about them.

    Amounts are + when the participant gets them.
    """

    participant_id: str
    bought_wh: int
    sold_wh: int
    grid_import_wh: int
    grid_export_wh: int
    fees_nano: int
    lost_deposits_nano: int
    total_nano: int
    baseline_nano: int
    """The same readings with feed-in and retail alone."""

    @property
    def difference_nano(self) -> int:
        """What the market brought; + is better for the participant."""
        return self.total_nano - self.baseline_nano


def accounts_of(result: RunResult) -> list[Account]:
    """One per participant, by id."""
    papers = _papers(result)
    return [_added_up(name, papers[name]) for name in sorted(papers)]


def all_accounts(result: RunResult) -> Account:
    """The totals row: every bill of every participant."""
    return _added_up("", [each for papers in _papers(result).values() for each in papers])


def _papers(result: RunResult) -> dict[str, list[tuple[Bill, int]]]:
    """Bills with their baselines, and what corrections changed about them, by participant."""
    papers: dict[str, list[tuple[Bill, int]]] = {}
    for bill in result.bills:
        papers.setdefault(bill.participant_id, []).append((bill.bill, bill.baseline_nano))
    for credit in result.credits:
        papers.setdefault(credit.participant_id, []).append((credit.note.change, 0))
    return papers


def _added_up(name: str, papers: list[tuple[Bill, int]]) -> Account:
    bills = [bill for bill, _ in papers]
    return Account(
        participant_id=name,
        bought_wh=sum(bill.bought_wh for bill in bills),
        sold_wh=sum(bill.sold_wh for bill in bills),
        grid_import_wh=sum(bill.grid_import_wh for bill in bills),
        grid_export_wh=sum(bill.grid_export_wh for bill in bills),
        fees_nano=sum(bill.fees_nano for bill in bills),
        lost_deposits_nano=sum(bill.lost_deposits_nano for bill in bills),
        total_nano=sum(bill.total_nano for bill in bills),
        baseline_nano=sum(baseline_nano for _, baseline_nano in papers),
    )


def range_text(prices_micro_per_kwh: tuple[int, int]) -> str:
    """Lowest and highest price, or the one there is, in currency per kWh.

    >>> range_text((320_000, 380_000)), range_text((80_000, 80_000))
    ('0.32 to 0.38', '0.08')
    """
    low, high = (price_text(price) for price in prices_micro_per_kwh)
    return low if low == high else f"{low} to {high}"


def elapsed_s(result: RunResult) -> float:
    """Seconds of the whole run; the sum of its parts where nobody took the time of all."""
    parts = ("inputs", "compilation", "trading", "summary", "report")
    timings = result.timings_s
    return timings.get("total", sum(timings.get(part, 0.0) for part in parts))


def refusals_text(result: RunResult) -> str:
    """Whether transactions were refused, and why, for people."""
    refused = {
        name: count for name, count in result.receipts.items() if name != Verdict.ACCEPTED.name
    }
    if not refused:
        return "all accepted"
    reasons = ", ".join(
        f"{verdict_text(name)} {count_text(count)}" for name, count in sorted(refused.items())
    )
    accepted = result.receipts.get(Verdict.ACCEPTED.name, 0)
    return (
        f"{count_text(accepted)} accepted, {count_text(sum(refused.values()))} refused ({reasons})"
    )


def verdict_text(name: str) -> str:
    """A verdict's name for people.

    >>> verdict_text("NONCE_USED")
    'nonce used'
    """
    return name.lower().replace("_", " ")
