"""Goal: a proof shows one thing, and whatever is changed in it is refused by name.

Method: proofs are put together from a living chain, as a host does from its store, then every
part is changed in turn.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from gridpact.codec import encode, sha256
from gridpact.contracts.statements import Statement, open_claim
from gridpact.ledger import Document, account_key
from gridpact.ledger.blocks import Receipt, Record, record_hash
from gridpact.ledger.proofs import (
    ProofError,
    ProofFile,
    ProvedDocument,
    StateClaim,
    TransactionClaim,
    check_proof,
    proof_bytes,
    read_proof,
    state_proof,
    transaction_proof,
)
from gridpact.ledger.trees import inclusion_proof, leaf_hash
from gridpact.model import LineKind, Phase, Verdict
from ledger_bench import DAY, MARKET, SLOT, UNIT, Bench

BILL = f"bill/ann/{DAY}"


class Proofs:
    """A settled slot with a bill of Ann, and the last block with three transactions."""

    def __init__(self) -> None:
        bench = self.bench = Bench()
        bench.join("ann", "bob", deposit_nano=UNIT)
        bench.open()
        bench.accept(bench.bid("ann", 200_000, 1_000), bench.offer("bob", 100_000, 600))
        bench.walk(Phase.DELIVERED)
        bench.accept(bench.reading("ann", 1_000), bench.reading("bob", 0, 600))
        bench.walk(Phase.SETTLED)
        assert bench.result is not None
        self.lines: list[Document] = [d for d in bench.result.documents if d.owner == "ann"]
        self.sent = [
            bench.withdraw("ann", 5)[0:2],
            bench.bid("bob", 200_000, 1),
            bench.tariff(first_s=SLOT + 9_000),
        ]
        bench.block(*self.sent)
        self.receipts = bench.result.receipts
        self.record: Record = bench.result.record
        self.root = record_hash(self.record)

    def state(self, key: str) -> StateClaim:
        entry, path = self.bench.application.query(key)
        documents = [ProvedDocument(d.salt, d.data) for d in self.lines] if key == BILL else []
        return StateClaim(
            key=key,
            salt=b"" if entry is None else entry.salt,
            value=None if entry is None else encode(entry.value),
            path=encode(path),
            documents=documents,
        )

    def transaction(self, index: int) -> TransactionClaim:
        assert self.bench.result is not None
        receipts = [encode(receipt) for receipt in self.bench.result.receipts]
        raws = [raw for raw, _ in self.sent]
        return TransactionClaim(
            envelope=raws[index],
            receipt=receipts[index],
            index=index,
            envelope_path=inclusion_proof([leaf_hash(raw) for raw in raws], index),
            receipt_path=inclusion_proof([leaf_hash(data) for data in receipts], index),
        )


@pytest.fixture(scope="module")
def proofs() -> Proofs:
    return Proofs()


def opened(proofs: Proofs, claim: StateClaim) -> Statement:
    """All the way from the file's bytes to the value."""
    data = proof_bytes(state_proof(proofs.record, claim))
    proved = check_proof(read_proof(data), proofs.root)
    assert proved.state == claim
    return open_claim(claim)


def test_a_value_of_every_privacy_is_proved_and_opened(proofs: Proofs) -> None:
    for key in (account_key("ann"), f"slot/{MARKET}/{SLOT}", "party/bob", "claim/ann/2"):
        statement = opened(proofs, proofs.state(key))
        assert statement.value == proofs.bench.application.state.entries[key].value
        assert statement.lines == ()


def test_absence_is_proved_too(proofs: Proofs) -> None:
    assert opened(proofs, proofs.state("party/nobody")) == Statement("party/nobody", None, ())
    with pytest.raises(ProofError, match="is absent"):
        opened(proofs, msgspec.structs.replace(proofs.state("party/bob"), value=None))


def test_a_bill_comes_with_all_its_lines(proofs: Proofs) -> None:
    statement = opened(proofs, proofs.state(BILL))
    assert statement.value == proofs.bench.bill("ann")
    assert [line.kind for line in statement.lines] == [
        LineKind.PURCHASE,
        LineKind.NETWORK_FEE,
        LineKind.GRID_IMPORT,
    ]
    assert sum(line.amount_nano for line in statement.lines) == -222_000_000


@pytest.mark.parametrize(
    "tamper",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[1:],
        lambda lines: [*lines, lines[0]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines[:2], ProvedDocument(bytes(32), lines[2].data)],
        lambda lines: [*lines[:2], ProvedDocument(lines[2].salt, lines[0].data)],
    ],
)
def test_lines_that_are_not_those_of_the_bill_are_refused(
    proofs: Proofs, tamper: Callable[[list[ProvedDocument]], list[ProvedDocument]]
) -> None:
    claim = proofs.state(BILL)
    with pytest.raises(ProofError, match=rf"lines are not the 3 of '{BILL}'"):
        open_claim(msgspec.structs.replace(claim, documents=tamper(claim.documents)))


def test_a_line_that_is_no_line_is_refused(proofs: Proofs) -> None:
    claim = proofs.state(BILL)
    odd = ProvedDocument(claim.documents[0].salt, b"\x90")
    with pytest.raises(ProofError, match="not a BillLine"):
        open_claim(msgspec.structs.replace(claim, documents=[odd]))


def test_lines_belong_to_bills_only(proofs: Proofs) -> None:
    claim = proofs.state("party/bob")
    with pytest.raises(ProofError, match="is no bill"):
        open_claim(msgspec.structs.replace(claim, documents=proofs.state(BILL).documents))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key": "party/ann"}, "does not show"),
        ({"salt": bytes(32)}, "does not show"),
        ({"value": b"\x90"}, "does not show"),
        ({"path": b"\x90"}, "path is malformed"),
    ],
)
def test_no_part_of_a_state_proof_can_be_changed(
    proofs: Proofs, fields: dict[str, object], said: str
) -> None:
    claim = msgspec.structs.replace(proofs.state(account_key("bob")), **fields)
    with pytest.raises(ProofError, match=said):
        check_proof(state_proof(proofs.record, claim), proofs.root)


@pytest.mark.parametrize(
    ("key", "said"), [("nothing/x", "no kind of key"), ("account/ann", "not a Account")]
)
def test_a_value_of_another_kind_is_refused(proofs: Proofs, key: str, said: str) -> None:
    claim = msgspec.structs.replace(proofs.state("party/bob"), key=key)
    with pytest.raises(ProofError, match=said):
        open_claim(claim)


@pytest.mark.parametrize("index", range(3))
def test_a_transaction_is_proved_with_its_verdict(proofs: Proofs, index: int) -> None:
    claim = proofs.transaction(index)
    proved = check_proof(transaction_proof(proofs.record, claim), proofs.root)
    assert proved.transaction == claim
    assert proved.receipt is not None
    assert proved.receipt.transaction == sha256(claim.envelope)
    expected = [Verdict.ACCEPTED, Verdict.GATE_CLOSED, Verdict.ACCEPTED]
    assert proved.receipt.verdict == expected[index]


def test_no_part_of_a_transaction_proof_can_be_changed(proofs: Proofs) -> None:
    honest, other = proofs.transaction(0), proofs.transaction(1)
    for fields, said in (
        ({"index": 1}, "is not at place 1"),
        ({"index": 3}, "is not at place 3"),
        ({"index": -1}, "is not at place -1"),
        ({"envelope": other.envelope}, "envelope is not at place 0"),
        ({"envelope_path": []}, "envelope is not at place 0"),
        ({"envelope_path": other.envelope_path}, "envelope is not at place 0"),
        ({"receipt": encode(Receipt(bytes(32), 0, b""))}, "receipt is not at place 0"),
        ({"receipt_path": other.receipt_path}, "receipt is not at place 0"),
    ):
        claim = msgspec.structs.replace(honest, **fields)
        with pytest.raises(ProofError, match=said):
            check_proof(transaction_proof(proofs.record, claim), proofs.root)


def test_a_proof_is_about_one_record(proofs: Proofs) -> None:
    proof = state_proof(proofs.record, proofs.state("party/bob"))
    with pytest.raises(ProofError, match="not about the given root"):
        check_proof(proof, bytes(32))
    forged = msgspec.structs.replace(proofs.record, market_root=bytes(32))
    with pytest.raises(ProofError, match="not that of its two roots"):
        check_proof(msgspec.structs.replace(proof, record=encode(forged)), record_hash(forged))
    with pytest.raises(ProofError, match="record is malformed"):
        check_proof(msgspec.structs.replace(proof, record=b"\x90"), proofs.root)


def test_a_proof_carries_what_it_says(proofs: Proofs) -> None:
    state, transaction = proofs.state("party/bob"), proofs.transaction(0)
    record = encode(proofs.record)
    for claim, first, second in (
        ("state", None, transaction),
        ("state", state, transaction),
        ("transaction", state, None),
        ("transaction", None, None),
    ):
        mixed = ProofFile("gridpact-proof", 1, record, claim, first, second)
        with pytest.raises(ProofError, match="carries something else"):
            check_proof(mixed, proofs.root)


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]", b"\xff", b'{"format": "other"}'])
def test_what_is_no_proof_file(data: bytes) -> None:
    with pytest.raises(ProofError, match="not a gridpact proof"):
        read_proof(data)
