"""What a handler gets and what a kind of transaction is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gridpact.codec import Wire, encode, sha256
from gridpact.contracts.bodies import Claim, Kind
from gridpact.contracts.genesis import Genesis, Market
from gridpact.contracts.keys import claim_key
from gridpact.ledger import Draft
from gridpact.ledger.envelope import SALT_BYTES, Envelope
from gridpact.model import Clock, Role, Verdict
from gridpact.units import fits_int64


@dataclass(slots=True)
class Rules:
    """What the genesis file fixed, in the form that handlers ask for."""

    genesis: Genesis
    markets: dict[str, Market] = field(init=False)
    places: dict[str, int] = field(init=False)
    """Of each market in the genesis file, as the clock counts them."""

    def __post_init__(self) -> None:
        """Look everything up once."""
        self.markets = {market.market: market for market in self.genesis.markets}
        self.places = {name: place for place, name in enumerate(self.markets)}


@dataclass(slots=True)
class Call:
    """One transaction being executed."""

    rules: Rules
    draft: Draft
    envelope: Envelope
    transaction_id: bytes
    roles: Role
    """Roles of the sender."""
    body: Wire
    payload: Wire | None
    sealed: bytes
    """salt || payload, or empty."""

    @property
    def sender(self) -> str:
        """Party id of whoever signed."""
        return self.envelope.sender

    def wait(self, submitted_ms: int) -> Verdict:
        """Put the transaction among the claims that the next barrier decides.

        Registrations, keys, roles, deposits and tariffs would let the order of transactions
        inside a phase matter; as claims they do not.
        """
        claim = Claim(
            Kind(self.envelope.kind),
            submitted_ms,
            self.envelope.public,
            b"" if self.payload is None else encode(self.payload),
        )
        salt = self.sealed[:SALT_BYTES] if self.sealed else sha256(self.transaction_id)
        self.draft.put(claim_key(self.sender, self.envelope.nonce), claim, salt)
        return Verdict.ACCEPTED


def latest_closed_s(rules: Rules, clock: Clock, body: Wire) -> int:
    """Start of the latest slot whose gate has closed: in the body's market, or in any."""
    market = getattr(body, "market", "")
    place = rules.places.get(market)
    return max(clock.closed_s) if place is None else clock.closed_s[place]


Handler = Callable[[Call], Verdict]


@dataclass(frozen=True, slots=True)
class KindRule:
    """One kind of transaction: its shapes, who may send it, what it does."""

    body: type[Wire]
    payload: type[Wire] | None
    roles: Role
    """The sender holds at least one of these; no role: any registered party."""
    handler: Handler


def slots_of_range(rules: Rules, market: Market, first_start_s: int, slots: int) -> range | None:
    """Starts of a range of slots.

    Returns:
        None when it is misaligned, longer than the limits allow, or ends beyond 64 bits.
    """
    length_s = market.slot_length_s
    end_s = first_start_s + slots * length_s
    too_long = slots > rules.genesis.limits.slots_per_phase or not fits_int64(end_s)
    if first_start_s % length_s or too_long:
        return None
    return range(first_start_s, end_s, length_s)
