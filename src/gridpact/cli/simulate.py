"""`simulate`: the consensus fuzzer."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import EXIT_FAILED_CHECK, print_json, progress_bar
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from gridpact.sim import Finding, Report, Request

SEEDS_MAX = 10_000_000
SHOWN_MAX = 20
"""Findings of one sort that are printed; `--json` has all."""


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(simulate)


def simulate(
    protocol: Annotated[str, typer.Argument(help="raft, weighted-raft or flexible-raft.")],
    profile: Annotated[
        str, typer.Option(help="hardened, or paper: faithful to the text, flaws included.")
    ] = "hardened",
    seeds: Annotated[str, typer.Option(help="A:B, from A up to but without B.")] = "0:100",
    faults: Annotated[
        str | None, typer.Option(help="Kinds of faults that may happen, by comma; or none.")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Of the schedule only these actions, by comma; or none.")
    ] = None,
    stop_ms: Annotated[
        int | None, typer.Option(min=1, help="Heal everything after so much simulated time.")
    ] = None,
    twins: Annotated[
        bool, typer.Option("--twins", help="One voter runs twice with one key: it lies.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Try to break a protocol: seeds times faults, every property checked at every step.

    Example: `gridpact simulate weighted-raft --seeds 0:500`
    """
    from gridpact.sim import simulate as run_seeds

    request, first, end = _request(protocol, profile, seeds, faults, keep, stop_ms, twins)
    with progress_bar("simulating", quiet=as_json) as progress:
        report = run_seeds(request, first, end, progress=progress)
    if as_json:
        print_json(_facts(report))
    else:
        _print(report)
    if report.violations or report.liveness_failures:
        sys.exit(EXIT_FAILED_CHECK)


def _request(
    protocol: str,
    profile: str,
    seeds: str,
    faults: str | None,
    keep: str | None,
    stop_ms: int | None,
    twins: bool,
) -> tuple[Request, int, int]:
    """What was asked for, and the range of seeds.

    Raises:
        InputError: all that is wrong with it.
    """
    from gridpact.consensus.raft import Profile
    from gridpact.sim import KINDS, PROTOCOLS, Request

    problems = []
    profiles = [known.value for known in Profile]
    if protocol not in PROTOCOLS:
        problems.append(Problem("simulate", f"{protocol!r} is not one of: {', '.join(PROTOCOLS)}"))
    if profile not in profiles:
        problems.append(Problem("--profile", f"{profile!r} is not one of: {', '.join(profiles)}"))
    first, end = _range(seeds, problems)
    kinds = None if faults is None else _names(faults)
    problems += [
        Problem("--faults", f"{kind!r} is not one of: {', '.join(KINDS)}")
        for kind in kinds or ()
        if kind not in KINDS
    ]
    kept = None if keep is None else _names(keep)
    problems += [
        Problem("--keep", f"{number!r} is no number of an action; give numbers from 0, or none")
        for number in kept or ()
        if not number.isdecimal()
    ]
    if problems:
        raise InputError(problems)
    numbers = None if kept is None else tuple(int(number) for number in kept)
    return Request(protocol, Profile(profile), kinds, numbers, stop_ms, twins), first, end


def _range(seeds: str, problems: list[Problem]) -> tuple[int, int]:
    first, colon, end = seeds.partition(":")
    if not (colon and first.isdecimal() and end.isdecimal() and first.isascii() and end.isascii()):
        problems.append(Problem("--seeds", f"{seeds!r} is not A:B with whole numbers, as in 0:100"))
        return 0, 0
    if not int(first) < int(end):
        problems.append(Problem("--seeds", f"{seeds!r} is empty; the end must be above the start"))
    elif int(end) - int(first) > SEEDS_MAX:
        problems.append(Problem("--seeds", f"{seeds!r} is more than {SEEDS_MAX} seeds"))
    return int(first), int(end)


def _names(text: str) -> tuple[str, ...]:
    """Names by comma; `none` is none."""
    return () if text == "none" else tuple(name.strip() for name in text.split(","))


def _facts(report: Report) -> dict[str, object]:
    """The keys that other tools rely on, and what else is known."""
    return {
        "protocol": report.request.protocol,
        "profile": report.request.profile.value,
        "seeds": [report.first, report.end],
        "messages": report.messages,
        "messages_per_s": report.messages / report.seconds,
        "elections": report.elections,
        "decided": report.decided,
        "acknowledged": report.acknowledged,
        "healed_timeouts_max": report.healed_units_max,
        "violations": [_finding(finding) for finding in report.violations],
        "liveness_failures": [_finding(finding) for finding in report.liveness_failures],
        "outside_model": [_finding(finding) for finding in report.outside_model],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "seed": finding.seed,
        "property": finding.property,
        "words": finding.words,
        "replay": finding.replay,
        "shrunk": finding.shrunk,
        "schedule": list(finding.schedule),
    }


def _print(report: Report) -> None:
    request = report.request
    typer.echo(
        f"{request.protocol} ({request.profile.value}), seeds {report.first}:{report.end}: "
        f"{report.messages:,} messages, {report.messages / report.seconds:,.0f}/s, "
        f"{report.elections:,} elections, {report.decided:,} decided, "
        f"{report.acknowledged:,} acknowledged"
    )
    for words, found in (
        ("violations", report.violations),
        ("not live after healing", report.liveness_failures),
        ("broken by a liar, outside what the protocol tolerates", report.outside_model),
    ):
        if words == "violations" or found:
            typer.echo(f"{words}: {len(found)}")
        for finding in found[:SHOWN_MAX]:
            typer.echo(f"  seed {finding.seed}: {finding.property}: {finding.words}")
            typer.echo(f"    {finding.replay}")
            if finding.shrunk:
                typer.echo(f"    {finding.shrunk}")
            for action in finding.schedule:
                typer.echo(f"      {action}")
        if len(found) > SHOWN_MAX:
            typer.echo(f"  and {len(found) - SHOWN_MAX} more; --json has all")
