"""Well-formed bodies of the two kinds that allot carbon, for fuzzers to send and to break."""

from __future__ import annotations

from gridpact.codec import Wire
from gridpact.contracts.bodies import (
    AllotMemberCarbon,
    AllotSlotCarbon,
    Kind,
    MemberCarbonPayload,
)
from gridpact.model import MemberCarbon, SlotCarbon


def carbon_bodies(
    market: str, start_s: int, participant: str
) -> list[tuple[Kind, Wire, Wire | None]]:
    """(kind, body, payload): 1 Wh from outside that one member used, and the slot's sums."""
    part = MemberCarbon(1, 0, 0, 0, 1, 0, 0)
    sums = SlotCarbon(1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0)
    of_member = AllotMemberCarbon(market, start_s, participant, 0)
    of_slot = AllotSlotCarbon(market, start_s, [sums], bytes(32), 0)
    return [
        (Kind.MEMBER_CARBON, of_member, MemberCarbonPayload([part])),
        (Kind.SLOT_CARBON, of_slot, None),
    ]
