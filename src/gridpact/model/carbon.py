"""Carbon: solved flows that can be traced, and what tracing them comes to.

Nouns only: `carbon` traces. Power is active power in MW, intensities are t/MWh (the same as
kg/kWh), carbon flows t/h. Arrays of T snapshots have the shape (T, elements).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]
    FloatArray = NDArray[np.float64]


class SourceKind(IntEnum):
    """Where a source's carbon is from."""

    GENERATION = 1
    """emitted at the source."""
    IMPORT = 2
    """emitted beyond an external grid."""
    STORE = 3
    """emitted earlier: a store that discharges."""


class LoadKind(IntEnum):
    """Where a load's carbon goes."""

    CONSUMPTION = 1
    EXPORT = 2
    """beyond an external grid."""
    CHARGING = 3
    """into a store."""
    SHUNT = 4
    """lost at the bus: shunts and iron."""


@dataclass(frozen=True, slots=True)
class FlowNetwork:
    """What snapshots of a flow have in common: B buses, L branches, G sources, K loads."""

    bus_ids: tuple[str, ...]
    branch_ids: tuple[str, ...]
    from_bus: IntArray
    """Shape (L,), positions in `bus_ids`; says nothing about the direction of the flow."""
    to_bus: IntArray
    """Shape (L,)."""
    source_ids: tuple[str, ...]
    source_bus: IntArray
    """Shape (G,); a bus may have several."""
    source_kind: IntArray
    """Shape (G,), values of `SourceKind`."""
    load_ids: tuple[str, ...]
    load_bus: IntArray
    """Shape (K,); a bus may have several."""
    load_kind: IntArray
    """Shape (K,), values of `LoadKind`."""


@dataclass(frozen=True, slots=True)
class SolvedFlow:
    """T solved snapshots of active power.

    Power into a branch is + at each end, so both ends sum to its loss; what is out of service
    carries 0.
    """

    network: FlowNetwork
    p_source_mw: FloatArray
    """Shape (T, G), >= 0; 0 is a unit that is off."""
    p_load_mw: FloatArray
    """Shape (T, K), >= 0."""
    p_from_mw: FloatArray
    """Shape (T, L)."""
    p_to_mw: FloatArray
    """Shape (T, L)."""


@dataclass(frozen=True, slots=True)
class FlowToTrace:
    """One or more snapshots with what their sources emit."""

    flow: SolvedFlow
    low_t_per_mwh: FloatArray
    """Shape (T, G); NaN only for what is off, and for stores, whose intensity is their own."""
    high_t_per_mwh: FloatArray
    """Shape (T, G); above the lower one where a source is known by an interval alone."""
    start_s: IntArray | None = None
    """Shape (T,), when each snapshot starts, in seconds since 1970 UTC; None when not known."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The carbon of T solved snapshots."""

    flow: SolvedFlow
    source_t_per_mwh: FloatArray
    """Shape (T, G), as given."""
    bus_t_per_mwh: FloatArray
    """Shape (T, B), intensity of all that leaves a bus; NaN where nothing flows."""
    branch_t_per_mwh: FloatArray
    """Shape (T, L), intensity in the branch; NaN where nothing flows."""

    @property
    def source_t_per_h(self) -> FloatArray:
        """Shape (T, G), carbon that each source feeds in."""
        return _product(self.flow.p_source_mw, self.source_t_per_mwh)

    @property
    def load_t_per_h(self) -> FloatArray:
        """Shape (T, K), carbon that each load takes out."""
        return _product(self.flow.p_load_mw, self.bus_t_per_mwh[:, self.flow.network.load_bus])

    @property
    def branch_t_per_h(self) -> FloatArray:
        """Shape (T, L), carbon that enters each branch."""
        entering = self.flow.p_from_mw.clip(min=0.0) + self.flow.p_to_mw.clip(min=0.0)
        return _product(entering, self.branch_t_per_mwh)

    @property
    def loss_t_per_h(self) -> FloatArray:
        """Shape (T, L), carbon of each branch's loss, with the sign of the loss."""
        return _product(self.flow.p_from_mw + self.flow.p_to_mw, self.branch_t_per_mwh)

    @property
    def residual_t_per_h(self) -> FloatArray:
        """Shape (T,): carbon of sources less that of loads and losses.

        It is what the power flow left at each bus, times the intensity there: almost nothing.
        """
        out = self.load_t_per_h.sum(axis=1) + self.loss_t_per_h.sum(axis=1)
        residual: FloatArray = self.source_t_per_h.sum(axis=1) - out
        return residual


def _product(p_mw: FloatArray, t_per_mwh: FloatArray) -> FloatArray:
    """Carbon of a flow; where nothing flows the intensity is NaN and the carbon 0."""
    carbon: FloatArray = p_mw * t_per_mwh
    carbon[t_per_mwh != t_per_mwh] = 0.0  # noqa: PLR0124 - NaN, without numpy
    return carbon


@dataclass(frozen=True, slots=True)
class SourceShares:
    """Where the power of some sources goes in one snapshot, sparse by column.

    Column i holds the power of source `sources[i]` through each bus that it reaches: entries
    `start[i]` to `start[i + 1]` of `bus` and `p_mw`.
    """

    sources: IntArray
    """Positions in the network's sources."""
    start: IntArray
    """One more than sources."""
    bus: IntArray
    p_mw: FloatArray
    """> 0, part of the power through the bus that is from the source."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """The carbon of one delivery slot in whole micrograms, to the unit."""

    emitted_ug: tuple[int, ...]
    """Of each source, also imports and stores, in the order of the network."""
    load_ug: tuple[int, ...]
    """Of each load, also exports, charging and shunts."""
    loss_ug: tuple[int, ...]
    """Of each branch; negative where a branch of an equivalent circuit gains power."""
    generated_ug: int
    imported_ug: int
    consumed_ug: int
    lost_ug: int
    """In branches and shunts."""
    stored_ug: int
    """Charged less discharged."""
    exported_ug: int

    @property
    def residual_ug(self) -> int:
        """Generated + imported - consumed - lost - stored - exported: always 0."""
        gone = self.consumed_ug + self.lost_ug + self.stored_ug + self.exported_ug
        return self.generated_ug + self.imported_ug - gone
