"""The process that `kill` kills: it writes on a ledger and says what was acknowledged.

Run as `python -m gridpact.studies.kill_writer FOLDER SEED`. One line per event goes to standard
output, unbuffered: `starting` before the folder is touched, `ready` when the engine runs, then
`<transaction id> <verdict>` after each receipt. It goes on until somebody ends it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from gridpact.codec import sha256
from gridpact.errors import InputError, invariant
from gridpact.model import Verdict
from gridpact.node import EmbeddedEngine, LedgerStore
from gridpact.studies.workload import Workload, reader

STARTING, READY = "starting", "ready"
MEMBERS = 4
SLOTS, ORDERS = 1, 8
"""Of one window of the workload, and of one of its batches: small, so that phases come often."""


def workload_of(seed: int) -> Workload:
    """The population that writes on the ledger of this seed."""
    return Workload(seed, MEMBERS)


def write(folder: Path, seed: int, store_type: type[LedgerStore]) -> None:
    """Continue the ledger in `folder`, or create it, and write without end."""
    asyncio.run(_write(folder, seed, store_type))


async def _write(folder: Path, seed: int, store_type: type[LedgerStore]) -> None:
    workload = workload_of(seed)
    _say(STARTING)
    try:
        store = store_type.open(folder)
    except InputError:
        store = store_type.create(folder, workload.genesis)
    engine = await EmbeddedEngine.start(store)
    _say(READY)
    for batch in workload.batches(reader(engine), slots=SLOTS, size=ORDERS):
        ids = []
        for envelope, sealed in batch:
            verdict = await engine.submit(envelope, sealed)
            invariant(verdict == Verdict.ACCEPTED, f"a valid transaction was told {verdict.name}")
            ids.append(sha256(envelope))
        for id_ in ids:
            (outcome,) = await engine.receipts([id_])
            _say(f"{id_.hex()} {int(outcome.verdict)}")


def _say(line: str) -> None:
    """One write, so that a line is in the pipe whole or not at all."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), LedgerStore)
