"""Signatures of the simulator: hashes keyed with a secret that only the signer's replica holds.

Unforgeable by construction and ten times as fast as Ed25519; the tests of the protocols also run
with real signatures.
"""

from __future__ import annotations

import hashlib

SIGNATURE_BYTES = 16
KEY_BYTES = 32


class KeyedSigner:
    """Signs as one replica."""

    __slots__ = ("keyed",)

    def __init__(self, key: bytes) -> None:
        self.keyed = hashlib.blake2b(key=key, digest_size=SIGNATURE_BYTES)

    def sign(self, data: bytes) -> bytes:
        """See `Signer.sign`."""
        keyed = self.keyed.copy()
        keyed.update(data)
        return keyed.digest()


class Keyring:
    """The keys of all replicas: hands out signers, and checks for everybody.

    Args:
        secret: of this run; no replica sees it.
    """

    __slots__ = ("_secret", "_signers")

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.blake2b(secret).digest()
        self._signers: dict[str, KeyedSigner] = {}

    def signer(self, name: str) -> KeyedSigner:
        """The signer of a replica; its twins get the same."""
        if name not in self._signers:
            key = hashlib.blake2b(name.encode(), key=self._secret, digest_size=KEY_BYTES)
            self._signers[name] = KeyedSigner(key.digest())
        return self._signers[name]

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """See `Verifier.verify`."""
        signer = self._signers.get(sender)
        if signer is None:
            return False
        keyed = signer.keyed.copy()
        keyed.update(data)
        return keyed.digest() == signature
