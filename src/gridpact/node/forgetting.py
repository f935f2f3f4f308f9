"""Forgetting a participant: close its account, remove what is about it, keep what law asks for.

Two steps, each whole or not at all: a block that closes the account, then the removal of rows,
with the state at that block as the new base. Only then is the database written anew. A crash
anywhere leaves a ledger that audits, and the same command goes on from there.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from gridpact.codec import CodecError, Wire, decode
from gridpact.contracts import Application, Candidate
from gridpact.contracts.bodies import CloseAccount, Kind, MovePhase
from gridpact.contracts.keys import CLOCK, closure_key
from gridpact.errors import InputError, Problem, StoreError, invariant
from gridpact.ledger import Account, Document, Entry, account_key, owner_of
from gridpact.ledger.envelope import Transaction, sign_envelope
from gridpact.model import BillLine, Clock, LineKind, Party, Phase, Role, SlotState, Verdict
from gridpact.node.embedded import catch_up, embedded_state, simulated_time
from gridpact.node.engines import EMBEDDED, stored_engine
from gridpact.node.keys import SimulatedKeys
from gridpact.node.personal import require_participant, transactions_about
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import Forgetting, LedgerStore
from gridpact.node.tables import TOTALS


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed and what is kept."""

    participant: str
    already: bool
    """Nothing was left to remove."""
    height: int
    """Of the last block; execution starts from its state now."""
    payloads: int
    """Payloads of transactions that were removed."""
    documents: int
    """Lines of bills, credit notes and carbon statements that were removed."""
    state_entries: int
    """Personal entries that left the state."""
    totals: dict[str, dict[LineKind, int]]
    """Year -> kind of line -> nano-currency, kept."""


def forget_participant(folder: Path, participant: str, seed: int) -> Forgotten:
    """Close an account on a simulated ledger and remove what is about its owner.

    Args:
        folder: the ledger; nobody else may have it open.
        participant: who is forgotten.
        seed: of the scenario, from which the operator's key comes.
    Raises:
        InputError: no such participant, another seed, an account still in use; nothing was changed.
        StoreError: the disk refused, or another program holds the ledger.
    """
    store = LedgerStore.open(folder)
    try:
        application = Application(store.genesis, embedded_state(store.genesis), verify_signature)
        catch_up(application, store)
        entries = application.state.entries
        require_participant(entries, participant)
        operator, key = _operator(entries, SimulatedKeys(seed), seed)
        left = 0
        if closure_key(participant) not in entries:
            _require_own_blocks(store)
            left = _close(store, application, participant, operator, key)
        return _remove(store, application, participant, left)
    finally:
        store.close()


def _require_own_blocks(store: LedgerStore) -> None:
    """Only the embedded engine's ledger may be given a block here; others are decided together."""
    engine = stored_engine(store)
    if engine != EMBEDDED:
        text = f"the engine {engine} makes its blocks; close the account by a transaction first"
        raise InputError([Problem(str(store.folder), text)])


def _operator(entries: dict[str, Entry], keys: SimulatedKeys, seed: int) -> tuple[str, bytes]:
    """An operator that signs with the key which the seed gives it, and that key."""
    operators = [
        (name.partition("/")[2], entry.value.public_key)
        for name, entry in sorted(entries.items())
        if isinstance(entry.value, Party) and Role.OPERATOR in Role(entry.value.roles)
    ]
    for party, public_key in operators:
        public, signing = keys.pair(party)
        if public == public_key:
            return party, signing
    text = f"{seed} gives no operator of this ledger its key; give the seed of its scenario"
    raise InputError([Problem("--seed", text)])


def _close(
    store: LedgerStore, application: Application, participant: str, operator: str, key: bytes
) -> int:
    """A block that closes the account; how many personal entries left the state with it."""
    before = application.state.entries.copy()
    clock, party = before[CLOCK].value, application.party(operator)
    invariant(isinstance(clock, Clock) and party is not None, "no clock or no operator")
    if not isinstance(clock, Clock) or party is None:
        return 0
    market, start_s = _final_slot(before)
    barrier = MovePhase(market, clock.phase + 1, Phase.FINAL, start_s, 1, 0)
    written: list[tuple[Kind, Wire]] = [
        (Kind.CLOSE_ACCOUNT, CloseAccount(participant, 0)),
        (Kind.PHASE, barrier),
    ]
    candidates = []
    for number, (kind, body) in enumerate(written, start=1):
        raw = sign_envelope(
            genesis_hash=application.genesis_hash,
            signing_key=key,
            sender=operator,
            nonce=party.nonce + number,
            kind=int(kind),
            expiry_s=max(clock.closed_s),
            body=body,
            sealed=b"",
        )
        transaction = application.readable(raw)
        if isinstance(transaction, Transaction):
            candidates.append(Candidate(transaction, b"", party.public_key, True))
    proposal, chosen = application.prepare_proposal(candidates, simulated_time())
    invariant(len(chosen) == len(written), "the closing block was turned away")
    result = application.finalize_block(proposal, list(chosen))
    told = {event.subject: Verdict(event.verdict) for event in result.events}
    verdict = told[f"claim/{operator}/{party.nonce + 1}"]
    if verdict != Verdict.ACCEPTED:
        raise InputError([Problem(participant, _why_not(before, participant, verdict))])
    store.save_block(proposal, chosen, result)
    application.commit(result)
    gone = [name for name, entry in result.changes.items() if entry is None and name in before]
    return sum(before[name].salt != b"" and owner_of(name) == participant for name in gone)


def _final_slot(entries: dict[str, Entry]) -> tuple[str, int]:
    """The last slot that is final: what a bare barrier names."""
    final = [
        (int(key.split("/")[2]), key.split("/")[1])
        for key, entry in entries.items()
        if isinstance(entry.value, SlotState) and entry.value.phase == Phase.FINAL
    ]
    if not final:
        text = "no slot is final yet, so there is no barrier at which an account could be closed"
        raise InputError([Problem("ledger", text)])
    start_s, market = max(final)
    return market, start_s


def _why_not(entries: dict[str, Entry], participant: str, verdict: Verdict) -> str:
    """Why an account cannot be closed, with what was found."""
    entry = entries.get(account_key(participant))
    account = entry.value if entry is not None else None
    slots = sum(
        isinstance(entry.value, SlotState) and entry.value.phase < Phase.FINAL
        for entry in entries.values()
    )
    found = [f"{slots} slots are not final"]
    if isinstance(account, Account):
        found.append(
            f"its account holds {account.available_nano} nano free and "
            f"{account.escrow_nano} nano for orders"
        )
    return (
        f"cannot be forgotten yet: {verdict.name}; {', '.join(found)}. "
        "Settle what it owes and move its slots to final; nothing was changed"
    )


def _remove(store: LedgerStore, application: Application, participant: str, left: int) -> Forgotten:
    """Remove the rows, then whatever bytes are left of them."""
    own = transactions_about(store, application.state.entries, participant)
    payloads = [t.row.seq for t in own if t.row.sealed is not None]
    series = sorted({d.series for d in store.document_owners() if d.owner == participant})
    documents = [document for name in series for document in store.documents(name)]
    in_base = [
        key
        for key, (table, _, _) in store.state_rows("base_state").items()
        if table == "private_base_state" and owner_of(key) == participant
    ]
    already = not (payloads or documents or in_base)
    if not already:
        totals = _annual_totals(store, documents)
        tip = (application.height, application.last_hash)
        store.forget(Forgetting(participant, payloads, totals), tip)
    store.wipe()
    return Forgotten(
        participant,
        already,
        application.height,
        len(payloads),
        len(documents),
        left,
        store.annual_totals(participant),
    )


def _annual_totals(store: LedgerStore, documents: list[Document]) -> dict[str, dict[LineKind, int]]:
    """Sums of bill lines by calendar year of the billing day and by kind, nano-currency.

    Lines are read and not bills: they are still there when the account was closed before.
    """
    totals: dict[str, dict[LineKind, int]] = defaultdict(lambda: dict.fromkeys(TOTALS, 0))
    for document in documents:
        if document.series.startswith("carbon/"):  # no law asks for it
            continue
        try:
            line = decode(BillLine, document.data)
        except CodecError as error:
            raise StoreError(
                f"{store.folder}: a line of {document.series!r}: {error}; run `gridpact audit`"
            ) from error
        year = totals[document.series.split("/")[2].partition("-")[0]]
        if line.kind in year:
            year[line.kind] += line.amount_nano
    return dict(totals)
