"""Everything that a ledger holds of one participant, in named fields, for that participant.

Salts and the secret are part of it: with them the participant can open its commitments and check
its proofs. Whoever else gets the file can do so too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path

from gridpact.codec import CodecError, Wire, decode, encode
from gridpact.contracts import KINDS
from gridpact.contracts.bodies import Kind
from gridpact.contracts.genesis import genesis_hash
from gridpact.contracts.keys import OF_A_SLOT, closure_key, metering_key, party_key
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger import Document, Entry, owner_of
from gridpact.ledger.blocks import record_hash
from gridpact.ledger.envelope import SALT_BYTES, open_payload
from gridpact.model import BillLine, CarbonLine, Metering, Party, Role, Verdict
from gridpact.node.personal import OwnTransaction, require_participant, transactions_about
from gridpact.node.store import LedgerStore

EXPORT_VERSION = 1
UNITS = {
    "_nano": "10^-9 of the currency, + in the participant's favour",
    "_micro_per_kwh": "10^-6 of the currency per kWh; a price_sum is twice the price",
    "_wh": "watt-hours",
    "_ug": "micrograms of CO2",
    "_s": "seconds since 1970-01-01 UTC",
    "_ms": "milliseconds since 1970-01-01 UTC",
    "bytes": "hexadecimal",
    "commitment": "sha256(salt || canonical value), as the state tree holds it under the key",
}


def export_participant(folder: Path, participant: str) -> dict[str, object]:
    """What `gridpact export` writes; equal for equal ledgers.

    Args:
        folder: the ledger.
        participant: its id; what is left when it was forgotten.
    Raises:
        InputError: no such participant; names those there are.
        StoreError: something stored cannot be read.
    """
    store = LedgerStore.open(folder, writable=False)
    try:
        with store.one_moment():
            entries = dict(store.entries())
            require_participant(entries, participant)
            tip = store.tip()
            if tip is None:
                raise InputError([Problem(str(folder), "has no block yet; nothing to export")])
            own = sorted(key for key in entries if "/" in key and owner_of(key) == participant)
            about = transactions_about(store, entries, participant)
            return {
                "format": "gridpact-export",
                "version": EXPORT_VERSION,
                "participant": participant,
                "chain": store.genesis.chain,
                "genesis": genesis_hash(store.genesis).hex(),
                "height": tip[0],
                "record": record_hash(store.record(tip[0])).hex(),
                "currency": store.genesis.currency,
                "units": UNITS,
                "party": _party(entries, participant),
                "meters": _meters(entries, participant),
                "closure": _value(entries, closure_key(participant)),
                "account": _one(entries, f"account/{participant}"),
                "secret": _one(entries, f"secret/{participant}"),
                "bills": list(_with_lines(store, entries, own, "bill")),
                "credit_notes": list(_with_lines(store, entries, own, "credit")),
                "carbon_statements": list(_with_lines(store, entries, own, "carbon")),
                "carbon_stores": [
                    _opened(key, entries[key]) for key in own if key.startswith("carbon-store/")
                ],
                "open_positions": [
                    _opened(key, entries[key]) for key in own if key.partition("/")[0] in OF_A_SLOT
                ],
                "waiting": [_opened(key, entries[key]) for key in own if key.startswith("claim/")],
                "annual_totals": {
                    year: {f"{kind.name.lower()}_nano": amount for kind, amount in totals.items()}
                    for year, totals in store.annual_totals(participant).items()
                },
                "transactions": [_transaction(transaction) for transaction in about],
            }
    except CodecError as error:
        raise StoreError(f"{folder}: {error}; run `gridpact audit {folder}`") from error
    finally:
        store.close()


def named(value: object) -> object:
    """A value as JSON shows it: fields and enumerations by name, bytes in hexadecimal."""
    if isinstance(value, Wire):
        return {name: named(getattr(value, name)) for name in type(value).__struct_fields__}
    if isinstance(value, list | tuple):
        return [named(item) for item in value]
    if isinstance(value, IntEnum):
        return value.name.lower()
    return value.hex() if isinstance(value, bytes) else value


def _party(entries: Mapping[str, Entry], party: str) -> object:
    """A party with its roles by name."""
    entry = entries.get(party_key(party))
    if entry is None or not isinstance(entry.value, Party):
        return None
    roles = [role.name.lower() for role in Role(entry.value.roles) if role.name]
    return {
        "id": party,
        "public_key": entry.value.public_key.hex(),
        "roles": roles,
        "nonce": entry.value.nonce,
        "since_phase": entry.value.since_phase,
    }


def _meters(entries: Mapping[str, Entry], participant: str) -> list[object]:
    entry = entries.get(metering_key(participant))
    metering = entry.value if entry is not None else None
    if not isinstance(metering, Metering):
        return []
    return [
        {
            "party": _party(entries, meter.meter),
            "reporter": meter.reporter,
            "since_phase": meter.since_phase,
        }
        for meter in metering.meters
    ]


def _value(entries: Mapping[str, Entry], key: str) -> object:
    """A public value; None when there is none."""
    entry = entries.get(key)
    return None if entry is None else named(entry.value)


def _one(entries: Mapping[str, Entry], key: str) -> object:
    """A personal value; None when there is none."""
    entry = entries.get(key)
    return None if entry is None else _opened(key, entry)


def _opened(key: str, entry: Entry) -> dict[str, object]:
    """A personal value with what opens its commitment."""
    return {
        "key": key,
        "salt": entry.salt.hex(),
        "commitment": entry.content().hex(),
        "canonical": encode(entry.value).hex(),
        "value": named(entry.value),
    }


def _with_lines(
    store: LedgerStore, entries: Mapping[str, Entry], own: list[str], what: str
) -> Iterator[dict[str, object]]:
    """Bills, credit notes or carbon statements, each with its lines."""
    line_type = CarbonLine if what == "carbon" else BillLine
    for key in own:
        if key.partition("/")[0] == what:
            lines = [_line(document, line_type) for document in store.documents(key)]
            yield {**_opened(key, entries[key]), "lines": lines}


def _line(document: Document, line_type: type[Wire]) -> dict[str, object]:
    return {
        "salt": document.salt.hex(),
        "canonical": document.data.hex(),
        "value": named(decode(line_type, document.data)),
    }


def _transaction(own: OwnTransaction) -> dict[str, object]:
    """A transaction with its body and, while it is here, its payload."""
    row, envelope = own.row, own.envelope
    payload_type = KINDS[envelope.kind].payload
    payload: object = None
    if payload_type is not None and row.sealed:
        try:
            payload = named(open_payload(payload_type, row.sealed))
        except CodecError:
            payload = "malformed"
    return {
        "id": row.id.hex(),
        "height": row.height,
        "kind": Kind(envelope.kind).name.lower(),
        "sender": envelope.sender,
        "nonce": envelope.nonce,
        "verdict": Verdict(row.verdict).name,
        "body": named(own.body),
        "payload": payload,
        "payload_salt": row.sealed[:SALT_BYTES].hex() if row.sealed else None,
        "payload_removed": bool(envelope.payload_hash) and row.sealed is None,
        "envelope": row.envelope.hex(),
        "sealed": row.sealed.hex() if row.sealed else None,
    }
