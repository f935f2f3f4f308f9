"""A ledger that decided blocks are executed on.

The rule is the same on every replica and depends on the ledger alone: a block that names the tip as
its parent and lacks nothing is executed, any other one is passed over. A leader that was replaced
may leave such a block behind, and after a restart the log repeats what the ledger has already.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from gridpact.contracts import Application, BlockResult, Candidate, Unreadable, judge_payload
from gridpact.errors import InputError, Problem
from gridpact.files import sync_folder
from gridpact.model import Verdict
from gridpact.node.candidates import Checked
from gridpact.node.embedded import catch_up
from gridpact.node.engines import engine_state, stored_engine
from gridpact.node.raft.blocks import Block, Point, proposal_of
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import LedgerStore
from gridpact.node.tables import translated


class Replicated:
    """Store and application of one validator."""

    def __init__(self, store: LedgerStore, engine: str) -> None:
        """Bring the application to the store's height.

        Args:
            store: the ledger, empty or made by this engine.
            engine: name of the engine.
        Raises:
            InputError: the ledger was made by another engine.
            StoreError: what is stored does not add up; run `audit`.
        """
        self._engine = engine
        self._load(store)
        self.checked = Checked(lambda: self.application)
        self.passed_over = 0
        """Decided blocks that were not executed."""

    def _load(self, store: LedgerStore) -> None:
        self.store = store
        if store.height() and stored_engine(store) != self._engine:
            text = f"was made by another engine than {self._engine}; begin with an empty folder"
            raise InputError([Problem(str(store.folder), text)])
        with translated(store.folder):
            _remove(_aside(store.folder))  # after a crash, nobody else would
        state = engine_state(store.genesis, self._engine)
        self.application = Application(store.genesis, state, verify_signature)
        catch_up(self.application, store)

    def begin_with(self, folder: Path) -> None:
        """Go on with the ledger in another folder, which takes the place of this one.

        A crash leaves this ledger, none or the new one, never a part of one: with none, the next
        start gets it again.

        Raises:
            StoreError: the disk refused.
        """
        place = self.store.folder
        self.store.close()
        with translated(place):
            _remove(_aside(place))
            place.rename(_aside(place))
            folder.rename(place)
            sync_folder(place.parent)
        self._load(LedgerStore.open(place))

    @property
    def point(self) -> Point:
        """Where the ledger is."""
        return Point(self.application.height, self.application.last_hash)

    def execute(self, block: Block) -> BlockResult | None:
        """Execute a decided block and make it durable; None when it is to be passed over.

        Raises:
            StoreError: the disk refused; the block is not executed.
        """
        application = self.application
        if block.height != application.height + 1 or block.parent != application.last_hash:
            self.passed_over += 1
            return None
        candidates = [self.checked.candidate(raw, sealed) for raw, sealed in block.items]
        if not all(self._is_whole(candidate) for candidate in candidates):
            self.passed_over += 1
            return None
        proposal = proposal_of(block)
        result = application.finalize_block(proposal, candidates)
        self.store.save_block(proposal, candidates, result)
        application.commit(result)
        self.checked.forget(receipt.transaction for receipt in result.receipts)
        return result

    def _is_whole(self, candidate: Candidate | Unreadable) -> bool:
        """Whether a transaction comes with the payload that it names."""
        if isinstance(candidate, Unreadable):
            return True
        rules = self.application.rules
        return judge_payload(candidate.transaction, candidate.sealed, rules) == Verdict.ACCEPTED

    def blocks(self, first: int, most: int, bytes_max: int) -> list[Block]:
        """Blocks from a height on, as they were decided; none where payloads were removed.

        Args:
            first: height of the first one.
            most: how many at most.
            bytes_max: of envelopes and payloads, unless the first alone has more.
        """
        found: list[Block] = []
        base = self.store.base()
        if base is not None and first < base.first:
            return found
        size = 0
        for height in range(first, min(first + most, self.application.height + 1)):
            record = self.store.record(height)
            rows = self.store.transactions(height)
            items = [(row.envelope, row.sealed or b"") for row in rows]
            size += sum(len(raw) + len(sealed) for raw, sealed in items)
            if found and size > bytes_max:
                break
            if any(row.sealed is None and self._needs_payload(row.envelope) for row in rows):
                break
            found.append(Block(height, record.time_s, record.parent, items))
        return found

    def _needs_payload(self, raw: bytes) -> bool:
        transaction = self.application.readable(raw)
        return not isinstance(transaction, Verdict) and bool(transaction.envelope.payload_hash)

    def close(self) -> None:
        """Give the folder free."""
        self.store.close()


def _aside(place: Path) -> Path:
    """Where a ledger goes that another one takes the place of."""
    return place.with_name(f"{place.name}.old")


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
