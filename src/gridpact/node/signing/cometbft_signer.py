"""What may be signed for a validator of CometBFT: one block at each height, round and step.

As CometBFT's own signer: never back, and at the same place the same again. Beyond that a validator
whose first request lies more than a height behind was restored from an older copy and gets nothing
before an operator allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from gridpact.node.signing.keyfile import SigningKey
from gridpact.node.signing.position import PositionFile
from gridpact.node.signing.refusals import SignerRefusedError
from gridpact.node.signing.standing import Standing

NOTHING, PROPOSE, PREVOTE, PRECOMMIT = range(4)
"""Steps, in their order within a round."""
USUAL_LAG = 1
"""Heights that a validator may lie behind after a crash without having lost anything."""


class CometbftPosition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was signed last."""

    height: int = 0
    round: int = 0
    step: int = NOTHING
    digest: bytes = b""
    """SHA-256 of what was signed."""
    seconds: int = 0
    nanos: int = 0
    """Its time."""
    signature: bytes = b""

    @property
    def place(self) -> tuple[int, int, int]:
        """What only moves forward."""
        return self.height, self.round, self.step


Time = tuple[int, int]
"""(seconds, nanoseconds)."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something to be signed."""

    height: int
    round: int
    step: int
    time: Time
    covered: Callable[[Time], bytes]
    """What the signature covers, if this were its time."""


class CometbftSigner:
    """Signs for one validator.

    Args:
        key: of the validator.
        file: what it has signed last.
        standing: what is known of a restored validator.
    """

    def __init__(
        self, key: SigningKey, file: PositionFile[CometbftPosition], standing: Standing
    ) -> None:
        self._key, self._file, self._standing = key, file, standing
        self._is_first = True

    @property
    def public(self) -> bytes:
        """Key in use."""
        return self._key.public

    @property
    def position(self) -> CometbftPosition:
        """What is durable."""
        return self._file.position

    def end(self) -> None:
        """CometBFT has gone; the next request is a first one."""
        self._is_first = True

    def sign(self, wanted: Wanted) -> tuple[bytes, Time]:
        """(signature, time that it covers): the time of the first, where only the time differs.

        Raises:
            SignerRefusedError: behind what was signed, or against it; nothing has moved.
            StoreError: the position cannot be kept.
        """
        if wanted.height < 1 or wanted.round < 0:
            raise SignerRefusedError(f"no such place: {_words(wanted)}")
        self._compare(wanted)
        held = self.position
        place = (wanted.height, wanted.round, wanted.step)
        if place < held.place:
            raise SignerRefusedError(f"{_words(wanted)} comes before {_words(held)}")
        if place == held.place:
            first = (held.seconds, held.nanos)
            if sha256(wanted.covered(first)).digest() != held.digest:
                raise SignerRefusedError(f"{_words(wanted)} was signed with something else")
            return held.signature, first
        covered = wanted.covered(wanted.time)
        signature = self._key.sign(covered)
        digest = sha256(covered).digest()
        self._file.write(CometbftPosition(*place, digest, *wanted.time, signature))
        if self._standing.allowed is not None:
            self._standing.reached()
        return signature, wanted.time

    def sign_beside(self, covered: bytes) -> bytes:
        """Signature of a vote's extension: it may differ each time and binds nobody."""
        return self._key.sign(covered)

    def _compare(self, wanted: Wanted) -> None:
        """See on the first request after a start whether the validator was restored."""
        held, allowed = self.position, self._standing.allowed
        stated = (wanted.height, wanted.round)
        if self._is_first and self._standing.behind is None:
            lags = wanted.height + USUAL_LAG < held.height
            if lags and (allowed is None or stated < allowed.forgiven):
                self._standing.note_behind(stated, (held.height, held.round))
        self._is_first = False
        if self._standing.behind is not None:
            text = f"restored? {_words(wanted)}, after {_words(held)}; an operator must allow it"
            raise SignerRefusedError(text)


def _words(at: Wanted | CometbftPosition) -> str:
    return f"height {at.height} round {at.round} step {at.step}"
