"""Reading a transaction from bytes: everything that can be refused without knowing the state."""

from __future__ import annotations

from gridpact.codec import CodecError, decode, sha256
from gridpact.contracts.call import Rules
from gridpact.contracts.kinds import KINDS
from gridpact.ledger.envelope import ENVELOPE_VERSION, Envelope, Transaction, signing_digest
from gridpact.model import Verdict


def read_envelope(raw: bytes, rules: Rules, genesis_hash: bytes) -> Transaction | Verdict:
    """The transaction that `raw` is, without its payload, or the first reason why it is none.

    Refusals: OVERSIZED, MALFORMED_ENVELOPE, UNKNOWN_VERSION, UNKNOWN_KIND, MALFORMED_BODY,
    PAYLOAD_MISMATCH when the envelope names a payload for a kind without one or the reverse.
    """
    if len(raw) > rules.genesis.limits.envelope_bytes:
        return Verdict.OVERSIZED
    try:
        envelope = decode(Envelope, raw)
    except CodecError:
        return Verdict.MALFORMED_ENVELOPE
    if envelope.version != ENVELOPE_VERSION:
        return Verdict.UNKNOWN_VERSION
    rule = KINDS.get(envelope.kind)
    if rule is None:
        return Verdict.UNKNOWN_KIND
    try:
        body = decode(rule.body, envelope.public)
    except CodecError:
        return Verdict.MALFORMED_BODY
    if len(envelope.payload_hash) != (0 if rule.payload is None else 32):
        return Verdict.PAYLOAD_MISMATCH
    return Transaction(raw, envelope, sha256(raw), body, signing_digest(genesis_hash, raw))


def judge_payload(transaction: Transaction, sealed: bytes, rules: Rules) -> Verdict:
    """Whether `sealed` is the payload that the envelope names.

    Refusals: OVERSIZED, PAYLOAD_MISMATCH. What is inside is judged at execution.
    """
    if len(sealed) > rules.genesis.limits.payload_bytes:
        return Verdict.OVERSIZED
    if (sha256(sealed) if sealed else b"") != transaction.envelope.payload_hash:
        return Verdict.PAYLOAD_MISMATCH
    return Verdict.ACCEPTED
