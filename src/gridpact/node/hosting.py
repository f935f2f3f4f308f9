"""Where a run trades: the embedded engine, or a network of validators on this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gridpact.contracts.genesis import Genesis
from gridpact.node.devnet import Devnet
from gridpact.node.embedded import EmbeddedEngine
from gridpact.node.engines import EMBEDDED
from gridpact.node.port import EnginePort

NETWORK = "network"
"""Folder of the validators, beside the ledger."""


@asynccontextmanager
async def hosted(engine: str, folder: Path, genesis: Genesis) -> AsyncIterator[EnginePort]:
    """An engine on a new ledger, until the block ends; the ledger is then at its place.

    Args:
        engine: `embedded`, or one of `NETWORK_ENGINES`; those start a process for each validator.
        folder: of the ledger, empty or absent. A network leaves a copy of its first validator's
            there, and the validators' own folders beside it.
        genesis: of the chain.
    Raises:
        InputError: there is a ledger, or the engine is not installed.
        StoreError: the disk refused.
        GridpactError: the validators did not come up, or did not agree in the end.
    """
    if engine == EMBEDDED:
        embedded = await EmbeddedEngine.create(folder, genesis)
        try:
            yield embedded
        finally:
            await embedded.close()
        return
    network = await asyncio.to_thread(Devnet.create, folder.with_name(NETWORK), genesis, engine)
    try:
        network.start()
        remote = await network.connect()
        try:
            yield remote
            height = (await remote.status()).height
        finally:
            await remote.close()
        await network.until_equal(height=height)
        await asyncio.to_thread(network.stop)
    finally:
        await asyncio.to_thread(network.stop)
    await asyncio.to_thread(shutil.copytree, network.ledger(), folder)
