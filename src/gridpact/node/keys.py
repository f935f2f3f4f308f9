"""Keys. Those of simulated members come from the scenario's seed and are marked unsafe."""

from __future__ import annotations

from nacl.bindings import crypto_sign_seed_keypair

from gridpact.codec import tagged_hash


class SimulatedKeys:
    """Keys and secrets of a simulated population, in memory only.

    UNSAFE by design: whoever knows the seed of the scenario can sign for every member. A run on
    real people needs real keys, which this class never touches.
    """

    def __init__(self, seed: int) -> None:
        self._root = tagged_hash(b"gridpact/simulated-keys/unsafe", str(seed).encode())
        self._pairs: dict[str, tuple[bytes, bytes]] = {}

    def pair(self, party: str) -> tuple[bytes, bytes]:
        """(public key, signing key) of a party."""
        pair = self._pairs.get(party)
        if pair is None:
            seed = tagged_hash(b"gridpact/simulated-key", self._root + party.encode())
            pair = self._pairs[party] = crypto_sign_seed_keypair(seed)
        return pair

    def secret(self, party: str) -> bytes:
        """The member secret that goes into its registration."""
        return tagged_hash(b"gridpact/simulated-secret", self._root + party.encode())

    def salt(self, party: str, nonce: int) -> bytes:
        """Payload salt of a party's transaction."""
        return tagged_hash(b"gridpact/simulated-salt", self._root + f"{party}/{nonce}".encode())
