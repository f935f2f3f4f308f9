"""`trace`: where the carbon of a flow comes from and who takes it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.carbon import MeterPolicy
    from gridpact.inputs.flow_series import FlowSeries
    from gridpact.model.carbon import FloatArray, Trace

SHOWN_MAX = 40
"""Rows of each table; `--json` has all."""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(trace)


def trace(
    file: Annotated[
        str,
        typer.Argument(
            help="Solved flows (.json, .jsonl), pandapower JSON, CSV folder, or csv:, pgm:, ..."
        ),
    ],
    factor: Annotated[
        list[str] | None,
        typer.Option(help="ID=t/MWh, ID=LOW..HIGH or ID=technology; ID also import, generation."),
    ] = None,
    imports: Annotated[
        Path | None, typer.Option(help="CSV of the grid's intensity: start,mg_per_kwh.")
    ] = None,
    injections: Annotated[
        Path | None,
        typer.Option(help="CSV of a network's loads: start,bus,load_mw,load_mvar,generated_mw."),
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="Start of a single snapshot: 2024-06-01T12:00Z.")
    ] = None,
    meters: Annotated[str, typer.Option(help="Load and plant of a bus: gross or net.")] = "gross",
    hours: Annotated[
        float | None, typer.Option(help="Length of a single snapshot; 1 when left out.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for CSV files of buses, loads, sources, branches.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Folder for a page with plots over time, a map, the flows.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Trace carbon through solved power flows: buses, loads, losses.

    Example: `gridpact trace flow.json`, `gridpact trace year.jsonl --out out/carbon` or
    `gridpact trace csv:grid --injections loads.csv --factor import=0.4`
    """
    from gridpact.inputs.flow_series import Intensities, parse_factor
    from gridpact.inputs.solved_flow_imports import read_import_intensity
    from gridpact.inputs.solved_flow_reference import Asked, load_flow_series

    factors = dict(parse_factor(text) for text in factor or [])
    asked = Asked(_policy(meters), injections, _instant(at), hours)
    over_time = None if imports is None else read_import_intensity(imports)
    series = load_flow_series(file, asked, Intensities(factors, over_time))
    with ExitStack() as open_files:
        result = _gone_through(file, series, out, plot, open_files)
    if as_json:
        print_json(result)
        return
    if not series.many:
        _print(result)
    else:
        from gridpact.reports.carbon_summary import summary_lines

        typer.echo("\n".join(summary_lines(result)))
    for name in ("out", "page"):
        if name in result:
            typer.echo(f"{'tables' if name == 'out' else 'page'} written to {result[name]}")


def _gone_through(
    file: str, series: FlowSeries, out: Path | None, plot: Path | None, open_files: ExitStack
) -> dict[str, object]:
    """Trace part by part, and hand each to whatever was asked for."""
    from gridpact.carbon.series import trace_series
    from gridpact.reports.carbon_page import CarbonRecord, write_carbon_page
    from gridpact.reports.carbon_summary import CarbonSummary
    from gridpact.reports.carbon_tables import carbon_files

    tables = None
    if out is not None:
        tables = open_files.enter_context(carbon_files(out, stores=bool(series.stores)))
    record = None if plot is None else CarbonRecord(series.network, series.hours)
    summary = CarbonSummary(series.network, series.hours)
    last = None
    for part in trace_series(series.network, series.parts, series.stores, series.hours):
        last = part
        summary.add(part)
        if tables is not None:
            tables.add(part)
        if record is not None:
            record.add(part)
    if series.many or last is None:
        result = summary.json(file)
    else:
        result = _result(file, last.low, last.high, series.hours)
        whole = summary.json(file)
        result |= {name: whole[name] for name in ("stores", "gaining_branches")}
    if out is not None:
        result["out"] = str(out)
    if plot is not None and record is not None:
        result["page"] = str(write_carbon_page(plot, record))
    return result


def _policy(meters: str) -> MeterPolicy:
    from gridpact.carbon import MeterPolicy

    policies = {"gross": MeterPolicy.GROSS, "net": MeterPolicy.NET}
    if meters not in policies:
        raise InputError([Problem("--meters", f"{meters!r} is not allowed; allowed: gross | net")])
    return policies[meters]


def _instant(at: str | None) -> int | None:
    from gridpact.inputs.instants import INSTANT_RULE, instant_s

    start = None if at is None else instant_s(at)
    if at is not None and start is None:
        message = f"{at!r} is no time with a zone; {INSTANT_RULE}"
        raise InputError([Problem("--at", message)])
    return start


def _result(file: str, low: Trace, high: Trace, hours: float) -> dict[str, object]:
    """Everything that was found, as JSON has it: numbers, None where nothing flows."""
    from gridpact.carbon import allocate
    from gridpact.carbon.series import gains_power
    from gridpact.model.carbon import LoadKind, SourceKind

    gains = gains_power(low)
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
                "gains_power": bool(gains[0, i]),
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


def _pair(name: str, low: FloatArray, high: FloatArray, place: int) -> dict[str, object]:
    from gridpact.reports.carbon_summary import pair

    return pair(name, low[0, place], high[0, place])


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
    from gridpact.reports.carbon_summary import gaining_lines

    for words in gaining_lines(result["gaining_branches"]):  # type: ignore[arg-type]
        typer.echo(words)
    typer.echo(f"{'residual_t_per_h':<18} {result['residual_t_per_h']:>26.3g}")


def _cell(row: dict[str, object], column: str) -> str:
    value = row[column]
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    top = row.get(f"{column}_max")
    return f"{value:.6f}" if top is None else f"{value:.6f}..{top:.6f}"
