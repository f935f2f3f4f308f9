"""What the pipeline and every client need from an engine, whichever it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gridpact.codec import Wire
from gridpact.ledger import Entry
from gridpact.ledger.blocks import Receipt, Record
from gridpact.ledger.statemap import MapProof
from gridpact.model import Verdict


@dataclass(frozen=True, slots=True)
class Refusal:
    """A transaction that was turned away at the door: it is on no chain and changed nothing."""

    transaction: bytes
    """sha256 of the envelope."""
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A state entry under the last record."""

    record: Record
    entry: Entry | None
    proof: MapProof


class EnginePort(Protocol):
    """One engine, asynchronous from the start."""

    @property
    def genesis_hash(self) -> bytes:
        """Name of the chain, for signatures."""

    async def submit(self, envelope: bytes, payload: bytes) -> Verdict:
        """Hand over a transaction with its sealed payload.

        Returns:
            ACCEPTED when it was taken in: `receipts` tells what becomes of it. Any other verdict
            is the end of it. Its id is sha256(envelope).
        """

    async def receipts(self, ids: Sequence[bytes]) -> list[Receipt | Refusal]:
        """Wait until each of these transactions is durable in a block, or refused."""

    async def values(self, keys: Sequence[str]) -> list[Wire | None]:
        """State values as they stand, None where there is none: for whoever trusts this engine."""

    async def query(self, key: str) -> QueryResult:
        """A state entry, or its absence, with proof."""
