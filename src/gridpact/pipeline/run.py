"""A whole run: inputs, engine, pipeline, and what it came to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import structlog

from gridpact.contracts.genesis import Genesis
from gridpact.inputs import load_profiles
from gridpact.market.integer import Orders, clear_auction
from gridpact.model import Profiles, RunResult, Scenario, SlotResult, TieRule
from gridpact.node import EmbeddedEngine, EnginePort, LedgerStore, SimulatedKeys, Wallet
from gridpact.node.engines import EMBEDDED
from gridpact.node.hosting import hosted
from gridpact.pipeline.books import Books
from gridpact.pipeline.day import DayTrader, Progress
from gridpact.pipeline.opening import genesis_of

_log = structlog.get_logger(__name__)


def run_scenario(
    scenario: Scenario,
    folder: Path,
    progress: Progress | None = None,
    *,
    engine: str = EMBEDDED,
    validators: int = 1,
) -> RunResult:
    """Trade all days of a scenario on a new ledger.

    Args:
        scenario: what to run.
        folder: where the ledger goes; empty or absent.
        engine: see `hosted`.
        validators: how many decide.
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
    host = partial(hosted, engine, folder)
    trader, slots, execution_s = asyncio.run(_trade(scenario, profiles, host, progress, validators))
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
        trading=traded - compiled,
        summary=ended - traded,
    )
    if execution_s is not None:
        result.timings_s["ledger"] = execution_s - trader.clearing_s
    _log.info("run", receipts=result.receipts, sizes=result.sizes, timings_s=result.timings_s)
    return result


def _compile_kernels() -> None:
    """Clear a book of one order each way, so that compiling is not counted as trading."""
    book = Orders.of(price_micro_per_kwh=[1], energy_wh=[1])
    clear_auction(book, book, TieRule.PRO_RATA)


async def _trade(
    scenario: Scenario,
    profiles: Profiles,
    host: Callable[[Genesis], AbstractAsyncContextManager[EnginePort]],
    progress: Progress | None,
    validators: int,
) -> tuple[DayTrader, list[SlotResult], float | None]:
    """The trader, its slots, and what execution took where it took place in this process."""
    keys = SimulatedKeys(scenario.seed)
    async with host(genesis_of(scenario, keys, validators)) as engine:
        wallet = Wallet(keys, engine.genesis_hash)
        trader = DayTrader(engine, scenario, profiles, wallet)
        slots = await trader.trade(progress)
        spent = engine.execution_s if isinstance(engine, EmbeddedEngine) else None
        return trader, slots, spent
