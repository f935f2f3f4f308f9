"""What is wrong with a flow or with intensities, by snapshot and name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gridpact.carbon.kernels import unsound
from gridpact.errors import GridpactError, InputError, Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gridpact.model.carbon import FloatArray, SolvedFlow

    BoolArray = NDArray[np.bool_]

BALANCE_FLOOR_MW = 1e-7
"""Of a bus: a tenth of a watt, what solvers to 1e-8 MVA leave of a hundred-bus network."""
BALANCE_RELATIVE = 1e-6
"""Of all power in and out of a bus: flows written down with seven digits balance so well."""
T_PER_MWH_MAX = 3.0
"""Lignite at a fifth of its heating value is about 1.8; more is a wrong unit."""
PROBLEMS_MAX = 20


class TracingError(GridpactError):
    """The flow cannot be traced: power goes in a ring that no source feeds."""


def check_flow(
    flow: SolvedFlow,
    *,
    floor_mw: float = BALANCE_FLOOR_MW,
    relative: float = BALANCE_RELATIVE,
) -> None:
    """Refuse what is no solved flow.

    Args:
        flow: T snapshots.
        floor_mw: what may be missing at a bus in any case.
        relative: what may be missing at a bus, by all power in and out of it.

    Raises:
        InputError: wrong shapes, values that are no numbers, sources or loads below zero, a bus
            that does not balance, a branch that gives power at both ends.
    """
    _check_shapes(flow)
    network = flow.network
    snapshot, bus, missing = unsound(
        flow.p_source_mw,
        network.source_bus,
        flow.p_load_mw,
        network.load_bus,
        flow.p_from_mw,
        flow.p_to_mw,
        network.from_bus,
        network.to_bus,
        len(network.bus_ids),
        floor_mw,
        relative,
    )
    if snapshot < 0:
        return
    _refuse_values(flow, snapshot, floor_mw)
    message = (
        f"inflow less outflow is {missing:+.6g} MW; allowed: {floor_mw:g} MW and {relative:g} "
        "of the power through the bus; add the missing load, source or branch"
    )
    raise InputError([Problem(f"snapshot {snapshot}: bus {network.bus_ids[bus]}", message)])


def _refuse_values(flow: SolvedFlow, snapshot: int, floor_mw: float) -> None:
    """Refuse the values of a snapshot that are wrong by themselves."""
    network = flow.network
    for name, ids, values, remedy in (
        ("source", network.source_ids, flow.p_source_mw, "a unit that takes power is a load"),
        ("load", network.load_ids, flow.p_load_mw, "a load that gives power is a source"),
    ):
        bad = ~(values[snapshot] >= 0.0) | np.isinf(values[snapshot])
        _refuse(bad, name, ids, values, f"MW is not allowed; allowed: >= 0; {remedy}", snapshot)
    ids = network.branch_ids
    for values in (flow.p_from_mw, flow.p_to_mw):
        bad = ~np.isfinite(values[snapshot])
        _refuse(bad, "branch", ids, values, "is no number; solve the flow first", snapshot)
    bad = (flow.p_from_mw[snapshot] < -floor_mw) & (flow.p_to_mw[snapshot] < -floor_mw)
    message = "MW flows into its from-bus, and more into its to-bus; correct a sign"
    _refuse(bad, "branch", ids, -flow.p_from_mw, message, snapshot)


def check_intensity(flow: SolvedFlow, t_per_mwh: FloatArray) -> FloatArray:
    """Intensities of shape (G,) or (T, G) as a contiguous (T, G).

    Raises:
        InputError: another shape, not a number, below 0 or above `T_PER_MWH_MAX`.
    """
    given = np.asarray(t_per_mwh, dtype=np.float64)
    shape = flow.p_source_mw.shape
    if given.shape not in {shape, shape[1:]}:
        message = f"has shape {given.shape}; allowed: {shape[1:]} or {shape}; correct it"
        raise InputError([Problem("t_per_mwh", message)])
    spread = np.ascontiguousarray(np.broadcast_to(given, shape))
    bad = ~((spread >= 0.0) & (spread <= T_PER_MWH_MAX)) & (flow.p_source_mw > 0.0)
    if bad.any():
        snapshot = int(np.flatnonzero(bad.any(axis=1))[0])
        message = f"t/MWh is not allowed; allowed: 0 to {T_PER_MWH_MAX:g}; 400 g/kWh is 0.4"
        ids = flow.network.source_ids
        _refuse(bad[snapshot], "source", ids, spread, message, snapshot)
    return spread


def _check_shapes(flow: SolvedFlow) -> None:
    network, count = flow.network, len(flow.p_source_mw)
    problems = []
    for name, values, ids in (
        ("p_source_mw", flow.p_source_mw, network.source_ids),
        ("p_load_mw", flow.p_load_mw, network.load_ids),
        ("p_from_mw", flow.p_from_mw, network.branch_ids),
        ("p_to_mw", flow.p_to_mw, network.branch_ids),
    ):
        if values.shape != (count, len(ids)):
            message = f"has shape {values.shape}; allowed: ({count}, {len(ids)}); correct it"
            problems.append(Problem(name, message))
    for name, places, ids in (
        ("source_bus", network.source_bus, network.source_ids),
        ("load_bus", network.load_bus, network.load_ids),
        ("from_bus", network.from_bus, network.branch_ids),
        ("to_bus", network.to_bus, network.branch_ids),
    ):
        outside = (places < 0) | (places >= len(network.bus_ids))
        if places.shape != (len(ids),) or outside.any():
            message = f"names a bus outside 0..{len(network.bus_ids) - 1}, or not one for each"
            problems.append(Problem(name, f"{message} of {len(ids)}; correct it"))
    if problems:
        raise InputError(problems)


def _refuse(
    bad: BoolArray, name: str, ids: Sequence[str], values: FloatArray, message: str, snapshot: int
) -> None:
    found = np.flatnonzero(bad)[:PROBLEMS_MAX].tolist()
    if found:
        raise InputError(
            [
                Problem(
                    f"snapshot {snapshot}: {name} {ids[i]}", f"{values[snapshot, i]:g} {message}"
                )
                for i in found
            ]
        )
