"""Whatever can be traced, by its name: solved flows, or a network with its loads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import MeterPolicy
from gridpact.carbon.series import start_text
from gridpact.errors import InputError, Problem
from gridpact.inputs.flow_series import FlowSeries, Intensities, completed
from gridpact.inputs.injections import InjectedPart, Injections, read_injections
from gridpact.inputs.solved_flow import read_with_stores
from gridpact.inputs.solved_flow_grid import W_PER_MW, flow_to_trace, nominal_generation
from gridpact.inputs.solved_flow_lines import SUFFIX, open_solved_flow_lines
from gridpact.model.carbon import FlowToTrace

if TYPE_CHECKING:
    from gridpact.grid import GridModel
    from gridpact.model.carbon import SolvedFlow
    from gridpact.model.grid import PowerFlow

PANDAPOWER_MARK = b'"_module": "pandapower'
MARK_WITHIN = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """How snapshots are to be read."""

    policy: MeterPolicy = MeterPolicy.GROSS
    """Of load and generation at one bus of a network; a solved-flow file has its own."""
    injections: Path | None = None
    """Load over time of the buses of a network; when left out, the loads that it states."""
    at_s: int | None = None
    """When a single snapshot starts, in seconds since 1970 UTC."""
    hours: float | None = None
    """How long a single snapshot is; an hour when left out."""

    def __post_init__(self) -> None:
        """Refuse a length that cannot be.

        Raises:
            InputError: it is not above 0.
        """
        if self.hours is not None and not 0.0 < self.hours < math.inf:
            message = f"{self.hours:g} is not allowed; allowed: above 0; a quarter is 0.25"
            raise InputError([Problem("--hours", message)])


def load_flow_series(reference: str, asked: Asked, intensities: Intensities) -> FlowSeries:
    """Snapshots with what their sources emit.

    Args:
        reference: a solved-flow file of one snapshot, or of many (`.jsonl`); a network as `grid`
            names it, such as `csv:FOLDER`; a folder of its tables, or a file of pandapower.
        asked: how they are to be read.
        intensities: of sources; a source of a network has no others.

    Raises:
        InputError: what is wrong with the files and with what is asked; sources without a factor,
            factors without a source. Of later parts it comes when they are read.
        SolveError: the power flow of the loads that a network states has no solution; one of
            `injections` without a solution is an InputError with its start.
    """
    path = Path(reference)
    if path.suffix == SUFFIX and not path.is_dir():
        _refuse_for_many(asked, f"{path.name} has its own")
        _refuse_injections(asked, reference)
        lines = open_solved_flow_lines(path)
        elements = lines.elements
        parts = completed(lines.parts(), elements.stores, intensities)
        hours = lines.slot_s / 3600
        return FlowSeries(elements.network, elements.stores, hours, True, parts)
    network = _network_reference(reference, path)
    if network is not None and asked.injections is not None:
        return _injected(network, asked.injections, asked, intensities)
    _refuse_injections(asked, reference)
    if network is None:
        found, stores = read_with_stores(path)
    else:
        flow, stores = _solved_network(network, asked.policy), ()
        unknown = np.full(flow.p_source_mw.shape, np.nan)
        found = FlowToTrace(flow, unknown, unknown)
    start = None if asked.at_s is None else np.array([asked.at_s], dtype=np.int64)
    found = FlowToTrace(found.flow, found.low_t_per_mwh, found.high_t_per_mwh, start)
    hours = 1.0 if asked.hours is None else asked.hours
    parts = completed(iter([found]), stores, intensities)
    return FlowSeries(found.flow.network, stores, hours, False, parts)


def _refuse_for_many(asked: Asked, whose: str) -> None:
    """Options that mean something for a single snapshot only."""
    problems = [
        Problem(f"--{name}", f"has no meaning here: {whose}; leave it out")
        for name, value in (("at", asked.at_s), ("hours", asked.hours))
        if value is not None
    ]
    if problems:
        raise InputError(problems)


def _refuse_injections(asked: Asked, reference: str) -> None:
    if asked.injections is not None:
        message = f"is for networks, and {reference} is a solved flow; leave it out"
        raise InputError([Problem("--injections", message)])


def _network_reference(reference: str, path: Path) -> str | None:
    """How `grid` names what this leads to; None for a solved-flow file."""
    form, colon, rest = reference.partition(":")
    if colon and rest and form in {"csv", "pandapower", "pgm", "simbench"}:
        return reference
    if path.is_dir():
        return f"csv:{reference}"
    try:
        with path.open("rb") as file:
            start = file.read(MARK_WITHIN)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}; check the path"
        raise InputError([Problem(reference, message)]) from error
    return f"pandapower:{reference}" if PANDAPOWER_MARK in start else None


def _solved_network(reference: str, policy: MeterPolicy) -> SolvedFlow:
    from gridpact.grid import GridModel, load_network, nominal_load, require_converged

    network = load_network(reference, Path())
    model = GridModel(network)
    flow = model.flow(*nominal_load(network))
    require_converged(model, flow)
    return flow_to_trace(network, flow, nominal_generation(network), policy)


def _injected(reference: str, path: Path, asked: Asked, intensities: Intensities) -> FlowSeries:
    from gridpact.grid import GridModel, load_network

    network = load_network(reference, Path())
    injections = read_injections(path, [bus.bus_id for bus in network.buses])
    if injections.step_s is not None:
        _refuse_for_many(asked, f"{path.name} has the starts of all snapshots")
        hours = injections.step_s / 3600
    else:
        hours = 1.0 if asked.hours is None else asked.hours
    flows = _solved_parts(GridModel(network), injections, asked.policy)
    first = next(flows)
    parts = completed(_with_first(first, flows), (), intensities)
    return FlowSeries(first.flow.network, (), hours, True, parts)


def _with_first(first: FlowToTrace, rest: Iterator[FlowToTrace]) -> Iterator[FlowToTrace]:
    yield first
    yield from rest


def _solved_parts(
    model: GridModel, injections: Injections, policy: MeterPolicy
) -> Iterator[FlowToTrace]:
    for part in injections.parts():
        load_w = W_PER_MW * (part.load_mw - part.generated_mw)
        flow = model.flow(load_w, W_PER_MW * part.load_mvar)
        _require_converged(model, flow, injections, part)
        generated_w = W_PER_MW * part.generated_mw
        solved = flow_to_trace(model.network, flow, generated_w, policy, injections.generates)
        unknown = np.full(solved.p_source_mw.shape, np.nan)
        yield FlowToTrace(solved, unknown, unknown, part.start_s)


def _require_converged(
    model: GridModel, flow: PowerFlow, injections: Injections, part: InjectedPart
) -> None:
    from gridpact.grid import SolveError, explain_collapse

    failed = np.flatnonzero(~flow.converged)
    if not len(failed):
        return
    found: SolveError = explain_collapse(model, flow, int(failed[0]))
    reason = str(found).partition(": ")[2]
    when = start_text(int(part.start_s[failed[0]]))
    raise InputError([Problem(f"{injections.path.name}: snapshot {when}", reason)])
