"""The state's Merkle map: small trees by hand, the work of a batch, and what a verifier refuses.

Where a test needs leaves at a chosen depth, it makes the key its own hash; no one can choose key
hashes that freely otherwise. `tests/properties` compares with the definition on random content.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import pytest

from gridpact.codec import CodecError, decode, encode
from gridpact.errors import InvariantError
from gridpact.ledger import statemap
from gridpact.ledger.statemap import (
    DEPTH_MAX,
    EMPTY_ROOT,
    MapLeaf,
    MapProof,
    StateMap,
    key_hash,
    verify_map_proof,
)

A, B, C, D = (bytes([letter]) * 32 for letter in b"abcd")
"""Contents."""
EMPTY = StateMap.empty()


def at(bits: str) -> bytes:
    """A key whose hash starts with these bits, the rest being zero; only with `own_hash`."""
    return int(bits.ljust(256, "0"), 2).to_bytes(32, "big")


def leaf(key: bytes, content: bytes) -> bytes:
    return sha256(b"\x03" + statemap.key_hash(key) + content).digest()


def inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x04" + left + right).digest()


def many(count: int) -> dict[bytes, bytes]:
    return {b"key %d" % i: sha256(b"%d" % i).digest() for i in range(count)}


@pytest.fixture
def own_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statemap, "key_hash", lambda key: key)


# Shape


def test_the_empty_map_is_32_zero_bytes() -> None:
    assert EMPTY.root == EMPTY_ROOT == bytes(32)
    assert len(EMPTY) == 0
    assert EMPTY.updated({}).root == EMPTY_ROOT


def test_a_key_is_hashed_apart_from_leaves_and_inner_nodes() -> None:
    assert key_hash(b"key") == sha256(b"\x02key").digest()


def test_one_leaf_is_the_whole_tree() -> None:
    alone = EMPTY.updated({b"key": A})
    assert alone.root == sha256(b"\x03" + key_hash(b"key") + A).digest()
    assert len(alone) == 1


@pytest.mark.usefixtures("own_hash")
def test_leaves_stand_where_their_paths_part() -> None:
    left, high, low = at("0"), at("1101"), at("1100")
    tree = EMPTY.updated({left: A, high: B, low: C})
    fork = inner(leaf(low, C), leaf(high, B))
    stem = inner(EMPTY_ROOT, inner(fork, EMPTY_ROOT))
    assert tree.root == inner(leaf(left, A), stem)
    assert len(tree) == 3


@pytest.mark.usefixtures("own_hash")
def test_a_lone_leaf_rises_past_empty_subtrees() -> None:
    left, high, low = at("0"), at("1101"), at("1100")
    three = EMPTY.updated({left: A, high: B, low: C})
    assert three.updated({low: None}).root == inner(leaf(left, A), leaf(high, B))
    assert three.updated({left: None, low: None}).root == leaf(high, B)
    assert three.updated({left: None, low: None, high: None}).root == EMPTY_ROOT
    assert three.updated({left: None}).updated({low: None}).root == leaf(high, B)


@pytest.mark.usefixtures("own_hash")
def test_keys_may_differ_in_the_last_bit_only() -> None:
    even, odd = at("0" * 256), at("0" * 255 + "1")
    tree = EMPTY.updated({even: A}).updated({odd: B})
    assert tree.root == EMPTY.updated({odd: B, even: A}).root
    for key, content in ((even, A), (odd, B)):
        proof = tree.prove(key)
        assert len(proof.siblings) == DEPTH_MAX
        assert proof.siblings[1:] == (None,) * 255
        assert verify_map_proof(tree.root, key, content, proof)
        assert not verify_map_proof(tree.root, key, None, proof)
    assert tree.updated({even: None}).root == leaf(odd, B)


def test_the_root_of_a_thousand_keys_never_changes_unannounced() -> None:
    tree = EMPTY.updated(many(1000))
    assert tree.root.hex() == "1aabc98c68a8e602f354f40f92cd8ffe6b3bfd3df150b05f7c3af18cca37df73"


# Change


def test_a_map_is_a_value() -> None:
    first = EMPTY.updated(many(50))
    root, proof = first.root, first.prove(b"key 7")
    second = first.updated({b"key 7": A, b"key 8": None, b"new": B})
    assert (len(first), len(second)) == (50, 50)
    assert first.root == root != second.root
    assert first.prove(b"key 7") == proof
    assert verify_map_proof(root, b"key 7", many(50)[b"key 7"], proof)
    assert verify_map_proof(second.root, b"key 7", A, second.prove(b"key 7"))
    with pytest.raises(AttributeError):
        first._top = second._top


def test_removing_an_absent_key_changes_nothing() -> None:
    tree = EMPTY.updated(many(50))
    for absent in ({b"absent": None}, {b"absent %d" % i: None for i in range(200)}):
        assert tree.updated(absent).root == tree.root
        assert len(tree.updated(absent)) == 50
        assert EMPTY.updated(absent).root == EMPTY_ROOT
        assert len(EMPTY.updated(absent)) == 0
        one = EMPTY.updated({b"key": A})
        assert one.updated(absent).root == one.root
        assert len(one.updated(absent)) == 1


def test_the_same_content_again_changes_nothing() -> None:
    tree = EMPTY.updated(many(50))
    assert tree.updated(many(50)).root == tree.root
    assert len(tree.updated(many(50))) == 50


def test_keys_may_be_of_any_length() -> None:
    keys = [b"", b"\x00", b"\x00\x00", b"k" * 1000]
    tree = EMPTY.updated(dict.fromkeys(keys, A))
    assert len(tree) == 4
    assert all(verify_map_proof(tree.root, key, A, tree.prove(key)) for key in keys)


@pytest.mark.parametrize("content", [b"", b"short", bytes(31), bytes(33)])
def test_a_content_that_is_no_hash_is_refused_whole(content: bytes) -> None:
    tree = EMPTY.updated(many(5))
    root = tree.root
    with pytest.raises(InvariantError, match=f"{len(content)} bytes; 32 are needed"):
        tree.updated({b"good": A, b"bad": content})
    assert tree.root == root
    assert len(tree) == 5


def test_a_batch_hashes_each_changed_node_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys, their leaves, and the inner nodes on their paths, shared ones once."""
    tree = EMPTY.updated(many(2000))
    changes = {b"key %d" % i: A for i in range(0, 2000, 10)}
    touched = {
        (depth, int.from_bytes(key_hash(key), "big") >> DEPTH_MAX - depth)
        for key in changes
        for depth in range(len(tree.prove(key).siblings))
    }
    calls = 0

    def counted(data: bytes) -> object:
        nonlocal calls
        calls += 1
        return sha256(data)

    monkeypatch.setattr(statemap, "sha256", counted)
    tree.updated(changes)
    assert calls == 2 * len(changes) + len(touched)


# Proofs


def test_presence_and_absence_are_proven() -> None:
    content = many(200)
    tree = EMPTY.updated(content)
    for key, value in content.items():
        proof = tree.prove(key)
        assert proof.other is None
        assert verify_map_proof(tree.root, key, value, proof)
        assert not verify_map_proof(tree.root, key, A, proof)
        assert not verify_map_proof(tree.root, key, None, proof)
    ends = set()
    for key in (b"absent %d" % i for i in range(200)):
        proof = tree.prove(key)
        ends.add(proof.other is None)
        assert verify_map_proof(tree.root, key, None, proof)
        assert not verify_map_proof(tree.root, key, A, proof)
        assert not verify_map_proof(tree.root, key, EMPTY_ROOT, proof)
    assert ends == {True, False}, "both kinds of absence occur"


def test_everything_is_absent_from_the_empty_map() -> None:
    proof = EMPTY.prove(b"key")
    assert proof == MapProof((), None)
    assert verify_map_proof(EMPTY_ROOT, b"key", None, proof)
    assert not verify_map_proof(EMPTY_ROOT, b"key", EMPTY_ROOT, proof)
    assert not verify_map_proof(A, b"key", None, proof)


def test_a_proof_travels() -> None:
    tree = EMPTY.updated(many(200))
    for key in (b"key 7", b"absent 1", b"absent 2", b"absent 3", b"absent 4"):
        proof = tree.prove(key)
        assert decode(MapProof, encode(proof)) == proof


@pytest.mark.parametrize(
    "proof",
    [
        MapProof((bytes(32),) * 257, None),
        MapProof((bytes(31),), None),
        MapProof((b"",), None),
        MapProof((), MapLeaf(bytes(33), bytes(32))),
        MapProof((), MapLeaf(bytes(32), b"")),
    ],
)
def test_a_malformed_proof_does_not_travel(proof: MapProof) -> None:
    with pytest.raises(CodecError):
        decode(MapProof, encode(proof))


def proven() -> Iterator[tuple[bytes, bytes, bytes | None, MapProof]]:
    """(root, key, content, proof) of a present key, and of both kinds of absent ones."""
    content = many(40)
    tree = EMPTY.updated(content)
    absent = [b"absent %d" % i for i in range(40)]
    by_empty = next(key for key in absent if tree.prove(key).other is None)
    by_other = next(key for key in absent if tree.prove(key).other)
    for key in (b"key 7", by_empty, by_other):
        yield tree.root, key, content.get(key), tree.prove(key)


def flips(value: bytes) -> Iterator[bytes]:
    """All values that differ in one bit."""
    number = int.from_bytes(value, "big")
    for bit in range(8 * len(value)):
        yield (number ^ 1 << bit).to_bytes(len(value), "big")


@pytest.mark.parametrize("claim", list(proven()))
def test_every_flipped_bit_is_noticed(claim: tuple[bytes, bytes, bytes | None, MapProof]) -> None:
    root, key, content, proof = claim
    assert verify_map_proof(root, key, content, proof)
    for wrong in flips(root):
        assert not verify_map_proof(wrong, key, content, proof)
    for place, sibling in enumerate(proof.siblings):
        for wrong in flips(sibling or EMPTY_ROOT):
            siblings = (*proof.siblings[:place], wrong, *proof.siblings[place + 1 :])
            assert not verify_map_proof(root, key, content, MapProof(siblings, proof.other))
    for wrong in flips(content or b""):
        assert not verify_map_proof(root, key, wrong, proof)
    if proof.other:
        for wrong in flips(proof.other.key_hash):
            other = MapLeaf(wrong, proof.other.content)
            assert not verify_map_proof(root, key, content, MapProof(proof.siblings, other))
        for wrong in flips(proof.other.content):
            other = MapLeaf(proof.other.key_hash, wrong)
            assert not verify_map_proof(root, key, content, MapProof(proof.siblings, other))


@pytest.mark.usefixtures("own_hash")
def test_an_empty_sibling_has_one_form() -> None:
    """And the last before the end of a path is never empty."""
    low, high = at("100"), at("101")
    tree = EMPTY.updated({low: A, high: B})
    proof = tree.prove(low)
    assert proof.siblings == (leaf(high, B), None, None)
    assert verify_map_proof(tree.root, low, A, proof)
    spelt_out = MapProof((leaf(high, B), EMPTY_ROOT, None), None)
    assert not verify_map_proof(tree.root, low, A, spelt_out)

    hanging = inner(EMPTY_ROOT, leaf(low, A))  # not a tree: the leaf would have risen
    assert not verify_map_proof(hanging, low, A, MapProof((None,), None))
    assert not verify_map_proof(inner(EMPTY_ROOT, EMPTY_ROOT), low, None, MapProof((None,), None))


@pytest.mark.usefixtures("own_hash")
def test_a_path_of_257_is_refused_even_if_the_hashes_agree() -> None:
    key, root = at(""), leaf(at(""), A)
    for _ in range(257):
        root = inner(root, B)
    assert not verify_map_proof(root, key, A, MapProof((B,) * 257, None))


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": None},
        {"root": b""},
        {"root": "x" * 32},
        {"root": bytes(33)},
        {"key": None},
        {"key": "key"},
        {"key": 7},
        {"content": b""},
        {"content": bytes(31)},
        {"content": "x" * 32},
        {"content": 0},
        {"proof": None},
        {"proof": ((), None)},
        {"proof": MapProof(None, None)},
        {"proof": MapProof("siblings", None)},
        {"proof": MapProof([], None)},
        {"proof": MapProof((b"",), None)},
        {"proof": MapProof((bytes(33),), None)},
        {"proof": MapProof(("x" * 32,), None)},
        {"proof": MapProof((7,), None)},
        {"proof": MapProof(((),), None)},
        {"proof": MapProof((), False)},
        {"proof": MapProof((), (A, B))},
        {"proof": MapProof((), MapLeaf(A, B))},
        {"proof": MapProof((), MapLeaf(A, b""))},
        {"proof": MapProof((), MapLeaf(b"", B))},
        {"proof": MapProof((), MapLeaf(A, None))},
        {"proof": MapProof((), MapLeaf(None, B))},
        {"proof": MapProof((A,) * 257, None)},
        {"proof": MapProof((A,) * 5000, None)},
    ],
)
def test_what_is_malformed_is_refused_without_an_error(wrong: dict[str, object]) -> None:
    tree = EMPTY.updated({b"key": A})
    right = {"root": tree.root, "key": b"key", "content": A, "proof": tree.prove(b"key")}
    assert verify_map_proof(**right) is True
    assert verify_map_proof(**right | wrong) is False
    absent = {"root": EMPTY_ROOT, "key": b"key", "content": None, "proof": EMPTY.prove(b"key")}
    assert verify_map_proof(**absent) is True
    assert verify_map_proof(**absent | wrong) is False


# Forgeries, and the broken twins that take them


def test_a_leaf_cannot_be_cut_elsewhere() -> None:
    """The bytes of a key's own leaf, divided after 31, would look like another key's."""
    root = EMPTY.updated({b"key": A}).root
    both = key_hash(b"key") + A
    for cut in (0, 31, 33, 64):
        forged = MapProof((), MapLeaf(both[:cut], both[cut:]))
        assert not verify_map_proof(root, b"key", None, forged)


def posing_node() -> tuple[bytes, MapProof]:
    """A root, and its two halves written as if they were the key hash and content of a leaf."""
    tree = EMPTY.updated({b"1": A, b"2": B, b"3": C, b"4": D})
    left, right = tree._top.left.hash, tree._top.right.hash
    return tree.root, MapProof((), MapLeaf(left, right))


def test_an_inner_node_cannot_pose_as_the_leaf_of_another_key() -> None:
    """It would prove every key absent, present ones included."""
    root, forged = posing_node()
    assert not verify_map_proof(root, b"1", None, forged)


def test_broken_twin_without_tags_takes_an_inner_node_for_a_leaf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statemap, "_LEAF", b"")
    monkeypatch.setattr(statemap, "_INNER", b"")
    root, forged = posing_node()
    assert verify_map_proof(root, b"1", None, forged)


def careless_verify(root: bytes, key: bytes, content: bytes | None, proof: MapProof) -> bool:
    """The rule of the real verifier without its question whether the other key is another one."""
    own = int.from_bytes(key_hash(key), "big")
    if proof.other:
        node = sha256(b"\x03" + proof.other.key_hash + proof.other.content).digest()
    else:
        node = leaf(key, content) if content else EMPTY_ROOT
    path = own >> DEPTH_MAX - len(proof.siblings)
    for sibling in proof.siblings:
        beside = sibling or EMPTY_ROOT
        node = inner(beside, node) if path & 1 else inner(node, beside)
        path >>= 1
    return node == root


def own_leaf_as_other() -> tuple[bytes, MapProof]:
    tree = EMPTY.updated(many(40))
    content = many(40)[b"key 7"]
    return tree.root, MapProof(tree.prove(b"key 7").siblings, MapLeaf(key_hash(b"key 7"), content))


def test_a_key_is_not_absent_because_its_own_leaf_is_there() -> None:
    root, forged = own_leaf_as_other()
    assert not verify_map_proof(root, b"key 7", None, forged)


def test_broken_twin_takes_the_own_leaf_for_another() -> None:
    root, forged = own_leaf_as_other()
    assert careless_verify(root, b"key 7", None, forged)
    for top, key, content, proof in proven():
        assert careless_verify(top, key, content, proof), "it is right about honest proofs"


@pytest.mark.usefixtures("own_hash")
def test_another_leaf_must_share_the_whole_path() -> None:
    """A root over a leaf in the wrong place is no map's, but a forger may own the root."""
    stray = leaf(at("1"), A)
    root = inner(stray, B)
    assert not verify_map_proof(root, at("01"), None, MapProof((B,), MapLeaf(at("1"), A)))
    root = inner(B, stray)
    assert verify_map_proof(root, at("11"), None, MapProof((B,), MapLeaf(at("1"), A)))
