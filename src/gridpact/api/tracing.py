"""`gridpact.trace`: solved flows in, carbon of buses, loads, sources and branches out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gridpact.carbon import MeterPolicy, Store
from gridpact.carbon.series import StoreStates, TracedPart, gains_power, trace_series
from gridpact.errors import InputError, Problem
from gridpact.inputs.flow_series import (
    FlowSeries,
    Intensities,
    checked_interval,
    completed,
    technology_factor,
)
from gridpact.inputs.instants import INSTANT_RULE, instant_s
from gridpact.inputs.solved_flow_imports import read_import_intensity
from gridpact.inputs.solved_flow_reference import Asked, load_flow_series
from gridpact.model.carbon import FlowToTrace, SolvedFlow, Trace
from gridpact.reports.carbon_tables import frames_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray, IntArray

Factor: TypeAlias = "float | tuple[float, float] | str"
"""t/MWh, the lowest and the highest, or a technology."""
METERS = {"gross": MeterPolicy.GROSS, "net": MeterPolicy.NET}


class CarbonTrace:
    """Traced snapshots.

    Arrays are in `low` and `high`, which are the same unless a source is known by an interval
    alone. Tables are polars data frames with a row for each snapshot and element.
    """

    def __init__(self, part: TracedPart, hours: float) -> None:
        """Take all snapshots as one part."""
        self._part = part
        self.hours = hours
        """Length of each snapshot."""

    def __repr__(self) -> str:
        network = self.low.flow.network
        return (
            f"<CarbonTrace, {len(self.low.flow.p_source_mw)} snapshots, "
            f"{len(network.bus_ids)} buses, {len(network.source_ids)} sources>"
        )

    @property
    def low(self) -> Trace:
        """Everything with the lowest intensities: arrays of T snapshots."""
        return self._part.low

    @property
    def high(self) -> Trace:
        """Everything with the highest intensities."""
        return self._part.high

    @property
    def start_s(self) -> IntArray | None:
        """Shape (T,), in seconds since 1970 UTC; None when starts are not known."""
        return self._part.start_s

    @property
    def store_states(self) -> StoreStates | None:
        """What stores hold after each snapshot, as arrays; None without stores."""
        return self._part.stores

    @cached_property
    def gains_power(self) -> NDArray[np.bool_]:
        """Shape (T, L): branches that give more than they take, as those of equivalent circuits.

        Their loss is negative and kept, so that everything adds up.
        """
        return gains_power(self.low)

    @cached_property
    def snapshots(self) -> pl.DataFrame:
        """One row per snapshot: power and carbon by where they come from and go, residual."""
        return self._frames["snapshots"]

    @cached_property
    def buses(self) -> pl.DataFrame:
        """Intensity of each bus; null where nothing flows."""
        return self._frames["buses"]

    @cached_property
    def sources(self) -> pl.DataFrame:
        """Power and carbon of each source."""
        return self._frames["sources"]

    @cached_property
    def loads(self) -> pl.DataFrame:
        """Power and carbon of each load, also exports, charging and shunts."""
        return self._frames["loads"]

    @cached_property
    def branches(self) -> pl.DataFrame:
        """Power, loss and carbon of each branch, and whether it gains power."""
        return self._frames["branches"]

    @cached_property
    def stores(self) -> pl.DataFrame:
        """What each store holds after each snapshot, and at which intensity it gives it."""
        return self._frames["stores"]

    @cached_property
    def _frames(self) -> dict[str, pl.DataFrame]:
        return frames_of(self._part)

    def report(self, folder: str | Path) -> Path:
        """Write the page of the trace, one file that needs no network, and return its path.

        Raises:
            StoreError: the disk refused.
        """
        from gridpact.reports.carbon_page import CarbonRecord, write_carbon_page

        record = CarbonRecord(self.low.flow.network, self.hours)
        record.add(self._part)
        return write_carbon_page(Path(folder), record)


def trace(
    flow: str | Path | SolvedFlow,
    t_per_mwh: FloatArray | Sequence[float] | Mapping[str, Factor] | None = None,
    *,
    imports: str | Path | None = None,
    injections: str | Path | None = None,
    at: str | datetime | None = None,
    hours: float | None = None,
    meters: Literal["gross", "net"] = "gross",
    stores: Sequence[Store] = (),
) -> CarbonTrace:
    """Carbon of every bus, load, source and branch, traced through solved power flows.

    Args:
        flow: a file of solved flows, a network as `gridpact trace` names it, or T snapshots in
            memory.
        t_per_mwh: what sources emit. By source id, or for all by `import` and `generation`: t/MWh,
            a pair of the lowest and the highest, or a technology such as `pv-rooftop`. For
            snapshots in memory also an array of shape (G,) or (T, G).
        imports: CSV with the intensity of imports over time: `start`, `mg_per_kwh`.
        injections: CSV with load and generation over time, for a network: `start`, `bus`,
            `load_mw`, and if wanted `load_mvar`, `generated_mw`.
        at: start of the snapshot, or of the first one in memory; with its time zone.
        hours: length of a snapshot, an hour when left out; files of many have their own.
        meters: load and generation of a bus as two flows, or as their difference.
        stores: of snapshots in memory, as they are at the start; files have theirs in them.
    Returns:
        arrays and tables of all snapshots; `gridpact trace --out` keeps only some in memory.
    Raises:
        InputError: everything that is wrong with files, flows and arguments.
        TracingError: power goes in a ring that no source feeds.
        SolveError: the power flow of a network has no solution.

    >>> import gridpact
    >>> found = gridpact.trace("flow.json", {"import": 0.4})  # doctest: +SKIP
    >>> found.loads.select("load", "p_mw", "t_per_h")  # doctest: +SKIP

    Source: [SUN23], section 3.1; `gridpact.carbon` says what is ours.
    """
    try:
        series = _series(flow, t_per_mwh, imports, injections, at, hours, meters, tuple(stores))
        parts = list(trace_series(series.network, series.parts, series.stores, series.hours))
    except InputError as error:
        # What the terminal calls an option is an argument here.
        raise InputError(
            [Problem(each.where.removeprefix("--"), each.message) for each in error.problems]
        ) from error
    return CarbonTrace(joined(parts), series.hours)


def _series(
    flow: str | Path | SolvedFlow,
    t_per_mwh: FloatArray | Sequence[float] | Mapping[str, Factor] | None,
    imports: str | Path | None,
    injections: str | Path | None,
    at: str | datetime | None,
    hours: float | None,
    meters: str,
    stores: tuple[Store, ...],
) -> FlowSeries:
    if meters not in METERS:
        raise InputError([Problem("meters", f"{meters!r} is not one of: {', '.join(METERS)}")])
    asked = Asked(
        policy=METERS[meters],
        injections=None if injections is None else Path(injections),
        at_s=_instant(at),
        hours=hours,
    )
    over_time = None if imports is None else read_import_intensity(Path(imports))
    named = t_per_mwh if isinstance(t_per_mwh, Mapping) else {}
    intensities = Intensities({key: _factor(key, value) for key, value in named.items()}, over_time)
    if not isinstance(flow, SolvedFlow):
        _refuse_for_files(t_per_mwh, stores)
        return load_flow_series(str(flow), asked, intensities)
    if injections is not None:
        raise InputError([Problem("injections", "is for networks; leave it out")])
    array = None if isinstance(t_per_mwh, Mapping) else t_per_mwh
    return _in_memory(flow, array, asked, intensities, stores)


def _refuse_for_files(t_per_mwh: object, stores: tuple[Store, ...]) -> None:
    """Refuse what is for flows in memory only."""
    problems = []
    if t_per_mwh is not None and not isinstance(t_per_mwh, Mapping):
        message = "an array is for flows in memory; name sources, as in {'import': 0.4}"
        problems.append(Problem("t_per_mwh", message))
    if stores:
        message = "are for flows in memory; a file of solved flows has them in its sources"
        problems.append(Problem("stores", message))
    if problems:
        raise InputError(problems)


def _factor(name: str, value: Any) -> tuple[float, float]:
    where = f"t_per_mwh[{name!r}]"
    if isinstance(value, str):
        return technology_factor(value, where)
    low, high = value if isinstance(value, tuple) else (value, value)
    return checked_interval(float(low), float(high), where)


def _instant(at: str | datetime | None) -> int | None:
    if at is None:
        return None
    found = instant_s(at if isinstance(at, str) else at.isoformat())
    if found is None:
        raise InputError([Problem("at", f"{str(at)!r} is no time with a zone; {INSTANT_RULE}")])
    return found


def _in_memory(
    flow: SolvedFlow,
    t_per_mwh: FloatArray | Sequence[float] | None,
    asked: Asked,
    intensities: Intensities,
    stores: tuple[Store, ...],
) -> FlowSeries:
    shape = flow.p_source_mw.shape
    given = np.full(shape, np.nan)
    if t_per_mwh is not None:
        values = np.asarray(t_per_mwh, dtype=np.float64)
        if values.shape not in {shape, shape[1:]}:
            message = f"has shape {values.shape}; allowed: {shape[1:]} or {shape}; correct it"
            raise InputError([Problem("t_per_mwh", message)])
        given = np.array(np.broadcast_to(values, shape))
    hours = 1.0 if asked.hours is None else asked.hours
    start = None
    if asked.at_s is not None:
        start = asked.at_s + np.round(3600 * hours * np.arange(shape[0])).astype(np.int64)
    part = FlowToTrace(flow, given, given, start)
    parts = completed(iter([part]), stores, intensities)
    return FlowSeries(flow.network, stores, hours, shape[0] != 1, parts)


def joined(parts: Sequence[TracedPart]) -> TracedPart:
    """Parts of one series as one part."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    low = _joined_traces([part.low for part in parts])
    exact = all(part.low is part.high for part in parts)
    high = low if exact else _joined_traces([part.high for part in parts])
    starts = [part.start_s for part in parts if part.start_s is not None]
    states = [part.stores for part in parts if part.stores is not None]
    return TracedPart(
        first.first,
        np.concatenate(starts) if starts else None,
        low,
        high,
        _joined_states(states) if states else None,
    )


def _joined_traces(traces: Sequence[Trace]) -> Trace:
    flow = SolvedFlow(
        traces[0].flow.network,
        np.concatenate([each.flow.p_source_mw for each in traces]),
        np.concatenate([each.flow.p_load_mw for each in traces]),
        np.concatenate([each.flow.p_from_mw for each in traces]),
        np.concatenate([each.flow.p_to_mw for each in traces]),
    )
    return Trace(
        flow,
        np.concatenate([each.source_t_per_mwh for each in traces]),
        np.concatenate([each.bus_t_per_mwh for each in traces]),
        np.concatenate([each.branch_t_per_mwh for each in traces]),
    )


def _joined_states(states: Sequence[StoreStates]) -> StoreStates:
    return StoreStates(
        states[0].store_ids,
        np.concatenate([each.energy_mwh for each in states]),
        np.concatenate([each.low_carbon_t for each in states]),
        np.concatenate([each.high_carbon_t for each in states]),
        np.concatenate([each.low_t_per_mwh for each in states]),
        np.concatenate([each.high_t_per_mwh for each in states]),
    )
