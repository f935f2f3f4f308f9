"""What happened on a real network, played again: the same state, and the blocks of its ledgers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gridpact.cli import app
from gridpact.codec import decode
from gridpact.consensus.raft.trace import Step, read_trace, replica_of
from gridpact.consensus.shape import Decide
from gridpact.contracts.genesis import genesis_hash
from gridpact.ledger.blocks import record_hash
from gridpact.node import LedgerStore
from gridpact.node.devnet import Devnet
from gridpact.node.raft.blocks import Block
from gridpact.sim.replay import replay, trace_files
from gridpact.studies.load import load_network, put_load, workload_of

pytestmark = [pytest.mark.service, pytest.mark.slow]

ORDERS = 4_000
KILL_AT = 3
"""Height at which the leader is killed."""


async def trade(network: Devnet) -> str:
    """Load, in the middle of which the leader is killed and comes back; returns who that was."""
    network.start()
    try:
        engine = await network.connect()
        workload = await workload_of(network, engine)
        orders = workload.orders(ORDERS)
        load = asyncio.create_task(put_load(engine, orders, clients=2, batch=100))
        async with asyncio.timeout(30):
            while True:
                status = await network.status(next(iter(network.homes)))
                if status is not None and status.leader and status.height >= KILL_AT:
                    break
        network.kill(status.leader)
        assert not load.done(), "it was killed under load"
        await network.until_equal(*(name for name in network.homes if name != status.leader))
        network.start(status.leader)
        assert (await load).accepted == ORDERS
        await network.until_equal(height=KILL_AT + 1)
        await engine.close()
    finally:
        codes = network.stop()
    assert set(codes.values()) == {0}
    return status.leader


class Answers:
    """Signer and verifier that say what they said in a step."""

    def __init__(self) -> None:
        self.step = Step(0, None, [], [], None)

    def sign(self, _data: bytes) -> bytes:
        return self.step.signatures.pop(0)

    def verify(self, _sender: str, _data: bytes, _signature: bytes) -> bool:
        return self.step.verdicts.pop(0)


def blocks_in(file: Path) -> list[Block]:
    """What was decided, by the shortest way there is."""
    origin, frames = read_trace(file.read_bytes(), str(file))
    answers = Answers()
    replica = replica_of(origin, answers, answers)
    blocks = []
    for step in frames:
        if isinstance(step, Step):
            answers.step, event, now_ms = step, step.event, step.now_ms
            effects = replica.start(now_ms) if event is None else replica.step(event, now_ms)
            blocks += [decode(Block, one.payload) for one in effects if isinstance(one, Decide)]
    return blocks


def check_ledger(folder: Path, blocks: list[Block]) -> int:
    """Every block of the ledger is the one that was decided; returns how many there are."""
    store = LedgerStore.open(folder, writable=False)
    try:
        height, parent = 0, genesis_hash(store.genesis)
        for block in blocks:
            if (block.height, block.parent) != (height + 1, parent):
                continue  # passed over: its leader was replaced
            height += 1
            record = store.record(height)
            envelopes = [row.envelope for row in store.transactions(height)]
            assert (record.time_s, record.parent) == (block.time_s, parent)
            assert envelopes == [envelope for envelope, _ in block.items]
            parent = record_hash(record)
        assert height == store.height()
        return height
    finally:
        store.close()


def test_what_a_network_did_is_done_again(tmp_path: Path) -> None:
    network = load_network(tmp_path / "net", "raft", 3, trace=True)
    killed = asyncio.run(trade(network))

    files = trace_files(tmp_path / "net")
    assert len(files) == 4
    found = replay(files)
    assert [played.difference for played in found.traces] == [""] * 4
    assert (found.violation, found.unwatched) == ("", "")
    for played in found.traces:
        cut = played.where == str(tmp_path / "net" / killed / "trace")
        assert played.ending == ("not closed" if cut else "closed")
        assert played.events > 0

    heights = {
        check_ledger(network.ledger(name), blocks_in(trace_files(home)[-1]))
        for name, home in network.homes.items()
    }
    assert len(heights) == 1
    assert heights.pop() > KILL_AT

    result = CliRunner().invoke(app, ["replay", str(tmp_path / "net"), "--json"])
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    assert [trace["same"] for trace in facts["traces"]] == [True] * 4
    assert facts["decisions"] == len(found.decided)
