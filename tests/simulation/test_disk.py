"""What happens when the disk refuses: everybody is told, and nothing acknowledged is lost.

Method: a running engine's own database connection is made to fail the way SQLite fails, by page
limit, read-only flag, file size limit or interruption; then the folder is opened again by somebody
who knows nothing of it.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest

from gridpact.codec import sha256
from gridpact.errors import InputError, StoreError
from gridpact.model import Phase, Verdict
from gridpact.node import EmbeddedEngine, LedgerStore, audit_ledger
from gridpact.studies.workload import Signed, Workload, send

SLOTS = 4
ORDERS = 60
"""Sent in one go when the disk is about to refuse."""


@asynccontextmanager
async def trading(folder: Path) -> AsyncIterator[tuple[EmbeddedEngine, Workload]]:
    """A new ledger with an open market."""
    load = Workload(3, 6)
    engine = await EmbeddedEngine.create(folder, load.genesis)
    try:
        await load.open_market(engine, SLOTS)
        yield engine, load
    finally:
        await engine.close()


def no_more_pages(store: LedgerStore) -> None:
    """The database may not grow: SQLITE_FULL."""
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")


def read_only(store: LedgerStore) -> None:
    """SQLITE_READONLY."""
    store._db.execute("PRAGMA query_only = 1")


async def submitted(engine: EmbeddedEngine, batch: list[Signed]) -> list[bytes]:
    for envelope, sealed in batch:
        assert await engine.submit(envelope, sealed) == Verdict.ACCEPTED
    return [sha256(envelope) for envelope, _ in batch]


async def until_refused(engine: EmbeddedEngine, load: Workload) -> tuple[list[bytes], StoreError]:
    """Send orders until the disk refuses; what was acknowledged until then, and the refusal."""
    acknowledged: list[bytes] = []
    while True:
        ids = await submitted(engine, load.orders(ORDERS))
        waiting = [asyncio.create_task(engine.receipts([id_])) for id_ in ids]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        acknowledged += [
            id_
            for id_, outcome in zip(ids, outcomes, strict=True)
            if not isinstance(outcome, BaseException)
        ]
        if errors:
            assert all(isinstance(error, StoreError) for error in errors), errors
            assert isinstance(errors[0], StoreError)
            return acknowledged, errors[0]


def check_intact(folder: Path, acknowledged: list[bytes]) -> None:
    """The ledger audits, holds what was acknowledged, and can be continued."""
    assert audit_ledger(folder).violations == []
    store = LedgerStore.open(folder, writable=False)
    assert all(store.find_transaction(id_) is not None for id_ in acknowledged)
    store.close()

    async def continued() -> set[Verdict]:
        engine = await EmbeddedEngine.start(LedgerStore.open(folder))
        load = Workload(3, 6)
        entries = engine.application.state.entries
        load.resume(lambda key: entries[key].value if key in entries else None, SLOTS)
        try:
            return set(await send(engine, [*load.orders(5), load.move(Phase.CLOSED, 0)]))
        finally:
            await engine.close()

    assert asyncio.run(continued()) == {Verdict.ACCEPTED}
    assert audit_ledger(folder).violations == []


@pytest.mark.parametrize(
    ("fault", "fact", "remedy"),
    [
        (no_more_pages, "full", "free some space and start again"),
        (read_only, "readonly", "make the folder writable"),
    ],
)
def test_refusal_reaches_everybody_and_loses_nothing(
    fault: Callable[[LedgerStore], None], fact: str, remedy: str, tmp_path: Path
) -> None:
    folder = tmp_path / "ledger"

    async def run() -> list[bytes]:
        async with trading(folder) as (engine, load):
            before = await submitted(engine, load.orders(20))
            assert {outcome.verdict for outcome in await engine.receipts(before)} == {0}
            fault(engine.store)
            after, error = await until_refused(engine, load)
            assert str(folder) in str(error)
            assert fact in str(error)
            assert remedy in str(error)
            envelope, sealed = load.orders(1)[0]
            with pytest.raises(StoreError, match=fact):
                await engine.submit(envelope, sealed)
            return before + after

    check_intact(folder, asyncio.run(run()))


def test_who_asks_after_the_refusal_is_told_too(tmp_path: Path) -> None:
    """It was taken in and is in no block: that is the disk's fault, not the asker's."""

    async def run() -> None:
        async with trading(tmp_path / "ledger") as (engine, load):
            read_only(engine.store)
            first, second = await submitted(engine, load.orders(2))
            with pytest.raises(StoreError, match="readonly"):
                await engine.receipts([first])
            with pytest.raises(StoreError, match="readonly"):
                await engine.receipts([second])

    asyncio.run(run())


def test_state_is_not_read_past_the_last_block(tmp_path: Path) -> None:
    """Execution went on in memory, but no answer may come from a block that was never stored."""

    async def run() -> None:
        async with trading(tmp_path / "ledger") as (engine, load):
            key = f"party/{load.members[0]}"
            before = await engine.query(key)
            read_only(engine.store)
            _, error = await until_refused(engine, load)
            assert "readonly" in str(error)
            try:
                after = await engine.query(key)
            except StoreError:
                return
            assert after.entry == before.entry

    asyncio.run(run())


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file of this process may grow beyond this: EFBIG, an I/O error to SQLite."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_failed_write_of_the_operating_system_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"

    async def run() -> list[bytes]:
        async with trading(folder) as (engine, load):
            size = (folder / "ledger.sqlite-wal").stat().st_size
            with largest_file(size + 50_000):
                acknowledged, error = await until_refused(engine, load)
            assert "disk I/O error" in str(error) or "full" in str(error)
            assert "permissions" not in str(error)
            return acknowledged

    check_intact(folder, asyncio.run(run()))


@pytest.mark.parametrize("percent", [0, 10, 30, 50, 70, 90, 97])
def test_block_that_stops_halfway_is_not_there(percent: int, tmp_path: Path) -> None:
    """SQLite gives up after so much of a block's instructions, wherever in the block that is."""
    folder = tmp_path / "ledger"

    async def run() -> tuple[list[bytes], list[bytes], int]:
        async with trading(folder) as (engine, load):
            done, last = 0, 10**9

            def count() -> int:
                nonlocal done
                done += 1
                return done > last

            engine.store._db.set_progress_handler(count, 1)
            before = await submitted(engine, load.orders(ORDERS))
            await engine.receipts(before)
            done, last = 0, done * percent // 100
            ids = await submitted(engine, load.orders(ORDERS))
            with pytest.raises(StoreError, match="interrupted"):
                await engine.receipts(ids)
            engine.store._db.set_progress_handler(None, 0)
            return before, ids, engine.application.height

    before, ids, height = asyncio.run(run())
    store = LedgerStore.open(folder, writable=False)
    assert store.height() == height
    assert all(store.find_transaction(id_) is None for id_ in ids)
    store.close()
    check_intact(folder, before)


def test_ledger_that_could_not_be_begun_can_be_begun_later(tmp_path: Path) -> None:
    """The disk fills between the creation of the tables and the first state."""
    folder = tmp_path / "ledger"
    load = Workload(3, 6)
    store = LedgerStore.create(folder, load.genesis)
    read_only(store)
    with pytest.raises(StoreError, match="readonly"):
        asyncio.run(EmbeddedEngine.start(store))
    store.close()

    async def again() -> None:
        engine = await EmbeddedEngine.start(LedgerStore.open(folder))
        await load.open_market(engine, SLOTS)
        await engine.close()

    asyncio.run(again())
    assert audit_ledger(folder).violations == []


def test_second_writer_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    code = (
        "import sys; from pathlib import Path; from gridpact.node import LedgerStore\n"
        "LedgerStore.open(Path(sys.argv[1]))"
    )

    async def run() -> None:
        async with trading(folder) as (engine, load):
            with pytest.raises(StoreError, match="another process writes this ledger; stop it"):
                LedgerStore.open(folder)
            other = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, str(folder), stderr=subprocess.PIPE
            )
            _, complaint = await other.communicate()
            assert other.returncode == 1
            assert b"another process writes this ledger" in complaint
            reader = LedgerStore.open(folder, writable=False)
            assert reader.height() == engine.application.height
            reader.close()
            assert set(await send(engine, load.orders(5))) == {Verdict.ACCEPTED}

    asyncio.run(run())
    LedgerStore.open(folder).close()


def test_audit_beside_a_writer_sees_one_moment(tmp_path: Path) -> None:
    """Readers need no lock, so blocks that arrive during an audit must not confuse it."""
    folder = tmp_path / "ledger"

    async def run() -> list[str]:
        async with trading(folder) as (engine, load):
            loop = asyncio.get_running_loop()

            def write_meanwhile(done: int, blocks: int) -> None:
                orders = send(engine, load.orders(5))
                assert set(asyncio.run_coroutine_threadsafe(orders, loop).result()) == {0}

            report = await asyncio.to_thread(audit_ledger, folder, progress=write_meanwhile)
            return report.violations

    assert asyncio.run(run()) == []


@pytest.mark.parametrize(
    ("damage", "repair", "words"),
    [
        ("UPDATE meta SET value = 77", "UPDATE meta SET value = 2", "77"),
        ("ALTER TABLE meta RENAME TO gone", "ALTER TABLE gone RENAME TO meta", "meta"),
        (
            "ALTER TABLE transactions RENAME TO gone",
            "ALTER TABLE gone RENAME TO transactions",
            "transactions",
        ),
    ],
)
def test_ledger_that_cannot_be_opened_is_not_kept_locked(
    damage: str, repair: str, words: str, tmp_path: Path
) -> None:
    """Whoever mends what was wrong can open it in the same process."""
    folder = tmp_path / "ledger"

    async def made() -> None:
        async with trading(folder):
            pass

    def change(statement: str) -> None:
        with closing(sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)) as db:
            db.execute(statement)

    asyncio.run(made())
    change(damage)
    with pytest.raises((InputError, StoreError), match=words):
        LedgerStore.open(folder)
    change(repair)
    LedgerStore.open(folder).close()


def test_ledger_with_a_wrong_state_is_not_kept_locked(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"

    async def made() -> None:
        async with trading(folder):
            pass

    asyncio.run(made())
    db = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    (kept,) = db.execute("SELECT value FROM state WHERE key = 'system/bank'").fetchone()
    db.execute("UPDATE state SET value = x'9403ff0000' WHERE key = 'system/bank'")
    with pytest.raises(StoreError, match="gridpact audit"):
        asyncio.run(EmbeddedEngine.start(LedgerStore.open(folder)))
    db.execute("UPDATE state SET value = ? WHERE key = 'system/bank'", (kept,))
    db.close()
    LedgerStore.open(folder).close()
