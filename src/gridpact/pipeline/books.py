"""Reading a finished run's ledger and adding it up."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from gridpact.codec import decode
from gridpact.contracts.keys import slot_carbon_key
from gridpact.errors import invariant
from gridpact.ledger import Account, owner_of
from gridpact.model import (
    Bill,
    BillLine,
    BillResult,
    CarbonLine,
    CarbonMix,
    CarbonResult,
    CarbonStatement,
    CarbonStatementResult,
    CarbonStore,
    CreditNote,
    CreditResult,
    Gains,
    LedgerResult,
    Profiles,
    RunResult,
    Scenario,
    SlotCarbon,
    SlotResult,
)
from gridpact.node import LedgerStore
from gridpact.pipeline.day import DayTrader
from gridpact.pipeline.stored_lines import StoredLines
from gridpact.units import money_nano

if TYPE_CHECKING:
    from gridpact.quantize import IntArray


@dataclass
class Books:
    """A run that is over, and the ledger it left."""

    scenario: Scenario
    profiles: Profiles
    slots: list[SlotResult]
    trader: DayTrader
    store: LedgerStore

    def result(self) -> RunResult:
        """Everything a report or another tool wants to know."""
        income: dict[bool, int] = {True: 0, False: 0}
        bills = self._bills(income)
        notes = self._credits(income)
        base = self._baseline_by_direction()
        system, money_residual = self._accounts()
        tip = self.store.tip()
        invariant(tip is not None, "a finished run has blocks")
        height, last_hash = tip if tip is not None else (0, b"")
        record = self.store.record(height)
        trader = self.trader
        return RunResult(
            scenario=self.scenario,
            engine=record.engine,
            slots=tuple(self.slots),
            bills=tuple(bills),
            credits=tuple(notes),
            fullest_book=trader.fullest_book,
            grid=trader.lines.result() if trader.lines is not None else None,
            homes=trader.population.homes(),
            forecast=trader.population.forecast_errors(),
            carbon=self._carbon(),
            gains=Gains(income[True], base[True], -income[False], -base[False]),
            energy_residual_wh=sum(
                abs(slot.metered_net_wh - (slot.state.grid_export_wh - slot.state.grid_import_wh))
                for slot in self.slots
            ),
            money_residual_nano=money_residual,
            system_nano=system,
            ledger=LedgerResult(
                path=self.store.folder,
                height=height,
                transactions=self.store.counts()["transactions"],
                record_hash=last_hash.hex(),
                state_root=record.state_root.hex(),
                market_state_root=record.market_root.hex(),
            ),
            receipts=dict(sorted(trader.desk.verdicts.items())),
            sizes=self.store.sizes(),
            timings_s={},
            sources=self.profiles.sources,
            remarks=(*self.profiles.remarks, *self._left_out()),
        )

    def _left_out(self) -> list[str]:
        """What the day went on without, in words."""
        collapsed = [
            slot.slot.start_s
            for slot in self.slots
            if slot.grid is not None and slot.grid.vm_min_pu is None
        ]
        remarks = []
        if collapsed:
            remarks.append(
                f"{len(collapsed)} slots have no power flow: the network cannot carry their load"
            )
        unlearned = self.trader.population.unlearned_days
        if unlearned:
            remarks.append(
                f"{unlearned} of {len(self.profiles.days)} days were forecast as a week before: "
                "learning needs 14 days of history; set season_days to 14 or more"
            )
        if self.trader.carbon is not None:
            remarks.extend(self.trader.carbon.untraced)
        if self.trader.lines is not None:
            remarks.extend(self.trader.lines.result().unsupplied)
        return remarks

    def _accounts(self) -> tuple[dict[str, int], int]:
        """Balances of system accounts, and the sum over all accounts."""
        system: dict[str, int] = {}
        total = 0
        for key, entry in self.store.entries():
            if isinstance(entry.value, Account):
                balance = entry.value.available_nano + entry.value.escrow_nano
                total += balance
                if key.startswith("system/"):
                    system[key.removeprefix("system/")] = balance
        return system, total

    def _bills(self, income: dict[bool, int]) -> list[BillResult]:
        """Bills by day and participant, with what the same readings cost without a market.

        Adds their lines to `income`, by whether the participant injected in the slot.
        """
        baselines = self._baselines()
        bills: list[BillResult] = []
        for key, entry in self.store.entries():
            if isinstance(entry.value, Bill):
                _, participant, day = key.split("/")
                lines = self._lines(key, participant, income)
                baseline = baselines[participant, day]
                bills.append(BillResult(participant, day, entry.value, lines, baseline))
        return sorted(bills, key=lambda bill: (bill.day, bill.participant_id))

    def _credits(self, income: dict[bool, int]) -> list[CreditResult]:
        """Credit notes by day and participant; adds their lines to `income` too."""
        notes: list[CreditResult] = []
        for key, entry in self.store.entries():
            if isinstance(entry.value, CreditNote):
                _, participant, day = key.split("/")
                lines = self._lines(key, participant, income)
                notes.append(CreditResult(participant, day, entry.value, lines))
        return sorted(notes, key=lambda note: (note.day, note.participant_id))

    def _carbon(self) -> CarbonResult | None:
        """Slots, statements and storages, and whether they agree."""
        desk = self.trader.carbon
        if desk is None:
            return None
        entries = dict(self.store.entries())
        market = self.scenario.market_id
        found = [entries.get(slot_carbon_key(market, each.slot.start_s)) for each in self.slots]
        slots = [
            entry.value if entry is not None and isinstance(entry.value, SlotCarbon) else None
            for entry in found
        ]
        statements, held_ug = [], {}
        for key, entry in entries.items():
            if isinstance(entry.value, CarbonStatement):
                _, participant, day = key.split("/")
                count = entry.value.lines
                lines = StoredLines(self.store.folder, key, count, CarbonLine)
                statements.append(CarbonStatementResult(participant, day, entry.value, lines))
            elif isinstance(entry.value, CarbonStore):
                held_ug[owner_of(key)] = entry.value.held_ug
        statements.sort(key=lambda each: (each.day, each.participant_id))
        traced = [slot for slot in slots if slot is not None]
        stated = [each.statement for each in statements]
        stored_ug = sum(slot.charged_ug - slot.discharged_ug for slot in traced)
        residual_ug = (
            sum(abs(slot.residual_ug) for slot in traced)
            + abs(sum(slot.load_ug for slot in traced) - sum(one.load_ug for one in stated))
            + abs(stored_ug - sum(one.charged_ug - one.discharged_ug for one in stated))
            + abs(stored_ug - sum(held_ug.values()))
        )
        return CarbonResult(
            tuple(slots),
            tuple(statements),
            held_ug,
            residual_ug,
            tuple(desk.untraced),
            CarbonMix(desk.import_share, desk.storage_share, desk.mixed),
        )

    def _lines(
        self, series: str, participant: str, income: dict[bool, int]
    ) -> StoredLines[BillLine]:
        """Add the lines of a bill or credit note to `income`; they stay in the ledger."""
        lines = [decode(BillLine, document.data) for document in self.store.documents(series)]
        row, first_s = self._row[participant], self.slots[0].slot.start_s
        for line in lines:
            index = (line.slot_start_s - first_s) // self.scenario.slot_length_s
            income[bool(self._net[row, index] > 0)] += line.amount_nano
        return StoredLines(self.store.folder, series, len(lines), BillLine)

    def _baselines(self) -> dict[tuple[str, str], int]:
        """What each participant's readings of a day come to with feed-in and retail alone."""
        baselines: dict[tuple[str, str], int] = defaultdict(int)
        for member in self.scenario.members:
            name = member.participant_id
            for index, slot in enumerate(self.slots):
                baselines[name, slot.state.tariff.billing_day] += self._outside_nano(
                    self._row[name], index
                )
        return baselines

    def _outside_nano(self, row: int, index: int) -> int:
        """What one reading comes to with feed-in and retail alone."""
        net_wh = int(self._net[row, index])
        tariff = self.slots[index].state.tariff
        price = tariff.feed_in_micro_per_kwh if net_wh > 0 else tariff.retail_micro_per_kwh
        return money_nano(price, net_wh)

    def _baseline_by_direction(self) -> dict[bool, int]:
        base = {True: 0, False: 0}
        for row in range(len(self.scenario.members)):
            for index in range(len(self.slots)):
                base[bool(self._net[row, index] > 0)] += self._outside_nano(row, index)
        return base

    @property
    def _net(self) -> IntArray:
        """What the meters saw, shape (members, slots)."""
        return self.trader.population.metered_wh

    @cached_property
    def _row(self) -> dict[str, int]:
        """Row of each member."""
        return {m.participant_id: row for row, m in enumerate(self.scenario.members)}
