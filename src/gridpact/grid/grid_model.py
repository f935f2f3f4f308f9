"""Power flow of many snapshots at once, by Newton-Raphson in power-grid-model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gridpact.errors import InputError, Problem, invariant
from gridpact.grid.admittances import branches_of
from gridpact.grid.solver import solver_of
from gridpact.grid.topology import topology_of
from gridpact.model.grid import PowerFlow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gridpact.model.grid import BoolArray, FloatArray, IntArray, Network, Shunt

TOLERANCE_PU = 1e-10
"""Largest change of a voltage in the last step of the iteration; what is left is far smaller, as
Newton-Raphson squares it."""
ITERATIONS_MAX = 20
"""A flow that converges takes 3 to 6; near a collapse about 10."""
CHUNK_VALUES = 2**17
"""Snapshots are solved in groups of about this many bus values: what is needed in between stays in
the cache, and memory is that of the results."""
W_PER_MW = 1e6
OUTPUT = {
    "node": ["u_pu", "u_angle"],
    "generic_branch": ["p_from", "p_to", "q_from", "q_to", "i_from", "i_to"],
    "source": ["p"],
}
"""What is read from the solver."""
BRANCH_RESULTS = (
    "p_from_mw",
    "p_to_mw",
    "q_from_mvar",
    "q_to_mvar",
    "current_a",
    "loading_percent",
)
BAD_MAX = 20
"""Most loads that are no numbers which one error lists."""


def power_flow(
    network: Network,
    p_w: FloatArray | IntArray,
    q_var: FloatArray | IntArray | None = None,
) -> PowerFlow:
    """Solve snapshots of a network once; `GridModel` solves the same network again and again.

    Args:
        network: B buses.
        p_w: shape (S, B), net load of each bus in W, + = consumption, in the order of the buses.
        q_var: shape (S, B), reactive load in var, + = inductive; none when left out.
    Returns:
        S solved snapshots, with a flag for those that did not converge.
    Raises:
        InputError: wrong shapes, or a load that is not finite.
    """
    return GridModel(network).flow(p_w, q_var)


def with_ideal_sources(network: Network) -> Network:
    """The same network with its external grids holding their voltage at the bus itself.

    That is how pandapower sees them; power-grid-model puts an impedance in between.
    """
    grids = tuple(replace(grid, short_circuit_mva=math.inf) for grid in network.external_grids)
    return replace(network, external_grids=grids)


def load_at_buses(
    network: Network, buses: Sequence[str], load_w: FloatArray | IntArray
) -> FloatArray:
    """Net load of each bus from that of those connected there.

    Args:
        network: B buses.
        buses: for each of M customers the id of its bus.
        load_w: shape (M, S), W or var, + = consumption.
    Returns:
        shape (S, B).
    Raises:
        InputError: customers at buses that the network does not have, or a wrong shape.
    """
    load = np.asarray(load_w, dtype=np.float64)
    if load.ndim != 2 or len(load) != len(buses):
        message = f"has shape {load.shape}; allowed: ({len(buses)}, snapshots); correct it"
        raise InputError([Problem("load_w", message)])
    position = {bus.bus_id: index for index, bus in enumerate(network.buses)}
    missing = sorted(set(buses) - set(position))
    if missing:
        raise InputError(
            [
                Problem(
                    f"{network.reference}: bus {bus}",
                    "does not exist, but a member is connected there; correct the member's bus",
                )
                for bus in missing
            ]
        )
    total = np.zeros((load.shape[1], len(position)))
    for bus, row in zip(buses, load, strict=True):
        total[:, position[bus]] += row
    return total


def nominal_load(network: Network) -> tuple[FloatArray, FloatArray]:
    """The loads and plants that the source of the network states, as one snapshot.

    Returns:
        p in W and q in var, each of shape (1, B).
    """
    buses = [load.bus for load in network.loads]
    p_w = np.array([[load.p_w] for load in network.loads]).reshape(-1, 1)
    q_var = np.array([[load.q_var] for load in network.loads]).reshape(-1, 1)
    return load_at_buses(network, buses, p_w), load_at_buses(network, buses, q_var)


def lagging_q_var(p_w: FloatArray | IntArray, power_factor: float) -> FloatArray:
    """Reactive load of consumers with one power factor; what feeds in runs at unity.

    Args:
        p_w: any shape, + = consumption.
        power_factor: cosine of the angle, above 0 and up to 1.
    Returns:
        the shape of `p_w`, var, + = inductive.
    Raises:
        InputError: the power factor is out of range.

    >>> lagging_q_var(np.array([800, -500]), 0.8).round(6).tolist()
    [600.0, 0.0]
    """
    if not 0 < power_factor <= 1:
        message = f"{power_factor:g} is not allowed; allowed: above 0 and up to 1; correct it"
        raise InputError([Problem("power_factor", message)])
    tangent = math.sqrt(1 - power_factor**2) / power_factor
    return np.maximum(np.asarray(p_w, dtype=np.float64), 0.0) * tangent


class GridModel:
    """A network made ready to solve."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.topology = topology_of(network)
        self._branches = branches_of(network)
        busbars, number = np.unique(self.topology.busbar, return_inverse=True)
        self._busbar_count = len(busbars)
        self._number: IntArray = number.astype(np.int64)
        """Shape (B,): the solver's number of each bus's busbar."""
        self._sorted_buses = np.argsort(self._number, kind="stable")
        self._busbar_starts = np.searchsorted(
            self._number[self._sorted_buses], np.arange(self._busbar_count)
        )
        closed = self.topology.from_closed & self.topology.to_closed
        busbar = self.topology.busbar
        loop = busbar[self.topology.from_bus] == busbar[self.topology.to_bus]
        self._bypassed = closed & loop
        """Shape (L,): lines whose ends are joined by switches too; only their shunt is left."""
        self._nominal_v = 1000 * np.array([bus.nominal_kv for bus in network.buses])
        self.solver: Any = solver_of(
            network, self.topology, self._branches, self._number, self._bypassed
        )
        """A `PowerGridModel` of power-grid-model, one `sym_load` per busbar."""

    def flow(
        self,
        p_w: FloatArray | IntArray,
        q_var: FloatArray | IntArray | None = None,
        *,
        threads: int = 1,
    ) -> PowerFlow:
        """Solve snapshots; each by itself, so the result does not depend on the others.

        Args:
            p_w: shape (S, B), net load of each bus in W, + = consumption.
            q_var: shape (S, B), reactive load in var, + = inductive; none when left out.
            threads: how many threads of the solver share the snapshots.
        Returns:
            S solved snapshots, with a flag for those that did not converge.
        Raises:
            InputError: wrong shapes, or a load that is not finite.
        """
        invariant(threads >= 1, f"{threads} threads")
        p_load = self._load(p_w, "p_w", None)
        q_load = (
            np.zeros_like(p_load) if q_var is None else self._load(q_var, "q_var", p_load.shape)
        )
        count = len(p_load)
        solved: dict[str, FloatArray] = {
            name: np.empty((count, columns))
            for name, columns in (
                *((name, len(self.network.buses)) for name in ("vm_pu", "va_degree")),
                *((name, len(self._bypassed)) for name in BRANCH_RESULTS),
                ("p_external_mw", len(self.network.external_grids)),
            )
        }
        losses_w = np.empty(count)
        converged = np.zeros(count, dtype=np.bool_)
        chunk = max(1, CHUNK_VALUES // len(self.network.buses))
        for first in range(0, count, chunk):
            rows = slice(first, first + chunk)
            results, good = self._solve(p_load[rows], q_load[rows], threads)
            converged[rows] = good
            losses_w[rows] = results.pop("losses_w")
            for name, values in results.items():
                solved[name][rows] = values
        for values in (losses_w, *solved.values()):
            values[~converged] = np.nan
        return PowerFlow(
            bus_ids=tuple(bus.bus_id for bus in self.network.buses),
            branch_ids=(
                *(line.line_id for line in self.network.lines),
                *(transformer.transformer_id for transformer in self.network.transformers),
            ),
            external_grid_ids=tuple(grid.external_grid_id for grid in self.network.external_grids),
            from_bus=self.topology.from_bus,
            to_bus=self.topology.to_bus,
            busbar=self.topology.busbar,
            supplied=self.topology.supplied,
            p_load_w=p_load,
            q_load_var=q_load,
            losses_w=losses_w,
            converged=converged,
            **solved,
        )

    def _load(
        self, values: FloatArray | IntArray, name: str, shape: tuple[int, ...] | None
    ) -> FloatArray:
        """Checked load as floats, 0 at buses without supply."""
        load = np.array(values, dtype=np.float64)
        buses = len(self.network.buses)
        if load.ndim != 2 or load.shape[1] != buses or (shape is not None and load.shape != shape):
            allowed = f"(snapshots, {buses})" if shape is None else f"{shape}, as p_w"
            message = f"has shape {np.shape(values)}; allowed: {allowed}; correct it"
            raise InputError([Problem(name, message)])
        bad = np.argwhere(~np.isfinite(load))
        if len(bad):
            problems = [
                Problem(
                    f"{name}: snapshot {snapshot}, bus {self.network.buses[bus].bus_id}",
                    f"{load[snapshot, bus]:g} is not a number; give the load in W or var",
                )
                for snapshot, bus in bad[:BAD_MAX]
            ]
            raise InputError(problems)
        load[:, ~self.topology.supplied] = 0.0
        return load

    def _busbar_sum(self, load: FloatArray) -> FloatArray:
        if self._busbar_count == load.shape[1]:
            return load
        ordered = load[:, self._sorted_buses]
        return np.ascontiguousarray(np.add.reduceat(ordered, self._busbar_starts, axis=1))

    def _solve(
        self, p_load: FloatArray, q_load: FloatArray, threads: int
    ) -> tuple[dict[str, FloatArray], BoolArray]:
        """Results by name, and which snapshots are good; the values of the others mean nothing."""
        output = self.solver.calculate_power_flow(
            error_tolerance=TOLERANCE_PU,
            max_iterations=ITERATIONS_MAX,
            update_data={
                "sym_load": {
                    "p_specified": self._busbar_sum(p_load),
                    "q_specified": self._busbar_sum(q_load),
                }
            },
            threading=-1 if threads == 1 else threads,
            output_component_types=OUTPUT,
            continue_on_batch_error=True,
        )
        good = np.ones(len(p_load), dtype=np.bool_)
        if self.solver.batch_error is not None:
            good[self.solver.batch_error.failed_scenarios] = False
        with np.errstate(all="ignore"):  # rows of failed snapshots hold anything
            results = self._results(output)
        supplied = self.topology.supplied
        good &= np.isfinite(results["vm_pu"][:, supplied]).all(axis=1)
        return results, good

    def _results(self, output: dict[str, dict[str, FloatArray]]) -> dict[str, FloatArray]:
        """The solver's numbers in our units, order and shape."""
        supplied = self.topology.supplied
        voltage = output["node"]["u_pu"][:, self._number]
        voltage[:, ~supplied] = np.nan
        angle = np.degrees(output["node"]["u_angle"][:, self._number])
        angle[:, ~supplied] = np.nan
        count = len(voltage), len(self._bypassed)
        ends = {name: np.zeros(count) for name in OUTPUT["generic_branch"]}
        solved = ~self._bypassed
        for name, values in output.get("generic_branch", {}).items():
            ends[name][:, solved] = values
        self._add_bypassed(ends, voltage)
        from_max, to_max = self._branches.from_max_a, self._branches.to_max_a
        from_share = ends["i_from"] / np.where(np.isfinite(from_max), from_max, 1.0)
        to_share = ends["i_to"] / np.where(np.isfinite(to_max), to_max, 1.0)
        loading = 100 * np.maximum(from_share, to_share)
        loading[:, ~np.isfinite(from_max)] = np.nan
        shunts_w = self._shunts_w(voltage)
        return {
            "vm_pu": voltage,
            "va_degree": angle,
            "p_from_mw": ends["p_from"] / W_PER_MW,
            "p_to_mw": ends["p_to"] / W_PER_MW,
            "q_from_mvar": ends["q_from"] / W_PER_MW,
            "q_to_mvar": ends["q_to"] / W_PER_MW,
            "current_a": np.where(from_share >= to_share, ends["i_from"], ends["i_to"]),
            "loading_percent": loading,
            "p_external_mw": output["source"]["p"] / W_PER_MW,
            "losses_w": (ends["p_from"] + ends["p_to"]).sum(axis=1) + shunts_w,
        }

    def _add_bypassed(self, ends: dict[str, FloatArray], voltage: FloatArray) -> None:
        """Half the shunt of a bypassed line flows into either end."""
        lines = np.flatnonzero(self._bypassed)
        bus = self.topology.from_bus[lines]
        volts = np.nan_to_num(voltage[:, bus]) * self._nominal_v[bus]
        g_s, b_s = self._branches.g_s[lines] / 2, self._branches.b_s[lines] / 2
        for end in ("from", "to"):
            ends[f"p_{end}"][:, lines] = g_s * volts**2
            ends[f"q_{end}"][:, lines] = -b_s * volts**2
            ends[f"i_{end}"][:, lines] = np.hypot(g_s, b_s) * volts / math.sqrt(3)

    def _shunts_w(self, voltage: FloatArray) -> FloatArray:
        """Active power of all shunts of the network, shape (S,)."""
        total = np.zeros(len(voltage))
        for shunt, bus in self._live_shunts():
            total += shunt.conductance_s * (voltage[:, bus] * self._nominal_v[bus]) ** 2
        return total

    def _live_shunts(self) -> list[tuple[Shunt, int]]:
        position = {bus.bus_id: index for index, bus in enumerate(self.network.buses)}
        return [
            (shunt, position[shunt.bus])
            for shunt in self.network.shunts
            if shunt.in_service and self.topology.supplied[position[shunt.bus]]
        ]
