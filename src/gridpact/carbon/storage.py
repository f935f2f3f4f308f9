"""Storage with the carbon of what it holds: it takes the mix of its bus and gives it back later.

Charging is a load at the bus's intensity, discharging a source at the store's own:
E += eta_c P_c - P_d / eta_d,  C += rho_bus P_c - e P_d,  e = C / (eta_d E).
Losses of the store raise the intensity of what is left, so all carbon that went in comes out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.checks import TracingError
from gridpact.carbon.snapshots import named
from gridpact.errors import InputError, Problem
from gridpact.model.carbon import LoadKind, SolvedFlow, SourceKind, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.carbon.tracing import Tracer
    from gridpact.model.carbon import FloatArray

EMPTY_MWH = 1e-9
"""A milliwatt-hour: below it there is nothing to give, and no intensity."""
ROUNDING = 1e-9
"""Of what a store holds: how far a schedule may miss its limits, as sums of floats do."""


@dataclass(frozen=True, slots=True)
class Store:
    """A store and what it holds."""

    store_id: str
    """That of its source and of its load in the network."""
    energy_mwh: float
    """>= 0."""
    carbon_t: float
    """>= 0; what is in it at the start is for the caller to say."""
    charge_efficiency: float
    """Above 0 and up to 1."""
    discharge_efficiency: float
    """Above 0 and up to 1."""
    capacity_mwh: float = np.inf
    """Most that it holds, > 0."""

    @property
    def t_per_mwh(self) -> float:
        """Of what it gives; NaN when it is empty."""
        if self.energy_mwh <= EMPTY_MWH:
            return float("nan")
        return self.carbon_t / (self.discharge_efficiency * self.energy_mwh)


@dataclass(frozen=True, slots=True)
class StoredTrace:
    """A trace with stores, and how they fared."""

    trace: Trace
    stores: tuple[Store, ...]
    """After the last snapshot; the start of the next part."""
    energy_mwh: FloatArray
    """Shape (T, stores), after each snapshot."""
    carbon_t: FloatArray
    """Shape (T, stores), after each snapshot."""


def trace_with_stores(
    tracer: Tracer,
    flow: SolvedFlow,
    t_per_mwh: FloatArray,
    stores: Sequence[Store],
    hours: float,
) -> StoredTrace:
    """Trace snapshot after snapshot; what a store gives depends on what it took before.

    Args:
        tracer: of the flow's network, in which every store is a source and a load by its id.
        flow: T snapshots, in the order of time.
        t_per_mwh: shape (G,) or (T, G); values for stores are not used.
        stores: as they are before the first snapshot.
        hours: length of a snapshot, > 0.

    Raises:
        InputError: as `trace`; a store that the network does not have, values out of range, a store
            that is to give more than it holds, or to hold more than its capacity.
        TracingError: as `trace`.

    Source: [SUN23] has no storage. Ours: the equations above. The shares of a snapshot do not
    depend on intensities; as one sweep finds the mix of every bus, a scan of sweeps costs less than
    shares of all stores would.
    """
    check_stores(stores, hours)
    places = [_place(flow, store.store_id) for store in stores]
    intensity = np.array(np.broadcast_to(t_per_mwh, flow.p_source_mw.shape), dtype=np.float64)
    energy, carbon = (np.empty((len(intensity), len(stores))) for _ in range(2))
    parts = []
    now = list(stores)
    for t in range(len(intensity)):
        for n, (source, _) in enumerate(places):
            intensity[t, source] = _given(now[n], flow.p_source_mw[t, source], hours, t)
        one = SolvedFlow(
            flow.network,
            *(values[t : t + 1] for values in (flow.p_source_mw, flow.p_load_mw)),
            *(values[t : t + 1] for values in (flow.p_from_mw, flow.p_to_mw)),
        )
        try:
            parts.append(tracer.trace(one, intensity[t : t + 1]))
        except (InputError, TracingError) as error:
            raise named(error, t) from error
        for n, (source, load) in enumerate(places):
            taken_t = float(parts[-1].load_t_per_h[0, load]) * hours
            given_mwh = float(flow.p_source_mw[t, source]) * hours
            taken_mwh = float(flow.p_load_mw[t, load]) * hours
            now[n] = _after(now[n], taken_mwh, taken_t, given_mwh)
            _check_room(now[n], taken_mwh, t)
            energy[t, n], carbon[t, n] = now[n].energy_mwh, now[n].carbon_t
    bus = np.concatenate([part.bus_t_per_mwh for part in parts])
    branch = np.concatenate([part.branch_t_per_mwh for part in parts])
    return StoredTrace(Trace(flow, intensity, bus, branch), tuple(now), energy, carbon)


def _after(store: Store, taken_mwh: float, taken_t: float, given_mwh: float) -> Store:
    """The store after a snapshot; what it gives has its intensity from before."""
    left = store.energy_mwh - given_mwh / store.discharge_efficiency
    given_t = 0.0 if given_mwh == 0.0 else store.t_per_mwh * given_mwh
    return replace(
        store,
        energy_mwh=max(0.0, left + store.charge_efficiency * taken_mwh),
        carbon_t=max(0.0, store.carbon_t - given_t) + taken_t,
    )


def _check_room(store: Store, taken_mwh: float, snapshot: int) -> None:
    """Refuse what no longer fits into a store."""
    if store.energy_mwh > store.capacity_mwh * (1 + ROUNDING):
        message = (
            f"holds {store.energy_mwh:g} MWh after taking {taken_mwh:g} MWh; allowed: up to its "
            f"capacity of {store.capacity_mwh:g} MWh; correct its schedule or its capacity_mwh"
        )
        raise InputError([Problem(f"snapshot {snapshot}: store {store.store_id}", message)])


def _given(store: Store, p_mw: float, hours: float, snapshot: int) -> float:
    """Intensity of what a store gives."""
    if p_mw == 0.0:
        return 0.0
    possible = store.energy_mwh * store.discharge_efficiency / hours
    if not p_mw <= possible * (1 + ROUNDING) or store.energy_mwh <= EMPTY_MWH:
        message = (
            f"gives {p_mw:g} MW, but what it holds lasts for {possible:g} MW; allowed: up to that; "
            "correct its schedule or its energy at the start"
        )
        raise InputError([Problem(f"snapshot {snapshot}: store {store.store_id}", message)])
    return store.t_per_mwh


def check_stores(stores: Sequence[Store], hours: float) -> None:
    """Refuse stores that cannot be.

    Raises:
        InputError: values out of range, by store.
    """
    problems = []
    if not 0.0 < hours < np.inf:
        problems.append(Problem("hours", f"{hours:g} is not allowed; allowed: above 0"))
    for store in stores:
        for name in ("energy_mwh", "carbon_t"):
            if not 0.0 <= getattr(store, name) < np.inf:
                message = f"{name} {getattr(store, name):g} is not allowed; allowed: >= 0"
                problems.append(Problem(f"store {store.store_id}", message))
        for name in ("charge_efficiency", "discharge_efficiency"):
            if not 0.0 < getattr(store, name) <= 1.0:
                message = f"{name} {getattr(store, name):g} is not allowed; allowed: 0 to 1"
                problems.append(Problem(f"store {store.store_id}", message))
        if not store.capacity_mwh > 0.0 or store.energy_mwh > store.capacity_mwh * (1 + ROUNDING):
            message = f"capacity_mwh {store.capacity_mwh:g} is not allowed; allowed: above 0 and"
            message = f"{message} not below energy_mwh, {store.energy_mwh:g}; correct one of them"
            problems.append(Problem(f"store {store.store_id}", message))
    if problems:
        raise InputError(problems)


def _place(flow: SolvedFlow, store_id: str) -> tuple[int, int]:
    """Positions of a store among the sources and among the loads."""
    network = flow.network
    found = []
    for ids, kinds, kind, side in (
        (network.source_ids, network.source_kind, SourceKind.STORE, "source"),
        (network.load_ids, network.load_kind, LoadKind.CHARGING, "load"),
    ):
        at = [i for i, known in enumerate(ids) if known == store_id and kinds[i] == kind]
        if len(at) != 1:
            message = f"is not exactly one {side} of the kind {kind.name}; add it to the network"
            raise InputError([Problem(f"store {store_id}", message)])
        found.append(at[0])
    return found[0], found[1]
