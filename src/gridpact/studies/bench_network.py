"""Networks of validators on this machine: how many orders per second, and how long one takes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from os import getpid, sysconf
from pathlib import Path
from time import perf_counter

from gridpact.codec import sha256
from gridpact.errors import InputError, invariant
from gridpact.model import Verdict
from gridpact.node import EmbeddedEngine, EnginePort
from gridpact.node.cometbft import find_program
from gridpact.node.devnet import Devnet
from gridpact.studies.load import load_network, put_load, workload_of
from gridpact.studies.workload import Signed, Workload

ORDERS = 20_000
CLIENTS = 4
BATCH = 500
VALIDATORS = 4
REQUESTS = 500
REPLICAS = 3
_PER_S = sysconf("SC_CLK_TCK")
"""Of the numbers in /proc/PID/stat."""

Figures = dict[str, dict[str, float | int | str]]


def bench_network() -> Figures:
    """Orders per second that four validators on this host make durable, by engine.

    Returns:
        orders per second, their ratio to the embedded engine of the same run, and the CPU seconds
        of the processes by program; `client` is the one that hands in.
    """
    embedded = asyncio.run(_embedded_rate())
    figures: Figures = {"embedded": {"orders_per_s": embedded, "ratio": 1.0}}
    for engine in _engines():
        with tempfile.TemporaryDirectory(prefix="gridpact-") as folder:
            network = load_network(Path(folder) / "network", engine, VALIDATORS)
            figures[f"{engine}, {VALIDATORS} validators"] = asyncio.run(_rate(network, embedded))
    return figures


def bench_latency() -> Figures:
    """Milliseconds from handing in an order to its receipt, one at a time, three replicas.

    Returns:
        percentiles through the door of the leader and of another validator; beside them PySyncObj,
        whose client is in the leader's process and whose journal is not synchronised to the disk.
    """
    figures: Figures = {}
    for engine in _engines():
        with tempfile.TemporaryDirectory(prefix="gridpact-") as folder:
            network = load_network(Path(folder) / "network", engine, REPLICAS)
            figures.update(asyncio.run(_latency(network, engine)))
    figures["PySyncObj, in the leader"] = _pysyncobj()
    return figures


def _engines() -> list[str]:
    """Those that are installed."""
    try:
        find_program()
    except InputError:
        return ["raft", "weighted-raft"]
    return ["raft", "weighted-raft", "cometbft"]


async def _embedded_rate() -> float:
    with tempfile.TemporaryDirectory(prefix="gridpact-") as folder:
        workload = Workload(seed=1, members=250)
        engine = await EmbeddedEngine.create(Path(folder) / "ledger", workload.genesis)
        try:
            await workload.open_market(engine)
            return await _orders_per_s(engine, workload.orders(ORDERS))
        finally:
            await engine.close()


async def _orders_per_s(engine: EnginePort, orders: list[Signed]) -> float:
    result = await put_load(engine, orders, clients=CLIENTS, batch=BATCH)
    invariant(result.refused == 0, f"{result.refused} orders were refused")
    return result.per_s


async def _rate(network: Devnet, embedded: float) -> dict[str, float | int | str]:
    network.start()
    try:
        engine = await network.connect(await _leader(network))
        workload = await workload_of(network, engine)
        orders = workload.orders(ORDERS)
        before = _cpu_s(network)
        began = perf_counter()
        rate = await _orders_per_s(engine, orders)
        status = await engine.status()
        await engine.close()
        await network.until_equal(height=status.height)
        elapsed = perf_counter() - began
        used = _cpu_s(network)
    finally:
        network.stop()
    spent = {f"{name}_cpu_s": used[name] - before[name] for name in sorted(used)}
    return {
        "orders_per_s": rate,
        "ratio": rate / embedded,
        "blocks": status.height,
        "until_all_equal_s": elapsed,
        **spent,
    }


async def _leader(network: Devnet) -> str:
    """Whose door to use: the leader's, or the first where nobody leads for long."""
    first = next(iter(network.homes))
    engine = await network.connect(first)
    try:
        status = await engine.status()
        while status.engine != "cometbft" and not status.leader:
            await asyncio.sleep(0.05)
            status = await engine.status()
        return status.leader or first
    finally:
        await engine.close()


async def _latency(network: Devnet, name: str) -> Figures:
    network.start()
    try:
        leader = await _leader(network)
        other = next(home for home in network.homes if home != leader)
        figures: Figures = {}
        for title, door in (("leader's door", leader), ("another's door", other)):
            await network.until_equal()  # reads of CometBFT are of one ledger, which may lag
            engine = await network.connect(door)
            workload = await workload_of(network, engine)
            took = []
            for envelope, sealed in workload.orders(REQUESTS):
                began = perf_counter()
                verdict = await engine.submit(envelope, sealed)
                invariant(verdict == Verdict.ACCEPTED, f"refused: {verdict.name}")
                (receipt,) = await engine.receipts([sha256(envelope)])
                took.append((perf_counter() - began) * 1000)
                invariant(receipt.verdict == Verdict.ACCEPTED, f"refused: {receipt.verdict}")
            await engine.close()
            figures[f"{name}, {title}"] = _percentiles(took)
        return figures
    finally:
        network.stop()


def _percentiles(took_ms: list[float]) -> dict[str, float | int | str]:
    ordered = sorted(took_ms)
    return {
        f"p{percent}_ms": ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
        for percent in (50, 90, 99)
    }


def _cpu_s(network: Devnet) -> Mapping[str, float]:
    """CPU seconds so far of all processes of a network, by program; of this one as `client`."""
    sessions = {network.pid(name) for name in network.running}
    found: defaultdict[str, float] = defaultdict(float)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text()
        except OSError:
            continue  # ended meanwhile
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        if int(fields[3]) in sessions:
            program = "cometbft" if name == "cometbft" else "python"
            found[program] += (int(fields[11]) + int(fields[12])) / _PER_S
        elif path.parent.name == str(getpid()):
            found["client"] += (int(fields[11]) + int(fields[12])) / _PER_S
    return found


def _pysyncobj() -> dict[str, float | int | str]:
    """The same in PySyncObj, where it is installed."""
    command = [sys.executable, "-m", "gridpact.studies.pysyncobj_peer", str(REQUESTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return {"left_out": done.stderr.strip().splitlines()[-1] if done.stderr else "failed"}
    return _percentiles([float(line) for line in done.stdout.split()])
