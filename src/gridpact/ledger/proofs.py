"""Offline proofs: a file that a member checks with nothing but a block record's hash.

A proof carries the record, the path from its root down to one leaf, and the opening of that leaf.
Everything in it comes from whoever made it and is believed only as far as the hashes carry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from gridpact.codec import CodecError, decode, encode, sha256
from gridpact.errors import GridpactError
from gridpact.ledger.blocks import Receipt, Record, record_hash
from gridpact.ledger.statemap import MapProof, verify_map_proof
from gridpact.ledger.trees import leaf_hash, verify_inclusion


class ProofError(GridpactError):
    """The proof does not show what it claims."""


class ProvedDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A personal record whose salted hash is in a tree that the state value commits to."""

    salt: bytes
    data: bytes


class StateClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a key has a value, or none."""

    key: str
    salt: bytes
    value: bytes | None
    """None: the key is absent from the state."""
    path: bytes
    """Canonical `MapProof`."""
    documents: list[ProvedDocument]


class TransactionClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """That a transaction is in the block and was told a verdict."""

    envelope: bytes
    receipt: bytes
    index: int
    envelope_path: list[bytes]
    receipt_path: list[bytes]


class ProofFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `prove` writes and `verify` reads; JSON with bytes in base64."""

    format: Literal["gridpact-proof"]
    version: Literal[1]
    record: bytes
    claim: Literal["state", "transaction"]
    state: StateClaim | None
    transaction: TransactionClaim | None


@dataclass(frozen=True, slots=True)
class Proved:
    """What a proof has shown."""

    record: Record
    state: StateClaim | None
    transaction: TransactionClaim | None
    receipt: Receipt | None


def read_proof(data: bytes) -> ProofFile:
    """A proof from its file.

    Raises:
        ProofError: not JSON, or not the shape of a proof of this version.
    """
    try:
        return msgspec.json.decode(data, type=ProofFile)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProofError(f"not a gridpact proof: {error}") from error


def check_proof(proof: ProofFile, root: bytes) -> Proved:
    """Follow every hash from `root` down.

    Args:
        proof: untrusted.
        root: hash of the block's record, from a source that the reader trusts.
    Raises:
        ProofError: a hash does not fit, and which.
    """
    try:
        record = decode(Record, proof.record)
    except CodecError as error:
        raise ProofError(f"the block record is malformed: {error}") from error
    if record_hash(record) != root:
        raise ProofError(
            f"the proof is about the record {record_hash(record).hex()}, "
            f"not about the given root {root.hex()}"
        )
    if record.state_root != sha256(record.market_root + record.engine_root):
        raise ProofError("the record's state root is not that of its two roots")
    if proof.claim == "state" and proof.state is not None and proof.transaction is None:
        _check_state(proof.state, record)
        return Proved(record, proof.state, None, None)
    if proof.claim == "transaction" and proof.transaction is not None and proof.state is None:
        return Proved(record, None, proof.transaction, _checked(proof.transaction, record))
    raise ProofError(f"the proof says {proof.claim!r} and carries something else")


def _check_state(claim: StateClaim, record: Record) -> None:
    try:
        path = decode(MapProof, claim.path)
    except CodecError as error:
        raise ProofError(f"the path is malformed: {error}") from error
    content = None if claim.value is None else sha256(claim.salt + claim.value)
    if not verify_map_proof(record.market_root, claim.key.encode(), content, path):
        what = "is absent" if claim.value is None else "has the given value"
        raise ProofError(f"the path does not show that {claim.key!r} {what}")


def _checked(claim: TransactionClaim, record: Record) -> Receipt:
    """The receipt of a transaction whose paths are right."""
    count = record.transactions
    for name, data, path, root in (
        ("envelope", claim.envelope, claim.envelope_path, record.transactions_root),
        ("receipt", claim.receipt, claim.receipt_path, record.receipts_root),
    ):
        if not verify_inclusion(leaf_hash(data), claim.index, count, path, root):
            raise ProofError(f"the {name} is not at place {claim.index} of the block")
    try:
        receipt = decode(Receipt, claim.receipt)
    except CodecError as error:
        raise ProofError(f"the receipt is malformed: {error}") from error
    if receipt.transaction != sha256(claim.envelope):
        raise ProofError("the receipt belongs to another transaction")
    return receipt


def proof_bytes(proof: ProofFile) -> bytes:
    """The file's bytes."""
    return msgspec.json.format(msgspec.json.encode(proof), indent=1) + b"\n"


def state_proof(
    record: Record,
    claim: StateClaim,
) -> ProofFile:
    """A proof about one state key."""
    return ProofFile("gridpact-proof", 1, encode(record), "state", claim, None)


def transaction_proof(record: Record, claim: TransactionClaim) -> ProofFile:
    """A proof about one transaction."""
    return ProofFile("gridpact-proof", 1, encode(record), "transaction", None, claim)
