"""Quotes: what a member offers or bids for one slot, from its forecast and its outside option.

Chance is drawn per (seed, participant, slot) by hashing. So a quote depends neither on who else
takes part nor on the order in which quotes are made, and no float is involved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.codec import tagged_hash
from gridpact.errors import invariant
from gridpact.model import Quoting, Side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gridpact.model import Member, Slot, SlotPrices

_TAG = b"gridpact/quote/v1"
_DRAW_BITS = 64
SHADE_STEPS_PER_PERCENT = 10_000
"""Shares are drawn in millionths of the price band."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One order as an agent decides it, before it is signed."""

    participant_id: str
    side: Side
    energy_wh: int
    """> 0."""
    limit_micro_per_kwh: int
    """Private: the worst price that is still as good as the outside option. For a seller that is
    the feed-in tariff, what the grid pays for the same energy. For a buyer it is retail minus
    network fee, because on traded energy it pays the fee on top of the price."""
    price_micro_per_kwh: int
    """Public: what is quoted, at the limit or better for the one who quotes."""
    submitted_ms: int
    """Simulated time of submission, ms since 1970 UTC."""


def quotes(
    members: Sequence[Member],
    net_wh: Iterable[int],
    prices: SlotPrices,
    slot: Slot,
    seed: int,
) -> list[Quote]:
    """The quotes of all members for one slot, sorted by participant id.

    A truthful quote is the limit. A shaded one is moved from the limit towards the other side's
    limit by a random share of the band between them, 0..`shade_max_percent`. A member that
    expects neither surplus nor need sends nothing. Submissions fall at random into the last slot
    length before the slot starts.

    Args:
        members: M members.
        net_wh: for each of them the energy it expects, + = surplus.
        prices: the tariff of the slot; feed-in below retail minus fee.
        slot: the delivery slot.
        seed: the scenario's.
    """
    seller_limit = prices.feed_in_micro_per_kwh
    buyer_limit = prices.retail_micro_per_kwh - prices.network_fee_micro_per_kwh
    band = buyer_limit - seller_limit
    invariant(band > 0, f"no room between feed-in {seller_limit} and retail less fee {buyer_limit}")
    moment = seed.to_bytes(8, "big") + slot.start_s.to_bytes(8, "big")
    open_ms = slot.length_s * 1000
    result = []
    for member, net in zip(members, net_wh, strict=True):
        energy_wh = int(net)
        if energy_wh == 0:
            continue
        digest = tagged_hash(_TAG, moment + member.participant_id.encode())
        agent = member.agent
        steps = 0
        if agent.quoting is Quoting.SHADED:
            steps = _draw(digest[:8], agent.shade_max_percent * SHADE_STEPS_PER_PERCENT + 1)
        move = band * steps // (100 * SHADE_STEPS_PER_PERCENT)
        selling = energy_wh > 0
        result.append(
            Quote(
                participant_id=member.participant_id,
                side=Side.OFFER if selling else Side.BID,
                energy_wh=abs(energy_wh),
                limit_micro_per_kwh=seller_limit if selling else buyer_limit,
                price_micro_per_kwh=seller_limit + move if selling else buyer_limit - move,
                submitted_ms=slot.start_s * 1000 - open_ms + _draw(digest[8:16], open_ms),
            )
        )
    result.sort(key=lambda quote: quote.participant_id)
    return result


def _draw(digest: bytes, choices: int) -> int:
    """A number from 0 to `choices` - 1; uniform up to `choices` / 2^64."""
    return int.from_bytes(digest, "big") * choices >> _DRAW_BITS
