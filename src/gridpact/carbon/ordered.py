"""Tracing in compiled code for any network: an order of the buses, and rings solved as blocks.

Buses are swept so that who feeds stands before who is fed. Where power goes in a ring there is no
such order; the buses of the ring are one block, whose equations are solved together and exactly.
The shares of a source are swept like an intensity, but only through what it reaches.

numba's cache notices changes of this file only, which is why all that calls each other is in it:
who changes `DEAD_MW` changes this file with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

from gridpact.carbon.kernels import DEAD_MW

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    FloatArray = NDArray[np.float64]

CLOSED_RING = -1
"""Stands for a block of buses that feed each other and that no source reaches."""

NOISE_MW = 1e-7
"""A ring that no source feeds is an error of the flow above it, and below it what a solver left."""

NEITHER, FORWARD, BACKWARD = 0, 1, 2
"""Which way power goes through a branch: into its to-bus, into its from-bus, or neither."""


@numba.njit(cache=True, nogil=True)
def _way(first_mw: float, second_mw: float) -> int:
    """Which way power goes, by what enters the branch at both ends."""
    if first_mw > DEAD_MW and second_mw < -DEAD_MW:
        return FORWARD
    if second_mw > DEAD_MW and first_mw < -DEAD_MW:
        return BACKWARD
    return NEITHER


@numba.njit(cache=True, nogil=True)
def sent(
    branch: int,
    bus: int,
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
) -> tuple[int, float]:
    """The bus at the other end of a branch, and the power that reaches it from this one, or 0."""
    way = _way(p_from[branch], p_to[branch])
    if from_bus[branch] == bus:
        return to_bus[branch], -p_to[branch] if way == FORWARD else 0.0
    return from_bus[branch], -p_from[branch] if way == BACKWARD else 0.0


@numba.njit(cache=True, nogil=True)
def order_of(
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    start: IntArray,
    incident: IntArray,
) -> tuple[IntArray, IntArray]:
    """Buses so that who feeds stands before who is fed, in blocks that feed each other in rings.

    Args:
        p_from, p_to: shape (L,), one snapshot.
        start, incident: branches at each bus: `incident[start[i]:start[i + 1]]`.
    Returns:
        the buses, and where each block starts, with the number of buses at the end. Without rings
        every block is one bus.
    """
    buses = start.size - 1
    feeds = np.zeros(buses, np.int64)
    for b in range(from_bus.size):
        way = _way(p_from[b], p_to[b])
        if way == FORWARD:
            feeds[to_bus[b]] += 1
        elif way == BACKWARD:
            feeds[from_bus[b]] += 1
    order = np.empty(buses, np.int64)
    found = 0
    for i in range(buses):
        if feeds[i] == 0:
            order[found] = i
            found += 1
    done = 0
    while done < found:
        i = order[done]
        done += 1
        for k in range(start[i], start[i + 1]):
            b = incident[k]
            other, mw = sent(b, i, p_from, p_to, from_bus, to_bus)
            if mw > 0.0:
                feeds[other] -= 1
                if feeds[other] == 0:
                    order[found] = other
                    found += 1
    if found == buses:
        return order, np.arange(buses + 1)
    return _with_rings(p_from, p_to, from_bus, to_bus, start, incident, order, found, feeds)


@numba.njit(cache=True, nogil=True)
def _with_rings(  # noqa: PLR0913, PLR0917 - arrays, once
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    start: IntArray,
    incident: IntArray,
    order: IntArray,
    found: int,
    feeds: IntArray,
) -> tuple[IntArray, IntArray]:
    """The rest of an order: strongly connected blocks of the buses that still wait to be fed.

    Tarjan's algorithm without recursion. It closes a block after all that it feeds, so blocks come
    last one first.
    """
    buses = start.size - 1
    index = np.full(buses, -1, np.int64)
    low = np.zeros(buses, np.int64)
    on_stack = np.zeros(buses, np.bool_)
    cursor = start[:-1].copy()
    stack, path = np.empty(buses, np.int64), np.empty(buses, np.int64)
    closed, block = np.empty(buses, np.int64), np.empty(buses, np.int64)
    height, count, blocks, number = 0, 0, 0, 0
    for root in range(buses):
        if feeds[root] == 0 or index[root] >= 0:
            continue
        path[0], length = root, 1
        while length > 0:
            i = path[length - 1]
            if index[i] < 0:
                index[i] = low[i] = number
                number += 1
                stack[height] = i
                height += 1
                on_stack[i] = True
            deeper = False
            while cursor[i] < start[i + 1]:
                b = incident[cursor[i]]
                cursor[i] += 1
                other, mw = sent(b, i, p_from, p_to, from_bus, to_bus)
                if mw == 0.0:
                    continue
                if index[other] < 0:
                    path[length] = other
                    length += 1
                    deeper = True
                    break
                if on_stack[other]:
                    low[i] = min(low[i], index[other])
            if deeper:
                continue
            length -= 1
            if length > 0:
                low[path[length - 1]] = min(low[path[length - 1]], low[i])
            if low[i] == index[i]:
                while True:
                    height -= 1
                    other = stack[height]
                    on_stack[other] = False
                    closed[count], block[count] = other, blocks
                    count += 1
                    if other == i:
                        break
                blocks += 1
    starts = np.empty(found + blocks + 1, np.int64)
    starts[:found] = np.arange(found)
    place = found
    for k in range(count - 1, -1, -1):
        if k == count - 1 or block[k] != block[k + 1]:
            starts[found + blocks - 1 - block[k]] = place
        order[place] = closed[k]
        place += 1
    starts[found + blocks] = buses
    return order, starts


@numba.njit(cache=True, nogil=True)
def sweep_ordered(  # noqa: PLR0913, PLR0917 - arrays, once
    p_source: FloatArray,
    intensity: FloatArray,
    source_bus: IntArray,
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    start: IntArray,
    incident: IntArray,
    result: FloatArray,
) -> tuple[int, int]:
    """Intensities of any network; an order holds for as long as no branch turns.

    Args:
        start, incident: branches at each bus.
        result: shape (T, B), is filled with t/MWh.
    Returns:
        (-1, -1), or the snapshot and a bus of a ring that no source reaches.
    """
    buses = start.size - 1
    through, carbon = np.empty(buses), np.empty(buses)
    turned = np.full(from_bus.size, -1, np.int64)
    order, blocks = np.empty(0, np.int64), np.empty(0, np.int64)
    for t in range(p_from.shape[0]):
        same = True
        for b in range(from_bus.size):
            way = _way(p_from[t, b], p_to[t, b])
            same &= way == turned[b]
            turned[b] = way
        if not same or t == 0:
            order, blocks = order_of(p_from[t], p_to[t], from_bus, to_bus, start, incident)
        through[:] = 0.0
        carbon[:] = 0.0
        for g in range(source_bus.size):
            p = p_source[t, g]
            if p > 0.0:
                through[source_bus[g]] += p
                carbon[source_bus[g]] += p * intensity[t, g]
        for k in range(blocks.size - 1):
            if blocks[k + 1] - blocks[k] > 1:
                members = order[blocks[k] : blocks[k + 1]]
                factors, pivots = ring_factors(
                    members, through, p_from[t], p_to[t], from_bus, to_bus, start, incident
                )
                if pivots[0] == CLOSED_RING:
                    return t, members[0]
                solve_ring(factors, pivots, members, carbon)
                for i in members:
                    carbon[i] *= through[i]
            for place in range(blocks[k], blocks[k + 1]):
                i = order[place]
                if through[i] <= DEAD_MW:
                    result[t, i] = np.nan
                    continue
                rho = carbon[i] / through[i]
                result[t, i] = rho
                for entry in range(start[i], start[i + 1]):
                    b = incident[entry]
                    other, mw = sent(b, i, p_from[t], p_to[t], from_bus, to_bus)
                    if mw > 0.0 and not _inside(other, order, blocks, k):
                        through[other] += mw
                        carbon[other] += mw * rho
    return -1, -1


@numba.njit(cache=True, nogil=True)
def _inside(bus: int, order: IntArray, blocks: IntArray, k: int) -> bool:
    """Whether a bus is in block k; blocks are small."""
    found = False
    if blocks[k + 1] - blocks[k] > 1:
        for place in range(blocks[k], blocks[k + 1]):
            found |= order[place] == bus
    return found


@numba.njit(cache=True, nogil=True)
def ring_factors(
    members: IntArray,
    through: FloatArray,
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    start: IntArray,
    incident: IntArray,
) -> tuple[FloatArray, IntArray]:
    """LU factors of a block of buses that feed each other, and its row exchanges.

    Row i says that what flows through a bus at its intensity is what came from outside the block
    plus what the others send: P_i rho_i - sum P_ji rho_j = carbon from outside. Rows are diagonally
    dominant, as what the others send is part of P_i, so exchanges are a precaution.

    Args:
        through: power that came from outside the block; becomes all power through its buses.
    Returns:
        the factors, and for each column the row it was exchanged with. When nothing comes from
        outside, the first is `CLOSED_RING`; but where only noise goes round, nothing does, and
        nothing flows through the buses.
    """
    size = members.size
    matrix = np.zeros((size, size))
    pivots = np.empty(size, np.int64)
    place = np.full(start.size - 1, -1, np.int64)
    for i in range(size):
        place[members[i]] = i
    outside, inside = 0.0, 0.0
    for i in range(size):
        outside += through[members[i]]
    for i in range(size):
        for entry in range(start[members[i]], start[members[i] + 1]):
            b = incident[entry]
            other, mw = sent(b, members[i], p_from, p_to, from_bus, to_bus)
            if mw > 0.0 and place[other] >= 0:
                matrix[place[other], i] -= mw
                through[other] += mw
                inside = max(inside, mw)
    if outside <= DEAD_MW and inside > NOISE_MW:
        pivots[0] = CLOSED_RING
        return matrix, pivots
    if outside <= DEAD_MW:
        through[members] = 0.0
        return np.eye(size), np.arange(size)
    for i in range(size):
        matrix[i, i] += through[members[i]]
    for column in range(size):
        best = column
        for row in range(column + 1, size):
            if abs(matrix[row, column]) > abs(matrix[best, column]):
                best = row
        pivots[column] = best
        for k in range(size):
            matrix[column, k], matrix[best, k] = matrix[best, k], matrix[column, k]
        for row in range(column + 1, size):
            factor = matrix[row, column] / matrix[column, column]
            matrix[row, column] = factor
            for k in range(column + 1, size):
                matrix[row, k] -= factor * matrix[column, k]
    return matrix, pivots


@numba.njit(cache=True, nogil=True)
def solve_ring(
    factors: FloatArray, pivots: IntArray, members: IntArray, values: FloatArray
) -> None:
    """Replace carbon from outside by intensity, at the buses of one block."""
    size = members.size
    work = np.empty(size)
    for i in range(size):
        work[i] = values[members[i]]
    for column in range(size):
        work[column], work[pivots[column]] = work[pivots[column]], work[column]
    for row in range(size):
        for k in range(row):
            work[row] -= factors[row, k] * work[k]
    for row in range(size - 1, -1, -1):
        for k in range(row + 1, size):
            work[row] -= factors[row, k] * work[k]
        work[row] /= factors[row, row]
    for i in range(size):
        values[members[i]] = work[i]


@numba.njit(cache=True, nogil=True)
def distribution(  # noqa: PLR0913, PLR0917 - arrays, once
    p_source: FloatArray,
    source_bus: IntArray,
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    start: IntArray,
    incident: IntArray,
    order: IntArray,
    blocks: IntArray,
) -> tuple[FloatArray, IntArray, IntArray, FloatArray, FloatArray, IntArray, int]:
    """One snapshot's flows made ready for columns.

    Returns:
        power through each bus; where the outflows of each place in the order start, the bus each
        leads to and its power; the factors and exchanges of all rings, one behind the other; and a
        bus of a ring that no source reaches, or -1. Outflows within a ring are left out.
    """
    buses = start.size - 1
    through = np.zeros(buses)
    for g in range(source_bus.size):
        through[source_bus[g]] += max(p_source[g], 0.0)
    block_of = np.empty(buses, np.int64)
    squares, rows = 0, 0
    for k in range(blocks.size - 1):
        size = blocks[k + 1] - blocks[k]
        if size > 1:
            squares += size * size
            rows += size
        for place in range(blocks[k], blocks[k + 1]):
            block_of[order[place]] = k
    factors, pivots = np.empty(squares), np.empty(rows, np.int64)
    out_start = np.zeros(buses + 1, np.int64)
    out_bus = np.empty(from_bus.size, np.int64)
    out_mw = np.empty(from_bus.size)
    squares, rows, count = 0, 0, 0
    for k in range(blocks.size - 1):
        size = blocks[k + 1] - blocks[k]
        if size > 1:
            members = order[blocks[k] : blocks[k + 1]]
            lu, exchanges = ring_factors(
                members, through, p_from, p_to, from_bus, to_bus, start, incident
            )
            if exchanges[0] == CLOSED_RING:
                return through, out_start, out_bus, out_mw, factors, pivots, members[0]
            factors[squares : squares + size * size] = lu.ravel()
            pivots[rows : rows + size] = exchanges
            squares += size * size
            rows += size
        for place in range(blocks[k], blocks[k + 1]):
            i = order[place]
            for entry in range(start[i], start[i + 1]):
                b = incident[entry]
                other, mw = sent(b, i, p_from, p_to, from_bus, to_bus)
                if mw > 0.0 and through[i] > DEAD_MW and block_of[other] != k:
                    through[other] += mw
                    out_bus[count], out_mw[count] = other, mw
                    count += 1
            out_start[place + 1] = count
    return through, out_start, out_bus, out_mw, factors, pivots, -1


@numba.njit(cache=True, nogil=True)
def columns(  # noqa: PLR0913, PLR0917 - arrays, once
    sources: IntArray,
    p_source: FloatArray,
    source_bus: IntArray,
    order: IntArray,
    blocks: IntArray,
    through: FloatArray,
    out_start: IntArray,
    out_bus: IntArray,
    out_mw: FloatArray,
    factors: FloatArray,
    pivots: IntArray,
) -> tuple[IntArray, IntArray, FloatArray]:
    """The buses that each source reaches and its power through them.

    Args:
        sources: positions of the sources that are asked for.
        out_start and the rest: from `distribution`.
    Returns:
        where each column starts, the buses, the power in MW.
    """
    buses = order.size
    first_block = np.empty(buses, np.int64)
    for k in range(blocks.size - 1):
        first_block[order[blocks[k] : blocks[k + 1]]] = k
    power = np.zeros(buses)
    marked = np.zeros(buses, np.bool_)
    starts = np.zeros(sources.size + 1, np.int64)
    found_bus, found_mw, count = np.empty(4 * buses, np.int64), np.empty(4 * buses), 0
    # Where the factors of each block lie.
    square, row = np.zeros(blocks.size, np.int64), np.zeros(blocks.size, np.int64)
    for k in range(blocks.size - 1):
        size = blocks[k + 1] - blocks[k]
        square[k + 1] = square[k] + (size * size if size > 1 else 0)
        row[k + 1] = row[k] + (size if size > 1 else 0)
    for column in range(sources.size):
        p = p_source[sources[column]]
        home = source_bus[sources[column]]
        pending = 0
        if p > 0.0:
            power[home] = p
            marked[home] = True
            pending = 1
        if count + buses > found_bus.size:
            found_bus = np.concatenate((found_bus, np.empty(found_bus.size, np.int64)))
            found_mw = np.concatenate((found_mw, np.empty(found_mw.size)))
        k = first_block[home]
        while pending > 0:
            size = blocks[k + 1] - blocks[k]
            members = order[blocks[k] : blocks[k + 1]]
            if size > 1:
                touched = 0
                for i in members:
                    touched += marked[i]
                if touched:
                    lu = factors[square[k] : square[k + 1]].reshape((size, size))
                    solve_ring(lu, pivots[row[k] : row[k + 1]], members, power)
                    for i in members:
                        power[i] *= through[i]
                        marked[i] = True
                    pending += size - touched
            for place in range(blocks[k], blocks[k + 1]):
                i = order[place]
                if not marked[i]:
                    continue
                marked[i] = False
                pending -= 1
                found_bus[count], found_mw[count] = i, power[i]
                count += 1
                for entry in range(out_start[place], out_start[place + 1]):
                    other = out_bus[entry]
                    power[other] += power[i] / through[i] * out_mw[entry]
                    pending += not marked[other]
                    marked[other] = True
                power[i] = 0.0
            k += 1
        starts[column + 1] = count
    return starts, found_bus[:count].copy(), found_mw[:count].copy()
