"""A broken validator: it reads from its own ledger without asking how far the others are."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from gridpact.node.raft import serve
from gridpact.node.raft.engine import RaftEngine


async def _at_once(_: RaftEngine) -> None:
    """No barrier."""


if __name__ == "__main__":
    RaftEngine._barrier = _at_once  # type: ignore[method-assign]
    asyncio.run(serve(Path(sys.argv[1])))
