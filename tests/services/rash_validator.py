"""A broken validator: it gives a receipt for whatever it has taken in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node.raft import serve
from gridpact.node.raft.engine import RaftEngine


async def _at_once(_: RaftEngine, ids: Sequence[bytes]) -> list[Receipt]:
    return [Receipt(transaction, int(Verdict.ACCEPTED), b"") for transaction in ids]


if __name__ == "__main__":
    RaftEngine.receipts = _at_once  # type: ignore[assignment]
    asyncio.run(serve(Path(sys.argv[1])))
