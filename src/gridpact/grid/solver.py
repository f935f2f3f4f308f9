"""A network in the arrays of power-grid-model, the only place that imports it.

power-grid-model comes with the extra `grid`. Buses that closed switches join are one of its nodes,
and every line and transformer is one of its generic branches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from power_grid_model import PowerGridModel

    from gridpact.grid.admittances import Branches
    from gridpact.grid.topology import Topology
    from gridpact.model.grid import BoolArray, IntArray, Network

IDEAL_VA = 1e20
"""Short-circuit power that stands for an infinite one: a million MVA through it moves the voltage
by 1e-8 pu."""
FIRST_LOAD, FIRST_BRANCH, FIRST_SHUNT, FIRST_SOURCE = (number << 26 for number in (1, 2, 3, 4))
"""The solver wants one set of numbers for everything; busbars start at 0."""
CONSTANT_POWER = 0

Columns = dict[str, Any]
"""Of one component: an array, or one value for all."""


def solver_of(
    network: Network,
    topology: Topology,
    branches: Branches,
    number: IntArray,
    bypassed: BoolArray,
) -> PowerGridModel:
    """The solver's model of a network.

    Args:
        network: B buses, L branches.
        topology: of the network.
        branches: of the network.
        number: shape (B,), number of the busbar that each bus is part of, 0..N-1.
        bypassed: shape (L,), lines with both ends at one busbar, of which only the shunt is left.

    Raises:
        InputError: power-grid-model is not installed.
    """
    try:
        from power_grid_model import PowerGridModel, initialize_array
    except ImportError as error:
        message = "a power flow needs power-grid-model: pip install 'gridpact[grid]'"
        raise InputError([Problem("power-grid-model", message)]) from error

    busbars = int(number.max()) + 1
    nominal_v = np.empty(busbars + 1)
    nominal_v[number] = [1000 * bus.nominal_kv for bus in network.buses]
    nominal_v[busbars] = nominal_v[0]
    at = {bus.bus_id: int(number[index]) for index, bus in enumerate(network.buses)}
    components: dict[str, Columns] = {
        "node": {"id": np.arange(busbars + 1), "u_rated": nominal_v},
        "sym_load": {
            "id": FIRST_LOAD + np.arange(busbars),
            "node": np.arange(busbars),
            "status": 1,
            "type": CONSTANT_POWER,
            "p_specified": 0.0,
            "q_specified": 0.0,
        },
        "generic_branch": _branches(topology, branches, number, bypassed),
        "shunt": _shunts(network, at, branches, number[topology.from_bus], bypassed),
        "source": _sources(network, at),
    }
    arrays = {}
    for kind, columns in components.items():
        arrays[kind] = initialize_array("input", kind, len(columns["id"]))
        for name, values in columns.items():
            arrays[kind][name] = values
    return PowerGridModel(arrays)


def _branches(
    topology: Topology, branches: Branches, number: IntArray, bypassed: BoolArray
) -> Columns:
    """All branches but the bypassed ones.

    A line that leaves a busbar and ends open at the same one gets a spare busbar for its open end,
    as the solver wants two different ones.
    """
    spare = int(number.max()) + 1
    from_bus, to_bus = number[topology.from_bus], number[topology.to_bus]
    loop = from_bus == to_bus
    to_bus = np.where(loop & ~topology.to_closed, spare, to_bus)
    from_bus = np.where(loop & topology.to_closed & ~topology.from_closed, spare, from_bus)
    kept = np.flatnonzero(~bypassed)
    return {
        "id": FIRST_BRANCH + kept,
        "from_node": from_bus[kept],
        "to_node": to_bus[kept],
        "from_status": topology.from_closed[kept],
        "to_status": topology.to_closed[kept],
        "r1": branches.r_ohm[kept],
        "x1": branches.x_ohm[kept],
        "g1": branches.g_s[kept],
        "b1": branches.b_s[kept],
        "k": branches.ratio[kept],
        "theta": branches.shift_radian[kept],
        "sn": 1.0,  # loadings are ours, so it is not used
    }


def _shunts(
    network: Network,
    at: dict[str, int],
    branches: Branches,
    from_bus: IntArray,
    bypassed: BoolArray,
) -> Columns:
    """The network's shunts, and what is left of bypassed lines."""
    rows = [
        (at[shunt.bus], shunt.conductance_s, shunt.susceptance_s)
        for shunt in network.shunts
        if shunt.in_service
    ]
    rows += [
        (int(from_bus[line]), branches.g_s[line], branches.b_s[line])
        for line in np.flatnonzero(bypassed)
    ]
    return {
        "id": FIRST_SHUNT + np.arange(len(rows)),
        "node": [row[0] for row in rows],
        "status": 1,
        "g1": [row[1] for row in rows],
        "b1": [row[2] for row in rows],
    }


def _sources(network: Network, at: dict[str, int]) -> Columns:
    alive = {bus.bus_id for bus in network.buses if bus.in_service}
    grids = network.external_grids
    return {
        "id": FIRST_SOURCE + np.arange(len(grids)),
        "node": [at[grid.bus] for grid in grids],
        "status": [grid.in_service and grid.bus in alive for grid in grids],
        "u_ref": [grid.vm_pu for grid in grids],
        "u_ref_angle": np.radians([grid.va_degree for grid in grids]),
        "sk": [min(grid.short_circuit_mva * 1e6, IDEAL_VA) for grid in grids],
        "rx_ratio": [grid.rx_ratio for grid in grids],
    }
