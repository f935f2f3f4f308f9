"""Buses, sources and branches of solved-flow files, and the flow that their powers make.

A file of one snapshot has the powers beside the elements; a file of many has the elements first,
and then the powers of each snapshot in the same order. `docs/carbon.md` describes the keys.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon import FACTORS, CoalCurve, MeterPolicy, Store, metered
from gridpact.inputs.tables import TableReader, closest, shown
from gridpact.model.carbon import FlowNetwork, FlowToTrace, LoadKind, SolvedFlow, SourceKind

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, IntArray

POWER_MAX_MW = 1e6
"""A terawatt: more is a wrong unit."""
ENERGY_MAX_MWH = 1e9
T_PER_MWH_MAX = 3.0
KINDS = {
    "generation": SourceKind.GENERATION,
    "import": SourceKind.IMPORT,
    "store": SourceKind.STORE,
}
TAKEN_AS = {SourceKind.IMPORT: LoadKind.EXPORT, SourceKind.STORE: LoadKind.CHARGING}
"""What a source of negative power is: back to the grid beyond, or into the store."""
POLICIES = {"gross": MeterPolicy.GROSS, "net": MeterPolicy.NET}
GIVES = ("t_per_mwh", "technology", "curve")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source without its power."""

    source_id: str
    bus: str
    kind: SourceKind
    low: float
    """t/MWh; NaN when the file gives none, or a curve or a store does."""
    high: float
    curve: CoalCurve | None
    behind_meter: bool
    store: Store | None


@dataclass(frozen=True, slots=True)
class Elements:
    """What all snapshots of a file have in common."""

    buses: tuple[str, ...]
    sources: tuple[SourceRow, ...]
    branches: tuple[tuple[str, str, str], ...]
    """Id, from-bus, to-bus."""
    policy: MeterPolicy
    network: FlowNetwork

    @property
    def stores(self) -> tuple[Store, ...]:
        """Those whose carbon is followed."""
        return tuple(source.store for source in self.sources if source.store is not None)


@dataclass(frozen=True, slots=True)
class Powers:
    """T snapshots of the elements, in MW, as the file has them."""

    load_mw: FloatArray
    """Shape (T, buses)."""
    source_mw: FloatArray
    """Shape (T, sources); negative for what goes back to the grid beyond or into a store."""
    from_mw: FloatArray
    """Shape (T, branches)."""
    to_mw: FloatArray
    """Shape (T, branches)."""
    start_s: IntArray | None = None


def number(
    reader: TableReader, key: str, low: float, high: float, default: float = math.nan
) -> float:
    """A number in a range; required when the default is no number."""
    if not reader.has(key) and math.isnan(default):
        message = f"is missing; allowed: a number from {low:g} to {high:g}; add it"
        reader.problem(key, message)
        return 0.0
    return reader.real(key, low, high, default=0.0 if math.isnan(default) else default)


def new_id(reader: TableReader, known: set[str]) -> str:
    """The `id` of an element, which no other of its kind may have."""
    name = reader.text("id", "text that names it")
    if name in known:
        reader.problem("id", f"{shown(name)} is there twice; give each its own")
    known.add(name)
    return name


def known_bus(reader: TableReader, key: str, buses: dict[str, float]) -> str:
    """The id of a bus that the file has."""
    bus = reader.text(key, "the id of a bus")
    if bus and bus not in buses:
        reader.problem(key, f"{shown(bus)} is not a bus{closest(bus, buses)}; allowed: a bus's id")
    return bus


def source_row(row: TableReader, known: set[str], buses: dict[str, float]) -> SourceRow:
    """A source without its power; the caller reads that, and finishes the row."""
    name, bus = new_id(row, known), known_bus(row, "bus", buses)
    kind = row.choice("kind", KINDS, default="generation")
    store = _store(row, name, kind)
    keys = [key for key in GIVES if row.has(key)]
    if store is not None and keys:
        row.problem(keys[0], "has no meaning beside a store, which has its own; remove one")
    elif len(keys) > 1:
        message = f"{len(keys)} of {', '.join(GIVES)} are given; allowed: exactly one"
        row.problem(keys[1], message)
    low, high, curve = math.nan, math.nan, None
    if keys == ["technology"]:
        low = high = row.choice("technology", FACTORS).direct_t_per_mwh
    elif keys == ["curve"]:
        curve = _curve(row)
    elif keys == ["t_per_mwh"]:
        low, high = _interval(row)
    behind = row.boolean("behind_meter", default=False)
    if behind and kind != SourceKind.GENERATION:
        row.problem("behind_meter", 'has no meaning here; allowed: for kind "generation" only')
    return SourceRow(name, bus, kind, low, high, curve, behind, store)


def _interval(row: TableReader) -> tuple[float, float]:
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


def _curve(row: TableReader) -> CoalCurve | None:
    table = row.table("curve")
    values = {key: number(table, key, 0.0, POWER_MAX_MW) for key in ("a", "b", "c")}
    values["zeta"] = number(table, "zeta", 0.0, 100.0, 1.0)
    for key, default in (("eta", 1.0), ("xi", 1.0), ("mu", 0.0)):
        values[key] = number(table, key, 0.0, 1.0, default)
    table.finish()
    return CoalCurve(**values) if table.sound else None


def _store(row: TableReader, name: str, kind: SourceKind) -> Store | None:
    if not row.has("store"):
        return None
    if kind != SourceKind.STORE:
        row.problem("store", 'has no meaning here; allowed: for kind "store" only; remove it')
    table = row.table("store")
    capacity = number(table, "capacity_mwh", 0.0, ENERGY_MAX_MWH)
    energy = number(table, "energy_mwh", 0.0, ENERGY_MAX_MWH)
    carbon = number(table, "carbon_t", 0.0, ENERGY_MAX_MWH * T_PER_MWH_MAX)
    efficiency = [number(table, f"{way}_efficiency", 0.0, 1.0) for way in ("charge", "discharge")]
    for way, value in zip(("charge", "discharge"), efficiency, strict=True):
        if value == 0.0 and not table.faulty(f"{way}_efficiency"):
            table.problem(f"{way}_efficiency", "0 is not allowed; allowed: above 0 and up to 1")
    if energy > capacity and table.sound:
        message = f"{energy:g} is not allowed; allowed: 0 to capacity_mwh, {capacity:g}"
        table.problem("energy_mwh", f"{message}; correct one of them")
    if capacity == 0.0 and table.sound:
        table.problem("capacity_mwh", "0 is not allowed; allowed: above 0; leave the store out")
    table.finish()
    return Store(name, energy, carbon, efficiency[0], efficiency[1], capacity)


def network_of(
    buses: tuple[str, ...],
    sources: tuple[SourceRow, ...],
    branches: tuple[tuple[str, str, str], ...],
) -> FlowNetwork:
    """The network of sound elements: a load at each bus, and one for each source that takes."""
    at = {bus: place for place, bus in enumerate(buses)}
    drains = [source for source in sources if source.kind in TAKEN_AS]
    load_bus = [*at.values(), *(at[source.bus] for source in drains)]
    load_kind = [LoadKind.CONSUMPTION] * len(at) + [TAKEN_AS[source.kind] for source in drains]
    return FlowNetwork(
        bus_ids=buses,
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


def flow_of(elements: Elements, powers: Powers) -> FlowToTrace:
    """Snapshots as they are traced: metered by policy, what sources take as loads."""
    load, given = powers.load_mw.copy(), powers.source_mw.copy()
    place = {bus: i for i, bus in enumerate(elements.buses)}
    for bus in {source.bus for source in elements.sources if source.behind_meter}:
        behind = [
            i
            for i, source in enumerate(elements.sources)
            if source.bus == bus and source.behind_meter
        ]
        all_mw = given[:, behind].sum(axis=1)
        own, left = metered(load[:, place[bus]], all_mw, elements.policy)
        load[:, place[bus]] = own
        # By power where a bus has several plants behind meters.
        kept = np.divide(left, all_mw, out=np.ones_like(left), where=all_mw > 0.0)
        given[:, behind] *= kept[:, None]
    drains = [i for i, source in enumerate(elements.sources) if source.kind in TAKEN_AS]
    flow = SolvedFlow(
        elements.network,
        np.maximum(given, 0.0),
        np.hstack([load, np.maximum(-given[:, drains], 0.0)]),
        powers.from_mw,
        powers.to_mw,
    )
    low = np.tile(np.array([source.low for source in elements.sources]), (len(load), 1))
    high = np.tile(np.array([source.high for source in elements.sources]), (len(load), 1))
    for i, source in enumerate(elements.sources):
        if source.curve is not None:
            # At the power of the unit, whatever of it is behind a meter.
            low[:, i] = high[:, i] = source.curve.t_per_mwh(powers.source_mw[:, i])
    return FlowToTrace(flow, low, high, powers.start_s)
