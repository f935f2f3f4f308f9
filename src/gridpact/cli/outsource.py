"""`outsource`: a trace handed out to providers who are not trusted, with all of it on a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.model.carbon import FloatArray, SolvedFlow
    from gridpact.pipeline.outsourced import OutsourcedRun

MODES = ("double", "residual")
FIRST_SEED = 1
NANO = 10**9


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(outsource)


def outsource(
    file: Annotated[
        str,
        typer.Argument(help="Solved-flow JSON, pandapower JSON, CSV folder, or csv:, pgm:, ..."),
    ],
    factor: Annotated[
        list[str] | None,
        typer.Option(help="ID=t/MWh or ID=technology; ID also import, generation."),
    ] = None,
    providers: Annotated[
        str,
        typer.Option(help="What each does, the first two first: honest, zeros, scaled, ..."),
    ] = "honest,honest,honest",
    mode: Annotated[str, typer.Option(help="The check: double or residual.")] = "double",
    substations: Annotated[int, typer.Option(help="So many package the network.")] = 2,
    fee: Annotated[int, typer.Option(help="Of a right result, in whole units.")] = 1,
    centre_cost: Annotated[int, typer.Option(help="Of the data centre, in whole units.")] = 5,
    timeout_s: Annotated[
        float, typer.Option("--timeout", help="Seconds that a process may work.")
    ] = 30.0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the ledger; out/outsource-N when left out.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the simulated keys.")] = FIRST_SEED,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Have a flow traced by processes that nobody trusts [SUN23], arbitrated on a ledger.

    Example: `gridpact outsource flow.json --providers honest,zeros,honest --out out/traced`, then
    `gridpact audit out/traced`
    """
    from gridpact.inputs.flow_series import Intensities, parse_factor
    from gridpact.inputs.solved_flow_reference import Asked, load_flow_series
    from gridpact.model.trace_jobs import TraceMode
    from gridpact.pipeline.outsourced import JobTerms, outsource_on_ledger
    from gridpact.studies.lying_clouds import command_of

    behaviours = [each.strip() for each in providers.split(",")]
    _refuse(behaviours, mode, substations, fee, centre_cost, timeout_s)
    target = _target(out)
    factors = dict(parse_factor(text) for text in factor or [])
    series = load_flow_series(file, Asked(), Intensities(factors, None))
    if series.many:
        message = f"{file} has several snapshots, and one is handed out; give a file of one"
        raise InputError([Problem("FILE", message)])
    found = next(series.parts)
    done = outsource_on_ledger(
        found.flow,
        _intensities(found.flow, found.low_t_per_mwh, found.high_t_per_mwh),
        [command_of(behaviour) for behaviour in behaviours],
        substations,
        target,
        JobTerms(
            TraceMode.DOUBLE if mode == "double" else TraceMode.RESIDUAL,
            fee * NANO,
            centre_cost * NANO,
            timeout_s,
        ),
        seed,
    )
    shown = _result(file, behaviours, done)
    if as_json:
        print_json(shown)
        return
    _print(shown)


def _refuse(
    behaviours: list[str], mode: str, substations: int, fee: int, cost: int, timeout_s: float
) -> None:
    """Say everything that is wrong with the options."""
    from gridpact.model.trace_jobs import PROVIDERS_MAX, SUBSTATIONS_MAX
    from gridpact.studies.lying_clouds import KINDS

    known = ["honest", *KINDS]
    problems = [
        Problem("--providers", f"{each!r} is not one of: {', '.join(known)}")
        for each in behaviours
        if each not in known
    ]
    if mode not in MODES:
        problems.append(Problem("--mode", f"{mode!r} is not one of: {', '.join(MODES)}"))
    for option, number, low, high in (
        ("--providers", len(behaviours), 1, PROVIDERS_MAX),
        ("--substations", substations, 1, SUBSTATIONS_MAX),
        ("--fee", fee, 0, 1_000_000),
        ("--centre-cost", cost, 0, 1_000_000),
        ("--timeout", timeout_s, 0.1, 3_600),
    ):
        if not low <= number <= high:
            problems.append(Problem(option, f"{number} is not in {low}..{high}"))
    if problems:
        raise InputError(problems)


def _target(out: Path | None) -> Path:
    if out is None:
        number = 1
        while (found := Path("out") / f"outsource-{number}").exists():
            number += 1
        return found
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError([Problem("--out", f"{out} is not empty; name another")])
    return out


def _intensities(flow: SolvedFlow, lowest: FloatArray, highest: FloatArray) -> list[float]:
    """One number for each source of the first snapshot; 0 for what is off."""
    rows = zip(
        flow.network.source_ids,
        flow.p_source_mw[0].tolist(),
        lowest[0].tolist(),
        highest[0].tolist(),
        strict=True,
    )
    problems, numbers = [], []
    for name, p_mw, low, high in rows:
        if p_mw > 0.0 and low != high:
            problems.append(Problem(f"source {name}", f"{low}..{high} t/MWh; give one number"))
        numbers.append(low if p_mw > 0.0 else 0.0)
    if problems:
        raise InputError(problems)
    return numbers


def _result(file: str, behaviours: list[str], done: OutsourcedRun) -> dict[str, object]:
    """Everything that happened, as JSON has it."""
    job = done.job
    names = job.terms.providers
    return {
        "file": file,
        "job": done.key,
        "providers": dict(zip(names, behaviours, strict=True)),
        "steps": [
            {
                "phase": step.phase,
                "state": step.state.name.lower(),
                "waits_for": step.need.name.lower(),
            }
            for step in done.steps
        ],
        "runs": [
            {
                "run": place,
                "provider": run.provider,
                "result": run.result.hex() or None,
                "right": done.right[place],
                "stands": place == job.stands,
            }
            for place, run in enumerate(job.runs)
        ],
        "payments": [
            {"payer": paid.payer, "payee": paid.payee, "amount_nano": paid.amount_nano}
            for paid in job.payments
        ],
        "accounts": [
            {
                "account": name,
                "gained_nano": gained,
                "strikes": job.strikes.count(name),
                "blacklisted": name in done.standings and done.standings[name].back_in_cycle > 0,
            }
            for name, gained in done.gained_nano.items()
        ],
        "sum_of_accounts_nano": done.residual_nano,
        "load_t_per_h": done.load_t_per_h,
        "loss_t_per_h": done.loss_t_per_h,
        "rates_hash": job.rates.hex() or None,
        "folder": str(done.folder),
    }


def _print(shown: dict[str, object]) -> None:
    for name in ("steps", "runs", "payments", "accounts"):
        rows = shown[name]
        if not isinstance(rows, list) or not rows:
            continue
        lines = [list(rows[0])]
        lines += [[_cell(key, value) for key, value in row.items()] for row in rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        typer.echo(name)
        for line in lines:
            cells = [f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)]
            typer.echo("  " + "  ".join(cells).rstrip())
    typer.echo(f"sum of all accounts {shown['sum_of_accounts_nano']} nano")
    loads, losses = shown["load_t_per_h"], shown["loss_t_per_h"]
    typer.echo(f"carbon of loads {loads:.6f} t/h, of losses {losses:.6f} t/h")
    folder = shown["folder"]
    typer.echo(f"check it with: gridpact audit {folder}")
    typer.echo(f"prove it with: gridpact prove {folder} --state {shown['job']} -o job.proof")


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if name == "result":
        return str(value)[:12]
    return f"{value:,}" if name.endswith("_nano") else str(value)
