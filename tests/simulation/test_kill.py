"""Killed writers lose nothing that they acknowledged, and twins that cheat are found out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from gridpact.codec import sha256
from gridpact.errors import StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.model import Verdict
from gridpact.node import EmbeddedEngine, LedgerStore, audit_ledger
from gridpact.studies import kill
from gridpact.studies.kill import ROUNDS_PER_LEDGER, KillReport, kill_rounds
from gridpact.studies.kill_writer import READY, STARTING
from gridpact.studies.workload import Workload, send

ROUNDS = 20
TWIN_ROUNDS = 4
"""Within so many rounds a writer that acknowledges too early must be found out."""
LATE_WRITER = Path(__file__).with_name("late_writer.py")


def check(report: KillReport, rounds: int) -> None:
    assert report.violations == []
    assert report.rounds == rounds
    assert report.lost == 0
    assert report.acknowledged > 10 * rounds
    assert report.audits_ok >= rounds // 2


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    report = kill_rounds(ROUNDS, 1, tmp_path, lambda *done: told.append(done))
    check(report, ROUNDS)
    assert told[-1] == (ROUNDS, ROUNDS)
    assert len(list(tmp_path.glob("ledger-*"))) == ROUNDS // ROUNDS_PER_LEDGER


def test_early_acknowledgement_is_found_out(tmp_path: Path) -> None:
    """The broken twin: its ledgers audit well, and yet transactions are missing."""
    writer = (sys.executable, str(LATE_WRITER))
    report = kill_rounds(TWIN_ROUNDS, 1, tmp_path, writer=writer)
    assert report.lost > 0
    assert any("was acknowledged" in text for text in report.violations)
    assert not any("audit" in text for text in report.violations)


def script(folder: Path, name: str, *lines: str) -> tuple[str, str]:
    path = folder / name
    path.write_text("\n".join(lines))
    return sys.executable, str(path)


def test_process_left_behind_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A twin whose worker does not notice that its writer is gone, as long as a pipe is open."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    pipe = os.open(fifo, os.O_RDWR)
    worker = script(tmp_path, "worker.py", "import sys", "open(sys.argv[1]).read()")
    writer = script(
        tmp_path,
        "writer.py",
        "import subprocess",
        f"subprocess.Popen({[*worker, str(fifo)]!r}, stdout=subprocess.DEVNULL)",
        f"print('{STARTING}\\n' + '{READY}\\n' * 200, flush=True)",
        "while True: pass",
    )
    monkeypatch.setattr(kill, "WORKER_PATIENCE_S", 1.0)
    report = kill_rounds(1, 1, tmp_path / "ledgers", writer=writer)
    os.close(pipe)
    assert report.violations == ["seed 1, round 0: a worker outlived its killed writer by 1.0 s"]


def test_writer_that_ends_by_itself_is_found_out(tmp_path: Path) -> None:
    writer = script(tmp_path, "writer.py", "raise SystemExit('no ledger today')")
    report = kill_rounds(1, 1, tmp_path / "ledgers", writer=writer)
    assert report.violations == ["seed 1, round 0: the writer ended by itself: no ledger today\n"]


def test_writer_that_says_nothing_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill, "PATIENCE_S", 0.5)
    report = kill_rounds(
        1, 1, tmp_path / "ledgers", writer=script(tmp_path, "writer.py", "while True: pass")
    )
    assert report.violations == ["seed 1, round 0: the writer said only b'' in 0.5 s"]


def test_writer_whose_transactions_are_refused_is_found_out(tmp_path: Path) -> None:
    line = f"{bytes(32).hex()} {int(Verdict.BAD_SIGNATURE)}"
    writer = script(tmp_path, "writer.py", f"print('{STARTING}\\n{line}')")
    report = kill_rounds(1, 1, tmp_path / "ledgers", writer=writer)
    assert report.lost == 1
    found = "\n".join(report.violations)
    assert "told BAD_SIGNATURE" in found
    assert "1 acknowledged, but no ledger" in found


class _Died(BaseException):
    """Nothing catches it: as if the process had ended there."""


@pytest.mark.parametrize("survived", range(4))
@pytest.mark.parametrize(
    "primitive", ["os.fsync", "os.mkdir", "pathlib.Path.rename", "sqlite3.connect"]
)
def test_creation_that_dies_can_be_repeated(
    primitive: str, survived: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Death at the n-th call of each leaves a folder that can be created or opened."""
    folder = tmp_path / "ledger"
    genesis = Workload(1, 1).genesis
    module, _, name = primitive.rpartition(".")
    home: object = {"os": os, "sqlite3": sqlite3, "pathlib.Path": Path}[module]
    real = getattr(home, name)
    calls = 0

    def dying(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls > survived:
            raise _Died
        return real(*arguments, **options)

    with monkeypatch.context() as patch, contextlib.suppress(_Died):
        patch.setattr(home, name, dying)
        LedgerStore.create(folder, genesis).close()
    store = LedgerStore.open(folder) if folder.exists() else LedgerStore.create(folder, genesis)

    async def begun() -> None:
        engine = await EmbeddedEngine.start(store)
        assert set(await send(engine, Workload(1, 1).registrations())) == {Verdict.ACCEPTED}
        await engine.close()

    asyncio.run(begun())
    assert audit_ledger(folder).violations == []


class Workers:
    """All processes that were started, so that none is forgotten."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started: list[asyncio.subprocess.Process] = []
        self._spawn = asyncio.create_subprocess_exec
        monkeypatch.setattr(asyncio, "create_subprocess_exec", self.spawn)

    async def spawn(self, *arguments: str, **options: Any) -> asyncio.subprocess.Process:
        process = await self._spawn(*arguments, **options)
        self.started.append(process)
        return process

    def alive(self) -> list[int]:
        return [process.pid for process in self.started if process.returncode is None]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(monkeypatch)


def test_killed_worker_is_replaced_and_none_is_left(tmp_path: Path, workers: Workers) -> None:
    """The signature worker dies with frames on their way; the engine goes on and cleans up."""

    async def run() -> None:
        load = Workload(1, 10)
        engine = await EmbeddedEngine.create(tmp_path / "ledger", load.genesis)
        await load.open_market(engine, 20)
        batch = load.orders(3000)
        # Stopped, it answers nothing, so all frames that may be on their way are.
        workers.started[0].send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(send(engine, batch))
        for _ in range(100):
            await asyncio.sleep(0)
        workers.started[0].kill()
        async with asyncio.timeout(60):
            assert set(await waiting) == {Verdict.ACCEPTED}
            assert set(await send(engine, load.orders(10))) == {Verdict.ACCEPTED}
            await engine.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert len(workers.started) == 2
    assert workers.alive() == []
    assert audit_ledger(tmp_path / "ledger").ok


def test_engine_closed_with_work_in_hand_leaves_nothing_behind(
    tmp_path: Path, workers: Workers
) -> None:
    """Nothing is acknowledged any more, no task and no worker goes on."""

    async def run() -> None:
        load = Workload(1, 10)
        engine = await EmbeddedEngine.create(tmp_path / "ledger", load.genesis)
        await load.open_market(engine, 20)
        batch = load.orders(3000)
        workers.started[0].send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(send(engine, batch))
        for _ in range(100):
            await asyncio.sleep(0)
        workers.started[0].send_signal(signal.SIGCONT)
        async with asyncio.timeout(60):
            await engine.close()
            with pytest.raises(StoreError, match="stopped"):
                await waiting
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(run())
    assert workers.alive() == []
    assert audit_ledger(tmp_path / "ledger").ok


def test_engine_that_is_closed_at_once_is_closed(tmp_path: Path) -> None:
    """No stage had begun yet; none may complain that it never did."""

    async def run() -> None:
        await (await EmbeddedEngine.create(tmp_path / "ledger", Workload(1, 1).genesis)).close()

    asyncio.run(run())


def test_refused_transaction_can_be_sent_again(tmp_path: Path) -> None:
    """What came too early is refused; sent again in its turn, it is told what becomes of it."""

    async def run() -> None:
        load = Workload(1, 2)
        engine = await EmbeddedEngine.create(tmp_path / "ledger", load.genesis)
        try:
            first, *_, second = load.registrations()[:2]
            assert await send(engine, [second]) == [Verdict.NONCE_AHEAD]
            assert await send(engine, [first]) == [Verdict.ACCEPTED]
            assert await send(engine, [second]) == [Verdict.ACCEPTED]
            (receipt,) = await engine.receipts([sha256(second[0])])
            assert isinstance(receipt, Receipt)
        finally:
            await engine.close()

    asyncio.run(run())
