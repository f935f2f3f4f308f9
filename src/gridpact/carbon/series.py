"""Many snapshots of one network, part by part: memory is that of one part.

Intensities may be intervals; then everything is traced with the lower ones and with the upper
ones. Stores carry what they hold from part to part, twice over where intensities are intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.checks import BALANCE_FLOOR_MW, BALANCE_RELATIVE, TracingError
from gridpact.carbon.snapshots import named, start_text
from gridpact.carbon.storage import EMPTY_MWH, Store, trace_with_stores
from gridpact.carbon.tracing import Tracer
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray, FlowNetwork, FlowToTrace, IntArray, Trace

    BoolArray = NDArray[np.bool_]

__all__ = [
    "StoreStates",
    "TracedPart",
    "gains_power",
    "start_text",
    "trace_series",
]


@dataclass(frozen=True, slots=True)
class StoreStates:
    """What S stores hold after each of T snapshots, and what they give it at."""

    store_ids: tuple[str, ...]
    energy_mwh: FloatArray
    """Shape (T, S)."""
    low_carbon_t: FloatArray
    """Shape (T, S)."""
    high_carbon_t: FloatArray
    """Shape (T, S)."""
    low_t_per_mwh: FloatArray
    """Shape (T, S), of what a store would give next; NaN when it is empty."""
    high_t_per_mwh: FloatArray
    """Shape (T, S)."""


@dataclass(frozen=True, slots=True)
class TracedPart:
    """Some snapshots of a series."""

    first: int
    """Number of the first of them in the series."""
    start_s: IntArray | None
    """Shape (T,), in seconds since 1970 UTC; None when not known."""
    low: Trace
    high: Trace
    """The same as `low` unless a source is known by an interval alone."""
    stores: StoreStates | None
    """None without stores."""


def trace_series(
    network: FlowNetwork,
    parts: Iterable[FlowToTrace],
    stores: Sequence[Store] = (),
    hours: float = 1.0,
) -> Iterator[TracedPart]:
    """Trace a stream of flows of one network.

    Args:
        network: what all parts have in common.
        parts: in the order of time.
        stores: as they are before the first snapshot; each is a source and a load of the network.
        hours: length of a snapshot, > 0; only stores need it.

    Raises:
        InputError, TracingError: as `trace` and `trace_with_stores`, with the number of the
            snapshot in the series and its start.
    """
    tracer = Tracer(network)
    low_stores = high_stores = tuple(stores)
    first = 0
    for part in parts:
        exact = bool((_same(part.low_t_per_mwh, part.high_t_per_mwh)).all())
        exact &= low_stores == high_stores
        if (part.low_t_per_mwh > part.high_t_per_mwh).any():
            message = "is above the upper bound somewhere; exchange them"
            raise InputError([Problem("low_t_per_mwh", message)])
        try:
            if stores:
                low = trace_with_stores(tracer, part.flow, part.low_t_per_mwh, low_stores, hours)
                high = low
                if not exact:
                    high = trace_with_stores(
                        tracer, part.flow, part.high_t_per_mwh, high_stores, hours
                    )
                states = _states(low_stores, low.energy_mwh, low.carbon_t, high.carbon_t)
                low_stores, high_stores = low.stores, high.stores
                traces = low.trace, high.trace
            else:
                states = None
                lower = tracer.trace(part.flow, part.low_t_per_mwh)
                upper = lower if exact else tracer.trace(part.flow, part.high_t_per_mwh)
                traces = lower, upper
        except (InputError, TracingError) as error:
            raise named(error, first, part.start_s) from error
        yield TracedPart(first, part.start_s, *traces, states)
        first += len(part.flow.p_source_mw)


def gains_power(trace: Trace) -> BoolArray:
    """Branches that give more than they take, shape (T, L): their loss is negative.

    Equivalent circuits have such branches. Their loss keeps its sign and its carbon, so that
    everything still adds up; what is within the tolerance of a bus's balance is rounding.
    """
    flow = trace.flow
    allowed = BALANCE_FLOOR_MW + BALANCE_RELATIVE * np.abs(flow.p_from_mw)
    gains: BoolArray = flow.p_from_mw + flow.p_to_mw < -allowed
    return gains


def _same(one: FloatArray, other: FloatArray) -> BoolArray:
    """Where two are equal, or both no number."""
    same: BoolArray = (one == other) | (np.isnan(one) & np.isnan(other))
    return same


def _states(
    stores: Sequence[Store],
    energy_mwh: FloatArray,
    low_carbon_t: FloatArray,
    high_carbon_t: FloatArray,
) -> StoreStates:
    efficiency = np.array([store.discharge_efficiency for store in stores])
    usable = np.where(energy_mwh > EMPTY_MWH, efficiency * energy_mwh, np.nan)
    ids = tuple(store.store_id for store in stores)
    held = low_carbon_t, high_carbon_t
    return StoreStates(ids, energy_mwh, *held, low_carbon_t / usable, high_carbon_t / usable)
