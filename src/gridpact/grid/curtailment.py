"""How much of one slot's trades the lines can carry. The exact rules are in `docs/grid.md`.

Power flows are floats; what leaves this module is whole watt-hours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import InputError, Problem, invariant
from gridpact.grid.collapse import WHOLE_PERMILLE, explain_collapse
from gridpact.grid.limits import Bounds, check_limits, exceeded, excess, uniform_bounds
from gridpact.model.grid import (
    BusTrade,
    Curtailment,
    CurtailmentRule,
    DeliverableTrade,
    GridLimits,
    LimitKind,
    Violation,
)
from gridpact.units import QUANTITY_MAX

if TYPE_CHECKING:
    from gridpact.grid.grid_model import GridModel
    from gridpact.model.grid import BoolArray, FloatArray, IntArray, PowerFlow

    Holds = Callable[[PowerFlow], BoolArray]

SLACK_PERCENT = 0.1
SLACK_PU = 1e-4
"""How much trades may worsen what is violated without them: below what a meter in the grid tells,
above what trades far away change through the losses."""
PROBE_SHARE = 1e-3
"""Power by which each trade is varied to see whether it adds to a violation, as a share of all
traded power: small enough for a slope, large enough to stand out of the solver's rounding."""
ADDS_SHARE = 0.01
"""A trade adds to a violation when a Wh of it does at least this share of what a Wh of the worst
trade does; what is below acts through the losses only."""
ROUNDS_MAX = 100
"""After so many cuts all trades give way together; a slot takes a handful."""
LEVELS = 65
"""Levels tried at once where giving way completely does not clear a violation."""
SECONDS_PER_HOUR = 3600


@dataclass(slots=True)
class _Slot:
    """The trades of one slot on the network, and what is left of them so far."""

    model: GridModel
    rule: CurtailmentRule
    seller: IntArray
    """Shape (T,), positions of buses."""
    buyer: IntArray
    """Shape (T,)."""
    order: IntArray
    """Shape (T,), the trades from the first made to the last."""
    baseline_w: FloatArray
    """Shape (1, B)."""
    baseline_q_var: FloatArray
    """Shape (1, B)."""
    w_per_wh: float
    energy_wh: IntArray
    """Shape (T,), as traded."""
    kept_wh: IntArray
    """Shape (T,), changed by `clear`."""
    bound_by: list[list[str]]
    """Per trade the places that took from it, changed by `clear`."""

    def flow(self, kept_wh: FloatArray | IntArray) -> PowerFlow:
        """The power flow with these energies of the trades, shape (S, T)."""
        power_w = np.asarray(kept_wh, dtype=np.float64) * self.w_per_wh
        load_w = np.repeat(self.baseline_w, len(power_w), axis=0)
        # In the order made, so that the sums do not depend on the order given.
        for trade in self.order:
            load_w[:, self.seller[trade]] -= power_w[:, trade]
            load_w[:, self.buyer[trade]] += power_w[:, trade]
        return self.model.flow(load_w, np.repeat(self.baseline_q_var, len(power_w), axis=0))

    def drop_unsupplied(self) -> None:
        """Nothing is delivered from or to a bus without supply."""
        for places in (self.seller, self.buyer):
            for trade in np.flatnonzero(~self.model.topology.supplied[places]):
                self.kept_wh[trade] = 0
                self.bound_by[trade].append(self.model.network.buses[places[trade]].bus_id)

    def clear(self, bounds: Bounds) -> list[Violation]:
        """Cut `kept_wh` until nothing is beyond `bounds`, which holds without any trade.

        Returns:
            the violations in the order in which they were cleared.
        """
        cleared: list[Violation] = []
        cuts: list[IntArray] = []
        while True:
            flow = self.flow(self.kept_wh[np.newaxis])
            beyond = exceeded(flow, bounds)
            if not beyond:
                break
            worst = beyond[0]
            if worst.kind == LimitKind.COLLAPSE:
                worst = _located(self.model, flow)
            moving = self._moving()
            invariant(len(moving) > 0, f"no trade flows, but: {worst}")
            before = self.kept_wh
            if len(cleared) < ROUNDS_MAX:
                self.kept_wh = self._cut(self._adding(worst, moving), _keeps(worst))
            else:
                self.kept_wh = self._cut(moving, _keeps_all(bounds))
            cuts.append(np.flatnonzero(self.kept_wh < before))
            for trade in cuts[-1]:
                self.bound_by[trade].append(worst.element)
            cleared.append(worst)
        if len(cuts) > 1:
            for group in cuts:
                self._restore(group, _keeps_all(bounds))
        return cleared

    def _moving(self) -> IntArray:
        """Positions of the trades that still move power from one busbar to another."""
        busbar = self.model.topology.busbar
        return np.flatnonzero((self.kept_wh > 0) & (busbar[self.seller] != busbar[self.buyer]))

    def _adding(self, worst: Violation, moving: IntArray) -> IntArray:
        """Those of `moving` that load the violated place: a little less of each would ease it."""
        if worst.kind == LimitKind.COLLAPSE:
            return moving
        probe_wh = PROBE_SHARE * float(self.kept_wh.sum())
        tried = np.repeat(self.kept_wh[np.newaxis].astype(np.float64), len(moving) + 1, axis=0)
        tried[np.arange(len(moving)), moving] -= probe_wh
        beyond = excess(self.flow(tried), worst)
        eased = beyond[-1] - beyond[:-1]
        most = eased.max()
        return moving[eased >= ADDS_SHARE * most] if most > 0 else moving

    def _cut(self, group: IntArray, holds: Holds) -> IntArray:
        """The energies with the most of `group` with which `holds` holds, under the rule."""
        if self.rule == CurtailmentRule.PRO_RATA:
            top = WHOLE_PERMILLE
        else:
            top = int(self.kept_wh[group].sum())

        def holding(levels: Sequence[int]) -> BoolArray:
            return holds(self.flow(np.array([self._at_level(group, level) for level in levels])))

        low, high = 0, top
        if not holding([0])[0]:
            # Giving way completely goes too far: the violation turned to the other side.
            levels = sorted({top * step // LEVELS for step in range(LEVELS)})
            holding_at = np.flatnonzero(holding(levels))
            if not len(holding_at):
                return self._at_level(group, 0)
            low = levels[holding_at[-1]]
            high = [*levels, top][holding_at[-1] + 1]
        return self._at_level(group, _largest(low, high, lambda level: bool(holding([level])[0])))

    def _restore(self, group: IntArray, holds: Holds) -> None:
        """Give back to a cut group what later cuts made room for, under the rule."""
        cut_wh = self.energy_wh[group] - self.kept_wh[group]
        pro_rata = self.rule == CurtailmentRule.PRO_RATA
        top = WHOLE_PERMILLE if pro_rata else int(cut_wh.sum())

        def with_back(level: int) -> IntArray:
            kept_wh = self.kept_wh.copy()
            if pro_rata:
                kept_wh[group] += cut_wh * level // WHOLE_PERMILLE
            else:
                kept_wh += self._first(self.energy_wh - self.kept_wh, group, level)
            return kept_wh

        def holding(level: int) -> bool:
            return bool(holds(self.flow(with_back(level)[np.newaxis]))[0])

        level = top if holding(top) else _largest(0, top, holding)
        self.kept_wh = with_back(level)

    def _at_level(self, group: IntArray, level: int) -> IntArray:
        """The energies when `group` keeps a per mille each, or the first `level` Wh together."""
        kept_wh = self.kept_wh.copy()
        if self.rule == CurtailmentRule.PRO_RATA:
            kept_wh[group] = kept_wh[group] * level // WHOLE_PERMILLE
            return kept_wh
        kept_wh[group] = self._first(kept_wh, group, level)[group]
        return kept_wh

    def _first(self, energy_wh: IntArray, group: IntArray, level: int) -> IntArray:
        """The first `level` Wh of these energies of `group`, in the order made; shape (T,)."""
        by_time = self.order[np.isin(self.order, group)]
        end_wh = np.cumsum(energy_wh[by_time])
        start_wh = end_wh - energy_wh[by_time]
        first_wh = np.zeros_like(energy_wh)
        first_wh[by_time] = np.clip(level - start_wh, 0, energy_wh[by_time])
        return first_wh


def curtail(
    model: GridModel,
    trades: Sequence[BusTrade],
    baseline_w: FloatArray | IntArray,
    rule: CurtailmentRule,
    limits: GridLimits,
    *,
    slot_length_s: int,
    baseline_q_var: FloatArray | IntArray | None = None,
) -> Curtailment:
    """What of each trade the grid can carry without breaking a limit, under the rule.

    Args:
        model: the network, B buses.
        trades: of one slot; they carry active power at a constant rate.
        baseline_w: shape (B,), net load of each bus beside the trades, W, + = consumption.
        rule: whose trades give way.
        limits: for all buses and branches.
        slot_length_s: > 0.
        baseline_q_var: shape (B,), reactive load of each bus, + = inductive; none when left out.
    Returns:
        delivered and curtailed energy of each trade, what was binding, and what is violated
        without any trade: there, trades are only kept from making it worse.
    Raises:
        InputError: unknown buses, negative energies, repeated trade ids, limits that cannot be
            kept to, a baseline of the wrong shape.
    """
    check_limits(limits)
    _check(model, trades, slot_length_s)
    energy_wh = np.array([trade.energy_wh for trade in trades], dtype=np.int64)
    slot = _Slot(
        model,
        rule,
        *_places(model, trades),
        _order(trades),
        _row(model, baseline_w, "baseline_w"),
        _row(model, 0.0 if baseline_q_var is None else baseline_q_var, "baseline_q_var"),
        SECONDS_PER_HOUR / slot_length_s,
        energy_wh,
        energy_wh.copy(),
        [[] for _ in trades],
    )
    slot.drop_unsupplied()
    alone = slot.flow(np.zeros((1, len(trades))))
    if alone.converged[0]:
        pre_existing = exceeded(alone, uniform_bounds(alone, limits))
        binding = slot.clear(_relaxed(alone, limits))
    else:
        pre_existing, binding = (_located(model, alone),), []
    return Curtailment(
        tuple(
            DeliverableTrade(
                trade.trade_id,
                int(kept_wh),
                trade.energy_wh - int(kept_wh),
                tuple(
                    dict.fromkeys(
                        place for place in bound_by if place and kept_wh < trade.energy_wh
                    )
                ),
            )
            for trade, kept_wh, bound_by in zip(trades, slot.kept_wh, slot.bound_by, strict=True)
        ),
        tuple(binding),
        pre_existing,
    )


def _largest(low: int, high: int, holding: Callable[[int], bool]) -> int:
    """By bisection a level from `low` on that holds, next to one that does not.

    Args:
        low: holds.
        high: does not hold, above `low`.
        holding: whether a level holds.
    """
    while high - low > 1:
        middle = (low + high) // 2
        if holding(middle):
            low = middle
        else:
            high = middle
    return low


def _check(model: GridModel, trades: Sequence[BusTrade], slot_length_s: int) -> None:
    problems = []
    if slot_length_s <= 0:
        problems.append(Problem("slot_length_s", f"{slot_length_s}; allowed: above 0; correct it"))
    known = {bus.bus_id for bus in model.network.buses}
    for name, count in Counter(trade.trade_id for trade in trades).items():
        if count > 1:
            problems.append(Problem(f"trade {name}", f"occurs {count} times; make ids unique"))
    for trade in trades:
        for side, bus in (("seller", trade.seller_bus), ("buyer", trade.buyer_bus)):
            if bus not in known:
                message = f"{side}'s bus {bus!r} does not exist in the network; correct it"
                problems.append(Problem(f"trade {trade.trade_id}", message))
        if not 0 <= trade.energy_wh <= QUANTITY_MAX:
            message = f"energy_wh = {trade.energy_wh}; allowed: 0 to {QUANTITY_MAX}; correct it"
            problems.append(Problem(f"trade {trade.trade_id}", message))
    if problems:
        raise InputError(problems)


def _places(model: GridModel, trades: Sequence[BusTrade]) -> tuple[IntArray, IntArray]:
    """Positions of the sellers' and of the buyers' buses."""
    position = {bus.bus_id: index for index, bus in enumerate(model.network.buses)}
    return (
        np.array([position[trade.seller_bus] for trade in trades], dtype=np.int64),
        np.array([position[trade.buyer_bus] for trade in trades], dtype=np.int64),
    )


def _order(trades: Sequence[BusTrade]) -> IntArray:
    """Positions of the trades from the first made to the last."""
    by_time = sorted(range(len(trades)), key=lambda i: (trades[i].made, trades[i].trade_id))
    return np.array(by_time, dtype=np.int64)


def _row(model: GridModel, values: FloatArray | IntArray | float, name: str) -> FloatArray:
    """One value per bus as one snapshot."""
    buses = len(model.network.buses)
    row = np.asarray(values, dtype=np.float64)
    if row.ndim and row.shape != (buses,):
        message = f"has shape {row.shape}; allowed: ({buses},), one value per bus; correct it"
        raise InputError([Problem(name, message)])
    return np.broadcast_to(row, (1, buses))


def _relaxed(alone: PowerFlow, limits: GridLimits) -> Bounds:
    """The limits, moved to what the flow without trades comes to where that is beyond them."""
    bounds = uniform_bounds(alone, limits)
    voltage, loading = alone.vm_pu[0], alone.loading_percent[0]
    with np.errstate(invalid="ignore"):  # NaN keeps its limit
        return Bounds(
            np.where(voltage < bounds.vm_min_pu, voltage - SLACK_PU, bounds.vm_min_pu),
            np.where(voltage > bounds.vm_max_pu, voltage + SLACK_PU, bounds.vm_max_pu),
            np.where(
                loading > bounds.loading_max_percent,
                loading + SLACK_PERCENT,
                bounds.loading_max_percent,
            ),
        )


def _keeps(violation: Violation) -> Holds:
    """Whether flows keep the limit of one violation."""
    return lambda flow: excess(flow, violation) <= 0


def _keeps_all(bounds: Bounds) -> Holds:
    """Whether flows keep all bounds."""

    def holds(flow: PowerFlow) -> BoolArray:
        kept = np.ones(len(flow.converged), dtype=np.bool_)
        kept[[violation.snapshot for violation in exceeded(flow, bounds)]] = False
        return kept

    return holds


def _located(model: GridModel, flow: PowerFlow) -> Violation:
    """The collapse of the first snapshot, with the bus where the grid gives way."""
    bus = explain_collapse(model, flow, 0).bus
    return Violation(LimitKind.COLLAPSE, 0, bus, np.nan, np.nan, np.inf)
