"""A whole run: inputs, engine, pipeline, and what it came to."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from gridpact.inputs import load_profiles
from gridpact.market.integer import Orders, clear_auction
from gridpact.model import Profiles, RunResult, Scenario, SlotResult, TieRule
from gridpact.node import EmbeddedEngine, LedgerStore, SimulatedKeys, Wallet
from gridpact.pipeline.books import Books
from gridpact.pipeline.day import DayTrader, Progress
from gridpact.pipeline.opening import genesis_of

_log = structlog.get_logger(__name__)


def run_scenario(scenario: Scenario, folder: Path, progress: Progress | None = None) -> RunResult:
    """Trade all days of a scenario on a new ledger.

    Args:
        scenario: what to run.
        folder: where the ledger goes; empty or absent.
        progress: told (slots done, slots in all, the slot that was just done).
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
        result = Books(scenario, profiles, slots, trader, store).result()
    finally:
        store.close()
    ended = time.perf_counter()
    result.timings_s.update(
        inputs=loaded - started,
        compilation=compiled - loaded,
        clearing=trader.clearing_s,
        grid=trader.lines.spent_s if trader.lines is not None else 0.0,
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
