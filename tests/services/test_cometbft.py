"""A day of trade on the real CometBFT: the state of the embedded engine, and nothing lost.

`make cometbft` builds the program; without it these tests are skipped, except in CI.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from tests.unit.cli.small_run import SCENARIO, write_scenario

from gridpact.codec import sha256
from gridpact.contracts.genesis import Genesis, Validator
from gridpact.errors import InputError
from gridpact.inputs import load_profiles, load_scenario
from gridpact.model import Scenario, Verdict
from gridpact.node import (
    EmbeddedEngine,
    EnginePort,
    LedgerStore,
    SimulatedKeys,
    Wallet,
    audit_ledger,
)
from gridpact.node.cometbft import CometbftValidator, Timing, find_program, write_homes
from gridpact.pipeline.day import DayTrader
from gridpact.pipeline.opening import genesis_of

pytestmark = [pytest.mark.service, pytest.mark.slow]

TIMING = Timing(commit_ms=100, propose_ms=1000)
SLOT_LENGTH_S = 4 * 3600
"""A day of six slots: each takes half a dozen blocks."""
AGREE_WAITS_S = 60.0


@pytest.fixture(autouse=True)
def _program() -> None:
    try:
        find_program()
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="gp-") as name:
        yield Path(name)


class Recorder:
    """An engine port that notes what was sent, so that another engine may be sent the same."""

    def __init__(self, engine: EnginePort) -> None:
        self.engine = engine
        self.genesis_hash = engine.genesis_hash
        self.sent: list[tuple[bytes, bytes]] = []
        self.after: dict[int, Callable[[], None]] = {}
        """What happens when so many have been sent."""
        self.values, self.query, self.receipts = engine.values, engine.query, engine.receipts

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        self.sent.append((envelope, payload))
        if len(self.sent) in self.after:
            self.after[len(self.sent)]()
        return await self.engine.submit(envelope, payload)


def small(folder: Path, validators: int) -> tuple[Scenario, Genesis, SimulatedKeys]:
    folder.mkdir()
    text = SCENARIO.replace("+01:00", "+00:00").replace("= 3600", f"= {SLOT_LENGTH_S}")
    scenario = load_scenario(write_scenario(folder, text))
    keys = SimulatedKeys(scenario.seed)
    names = [Validator(f"validator-{number}", 1) for number in range(validators)]
    genesis = msgspec.structs.replace(genesis_of(scenario, keys), validators=names)
    return scenario, genesis, keys


async def trade(
    engine: EnginePort,
    scenario: Scenario,
    keys: SimulatedKeys,
    after: dict[int, Callable[[], None]] | None = None,
) -> list[tuple[bytes, bytes]]:
    """The day; returns what was sent."""
    recorder = Recorder(engine)
    recorder.after |= after or {}
    profiles = load_profiles(scenario)
    trader = DayTrader(recorder, scenario, profiles, Wallet(keys, engine.genesis_hash))
    await trader.trade()
    assert trader.desk.verdicts["ACCEPTED"] == len(recorder.sent)
    return recorder.sent


async def embedded_root(folder: Path, genesis: Genesis, sent: list[tuple[bytes, bytes]]) -> bytes:
    """The market state root after the same transactions on the embedded engine."""
    engine = await EmbeddedEngine.create(folder, genesis)
    try:
        for envelope, payload in sent:
            assert await engine.submit(envelope, payload) == Verdict.ACCEPTED
            await engine.receipts([sha256(envelope)])
        return engine.application.state_map.root
    finally:
        await engine.close()


class Others:
    """Validators in processes of their own, each a session that can be killed as a whole."""

    def __init__(self, homes: list[Path]) -> None:
        self.homes = homes
        self.processes: dict[Path, subprocess.Popen[bytes]] = {}

    def start(self, home: Path) -> None:
        with (home / "validator.log").open("ab") as log:
            self.processes[home] = subprocess.Popen(
                [sys.executable, "-m", "gridpact.node.cometbft", str(home)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, home: Path) -> None:
        os.killpg(self.processes[home].pid, signal.SIGKILL)
        self.processes.pop(home).wait()

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            assert process.wait(30) == 0


async def until_at(store: LedgerStore, home: Path) -> None:
    """Wait until another validator's ledger is as far as this one."""
    async with asyncio.timeout(AGREE_WAITS_S):
        while True:
            if (home / "ledger" / "ledger.sqlite").exists():
                other = LedgerStore.open(home / "ledger", writable=False)
                height = other.height()
                other.close()
                if height >= store.height():
                    return
            await asyncio.sleep(0.1)


def records(home: Path) -> list[bytes | None]:
    store = LedgerStore.open(home / "ledger", writable=False)
    try:
        return [store.record_bytes(height) for height in range(1, store.height() + 1)]
    finally:
        store.close()


def test_one_validator_has_the_state_of_the_embedded_engine(short_folder: Path) -> None:
    scenario, genesis, keys = small(short_folder / "inputs", 1)

    async def run() -> None:
        (home,) = write_homes(short_folder / "net", genesis, timing=TIMING)
        validator = await CometbftValidator.start(home)
        try:
            sent = await trade(validator.engine, scenario, keys)
            root = validator.adapter.application.state_map.root
        finally:
            await validator.close()
        assert root == await embedded_root(short_folder / "embedded", genesis, sent)

    asyncio.run(run())


def test_four_validators_agree_and_one_that_is_killed_catches_up(short_folder: Path) -> None:
    scenario, genesis, keys = small(short_folder / "inputs", 4)

    async def run() -> None:
        homes = write_homes(short_folder / "net", genesis, timing=TIMING)
        others = Others(homes[1:])
        for home in others.homes:
            others.start(home)
        validator = await CometbftValidator.start(homes[0])
        victim = homes[3]
        try:
            sent = await trade(
                validator.engine,
                scenario,
                keys,
                {30: lambda: others.kill(victim), 60: lambda: others.start(victim)},
            )
            assert len(sent) > 90
            root = validator.adapter.application.state_map.root
            for home in others.homes:
                await until_at(validator.engine.store, home)
        finally:
            await validator.close()
            others.stop()
        assert root == await embedded_root(short_folder / "embedded", genesis, sent)

        for home in homes:
            report = await asyncio.to_thread(audit_ledger, home / "ledger")
            assert report.violations == []
        chain = records(homes[0])
        assert len(chain) > 20
        for home in others.homes:
            assert records(home) == chain
        store = LedgerStore.open(victim / "ledger", writable=False)
        for envelope, payload in sent:
            found = store.find_transaction(sha256(envelope))
            assert found is not None
            rows = store.transactions(found[0])
            assert [row.sealed or b"" for row in rows if row.envelope == envelope] == [payload]
        store.close()

    asyncio.run(run())
