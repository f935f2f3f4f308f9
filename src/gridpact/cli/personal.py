"""`export`, `forget`, `snapshot`, `restore`: a participant's data, and states without a past."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.copies import copies_of, delete_copies
from gridpact.cli.ledger import ledger_folder, money
from gridpact.errors import InputError, Problem
from gridpact.files import write_atomically

if TYPE_CHECKING:
    from gridpact.contracts.genesis import Genesis

LARGEST_SNAPSHOT_BYTES = 2**34
LARGEST_GENESIS_BYTES = 2**26

LedgerArgument = Annotated[
    Path, typer.Argument(help="A ledger folder, or the folder of a run.", show_default=False)
]
ParticipantArgument = Annotated[str, typer.Argument(help="Id of the participant.")]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(export)
    app.command()(forget)
    app.command()(snapshot)
    app.command()(restore)


def export(
    participant: ParticipantArgument,
    ledger: LedgerArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the JSON file goes.")],
) -> None:
    """Write everything that a ledger holds of one participant, for that participant.

    Salts and the secret are in it: whoever has the file can open the participant's commitments.

    Example: `gridpact export h0-a-008 out/demo/ledger -o h0-a-008.json`
    """
    from gridpact.node import export_participant

    value = export_participant(ledger_folder(ledger), participant)
    write_atomically(output, json.dumps(value, indent=1).encode() + b"\n")
    typer.echo(f"wrote {output}; it opens commitments, so keep it as you keep your bills")


def forget(
    participant: ParticipantArgument,
    ledger: LedgerArgument,
    seed: Annotated[int, typer.Option(help="Seed of the scenario: the operator's key.")],
    delete: Annotated[
        bool,
        typer.Option("--delete-copies", help="Also delete the run's files that name it."),
    ] = False,
) -> None:
    """Close a participant's account and remove what is about it, for good.

    Its orders, readings, bill lines, salts and secret go; envelopes, commitments and one row of
    totals per year stay. Works on simulated ledgers, whose keys come from the scenario's seed.

    Example: `gridpact forget h0-a-008 out/demo/ledger --seed 7`
    """
    from gridpact.model import LineKind
    from gridpact.node import forget_participant

    folder = ledger_folder(ledger)
    done = forget_participant(folder, participant, seed)
    if done.already:
        typer.echo(f"{participant} was forgotten already; nothing was left to remove")
    else:
        typer.echo(
            f"forgot {participant} at block {done.height}\n"
            f"removed  {done.payloads} payloads with their salts, {done.documents} bill lines, "
            f"{done.state_entries} state entries with the secret\n"
            "kept     envelopes, records and commitments: they are the chain, and tell no value"
        )
    for year, totals in done.totals.items():
        shown = ", ".join(
            f"{LineKind(kind).name.lower()} {money(amount)}" for kind, amount in totals.items()
        )
        typer.echo(f"kept     {year}: {shown}; sums that bookkeeping law asks for")
    copies = copies_of(folder, participant)
    if copies and delete:
        delete_copies(copies)
    for path in copies:
        typer.echo(f"{'deleted ' if delete else 'still names it:'} {path}")
    if copies and not delete:
        typer.echo("delete these files yourself, or run the command again with --delete-copies")


def snapshot(
    ledger: LedgerArgument,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the snapshot goes.")],
) -> None:
    """Write the state after the last block, with which a ledger can begin without a past.

    The private part is in it: keep it as you keep the ledger.

    Example: `gridpact snapshot out/demo/ledger -o demo.snapshot`
    """
    from gridpact.ledger.blocks import record_hash
    from gridpact.node import snapshot_ledger

    data, record = snapshot_ledger(ledger_folder(ledger))
    write_atomically(output, data)
    root = record_hash(record).hex()
    typer.echo(
        f"wrote {output}: block {record.height}, {len(data)} bytes\n"
        f"restore it with: gridpact restore {output} FOLDER --root {root}"
    )


def restore(
    snapshot: Annotated[Path, typer.Argument(help="A file that `snapshot` wrote.")],
    folder: Annotated[Path, typer.Argument(help="The new ledger's folder; empty or absent.")],
    genesis: Annotated[
        Path | None, typer.Option(help="A genesis.json that the chain must have begun with.")
    ] = None,
    root: Annotated[
        str, typer.Option(help="Hash of the block's record, from a source you trust.")
    ] = "",
) -> None:
    """Begin a ledger folder with a snapshot; it goes on from that block.

    Without --root the snapshot is only known to be in itself consistent.

    Example: `gridpact restore demo.snapshot out/again --root 5f1c...`
    """
    from gridpact.ledger.blocks import record_hash
    from gridpact.node import restore_ledger

    data = _bytes_of(snapshot, LARGEST_SNAPSHOT_BYTES)
    expected = None if genesis is None else _genesis_of(genesis)
    record = restore_ledger(data, folder, where=str(snapshot), genesis=expected, root=root)
    typer.echo(f"restored {folder}: block {record.height}, record {record_hash(record).hex()}")
    if not root:
        typer.echo("compare this record with one from a source you trust")


def _genesis_of(path: Path) -> Genesis:
    from gridpact.contracts.genesis import genesis_from_json

    return genesis_from_json(_bytes_of(path, LARGEST_GENESIS_BYTES), str(path))


def _bytes_of(path: Path, largest: int) -> bytes:
    """A file's bytes.

    Raises:
        InputError: it cannot be read, or is larger than `largest` bytes.
    """
    try:
        if path.stat().st_size > largest:
            raise InputError([Problem(str(path), f"is above {largest} bytes")])
        return path.read_bytes()
    except OSError as error:
        raise InputError([Problem(str(path), f"cannot be read: {error.strerror}")]) from error
