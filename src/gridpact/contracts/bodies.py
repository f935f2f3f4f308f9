"""Shapes of all transactions: public bodies, private payloads, integer kind tags.

A tag never changes its meaning and a shape never changes under its tag: a new shape is a new kind.
`tests/golden/ledger` keeps the bytes of each.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Literal

from msgspec import Meta

from gridpact.codec import (
    Hash,
    Name,
    Natural,
    PositiveQuantity,
    PublicKey,
    Quantity,
    Text,
    Wire,
    encode,
    tagged_hash,
)
from gridpact.model import (
    AccountMode,
    MemberCarbon,
    MicrogridBid,
    Phase,
    Quality,
    Side,
    SlotCarbon,
    SlotTariff,
)
from gridpact.model.trace_jobs import SUBSTATIONS_MAX, TraceRight, TraceSame, TraceTerms


class Kind(IntEnum):
    """What a transaction is."""

    REGISTER_PARTICIPANT = 1
    REGISTER_METER = 2
    GRANT_ROLE = 3
    ROTATE_KEY = 4
    CLOSE_ACCOUNT = 5
    DEPOSIT = 10
    WITHDRAW = 11
    TARIFF = 20
    ORDER = 21
    CANCEL = 22
    PHASE = 23
    SEALED_ORDER = 24
    REVEAL = 25
    CURTAILMENT = 26
    BID = 27
    CLEARING = 28
    READING = 30
    READING_BATCH = 31
    MEMBER_CARBON = 39
    SLOT_CARBON = 40
    TRACE_REQUEST = 41
    TRACE_PACKAGE = 42
    TRACE_RESULT = 43
    TRACE_JUDGEMENT = 44
    TRACE_RATES = 45


class RegisterParticipant(Wire, frozen=True):
    """A new member. Active from the next barrier."""

    participant: Name
    public_key: PublicKey
    submitted_ms: Natural


class ParticipantPayload(Wire, frozen=True):
    """What concerns only the new member and those who keep its books."""

    secret: Hash
    """Salts of everything derived about the member come from it."""
    mode: AccountMode
    limit_nano: Annotated[int, Meta(ge=0, le=2**62)]
    """Credit limit; 0 unless the mode is `credit_limit`."""


class RegisterMeter(Wire, frozen=True):
    """A new meter of a participant. Active from the next barrier."""

    meter: Name
    public_key: PublicKey
    owner: Name
    reporter: Name
    """Party that may report besides the meter; the meter's own id when none."""
    submitted_ms: Natural


class GrantRole(Wire, frozen=True):
    """Gives a party a role, or takes it. In force from the next barrier."""

    party: Name
    role: Literal[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]
    """One `Role`."""
    granted: Annotated[int, Meta(ge=0, le=1)]
    submitted_ms: Natural


class RotateKey(Wire, frozen=True):
    """Replaces the sender's key from the next barrier on."""

    public_key: PublicKey
    submitted_ms: Natural


class CloseAccount(Wire, frozen=True):
    """A member leaves: at the next barrier its balance is paid out and its personal state goes.

    The id stays taken for ever.
    """

    participant: Name
    submitted_ms: Natural


class Deposit(Wire, frozen=True):
    """Money that reached the operator's bank for a participant; credited at the next barrier."""

    participant: Name
    submitted_ms: Natural


class Withdraw(Wire, frozen=True):
    """Money back to the sender; held at once, paid at the next barrier."""

    submitted_ms: Natural


class MoneyPayload(Wire, frozen=True):
    """An amount with the reference of the bank transfer."""

    amount_nano: Annotated[int, Meta(ge=1, le=2**62)]
    reference: Text


class SetTariff(Wire, frozen=True):
    """Prices of a range of slots that are not open yet. In force from the next barrier."""

    market: Name
    first_start_s: Natural
    slots: PositiveQuantity
    tariff: SlotTariff
    submitted_ms: Natural


class PlaceOrder(Wire, frozen=True):
    """An order in an open slot; what it says is in the payload."""

    market: Name
    slot_start_s: Natural


class OrderPayload(Wire, frozen=True):
    """The order itself."""

    side: Side
    price_micro_per_kwh: Quantity
    energy_wh: PositiveQuantity
    limit_micro_per_kwh: Quantity
    """Worst price that the second stage may use."""
    submitted_ms: Natural


class PlaceBid(Wire, frozen=True):
    """A microgrid's bid for the window that begins with an open slot."""

    market: Name
    slot_start_s: Natural


class BidPayload(Wire, frozen=True):
    """Costs and limits, one number for each slot of the window."""

    bid: MicrogridBid


class ProposeClearing(Wire, frozen=True):
    """A clearing of a closed slot's bids, with its proof as the payload; the best one counts."""

    market: Name
    slot_start_s: Natural
    left_out: list[Name]
    """Microgrids whose bids cannot be cleared with the others, sorted; nothing is agreed with
    them, and what they deposited is freed."""


class SealOrder(Wire, frozen=True):
    """A sealed order in an open slot: only that there is one, and what it must hash to."""

    market: Name
    slot_start_s: Natural
    commitment: Hash
    """`order_commitment` of the payload hash that the reveal will name."""


class _SealedIdentity(Wire, frozen=True):
    """What a commitment binds an order to, so that nobody can seal a copy of another's."""

    sender: Name
    market: Name
    slot_start_s: Natural
    payload_hash: Hash


def order_commitment(sender: str, market: str, slot_start_s: int, payload_hash: bytes) -> bytes:
    """What a sealed order shows before it is revealed.

    Args:
        sender: party id of whoever seals and reveals it.
        market: where.
        slot_start_s: delivery slot.
        payload_hash: sha256(salt || order), 32 bytes; the envelope of the reveal names it.
    """
    identity = _SealedIdentity(sender, market, slot_start_s, payload_hash)
    return tagged_hash(b"gridpact/seal/v1", encode(identity))


class RevealOrder(Wire, frozen=True):
    """Opens one of the sender's sealed orders; the payload is the order."""

    market: Name
    slot_start_s: Natural
    order_nonce: Natural


class CancelOrder(Wire, frozen=True):
    """Takes back one of the sender's open orders."""

    market: Name
    slot_start_s: Natural
    order_nonce: Natural


class MovePhase(Wire, frozen=True):
    """Moves a range of slots one phase on. A barrier: what waited takes effect first."""

    market: Name
    number: Natural
    """One above the last phase's number, over all markets."""
    phase: Phase
    first_start_s: Natural
    slots: PositiveQuantity
    not_before_s: Natural
    """No block with an earlier header time may contain it; 0 in simulated runs."""


class Curtail(Wire, frozen=True):
    """What the grid cannot carry of a cleared slot's trades. In force from the next barrier."""

    market: Name
    slot_start_s: Natural
    submitted_ms: Natural


class CurtailedTrade(Wire, frozen=True):
    """One trade with what it loses."""

    trade: Natural
    curtailed_wh: PositiveQuantity
    bound_by: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[ -~]*\Z")]
    """Branch or bus whose limit took it."""


class CurtailmentPayload(Wire, frozen=True):
    """The trades, each once."""

    trades: Annotated[list[CurtailedTrade], Meta(min_length=1)]


class ReportReading(Wire, frozen=True):
    """A meter's reading of one slot."""

    market: Name
    slot_start_s: Natural
    owner: Name
    meter: Name


class ReadingPayload(Wire, frozen=True):
    """The metered energy."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    quality: Quality
    import_wh: Quantity
    export_wh: Quantity


class ReportBatch(Wire, frozen=True):
    """A meter's readings of consecutive slots, such as a day, by whoever operates the meter."""

    market: Name
    first_start_s: Natural
    owner: Name
    meter: Name


class SlotReading(Wire, frozen=True):
    """The metered energy of one slot of a batch."""

    quality: Quality
    import_wh: Quantity
    export_wh: Quantity


class BatchPayload(Wire, frozen=True):
    """The readings, slot by slot."""

    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    readings: Annotated[list[SlotReading], Meta(min_length=1)]


class AllotMemberCarbon(Wire, frozen=True):
    """A member's carbon of consecutive settled slots; it waits for that of all slots."""

    market: Name
    first_start_s: Natural
    participant: Name
    submitted_ms: Natural


class MemberCarbonPayload(Wire, frozen=True):
    """The member's part, slot by slot."""

    slots: Annotated[list[MemberCarbon], Meta(min_length=1)]


class AllotSlotCarbon(Wire, frozen=True):
    """Carbon of consecutive settled slots over all members: allots what the members' parts say.

    In force from the next barrier, whole or not at all.
    """

    market: Name
    first_start_s: Natural
    slots: Annotated[list[SlotCarbon], Meta(min_length=1)]
    connections: Hash
    """Of the network and of who is connected where: with the parts all that tracing needs."""
    submitted_ms: Natural


class RequestTrace(Wire, frozen=True):
    """A job for providers who are not trusted; the sender is the grid company that pays."""

    market: Name
    """Whose clock its deadlines are of."""
    terms: TraceTerms


class SendPackage(Wire, frozen=True):
    """A substation has packaged what it knows of its own part of the network."""

    grid_company: Name
    job: Natural
    """Nonce of the request."""
    package: Hash
    """Of the encrypted package: load, P and Q, topology, r and x."""


class SendResult(Wire, frozen=True):
    """Who was hired has a result; the hash binds it before anybody compares."""

    grid_company: Name
    job: Natural
    task: Hash
    """Of what it was given."""
    result: Hash


class JudgeResults(Wire, frozen=True):
    """What the sender's checks say of the results of its own job."""

    job: Natural
    same: Annotated[list[TraceSame], Meta(max_length=64)]
    right: Annotated[list[TraceRight], Meta(max_length=32)]


class PublishRates(Wire, frozen=True):
    """What came of the sender's own job: hashes of the carbon rates and of each one's share."""

    job: Natural
    rates: Hash
    shares: Annotated[list[Hash], Meta(min_length=1, max_length=SUBSTATIONS_MAX)]
    """By substation, in the order of the request."""


class Claim(Wire, frozen=True):
    """A transaction whose effect waits for the next barrier."""

    kind: Kind
    submitted_ms: Natural
    body: bytes
    payload: bytes
    """Canonical payload without its salt; the claim's own leaf is salted with it."""


class Endorsement(Wire, frozen=True):
    """Validators who ask for a phase while the operator is silent."""

    bodies: list[Annotated[list[bytes], Meta(min_length=2, max_length=2)]]
    """(validator id, canonical body), by validator."""
