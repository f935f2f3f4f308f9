"""Transactions with the check of their signatures: nobody checks the same one twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gridpact.codec import sha256
from gridpact.contracts import Application, Candidate, Unreadable
from gridpact.ledger.envelope import Transaction
from gridpact.model import Verdict
from gridpact.node.signature_worker import verify_signature

CHECKED_MAX = 100_000
"""Transactions whose check is remembered; the oldest makes room, since some are never decided."""


class Checked:
    """What was read and checked, until it is in a block or refused."""

    def __init__(self, application: Callable[[], Application]) -> None:
        """Begin empty; `application` gives the state with the senders' present keys."""
        self._application = application
        self._known: dict[bytes, Candidate] = {}

    def readable(self, raw: bytes) -> Transaction | Verdict:
        """The transaction that these bytes are, or why they are none."""
        known = self._known.get(sha256(raw))
        return known.transaction if known is not None else self._application().readable(raw)

    def candidate(self, raw: bytes, sealed: bytes) -> Candidate | Unreadable:
        """A transaction with its payload and the check of its signature.

        What has been checked under the sender's present key is not checked again.
        """
        transaction_id = sha256(raw)
        known = self._known.get(transaction_id)
        application = self._application()
        transaction = known.transaction if known else application.readable(raw)
        if isinstance(transaction, Verdict):
            return Unreadable(transaction_id, transaction)
        party = application.party(transaction.envelope.sender)
        key = party.public_key if party is not None else b""
        if known is not None and known.checked_key == key:
            if known.sealed == sealed:
                return known
            good = known.signature_good
        else:
            signature = transaction.envelope.signature
            good = bool(key) and verify_signature(key, transaction.digest, signature)
        candidate = Candidate(transaction, sealed, key, good)
        if key:
            if known is None and len(self._known) >= CHECKED_MAX:
                del self._known[next(iter(self._known))]
            self._known[transaction_id] = candidate
        return candidate

    def forget(self, ids: Iterable[bytes]) -> None:
        """These will not be asked for again."""
        for transaction_id in ids:
            self._known.pop(transaction_id, None)
