"""Trees over lists: the reference values of Certificate Transparency, and what a verifier refuses.

The eight leaves, the roots and the proofs are those that implementations of RFC 6962 share.
"""

from __future__ import annotations

import pytest

from gridpact.errors import InvariantError
from gridpact.ledger import trees
from gridpact.ledger.trees import (
    EMPTY_TREE,
    Frontier,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    verify_inclusion,
)

LEAVES = [
    leaf_hash(bytes.fromhex(data))
    for data in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""By number of leaves."""
PROOFS = {
    (0, 1): [],
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
"""By (leaf, number of leaves)."""


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_standard(size: int) -> None:
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(9))
def test_a_growing_tree_has_the_same_roots(size: int) -> None:
    grown = Frontier()
    for leaf in LEAVES[:size]:
        grown = grown.append(leaf)
    assert grown.root().hex() == ROOTS[size]
    assert grown.count == size


@pytest.mark.parametrize(("place", "proof"), PROOFS.items())
def test_proofs_are_those_of_the_standard(place: tuple[int, int], proof: list[str]) -> None:
    index, size = place
    assert [beside.hex() for beside in inclusion_proof(LEAVES[:size], index)] == proof


@pytest.mark.parametrize("index", range(7))
def test_every_flipped_bit_is_noticed(index: int) -> None:
    """In the proof, in the leaf and in the root; on seven leaves, so that one path is short."""
    leaves, root = LEAVES[:7], merkle_root(LEAVES[:7])
    parts = [leaves[index], root, *inclusion_proof(leaves, index)]
    leaf, top, *proof = parts
    assert verify_inclusion(leaf, index, 7, proof, top)
    for place, part in enumerate(parts):
        for bit in range(256):
            flipped = (int.from_bytes(part, "big") ^ 1 << bit).to_bytes(32, "big")
            leaf, top, *proof = [*parts[:place], flipped, *parts[place + 1 :]]
            assert not verify_inclusion(leaf, index, 7, proof, top)


def test_a_proof_is_for_one_place_only() -> None:
    for size in range(1, 9):
        root = merkle_root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            for claimed in range(-1, size + 2):
                for leaf in LEAVES:
                    accepted = verify_inclusion(leaf, claimed, size, proof, root)
                    assert accepted == (claimed == index and leaf == LEAVES[index])


def test_a_proof_has_one_length() -> None:
    for size in range(1, 9):
        root = merkle_root(LEAVES[:size])
        for index in range(size):
            proof = inclusion_proof(LEAVES[:size], index)
            longer = [[*proof, root], [root, *proof], [*proof, EMPTY_TREE], [*proof, bytes(32)]]
            shorter = [proof[:-1], proof[1:]] if proof else []
            for wrong in longer + shorter:
                assert not verify_inclusion(LEAVES[index], index, size, wrong, root)


def test_a_proof_too_long_for_the_size_is_refused_even_if_the_hashes_agree() -> None:
    assert not verify_inclusion(LEAVES[1], 0, 1, [LEAVES[0]], merkle_root(LEAVES[:2]))


def test_hashes_cannot_be_cut_elsewhere() -> None:
    both, root = LEAVES[0] + LEAVES[1], merkle_root(LEAVES[:2])
    assert verify_inclusion(both[:32], 0, 2, [both[32:]], root)
    for cut in (0, 1, 31, 33, 64):
        assert not verify_inclusion(both[:cut], 0, 2, [both[cut:]], root)


def test_nothing_is_in_the_empty_tree() -> None:
    assert not verify_inclusion(EMPTY_TREE, 0, 0, [], EMPTY_TREE)
    assert not verify_inclusion(leaf_hash(b""), 0, 0, [], EMPTY_TREE)


@pytest.mark.parametrize(
    "claim",
    [
        {"index": -1},
        {"index": 3},
        {"index": 2**80},
        {"index": "2"},
        {"index": True},
        {"index": 2.0},
        {"index": None},
        {"size": 0},
        {"size": -3},
        {"size": 3.0},
        {"size": None},
        {"size": 2**4000},
        {"proof": None},
        {"proof": [None]},
        {"proof": [b""]},
        {"proof": ["x" * 32]},
        {"proof": [bytes(31)]},
        {"proof": [bytes(33)]},
        {"proof": {}},
        {"proof": 7},
        {"proof": [bytes(32)] * 300},
        {"leaf_hash": b""},
        {"leaf_hash": None},
        {"leaf_hash": "x" * 32},
        {"root": b""},
        {"root": None},
        {"root": ROOTS[3]},
    ],
)
def test_what_is_malformed_is_refused_without_an_error(claim: dict[str, object]) -> None:
    right = {
        "leaf_hash": LEAVES[2],
        "index": 2,
        "size": 3,
        "proof": inclusion_proof(LEAVES[:3], 2),
        "root": merkle_root(LEAVES[:3]),
    }
    assert verify_inclusion(**right) is True
    assert verify_inclusion(**right | claim) is False


def test_a_tuple_is_as_good_as_a_list() -> None:
    proof = tuple(inclusion_proof(LEAVES, 6))
    assert verify_inclusion(LEAVES[6], 6, 8, proof, merkle_root(LEAVES))


def test_there_is_no_proof_of_a_leaf_that_is_not_there() -> None:
    for index in (-1, 8, 9):
        with pytest.raises(InvariantError, match=f"no leaf {index} among 8"):
            inclusion_proof(LEAVES, index)
    with pytest.raises(InvariantError):
        inclusion_proof([], 0)


def test_a_growing_tree_is_a_value() -> None:
    three = Frontier().append(LEAVES[0]).append(LEAVES[1]).append(LEAVES[2])
    before = Frontier(three.count, three.hashes)
    three.append(LEAVES[3])
    assert three == before
    assert three.root().hex() == ROOTS[3]
    assert Frontier(3, three.hashes).append(LEAVES[3]).root().hex() == ROOTS[4]


@pytest.mark.parametrize("count", [-1, 0, 2, 4, 7])
def test_a_growing_tree_has_one_subtree_for_each_binary_one(count: int) -> None:
    with pytest.raises(InvariantError, match=f"make up {count} leaves"):
        Frontier(count, (LEAVES[0], LEAVES[1]))
    with pytest.raises(InvariantError):
        Frontier(-1, (LEAVES[0],))


def second_preimage() -> tuple[bytes, bytes, list[bytes]]:
    """The root of four leaves, and a leaf made of two inner hashes that poses as one of two."""
    four = [leaf_hash(bytes([letter])) for letter in b"abcd"]
    forged = leaf_hash(four[0] + four[1])
    return merkle_root(four), forged, [merkle_root(four[2:])]


def test_an_inner_node_cannot_pose_as_a_leaf() -> None:
    root, forged, proof = second_preimage()
    assert not verify_inclusion(forged, 0, 2, proof, root)


def test_broken_twin_without_prefixes_takes_an_inner_node_for_a_leaf(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trees, "_LEAF", b"")
    monkeypatch.setattr(trees, "_INNER", b"")
    root, forged, proof = second_preimage()
    assert verify_inclusion(forged, 0, 2, proof, root)
