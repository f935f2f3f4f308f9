"""Blocks: what an engine decides, and the record of what came of it.

A `Proposal` is decided before it is executed; its `Record` follows, and the next proposal names
that record, so deciding height H+1 proves record H.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gridpact.codec import Hash, Name, Natural, Wire, encode, sha256, tagged_hash
from gridpact.ledger.trees import leaf_hash, merkle_root

FORMAT_VERSION = 1
ZERO_HASH = bytes(32)


class Proposal(Wire, frozen=True):
    """What an engine orders: bytes, nothing more."""

    version: Natural
    height: Natural
    """1 for the first block."""
    time_s: Natural
    """Header time, seconds UTC; 0 in simulated runs. It can delay a phase, never change it."""
    parent: Hash
    """Hash of the previous record; the genesis hash at height 1."""
    transactions: list[bytes]
    """Envelopes in order."""


class Receipt(Wire, frozen=True):
    """What a transaction was told."""

    transaction: Hash
    verdict: Natural
    postings_hash: Annotated[bytes, Meta(max_length=32)]
    """Commitment to the money it moved; empty when none."""


class Record(Wire, frozen=True):
    """The header of an executed block. `verify --root` takes its hash."""

    version: Natural
    genesis: Hash
    height: Natural
    time_s: Natural
    parent: Hash
    proposal: Hash
    transactions: Natural
    """How many; an RFC 6962 root alone does not say, and an index means nothing without it."""
    transactions_root: Hash
    payloads_root: Hash
    receipts_root: Hash
    market_root: Hash
    engine_root: Hash
    validators: Hash
    """Id of the validator set that decided it."""
    engine: Name
    state_root: Hash
    """sha256(market_root || engine_root)."""


class ValidatorSet(Wire, frozen=True):
    """Who decides, with what weight."""

    validators: list[tuple[str, int]]
    """(party id, voting weight), by id."""


class EngineState(Wire, frozen=True):
    """What the engine is in; differs between engines and is outside the market root."""

    engine: Name
    height: Natural
    epoch: Natural
    validators: list[tuple[str, int]]
    """(party id, voting weight), by id."""


def proposal_hash(proposal: Proposal) -> bytes:
    """The value that a consensus protocol agrees on."""
    return tagged_hash(b"gridpact/proposal/v1", encode(proposal))


def record_hash(record: Record) -> bytes:
    """The block's identity: everything provable hangs below it."""
    return tagged_hash(b"gridpact/record/v1", encode(record))


def engine_root(state: EngineState) -> bytes:
    """Root of what the engine knows."""
    return tagged_hash(b"gridpact/engine/v1", encode(state))


def validators_id(state: EngineState) -> bytes:
    """Id of the validator set with its weights."""
    return tagged_hash(b"gridpact/validators/v1", encode(ValidatorSet(state.validators)))


def state_root(market_root: bytes, engine: bytes) -> bytes:
    """Both roots in one."""
    return sha256(market_root + engine)


def transactions_root(transactions: list[bytes]) -> bytes:
    """RFC 6962 root over the envelopes of a block."""
    return merkle_root([leaf_hash(raw) for raw in transactions])


def payloads_root(payload_hashes: list[bytes]) -> bytes:
    """RFC 6962 root over the payload hashes that the envelopes name, empty ones included."""
    return merkle_root([leaf_hash(payload_hash) for payload_hash in payload_hashes])


def receipts_root(receipts: list[Receipt]) -> bytes:
    """RFC 6962 root over the receipts of a block."""
    return merkle_root([leaf_hash(encode(receipt)) for receipt in receipts])
