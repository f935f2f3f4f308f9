"""Checking proved papers offline: no ledger, no trust in whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from gridpact.contracts.statements import Statement, open_claim
from gridpact.errors import InputError, Problem
from gridpact.ledger.proofs import ProofError, check_proof, read_proof
from gridpact.model import Bill, BillLine, CarbonLine, CarbonStatement


@dataclass(frozen=True, slots=True)
class ProvedBill:
    """A bill that a proof shows to be on a ledger."""

    key: str
    """`bill/<participant>/<day>`."""
    bill: Bill
    lines: tuple[BillLine, ...]
    """All of them, in order."""
    height: int
    """Number of the block under whose record it is proved."""


@dataclass(frozen=True, slots=True)
class ProvedCarbon:
    """A carbon statement that a proof shows to be on a ledger."""

    key: str
    """`carbon/<participant>/<day>`."""
    statement: CarbonStatement
    lines: tuple[CarbonLine, ...]
    """All of them, in order."""
    height: int
    """Number of the block under whose record it is proved."""


def verify_bill(proof: bytes, root: str) -> ProvedBill:
    """Check a proof that `Result.prove_bill` or `gridpact prove --bill` wrote.

    Args:
        proof: its bytes.
        root: hash of the block's record, 64 hexadecimal digits, from a source you trust.
    Raises:
        InputError: the root is no hash, or the proof proves no bill under it.
    """
    statement, height = _opened(proof, root)
    if statement is None or not isinstance(statement.value, Bill):
        raise InputError([Problem("proof", "proves no bill; write it with `prove --bill`")])
    return ProvedBill(statement.key, statement.value, statement.lines, height)


def verify_carbon(proof: bytes, root: str) -> ProvedCarbon:
    """Check a proof that `Result.prove_carbon` or `gridpact prove --carbon` wrote.

    Args:
        proof: its bytes.
        root: hash of the block's record, 64 hexadecimal digits, from a source you trust.
    Raises:
        InputError: the root is no hash, or the proof proves no carbon statement under it.
    """
    statement, height = _opened(proof, root)
    if statement is None or not isinstance(statement.value, CarbonStatement):
        message = "proves no carbon statement; write it with `prove --carbon`"
        raise InputError([Problem("proof", message)])
    return ProvedCarbon(statement.key, statement.value, statement.carbon, height)


def _opened(proof: bytes, root: str) -> tuple[Statement | None, int]:
    """What a proof states under a root, and the height of its block."""
    try:
        wanted = bytes.fromhex(root)
    except ValueError:
        wanted = b""
    if len(wanted) != 32:
        raise InputError([Problem("root", f"{root!r} is not 64 hexadecimal digits")])
    try:
        proved = check_proof(read_proof(proof), wanted)
        statement = None if proved.state is None else open_claim(proved.state)
    except ProofError as error:
        raise InputError([Problem("proof", f"refused: {error}")]) from error
    return statement, proved.record.height
