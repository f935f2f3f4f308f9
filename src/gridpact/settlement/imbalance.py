"""Metered against contracted: contracts at their price, the rest with the grid at the tariff.

A contract is financially firm: it is paid in full, and whoever delivered or consumed something
else settles the difference with the grid. So one member's shortfall never becomes another's loss,
and all energy and money balances slot by slot.

Signs: net energy is + for injection into the grid; amounts are + when the participant gets them.
"""

from __future__ import annotations

from collections.abc import Sequence

from gridpact.model import BillLine, Contract, LineKind, Reading, Side, SlotTariff
from gridpact.units import money_nano, split_half_unit


def trade_id(market: str, slot_start_s: int, trade: int) -> str:
    """Public name of a trade: market, slot, number in the canonical order of the clearing."""
    return f"{market}.{slot_start_s}.{trade}"


def choose_readings(readings: Sequence[Reading]) -> list[Reading]:
    """The reading that counts for each meter, by meter.

    The highest version wins; among equal versions of two senders the better quality, then the
    smaller sender id, so the order of arrival does not matter.
    """
    best: dict[str, Reading] = {}
    for reading in readings:
        held = best.get(reading.meter)
        if held is None or _rank(reading) < _rank(held):
            best[reading.meter] = reading
    return [best[meter] for meter in sorted(best)]


def _rank(reading: Reading) -> tuple[int, int, str]:
    return (-reading.version, reading.quality, reading.sender)


def metered_net_wh(readings: Sequence[Reading]) -> int:
    """Net injection that the meters saw, Wh."""
    return sum(reading.export_wh - reading.import_wh for reading in readings)


def deliverable_wh(contract: Contract) -> int:
    """What of a contract the grid could carry, Wh: this much is owed and paid."""
    return contract.energy_wh - contract.curtailed_wh


def contracted_net_wh(contracts: Sequence[Contract]) -> int:
    """Net injection that was sold and could be delivered, Wh."""
    return sum(
        deliverable_wh(contract) if contract.side == Side.OFFER else -deliverable_wh(contract)
        for contract in contracts
    )


def reading_reference(readings: Sequence[Reading]) -> str:
    """What a grid line names as its source: each meter with the version that was used.

    Meters are listed as far as 200 characters reach; otherwise the first is named and the others
    are counted.
    """
    named = [f"{reading.meter}/v{reading.version}" for reading in readings]
    text = "+".join(named)
    return text if len(text) <= 200 else f"{named[0]}+{len(named) - 1} meters"


def trade_lines(
    *, market: str, slot_start_s: int, contracts: Sequence[Contract], tariff: SlotTariff
) -> list[BillLine]:
    """One line per contract, one for the fee of each purchase, one for what could not be carried.

    Source: [WANG24], section 3.2.2, step 3. Ours: the network fee, paid by the buyer; energy that
    the grid could not carry is neither paid nor owed: its line has no amount, and what the meters
    saw of it is settled with the grid.
    """
    lines: list[BillLine] = []
    fee_micro_per_kwh = tariff.network_fee_micro_per_kwh

    def add(kind: LineKind, reference: str, wh: int, price_sum: int, amount_nano: int) -> None:
        lines.append(BillLine(slot_start_s, kind, 0, reference, wh, price_sum, amount_nano))

    for contract in contracts:
        bought = contract.side == Side.BID
        reference = trade_id(market, slot_start_s, contract.trade)
        energy_wh, price_sum = deliverable_wh(contract), contract.price_sum_micro_per_kwh
        if energy_wh:
            paid, received, _ = split_half_unit(price_sum, energy_wh)
            kind, amount = (LineKind.PURCHASE, -paid) if bought else (LineKind.SALE, received)
            add(kind, reference, energy_wh, price_sum, amount)
            fee = money_nano(fee_micro_per_kwh, energy_wh) if bought else 0
            if fee:
                add(LineKind.NETWORK_FEE, reference, energy_wh, 2 * fee_micro_per_kwh, -fee)
        if contract.curtailed_wh:
            at = f"{reference}@{contract.bound_by}"
            add(LineKind.UNDELIVERABLE, at, contract.curtailed_wh, price_sum, 0)
    return lines


def imbalance_line(
    *,
    slot_start_s: int,
    contracts: Sequence[Contract],
    readings: Sequence[Reading],
    tariff: SlotTariff,
    correction: int,
) -> BillLine | None:
    """What was metered beyond or below the contracts, with the grid; None when nothing was.

    A surplus earns the feed-in tariff, a shortage costs the retail tariff. With a negative
    `correction` the line takes back what these readings came to before.

    Source: [WANG24], section 4.1, outside options of both sides.
    """
    imbalance_wh = metered_net_wh(readings) - contracted_net_wh(contracts)
    if imbalance_wh == 0:
        return None
    surplus = imbalance_wh > 0
    price = tariff.feed_in_micro_per_kwh if surplus else tariff.retail_micro_per_kwh
    return BillLine(
        slot_start_s,
        LineKind.GRID_EXPORT if surplus else LineKind.GRID_IMPORT,
        correction,
        reading_reference(readings),
        abs(imbalance_wh),
        2 * price,
        money_nano(price, imbalance_wh if correction >= 0 else -imbalance_wh),
    )
