"""From contracts and readings to bills: `metered -> settled`, and corrections at `final`."""

from __future__ import annotations

import msgspec

from gridpact.contracts.books import SlotBooks
from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import position_group, position_key
from gridpact.ledger import Draft, owner_of
from gridpact.ledger.trees import leaf_hash, merkle_root
from gridpact.model import (
    Metering,
    Phase,
    SlotContracts,
    SlotReadings,
    SlotState,
)
from gridpact.settlement import choose_readings, imbalance_line, trade_lines

_NO_CONTRACTS = SlotContracts(0, [])


def metered_owners(draft: Draft, slot: SlotState) -> dict[str, set[str]]:
    """Meters that owe a reading for this slot, by owner in id order."""
    owners: dict[str, set[str]] = {}
    for key in sorted(draft.group("metering"), key=owner_of):
        active = {
            meter.meter
            for meter in draft.require(key, Metering).meters
            if meter.since_phase <= slot.opened_phase
        }
        if active:
            owners[owner_of(key)] = active
    return owners


def all_have_reported(draft: Draft, market: str, start_s: int, slot: SlotState) -> bool:
    """Whether every meter that was active when the slot opened has a reading."""
    for owner, meters in metered_owners(draft, slot).items():
        held = draft.get(position_key("readings", owner, market, start_s), SlotReadings)
        if held is None or {reading.meter for reading in held.readings} != meters:
            return False
    return True


def settle_slot(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Pays every contract, settles every imbalance with the grid, writes the bill lines.

    Returns:
        The slot with its exchange with the grid, in phase `settled`.
    """
    books = SlotBooks(draft, slot.tariff)
    for owner in metered_owners(draft, slot):
        readings = draft.require(
            position_key("readings", owner, market.market, start_s), SlotReadings
        )
        held = draft.get(position_key("contracts", owner, market.market, start_s), SlotContracts)
        contracts = held or _NO_CONTRACTS
        chosen = choose_readings(readings.readings)
        lines = trade_lines(
            market=market.market,
            slot_start_s=start_s,
            contracts=contracts.contracts,
            tariff=slot.tariff,
        )
        grid = imbalance_line(
            slot_start_s=start_s,
            contracts=contracts.contracts,
            readings=chosen,
            tariff=slot.tariff,
            correction=0,
        )
        if grid is not None:
            lines.append(grid)
        books.enter(owner, contracts.escrow_nano, lines)
    books.close()
    return msgspec.structs.replace(
        slot,
        phase=Phase.SETTLED,
        grid_import_wh=books.grid_import_wh,
        grid_export_wh=books.grid_export_wh,
    )


def finalize_slot(draft: Draft, market: Market, start_s: int, slot: SlotState) -> SlotState:
    """Ends corrections: what later versions change is settled once more, then the slot is archived.

    A correction takes back the old grid line and states the new one, on a credit note: an issued
    bill is never rewritten. Orders, contracts and readings leave the state; a root over them stays.
    """
    books = SlotBooks(draft, slot.tariff)
    for owner in metered_owners(draft, slot):
        readings = draft.require(
            position_key("readings", owner, market.market, start_s), SlotReadings
        )
        chosen = choose_readings(readings.readings)
        if not readings.settled or chosen == readings.settled:
            continue
        held = draft.get(position_key("contracts", owner, market.market, start_s), SlotContracts)
        contracts = (held or _NO_CONTRACTS).contracts
        lines = [
            imbalance_line(
                slot_start_s=start_s,
                contracts=contracts,
                readings=used,
                tariff=slot.tariff,
                correction=correction,
            )
            for used, correction in ((readings.settled, -1), (chosen, 1))
        ]
        books.correct(owner, [line for line in lines if line is not None])
    books.close()
    return archived(draft, market, start_s, slot, books)


def archived(
    draft: Draft, market: Market, start_s: int, slot: SlotState, books: SlotBooks
) -> SlotState:
    """The slot in phase `final`, with what its corrections exchanged with the grid.

    What members held in it leaves the state; a root over the commitments stays.
    """
    leaves = []
    for what in ("orders", "contracts", "readings", "bids", "agreements", "parts"):
        for key in draft.group(position_group(what, market.market, start_s)):
            entry = draft.entry(key)
            if entry is not None:
                leaves.append(leaf_hash(key.encode() + b"\x00" + entry.content()))
            draft.delete(key)
    return msgspec.structs.replace(
        slot,
        phase=Phase.FINAL,
        grid_import_wh=slot.grid_import_wh + books.grid_import_wh,
        grid_export_wh=slot.grid_export_wh + books.grid_export_wh,
        archive=merkle_root(leaves),
    )
