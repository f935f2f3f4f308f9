"""`trace`: where the carbon of a flow comes from and who takes it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.model.carbon import Trace

SHOWN_MAX = 40
"""Rows of each table; `--json` has all."""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(trace)


def trace(
    file: Annotated[
        str,
        typer.Argument(help="Solved-flow JSON, pandapower JSON, CSV folder, or csv:, pgm:, ..."),
    ],
    factor: Annotated[
        list[str] | None,
        typer.Option(help="ID=t/MWh, ID=LOW..HIGH or ID=technology; ID also import, generation."),
    ] = None,
    imports: Annotated[
        Path | None, typer.Option(help="CSV of the grid's intensity: start,mg_per_kwh.")
    ] = None,
    at: Annotated[str | None, typer.Option(help="Time in that CSV: 2024-06-01T12:00Z.")] = None,
    meters: Annotated[str, typer.Option(help="Load and plant of a bus: gross or net.")] = "gross",
    hours: Annotated[float, typer.Option(help="Length of the slot, for whole micrograms.")] = 1.0,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for a page with a map and the flows.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Trace carbon through a solved power flow: buses, loads, losses.

    Example: `gridpact trace flow.json` or
    `gridpact trace csv:grid --factor import=0.4 --factor generation=pv-rooftop`
    """
    if meters not in {"gross", "net"}:
        raise InputError([Problem("--meters", f"{meters!r} is not allowed; allowed: gross | net")])
    from gridpact.carbon import MeterPolicy, trace_bounds
    from gridpact.inputs.solved_flow_reference import load_flow_to_trace, parse_factor

    factors = dict(parse_factor(text) for text in factor or [])
    factors |= _import_factor(imports, at)
    policy = MeterPolicy.NET if meters == "net" else MeterPolicy.GROSS
    found = load_flow_to_trace(file, factors, policy)
    low, high = trace_bounds(found.flow, found.low_t_per_mwh, found.high_t_per_mwh)
    result = _result(file, low, high, hours)
    if plot is not None:
        from gridpact.reports.carbon_page import write_carbon_page

        result["page"] = str(write_carbon_page(plot, high))
    if as_json:
        print_json(result)
        return
    _print(result)


def _import_factor(imports: Path | None, at: str | None) -> dict[str, tuple[float, float]]:
    if imports is None and at is None:
        return {}
    if imports is None or at is None:
        raise InputError([Problem("--imports", "needs --at, and --at needs it; give both")])
    from datetime import datetime

    from gridpact.inputs.solved_flow_imports import read_import_intensity

    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        time = None
    if time is None or time.utcoffset() is None:
        message = f"{at!r} is no time with a zone; write 2024-06-01T12:00:00Z"
        raise InputError([Problem("--at", message)])
    value = float(read_import_intensity(imports).t_per_mwh([int(time.timestamp())])[0])
    return {"import": (value, value)}


def _result(file: str, low: Trace, high: Trace, hours: float) -> dict[str, object]:
    """Everything that was found, as JSON has it: numbers, None where nothing flows."""
    from gridpact.carbon import allocate
    from gridpact.model.carbon import LoadKind, SourceKind

    network = low.flow.network
    exact = bool((low.source_t_per_h == high.source_t_per_h).all())
    result: dict[str, object] = {
        "file": file,
        "buses": [
            {"bus": name, **_pair("t_per_mwh", low.bus_t_per_mwh, high.bus_t_per_mwh, i)}
            for i, name in enumerate(network.bus_ids)
        ],
        "sources": [
            {
                "source": name,
                "kind": SourceKind(int(network.source_kind[i])).name.lower(),
                "bus": network.bus_ids[network.source_bus[i]],
                "p_mw": float(low.flow.p_source_mw[0, i]),
                **_pair("t_per_h", low.source_t_per_h, high.source_t_per_h, i),
            }
            for i, name in enumerate(network.source_ids)
        ],
        "loads": [
            {
                "load": name,
                "kind": LoadKind(int(network.load_kind[i])).name.lower(),
                "bus": network.bus_ids[network.load_bus[i]],
                "p_mw": float(low.flow.p_load_mw[0, i]),
                **_pair("t_per_h", low.load_t_per_h, high.load_t_per_h, i),
            }
            for i, name in enumerate(network.load_ids)
        ],
        "branches": [
            {
                "branch": name,
                "p_from_mw": float(low.flow.p_from_mw[0, i]),
                "loss_mw": float(low.flow.p_from_mw[0, i] + low.flow.p_to_mw[0, i]),
                **_pair("t_per_mwh", low.branch_t_per_mwh, high.branch_t_per_mwh, i),
                **_pair("loss_t_per_h", low.loss_t_per_h, high.loss_t_per_h, i),
            }
            for i, name in enumerate(network.branch_ids)
        ],
        "residual_t_per_h": float(low.residual_t_per_h[0]),
    }
    if exact:
        allocation = allocate(low, hours)
        names = ("generated_ug", "imported_ug", "consumed_ug", "lost_ug")
        result["allocation"] = {
            name: getattr(allocation, name)
            for name in (*names, "stored_ug", "exported_ug", "residual_ug")
        }
    return result


def _pair(name: str, low: object, high: object, place: int) -> dict[str, object]:
    """One value, or two where it is known by an interval alone."""
    first, second = (float(values[0, place]) for values in (low, high))  # type: ignore[index]
    if math.isnan(first):
        return {name: None}
    return {name: first} if first == second else {name: first, f"{name}_max": second}


def _print(result: dict[str, object]) -> None:
    tables = {
        "buses": ("bus", "t_per_mwh"),
        "sources": ("source", "kind", "bus", "p_mw", "t_per_h"),
        "loads": ("load", "kind", "bus", "p_mw", "t_per_h"),
        "branches": ("branch", "p_from_mw", "loss_mw", "t_per_mwh", "loss_t_per_h"),
    }
    for name, columns in tables.items():
        rows = result[name]
        shown = [row for row in rows if row.get("p_mw", 1.0) != 0.0]  # type: ignore[attr-defined]
        lines = [list(columns)]
        lines += [[_cell(row, column) for column in columns] for row in shown[:SHOWN_MAX]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
        typer.echo(name)
        for line in lines:
            cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
            typer.echo("  " + "  ".join(cells).rstrip())
        if len(shown) > SHOWN_MAX:
            typer.echo(f"  and {len(shown) - SHOWN_MAX} more; --json has all")
    for name, value in result.get("allocation", {}).items():  # type: ignore[attr-defined]
        typer.echo(f"{name:<18} {value:>26,}")
    typer.echo(f"{'residual_t_per_h':<18} {result['residual_t_per_h']:>26.3g}")
    if "page" in result:
        typer.echo(f"page written to {result['page']}")


def _cell(row: dict[str, object], column: str) -> str:
    value = row[column]
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    top = row.get(f"{column}_max")
    return f"{value:.6f}" if top is None else f"{value:.6f}..{top:.6f}"
