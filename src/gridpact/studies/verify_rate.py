"""The yardstick of ledger benchmarks: how many signatures one core checks and does nothing else."""

from __future__ import annotations

from time import perf_counter

from nacl.bindings import crypto_sign, crypto_sign_BYTES

from gridpact.codec import sha256
from gridpact.node import SimulatedKeys, verify_signature


def verify_rate(signatures: int = 5_000) -> float:
    """Ed25519 checks per second in this thread."""
    public_key, signing_key = SimulatedKeys(0).pair("yardstick")
    signed = []
    for number in range(256):
        digest = sha256(number.to_bytes(4, "big"))
        signed.append((digest, crypto_sign(digest, signing_key)[:crypto_sign_BYTES]))
    started = perf_counter()
    for number in range(signatures):
        verify_signature(public_key, *signed[number % len(signed)])
    return signatures / (perf_counter() - started)
