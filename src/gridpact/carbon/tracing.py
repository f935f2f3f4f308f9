"""Tracing carbon from sources through solved flows to loads and losses.

Proportional sharing: all that leaves a bus has the mix of all that enters it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.checks import TracingError, check_flow, check_intensity
from gridpact.carbon.kernels import branch_mix, sweep_radial
from gridpact.carbon.layout import incidence_of, radial_of
from gridpact.carbon.ordered import columns, distribution, order_of, sweep_ordered
from gridpact.errors import InputError, Problem, invariant
from gridpact.model.carbon import SourceShares, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gridpact.model.carbon import FloatArray, FlowNetwork, IntArray, SolvedFlow

SOURCES_AT_ONCE = 256
"""Of shares: a block of columns, so that memory does not grow with the number of sources."""


def trace(flow: SolvedFlow, t_per_mwh: FloatArray) -> Trace:
    """Carbon intensity of every bus and branch, and with it the carbon of loads and losses.

    Args:
        flow: T solved snapshots of B buses, L branches, G sources.
        t_per_mwh: shape (G,) or (T, G), what each source emits.
    Returns:
        T snapshots; intensities are NaN where nothing flows.
    Raises:
        InputError: the flow does not balance, or values are out of range, by snapshot and name.
        TracingError: power goes in a ring that no source feeds.

    Source: [SUN23], section 3.1, with the equations of [WANG22]: A_u P = P_G with a virtual node
    in every branch. Ours: signed losses, branches that both ends feed, rings solved exactly.
    """
    return Tracer(flow.network).trace(flow, t_per_mwh)


def trace_many(parts: Iterable[tuple[SolvedFlow, FloatArray]]) -> Iterator[Trace]:
    """Trace a stream of flows of one network part by part; memory is that of one part.

    Args:
        parts: flows of one network, each with the intensities of its sources.
    Raises:
        InputError, TracingError: as `trace`; another network than before.
    """
    tracer: Tracer | None = None
    for flow, t_per_mwh in parts:
        tracer = Tracer(flow.network) if tracer is None else tracer
        yield tracer.trace(flow, t_per_mwh)


def trace_bounds(
    flow: SolvedFlow, low_t_per_mwh: FloatArray, high_t_per_mwh: FloatArray
) -> tuple[Trace, Trace]:
    """Between which values everything lies when intensities are known only as intervals.

    Every share is at least zero, so each intensity grows with that of every source.

    Raises:
        InputError, TracingError: as `trace`; a lower bound above its upper one.
    """
    if (np.asarray(low_t_per_mwh) > np.asarray(high_t_per_mwh)).any():  # NaN is a unit off
        message = "is above the upper bound somewhere; exchange them"
        raise InputError([Problem("low_t_per_mwh", message)])
    tracer = Tracer(flow.network)
    return tracer.trace(flow, low_t_per_mwh), tracer.trace(flow, high_t_per_mwh)


class Tracer:
    """A network made ready to trace, again and again."""

    def __init__(self, network: FlowNetwork) -> None:
        self.network = network
        self._incidence = incidence_of(network)
        self._radial = radial_of(self._incidence)
        self._source_place = (
            network.source_bus if self._radial is None else self._radial.place[network.source_bus]
        )

    def trace(self, flow: SolvedFlow, t_per_mwh: FloatArray) -> Trace:
        """As the function `trace`."""
        self._same_network(flow)
        check_flow(flow)
        intensity = check_intensity(flow, t_per_mwh)
        bus = self.bus_intensity(flow, intensity)
        branch = np.empty_like(flow.p_from_mw)
        ends = self.network.from_bus, self.network.to_bus
        branch_mix(bus, flow.p_from_mw, flow.p_to_mw, *ends, branch)
        return Trace(flow, intensity, bus, branch)

    def bus_intensity(self, flow: SolvedFlow, t_per_mwh: FloatArray) -> FloatArray:
        """Intensity of each bus alone, of a flow that is known to be sound.

        Args:
            flow: T snapshots.
            t_per_mwh: shape (T, G), contiguous.
        Returns:
            shape (T, B), t/MWh, NaN where nothing flows.
        Raises:
            TracingError: power goes in a ring that no source feeds.
        """
        result = np.empty((len(flow.p_source_mw), len(self.network.bus_ids)))
        incidence, radial = self._incidence, self._radial
        p_from, p_to = incidence.columns(flow.p_from_mw), incidence.columns(flow.p_to_mw)
        if radial is not None:
            sweep_radial(
                flow.p_source_mw,
                t_per_mwh,
                self._source_place,
                p_from,
                p_to,
                radial.bus,
                radial.parent,
                radial.branch,
                radial.child_is_from,
                radial.roots,
                result,
            )
            return result
        snapshot, bus = sweep_ordered(
            flow.p_source_mw,
            t_per_mwh,
            self.network.source_bus,
            p_from,
            p_to,
            incidence.from_bus,
            incidence.to_bus,
            incidence.start,
            incidence.incident,
            result,
        )
        if snapshot >= 0:
            raise self._closed_ring(snapshot, bus)
        return result

    def shares(self, flow: SolvedFlow, snapshot: int = 0) -> Iterator[SourceShares]:
        """How much of the power through each bus is from which source, in blocks of sources.

        The column of a source over the power through the buses gives its shares; `load` at a bus
        takes each source by that share.

        Raises:
            InputError, TracingError: as `trace`.
        """
        self._same_network(flow)
        check_flow(flow)
        incidence = self._incidence
        p_from = incidence.columns(flow.p_from_mw[snapshot : snapshot + 1])[0]
        p_to = incidence.columns(flow.p_to_mw[snapshot : snapshot + 1])[0]
        p_source, source_bus = flow.p_source_mw[snapshot], self.network.source_bus
        ends = incidence.from_bus, incidence.to_bus
        by_bus = incidence.start, incidence.incident
        order, blocks = order_of(p_from, p_to, *ends, *by_bus)
        made = distribution(p_source, source_bus, p_from, p_to, *ends, *by_bus, order, blocks)
        through, out_start, out_bus, out_mw, factors, pivots, closed = made
        if closed >= 0:
            raise self._closed_ring(snapshot, closed)
        for first in range(0, len(p_source), SOURCES_AT_ONCE):
            sources = np.arange(first, min(first + SOURCES_AT_ONCE, len(p_source)))
            start, bus, p_mw = columns(
                sources,
                p_source,
                source_bus,
                order,
                blocks,
                through,
                out_start,
                out_bus,
                out_mw,
                factors,
                pivots,
            )
            yield SourceShares(sources, start, bus, p_mw)

    def _same_network(self, flow: SolvedFlow) -> None:
        ours, theirs = self.network, flow.network
        if ours is not theirs and (
            ours.bus_ids != theirs.bus_ids
            or ours.source_ids != theirs.source_ids
            or not np.array_equal(ours.from_bus, theirs.from_bus)
            or not np.array_equal(ours.to_bus, theirs.to_bus)
            or not np.array_equal(ours.source_bus, theirs.source_bus)
        ):
            message = "is of another network than the tracer; make a Tracer for it"
            raise InputError([Problem("flow", message)])

    def _closed_ring(self, snapshot: int, bus: int) -> TracingError:
        return TracingError(
            f"snapshot {snapshot}: power goes in a ring through bus {self.network.bus_ids[bus]} "
            "that no source feeds, so it has no origin; correct the flows of its branches"
        )


def dense_shares(shares: Iterable[SourceShares], sources: int, buses: int) -> FloatArray:
    """Power of each source through each bus as a full table, for small networks.

    Returns:
        shape (B, G), MW: the matrix X of [SUN23].
    """
    table = np.zeros((buses, sources))
    for part in shares:
        invariant(len(part.start) == len(part.sources) + 1, "one start per column, and the end")
        column: IntArray = np.repeat(part.sources, np.diff(part.start))
        table[part.bus, column] = part.p_mw
    return table
