"""What must balance at every barrier, computed from the state alone.

The handlers keep these sums by construction; an auditor does not take their word for it.
"""

from __future__ import annotations

from gridpact.codec import decode
from gridpact.contracts.bodies import Claim, Kind, MoneyPayload
from gridpact.contracts.keys import position_group
from gridpact.ledger import Account, State, owner_of
from gridpact.model import (
    Agreement,
    Order,
    Phase,
    Reading,
    Side,
    SlotBid,
    SlotContracts,
    SlotOrders,
    SlotReadings,
    SlotSeals,
    SlotState,
)
from gridpact.model.trace_jobs import TraceJob
from gridpact.settlement import charged_wh, choose_readings, metered_net_wh


def money_residual_nano(state: State) -> int:
    """Sum of all accounts, escrow included; zero when no money appeared or vanished."""
    total = 0
    for group in ("system", "account"):
        for key in state.group(group):
            account = state.entries[key].value
            if isinstance(account, Account):
                total += account.available_nano + account.escrow_nano
    return total


def escrow_residual_nano(state: State) -> int:
    """Escrow of all accounts minus what orders, seals, contracts, withdrawals and jobs hold."""
    held = sum(
        account.escrow_nano
        for key in state.group("account")
        if isinstance(account := state.entries[key].value, Account)
    )
    for key, entry in state.entries.items():
        value = entry.value
        if isinstance(value, SlotOrders):
            held -= sum(order.escrow_nano for order in _open_orders(state, key, value))
        elif isinstance(value, SlotSeals):
            held -= sum(seal.deposit_nano for seal in value.seals)
        elif isinstance(value, SlotContracts):
            if _slot_of(state, key).phase < Phase.SETTLED:
                held -= value.escrow_nano
        elif isinstance(value, SlotBid):
            held -= value.escrow_nano if _slot_of(state, key).phase < Phase.CLEARED else 0
        elif isinstance(value, Agreement):
            held -= value.escrow_nano if _slot_of(state, key).phase < Phase.SETTLED else 0
        elif isinstance(value, TraceJob):
            held -= value.escrow_nano
        elif isinstance(value, Claim) and value.kind == Kind.WITHDRAW:
            held -= decode(MoneyPayload, value.payload).amount_nano
    return held


def _slot_of(state: State, key: str) -> SlotState:
    slot = state.entries["slot/" + key.split("/", 2)[2]].value
    if not isinstance(slot, SlotState):
        raise TypeError(key)
    return slot


def _open_orders(state: State, key: str, orders: SlotOrders) -> list[Order]:
    """Orders that still hold escrow: those of slots that are not cleared."""
    return orders.orders if _slot_of(state, key).phase < Phase.CLEARED else []


def energy_residual_wh(state: State, market: str, start_s: int, slot: SlotState) -> int:
    """How far a slot's energy is from balancing; zero when every Wh has two sides.

    From clearing on, sold = bought = traded, and both sides lost the same to the grid's limits.
    From settlement to `final`, what meters fed in net equals what the grid took in settlement
    minus what it gave, since contracts cancel out.
    """
    sold = bought = 0
    unsold = unbought = 0
    for key in state.group(position_group("contracts", market, start_s)):
        held = state.entries[key].value
        if isinstance(held, SlotContracts):
            for contract in held.contracts:
                if contract.side == Side.OFFER:
                    sold += contract.energy_wh
                    unsold += contract.curtailed_wh
                else:
                    bought += contract.energy_wh
                    unbought += contract.curtailed_wh
    agreements = _agreements_of(state, market, start_s)
    for agreement in agreements.values():
        sold += sum(flow.energy_wh for flow in agreement.sales)
        bought += sum(flow.energy_wh for flow in agreement.purchases)
    residual = abs(sum(agreement.transfer_nano for agreement in agreements.values()))
    if Phase.CLEARED <= slot.phase < Phase.FINAL:
        residual += abs(sold - bought) + abs(sold - slot.traded_wh)
        residual += abs(unsold - unbought) + abs(unsold - slot.curtailed_wh)
    if slot.phase == Phase.SETTLED:
        net = 0
        for key in state.group(position_group("readings", market, start_s)):
            readings = state.entries[key].value
            if isinstance(readings, SlotReadings):
                chosen = readings.settled or choose_readings(readings.readings)
                net += metered_net_wh(chosen)
                promise = agreements.get(owner_of(key))
                if promise is not None:
                    net += _dispatched_wh(promise, chosen)
        residual += abs(net - (slot.grid_export_wh - slot.grid_import_wh))
    return residual


def _agreements_of(state: State, market: str, start_s: int) -> dict[str, Agreement]:
    found = {}
    for key in state.group(position_group("agreements", market, start_s)):
        value = state.entries[key].value
        if isinstance(value, Agreement):
            found[owner_of(key)] = value
    return found


def _dispatched_wh(agreement: Agreement, readings: list[Reading]) -> int:
    """Net injection of a microgrid's storage and turbine, which have no meters."""
    generated_wh = sum(reading.export_wh for reading in readings)
    charge_wh = charged_wh(agreement, generated_wh)
    return agreement.discharge_wh + agreement.turbine_wh - charge_wh


def unbalanced(state: State) -> list[str]:
    """Every balance that does not hold, in words; empty when all do."""
    found = []
    if residual := money_residual_nano(state):
        found.append(f"money: accounts sum to {residual} nano, not 0")
    if residual := escrow_residual_nano(state):
        found.append(f"escrow: accounts hold {residual} nano more than orders and contracts ask")
    return found
