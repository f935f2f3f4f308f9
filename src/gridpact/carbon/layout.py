"""The shape of a network as the sweeps want it; the same for all its snapshots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray, FlowNetwork, IntArray

    BoolArray = NDArray[np.bool_]
    UintArray = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Incidence:
    """Branches by bus.

    Those with both ends at one bus carry nothing anywhere and are left out: what they lose is at
    the mix of their bus.
    """

    kept: IntArray | None
    """Positions of the other branches; None when there are no such branches."""
    from_bus: IntArray
    """Of those kept."""
    to_bus: IntArray
    start: IntArray
    """Shape (B + 1,): the branches at bus i are `incident[start[i]:start[i + 1]]`."""
    incident: IntArray

    def columns(self, p_mw: FloatArray) -> FloatArray:
        """Shape (T, kept), the columns of the branches that are kept."""
        chosen = p_mw if self.kept is None else p_mw[:, self.kept]
        return np.ascontiguousarray(chosen)


@dataclass(frozen=True, slots=True)
class Radial:
    """A network without rings, place by place in breadth-first order."""

    place: IntArray
    """Shape (B,), of each bus."""
    bus: UintArray
    """Shape (B,), at each place."""
    parent: UintArray
    """Shape (B,), place that each place hangs on, always an earlier one; 0 for the first of an
    island."""
    branch: UintArray
    """Shape (B,), the branch in between, or 0."""
    child_is_from: BoolArray
    """Shape (B,), whether it is the branch's from-bus that stands at the place."""
    roots: int
    """How many islands there are; their first buses stand first."""


def incidence_of(network: FlowNetwork) -> Incidence:
    """Branches by bus."""
    loop = network.from_bus == network.to_bus
    kept = np.flatnonzero(~loop) if loop.any() else None
    from_bus = network.from_bus if kept is None else network.from_bus[kept]
    to_bus = network.to_bus if kept is None else network.to_bus[kept]
    ends = np.concatenate([from_bus, to_bus])
    by_bus = np.argsort(ends, kind="stable")
    start = np.searchsorted(ends[by_bus], np.arange(len(network.bus_ids) + 1))
    return Incidence(
        kept,
        np.ascontiguousarray(from_bus, dtype=np.int64),
        np.ascontiguousarray(to_bus, dtype=np.int64),
        start.astype(np.int64),
        (by_bus % max(len(from_bus), 1)).astype(np.int64),
    )


def radial_of(incidence: Incidence) -> Radial | None:
    """The order of a network without rings; None when it has one, parallel branches included."""
    buses = len(incidence.start) - 1
    place = np.full(buses, -1, dtype=np.int64)
    bus, parent, branch = (np.zeros(buses, dtype=np.int64) for _ in range(3))
    from_side = np.zeros(buses, dtype=np.bool_)
    from_bus, to_bus = incidence.from_bus.tolist(), incidence.to_bus.tolist()
    start, incident = incidence.start.tolist(), incidence.incident.tolist()
    roots = _first_of_islands(buses, from_bus, to_bus)
    for found, root in enumerate(roots):
        place[root], bus[found] = found, root
    found, done, used = len(roots), 0, 0
    while done < found:
        here = int(bus[done])
        for entry in incident[start[here] : start[here + 1]]:
            other = to_bus[entry] if from_bus[entry] == here else from_bus[entry]
            if place[other] < 0:
                place[other], bus[found], parent[found] = found, other, done
                branch[found], from_side[found] = entry, from_bus[entry] == other
                found += 1
                used += 1
        done += 1
    if used < len(from_bus):
        return None
    unsigned = bus.astype(np.uint32), parent.astype(np.uint32), branch.astype(np.uint32)
    return Radial(place, *unsigned, from_side, len(roots))


def _first_of_islands(buses: int, from_bus: list[int], to_bus: list[int]) -> list[int]:
    """One bus of each island."""
    above = list(range(buses))

    def top(bus: int) -> int:
        while above[bus] != bus:
            above[bus] = above[above[bus]]
            bus = above[bus]
        return bus

    for one, other in zip(from_bus, to_bus, strict=True):
        above[top(other)] = top(one)
    return [bus for bus in range(buses) if above[bus] == bus]
