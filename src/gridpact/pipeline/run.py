"""A whole run: inputs, engine, pipeline, and what it came to."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import structlog

from gridpact.codec import decode
from gridpact.errors import invariant
from gridpact.inputs import load_profiles
from gridpact.ledger import Account
from gridpact.market.integer import Orders, clear_auction
from gridpact.model import (
    Bill,
    BillLine,
    BillResult,
    Gains,
    LedgerResult,
    Profiles,
    RunResult,
    Scenario,
    SlotResult,
    TieRule,
)
from gridpact.node import EmbeddedEngine, LedgerStore, SimulatedKeys, Wallet
from gridpact.pipeline.day import DayTrader, Progress, genesis_of
from gridpact.units import money_nano

_log = structlog.get_logger(__name__)


def run_scenario(scenario: Scenario, folder: Path, progress: Progress | None = None) -> RunResult:
    """Trade all days of a scenario on a new ledger.

    Args:
        scenario: what to run.
        folder: where the ledger goes; empty or absent.
        progress: told (slots done, slots in all).
    Raises:
        InputError: the scenario's data are wrong, or there is a ledger in the folder.
        StoreError: the disk refused.
    """
    started = time.perf_counter()
    profiles = load_profiles(scenario)
    loaded = time.perf_counter()
    _compile_kernels()
    compiled = time.perf_counter()
    trader, slots, execution_s = asyncio.run(_trade(scenario, profiles, folder, progress))
    traded = time.perf_counter()
    store = LedgerStore.open(folder, writable=False)
    try:
        books = _Books(scenario, profiles, slots, store)
        result = books.result(dict(sorted(trader.verdicts.items())))
    finally:
        store.close()
    ended = time.perf_counter()
    result.timings_s.update(
        inputs=loaded - started,
        compilation=compiled - loaded,
        clearing=trader.clearing_s,
        ledger=execution_s - trader.clearing_s,
        trading=traded - compiled,
        summary=ended - traded,
    )
    _log.info("run", receipts=result.receipts, sizes=result.sizes, timings_s=result.timings_s)
    return result


def _compile_kernels() -> None:
    """Clear a book of one order each way, so that compiling is not counted as trading."""
    book = Orders.of(price_micro_per_kwh=[1], energy_wh=[1])
    clear_auction(book, book, TieRule.PRO_RATA)


async def _trade(
    scenario: Scenario, profiles: Profiles, folder: Path, progress: Progress | None
) -> tuple[DayTrader, list[SlotResult], float]:
    keys = SimulatedKeys(scenario.seed)
    engine = await EmbeddedEngine.create(folder, genesis_of(scenario, keys))
    try:
        wallet = Wallet(keys, engine.genesis_hash)
        trader = DayTrader(engine, scenario, profiles, wallet)
        slots = await trader.trade(progress)
        return trader, slots, engine.execution_s
    finally:
        await engine.close()


@dataclass(slots=True)
class _Books:
    """Reads a finished run's ledger and adds it up."""

    scenario: Scenario
    profiles: Profiles
    slots: list[SlotResult]
    store: LedgerStore

    def result(self, receipts: dict[str, int]) -> RunResult:
        """Everything a report or another tool wants to know."""
        bills, gains = self._bills()
        system, money_residual = self._accounts()
        tip = self.store.tip()
        invariant(tip is not None, "a finished run has blocks")
        height, last_hash = tip if tip is not None else (0, b"")
        record = self.store.record(height)
        return RunResult(
            scenario=self.scenario,
            engine=record.engine,
            slots=tuple(self.slots),
            bills=tuple(bills),
            gains=gains,
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
            receipts=receipts,
            sizes=self.store.sizes(),
            timings_s={},
            sources=self.profiles.sources,
        )

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

    def _bills(self) -> tuple[list[BillResult], Gains]:
        """Bills by day and participant, with what the same readings cost without a market."""
        baselines, injects = self._baselines()
        bills: list[BillResult] = []
        income = defaultdict(int, {True: 0, False: 0})
        for key, entry in self.store.entries():
            if not isinstance(entry.value, Bill):
                continue
            _, participant, day = key.split("/")
            lines = tuple(decode(BillLine, d.data) for d in self.store.documents(key))
            for line in lines:
                income[injects[participant, line.slot_start_s]] += line.amount_nano
            bills.append(
                BillResult(participant, day, entry.value, lines, baselines[participant, day])
            )
        bills.sort(key=lambda bill: (bill.day, bill.participant_id))
        base = self._baseline_by_direction()
        return bills, Gains(income[True], base[True], -income[False], -base[False])

    def _net(self, row: int, index: int) -> int:
        column = self.profiles.history + index
        return int(self.profiles.pv_wh[row, column] - self.profiles.load_wh[row, column])

    def _outside_nano(self, row: int, index: int) -> int:
        """What one reading comes to with feed-in and retail alone."""
        net = self._net(row, index)
        tariff = self.slots[index].state.tariff
        price = tariff.feed_in_micro_per_kwh if net > 0 else tariff.retail_micro_per_kwh
        return money_nano(price, net)

    def _baselines(self) -> tuple[dict[tuple[str, str], int], dict[tuple[str, int], bool]]:
        baselines: dict[tuple[str, str], int] = defaultdict(int)
        injects: dict[tuple[str, int], bool] = {}
        for row, member in enumerate(self.scenario.members):
            for index, slot in enumerate(self.slots):
                name = member.participant_id
                baselines[name, slot.state.tariff.billing_day] += self._outside_nano(row, index)
                injects[name, slot.slot.start_s] = self._net(row, index) > 0
        return baselines, injects

    def _baseline_by_direction(self) -> dict[bool, int]:
        base = {True: 0, False: 0}
        for row in range(len(self.scenario.members)):
            for index in range(len(self.slots)):
                base[self._net(row, index) > 0] += self._outside_nano(row, index)
        return base
