"""A writer killed at random moments: what it acknowledged is on the ledger, whatever happens.

Every round starts a real process that opens the ledger, recovers and writes; SIGKILL ends it after
some acknowledgements and a little while, or while it still starts. Then the ledger is read: all
that was ever acknowledged must be in a block with the verdict that was told, and the whole chain
must audit. Some rounds kill a writer that is creating its ledger.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from typing import IO

from gridpact.errors import GridpactError, InputError
from gridpact.model import Verdict
from gridpact.node import EmbeddedEngine, LedgerStore, audit_ledger
from gridpact.studies.kill_writer import READY, STARTING, workload_of

Progress = Callable[[int, int], None]
"""Told (rounds done, rounds in all)."""

WRITER = (sys.executable, "-m", "gridpact.studies.kill_writer")
ROUNDS_PER_LEDGER = 10
"""A new ledger after so many rounds, so that audits stay short."""
CREATING_EVERY, STARTING_EVERY = 5, 4
"""Of the rounds, which kill a writer that creates its ledger or recovers it."""
ACKNOWLEDGED_MAX = 120
"""Most acknowledgements before a writing process is killed."""
DELAY_MAX_S = 0.05
PATIENCE_S = 60.0
"""How long to wait for a writer before something is called wrong."""
WORKER_PATIENCE_S = 20.0
"""How long a writer's signature worker may live on after it."""


@dataclass(slots=True)
class KillReport:
    """What became of all the writers."""

    rounds: int = 0
    acknowledged: int = 0
    """Transactions that writers said were durable."""
    lost: int = 0
    """Those of them that are in no block, or with another verdict."""
    audits_ok: int = 0
    violations: list[str] = field(default_factory=list)
    """Each with the seed and the round."""
    seconds: float = 0.0


def kill_rounds(
    rounds: int,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
    *,
    writer: Sequence[str] = WRITER,
) -> KillReport:
    """Kill a writer again and again.

    Args:
        rounds: processes to kill.
        seed: of when they are killed and what they write. The moments themselves are those of the
            machine, so a seed does not repeat a run exactly.
        folder: where the ledgers go, each in a folder of its own.
        progress: told (rounds done, rounds in all).
        writer: the command to start; folder and seed follow.
    Returns:
        A report without violations when nothing acknowledged was lost, every ledger could be
        opened and audited, and no process was left behind.
    """
    started = perf_counter()
    report = KillReport()
    random = Random(seed)
    ledger = _Ledger(folder / "ledger-0", seed)
    for number in range(rounds):
        if number and number % ROUNDS_PER_LEDGER == 0:
            _finish(ledger, report)
            ledger = _Ledger(folder / f"ledger-{number}", seed + number)
        if number % CREATING_EVERY == CREATING_EVERY - 1:
            target = _Ledger(folder / f"created-{number}", seed + number)
            found = _round(writer, target, random, report, at_once=True)
            found += _finish(target, report)
        else:
            at_once = random.randrange(STARTING_EVERY) == 0
            found = _round(writer, ledger, random, report, at_once=at_once)
        report.violations += [f"seed {seed}, round {number}: {text}" for text in found]
        report.rounds += 1
        if progress is not None:
            progress(number + 1, rounds)
    report.violations += [f"seed {seed}, at the end: {text}" for text in _finish(ledger, report)]
    report.seconds = perf_counter() - started
    return report


@dataclass(slots=True)
class _Ledger:
    """One folder and what writers said about it."""

    folder: Path
    seed: int
    acknowledged: dict[bytes, int] = field(default_factory=dict)
    """Verdict by transaction id."""


def _round(
    writer: Sequence[str], ledger: _Ledger, random: Random, report: KillReport, *, at_once: bool
) -> list[str]:
    """Start a writer, kill it, look at what it left.

    Args:
        at_once: kill while it opens or creates its ledger, not after acknowledgements.
    """
    lines = 1 if at_once else 2 + random.randint(1, ACKNOWLEDGED_MAX)
    delay_s = random.choice([DELAY_MAX_S, DELAY_MAX_S / 10, DELAY_MAX_S / 100]) * random.random()
    command = [*writer, str(ledger.folder), str(ledger.seed)]
    with subprocess.Popen(  # noqa: S603 - the command is our own writer
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            killed, said, complaint = _killed_after(process, lines, delay_s)
        except TimeoutError as error:
            return [str(error)]
    found = []
    if not killed:
        found.append(f"the writer ended by itself: {complaint[-400:]}")
    elif complaint:
        found.append(f"the writer complained: {complaint[-400:]}")
    for line in said:
        if line not in {STARTING, READY}:
            id_, verdict = line.split()
            ledger.acknowledged[bytes.fromhex(id_)] = int(verdict)
            report.acknowledged += 1
            if int(verdict) != Verdict.ACCEPTED:
                found.append(f"a valid transaction was told {Verdict(int(verdict)).name}")
    return found + _inspected(ledger, report)


def _killed_after(
    process: subprocess.Popen[bytes], lines: int, delay_s: float
) -> tuple[bool, list[str], str]:
    """Kill the writer a while after it has said so many lines.

    Returns:
        whether the kill found it alive, all whole lines it said, and what it wrote to stderr.
    Raises:
        TimeoutError: the writer said too little, or left a process behind: its signature worker
            shares its stderr, which ends only when both are gone.
    """
    if process.stdout is None or process.stderr is None:
        raise TypeError("the writer was started without pipes")
    said, ended = _read(process.stdout, PATIENCE_S, lines)
    enough = said.count(b"\n") >= lines
    if enough:
        more, ended = _read(process.stdout, delay_s)
        said += more
    process.kill()
    if not (enough or ended):
        raise TimeoutError(f"the writer said only {said[-200:]!r} in {PATIENCE_S} s")
    rest, _ = _read(process.stdout, PATIENCE_S)
    complaint, all_gone = _read(process.stderr, WORKER_PATIENCE_S)
    if not all_gone:
        raise TimeoutError(f"a worker outlived its killed writer by {WORKER_PATIENCE_S} s")
    whole, _, _ = (said + rest).rpartition(b"\n")
    return not ended, whole.decode().splitlines(), complaint.decode(errors="replace")


def _read(stream: IO[bytes], patience_s: float, lines: int | None = None) -> tuple[bytes, bool]:
    """What comes until there are so many lines, the stream ends or time is up; did it end?"""
    data = b""
    deadline = perf_counter() + patience_s
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while lines is None or data.count(b"\n") < lines:
            left = deadline - perf_counter()
            if left <= 0 or not selector.select(left):
                break
            piece = os.read(stream.fileno(), 65536)
            if not piece:
                return data, True
            data += piece
    return data, False


def _inspected(ledger: _Ledger, report: KillReport) -> list[str]:
    """What is wrong with a ledger after a kill."""
    try:
        store = LedgerStore.open(ledger.folder, writable=False)
    except InputError as error:
        # Killed before there was a ledger: fine, as long as nothing had been promised.
        lost = len(ledger.acknowledged)
        ledger.acknowledged.clear()
        report.lost += lost
        return [f"{lost} acknowledged, but no ledger: {error}"] if lost else []
    try:
        found = _missing(ledger, store)
    finally:
        store.close()
    report.lost += len(found)
    audit = audit_ledger(ledger.folder)
    report.audits_ok += audit.ok
    return found + [f"audit: {text}" for text in audit.violations]


def _missing(ledger: _Ledger, store: LedgerStore) -> list[str]:
    """Acknowledged transactions that the ledger does not hold as told; each is missed once."""
    found = []
    for id_, verdict in list(ledger.acknowledged.items()):
        held = store.find_transaction(id_)
        if held is None or held[1].verdict != verdict:
            where = "is in no block" if held is None else f"has verdict {held[1].verdict}"
            found.append(f"{id_.hex()} was acknowledged with verdict {verdict} and {where}")
            del ledger.acknowledged[id_]
    return found


def _finish(ledger: _Ledger, report: KillReport) -> list[str]:
    """A ledger that is left behind must still be one that a writer can open, or create."""

    async def reopened() -> None:
        try:
            store = LedgerStore.open(ledger.folder)
        except InputError:
            store = LedgerStore.create(ledger.folder, workload_of(ledger.seed).genesis)
        engine = await EmbeddedEngine.start(store)
        await engine.close()

    try:
        asyncio.run(reopened())
    except GridpactError as error:
        return [f"{ledger.folder} can neither be opened nor created: {error}"]
    return _inspected(ledger, report)
