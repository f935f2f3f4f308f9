"""Validators in processes of their own, clients that write and read, and one fault after another.

Each round: clients work, a fault strikes and is mended, every client must get an answer again, all
validators must come to one height with one record. Then what clients saw is held against every
ledger. After some rounds the network is stopped, its ledgers are audited, and a new one begins.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

import msgspec

from gridpact.errors import GridpactError
from gridpact.node import audit_ledger
from gridpact.node.devnet import PROGRAM
from gridpact.studies.fault_clients import SLOTS, FaultClient
from gridpact.studies.fault_history import History, read_chain, whole_chain
from gridpact.studies.fault_kinds import FAULTS, Fault, left_out
from gridpact.studies.fault_network import FaultNetwork
from gridpact.studies.workload import Workload

ROUNDS_PER_NETWORK = 10
CLIENTS = 6
BEFORE_S = (0.2, 0.8)
"""How long clients work before a fault."""
MENDED_WITHIN_S = 30.0
"""After a fault is over: until every client has an answer, and until all are at one height."""
NETWORKS_KEPT_MAX = 5
"""So many networks with violations end a run."""
OPEN_WITHIN_S = 60.0


@dataclass(slots=True)
class FaultTally:
    """What became of the rounds with one fault."""

    rounds: int = 0
    acknowledged: int = 0
    """Transactions in blocks, as clients were told."""
    leader_changes: int = 0
    longest_gap_s: float = 0.0
    """Longest time in which no client was told of a decision."""
    lost: int = 0
    """Transactions that were acknowledged and that a ledger does not hold."""
    violations: int = 0


@dataclass(slots=True)
class FaultReport:
    """What became of all rounds."""

    engine: str
    validators: int
    seed: int
    rounds: int = 0
    faults: dict[str, FaultTally] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    """Faults that could not be had here, each with the reason."""
    acknowledged: int = 0
    refused: int = 0
    """Transactions that a validator turned away for good; their clients wrote others."""
    reads: int = 0
    lost: int = 0
    audits_ok: int = 0
    violations: list[str] = field(default_factory=list)
    """Each with the seed and the round."""
    kept: list[str] = field(default_factory=list)
    """Folders of networks with violations."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class FaultRequest:
    """What to do."""

    engine: str
    validators: int
    rounds: int
    seed: int
    first: int = 0
    """Number of the first round: a later one repeats the same faults."""
    only: Sequence[str] = ()
    """Names of faults; empty for all."""
    program: Sequence[str] = PROGRAM
    """What runs a validator."""


Progress = Callable[[int, int, str], None]
"""Told (rounds done, rounds in all, what is done now)."""


async def fault_rounds(
    request: FaultRequest, folder: Path, progress: Progress | None = None
) -> FaultReport:
    """Do it.

    Args:
        request: what to do. A seed repeats the faults of a round and when they come, not what the
            machine makes of them.
        folder: where networks go, each in a folder of its own; those with violations stay.
        progress: told how far it is.
    Returns:
        A report without violations when nothing acknowledged was lost, nothing refused was
        executed, all that clients saw was linearizable, every fault was survived and all audits
        agree.
    Raises:
        InputError: no such engine, or its program is not installed.
    """
    began_s = monotonic()
    report = FaultReport(request.engine, request.validators, request.seed)
    number = request.first
    last = request.first + request.rounds
    while number < last and len(report.kept) < NETWORKS_KEPT_MAX:
        stretch = range(number, min(number + ROUNDS_PER_NETWORK, last))
        trial = _Trial(request, folder / f"network-{number}", report, progress)
        number = await trial.run(stretch)
    report.seconds = monotonic() - began_s
    return report


def drawn(faults: Sequence[Fault], seed: int, number: int) -> Fault:
    """The fault of a round: all come once, in an order of chance, before one comes again."""
    deck = list(faults)
    Random(f"{seed} deck {number // len(deck)}").shuffle(deck)
    return deck[number % len(deck)]


class _Trial:
    """One network and the rounds that it goes through."""

    def __init__(
        self, request: FaultRequest, folder: Path, report: FaultReport, progress: Progress | None
    ) -> None:
        self._request, self._folder, self._report = request, folder, report
        self._progress = progress or (lambda _done, _rounds, _what: None)
        names = [f"validator-{number}" for number in range(request.validators)]
        self._workload = Workload(request.seed, CLIENTS, orders_per_slot=1000, validators=names)
        self._history = History()
        self._clients: list[FaultClient] = []

    async def run(self, numbers: range) -> int:
        """Go through rounds until something is wrong; returns the number after the last."""
        request, report = self._request, self._report
        chance = Random(f"{request.seed} network {numbers.start}")
        self._network = await FaultNetwork.create(
            self._folder, self._workload.genesis, request.engine, chance
        )
        self._network.devnet.program = request.program
        report.left_out = left_out(self._network)
        self._faults = [
            fault
            for fault in FAULTS
            if fault.name not in report.left_out
            and (not request.only or fault.name in request.only)
        ]
        found: list[str] = []
        tasks = []
        number = numbers.start
        try:
            self._network.start()
            found = await self._open()
            if not found:
                self._clients = [
                    FaultClient(n, self._network.devnet, self._workload, self._history, chance)
                    for n in range(CLIENTS)
                ]
                tasks = [asyncio.create_task(client.run()) for client in self._clients]
                tasks.append(asyncio.create_task(self._network.watch()))
            while number < numbers.stop and not found:
                found = await self._round(number, tasks)
                number += 1
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._network.close()
        found += await self._finish(number)
        report.acknowledged += self._history.acknowledged
        report.refused += sum(write.refusal is not None for write in self._history.writes)
        report.reads += len(self._history.nonce_reads) + len(self._history.height_reads)
        if found:
            self._keep()
        else:
            await asyncio.to_thread(shutil.rmtree, self._folder)
        return max(number, numbers.start + 1)

    async def _open(self) -> list[str]:
        """Members with money, and slots in which they may place orders."""
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                engine = await self._network.devnet.connect()
                try:
                    await self._workload.open_market(engine, SLOTS)
                finally:
                    await engine.close()
                await self._network.devnet.until_equal(wait_s=OPEN_WITHIN_S)
                await self._network.look()
        except (GridpactError, TimeoutError) as error:
            return self._blamed(-1, [f"a network did not begin: {error}"])
        return []

    async def _round(self, number: int, tasks: list[asyncio.Task[None]]) -> list[str]:
        """One round; what is wrong after it."""
        request, network, report = self._request, self._network, self._report
        fault = drawn(self._faults, request.seed, number)
        chance = Random(f"{request.seed} round {number}")
        self._progress(report.rounds, request.rounds, f"round {number}: {fault.name}")
        network.say(f"round {number}: {fault.name}")
        tally = report.faults.setdefault(fault.name, FaultTally())
        writes, leaders = len(self._history.writes), len(network.leaders)
        began_us = monotonic() * 1e6
        for client in self._clients:
            client.allowed.set()
        await asyncio.sleep(chance.uniform(*BEFORE_S))
        await fault.act(network, chance)
        found = network.complaints()
        network.heal()
        found += await self._quiet()
        found += network.complaints()
        found += [text for task in tasks if task.done() for text in _raised(task)]
        for client in self._clients:
            found += client.faults
            client.faults = []
        done = [write for write in self._history.writes[writes:] if write.receipt is not None]
        ends = sorted([began_us, *(write.ended_us for write in done)])
        gaps = [(b - a) / 1e6 for a, b in itertools.pairwise(ends)]
        tally.rounds += 1
        tally.acknowledged += len(done)
        tally.leader_changes += len(network.leaders) - leaders
        tally.longest_gap_s = max(tally.longest_gap_s, *gaps, 0.0)
        if not found:
            found = await self._compared(tally)
        tally.violations += len(found)
        report.rounds += 1
        return self._blamed(number, found)

    async def _quiet(self) -> list[str]:
        """Wait until every client has an answer from now on, let them end, wait for one height."""
        network = self._network
        try:
            async with asyncio.timeout(MENDED_WITHIN_S):
                await asyncio.gather(*(client.until_answered() for client in self._clients))
                for client in self._clients:
                    client.allowed.clear()
                for client in self._clients:
                    await client.idle.wait()
        except TimeoutError:
            for client in self._clients:
                client.allowed.clear()
            waits = ", ".join(c.doing for c in self._clients if not c.idle.is_set())
            states = "; ".join(str(status) for status in await network.statuses())
            return [f"no answer within {MENDED_WITHIN_S:.0f} s: {waits}; validators: {states}"]
        try:
            await network.devnet.until_equal(wait_s=MENDED_WITHIN_S)
        except GridpactError as error:
            return [str(error)]
        return []

    async def _compared(self, tally: FaultTally) -> list[str]:
        """What clients saw against the ledgers of all validators."""
        chains = {}
        for name in self._network.names:
            try:
                ledger = self._network.devnet.ledger(name)
                chains[name] = await asyncio.to_thread(read_chain, ledger)
            except GridpactError as error:
                return [f"{name}: {error}"]
        whole = whole_chain(chains)
        lost = max(len(self._history.lost(chain, whole)) for chain in chains.values())
        tally.lost += lost
        self._report.lost += lost
        return await asyncio.to_thread(self._history.violations, chains)

    async def _finish(self, number: int) -> list[str]:
        """The audit of all ledgers, which nobody uses any more."""
        found, roots = [], set()
        for name in self._network.names:
            try:
                ledger = self._network.devnet.ledger(name)
                audit = await asyncio.to_thread(audit_ledger, ledger)
            except GridpactError as error:
                found.append(f"audit of {name}: {error}")
                continue
            self._report.audits_ok += audit.ok
            found += [f"audit of {name}: {text}" for text in audit.violations]
            roots.add((audit.height, audit.record_hash, audit.market_state_root))
        if len(roots) > 1 and not self._report.violations:
            found.append(f"audits end differently: {sorted(roots)}")
        return self._blamed(number - 1, found)

    def _blamed(self, number: int, found: list[str]) -> list[str]:
        where = f"seed {self._request.seed}, round {number}"
        texts = [f"{where}: {text}" for text in found]
        self._report.violations += texts
        return texts

    def _keep(self) -> None:
        """Leave the folder, with what was done and seen."""
        self._report.kept.append(str(self._folder))
        actions = "\n".join(self._network.actions) + "\n"
        (self._folder / "actions.txt").write_text(actions)
        with (self._folder / "seen.jsonl").open("wb") as file:
            history = self._history
            for seen in (*history.writes, *history.nonce_reads, *history.height_reads):
                file.write(msgspec.json.encode(seen) + b"\n")


def _raised(task: asyncio.Task[None]) -> list[str]:
    """What ended a task that nobody has cancelled."""
    error = None if task.cancelled() else task.exception()
    return [] if error is None else [f"the driver itself failed: {error!r}"]
