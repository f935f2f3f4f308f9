"""One slot's amounts: entered line by line, billed to each participant, posted as one set."""

from __future__ import annotations

from collections.abc import Sequence

from gridpact.contracts.keys import bill_key, credit_key
from gridpact.contracts.tariffs import network_account
from gridpact.errors import invariant
from gridpact.ledger import Draft, Leg, account_key, system_key
from gridpact.ledger.trees import Frontier, leaf_hash
from gridpact.model import Bill, BillLine, CreditNote, LineKind, SlotTariff
from gridpact.settlement import NO_BILL, add_lines

GRID = system_key("grid")
FUND = system_key("fund")


class SlotBooks:
    """Collects amounts of one slot and posts them as one balanced set."""

    def __init__(self, draft: Draft, tariff: SlotTariff) -> None:
        self.draft = draft
        self.tariff = tariff
        self.legs: list[Leg] = []
        self.by_kind = dict.fromkeys(LineKind, 0)
        self.grid_import_wh = 0
        self.grid_export_wh = 0

    def enter(self, owner: str, escrow_nano: int, lines: Sequence[BillLine]) -> None:
        """Book one participant's lines on its bill of the day and free its escrow."""
        self._book(owner, escrow_nano, lines)
        if not lines:
            return
        key = bill_key(owner, self.tariff.billing_day)
        bill = self.draft.get(key, Bill) or NO_BILL
        self.draft.put(key, self._extended(owner, key, bill, lines))
        note = self.draft.get(credit_key(owner, self.tariff.billing_day), CreditNote)
        if note is not None:  # another slot of the day was corrected before this one was settled
            self._note(owner, note.change)

    def correct(self, owner: str, lines: Sequence[BillLine]) -> None:
        """Book one participant's lines on the credit note to its bill of the day.

        The bill stays as it was issued. Who had no bill gets an empty one to refer to.
        """
        if not lines:
            return
        self._book(owner, 0, lines)
        day = self.tariff.billing_day
        of_bill = bill_key(owner, day)
        if self.draft.entry(of_bill) is None:
            self.draft.put(of_bill, NO_BILL)
        key = credit_key(owner, day)
        note = self.draft.get(key, CreditNote)
        before = note.change if note is not None else NO_BILL
        self._note(owner, self._extended(owner, key, before, lines))

    def _note(self, owner: str, change: Bill) -> None:
        """Write the credit note; it names the bill by the bill's content in the state map."""
        day = self.tariff.billing_day
        entry = self.draft.entry(bill_key(owner, day))
        invariant(entry is not None, f"{owner} has a credit note for {day} and no bill")
        bill = self.draft.require(bill_key(owner, day), Bill)
        content = entry.content() if entry is not None else b""
        self.draft.put(credit_key(owner, day), CreditNote(content, bill.total_nano, change))

    def _book(self, owner: str, escrow_nano: int, lines: Sequence[BillLine]) -> None:
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

    def _extended(self, owner: str, key: str, bill: Bill, lines: Sequence[BillLine]) -> Bill:
        """The bill with more lines, which are kept beside the state under the same key."""
        frontier = Frontier(bill.lines, tuple(bill.frontier))
        for index, line in enumerate(lines, start=bill.lines):
            frontier = frontier.append(leaf_hash(self.draft.append(owner, key, index, line)))
        return add_lines(bill, lines, list(frontier.hashes))

    def close(self) -> None:
        """Post everything: what members pay and get has its other side in a system account."""
        kinds = self.by_kind
        fund = kinds[LineKind.PURCHASE] + kinds[LineKind.SALE] + kinds[LineKind.LOST_DEPOSIT]
        between = kinds[LineKind.TRANSFER] + kinds[LineKind.COMPENSATION]
        invariant(between == 0, f"microgrids pay each other {between} nano too much")
        grid = kinds[LineKind.GRID_IMPORT] + kinds[LineKind.GRID_EXPORT]
        fees = kinds[LineKind.NETWORK_FEE]
        for account, amount in (
            (FUND, -fund),
            (GRID, -grid),
            (network_account(self.tariff.region), -fees),
        ):
            if amount:
                self.legs.append(Leg(account, amount, 0))
        if self.legs:
            self.draft.post(*self.legs)
