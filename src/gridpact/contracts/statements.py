"""Opening proved values: from bytes back to bills, accounts and slots."""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.codec import CodecError, Wire, decode
from gridpact.contracts.keys import NAMESPACES
from gridpact.ledger.proofs import ProofError, StateClaim
from gridpact.ledger.trees import Frontier, leaf_hash
from gridpact.model import Bill, BillLine, CreditNote

_TYPES = {namespace.name: namespace.wire_type for namespace in NAMESPACES}


@dataclass(frozen=True, slots=True)
class Statement:
    """What a proved state entry says."""

    key: str
    value: Wire | None
    lines: tuple[BillLine, ...]
    """Of a bill or credit note whose lines came with the proof, each of them checked."""


def open_claim(claim: StateClaim) -> Statement:
    """The value of a state claim whose path has been checked.

    A bill's lines are checked against the tree in the bill: none missing, none added, in order,
    and their amounts sum to its total.

    Raises:
        ProofError: the value is not what the key's kind holds, or lines do not belong to the bill.
    """
    if claim.value is None:
        return Statement(claim.key, None, ())
    wire_type = _TYPES.get(claim.key.partition("/")[0])
    if wire_type is None:
        raise ProofError(f"{claim.key!r} is no kind of key that this release knows")
    try:
        value = decode(wire_type, claim.value)
        lines = tuple(decode(BillLine, document.data) for document in claim.documents)
    except CodecError as error:
        raise ProofError(f"{claim.key!r}: {error}") from error
    if not claim.documents:
        return Statement(claim.key, value, ())
    bill = value.change if isinstance(value, CreditNote) else value
    if not isinstance(bill, Bill):
        raise ProofError(f"{claim.key!r} is no bill, but lines came with it")
    frontier = Frontier()
    for document in claim.documents:
        frontier = frontier.append(leaf_hash(document.salt + document.data))
    if frontier.count != bill.lines or list(frontier.hashes) != bill.frontier:
        raise ProofError(f"the {frontier.count} lines are not the {bill.lines} of the bill")
    if sum(line.amount_nano for line in lines) != bill.total_nano:
        raise ProofError("the lines do not sum to the bill's total")
    return Statement(claim.key, value, lines)
