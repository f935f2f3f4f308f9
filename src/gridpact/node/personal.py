"""What a ledger holds of one participant: its meters, and the transactions that are about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gridpact.codec import CodecError, Wire, decode
from gridpact.contracts import KINDS, concerns
from gridpact.contracts.bodies import Kind, RegisterMeter
from gridpact.contracts.keys import closure_key, metering_key
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger import Entry
from gridpact.ledger.envelope import Envelope
from gridpact.model import Metering, Verdict
from gridpact.node.tables import LedgerTables, StoredTransaction

NAMED_MAX = 8
"""Participants that an error names."""


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """A transaction that is about a participant."""

    row: StoredTransaction
    envelope: Envelope
    body: Wire


def transactions_about(
    store: LedgerTables, entries: Mapping[str, Entry], participant: str
) -> list[OwnTransaction]:
    """Every transaction that the participant or one of its meters sent, or that names it.

    Args:
        store: the ledger.
        entries: its state.
        participant: an id; the account may be closed.
    Raises:
        StoreError: a stored envelope cannot be read.
    """
    rows = list(_read(store))
    parties = {participant, *_meters_of(store, entries, participant, rows)}
    return [own for own in rows if concerns(own.envelope.sender, own.body, parties)]


def require_participant(entries: Mapping[str, Entry], participant: str) -> None:
    """Refuse an id that never was a participant of the ledger.

    Raises:
        InputError: names those there are.
    """
    if metering_key(participant) in entries or closure_key(participant) in entries:
        return
    known = sorted(
        key.partition("/")[2] for key in entries if key.startswith(("metering/", "closure/"))
    )
    shown = ", ".join(known[:NAMED_MAX]) + (", ..." if len(known) > NAMED_MAX else "")
    text = f"no participant of this ledger; there are: {shown or 'none'}"
    raise InputError([Problem(participant, text)])


def _read(store: LedgerTables) -> Iterator[OwnTransaction]:
    """All transactions, decoded.

    Only a faulty proposer's block holds unreadable ones; they are about nobody.
    """
    for row in store.all_transactions():
        try:
            envelope = decode(Envelope, row.envelope)
            rule = KINDS.get(envelope.kind)
            if rule is None:
                continue
            yield OwnTransaction(row, envelope, decode(rule.body, envelope.public))
        except CodecError as error:
            if row.verdict == Verdict.ACCEPTED:
                raise StoreError(
                    f"{store.folder}: transaction {row.id.hex()}: {error}; run `gridpact audit`"
                ) from error


def _meters_of(
    store: LedgerTables,
    entries: Mapping[str, Entry],
    participant: str,
    rows: list[OwnTransaction],
) -> set[str]:
    """Meters that the participant has or had."""
    found: set[str] = set()
    entry = entries.get(metering_key(participant))
    held = [] if entry is None else [entry.value]
    if (first := store.first_rows().get(metering_key(participant))) is not None:
        held.append(decode(Metering, first))
    for metering in held:
        if isinstance(metering, Metering):
            found |= {meter.meter for meter in metering.meters}
    for own in rows:
        body = own.body
        if own.envelope.kind == Kind.REGISTER_METER and isinstance(body, RegisterMeter):
            subject = f"claim/{own.envelope.sender}/{own.envelope.nonce}"
            if body.owner == participant and store.event_verdict(subject) == Verdict.ACCEPTED:
                found.add(body.meter)
    return found
