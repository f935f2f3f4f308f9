"""A whole run of microgrids: an engine, the day, what each would have paid alone, the ledger."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from gridpact.agents.microgrids import ForecastError, MicrogridSites
from gridpact.errors import invariant
from gridpact.ledger import Account
from gridpact.model import LedgerResult, SlotTariff
from gridpact.model.microgrid_day import MicrogridDay, MicrogridSlot
from gridpact.node import LedgerStore, SimulatedKeys, Wallet
from gridpact.node.hosting import hosted
from gridpact.pipeline.microgrids import BargainTrader, Progress, genesis_of_day
from gridpact.settlement import Metered, bargain_lines, deliver, realised_cost_nano


@dataclass(frozen=True, slots=True)
class MicrogridRun:
    """What a day came to; lists by microgrid, money in nano-currency."""

    day: MicrogridDay
    seed: int
    engine: str
    slots: tuple[MicrogridSlot, ...]
    verdicts: dict[str, int]
    money_residual_nano: int
    """Sum of all accounts; 0 when nothing appeared or vanished."""
    ledger: LedgerResult
    timings_s: dict[str, float]


def run_microgrids(
    day: MicrogridDay,
    folder: Path,
    progress: Progress | None = None,
    *,
    seed: int,
    error: ForecastError,
    engine: str,
    validators: int,
) -> MicrogridRun:
    """Trade a day of microgrids on a new ledger.

    Args:
        day: what is really going to happen.
        folder: where the ledger goes; empty or absent.
        progress: told (slots done, slots in all).
        seed: of keys and forecasts.
        error: of the forecasts.
        engine: see `hosted`.
        validators: how many decide.
    Raises:
        InputError: there is a ledger in the folder.
        StoreError: the disk refused.
    """
    started = time.perf_counter()
    alone = alone_costs_nano(day, MicrogridSites(day.truth, error, seed))
    solved = time.perf_counter()
    keys = SimulatedKeys(seed)

    async def trade() -> tuple[list[MicrogridSlot], dict[str, int]]:
        async with hosted(engine, folder, genesis_of_day(day, keys, validators)) as port:
            sites = MicrogridSites(day.truth, error, seed)
            trader = BargainTrader(port, day, sites, Wallet(keys, port.genesis_hash), alone)
            slots = await trader.trade(progress)
            return slots, dict(trader.desk.verdicts)

    slots, verdicts = asyncio.run(trade())
    traded = time.perf_counter()
    ledger, residual = _read_ledger(folder)
    timings = {"alone": solved - started, "trading": traded - solved}
    return MicrogridRun(day, seed, engine, tuple(slots), verdicts, residual, ledger, timings)


def alone_costs_nano(day: MicrogridDay, sites: MicrogridSites) -> tuple[tuple[int, ...], ...]:
    """What the same day costs each microgrid when nobody trades, slot by slot."""
    from gridpact.market.solvers.proposal import plan_alone

    terms, costs = day.terms, []
    for period in range(len(terms.retail_micro_per_kwh)):
        rest = terms.since(period)
        plans = plan_alone(rest, sites.bids(period))
        metered = [Metered(bid.renewable_wh[period], bid.load_wh[period], "") for bid in day.truth]
        tariff = SlotTariff(
            rest.retail_micro_per_kwh[0], rest.feed_in_micro_per_kwh[0], 0, "-", "-"
        )
        lines = bargain_lines(
            market="alone",
            slot_start_s=0,
            tariff=tariff,
            agreements=dict(zip(day.ids, plans, strict=True)),
            metered=dict(zip(day.ids, metered, strict=True)),
        )
        row = []
        for number, name in enumerate(day.ids):
            done = deliver(plans[number], metered[number])
            sites.follow(number, plans[number], done.charged_wh)
            row.append(
                realised_cost_nano(
                    day.truth[number], period, plans[number], metered[number], done, 0, lines[name]
                )
            )
        costs.append(tuple(row))
    return tuple(costs)


def _read_ledger(folder: Path) -> tuple[LedgerResult, int]:
    """Where the ledger stands, and the sum of its accounts."""
    store = LedgerStore.open(folder, writable=False)
    try:
        tip = store.tip()
        invariant(tip is not None, "a finished run has blocks")
        height, last_hash = tip if tip is not None else (0, b"")
        record = store.record(height)
        total = sum(
            entry.value.available_nano + entry.value.escrow_nano
            for _, entry in store.entries()
            if isinstance(entry.value, Account)
        )
        ledger = LedgerResult(
            path=folder,
            height=height,
            transactions=store.counts()["transactions"],
            record_hash=last_hash.hex(),
            state_root=record.state_root.hex(),
            market_state_root=record.market_root.hex(),
        )
    finally:
        store.close()
    return ledger, total
