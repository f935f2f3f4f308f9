"""How many signed orders per second become durable in the embedded ledger."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from time import perf_counter

from gridpact.codec import sha256
from gridpact.errors import invariant
from gridpact.model import Verdict
from gridpact.node import EmbeddedEngine
from gridpact.studies.verify_rate import verify_rate
from gridpact.studies.workload import Workload

ORDERS = 20_000
MEMBERS = 250
BURST = 2_000
"""Orders sent before the next receipts are awaited, as many clients together would have it."""


def bench_ledger() -> dict[str, dict[str, float | int]]:
    """Send signed orders from many members and wait until each is durable.

    Returns:
        orders per second with signatures, execution, state tree and disk; blocks; and as baseline
        the time in which one core only checks as many signatures. `ratio` is the share of that
        rate which the ledger reaches.
    """
    before = verify_rate()
    with tempfile.TemporaryDirectory() as folder:
        seconds, execution_s, blocks = asyncio.run(_measure(Path(folder) / "ledger"))
    rate = max(before, verify_rate())
    baseline_s = ORDERS / rate
    return {
        f"{ORDERS} orders of {MEMBERS} members": {
            "orders_per_s": ORDERS / seconds,
            "verify_per_s_one_core": rate,
            "blocks": blocks,
            "execution_and_disk_s": execution_s,
            "baseline_s": baseline_s,
            "ours_s": seconds,
            "ratio": baseline_s / seconds,
        }
    }


async def _measure(folder: Path) -> tuple[float, float, int]:
    """Seconds in all, seconds of them executing and storing, and blocks made."""
    workload = Workload(seed=1, members=MEMBERS)
    engine = await EmbeddedEngine.create(folder, workload.genesis)
    try:
        await workload.open_market(engine)
        orders = workload.orders(ORDERS)
        height, execution_s = engine.application.height, engine.execution_s
        started = perf_counter()
        for first in range(0, ORDERS, BURST):
            burst = orders[first : first + BURST]
            for envelope, sealed in burst:
                await engine.submit(envelope, sealed)
        receipts = await engine.receipts([sha256(envelope) for envelope, _ in orders])
        seconds = perf_counter() - started
        accepted = sum(receipt.verdict == Verdict.ACCEPTED for receipt in receipts)
        invariant(accepted == ORDERS, f"only {accepted} of {ORDERS} orders were accepted")
        return seconds, engine.execution_s - execution_s, engine.application.height - height
    finally:
        await engine.close()
