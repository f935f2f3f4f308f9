"""The pieces of the kernel whose mistakes whole books would hide: wide numbers, sorting, selection.

Method: each piece against Python integers and Python's sort, at the ends of its range.
"""

from __future__ import annotations

import numpy as np
import pytest

from gridpact.market.integer import kernels
from gridpact.units import QUANTITY_MAX


@pytest.mark.parametrize("volume", [0, 1, 2**31, 2**52 - 3, 2**52 - 2])
@pytest.mark.parametrize("total", [2**52 - 1, 2**52 - 2, 2**51 + 1])
@pytest.mark.parametrize(
    "energy", [1, 2047, 2048, 2**22 - 1, 2**22, QUANTITY_MAX - 1, QUANTITY_MAX]
)
def test_share_is_exact_up_to_the_bounds(volume: int, total: int, energy: int) -> None:
    assert kernels.share(volume, energy, total) == divmod(volume * energy, total)


@pytest.mark.parametrize("top", [1, 1023, 1024, 2**20, 2**52 - 1])
def test_kth_largest_agrees_with_sorting(top: int) -> None:
    chance = np.random.default_rng(top)
    values = chance.integers(0, top, 300, endpoint=True)
    values[:100] = chance.choice(values[100:], 100)
    values[0] = top
    falling = sorted(values.tolist(), reverse=True)
    for k in (1, 2, 150, 299, 300):
        threshold = falling[k - 1]
        above = sum(value > threshold for value in falling)
        assert kernels.kth_largest(values, k) == (threshold, k - above)


@pytest.mark.parametrize("size", [0, 1, 2, 1000])
@pytest.mark.parametrize("bits", [1, 10, 11, 12, 22, 31, 32, 45, 62, 63])
def test_sort_is_stable_over_any_span(size: int, bits: int) -> None:
    chance = np.random.default_rng(bits)
    keys = chance.integers(0, 2**bits - 1, size, endpoint=True)
    keys[size // 2 :] = keys[: size - size // 2]  # every key twice
    for factor in (kernels.OFFERS, kernels.BIDS):
        order = chance.permutation(size)
        wanted = sorted(order.tolist(), key=lambda row: factor * int(keys[row]))
        kernels.sort_stably(order, keys, factor, np.empty(2 * size, np.int64))
        assert order.tolist() == wanted


@pytest.mark.parametrize("gap", [1, 2, 1000])
def test_rank_order_of_dense_and_of_sparse_ranks(gap: int) -> None:
    rank = np.random.default_rng(gap).permutation(500) * gap + 7
    order = np.empty(500, np.int64)
    assert kernels.sort_by_rank(order, rank, np.empty(1000, np.int64))
    assert order.tolist() == np.argsort(rank).tolist()


@pytest.mark.parametrize("span", [999, 1000, 1001])
def test_rank_order_where_pigeonholes_just_suffice_and_just_do_not(span: int) -> None:
    """A thousand holes hold ranks 3..1002; the word after them is somebody else's."""
    rank = np.random.default_rng(span).permutation([*range(499), span]) + 3
    order = np.empty(500, np.int64)
    memory = np.full(1001, -7)
    assert kernels.sort_by_rank(order, rank, memory[:1000])
    assert order.tolist() == np.argsort(rank).tolist()
    assert memory[1000] == -7
