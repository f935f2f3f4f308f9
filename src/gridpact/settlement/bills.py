"""Bills: sums over lines, so that every number of a bill can be taken apart again."""

from __future__ import annotations

from collections.abc import Sequence

from gridpact.model import Bill, BillLine, LineKind

_OF_BARGAINS = (LineKind.TRANSFER, LineKind.COMPENSATION)
NO_BILL = Bill(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, [])
"""A bill before its first line."""


def add_lines(bill: Bill, lines: Sequence[BillLine], frontier: list[bytes]) -> Bill:
    """The bill with more lines.

    Args:
        bill: so far.
        lines: in the order in which they join the tree of lines.
        frontier: that tree's subtree hashes after these lines.
    Returns:
        The new bill. A line with a negative correction takes its energy back from the total; its
        amount has the other sign already.
    """
    money = dict.fromkeys(LineKind, 0)
    energy = dict.fromkeys(LineKind, 0)
    for line in lines:
        money[_side_of(line)] += line.amount_nano
        energy[line.kind] += line.energy_wh if line.correction >= 0 else -line.energy_wh
    return Bill(
        total_nano=bill.total_nano + sum(money.values()),
        purchases_nano=bill.purchases_nano + money[LineKind.PURCHASE],
        sales_nano=bill.sales_nano + money[LineKind.SALE],
        fees_nano=bill.fees_nano + money[LineKind.NETWORK_FEE],
        grid_import_nano=bill.grid_import_nano + money[LineKind.GRID_IMPORT],
        grid_export_nano=bill.grid_export_nano + money[LineKind.GRID_EXPORT],
        lost_deposits_nano=bill.lost_deposits_nano + money[LineKind.LOST_DEPOSIT],
        bought_wh=bill.bought_wh + energy[LineKind.PURCHASE],
        sold_wh=bill.sold_wh + energy[LineKind.SALE],
        grid_import_wh=bill.grid_import_wh + energy[LineKind.GRID_IMPORT],
        grid_export_wh=bill.grid_export_wh + energy[LineKind.GRID_EXPORT],
        lines=bill.lines + len(lines),
        frontier=frontier,
    )


def _side_of(line: BillLine) -> LineKind:
    """The sum that a line counts in: what a bargain pays belongs to purchases or to sales."""
    if line.kind not in _OF_BARGAINS:
        return line.kind
    gets = (line.amount_nano > 0) == (line.correction >= 0)
    sells = gets == (line.kind == LineKind.TRANSFER)
    return LineKind.SALE if sells else LineKind.PURCHASE
