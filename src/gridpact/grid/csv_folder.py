"""Networks as a folder of CSV tables; the columns are listed in `docs/grid.md`.

The grid that ships with the package is such a folder.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from gridpact.grid.checks import check_network
from gridpact.grid.rows import POSITIVE, Row, Source, nearest
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

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

FREQUENCY_HZ = 50.0
"""Where no external grid says otherwise."""
COLUMNS = {
    "buses": "bus vn_kv in_service",
    "lines": "line from_bus to_bus length_km r_ohm_per_km x_ohm_per_km c_nf_per_km g_us_per_km "
    "max_i_ka df parallel in_service",
    "transformers": "transformer hv_bus lv_bus sn_mva vn_hv_kv vn_lv_kv vk_percent vkr_percent "
    "pfe_kw i0_percent shift_degree tap_neutral tap_min tap_max tap_pos tap_step_percent "
    "tap_step_degree tap_side parallel df in_service",
    "external_grids": "external_grid bus vm_pu va_degree frequency_hz short_circuit_mva rx_ratio "
    "in_service",
    "switches": "switch bus element_kind element state",
    "loads": "load bus p_w q_var",
    "generators": "generator bus p_w q_var",
    "shunts": "shunt bus p_w q_var in_service",
}
"""What is read from each table."""
REQUIRED = ("buses", "lines", "external_grids")
"""Tables that a folder must have."""
PLAIN = {
    "buses": "vm_min_pu vm_max_pu longitude_deg latitude_deg",
    "lines": "cable",
    "transformers": "type",
    "switches": "switch_kind",
    "loads": "profile",
    "generators": "profile sn_va",
}
"""Columns that tell people something and change no flow; `simbench_name` is one everywhere."""
KINDS = {
    "bus": SwitchKind.BUS,
    "line": SwitchKind.LINE,
    "transformer": SwitchKind.TRANSFORMER,
}
TAP_ENDS = {"hv": BranchEnd.FROM, "lv": BranchEnd.TO}

Element = TypeVar("Element")
Table = list[Row]


def load_csv_folder(folder: Path | Traversable, reference: str) -> Network:
    """The network in a folder of CSV tables.

    Args:
        folder: of files `buses.csv`, `lines.csv` and so on, UTF-8, commas, a header each.
        reference: how the network is called in messages and results.

    Raises:
        InputError: everything that is wrong with the tables, by file and line.
    """
    source = Source(reference)
    tables = {"buses": _read(folder, "buses", source)}
    source.buses_complete = not source.problems
    tables |= {name: _read(folder, name, source) for name in COLUMNS if name != "buses"}
    _note_other_files(folder, source)
    frequencies = {
        row.number("frequency_hz", FREQUENCY_HZ, low=POSITIVE) for row in tables["external_grids"]
    }
    if len(frequencies) > 1:
        source.add("external_grids.csv", "frequency_hz differs from row to row; make it one")
    loads = [
        *_each(tables["loads"], lambda row: _load(row, "load", sign=1)),
        *_each(tables["generators"], lambda row: _load(row, "generator", sign=-1)),
    ]
    buses = _each(tables["buses"], _bus)
    nominal_v = {bus.bus_id: 1000 * bus.nominal_kv for bus in buses}
    network = Network(
        reference=reference,
        frequency_hz=min(frequencies, default=FREQUENCY_HZ),
        buses=buses,
        lines=_each(tables["lines"], _line),
        transformers=_each(tables["transformers"], _transformer),
        external_grids=_each(tables["external_grids"], _external_grid),
        switches=_each(tables["switches"], _switch),
        shunts=_each(tables["shunts"], lambda row: _shunt(row, nominal_v)),
        loads=tuple(loads),
        unsupported=tuple(source.unsupported),
    )
    check_network(network, source)
    return network


def _each(rows: Table, read: Callable[[Row], Element]) -> tuple[Element, ...]:
    return tuple(read(row) for row in rows)


def _read(folder: Path | Traversable, name: str, source: Source) -> Table:
    """The rows of one table; none when it may be left out and is."""
    file = f"{name}.csv"
    path = folder.joinpath(file)
    if not path.is_file():
        if name in REQUIRED:
            source.add(
                file, f"is missing in {source.reference}; add it, with columns as documented"
            )
        return []
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        source.add(file, f"cannot be read: {error.strerror or error}; check the file")
        return []
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        source.add(
            f"{file}:{line}",
            f"byte 0x{error.object[error.start]:02x} is not UTF-8; save the file as UTF-8",
        )
        return []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        header = _header(file, name, next(reader, []), source)
        for cells in reader:
            where = f"{file}:{reader.line_num}"
            if len(cells) == len(header):
                rows.append(Row(source, where, dict(zip(header, cells, strict=True))))
            elif cells:
                source.add(
                    where,
                    f"{len(cells)} values in {len(header)} columns; use commas between values "
                    "and a point for decimals",
                )
    except csv.Error as error:
        source.add(f"{file}:{reader.line_num}", f"is not CSV: {error}; correct the quotes")
    return rows


def _header(file: str, name: str, cells: list[str], source: Source) -> list[str]:
    """The columns, a misspelt one under its right name so that its rows can be checked too."""
    read = COLUMNS[name].split()
    plain = {*PLAIN.get(name, "").split(), "simbench_name"}
    header = [cell.strip() for cell in cells]
    for column in sorted({column for column in header if header.count(column) > 1}):
        source.add(f"{file}:1", f"column {column!r} occurs twice; remove one")
    for index, column in enumerate(header):
        if column in read or column in plain:
            continue
        near = nearest(column, [known for known in read if known not in header])
        if near:
            source.add(f"{file}:1", f"column {column!r} is not known; did you mean {near!r}?")
            header[index] = near
        else:
            source.unsupported.append(f"{file}: column {column!r}")
    return header


def _note_other_files(folder: Path | Traversable, source: Source) -> None:
    """Tables of another name are left out, and said to be."""
    known = {f"{name}.csv" for name in COLUMNS}
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        reason = f"cannot be listed: {error.strerror or error}; check the folder"
        source.add(source.reference, reason)
        return
    source.unsupported += [
        f"file {name}" for name in names if name.endswith(".csv") and name not in known
    ]


def _bus(row: Row) -> Bus:
    name = row.text("bus")
    return Bus(name, name, row.number("vn_kv", low=POSITIVE), row.flag("in_service", default=True))


def _line(row: Row) -> Line:
    return Line(
        line_id=row.text("line"),
        from_bus=row.text("from_bus"),
        to_bus=row.text("to_bus"),
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


def _transformer(row: Row) -> Transformer:
    neutral = row.whole("tap_neutral", 0, low=-1000)
    lowest = row.whole("tap_min", -1000, low=-1000)
    highest = row.whole("tap_max", 1000, low=-1000)
    position = row.whole("tap_pos", neutral, low=-1000)
    if not lowest <= position <= highest:
        row.problem(f"tap_pos = {position}; allowed: {lowest} to {highest}; correct it")
    angle = row.number("tap_step_degree", 0)
    if position != neutral and angle:
        row.problem(
            f"tap_step_degree = {angle:g} at tap_pos = {position}: taps that shift the phase are "
            "not supported; put the tap into its neutral position, or leave the angle out"
        )
    return Transformer(
        transformer_id=row.text("transformer"),
        from_bus=row.text("hv_bus"),
        to_bus=row.text("lv_bus"),
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
        tap_step_percent=row.number("tap_step_percent", 0),
        parallel=row.whole("parallel", 1, low=1),
        derating=row.number("df", 1, low=POSITIVE),
        circuit=EquivalentCircuit.T,
        in_service=row.flag("in_service", default=True),
    )


def _external_grid(row: Row) -> ExternalGrid:
    return ExternalGrid(
        external_grid_id=row.text("external_grid"),
        bus=row.text("bus"),
        vm_pu=row.number("vm_pu", 1, low=POSITIVE),
        va_degree=row.number("va_degree", 0),
        short_circuit_mva=row.number("short_circuit_mva", math.inf, low=POSITIVE),
        rx_ratio=row.number("rx_ratio", 0.1, low=0),
        in_service=row.flag("in_service", default=True),
    )


def _switch(row: Row) -> Switch:
    return Switch(
        switch_id=row.text("switch"),
        bus=row.text("bus"),
        kind=KINDS[row.choice("element_kind", KINDS)],
        element=row.text("element"),
        closed=row.choice("state", ("open", "closed")) == "closed",
    )


def _load(row: Row, column: str, *, sign: int) -> NominalLoad:
    return NominalLoad(
        row.text(column),
        row.text("bus"),
        sign * row.number("p_w", 0),
        sign * row.number("q_var", 0),
    )


def _shunt(row: Row, nominal_v: Mapping[str, float]) -> Shunt:
    """Powers at nominal voltage to an admittance."""
    bus = row.text("bus")
    square = nominal_v.get(bus, 1.0) ** 2
    return Shunt(
        row.text("shunt"),
        bus,
        row.number("p_w", 0) / square,
        -row.number("q_var", 0) / square,
        row.flag("in_service", default=True),
    )
