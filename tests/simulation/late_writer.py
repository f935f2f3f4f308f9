"""A broken twin of the writer: it acknowledges each block before that block is on the disk."""

from __future__ import annotations

import sys
from pathlib import Path

from gridpact.contracts import BlockResult, Candidate
from gridpact.ledger.blocks import Proposal
from gridpact.node import LedgerStore
from gridpact.studies.kill_writer import write


class LateStore(LedgerStore):
    """Stores a ledger's first block at once and means to store the others when it has time.

    It never has any, so that a kill finds it out whenever it comes.
    """

    def save_block(
        self, proposal: Proposal, candidates: list[Candidate], result: BlockResult
    ) -> None:
        if proposal.height == 1:
            super().save_block(proposal, candidates, result)


if __name__ == "__main__":
    write(Path(sys.argv[1]), int(sys.argv[2]), LateStore)
