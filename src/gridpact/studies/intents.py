"""What somebody wants to send, kind by kind: well-formed, for those who refuse or break it."""

from __future__ import annotations

from typing import NamedTuple

from gridpact.codec import Wire, sha256
from gridpact.contracts.bodies import (
    BatchPayload,
    CancelOrder,
    Curtail,
    CurtailedTrade,
    CurtailmentPayload,
    Kind,
    MovePhase,
    OrderPayload,
    PlaceOrder,
    ReadingPayload,
    ReportBatch,
    ReportReading,
    RevealOrder,
    SealOrder,
    SetTariff,
    SlotReading,
    order_commitment,
)
from gridpact.ledger.envelope import sealed_payload
from gridpact.model import (
    OPERATOR,
    PRICE_AUTHORITY,
    Phase,
    Quality,
    Side,
    SlotTariff,
)
from gridpact.studies.carbon_bodies import carbon_bodies
from gridpact.studies.workload import (
    MARKET,
    SEALED_MARKET,
    meter_of,
    start_of,
)

SEAL_SALT = b"\x5e" * 32
"""Under which everything in the scene is sealed, so that it can be revealed."""


class Intent(NamedTuple):
    """What somebody wants to send."""

    sender: str
    kind: Kind
    body: Wire
    payload: Wire | None = None
    salt: bytes = b""
    """Of the payload, where a seal has fixed it."""


def order_intent(
    sender: str,
    slot: int,
    *,
    market: str = MARKET,
    side: Side = Side.BID,
    price: int = 200_000,
    limit: int = 200_000,
) -> Intent:
    """An order, good unless something else is asked for."""
    payload = OrderPayload(side, price, 1_000, limit, 0)
    return Intent(sender, Kind.ORDER, PlaceOrder(market, start_of(slot)), payload)


def cancel_intent(sender: str, slot: int, nonce: int, *, market: str = MARKET) -> Intent:
    """Takes an order back."""
    return Intent(sender, Kind.CANCEL, CancelOrder(market, start_of(slot), nonce))


SEALED_ORDER = OrderPayload(Side.BID, 200_000, 1_000, 200_000, 0)
"""Inside every seal of the scene."""


def seal_intent(sender: str, slot: int, *, market: str = SEALED_MARKET) -> Intent:
    """A sealed order, good in the market that takes such."""
    hashed = sha256(sealed_payload(SEAL_SALT, SEALED_ORDER))
    commitment = order_commitment(sender, market, start_of(slot), hashed)
    return Intent(sender, Kind.SEALED_ORDER, SealOrder(market, start_of(slot), commitment))


def reveal_intent(
    sender: str,
    slot: int,
    nonce: int,
    *,
    order: OrderPayload = SEALED_ORDER,
    market: str = SEALED_MARKET,
) -> Intent:
    """Opens what the sender has sealed under this nonce."""
    body = RevealOrder(market, start_of(slot), nonce)
    return Intent(sender, Kind.REVEAL, body, order, SEAL_SALT)


def curtail_intent(slot: int, *cuts: tuple[int, int]) -> Intent:
    """(trade, Wh) of each trade that the grid cannot carry."""
    payload = CurtailmentPayload([CurtailedTrade(trade, wh, "line-7") for trade, wh in cuts])
    return Intent(OPERATOR, Kind.CURTAILMENT, Curtail(MARKET, start_of(slot), 0), payload)


def batch_intent(
    owner: str,
    slot: int,
    slots: int = 1,
    *,
    version: int = 1,
    sender: str = "",
    market: str = MARKET,
    off_s: int = 0,
) -> Intent:
    """Readings of a run of slots by the meter, or by somebody else."""
    body = ReportBatch(market, start_of(slot) + off_s, owner, meter_of(owner))
    seen = [SlotReading(Quality.SUBSTITUTED, 0, 0)] * slots
    return Intent(sender or meter_of(owner), Kind.READING_BATCH, body, BatchPayload(version, seen))


def reading_intent(
    owner: str, slot: int, *, meter: str = "", version: int = 1, import_wh: int = 0
) -> Intent:
    """A reading by a meter for its owner, or for somebody else."""
    meter = meter or meter_of(owner)
    body = ReportReading(MARKET, start_of(slot), owner, meter)
    payload = ReadingPayload(version, Quality.MEASURED, import_wh, 0)
    return Intent(meter, Kind.READING, body, payload)


def carbon_intents(sender: str, slot: int, participant: str) -> list[Intent]:
    """Carbon of a slot, for which no market here has rules."""
    return [Intent(sender, *each) for each in carbon_bodies(MARKET, start_of(slot), participant)]


def tariff_intent(
    slot: int, slots: int, tariff: SlotTariff, *, market: str = MARKET, submitted_ms: int = 0
) -> Intent:
    """Prices of a range."""
    body = SetTariff(market, start_of(slot), slots, tariff, submitted_ms)
    return Intent(PRICE_AUTHORITY, Kind.TARIFF, body)


def phase_intent(
    sender: str,
    number: int,
    phase: Phase,
    slot: int,
    *,
    slots: int = 1,
    market: str = MARKET,
    not_before_s: int = 0,
) -> Intent:
    """A move of a range."""
    body = MovePhase(market, number, phase, start_of(slot), slots, not_before_s)
    return Intent(sender, Kind.PHASE, body)
