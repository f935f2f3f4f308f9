"""`bench`: figures with the naive baseline of the same run beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem

DAYS_MAX = 365
BENCHES = (
    "clearing",
    "nash",
    "ledger",
    "powerflow",
    "agents",
    "simulator",
    "day",
    "network",
    "latency",
    "verify",
    "tracing",
    "outsourcing",
)


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(bench)


def bench(
    name: Annotated[
        str | None, typer.Argument(help=f"One of {', '.join(BENCHES)}; all when left out.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(help="Of `bench day`: trade this many days; 365 is a year.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Measure speed; absolute figures depend on the machine, ratios less.

    Example: `gridpact bench clearing` or `gridpact bench day --days 30`
    """
    problems = []
    if name is not None and name not in BENCHES:
        problems.append(Problem("bench", f"{name!r} is not one of: {', '.join(BENCHES)}"))
    if days is not None and name != "day":
        problems.append(Problem("--days", "has no meaning here; allowed: with `bench day` only"))
    if days is not None and not 1 <= days <= DAYS_MAX:
        problems.append(Problem("--days", f"{days} is not in 1..{DAYS_MAX}"))
    if problems:
        raise InputError(problems)
    from gridpact.studies.bench_agents import bench_agents
    from gridpact.studies.bench_clearing import bench_clearing
    from gridpact.studies.bench_day import bench_day
    from gridpact.studies.bench_ledger import bench_ledger
    from gridpact.studies.bench_nash import bench_nash
    from gridpact.studies.bench_network import bench_latency, bench_network
    from gridpact.studies.bench_outsourcing import bench_outsourcing
    from gridpact.studies.bench_powerflow import bench_powerflow
    from gridpact.studies.bench_simulator import bench_simulator
    from gridpact.studies.bench_tracing import bench_tracing
    from gridpact.studies.bench_verify import bench_verify

    runs: dict[str, Callable[[], Mapping[str, Mapping[str, object]]]] = {
        "clearing": bench_clearing,
        "nash": bench_nash,
        "ledger": bench_ledger,
        "powerflow": bench_powerflow,
        "agents": bench_agents,
        "simulator": bench_simulator,
        "day": partial(bench_day, 1 if days is None else days),
        "network": bench_network,
        "latency": bench_latency,
        "verify": bench_verify,
        "tracing": bench_tracing,
        "outsourcing": bench_outsourcing,
    }
    results: dict[str, dict[str, object]] = {}
    for chosen in BENCHES if name is None else (name,):
        measured = runs[chosen]()
        results.update({f"{chosen} {case}": dict(figures) for case, figures in measured.items()})
    if as_json:
        print_json(results)
        return
    for case, figures in results.items():
        typer.echo(case)
        for key, value in figures.items():
            typer.echo(f"  {key:<24} {_shown(value):>14}")


def _shown(value: object) -> str:
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
