"""Net trades of one period, brought to balance Wh by Wh where a Wh costs least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridpact.market.integer.microgrids.dispatch import Place

STEPS_PER_MICROGRID = 64
"""Shares into which a large imbalance is cut; from so many Wh each downwards, single Wh."""
EXCHANGES_PER_MICROGRID = 16
"""Most single Wh that then still change hands for less cost, times microgrids."""


@dataclass(slots=True)
class Trade:
    """What each microgrid sells, negative when it purchases, in one period."""

    at: list[Place]
    green: list[int]
    """Wh that each has before trade."""
    sold: list[int]
    fee_pico: int

    def balance(self, lows: Sequence[int], highs: Sequence[int]) -> bool:
        """Move `sold` within its limits until it sums to zero; False when that cannot be.

        While more is sold than purchased or the reverse, the microgrid whom it costs least moves,
        the first of equal ones. Then single Wh change hands as long as that lowers the cost.
        """
        while excess := sum(self.sold):
            step = max(1, abs(excess) // (STEPS_PER_MICROGRID * len(self.at)))
            if not self._move_all(step if excess < 0 else -step, abs(excess) // step, lows, highs):
                return False
        self._exchange(lows, highs)
        return True

    def _move_all(self, step: int, moves: int, lows: Sequence[int], highs: Sequence[int]) -> bool:
        """So many moves by `step`, each where it costs least; False when there is no room."""
        count = range(len(self.at))
        costs = [self._cost(i, step, lows, highs) for i in count]
        for _ in range(moves):
            i = min(count, key=lambda i: _order(costs[i]))
            if costs[i] is None:
                return False
            self.sold[i] += step
            costs[i] = self._cost(i, step, lows, highs)
        return True

    def _exchange(self, lows: Sequence[int], highs: Sequence[int]) -> None:
        """Let one sell a Wh more and another a Wh less while the two together cost less."""
        count = range(len(self.at))
        more = [self._cost(i, 1, lows, highs) for i in count]
        less = [self._cost(i, -1, lows, highs) for i in count]
        for _ in range(EXCHANGES_PER_MICROGRID * len(self.at)):
            seller = min(count, key=lambda i: _order(more[i]))
            buyer = min(count, key=lambda i: _order(less[i]))
            up, down = more[seller], less[buyer]
            if up is None or down is None or up + down >= 0:
                return
            self.sold[seller] += 1
            self.sold[buyer] -= 1
            for i in (seller, buyer):
                more[i], less[i] = self._cost(i, 1, lows, highs), self._cost(i, -1, lows, highs)

    def _cost(self, i: int, step: int, lows: Sequence[int], highs: Sequence[int]) -> int | None:
        """What it costs in pico to sell `step` more, None beyond the limits."""
        now = self.sold[i]
        then = now + step
        if not lows[i] <= then <= highs[i]:
            return None
        place, have = self.at[i], self.green[i]
        fees = self.fee_pico * (abs(then) - abs(now))
        return place.cost(have - then) - place.cost(have - now) + fees


def _order(cost: int | None) -> tuple[bool, int]:
    """Sorts costs from the least, those that cannot be at the end."""
    return (cost is None, cost or 0)
