"""The state's sparse Merkle map: one root over many keys, with proofs of presence and of absence.

A binary trie over the 256-bit hash of the key, in the shape Jellyfish Merkle trees made known: an
empty subtree is 32 zero bytes, a subtree with one leaf is that leaf at whatever depth it stands,
anything else is an inner node. The root is a function of the content alone, whatever the order
and batching of the changes that led there. Nodes are immutable and shared, so older maps stay
usable. This module knows nothing of what keys and contents mean; contents are hashes.

    key hash = sha256(02 || key)
    leaf     = sha256(03 || key hash || content)
    inner    = sha256(04 || left || right)

The tags differ from 00 and 01 of the trees in `trees`, so no digest serves two purposes.

Source: [JMT21], the shape. Ours: nodes are binary throughout, and no version is kept in them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from gridpact.codec import Hash, Wire
from gridpact.errors import InvariantError

EMPTY_ROOT: Final = bytes(32)
"""Hash that stands for a subtree without leaves; no preimage of it is known."""
DEPTH_MAX: Final = 256
"""Bits of a key hash, thus the longest path."""

_HASH_SIZE: Final = 32
_KEY: Final = b"\x02"
_LEAF: Final = b"\x03"
_INNER: Final = b"\x04"


class MapLeaf(Wire, frozen=True):
    """A leaf as it appears in a proof of the absence of another key."""

    key_hash: Hash
    """Hash of the leaf's key."""
    content: Hash
    """Hash of what the key maps to."""


class MapProof(Wire, frozen=True):
    """What a verifier needs, beside the root, to be sure of one key's content or absence."""

    siblings: Annotated[tuple[Hash | None, ...], Meta(max_length=DEPTH_MAX)]
    """Hashes beside the path, from its end up to the root; None for an empty subtree."""
    other: MapLeaf | None
    """The leaf of another key, if the path ends in one; None if it ends in the proven key's leaf
    or in an empty subtree."""


# Nodes form no cycles, so the garbage collector need not visit them (gc=False); visiting them more
# than doubled the time of a batch on 200,000 leaves.


class _Empty(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A subtree without keys; `_EMPTY` is the only one."""

    hash: bytes
    """32 zero bytes."""


class _Leaf(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A subtree with one key."""

    hash: bytes
    """sha256(03 || key hash || content)."""
    path: int
    """The key hash as a number, whose bit 255 decides at the root."""
    content: bytes
    """Hash of what the key maps to."""


class _Inner(msgspec.Struct, frozen=True, gc=False, eq=False):
    """A subtree with two keys or more."""

    hash: bytes
    """sha256(04 || hash of left || hash of right)."""
    left: _Empty | _Leaf | _Inner
    """Keys whose next bit is 0."""
    right: _Empty | _Leaf | _Inner
    """Keys whose next bit is 1."""


_Node = _Empty | _Leaf | _Inner
_EMPTY: Final = _Empty(EMPTY_ROOT)


@dataclass(frozen=True, slots=True, eq=False)
class StateMap:
    """An immutable map from keys to content hashes with a Merkle root."""

    _top: _Node = field(repr=False)
    """The whole tree."""
    _count: int
    """Number of keys."""

    @staticmethod
    def empty() -> StateMap:
        """The map without keys.

        >>> StateMap.empty().root == bytes(32)
        True
        """
        return StateMap(_EMPTY, 0)

    @property
    def root(self) -> bytes:
        """Hash of the whole map; 32 zero bytes if it is empty."""
        return self._top.hash

    def __len__(self) -> int:
        return self._count

    def updated(self, changes: Mapping[bytes, bytes | None]) -> StateMap:
        """The map after a batch of changes; this one stays as it is.

        Every inner node on a changed path is hashed once, however many changes lie below it, so
        one large batch is cheaper than many small ones.

        Args:
            changes: content hash (32 bytes) for each key to add or replace, None for each key to
                remove. Removing an absent key changes nothing.
        Raises:
            InvariantError: a content is not 32 bytes long.
        """
        batch = _Batch(changes)
        top = batch.applied_to(self._top)
        return StateMap(top, self._count + batch.added)

    def prove(self, key: bytes) -> MapProof:
        """The proof of the content of `key`, or of its absence if the map lacks it."""
        path = int.from_bytes(key_hash(key), "big")
        siblings: list[bytes | None] = []
        node: _Node = self._top
        height = DEPTH_MAX
        while isinstance(node, _Inner):
            height -= 1
            left, right = node.left, node.right
            node, beside = (right, left) if path >> height & 1 else (left, right)
            siblings.append(None if isinstance(beside, _Empty) else beside.hash)
        siblings.reverse()
        other = None
        if isinstance(node, _Leaf) and node.path != path:
            other = MapLeaf(node.path.to_bytes(_HASH_SIZE, "big"), node.content)
        return MapProof(tuple(siblings), other)


def key_hash(key: bytes) -> bytes:
    """The 32 bytes whose bits are the path of `key`."""
    return sha256(_KEY + key).digest()


def verify_map_proof(root: bytes, key: bytes, content: bytes | None, proof: MapProof) -> bool:
    """Whether `proof` shows that the map with this root has `content` at `key`.

    With content None: that the map has nothing at `key`. Nothing is assumed of the arguments but
    that `root` is known to be the root of a map; whatever is malformed is False, never an error.
    One claim has one accepted proof.
    """
    if not _well_formed(root, key, content, proof):
        return False
    siblings, other = proof.siblings, proof.other
    own = key_hash(key)
    path = int.from_bytes(own, "big") >> DEPTH_MAX - len(siblings)
    if content is not None:
        if other is not None:
            return False
        node = sha256(_LEAF + own + content).digest()
    elif other is None:
        node = EMPTY_ROOT
    else:
        # Another key's leaf says something about this key only if both share the whole path.
        there = int.from_bytes(other.key_hash, "big") >> DEPTH_MAX - len(siblings)
        if other.key_hash == own or there != path:
            return False
        node = sha256(_LEAF + other.key_hash + other.content).digest()
    for sibling in siblings:
        beside = EMPTY_ROOT if sibling is None else sibling
        pair = beside + node if path & 1 else node + beside
        node = sha256(_INNER + pair).digest()
        path >>= 1
    return node == root


def _well_formed(root: object, key: object, content: object, proof: object) -> bool:
    """Whether all parts have the types and sizes that a canonical proof has."""
    if not (_is_hash(root) and isinstance(key, bytes) and isinstance(proof, MapProof)):
        return False
    if not (content is None or _is_hash(content)):
        return False
    siblings: object = proof.siblings
    other: object = proof.other
    if not (isinstance(siblings, tuple) and len(siblings) <= DEPTH_MAX):
        return False
    # None is the one way to write an empty sibling, and it is never the last before the end of
    # the path: the tree would have been cut off higher up.
    if not all(sibling is None or _is_hash(sibling) for sibling in siblings):
        return False
    if siblings and (siblings[0] is None or EMPTY_ROOT in siblings):
        return False
    if other is None:
        return True
    return isinstance(other, MapLeaf) and _is_hash(other.key_hash) and _is_hash(other.content)


def _is_hash(value: object) -> bool:
    return isinstance(value, bytes) and len(value) == _HASH_SIZE


def _join(left: _Node, right: _Node) -> _Node:
    """The subtree of two halves, either of which may be empty: a lone leaf rises."""
    if left is _EMPTY and not isinstance(right, _Inner):
        return right
    if right is _EMPTY and not isinstance(left, _Inner):
        return left
    return _Inner(sha256(_INNER + left.hash + right.hash).digest(), left, right)


def _pair(one: _Leaf, two: _Leaf, height: int) -> _Inner:
    """The subtree of this height with two keys: a fork where they part, a stem above it."""
    fork = (one.path ^ two.path).bit_length() - 1
    left, right = (two, one) if one.path >> fork & 1 else (one, two)
    node = _Inner(sha256(_INNER + left.hash + right.hash).digest(), left, right)
    for bit in range(fork + 1, height):
        if one.path >> bit & 1:
            node = _Inner(sha256(_INNER + EMPTY_ROOT + node.hash).digest(), _EMPTY, node)
        else:
            node = _Inner(sha256(_INNER + node.hash + EMPTY_ROOT).digest(), node, _EMPTY)
    return node


def _middle(paths: list[int], low: int, high: int, height: int) -> int:
    """Where the paths with a 1 at bit `height` begin, in a range that agrees on all higher bits."""
    return bisect_left(paths, (paths[low] >> height | 1) << height, low, high)


def _build(leaves: list[_Leaf], paths: list[int], low: int, high: int, height: int) -> _Node:
    """The subtree of this height with just the leaves in a range of ascending paths."""
    if high - low == 2:
        return _pair(leaves[low], leaves[low + 1], height)
    if high - low < 2:
        return leaves[low] if high > low else _EMPTY
    height -= 1
    middle = _middle(paths, low, high, height)
    left = _build(leaves, paths, low, middle, height)
    right = _build(leaves, paths, middle, high, height)
    return _Inner(sha256(_INNER + left.hash + right.hash).digest(), left, right)


class _Batch:
    """Changes in ascending order of path, so that those below a node are one range."""

    __slots__ = ("_leaves", "_paths", "added")

    added: int
    """Keys added less keys removed, once applied."""
    _paths: list[int]
    """Ascending."""
    _leaves: list[_Leaf | None]
    """For each path its new leaf, or None to remove the key."""

    def __init__(self, changes: Mapping[bytes, bytes | None]) -> None:
        self.added = 0
        self._paths = []
        self._leaves = []
        contents = {key_hash(key): content for key, content in changes.items()}
        for own in sorted(contents):
            path, content = int.from_bytes(own, "big"), contents[own]
            leaf = None
            if content is not None:
                if len(content) != _HASH_SIZE:
                    raise InvariantError(f"a content hash of {len(content)} bytes; 32 are needed")
                leaf = _Leaf(sha256(_LEAF + own + content).digest(), path, content)
            self._paths.append(path)
            self._leaves.append(leaf)

    def applied_to(self, top: _Node) -> _Node:
        """The whole tree after all changes."""
        return self._many(top, 0, len(self._paths), DEPTH_MAX) if self._paths else top

    def _many(self, node: _Node, low: int, high: int, height: int) -> _Node:
        """The subtree of this height after the changes of a range, one at least."""
        if high - low == 1:
            return self._one(node, self._paths[low], self._leaves[low], height)
        if not isinstance(node, _Inner):
            return self._rebuilt(node, low, high, height)
        height -= 1
        left, right = node.left, node.right
        middle = _middle(self._paths, low, high, height)
        if middle > low:
            left = self._many(left, low, middle, height)
        if high > middle:
            right = self._many(right, middle, high, height)
        return _join(left, right)

    def _one(self, node: _Node, path: int, leaf: _Leaf | None, height: int) -> _Node:
        """The subtree of this height after one change. Most of a batch's time passes here."""
        if not isinstance(node, _Inner):
            return self._end(node, path, leaf, height)
        height -= 1
        left, right = node.left, node.right
        if path >> height & 1:
            right = self._one(right, path, leaf, height)
        else:
            left = self._one(left, path, leaf, height)
        if leaf is None:
            return _join(left, right)
        # No key is lost here, so an inner node stays one.
        return _Inner(sha256(_INNER + left.hash + right.hash).digest(), left, right)

    def _end(self, node: _Empty | _Leaf, path: int, leaf: _Leaf | None, height: int) -> _Node:
        """What stands at the end of a path after the change to its key."""
        if isinstance(node, _Leaf) and node.path == path:
            if leaf is not None:
                return leaf
            self.added -= 1
            return _EMPTY
        if leaf is None:
            return node
        self.added += 1
        return _pair(node, leaf, height) if isinstance(node, _Leaf) else leaf

    def _rebuilt(self, node: _Empty | _Leaf, low: int, high: int, height: int) -> _Node:
        """The subtree of this height, of one key at most so far, after two changes or more."""
        leaves = [leaf for leaf in self._leaves[low:high] if leaf is not None]
        if isinstance(node, _Leaf):
            self.added -= 1
            at = bisect_left(self._paths, node.path, low, high)
            if at == high or self._paths[at] != node.path:
                leaves.append(node)
                leaves.sort(key=lambda leaf: leaf.path)
        self.added += len(leaves)
        return _build(leaves, [leaf.path for leaf in leaves], 0, len(leaves), height)
