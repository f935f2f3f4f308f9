"""Goal: blocks that cannot be executed are still checked as far as their public parts go.

Method: a faulty proposer makes blocks whose roots and links are all right, so that only the rule
in question can find what is wrong with them; then a member is forgotten and the ledger is audited.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ledger_bench import Signed
from tests.unit.node.written_ledger import SEED, WrittenBench, written_day

from gridpact.contracts.application import Application, Candidate, Unreadable
from gridpact.ledger.envelope import Transaction
from gridpact.model import Verdict
from gridpact.node import audit_ledger, forget_participant


class FaultyBench(WrittenBench):
    """Takes every signature for good."""

    def checked(self, transaction: Transaction, sealed: bytes) -> Candidate:
        good = super().checked(transaction, sealed)
        return Candidate(transaction, sealed, good.checked_key, True)


def faulty(folder: Path) -> FaultyBench:
    written_day(folder).store.close()
    bench = FaultyBench.going_on(folder)
    assert isinstance(bench, FaultyBench)
    return bench


def forged(bench: WrittenBench) -> Signed:
    """A withdrawal of bob's that bob never signed."""
    transaction = bench.withdraw("bob", 1)
    envelope = bytearray(transaction[0])
    envelope[-1] ^= 1
    return bytes(envelope), transaction[1]


def complaints(folder: Path) -> list[str]:
    """Of the audit after a member was forgotten; before it, the replay finds the same."""
    assert not audit_ledger(folder).ok
    forget_participant(folder, "ann", SEED)
    report = audit_ledger(folder)
    assert report.base_height == report.height or report.violations
    return report.violations


def test_a_forged_signature_is_found(tmp_path: Path) -> None:
    bench = faulty(tmp_path / "ledger")
    result = bench.decide(forged(bench))
    assert [receipt.verdict for receipt in result.receipts] == [Verdict.ACCEPTED]
    bench.store.close()
    assert any("is not signed" in text for text in complaints(bench.folder))


def test_a_refused_signature_in_a_block_is_found(tmp_path: Path) -> None:
    written_day(tmp_path / "ledger").store.close()
    bench = WrittenBench.going_on(tmp_path / "ledger")
    result = bench.decide(forged(bench))
    assert [receipt.verdict for receipt in result.receipts] == [Verdict.BAD_SIGNATURE]
    bench.store.close()
    assert any("is not signed" in text for text in complaints(bench.folder))


def test_a_nonce_out_of_turn_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = faulty(tmp_path / "ledger")
    bench.withdraw("bob", 1)
    with monkeypatch.context() as patch:
        patch.setattr(Application, "check_tx", lambda *_: Verdict.ACCEPTED)
        bench.decide(bench.withdraw("bob", 1))
    bench.store.close()
    assert any("nonce 5 follows 3" in text for text in complaints(bench.folder))


def test_bytes_that_are_no_transaction_are_found(tmp_path: Path) -> None:
    class Careless(WrittenBench):
        """Stores what it cannot read."""

        def _execute(self, proposal, candidates):  # type: ignore[no-untyped-def]
            result = super(WrittenBench, self)._execute(proposal, candidates)
            assert all(isinstance(candidate, Unreadable) for candidate in candidates)
            self.store.save_block(proposal, [], result)
            return result

    written_day(tmp_path / "ledger").store.close()
    bench = Careless.going_on(tmp_path / "ledger")
    bench.decide((b"\x00", b""))
    bench.store.close()
    assert any("MALFORMED_ENVELOPE" in text for text in complaints(bench.folder))
