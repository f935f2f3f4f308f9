"""Where loads that can wait or bend go, given surplus and prices: no solver, exact integers.

What serves a load costs, in this order: surplus that would be spilled, nothing; surplus that
would be sold, the selling price; the rest, the buying price. Nothing here knows batteries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gridpact.model.assets import SECONDS_PER_HOUR
from gridpact.units import ceil_divide

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gridpact.model.assets import FlexibleLoad, Window

PICO_PER_NANO = 1000


@dataclass(frozen=True, slots=True)
class SlotMarket:
    """What exchanging energy costs a home in one slot."""

    buy_micro_per_kwh: int
    sell_micro_per_kwh: int
    """At most the buying price."""
    export_max_wh: int | None
    """Surplus above it is spilled."""

    def exchange_nano(self, net_wh: int) -> int:
        """Cost of taking (net below 0) or giving (above); negative when it pays."""
        if net_wh < 0:
            return -net_wh * self.buy_micro_per_kwh
        if self.export_max_wh is not None and net_wh > self.export_max_wh:
            net_wh = self.export_max_wh
        return -net_wh * self.sell_micro_per_kwh

    def steps(self, net_wh: int) -> Iterator[tuple[int, int | None]]:
        """(price, energy) of what more load would use, cheapest first; the last has no end."""
        if net_wh > 0:
            exported_wh = net_wh
            if self.export_max_wh is not None and net_wh > self.export_max_wh:
                exported_wh = self.export_max_wh
                yield 0, net_wh - exported_wh
            if exported_wh:
                yield self.sell_micro_per_kwh, exported_wh
        yield self.buy_micro_per_kwh, None


def slot_limits_wh(
    window: Window, power_w: int, start_s: int, slot_length_s: int, slots: int
) -> list[int]:
    """Most energy in each of a row of slots at this power, only while the window lasts."""
    limits = [0] * slots
    first = max(0, (window.start_s - start_s) // slot_length_s)
    last = min(slots, ceil_divide(max(0, window.end_s - start_s), slot_length_s))
    for number in range(first, last):
        begin_s = start_s + number * slot_length_s
        overlap_s = window.overlap_s(begin_s, begin_s + slot_length_s)
        limits[number] = power_w * overlap_s // SECONDS_PER_HOUR
    return limits


def fill_cheapest(
    net_wh: Sequence[int],
    markets: Sequence[SlotMarket],
    limits_wh: Sequence[int],
    *,
    due_wh: int,
    most_wh: int,
    early_micro_per_kwh: int,
) -> list[int]:
    """Energy of a load that can be interrupted: the cheapest parts of its slots, early ones first.

    Without a battery nothing costs less, because each part costs its price wherever else the
    load runs.

    Args:
        net_wh: of T slots, what the home gives (+) or takes (-) without the load.
        markets: what exchanging costs in each.
        limits_wh: most energy in each.
        due_wh: to be used in these slots.
        most_wh: what may be used when it is cheap; at least `due_wh`.
        early_micro_per_kwh: what using more than is due is worth.
    Returns:
        energy per slot; its sum is below `due_wh` only when the limits are.
    """
    parts: list[tuple[int, int, int]] = []
    for number, (net, market, limit) in enumerate(zip(net_wh, markets, limits_wh, strict=True)):
        left = limit
        for price, energy in market.steps(net) if limit else ():
            part = left if energy is None else min(left, energy)
            parts.append((price, number, part))
            left -= part
            if not left:
                break
    parts.sort()
    used = [0] * len(net_wh)
    done = 0
    for price, number, part in parts:
        goal = most_wh if price < early_micro_per_kwh else due_wh
        taken = min(part, goal - done)
        if taken <= 0:
            break
        used[number] += taken
        done += taken
    return used


def best_run(
    net_wh: Sequence[int],
    markets: Sequence[SlotMarket],
    limits_wh: Sequence[int],
    *,
    energy_wh: int,
    full_wh: int,
    started: bool,
    later_nano: int | None,
) -> list[int] | None:
    """Energy of a load that runs at full power until done: the cheapest start, the earliest of two.

    Args:
        net_wh: of T slots, what the home gives (+) or takes (-) without the load.
        markets: what exchanging costs in each.
        limits_wh: most energy in each; it runs only in slots where that is `full_wh`.
        energy_wh: left to use, > 0.
        full_wh: energy of a whole slot.
        started: it runs already, so it goes on in the first slot.
        later_nano: what running after these slots would cost; None when that is too late.
    Returns:
        energy per slot, all zero when later is better; None when it does not fit.
    """
    slots = len(net_wh)
    needed = ceil_divide(energy_wh, full_wh) if full_wh else slots + 1
    shape = [full_wh] * (needed - 1) + [energy_wh - (needed - 1) * full_wh]
    best: tuple[int, int] | None = None
    for start in range(min(1, slots) if started else slots - needed + 1):
        run = range(start, min(slots, start + needed))
        if any(limits_wh[number] < full_wh for number in run):
            continue
        cost = sum(
            markets[number].exchange_nano(net_wh[number] - shape[number - start])
            - markets[number].exchange_nano(net_wh[number])
            for number in run
        )
        if best is None or cost < best[0]:
            best = cost, start
    if best is None:
        return None if later_nano is None else [0] * slots
    if later_nano is not None and later_nano < best[0] and not started:
        return [0] * slots
    used = [0] * slots
    for number in range(best[1], min(slots, best[1] + needed)):
        used[number] = shape[number - best[1]]
    return used


def bent_wh(
    load: FlexibleLoad, slot_length_s: int, net_wh: int, market: SlotMarket
) -> tuple[int, int]:
    """What a flexible load draws in one slot: where one Wh more costs as much as it comforts.

    The cost is convex in its energy, with a kink where the home neither gives nor takes and one
    where it spills. So the best is one of few: a limit, a kink, or where price and slope of the
    disutility meet, rounded down or up.

    Returns:
        energy in Wh and disutility in pico-currency, rounded up.

    Source: [CESDT23], section 3.1. Ours: disutility a (P - P_nominal)^2 per hour.
    """
    low = load.power_min_w * slot_length_s // SECONDS_PER_HOUR
    nominal = load.power_nominal_w * slot_length_s // SECONDS_PER_HOUR
    high = load.power_max_w * slot_length_s // SECONDS_PER_HOUR
    slope = 2 * load.disutility_micro_per_kw2h * SECONDS_PER_HOUR
    tried = {low, nominal, high, net_wh}
    if market.export_max_wh is not None:
        tried.add(net_wh - market.export_max_wh)
    for price in (market.buy_micro_per_kwh, market.sell_micro_per_kwh):
        below = nominal - ceil_divide(price * PICO_PER_NANO * slot_length_s, slope)
        tried |= {below, below + 1}

    def cost(energy_wh: int) -> tuple[int, int]:
        pico = disutility_pico(load, slot_length_s, energy_wh - nominal)
        away = abs(energy_wh - nominal)
        return pico + PICO_PER_NANO * market.exchange_nano(net_wh - energy_wh), away

    best = min({min(max(energy, low), high) for energy in tried}, key=cost)
    return best, disutility_pico(load, slot_length_s, best - nominal)


def disutility_pico(load: FlexibleLoad, slot_length_s: int, off_wh: int) -> int:
    """Discomfort of one slot, rounded up: a x (off / hours)^2 x hours.

    In units: micro/(kW^2 h) x Wh^2 / h = pico.

    Source: [CESDT23], section 3.1. Ours: the formula.
    """
    scaled = load.disutility_micro_per_kw2h * off_wh * off_wh * SECONDS_PER_HOUR
    return ceil_divide(scaled, slot_length_s)


def whole_parts(values_wh: list[int], limits_wh: Sequence[int], low_wh: int, high_wh: int) -> None:
    """Bring rounded energies back between their limits and their sum between `low` and `high`.

    Missing energy goes to the first slots with room, surplus comes off the last ones: each is a
    few Wh that rounding made.
    """
    for number, limit in enumerate(limits_wh):
        values_wh[number] = min(max(values_wh[number], 0), limit)
    missing = low_wh - sum(values_wh)
    for number, limit in enumerate(limits_wh) if missing > 0 else ():
        more = min(missing, limit - values_wh[number])
        values_wh[number] += more
        missing -= more
    extra = sum(values_wh) - high_wh
    for number in range(len(values_wh) - 1, -1, -1) if extra > 0 else ():
        less = min(extra, values_wh[number])
        values_wh[number] -= less
        extra -= less
