"""Merkle trees over lists: roots, proofs that one leaf is in, and a tree that only grows.

The tree of RFC 6962: leaves and inner nodes are hashed apart, so that no inner node can be passed
off as a leaf, and the left half of a tree is the largest power of two below its size. The module
knows nothing of what the leaves hold.

Source: [RFC6962], section 2.1; the check of a proof is that of its successor RFC 9162, 2.1.3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from gridpact.errors import invariant

EMPTY_TREE: Final = sha256(b"").digest()
"""Root of the tree without leaves."""

_HASH_SIZE: Final = 32
_LEAF: Final = b"\x00"
_INNER: Final = b"\x01"


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf that holds `data`.

    >>> leaf_hash(b"").hex()[:16]
    '6e340b9cffb37a98'
    """
    return sha256(_LEAF + data).digest()


def merkle_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaves in the order given.

    >>> merkle_root([]) == EMPTY_TREE
    True
    >>> merkle_root([leaf_hash(b"only")]) == leaf_hash(b"only")
    True
    """
    if not leaf_hashes:
        return EMPTY_TREE
    level = leaf_hashes
    while len(level) > 1:
        level = _parents(level)
    return level[0]


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes beside the way from leaf `index` up to the root, lowest first.

    Raises:
        InvariantError: there is no such leaf.
    """
    invariant(0 <= index < len(leaf_hashes), f"no leaf {index} among {len(leaf_hashes)}")
    proof = []
    level = leaf_hashes
    while len(level) > 1:
        beside = index ^ 1
        if beside < len(level):
            proof.append(level[beside])
        level = _parents(level)
        index >>= 1
    return proof


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Whether `proof` shows that leaf `index` of the tree of `size` leaves has this hash.

    Nothing is assumed of the arguments but that `root` is known to be the root of a tree of that
    size; whatever is malformed is False, never an error. One claim has one accepted proof. A root
    alone does not tell the size, and with a wrong size the index means nothing: where the place
    of a leaf matters, the size is to be vouched for together with the root.

    Source: [RFC6962], 2.1.1; the steps are those of RFC 9162, 2.1.3.2.
    """
    if not (type(index) is type(size) is int and 0 <= index < size):
        return False
    if not (isinstance(proof, list | tuple) and all(map(_is_hash, (leaf_hash, root, *proof)))):
        return False
    node, last = leaf_hash, size - 1
    for beside in proof:
        if last == 0:
            return False
        if index & 1 or index == last:
            node = sha256(_INNER + beside + node).digest()
            # The last node of a level has no sibling while its number is even: it moves up.
            while not index & 1 and index:
                index >>= 1
                last >>= 1
        else:
            node = sha256(_INNER + node + beside).digest()
        index >>= 1
        last >>= 1
    return last == 0 and node == root


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree that can grow and tell its root without keeping its leaves.

    >>> Frontier().append(leaf_hash(b"a")).root() == merkle_root([leaf_hash(b"a")])
    True
    """

    count: int = 0
    """Leaves so far."""
    hashes: tuple[bytes, ...] = ()
    """Roots of the full subtrees, one for each 1 in the binary form of `count`, largest first."""

    def __post_init__(self) -> None:
        if self.count < 0 or len(self.hashes) != self.count.bit_count():
            invariant(False, f"{len(self.hashes)} subtrees do not make up {self.count} leaves")

    def append(self, leaf_hash: bytes) -> Frontier:
        """The tree with one more leaf."""
        kept = len(self.hashes)
        node, full = leaf_hash, self.count
        while full & 1:
            kept -= 1
            node = sha256(_INNER + self.hashes[kept] + node).digest()
            full >>= 1
        return Frontier(self.count + 1, (*self.hashes[:kept], node))

    def root(self) -> bytes:
        """The root over all leaves so far, equal to `merkle_root` of them."""
        if not self.hashes:
            return EMPTY_TREE
        *larger, node = self.hashes
        for subtree in reversed(larger):
            node = sha256(_INNER + subtree + node).digest()
        return node


def _parents(level: Sequence[bytes]) -> list[bytes]:
    """The level above: pairs are hashed, an odd last node moves up as it is."""
    above = [
        sha256(_INNER + left + right).digest()
        for left, right in zip(level[::2], level[1::2], strict=False)
    ]
    if len(level) & 1:
        above.append(level[-1])
    return above


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == _HASH_SIZE
