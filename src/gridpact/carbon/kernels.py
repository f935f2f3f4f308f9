"""Tracing in compiled code: checks, and the sweep over radial networks; others are in `ordered`.

The extended network has a virtual node in each branch, which takes the loss as its load. A virtual
node has one inflow, the sender's, or none but two: both ends feed the loss and nothing leaves. So
its mix is the sender's, or that of both ends, and the unknowns that are left are those of the
buses: eliminating the virtual nodes is exact and halves what a sweep touches.

A branch end counts as a flow above `DEAD_MW`. numba checks no bounds: `tracing` hands over arrays
that fit. numba's cache notices changes of this file only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    FloatArray = NDArray[np.float64]
    BoolArray = NDArray[np.bool_]
    UintArray = NDArray[np.uint32]

DEAD_MW = 1e-9
"""A milliwatt: no meter sees it, and the rounding of a power flow stays below."""


@numba.njit(cache=True, nogil=True)
def unsound(  # noqa: PLR0913, PLR0917 - arrays, once
    p_source: FloatArray,
    source_bus: IntArray,
    p_load: FloatArray,
    load_bus: IntArray,
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    buses: int,
    floor_mw: float,
    relative: float,
) -> tuple[int, int, float]:
    """The first snapshot that is no solved flow.

    Allowed at a bus are `floor_mw` and `relative` times what flows in and out.

    Returns:
        (-1, -1, 0); or the snapshot, a bus and its inflow less its outflow in MW; or the snapshot
        and -1 when a value is negative or no number, or a branch gives power at both ends.
    """
    net = np.empty(buses)
    gross = np.empty(buses)
    for t in range(p_from.shape[0]):
        net[:] = 0.0
        gross[:] = 0.0
        sound = True
        for g in range(source_bus.size):
            p = p_source[t, g]
            sound &= p >= 0.0
            net[source_bus[g]] += p
            gross[source_bus[g]] += p
        for k in range(load_bus.size):
            p = p_load[t, k]
            sound &= p >= 0.0
            net[load_bus[k]] -= p
            gross[load_bus[k]] += p
        for b in range(from_bus.size):
            a, c = p_from[t, b], p_to[t, b]
            sound &= a >= -floor_mw or c >= -floor_mw
            net[from_bus[b]] -= a
            gross[from_bus[b]] += abs(a)
            net[to_bus[b]] -= c
            gross[to_bus[b]] += abs(c)
        if not sound:
            return t, -1, 0.0
        for i in range(buses):
            # Written so that NaN, which compares false, is caught; so is infinity less infinity.
            if not abs(net[i]) <= floor_mw + relative * gross[i] or gross[i] == np.inf:
                return t, i, net[i]
    return -1, -1, 0.0


@numba.njit(cache=True, nogil=True)
def branch_mix(
    bus: FloatArray,
    p_from: FloatArray,
    p_to: FloatArray,
    from_bus: IntArray,
    to_bus: IntArray,
    result: FloatArray,
) -> None:
    """Intensity in each branch; NaN where nothing enters.

    It is that of the sender, or of both ends by power where both feed the loss.
    """
    for t in range(p_from.shape[0]):
        for b in range(from_bus.size):
            first, second = p_from[t, b] > DEAD_MW, p_to[t, b] > DEAD_MW
            if first and second:
                carbon = p_from[t, b] * bus[t, from_bus[b]] + p_to[t, b] * bus[t, to_bus[b]]
                result[t, b] = carbon / (p_from[t, b] + p_to[t, b])
            elif first:
                result[t, b] = bus[t, from_bus[b]]
            elif second:
                result[t, b] = bus[t, to_bus[b]]
            else:
                result[t, b] = np.nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sweep_radial(  # noqa: PLR0913, PLR0917 - arrays, once
    p_source: FloatArray,
    intensity: FloatArray,
    source_place: IntArray,
    p_from: FloatArray,
    p_to: FloatArray,
    bus: UintArray,
    parent: UintArray,
    branch: UintArray,
    child_is_from: BoolArray,
    roots: int,
    result: FloatArray,
) -> None:
    """Intensities of a network without rings, whichever way its branches flow.

    Places are buses in breadth-first order from the first bus of each island, so a parent stands
    before its children. First, from
    the last place to the first, power that flows up: all that a bus sends up came from below.
    Then, from the first to the last, power that flows down. No order has to be found, and
    neighbouring places do not wait for each other's divisions.

    Args:
        source_place: shape (G,), place of each source.
        bus, parent, branch, child_is_from: by place: the bus, the place of the parent, the
            branch to it, and whether the place is that branch's from-bus.
        result: shape (T, B), is filled with t/MWh by bus.
    """
    # Unsigned positions: for signed ones numba adds what makes -1 the last, which took a third.
    places, first = np.uint32(bus.size), np.uint32(roots)
    through, carbon, down = np.empty(places), np.empty(places), np.empty(places)
    for t in range(p_from.shape[0]):
        through[:] = 0.0
        carbon[:] = 0.0
        row_from, row_to, row = p_from[t], p_to[t], result[t]
        for g in range(source_place.size):
            p = p_source[t, g]
            if p > 0.0:
                through[source_place[g]] += p
                carbon[source_place[g]] += p * intensity[t, g]
        for k in range(first, places):
            i = np.uint32(places + first - np.uint32(1) - k)
            a, b = row_from[branch[i]], row_to[branch[i]]
            lower, upper = (a, b) if child_is_from[i] else (b, a)
            down[i] = -lower if (upper > DEAD_MW) & (lower < -DEAD_MW) else 0.0
            if (lower > DEAD_MW) & (upper < -DEAD_MW) & (through[i] > DEAD_MW):
                through[parent[i]] -= upper
                carbon[parent[i]] -= upper * (carbon[i] / through[i])
        for root in range(first):
            carbon[root] = carbon[root] / through[root] if through[root] > DEAD_MW else np.nan
            row[bus[root]] = carbon[root]
        for k in range(first, places):
            i = np.uint32(k)
            all_mw, mass = through[i], carbon[i]
            if (down[i] > 0.0) & (through[parent[i]] > DEAD_MW):
                all_mw += down[i]
                # The parent's carbon is its intensity by now.
                mass += down[i] * carbon[parent[i]]
            through[i] = all_mw
            carbon[i] = mass / all_mw if all_mw > DEAD_MW else np.nan
            row[bus[i]] = carbon[i]
