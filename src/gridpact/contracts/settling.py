"""From contracts and readings to bills: `metered -> settled`, and corrections at `final`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gridpact.contracts.genesis import Market
from gridpact.contracts.keys import (
    bill_key,
    position_group,
    position_key,
)
from gridpact.contracts.tariffs import network_account
from gridpact.ledger import Draft, Leg, account_key, owner_of, system_key
from gridpact.ledger.trees import Frontier, leaf_hash, merkle_root
from gridpact.model import (
    Bill,
    BillLine,
    LineKind,
    Metering,
    Phase,
    SlotContracts,
    SlotReadings,
    SlotState,
)
from gridpact.settlement import (
    NO_BILL,
    add_lines,
    choose_readings,
    imbalance_line,
    trade_lines,
)

GRID = system_key("grid")
FUND = system_key("fund")
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
    books = _SlotBooks(draft, slot)
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

    A correction takes back the old grid line and states the new one, so an issued bill is never
    rewritten. Orders, contracts and readings leave the state; a root over them stays.
    """
    books = _SlotBooks(draft, slot)
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
        books.enter(owner, 0, [line for line in lines if line is not None])
    books.close()
    leaves = []
    for what in ("orders", "contracts", "readings"):
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


class _SlotBooks:
    """Collects one slot's amounts and posts them as one balanced set."""

    def __init__(self, draft: Draft, slot: SlotState) -> None:
        self.draft = draft
        self.tariff = slot.tariff
        self.legs: list[Leg] = []
        self.by_kind = dict.fromkeys(LineKind, 0)
        self.grid_import_wh = 0
        self.grid_export_wh = 0

    def enter(self, owner: str, escrow_nano: int, lines: Sequence[BillLine]) -> None:
        """Book one participant's lines and free its escrow."""
        amount = sum(line.amount_nano for line in lines)
        if amount or escrow_nano:
            self.legs.append(Leg(account_key(owner), amount + escrow_nano, -escrow_nano))
        for line in lines:
            self.by_kind[line.kind] += line.amount_nano
            energy_wh = line.energy_wh if line.correction >= 0 else -line.energy_wh
            if line.kind == LineKind.GRID_IMPORT:
                self.grid_import_wh += energy_wh
            elif line.kind == LineKind.GRID_EXPORT:
                self.grid_export_wh += energy_wh
        if lines:
            self._bill(owner, lines)

    def _bill(self, owner: str, lines: Sequence[BillLine]) -> None:
        day = self.tariff.billing_day
        key = bill_key(owner, day)
        bill = self.draft.get(key, Bill) or NO_BILL
        frontier = Frontier(bill.lines, tuple(bill.frontier))
        for index, line in enumerate(lines, start=bill.lines):
            frontier = frontier.append(leaf_hash(self.draft.append(owner, key, index, line)))
        self.draft.put(key, add_lines(bill, lines, list(frontier.hashes)))

    def close(self) -> None:
        """Post everything: what members pay and get has its other side in a system account."""
        trades = self.by_kind[LineKind.PURCHASE] + self.by_kind[LineKind.SALE]
        grid = self.by_kind[LineKind.GRID_IMPORT] + self.by_kind[LineKind.GRID_EXPORT]
        fees = self.by_kind[LineKind.NETWORK_FEE]
        for account, amount in (
            (FUND, -trades),
            (GRID, -grid),
            (network_account(self.tariff.region), -fees),
        ):
            if amount:
                self.legs.append(Leg(account, amount, 0))
        if self.legs:
            self.draft.post(*self.legs)
