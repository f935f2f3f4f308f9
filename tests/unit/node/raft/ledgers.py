"""Validators' ledgers on disk, the blocks that they decide, and the bench that writes for all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tests.ledger_bench import Bench, Signed
from tests.unit.node.cometbft.dialogue import blocks_of_a_slot

from gridpact.contracts import Candidate
from gridpact.ledger.blocks import Receipt
from gridpact.node import LedgerStore
from gridpact.node.engines import RAFT
from gridpact.node.raft.blocks import Block
from gridpact.node.raft.pool import Pool
from gridpact.node.raft.replicated import Replicated


def new_ledger(folder: Path, bench: Bench, engine: str = RAFT) -> Replicated:
    return Replicated(LedgerStore.create(folder, bench.genesis), engine)


def reopened(ledger: Replicated) -> Replicated:
    """The same folder after a stop."""
    ledger.close()
    return Replicated(LedgerStore.open(ledger.store.folder), RAFT)


def block_of(ledger: Replicated, *transactions: Signed, time_s: int = 1) -> Block:
    """The next block with these in it, whatever the state thinks of them."""
    point = ledger.point
    return Block(point.height + 1, time_s, point.record, list(transactions))


def proposed(ledger: Replicated, *transactions: Signed, time_s: int = 1) -> Block | None:
    """The next block as a leader makes it."""
    pool = Pool()
    for signed in transactions:
        candidate = ledger.checked.candidate(*signed)
        assert isinstance(candidate, Candidate)
        pool.add(candidate)
    return pool.next_block(ledger.application, time_s)


def a_slot_of_blocks(ledger: Replicated, bench: Bench) -> list[Block]:
    """Two members' slot, executed on a ledger block by block."""
    return [executed(ledger, transactions) for transactions in blocks_of_a_slot(bench)]


def executed(ledger: Replicated, transactions: Iterable[Signed]) -> Block:
    block = block_of(ledger, *transactions, time_s=ledger.application.height + 1)
    assert ledger.execute(block) is not None
    return block


def receipt_in(ledger: Replicated, transaction_id: bytes) -> Receipt | None:
    found = ledger.store.find_transaction(transaction_id)
    return None if found is None else found[1]


def on_disk(ledger: Replicated) -> list[str]:
    """Everything that the ledger's file holds."""
    return list(ledger.store._db.iterdump())
