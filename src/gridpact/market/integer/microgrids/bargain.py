"""Sharing what trade saves: surplus, transfers between microgrids, who sells to whom.

Costs are pico here and transfers nano, positive when the microgrid receives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridpact.errors import invariant
from gridpact.market.integer.microgrids.account import Account
from gridpact.market.integer.microgrids.window import PICO_PER_NANO
from gridpact.units import split_by_largest_remainder


@dataclass(frozen=True, slots=True)
class Bargain:
    """What trade saves, and who receives what; lists by microgrid."""

    savings_pico: list[int]
    """Over the window, before transfers; may be negative."""
    first_savings_pico: list[int]
    """In the first period, which is all that a rolling market executes."""
    transfer_nano: list[int]
    first_transfer_nano: list[int]

    @property
    def surplus_pico(self) -> int:
        """Of all over the window."""
        return sum(self.savings_pico)

    @property
    def first_loses(self) -> bool:
        """Whether the first period costs more than without trade, for the good of later ones.

        The logarithms of [AEPS22], eq. (18), have no value then; the transfers do.
        """
        return sum(self.first_savings_pico) < 0


def bargain_of(alone: Account, together: Account, weights: Sequence[int]) -> Bargain:
    """The bargain between microgrids with these costs and weights, window and first period."""
    savings = savings_pico(alone.costs, together.costs)
    first = savings_pico(alone.first_costs, together.first_costs)
    return Bargain(savings, first, transfers_nano(savings, weights), transfers_nano(first, weights))


def savings_pico(before: Sequence[int], after: Sequence[int]) -> list[int]:
    """What each microgrid saves from one cost to another, before any transfer; may be negative.

    From costs alone to costs together it gives what a bargain shares. From the savings still to
    come in one window to those in the next, which starts from the state really reached, it gives
    the savings of the period between: these add up to the whole day's, which the first periods of
    rolling windows need not.

    Source: [AEPS22], eq. (13). Ours: the second use; the paper pays by first periods.
    """
    return [first - second for first, second in zip(before, after, strict=True)]


def transfers_nano(savings: Sequence[int], weights: Sequence[int]) -> list[int]:
    """What each microgrid receives so that it gains its weight's share of the surplus.

    With surplus S, the sum of all savings, microgrid i receives w_i S / sum w - saving_i. That is
    rounded down to nano, and the few nano that are then missing go one each to the largest
    remainders, equal remainders in the order given: the transfers sum to exactly 0 and each is
    less than a nano from the rule. The rule is the same when S < 0, as it may be for a single
    period: then all lose in proportion.

    Args:
        savings: pico, of each microgrid.
        weights: of each, >= 0, not all 0.

    >>> transfers_nano([3_000_000, 1_000_000, -1_000_000], [1, 1, 1])
    [-2000, 0, 2000]

    Source: [AEPS22], eq. (18), of which this is the closed form. Ours: weights, rounding.
    """
    invariant(all(weight >= 0 for weight in weights), "a negative weight")
    invariant(sum(weights) > 0, "all weights are zero")
    whole = sum(weights)
    surplus = sum(savings)
    divisor = whole * PICO_PER_NANO
    exact = [
        weight * surplus - whole * saving for weight, saving in zip(weights, savings, strict=True)
    ]
    transfers = [amount // divisor for amount in exact]
    order = sorted(range(len(exact)), key=lambda i: (-(exact[i] % divisor), i))
    for i in order[: -sum(transfers)]:
        transfers[i] += 1
    return transfers


def flows_wh(sales: Sequence[int], purchases: Sequence[int]) -> list[list[int]]:
    """Energy from each microgrid (row) to each (column) in one period, in proportion to both.

    The real-valued rule is sale x purchase / total. Sellers, the largest first, split what they
    sell by largest remainder over what buyers still lack, so every row and column is exact. It
    depends on energies alone; microgrids that sell or purchase the same take turns in the order
    given, because whole Wh cannot always be split evenly.

    >>> flows_wh([30, 10, 0], [0, 0, 40])
    [[0, 0, 30], [0, 0, 10], [0, 0, 0]]

    Ours: [AEPS22] leaves the pairs open.
    """
    invariant(sum(sales) == sum(purchases), "sales and purchases differ")
    flows = [[0] * len(purchases) for _ in sales]
    lacking = list(purchases)
    buyers = sorted(range(len(purchases)), key=lambda j: (-purchases[j], j))
    for seller in sorted(range(len(sales)), key=lambda i: (-sales[i], i)):
        if sales[seller] == 0:
            break
        parts = split_by_largest_remainder(sales[seller], [lacking[j] for j in buyers])
        for buyer, part in zip(buyers, parts, strict=True):
            flows[seller][buyer] = part
            lacking[buyer] -= part
    return flows
