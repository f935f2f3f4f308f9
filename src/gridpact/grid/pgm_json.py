"""Networks in power-grid-model's JSON, read without power-grid-model.

Source: power-grid-model, user manual, "Components" and "Serialization format specification",
release 1.12. Ids are the kind and the number there: node 3 is `bus-3`, line 7 is `line-7`.
"""

from __future__ import annotations

import json
import math
from typing import Any

from gridpact.errors import InputError, Problem
from gridpact.grid.checks import check_network
from gridpact.grid.rows import POSITIVE, Row, Source, shown
from gridpact.model.grid import (
    BranchEnd,
    Bus,
    EquivalentCircuit,
    ExternalGrid,
    Line,
    Network,
    NominalLoad,
    Shunt,
    Switch,
    SwitchKind,
    Transformer,
)

FREQUENCY_HZ = 50.0
"""The format does not say it, and 50 Hz is power-grid-model's default."""
SHORT_CIRCUIT_VA = 1e10
RX_RATIO = 0.1
"""Of a source that does not say it, as in power-grid-model."""
CONSTANT_POWER = 0
TAP_ABSENT = -128
"""How power-grid-model writes a tap position or limit that is not there."""
HARMLESS = ("sensor", "fault", "regulator")
"""Ends of the names of components that a power flow with fixed taps does not see."""
REMEDIES = {
    "three_winding_transformer": "replace it by transformers with two windings",
    "generic_branch": "replace it by a line or a transformer",
    "asym_line": "replace it by a line",
    "voltage_regulator": "remove it and give its load a reactive power",
}
READ = frozenset(
    {
        "asym_gen",
        "asym_load",
        "line",
        "link",
        "node",
        "shunt",
        "source",
        "sym_gen",
        "sym_load",
        "transformer",
    }
)
Tables = dict[str, list[Row]]


def load_pgm_json(text: str, reference: str) -> Network:
    """The network in an input file of power-grid-model.

    Args:
        text: what the file holds.
        reference: how the network is called in messages and results.

    Raises:
        InputError: everything that is wrong with the file, by component and id, and every
            component in service that would change the flow but has no place in a network.
    """
    source = Source(reference)
    tables = _tables(text, source)
    for name in sorted(tables):
        _sort_out(name, tables[name], source)
    lines, transformers = tables.get("line", []), tables.get("transformer", [])
    network = Network(
        reference=reference,
        frequency_hz=FREQUENCY_HZ,
        buses=tuple(_bus(row) for row in tables.get("node", [])),
        lines=tuple(_line(row) for row in lines),
        transformers=tuple(_transformer(row) for row in transformers),
        external_grids=tuple(_external_grid(row) for row in tables.get("source", [])),
        switches=(
            *(_link(row) for row in tables.get("link", [])),
            *_open_ends(lines, "line", SwitchKind.LINE),
            *_open_ends(transformers, "transformer", SwitchKind.TRANSFORMER),
        ),
        shunts=tuple(_shunt(row) for row in tables.get("shunt", [])),
        loads=tuple(_loads(tables, source)),
        unsupported=tuple(source.unsupported),
    )
    check_network(network, source)
    return network


def _tables(text: str, source: Source) -> Tables:
    """The components by kind; rows come as objects, or as lists with the columns given apart."""
    try:
        file = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"is not JSON: {error}; write it with power-grid-model's json_serialize_to_file"
        raise InputError([Problem(source.reference, message)]) from error
    data = file.get("data") if isinstance(file, dict) else None
    kind = file.get("type") if isinstance(file, dict) else None
    if not isinstance(data, dict) or kind != "input" or file.get("is_batch"):
        message = (
            f"type = {shown(kind)}: is not an input file of power-grid-model; allowed: an object "
            'with type "input", is_batch false and data by component'
        )
        raise InputError([Problem(source.reference, message)])
    attributes = file.get("attributes")
    columns_of = attributes if isinstance(attributes, dict) else {}
    tables: Tables = {}
    for name, rows in data.items():
        if not isinstance(rows, list):
            source.add(f"{source.reference}: {name}", "is not a list of components; correct it")
            continue
        for number, row in enumerate(rows):
            values = _values(row, columns_of.get(name))
            if values is None:
                where = f"{source.reference}: {name}[{number}]"
                source.add(where, f"{shown(row)} is neither an object nor fits attributes")
            else:
                where = f"{source.reference}: {name} {shown(values.get('id'))}"
                tables.setdefault(name, []).append(Row(source, where, values))
    return tables


def _values(row: object, columns: object) -> dict[str, Any] | None:
    if isinstance(row, dict):
        return row
    if isinstance(row, list) and isinstance(columns, list) and len(row) == len(columns):
        return dict(zip(map(str, columns), row, strict=True))
    return None


def _sort_out(name: str, rows: list[Row], source: Source) -> None:
    """Refuse what would change the flow; say what is left out."""
    if name in READ:
        return
    if name.endswith(HARMLESS) and name not in REMEDIES:
        source.unsupported.append(f"{name}: {len(rows)}")
        return
    idle = 0
    for row in rows:
        states = ("status", "from_status", "to_status", "status_1", "status_2", "status_3")
        given = [state for state in states if row.given(state)]
        if given and not any(row.flag(state) for state in given):
            idle += 1
        else:
            remedy = REMEDIES.get(name, "remove it")
            row.problem(f"{name} is not supported and in service; {remedy}, or set its status to 0")
    if idle:
        source.unsupported.append(f"{name}: {idle} out of service")


def _id(row: Row, kind: str, column: str = "id") -> str:
    return f"{kind}-{row.whole(column, low=0)}"


def _bus(row: Row) -> Bus:
    return Bus(_id(row, "bus"), "", row.number("u_rated", low=POSITIVE) / 1000, in_service=True)


def _connected(row: Row) -> bool:
    """Whether at least one end is connected; a single open end becomes a switch."""
    return row.flag("from_status") or row.flag("to_status")


def _line(row: Row) -> Line:
    """The whole line as one kilometre; tan1 is the conductance over the susceptance."""
    c_nf = row.number("c1", 0, low=0) * 1e9
    omega = 2 * math.pi * FREQUENCY_HZ
    return Line(
        line_id=_id(row, "line"),
        from_bus=_id(row, "bus", "from_node"),
        to_bus=_id(row, "bus", "to_node"),
        length_km=1.0,
        r_ohm_per_km=row.number("r1", low=0),
        x_ohm_per_km=row.number("x1"),
        c_nf_per_km=c_nf,
        g_us_per_km=row.number("tan1", 0, low=0) * omega * c_nf * 1e-3,
        max_i_a=row.number("i_n", math.inf, low=POSITIVE),
        parallel=1,
        in_service=_connected(row),
    )


def _transformer(row: Row) -> Transformer:
    sn_va = row.number("sn", low=POSITIVE)
    from_v, to_v = row.number("u1", low=POSITIVE), row.number("u2", low=POSITIVE)
    at_from = row.whole("tap_side", 0, low=0, high=1) == 0
    low = row.whole("tap_min", low=-127, high=127)
    high = row.whole("tap_max", low=-127, high=127)
    neutral = _tap(row, "tap_nom", 0)
    position = _tap(row, "tap_pos", neutral)
    if not min(low, high) <= position <= max(low, high):
        row.problem(f"tap_pos = {position}; allowed: {low} to {high}; correct it")
    step_v = row.number("tap_size", low=0) * (1 if high > low else -1)
    vk, pk = (_at_tap(row, name, position, (low, neutral, high)) for name in ("uk", "pk"))
    return Transformer(
        transformer_id=_id(row, "transformer"),
        from_bus=_id(row, "bus", "from_node"),
        to_bus=_id(row, "bus", "to_node"),
        sn_mva=sn_va * 1e-6,
        from_kv=from_v / 1000,
        to_kv=to_v / 1000,
        vk_percent=100 * vk,
        vkr_percent=100 * pk / sn_va,
        pfe_kw=row.number("p0", low=0) / 1000,
        i0_percent=100 * row.number("i0", low=0),
        shift_degree=30.0 * row.whole("clock", low=-12, high=12),
        tap_end=BranchEnd.FROM if at_from else BranchEnd.TO,
        tap_position=position,
        tap_neutral=neutral,
        tap_step_percent=100 * step_v / (from_v if at_from else to_v),
        parallel=1,
        derating=1.0,
        circuit=EquivalentCircuit.PI,
        in_service=_connected(row),
    )


def _tap(row: Row, column: str, default: int) -> int:
    value = row.whole(column, TAP_ABSENT, low=-128, high=127)
    return default if value == TAP_ABSENT else value


def _at_tap(row: Row, name: str, position: int, taps: tuple[int, int, int]) -> float:
    """A nameplate value at the present tap: linear from neutral to the end on its side.

    Source: power-grid-model, user manual, "Transformer".
    """
    nominal = row.number(name, low=POSITIVE) if name == "uk" else row.number(name, low=0)
    low, neutral, high = taps
    if min(neutral, high) <= position <= max(neutral, high):
        end, at_end = high, row.number(f"{name}_max", nominal)
    else:
        end, at_end = low, row.number(f"{name}_min", nominal)
    if end == neutral:
        return nominal
    return nominal + (at_end - nominal) * (position - neutral) / (end - neutral)


def _external_grid(row: Row) -> ExternalGrid:
    return ExternalGrid(
        external_grid_id=_id(row, "source"),
        bus=_id(row, "bus", "node"),
        vm_pu=row.number("u_ref", low=POSITIVE),
        va_degree=math.degrees(row.number("u_ref_angle", 0)),
        short_circuit_mva=row.number("sk", SHORT_CIRCUIT_VA, low=POSITIVE) * 1e-6,
        rx_ratio=row.number("rx_ratio", RX_RATIO, low=0),
        in_service=row.flag("status"),
    )


def _link(row: Row) -> Switch:
    return Switch(
        switch_id=_id(row, "link"),
        bus=_id(row, "bus", "from_node"),
        kind=SwitchKind.BUS,
        element=_id(row, "bus", "to_node"),
        closed=row.flag("from_status") and row.flag("to_status"),
    )


def _open_ends(rows: list[Row], name: str, kind: SwitchKind) -> list[Switch]:
    """One open switch for each branch that is connected at one end only."""
    switches = []
    for row in rows:
        if _connected(row):
            for end in ("from", "to"):
                if not row.flag(f"{end}_status"):
                    branch = _id(row, name)
                    bus = _id(row, "bus", f"{end}_node")
                    switches.append(Switch(f"{branch}-{end}", bus, kind, branch, closed=False))
    return switches


def _shunt(row: Row) -> Shunt:
    return Shunt(
        _id(row, "shunt"),
        _id(row, "bus", "node"),
        row.number("g1"),
        row.number("b1"),
        row.flag("status"),
    )


def _loads(tables: Tables, source: Source) -> list[NominalLoad]:
    """Loads and generators in service; of asymmetric ones the sum of the phases."""
    loads = []
    voltage_dependent = 0
    for name, sign in (("sym_load", 1), ("sym_gen", -1), ("asym_load", 1), ("asym_gen", -1)):
        for row in tables.get(name, []):
            if row.flag("status"):
                loads.append(
                    NominalLoad(
                        _id(row, name.replace("_", "-")),
                        _id(row, "bus", "node"),
                        sign * row.total("p_specified"),
                        sign * row.total("q_specified"),
                    )
                )
                voltage_dependent += row.whole("type", CONSTANT_POWER, low=0) != CONSTANT_POWER
    if voltage_dependent:
        source.unsupported.append(
            f"load: {voltage_dependent} depend on the voltage, taken as constant power"
        )
    return loads
