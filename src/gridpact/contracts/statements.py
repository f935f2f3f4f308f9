"""Opening proved values: from bytes back to bills, accounts and slots."""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.codec import CodecError, Wire, decode
from gridpact.contracts.keys import NAMESPACES
from gridpact.ledger.proofs import ProofError, StateClaim
from gridpact.ledger.trees import Frontier, leaf_hash
from gridpact.model import Bill, BillLine, CarbonLine, CarbonStatement, CreditNote
from gridpact.settlement.carbon import NO_CARBON, add_carbon

_TYPES = {namespace.name: namespace.wire_type for namespace in NAMESPACES}


@dataclass(frozen=True, slots=True)
class Statement:
    """What a proved state entry says; lines that came with the proof were each checked."""

    key: str
    value: Wire | None
    lines: tuple[BillLine, ...] = ()
    """Of a bill or credit note."""
    carbon: tuple[CarbonLine, ...] = ()
    """Of a carbon statement."""


def open_claim(claim: StateClaim) -> Statement:
    """The value of a state claim whose path has been checked.

    A paper's lines are checked against the tree in it: none missing, none added, in order, and
    they sum to what it says.

    Raises:
        ProofError: the value is not what the key's kind holds, or lines do not belong to it.
    """
    if claim.value is None:
        return Statement(claim.key, None)
    wire_type = _TYPES.get(claim.key.partition("/")[0])
    if wire_type is None:
        raise ProofError(f"{claim.key!r} is no kind of key that this release knows")
    try:
        value = decode(wire_type, claim.value)
        if not claim.documents:
            return Statement(claim.key, value)
        paper = value.change if isinstance(value, CreditNote) else value
        if isinstance(paper, CarbonStatement):
            return Statement(claim.key, value, carbon=_carbon_lines(claim, paper))
        if isinstance(paper, Bill):
            return Statement(claim.key, value, _bill_lines(claim, paper))
    except CodecError as error:
        raise ProofError(f"{claim.key!r}: {error}") from error
    raise ProofError(f"{claim.key!r} is no bill or statement, but lines came with it")


def _bill_lines(claim: StateClaim, bill: Bill) -> tuple[BillLine, ...]:
    lines = tuple(decode(BillLine, document.data) for document in claim.documents)
    _check_tree(claim, bill.lines, bill.frontier)
    if sum(line.amount_nano for line in lines) != bill.total_nano:
        raise ProofError("the lines do not sum to the bill's total")
    return lines


def _carbon_lines(claim: StateClaim, statement: CarbonStatement) -> tuple[CarbonLine, ...]:
    lines = tuple(decode(CarbonLine, document.data) for document in claim.documents)
    _check_tree(claim, statement.lines, statement.frontier)
    if add_carbon(NO_CARBON, lines, statement.frontier) != statement:
        raise ProofError("the lines do not sum to the statement")
    return lines


def _check_tree(claim: StateClaim, count: int, hashes: list[bytes]) -> None:
    frontier = Frontier()
    for document in claim.documents:
        frontier = frontier.append(leaf_hash(document.salt + document.data))
    if frontier.count != count or list(frontier.hashes) != hashes:
        raise ProofError(f"the {frontier.count} lines are not the {count} of {claim.key!r}")
