"""Whatever can be traced, by its name: a solved flow, or a network with the loads it states."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import FACTORS, MeterPolicy
from gridpact.errors import InputError, Problem
from gridpact.inputs.solved_flow import T_PER_MWH_MAX, read_solved_flow
from gridpact.inputs.solved_flow_grid import flow_to_trace, nominal_generation
from gridpact.inputs.tables import closest, shown
from gridpact.model.carbon import FlowToTrace, SourceKind

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, SolvedFlow

WORDS = {"import": SourceKind.IMPORT, "generation": SourceKind.GENERATION}
"""Names that stand for all sources of a kind."""
PANDAPOWER_MARK = b'"_module": "pandapower'
MARK_WITHIN = 4096


def load_flow_to_trace(
    reference: str, factors: Mapping[str, tuple[float, float]], policy: MeterPolicy
) -> FlowToTrace:
    """A flow with what its sources emit.

    Args:
        reference: a solved-flow file; a network as `grid` names it, such as `csv:FOLDER`; a folder
            of its tables, or a file of pandapower. A network is solved with the loads it states.
        factors: lowest and highest t/MWh by source id, or by `import` and `generation`. They go
            before what a solved-flow file says; sources of a network have no others.
        policy: of load and generation at one bus of a network; a solved-flow file has its own.

    Raises:
        InputError: what is wrong with the file, a power flow that does not converge, sources
            without a factor, factors without a source.
    """
    path = Path(reference)
    network = _network_reference(reference, path)
    if network is None:
        found = read_solved_flow(path)
    else:
        flow = _solved_network(network, policy)
        unknown = np.full(flow.p_source_mw.shape, np.nan)
        found = FlowToTrace(flow, unknown, unknown)
    low, high = _with_factors(found, factors)
    return FlowToTrace(found.flow, low, high)


def parse_factor(text: str) -> tuple[str, tuple[float, float]]:
    """`ID=VALUE`, where VALUE is t/MWh, LOW..HIGH or a technology, as a name and an interval.

    Raises:
        InputError: another shape, an unknown technology, a number out of range.

    >>> parse_factor("import=0.3..0.45")
    ('import', (0.3, 0.45))
    """
    name, sign, value = text.rpartition("=")
    where = f"--factor {text}"
    if not sign or not name:
        raise InputError([Problem(where, "allowed: ID=VALUE, as in import=0.4")])
    if value in FACTORS:
        direct = FACTORS[value].direct_t_per_mwh
        return name, (direct, direct)
    try:
        numbers = [float(part) for part in value.split("..")]
    except ValueError:
        message = f"{shown(value)} is no number and no technology{closest(value, FACTORS)}"
        raise InputError([Problem(where, f"{message}; allowed: {', '.join(FACTORS)}")]) from None
    low, high = numbers[0], numbers[-1]
    if len(numbers) > 2 or not 0.0 <= low <= high <= T_PER_MWH_MAX:
        message = f"{shown(value)} is not allowed; allowed: VALUE or LOW..HIGH from 0 to"
        raise InputError([Problem(where, f"{message} {T_PER_MWH_MAX:g} t/MWh")])
    return name, (low, high)


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


def _with_factors(
    found: FlowToTrace, factors: Mapping[str, tuple[float, float]]
) -> tuple[FloatArray, FloatArray]:
    """Both intensities of each source, from its own factor, that of its kind, or the file."""
    network = found.flow.network
    low, high = found.low_t_per_mwh.copy(), found.high_t_per_mwh.copy()
    used = set()
    for place, (name, kind) in enumerate(
        zip(network.source_ids, network.source_kind.tolist(), strict=True)
    ):
        words = [name, *(word for word, meant in WORDS.items() if meant == kind)]
        chosen = next((word for word in words if word in factors), None)
        if chosen is not None:
            used.add(chosen)
            low[:, place], high[:, place] = factors[chosen]
    known = [*WORDS, *network.source_ids]
    problems = [
        Problem(f"--factor {name}", f"names no source here{closest(name, known)}; leave it out")
        for name in factors
        if name not in used and name not in WORDS
    ]
    bare = np.isnan(low).any(axis=0) & (found.flow.p_source_mw > 0.0).any(axis=0)
    for place in np.flatnonzero(bare).tolist():
        kind = "import" if network.source_kind[place] == SourceKind.IMPORT else "generation"
        message = f"has no intensity; give it, as in --factor {kind}=0.4, in t/MWh"
        problems.append(Problem(f"source {network.source_ids[place]}", message))
    if problems:
        raise InputError(problems)
    return low, high
