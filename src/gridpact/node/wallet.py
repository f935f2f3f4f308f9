"""Writing transactions: counts nonces, seals payloads, signs."""

from __future__ import annotations

from collections import defaultdict

from gridpact.codec import Wire
from gridpact.contracts.bodies import Kind
from gridpact.ledger.envelope import sealed_payload, sign_envelope
from gridpact.node.keys import SimulatedKeys


class Wallet:
    """Signs for the parties of a simulated population on one chain."""

    def __init__(self, keys: SimulatedKeys, genesis_hash: bytes) -> None:
        self.keys = keys
        self.genesis_hash = genesis_hash
        self._nonces: dict[str, int] = defaultdict(int)

    def next_nonce(self, sender: str) -> int:
        """The nonce of the sender's next transaction."""
        return self._nonces[sender] + 1

    def write(
        self,
        sender: str,
        kind: Kind,
        body: Wire,
        payload: Wire | None,
        *,
        expiry_s: int,
        salt: bytes = b"",
    ) -> tuple[bytes, bytes]:
        """(envelope, sealed payload) of the sender's next transaction.

        Args:
            sender: party id.
            kind: of the body and the payload.
            body: the public part.
            payload: the private part, or None for a kind without one.
            expiry_s: slot start from which on it may not be executed any more.
            salt: of the payload, 32 bytes, where a seal has fixed it; otherwise the nonce's own.
        """
        self._nonces[sender] += 1
        nonce = self._nonces[sender]
        sealed = b""
        if payload is not None:
            sealed = sealed_payload(salt or self.keys.salt(sender, nonce), payload)
        envelope = sign_envelope(
            genesis_hash=self.genesis_hash,
            signing_key=self.keys.pair(sender)[1],
            sender=sender,
            nonce=nonce,
            kind=int(kind),
            expiry_s=expiry_s,
            body=body,
            sealed=sealed,
        )
        return envelope, sealed
