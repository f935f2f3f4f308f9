"""Goal: a block's hash changes with everything in it, and every root is over what it says.

Method: roots against RFC 6962 trees written out by hand; hashes against every field changed.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest

from gridpact.codec import encode
from gridpact.ledger.blocks import (
    FORMAT_VERSION,
    EngineState,
    Proposal,
    Receipt,
    Record,
    engine_root,
    payloads_root,
    proposal_hash,
    receipts_root,
    record_hash,
    state_root,
    transactions_root,
    validators_id,
)

A, B, C = (bytes([letter]) * 32 for letter in b"abc")
ENGINE = EngineState("embedded", 3, 1, [("operator", 1), ("zoe", 2)])
PROPOSAL = Proposal(FORMAT_VERSION, 3, 1_700_000_000, A, [b"one", b"two"])
RECORD = Record(
    version=FORMAT_VERSION,
    genesis=A,
    height=3,
    time_s=1_700_000_000,
    parent=B,
    proposal=C,
    transactions=2,
    transactions_root=A,
    payloads_root=B,
    receipts_root=C,
    market_root=A,
    engine_root=B,
    validators=C,
    engine="embedded",
    state_root=A,
)


def another(value: object) -> object:
    """A value of the same type that is different."""
    match value:
        case int():
            return value + 1
        case bytes():
            return bytes([value[0] ^ 1]) + value[1:]
        case str():
            return value + "x"
        case list():
            return value[:-1]
    raise TypeError(value)


def leaf(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize("field", Record.__struct_fields__)
def test_the_record_hash_changes_with_every_field(field: str) -> None:
    changed = msgspec.structs.replace(RECORD, **{field: another(getattr(RECORD, field))})
    assert record_hash(changed) != record_hash(RECORD)


@pytest.mark.parametrize("field", Proposal.__struct_fields__)
def test_the_proposal_hash_changes_with_every_field(field: str) -> None:
    changed = msgspec.structs.replace(PROPOSAL, **{field: another(getattr(PROPOSAL, field))})
    assert proposal_hash(changed) != proposal_hash(PROPOSAL)


@pytest.mark.parametrize("field", EngineState.__struct_fields__)
def test_the_engine_root_changes_with_every_field(field: str) -> None:
    changed = msgspec.structs.replace(ENGINE, **{field: another(getattr(ENGINE, field))})
    assert engine_root(changed) != engine_root(ENGINE)


def test_the_order_of_transactions_is_part_of_a_proposal() -> None:
    swapped = msgspec.structs.replace(PROPOSAL, transactions=[b"two", b"one"])
    assert proposal_hash(swapped) != proposal_hash(PROPOSAL)


def test_each_hash_has_its_own_purpose() -> None:
    def tagged(tag: bytes, data: bytes) -> bytes:
        return sha256(bytes([len(tag)]) + tag + data).digest()

    assert record_hash(RECORD) == tagged(b"gridpact/record/v1", encode(RECORD))
    assert proposal_hash(PROPOSAL) == tagged(b"gridpact/proposal/v1", encode(PROPOSAL))
    assert engine_root(ENGINE) == tagged(b"gridpact/engine/v1", encode(ENGINE))


def test_the_validators_id_is_about_who_decides_with_which_weight_and_nothing_else() -> None:
    known = validators_id(ENGINE)
    other_time = msgspec.structs.replace(ENGINE, height=9, epoch=9, engine="raft")
    assert validators_id(other_time) == known
    for validators in (
        [("operator", 1), ("zoe", 3)],
        [("operator", 1), ("zoa", 2)],
        [("zoe", 2), ("operator", 1)],
        [("operator", 1)],
        [],
    ):
        changed = msgspec.structs.replace(ENGINE, validators=validators)
        assert validators_id(changed) != known


def test_two_validator_sets_never_share_an_id() -> None:
    """A party called `operator 1<newline>zoe` must not pass for two parties."""
    forged = msgspec.structs.replace(ENGINE, validators=[("operator 1\nzoe", 2)])
    assert validators_id(forged) != validators_id(ENGINE)


def test_roots_of_a_block() -> None:
    assert transactions_root([]) == payloads_root([]) == receipts_root([]) == sha256().digest()
    assert transactions_root([b"one"]) == leaf(b"one")
    one, two, three = leaf(b"one"), leaf(b"two"), leaf(b"three")
    assert transactions_root([b"one", b"two", b"three"]) == inner(inner(one, two), three)
    assert payloads_root([A, b"", B]) == inner(inner(leaf(A), leaf(b"")), leaf(B))
    receipts = [Receipt(A, 0, b""), Receipt(B, 42, C)]
    assert receipts_root(receipts) == inner(leaf(encode(receipts[0])), leaf(encode(receipts[1])))


@pytest.mark.parametrize("field", Receipt.__struct_fields__)
def test_the_receipts_root_changes_with_every_field(field: str) -> None:
    receipt = Receipt(A, 0, C)
    changed = msgspec.structs.replace(receipt, **{field: another(getattr(receipt, field))})
    assert receipts_root([changed]) != receipts_root([receipt])


def test_the_state_root_joins_both_roots_in_their_order() -> None:
    assert state_root(A, B) == sha256(A + B).digest()
    assert state_root(B, A) != state_root(A, B)
