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
    from collections.abc import Iterable, Mapping, Sequence

    from gridpact.model import Member, Slot, SlotPrices

_TAG = b"gridpact/quote/v1"
_DRAW_BITS = 64
SHADE_STEPS_PER_PERCENT = 10_000
"""Shares are drawn in millionths of the price band."""
BAND_STEPS = 100 * SHADE_STEPS_PER_PERCENT
"""The whole band."""
ADAPTIVE_STEP = 2 * SHADE_STEPS_PER_PERCENT
"""How far one order moves an adaptive shade at most: 2 % of the band."""


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


def first_shade(shade_max_percent: int) -> int:
    """Where an adaptive member begins: half of what it may keep, in millionths of the band.

    >>> first_shade(60)
    300000
    """
    return shade_max_percent * SHADE_STEPS_PER_PERCENT // 2


def next_shade(shade: int, shade_max_percent: int, ordered_wh: int, traded_wh: int) -> int:
    """The adaptive shade after one order came to its end.

    Traded in full, it dares 2 % of the band more; not at all, 2 % less; in part, in between, so
    that it settles where half of its energy trades. Without an order it stays.

    Args:
        shade: before, in millionths of the band.
        shade_max_percent: most that it may keep.
        ordered_wh: energy of the order, 0 when there was none.
        traded_wh: what of it found another side.

    >>> next_shade(300_000, 60, 100, 100), next_shade(300_000, 60, 100, 25)
    (320000, 290000)

    Ours.
    """
    invariant(0 <= traded_wh <= ordered_wh, f"{traded_wh} of {ordered_wh} Wh traded")
    if ordered_wh:
        shade += ADAPTIVE_STEP * (2 * traded_wh - ordered_wh) // ordered_wh
    return min(max(shade, 0), shade_max_percent * SHADE_STEPS_PER_PERCENT)


def adapted_shade(shade_max_percent: int, results: Iterable[tuple[int, int]]) -> int:
    """The adaptive shade after a member's (ordered, traded) results, oldest first, in Wh."""
    shade = first_shade(shade_max_percent)
    for ordered_wh, traded_wh in results:
        shade = next_shade(shade, shade_max_percent, ordered_wh, traded_wh)
    return shade


def quotes(
    members: Sequence[Member],
    net_wh: Iterable[int],
    prices: SlotPrices,
    slot: Slot,
    seed: int,
    shades: Mapping[str, int] | None = None,
) -> list[Quote]:
    """The quotes of all members for one slot, sorted by participant id.

    A truthful quote is the limit. The others are moved from the limit towards the other side's
    limit by a share of the band between them: a shaded one by a random share up to
    `shade_max_percent`, a random one by any share, an adaptive one by the share it has come to.
    A member that expects neither surplus nor need sends nothing. Submissions fall at random into
    the last slot length before the slot starts.

    Args:
        members: M members.
        net_wh: for each of them the energy it expects, + = surplus.
        prices: the tariff of the slot; feed-in below retail minus fee.
        slot: the delivery slot.
        seed: the scenario's.
        shades: of adaptive members by id, in millionths of the band, as `next_shade` gives them;
            who is not in it begins at `first_shade`.
    """
    known = shades or {}
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
        steps = _steps(member, digest[:8], known)
        move = band * steps // BAND_STEPS
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


def _steps(member: Member, digest: bytes, shades: Mapping[str, int]) -> int:
    """How far a quote moves away from the limit, in millionths of the band."""
    agent = member.agent
    match agent.quoting:
        case Quoting.TRUTHFUL:
            return 0
        case Quoting.SHADED:
            return _draw(digest, agent.shade_max_percent * SHADE_STEPS_PER_PERCENT + 1)
        case Quoting.RANDOM:
            return _draw(digest, BAND_STEPS + 1)
        case Quoting.ADAPTIVE:
            shade = shades.get(member.participant_id)
            return first_shade(agent.shade_max_percent) if shade is None else shade


def _draw(digest: bytes, choices: int) -> int:
    """A number from 0 to `choices` - 1; uniform up to `choices` / 2^64."""
    return int.from_bytes(digest, "big") * choices >> _DRAW_BITS
