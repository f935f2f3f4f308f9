"""Homes behind meters as nodes of their own in a flow that can be traced.

Each home hangs on its bus by a branch without loss that carries what its meter sees. Behind it the
home's plant and storage feed in and its load and storage draw, so the home uses its own sun first
only as far as proportional sharing says: what it draws has the mix of all that enters it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.inputs.solved_flow_grid import bus_place, flow_to_trace
from gridpact.model.carbon import FlowNetwork, LoadKind, SolvedFlow, SourceKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model.carbon import FloatArray, IntArray
    from gridpact.model.grid import Network, PowerFlow


@dataclass(frozen=True, slots=True)
class HomePower:
    """Mean power behind H meters in one snapshot, MW, each shape (H,), >= 0."""

    load_mw: FloatArray
    generated_mw: FloatArray
    charged_mw: FloatArray
    discharged_mw: FloatArray

    @property
    def import_mw(self) -> FloatArray:
        """What the meters see, + = import."""
        net: FloatArray = self.load_mw + self.charged_mw - self.generated_mw - self.discharged_mw
        return net


@dataclass(frozen=True, slots=True)
class HomeFlow:
    """A flow with homes, and where they are in its columns."""

    flow: SolvedFlow
    grids: slice
    """Sources: the external grids."""
    generation: slice
    """Sources: the homes' plants."""
    discharging: slice
    """Sources: the homes' storages."""
    load: slice
    """Loads of the homes."""
    charging: slice
    export: slice
    """Loads: what external grids take."""
    shunt: slice


def flow_with_homes(
    network: Network, flow: PowerFlow, homes: Sequence[str], buses: Sequence[str], power: HomePower
) -> HomeFlow:
    """One snapshot of a power flow whose only loads are homes.

    Args:
        network: that was solved.
        flow: one snapshot, in which each bus carries what its homes' meters see.
        homes: ids of H homes.
        buses: where each is connected.
        power: behind their meters.
    Raises:
        InputError: the power flow did not converge.
    """
    base = flow_to_trace(network, flow)
    old, grids = base.network, len(network.external_grids)
    shunts = len(old.load_ids) - len(network.buses) - grids
    place = dict(zip((bus.bus_id for bus in network.buses), bus_place(flow).tolist(), strict=True))
    at_bus = np.array([place[bus] for bus in buses], dtype=np.int64)
    at_home = len(old.bus_ids) + np.arange(len(homes), dtype=np.int64)
    kept = slice(len(network.buses), None)
    named = FlowNetwork(
        bus_ids=(*old.bus_ids, *(f"home:{home}" for home in homes)),
        branch_ids=(*old.branch_ids, *(f"meter:{home}" for home in homes)),
        from_bus=np.concatenate([old.from_bus, at_bus]),
        to_bus=np.concatenate([old.to_bus, at_home]),
        source_ids=(
            *old.source_ids[:grids],
            *(f"generation:{home}" for home in homes),
            *(f"storage:{home}" for home in homes),
        ),
        source_bus=np.concatenate([old.source_bus[:grids], at_home, at_home]),
        source_kind=_kinds(
            (SourceKind.IMPORT, grids),
            (SourceKind.GENERATION, len(homes)),
            (SourceKind.STORE, len(homes)),
        ),
        load_ids=(
            *(f"load:{home}" for home in homes),
            *(f"storage:{home}" for home in homes),
            *old.load_ids[kept],
        ),
        load_bus=np.concatenate([at_home, at_home, old.load_bus[kept]]),
        load_kind=_kinds(
            (LoadKind.CONSUMPTION, len(homes)),
            (LoadKind.CHARGING, len(homes)),
            (LoadKind.EXPORT, grids),
            (LoadKind.SHUNT, shunts),
        ),
    )
    metered = power.import_mw[np.newaxis]
    solved = SolvedFlow(
        named,
        np.hstack([base.p_source_mw[:, :grids], _row(power.generated_mw, power.discharged_mw)]),
        np.hstack([_row(power.load_mw, power.charged_mw), base.p_load_mw[:, kept]]),
        np.hstack([base.p_from_mw, metered]),
        np.hstack([base.p_to_mw, -metered]),
    )
    count = len(homes)
    return HomeFlow(
        flow=solved,
        grids=slice(grids),
        generation=slice(grids, grids + count),
        discharging=slice(grids + count, grids + 2 * count),
        load=slice(count),
        charging=slice(count, 2 * count),
        export=slice(2 * count, 2 * count + grids),
        shunt=slice(2 * count + grids, None),
    )


def _kinds(*counts: tuple[int, int]) -> IntArray:
    kinds: IntArray = np.concatenate([np.full(n, kind, dtype=np.int64) for kind, n in counts])
    return kinds


def _row(*parts: FloatArray) -> FloatArray:
    row: FloatArray = np.concatenate(parts)[np.newaxis]
    return row
