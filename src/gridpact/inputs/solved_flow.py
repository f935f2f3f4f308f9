"""A solved flow of one snapshot in one JSON file. `docs/carbon.md` describes the keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import check_flow
from gridpact.errors import InputError, Problem
from gridpact.inputs.solved_flow_elements import (
    GIVES,
    POLICIES,
    POWER_MAX_MW,
    T_PER_MWH_MAX,
    TAKEN_AS,
    Elements,
    Powers,
    SourceRow,
    flow_of,
    known_bus,
    network_of,
    new_id,
    number,
    source_row,
)
from gridpact.inputs.tables import Findings, TableReader, shown
from gridpact.model.carbon import FlowToTrace

if TYPE_CHECKING:
    from pathlib import Path

    from gridpact.carbon import Store

FORMAT = "gridpact-solved-flow-1"


def read_solved_flow(path: Path) -> FlowToTrace:
    """Read a solved-flow file; stores with a state of their own come from `read_with_stores`.

    Raises:
        InputError: everything that is wrong with the file, by key; then a bus that does not
            balance, with what is missing.
    """
    return read_with_stores(path)[0]


def read_with_stores(path: Path) -> tuple[FlowToTrace, tuple[Store, ...]]:
    """Read a solved-flow file, with the stores whose carbon is followed.

    Raises:
        InputError: as `read_solved_flow`.
    """
    values = _json(path)
    findings = Findings(path.name)
    reader = TableReader(values, findings)
    given = reader.text("format", f'"{FORMAT}"')
    if given and given != FORMAT:
        reader.problem("format", f"{shown(given)} is not allowed; allowed: {FORMAT!r}")
    if not reader.boolean("converged", default=True):
        reader.problem("converged", "is false: there is no flow to trace; solve it first")
    policy = reader.choice("meter_policy", POLICIES, default="gross")
    loads = _buses(reader)
    sources = _sources(reader, loads)
    branches = _branches(reader, loads)
    reader.finish()
    if findings.problems:
        raise InputError(findings.problems)
    rows = tuple(source for source, _ in sources)
    ends = tuple(branch[:3] for branch in branches)
    buses = tuple(loads)
    elements = Elements(buses, rows, ends, policy, network_of(buses, rows, ends))
    powers = Powers(
        np.array([[*loads.values()]]),
        np.array([[p_mw for _, p_mw in sources]]),
        np.array([[branch[3] for branch in branches]]),
        np.array([[branch[4] for branch in branches]]),
    )
    found = flow_of(elements, powers)
    try:
        check_flow(found.flow)
    except InputError as error:
        problems = [
            Problem(f"{path.name}: {problem.where.partition(': ')[2]}", problem.message)
            for problem in error.problems
        ]
        raise InputError(problems) from error
    return found, elements.stores


def _json(path: Path) -> dict[str, object]:
    try:
        values = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}; check the path"
        raise InputError([Problem(str(path), message)]) from error
    except (ValueError, RecursionError) as error:
        message = f"is not JSON: {error}; save it as UTF-8 JSON"
        raise InputError([Problem(path.name, message)]) from error
    if not isinstance(values, dict):
        message = f"{shown(values)} is not an object; see docs/carbon.md"
        raise InputError([Problem(path.name, message)])
    return values


def _buses(reader: TableReader) -> dict[str, float]:
    """Load in MW by bus."""
    loads: dict[str, float] = {}
    known: set[str] = set()
    rows = reader.tables("buses")
    for row in rows:
        loads[new_id(row, known)] = number(row, "load_mw", 0.0, POWER_MAX_MW, 0.0)
        row.finish()
    if not rows and not reader.faulty("buses"):
        reader.problem("buses", "has no bus; add one object per bus")
    return loads


def _sources(reader: TableReader, loads: dict[str, float]) -> list[tuple[SourceRow, float]]:
    """Each source with its power in MW."""
    sources = []
    known: set[str] = set()
    for row in reader.tables("sources"):
        source = source_row(row, known, loads)
        p_mw = number(row, "p_mw", -POWER_MAX_MW, POWER_MAX_MW)
        if p_mw < 0 and source.kind not in TAKEN_AS:
            message = f"{p_mw:g} is not allowed; allowed: >= 0, as only an import or a store takes"
            row.problem("p_mw", f"{message} power; make it a load, or name its kind")
        if source.store is None and p_mw > 0.0 and not any(row.has(key) for key in GIVES):
            message = f"0 of {', '.join(GIVES)} are given; allowed: exactly one"
            row.problem("t_per_mwh", message)
        if source.curve is not None and p_mw > 0.0:
            _check_curve(row, source, p_mw)
        row.finish()
        sources.append((source, p_mw))
    return sources


def _check_curve(row: TableReader, source: SourceRow, p_mw: float) -> None:
    value = float("nan") if source.curve is None else float(source.curve.t_per_mwh(np.array(p_mw)))
    if not 0.0 <= value <= T_PER_MWH_MAX:
        message = f"comes to {value:g} t/MWh at {p_mw:g} MW; allowed: 0 to {T_PER_MWH_MAX:g}"
        row.problem("curve", f"{message}; correct its units: a in t/MWh per MW, b t/MWh, c t/h")


def _branches(
    reader: TableReader, loads: dict[str, float]
) -> list[tuple[str, str, str, float, float]]:
    branches = []
    known: set[str] = set()
    for row in reader.tables("branches"):
        ends = known_bus(row, "from_bus", loads), known_bus(row, "to_bus", loads)
        power = [number(row, key, -POWER_MAX_MW, POWER_MAX_MW) for key in ("p_from_mw", "p_to_mw")]
        branches.append((new_id(row, known), *ends, power[0], power[1]))
        row.finish()
    return branches
