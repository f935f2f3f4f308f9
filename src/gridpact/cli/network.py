"""`devnet`, `node`, `signer`, `load`: validators in processes, one by one or together."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gridpact.cli.output import print_json
from gridpact.errors import InputError, Problem

if TYPE_CHECKING:
    from msgspec import Struct
    from rich.table import Table

    from gridpact.node.devnet import Devnet
    from gridpact.node.door import NodeStatus, RemoteEngine

ENGINES = ("raft", "weighted-raft", "cometbft")
VALIDATORS_MAX = 16
DOOR_WAITS_S = 10.0
LOOK_S = 1.0
"""How often the table is drawn anew."""

signer = typer.Typer(help="The process that signs for a validator, and its keys.")


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(devnet)
    app.command()(node)
    app.command()(load)
    signer.command()(allow)
    signer.command()(show)
    signer.command()(passphrase)
    signer.command()(rotate)
    signer.command()(accept)
    app.add_typer(signer, name="signer")


def devnet(
    out: Annotated[Path, typer.Option(help="Folder of the network, made when absent.")] = Path(
        "out/devnet"
    ),
    engine: Annotated[
        str, typer.Option(help=f"What orders transactions: {', '.join(ENGINES)}.")
    ] = "raft",
    validators: Annotated[int, typer.Option(help=f"How many, up to {VALIDATORS_MAX}.")] = 3,
    replace: Annotated[
        bool, typer.Option("--replace", help="Remove an earlier network in --out first.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Validators record what `gridpact replay` plays again.")
    ] = False,
    seconds: Annotated[
        float | None, typer.Option(help="Stop by itself after so long; else with Ctrl-C.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No table; one JSON object at the end.")
    ] = False,
) -> None:
    """Run a network of validators on this machine, with a live table.

    Its keys are unprotected and its parties simulated: for trying out. A network that is there
    already goes on. Put load on it from another terminal with `gridpact load`.

    Example: `gridpact devnet --validators 4 --engine weighted-raft`
    """
    problems = []
    if engine not in ENGINES:
        problems.append(Problem("--engine", f"{engine!r} is not one of: {', '.join(ENGINES)}"))
    if not 1 <= validators <= VALIDATORS_MAX:
        problems.append(Problem("--validators", f"{validators} is not in 1..{VALIDATORS_MAX}"))
    if seconds is not None and not seconds > 0:
        problems.append(Problem("--seconds", f"{seconds} is not above 0"))
    if trace and engine == "cometbft":
        problems.append(Problem("--trace", "only Rafts are recorded; choose --engine raft"))
    if trace and not replace and out.exists() and any(out.iterdir()):
        text = f"{out} is a network already; --replace it, or set trace in each node.json"
        problems.append(Problem("--trace", text))
    if problems:
        raise InputError(problems)
    from gridpact.studies.load import found_network, load_network

    if replace and out.exists():
        found_network(out)  # refuses to remove what is no network
        shutil.rmtree(out)
    if out.exists() and any(out.iterdir()):
        network = found_network(out)
    else:
        network = load_network(out, engine, validators, trace=trace)
    asyncio.run(_watch(network, seconds, quiet=as_json))


async def _watch(network: Devnet, seconds: float | None, *, quiet: bool) -> None:
    """Run the network and show it until it is to stop."""
    from rich.console import Console
    from rich.live import Live

    network.start()
    statuses: list[NodeStatus | None] = []
    loop = asyncio.get_running_loop()
    console = Console(stderr=quiet, quiet=quiet)
    try:
        engine = await network.connect()
        await engine.close()
        ends = None if seconds is None else loop.time() + seconds
        with Live(console=console, auto_refresh=False) as live:
            while ends is None or loop.time() < ends:
                before = statuses
                statuses = [await network.status(name) for name in network.homes]
                live.update(_table(network, statuses, before), refresh=True)
                await asyncio.sleep(LOOK_S)
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass
    finally:
        await asyncio.shield(asyncio.to_thread(network.stop))
    if quiet:
        print_json(
            {
                name: None
                if status is None
                else {"height": status.height, "record_hash": status.record.hex()}
                for name, status in zip(network.homes, statuses, strict=False)
            }
        )
    else:
        console.print("stopped; start it again with the same command")


def _table(
    network: Devnet, statuses: list[NodeStatus | None], before: list[NodeStatus | None]
) -> Table:
    from rich.table import Table

    engines = {status.engine for status in statuses if status is not None}
    title = f"{', '.join(sorted(engines)) or 'starting'} · {len(statuses)} validators"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("validator", "role"):
        table.add_column(name)
    for name in ("term", "height", "blocks/s", "waiting"):
        table.add_column(name, justify="right")
    table.add_column("record")
    earlier = dict(zip(network.homes, before, strict=False))
    for name, status in zip(network.homes, statuses, strict=True):
        if status is None:
            up = name in network.running
            table.add_row(name, "starting" if up else "down", "", "", "", "", "")
            continue
        last = earlier.get(name)
        rate = "" if last is None else f"{(status.height - last.height) / LOOK_S:.0f}"
        role = "validator"
        if status.term:
            role = "leader" if status.leader == name else "follower"
        table.add_row(
            name,
            role,
            str(status.term or ""),
            f"{status.height:,}",
            rate,
            f"{status.waiting:,}",
            status.record.hex()[:16],
        )
    return table


def node(
    home: Annotated[Path, typer.Argument(help="Folder of a validator.")],
) -> None:
    """Run one validator until it is asked to end.

    Its log goes to standard error. `docs/network.md` says what is in its folder.

    Example: `gridpact node out/devnet/validator-1`
    """
    if not (home / "node.json").is_file():
        raise InputError([Problem(str(home), "holds no validator (node.json expected)")])
    from gridpact.node.devnet import serve_home
    from gridpact.node.logs import log_as_json

    log_as_json()
    asyncio.run(serve_home(home))


def load(
    network: Annotated[Path, typer.Argument(help="Folder of a network that `devnet` runs.")] = Path(
        "out/devnet"
    ),
    orders: Annotated[int, typer.Option(help="How many signed orders.")] = 20_000,
    clients: Annotated[int, typer.Option(help="Who hand in at the same time.")] = 4,
    batch: Annotated[int, typer.Option(help="Orders that each hands in at a time.")] = 250,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Hand signed orders in at a running network, and say how fast they became durable.

    Example: `gridpact load out/devnet --orders 50000`
    """
    from gridpact.studies.load import ORDERS_MAX, found_network, put_load, workload_of

    problems = [
        Problem(f"--{field}", f"{value} is not in 1..{most}")
        for field, value, most in (
            ("orders", orders, ORDERS_MAX),
            ("clients", clients, 1_000),
            ("batch", batch, 10_000),
        )
        if not 1 <= value <= most
    ]
    if problems:
        raise InputError(problems)
    found = found_network(network)

    async def run() -> dict[str, object]:
        from gridpact.node.door import RemoteEngine

        engine = await _within(RemoteEngine.connect(found.doors), network)
        try:
            workload = await workload_of(found, engine)
            if workload.room() < orders:
                text = f"{orders} is more than the {workload.room()} left; make a new network"
                raise InputError([Problem("--orders", text)])
            result = await put_load(engine, workload.orders(orders), clients=clients, batch=batch)
        finally:
            await engine.close()
        return {
            "accepted": result.accepted,
            "refused": result.refused,
            "seconds": round(result.seconds, 3),
            "orders_per_s": round(result.per_s, 1),
            "latency_p50_ms": round(result.latency_ms(50), 2),
            "latency_p99_ms": round(result.latency_ms(99), 2),
        }

    figures = asyncio.run(run())
    if as_json:
        print_json(figures)
        return
    for name, value in figures.items():
        typer.echo(f"{name:<16} {value:>12,}")


async def _within(connecting: Coroutine[Any, Any, RemoteEngine], network: Path) -> RemoteEngine:
    try:
        return await asyncio.wait_for(connecting, DOOR_WAITS_S)
    except TimeoutError as error:
        text = f"no validator answers; start them with `gridpact devnet --out {network}`"
        raise InputError([Problem(str(network), text)]) from error


def allow(
    home: Annotated[Path, typer.Argument(help="Folder of a validator that was restored.")],
) -> None:
    """Let a validator take part again whose data were restored from an older copy.

    It stays without a vote until it has everything that it had confirmed before. Do this only when
    no other copy of the validator runs.

    Example: `gridpact signer allow out/devnet/validator-2`
    """
    from gridpact.node.signing import allow as allow_signer

    allowed = allow_signer(_signer_folder(home))
    first, second = allowed.reach
    typer.echo(f"allowed: it votes again once it has come to ({first}, {second}) again")


def show(
    home: Annotated[Path, typer.Argument(help="Folder of a validator.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Show a signer's key and how far it has signed.

    Example: `gridpact signer show out/devnet/validator-2`
    """
    from gridpact.node.signing import show as show_signer

    shown = show_signer(_signer_folder(home))
    facts = {
        "name": shown.settings.name,
        "kind": shown.settings.kind.value,
        "public_key": shown.public.hex(),
        "position": _as_shown(shown.position),
        "behind": None if shown.behind is None else _as_shown(shown.behind),
        "allowed": None if shown.allowed is None else _as_shown(shown.allowed),
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        typer.echo(f"{name:<12} {'no' if value is None else value}")


def passphrase(
    home: Annotated[Path, typer.Argument(help="Folder of a validator that does not run.")],
) -> None:
    """Seal a validator's key with a passphrase, or with another one.

    Give it to the validator in GRIDPACT_PASSPHRASE, or in a file: `docs/network.md`.

    Example: `gridpact signer passphrase out/devnet/validator-2`
    """
    from gridpact.node.signing import reseal

    reseal(_signer_folder(home), lambda question: getpass.getpass(f"{question}: "))
    typer.echo("sealed")


def rotate(
    home: Annotated[Path, typer.Argument(help="Folder of a Raft validator.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="File for the statement.")] = Path(
        "rotation.json"
    ),
) -> None:
    """Make a validator's next key, and a statement about it that its present key signs.

    Nothing changes yet: every validator, this one last, takes it with `gridpact signer accept`.

    Example: `gridpact signer rotate out/devnet/validator-2 -o rotation.json`
    """
    import msgspec

    from gridpact.files import write_atomically
    from gridpact.node.signing import add_key, show

    folder = _signer_folder(home)
    if show(folder).settings.kind.value != "raft":
        text = "CometBFT's validators are changed on its chain, not here"
        raise InputError([Problem(str(home), text)])
    secret = os.environ.get("GRIDPACT_PASSPHRASE")
    rotation = add_key(folder, None if secret is None else secret.encode())
    write_atomically(out, msgspec.json.encode(rotation) + b"\n")
    typer.echo(f"{out}: key {rotation.number} is {rotation.new_public.hex()}")


def accept(
    home: Annotated[Path, typer.Argument(help="Folder of a Raft validator that does not run.")],
    statement: Annotated[Path, typer.Argument(help="What `gridpact signer rotate` wrote.")],
) -> None:
    """Know a validator by its new key from the next start on.

    Example: `gridpact signer accept out/devnet/validator-1 rotation.json`
    """
    import msgspec

    from gridpact.node.raft import accept_rotation
    from gridpact.node.signing import Rotation

    try:
        rotation = msgspec.json.decode(statement.read_bytes(), type=Rotation)
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(
            [Problem(str(statement), f"no statement of a new key: {error}")]
        ) from error
    typer.echo(f"{accept_rotation(home, rotation)} has a new key for {home}")


def _as_shown(value: Struct) -> dict[str, object]:
    """Fields by name, bytes in hexadecimal."""
    fields = {name: getattr(value, name) for name in value.__struct_fields__}
    return {name: v.hex() if isinstance(v, bytes) else v for name, v in fields.items()}


def _signer_folder(home: Path) -> Path:
    return home / "signer" if (home / "signer").is_dir() else home
