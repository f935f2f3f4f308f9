"""The network in a trading day: which trades it can carry, and what flowed in the end."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gridpact.errors import invariant
from gridpact.grid import (
    GridModel,
    curtail,
    explain_collapse,
    lagging_q_var,
    load_at_buses,
    load_network,
    unsupplied,
    violations,
)
from gridpact.model import BranchPeak, BusBand, GridResult, SlotGrid, TradeCut
from gridpact.model.grid import BusTrade, LimitKind, Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model import Member, NetworkPolicy
    from gridpact.model.grid import PowerFlow
    from gridpact.quantize import FloatArray

SECONDS_PER_HOUR = 3600
PLACE_MAX = 100
"""Characters of a branch or bus that a transaction may name."""
WHOLE_NETWORK = "network"
"""Named where a collapse has no known place."""


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as the ledger has it."""

    number: int
    seller: int
    """Row of the member."""
    buyer: int
    energy_wh: int


class Lines:
    """The scenario's network, asked slot by slot."""

    def __init__(
        self, policy: NetworkPolicy, members: Sequence[Member], slot_length_s: int
    ) -> None:
        self.policy, self.slot_length_s = policy, slot_length_s
        self._members = members
        self._buses = [member.bus for member in members]
        self.network = load_network(policy.reference, policy.folder)
        self.model = GridModel(self.network)
        self._w_per_wh = SECONDS_PER_HOUR / slot_length_s
        self._vm_min_pu: FloatArray = np.full(len(self.network.buses), np.inf)
        self._vm_max_pu: FloatArray = np.full(len(self.network.buses), -np.inf)
        branches = len(self.network.lines) + len(self.network.transformers)
        self._loading_max: FloatArray = np.full(branches, -np.inf)
        self.flow: PowerFlow | None = None
        """Of the last slot observed."""
        self.spent_s = 0.0
        """Time spent on power flows."""

    def cuts(
        self, expected_wh: Sequence[int], traded_wh: Sequence[int], trades: Sequence[Trade]
    ) -> tuple[TradeCut, ...]:
        """What of a cleared slot's trades the lines cannot carry, by the scenario's rule.

        Args:
            expected_wh: net energy that each member expects, + = export.
            traded_wh: what of it was traded, + = sold.
            trades: in the order of the clearing, which is the order in which they were made.
        """
        started = time.perf_counter()
        beside_wh = [
            expected - traded for expected, traded in zip(expected_wh, traded_wh, strict=True)
        ]
        expected_w = -np.array(expected_wh, dtype=np.float64) * self._w_per_wh
        result = curtail(
            self.model,
            [
                BusTrade(
                    str(trade.number),
                    self._buses[trade.seller],
                    self._buses[trade.buyer],
                    trade.energy_wh,
                    trade.number,
                )
                for trade in trades
            ],
            self._at_buses(-np.array(beside_wh, dtype=np.float64) * self._w_per_wh)[0],
            self.policy.rule,
            self.policy.limits,
            slot_length_s=self.slot_length_s,
            baseline_q_var=self._at_buses(self._q_var(expected_w))[0],
        )
        self.spent_s += time.perf_counter() - started
        return tuple(
            TradeCut(
                trade.number,
                self._members[trade.seller].participant_id,
                self._members[trade.buyer].participant_id,
                trade.energy_wh,
                left.curtailed_wh,
                _place(left.bound_by),
            )
            for trade, left in zip(trades, result.trades, strict=True)
            if left.curtailed_wh
        )

    def observe(
        self,
        index: int,
        net_wh: Sequence[int],
        load_wh: Sequence[int],
        cuts: tuple[TradeCut, ...],
    ) -> SlotGrid:
        """The power flow of what was metered.

        Args:
            index: which slot, for violations.
            net_wh: of each member, + = export.
            load_wh: of each member, gross; it draws the reactive power.
            cuts: what was curtailed.
        """
        started = time.perf_counter()
        flow = self.flow = self.solve(net_wh, load_wh)
        found = tuple(
            dataclasses.replace(violation, snapshot=index)
            for violation in violations(flow, self.policy.limits)
        )
        seen = self._seen(flow, found, cuts) if flow.converged[0] else self._collapsed(index, cuts)
        self.spent_s += time.perf_counter() - started
        return seen

    def solve(self, net_wh: Sequence[int], load_wh: Sequence[int]) -> PowerFlow:
        """The power flow of one slot; energies as `observe` takes them."""
        net_w = -np.array(net_wh, dtype=np.float64) * self._w_per_wh
        load_w = np.array(load_wh, dtype=np.float64) * self._w_per_wh
        return self.model.flow(self._at_buses(net_w), self._at_buses(self._q_var(load_w)))

    def _seen(
        self, flow: PowerFlow, found: tuple[Violation, ...], cuts: tuple[TradeCut, ...]
    ) -> SlotGrid:
        voltage, loading = flow.vm_pu[0], flow.loading_percent[0]
        np.fmin(self._vm_min_pu, voltage, out=self._vm_min_pu)
        np.fmax(self._vm_max_pu, voltage, out=self._vm_max_pu)
        np.fmax(self._loading_max, loading, out=self._loading_max)
        low, high = int(np.nanargmin(voltage)), int(np.nanargmax(voltage))
        rated = bool(np.isfinite(loading).any())
        most = int(np.nanargmax(loading)) if rated else 0
        hours = self.slot_length_s / SECONDS_PER_HOUR
        return SlotGrid(
            vm_min_pu=float(voltage[low]),
            vm_min_bus=flow.bus_ids[low],
            vm_max_pu=float(voltage[high]),
            vm_max_bus=flow.bus_ids[high],
            loading_max_percent=float(loading[most]) if rated else None,
            loading_max_branch=flow.branch_ids[most] if rated else "",
            losses_wh=float(flow.losses_w[0]) * hours,
            from_outside_wh=float(flow.p_external_mw[0].sum()) * 1e6 * hours,
            cuts=cuts,
            violations=found,
        )

    def _collapsed(self, index: int, cuts: tuple[TradeCut, ...]) -> SlotGrid:
        """A slot whose load the network cannot carry at all: named, and the day goes on."""
        invariant(self.flow is not None, "a flow was solved")
        bus = explain_collapse(self.model, self.flow, 0).bus  # type: ignore[arg-type]
        nan = float("nan")
        collapse = Violation(LimitKind.COLLAPSE, index, bus, nan, nan, float("inf"))
        return SlotGrid(None, "", None, "", None, "", None, None, cuts, (collapse,))

    def _at_buses(self, load_w: FloatArray) -> FloatArray:
        return load_at_buses(self.network, self._buses, load_w[:, np.newaxis])

    def _q_var(self, load_w: FloatArray) -> FloatArray:
        return lagging_q_var(load_w, self.policy.power_factor_permille / 1000)

    def result(self) -> GridResult:
        """Voltages and loadings over all slots observed."""
        network = self.network
        branches = [
            *(line.line_id for line in network.lines),
            *(unit.transformer_id for unit in network.transformers),
        ]
        return GridResult(
            reference=network.reference,
            buses=tuple(
                BusBand(bus.bus_id, _number(low), _number(high))
                for bus, low, high in zip(
                    network.buses, self._vm_min_pu, self._vm_max_pu, strict=True
                )
            ),
            branches=tuple(
                BranchPeak(branch, _number(loading))
                for branch, loading in zip(branches, self._loading_max, strict=True)
            ),
            unsupported=network.unsupported,
            unsupplied=tuple(str(problem) for problem in unsupplied(network)),
        )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _place(bound_by: tuple[str, ...]) -> str:
    """What a transaction names: printable ASCII, not too long."""
    name = bound_by[0] if bound_by else WHOLE_NETWORK
    return "".join(c if " " <= c <= "~" else "?" for c in name)[:PLACE_MAX]
