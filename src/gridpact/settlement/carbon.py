"""Carbon statements: sums over lines, and what contracts say about carbon."""

from __future__ import annotations

from collections.abc import Sequence

from gridpact.model import CarbonLine, CarbonStatement, Contract
from gridpact.settlement.imbalance import contracted_net_wh

NO_CARBON = CarbonStatement(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, [])
"""A statement before its first line."""


def purchases_wh(contracts: Sequence[Contract], net_wh: int) -> tuple[int, int]:
    """What a participant bought and used, Wh: of other members by contract, and from outside.

    What it sold on or did not use counts for neither: the next buyer has it, or the grid. Who sold
    more than it fed in took the rest from outside.

    Args:
        contracts: of one slot.
        net_wh: metered, + = injection.
    """
    contracted_wh = contracted_net_wh(contracts)
    bought, surplus = max(0, -contracted_wh), net_wh - contracted_wh
    return bought - min(bought, max(0, surplus)), max(0, -surplus)


def add_carbon(
    statement: CarbonStatement, lines: Sequence[CarbonLine], frontier: list[bytes]
) -> CarbonStatement:
    """The statement with more lines.

    Args:
        statement: so far.
        lines: in the order in which they join the tree of lines.
        frontier: that tree's subtree hashes after these lines.
    """
    physical = [line.physical for line in lines]
    return CarbonStatement(
        load_wh=statement.load_wh + sum(part.load_wh for part in physical),
        generated_wh=statement.generated_wh + sum(part.generated_wh for part in physical),
        charged_wh=statement.charged_wh + sum(part.charged_wh for part in physical),
        discharged_wh=statement.discharged_wh + sum(part.discharged_wh for part in physical),
        load_ug=statement.load_ug + sum(part.load_ug for part in physical),
        charged_ug=statement.charged_ug + sum(part.charged_ug for part in physical),
        discharged_ug=statement.discharged_ug + sum(part.discharged_ug for part in physical),
        bought_wh=statement.bought_wh + sum(line.bought_wh for line in lines),
        bought_ug=statement.bought_ug + sum(line.bought_ug for line in lines),
        supplied_wh=statement.supplied_wh + sum(line.supplied_wh for line in lines),
        supplied_ug=statement.supplied_ug + sum(line.supplied_ug for line in lines),
        lines=statement.lines + len(lines),
        frontier=frontier,
    )
