"""Prices outside the market, slot by slot, set by the price authority before a slot opens."""

from __future__ import annotations

from gridpact.contracts.bodies import SetTariff
from gridpact.contracts.call import Call, slots_of_range
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import slot_key, tariff_key
from gridpact.ledger import Account, Draft, system_key
from gridpact.model import AccountMode, SlotState, SlotTariff, Verdict


def network_account(region: str) -> str:
    """State key of a region's network fee account."""
    return system_key(f"network.{region}")


def leaves_room(tariff: SlotTariff) -> bool:
    """Whether a trade between feed-in and retail can serve both sides after the network fee.

    Source: [XIONG23], settlement is valid for S < U < B - G.
    """
    return (
        tariff.feed_in_micro_per_kwh + tariff.network_fee_micro_per_kwh
        < tariff.retail_micro_per_kwh
    )


def set_tariff(call: Call, body: SetTariff, _: None) -> Verdict:
    """Asks for prices. Refusals: UNKNOWN_MARKET, RANGE_WRONG, TARIFF_WRONG."""
    market = call.rules.markets.get(body.market)
    if market is None:
        return Verdict.UNKNOWN_MARKET
    starts = slots_of_range(call.rules, market, body.first_start_s, body.slots)
    if starts is None:
        return Verdict.RANGE_WRONG
    already_open = any(
        call.draft.entry(slot_key(body.market, start_s)) is not None for start_s in starts
    )
    if already_open or not leaves_room(body.tariff):
        return Verdict.TARIFF_WRONG
    return call.wait(body.submitted_ms)


def apply_set_tariff(
    draft: Draft, sender: str, body: SetTariff, payload: None, salt: bytes, *, market: Market
) -> Verdict:
    """Puts the prices in force for slots that have not opened. Refusals: TARIFF_WRONG."""
    starts = [body.first_start_s + i * market.slot_length_s for i in range(body.slots)]
    if any(draft.get(slot_key(body.market, start_s), SlotState) is not None for start_s in starts):
        return Verdict.TARIFF_WRONG
    network = network_account(body.tariff.region)
    if draft.entry(network) is None:
        draft.put(network, Account(int(AccountMode.POSTPAID), Account.NO_LIMIT, 0, 0))
    for start_s in starts:
        draft.put(tariff_key(body.market, start_s), body.tariff)
    return Verdict.ACCEPTED
