"""`audit`, `prove`, `verify`: nobody has to trust whoever keeps the ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gridpact.cli.output import EXIT_FAILED_CHECK, print_json, progress_bar
from gridpact.errors import InputError, Problem
from gridpact.files import write_atomically

if TYPE_CHECKING:
    from gridpact.contracts.statements import Statement
    from gridpact.model import BillLine

LARGEST_PROOF_BYTES = 2**26


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(audit)
    app.command()(prove)
    app.command()(verify)


def audit(
    ledger: Annotated[Path, typer.Argument(help="A ledger folder, or the folder of a run.")],
    root: Annotated[
        str, typer.Option(help="Expected hash of the last block's record, from elsewhere.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Re-execute every block from genesis and compare everything that is stored.

    Signatures, nonces, payload hashes, links, roots, receipts; money, escrow and energy at each
    barrier. Exit code 1 when anything differs.

    Example: `gridpact audit out/demo/ledger`
    """
    from gridpact.node import audit_ledger

    folder = ledger_folder(ledger)
    expected = _hex(root, "--root").hex() if root else ""
    with progress_bar("auditing", quiet=as_json) as progress:
        report = audit_ledger(folder, expected_root=expected, progress=progress)
    if as_json:
        print_json(
            {
                "ok": report.ok,
                "height": report.height,
                "transactions": report.transactions,
                "record_hash": report.record_hash,
                "state_root": report.state_root,
                "market_state_root": report.market_state_root,
                "pruned_payloads": report.pruned_payloads,
                "base_height": report.base_height,
                "first_height": report.first_height,
                "violations": report.violations,
            }
        )
    else:
        for violation in report.violations:
            typer.echo(f"violation: {violation}", err=True)
        verdict = "ok" if report.ok else f"{len(report.violations)} violations"
        blocks = report.height - report.first_height + 1
        how = _how_checked(report.base_height, report.first_height, report.pruned_payloads)
        typer.echo(
            f"audit {verdict}: {blocks} blocks, {report.transactions} transactions "
            f"{how}\nlast record  {report.record_hash}\n"
            f"market root  {report.market_state_root}"
        )
    if not report.ok:
        sys.exit(EXIT_FAILED_CHECK)


def _how_checked(base_height: int, first_height: int, pruned: int) -> str:
    """Which blocks an audit executed, and why it could not execute the others."""
    if not base_height:
        return "replayed from genesis"
    if first_height > base_height:
        return f"replayed from the snapshot of block {base_height}"
    return (
        f"checked, replayed from block {base_height + 1} on; those before by their public parts, "
        f"since {pruned} payloads were removed"
    )


def prove(
    ledger: Annotated[Path, typer.Argument(help="A ledger folder, or the folder of a run.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the proof goes.")],
    bill: Annotated[str, typer.Option(help="A participant's bill with all its lines.")] = "",
    day: Annotated[str, typer.Option(help="Day of the bill, YYYY-MM-DD; the last one.")] = "",
    state: Annotated[str, typer.Option(help="A state key, present or absent.")] = "",
    tx: Annotated[str, typer.Option(help="A transaction id in hexadecimal.")] = "",
) -> None:
    """Write a proof that can be checked offline, without the ledger.

    Example: `gridpact prove out/demo/ledger --bill h0-a-008 -o bill.proof`
    """
    from gridpact.ledger.proofs import proof_bytes
    from gridpact.node import LedgerStore, prove_bill, prove_state, prove_transaction

    asked = [name for name, value in (("--bill", bill), ("--state", state), ("--tx", tx)) if value]
    if len(asked) != 1:
        raise InputError(
            [Problem("prove", f"give one of --bill, --state, --tx; found {asked or 'none'}")]
        )
    store = LedgerStore.open(ledger_folder(ledger), writable=False)
    try:
        if bill:
            proof = prove_bill(store, bill, day)
        elif state:
            proof = prove_state(store, state)
        else:
            proof = prove_transaction(store, _hex(tx, "--tx"))
        tip = store.tip()
    finally:
        store.close()
    write_atomically(output, proof_bytes(proof))
    from gridpact.codec import decode
    from gridpact.ledger.blocks import Record, record_hash

    root = record_hash(decode(Record, proof.record)).hex()
    at_tip = "" if tip is not None and tip[1].hex() == root else " (an earlier block)"
    typer.echo(f"wrote {output}\ncheck it with: gridpact verify {output} --root {root}{at_tip}")


def verify(
    proof: Annotated[Path, typer.Argument(help="A file that `prove` wrote.")],
    root: Annotated[str, typer.Option(help="Hash of the block's record, from a source you trust.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check a proof offline and say what it proves. Exit code 1 when it proves nothing.

    Example: `gridpact verify bill.proof --root 5f1c...`
    """
    from gridpact.contracts.statements import open_claim
    from gridpact.ledger.proofs import ProofError, check_proof, read_proof
    from gridpact.model import Verdict

    wanted = _hex(root, "--root")
    try:
        if proof.stat().st_size > LARGEST_PROOF_BYTES:
            raise InputError([Problem(str(proof), f"is above {LARGEST_PROOF_BYTES} bytes")])
        data = proof.read_bytes()
    except OSError as error:
        raise InputError([Problem(str(proof), f"cannot be read: {error.strerror}")]) from error
    try:
        proved = check_proof(read_proof(data), wanted)
        statement = open_claim(proved.state) if proved.state is not None else None
    except ProofError as error:
        if as_json:
            print_json({"ok": False, "reason": str(error)})
        else:
            typer.echo(f"proof REFUSED: {error}", err=True)
        sys.exit(EXIT_FAILED_CHECK)
    facts: dict[str, object] = {"ok": True, "height": proved.record.height}
    if statement is not None:
        facts["key"] = statement.key
        facts["value"] = _plain(statement.value)
        facts["lines"] = [_plain(line) for line in statement.lines]
    if proved.receipt is not None:
        facts["transaction"] = proved.receipt.transaction.hex()
        facts["verdict"] = Verdict(proved.receipt.verdict).name
    if as_json:
        print_json(facts)
        return
    typer.echo(f"proof ok: under record {wanted.hex()} (block {proved.record.height})")
    if statement is not None:
        _print_statement(statement)
    if proved.receipt is not None:
        typer.echo(f"transaction {facts['transaction']} was told {facts['verdict']}")


def _print_statement(statement: Statement) -> None:
    """A proved value in words: money in currency units, energy in Wh, times in UTC."""
    if statement.value is None:
        typer.echo(f"{statement.key} is absent from the state")
        return
    typer.echo(f"{statement.key}:")
    value = statement.value
    for name in type(value).__struct_fields__:
        if name != "frontier":
            field = getattr(value, name)
            label, shown = name, str(_plain(field))
            if name.endswith("_nano"):
                label, shown = name.removesuffix("_nano"), money(field)
            elif name.endswith("_wh"):
                label, shown = name.removesuffix("_wh"), f"{field} Wh"
            typer.echo(f"  {label:<24} {shown:>20}")
    if not statement.lines:
        return
    typer.echo(f"all {len(statement.lines)} lines checked, each with its trade or reading:")
    shown_first, shown_last = statement.lines[:3], statement.lines[3:][-3:]
    for line in shown_first:
        typer.echo(_line_text(line))
    if len(statement.lines) > len(shown_first) + len(shown_last):
        typer.echo("  ... (--json shows all)")
    for line in shown_last:
        typer.echo(_line_text(line))


def _line_text(line: BillLine) -> str:
    from datetime import UTC, datetime

    start = datetime.fromtimestamp(line.slot_start_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"  {start}  {line.kind.name:<13} {line.energy_wh:>8} Wh  {money(line.amount_nano):>16}"
        f"  {line.reference}"
    )


def money(amount_nano: int) -> str:
    """Nano-currency as currency with all nine digits; + is in the participant's favour."""
    whole, nano = divmod(abs(amount_nano), 10**9)
    return f"{'-' if amount_nano < 0 else '+'}{whole}.{nano:09d}"


def _plain(value: object) -> object:
    """A value as JSON shows it: structs by field name, bytes in hexadecimal."""
    from gridpact.codec import Wire

    if isinstance(value, Wire):
        return {name: _plain(getattr(value, name)) for name in type(value).__struct_fields__}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def ledger_folder(path: Path) -> Path:
    """The ledger itself when the folder of a run was named."""
    return path / "ledger" if (path / "ledger" / "genesis.json").is_file() else path


def _hex(text: str, option: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise InputError([Problem(option, f"{text!r} is not 64 hexadecimal digits")])
    return data
