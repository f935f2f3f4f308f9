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
    from gridpact.model import BillLine, CarbonLine
    from gridpact.pipeline.retrace import Retraced

CARBON_WORDS = """load, charged, discharged: physical, by the power flow; bought, supplied:
contractual, by contracts and readings. The two answer different questions; do not add them."""
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
    scenario: Annotated[
        str, typer.Option(help="Scenario file or built-in name: trace all carbon again.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Re-execute every block from genesis and compare everything that is stored.

    Signatures, nonces, payload hashes, links, roots, receipts; money, escrow and energy at each
    barrier. With the scenario the power flow of each slot is solved again, and its carbon traced
    again. Exit code 1 when anything differs.

    Example: `gridpact audit out/demo/ledger --scenario rural-day`
    """
    from gridpact.node import audit_ledger

    folder = ledger_folder(ledger)
    expected = _hex(root, "--root").hex() if root else ""
    with progress_bar("auditing", quiet=as_json) as progress:
        report = audit_ledger(folder, expected_root=expected, progress=progress)
    again = _traced_again(folder, scenario) if scenario and report.ok else None
    if again is not None:
        report.violations += again.violations
    if as_json:
        carbon = None if again is None else {"slots": again.slots, "largest_ug": again.largest_ug}
        print_json(
            {
                "carbon_traced_again": carbon,
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
        if again is not None:
            typer.echo(_traced_words(again))
    if not report.ok:
        sys.exit(EXIT_FAILED_CHECK)


def _traced_again(folder: Path, scenario: str) -> Retraced:
    from gridpact.inputs import builtin_scenario, load_scenario
    from gridpact.pipeline.retrace import retrace

    is_file = scenario.endswith(".toml") or Path(scenario).exists()
    return retrace(folder, load_scenario(scenario) if is_file else builtin_scenario(scenario))


def _traced_words(again: Retraced) -> str:
    words = f"carbon traced again in {again.slots} slots, at most {again.largest_ug} ug apart"
    if again.pruned:
        words += f"; members' parts of {again.pruned} allotments were removed"
    return words


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
    carbon: Annotated[str, typer.Option(help="A participant's carbon statement.")] = "",
    day: Annotated[str, typer.Option(help="Day of either, YYYY-MM-DD; the last one.")] = "",
    state: Annotated[str, typer.Option(help="A state key, present or absent.")] = "",
    tx: Annotated[str, typer.Option(help="A transaction id in hexadecimal.")] = "",
) -> None:
    """Write a proof that can be checked offline, without the ledger.

    Example: `gridpact prove out/demo/ledger --bill h0-a-008 -o bill.proof` or
    `gridpact prove out/demo/ledger --carbon h0-a-008 -o carbon.proof`
    """
    from gridpact.ledger.proofs import proof_bytes
    from gridpact.node import LedgerStore, prove_bill, prove_state, prove_transaction
    from gridpact.node.prover import prove_carbon

    options = {"--bill": bill, "--carbon": carbon, "--state": state, "--tx": tx}
    asked = [name for name, value in options.items() if value]
    if len(asked) != 1:
        message = f"give one of {', '.join(options)}; found {', '.join(asked) or 'none'}"
        raise InputError([Problem("prove", message)])
    store = LedgerStore.open(ledger_folder(ledger), writable=False)
    try:
        if bill:
            proof = prove_bill(store, bill, day)
        elif carbon:
            proof = prove_carbon(store, carbon, day)
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
        facts["lines"] = [_plain(line) for line in (*statement.lines, *statement.carbon)]
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
    from gridpact.model import CarbonStatement

    value = statement.value
    for name in type(value).__struct_fields__:
        if name != "frontier":
            field = getattr(value, name)
            label, shown = name, str(_plain(field))
            if name.endswith("_nano"):
                label, shown = name.removesuffix("_nano"), money(field)
            elif name.endswith("_wh"):
                label, shown = name.removesuffix("_wh"), f"{field} Wh"
            elif name.endswith("_ug"):
                label, shown = name.removesuffix("_ug") + " carbon", f"{grams(field)} g"
            typer.echo(f"  {label:<24} {shown:>20}")
    if isinstance(value, CarbonStatement):
        typer.echo(CARBON_WORDS)
    texts = [_line_text(line) for line in statement.lines]
    texts += [_carbon_text(line) for line in statement.carbon]
    if not texts:
        return
    typer.echo(f"all {len(texts)} lines checked:")
    shown_first, shown_last = texts[:3], texts[3:][-3:]
    for text in shown_first:
        typer.echo(text)
    if len(texts) > len(shown_first) + len(shown_last):
        typer.echo("  ... (--json shows all)")
    for text in shown_last:
        typer.echo(text)


def _line_text(line: BillLine) -> str:
    return (
        f"  {_time_text(line.slot_start_s)}  {line.kind.name:<13} {line.energy_wh:>8} Wh  "
        f"{money(line.amount_nano):>16}  {line.reference}"
    )


def _carbon_text(line: CarbonLine) -> str:
    used = line.physical
    return (
        f"  {_time_text(line.slot_start_s)}  used {used.load_wh:>7} Wh {grams(used.load_ug):>14} g"
        f"  bought {line.bought_wh:>6} Wh, from outside {line.supplied_wh:>6} Wh"
    )


def _time_text(time_s: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def grams(carbon_ug: int) -> str:
    """Micrograms as grams with all six digits."""
    whole, ug = divmod(abs(carbon_ug), 10**6)
    return f"{'-' if carbon_ug < 0 else ''}{whole}.{ug:06d}"


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
