"""Bargains of microgrids: bids over a window, and clearings that anybody with the duty may propose.

No replica solves anything. A clearing proves by its certificate that it is feasible, that it is as
good as the market demands, and that what each gets is what the rule gives; among those that do
the one with the smallest costs counts, so who proposes first gains nothing.

Source: [AEPS22], section 3, contract SC1 (requests, disagreement, bargain). Ours: proofs in place
of the trust in a leader; the deposit is the worst case and no number of the bidder's.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from gridpact.codec import encode, sha256
from gridpact.contracts.admission import admit, is_metered
from gridpact.contracts.bodies import BidPayload, CancelOrder, PlaceBid, ProposeClearing
from gridpact.contracts.call import Call
from gridpact.contracts.genesis import BargainRules, Market
from gridpact.contracts.keys import (
    clearing_key,
    position_group,
    position_key,
    slot_key,
)
from gridpact.ledger import AmountOverflowError, Draft, Leg, account_key, owner_of
from gridpact.ledger.envelope import SALT_BYTES
from gridpact.model import (
    Agreement,
    Certificate,
    Clearing,
    Flow,
    MicrogridBid,
    MicrogridTerms,
    Phase,
    SlotBid,
    SlotState,
    SlotTariff,
    Verdict,
)
from gridpact.model.microgrids import PERIODS_MAX
from gridpact.units import fits_int64, money_nano

_FIRST_CLEARING_VERDICT = 60


def tariffs_of_window(draft: Draft, market: Market, start_s: int) -> list[SlotTariff]:
    """Tariffs of the window that begins with an open or later slot.

    The window goes on as long as slots follow that were opened with this one or before it and are
    of its billing day. All that is fixed when the slot opens, so a bid that fits its window then
    fits it for good, whatever tariffs come or change meanwhile.
    """
    first = draft.require(slot_key(market.market, start_s), SlotState)
    found = [first.tariff]
    while len(found) < PERIODS_MAX:
        at_s = start_s + len(found) * market.slot_length_s
        slot = draft.get(slot_key(market.market, at_s), SlotState)
        if (
            slot is None
            or slot.opened_phase > first.opened_phase
            or slot.tariff.billing_day != first.tariff.billing_day
        ):
            break
        found.append(slot.tariff)
    return found


def terms_of_window(rules: BargainRules, tariffs: list[SlotTariff]) -> MicrogridTerms:
    """What is the same for all bids of a window; the fee is that of its first slot."""
    return MicrogridTerms(
        retail_micro_per_kwh=[tariff.retail_micro_per_kwh for tariff in tariffs],
        feed_in_micro_per_kwh=[tariff.feed_in_micro_per_kwh for tariff in tariffs],
        fee_per_side_micro_per_kwh=tariffs[0].network_fee_micro_per_kwh,
        end_micro_per_kwh=rules.end_micro_per_kwh,
    )


# Bids


def place_bid(call: Call, body: PlaceBid, payload: BidPayload) -> Verdict:
    """Keeps the sender's bid and holds the most that the slot can cost it.

    Refusals: UNKNOWN_MARKET, UNKNOWN_SLOT, UNKNOWN_PARTY, GATE_CLOSED, TOO_MANY_ORDERS,
    INSUFFICIENT_FUNDS, METER_MISSING, MECHANISM_WRONG, WINDOW_WRONG, BID_WRONG.
    """
    admitted = admit(call, body.market, body.slot_start_s)
    if isinstance(admitted, Verdict):
        return admitted
    market, slot, account = admitted
    key = position_key("bids", call.sender, body.market, body.slot_start_s)
    if call.draft.entry(key) is not None:
        return Verdict.TOO_MANY_ORDERS
    judged = _judged(call.draft, market, body.slot_start_s, payload.bid)
    escrow = judged if not isinstance(judged, Verdict) else 0
    if not account.can_hold(escrow):
        return Verdict.INSUFFICIENT_FUNDS
    if not is_metered(call, slot):
        return Verdict.METER_MISSING
    if isinstance(judged, Verdict):
        return judged
    call.draft.post(Leg(account_key(call.sender), -escrow, escrow))
    call.draft.put(key, SlotBid(call.envelope.nonce, payload.bid, escrow))
    return Verdict.ACCEPTED


def _judged(draft: Draft, market: Market, start_s: int, bid: MicrogridBid) -> int | Verdict:
    """What is held for a bid, or why it cannot be one."""
    from gridpact.market.integer.microgrids import bid_fits, exposure_nano

    rules = market.bargain
    if rules is None:
        return Verdict.MECHANISM_WRONG
    tariffs = tariffs_of_window(draft, market, start_s)
    series = (bid.load_wh, bid.green_demand_wh, bid.renewable_wh)
    if any(len(numbers) != len(tariffs) for numbers in series):
        return Verdict.WINDOW_WRONG
    terms = terms_of_window(rules, tariffs)
    if not bid_fits(terms, bid, rules.price_max_micro_per_kwh):
        return Verdict.BID_WRONG
    return exposure_nano(terms, bid, rules.price_max_micro_per_kwh)


def cancel_bid(call: Call, body: CancelOrder) -> bool:
    """Take a bid back and free what is held for it; False when there is none of this nonce."""
    key = position_key("bids", call.sender, body.market, body.slot_start_s)
    held = call.draft.get(key, SlotBid)
    if held is None or held.nonce != body.order_nonce:
        return False
    call.draft.post(Leg(account_key(call.sender), held.escrow_nano, -held.escrow_nano))
    call.draft.delete(key)
    return True


def bids_of(draft: Draft, market: str, start_s: int) -> dict[str, SlotBid]:
    """All bids of a slot, by microgrid in the order of their ids."""
    keys = sorted(draft.group(position_group("bids", market, start_s)), key=owner_of)
    return {owner_of(key): draft.require(key, SlotBid) for key in keys}


# Clearings


def propose_clearing(call: Call, body: ProposeClearing, payload: Certificate) -> Verdict:
    """Checks a clearing in exact integers and keeps it when it is the best so far.

    One bid must not keep all others from clearing, so a proposer may leave microgrids out, such as
    one whose storage shifts more into the first slot than deposits cover. A clearing that leaves
    out fewer always counts before it.

    Refusals: UNKNOWN_MARKET, UNKNOWN_SLOT, MECHANISM_WRONG, NOT_CLEARING, LEFT_OUT_WRONG, then what
    the certificate's check says first, DEPOSIT_SHORT; OVERFLOW of the costs of all.
    """
    from gridpact.market.integer.microgrids import plan_of, verify

    draft, start_s = call.draft, body.slot_start_s
    market = call.rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    slot = draft.get(slot_key(body.market, start_s), SlotState)
    if slot is None:
        return Verdict.UNKNOWN_SLOT
    rules = market.bargain
    if rules is None:
        return Verdict.MECHANISM_WRONG
    everybody = bids_of(draft, body.market, start_s)
    if slot.phase != Phase.CLOSED or not everybody:
        return Verdict.NOT_CLEARING
    bids = {owner: held for owner, held in everybody.items() if owner not in body.left_out}
    if body.left_out != [owner for owner in everybody if owner not in bids] or not bids:
        return Verdict.LEFT_OUT_WRONG
    terms = terms_of_window(rules, tariffs_of_window(draft, market, start_s))
    found = verify(
        terms, [held.bid for held in bids.values()], weights_of(rules, bids), payload, rules.gap_ppb
    )
    if found:
        return Verdict(_FIRST_CLEARING_VERDICT + found)
    plan = plan_of(payload, len(bids), len(terms.retail_micro_per_kwh))
    offered = {owner: held.bid for owner, held in bids.items()}
    first = plan[:, :, 0].tolist()
    agreements = agreements_of(terms, offered, first, payload.first_transfer_nano)
    held_nano = [held.escrow_nano for held in bids.values()]
    if any(one.escrow_nano > most for one, most in zip(agreements, held_nano, strict=True)):
        return Verdict.DEPOSIT_SHORT
    _keep_best(
        call,
        clearing_key(body.market, start_s),
        Clearing(
            left_out=body.left_out,
            costs_nano=sum(payload.cost_nano) + sum(payload.alone_cost_nano),
            certificate=sha256(encode(body) + encode(payload)),
            agreements=agreements,
        ),
    )
    return Verdict.ACCEPTED


def _keep_best(call: Call, key: str, clearing: Clearing) -> None:
    """Put a clearing in the place of a worse one.

    Of one clearing from two senders the smaller salt stays, so that their order leaves no trace.
    For the same reason an overflow is told whether the clearing would stay or not.
    """
    if not fits_int64(clearing.costs_nano):
        raise AmountOverflowError(key)
    salt = call.sealed[:SALT_BYTES]
    entry, best = call.draft.entry(key), call.draft.get(key, Clearing)
    if entry is None or best is None or (_rank(clearing), salt) < (_rank(best), entry.salt):
        call.draft.put(key, clearing, salt)


def weights_of(rules: BargainRules, bids: dict[str, SlotBid]) -> list[int]:
    """The share of each bidder in the common gain, relative to the others."""
    named = {each.party: each.weight for each in rules.weights}
    return [named.get(owner, 1) for owner in bids]


def _rank(clearing: Clearing) -> tuple[int, int, bytes]:
    return (len(clearing.left_out), clearing.costs_nano, clearing.certificate)


def agreements_of(
    terms: MicrogridTerms,
    bids: Mapping[str, MicrogridBid],
    first: list[list[int]],
    transfer_nano: list[int],
) -> list[Agreement]:
    """What each microgrid has agreed to in the first slot of a window.

    Args:
        terms: of the window.
        bids: by microgrid.
        first: that slot's plan, by column and microgrid.
        transfer_nano: what each receives for it.
    """
    from gridpact.market.integer.microgrids import flows_wh
    from gridpact.model.microgrids import Column

    # Where fees are zero a plan may sell and purchase at once; only the difference is agreed, or
    # a microgrid would owe compensation for energy that merely passes through.
    pairs = zip(first[Column.SELL], first[Column.PURCHASE], strict=True)
    net_wh = [sold - bought for sold, bought in pairs]
    flows = flows_wh([max(0, wh) for wh in net_wh], [max(0, -wh) for wh in net_wh])
    owners = list(bids)
    fee, retail = terms.fee_per_side_micro_per_kwh, terms.retail_micro_per_kwh[0]
    prices = [bid.shortage_micro_per_kwh + retail for bid in bids.values()]
    agreements = []
    for i, owed in enumerate(transfer_nano):
        sales = [Flow(owners[j], wh, prices[j]) for j, wh in enumerate(flows[i]) if wh]
        purchases = [Flow(owners[j], row[i], prices[i]) for j, row in enumerate(flows) if row[i]]
        undelivered = sum(
            money_nano(flow.compensation_micro_per_kwh, flow.energy_wh) for flow in sales
        )
        agreements.append(
            Agreement(
                transfer_nano=owed,
                green_wh=first[Column.GREEN_DEMANDED][i] + first[Column.GREEN_OTHER][i],
                charge_wh=first[Column.CHARGE][i],
                discharge_wh=first[Column.DISCHARGE][i],
                turbine_wh=first[Column.TURBINE][i],
                sales=sales,
                purchases=purchases,
                escrow_nano=max(0, -owed) + money_nano(fee, abs(net_wh[i])) + undelivered,
            )
        )
    return agreements


def clear_bargain(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Turns the best clearing into agreements; without one nobody trades and all is freed.

    Returns:
        The slot with its public totals, in phase `cleared`.
    """
    bids = bids_of(draft, market.market, start_s)
    key = clearing_key(market.market, start_s)
    clearing = draft.get(key, Clearing)
    agreed: dict[str, Agreement] = {}
    if clearing is not None:
        owners = [owner for owner in bids if owner not in clearing.left_out]
        agreed = dict(zip(owners, clearing.agreements, strict=True))
        draft.delete(key)
    for owner, held in bids.items():
        promise = agreed.get(owner)
        freed = held.escrow_nano - (promise.escrow_nano if promise is not None else 0)
        if freed:
            draft.post(Leg(account_key(owner), freed, -freed))
        if promise is not None:
            draft.put(position_key("agreements", owner, market.market, start_s), promise)
    sales = [flow.energy_wh for one in agreed.values() for flow in one.sales]
    return msgspec.structs.replace(
        slot,
        phase=Phase.CLEARED,
        orders=len(bids),
        trades=len(sales),
        traded_wh=sum(sales),
        turnover_nano=sum(max(0, one.transfer_nano) for one in agreed.values()),
    )
