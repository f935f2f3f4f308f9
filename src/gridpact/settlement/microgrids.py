"""What a slot of a bargain comes to: what was delivered, who compensates whom, what the grid takes.

The transfer is paid whatever is delivered: it pays for the agreed energy, and compensation makes
each buyer at least whole for what did not come: it gets the retail price and its green loss for
every kWh, saves the fee, and needs not all of that energy to be green.

Meters give two sums for each microgrid, of what generates and of what consumes; storage and turbine
follow the agreement, as far as there is green energy to charge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gridpact.model import Agreement, BillLine, Flow, LineKind, SlotTariff
from gridpact.units import money_nano, split_by_largest_remainder

NO_AGREEMENT = Agreement(0, 0, 0, 0, 0, [], [], 0)


@dataclass(frozen=True, slots=True)
class Metered:
    """What the meters of one microgrid saw in a slot."""

    generated_wh: int
    consumed_wh: int
    reference: str
    """The readings it is from."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one microgrid did with its green energy."""

    charged_wh: int
    sent_wh: list[int]
    """By sale."""


def deliver(agreement: Agreement, metered: Metered) -> Delivery:
    """Own use as planned comes first, then buyers in proportion, then the grid.

    Source: [AEPS22], section 4.3. Ours: own use is what was planned, since the whole load would
    leave nothing of any sale by who has more load than sun; the storage charges no more than there
    is green energy.
    """
    charge_wh = charged_wh(agreement, metered.generated_wh)
    own_wh = min(agreement.green_wh, metered.consumed_wh)
    free_wh = metered.generated_wh + agreement.discharge_wh - charge_wh - own_wh
    sold_wh = [flow.energy_wh for flow in agreement.sales]
    sent_wh = min(max(0, free_wh), sum(sold_wh))
    return Delivery(charge_wh, split_by_largest_remainder(sent_wh, sold_wh))


def charged_wh(agreement: Agreement, generated_wh: int) -> int:
    """What the storage charges: as agreed, but no more than there is green energy for it.

    Purchases count as agreed; who gets less is compensated for replacing it.
    """
    bought_wh = sum(flow.energy_wh for flow in agreement.purchases)
    return min(agreement.charge_wh, generated_wh + agreement.discharge_wh + bought_wh)


def exchange_wh(
    agreement: Agreement, metered: Metered, delivery: Delivery, received_wh: int
) -> int:
    """What a microgrid gives to the grid beside its trade, + = given; Wh."""
    made_wh = metered.generated_wh + agreement.discharge_wh + agreement.turbine_wh
    used_wh = metered.consumed_wh + delivery.charged_wh
    return made_wh - used_wh - sum(delivery.sent_wh) + received_wh


def bargain_lines(
    *,
    market: str,
    slot_start_s: int,
    tariff: SlotTariff,
    agreements: Mapping[str, Agreement],
    metered: Mapping[str, Metered],
) -> dict[str, list[BillLine]]:
    """The lines of every metered microgrid, by its id.

    Args:
        market: id.
        slot_start_s: start of the slot.
        tariff: of the slot; its network fee is each side's.
        agreements: of those that bid.
        metered: of all that owe readings; everybody with an agreement is among them.
    Returns:
        Amounts of TRANSFER and COMPENSATION sum to zero over all microgrids.

    Source: [AEPS22], section 4.3 and eq. (19).
    """
    deliveries = {
        owner: deliver(agreements.get(owner, NO_AGREEMENT), seen) for owner, seen in metered.items()
    }
    incoming: dict[str, list[tuple[str, Flow, int]]] = {owner: [] for owner in metered}
    for owner, delivery in deliveries.items():
        sales = agreements.get(owner, NO_AGREEMENT).sales
        for flow, sent_wh in zip(sales, delivery.sent_wh, strict=True):
            incoming[flow.counterparty].append((owner, flow, sent_wh))
    reference = f"{market}.{slot_start_s}"
    lines: dict[str, list[BillLine]] = {}
    for owner, seen in metered.items():
        agreement, delivery = agreements.get(owner, NO_AGREEMENT), deliveries[owner]
        received_wh = sum(sent_wh for _, _, sent_wh in incoming[owner])
        page = _Page(slot_start_s, [])
        if agreement.transfer_nano:
            page.add(LineKind.TRANSFER, reference, 0, 0, agreement.transfer_nano)
        page.add_moved(LineKind.SALE, reference, sum(delivery.sent_wh))
        page.add_moved(LineKind.PURCHASE, reference, received_wh)
        for flow, sent_wh in zip(agreement.sales, delivery.sent_wh, strict=True):
            page.add_missing(f"{reference}/{flow.counterparty}", flow, sent_wh, -1)
        for seller, flow, sent_wh in incoming[owner]:
            page.add_missing(f"{reference}/{seller}", flow, sent_wh, 1)
        moved_wh = sum(delivery.sent_wh) + received_wh
        fee = tariff.network_fee_micro_per_kwh
        if moved_wh and fee:
            page.add(LineKind.NETWORK_FEE, reference, moved_wh, 2 * fee, -money_nano(fee, moved_wh))
        given_wh = exchange_wh(agreement, seen, delivery, received_wh)
        if given_wh:
            kind = LineKind.GRID_EXPORT if given_wh > 0 else LineKind.GRID_IMPORT
            price = tariff.feed_in_micro_per_kwh if given_wh > 0 else tariff.retail_micro_per_kwh
            amount = money_nano(price, given_wh)
            page.add(kind, seen.reference, abs(given_wh), 2 * price, amount)
        lines[owner] = page.lines
    return lines


@dataclass(frozen=True, slots=True)
class _Page:
    """Lines of one microgrid in one slot."""

    slot_start_s: int
    lines: list[BillLine]

    def add(self, kind: LineKind, reference: str, wh: int, price_sum: int, nano: int) -> None:
        """One line of the first settlement."""
        self.lines.append(BillLine(self.slot_start_s, kind, 0, reference, wh, price_sum, nano))

    def add_moved(self, kind: LineKind, reference: str, energy_wh: int) -> None:
        """Delivered energy, which the transfer has paid for."""
        if energy_wh:
            self.add(kind, reference, energy_wh, 0, 0)

    def add_missing(self, reference: str, flow: Flow, sent_wh: int, sign: int) -> None:
        """Compensation for what did not come. Source: [AEPS22], eq. (19)."""
        missing_wh = flow.energy_wh - sent_wh
        if missing_wh:
            price = flow.compensation_micro_per_kwh
            amount = sign * money_nano(price, missing_wh)
            self.add(LineKind.COMPENSATION, reference, missing_wh, 2 * price, amount)
