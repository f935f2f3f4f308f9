"""Masks: what hides the equations of a snapshot from who solves them, and takes off the cover.

    A' = L A_u R,  B' = L (B D + A_u Z),  X = (R X' - Z) D^-1

L and R are non-singular, D is a positive diagonal, Z an offset. All are drawn afresh for each task
and each provider, and used once. Three families differ in L and R; what each hides and leaks is in
`docs/outsourcing.md`. None is encryption in the sense of that word: reals have no uniform
distribution.

Chance comes from the caller as a function from a count to that many bytes: `secrets.token_bytes`
of a host, never a seed outside tests.

Source: [SUN23], section 4.1.2-4.1.3, eq. (10)-(19), as far as the text tells. Ours: the offset has
full rank. One of rank one, u v^T, as a "random vector" would make, can be seen in B' and taken off
by who solves, in the families whose L is sparse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array, eye_array, tril, triu

from gridpact.errors import GridpactError, InputError
from gridpact.errors import Problem as Wrong

if TYPE_CHECKING:
    from gridpact.carbon.outsourcing.problem import Problem
    from gridpact.model.carbon import FloatArray, IntArray

Bits = Callable[[int], bytes]
"""So many random bytes."""

DENSE_NODES_MAX = 2_000
"""A dense L then has 32 MB, and making it takes a second."""
SPREAD = 4.0
"""Scales lie between one over this and this."""
OFFSET_TO_POWER = 8.0
"""Largest offset over the largest scaled source: it hides better the larger it is, and costs as
many digits."""
MIX_MIN, MIX_MAX = 0.25, 0.75
"""What a row takes of another; below 1, so that the inverse does not grow."""
FILL_MAX = 16
"""A sparse mask multiplies the entries of a matrix by at most this: each factor has at most two
entries a row and a column, and L and R are two factors each."""


class MaskError(GridpactError):
    """A mask that would not hide, or an answer that fits no mask."""


@dataclass(frozen=True, slots=True)
class MaskedProblem:
    """A' X' = B': all that a provider sees of the flow."""

    matrix: csc_array
    """Shape (N, N)."""
    right: FloatArray
    """Shape (N, g)."""


@dataclass(frozen=True, slots=True)
class Mask:
    """The secrets of one task for one provider."""

    left: csc_array | FloatArray
    """L, shape (N, N)."""
    right: csc_array
    """R, shape (N, N)."""
    scale: FloatArray
    """d, shape (g,), > 0."""
    offset: FloatArray
    """Z, shape (N, g), MW."""

    def __post_init__(self) -> None:
        """Refuse a mask that would not hide.

        Raises:
            MaskError: a source without an offset, or a scale that is not above 0. Without offset,
                two providers who both give back zeros, or everything times 1.1, agree without a
                word between them.
        """
        bare = np.flatnonzero(~self.offset.any(axis=0))
        if len(bare):
            message = f"source {bare[0]} has no offset, so its zeros stay zeros"
            raise MaskError(f"{message}; draw an offset for every source")
        if not (np.isfinite(self.scale) & (self.scale > 0.0)).all():
            raise MaskError("scales must be finite and above 0; draw them again")


def mask_problem(problem: Problem, mask: Mask) -> MaskedProblem:
    """What a provider is given. Source: eq. (10)-(11)."""
    covered = problem.right * mask.scale + problem.matrix @ mask.offset
    matrix = csc_array(mask.left @ (problem.matrix @ mask.right))
    matrix.sort_indices()
    return MaskedProblem(matrix, np.asarray(mask.left @ covered))


def unmask_solution(masked_mw: FloatArray, mask: Mask) -> FloatArray:
    """X from X'. Source: eq. (15)-(17).

    Raises:
        MaskError: another shape than was asked for, or what is no number.
    """
    if masked_mw.shape != mask.offset.shape:
        message = f"an answer of shape {masked_mw.shape}; allowed: {mask.offset.shape}"
        raise MaskError(f"{message}; it counts as wrong")
    if not np.isfinite(masked_mw).all():
        raise MaskError("an answer with NaN or infinity; it counts as wrong")
    solved: FloatArray = (mask.right @ masked_mw - mask.offset) / mask.scale
    return solved


def diagonal_mask(problem: Problem, bits: Bits) -> Mask:
    """L = Pi1 Lambda1, R = Lambda2 Pi2: as sparse as the network, and of the same graph."""
    nodes = len(problem.through_mw)
    return _mask(problem, _scaled_order(nodes, bits), _scaled_order(nodes, bits).T, bits)


def sparse_mask(problem: Problem, bits: Bits) -> Mask:
    """Diagonal masks around products of sparse unimodular matrices.

    The graph is another one, of at most `FILL_MAX` times the entries.
    """
    nodes = len(problem.through_mw)
    left = _scaled_order(nodes, bits) @ _mixing(nodes, bits)
    right = _mixing(nodes, bits) @ _scaled_order(nodes, bits).T
    return _mask(problem, csc_array(left), csc_array(right), bits)


def dense_mask(problem: Problem, bits: Bits) -> Mask:
    """L = Q Lambda with a random orthogonal Q: all N^2 entries, for small networks.

    Ours: orthogonal, as now and then a matrix of independent entries is close to singular, and an
    honest provider would then be found wrong.

    Raises:
        InputError: more than `DENSE_NODES_MAX` nodes.
    """
    nodes = len(problem.through_mw)
    if nodes > DENSE_NODES_MAX:
        message = f"{nodes} buses and branches; allowed: up to {DENSE_NODES_MAX}; use sparse_mask"
        raise InputError([Wrong("dense_mask", message)])
    drawn = 2.0 * uniform(nodes * nodes, bits).reshape(nodes, nodes) - 1.0
    left = np.linalg.qr(drawn).Q * (scales(nodes, bits) * signs(nodes, bits))
    return _mask(problem, left, _scaled_order(nodes, bits).T, bits)


def uniform(count: int, bits: Bits) -> FloatArray:
    """Numbers in [0, 1), each from 53 random bits."""
    whole = np.frombuffer(bits(8 * count), dtype="<u8") >> np.uint64(11)
    drawn: FloatArray = whole.astype(np.float64) * 2.0**-53
    return drawn


def scales(count: int, bits: Bits) -> FloatArray:
    """Positive factors, uniform by their logarithm."""
    drawn: FloatArray = SPREAD ** (2.0 * uniform(count, bits) - 1.0)
    return drawn


def signs(count: int, bits: Bits) -> FloatArray:
    """Plus or minus one."""
    return np.where(uniform(count, bits) < 0.5, -1.0, 1.0)


def _order(count: int, bits: Bits) -> IntArray:
    """A random permutation; two of 64-bit keys are hardly ever equal."""
    keys = np.frombuffer(bits(8 * count), dtype="<u8")
    return np.argsort(keys, kind="stable").astype(np.int64)


def _mask(problem: Problem, left: csc_array | FloatArray, right: csc_array, bits: Bits) -> Mask:
    nodes, sources = problem.right.shape
    scale = scales(sources, bits)
    largest = OFFSET_TO_POWER * float((problem.source_mw * scale).max(initial=0.0)) or 1.0
    offset = largest * (2.0 * uniform(nodes * sources, bits).reshape(nodes, sources) - 1.0)
    return Mask(left, csc_array(right), scale, offset)


def _scaled_order(count: int, bits: Bits) -> csc_array:
    """Pi Lambda: a permutation of rows, each with a factor of either sign."""
    values = scales(count, bits) * signs(count, bits)
    return csc_array((values, (_order(count, bits), np.arange(count))), shape=(count, count))


def _mixing(count: int, bits: Bits) -> csc_array:
    """(I + S)(I + T): S strictly below the diagonal, T strictly above.

    With at most one entry in each row and column the determinant is 1 and fill is bounded.
    """
    values = MIX_MIN + (MIX_MAX - MIX_MIN) * uniform(count, bits)
    places = np.arange(count), _order(count, bits)
    drawn = csc_array((values * signs(count, bits), places), shape=(count, count))
    one = eye_array(count)
    return csc_array((one + tril(drawn, -1)) @ (one + triu(drawn, 1)))
