"""A solved flow in one JSON file: buses, sources, branches. `docs/carbon.md` describes the keys."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import FACTORS, CoalCurve, MeterPolicy, check_flow, metered
from gridpact.errors import InputError, Problem
from gridpact.inputs.tables import Findings, TableReader, closest, shown
from gridpact.model.carbon import FlowNetwork, LoadKind, SolvedFlow, SourceKind

if TYPE_CHECKING:
    from pathlib import Path

    from gridpact.model.carbon import FloatArray

FORMAT = "gridpact-solved-flow-1"
POWER_MAX_MW = 1e6
"""A terawatt: more is a wrong unit."""
T_PER_MWH_MAX = 3.0
KINDS = {
    "generation": SourceKind.GENERATION,
    "import": SourceKind.IMPORT,
    "store": SourceKind.STORE,
}
TAKEN_AS = {SourceKind.IMPORT: LoadKind.EXPORT, SourceKind.STORE: LoadKind.CHARGING}
"""What a source of negative power is: back to the grid beyond, or into the store."""
POLICIES = {"gross": MeterPolicy.GROSS, "net": MeterPolicy.NET}


@dataclass(frozen=True, slots=True)
class FlowToTrace:
    """One or more snapshots with what their sources emit."""

    flow: SolvedFlow
    low_t_per_mwh: FloatArray
    """Shape (T, G); NaN only for what is off."""
    high_t_per_mwh: FloatArray
    """Shape (T, G); above the lower one where a source is known by an interval alone."""


@dataclass(slots=True)
class _Source:
    source_id: str
    bus: str
    kind: SourceKind
    p_mw: float
    low: float
    high: float
    behind_meter: bool


def read_solved_flow(path: Path) -> FlowToTrace:
    """Read a solved-flow file.

    Raises:
        InputError: everything that is wrong with the file, by key; then a bus that does not
            balance, with what is missing.
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
    _apply_policy(loads, sources, policy)
    found = _flow(loads, sources, branches)
    try:
        check_flow(found.flow)
    except InputError as error:
        problems = [
            Problem(f"{path.name}: {problem.where.partition(': ')[2]}", problem.message)
            for problem in error.problems
        ]
        raise InputError(problems) from error
    return found


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


def _number(
    reader: TableReader, key: str, low: float, high: float, default: float = math.nan
) -> float:
    """A number in a range; required when the default is no number."""
    if not reader.has(key) and math.isnan(default):
        message = f"is missing; allowed: a number from {low:g} to {high:g}; add it"
        reader.problem(key, message)
        return 0.0
    return reader.real(key, low, high, default=0.0 if math.isnan(default) else default)


def _new_id(reader: TableReader, known: set[str]) -> str:
    name = reader.text("id", "text that names it")
    if name in known:
        reader.problem("id", f"{shown(name)} is there twice; give each its own")
    known.add(name)
    return name


def _known_bus(reader: TableReader, key: str, loads: dict[str, float]) -> str:
    bus = reader.text(key, "the id of a bus")
    if bus and bus not in loads:
        reader.problem(key, f"{shown(bus)} is not a bus{closest(bus, loads)}; allowed: a bus's id")
    return bus


def _buses(reader: TableReader) -> dict[str, float]:
    """Load in MW by bus."""
    loads: dict[str, float] = {}
    known: set[str] = set()
    rows = reader.tables("buses")
    for row in rows:
        loads[_new_id(row, known)] = _number(row, "load_mw", 0.0, POWER_MAX_MW, 0.0)
        row.finish()
    if not rows and not reader.faulty("buses"):
        reader.problem("buses", "has no bus; add one object per bus")
    return loads


def _sources(reader: TableReader, loads: dict[str, float]) -> list[_Source]:
    sources = []
    known: set[str] = set()
    for row in reader.tables("sources"):
        name, bus = _new_id(row, known), _known_bus(row, "bus", loads)
        kind = row.choice("kind", KINDS, default="generation")
        p_mw = _number(row, "p_mw", -POWER_MAX_MW, POWER_MAX_MW)
        if p_mw < 0 and kind not in TAKEN_AS:
            message = f"{p_mw:g} is not allowed; allowed: >= 0, as only an import or a store takes"
            row.problem("p_mw", f"{message} power; make it a load, or name its kind")
        low, high = _intensity(row, p_mw)
        behind = row.boolean("behind_meter", default=False)
        if behind and kind != SourceKind.GENERATION:
            row.problem("behind_meter", 'has no meaning here; allowed: for kind "generation" only')
        row.finish()
        sources.append(_Source(name, bus, kind, p_mw, low, high, behind))
    return sources


def _intensity(row: TableReader, p_mw: float) -> tuple[float, float]:
    """The lower and the upper intensity of a source, from whichever key gives it."""
    keys = [key for key in ("t_per_mwh", "technology", "curve") if row.has(key)]
    if not keys and p_mw <= 0.0:
        return math.nan, math.nan
    if len(keys) != 1:
        message = f"{len(keys)} of t_per_mwh, technology, curve are given; allowed: exactly one"
        row.problem(keys[1] if keys else "t_per_mwh", message)
        return 0.0, 0.0
    if keys == ["technology"]:
        factor = row.choice("technology", FACTORS)
        return factor.direct_t_per_mwh, factor.direct_t_per_mwh
    if keys == ["curve"]:
        return _curve(row, p_mw)
    given = row.given("t_per_mwh")
    if not isinstance(given, list):
        value = row.real("t_per_mwh", 0.0, T_PER_MWH_MAX, default=0.0)
        return value, value
    numbers = [
        float(value)
        for value in given
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    if len(given) == len(numbers) == 2 and 0.0 <= numbers[0] <= numbers[1] <= T_PER_MWH_MAX:
        return numbers[0], numbers[1]
    message = f"{shown(given)} is not allowed; allowed: a number or [low, high]"
    row.problem("t_per_mwh", f"{message} from 0 to {T_PER_MWH_MAX:g}; 400 g/kWh is 0.4")
    return 0.0, 0.0


def _curve(row: TableReader, p_mw: float) -> tuple[float, float]:
    """What the coal curve of a unit comes to at its power."""
    table = row.table("curve")
    values = {key: _number(table, key, 0.0, POWER_MAX_MW) for key in ("a", "b", "c")}
    values["zeta"] = _number(table, "zeta", 0.0, 100.0, 1.0)
    for key, default in (("eta", 1.0), ("xi", 1.0), ("mu", 0.0)):
        values[key] = _number(table, key, 0.0, 1.0, default)
    table.finish()
    if not table.sound or p_mw <= 0.0:
        return math.nan, math.nan
    value = float(CoalCurve(**values).t_per_mwh(np.array(p_mw)))
    if not 0.0 <= value <= T_PER_MWH_MAX:
        message = f"comes to {value:g} t/MWh at {p_mw:g} MW; allowed: 0 to {T_PER_MWH_MAX:g}"
        row.problem("curve", f"{message}; correct its units: a in t/MWh per MW, b t/MWh, c t/h")
    return value, value


def _branches(
    reader: TableReader, loads: dict[str, float]
) -> list[tuple[str, str, str, float, float]]:
    branches = []
    known: set[str] = set()
    for row in reader.tables("branches"):
        ends = _known_bus(row, "from_bus", loads), _known_bus(row, "to_bus", loads)
        power = [_number(row, key, -POWER_MAX_MW, POWER_MAX_MW) for key in ("p_from_mw", "p_to_mw")]
        branches.append((_new_id(row, known), *ends, power[0], power[1]))
        row.finish()
    return branches


def _apply_policy(loads: dict[str, float], sources: list[_Source], policy: MeterPolicy) -> None:
    """Net what stands behind a meter, by power where a bus has several plants behind meters."""
    for bus in {source.bus for source in sources if source.behind_meter}:
        behind = [source for source in sources if source.bus == bus and source.behind_meter]
        all_mw = sum(source.p_mw for source in behind)
        load, left = metered(np.array(loads[bus]), np.array(all_mw), policy)
        loads[bus] = float(load)
        for source in behind:
            source.p_mw *= float(left) / all_mw if all_mw > 0.0 else 1.0


def _flow(
    loads: dict[str, float],
    sources: list[_Source],
    branches: list[tuple[str, str, str, float, float]],
) -> FlowToTrace:
    at = {bus: place for place, bus in enumerate(loads)}
    drains = [source for source in sources if source.kind in TAKEN_AS]
    load_bus = [*at.values(), *(at[source.bus] for source in drains)]
    taken = [*loads.values(), *(max(-source.p_mw, 0.0) for source in drains)]
    load_kind = [LoadKind.CONSUMPTION] * len(at) + [TAKEN_AS[source.kind] for source in drains]
    network = FlowNetwork(
        bus_ids=tuple(at),
        branch_ids=tuple(branch_id for branch_id, *_ in branches),
        from_bus=np.array([at[branch[1]] for branch in branches], dtype=np.int64),
        to_bus=np.array([at[branch[2]] for branch in branches], dtype=np.int64),
        source_ids=tuple(source.source_id for source in sources),
        source_bus=np.array([at[source.bus] for source in sources], dtype=np.int64),
        source_kind=np.array([source.kind for source in sources], dtype=np.int64),
        load_ids=(*at, *(source.source_id for source in drains)),
        load_bus=np.array(load_bus, dtype=np.int64),
        load_kind=np.array(load_kind, dtype=np.int64),
    )
    flow = SolvedFlow(
        network,
        np.array([[max(source.p_mw, 0.0) for source in sources]]),
        np.array([taken]),
        np.array([[branch[3] for branch in branches]]),
        np.array([[branch[4] for branch in branches]]),
    )
    return FlowToTrace(
        flow,
        np.array([[source.low for source in sources]]),
        np.array([[source.high for source in sources]]),
    )
