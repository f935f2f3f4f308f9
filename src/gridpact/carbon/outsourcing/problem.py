"""What is handed out: the equations of one snapshot, and what their solution comes to.

These are the (n + m) equations of [SUN23] with a virtual node in every branch; the sweeps of
`carbon` solve the same with n unknowns. Here they stay in full, as the branches are audited too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csc_array, csr_array, eye_array
from scipy.sparse.csgraph import breadth_first_order

from gridpact.carbon.checks import TracingError, check_flow
from gridpact.carbon.kernels import DEAD_MW

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, IntArray, SolvedFlow


@dataclass(frozen=True, slots=True)
class Problem:
    """A_u X = B of one snapshot: N = buses + branches nodes, g sources."""

    matrix: csc_array
    """A_u, shape (N, N): 1 on the diagonal, less the share of its through-flow that each node
    sends on. Nodes where nothing flows have the 1 alone."""
    right: FloatArray
    """B, shape (N, g), MW: the power of each source at its bus."""
    through_mw: FloatArray
    """P, shape (N,): all power through each node."""
    demand_mw: FloatArray
    """P_L, shape (N,): loads at buses, losses in branches, with the sign of the loss."""
    buses: int
    """The first nodes; the branches follow."""

    @property
    def source_mw(self) -> FloatArray:
        """Shape (g,)."""
        total: FloatArray = self.right.sum(axis=0)
        return total


@dataclass(frozen=True, slots=True)
class Rates:
    """Carbon of one snapshot, t/h."""

    load: FloatArray
    """Shape (buses,), of all loads at a bus. Source: [SUN23], eq. (37)."""
    branch: FloatArray
    """Shape (branches,), that enters each branch. Source: [SUN23], eq. (38)."""
    loss: FloatArray
    """Shape (branches,). Source: [SUN23], eq. (39)."""


def problem_of(flow: SolvedFlow, snapshot: int = 0) -> Problem:
    """The equations of a snapshot.

    Raises:
        InputError: the flow is no solved flow; all its snapshots are checked.
        TracingError: power goes in a ring that no source feeds.

    Source: [SUN23], eq. (6)-(8). Ours: as `carbon.trace`, see there.
    """
    check_flow(flow)
    network = flow.network
    buses, branches = len(network.bus_ids), len(network.branch_ids)
    nodes = buses + branches
    virtual = buses + np.arange(branches)
    p_source = flow.p_source_mw[snapshot]
    right = np.zeros((nodes, len(p_source)))
    right[network.source_bus, np.arange(len(p_source))] = p_source
    through = right.sum(axis=1)
    demand = np.zeros(nodes)
    np.add.at(demand, network.load_bus, flow.p_load_mw[snapshot])
    into, out_of, power = [], [], []
    for ends, p in (
        (network.from_bus, flow.p_from_mw[snapshot]),
        (network.to_bus, flow.p_to_mw[snapshot]),
    ):
        enters, leaves = p > DEAD_MW, p < -DEAD_MW
        into += [virtual[enters], ends[leaves]]
        out_of += [ends[enters], virtual[leaves]]
        power += [p[enters], -p[leaves]]
        demand[virtual] += np.where(enters | leaves, p, 0.0)
    rows, columns, mw = np.concatenate(into), np.concatenate(out_of), np.concatenate(power)
    np.add.at(through, rows, mw)
    _refuse_closed_rings(flow, snapshot, rows, columns, right, through)
    share = np.divide(mw, through[columns], out=np.zeros_like(mw), where=through[columns] > 0.0)
    inflow = csc_array((share, (rows, columns)), shape=(nodes, nodes))
    return Problem(csc_array(eye_array(nodes) - inflow), right, through, demand, buses)


def carbon_rates(problem: Problem, x_mw: FloatArray, t_per_mwh: FloatArray) -> Rates:
    """Carbon of loads, branches and losses.

    Args:
        x_mw: X, shape (N, g): MW of each source through each node.
        t_per_mwh: shape (g,); of units that are off it does not matter.
    """
    carbon = x_mw @ np.where(problem.source_mw > 0.0, t_per_mwh, 0.0)
    live = problem.through_mw > DEAD_MW
    part = np.divide(problem.demand_mw, problem.through_mw, where=live, out=np.zeros_like(carbon))
    taken, buses = part * carbon, problem.buses
    return Rates(taken[:buses], carbon[buses:], taken[buses:])


def _refuse_closed_rings(
    flow: SolvedFlow,
    snapshot: int,
    rows: IntArray,
    columns: IntArray,
    right: FloatArray,
    through: FloatArray,
) -> None:
    """Refuse power that no source reaches: the matrix would be singular there."""
    nodes = len(through)
    start = np.flatnonzero(right.any(axis=1))
    above = np.full(len(start), nodes)  # one more node, which feeds all sources
    edges = np.concatenate([columns, above]), np.concatenate([rows, start])
    shape = (nodes + 1, nodes + 1)
    graph = csr_array((np.ones(len(edges[0])), edges), shape=shape)
    reached = np.zeros(nodes + 1, dtype=np.bool_)
    reached[breadth_first_order(graph, nodes, return_predecessors=False)] = True
    lost = np.flatnonzero(~reached[:nodes] & (through > DEAD_MW))
    if len(lost):
        names = (*flow.network.bus_ids, *flow.network.branch_ids)
        raise TracingError(
            f"snapshot {snapshot}: power through {names[int(lost[0])]} comes from no source, "
            "so it has no origin; correct the flows of its branches"
        )
