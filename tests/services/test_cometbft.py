"""A day of trade on the real CometBFT: the state of the embedded engine, and nothing lost.

`make cometbft` builds the program; without it these tests are skipped, except in CI.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import pytest
from tests.ledger_bench import Bench, genesis_with
from tests.unit.cli.small_run import SCENARIO, write_scenario

from gridpact.codec import sha256
from gridpact.contracts.genesis import Genesis, Validator
from gridpact.errors import InputError, StoreError
from gridpact.inputs import load_profiles, load_scenario
from gridpact.ledger.blocks import Receipt
from gridpact.model import Scenario, Verdict
from gridpact.node import (
    EmbeddedEngine,
    EnginePort,
    LedgerStore,
    Refusal,
    SimulatedKeys,
    Wallet,
    audit_ledger,
)
from gridpact.node.cometbft import (
    CometbftValidator,
    Timing,
    begin_from_peers,
    write_homes,
)
from gridpact.node.cometbft.homes import read_settings
from gridpact.node.cometbft.rpc import RpcClient
from gridpact.pipeline.day import DayTrader
from gridpact.pipeline.opening import genesis_of

pytestmark = [
    pytest.mark.service,
    pytest.mark.slow,
    pytest.mark.usefixtures("cometbft"),
]

TIMING = Timing(commit_ms=100, propose_ms=1000)
SLOT_LENGTH_S = 4 * 3600
"""A day of six slots: each takes half a dozen blocks."""
AGREE_WAITS_S = 60.0
SILENCE_S = 3.0
"""Many times what a block takes."""


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
        while height_of(home) < store.height():  # noqa: ASYNC110  (another process's file)
            await asyncio.sleep(0.1)


def height_of(home: Path) -> int:
    """0 also while the ledger is being made, or replaced by a restored one."""
    try:
        other = LedgerStore.open(home / "ledger", writable=False)
    except (InputError, StoreError):
        return 0
    try:
        return other.height()
    finally:
        other.close()


def records(home: Path) -> list[bytes]:
    store = LedgerStore.open(home / "ledger", writable=False)
    try:
        found = map(store.record_bytes, range(1, store.height() + 1))
        return [data for data in found if data is not None]
    finally:
        store.close()


def test_one_validator_has_the_state_of_the_embedded_engine(short_folder: Path) -> None:
    """Over TCP, since the folder's name is too long for a Unix socket; CometBFT is killed once."""
    scenario, genesis, keys = small(short_folder / "inputs", 1)

    async def run() -> None:
        (home,) = write_homes(short_folder / ("net" * 30), genesis, timing=TIMING)
        assert read_settings(home).proxy_app.startswith("tcp://")
        validator = await CometbftValidator.start(home)
        killed = []

        def kill() -> None:
            killed.append(validator.process.pid)
            os.kill(killed[0], signal.SIGKILL)

        try:
            sent = await trade(validator.engine, scenario, keys, {40: kill})
            root = validator.adapter.application.state_map.root
            assert killed != [validator.process.pid]
        finally:
            await validator.close()
        assert root == await embedded_root(short_folder / "embedded", genesis, sent)

    asyncio.run(run())


class Network:
    """Four validators: the first in this process, the others in their own."""

    def __init__(self, folder: Path, genesis: Genesis) -> None:
        self.homes = write_homes(folder, genesis, timing=TIMING, snapshots_every=2)
        self.others = Others(self.homes[1:])

    async def __aenter__(self) -> Self:
        for home in self.others.homes:
            self.others.start(home)
        self.first = await CometbftValidator.start(self.homes[0])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.first.close()
        self.others.stop()

    async def all_there(self) -> None:
        for home in self.others.homes:
            await until_at(self.first.engine.store, home)

    async def trusted(self) -> tuple[int, str]:
        """Height and hash of a block, as an operator would read them off a screen."""
        settings = read_settings(self.homes[0])
        rpc = RpcClient(settings.host, settings.rpc_port)
        found = await rpc.call("commit", height=str(self.first.adapter.height - 1))
        rpc.close()
        header = found["signed_header"]
        return int(header["header"]["height"]), header["commit"]["block_id"]["hash"]


def test_four_validators_agree_and_one_that_is_killed_catches_up(short_folder: Path) -> None:
    """Kill -9 in the middle of the day; then wipe another one, which begins with a snapshot."""
    scenario, genesis, keys = small(short_folder / "inputs", 4)

    async def run() -> None:
        async with Network(short_folder / "net", genesis) as network:
            others, homes = network.others, network.homes
            killed, wiped = homes[3], homes[2]
            sent = await trade(
                network.first.engine,
                scenario,
                keys,
                {30: lambda: others.kill(killed), 60: lambda: others.start(killed)},
            )
            assert len(sent) > 90
            root = network.first.adapter.application.state_map.root
            await network.all_there()
            mesh = network.first.link.mesh
            assert all(map(mesh.is_up, mesh.peers)), "also to the one that came back"
            assert not mesh.counts.refusals

            others.kill(wiped)
            wipe(wiped)
            height, block = await network.trusted()
            begin_from_peers(wiped, homes[:2], height=height, block=block)
            others.start(wiped)
            await network.all_there()
        assert root == await embedded_root(short_folder / "embedded", genesis, sent)

        chain = records(homes[0])
        assert len(chain) > 20
        assert records(homes[1]) == records(killed) == chain
        assert 0 < len(records(wiped)) < len(chain), "it has no block before its snapshot"
        for home in homes:
            report = await asyncio.to_thread(audit_ledger, home / "ledger")
            assert report.violations == []
        payloads = held_payloads(killed)
        assert [payloads[envelope] for envelope, _ in sent] == [payload for _, payload in sent]

    asyncio.run(run())


def wipe(home: Path) -> None:
    """Lose everything but the keys and what was signed last."""
    data = home / "cometbft" / "data"
    for path in data.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
    for path in (home / "ledger", home / "snapshots"):
        shutil.rmtree(path)
    for path in home.glob("payloads.sqlite*"):
        path.unlink()


def held_payloads(home: Path) -> dict[bytes, bytes]:
    store = LedgerStore.open(home / "ledger", writable=False)
    try:
        return {row.envelope: row.sealed or b"" for row in store.all_transactions()}
    finally:
        store.close()


def test_two_of_four_down_stop_the_chain_without_loss(short_folder: Path) -> None:
    """One down: it goes on. Two down: nothing is acknowledged. One back: what waited is decided."""
    keys = SimulatedKeys(7)
    names = [Validator(f"validator-{number}", 1) for number in range(4)]
    genesis = msgspec.structs.replace(genesis_with(keys), validators=names)
    bench = Bench(genesis, keys)

    async def run() -> None:
        async with Network(short_folder / "net", genesis) as network:
            engine, others = network.first.engine, network.others

            async def sent(participant: str) -> asyncio.Task[list[Receipt | Refusal]]:
                envelope, payload = bench.register(participant)
                assert await engine.submit(envelope, payload) == Verdict.ACCEPTED
                return asyncio.create_task(engine.receipts([sha256(envelope)]))

            async def decided(*waiting: asyncio.Task[list[Receipt | Refusal]]) -> None:
                async with asyncio.timeout(AGREE_WAITS_S):
                    for told in await asyncio.gather(*waiting):
                        assert [receipt.verdict for receipt in told] == [Verdict.ACCEPTED]

            await decided(await sent("ann"))
            await network.all_there()
            others.kill(network.homes[3])
            await decided(await sent("bob"))
            others.kill(network.homes[2])
            waiting = await sent("cyd")
            _, pending = await asyncio.wait([waiting], timeout=SILENCE_S)
            assert pending == {waiting}
            others.start(network.homes[2])
            await decided(waiting, await sent("dan"))
            others.start(network.homes[3])
            await network.all_there()
        chain = records(network.homes[0])
        assert [records(home) for home in network.homes] == [chain] * 4

    asyncio.run(run())
