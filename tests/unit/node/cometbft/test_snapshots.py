"""State sync between two adapters: the same state, or a refusal that leaves the ledger empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ledger_bench import Bench
from tests.unit.node.cometbft.dialogue import Dialogue, blocks_of_a_slot

from gridpact.codec import sha256
from gridpact.node import audit_ledger
from gridpact.node.cometbft import messages as abci
from gridpact.node.cometbft import snapshots
from gridpact.node.cometbft.snapshots import KEPT


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "CHUNK_BYTES", 500)


@pytest.fixture
def giver(tmp_path: Path) -> Dialogue:
    """A validator that takes a snapshot after every block, at the end of its slot."""
    giver = Dialogue(tmp_path / "giver", Bench(), 1)
    giver.begin()
    for number, transactions in enumerate(blocks_of_a_slot(giver.bench)):
        if number == 3:
            giver.block()
        giver.block(*transactions)
    return giver


@pytest.fixture
def taker(tmp_path: Path) -> Dialogue:
    return Dialogue(tmp_path / "taker", Bench())


def listed(giver: Dialogue) -> tuple[abci.Snapshot, ...]:
    return giver.ask(abci.LIST_SNAPSHOTS, abci.Empty(), abci.ResponseListSnapshots).snapshots


def chunk(giver: Dialogue, snapshot: abci.Snapshot, index: int) -> bytes:
    request = abci.RequestLoadSnapshotChunk(snapshot.height, snapshot.format, index)
    return giver.ask(abci.LOAD_SNAPSHOT_CHUNK, request, abci.ResponseLoadSnapshotChunk).chunk


def offer(taker: Dialogue, snapshot: abci.Snapshot, app_hash: bytes) -> int:
    request = abci.RequestOfferSnapshot(snapshot, app_hash)
    return taker.ask(abci.OFFER_SNAPSHOT, request, abci.ResponseResult).result


def apply(taker: Dialogue, index: int, data: bytes) -> abci.ResponseApplySnapshotChunk:
    request = abci.RequestApplySnapshotChunk(index, data, "peer")
    return taker.ask(abci.APPLY_SNAPSHOT_CHUNK, request, abci.ResponseApplySnapshotChunk)


def test_a_snapshot_gives_state_and_height(giver: Dialogue, taker: Dialogue) -> None:
    found = listed(giver)
    assert len(found) == KEPT
    last = found[-1]
    assert last.height == giver.adapter.height
    assert last.chunks > 2
    assert offer(taker, last, giver.adapter.application.last_hash) == abci.ACCEPT
    for index in range(last.chunks):
        answer = apply(taker, index, chunk(giver, last, index))
        assert answer == abci.ResponseApplySnapshotChunk(abci.ACCEPT)
    assert taker.info() == giver.info()
    again = taker.crash()
    assert again.info() == giver.info()
    root = giver.adapter.application.state_map.root
    assert again.adapter.application.state_map.root == root


def test_the_chain_goes_on_from_a_snapshot(giver: Dialogue, taker: Dialogue) -> None:
    last = listed(giver)[-1]
    offer(taker, last, giver.adapter.application.last_hash)
    for index in range(last.chunks):
        apply(taker, index, chunk(giver, last, index))
    more = giver.bench.register("cyd")
    answers = [dialogue.block(more) for dialogue in (giver, taker)]
    assert answers[0] == answers[1]
    taker.adapter.close()
    assert audit_ledger(taker.folder / "ledger").violations == []


def test_a_damaged_chunk_is_fetched_again_from_somebody_else(
    giver: Dialogue, taker: Dialogue
) -> None:
    last = listed(giver)[-1]
    offer(taker, last, giver.adapter.application.last_hash)
    good = chunk(giver, last, 0)
    answer = apply(taker, 0, good[:-1] + b"\x00")
    assert answer == abci.ResponseApplySnapshotChunk(abci.RETRY_CHUNK, (0,), ("peer",))
    assert apply(taker, 0, good).result == abci.ACCEPT
    assert apply(taker, 2, chunk(giver, last, 2)).result == abci.ABORT


def test_a_snapshot_of_another_record_is_rejected(giver: Dialogue, taker: Dialogue) -> None:
    older, last = listed(giver)[-2:]
    before = taker.info()
    assert offer(taker, older, giver.adapter.application.last_hash) == abci.ACCEPT
    results = [
        apply(taker, index, chunk(giver, older, index)).result for index in range(older.chunks)
    ]
    assert results[-1] == abci.REJECT_APPLIED
    assert taker.info() == before
    assert taker.crash().info() == before
    assert apply(taker, 0, b"").result == abci.ABORT
    assert last.height > older.height


def test_an_offer_that_makes_no_sense_is_rejected(giver: Dialogue, taker: Dialogue) -> None:
    last, name = listed(giver)[-1], giver.adapter.application.last_hash
    hashes = sha256(b"") * 2
    for snapshot, result in (
        (abci.Snapshot(9, 2, 1, b"", hashes[:32]), abci.REJECT_FORMAT),
        (abci.Snapshot(9, 1, 1, b"", hashes), abci.REJECT_SNAPSHOT),
        (abci.Snapshot(9, 1, 0, b"", b""), abci.REJECT_SNAPSHOT),
    ):
        assert offer(taker, snapshot, name) == result
    assert offer(taker, last, b"") == abci.REJECT_SNAPSHOT
    assert offer(giver, last, name) == abci.ABORT, "it has a ledger"


def test_where_the_settings_do_not_say_so_nothing_is_given(taker: Dialogue) -> None:
    taker.begin()
    taker.block(taker.bench.register("ann"))
    assert listed(taker) == ()
    assert chunk(taker, abci.Snapshot(1, 1), 0) == b""
    assert not (taker.folder / "snapshots").exists()
