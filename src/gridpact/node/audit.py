"""The auditor's replay: every block again from genesis, trusting nothing in the store but bytes.

Signatures, nonces, payload hashes, links, roots and receipts are computed afresh and compared
with what is stored; money, escrow and energy are summed at each barrier. Where payloads were
removed execution starts at a later state, the base: `history` checks the blocks before it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gridpact.codec import CodecError, Wire, decode, encode, sha256
from gridpact.contracts import (
    Application,
    BlockResult,
    Candidate,
    Unreadable,
    carbon_residuals,
    energy_residual_wh,
    judge_payload,
    unbalanced,
)
from gridpact.errors import InvariantError, StoreError
from gridpact.ledger import Document, Entry
from gridpact.ledger.blocks import FORMAT_VERSION, Proposal, Record, record_hash
from gridpact.ledger.envelope import Transaction
from gridpact.model import SlotCarbon, SlotState, Verdict
from gridpact.node.base_state import check_base, check_lines, line_count
from gridpact.node.engines import engine_state, stored_engine
from gridpact.node.history import PublicHistory, differences
from gridpact.node.signature_worker import verify_signature
from gridpact.node.store import LedgerStore
from gridpact.node.tables import Base, StoredTransaction
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
    base_height: int = 0
    """Blocks up to this one were checked by their public parts; 0 when all were executed."""
    first_height: int = 1
    """First block whose transactions are here; above 1 on a ledger that began with a snapshot."""
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
        engine = engine_state(store.genesis, stored_engine(store))
        self.application = Application(store.genesis, engine, verify_signature)
        self.documents: dict[str, list[Document]] = {}
        """Lines that execution wrote, by series."""
        self.base_bills: dict[str, Wire] = {}
        """What the state at the base has lines for, by series."""
        self.counts = {
            "blocks": 0,
            "events": 0,
            "private_payloads": 0,
            "private_documents": 0,
            "base_state": 0,
            "private_base_state": 0,
            "first_state": 0,
            "annual_totals": 0,
        }

    def found(self, text: str) -> None:
        """Note one violation."""
        self.report.violations.append(text)

    async def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Replay all blocks, then compare what is left: state, documents, row counts."""
        for text in self.store.damage():
            self.found(text)
        if self.report.violations:
            return
        height, base = self.store.height(), self.store.base()
        verifier = VerifierProcess()
        try:
            if base is None:
                self.application.init_chain()
            elif not await self._begin_at(base, verifier):
                return
            for number in range(self.application.height + 1, height + 1):
                if not await self._block(number, verifier):
                    return
                if progress is not None:
                    progress(number, height)
        finally:
            await verifier.close()
        self._compare_state()
        self._compare_documents()
        counts = self.store.counts()
        expected = {"transactions": self.report.transactions, **self.counts}
        for table, count in expected.items():
            if counts[table] != count:
                self.found(f"table {table} has {counts[table]} rows, the replay gives {count}")

    async def _begin_at(self, base: Base, verifier: VerifierProcess) -> bool:
        """Check everything up to the base and take its state; False when that makes no sense."""
        entries = check_base(self.store, base, self.found)
        if self.report.violations:
            return False
        history = PublicHistory(self.store, base, self.application, self.found)
        await history.run(verifier, entries)
        record = self.store.record(base.height)
        self.application.restore(entries.items(), base.height, base.record)
        report, stored = self.report, self.store.counts()
        report.base_height, report.first_height = base.height, base.first
        report.pruned_payloads = history.pruned
        report.transactions = history.transactions
        self._reached(record)
        for table in ("base_state", "private_base_state", "first_state", "annual_totals"):
            self.counts[table] = stored[table]
        self.counts["blocks"] = base.height - base.first + 1 + (base.first > 1)
        self.counts["events"] = self.store.events_until(base.height)
        self.counts["private_payloads"] = history.payloads
        self.counts["private_documents"] = self.store.closed_documents()
        for key, entry in entries.items():
            if lines := line_count(entry.value):
                self.base_bills[key] = entry.value
                self.counts["private_documents"] += lines
        return not report.violations

    def _reached(self, record: Record) -> None:
        self.report.height = record.height
        self.report.record_hash = record_hash(record).hex()
        self.report.state_root = record.state_root.hex()
        self.report.market_state_root = record.market_root.hex()

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
        self.report.transactions += len(rows)
        self.counts["blocks"] += 1
        self._reached(result.record)
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
        for text in differences(where, record, result.record):
            self.found(text)
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
        state = self.application.state
        for text in unbalanced(state) if slots else ():
            self.found(f"{where}: {text}")
        for key, slot in slots.items():
            _, market, start_s = key.split("/")
            residual = energy_residual_wh(state, market, int(start_s), slot)
            if residual:
                self.found(f"{where}: {key} is {residual} Wh from balancing")
        if any(
            entry is not None and isinstance(entry.value, SlotCarbon)
            for entry in result.changes.values()
        ):
            for text in carbon_residuals(state):
                self.found(f"{where}: {text}")

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
        """Lines that execution wrote are compared; older ones are under their bills' trees."""
        for series in sorted(self.base_bills.keys() | self.documents.keys()):
            stored = self.store.documents(series)
            bill, older = self.base_bills.get(series), 0
            if bill is not None:
                older = line_count(bill)
                for text in check_lines(series, bill, stored[:older]):
                    self.found(text)
            if stored[older:] != self.documents.get(series, []):
                self.found(f"documents of {series!r} are not what the replay gives")


def _row(application: Application, key: str, entry: Entry) -> tuple[str, bytes, bytes]:
    public = application.state.namespace(key).privacy.value == "public"
    return ("state" if public else "private_state", entry.salt, encode(entry.value))
