"""A broken twin of the writer: it acknowledges each block before that block is on the disk."""

from __future__ import annotations

import sys
from pathlib import Path

from gridpact.contracts import BlockResult, Candidate
from gridpact.ledger.blocks import Proposal
from gridpact.node import LedgerStore
from gridpact.studies.kill_writer import write


class LateStore(LedgerStore):
    """Stores a block when the next one comes."""

    late: tuple[Proposal, list[Candidate], BlockResult] | None = None

    def save_block(
        self, proposal: Proposal, candidates: list[Candidate], result: BlockResult
    ) -> None:
        if self.late is not None:
            super().save_block(*self.late)
        self.late = proposal, candidates, result


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), LateStore)
