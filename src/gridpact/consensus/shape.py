"""The shape that all protocols share: events go in, effects come out, in order.

A replica is a pure state machine, `step(event, now_ms) -> list[Effect]`. The host does the effects
in list order and finishes each before the next: what stands after a `Persist` happens only once its
records are durable. The simulator and the real node drive the same objects.
"""

from __future__ import annotations

from enum import Enum
from typing import Protocol

import msgspec

# Events. Like effects, they have tags for the traces that hosts write.


class Received(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Bytes that came over the link of a peer; nothing about them is known to be true."""

    peer: str
    data: bytes


class TimerFired(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """A timer that was set has run out."""

    timer: str


class Persisted(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """The records of a `Persist` are durable."""

    token: int


class Propose(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """A client wants this decided. The answer is a `Decide` with its payload, or `Refused`."""

    token: int
    """Chosen by the host; names the request in answers."""
    payload: bytes


class ReadRequest(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """A client wants to read what is decided now. The answer is `ReadReady` or `Refused`."""

    token: int


class TransferLeadership(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """The host wants somebody else to lead."""

    target: str


class Reconfigure(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """The application has computed other voting weights; the leader lets them be decided."""

    token: int
    weights: tuple[tuple[str, int], ...]
    """(member, weight), by name."""


class Compact(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """The host has taken a snapshot of everything decided up to a height."""

    height: int
    data: bytes


# Effects


class Persist(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Make records durable, in this order, before anything that follows."""

    records: tuple[bytes, ...]
    token: int


class Send(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Bytes for one peer; they may be lost, delayed, doubled."""

    peer: str
    data: bytes


class SetTimer(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Start a timer, or start it again from now."""

    timer: str
    delay_ms: int


class CancelTimer(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Stop a timer; one that does not run stays so."""

    timer: str


class Finality(Enum):
    """What a decision is worth; settlement never treats one as another."""

    CRASH = "crash"
    """holds while less than the tolerated weight of replicas crashes; none may lie."""
    BYZANTINE = "byzantine"
    """comes with a proof that holds whatever a tolerated weight of replicas does."""
    SYNCHRONOUS = "synchronous"
    """holds while messages between honest replicas take no longer than a stated bound."""
    PROBABILISTIC = "probabilistic"
    """becomes the firmer the more decisions follow."""


class Decide(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """This payload is decided at this height.

    Heights rise; those in between belong to entries of the protocol itself.
    """

    height: int
    payload: bytes
    finality: Finality


class Restore(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Everything decided up to a height, as a snapshot: it takes the place of the state."""

    height: int
    data: bytes


class ReadReady(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """Reading what is decided up to this height is linearizable for this request."""

    token: int
    height: int


class Refused(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """A request that this replica cannot serve now."""

    token: int
    leader: str
    """Who might; empty when not known."""


class Reason(Enum):
    """Why a peer is suspected."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    FOREIGN_CHAIN = "foreign chain"
    FORGED = "forged"
    """The signature is not the stated sender's, or the sender is not the peer."""
    UNKNOWN_SENDER = "unknown sender"
    FUTURE_TERM = "future term"
    """Further ahead than any honest replica can be."""
    CONTRADICTION = "contradiction"
    """What no replica that follows the protocol can have sent."""


class Suspect(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=True):
    """A peer broke the protocol; what it sent was dropped and nothing else changed."""

    peer: str
    reason: Reason
    evidence: bytes
    """What it sent, cut to a stated length."""


Event = (
    Received
    | TimerFired
    | Persisted
    | Propose
    | ReadRequest
    | TransferLeadership
    | Reconfigure
    | Compact
)
Effect = Persist | Send | SetTimer | CancelTimer | Decide | Restore | ReadReady | Refused | Suspect


class Replica(Protocol):
    """What a host drives."""

    def start(self, now_ms: int) -> list[Effect]:
        """Begin from what was durable; the first call, once."""

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event.

        Never raises on anything that a peer sent: it is dropped with a `Suspect`.

        Args:
            event: what happened.
            now_ms: the host's clock; it may jump, and only timeouts depend on it.
        """


class Signer(Protocol):
    """Vouches for what a replica sends. The simulator's uses keyed hashes, the node's Ed25519."""

    def sign(self, data: bytes) -> bytes:
        """A signature over the data."""


class Verifier(Protocol):
    """Checks what others vouch for."""

    def verify(self, sender: str, data: bytes, signature: bytes) -> bool:
        """Whether the signature is the sender's over the data."""
