"""Writing proofs from a ledger folder."""

from __future__ import annotations

from gridpact.codec import encode
from gridpact.errors import InputError, Problem, StoreError
from gridpact.ledger.blocks import Receipt
from gridpact.ledger.proofs import (
    ProofFile,
    ProvedDocument,
    StateClaim,
    TransactionClaim,
    state_proof,
    transaction_proof,
)
from gridpact.ledger.statemap import StateMap
from gridpact.ledger.trees import inclusion_proof, leaf_hash
from gridpact.node.store import LedgerStore


def prove_state(store: LedgerStore, key: str) -> ProofFile:
    """That a key has its value, or that it is absent, under the last record.

    Raises:
        InputError: the ledger has no block yet.
        StoreError: the stored state does not have the record's root.
    """
    tip = store.tip()
    if tip is None:
        raise InputError([Problem(str(store.folder), "has no block yet; nothing can be proved")])
    record = store.record(tip[0])
    entries = dict(store.entries())
    state_map = StateMap.empty().updated(
        {name.encode(): entry.content() for name, entry in entries.items()}
    )
    if state_map.root != record.market_root:
        raise StoreError(f"{store.folder}: the stored state is damaged; run `gridpact audit`")
    entry = entries.get(key)
    claim = StateClaim(
        key=key,
        salt=b"" if entry is None else entry.salt,
        value=None if entry is None else encode(entry.value),
        path=encode(state_map.prove(key.encode())),
        documents=[ProvedDocument(d.salt, d.data) for d in store.documents(key)],
    )
    return state_proof(record, claim)


def prove_bill(store: LedgerStore, participant: str, day: str) -> ProofFile:
    """A participant's bill of one day with all its lines.

    Args:
        store: the ledger.
        participant: its id.
        day: YYYY-MM-DD; empty for the last bill there is.
    Raises:
        InputError: no such bill; names the days and participants there are.
    """
    return _prove_paper(store, "bill", "bill", participant, day)


def prove_carbon(store: LedgerStore, participant: str, day: str) -> ProofFile:
    """A participant's carbon statement of one day with all its lines; as `prove_bill`."""
    return _prove_paper(store, "carbon", "carbon statement", participant, day)


def _prove_paper(store: LedgerStore, what: str, name: str, participant: str, day: str) -> ProofFile:
    papers = [key.split("/") for key, _ in store.entries() if key.startswith(f"{what}/")]
    days = sorted(found for _, owner, found in papers if owner == participant)
    if not days:
        owners = sorted({owner for _, owner, _ in papers})
        shown = ", ".join(owners[:8]) + (", ..." if len(owners) > 8 else "")
        message = f"{participant!r} has no {name}; participants: {shown or 'none'}"
        raise InputError([Problem(f"--{what}", message)])
    if day and day not in days:
        message = f"{participant} has no {name} of {day!r}; choose of {', '.join(days)}"
        raise InputError([Problem("--day", message)])
    return prove_state(store, f"{what}/{participant}/{day or days[-1]}")


def prove_transaction(store: LedgerStore, transaction_id: bytes) -> ProofFile:
    """That a transaction is in a block, with its receipt.

    Raises:
        InputError: it is in no block.
    """
    found = store.find_transaction(transaction_id)
    if found is None:
        raise InputError([Problem("--tx", f"{transaction_id.hex()} is in no block")])
    height, _ = found
    rows = store.transactions(height)
    index = next(i for i, row in enumerate(rows) if row.id == transaction_id)
    receipts = [encode(Receipt(row.id, row.verdict, row.postings_hash)) for row in rows]
    claim = TransactionClaim(
        envelope=rows[index].envelope,
        receipt=receipts[index],
        index=index,
        envelope_path=inclusion_proof([leaf_hash(row.envelope) for row in rows], index),
        receipt_path=inclusion_proof([leaf_hash(receipt) for receipt in receipts], index),
    )
    return transaction_proof(store.record(height), claim)
