"""What a transaction is told: accepted, or the first reason why not.

Reasons are tried in the order of their numbers, so a transaction with several faults always gets
the same one. The numbers are on the ledger in receipts and never change their meaning.
"""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """The outcome of one transaction, by documented precedence."""

    ACCEPTED = 0
    """The rules allow it; its effects are in the state."""

    # 1-19: judged from the envelope. Such a transaction is never in a valid block, and if a faulty
    # proposer puts it into one, it uses nothing, not even its nonce.
    OVERSIZED = 1
    """Envelope or payload is above the size cap of the genesis file."""
    MALFORMED_ENVELOPE = 2
    """Not the canonical bytes of an envelope."""
    UNKNOWN_VERSION = 3
    """The envelope's version is not one this software speaks."""
    UNKNOWN_KIND = 4
    """No handler has this kind tag."""
    MALFORMED_BODY = 5
    """The public part is not canonical for its kind."""
    PAYLOAD_MISMATCH = 6
    """A payload is missing, superfluous, or does not have the hash that the envelope names."""
    UNKNOWN_SENDER = 7
    """No registered party has this id."""
    BAD_SIGNATURE = 8
    """The signature is not by the sender's current key over this chain's digest."""
    NONCE_USED = 9
    """The sender has already used this nonce: a replay."""
    NONCE_AHEAD = 10
    """A smaller nonce of the sender is still missing."""
    MEMPOOL_FULL = 11
    """Too many transactions wait, in all or from this sender; try again after the next block."""

    # 20 and above: judged by the rules. The nonce is used, nothing else changes.
    EXPIRED = 20
    """Gates of slots after the expiry slot are already closed."""
    MALFORMED_PAYLOAD = 21
    """The payload has the right hash but is not canonical for its kind."""
    ROLE_MISSING = 22
    """The sender does not hold the role that this kind asks for."""
    OVERFLOW = 23
    """An amount would leave the signed 64-bit range."""
    UNKNOWN_MARKET = 24
    UNKNOWN_SLOT = 25
    """The slot was never opened, or is final and gone."""
    UNKNOWN_PARTY = 26
    """A party, meter or participant named in the transaction is not registered."""
    ALREADY_REGISTERED = 27
    PHASE_NUMBER_WRONG = 28
    """Phase numbers have no gaps: the next one is one above the last."""
    PHASE_STEP_WRONG = 29
    """A slot in the range is not in the phase just before the requested one."""
    RANGE_WRONG = 30
    """The range of slots is empty, too long, or not aligned to the market's slot length."""
    TARIFF_MISSING = 31
    """A slot cannot open before the price authority has set its tariff."""
    TARIFF_WRONG = 32
    """Feed-in plus network fee must be below retail, and an open slot's tariff is fixed."""
    READINGS_MISSING = 33
    """A meter that was active when the slot opened has not reported; nothing counts as zero."""
    TOO_EARLY = 34
    """Validators may move a phase only after the stated delay."""
    ALREADY_ENDORSED = 35
    GATE_CLOSED = 36
    """Orders of this slot can no longer be sent or cancelled."""
    NOT_DELIVERED = 37
    """A reading for a slot that has not been delivered yet."""
    PRICE_OUT_OF_BAND = 38
    """Price and limit must lie between feed-in and retail of the slot."""
    LIMIT_WRONG = 39
    """A bid's limit is at least its price, an offer's at most."""
    TOO_MANY_ORDERS = 40
    """The sender's cap of open orders in this slot is reached."""
    UNKNOWN_ORDER = 41
    INSUFFICIENT_FUNDS = 42
    """The account would go below its limit."""
    METER_MISSING = 43
    """The sender has no meter that was active when the slot opened."""
    METER_FOREIGN = 44
    """The sender may not report for this meter, or the owner has no such meter."""
    VERSION_STALE = 45
    """This sender has already reported this version or a later one."""
    READING_CLOSED = 46
    """The slot is final: corrections are over."""


FIRST_RULE_VERDICT = Verdict.EXPIRED
"""From here on a refused transaction has used its nonce."""


def uses_nonce(verdict: Verdict) -> bool:
    """Whether a transaction with this verdict has used its nonce."""
    return verdict == Verdict.ACCEPTED or verdict >= FIRST_RULE_VERDICT
