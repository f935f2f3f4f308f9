"""Load on a running network: signed orders through the doors of its validators."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from gridpact.contracts.genesis import genesis_hash
from gridpact.errors import InputError, Problem
from gridpact.model import Verdict
from gridpact.node import EnginePort
from gridpact.node.devnet import Devnet
from gridpact.studies.workload import Signed, Workload, send

SEED = 1
MEMBERS = 250
SLOTS = 8
ORDERS_PER_SLOT = 200
"""Of one member in each of the open slots: 400,000 orders in all."""
ORDERS_MAX = MEMBERS * SLOTS * ORDERS_PER_SLOT
READ_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What a load came to."""

    accepted: int
    refused: int
    seconds: float
    """From the first submission to the last receipt."""
    latencies_ms: list[float]
    """From handing in a batch to its receipts, shortest first."""

    @property
    def per_s(self) -> float:
        """Orders that became durable per second."""
        return self.accepted / self.seconds

    def latency_ms(self, percent: int) -> float:
        """A percentile of the latencies."""
        place = len(self.latencies_ms) * percent // 100
        return self.latencies_ms[min(len(self.latencies_ms) - 1, place)]


def validator_names(count: int) -> list[str]:
    """Names of the validators of a network for load."""
    return [f"validator-{number + 1}" for number in range(count)]


def _population(validators: Sequence[str]) -> Workload:
    return Workload(SEED, MEMBERS, orders_per_slot=ORDERS_PER_SLOT, validators=validators)


def load_network(folder: Path, engine: str, validators: int, *, trace: bool = False) -> Devnet:
    """Folders of a network that load can be put on; its parties' keys come from a seed.

    Args:
        folder: empty or absent.
        engine: see `Devnet.create`.
        validators: how many.
        trace: see `Devnet.create`.
    Raises:
        InputError: the folder is not empty, or there is no such engine.
    """
    workload = _population(validator_names(validators))
    return Devnet.create(folder, workload.genesis, engine, trace=trace)


def found_network(folder: Path) -> Devnet:
    """The network that `load_network` has made.

    Raises:
        InputError: there is none in the folder.
    """
    homes = sorted(path.parent for path in folder.glob("*/node.json"))
    if not homes:
        raise InputError([Problem(str(folder), "holds no network; `gridpact devnet` makes one")])
    return Devnet(homes)


async def workload_of(network: Devnet, engine: EnginePort) -> Workload:
    """The population of a running network, at the point where it stands, its market open.

    Raises:
        InputError: the network was not made for load.
    """
    workload = _population(list(network.homes))
    if genesis_hash(workload.genesis) != engine.genesis_hash:
        where = str(network.ledger().parent.parent)
        raise InputError([Problem(where, "is not a network that `gridpact devnet` made for load")])
    keys = workload.resumed_from(SLOTS)
    values = []
    for first in range(0, len(keys), READ_BATCH):
        values += await engine.values(keys[first : first + READ_BATCH])
    held = dict(zip(keys, values, strict=True))
    workload.resume(held.get, SLOTS)
    if workload.phase == 0:
        await workload.open_market(engine, SLOTS)
    return workload


async def put_load(
    engine: EnginePort, orders: Sequence[Signed], *, clients: int, batch: int
) -> LoadResult:
    """Hand in orders and wait until each is durable or refused.

    Args:
        engine: one door to the network.
        orders: in the order of their senders' nonces.
        clients: how many hand in at a time.
        batch: orders that each hands in before it waits for their receipts.
    """
    rest = iter(range(0, len(orders), batch))
    latencies: list[float] = []
    verdicts: list[Verdict] = []

    async def client() -> None:
        for first in rest:
            began = perf_counter()
            verdicts.extend(await send(engine, orders[first : first + batch]))
            latencies.append((perf_counter() - began) * 1000)

    began = perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    seconds = perf_counter() - began
    accepted = sum(verdict == Verdict.ACCEPTED for verdict in verdicts)
    return LoadResult(accepted, len(verdicts) - accepted, seconds, sorted(latencies))
