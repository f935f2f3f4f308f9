"""What tests of the engine start with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.raft.engine_rig import WAITS_S, Rig, Run
from tests.unit.node.raft.ledgers import new_ledger


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def run(tmp_path: Path, bench: Bench) -> Run:
    def started(work: Callable[[Rig], Awaitable[None]]) -> None:
        async def whole() -> None:
            rig = Rig(new_ledger(tmp_path / "ledger", bench), bench)
            try:
                async with asyncio.timeout(WAITS_S):
                    await work(rig)
            finally:
                await rig.engine.close()
                rig.ledger.close()

        asyncio.run(whole())

    return started
