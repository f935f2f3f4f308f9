"""A day of trade on the real CometBFT: the state of the embedded engine, and nothing lost.

`make cometbft` builds the program; without it these tests are skipped, except in CI.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit.pipeline.small_day import scenario_in

from gridpact.codec import sha256
from gridpact.contracts.genesis import Genesis, Validator
from gridpact.errors import InputError
from gridpact.inputs import load_profiles
from gridpact.ledger.blocks import Receipt
from gridpact.model import Scenario, Verdict
from gridpact.node import EmbeddedEngine, EnginePort, LedgerStore, SimulatedKeys, Wallet
from gridpact.node.cometbft import CometbftValidator, Timing, find_program, write_homes
from gridpact.pipeline.day import DayTrader
from gridpact.pipeline.opening import genesis_of

pytestmark = [pytest.mark.service, pytest.mark.slow]

TIMING = Timing(commit_ms=100, propose_ms=1000)
SLOTS = 3


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
        self.values, self.query, self.receipts = engine.values, engine.query, engine.receipts

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        self.sent.append((envelope, payload))
        return await self.engine.submit(envelope, payload)


def small(folder: Path, validators: int) -> tuple[Scenario, Genesis, SimulatedKeys]:
    scenario = scenario_in(folder, slot_length_s=3600)
    keys = SimulatedKeys(scenario.seed)
    names = [Validator(f"validator-{number}", 1) for number in range(validators)]
    return scenario, _with(genesis_of(scenario, keys), names), keys


def _with(genesis: Genesis, validators: list[Validator]) -> Genesis:
    import msgspec

    return msgspec.structs.replace(genesis, validators=validators)


async def trade(engine: EnginePort, scenario: Scenario, keys: SimulatedKeys) -> Recorder:
    """A few slots of a day."""
    recorder = Recorder(engine)
    profiles = load_profiles(scenario)
    trader = DayTrader(recorder, scenario, profiles, Wallet(keys, engine.genesis_hash))
    await trader.trade()
    assert trader.desk.verdicts["ACCEPTED"] == len(recorder.sent)
    return recorder


async def embedded_root(
    folder: Path, genesis: Genesis, scenario: Scenario, keys: SimulatedKeys
) -> bytes:
    engine = await EmbeddedEngine.create(folder, genesis)
    try:
        await trade(engine, scenario, keys)
        return engine.application.state_map.root
    finally:
        await engine.close()


def test_one_validator_has_the_state_of_the_embedded_engine(short_folder: Path) -> None:
    scenario, genesis, keys = small(short_folder / "inputs", 1)

    async def run() -> None:
        expected = await embedded_root(short_folder / "embedded", genesis, scenario, keys)
        (home,) = write_homes(short_folder / "net", genesis, timing=TIMING)
        validator = await CometbftValidator.start(home)
        try:
            await trade(validator.engine, scenario, keys)
            assert validator.adapter.application.state_map.root == expected
        finally:
            await validator.close()

    asyncio.run(run())
