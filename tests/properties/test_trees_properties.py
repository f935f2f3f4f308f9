"""The fast trees agree with their definitions, and proofs show what is true and nothing else.

Method: deliberately dumb twins, written down from the definitions with no thought of speed, on
content that hypothesis makes up. For the state map the keys are their own hashes, chosen so that
paths share long stems, which honest key hashes almost never do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridpact.codec import decode, encode
from gridpact.ledger import statemap
from gridpact.ledger.statemap import MapLeaf, MapProof, StateMap, verify_map_proof
from gridpact.ledger.trees import (
    Frontier,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    verify_inclusion,
)

# Trees over lists


def dumb_root(data: list[bytes]) -> bytes:
    """MTH(D[n]) as RFC 6962, section 2.1, defines it."""
    if not data:
        return sha256(b"").digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    k = half(len(data))
    return sha256(b"\x01" + dumb_root(data[:k]) + dumb_root(data[k:])).digest()


def dumb_path(index: int, data: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) as RFC 6962, section 2.1.1, defines it."""
    if len(data) == 1:
        return []
    k = half(len(data))
    if index < k:
        return [*dumb_path(index, data[:k]), dumb_root(data[k:])]
    return [*dumb_path(index - k, data[k:]), dumb_root(data[:k])]


def half(size: int) -> int:
    """The largest power of two smaller than `size`."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


lists = st.lists(st.binary(max_size=3), max_size=40, unique=True)


@given(lists)
def test_roots_and_growing_trees_agree_with_the_definition(data: list[bytes]) -> None:
    hashes = [leaf_hash(item) for item in data]
    grown = Frontier()
    for leaf in hashes:
        grown = grown.append(leaf)
    assert merkle_root(hashes) == grown.root() == dumb_root(data)


@given(lists.filter(bool), st.data())
def test_inclusion_proofs_agree_with_the_definition_and_show_one_thing(
    data: list[bytes], draw: st.DataObject
) -> None:
    size = len(data)
    hashes = [leaf_hash(item) for item in data]
    root = merkle_root(hashes)
    index = draw.draw(st.integers(0, size - 1))
    proof = inclusion_proof(hashes, index)
    assert proof == dumb_path(index, data)
    assert verify_inclusion(hashes[index], index, size, proof, root)

    for other in range(-1, size + 1):
        if other != index:
            assert not verify_inclusion(hashes[index], other, size, proof, root)
        if other in range(size) and other != index:
            assert not verify_inclusion(hashes[other], index, size, proof, root)
    for wrong in spoiled_list(proof, draw.draw(st.integers(0, 255))):
        assert not verify_inclusion(hashes[index], index, size, wrong, root)


def spoiled_list(proof: list[bytes], bit: int) -> Iterator[list[bytes]]:
    """Every sibling with a flipped bit, left out or doubled; neighbours exchanged."""
    yield [*proof, bytes(32)]
    yield [bytes(32), *proof]
    for place, sibling in enumerate(proof):
        before, after = proof[:place], proof[place + 1 :]
        yield [*before, flipped(sibling, bit), *after]
        yield [*before, *after]
        yield [*before, sibling, sibling, *after]
        if after:
            yield [*before, after[0], sibling, *after[1:]]


def flipped(value: bytes, bit: int) -> bytes:
    return (int.from_bytes(value, "big") ^ 1 << bit).to_bytes(len(value), "big")


# The state map


def dumb_map_root(content: Mapping[bytes, bytes], depth: int = 0) -> bytes:
    """Root of the subtree with this content, all of whose keys agree on `depth` bits."""
    if not content:
        return bytes(32)
    if len(content) == 1:
        ((key, value),) = content.items()
        return sha256(b"\x03" + key + value).digest()
    halves: tuple[dict[bytes, bytes], dict[bytes, bytes]] = {}, {}
    for key, value in content.items():
        bit = key[depth // 8] >> 7 - depth % 8 & 1
        halves[bit][key] = value
    left, right = (dumb_map_root(part, depth + 1) for part in halves)
    return sha256(b"\x04" + left + right).digest()


@pytest.fixture(autouse=True, scope="module")
def own_hash() -> Iterator[None]:
    """Keys are their own hashes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statemap, "key_hash", lambda key: key)
        yield


def number(value: int) -> bytes:
    return value.to_bytes(32, "big")


POOL = [
    *(number(value) for value in range(12)),
    *(number(1 << bit) for bit in (20, 100, 128, 200, 250, 253, 254, 255)),
    *(number((1 << 256) - 1 - value) for value in range(6)),
    *(sha256(number(value)).digest() for value in range(16)),
]
"""Stems of up to 255 bits on either side, and ordinary paths."""
keys = st.sampled_from(POOL)
contents = st.sampled_from([bytes([letter]) * 32 for letter in b"abc"])
batches = st.lists(st.dictionaries(keys, st.none() | contents, max_size=24), max_size=6)


def apply(content: dict[bytes, bytes], batch: Mapping[bytes, bytes | None]) -> dict[bytes, bytes]:
    merged = {**content, **batch}
    return {key: value for key, value in merged.items() if value is not None}


@given(batches)
def test_the_map_agrees_with_the_definition_and_old_maps_stay(
    changes: list[dict[bytes, bytes | None]],
) -> None:
    history: list[tuple[StateMap, dict[bytes, bytes]]] = [(StateMap.empty(), {})]
    for batch in changes:
        tree, content = history[-1]
        history.append((tree.updated(batch), apply(content, batch)))
    for tree, content in history:
        assert tree.root == dumb_map_root(content)
        assert len(tree) == len(content)


def test_large_batches_agree_with_the_definition() -> None:
    random = Random(1)
    tree, content = StateMap.empty(), dict[bytes, bytes]()
    for size in (1500, 1, 400, 2, 400, 400, 1500):
        old = random.sample(sorted(content), min(len(content), size // 2))
        batch: dict[bytes, bytes | None] = {
            key: random.choice([None, random.randbytes(32)]) for key in old
        }
        batch |= {random.randbytes(32): random.randbytes(32) for _ in range(size - len(old))}
        tree, content = tree.updated(batch), apply(content, batch)
        assert tree.root == dumb_map_root(content)
        assert len(tree) == len(content)


@given(st.dictionaries(keys, contents), st.lists(keys), st.randoms(use_true_random=False))
def test_order_and_batching_leave_no_trace(
    content: dict[bytes, bytes], detours: list[bytes], random: Random
) -> None:
    """One batch, or single steps in any order with keys that come and go on the way."""
    steps: list[tuple[bytes, bytes | None]] = list(content.items())
    random.shuffle(steps)
    for key in detours:
        steps.insert(random.randint(0, len(steps)), (key, b"d" * 32))
    steps += [(key, content.get(key)) for key in detours]
    steps += list(content.items())
    stepwise = StateMap.empty()
    for key, value in steps:
        stepwise = stepwise.updated({key: value})
    at_once = StateMap.empty().updated(content)
    assert stepwise.root == at_once.root
    assert len(stepwise) == len(at_once)
    assert [stepwise.prove(key) for key in POOL] == [at_once.prove(key) for key in POOL]


@given(st.dictionaries(keys, contents))
def test_every_key_is_proven_present_or_absent(content: dict[bytes, bytes]) -> None:
    tree = StateMap.empty().updated(content)
    for key in POOL:
        proof = tree.prove(key)
        assert decode(MapProof, encode(proof)) == proof
        for claim in (None, b"a" * 32, b"b" * 32, b"c" * 32, bytes(32)):
            accepted = verify_map_proof(tree.root, key, claim, proof)
            assert accepted == (content.get(key) == claim)


@settings(max_examples=60)
@given(st.dictionaries(keys, contents), keys, st.integers(0, 255))
def test_only_the_one_proof_of_a_true_claim_is_accepted(
    content: dict[bytes, bytes], key: bytes, bit: int
) -> None:
    """Spoiled proofs, and proofs lent to other keys, neither show a lie nor a truth twice."""
    tree = StateMap.empty().updated(content)
    honest = {other: tree.prove(other) for other in POOL}
    for proof in (honest[key], *spoiled(honest[key], bit)):
        for claimed in (key, flipped(key, bit), *POOL[::5]):
            true = tree.prove(claimed)
            for claim in (None, content.get(claimed), b"a" * 32):
                accepted = verify_map_proof(tree.root, claimed, claim, proof)
                assert accepted == (claim == content.get(claimed) and proof == true)


def spoiled(proof: MapProof, bit: int) -> Iterator[MapProof]:
    """Siblings changed, left out, doubled, added; the end of the path exchanged."""
    siblings, other = proof.siblings, proof.other
    some = b"s" * 32
    for extra in (None, some, bytes(32)):
        yield MapProof((*siblings, extra), other)
        yield MapProof((extra, *siblings), other)
    for place in {0, 1, len(siblings) // 2, len(siblings) - 1} & set(range(len(siblings))):
        before, sibling, after = siblings[:place], siblings[place], siblings[place + 1 :]
        yield MapProof((*before, flipped(sibling or bytes(32), bit), *after), other)
        yield MapProof((*before, some if sibling is None else None, *after), other)
        yield MapProof((*before, bytes(32), *after), other)
        yield MapProof((*before, *after), other)
        yield MapProof((*before, sibling, *siblings[place:]), other)
    yield MapProof(siblings[1:], MapLeaf(some, some))
    if other:
        yield MapProof(siblings, None)
        yield MapProof(siblings, MapLeaf(flipped(other.key_hash, bit), other.content))
        yield MapProof(siblings, MapLeaf(other.key_hash, flipped(other.content, bit)))
        yield MapProof(siblings, MapLeaf(other.content, other.key_hash))
    else:
        yield MapProof(siblings, MapLeaf(some, some))
        yield MapProof(siblings, MapLeaf(bytes(32), bytes(32)))
