"""What clients of a network saw, held against what its ledgers say afterwards.

Ledgers are one list of transactions. A write stands where its transaction does; a read of a
ledger's height stands behind the last transaction of that block. A sender's nonces are a second,
finer list. Both orders are known, so real time can be compared with them exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

from gridpact.codec import sha256
from gridpact.ledger.blocks import Receipt, record_hash
from gridpact.model import Verdict
from gridpact.node import LedgerStore
from gridpact.sim import Violation
from gridpact.sim.histories import Operation, check_linearizable

SHOWN_MAX = 5
"""Violations of one kind that are told; the others are only counted."""


@dataclass(slots=True)
class Write:
    """One transaction, and what its client was told of it."""

    client: int
    sender: str
    nonce: int
    transaction: bytes
    """Its id."""
    began_us: int
    ended_us: float = inf
    receipt: Receipt | None = None
    """In a block, it was said."""
    refusal: Verdict | None = None
    """In no block, ever, it was said."""


@dataclass(frozen=True, slots=True)
class NonceRead:
    """The last nonce of a sender, as somebody read it."""

    client: int
    sender: str
    nonce: int
    began_us: int
    ended_us: int


@dataclass(frozen=True, slots=True)
class HeightRead:
    """The height of the record that a proof was made for."""

    client: int
    height: int
    began_us: int
    ended_us: int


@dataclass(slots=True)
class Chain:
    """What a ledger holds: where each transaction is."""

    first: int = 1
    """Height of the first block that is there: above 1 when it began with a snapshot."""
    records: list[bytes] = field(default_factory=list)
    """Hashes, from the first block on."""
    places: dict[bytes, tuple[int, Receipt]] = field(default_factory=dict)
    """(place in the list of all transactions, receipt) by id."""
    lengths: list[int] = field(default_factory=lambda: [0])
    """Transactions up to the block before the first, and up to each after it."""

    @property
    def height(self) -> int:
        """Of the last block."""
        return self.first - 1 + len(self.records)


def read_chain(ledger: Path) -> Chain:
    """What a ledger holds, which a validator may be using.

    Raises:
        GridpactError: no ledger, or it cannot be read.
    """
    chain = Chain()
    store = LedgerStore.open(ledger, writable=False)
    try:
        with store.one_moment():
            base = store.base()
            chain.first = 1 if base is None else base.first
            for height in range(chain.first, store.height() + 1):
                chain.records.append(record_hash(store.record(height)))
                for row in store.transactions(height):
                    transaction = sha256(row.envelope)
                    receipt = Receipt(transaction, row.verdict, row.postings_hash)
                    chain.places[transaction] = (len(chain.places) + 1, receipt)
                chain.lengths.append(len(chain.places))
    finally:
        store.close()
    return chain


def whole_chain(chains: Mapping[str, Chain]) -> Chain:
    """The first of those that have the most blocks."""
    return min(chains.values(), key=lambda chain: chain.first)


class History:
    """All that clients did and saw."""

    def __init__(self) -> None:
        """Begin empty."""
        self.writes: list[Write] = []
        self.nonce_reads: list[NonceRead] = []
        self.height_reads: list[HeightRead] = []

    @property
    def acknowledged(self) -> int:
        """Transactions whose receipts were given."""
        return sum(write.receipt is not None for write in self.writes)

    def lost(self, chain: Chain, whole: Chain) -> list[Write]:
        """Those of them that a ledger does not hold, or with another receipt.

        Args:
            chain: of the ledger.
            whole: a ledger with all blocks; what it has before the other one's first is not missed.
        """
        before = whole.lengths[chain.first - 1]
        return [
            write
            for write in self.writes
            if write.receipt is not None
            and chain.places.get(write.transaction, (0, None))[1] != write.receipt
            and not 0 < whole.places.get(write.transaction, (0, None))[0] <= before
        ]

    def raised(self, chain: Chain) -> list[Write]:
        """Transactions that were refused for good and that a ledger holds nevertheless."""
        return [
            write
            for write in self.writes
            if write.refusal is not None and write.transaction in chain.places
        ]

    def violations(self, chains: Mapping[str, Chain]) -> list[str]:
        """What does not fit the ledgers of all validators, which are at one height.

        Args:
            chains: by validator; one of them has all blocks.
        """
        found: list[str] = []
        first = whole_chain(chains)
        for name, chain in chains.items():
            if chain.records != first.records[chain.first - 1 :]:
                found.append(f"blocks: {name} has other records than the others")
            found += _told(
                f"lost: {name} does not hold what was acknowledged", self.lost(chain, first)
            )
            found += _told(f"refused, but in a block of {name}", self.raised(chain))
        try:
            check_linearizable(self._by_place(first))
            for sender in sorted({write.sender for write in self.writes}):
                check_linearizable(self._by_nonce(sender, first))
        except Violation as error:
            found.append(str(error))
        except IndexError:
            found.append(f"a read saw a height above {first.height}, the last one")
        return found

    def _by_place(self, chain: Chain) -> list[Operation]:
        """Everything as a list of transactions that grows."""
        operations = []
        for write in self.writes:
            place, _ = chain.places.get(write.transaction, (-1, None))
            operations.append(_operation(write, place, b"w"))
        operations += [
            _operation(read, chain.lengths[read.height], b"") for read in self.height_reads
        ]
        return operations

    def _by_nonce(self, sender: str, chain: Chain) -> list[Operation]:
        """One sender's nonce as a register."""
        operations = [
            _operation(write, write.nonce, b"w")
            for write in self.writes
            if write.sender == sender and write.transaction in chain.places
        ]
        operations += [
            _operation(read, read.nonce, b"") for read in self.nonce_reads if read.sender == sender
        ]
        return operations


def _operation(seen: Write | NonceRead | HeightRead, place: int, payload: bytes) -> Operation:
    operation = Operation(seen.client, seen.began_us, payload)
    operation.ended_us, operation.height = seen.ended_us, place
    return operation


def _told(what: str, writes: Sequence[Write]) -> list[str]:
    found = [
        f"{what}: {write.sender} nonce {write.nonce}, {write.transaction.hex()[:16]}, client "
        f"{write.client}, {write.began_us}..{write.ended_us} us"
        for write in writes[:SHOWN_MAX]
    ]
    if len(writes) > SHOWN_MAX:
        found.append(f"{what}: {len(writes) - SHOWN_MAX} more")
    return found
