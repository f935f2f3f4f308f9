"""The leader's pool: transactions that may be in the next block, in the order in which they came.

Others' transactions are here at their node's wish: that node keeps them and offers them again, so
what has no room, or leads to nothing, is dropped without a word.
"""

from __future__ import annotations

from gridpact.contracts import Application, Candidate
from gridpact.model import Verdict
from gridpact.node.raft.blocks import BLOCK_BYTES_MAX, ITEM_BYTES, Block

POOL_MAX = 50_000
POOL_BYTES_MAX = 256 * 2**20
TRIES_MAX = 8
"""Slices of the pool that are looked through for one block."""


class Pool:
    """Candidates by transaction id."""

    def __init__(self) -> None:
        self._candidates: dict[bytes, Candidate] = {}
        self._bytes = 0
        self._later: set[bytes] = set()
        """What the last block could not take: tried again after the next one."""

    def __len__(self) -> int:
        return len(self._candidates)

    def __contains__(self, transaction_id: bytes) -> bool:
        return transaction_id in self._candidates

    def add(self, candidate: Candidate) -> bool:
        """Take a candidate; False when there is no room."""
        if candidate.transaction.id in self._candidates:
            return True
        size = _size(candidate)
        if len(self._candidates) >= POOL_MAX or self._bytes + size > POOL_BYTES_MAX:
            return False
        self._candidates[candidate.transaction.id] = candidate
        self._bytes += size
        return True

    def clear(self) -> None:
        """Somebody else leads."""
        self._candidates.clear()
        self._later.clear()
        self._bytes = 0

    def drop(self, transaction_id: bytes) -> None:
        """It is in a block, or will never be."""
        candidate = self._candidates.pop(transaction_id, None)
        if candidate is not None:
            self._bytes -= _size(candidate)
            self._later.discard(transaction_id)

    def after_block(self) -> None:
        """The state has moved on: what could not be taken may be now."""
        self._later.clear()

    def next_block(self, application: Application, time_s: int) -> Block | None:
        """The next block from what waits; None when nothing can be taken now.

        What the state refuses for ever is dropped on the way.
        """
        for _ in range(TRIES_MAX):
            batch = self._batch()
            if not batch:
                return None
            proposal, chosen = application.prepare_proposal(batch, time_s)
            in_block = {candidate.transaction.id for candidate in chosen}
            for candidate in batch:
                if candidate.transaction.id not in in_block:
                    self._put_off(application, candidate)
            if chosen:
                items = [(candidate.transaction.raw, candidate.sealed) for candidate in chosen]
                return Block(proposal.height, proposal.time_s, proposal.parent, items)
        return None

    def _batch(self) -> list[Candidate]:
        found: list[Candidate] = []
        size = 0
        for transaction_id, candidate in self._candidates.items():
            if transaction_id not in self._later:
                size += _size(candidate)
                if found and size > BLOCK_BYTES_MAX:
                    break
                found.append(candidate)
        return found

    def _put_off(self, application: Application, candidate: Candidate) -> None:
        verdict = application.check_tx(candidate)
        if verdict in (Verdict.ACCEPTED, Verdict.NONCE_AHEAD):
            self._later.add(candidate.transaction.id)
        else:
            self.drop(candidate.transaction.id)


def _size(candidate: Candidate) -> int:
    return len(candidate.transaction.raw) + len(candidate.sealed) + ITEM_BYTES
