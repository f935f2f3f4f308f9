"""The auditor's replay: every block again from genesis, trusting nothing in the store but bytes.

Signatures, nonces, payload hashes, links, roots and receipts are computed afresh and compared
with what is stored; money, escrow and energy are summed at each barrier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gridpact.codec import CodecError, decode, encode, sha256
from gridpact.contracts import (
    Application,
    BlockResult,
    Candidate,
    Unreadable,
    energy_residual_wh,
    judge_payload,
    unbalanced,
)
from gridpact.errors import InvariantError, StoreError
from gridpact.ledger import Document, Entry
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal, Record, record_hash
from gridpact.ledger.envelope import Transaction
from gridpact.model import SlotState, Verdict
from gridpact.node.embedded import embedded_state
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import LedgerStore, StoredTransaction
from gridpact.node.verifier import VerifierProcess

VIOLATIONS_MAX = 100
"""An audit that has found this many stops looking."""


@dataclass(slots=True)
class AuditReport:
    """What the replay found."""

    height: int = 0
    transactions: int = 0
    record_hash: str = ""
    state_root: str = ""
    market_state_root: str = ""
    pruned_payloads: int = 0
    """Payloads that retention removed; their transactions cannot be executed again."""
    violations: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything stored is what the rules give."""
        return not self.violations


def audit_ledger(
    folder: Path, *, expected_root: str = "", progress: Callable[[int, int], None] | None = None
) -> AuditReport:
    """Re-execute a ledger and compare.

    Args:
        folder: the ledger; it is only read.
        expected_root: hash of the last block's record in hexadecimal, known from elsewhere. Only
            with it can an auditor see that blocks were cut off at the end.
        progress: told (blocks done, blocks in all).
    Raises:
        InputError: no ledger in the folder.
    """
    report = AuditReport()
    try:
        store = LedgerStore.open(folder, writable=False)
    except StoreError as error:
        report.violations.append(str(error))
        return report
    try:
        with store.one_moment():
            asyncio.run(_Replay(store, report).run(progress))
    except (StoreError, InvariantError) as error:
        report.violations.append(f"replay stopped: {error}")
    finally:
        store.close()
    if expected_root and report.record_hash != expected_root.lower():
        report.violations.append(
            f"last record is {report.record_hash or 'missing'}, expected {expected_root.lower()}"
        )
    return report


class _Replay:
    """One pass over the chain."""

    def __init__(self, store: LedgerStore, report: AuditReport) -> None:
        self.store = store
        self.report = report
        self.application = Application(
            store.genesis, embedded_state(store.genesis), verify_signature
        )
        self.documents: dict[str, list[Document]] = {}
        self.counts = {"events": 0, "private_payloads": 0, "private_documents": 0}

    def found(self, text: str) -> None:
        """Note one violation."""
        self.report.violations.append(text)

    async def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Replay all blocks, then compare what is left: state, documents, row counts."""
        self.application.init_chain()
        for text in self.store.damage():
            self.found(text)
        if self.report.violations:
            return
        height = self.store.height()
        verifier = VerifierProcess()
        try:
            for number in range(1, height + 1):
                if not await self._block(number, verifier):
                    return
                if progress is not None:
                    progress(number, height)
        finally:
            await verifier.close()
        self._compare_state()
        self._compare_documents()
        counts = self.store.counts()
        expected = {"blocks": height, "transactions": self.report.transactions, **self.counts}
        for table, count in expected.items():
            if counts[table] != count:
                self.found(f"table {table} has {counts[table]} rows, the replay gives {count}")

    async def _block(self, height: int, verifier: VerifierProcess) -> bool:
        """Replay one block; False when going on makes no sense."""
        where = f"block {height}"
        data = self.store.record_bytes(height)
        if data is None:
            self.found(f"{where}: record is missing")
            return False
        try:
            record = decode(Record, data)
        except CodecError as error:
            self.found(f"{where}: {error}")
            return False
        rows = self.store.transactions(height)
        candidates = await self._candidates(where, rows, verifier)
        proposal = Proposal(
            FORMAT_VERSION,
            height,
            record.time_s,
            self.application.last_hash,
            [row.envelope for row in rows],
        )
        if not self.application.process_proposal(proposal, candidates):
            self.found(f"{where}: contains what no honest replica would have voted for")
        result = self.application.finalize_block(proposal, candidates)
        self._compare_block(where, record, rows, result)
        self._check_balances(where, result)
        self.application.commit(result)
        self.report.height = height
        self.report.transactions += len(rows)
        self.report.record_hash = record_hash(result.record).hex()
        self.report.state_root = result.record.state_root.hex()
        self.report.market_state_root = result.record.market_root.hex()
        return len(self.report.violations) < VIOLATIONS_MAX

    async def _candidates(
        self, where: str, rows: list[StoredTransaction], verifier: VerifierProcess
    ) -> list[Candidate | Unreadable]:
        """Stored bytes as transactions, with signatures checked under the senders' keys."""
        read: list[tuple[StoredTransaction, Transaction | Verdict]] = []
        checks: list[tuple[bytes, bytes, bytes]] = []
        for row in rows:
            transaction = self.application.readable(row.envelope)
            read.append((row, transaction))
            if isinstance(transaction, Transaction):
                party = self.application.party(transaction.envelope.sender)
                key = party.public_key if party is not None else bytes(32)
                checks.append((key, transaction.digest, transaction.envelope.signature))
        answers = iter(zip(checks, await verifier.verify(checks), strict=True))
        candidates: list[Candidate | Unreadable] = []
        for row, transaction in read:
            name = f"{where}, transaction {row.id.hex()[:16]}"
            if not isinstance(transaction, Transaction):
                self.found(f"{name}: {transaction.name}")
                candidates.append(Unreadable(sha256(row.envelope), transaction))
                continue
            sealed = row.sealed if row.sealed is not None else b""
            self.counts["private_payloads"] += bool(transaction.envelope.payload_hash)
            if judge_payload(transaction, sealed, self.application.rules) != Verdict.ACCEPTED:
                self.found(f"{name}: payload is missing or is not the one the envelope names")
            (key, _, _), good = next(answers)
            candidates.append(Candidate(transaction, sealed, key, good))
        return candidates

    def _compare_block(
        self, where: str, record: Record, rows: list[StoredTransaction], result: BlockResult
    ) -> None:
        for name in Record.__struct_fields__:
            stored, computed = getattr(record, name), getattr(result.record, name)
            if stored != computed:
                shown = [v.hex() if isinstance(v, bytes) else v for v in (stored, computed)]
                self.found(f"{where}: {name} is {shown[0]}, the replay gives {shown[1]}")
        for row, receipt in zip(rows, result.receipts, strict=True):
            name = f"{where}, transaction {receipt.transaction.hex()[:16]}"
            if row.id != receipt.transaction:
                self.found(f"{name}: stored under the id {row.id.hex()}")
            if row.verdict != receipt.verdict or row.postings_hash != receipt.postings_hash:
                self.found(f"{name}: the stored receipt is not what execution gives")
        events = [(event.subject, event.verdict) for event in result.events]
        if self.store.events(self.application.height + 1) != events:
            self.found(f"{where}: the stored events are not what execution gives")
        self.counts["events"] += len(events)
        self.counts["private_documents"] += len(result.documents)
        for document in result.documents:
            self.documents.setdefault(document.series, []).append(document)

    def _check_balances(self, where: str, result: BlockResult) -> None:
        """Conservation at the block's barriers."""
        slots = {
            key: entry.value
            for key, entry in result.changes.items()
            if entry is not None and isinstance(entry.value, SlotState)
        }
        if not slots:
            return
        state = self.application.state
        for text in unbalanced(state):
            self.found(f"{where}: {text}")
        for key, slot in slots.items():
            _, market, start_s = key.split("/")
            residual = energy_residual_wh(state, market, int(start_s), slot)
            if residual:
                self.found(f"{where}: {key} is {residual} Wh from balancing")

    def _compare_state(self) -> None:
        stored = self.store.state_rows()
        computed = self.application.state.entries
        for key in stored.keys() - computed.keys():
            self.found(f"state row {key!r} should not be there")
        for key, entry in computed.items():
            if key not in stored:
                self.found(f"state row {key!r} is missing")
            elif stored[key] != _row(self.application, key, entry):
                self.found(f"state row {key!r} is not what the replay gives")
            if len(self.report.violations) >= VIOLATIONS_MAX:
                return

    def _compare_documents(self) -> None:
        for series, computed in self.documents.items():
            if self.store.documents(series) != computed:
                self.found(f"documents of {series!r} are not what the replay gives")


def _row(application: Application, key: str, entry: Entry) -> tuple[str, bytes, bytes]:
    public = application.state.namespace(key).privacy.value == "public"
    return ("state" if public else "private_state", entry.salt, encode(entry.value))
