"""From a solved network of `grid` to a flow that can be traced.

Closed switches carry any power between their buses, so a busbar is one place for tracing, as it is
for the power flow; it has the id of its first bus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import MeterPolicy, metered
from gridpact.errors import InputError, Problem
from gridpact.model.carbon import FlowNetwork, LoadKind, SolvedFlow, SourceKind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray, IntArray
    from gridpact.model.grid import Network, PowerFlow

    BoolArray = NDArray[np.bool_]

W_PER_MW = 1e6
SHOWN_MAX = 20


def flow_to_trace(
    network: Network,
    flow: PowerFlow,
    generated_w: FloatArray | None = None,
    policy: MeterPolicy = MeterPolicy.GROSS,
    plants: BoolArray | None = None,
) -> SolvedFlow:
    """The snapshots of a power flow with their sources and loads named.

    Sources are the external grids by their ids, then `generation:BUS` for each bus that feeds in.
    Loads are the buses by their ids, then `export:GRID` and `shunt:SHUNT`.

    Args:
        network: B buses.
        flow: S snapshots of that network.
        generated_w: shape (S, B), >= 0, what is generated at each bus; the net load of the power
            flow has it taken off. When left out, only what the net load shows is known: a bus
            that feeds in is a source, and the others are loads.
        policy: whether load and generation of one bus are traced as two, or as their difference.
        plants: shape (B,), buses that have a source; when left out, those that generate in these
            snapshots. A series of which this is a part names those of all its parts.

    Raises:
        InputError: snapshots that did not converge, by number; a wrong shape; generation below 0.
    """
    failed = np.flatnonzero(~flow.converged)
    if len(failed):
        problems = [
            Problem(f"snapshot {snapshot}", "the power flow did not converge; mend its loads")
            for snapshot in failed[:SHOWN_MAX].tolist()
        ]
        raise InputError(problems)
    generated = np.maximum(-flow.p_load_w, 0.0) if generated_w is None else generated_w
    if generated.shape != flow.p_load_w.shape or not (generated >= 0.0).all():
        message = f"allowed: shape {flow.p_load_w.shape}, >= 0; give W by snapshot and bus"
        raise InputError([Problem("generated_w", message)])
    generated = np.where(flow.supplied, generated, 0.0)
    load = flow.p_load_w + generated
    if not (load >= -1e-6 * (1.0 + generated)).all():
        snapshot, bus = np.argwhere(~(load >= -1e-6 * (1.0 + generated)))[0].tolist()
        message = (
            f"feeds in {-flow.p_load_w[snapshot, bus]:g} W, more than the "
            f"{generated[snapshot, bus]:g} W generated there; correct generated_w"
        )
        raise InputError([Problem(f"snapshot {snapshot}: bus {flow.bus_ids[bus]}", message)])
    load, given = metered(np.maximum(load, 0.0), generated, policy)
    feeding = np.flatnonzero(given.any(axis=0) if plants is None else plants)
    shunt_ids, shunt_bus, shunt_w = _shunts(network, flow)
    busbars, place = np.unique(flow.busbar, return_inverse=True)
    at = {bus.bus_id: int(place[i]) for i, bus in enumerate(network.buses)}
    grid_bus = np.array([at[grid.bus] for grid in network.external_grids], dtype=np.int64)
    kinds = [
        [SourceKind.IMPORT] * len(grid_bus) + [SourceKind.GENERATION] * len(feeding),
        [LoadKind.CONSUMPTION] * len(at)
        + [LoadKind.EXPORT] * len(grid_bus)
        + [LoadKind.SHUNT] * len(shunt_ids),
    ]
    named = FlowNetwork(
        bus_ids=tuple(flow.bus_ids[i] for i in busbars.tolist()),
        branch_ids=flow.branch_ids,
        from_bus=place[flow.from_bus].astype(np.int64),
        to_bus=place[flow.to_bus].astype(np.int64),
        source_ids=(
            *flow.external_grid_ids,
            *(f"generation:{flow.bus_ids[i]}" for i in feeding.tolist()),
        ),
        source_bus=np.concatenate([grid_bus, place[feeding]]).astype(np.int64),
        source_kind=np.array(kinds[0], dtype=np.int64),
        load_ids=(
            *flow.bus_ids,
            *(f"export:{name}" for name in flow.external_grid_ids),
            *(f"shunt:{name}" for name in shunt_ids),
        ),
        load_bus=np.concatenate([place, grid_bus, place[shunt_bus]]).astype(np.int64),
        load_kind=np.array(kinds[1], dtype=np.int64),
    )
    external = np.nan_to_num(flow.p_external_mw)
    return SolvedFlow(
        named,
        np.hstack([np.maximum(external, 0.0), given[:, feeding] / W_PER_MW]),
        np.hstack([load / W_PER_MW, np.maximum(-external, 0.0), shunt_w / W_PER_MW]),
        np.nan_to_num(flow.p_from_mw),
        np.nan_to_num(flow.p_to_mw),
    )


def bus_place(flow: PowerFlow) -> IntArray:
    """Shape (B,): the place of each bus of the network in the buses that are traced."""
    place: IntArray = np.unique(flow.busbar, return_inverse=True)[1]
    return place


def nominal_generation(network: Network) -> FloatArray:
    """Shape (1, B), W: what the plants in the network's own source generate."""
    at = {bus.bus_id: i for i, bus in enumerate(network.buses)}
    total = np.zeros((1, len(at)))
    for load in network.loads:
        total[0, at[load.bus]] += max(-load.p_w, 0.0)
    return total


def _shunts(network: Network, flow: PowerFlow) -> tuple[list[str], IntArray, FloatArray]:
    """Ids, buses and W, shape (S, shunts), of the shunts that lose power."""
    at = {bus.bus_id: i for i, bus in enumerate(network.buses)}
    live = [
        shunt
        for shunt in network.shunts
        if shunt.in_service and shunt.conductance_s > 0.0 and flow.supplied[at[shunt.bus]]
    ]
    bus = np.array([at[shunt.bus] for shunt in live], dtype=np.int64)
    nominal_v = np.array([1000 * network.buses[i].nominal_kv for i in bus.tolist()])
    conductance = np.array([shunt.conductance_s for shunt in live])
    power_w = conductance * (flow.vm_pu[:, bus] * nominal_v) ** 2
    return [shunt.shunt_id for shunt in live], bus, power_w
