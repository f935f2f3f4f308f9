"""What may be signed for a validator of CometBFT: one block at each height, round and step."""

from __future__ import annotations

import msgspec


class CometbftPosition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was signed last."""

    height: int = 0
    round: int = 0
    step: int = 0
    """1: proposal, 2: prevote, 3: precommit; 0: nothing yet."""
    digest: bytes = b""
    """SHA-256 of what was signed."""
    seconds: int = 0
    nanos: int = 0
    """Its time."""
    signature: bytes = b""
