"""What is connected with what: busbars, open ends, and which buses an external grid supplies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import Problem
from gridpact.model.grid import SwitchKind

if TYPE_CHECKING:
    from gridpact.model.grid import BoolArray, IntArray, Line, Network, Transformer

NAMED_MAX = 12
"""Most ids that one message lists."""


@dataclass(frozen=True, slots=True)
class Topology:
    """Connections of a network with B buses and L branches, switches and services applied."""

    busbar: IntArray
    """Shape (B,): position of the first bus that closed switches join with this one."""
    from_bus: IntArray
    """Shape (L,): lines, then transformers; positions of buses."""
    to_bus: IntArray
    """Shape (L,)."""
    from_closed: BoolArray
    """Shape (L,): whether the end is connected."""
    to_closed: BoolArray
    """Shape (L,)."""
    supplied: BoolArray
    """Shape (B,): in service, with a path to an external grid in service."""
    island: IntArray
    """Shape (B,): smallest position of a bus that has a path to this one."""


class _Sets:
    """Disjoint sets of 0..count-1; the smallest member stands for its set."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def root(self, item: int) -> int:
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        first, second = sorted((self.root(one), self.root(other)))
        self._parent[second] = first

    def roots(self) -> IntArray:
        return np.array([self.root(item) for item in range(len(self._parent))], dtype=np.int64)


def topology_of(network: Network) -> Topology:
    """Apply all switches and services. Ids must already be known to be right."""
    position = {bus.bus_id: index for index, bus in enumerate(network.buses)}
    alive = np.array([bus.in_service for bus in network.buses], dtype=np.bool_)
    branches: list[Line | Transformer] = [*network.lines, *network.transformers]
    from_bus = np.array([position[branch.from_bus] for branch in branches], dtype=np.int64)
    to_bus = np.array([position[branch.to_bus] for branch in branches], dtype=np.int64)
    in_service = np.array([branch.in_service for branch in branches], dtype=np.bool_)
    from_closed, to_closed = in_service & alive[from_bus], in_service & alive[to_bus]
    lines = {line.line_id: index for index, line in enumerate(network.lines)}
    transformers = {
        transformer.transformer_id: len(lines) + index
        for index, transformer in enumerate(network.transformers)
    }
    joined = _Sets(len(network.buses))
    for switch in network.switches:
        bus = position[switch.bus]
        if switch.kind == SwitchKind.BUS:
            other = position[switch.element]
            if switch.closed and alive[bus] and alive[other]:
                joined.join(bus, other)
        elif not switch.closed:
            branch = (lines if switch.kind == SwitchKind.LINE else transformers)[switch.element]
            if from_bus[branch] == bus:
                from_closed[branch] = False
            if to_bus[branch] == bus:
                to_closed[branch] = False
    busbar = joined.roots()
    for closed in np.flatnonzero(from_closed & to_closed):
        joined.join(int(from_bus[closed]), int(to_bus[closed]))
    island = joined.roots()
    sources = [position[grid.bus] for grid in network.external_grids if grid.in_service]
    with_source = {int(island[bus]) for bus in sources if alive[bus]}
    supplied = alive & np.isin(island, sorted(with_source))
    return Topology(busbar, from_bus, to_bus, from_closed, to_closed, supplied, island)


def supplied_buses(network: Network) -> frozenset[str]:
    """Ids of the buses with a path to an external grid: where members can trade."""
    supplied = topology_of(network).supplied
    return frozenset(
        bus.bus_id for bus, has_supply in zip(network.buses, supplied, strict=True) if has_supply
    )


def unsupplied(network: Network) -> tuple[Problem, ...]:
    """One problem for each island without an external grid, with its buses and loads by name.

    A run can go on without them: nothing flows there, and whoever is connected there cannot trade.
    """
    topology = topology_of(network)
    at_bus: dict[str, list[str]] = {}
    for load in network.loads:
        at_bus.setdefault(load.bus, []).append(load.load_id)
    found = []
    for root in np.unique(topology.island[~topology.supplied]):
        buses = [network.buses[index].bus_id for index in np.flatnonzero(topology.island == root)]
        loads = [load for bus in buses for load in at_bus.get(bus, ())]
        what = "bus" if len(buses) == 1 else "buses"
        with_loads = f" with {_named(loads)}" if loads else ""
        found.append(
            Problem(
                f"{network.reference}: {what} {_named(buses)}",
                f"no path to an external grid{with_loads}: no supply, and members there cannot "
                "trade; close a switch, add a line or an external grid",
            )
        )
    return tuple(found)


def _named(ids: list[str]) -> str:
    more = f" and {len(ids) - NAMED_MAX} more" if len(ids) > NAMED_MAX else ""
    return ", ".join(ids[:NAMED_MAX]) + more
