"""Tables of pandapower to a network, and which of its elements a network cannot hold.

Ids are the kind and pandapower's index, such as `bus-12`, as names may be missing or repeated.
Source: pandapower's documentation of its elements and its branch model, release 3.5.
"""

from __future__ import annotations

import math
from typing import Any

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

Frames = dict[str, list[dict[str, Any]]]
"""Rows by column, by table."""

READ = frozenset(
    {
        "asymmetric_load",
        "asymmetric_sgen",
        "bus",
        "ext_grid",
        "gen",
        "line",
        "load",
        "motor",
        "sgen",
        "shunt",
        "storage",
        "switch",
        "trafo",
    }
)
"""Tables that become part of the network."""
NO_ELEMENTS = frozenset({"bus_geodata", "dtypes", "line_geodata", "parameters"})
"""Tables that only describe others."""
HARMLESS = frozenset({"bus_dc", "controller", "group", "measurement", "poly_cost", "pwl_cost"})
"""Elements that a power flow does not see, although some can be in service."""
REMEDIES = {
    "dcline": "replace it by a load and a static generator",
    "impedance": "replace it by a line with the same impedance",
    "svc": "replace it by a shunt",
    "tcsc": "replace it by a line",
    "trafo3w": "replace it by transformers with two windings",
    "ward": "replace it by a load and a shunt",
    "xward": "replace it by a load and a shunt",
}
VOLTAGE_SHARES = tuple(f"const_{part}_percent" for part in ("z", "i", "z_p", "z_q", "i_p", "i_q"))
"""Columns that make a load depend on the voltage."""
SWITCH_KINDS = {"b": SwitchKind.BUS, "l": SwitchKind.LINE, "t": SwitchKind.TRANSFORMER}
ELEMENT_IDS = {"b": "bus", "l": "line", "t": "transformer"}
TAP_ENDS = {"hv": BranchEnd.FROM, "lv": BranchEnd.TO}


def network_of_frames(frames: Frames, frequency_hz: float, reference: str) -> Network:
    """The network in pandapower's tables.

    Args:
        frames: as `rows_of_frame` returns them.
        frequency_hz: of the network.
        reference: how the network is called in messages and results.

    Raises:
        InputError: everything that is wrong with the tables, and every element in service that
            would change the flow but has no place in a network.
    """
    source = Source(reference)
    tables = {
        name: [_row(source, name, values) for values in rows] for name, rows in frames.items()
    }
    for name in sorted(tables):
        _sort_out(name, tables[name], frames[name], source)
    controlled = [row for row in tables.get("gen", []) if row.flag("in_service", default=True)]
    slack = [row for row in controlled if row.flag("slack", default=False)]
    network = Network(
        reference=reference,
        frequency_hz=frequency_hz,
        buses=tuple(_bus(row) for row in tables.get("bus", [])),
        lines=tuple(_line(row) for row in tables.get("line", [])),
        transformers=tuple(_transformer(row, source) for row in tables.get("trafo", [])),
        external_grids=(
            *(_external_grid(row, "external-grid") for row in tables.get("ext_grid", [])),
            *(_external_grid(row, "gen") for row in slack),
        ),
        switches=tuple(
            _switch(row) for row in tables.get("switch", []) if row.text("et", "") != "t3"
        ),
        shunts=tuple(_shunt(row) for row in tables.get("shunt", [])),
        loads=tuple(_loads(tables, source)),
        unsupported=tuple(source.unsupported),
    )
    check_network(network, source)
    return network


def _row(source: Source, name: str, values: dict[str, Any]) -> Row:
    return Row(source, f"{source.reference}: {name} {shown(values['index'])}", values)


def _sort_out(name: str, rows: list[Row], frame: list[dict[str, Any]], source: Source) -> None:
    """Refuse what would change the flow; say what is left out."""
    if not rows or name in NO_ELEMENTS or name.startswith(("res_", "_")):
        return
    if name in HARMLESS or (name not in READ and "in_service" not in frame[0]):
        source.unsupported.append(f"{name}: {len(rows)}")
        return
    if name in READ and name not in {"gen", "switch"}:
        return
    idle = 0
    for row in rows:
        if name == "switch":
            idle += row.text("et", "") == "t3"
        elif not row.flag("in_service", default=True):
            idle += 1
        elif name != "gen":
            remedy = REMEDIES.get(name, "remove it")
            row.problem(
                f"{name} is not supported and in service; {remedy}, or set it out of service"
            )
        elif not row.flag("slack", default=False):
            row.problem(
                "a generator that controls its voltage is not supported and in service; replace "
                "it by a static generator, or set it out of service"
            )
    if idle:
        what = "of transformers with three windings" if name == "switch" else "out of service"
        source.unsupported.append(f"{name}: {idle} {what}")


def _id(row: Row, kind: str, column: str = "index") -> str:
    return f"{kind}-{row.whole(column, low=0)}"


def _bus(row: Row) -> Bus:
    return Bus(
        _id(row, "bus"),
        row.text("name", ""),
        row.number("vn_kv", low=POSITIVE),
        row.flag("in_service", default=True),
    )


def _line(row: Row) -> Line:
    return Line(
        line_id=_id(row, "line"),
        from_bus=_id(row, "bus", "from_bus"),
        to_bus=_id(row, "bus", "to_bus"),
        length_km=row.number("length_km", low=0),
        r_ohm_per_km=row.number("r_ohm_per_km", low=0),
        x_ohm_per_km=row.number("x_ohm_per_km"),
        c_nf_per_km=row.number("c_nf_per_km", 0, low=0),
        g_us_per_km=row.number("g_us_per_km", 0, low=0),
        max_i_a=1000
        * row.number("max_i_ka", math.inf, low=POSITIVE)
        * row.number("df", 1, low=POSITIVE),
        parallel=row.whole("parallel", 1, low=1),
        in_service=row.flag("in_service", default=True),
    )


def _transformer(row: Row, source: Source) -> Transformer:
    in_service = row.flag("in_service", default=True)
    position, neutral, step_percent = _tap(row, source) if in_service else (0.0, 0.0, 0.0)
    if in_service:
        _refuse_tables(row)
    return Transformer(
        transformer_id=_id(row, "transformer"),
        from_bus=_id(row, "bus", "hv_bus"),
        to_bus=_id(row, "bus", "lv_bus"),
        sn_mva=row.number("sn_mva", low=POSITIVE),
        from_kv=row.number("vn_hv_kv", low=POSITIVE),
        to_kv=row.number("vn_lv_kv", low=POSITIVE),
        vk_percent=row.number("vk_percent", low=POSITIVE),
        vkr_percent=row.number("vkr_percent", low=0),
        pfe_kw=row.number("pfe_kw", 0, low=0),
        i0_percent=row.number("i0_percent", 0, low=0),
        shift_degree=row.number("shift_degree", 0),
        tap_end=TAP_ENDS[row.choice("tap_side", TAP_ENDS, "hv")],
        tap_position=position,
        tap_neutral=neutral,
        tap_step_percent=step_percent,
        parallel=row.whole("parallel", 1, low=1),
        derating=row.number("df", 1, low=POSITIVE),
        circuit=EquivalentCircuit.T,
        in_service=in_service,
    )


def _tap(row: Row, source: Source) -> tuple[float, float, float]:
    """Position, neutral position, percent of a step; a step of 0 where pandapower sees no tap.

    Release 3 needs `tap_changer_type`; release 2 has no such column and takes the step as it is.
    """
    neutral = row.number("tap_neutral", 0)
    position = row.number("tap_pos", neutral)
    step_percent = row.number("tap_step_percent", 0)
    angle = row.number("tap_step_degree", 0)
    if position == neutral:
        return position, neutral, step_percent
    kind = row.text("tap_changer_type", "") if row.has("tap_changer_type") else "Ratio"
    if kind not in {"Ratio", "Symmetrical", "Ideal"} or not row.given("tap_side"):
        source.unsupported.append(
            f"{row.where.removeprefix(f'{source.reference}: ')}: tap_pos = {position:g} has no "
            "effect, as tap_changer_type or tap_side does not say what it moves"
        )
        return position, neutral, 0.0
    if angle or kind == "Ideal":
        row.problem(
            f"tap_pos = {position:g} shifts the phase (tap_changer_type = {kind}, tap_step_degree "
            f"= {angle:g}), which is not supported; put the tap into its neutral position"
        )
    low, high = row.number("tap_min", -math.inf), row.number("tap_max", math.inf)
    if not low <= position <= high:
        row.problem(f"tap_pos = {position:g}; allowed: {low:g} to {high:g}; correct it")
    return position, neutral, step_percent


def _refuse_tables(row: Row) -> None:
    """Impedances that depend on the tap, and a second tap changer."""
    for column in ("tap_dependency_table", "tap_dependent_impedance"):
        if row.given(column) and row.flag(column):
            row.problem(
                f"{column} is true, and impedances that depend on the tap are not supported; "
                "write the values at the present tap into the transformer and set it to false"
            )
    if row.given("tap2_pos") and row.number("tap2_pos") != row.number("tap2_neutral", 0):
        row.problem("a second tap changer is not supported; put tap2_pos into its neutral position")


def _external_grid(row: Row, kind: str) -> ExternalGrid:
    """In pandapower it holds the voltage at the bus, whatever its short-circuit power."""
    return ExternalGrid(
        external_grid_id=_id(row, kind),
        bus=_id(row, "bus", "bus"),
        vm_pu=row.number("vm_pu", 1, low=POSITIVE),
        va_degree=row.number("va_degree", 0),
        short_circuit_mva=math.inf,
        rx_ratio=0.1,
        in_service=row.flag("in_service", default=True),
    )


def _switch(row: Row) -> Switch:
    et = row.choice("et", SWITCH_KINDS)
    closed = row.flag("closed", default=True)
    if et == "b" and closed and row.number("z_ohm", 0, low=0) > 0:
        row.problem(
            f"z_ohm = {row.number('z_ohm'):g}: closed switches with an impedance are not "
            "supported; set it to 0, or replace the switch by a line"
        )
    return Switch(
        switch_id=_id(row, "switch"),
        bus=_id(row, "bus", "bus"),
        kind=SWITCH_KINDS[et],
        element=_id(row, ELEMENT_IDS[et], "element"),
        closed=closed,
    )


def _shunt(row: Row) -> Shunt:
    """Its powers hold at its own rated voltage, for each step; MW over kV^2 is S."""
    square = row.number("vn_kv", low=POSITIVE) ** 2
    if row.given("step_dependency_table") and row.flag("step_dependency_table"):
        row.problem("step_dependency_table is true, which is not supported; write p_mw and q_mvar")
    step = row.number("step", 1, low=0)
    return Shunt(
        shunt_id=_id(row, "shunt"),
        bus=_id(row, "bus", "bus"),
        conductance_s=step * row.number("p_mw", 0) / square,
        susceptance_s=-step * row.number("q_mvar", 0) / square,
        in_service=row.flag("in_service", default=True),
    )


def _loads(tables: dict[str, list[Row]], source: Source) -> list[NominalLoad]:
    """Everything with a given power that is in service, three phases summed."""
    loads = []
    voltage_dependent = 0
    one_phase = [f"_{phase}_" for phase in "abc"]
    for table, sign, parts in (
        ("load", 1, ["_"]),
        ("sgen", -1, ["_"]),
        ("storage", 1, ["_"]),
        ("asymmetric_load", 1, one_phase),
        ("asymmetric_sgen", -1, one_phase),
        ("motor", 1, []),
    ):
        for row in tables.get(table, []):
            if not row.flag("in_service", default=True):
                continue
            scale = sign * row.number("scaling", 1) * 1e6
            p_mw = sum(row.number(f"p{part}mw", 0) for part in parts)
            q_mvar = sum(row.number(f"q{part}mvar", 0) for part in parts)
            if table == "motor":
                p_mw, q_mvar = _motor(row)
            loads.append(
                NominalLoad(
                    _id(row, table.replace("_", "-")),
                    _id(row, "bus", "bus"),
                    scale * p_mw,
                    scale * q_mvar,
                )
            )
            voltage_dependent += any(row.number(share, 0) != 0 for share in VOLTAGE_SHARES)
    if voltage_dependent:
        source.unsupported.append(
            f"load: {voltage_dependent} depend on the voltage, taken as constant power"
        )
    return loads


def _motor(row: Row) -> tuple[float, float]:
    """Electrical power in MW and Mvar, from the mechanical one."""
    efficiency = row.number("efficiency_percent", 100, low=POSITIVE)
    p_mw = row.number("pn_mech_mw") / efficiency * row.number("loading_percent", 100)
    cos_phi = min(1.0, row.number("cos_phi", 1, low=POSITIVE))
    return p_mw, p_mw * math.tan(math.acos(cos_phi))
